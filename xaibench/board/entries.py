"""What a board is made of: runs that were read and checked, and tables of estimates alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from xaibench.errors import UsageError, described, message_of
from xaibench.progress import announce
from xaibench.results.reading import Results, read_estimates, read_results
from xaibench.runs.series_folder import is_series, runs_of_series

from .verification import unfounded, unknown_of_intervals

if TYPE_CHECKING:
    import pandas as pd

NO_RECORDS = "estimates alone: there are no records to make them again from"


@dataclass(frozen=True, slots=True, eq=False)
class RunEntry:
    """A run on a board, by a ``name`` that no other has.

    ``data`` is the fingerprint of its data, or the name where that is not known; ``version`` is
    that of xaibench, empty where nobody says it. ``results`` is None where there are estimates
    alone. ``marks`` say what a reader must know of it; one that is not ``sound`` is shown and not
    ranked with others.
    """

    name: str
    estimates: pd.DataFrame
    data: str
    version: str
    results: Results | None = None
    marks: tuple[str, ...] = ()
    sound: bool = True


@dataclass(frozen=True, slots=True)
class Refused:
    """What could not be read, and why."""

    name: str
    reason: str


def read_entries(paths: Sequence[Path]) -> list[RunEntry | Refused]:
    """An entry per run of the folders (those of a series one by one), and per dataset of the CSV
    files of estimates, in this order.

    What is no run is Refused, with the reason; UsageError where a path comes twice or is not there.
    """
    entries: list[RunEntry | Refused] = []
    for name, path in [*_named(paths)]:
        try:
            entries += _of_csv(name, path) if path.suffix == ".csv" else [_of_folder(name, path)]
        except UsageError as error:
            entries.append(Refused(name, str(error)))
    return entries


def _named(paths: Sequence[Path]) -> Iterator[tuple[str, Path]]:
    known: dict[str, Path] = {}
    for path in paths:
        if not path.exists():
            raise UsageError(f"{path}: no such folder or file; expected runs or CSV of estimates")
        for name, own in _runs(path):
            if known.setdefault(name, own) is not own:
                raise UsageError(
                    f"{own}: another run is called {name!r} too ({known[name]}); rename its folder"
                )
            yield name, own


def _runs(path: Path) -> Iterator[tuple[str, Path]]:
    name = path.resolve().stem if path.suffix == ".csv" else path.resolve().name
    if not path.is_dir() or not is_series(path):
        yield name, path
        return
    for label, folder in runs_of_series(path):
        yield f"{name}/{label}", folder


def _of_folder(name: str, folder: Path) -> RunEntry:
    results = read_results(folder)
    announce(f"{name}: making its estimates again from its records")
    environment = results.environment
    marks = [*(environment.get("cautions") or [])]
    wrong = _problem(folder, results)
    unknown = unknown_of_intervals(results)
    if unknown:
        marks.append(f"its intervals are not checked: the folder does not say {unknown}")
    failed = int((results.records["status"] == "failed").sum())
    if failed:
        marks.append(f"{failed:,} of its {len(results.records):,} records are failures")
    return RunEntry(
        name,
        results.estimates,
        data=str(environment.get("data") or name),
        version=str((environment.get("versions") or {}).get("xaibench", "")),
        results=results,
        marks=(wrong, *marks) if wrong else tuple(marks),
        sound=not wrong,
    )


def _problem(folder: Path, results: Results) -> str:
    """Why a run is not to be ranked with others; empty where it is."""
    unfinished = results.environment.get("unfinished")
    if unfinished:
        return f"unfinished: {unfinished['done']} of {unfinished['tasks']} tasks"
    try:
        return unfounded(folder, results)
    except Exception as error:  # a stranger's values may be anything that the schema allows
        reason = message_of(error) if isinstance(error, UsageError) else described(error)
        return f"its estimates cannot be made again: {reason}"


def _of_csv(name: str, path: Path) -> list[RunEntry]:
    """An entry per value of the column ``data``, where there is one."""
    table = read_estimates(path)
    parts = table.groupby("data", sort=False) if "data" in table else [(name, table)]
    entry = partial(RunEntry, marks=(NO_RECORDS,))
    return [
        entry(
            name if part == name else f"{name}/{part}",
            own,
            data=str(part),
            version=", ".join(own["version"].astype(str).unique()) if "version" in own else "",
        )
        for part, own in parts
    ]
