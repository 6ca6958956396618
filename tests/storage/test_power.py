"""After a loss of power a disk holds what was flushed, of the rest nothing or empty files. Whatever
it is, the same command comes to the same bits."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from stat import S_ISDIR

import pytest
import torch
from safetensors.numpy import load
from stopped_run import LEAN, finished

from xaibench.errors import UsageError
from xaibench.models import checkpoints
from xaibench.models.training import _optimiser
from xaibench.runs.pipeline import OUTPUTS
from xaibench.runs.reporting import report
from xaibench.storage.artefacts import Store, is_artefact
from xaibench.storage.files import make_folder, write_file

pytestmark = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="no names of open files")

PLAN = LEAN.replace("epochs: 1", "epochs: 2")
BITS = [name for name in OUTPUTS if name not in ("environment.json", "cost.csv", "training.csv")]
"""The files that say nothing of time."""

Image = dict[str, bytes]
"""The files below a folder."""


@dataclass(slots=True)
class Disk:
    """What a disk holds for certain: every file and folder as it was when it was last flushed.

    An image of each kind is taken after every flush and every rename.
    """

    root: Path
    flushed: dict[int, dict[str, int] | bytes] = field(default_factory=dict)
    times: dict[int, int] = field(default_factory=dict)
    handles: list[int] = field(default_factory=list)
    images: dict[str, list[Image]] = field(default_factory=lambda: {"certain": [], "emptied": []})

    def flush(self, handle: int) -> None:
        status = os.fstat(handle)
        self.handles.append(os.dup(handle))  # as long as it is open, no other file has its number
        self.times[status.st_ino] = status.st_mtime_ns
        if S_ISDIR(status.st_mode):
            with os.scandir(handle) as entries:
                self.flushed[status.st_ino] = {each.name: each.inode() for each in entries}
        else:  # it may be open for writing alone
            self.flushed[status.st_ino] = Path(f"/proc/self/fd/{handle}").read_bytes()
        self.take()

    def rename(self, rename: Callable[..., None], *paths: Path) -> None:
        rename(*paths)
        self.take()

    def take(self) -> None:
        for kind, images in self.images.items():
            image = dict(getattr(self, kind)())
            if not images or images[-1] != image:
                images.append(image)

    def certain(self) -> Iterator[tuple[str, bytes]]:
        """Nothing that was not flushed, with the folders on the way to it."""

        def below(number: int, name: str) -> Iterator[tuple[str, bytes]]:
            held = self.flushed.get(number, b"")
            if isinstance(held, bytes):
                yield name, held
                return
            for inner, inner_number in held.items():
                yield from below(inner_number, f"{name}/{inner}")

        for name, content in below(self.root.stat().st_ino, ""):
            yield name[1:], content

    def emptied(self) -> Iterator[tuple[str, bytes]]:
        """Every name as it is, and nothing in the files that were not flushed."""
        for path in sorted(self.root.rglob("*")):
            status = path.stat()
            if not S_ISDIR(status.st_mode):
                whole = self.times.get(status.st_ino) == status.st_mtime_ns
                name = str(path.relative_to(self.root))
                yield name, self.flushed[status.st_ino] if whole else b""


@pytest.fixture(scope="module")
def watched():
    """Makes the disk under a folder; its flushes do not wait for the real one."""
    disks: list[Disk] = []
    renames = {"rename": os.rename, "replace": os.replace}
    with pytest.MonkeyPatch.context() as patched:

        def watch(root: Path) -> Disk:
            disks.append(Disk(root))
            patched.setattr(os, "fsync", disks[-1].flush)
            for name, rename in renames.items():
                patched.setattr(os, name, partial(disks[-1].rename, rename))
            return disks[-1]

        yield watch
    for handle in [handle for disk in disks for handle in disk.handles]:
        os.close(handle)


@pytest.fixture(scope="module")
def run(tmp_path_factory, watched):
    """The folder of a run, and the images of its disk."""
    root = tmp_path_factory.mktemp("power") / "disk"
    root.mkdir()
    disk = watched(root)
    assert finished(root / "run", PLAN).failures == []
    disk.take()
    return root / "run", disk.images


STORE = "run/store/"
BEGUN, RENDERED, STATE = f"{STORE}begun.json", f"{STORE}rendered.json", checkpoints.STATE_FILE


def artefacts(image: Image) -> dict[str, Image]:
    """The files of each artefact that a run would find."""
    every: dict[str, Image] = {}
    for name, content in image.items():
        folder, _, file = name.removeprefix(STORE).rpartition("/")
        if name.startswith(STORE) and is_artefact(folder):
            every.setdefault(folder, {})[file] = content
    return every


@pytest.mark.parametrize("kind", ["certain", "emptied"])
def test_no_artefact_checkpoint_or_mark_is_half_there_at_any_moment(run, kind):
    folder, images = run
    files = [path for path in folder.rglob("*") if path.is_file()]
    whole = artefacts({f"run/{path.relative_to(folder)}": path.read_bytes() for path in files})
    states, marks = set(), set()
    for image in images[kind]:
        assert artefacts(image).items() <= whole.items()
        states |= {len(load(content)) for name, content in image.items() if name.endswith(STATE)}
        marks |= {json.loads(image[name])["mark"] for name in [BEGUN] if name in image}
        marks |= {json.loads(content)["data"] for name, content in image.items() if "data" in name}
    assert (len(whole), len(states) > 0, len(marks)) == (25, True, 3)
    assert artefacts(images[kind][-1]) == whole
    assert BEGUN not in images[kind][-1]


def first(images: list[Image], holds: str, without: str = "no such name") -> Image:
    return next(
        image
        for image in images
        if any(holds in name for name in image) and not any(without in name for name in image)
    )


CUTS = {
    "certain, training": (lambda images: first(images["certain"], STATE), 3),
    "certain, explaining": (lambda images: first(images["certain"], "explained-"), 0),
    "certain, ended": (lambda images: first(images["certain"], RENDERED, BEGUN), 0),
    "emptied, tables": (lambda images: first(images["emptied"], "environment.json"), 0),
    "emptied, ended": (lambda images: images["emptied"][-1], 0),
}
"""What is left on the disk, and how many of the four epochs are trained after that."""


def restored(image: Image, place: Path) -> Path:
    """The folder of the run as the disk has it, with the plan and plug-in of its command."""
    for name, content in image.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(content)
    return place / "run"


@pytest.mark.parametrize(("cut", "epochs"), CUTS.values(), ids=CUTS)
def test_after_a_loss_of_power_the_same_command_comes_to_the_same_bits(
    run, cut, epochs, tmp_path, monkeypatch, capsys
):
    whole, images = run
    image = cut(images)
    folder = restored(image, tmp_path)
    assert any((whole / name).read_bytes() != image.get(f"run/{name}") for name in BITS)
    save, saved = checkpoints.save, []
    monkeypatch.setattr(checkpoints, "save", lambda *state: (saved.append(state), save(*state)))
    outcome = finished(folder, PLAN)
    assert outcome.failures == []
    assert "set aside" not in capsys.readouterr().err  # nothing that was synced is damaged
    assert len(saved) == epochs
    assert (outcome.computed == 0) == (len(artefacts(image)) == 25)
    for name in BITS:
        assert (folder / name).read_bytes() == (whole / name).read_bytes(), name


@pytest.mark.parametrize("kind", ["certain", "emptied"])
def test_a_table_that_was_lost_or_is_an_older_one_is_in_no_report(run, kind, tmp_path):
    """The run has ended, so only digests tell that a table is not the one that it wrote."""
    whole, images = run
    folder = restored(first(images[kind], RENDERED, BEGUN), tmp_path)
    with pytest.raises(UsageError, match=r"run its command again"):
        report(folder)
    for name in OUTPUTS:
        shutil.copy(whole / name, folder)
    older = (folder / "estimates.csv").read_text().splitlines(keepends=True)
    (folder / "estimates.csv").write_text("".join(older[:-1]))
    with pytest.raises(UsageError, match=r"estimates\.csv: is not as its run wrote it"):
        report(folder)


def kept_artefact(folder: Path) -> None:
    Store(folder).keep({"kind": "a"}, lambda making: (making / "b").write_text("x") and None)


def saved_checkpoint(folder: Path) -> None:
    network = torch.nn.Linear(2, 3)
    optimiser = _optimiser(network, 20, 2e-3, 1e-2, "one_cycle")
    checkpoints.save(checkpoints.State(network, *optimiser), folder / "training")


def file_in_new_folders(folder: Path) -> None:
    make_folder(folder / "a" / "b")
    write_file(folder / "a" / "b" / "c", "x", durable=True)


@pytest.mark.parametrize("write", [kept_artefact, saved_checkpoint, file_in_new_folders])
def test_what_was_written_durably_is_certain_once_its_writer_has_returned(watched, tmp_path, write):
    disk = watched(tmp_path)
    write(tmp_path)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    there = {str(path.relative_to(tmp_path)): path.read_bytes() for path in files}
    assert there
    assert dict(disk.certain()) == there
