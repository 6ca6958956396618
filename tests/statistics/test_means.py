"""Means and paired differences with their intervals and tests."""

from dataclasses import asdict

import numpy as np
import pytest
from scipy import stats
from simulated import values

from xaibench.statistics.means import bands, of_differences, of_values, undefined
from xaibench.statistics.resampling import Resampling

# What an estimate says


def test_the_mean_is_that_of_the_seed_means() -> None:
    found = of_values(np.array([[1.0, 3, np.nan], [5, 7, 12]]))
    assert found.mean == (2 + 8) / 2
    assert (found.seeds, found.sequences, found.undefined) == (2, 3, 1)


def test_effect_and_p_belong_to_differences() -> None:
    found = of_values(values(1, 1, 1))
    assert np.isnan([found.effect, found.p, found.p_sequences, found.p_seeds]).all()


def test_a_smaller_level_makes_narrower_intervals() -> None:
    wide, narrow = (of_values(values(1, 1, 1), Resampling(level=level)) for level in (0.95, 0.5))
    assert wide.low < narrow.low < narrow.high < wide.high
    assert wide.sequences_low < narrow.sequences_low


# What is undefined


def test_one_seed_has_an_interval_over_sequences_only_and_says_so() -> None:
    found = of_values(values(1, 1, 1, (1, 30)))
    assert np.isnan([found.low, found.high]).all()
    assert found.sequences_low < found.mean < found.sequences_high
    assert found.reason == "one replicate: no interval over replicates"


def test_one_sequence_has_no_interval_and_says_so() -> None:
    found = of_values(np.array([[1.0], [2.0]]))
    assert found.mean == 1.5
    intervals = [found.low, found.high, found.sequences_low, found.sequences_high]
    assert np.isnan(intervals).all()
    assert found.reason == "one sequence: no interval"


def test_values_that_compare_seeds_take_the_interval_over_sequences() -> None:
    found = of_values(values(1, 1, 1), Resampling(sequences_only=True))
    assert (found.low, found.high) == (found.sequences_low, found.sequences_high)
    assert "interval over sequences only" in found.reason


def test_differences_that_compare_seeds_have_no_test_over_seeds() -> None:
    found = of_differences(values(1, 1, 1), Resampling(sequences_only=True))
    assert np.isnan([found.p, found.p_seeds]).all()
    assert 0 < found.p_sequences < 1


@pytest.mark.parametrize("shape", [(0, 0), (2, 3), (1, 0)])
def test_where_nothing_is_defined_all_is_nan_with_the_reason(shape) -> None:
    nothing = np.full(shape, np.nan)
    found = of_values(nothing)
    assert np.isnan(list(asdict(found).values())[:9]).all()
    assert (found.sequences, found.seeds, found.undefined) == (0, 0, nothing.size)
    assert found.reason == "no value is defined"
    assert of_differences(nothing).reason == "no pair is defined"


def test_sequences_and_seeds_without_a_value_change_nothing_but_the_count() -> None:
    known = values(1, 1, 1, (3, 11))
    padded = np.full((4, 13), np.nan)
    padded[np.ix_([0, 2, 3], np.r_[0:5, 7:13])] = known
    expected = asdict(of_values(known)) | {"undefined": 4 * 13 - 33}
    assert asdict(of_values(padded)) == pytest.approx(expected, nan_ok=True)


def test_the_intervals_of_equal_values_with_holes_stay_at_their_value() -> None:
    holed = np.where(np.random.default_rng(2).random((3, 30)) < 0.4, np.nan, 3.0)
    found = of_values(holed)
    assert (found.low, found.high) == pytest.approx((3, 3))
    assert (found.sequences_low, found.sequences_high) == pytest.approx((3, 3))


def test_intervals_leave_undefined_values_out() -> None:
    holed = values(0, 1, 1, (3, 30))
    holed[np.random.default_rng(2).random((3, 30)) < 0.2] = np.nan
    found = of_values(holed)
    complete = of_values(np.nan_to_num(holed, nan=1e6))
    assert abs(found.high) < 10 < complete.high
    assert found.low < found.mean < found.high


def test_an_undefined_estimate_carries_its_reason() -> None:
    assert undefined("it rained", count=3).reason == "it rained"
    assert undefined("it rained", count=3).undefined == 3


# Differences


def test_a_difference_is_the_estimate_of_the_paired_differences() -> None:
    first, second = values(1, 1, 1), values(0, 2, 1, random_state=1)
    found = asdict(of_differences(first - second))
    plain = asdict(of_values(first - second))
    for name in ("mean", "low", "high", "sequences_low", "sequences_high", "sequences", "seeds"):
        assert found[name] == plain[name]


def test_effect_is_the_mean_over_the_deviation_of_the_sequences_differences() -> None:
    first, second = values(1, 1, 1), values(0, 2, 1, random_state=1)
    of_sequences = (first - second).mean(axis=0)
    expected = of_sequences.mean() / of_sequences.std(ddof=1)
    assert of_differences(first - second).effect == pytest.approx(expected)


def test_p_seeds_is_the_paired_t_test_of_scipy_over_seed_means() -> None:
    first, second = values(1, 1, 1) + 0.5, values(1, 1, 1, random_state=1)
    expected = stats.ttest_rel(first.mean(axis=1), second.mean(axis=1)).pvalue
    assert of_differences(first - second).p_seeds == pytest.approx(expected)


def test_the_order_of_the_two_sides_turns_the_sign_and_keeps_p() -> None:
    first, second = values(1, 1, 1) + 0.5, values(1, 1, 1, random_state=1)
    one, other = (of_differences(each) for each in (first - second, second - first))
    assert (one.mean, one.effect) == (-other.mean, -other.effect)
    assert (one.p, one.p_sequences) == pytest.approx((other.p, other.p_sequences))
    assert one.p_seeds == pytest.approx(other.p_seeds)
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low))


def test_a_pair_with_one_side_undefined_is_dropped_and_counted() -> None:
    first, second = values(1, 1, 1, (2, 9)), values(1, 1, 1, (2, 9), 1)
    first[0, 3] = second[1, 5] = np.nan
    found = of_differences(first - second)
    assert found.undefined == 2
    assert found.mean == pytest.approx(np.nanmean(first - second, axis=1).mean())


def test_one_seed_has_no_test_over_seeds() -> None:
    found = of_differences(values(1, 1, 1, (1, 9)))
    assert np.isnan([found.p, found.p_seeds]).all()
    assert found.reason == "one replicate: no interval over replicates"


def test_seeds_that_do_not_differ_have_no_test_and_equal_differences_no_effect() -> None:
    tenths = np.arange(30).reshape(3, 10) / 10
    found = of_differences(tenths + 0.1 - tenths)
    assert found.mean == pytest.approx(0.1)
    assert np.isnan([found.p_seeds, found.effect]).all()
    assert (found.p, found.p_sequences) == (2**-9, 2**-9)
    assert (
        found.reason
        == "the differences are all equal: no effect size; the seeds agree: no test over seeds"
    )


def test_what_does_not_differ_at_all_has_p_one() -> None:
    same = values(1, 1, 1)
    found = of_differences(same - same)
    assert (found.mean, found.p, found.p_sequences) == (0, 1, 1)
    assert np.isnan(found.effect)


def test_p_is_below_a_level_exactly_where_its_interval_excludes_zero() -> None:
    for run in range(60):
        made = values(0.3, 1, 1, (4, 17), run) + 0.5
        for level in (0.5, 0.9, 0.99):
            found = of_differences(made, Resampling(level=level))
            assert (found.p < 1 - level) == (not found.low <= 0 <= found.high)
            within = found.sequences_low <= 0 <= found.sequences_high
            assert (found.p_sequences < 1 - level) == (not within)


def test_means_that_are_zero_but_for_rounding_have_no_test_over_seeds() -> None:
    """Fifths that sum to 0, in another order under every seed, leave 1e-17 in some means."""
    source = np.random.default_rng(0)
    fifths = np.array([0.2, 0.4, -0.6, 0.8, -0.8, 0.6, -0.4, -0.2] * 5)
    made = np.stack([source.permutation(fifths) for _ in range(5)])
    assert np.ptp(made.mean(axis=1)) > 0  # there is rounding
    found = of_differences(made)
    assert np.isnan(found.p_seeds)
    assert (found.mean, found.p) == (0, 1)


# What must not matter


@pytest.mark.parametrize("scale", [1e-9, 1e9])
def test_tests_and_effect_do_not_depend_on_the_unit(scale: float) -> None:
    first, second = values(1, 1, 1) + 0.5, values(1, 1, 1, random_state=1)
    plain = of_differences(first - second)
    scaled = of_differences((first - second) * scale)
    for name in ("effect", "p", "p_sequences", "p_seeds"):
        assert getattr(scaled, name) == pytest.approx(getattr(plain, name))
    assert (scaled.low, scaled.high) == pytest.approx((plain.low * scale, plain.high * scale))


def test_bands_are_the_headline_of_every_column() -> None:
    columns = [values(1, 0.1, 0.1), values(0, 1, 1), values(0.1, 2, 1)]
    expected = [of_values(column) for column in columns]
    np.testing.assert_allclose(
        bands(np.stack(columns, axis=2)),
        np.transpose([(each.mean, each.low, each.high) for each in expected]),
        rtol=1e-9,
    )


@pytest.mark.parametrize("shape", [(1, 40), (5, 1)])
def test_bands_of_one_seed_or_one_sequence_have_no_interval(shape) -> None:
    one = values(1, 1, 1, shape)[:, :, None]
    mean, low, high = bands(one)
    assert mean == pytest.approx(one.mean())
    assert np.isnan([low, high]).all()


# Shares


def test_a_share_of_none_is_the_exact_interval_of_none_in_so_many() -> None:
    found = of_values(np.zeros((1, 100)), yes_no=True)
    expected = stats.binomtest(0, 100).proportion_ci(0.95, "exact")
    assert (found.sequences_low, found.sequences_high) == pytest.approx(expected)


def test_a_share_of_independent_cases_is_nearly_the_exact_interval() -> None:
    found = of_values((np.arange(100) < 7)[None].astype(float), yes_no=True)
    expected = stats.binomtest(7, 100).proportion_ci(0.95, "exact")
    # the variance is that of n - 1 and its quantile that of t
    assert (found.sequences_low, found.sequences_high) == pytest.approx(expected, abs=0.003)


def test_seeds_that_answer_alike_are_no_more_cases() -> None:
    once = (np.arange(100) < 7)[None].astype(float)
    one, five = (of_values(np.repeat(once, seeds, axis=0), yes_no=True) for seeds in (1, 5))
    assert (five.sequences_low, five.sequences_high) == pytest.approx(
        (one.sequences_low, one.sequences_high)
    )
    assert (five.low, five.high) == pytest.approx((one.sequences_low, one.sequences_high))


def test_shares_that_never_differ_may_differ_on_other_sequences() -> None:
    found = of_differences(np.zeros((3, 100)), yes_no=True)
    reach = stats.binomtest(0, 100).proportion_ci(0.95, "exact").high
    assert (found.low, found.high) == pytest.approx((-reach, reach))
    assert found.p == 1
    whole = of_differences(np.ones((3, 100)), yes_no=True)
    assert (whole.low, whole.high) == pytest.approx((1 - 2 * reach, 1))


@pytest.mark.parametrize("seeds", [1, 5])
@pytest.mark.parametrize("share", [0.02, 0.98, 0.1])
def test_the_interval_of_a_share_near_its_ends_covers_it(share: float, seeds: int) -> None:
    source, runs = np.random.default_rng(0), 400
    missed = 0
    for _ in range(runs):
        answers = np.repeat(source.random((1, 100)) < share, seeds, axis=0).astype(float)
        found = of_values(answers, yes_no=True)
        missed += not found.sequences_low <= share <= found.sequences_high
    assert missed / runs <= 0.05
