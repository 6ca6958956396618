"""The source files that a plug-in is made of: what it is, for the store."""

from __future__ import annotations

import ast
import importlib.util
import sys
import sysconfig
from collections.abc import Iterator
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from types import ModuleType

Sources = tuple[tuple[str, str], ...]
"""The modules that a plug-in is made of and the digest of each, its own first."""


def sources_of(module: ModuleType) -> Sources:
    """A module, and every module that it imports directly or through others and that is no part of
    Python, of xaibench or of a package that was installed for good.

    Read from the text of the files, so imports within functions count, and nothing is imported.
    Modules that are named only when the code runs (``importlib.import_module(name)``, but not
    ``importlib.import_module("name")``) are not noticed, nor are files of data.
    """
    file = Path(str(module.__file__)).resolve()
    stat = file.stat()
    return _cached_sources(
        module.__name__, module.__package__ or "", file, stat.st_mtime_ns, stat.st_size
    )


def digest_of(sources: Sources) -> str:
    """Names a plug-in's source; of a single file it is the digest of that."""
    if len(sources) == 1:
        return sources[0][1]
    return blake2b(repr(sources).encode(), digest_size=8).hexdigest()


def is_installed(file: Path) -> bool:
    """Whether a file belongs to Python or to a package whose version says what it holds; the
    source of one that is installed to be edited is elsewhere."""
    if {"site-packages", "dist-packages"} & set(file.parts):
        return True
    return file.is_relative_to(Path(sysconfig.get_path("stdlib")).resolve())


@lru_cache
def _cached_sources(name: str, package: str, file: Path, changed: int, size: int) -> Sources:
    """Remembered, for a run asks thousands of times: modules stay as they were imported."""
    files, waiting = {name: file}, [(name, package)]
    while waiting:
        current, within = waiting.pop()
        for imported in _imported_names(files[current], within, current):
            file_of_import = _local_file(imported, beside=file.parent)
            if file_of_import is not None and file_of_import not in files.values():
                files[imported] = file_of_import
                is_package = file_of_import.name == "__init__.py"
                parent = imported if is_package else imported.rpartition(".")[0]
                waiting.append((imported, parent))
    own, *others = files
    return tuple((each, _digest(files[each])) for each in [own, *sorted(others)])


def _imported_names(file: Path, package: str, name: str) -> Iterator[str]:
    """The dotted names of the modules that a file may import, and of the packages they are in."""
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError):
        return  # Python cannot import it either
    yield from _with_parents(name if package else "")
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _with_parents(alias.name)
        elif isinstance(node, ast.ImportFrom):
            source = _absolute(node, package)
            yield from _with_parents(source)
            yield from (f"{source}.{alias.name}" for alias in node.names if source)
        elif isinstance(node, ast.Call):
            yield from _with_parents(_imported_by_call(node, package))


def _imported_by_call(node: ast.Call, package: str) -> str:
    """The module that ``import_module`` or ``__import__`` is given in so many words; "" for other
    calls, and for a name that is made when the code runs."""
    called = node.func.attr if isinstance(node.func, ast.Attribute) else ast.unparse(node.func)
    if called not in ("import_module", "__import__") or not node.args:
        return ""
    written = node.args[0].value if isinstance(node.args[0], ast.Constant) else ""
    return _resolved(written, package) if isinstance(written, str) else ""


def _absolute(node: ast.ImportFrom, package: str) -> str:
    """The module that ``from ... import`` names; "" where it is relative to no package."""
    return _resolved("." * node.level + (node.module or ""), package)


def _resolved(name: str, package: str) -> str:
    """A name that may be relative to a package; "" where it is relative to none."""
    try:
        return importlib.util.resolve_name(name, package or None)
    except ImportError:
        return ""


def _with_parents(name: str) -> Iterator[str]:
    """``a``, ``a.b`` and ``a.b.c`` of ``a.b.c``: what its import runs."""
    parts = name.split(".") if name else []
    yield from (".".join(parts[:end]) for end in range(1, len(parts) + 1))


def _local_file(name: str, *, beside: Path) -> Path | None:
    """The file of a module that is where people edit; None of any other."""
    top, *rest = name.split(".")
    if top in sys.stdlib_module_names or top == "xaibench":
        return None
    for root in (_root(top), beside):
        if root is None or is_installed(root):
            continue
        place = root.joinpath(top, *rest)
        files = [place.with_name(f"{place.name}.py"), place / "__init__.py"]
        for file in files:
            if file.is_file():
                return file.resolve()
    return None


def _root(top: str) -> Path | None:
    """The folder that a module of this name would be imported from."""
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):  # what was put into sys.modules by hand has no spec
        return None
    if spec is None:
        return None
    places = list(spec.submodule_search_locations or ())
    if places:
        return Path(places[0]).parent
    return Path(spec.origin).parent if spec.origin and spec.has_location else None


def _digest(file: Path) -> str:
    return blake2b(file.read_bytes(), digest_size=8).hexdigest()
