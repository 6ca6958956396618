"""Families of p-values."""

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from xaibench.statistics.corrections import benjamini_hochberg, holm

BOTH = [(holm, "holm"), (benjamini_hochberg, "fdr_bh")]


@pytest.mark.parametrize(("correct", "theirs"), BOTH)
def test_adjusted_p_are_those_of_statsmodels_and_undefined_stays(correct, theirs) -> None:
    p = np.random.default_rng(0).random(13) ** 3
    expected = multipletests(p, method=theirs)[1]
    np.testing.assert_allclose(correct(p), expected)
    np.testing.assert_allclose(correct(np.insert(p, 4, np.nan)), np.insert(expected, 4, np.nan))


@pytest.mark.parametrize(("correct", "theirs"), BOTH)
def test_equal_p_are_adjusted_alike(correct, theirs) -> None:
    p = [0.02, 0.5, 0.02, 0.04, 0.5, 0.9, 1.0]
    np.testing.assert_allclose(correct(p), multipletests(p, method=theirs)[1])


@pytest.mark.parametrize("correct", [holm, benjamini_hochberg])
def test_a_family_of_nothing_is_nothing_and_of_one_is_itself(correct) -> None:
    assert correct([]).tolist() == []
    assert np.isnan(correct([np.nan, np.nan])).all()
    assert correct([0.03]).tolist() == [0.03]


@pytest.mark.parametrize("correct", [holm, benjamini_hochberg])
def test_adjusting_keeps_the_order_and_never_lowers_p_nor_passes_one(correct) -> None:
    p = np.sort(np.random.default_rng(1).random(17))
    adjusted = correct(p)
    assert (np.diff(adjusted) >= 0).all()
    assert ((adjusted >= p) & (adjusted <= 1)).all()


def test_holm_is_never_below_benjamini_and_hochberg() -> None:
    p = np.random.default_rng(2).random(11) ** 4
    assert (holm(p) >= benjamini_hochberg(p)).all()


def test_holm_lets_through_one_false_finding_in_twenty_families_benjamini_hochberg_more() -> None:
    source, runs, nulls, findings = np.random.default_rng(3), 2000, 8, 4
    false = {holm: 0, benjamini_hochberg: 0}
    shares = []
    for _ in range(runs):
        p = np.r_[source.random(nulls), source.random(findings) * 1e-4]
        for correct in false:
            found = correct(p) <= 0.05
            false[correct] += found[:nulls].any()
        shares.append(found[:nulls].sum() / found.sum())
    # two standard errors of 2000 families at 1 in 20
    assert false[holm] / runs <= 0.05 + 0.01
    assert false[benjamini_hochberg] / runs > 0.1
    assert np.mean(shares) <= 0.05
