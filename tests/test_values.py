from dataclasses import replace

import numpy as np
import pytest

from xaibench.errors import UsageError
from xaibench.values import Explained, N, Sequences, Splits

CODES = np.array([[0, 1, 2, N], [3, N, N, N], [1, 1, 1, 1]], np.uint8)
MOTIF = CODES == 1
SEQUENCES = Sequences(
    CODES, np.array([0, 1, 1]), ("a", "b", "c"), ("no", "yes"), ("p", "q", "p"), MOTIF
)


def test_rows_are_taken_from_every_column():
    taken = SEQUENCES.take(np.array([2, 0]))
    assert taken.names == ("c", "a")
    assert taken.groups == ("p", "p")
    assert taken.labels.tolist() == [1, 0]
    assert (taken.inside_motif == MOTIF[[2, 0]]).all()
    assert (taken.codes == CODES[[2, 0]]).all()


def test_known_bases_are_valid():
    assert SEQUENCES.valid.sum(axis=1).tolist() == [3, 1, 4]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"codes": CODES.astype(np.int64)}, r"codes: wanted .*uint8, got int64"),
        ({"labels": np.zeros(2, np.int64)}, "labels: wanted 3 rows, got 2"),
        ({"names": ("a",)}, "names: wanted 3 rows, got 1"),
        ({"inside_motif": MOTIF[:2]}, "inside_motif: wanted 3 rows, got 2"),
    ],
)
def test_columns_must_fit(changed, message):
    with pytest.raises(ValueError, match=message):
        replace(SEQUENCES, **changed)


def test_splits_must_agree_about_the_classes():
    with pytest.raises(UsageError, match="the splits disagree about the classes"):
        Splits(SEQUENCES, replace(SEQUENCES, class_names=("yes", "no")))


def test_scores_must_cover_every_position():
    with pytest.raises(ValueError, match=r"scores: wanted \(3, 4\), got \(3, 2\)"):
        Explained(SEQUENCES, np.zeros((3, 2), np.float32), SEQUENCES.labels, signed=True)
