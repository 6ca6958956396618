"""How sure the order of the methods is, and what so many seeds and sequences can show."""

from __future__ import annotations

import math
from itertools import combinations

import pandas as pd

from xaibench.plan.primary import PRIMARY
from xaibench.results.reading import Results
from xaibench.results.schema import Question

from ..format.numbers import (
    ABSENT,
    LEVEL,
    MINUS,
    corrected_p,
    decimals_of,
    direction,
    listed,
    number,
    probability,
)
from ..format.replicates import replicate_terms
from ..format.select import (
    TableRow,
    in_order,
    matching,
    models_of,
    operator_of,
    random_of,
    ranking,
    replicates_of_run,
    rows_of,
)
from .leader import leading, to_best
from .table import EMPTY, Cell, Table, by_method, estimated, heads

LEADS, FIRST = "leads", "first"
BEHIND, PERHAPS, TIED = "behind", "perhaps behind", "not distinguishable"
AHEAD = "ahead on shared sequences"

VERDICTS = (
    f"{FIRST.capitalize()}: none leads, as the verdict says; {BEHIND}: the interval of the "
    f"difference to the first is below 0, and the corrected p below .05; {PERHAPS}: the interval "
    f"alone; {TIED}: the interval includes 0; {AHEAD}: it is above 0 on the sequences that both "
    "have, as can be where not all methods have the same."
)
_TESTS = {
    "{Test}": ("crossed t", "retraining"),
    "t, {nouns}": ("paired t", "retraining, these sequences"),
    "Wilcoxon, {nouns}": ("Wilcoxon", "retraining, these sequences"),
    "Sign flips, {nouns}": ("sign flips", "retraining, these sequences"),
    "These models": ("t", "these models"),
    "Sign flips, sequences": ("sign flips", "these models"),
}
"""Column, with what replicates are called -> test and population; McNemar's is in the last too.
Those over replicates alone take the sequences as given."""

_KEY = ("question", "model", "other", "method", "metric")
_COMPONENTS = ("sequence", "seed", "operator", "draw", "residual")
_LESS = f" {MINUS} "


def certainty(results: Results) -> list[Table]:
    """Of each model the order of its methods; then, folded, the tests behind it."""
    models = models_of(results)
    every = [
        *(order(results, model) for model in models),
        *(secondary(results, model) for model in models),
        *(secondary_between(results, *pair) for pair in combinations(models, 2)),
        *(variances(results, model) for model in models),
        smallest_detectable(results),
    ]
    return [table for table in every if table is not None]


def order(results: Results, model: str) -> Table | None:
    """The methods of a model by rank, and how sure that is; None where nothing was ranked."""
    ranks = matching(results.ranks, model=model, metric=PRIMARY, operator=operator_of(results))
    rows = ranking(results, model)
    ranked = rows[rows["rank"].notna() & rows["method"].isin(ranks["method"])]
    if ranked.empty:
        return None
    behind = to_best(results, model, PRIMARY, operator_of(results))
    rank, difference = by_method(ranks), by_method(behind)
    decimals = decimals_of(behind)
    first = LEADS if leading(results, model).outcome == "leads" else FIRST
    body = tuple(
        _order_row(rank[method], difference.get(method), first, decimals)
        for method in ranked["method"]
    )
    header = ("Method", "Verdict", "P(best)", f"To the best {LEVEL}", "Corrected p", "Mean rank")
    caption = f"{model}: ranked on each of {_friedman(results, ranks)}"
    return Table(caption, heads(*header, prose=(0, 1)), body)


def _order_row(
    rank: TableRow, behind: TableRow | None, first: str, decimals: int
) -> tuple[Cell, ...]:
    """A method, how it compares with the first, and its mean rank."""
    note, best = str(rank["reason"]), rank["best"]
    name = Cell(rank["method"], method=rank["method"])
    chance = Cell("<0.01" if best < 0.005 else number(best, 2), note=note)
    place = Cell(number(rank["mean_rank"], 1), note=note)
    if behind is None:
        return name, Cell(first), chance, EMPTY, EMPTY, place
    why_not = str(behind["reason"])
    p, population = corrected_p(behind)
    few = " (these models)" if population == "these models" and not math.isnan(p) else ""
    return (
        name,
        Cell(verdict(behind), note=why_not),
        chance,
        estimated(behind, decimals),
        Cell(probability(p) + few, note=why_not),
        place,
    )


def verdict(behind: TableRow) -> str:
    """How a paired difference to the best is to be read; a dash where it has no interval."""
    way = direction(behind)
    if way is None:
        return ABSENT
    if way >= 0:
        return AHEAD if way else TIED
    return BEHIND if corrected_p(behind)[0] < 0.05 else PERHAPS


def _friedman(results: Results, ranks: pd.DataFrame) -> str:
    """What the mean ranks are of, and when two of them differ."""
    row = ranks.iloc[0]
    unit = "groups of sequences" if results.environment.get("clusters") else "sequences"
    blocks = f"{number(row['blocks'], 0)} {unit}"
    if math.isnan(row["p_friedman"]):
        return blocks
    apart = f"mean ranks {number(row['critical_difference'], 2)} apart differ"
    p = probability(row["p_friedman"])
    return f"{blocks}; {apart} (Nemenyi; Friedman p {p if p.startswith('<') else f'= {p}'})"


def secondary(results: Results, model: str) -> Table | None:
    """The corrected p values of every test of a model's methods, and effect sizes."""
    rows = matching(results.tests, model=model, metric=PRIMARY)
    rows = rows[rows["question"] != Question.BETWEEN_MODELS]
    return _of_tests(results, f"{model}: corrected p by other tests", rows)


def secondary_between(results: Results, model: str, other: str) -> Table | None:
    """The tests of two models' difference in accuracy, and in the gaps of the methods."""
    rows = matching(results.tests, model=model, other=other, question=Question.BETWEEN_MODELS)
    caption = f"{model}{_LESS}{other}: corrected p by other tests"
    return _of_tests(results, caption, rows)


def _of_tests(results: Results, caption: str, rows: pd.DataFrame) -> Table | None:
    """None where nothing could be tested."""
    body, terms = [], replicate_terms(results)
    for key in _contrasts(rows[rows["p"].notna() & (rows["test"] != "McNemar")]):
        own = matching(rows, **key)
        body.append((Cell(_contrast(**key)), *_p_cells(own), *_effect_sizes(own)))
    for row in rows_of(rows[rows["test"] == "McNemar"]):
        (name,) = replicates_of_run(results, [int(row["seed"])])
        name = f"accuracy, McNemar, {terms.noun} {name}"
        blank = [EMPTY] * (len(_TESTS) - 1)
        delta = Cell(number(row["delta"], 2))
        body.append((Cell(name), *blank, _corrected_p(row), EMPTY, EMPTY, delta))
    sizes = (f"d_z, {terms.nouns}", "d_z, sequences", "Cliff's delta, sequences")
    named = {"Test": terms.test.capitalize(), "nouns": terms.nouns}
    header = heads("Comparison", *(column.format(**named) for column in _TESTS), *sizes)
    return Table(caption, header, tuple(body), folded=True) if body else None


def _contrasts(rows: pd.DataFrame) -> list[dict[str, str]]:
    """What is compared, each once."""
    keys = rows[[*_KEY]].drop_duplicates().to_numpy(str)
    return [dict(zip(_KEY, key, strict=True)) for key in keys.tolist()]


def _contrast(*, question: str, model: str, other: str, method: str, metric: str) -> str:
    if question == Question.BETWEEN_MODELS:
        return method or metric
    return f"{method}{_LESS}{other}"


def _p_cells(rows: pd.DataFrame) -> list[Cell]:
    each_test = [
        matching(rows, test=test, population=population) for test, population in _TESTS.values()
    ]
    return [_corrected_p(each.iloc[0]) if len(each) else EMPTY for each in each_test]


def _corrected_p(row: TableRow) -> Cell:
    return Cell(probability(row["p_corrected"]), note=str(row["reason"]))


def _effect_sizes(rows: pd.DataFrame) -> list[Cell]:
    """d_z over seeds, d_z over sequences, and Cliff's delta; empty where they were not computed."""
    seeds = matching(rows, test="paired t").iloc[:1]
    sequences = matching(rows, test="sign flips", population="these models").iloc[:1]
    sizes = ((seeds, "effect"), (sequences, "effect"), (sequences, "delta"))
    return [
        Cell(number(float(part[name].iloc[0]), 2), note=part["reason"].iloc[0] or "no spread")
        if len(part)
        else EMPTY
        for part, name in sizes
    ]


def variances(results: Results, model: str) -> Table | None:
    """The shares of the variance components of single gaps; None where none is known."""
    rows = matching(results.variance, model=model)
    if rows["share"].isna().all():
        return None
    components = [name for name in _COMPONENTS if name in set(rows["component"])]
    called = {"seed": replicate_terms(results).noun}
    body = []
    for method in in_order([], rows["method"]):
        own = {str(row["component"]): row for row in rows_of(matching(rows, method=method))}
        shares = (_share_cell(own[name]) if name in own else EMPTY for name in components)
        body.append((Cell(method, method=method), *shares))
    header = heads("Method", *(called.get(name, name).capitalize() for name in components))
    caption = f"{model}: where the variance of single gaps comes from"
    return Table(caption, header, tuple(body), folded=True)


def _share_cell(row: TableRow) -> Cell:
    if math.isnan(row["share"]):
        return Cell(ABSENT, note=row["reason"])
    return Cell(f"{number(100 * row['share'], 0)} %")


def smallest_detectable(results: Results) -> Table | None:
    """The smallest true difference that is detected with a power of 80 %."""
    rows = results.detectable
    rows = rows[rows["detectable"].notna()]
    if rows.empty:
        return None
    body = []
    for key in _contrasts(rows):
        own = matching(rows, **key)
        parts = [matching(own, population=each) for each in ("retraining", "these models")]
        models = [key["model"], key["other"]][
            : 2 if key["question"] == Question.BETWEEN_MODELS else 1
        ]
        where = _LESS.join(models)
        body.append(
            (Cell(f"{where}: {_contrast(**key)}"), *(_detectable_cell(part) for part in parts))
        )
    terms = replicate_terms(results)
    header = heads("Comparison", f"{terms.test.capitalize()} (n {terms.nouns})", "These models (n)")
    caption = "The smallest true difference that is detected with a power of 80 %"
    return Table(caption, header, tuple(body), folded=True)


def _detectable_cell(rows: pd.DataFrame) -> Cell:
    """The smallest detectable difference, with the n of its test in brackets."""
    if rows.empty:
        return EMPTY
    row = rows.iloc[0]
    decimals = max(2, 1 - math.floor(math.log10(row["detectable"]))) if row["detectable"] else 2
    return Cell(f"{number(row['detectable'], min(decimals, 5))} ({number(row['n'], 0)})")


def can_show(results: Results) -> str:
    """What this number of replicates cannot show, in a sentence or two; nothing where none
    is known."""
    sentences = (_of_signs(results), _of_differences(results), _of_groups(results))
    return " ".join(filter(None, sentences))


def _of_groups(results: Results) -> str:
    groups = (results.environment.get("clusters") or {}).get("explained")
    return f"Whole groups of sequences are resampled, of which {groups} are explained." * bool(
        groups
    )


def _of_signs(results: Results) -> str:
    """How small a p the tests that go by signs can give."""
    # slow to import, and a run that resumes may render nothing
    from xaibench.statistics.power import smallest_p

    rows = matching(results.tests, test="Wilcoxon", population="retraining, these sequences")
    seeds = int(rows["pairs"].max()) if len(rows) else 0
    terms = replicate_terms(results)
    if seeds == 1:
        return f"With one {terms.noun} nothing is known of {terms.others}."
    if seeds < 2:
        return ""
    least = smallest_p("wilcoxon", seeds)
    text = f"{least:.4f}".rstrip("0") if least >= 0.001 else f"{least:.1e}"
    end = ", and so none below .05" if least > 0.05 else ""
    return (
        f"With {seeds} {terms.nouns} no Wilcoxon or sign-flip test over {terms.nouns} can give p "
        f"below {text}{end}."
    )


def _of_differences(results: Results) -> str:
    """The difference to the best that would be missed one time in five, by model."""
    rows = matching(results.detectable, question=Question.AGAINST_BEST, population="retraining")
    rows = rows[~rows["method"].isin(random_of(results))]
    middle = [
        (model, float(matching(rows, model=model)["detectable"].median()))
        for model in models_of(results)
    ]
    known = [f"{number(size, 2)} on {model}" for model, size in middle if not math.isnan(size)]
    if not known:
        return ""
    return (
        f"A true difference to the best of less than {listed(known)} (median over the methods) "
        "would be missed more than one time in five."
    )
