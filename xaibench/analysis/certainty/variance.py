"""Where the spread of the leaderboard comes from: sequences, seeds, operators, random draws."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

import numpy as np
import pandas as pd

from xaibench.analysis.panels import PanelKey
from xaibench.analysis.ranking import cells_of
from xaibench.analysis.run_values import RunValues
from xaibench.plan.primary import PRIMARY
from xaibench.results.columns import Row
from xaibench.results.leaderboard import leaderboard_operator
from xaibench.results.schema import Question, columns_of
from xaibench.shapes import Float
from xaibench.statistics.variance_components import RESIDUAL, components, terms
from xaibench.storage.artefacts import OK

from .rank_tests import stacked

_DRAWN = ("draw", "seed", "sequence")


def variance(
    run: RunValues, estimates: pd.DataFrame, control_records: pd.DataFrame
) -> pd.DataFrame:
    """One row per component of variance of the leaderboard's quantity.

    Of a method: of its gap to random, with the operator as a component where several ran
    (``operator`` is then empty). Of the random control: of its value under the leaderboard's
    operator, with the drawn order as a component. ``share`` is that of the sum of those known.
    """
    board = estimates[estimates["question"] == Question.AGAINST_RANDOM]
    board = board[
        (board["metric"] == PRIMARY) & (board["operator"] == leaderboard_operator(estimates))
    ]
    methods = chain.from_iterable(_components_of_method(cell, run) for cell in cells_of(board))
    control = _components_of_control(control_records, run.control, leaderboard_operator(estimates))
    return pd.DataFrame([*methods, *control], columns=columns_of("variance"))


def _components_of_method(cell: PanelKey, run: RunValues) -> Iterator[Row]:
    """Of gaps ``(operator, seed, sequence)``."""
    there = [each for each in run.panels if each._replace(operator=cell.operator) == cell]
    gaps = [run.gap(each, run.random(each)) for each in there]
    several = [gap for gap in gaps if gap.values.size]
    if not several:
        yield from _component_rows(
            cell, np.empty((0, 0)), ("seed", "sequence"), run.panel(cell).reason
        )
        return
    values = stacked(several).values
    if len(several) > 1:
        factors = ("operator", "seed", "sequence")
        yield from _component_rows(cell._replace(operator=""), values, factors)
    else:
        yield from _component_rows(cell, values[0], factors=("seed", "sequence"))


def _components_of_control(records: pd.DataFrame, control: str, operator: str) -> Iterator[Row]:
    """Of areas ``(draw, seed, sequence)``."""
    chosen = {"method": control, "control": "", "metric": PRIMARY, "operator": operator}
    rows = records[(records["status"] == OK).to_numpy()]
    for column, label in chosen.items():
        rows = rows[(rows[column] == label).to_numpy()]
    for (dataset, model), part in rows.groupby(["dataset", "model"], sort=False, observed=True):
        cell = PanelKey(str(dataset), str(model), control, "", PRIMARY, operator)
        values = _crossed(part)
        yield from _component_rows(cell, values, _DRAWN, variances=_within_sequences(values))


def _within_sequences(values: Float) -> dict[str, float]:
    """Draws are nested in sequences: the first order that is drawn for one sequence has nothing to
    do with the first for another. So the variance of draws is that of the draw and of its
    interaction with the sequence."""
    variances = terms(values, _DRAWN)
    drawn = variances.pop("draw") + variances.pop("draw x sequence")
    rest = sum(part for term, part in variances.items() if " x " in term)
    parts = {
        "draw": drawn,
        "seed": variances["seed"],
        "sequence": variances["sequence"],
        RESIDUAL: rest,
    }
    return {name: float(np.maximum(part, 0)) for name, part in parts.items()}


def _crossed(rows: pd.DataFrame) -> Float:
    """``(draw, seed, sequence)``, NaN where there is no record."""
    codes = [pd.factorize(rows[name]) for name in ("repeat", "seed", "sequence")]
    values = np.full([len(labels) for _, labels in codes], np.nan)
    values[tuple(numbers for numbers, _ in codes)] = rows["value"]
    return values


def _component_rows(
    cell: PanelKey,
    values: Float,
    factors: tuple[str, ...],
    why: str = "",
    variances: dict[str, float] | None = None,
) -> Iterator[Row]:
    where = {name: getattr(cell, name) for name in ("model", "method", "metric", "operator")}
    single = [factor for factor, size in zip(factors, values.shape, strict=True) if size == 1]
    few = f"one {' and one '.join(single)}: its variance cannot be separated" if single else ""
    variances = variances or components(values, factors)
    total = np.nansum([*variances.values()])
    for component, part in variances.items():
        row = {"component": component, "variance": part, "share": np.nan, "reason": ""}
        if np.isnan(part):
            row["reason"] = why or few or "fewer than two things vary"
        elif total > 0:
            row["share"] = part / total
        else:
            row["reason"] = "there is no variance"
        yield {**where, **row}
