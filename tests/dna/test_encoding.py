"""Letters, codes and the other strand."""

import re

import numpy as np
import pytest

from xaibench.dna import encoding
from xaibench.errors import UsageError


def test_letters_become_codes_padded_with_n():
    codes = encoding.to_codes(["ACGTNAC", "acg", "T"])
    assert codes.dtype == np.uint8
    assert codes.tolist() == [[0, 1, 2, 3, 4, 0, 1], [0, 1, 2, 4, 4, 4, 4], [3] + 6 * [4]]


def test_codes_become_the_letters_they_came_from():
    assert encoding.to_letters(encoding.to_codes(["NACGT", "gg", ""])) == ["NACGT", "GG", ""]


def test_u_is_t_and_an_ambiguity_is_n_in_either_case():
    codes = encoding.to_codes(["AUGu", "ARYSWKMBDHVC", "rywskmbdhvn"])
    assert codes[0, :4].tolist() == [0, 3, 2, 3]
    assert codes[1].tolist() == [0] + 10 * [4] + [1]
    assert (codes[2] == 4).all()


def test_ambiguities_are_counted_without_n_and_u():
    sequences = ["ACGTNUacgtnu", "RYSWKMBDHV", "", "rywskmbdhvNNNRR"]
    assert encoding.ambiguities(sequences) == 22
    assert encoding.ambiguities([]) == 0


def test_no_sequences_are_no_codes():
    assert encoding.to_codes([]).shape == (0, 0)


@pytest.mark.parametrize("letter", ["X", "-", " ", "é", "\0"])
def test_another_letter_is_named_with_its_sequence_and_position(letter):
    with pytest.raises(
        UsageError, match=rf"^sequence 1: .*got {re.escape(repr(letter))} at position 2"
    ):
        encoding.to_codes(["ACGTACG", f"AC{letter}GT", "ACX"])
    with pytest.raises(UsageError, match=r"^peak b: expected the letters A C G T N or an IUPAC"):
        encoding.to_codes(["ACGTACG", f"AC{letter}GT"], name=["peak a", "peak b"].__getitem__)


def test_length_ends_at_the_last_known_base():
    assert encoding.lengths(encoding.to_codes(["ACGTACG", "NACNN", "NN"])).tolist() == [7, 3, 0]


def test_reverse_complement_turns_each_row_within_its_length():
    codes = encoding.to_codes(["AACGTTG", "NACGN", "TTC"])
    assert encoding.to_letters(encoding.reverse_complement(codes)) == ["CAACGTT", "CGT", "GAA"]
    assert (encoding.reverse_complement(codes)[2, 3:] == 4).all()


def test_reverse_complement_twice_is_the_sequence():
    generator = np.random.default_rng(0)
    codes = generator.integers(5, size=(50, 7), dtype=np.uint8)
    codes[:, 0] = 2  # a leading N would become padding
    assert np.array_equal(encoding.reverse_complement(encoding.reverse_complement(codes)), codes)


def test_unreverse_brings_scores_back_to_their_bases():
    codes = encoding.to_codes(["AACGTTG", "NACGN", "TTC"])
    complement = np.array([3, 2, 1, 0, 4])
    read = complement[encoding.reverse_complement(codes)].astype(np.float32)
    assert np.array_equal(encoding.unreverse(read, codes), codes)
