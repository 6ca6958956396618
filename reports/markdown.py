"""The report as Markdown, and its main tables as CSV."""

from __future__ import annotations

import re
from collections.abc import Iterable

import pandas as pd

from xaibench.plan.primary import PRIMARY
from xaibench.results.reading import Results
from xaibench.results.schema import TEXT, Question

from .content.cautions import cautions, unfinished
from .content.glossary import glossary
from .content.sections import Section, plan_text, sections, title
from .content.verdict import Name, Verdict, verdicts
from .format.names import metrics_of
from .format.numbers import brief
from .format.paths import shareable, without_folders
from .format.select import REFERENCES, operator_of
from .tables.discrimination import NAMES
from .tables.grid import Cell, Table

_SPECIAL = str.maketrans(
    {
        **{"<": "&lt;", ">": "&gt;", "&": "&amp;", "\n": " "},
        **{letter: f"\\{letter}" for letter in "\\|`*~$"},
    }
)
_EDGE = re.compile(r"(?<![\w\\])_|_(?!\w)|(?<=\])\(")
"""An underscore that could begin or end stress, and what could begin the address of a link."""

OPEN = ("claims", "leaderboard", "between", "accuracy", "unmeasured")
"""The sections whose tables are there at once; those of all others open on a click."""


def markdown(results: Results) -> dict[str, str]:
    """``report.md`` and a CSV a table (all digits; empty where a value is not known)."""
    results = shareable(results)
    text = "\n\n".join(
        [
            f"# {plain(title(results))}",
            *(f"> **{plain(caution)}**" for caution in unfinished(results)),
            *(_verdict(verdict) for verdict in verdicts(results)),
            *(f"> {plain(caution)}" for caution in cautions(results)),
            *(_section(section) for section in sections(results)),
            _folded("The plan, in full", [_indented(plan_text(results))]),
            "## How to read this",
            _folded(
                "Every word and metric",
                [
                    "\n".join(
                        f"- **{plain(word)}**: {plain(said)}" for word, said in glossary(results)
                    )
                ],
            ),
        ]
    )
    tables = {name: _csv(frame) for name, frame in _frames(results).items()}
    return {"report.md": without_folders(text) + "\n", **tables}


def plain(text: str) -> str:
    """Text that Markdown shows as it is, in one line.

    >>> plain("a|b <c>")
    'a\\\\|b &lt;c&gt;'
    """
    return _EDGE.sub(lambda found: f"\\{found[0]}", text.translate(_SPECIAL))


def _verdict(verdict: Verdict) -> str:
    lines = ["".join(_part(part) for part in sentence) for sentence in verdict.sentences]
    return "\n".join([f"## {plain(verdict.model)}", "", *(f"- {line}" for line in lines)])


def _part(part: str | Name) -> str:
    if isinstance(part, str):
        return plain(part)
    return f"**{plain(part.text)}**" if part.trusted else plain(part.text)


def _section(section: Section) -> str:
    words = [f"## {plain(section.title)}", *([plain(section.lead)] if section.lead else [])]
    tables = [_table(table) for table in section.tables]
    if tables and section.slug not in OPEN:
        tables = [_folded(f"{len(tables)} table{'s' if len(tables) > 1 else ''}", tables)]
    return "\n\n".join([*words, *tables])


def _entry(entry: tuple[str, str]) -> str:
    word, said = entry
    return f"- **{plain(word)}**: {plain(said)}"


def _folded(summary: str, parts: Iterable[str]) -> str:
    """What opens on a click."""
    head = f"<details><summary>{plain(summary)}</summary>"
    return "\n\n".join([head, *parts, "</details>"])


def _table(table: Table) -> str:
    rule = ["---" if k in table.words else "---:" for k in range(len(table.header))]
    rows = [[_cell(cell, table.notes) for cell in row] for row in table.rows]
    lines = [_line(plain(head) for head in table.header), _line(rule), *map(_line, rows)]
    notes = [f"<sup>{letter}</sup> {plain(brief(why))}  " for why, letter in table.notes.items()]
    return "\n".join([f"**{plain(table.caption)}**", "", *lines, *([""] if notes else []), *notes])


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _cell(cell: Cell, notes: dict[str, str]) -> str:
    return plain(cell.text) + (f"<sup>{notes[cell.note]}</sup>" if cell.noted else "")


def _indented(text: str) -> str:
    """A code block that no text can end."""
    return "\n".join(f"    {line}" for line in text.splitlines())


def _frames(results: Results) -> dict[str, pd.DataFrame]:
    rows = results.estimates
    by_operator = (rows["metric"] == PRIMARY) & (rows["operator"] == operator_of(results))
    value = rows[(rows["question"] == Question.VALUE) & ~rows["method"].isin(REFERENCES)]
    of_family = {
        f"{family}.csv": value[value["metric"].isin(metrics_of(results, family))]
        for family in ("localisation", "stability", "randomisation", "complexity")
    }
    frames = {
        "leaderboard.csv": rows[by_operator & (rows["question"] == Question.AGAINST_RANDOM)],
        "normalised.csv": rows[by_operator & (rows["question"] == Question.NORMALISED)],
        "accuracy.csv": _with_discrimination(value[value["metric"] == "accuracy"], results),
        **of_family,
        "against_controls.csv": rows[rows["question"] == Question.AGAINST_CONTROL],
        "between_models.csv": rows[rows["question"] == Question.BETWEEN_MODELS],
    }
    return {name: frame for name, frame in frames.items() if len(frame)}


def _with_discrimination(accuracy: pd.DataFrame, results: Results) -> pd.DataFrame:
    """With AUROC, AUPRC and MCC and their intervals; empty in a run made before these were kept."""
    found = results.classification[results.classification["question"] == Question.VALUE]
    ends = ("low", "high", "sequences_low", "sequences_high")
    columns = {}
    for measure in NAMES:
        own = found[found["metric"] == measure].set_index("model").reindex(accuracy["model"])
        columns[measure] = own["mean"].to_numpy(float)
        columns |= {f"{measure}_{end}": own[end].to_numpy(float) for end in ends}
    return accuracy.assign(**columns)


def _csv(frame: pd.DataFrame) -> str:
    words = {name: frame[name].map(without_folders) for name in frame if name in TEXT}
    return frame.assign(**words).to_csv(index=False, lineterminator="\n")
