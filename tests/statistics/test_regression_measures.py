"""Pearson, Spearman and MSE beside scipy's and scikit-learn's, with ties and in resamples."""

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import mean_squared_error

from xaibench.statistics.discrimination import difference, estimate
from xaibench.statistics.regression_measures import REGRESSION
from xaibench.statistics.resampling import shared_draws

GENERATOR = np.random.default_rng(0)
RESPONSES = GENERATOR.integers(0, 6, 40).astype(float)  # with ties
PREDICTIONS = np.round(RESPONSES / 2 + GENERATOR.normal(size=40), 1)
ORACLES = {
    "pearson": lambda one, other: stats.pearsonr(one, other).statistic,
    "spearman": lambda one, other: stats.spearmanr(one, other).statistic,
    "mse": mean_squared_error,
}


@pytest.mark.parametrize("measure", REGRESSION)
def test_measures_are_those_of_scipy_and_scikit_learn_also_in_a_resample(measure):
    counts = GENERATOR.multinomial(40, np.full(40, 1 / 40), size=3)
    weights = np.vstack([np.ones(40), counts])
    found = REGRESSION[measure](PREDICTIONS, RESPONSES, weights)
    for value, row in zip(found, weights.astype(int), strict=True):
        repeated = np.repeat(PREDICTIONS, row), np.repeat(RESPONSES, row)
        assert value == pytest.approx(ORACLES[measure](*repeated), abs=1e-12)


@pytest.mark.parametrize("measure", ["pearson", "spearman"])
def test_the_correlation_with_a_constant_is_undefined(measure):
    whole = np.ones((1, 40))
    # a third is no sum of powers of two: the mean of equal numbers is rounded
    assert np.isnan(REGRESSION[measure](np.full(40, 1 / 3), RESPONSES, whole)).all()
    drawing = shared_draws(0, "regression", resamples=20, flips=0)
    found = estimate(measure, np.full((2, 40), 1 / 3), RESPONSES, drawing)
    assert (np.isnan(found.mean), found.reason) == (True, "predictions or responses are constant")


@pytest.mark.parametrize("measure", REGRESSION)
def test_intervals_hold_the_mean_and_retraining_is_the_wider_one(measure):
    seeds = np.stack([PREDICTIONS, PREDICTIONS + GENERATOR.normal(size=40)])
    drawing = shared_draws(0, "regression", resamples=200, flips=0)
    found = estimate(measure, seeds, RESPONSES, drawing)
    own = [ORACLES[measure](each, RESPONSES) for each in seeds]
    assert found.mean == pytest.approx(np.mean(own))
    assert found.low < found.sequences_low < found.mean < found.sequences_high < found.high
    assert (found.sequences, found.seeds, found.reason) == (40, 2, "")


def test_what_is_not_finite_is_said():
    drawing = shared_draws(0, "regression", resamples=20, flips=0)
    lost = np.where(np.arange(40) == 3, np.nan, RESPONSES)
    found = estimate("mse", PREDICTIONS[None], lost, drawing)
    assert "not finite" in found.reason


@pytest.mark.parametrize("measure", REGRESSION)
def test_a_difference_is_that_of_the_measures_and_paired(measure):
    near, far = PREDICTIONS[None], PREDICTIONS[None] + 3 * GENERATOR.normal(size=(1, 40))
    drawing = shared_draws(0, "regression", resamples=200, flips=0)
    found = difference(measure, near, far, RESPONSES, drawing)
    own = [estimate(measure, each, RESPONSES, drawing).mean for each in (near, far)]
    assert found.mean == pytest.approx(own[0] - own[1])
    same = difference(measure, near, near, RESPONSES, drawing)
    assert (same.mean, same.sequences_low, same.sequences_high) == (0, 0, 0)


def test_a_difference_to_what_is_constant_is_undefined_and_shapes_are_checked():
    drawing = shared_draws(0, "regression", resamples=20, flips=0)
    constant = np.full((1, 40), 2.0)
    found = difference("pearson", PREDICTIONS[None], constant, RESPONSES, drawing)
    assert (np.isnan(found.mean), found.reason) == (True, "predictions or responses are constant")
    with pytest.raises(ValueError, match="expected the shape of first"):
        difference("mse", PREDICTIONS[None], constant[:, :3], RESPONSES, drawing)
