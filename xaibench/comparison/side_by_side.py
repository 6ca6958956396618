"""Runs side by side, each with the first; plug-ins of ``xaibench.comparisons`` describe it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from xaibench.errors import UsageError, described
from xaibench.plugins.registry import available, load
from xaibench.storage.files import write_file

from .difference_rows import difference_rows, incomparable
from .gates import GateResult, gate, gate_results
from .overlap import Shared, shared
from .runs import ComparedRun, read_runs
from .same_models import SameModel, same_models
from .setup_differences import Difference, compare_cautions, differences, training_cautions

PRINTED_FORMAT = "text"
"""The format that the command line prints."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two runs: what differs, what makes a label mean another thing, and the shared figures.

    ``same_models`` says of each model in both whether it is the same trained model; ``rows`` are
    those of ``difference_rows``.
    """

    first: ComparedRun
    second: ComparedRun
    shared: Shared
    differences: tuple[Difference, ...]
    cautions: tuple[str, ...]
    same_models: dict[str, SameModel]
    rows: pd.DataFrame


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a comparison in some format is made from: a plug-in is called with it and gives ``{file
    name: text}``."""

    runs: tuple[ComparedRun, ...]
    pairs: tuple[Pair, ...]
    gates: tuple[GateResult, ...]

    @property
    def failed(self) -> bool:
        return any(each.verdict == "failed" for each in self.gates)


def compare(folders: Sequence[Path], gates: Iterable[str] = ()) -> Comparison:
    """The runs in these folders, each against the first; each of ``gates`` is METRIC:METHOD:DROP.

    UsageError where a folder is no finished run, two share nothing, or no row is about a gate.
    """
    parsed_gates = [gate(text) for text in gates]
    runs = read_runs(folders)
    with _naming(runs):
        pairs = tuple(_pair_of(runs[0], other) for other in runs[1:])
        alike = {
            (pair.second.letter, model): each.verdict == "same"
            for pair in pairs
            for model, each in pair.same_models.items()
        }
        all_rows = pd.concat([pair.rows for pair in pairs], ignore_index=True)
        return Comparison(runs, pairs, gate_results(parsed_gates, all_rows, same_models=alike))


@contextmanager
def _naming(runs: Sequence[ComparedRun]) -> Iterator[None]:
    """In here an error without a meaning is one line: what the folders hold may be a stranger's."""
    try:
        yield
    except (UsageError, OSError, ImportError, MemoryError):  # none is of the folders
        raise
    except Exception as error:
        folders = ", ".join(str(run.folder) for run in runs)
        raise UsageError(
            f"{folders}: cannot be compared, for one of them is not as a run writes it: "
            f"{described(error)}; run their commands again"
        ) from error


def _pair_of(first: ComparedRun, second: ComparedRun) -> Pair:
    overlap = shared(first, second)
    compared = difference_rows(overlap, first, second)
    models = same_models(overlap, first, second)
    retrained = any(each.verdict == "anew" for each in models.values())
    training = training_cautions(first, second) if retrained else []
    return Pair(
        first,
        second,
        overlap,
        tuple(differences(first, second)),
        (*compare_cautions(first, second), *training, *_left_out_cautions(overlap, compared)),
        models,
        compared,
    )


def _left_out_cautions(overlap: Shared, compared: pd.DataFrame) -> Iterable[str]:
    if overlap.unlike:
        unlike = ", ".join(overlap.unlike)
        yield f"Left out, because they mean different things in the two runs: {unlike}."
    of_seeds = compared.loc[incomparable(compared), "metric"].unique()
    if len(of_seeds):
        yield (
            "Left out, because each value is an average over the other seeds of its run, and the "
            f"runs do not have the same: {', '.join(of_seeds)}."
        )


def printed_text(comparison: Comparison) -> str:
    """What the command line prints."""
    with _naming(comparison.runs):
        (text,) = load("comparisons", PRINTED_FORMAT).call(comparison).values()
        return str(text)


def write_files(comparison: Comparison, folder: Path) -> list[Path]:
    """The files of every format, written into a folder; UsageError where that cannot be."""
    paths = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for format_name in available("comparisons"):
            with _naming(comparison.runs):
                texts = load("comparisons", format_name).call(comparison)
            for name, text in texts.items():
                write_file(folder / name, text)
                paths.append(folder / name)
    except OSError as error:
        raise UsageError(f"{folder}: cannot be written: {error.strerror}") from None
    return paths
