"""The variance of a mean over crossed seeds and sequences, its interval and its p."""

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import optimize, stats
from simulated import values

from xaibench.statistics.crossed import (
    Component,
    Spread,
    crossed,
    crossed_apart,
    interval,
    of_these_models,
    p_value,
    these_models_apart,
)
from xaibench.statistics.means import bands, of_differences, of_values
from xaibench.statistics.ratios import of_ratio
from xaibench.statistics.resampling import Resampling
from xaibench.statistics.variance_components import terms

REGIONS = np.array([7, 7, 3, 3, 3, 9, 9, 9, 9, 1, 2, 2])
SYMMETRIC = np.r_[np.arange(-6, 7), np.arange(-6, 7)] + 2.0  # no skewness, mean 2


def test_where_seeds_alone_vary_it_is_t_over_seed_means() -> None:
    made = values(1, 0, 0)
    expected = stats.ttest_1samp(made.mean(axis=1), 0)
    spread = crossed(made)
    assert interval(spread) == pytest.approx(expected.confidence_interval(0.95))
    assert p_value(spread) == pytest.approx(expected.pvalue)


def test_where_sequences_alone_vary_it_is_t_over_their_means() -> None:
    made = np.repeat(SYMMETRIC[None], 3, axis=0)
    expected = stats.ttest_1samp(SYMMETRIC, 0)
    for spread in (crossed(made), of_these_models(made), of_these_models(made[:1])):
        assert interval(spread) == pytest.approx(expected.confidence_interval(0.95))
        assert p_value(spread) == pytest.approx(expected.pvalue)


def test_the_variances_are_those_of_the_method_of_moments() -> None:
    made = values(0.5, 1, 1, (4, 13))
    found, spread = terms(made, ("seed", "sequence")), crossed(made)
    rest = found["seed x sequence"] / (4 * 13)
    assert spread.seeds.variance == pytest.approx(found["seed"] / 4 + rest)
    assert spread.sequences.variance == pytest.approx(found["sequence"] / 13)


def test_sequences_that_vary_less_than_the_rest_would_make_them_bring_nothing() -> None:
    columns = values(0, 0, 1, (6, 9))
    made = columns - columns.mean(axis=0)  # every sequence has the same mean
    assert terms(made, ("seed", "sequence"))["sequence"] < 0
    assert crossed(made).sequences.variance == 0


def test_the_reaches_of_seeds_and_of_sequences_add_as_squares() -> None:
    spread = Spread(0.7, Component(0.04, 2.0), Component(0.09, 19.0), 0.0, 20)
    reach = np.hypot(0.2 * stats.t.ppf(0.95, 2), 0.3 * stats.t.ppf(0.95, 19))
    assert interval(spread, 0.9) == pytest.approx((0.7 - reach, 0.7 + reach))


def test_the_side_that_skewness_hides_is_stretched_as_halls_transformation_asks() -> None:
    spread = Spread(1.0, Component(0.0, np.inf), Component(0.04, 24.0), 2.5, 25)
    slope, quantile = 2.5 / np.sqrt(25), stats.t.ppf(0.975, 24)

    def hall(t: float) -> float:
        return t + slope * t**2 / 3 + slope**2 * t**3 / 27 + slope / 6

    longer = optimize.brentq(lambda t: hall(t) + quantile, -50, 0)
    assert -longer > quantile
    assert interval(spread) == pytest.approx((1 - 0.2 * quantile, 1 - 0.2 * longer))
    turned = interval(spread._replace(mean=-1.0, skewness=-2.5))
    assert turned == pytest.approx((-1 + 0.2 * longer, -1 + 0.2 * quantile))


@pytest.mark.parametrize("mean", [0.02, 0.3, -0.5, 1.0, -4.0, 60.0])
def test_p_is_the_level_at_which_the_interval_ends_at_zero(mean: float) -> None:
    spread = Spread(mean, Component(0.04, 4.0), Component(0.01, 30.0), -1.5, 31)
    p = p_value(spread)
    low, high = interval(spread, 1 - p)
    assert min(abs(low), abs(high)) == pytest.approx(0, abs=1e-8 * max(1, abs(mean)))


def test_a_mean_within_what_skewness_alone_shifts_has_p_one() -> None:
    assert p_value(Spread(-1e-3, Component(0, np.inf), Component(0.01, 30.0), 2.0, 31)) == 1


def test_p_is_never_zero() -> None:
    assert 0 < p_value(of_these_models(1e6 + values(0, 1, 0, (1, 5000)))) < 1e-100


def test_where_nothing_varies_p_is_that_of_the_sign_test() -> None:
    assert p_value(crossed(np.full((3, 5), 2.0))) == stats.binomtest(5, 5).pvalue
    assert interval(crossed(np.full((3, 5), 2.0))) == (2, 2)
    assert p_value(crossed(np.zeros((3, 5)))) == 1


@pytest.mark.parametrize("shape", [(1, 9), (4, 1)])
def test_one_seed_or_one_sequence_has_no_interval_for_retraining(shape) -> None:
    spread = crossed(values(1, 1, 1, shape))
    assert np.isnan([*interval(spread), p_value(spread)]).all()


def test_neither_order_nor_unit_matters() -> None:
    made, source = values(0.3, 1, 1) + 0.4, np.random.default_rng(4)
    mixed = 1e-9 * made[source.permutation(5)][:, source.permutation(40)]
    assert p_value(crossed(mixed)) == pytest.approx(p_value(crossed(made)))
    ends = [1e9 * end for end in interval(crossed(mixed))]
    assert ends == pytest.approx(interval(crossed(made)))


def test_what_is_undefined_counts_neither_for_means_nor_for_variances() -> None:
    made = values(0.3, 1, 1, (3, 30))
    made[np.random.default_rng(2).random((3, 30)) < 0.2] = np.nan
    spread = crossed(made)
    means = np.nanmean(made, axis=1)
    assert spread.mean == pytest.approx(means.mean())
    assert spread.seeds.variance == pytest.approx(means.var(ddof=1) / 3)
    # what leaving each sequence out moves the mean by, to first order (jackknife)
    left_out = [np.nanmean(np.delete(made, column, axis=1), axis=1).mean() for column in range(30)]
    jackknife = 29 / 30 * ((np.array(left_out) - spread.mean) ** 2).sum()
    assert of_these_models(made).sequences.variance == pytest.approx(jackknife, rel=0.1)


# Seeds apart


def test_the_seeds_of_two_runs_reach_as_far_as_the_root_of_both_squares() -> None:
    first, second = values(1, 0, 0, (3, 8)), 0.4 + values(2, 0, 0, (5, 8), 1)
    sides = [stats.ttest_1samp(each[:, 0], 0).confidence_interval(0.95) for each in (first, second)]
    reach = np.hypot(*((side.high - side.low) / 2 for side in sides))
    mean = second.mean() - first.mean()
    assert interval(crossed_apart(first, second)) == pytest.approx((mean - reach, mean + reach))


def test_seeds_that_happen_to_be_paired_vary_apart_all_the_same() -> None:
    first, second = values(0.2, 1, 1, (4, 12)), values(0.2, 1, 1, (4, 12), 1)
    apart, paired = these_models_apart(first, second), of_these_models(second - first)
    assert interval(apart) == pytest.approx(interval(paired))
    found = crossed_apart(first, second)
    assert (found.seeds, found.other_seeds) == (crossed(first).seeds, crossed(second).seeds)


@pytest.mark.parametrize("seeds", [(2, 20), (3, 7), (4, 4)])
def test_runs_of_uneven_numbers_of_seeds_find_no_more_than_they_say(seeds) -> None:
    found, runs = 0, 600
    for run in range(runs):
        source = np.random.default_rng(run)
        hard = source.normal(size=60)
        first, second = (
            hard + source.normal(size=(each, 1)) + source.normal(size=(each, 60)) for each in seeds
        )
        found += p_value(crossed_apart(first, second)) < 0.05
    assert found / runs <= 0.06


@pytest.mark.parametrize(("known", "most"), [(2, 0.15), (5, 0.07)])
def test_a_seed_of_few_sequences_is_not_taken_for_sure(known: int, most: float) -> None:
    """Of 5 seeds; without its own scale, .31 and .14 of the intervals miss."""
    missed, runs = 0, 400
    for run in range(runs):
        source = np.random.default_rng(run)
        made = source.normal(size=100) + source.normal(size=(5, 100))
        made[0, known:] = np.nan
        low, high = interval(of_these_models(made))
        missed += not low <= 0 <= high
    assert missed / runs <= most


def test_a_seed_of_one_sequence_has_no_interval_over_sequences_and_says_so() -> None:
    made = values(0.3, 1, 1, (3, 12))
    made[0, 1:] = np.nan
    found = of_differences(made)
    assert np.isnan([found.sequences_low, found.sequences_high, found.p_sequences]).all()
    assert found.low < found.mean < found.high
    assert found.reason == "a seed with one sequence: no interval over sequences"


def test_a_run_of_one_seed_has_no_interval_for_retraining() -> None:
    spread = crossed_apart(values(1, 1, 1, (1, 9)), values(1, 1, 1, (3, 9), 1))
    assert np.isnan(interval(spread)).all()


# Clusters


def test_the_variance_of_even_clusters_is_the_cluster_robust_one_of_statsmodels() -> None:
    made, even = values(0, 1, 0, (1, 12)), np.arange(12) // 3
    fit = sm.OLS(made[0], np.ones(12)).fit(cov_type="cluster", cov_kwds={"groups": even})
    expected = fit.cov_params()[0, 0]
    assert of_these_models(made, even).sequences.variance == pytest.approx(expected)


def test_the_variance_of_uneven_clusters_is_that_of_means_without_each_of_them() -> None:
    made = values(0, 1, 0, (1, 12))
    without = [made[0, REGIONS != region].mean() for region in np.unique(REGIONS)]
    expected = np.square(np.array(without) - made.mean()).sum() * 4 / 5
    assert of_these_models(made, REGIONS).sequences.variance == pytest.approx(expected)


@pytest.mark.parametrize("sizes", [(190, 5, 5), (90, 5, 2, 2, 1), (90, 10), (150, *[5] * 10)])
def test_a_cluster_that_holds_most_sequences_does_not_pass_for_many(sizes: list[int]) -> None:
    """The mean is near to that of this cluster, whatever the others are."""
    clusters, missed = np.repeat(np.arange(len(sizes)), sizes), 0
    for run in range(2000):
        made = np.random.default_rng((*sizes, run)).normal(size=(1, len(sizes)))[:, clusters]
        low, high = interval(of_these_models(made, clusters))
        missed += not low <= 0 <= high
    assert missed / 2000 <= 0.06


def test_the_freedom_of_uneven_clusters_is_that_of_their_quadratic_form() -> None:
    """Bell and McCaffrey's, by the matrix itself, where clusters are all that varies."""
    shares = np.unique(REGIONS, return_counts=True)[1] / 12
    away = np.diag(shares) @ (np.eye(5) - np.outer(np.ones(5), shares))
    form = away @ away.T
    expected = np.trace(form) ** 2 / np.trace(form @ form)
    assert of_these_models(values(1, 1, 1, (2, 12)), REGIONS).sequences.freedom == pytest.approx(
        expected
    )


def test_a_cluster_for_each_sequence_is_none() -> None:
    made = values(0.3, 1, 1, (3, 12))
    assert interval(crossed(made, np.arange(12))) == pytest.approx(interval(crossed(made)))


def test_equal_values_of_uneven_clusters_stay_at_their_value() -> None:
    same = np.full((3, 12), 0.7)
    same[1, 4] = np.nan
    found = of_values(same, Resampling(clusters=REGIONS))
    assert (found.low, found.high) == pytest.approx((0.7, 0.7))


def test_a_sequence_without_a_value_takes_its_cluster_number_with_it() -> None:
    known = values(0.3, 1, 1, (3, 12)) + 0.4
    padded, regions = np.insert(known, [0, 6, 6], np.nan, axis=1), np.insert(REGIONS, [0, 6, 6], 5)
    one = of_differences(known, Resampling(clusters=REGIONS))
    other = of_differences(padded, Resampling(clusters=regions))
    assert (one.low, one.high, one.p, one.p_sequences) == pytest.approx(
        (other.low, other.high, other.p, other.p_sequences)
    )


def test_clusters_of_another_number_of_sequences_are_refused() -> None:
    with pytest.raises(ValueError, match=r"each of 11 sequences, got the shape \(12,\)"):
        of_values(values(1, 1, 1, (3, 11)), Resampling(clusters=REGIONS))


def test_a_ratio_of_clusters_is_wider_than_one_of_sequences() -> None:
    regions = np.repeat(np.arange(8), 5)
    bottom = 3 + values(0.1, 0.1, 0.1) + np.random.default_rng(1).normal(0, 1, 8)[regions]
    top = values(0.1, 0.1, 0.1, random_state=2) + np.random.default_rng(3).normal(0, 1, 8)[regions]
    wide, narrow = of_ratio(top, bottom, Resampling(clusters=regions)), of_ratio(top, bottom)
    assert wide.mean == narrow.mean
    assert wide.sequences_high - wide.sequences_low > 1.5 * (
        narrow.sequences_high - narrow.sequences_low
    )


def test_one_cluster_has_no_interval_and_says_so() -> None:
    one, both = np.zeros(12, int), values(1, 1, 1, (3, 12))
    found = of_differences(both, Resampling(clusters=one))
    ends = [found.low, found.high, found.sequences_low, found.sequences_high]
    assert np.isnan([*ends, found.p, found.p_sequences]).all()
    assert found.reason == "one cluster: no interval"
    mean, low, high = bands(both[:, :, None], one)
    assert mean == pytest.approx(both.mean())
    assert np.isnan([low, high]).all()


def test_bands_of_clusters_are_the_headline_of_every_column() -> None:
    columns = [values(0, 1, 1, (3, 12)), values(0.1, 2, 1, (3, 12), 1)]
    expected = [of_values(column, Resampling(clusters=REGIONS)) for column in columns]
    np.testing.assert_allclose(
        bands(np.stack(columns, axis=2), REGIONS),
        np.transpose([(each.mean, each.low, each.high) for each in expected]),
    )
