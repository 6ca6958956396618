"""What so many pairs can show."""

import numpy as np
import pytest
from scipy import integrate, stats
from statsmodels.stats.power import TTestPower

from xaibench.statistics.paired import paired_t
from xaibench.statistics.power import detectable_difference, smallest_p


def slow_power(mean: float, n: int, level: float) -> float:
    """Of t, over what the standard deviation of n differences of deviation 1 may be."""
    critical = stats.t.ppf((1 + level) / 2, n - 1)

    def found(deviation: float) -> float:
        reach, shift = critical * deviation, mean * np.sqrt(n)
        density = stats.chi.pdf(deviation * np.sqrt(n - 1), n - 1) * np.sqrt(n - 1)
        return (stats.norm.sf(reach - shift) + stats.norm.cdf(-reach - shift)) * density

    middle = stats.chi.median(n - 1) / np.sqrt(n - 1)
    return integrate.quad(found, 0, 9, points=[0.1 * middle, middle, 2 * middle], limit=500)[0]


SURE = [(0.95, 0.8), (0.99, 0.9), (0.8, 0.5)]


@pytest.mark.parametrize("n", [2, 3, 5, 10, 200])
@pytest.mark.parametrize(("level", "power"), SURE)
def test_what_is_detectable_is_found_with_that_power(n, level, power) -> None:
    effect = detectable_difference(1.0, n, level=level, power=power)
    assert slow_power(effect, n, level) == pytest.approx(power, abs=1e-6)


@pytest.mark.parametrize("n", [5, 20, 5000])
@pytest.mark.parametrize(("level", "power"), SURE)
def test_what_is_detectable_is_that_of_statsmodels(n, level, power) -> None:
    effect = detectable_difference(1.0, n, level=level, power=power)
    found = TTestPower().power(effect, n, 1 - level, alternative="two-sided")
    assert found == pytest.approx(power, abs=1e-6)


def test_five_seeds_find_one_point_seven_times_their_spread() -> None:
    # R: power.t.test(n = 5, power = .8, type = "paired", strict = TRUE)$delta is 1.68
    assert detectable_difference(1.0, 5) == pytest.approx(1.68, abs=0.005)
    assert detectable_difference(0.02, 5) == pytest.approx(0.02 * detectable_difference(1.0, 5))


def test_a_true_difference_of_that_size_is_found_in_four_runs_of_five() -> None:
    source, runs = np.random.default_rng(0), 600
    mean = detectable_difference(3.0, 7)
    found = [paired_t(source.normal(mean, 3.0, 7)).p < 0.05 for _ in range(runs)]
    # three standard errors of 600 runs
    assert np.mean(found) == pytest.approx(0.8, abs=0.049)


def test_more_pairs_find_less_and_more_power_wants_more() -> None:
    of_size = [detectable_difference(1.0, n) for n in (3, 5, 10, 100)]
    assert of_size == sorted(of_size, reverse=True)
    assert detectable_difference(1.0, 5, power=0.9) > detectable_difference(1.0, 5)


def test_without_spread_everything_is_found_and_without_pairs_nothing() -> None:
    assert detectable_difference(0.0, 5) == 0
    assert np.isnan(
        [
            detectable_difference(1.0, 1),
            detectable_difference(1.0, 0),
            detectable_difference(np.nan, 5),
        ]
    ).all()


@pytest.mark.parametrize("test", ["wilcoxon", "sign_flips", "mcnemar"])
def test_five_pairs_never_reach_a_twentieth_by_signs_and_six_do(test) -> None:
    assert smallest_p(test, 5) == 0.0625
    assert smallest_p(test, 6) == 0.03125
    assert np.isnan(smallest_p(test, 0))


def test_t_has_no_smallest_p() -> None:
    assert np.isnan(smallest_p("paired_t", 5))


def test_the_smallest_p_of_another_test_is_refused() -> None:
    with pytest.raises(ValueError, match=r"expected one of wilcoxon, .* or paired_t, got 'anova'"):
        smallest_p("anova", 5)
