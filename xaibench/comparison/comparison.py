"""Runs compared, each with the first; what is said of it comes from ``xaibench.comparisons``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from xaibench.errors import UsageError
from xaibench.plugins.registry import available, load
from xaibench.storage.files import write_file

from .differences import Difference, cautions, differences, trained_apart
from .gates import Judged, gate, judged
from .overlap import Shared, shared
from .rows import incomparable, rows
from .runs import Run, read_runs
from .same_models import Trained, trained

PRINTED = "text"
"""The form that the command line prints."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two runs: what differs, what makes a label mean another thing, and the shared figures.

    ``trained`` tells of each model in both whether it is the same trained model; ``rows`` are those
    of ``compare.rows``.
    """

    first: Run
    second: Run
    shared: Shared
    differences: tuple[Difference, ...]
    cautions: tuple[str, ...]
    trained: dict[str, Trained]
    rows: pd.DataFrame


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a form of the comparison is made from: a plug-in is called with it and gives
    ``{file name: text}``."""

    runs: tuple[Run, ...]
    pairs: tuple[Pair, ...]
    gates: tuple[Judged, ...]

    @property
    def failed(self) -> bool:
        return any(each.verdict == "failed" for each in self.gates)


def compare(folders: Sequence[Path], gates: Iterable[str] = ()) -> Comparison:
    """The runs in these folders, each against the first; each of ``gates`` is METRIC:METHOD:DROP.

    UsageError where a folder is no finished run, two share nothing, or a gate is about nothing.
    """
    wanted = [gate(text) for text in gates]
    runs = read_runs(folders)
    pairs = tuple(_pair(runs[0], other) for other in runs[1:])
    alike = {
        (pair.second.letter, model): each.verdict == "same"
        for pair in pairs
        for model, each in pair.trained.items()
    }
    every = pd.concat([pair.rows for pair in pairs], ignore_index=True)
    return Comparison(runs, pairs, judged(wanted, every, same_models=alike))


def _pair(first: Run, second: Run) -> Pair:
    found = shared(first, second)
    compared = rows(found, first, second)
    models = trained(found, first, second)
    anew = any(each.verdict == "anew" for each in models.values())
    apart = trained_apart(first, second) if anew else []
    return Pair(
        first,
        second,
        found,
        tuple(differences(first, second)),
        (*cautions(first, second), *apart, *_left_out(found, compared)),
        models,
        compared,
    )


def _left_out(found: Shared, compared: pd.DataFrame) -> Iterable[str]:
    if found.unlike:
        yield f"Left out, for they mean another thing in each run: {', '.join(found.unlike)}."
    of_seeds = compared.loc[incomparable(compared), "metric"].unique()
    if len(of_seeds):
        yield (
            "Left out, for each value is an average over the other seeds of its run, and the runs "
            f"do not have the same: {', '.join(of_seeds)}."
        )


def printed(comparison: Comparison) -> str:
    """What the command line says."""
    (text,) = load("comparisons", PRINTED).call(comparison).values()
    return str(text)


def written(comparison: Comparison, folder: Path) -> list[Path]:
    """The files of every form, written into a folder; UsageError where that cannot be."""
    paths = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for form in available("comparisons"):
            for name, text in load("comparisons", form).call(comparison).items():
                write_file(folder / name, text)
                paths.append(folder / name)
    except OSError as error:
        raise UsageError(f"{folder}: cannot be written: {error.strerror}") from None
    return paths
