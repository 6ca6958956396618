"""The folder of a series: its mark, and the reports and the page over all runs, without torch."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import BaseModel, ValidationError

from xaibench.errors import UsageError, described, message_of
from xaibench.plan.sections import datasets_of
from xaibench.plugins.registry import load
from xaibench.results import reading
from xaibench.results.reading import Results
from xaibench.storage.files import read_file, write_below

from .reporting import report

MARK = "series.json"
"""Lies in the folder of a series: its name, and by label why there is no run, if there is none."""

MOST_RUNS = 10_000


class _Mark(BaseModel):
    """A series: by dataset, why there is no run; empty where there is one, or will be."""

    name: str
    datasets: dict[str, str]


def is_series(folder: Path) -> bool:
    """Whether a folder is that of a series."""
    return os.path.lexists(folder / MARK)


def runs_of_series(folder: Path) -> list[tuple[str, Path]]:
    """The labels of a series with the folders of their runs, those that there are."""
    labels = _known(folder).datasets
    return [(label, folder / label) for label in labels if os.path.lexists(folder / label)]


def render_series(
    folder: Path, plugins: tuple[str, ...] = (), formats: tuple[str, ...] = ()
) -> tuple[list[Path], list[str]]:
    """The reports of every run of a series again, and the page over all.

    Returns the files, and a line for each thing that failed.
    """
    written, failures = [], []
    for label, reason in _known(folder).datasets.items():
        if reason and not os.path.lexists(folder / label):
            continue  # the page says why there is no run
        try:
            refuse_link(folder / label)
            files, failed = report(folder / label, plugins, formats)
        except UsageError as error:
            files, failed = [], [str(error)]
        written += files
        failures += [f"{label}: {failure}" for failure in failed]
    files, failed = overview(folder)
    return [*files, *written], [*failures, *failed]


def datasets_of_series(folder: Path) -> dict[str, str]:
    """By dataset of a series, why there is no run; empty where there is one, or will be."""
    return _known(folder).datasets


def overview(folder: Path) -> tuple[list[Path], list[str]]:
    """Write the page over all runs and its table; the files, and a line for each run that is not as
    a run writes it, or where the page failed."""
    known = _known(folder)
    try:
        texts, broken = _page(folder, known.name, known.datasets)
    except Exception as error:
        return [], [f"overview: {described(error)}"]
    written, failures = [], [f"{label}: {reason}" for label, reason in broken.items()]
    for name, text in texts.items():
        try:
            written.append(write_below(folder, name, text))
        except OSError as error:
            failures.append(f"overview: {error.filename}: {error.strerror}")
    return written, failures


def _page(
    folder: Path, name: str, absent: Mapping[str, str]
) -> tuple[dict[str, str], dict[str, str]]:
    """The files of the page, and by label the runs that no page can be made of, with the reason
    that the page gives in their place."""
    index = load("overviews", "index").call
    try:
        return dict(index(name, _runs(folder, absent))), {}
    except Exception:
        broken = {}
        for label, run in _runs(folder, absent):  # each alone, for they may be large
            try:
                index(name, [(label, run)])
            except Exception as error:
                broken[label] = (
                    f"{folder / label}: is not as a run writes it: {described(error)}; "
                    "run its command again"
                )
        runs = ((label, broken.get(label, run)) for label, run in _runs(folder, absent))
        return dict(index(name, runs)), broken


def _runs(folder: Path, absent: Mapping[str, str]) -> Iterator[tuple[str, Results | str]]:
    """One run at a time, for they may be large; or why there is none."""
    for label, reason in absent.items():
        try:
            refuse_link(folder / label)
            content: Results | str = reading.read_results(folder / label)
        except UsageError as error:
            content = reason or str(error)
        yield label, content


def _known(folder: Path) -> _Mark:
    """What the mark of a series says."""
    path = folder / MARK
    again = "run the command of the series again"
    try:
        known = _Mark.model_validate_json(read_file(path), strict=True)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}; {again}") from None
    except ValidationError as error:
        first = error.errors()[0]
        wrong = ".".join([*map(str, first["loc"]), first["msg"]])
        raise UsageError(
            f"{path}: unreadable, expected the name of a series and, by dataset, why there is no "
            f"run: {message_of(ValueError(wrong))}; {again}"
        ) from None
    try:
        if len(known.datasets) > MOST_RUNS:
            raise UsageError(f"expected at most {MOST_RUNS:,} runs, got {len(known.datasets):,}")
        datasets_of({label: {} for label in known.datasets})  # each a folder below this one
    except UsageError as error:
        raise UsageError(f"{path}: {error}; {again}") from None
    return known


def refuse_link(folder: Path) -> None:
    """What a series holds lies in it."""
    if folder.is_symlink():
        raise UsageError(f"{folder}: is a link, expected the folder of a run; move it here")
