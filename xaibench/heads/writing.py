"""The tables of heads as files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from xaibench.plugins.registry import load
from xaibench.storage.files import write_file

from .analysis import HeadTables
from .summary import sentences


def written(tables: HeadTables, folder: Path) -> Iterator[Path]:
    """Write ``heads.csv``, ``heads.md`` and a figure per track and model; with ablations
    ``ablations.csv`` and ``ablation_tests.csv`` too."""
    folder.mkdir(parents=True, exist_ok=True)
    parts = {
        "heads.csv": tables.associations,
        "ablations.csv": tables.ablations,
        "ablation_tests.csv": tables.ablation_tests,
    }
    for name, table in parts.items():
        if len(table):
            yield _write(folder / name, table.to_csv(index=False))
    if len(tables.associations):
        yield _write(folder / "heads.md", _page(tables))
        figures: dict[str, bytes] = load("plots", "heads").call(tables.associations)
        for name, content in figures.items():
            yield _write(folder / name, content)


def _write(path: Path, content: str | bytes) -> Path:
    write_file(path, content)
    return path


def _page(tables: HeadTables) -> str:
    """Markdown: a line per head, layers and heads counted from 0."""
    lines = ["# Attention heads", ""]
    for model, replicate, layer, head, text in sentences(tables.associations):
        lines.append(f"- {model}, {replicate}: layer {layer}, head {head} {text}.")
    return "\n".join([*lines, ""])
