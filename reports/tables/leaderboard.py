"""The leaderboard: which method finds what a model uses, by how much, how sure, at what cost."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from xaibench.explanation.controls import RANDOM
from xaibench.plan.primary import PRIMARY
from xaibench.results.reading import Results

from ..format.names import gives_signed_scores
from ..format.numbers import (
    ABSENT,
    LEVEL,
    brief,
    counts,
    decimals_of,
    direction,
    interval_text,
    number,
    probability,
    usual_counts,
)
from ..format.replicates import replicate_terms
from ..format.select import (
    TableRow,
    chances_of_best,
    explained_quantity,
    explained_unit,
    matching,
    models_of,
    normalised,
    operator_of,
    random_of,
    ranking,
    replicate,
    rows_of,
)
from .controls import unbeaten
from .cost import cost_per_sequence
from .leader import to_best
from .selftest import Tested, tested
from .table import (
    CANNOT,
    EMPTY,
    Cell,
    Choice,
    Filters,
    Head,
    Table,
    by_method,
    estimated,
    heads,
    p_cell,
)
from .whisker import Scale, scale_of

GAP = (
    "Gap to random, in {unit}: how far a method's deletion curve is below that of random "
    "positions, on average; 0 is no better than random."
)
NORMALISED = (
    " Normalised, without unit: the gap as a share of that of the oracle, an order that knows the "
    "answer."
)
BOTH_KINDS = (
    " Signed methods replace evidence against the class last, and unsigned ones cannot "
    "distinguish it: part of a difference between the two kinds may be this."
)
HEADS = (
    Head("Model", prose=True),
    Head("Method", prose=True),
    Head("Rank", "Among the methods of its model, by the gap to random."),
    Head(
        "Gap to random",
        "Random minus method, the area under the falling logit difference: above 0 is better than "
        "random positions.",
        descending=True,
    ),
    Head(
        "Normalised",
        "The gap as a share of the oracle's: 0 is random, 1 an order that knows the answer.",
        descending=True,
    ),
    Head("p", "Two-sided, of the gap, corrected after Holm over the methods of a model."),
    Head(
        "P(best)", "How often the gap is the largest when the data are resampled.", descending=True
    ),
    Head("To the best", "The paired difference to the largest gap of the model.", descending=True),
    Head("ms", "Milliseconds of the processor per explained sequence."),
)


# Every model


@dataclass(frozen=True, slots=True)
class _Shared:
    """What all rows share; ``unsigned`` methods are named beside others that are signed."""

    scale: Scale
    decimals: int
    normalised_decimals: int
    random: frozenset[str]
    unsigned: frozenset[str]


def standings(results: Results) -> Table | None:
    """Every method on every model, best first within a model; None where nothing was deleted."""
    frames = [(model, ranking(results, model)) for model in models_of(results)]
    known = [frame for _, frame in frames if len(frame)]
    if not known:
        return None
    every = pd.concat(known)
    shares = pd.concat([normalised(results, model) for model, _ in frames])
    random, unsigned = frozenset(random_of(results)), _unsigned(results, every)
    shared = _Shared(scale_of(every), decimals_of(every), decimals_of(shares), random, unsigned)
    rows = [row for model, frame in frames for row in _standings(results, model, frame, shared)]
    filters = Filters(
        (Choice("Model", tuple((model,) for model, frame in frames for _ in range(len(frame)))),),
        tuple(ahead for model, frame in frames for ahead in _ahead(results, model, frame)),
        "beats random",
    )
    table = Table(
        f"Deletion, {explained_quantity(results)}, operator {operator_of(results)}",
        HEADS,
        tuple(rows),
        name="standings",
        filters=filters,
        note=_note(results) + BOTH_KINDS * bool(unsigned),
    ).without_empty_columns()
    return replace(
        table,
        gloss=GAP.format(unit=explained_unit(results))
        + NORMALISED * ("Normalised" in table.header),
    )


def _unsigned(results: Results, rows: pd.DataFrame) -> frozenset[str]:
    """The unsigned methods that were measured beside signed ones, without random numbers."""
    measured = {str(name) for name in rows[rows["mean"].notna()]["method"]}
    measured -= {*random_of(results)}
    unsigned = {name for name in measured if not gives_signed_scores(results, name)}
    return frozenset(unsigned) if unsigned != measured else frozenset()


def _note(results: Results) -> str:
    seeds = results.estimates["seeds"].max()
    over = (
        replicate_terms(results).over if seeds > 1 else "over sequences, for these trained models"
    )
    inner = "; thick, for these trained models" if seeds > 1 else ""
    return f"In brackets and as a thin line: 95 % interval {over}{inner}. Dashed: random."


def _ahead(results: Results, model: str, rows: pd.DataFrame) -> list[bool]:
    """For each row, whether the method is better than random; by a failed metric none is."""
    failed = tested(results, model, PRIMARY, operator_of(results)).failed
    return [direction(row) == 1 and not failed for row in rows_of(rows)]


def _standings(
    results: Results, model: str, rows: pd.DataFrame, shared: _Shared
) -> list[tuple[Cell, ...]]:
    """One row per method of a model."""
    operator = operator_of(results)
    shares = by_method(normalised(results, model))
    behind = by_method(to_best(results, model, PRIMARY, operator))
    chances, cost = chances_of_best(results, model), cost_per_sequence(results, model)
    failed = tested(results, model, PRIMARY, operator).failed
    controls = unbeaten(results, model, PRIMARY, operator)
    table: list[tuple[Cell, ...]] = []
    for row in rows_of(rows):
        method = str(row["method"])
        remark = _remark(row, controls.get(method, []), shared, failed=failed)
        table.append(
            (
                Cell(model),
                Cell(method, method=method, remark=remark),
                Cell(number(row["rank"], 0), float(row["rank"]), note=str(row["reason"])),
                estimated(row, shared.decimals, scale=shared.scale),
                estimated(shares.get(method), shared.normalised_decimals),
                p_cell(row),
                _chance_of_best(chances.get(method, math.nan)),
                _to_best(behind.get(method), row, shared),
                _milliseconds(cost["milliseconds"].get(method, math.nan)),
            )
        )
    return table


def _to_best(behind: TableRow | None, row: TableRow, shared: _Shared) -> Cell:
    """The difference to the best, which itself has the text `best`."""
    if behind is not None:
        return estimated(behind, shared.decimals)
    return Cell("best", 0.0) if row["rank"] == 1 else EMPTY


def _chance_of_best(chance: float) -> Cell:
    text = "<0.01" if chance < 0.005 else number(chance, 2)
    return EMPTY if math.isnan(chance) else Cell(text, chance)


def _milliseconds(cost: float) -> Cell:
    return EMPTY if math.isnan(cost) else Cell(number(cost, 1), cost)


def _remark(row: TableRow, controls: list[str], shared: _Shared, *, failed: bool) -> str:
    """What a reader must know before trusting a row; ``controls`` are those that are not beaten."""
    if math.isnan(row["mean"]):
        return brief(str(row["reason"]))
    if failed:
        return "not ranked: the metric failed its self-test"
    if str(row["method"]) in shared.random:
        return "random numbers"
    kind = ["unsigned"] if str(row["method"]) in shared.unsigned else []
    above = [f"not above its control: {', '.join(controls)}"] if controls else []
    return "; ".join([*kind, *above])


# One model


def leaderboard(results: Results, model: str) -> Table | None:
    """The methods of a model with all their tests; None where the deletion metric did not run."""
    rows = ranking(results, model)
    if rows.empty:
        return None
    operator, terms = operator_of(results), replicate_terms(results)
    decimals, test = decimals_of(rows), tested(results, model, PRIMARY, operator)
    shares = normalised(results, model)
    head, normalised_cells = _normalised_column(shares)
    header = (
        *("Method", "Rank", f"Gap to random {LEVEL}", *head, f"These models {LEVEL}"),
        *("Effect (d_z)", "p these models", f"p {terms.test}", terms.counted),
    )
    body = (
        (
            *_rank_and_gap(row, decimals, test),
            *([normalised_cells.get(row["method"], EMPTY)] if head else []),
            *_test_cells(row, decimals),
        )
        for row in rows_of(rows)
    )
    caption = f"{model}: the gap to random deletion ({explained_quantity(results)}, {operator})"
    return Table(caption, heads(*header), tuple(body), folded=True)


def by_seed(results: Results, model: str) -> Table | None:
    """The gap to random of every replicate; None where the run saved no values, or has one."""
    gaps = _gaps_by_seed(results, model)
    methods = [str(method) for method in ranking(results, model)["method"] if method in gaps.index]
    if len(gaps.columns) < 2 or not methods:
        return None
    decimals = decimals_of(ranking(results, model))
    body = tuple(
        (
            Cell(method, method=method),
            *(Cell(number(float(gap), decimals)) for gap in np.asarray(gaps.loc[method])),
        )
        for method in methods
    )
    header = heads("Method", *(replicate(results, model, int(seed)) for seed in gaps.columns))
    caption = f"{model}: the gap to random of every {replicate_terms(results).noun}"
    return Table(caption, header, body, folded=True)


def _gaps_by_seed(results: Results, model: str) -> pd.DataFrame:
    """Methods down, seeds across: means over the sequences that method and control share."""
    own = {"model": model, "metric": PRIMARY, "operator": operator_of(results)}
    rows = matching(results.records, control="", status="ok", **own)
    rows = rows[["seed", "method", "sequence", "value"]]
    if RANDOM not in [str(method) for method in rows["method"].unique()]:
        return pd.DataFrame()
    seeds = sorted(rows["seed"].unique())
    return pd.DataFrame({seed: _gaps(rows[rows["seed"] == seed]) for seed in seeds})


def _gaps(rows: pd.DataFrame) -> dict[str, float]:
    """Method -> the gap under one seed. Of a million sequences no table of methods is made."""
    numbers, methods = pd.factorize(rows["sequence"])[0], rows["method"]
    means = {
        str(method): rows["value"][own].groupby(numbers[own]).mean()
        for method in methods.unique()
        for own in [(methods == method).to_numpy(bool)]
    }
    control = means.pop(RANDOM, pd.Series(dtype=float))
    return {method: float((control - mean).mean()) for method, mean in means.items()}


def _rank_and_gap(row: TableRow, decimals: int, test: Tested) -> tuple[Cell, ...]:
    """The method, its rank and its gap."""
    reason = row["reason"]
    rank = Cell(number(row["rank"], 0), note=reason)
    if test.failed:
        rank = Cell(CANNOT, note=test.reason)
    gap = number(row["mean"], decimals) + _headline(row, decimals)
    return Cell(row["method"], method=row["method"]), rank, Cell(gap, note=reason)


def _normalised_column(rows: pd.DataFrame) -> tuple[tuple[str, ...], dict[str, Cell]]:
    """The head of the normalised scores and their cells; nothing where no oracle ran."""
    if rows.empty:
        return (), {}
    usual, decimals = usual_counts(rows), decimals_of(rows)
    cells = {
        method: estimated(row, decimals, usual=usual) for method, row in by_method(rows).items()
    }
    return (f"Normalised {LEVEL}{', ' if usual else ''}{usual}",), cells


def _test_cells(row: TableRow, decimals: int) -> tuple[Cell, ...]:
    """What is known of the gap on these models and over replicates, and from how much."""
    reason = row["reason"]
    of_models = interval_text(row["sequences_low"], row["sequences_high"], decimals)
    return (
        Cell(of_models or ABSENT, note=reason),
        Cell(number(row["effect"], 2), note=reason),
        Cell(probability(row["p_sequences_holm"]), note=reason),
        Cell(probability(row["p_holm"]), note=reason),
        Cell(counts(row)),
    )


def _headline(row: TableRow, decimals: int) -> str:
    """The interval over replicates, after a mean; a dash where the mean has none."""
    if math.isnan(row["mean"]):
        return ""
    return " " + (interval_text(row["low"], row["high"], decimals) or f"[{ABSENT}]")
