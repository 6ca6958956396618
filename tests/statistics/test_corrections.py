"""Families of p-values."""

import numpy as np
from statsmodels.stats.multitest import multipletests

from xaibench.statistics.corrections import benjamini_hochberg, holm


def test_adjusted_p_are_those_of_statsmodels_and_undefined_stays() -> None:
    p = np.random.default_rng(0).random(13) ** 3
    expected = multipletests(p, method="holm")[1]
    np.testing.assert_allclose(holm(p), expected)
    np.testing.assert_allclose(holm(np.insert(p, 4, np.nan)), np.insert(expected, 4, np.nan))


def test_equal_p_are_adjusted_alike() -> None:
    p = [0.02, 0.5, 0.02, 0.04, 0.5, 0.9, 1.0]
    np.testing.assert_allclose(holm(p), multipletests(p, method="holm")[1])


def test_a_family_of_nothing_is_nothing_and_of_one_is_itself() -> None:
    assert holm([]).tolist() == []
    assert np.isnan(holm([np.nan, np.nan])).all()
    assert holm([0.03]).tolist() == [0.03]


def test_adjusting_keeps_the_order_and_never_lowers_p_nor_passes_one() -> None:
    p = np.sort(np.random.default_rng(1).random(17))
    adjusted = holm(p)
    assert (np.diff(adjusted) >= 0).all()
    assert ((adjusted >= p) & (adjusted <= 1)).all()


def test_holm_lets_through_one_false_finding_in_twenty_families() -> None:
    source, runs, nulls, findings = np.random.default_rng(3), 2000, 8, 4
    false = 0
    for _ in range(runs):
        p = np.r_[source.random(nulls), source.random(findings) * 1e-4]
        false += (holm(p) <= 0.05)[:nulls].any()
    # two standard errors of 2000 families at 1 in 20
    assert false / runs <= 0.05 + 0.01


def test_benjamini_hochberg_by_its_definition():
    p = np.array([0.02, 0.001, np.nan, 0.9, 0.03, 0.03])
    known = np.sort(p[np.isfinite(p)])
    by_hand = [min(5 * known[j] / (j + 1) for j in range(i, 5)) for i in range(5)]
    adjusted = benjamini_hochberg(p)
    assert np.isnan(adjusted[2])
    np.testing.assert_allclose(np.sort(adjusted[np.isfinite(p)]), by_hand)
    assert np.isnan(benjamini_hochberg([np.nan])).all()
