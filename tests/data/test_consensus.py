"""Strings as motifs, against a search of every window by a regular expression."""

import re

import numpy as np
import pytest

from xaibench.data.consensus import Consensus, is_consensus, matching_windows
from xaibench.dna.encoding import to_codes, to_letters

IUPAC = {"R": "[AG]", "Y": "[CT]", "S": "[CG]", "W": "[AT]", "K": "[GT]", "M": "[AC]"}
IUPAC |= {"B": "[CGT]", "D": "[AGT]", "H": "[ACT]", "V": "[ACG]", "N": "[ACGT]"}
OTHER_STRAND = str.maketrans("ACGTRYSWKMBDHVN", "TGCAYRSWMKVHDBN")


def by_expression(letters, motif):
    """The windows that match on either strand."""
    strands = (motif, motif[::-1].translate(OTHER_STRAND))
    either = ["".join(IUPAC.get(letter, letter) for letter in strand) for strand in strands]
    return [
        any(re.match(strand, letters[start:]) for strand in either)
        for start in range(len(letters) - len(motif) + 1)
    ]


@pytest.mark.parametrize("motif", ["CGACC", "TGASTCA", "NNRYN", "KMBDH", "VWSAC"])
def test_windows_match_where_a_regular_expression_does(motif):
    codes = np.random.default_rng(1).choice(5, size=(900, 43), p=[0.24] * 4 + [0.04])
    codes[:, 42] = 0  # letters have no N at the end
    codes = codes.astype(np.uint8)
    expected = [by_expression(letters, motif) for letters in to_letters(codes)]
    assert matching_windows(codes, Consensus(motif)).tolist() == expected
    assert np.any(expected)


def test_a_sequence_shorter_than_the_motif_has_no_window():
    assert matching_windows(to_codes(["ACG"]), Consensus("ACGTA")).shape == (1, 0)


def test_the_p_value_is_the_share_of_words_that_match():
    assert Consensus("CGACC").p_value == 4.0**-5
    assert Consensus("TGASTCA").p_value == 2 * 4.0**-7
    assert Consensus("NNNNN").p_value == 1


def test_names_of_factors_are_no_strings():
    assert not any(map(is_consensus, ["MYCN", "SRY", "CTCF", "GATA1", "cgacc", "CGAC", ""]))
    assert is_consensus("CGACCGAACTCC")
