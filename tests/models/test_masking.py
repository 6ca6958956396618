import numpy as np

from xaibench.models.masking import Masking, lowest

VALID = np.array([[True] * 8, [True] * 5 + [False] * 3])
WEIGHTS = np.array([[8, 1, 7, 2, 6, 3, 5, 4], [5, 1, 4, 2, 3, 0, 0, 0]], np.float32)


def test_nothing_is_masked_in_the_warm_up_and_the_whole_ratio_after_the_ramp():
    masking = Masking(ratio=0.3, warm_up=1, ramp=2)
    assert [masking.ratio_at(epoch) for epoch in range(4)] == [0.0, 0.15, 0.3, 0.3]


def test_the_lowest_of_the_valid_positions_are_masked_rounded_half_up():
    masked = lowest(WEIGHTS, VALID, 0.3, np.random.default_rng(0))
    assert np.flatnonzero(masked[0]).tolist() == [1, 3]
    assert np.flatnonzero(masked[1]).tolist() == [1, 3]
    half = lowest(WEIGHTS, VALID, 0.5, np.random.default_rng(0))
    assert half.sum(axis=1).tolist() == [4, 3]


def test_ties_are_masked_at_random():
    weights = np.ones((3000, 6), np.float32)
    masked = lowest(weights, weights > 0, 0.5, np.random.default_rng(0))
    assert (masked.sum(axis=1) == 3).all()
    # standard error of a share of one half of 3,000: 0.009
    assert np.abs(masked.mean(axis=0) - 0.5).max() < 0.05
