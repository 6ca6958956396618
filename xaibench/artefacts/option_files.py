"""The files that options of a plan name: opened where they were checked, known by their bytes."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import Any

from xaibench.plan.paths import locate
from xaibench.plugins.options import with_paths
from xaibench.plugins.registry import Plugin
from xaibench.storage.files import digest_of_file

_DIGEST_BYTES = 10


def located(plugin: Plugin, options: Mapping[str, Any], source: str) -> dict[str, Any]:
    """The options with every path as it is from here; ``source`` is the plan that names them."""
    return with_paths(plugin, options, lambda path: locate(path, source))


def by_content(plugin: Plugin, options: Mapping[str, Any], source: str) -> dict[str, Any]:
    """The options with the digest of what is in it in place of every path: for a spec, which says
    what a file holds and not where it is."""
    return with_paths(plugin, options, lambda path: content_digest(locate(path, source)))


def content_digest(path: Path) -> str:
    """Names the bytes of a file, or of all files of a folder with their names in it."""
    if not path.is_dir():
        return _digest_of_file(path)
    digest = blake2b(digest_size=_DIGEST_BYTES)
    for each in sorted(each for each in path.rglob("*") if each.is_file()):
        digest.update(f"{each.relative_to(path)}\0{_digest_of_file(each)}\0".encode())
    return digest.hexdigest()


def _digest_of_file(path: Path) -> str:
    stat = path.stat()
    return _cached_digest(path.resolve(), stat.st_mtime_ns, stat.st_size, stat.st_ino)


@lru_cache(maxsize=1024)
def _cached_digest(path: Path, changed: int, size: int, number: int) -> str:
    """Remembered: a run asks for the spec of an artefact thousands of times."""
    return digest_of_file(path)[: 2 * _DIGEST_BYTES]
