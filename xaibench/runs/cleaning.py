"""What lies in a run folder that nothing refers to, and its removal."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISDIR

from xaibench.artefacts.job import Work
from xaibench.artefacts.models import CHECKPOINT, checkpoint_folder
from xaibench.errors import UsageError
from xaibench.results.compatibility import check_store
from xaibench.results.manifest import job_of_folder, stage_of
from xaibench.storage.artefacts import DAMAGED, is_artefact, key
from xaibench.storage.files import remove_tree, with_rights
from xaibench.storage.lock import abandoned, alone, busy

from .folder import check_folder
from .pipeline import offline_work
from .series_folder import datasets_of_series, is_series
from .tasks import artefacts_of, tasks

OF_THE_DATA = ("floor", "references")
"""Kinds of artefacts that belong to the data, whatever the plan asks of them."""


@dataclass(frozen=True, slots=True)
class Leftover:
    """A file or folder of a run that nothing refers to, why, and its size in bytes."""

    path: Path
    why: str
    size: int


@dataclass(frozen=True, slots=True)
class Leftovers:
    """What nothing refers to at one ``stage`` of a run, which changes when the run goes on."""

    stage: tuple[str, str]
    items: list[Leftover]


def runs_in(folder: Path) -> list[Path]:
    """The folder of a run, or those of the runs of a series; none that is a link."""
    if not is_series(folder):
        return [folder]
    runs = [folder / label for label in datasets_of_series(folder)]
    return [run for run in runs if (run / "store").is_dir() and not run.is_symlink()]


def leftovers(folder: Path, plugins: tuple[str, ...] = ()) -> Leftovers:
    """What nothing of the run's plan refers to; no link is followed, and nothing is fetched.

    UsageError where a run is under way, or the plan refers to nothing of what there is: then
    plug-ins or the data are others now, and all would be deleted.
    """
    with with_rights(folder):
        check_store(folder)
        stage = stage_of(folder)
        work = offline_work(job_of_folder(folder, plugins))
        check_folder(work)
        if busy(work.store.root):
            raise UsageError(
                f"{folder}: a run is under way in this folder; wait until it has ended"
            )
        items = [Leftover(path, why, _size(path)) for path, why in _unreferred(work)]
        return Leftovers(stage, items)


def delete(folder: Path, left: Leftovers) -> Iterator[str]:
    """Delete what was found; a line for each that cannot be deleted.

    UsageError where a run is under way, or has been meanwhile.
    """
    with alone(folder / "store"):
        if stage_of(folder) != left.stage:
            raise UsageError(f"{folder}: its run has gone on meanwhile; ask for what is left again")
        for each in left.items:
            try:
                remove_tree(each.path)
            except OSError as error:
                yield f"{error.filename or each.path}: {error.strerror}"


def _unreferred(work: Work) -> Iterator[tuple[Path, str]]:
    store = work.store.root
    specs = [each.spec for task in tasks(work.plan) for each in artefacts_of(work, task)]
    named = {key(spec) for spec in specs}
    stored = [path for path in sorted(store.iterdir()) if is_artefact(path.name)]
    stored = [path for path in stored if path.name.partition("-")[0] not in OF_THE_DATA]
    if stored and not named & {path.name for path in stored}:
        raise UsageError(
            f"{store.parent}: its plan refers to none of its {len(stored):,} artefacts, so plug-ins"
            " or xaibench have changed since; run its command again first, or delete the folder"
        )
    yield from ((path, "nothing refers to it") for path in stored if path.name not in named)
    going_on = {checkpoint_folder(work, spec) for spec in specs if not work.store.holds(spec)}
    for path in sorted(store.glob(f"{CHECKPOINT}*")):
        if path not in going_on:
            yield path, "a checkpoint of no training to go on with"
    yield from ((path, "set aside as damaged") for path in _inside(store / DAMAGED))
    yield from ((path, "never finished") for path in abandoned(store))


def _inside(folder: Path) -> list[Path]:
    """What lies in a folder; a link in its place itself."""
    if folder.is_symlink() or folder.is_file():
        return [folder]
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _size(path: Path) -> int:
    """Bytes of a file or of all files in a folder; what cannot be read counts nothing."""
    total = 0
    try:
        status = path.lstat()
    except OSError:
        return 0
    if not S_ISDIR(status.st_mode):
        return status.st_size
    for place, _, files in os.walk(path):
        total += sum(_size(Path(place) / name) for name in files)
    return total
