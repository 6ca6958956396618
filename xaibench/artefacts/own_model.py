"""A model by its name and sequences in a file, from a command line: as a plan."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from xaibench.data.files.reading import holds_intervals
from xaibench.errors import UsageError
from xaibench.plan.changes import assign
from xaibench.plan.schema import Plan, of_mapping
from xaibench.progress import announce
from xaibench.values import Sequences


def dataset_of(sequences: str, genome: str | None) -> dict[str, Any]:
    """A file of sequences, or of intervals in a genome, as the dataset of a plan."""
    path = Path(sequences)
    if genome is not None:
        return {"name": "intervals", "path": str(path), "genome": genome}
    if path.is_file() and holds_intervals(path):
        raise UsageError(f"{path}: holds intervals, expected their genome: --genome FILE")
    return {"name": "file", "path": str(path)}


def changed_plan(written: dict[str, Any], changes: Iterable[str], plugins: tuple[str, ...]) -> Plan:
    """The plan with ``changes``, which are ``key=value``, written over it."""
    given = dict(written["dataset"])
    for change in changes:
        assign(written, change)
    own = {"path": given["path"], "name": given["name"]}
    if any(written["dataset"].get(name) != value for name, value in own.items()):
        raise UsageError("--set dataset: expected options of the sequences, which are given before")
    written["dataset"] = all_rows(written["dataset"])
    return of_mapping(written, plugins=plugins)


def all_rows(dataset: Mapping[str, Any]) -> dict[str, Any]:
    """Nothing is cut off to learn from, unless the file says what is."""
    return {"test_fraction": 1.0, **dataset}


def say_left_out(train: Sequences) -> None:
    """Say how many sequences are of train, and so are not looked at."""
    if len(train):
        announce(
            f"the column split says test of what is looked at; {len(train):,} sequences of train "
            "are left out"
        )
