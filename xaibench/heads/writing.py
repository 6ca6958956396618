"""The tables of heads as files."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd

from xaibench.plugins.registry import load
from xaibench.storage.files import write_file

from .analysis import HeadTables
from .language_model import HeadSummary, messages
from .options import SummaryOptions
from .summary import heads_of, named_head, sentence


def written_tables(tables: HeadTables, claims: pd.DataFrame, folder: Path) -> Iterator[Path]:
    """Write ``heads.csv`` and ``claims.csv``; with ablations ``ablations.csv``,
    ``ablation_tests.csv`` and ``relevance_tests.csv`` too, and ``changes.csv`` where states or
    contexts are compared."""
    folder.mkdir(parents=True, exist_ok=True)
    parts = {
        "heads.csv": tables.associations,
        "ablations.csv": tables.ablations,
        "ablation_tests.csv": tables.ablation_tests,
        "relevance_tests.csv": tables.relevance_tests,
        "changes.csv": tables.changes,
        "claims.csv": claims,
    }
    for name, table in parts.items():
        if len(table):
            yield _write(folder / name, table.to_csv(index=False))


def written_pages(
    tables: HeadTables,
    claims: pd.DataFrame,
    summaries: Sequence[HeadSummary],
    folder: Path,
    *,
    name: str,
) -> Iterator[Path]:
    """Write ``heads.md``, ``heads.html``, headed by the ``name`` of a run, and a figure per track
    and model."""
    if not len(tables.associations):
        return
    texts = {named_head(each.about): each.text for each in summaries}
    yield _write(folder / "heads.md", _page(tables, texts))
    files: dict[str, Any] = load("overviews", "heads").call(name, tables, claims, texts)
    files |= load("plots", "heads").call(tables.associations)
    for file, content in files.items():
        yield _write(folder / file, content)


def written_summaries(
    summaries: Sequence[HeadSummary], options: SummaryOptions, folder: Path
) -> Path:
    """Write ``summaries.jsonl``: a line per head that a language model was to describe, with what
    it was asked and what it answered."""
    lines = [
        {
            **{"endpoint": options.url, "language_model": options.model},
            **each.about,
            **{name: value for name, value in asdict(each).items() if name != "about"},
            "messages": messages(each.prompt) if each.prompt else [],
        }
        for each in summaries
    ]
    return _write(folder / "summaries.jsonl", "".join(f"{json.dumps(line)}\n" for line in lines))


def _write(path: Path, content: str | bytes) -> Path:
    write_file(path, content)
    return path


def _page(tables: HeadTables, texts: Mapping[str, str]) -> str:
    """Markdown: a line per head."""
    lines = ["# Attention heads", ""]
    for about, rows in heads_of(tables.associations):
        name = named_head(about)
        lines.append(escape(f"- {name} {texts.get(name) or sentence(rows)}.", quote=False))
    return "\n".join([*lines, ""])
