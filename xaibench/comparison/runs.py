"""The runs that are compared: read, named by a letter, rejected where nothing can be compared."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from string import ascii_uppercase
from typing import Any

import pandas as pd

from xaibench.errors import UsageError
from xaibench.protocols import MetricFacts
from xaibench.results.metric_facts import read_facts
from xaibench.results.reading import Results, read_results
from xaibench.results.replicates import numbered_alike


@dataclass(frozen=True, slots=True)
class ComparedRun:
    """One of the runs; ``letter`` names it in print, ``name`` is the end of its folder."""

    letter: str
    name: str
    folder: Path
    results: Results
    facts: Mapping[str, MetricFacts]


def read_runs(folders: Sequence[Path]) -> tuple[ComparedRun, ...]:
    """The runs in these folders, A, B ... in their order; UsageError where one is no finished run,
    comes twice, or is alone."""
    if len(folders) < 2:
        raise UsageError(f"compare: expected the folders of two runs or more, got {len(folders)}")
    if len(folders) > len(ascii_uppercase):
        raise UsageError(
            f"compare: expected at most {len(ascii_uppercase)} runs, got {len(folders)}"
        )
    known: dict[Path, Path] = {}
    for folder in folders:
        other = known.setdefault(_resolved(folder), folder)
        if other is not folder:
            raise UsageError(
                f"compare: {other} and {folder} are the same folder; name each run once"
            )
    runs = [
        _run(letter, name, folder)
        for letter, name, folder in zip(
            ascii_uppercase, _folder_names(folders), folders, strict=False
        )
    ]
    alike = numbered_alike([run.results for run in runs])
    return tuple(replace(run, results=one) for run, one in zip(runs, alike, strict=True))


def _resolved(folder: Path) -> Path:
    """Not ``Path.resolve``, which raises for a link that leads to itself."""
    return Path(os.path.realpath(folder))


def _folder_names(folders: Sequence[Path]) -> list[str]:
    """The last part of each folder, and where two are alike the part before it too."""
    parts = [_resolved(folder).parts for folder in folders]
    last = [each[-1] for each in parts]
    alone = [last.count(name) == 1 for name in last]
    return [
        name if one else "/".join(each[-2:])
        for name, one, each in zip(last, alone, parts, strict=True)
    ]


def _run(letter: str, name: str, folder: Path) -> ComparedRun:
    results = read_results(folder)
    if results.environment.get("unfinished"):
        raise UsageError(
            f"{folder}: expected a finished run, got one that was stopped; "
            "its command again continues it"
        )
    return ComparedRun(letter, name, folder, results, read_facts(folder, results.environment))


def version_of(environment: Mapping[str, Any]) -> str:
    """The version of xaibench that made a run."""
    versions = environment.get("versions")
    return str(versions.get("xaibench", "")) if isinstance(versions, dict) else ""


def of_explanations(records: pd.DataFrame) -> pd.DataFrame:
    """The records of the methods' own maps that have a value."""
    own = (records["control"] == "") & (records["method"] != "") & (records["status"] == "ok")
    return records[own]


def seeds_in(run: ComparedRun) -> set[int]:
    return {int(seed) for seed in run.results.records["seed"].unique()}


def explained_sequences(run: ComparedRun) -> set[str]:
    """The names of the sequences that were explained."""
    return {str(name) for name in of_explanations(run.results.records)["sequence"].unique()}
