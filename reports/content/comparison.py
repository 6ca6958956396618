"""The comparison of runs as a document, whatever it is rendered to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pandas as pd

from xaibench.comparison.difference_rows import EQUAL_WITHIN, incomparable
from xaibench.comparison.gates import GATE_LEVEL as SIGNIFICANT
from xaibench.comparison.gates import OF_THE_MODEL, GateResult
from xaibench.comparison.side_by_side import Comparison, Pair
from xaibench.explanation.controls import RANDOM
from xaibench.results.reading import Results
from xaibench.results.replicates import given_weights

from ..format.names import first_upper, label
from ..format.numbers import (
    ABSENT,
    LEVEL,
    MARKS,
    MINUS,
    TIMES,
    decimals_of,
    direction,
    ends,
    interval_text,
    listed,
    mean_and_interval,
    number,
    probability,
    used,
    why,
)
from ..format.paths import last_part, without_folders
from ..format.replicates import ReplicateTerms, shared_terms
from ..format.select import TableRow, replicates_of_run, rows_of
from ..tables.table import Cell, Table, heads
from .document import Answer, Document, Section, Verdict

_ARROW = {"higher": " ↑", "lower": " ↓"}
_FAMILIES = {"model": "The models"}
_GAP_TO_RANDOM = "gap to random"
_TRAINED = {
    "same": "The same trained models in both, by their {shown}: {names}.",
    "anew": "Trained again, by their {shown}: {names}.",
    "unknown": "Trained again or the same, which nothing in the folders shows: {names}.",
}
_GIVEN = {
    "same": "The same weights in both, by their {shown}: {names}.",
    "anew": "Other weights, by their {shown}: {names}.",
    "unknown": "Other weights or the same, which nothing in the folders shows: {names}.",
}
FEW_ROWS = 12
"""A table of no more rows is open though it is not the first of its family."""


def comparison_document(comparison: Comparison) -> Document:
    """Runs side by side: the verdict on each pair, the gates, and what differs."""
    return Document(
        comparison_title(comparison),
        tuple(f"{run.letter}: {run.name}" for run in comparison.runs),
        tuple(pair_verdicts(comparison)),
        (*gates(comparison), *_sections(comparison)),
    )


def comparison_title(comparison: Comparison) -> str:
    first, *others = (run.name for run in comparison.runs)
    return f"{listed(others)} compared with {first}"


def pair_verdicts(comparison: Comparison) -> list[Verdict]:
    """What a reader should know first of each pair."""
    return [
        Verdict(
            _pair_title(pair),
            (Answer("", tuple((without_folders(sentence),) for sentence in _sentences(pair))),),
            pair.cautions,
        )
        for pair in comparison.pairs
    ]


def _sections(comparison: Comparison) -> list[Section]:
    """What differs, what changed, and every family of metrics, for one pair after the other."""
    several = len(comparison.pairs) > 1
    return [
        replace(section, title=f"{_pair_title(pair)}: {section.title}") if several else section
        for pair in comparison.pairs
        for section in _sections_of_pair(pair)
    ]


def gates(comparison: Comparison) -> list[Section]:
    """Every gate on every row that it is about; nothing without gates."""
    if not comparison.gates:
        return []
    header = ("Gate", "Verdict", "Run", "Model", "Operator", f"Drop {LEVEL}", "p", "p is of", "Why")
    counts = Counter(each.verdict for each in comparison.gates)
    caption = "Gates: " + ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
    body = tuple(_gate(each) for each in comparison.gates)
    table = Table(caption, heads(*header, prose=(0, 1, 2, 3, 4, 7, 8)), body)
    return [Section("gates", "Gates", tables=(table,), folded=False)]


def _gate(each: GateResult) -> tuple[Cell, ...]:
    """The row of a gate: the drop is the difference with its sign reversed."""
    row = pd.Series(dict(each.row))
    decimals = decimals_of(row.to_frame().T)
    low, high = ends(row)
    drop = f"{number(-row['mean'], decimals)} {interval_text(-high, -low, decimals)}".strip()
    gate = (each.gate.metric, each.gate.method or OF_THE_MODEL, f"{each.gate.most:g}")
    return (
        Cell(":".join(gate)),
        Cell(each.verdict.upper() if each.verdict == "failed" else each.verdict),
        *(Cell(row[name]) for name in ("second", "model", "operator")),
        Cell(drop),
        Cell(probability(each.p)),
        Cell(each.population),
        Cell(without_folders(each.why)),
    )


def _sections_of_pair(pair: Pair) -> Iterator[Section]:
    """What differs between two runs, what changed, and a section per family of metrics."""
    letter = pair.second.letter.lower()
    yield _what_differs(f"{letter}-differs", pair)
    rows = pair.rows[~pair.rows["equal"].astype(bool) & ~_empty(pair.rows)]
    significant = rows[_significant(rows).any(axis=1)]
    if len(significant):
        lead = (
            f"Rows with a corrected p below {SIGNIFICANT:g} in either column. "
            f"{_what_marks_mean(pair)} "
            "p values are two-sided and corrected after Holm over the rows of a family that differ "
            "by more than rounding."
        )
        caption = "Statistically distinguishable by a corrected p"
        changed = _table_of_rows(pair, significant, caption, metric=True)
        yield Section(f"{letter}-changed", "What changed", (lead,), (changed,))
    for family, of_family in rows.groupby("family", sort=False):
        name = _FAMILIES.get(str(family), first_upper(str(family)))
        tables = tuple(_of_metrics(pair, of_family))
        yield Section(f"{letter}-{family}", name, _lead(of_family), tables)


def _pair_title(pair: Pair) -> str:
    return f"{pair.second.letter} against {pair.first.letter}"


# The sentences


def _sentences(pair: Pair) -> Iterator[str]:
    """What is shared, whether models are the same, how many numbers are equal or changed."""
    yield _pairing(pair)
    yield from _trained(pair)
    of_both = pair.rows[~incomparable(pair.rows)]
    equal, empty = int(of_both["equal"].sum()), int(_empty(of_both).sum())
    count, rounding = len(of_both) - empty, int(of_both["rounding"].sum())
    if count and equal == count:
        yield f"All {count:,} figures that both have are equal{_exactly(rounding)}."
        return
    yield f"{count:,} figures are compared; {equal:,} of them are equal{_exactly(rounding)}."
    yield from _counts_of_changes(pair)
    if empty:
        yield f"{empty:,} more have no value in one run or in both."


def _exactly(rounding: int) -> str:
    """How equal the equal figures are."""
    if not rounding:
        return " to the last digit"
    return f", {rounding:,} but for rounding (at most {EQUAL_WITHIN:g} of the metric's size)"


def _pairing(pair: Pair) -> str:
    """Which sequences and seeds both runs have, and so how differences are paired."""
    shared = pair.shared
    count = f"{shared.sequences:,} explained sequence{'' if shared.sequences == 1 else 's'}"
    terms = _terms(pair)
    runs = (pair.first, shared.first_seeds), (pair.second, shared.second_seeds)
    both = [listed(replicates_of_run(run.results, seeds)) for run, seeds in runs]
    if not shared.paired:
        return (
            f"{count} are shared, the {terms.nouns} are not ({both[0]}; {both[1]}): differences "
            f"are paired by sequence alone. In interval and p {terms.over} the {terms.nouns} of "
            "each run vary apart."
        )
    seeds = _named_seeds(pair.first.results, shared.seeds, terms.noun)
    paired = f"{count} and {seeds} are shared, and differences are paired by both."
    alone = " and ".join(_seeds_left_out(pair))
    return f"{paired} Left out: {alone}." if alone else paired


def _seeds_left_out(pair: Pair) -> Iterator[str]:
    """The seeds that one of the runs has alone."""
    shared = pair.shared
    for run, seeds in ((pair.first, shared.first_seeds), (pair.second, shared.second_seeds)):
        alone = [seed for seed in seeds if seed not in shared.seeds]
        if alone:
            yield f"{_named_seeds(run.results, alone, _terms(pair).noun)} of {run.letter}"


def _terms(pair: Pair) -> ReplicateTerms:
    return shared_terms(pair.first.results, pair.second.results)


def _named_seeds(results: Results, seeds: Sequence[int], noun: str) -> str:
    return f"{noun}{'' if len(seeds) == 1 else 's'} {listed(replicates_of_run(results, seeds))}"


def _trained(pair: Pair) -> Iterator[str]:
    """Whether training, or other weights, are part of the differences."""
    given = {*given_weights(pair.first.results)} & {*given_weights(pair.second.results)}
    for how, labels in ((_TRAINED, pair.same_models.keys() - given), (_GIVEN, given)):
        known = {name: each for name, each in pair.same_models.items() if name in labels}
        for verdict, shown in dict.fromkeys(known.values()):
            names = listed(name for name, each in known.items() if each == (verdict, shown))
            yield how[verdict].format(names=names, shown=shown)


def _counts_of_changes(pair: Pair) -> Iterator[str]:
    """How many rows are better and worse, for each population of the tests."""
    rows = pair.rows[pair.rows["better"] != "neither"]
    significant = _significant(rows)
    populations = {"p_sequences_holm": "on these trained models", "p_holm": _terms(pair).over}
    letter = pair.second.letter
    for name, where in populations.items():
        if not rows[name][~rows["equal"].astype(bool)].notna().any():
            yield f"{first_upper(where)} nothing can be tested."
            continue
        better = int((significant[name] & (rows["mean"] > 0)).sum())
        worse = int((significant[name] & (rows["mean"] < 0)).sum())
        yield (
            f"{first_upper(where)} {better:,} {_are(better)} better in {letter} and {worse:,} "
            f"worse (p < {SIGNIFICANT:g} after Holm)."
        )


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


# The tables


def _what_differs(anchor: str, pair: Pair) -> Section:
    """Plan, data, versions and machine, where they are not the same."""
    title = "What differs"
    if not pair.differences:
        return Section(anchor, title, ("Plan, data, versions and machine are the same.",))
    header = ("What", "Where", *(f"{run.letter}: {run.name}" for run in (pair.first, pair.second)))
    body = tuple(
        (Cell(each.key), Cell(each.topic), _side(each.first), _side(each.second))
        for each in pair.differences
    )
    table = Table("Plan, data, versions, machine", heads(*header, prose=range(4)), body)
    return Section(anchor, title, (f"{ABSENT}: this run has none.",), (table,))


def _side(value: str) -> Cell:
    return Cell(last_part(value) or ABSENT)


def _of_metrics(pair: Pair, rows: pd.DataFrame) -> Iterator[Table]:
    """One table per metric; the first is open."""
    for place, (metric, of_metric) in enumerate(rows.groupby("metric", sort=False)):
        first = of_metric.iloc[0]
        caption = first_upper(label(str(metric))) + _ARROW.get(first["better"], "")
        if first["compared"] == _GAP_TO_RANDOM:
            caption = f"{first_upper(label(str(metric)))}: {_GAP_TO_RANDOM}"
        folded = place > 0 and len(of_metric) > FEW_ROWS
        yield _table_of_rows(pair, of_metric, f"{caption} ({metric})", folded=folded)


def _table_of_rows(
    pair: Pair, rows: pd.DataFrame, caption: str, *, metric: bool = False, folded: bool = False
) -> Table:
    """Rows with the values of both, their difference, its tests, and from how much."""
    names = [*(["metric"] if metric else []), "method", "model", "operator"]
    names = [name for name in names if (rows[name] != "").any()]
    second, first, terms = pair.second.letter, pair.first.letter, _terms(pair)
    header = (
        *(first_upper(name) for name in names),
        *(first, second, f"{second} {MINUS} {first} {LEVEL}"),
        *("p these models", f"p {terms.test}", terms.counted),
    )
    decimals = {name: decimals_of(part) for name, part in rows.groupby("metric", sort=False)}
    body = tuple(_difference(row, names, decimals[row["metric"]]) for row in rows_of(rows))
    return Table(caption, heads(*header, prose=range(len(names))), body, folded=folded)


def _difference(row: TableRow, names: list[str], decimals: int) -> tuple[Cell, ...]:
    """One row: both means, their difference with its mark, both p values, and from how much."""
    reason = without_folders(str(row["reason"]))
    means = (Cell(number(row[f"{run}_mean"], decimals), note=reason) for run in ("first", "second"))
    mark = MARKS[direction(row)] if row["better"] != "neither" else ""
    return (
        *(Cell(row[name]) for name in names),
        *means,
        Cell(mean_and_interval(row, decimals) + mark, note=without_folders(why(row))),
        Cell(probability(row["p_sequences_holm"]), note=reason),
        Cell(probability(row["p_holm"]), note=reason),
        Cell(_counts_of_both(row)),
    )


def _counts_of_both(row: TableRow) -> str:
    seeds = {int(row["first_seeds"]): None, int(row["second_seeds"]): None}
    return f"{used(row)} {TIMES} {' and '.join(map(str, seeds))}"


def _lead(rows: pd.DataFrame) -> tuple[str, ...]:
    if (rows["compared"] == _GAP_TO_RANDOM).any():
        return (
            "Of curves the gap to random positions is compared, for a curve also depends on how "
            f"sure a model is ({RANDOM} minus method, or the reverse where more is better).",
        )
    return ()


def _what_marks_mean(pair: Pair) -> str:
    letter = pair.second.letter
    return (
        f"The difference is positive where {letter} is better: ▲ better, ▼ worse, ≈ its 95 % "
        "interval includes 0."
    )


def _significant(rows: pd.DataFrame) -> pd.DataFrame:
    """Which rows differ by their corrected p, of each population."""
    return rows[["p_sequences_holm", "p_holm"]] < SIGNIFICANT


def _empty(rows: pd.DataFrame) -> pd.Series[bool]:
    return rows["mean"].isna()
