"""Runs of positions and what covers them."""

import numpy as np

from xaibench.metrics.motif_runs import best_overlaps, join_runs, known_first, runs, runs_of, share
from xaibench.values import NO_CLASS

EVIDENCE = np.array([[0, 0, 1, -1, 1, 1, 1], [-1, 2, 2, -1, -1, -1, -1], [-1] * 7], np.int8)


def test_runs_of_different_classes_may_touch_and_none_goes_over_the_end_of_a_row() -> None:
    found = runs(EVIDENCE)
    assert found.numbers.tolist() == [[1, 1, 2, 0, 3, 3, 3], [0, 4, 4, 0, 0, 0, 0], [0] * 7]
    assert found.rows.tolist() == [0, 0, 0, 1]
    assert found.classes.tolist() == [0, 1, 1, 2]
    assert found.sizes.tolist() == [2, 1, 3, 2]


def test_there_are_no_runs_in_nothing() -> None:
    nothing = runs(np.full((3, 5), NO_CLASS, np.int8))
    assert len(nothing.rows) == len(nothing.classes) == len(nothing.sizes) == 0
    assert np.isnan(share(nothing, np.empty(0, bool), 3)).all()


def test_the_best_of_several_stretches_counts() -> None:
    instances = runs_of(np.array([[1, 1, 1, 1, 0, 0, 1, 1], [0, 1, 1, 0, 0, 0, 0, 0]], bool))
    stretches = runs_of(np.array([[1, 0, 1, 1, 1, 0, 0, 0], [0, 1, 1, 0, 0, 0, 0, 1]], bool))
    assert best_overlaps(instances, stretches).tolist() == [2 / 5, 0, 1]


def test_the_share_is_of_the_own_sequence() -> None:
    found = np.array([True, False, False, True])
    np.testing.assert_array_equal(share(runs(EVIDENCE), found, 3), [1 / 3, 1, np.nan])


def test_only_gaps_between_two_are_joined() -> None:
    mask = np.array([[0, 1, 0, 0, 1, 0, 0, 0, 1, 0], [0] * 10], bool)
    assert np.flatnonzero(join_runs(mask, 2)[0]).tolist() == [1, 2, 3, 4, 8]
    assert not join_runs(mask, 2)[1].any()
    np.testing.assert_array_equal(join_runs(mask, 0), mask)


def test_known_columns_come_first_in_their_order() -> None:
    valid = np.array([[0, 1, 1, 0, 1]], bool)
    assert known_first(np.array([[5, 6, 7, 8, 9]]), valid).tolist() == [[6, 7, 9, 5, 8]]
