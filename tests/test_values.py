from dataclasses import replace

import numpy as np
import pytest

from xaibench.errors import UsageError
from xaibench.values import NO_CLASS, Explained, Intervals, N, Sequences, Splits

CODES = np.array([[0, 1, 2, N], [3, N, N, N], [1, 1, 1, 1]], np.uint8)
EVIDENCE = np.where(CODES == 1, 1, NO_CLASS).astype(np.int8)
INTERVALS = Intervals(
    ("chr1", "chr2", "chr1"),
    np.array([10, 20, 30]),
    np.array([13, 21, 34]),
    np.array([1, -1, -1], np.int8),
)
SEQUENCES = Sequences(
    *(CODES, np.array([0, 1, 1]), ("a", "b", "c"), ("no", "yes"), ("p", "q", "p")),
    *(EVIDENCE, INTERVALS, np.array([0.5, -1.5, 2.5])),
)


def test_rows_are_taken_from_every_column():
    taken = SEQUENCES.take(np.array([2, 0]))
    assert taken.names == ("c", "a")
    assert taken.groups == ("p", "p")
    assert taken.labels.tolist() == [1, 0]
    assert taken.responses.tolist() == [2.5, 0.5]
    assert (taken.evidence == EVIDENCE[[2, 0]]).all()
    assert taken.intervals.chromosomes == ("chr1", "chr1")
    assert taken.intervals.starts.tolist() == [30, 10]
    assert taken.intervals.ends.tolist() == [34, 13]
    assert taken.intervals.strands.tolist() == [-1, 1]
    assert (taken.codes == CODES[[2, 0]]).all()


def test_a_motif_counts_where_it_speaks_for_the_own_class():
    assert SEQUENCES.evidence[0, 1] == 1  # a motif of class 1 in a sequence of class 0
    assert SEQUENCES.inside_motif.tolist() == [[False] * 4, [False] * 4, [True] * 4]
    assert replace(SEQUENCES, evidence=None).inside_motif is None


def test_known_bases_are_valid():
    assert SEQUENCES.valid.sum(axis=1).tolist() == [3, 1, 4]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"codes": CODES.astype(np.int64)}, r"codes: expected .*uint8, got int64"),
        ({"labels": np.zeros(2, np.int64)}, "labels: expected 3 rows, got 2"),
        ({"responses": np.zeros(4)}, "responses: expected 3 rows, got 4"),
        ({"names": ("a",)}, "names: expected 3 rows, got 1"),
        ({"evidence": EVIDENCE[:2]}, "evidence: expected 3 rows, got 2"),
        ({"intervals": INTERVALS.take(np.array([0]))}, "intervals: expected 3 rows, got 1"),
    ],
)
def test_columns_must_fit(changed, message):
    with pytest.raises(ValueError, match=message):
        replace(SEQUENCES, **changed)


def test_splits_must_agree_about_the_classes():
    with pytest.raises(UsageError, match="the splits disagree about the classes"):
        Splits(SEQUENCES, replace(SEQUENCES, class_names=("yes", "no")))


def test_scores_must_cover_every_position():
    with pytest.raises(ValueError, match=r"scores: expected \(3, 4\), got \(3, 2\)"):
        Explained(SEQUENCES, np.zeros((3, 2), np.float32), SEQUENCES.labels, signed=True)


def test_a_map_of_some_rows_keeps_all_that_belongs_to_them():
    scores = np.arange(12, dtype=np.float32).reshape(3, 4)
    bases = np.arange(60, dtype=np.float32).reshape(3, 5, 4)
    explained = Explained(SEQUENCES, scores, SEQUENCES.labels, True, bases)
    taken = explained.take(np.array([2, 0]))
    assert taken.sequences.names == ("c", "a")
    assert (taken.scores == scores[[2, 0]]).all()
    assert taken.targets.tolist() == [1, 0]
    assert taken.signed
    assert (taken.hypothetical == bases[[2, 0]]).all()
    assert replace(explained, hypothetical=None).take(np.array([1])).hypothetical is None


def test_the_columns_of_intervals_are_of_one_length():
    with pytest.raises(ValueError, match="ends: expected 3, one per chromosome"):
        replace(INTERVALS, ends=INTERVALS.ends[:2])


def test_the_background_is_train_or_where_there_is_none_test():
    empty = SEQUENCES.take(np.arange(0))
    other = replace(SEQUENCES, names=("d", "e", "f"))
    assert Splits(other, SEQUENCES).background is other
    assert Splits(other, SEQUENCES).has_train
    assert Splits(empty, SEQUENCES).background is SEQUENCES
    assert not Splits(empty, SEQUENCES).has_train
    assert SEQUENCES.has_classes
    assert not replace(SEQUENCES, class_names=("no",)).has_classes
