"""Where the variance of single values comes from."""

import numpy as np
import pandas as pd
import pytest
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm

from xaibench.statistics.variance_components import components, terms

JUDGES = np.array(
    [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], float
)
"""Four judges of six targets: Shrout & Fleiss 1979, table 2."""


def simulated(deviations: dict[str, float], shape: dict[str, int], source) -> np.ndarray:
    """A random effect for every named term, ``"seed x sequence"`` among them."""
    total = np.zeros(tuple(shape.values()))
    for term, deviation in deviations.items():
        names = term.split(" x ")
        levels = [size if name in names else 1 for name, size in shape.items()]
        total = total + source.normal(0, deviation, levels)
    return total


def test_components_are_those_of_the_judges_of_shrout_and_fleiss() -> None:
    # their mean squares: targets 11.24, judges 32.49, residual 1.02
    found = components(JUDGES, ("target", "judge"))
    assert found["target"] == pytest.approx((11.24 - 1.02) / 4, abs=0.005)
    assert found["judge"] == pytest.approx((32.49 - 1.02) / 6, abs=0.005)
    assert found["residual"] == pytest.approx(1.02, abs=0.005)
    # their ICC(2, 1)
    assert found["target"] / sum(found.values()) == pytest.approx(0.29, abs=0.005)


def test_components_of_three_factors_are_those_of_the_mean_squares_of_statsmodels() -> None:
    values = np.random.default_rng(0).normal(size=(3, 4, 5)) + np.arange(5)
    rows = [(*place, value) for place, value in np.ndenumerate(values)]
    table = pd.DataFrame(rows, columns=["seed", "sequence", "draw", "value"])
    square = anova_lm(ols("value ~ (C(seed) + C(sequence) + C(draw)) ** 2", table).fit()).mean_sq
    found = terms(values, ("seed", "sequence", "draw"))
    both, other, top = square["C(seed):C(draw)"], square["C(sequence):C(draw)"], square["Residual"]
    assert found["seed x sequence x draw"] == pytest.approx(top)
    assert found["seed x draw"] == pytest.approx((both - top) / 4)
    assert found["draw"] == pytest.approx((square["C(draw)"] - both - other + top) / 12)


def test_the_estimates_of_every_term_are_right_on_average() -> None:
    shape = {"operator": 3, "seed": 4, "sequence": 6, "draw": 5}
    deviations = {
        "operator": 2.0,
        "seed": 1.0,
        "sequence": 3.0,
        "seed x sequence": 1.5,
        "sequence x draw": 0.7,
        "operator x seed x sequence x draw": 1.0,
    }
    source, runs = np.random.default_rng(1), 400
    found = [terms(simulated(deviations, shape, source), tuple(shape)) for _ in range(runs)]
    assert len(found[0]) == 2**4 - 1
    for term in found[0]:
        estimates = np.array([each[term] for each in found])
        error = estimates.std(ddof=1) / np.sqrt(runs)
        # four standard errors: fifteen terms
        assert abs(estimates.mean() - deviations.get(term, 0) ** 2) < 4 * error, term


def test_what_the_factors_do_not_bring_alone_is_residual() -> None:
    values = np.random.default_rng(2).normal(size=(4, 7, 3)) + np.arange(7)[:, None]
    factors = ("seed", "sequence", "draw")
    apart = terms(values, factors)
    rest = sum(part for term, part in apart.items() if " x " in term)
    assert components(values, factors)["residual"] == pytest.approx(rest)


def test_an_estimate_below_zero_is_given_as_zero() -> None:
    # the seeds have the same mean exactly, though the values vary within them
    values = np.array([[1.0, 5, 3], [5, 3, 1]])
    assert terms(values, ("seed", "sequence"))["seed"] < 0
    assert components(values, ("seed", "sequence"))["seed"] == 0


def test_equal_values_have_no_variance() -> None:
    assert components(np.full((3, 4), 0.3), ("seed", "sequence")) == pytest.approx(
        {"seed": 0, "sequence": 0, "residual": 0}, abs=1e-25
    )


def test_components_do_not_depend_on_the_order_of_the_axes_nor_on_a_shift() -> None:
    turned = components(JUDGES.T + 1e3, ("judge", "target"))
    assert turned == pytest.approx(components(JUDGES, ("target", "judge")))


def test_a_factor_of_one_level_is_undefined_and_leaves_the_rest() -> None:
    found = components(JUDGES[None], ("seed", "target", "judge"))
    assert np.isnan(found.pop("seed"))
    assert found == components(JUDGES, ("target", "judge"))


@pytest.mark.parametrize("shape", [(1, 7), (1, 1), (0, 4)])
def test_with_fewer_than_two_factors_that_vary_all_is_undefined(shape) -> None:
    found = components(np.ones(shape), ("seed", "sequence"))
    assert list(found) == ["seed", "sequence", "residual"]
    assert np.isnan(list(found.values())).all()


def test_a_hole_takes_its_level_of_the_longest_axis_with_it() -> None:
    holed = np.insert(JUDGES, [2, 5], 99.0, axis=0)
    holed[2, 1] = holed[6, 3] = np.nan
    known = components(JUDGES, ("target", "judge"))
    assert components(holed, ("target", "judge")) == pytest.approx(known)
    empty_judge = np.insert(JUDGES, 1, np.nan, axis=1)
    assert components(empty_judge, ("target", "judge")) == pytest.approx(known)


def test_axes_that_are_not_the_factors_are_refused() -> None:
    with pytest.raises(ValueError, match=r"one for each axis of \(6, 4\), got seed"):
        components(JUDGES, ("seed",))
