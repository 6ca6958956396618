"""Where somebody's run folder comes to lie: beside files that nothing may change, nor read."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from stopped_run import moved

from xaibench.errors import UsageError

SECRET = "what lies outside"

BESIDE = ("run", "series", "outside", "tiny.yaml", "own.py", "evil.py", "__pycache__")
"""What a test puts there itself, and Python beside a plug-in that it compiled."""


def emptied(path: Path) -> Path:
    """A path at which nothing is."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    elif os.path.lexists(path):
        path.unlink()
    return path


def _state(folder: Path) -> dict[str, object]:
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else path.stat().st_mode
        for path in sorted(folder.rglob("*"))
    }


class Place:
    """A copy of a run in ``folder``, and ``outside`` the ``victim`` and a folder ``elsewhere``.

    Code of the run folder that is executed leaves the file ``mark``.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.outside = folder, folder / "outside"
        self.victim, self.elsewhere = self.outside / "victim", self.outside / "folder"
        self.mark = folder / "PWNED"
        self._make()

    def _make(self) -> None:
        emptied(self.folder).mkdir()
        self.elsewhere.mkdir(parents=True)
        for file in (self.victim, self.elsewhere / "theirs"):
            file.write_text(SECRET)
        self._before = _state(self.outside)

    def copy(self, run: Path) -> Path:
        """A copy of a run with what lies beside it."""
        return moved(run, self.folder)

    def damaged(self, run: Path, name: str, damage: Callable[[Path, Path], object]) -> Path:
        """A copy of a run in which a file is damaged; all else is made anew."""
        self._make()
        copy = self.copy(run)
        damage(copy / name, self.outside)
        self._before = _state(self.outside)
        return copy

    def check(self) -> None:
        """Nothing was run, nothing outside has changed or is new, and no report holds any of it."""
        assert _state(self.outside) == self._before
        assert {path.name for path in self.folder.iterdir()} <= {*BESIDE}
        written = [path for path in self.folder.glob("run/*.*") if path.is_file()]
        texts = [path.read_bytes() for path in written if not path.is_symlink()]
        assert not any(SECRET.encode() in text for text in texts)


def line_of(command: Callable[[], object]) -> str:
    """What a command says where it refuses; empty where it does not."""
    try:
        command()
    except UsageError as error:
        return str(error)
    return ""
