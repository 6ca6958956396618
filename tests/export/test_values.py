import numpy as np
import pytest
from explained import ORIGIN, explanations, places, sequences

from xaibench.dna.encoding import to_letters
from xaibench.export.values import Explanations, on_forward_strand, spans
from xaibench.values import Intervals


def test_hypothetical_contributions_of_the_own_bases_are_the_scores():
    block = explanations()
    at_bases = (block.of_bases * block.one_hot).sum(1)
    assert np.array_equal(at_bases, block.scores * block.sequences.valid)


def test_the_columns_of_n_and_of_padding_are_zero():
    block = explanations()
    unknown = ~block.sequences.valid
    assert unknown.sum() == 3
    for array in (block.one_hot, block.of_bases, block.projected):
        assert not array.transpose(0, 2, 1)[unknown].any()


def test_without_hypothetical_contributions_scores_stand_at_the_own_bases():
    block = explanations(hypothetical=False)
    assert block.of_bases[0, :, 1].tolist() == [0, 2, 0, 0]


def test_sequences_of_the_other_strand_read_as_the_genome_does():
    # the second is shorter than the others and padded
    block = explanations(places([10, 20, 30], [1, -1, -1], [7, 5, 7]))
    forward = on_forward_strand(block)
    assert to_letters(forward.sequences.codes) == ["ACGTNCA", "ATGCC", "CGTAAAA"]
    assert forward.scores[1].tolist() == [12, 11, 10, 9, 8, 13, 14]
    assert forward.scores[2].tolist() == [21, 20, 19, 18, 17, 16, 15]
    assert forward.sequences.intervals.strands.tolist() == [1, 1, 1]
    at_bases = (forward.of_bases * forward.one_hot).sum(1)
    assert np.array_equal(at_bases, forward.scores * forward.sequences.valid)


def test_an_interval_longer_than_its_letters_is_turned_as_a_whole():
    # the last letter of the third is read as an N: its length is that of its interval all the same
    given = sequences(["ACGTACG", "AC", "TTTTACN"], places([10, 20, 30], [1, 1, -1], [7, 2, 7]))
    scores = np.arange(21, dtype=np.float32).reshape(3, 7)
    forward = on_forward_strand(Explanations(given, scores, np.zeros(3, int), ORIGIN))
    assert forward.sequences.codes[2].tolist() == [4, 2, 3, 0, 0, 0, 0]
    assert forward.scores[2].tolist() == [20, 19, 18, 17, 16, 15, 14]


def test_rows_on_contigs_of_their_own_have_no_known_place():
    where = Intervals(
        ("chr1", "row 1", "chr2"), np.array([5, 0, 3]), np.array([12, 5, 20]), np.ones(3, np.int8)
    )
    assert spans(explanations(where)).tolist() == [True, False, False]
    assert spans(explanations()).tolist() == [False] * 3


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"scores": np.zeros((3, 6), np.float32)}, r"scores: expected \(3, 7\), got \(3, 6\)"),
        ({"targets": np.zeros(2, int)}, r"targets: expected \(3,\), got \(2,\)"),
        ({"hypothetical": np.zeros((3, 5, 7))}, r"hypothetical: expected \(3, 4, 7\)"),
        ({"outputs": np.zeros((2, 2))}, "outputs: expected 3 rows, got 2"),
    ],
)
def test_arrays_of_other_shapes_are_rejected(arrays, message):
    known = {"scores": np.zeros((3, 7), np.float32), "targets": np.zeros(3, int)}
    with pytest.raises(ValueError, match=message):
        Explanations(sequences(), origin=ORIGIN, **{**known, **arrays})
