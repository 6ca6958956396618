"""Comparisons of maps that know nothing of what made them."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import hypergeom, spearmanr

from xaibench.metrics.agreement import (
    overlap,
    pairwise_overlap,
    pairwise_spearman,
    relative_change,
    spearman,
)

COMPARISONS = [spearman, overlap, relative_change]


def maps(count: int, *, missing: float = 0.0) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Maps with ties of 13 sequences of 19 positions, some of them not valid."""
    generator = np.random.default_rng(5)
    valid = generator.random((13, 19)) < 0.75
    scores = generator.integers(-3, 4, (count, 13, 19)).astype(np.float32)
    scores[generator.random(scores.shape) < missing] = np.nan
    return scores, valid


def slow_spearman(first, second) -> float:
    return float(spearmanr(first, second)[0])


def slow_overlap(first, second, share: float = 0.1) -> float:
    """The degree to which a position is in the top is the share of orders of the ties that take it
    there."""
    places = max(int(share * len(first) + 0.5), 1)
    tops = []
    for scores in (first, second):
        above = [int((scores > score).sum()) for score in scores]
        tied = [int((scores == score).sum()) for score in scores]
        pairs = zip(above, tied, strict=True)
        tops.append([min(max((places - over) / same, 0), 1) for over, same in pairs])
    both = list(zip(*tops, strict=True))
    return sum(map(min, both)) / sum(map(max, both))


def slow_relative_change(first, second) -> float:
    return float(np.sqrt(((second - first) ** 2).sum() / (first**2).sum()))


SLOW = dict(zip(COMPARISONS, [slow_spearman, slow_overlap, slow_relative_change], strict=True))


@pytest.mark.parametrize("missing", [0.0, 0.2])
@pytest.mark.parametrize("compare", COMPARISONS)
def test_a_comparison_equals_its_slow_twin_where_both_maps_have_valid_scores(
    compare, missing: float
) -> None:
    (first, second), valid = maps(2, missing=missing)
    kept = valid & ~np.isnan(first) & ~np.isnan(second)
    expected = [
        SLOW[compare](first[n, each].astype(float), second[n, each].astype(float))
        for n, each in enumerate(kept)
    ]
    np.testing.assert_allclose(compare(first, second, valid), expected, rtol=1e-12)


@pytest.mark.parametrize("share", [0.03, 0.25, 0.5, 1.0])
def test_overlap_of_every_share_equals_its_slow_twin(share: float) -> None:
    (first, second), valid = maps(2)
    pairs = [(first[n, each], second[n, each]) for n, each in enumerate(valid)]
    expected = [slow_overlap(*pair, share) for pair in pairs]
    np.testing.assert_allclose(overlap(first, second, valid, share=share), expected, rtol=1e-12)


@pytest.mark.parametrize("compare", COMPARISONS)
def test_what_is_not_valid_does_not_count(compare) -> None:
    (first, second), valid = maps(2)
    other = np.where(valid, second, 1e6 * np.arange(19, dtype=np.float32))
    np.testing.assert_array_equal(compare(first, other, valid), compare(first, second, valid))


@pytest.mark.parametrize("compare", COMPARISONS)
def test_nothing_to_compare_is_undefined(compare) -> None:
    first, second = np.arange(14, dtype=np.float32).reshape(2, 7), np.ones((2, 7), np.float32)
    second[1] = np.nan
    valid = np.array([[False] * 7, [True] * 7])
    assert np.isnan(compare(first, second, valid)).all()


@pytest.mark.parametrize("compare", COMPARISONS)
def test_a_comparison_does_not_depend_on_the_other_sequences(compare) -> None:
    (first, second), valid = maps(2, missing=0.2)
    rows = np.array([7, 2, 11])
    np.testing.assert_array_equal(
        compare(first[rows], second[rows], valid[rows]), compare(first, second, valid)[rows]
    )


@pytest.mark.parametrize("compare", [spearman, overlap])
def test_ranked_comparisons_do_not_change_with_the_order_of_positions_or_a_rising_change(
    compare,
) -> None:
    (first, second), valid = maps(2)
    known = compare(first, second, valid)
    np.testing.assert_allclose(compare(3 * np.exp(first) + 5, second**3, valid), known, rtol=1e-12)
    turned = compare(first[:, ::-1], second[:, ::-1], valid[:, ::-1])
    np.testing.assert_allclose(turned, known, rtol=1e-12)


def test_overlap_has_its_closed_form() -> None:
    # tops of two of seven: {0, 1} and {1, 2} share one of three
    first = np.array([[9, 8, 1, 0, 0, 0, 0]], np.float32)
    second = np.array([[1, 9, 8, 0, 0, 0, 0]], np.float32)
    valid = np.ones((1, 7), np.bool_)
    np.testing.assert_allclose(overlap(first, second, valid, share=0.25), [1 / 3])
    np.testing.assert_array_equal(overlap(first, first, valid, share=0.25), [1.0])
    np.testing.assert_array_equal(overlap(first, -first, valid, share=0.25), [0.0])


def test_overlap_shares_the_last_place_among_the_tied_wherever_they_stand() -> None:
    # top of two: position 3 and a sixth of every other; with itself turned around: the sixths
    scores = np.array([[0, 0, 0, 5, 0, 0, 0]], np.float32)
    valid = np.ones((1, 7), np.bool_)
    last = np.array([[0, 0, 0, 5, 0, 0, 4]], np.float32)
    early = np.array([[4, 0, 0, 5, 0, 0, 0]], np.float32)
    expected = [(1 + 1 / 6) / (2 + 5 / 6)]
    np.testing.assert_allclose(overlap(scores, last, valid, share=0.3), expected)
    np.testing.assert_allclose(overlap(scores, early, valid, share=0.3), expected)


def test_overlap_with_a_constant_map_is_that_of_a_map_without_a_place() -> None:
    constant, ranked = np.ones((1, 20), np.float32), np.arange(20, dtype=np.float32)[None]
    valid = np.ones((1, 20), np.bool_)
    np.testing.assert_allclose(overlap(constant, ranked, valid, share=0.1), [0.1 / 1.9])
    np.testing.assert_array_equal(overlap(constant, constant, valid), [1.0])


def test_the_top_is_rounded_half_up_and_never_empty() -> None:
    ranked = np.arange(5, dtype=np.float32)[None]
    valid = np.ones((1, 5), np.bool_)
    # one place of 5 at a share of .1 (half a place) and of .01; the two maps share none
    for share in (0.1, 0.01):
        np.testing.assert_array_equal(overlap(ranked, ranked[:, ::-1], valid, share=share), [0.0])
    # 2.5 are 3 places: the middle one is shared, of five
    np.testing.assert_allclose(overlap(ranked, ranked[:, ::-1], valid, share=0.5), [1 / 5])


def test_random_maps_overlap_by_about_chance() -> None:
    first, second = np.random.default_rng(2).random((2, 2000, 50), dtype=np.float32)
    mean = overlap(first, second, np.ones((2000, 50), np.bool_)).mean()
    # five places of 50 each
    expected = hypergeom(50, 5, 5).expect(lambda shared: shared / (10 - shared))
    assert abs(mean - expected) < 0.006  # the standard error is 0.0017


def test_relative_change_has_its_closed_form() -> None:
    first, second = np.array([[3, 4, 0]], np.float32), np.array([[3, 4, 10]], np.float32)
    valid = np.ones((1, 3), np.bool_)
    np.testing.assert_array_equal(relative_change(first, second, valid), [2.0])
    assert np.isnan(relative_change(0 * first, second, valid)).all()


@pytest.mark.parametrize(
    ("matrix", "pair"), [(pairwise_spearman, spearman), (pairwise_overlap, overlap)]
)
def test_a_matrix_holds_what_every_pair_gives(matrix, pair) -> None:
    scores, valid = maps(4)
    found = matrix(scores, valid)
    assert found.shape == (4, 4, 13)
    for row, first in enumerate(scores):
        for column, second in enumerate(scores):
            expected = pair(first, second, valid)
            np.testing.assert_array_equal(found[row, column], expected)


def test_a_matrix_compares_the_positions_where_all_maps_have_a_score() -> None:
    scores, valid = maps(3, missing=0.2)
    everywhere = valid & ~np.isnan(scores).any(axis=0)
    found = pairwise_overlap(scores, valid, share=0.3)
    expected = overlap(scores[0], scores[2], everywhere, share=0.3)
    np.testing.assert_array_equal(found[2, 0], expected)
