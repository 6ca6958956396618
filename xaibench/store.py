"""Artefacts in folders named by the hash of what they are; whole or absent, never half."""

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

Spec = Mapping[str, Any]
"""What an artefact is and what it came from, as JSON; its ``kind`` begins the folder's name."""

OK, FAILED, NOT_APPLICABLE = "ok", "failed", "not applicable"
NOT_COMPUTED = "not computed"
"""The reason where an artefact is not there, and the status where a run has not come so far."""


def key(spec: Spec) -> str:
    """The folder name of an artefact.

    >>> key({"kind": "model", "seed": 0}) == key({"seed": 0, "kind": "model"})
    True
    """
    canonical = json.dumps(spec, sort_keys=True, separators=(",", ":")).encode()
    return f"{spec['kind']}-{blake2b(canonical, digest_size=10).hexdigest()}"


@dataclass(frozen=True, slots=True)
class Store:
    """The artefacts of one run folder."""

    root: Path

    def path(self, spec: Spec) -> Path:
        """Where an artefact lies, or would."""
        return self.root / key(spec)

    def holds(self, spec: Spec) -> bool:
        """Whether it is there and needs no second try (a failure does)."""
        path = self.path(spec)
        return path.is_dir() and self.outcome(spec)[0] != FAILED

    def outcome(self, spec: Spec) -> tuple[str, str]:
        """The status of an artefact and its reason."""
        written = json.loads((self.path(spec) / "spec.json").read_text())
        return written["status"], written["reason"]

    def keep(
        self, spec: Spec, make: Callable[[Path], None], *, status: str = OK, reason: str = ""
    ) -> Path:
        """Make an artefact in a folder of its own and commit it by rename, unless it is there."""
        if self.holds(spec):
            return self.path(spec)
        self.root.mkdir(parents=True, exist_ok=True)
        making = Path(tempfile.mkdtemp(prefix=".making-", dir=self.root))
        try:
            make(making)
            (making / "spec.json").write_text(
                json.dumps({"status": status, "reason": reason, "spec": spec}, indent=1)
            )
            _sync(making)
            _commit(making, self.path(spec))
        finally:
            shutil.rmtree(making, ignore_errors=True)
        return self.path(spec)


def _commit(making: Path, path: Path) -> None:
    """Another process may have made the same artefact meanwhile; then theirs stays."""
    if path.is_dir() and json.loads((path / "spec.json").read_text())["status"] == FAILED:
        shutil.rmtree(path)
    try:
        making.rename(path)
    except OSError:
        if not path.is_dir():
            raise


def _sync(folder: Path) -> None:
    for file in folder.iterdir():
        with file.open("rb") as handle:
            os.fsync(handle.fileno())
