"""Many runs on one page: the ranks of methods over all of them, and every run."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pandas as pd

from xaibench.board.site import Board
from xaibench.plan.primary import PRIMARY, leading_operator

from ..format.numbers import ABSENT, interval_text, listed, number, probability, with_noun
from ..format.select import TableRow, rows_of
from ..tables.table import Cell, Choice, Filters, Head, Table, heads
from .document import Document, Section

NOT_STATED = "not stated"
"""Of a version or a kind of model that a table alone does not name."""

LEAD = (
    "Methods by the gap of their deletion curve to that of random positions, in the logit "
    "difference. A dataset is a block: its models and runs are averaged first. A test of "
    "ranks needs every method on every model: those methods and models are taken that leave the "
    "most of both. Runs of different versions of xaibench are ranked apart, and tables without "
    "records apart from runs."
)
EVERY = (
    "The rank is among the methods that the run compares by this metric, 1 is best. The gap to "
    "random is in the unit of the metric, positive where the method is better; the share of the "
    "oracle is the gap as a share of that of an order that knows the answer. Cost is per explained "
    "sequence. The run leads to its report."
)
OVER = "Share of the oracle: the mean over datasets, with its 95 % interval by t over datasets."


def board_document(board: Board) -> Document:
    """The board for a reader."""
    rows, versions = board.rows, sorted({each.version or NOT_STATED for each in board.entries})
    facts = (
        with_noun(len(board.entries), "run"),
        with_noun(rows["data"].nunique(), "dataset"),
        with_noun(rows["method"].nunique(), "method"),
        f"xaibench {listed(versions)}",
    )
    sections = (_ranks(board), _every_metric(board), _every_row(board), _runs(board))
    return Document(board.name, facts, (), sections, tuple(_cautions(board, versions)))


def with_settings(board: Board) -> Board:
    """The board with a label of its own for each setting of a method: ``deeplift (strands both)``
    where another run calls ``deeplift`` what has other options."""
    pairs = board.rows[["method", "settings"]].drop_duplicates()
    labels = {
        (method, settings): f"{method}{suffix}"
        for method, own in pairs.groupby("method", sort=False)["settings"]
        for settings, suffix in _suffixes([*map(str, own)]).items()
    }

    def labelled(table: pd.DataFrame) -> pd.DataFrame:
        keys = zip(table["method"], table["settings"], strict=True)
        return table.assign(method=[labels[key] for key in keys])

    return replace(board, rows=labelled(board.rows), ranks=labelled(board.ranks))


def _suffixes(settings: Sequence[str]) -> dict[str, str]:
    """By setting, as JSON, the options in which it differs from the others; nothing where these are
    not known, as of tables alone.

    >>> [*_suffixes(['{"rule": "z", "steps": 5}', '{"rule": "z", "steps": 9}', ""]).values()]
    [' (steps 5)', ' (steps 9)', '']
    """
    known = {each: json.loads(each) if each else {} for each in settings}
    differ = [
        name
        for name in dict.fromkeys(name for options in known.values() for name in options)
        if len({_in_words(options.get(name)) for options in known.values() if options}) > 1
    ]
    named = {
        each: ", ".join(f"{name} {_in_words(options[name])}" for name in differ if name in options)
        for each, options in known.items()
    }
    return {each: f" ({own})" if own else "" for each, own in named.items()}


def _in_words(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def rank_rows(board: Board) -> Iterator[tuple[str, pd.DataFrame]]:
    """By version the ranks that lead the board: of the metric and operator of leaderboards."""
    leading = board.ranks[board.ranks["metric"] == PRIMARY]
    for _, own in leading.groupby(["version", "records"], sort=False):
        operator = leading_operator(own["operator"].unique())
        yield f"xaibench {_made_by(rows_of(own)[0])}", own[own["operator"] == operator]


def _made_by(row: TableRow) -> str:
    return (str(row["version"]) or NOT_STATED) + ("" if row["records"] else ", estimates alone")


def _cautions(board: Board, versions: list[str]) -> Iterator[str]:
    if len(versions) > 1:
        yield (
            f"The runs were made by xaibench {listed(versions)}. Runs of different versions are "
            "not ranked together."
        )
    for each in board.refused:
        yield f"{each.name} could not be read: {each.reason}"
    for entry in board.entries:
        if not entry.sound:
            yield f"{entry.name} is shown and not ranked with others: {entry.marks[0]}"
    alone = [entry.name for entry in board.entries if entry.results is None]
    if alone:
        yield f"Of {listed(alone)} there are estimates alone, with no records to check them by."


def _ranks(board: Board) -> Section:
    tables = tuple(
        Table(
            f"{title}: mean ranks over {_over(rows)}",
            heads("Method", "Mean rank", "Share of the oracle"),
            tuple(
                (_method(row), Cell(number(row["mean_rank"])), _interval(row, "normalised"))
                for row in rows_of(rows)
            ),
            note=_test(rows),
        )
        for title, rows in rank_rows(board)
    )
    none = "No two methods were ranked on any dataset of sound runs."
    return Section(
        "ranks", "Which method, over all datasets", (LEAD if tables else none,), tables, ("ranks",)
    )


def _over(rows: pd.DataFrame) -> str:
    datasets, models, left_out = (
        int(rows[name].iloc[0]) for name in ("datasets", "models", "left_out")
    )
    without = f", without {left_out} that lack a method" if left_out else ""
    return f"{with_noun(datasets, 'dataset')}, {with_noun(models, 'model')}{without}"


def _test(rows: pd.DataFrame) -> str:
    first = rows_of(rows)[0]
    if math.isnan(first["p_friedman"]):
        return f"No test of whether the order is more than chance: {first['reason']}. {OVER}"
    p, apart = probability(first["p_friedman"]), number(first["critical_difference"])
    return f"Friedman's test p {p}; critical difference of mean ranks {apart}. {OVER}"


def _method(row: TableRow) -> Cell:
    name = str(row["method"])
    return Cell(name.replace("_", " "), method=name)


def _interval(row: TableRow, name: str) -> Cell:
    mean, low, high = (float(row[column]) for column in (name, f"{name}_low", f"{name}_high"))
    if math.isnan(mean):
        return Cell(ABSENT, math.nan)
    return Cell(f"{number(mean)} {interval_text(low, high)}".strip(), mean)


def _every_metric(board: Board) -> Section:
    rows = rows_of(board.ranks)
    body = tuple(
        (
            _method(row),
            Cell(_plain(row["metric"])),
            Cell(str(row["operator"])),
            _number(row["mean_rank"]),
            _number(row["critical_difference"]),
            _interval(row, "normalised"),
            Cell(str(int(row["datasets"])), float(row["datasets"])),
            Cell(_made_by(row)),
        )
        for row in rows
    )
    table = Table(
        "Mean ranks by every metric",
        (
            *heads("Method", "Metric", "Operator", prose=(0, 1, 2)),
            *heads("Mean rank", "Critical difference", "Share of the oracle", "Datasets", prose=()),
            Head("xaibench", prose=True),
        ),
        body,
        name="every-metric",
        filters=Filters(
            (
                _choice("Family", rows, "family"),
                _choice("Metric", rows, "metric"),
                Choice("Version", tuple((_made_by(row),) for row in rows)),
            )
        ),
        note=OVER,
    )
    return Section("metrics", "Ranks by every metric", (LEAD,), (table,) if body else ())


def _every_row(board: Board) -> Section:
    rows = rows_of(board.rows)
    metrics = board.rows["metric"].tolist()
    body = tuple(
        (
            _method(row),
            Cell(str(row["run"]), link=str(row["report"])),
            Cell(str(row["model"])),
            Cell(_plain(row["metric"])),
            Cell(str(row["operator"])),
            _rank(row),
            _interval(row, "gap"),
            _interval(row, "normalised"),
            _number(row["forwards"], 0),
            _number(row["seconds"], 4),
            Cell("" if row["sound"] else "not ranked with others"),
        )
        for row in rows
    )
    table = Table(
        "Every method on every model of every run",
        (
            *heads("Method", "Run", "Model", "Metric", "Operator", prose=range(5)),
            *heads("Rank", "Gap to random", "Share of the oracle", prose=()),
            *heads("Forward passes", "Seconds", prose=()),
            Head("Marked", prose=True),
        ),
        body,
        name="every-row",
        filters=Filters(
            (
                _choice("Run", rows, "run"),
                _choice("Kind", rows, "kind"),
                _choice("Family", rows, "family"),
                _choice("Metric", rows, "metric", PRIMARY if PRIMARY in metrics else ""),
            )
        ),
        note=EVERY,
    ).without_empty_columns()
    return Section("every", "Every run", (EVERY,), (table,))


def _runs(board: Board) -> Section:
    reports = dict(zip(board.rows["run"], board.rows["report"], strict=True))
    body = tuple(
        (
            Cell(entry.name, link=str(reports.get(entry.name, ""))),
            Cell(entry.version or NOT_STATED),
            Cell(_models(board, entry.name)),
            Cell("; ".join(entry.marks)),
        )
        for entry in board.entries
    )
    header = heads("Run", "xaibench", "Models", "What to know of it", prose=range(4))
    lead = (
        "Of every run with records, the estimates were made again from these and compared. That "
        "shows that they follow from the records, and not that the records were measured."
    )
    return Section("runs", "The runs", (lead,), (Table("Runs", header, body, narrow=True),))


def _models(board: Board, run: str) -> str:
    own = board.rows[board.rows["run"] == run].drop_duplicates("model")
    pairs = zip(own["model"].astype(str), own["kind"], strict=True)
    return listed(
        f"{model} ({kind})" if kind not in ("", model) else model for model, kind in pairs
    )


def _choice(name: str, rows: list[TableRow], column: str, chosen: str = "") -> Choice:
    return Choice(name, tuple((_plain(row[column]),) for row in rows), _plain(chosen or "-"))


def _plain(value: object) -> str:
    return str(value).replace("_", " ") if isinstance(value, str) and value else NOT_STATED


def _rank(row: TableRow) -> Cell:
    if math.isnan(row["rank"]):
        return Cell(ABSENT, math.nan)
    return Cell(f"{row['rank']:.0f} of {row['ranked']:.0f}", float(row["rank"]))


def _number(value: float, decimals: int = 2) -> Cell:
    return Cell(number(float(value), decimals), float(value))
