"""What can be plugged in, by name, and which options it takes.

A plug-in is an entry point in the group ``xaibench.<kind>``; those of this package are in its
own pyproject.toml and come through here like everyone else's. ``--plugin`` adds the public
functions and classes of a file or module. ``prefix:Name`` is made by an adapter that owns the
prefix (group ``xaibench.adapters``); no other dotted path is ever imported.
"""

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib.machinery import SourceFileLoader
from importlib.metadata import EntryPoint, entry_points
from itertools import count
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from xaibench import __version__
from xaibench.errors import Unknown, UsageError, described
from xaibench.protocols import PROTOCOLS

from .fence import fenced
from .source_files import Sources, digest_of, is_installed, sources_of

FILE_MODULE_PREFIX = "xaibench_plugin_file_"
"""How the modules of plug-in files are called, before the name of the file."""

PLUGIN_KINDS = ("datasets", "models", "training", "attribution", "metrics", "operators", "reports")


@dataclass(frozen=True, slots=True)
class Plugin:
    """A plug-in that was imported; ``code`` names its version for the store.

    ``sources`` are the files that the version goes by; none where it is that of a package.
    """

    kind: str
    name: str
    call: Callable[..., Any]
    code: str
    sources: Sources = ()


def nearest(name: str, known: list[str]) -> str:
    """The end of a message about an unknown name.

    >>> nearest("salency", ["saliency", "random"])
    "did you mean 'saliency'?"
    """
    close = get_close_matches(name, known, n=1)
    return f"did you mean {close[0]!r}?" if close else f"known: {', '.join(known) or 'none'}"


@cache
def available(kind: str) -> dict[str, EntryPoint]:
    """The installed plug-ins of one kind by name, without importing any of them.

    What is installed is read once: that takes longer than all the rest of a look-up.
    """
    points: dict[str, EntryPoint] = {}
    for point in entry_points(group=f"xaibench.{kind}"):
        other = points.setdefault(point.name, point)
        if other.value != point.value:
            raise UsageError(
                f"two {kind} are named {point.name!r}: {other.value} and {point.value}; uninstall "
                "the package of one"
            )
    return dict(sorted(points.items()))


def load(kind: str, name: str, plugins: tuple[str, ...] = ()) -> Plugin:
    """Import one plug-in by name; ``plugins`` are the files and modules of ``--plugin``."""
    if ":" in name:
        return _adapted(kind, name)
    installed = available(kind)
    given = {key: plugin for source in plugins for key, plugin in members(kind, source).items()}
    if name in installed and name in given:
        raise UsageError(
            f"two {kind} are named {name!r}: {installed[name].value} and {given[name].code}; "
            "rename your own"
        )
    if name in given:
        return given[name]
    if name not in installed:
        known = sorted([*installed, *given])
        raise Unknown(f"no {kind} named {name!r}; {nearest(name, known)}")
    return _installed(kind, name)


@cache
def _installed(kind: str, name: str) -> Plugin:
    point = available(kind)[name]
    call, sources = _imported(point), _edited(point)
    return Plugin(kind, name, call, _version(point, sources), sources)


def _imported(point: EntryPoint) -> Callable[..., Any]:
    """What an entry point names; UsageError where its module raises."""
    try:
        with fenced():
            call: Callable[..., Any] = point.load()
    except Exception as error:
        raise UsageError(
            f"the plug-in {point.name!r} ({point.value}) cannot be imported: {described(error)}; "
            "reinstall its package, or uninstall it"
        ) from error
    _require_protocol(sys.modules.get(point.module), f"the plug-in {point.name!r} ({point.value})")
    return call


def _require_protocol(module: ModuleType | None, label: str) -> None:
    """UsageError where a module says that it was written for a protocol that does not work here."""
    declared = getattr(module, "XAIBENCH_PROTOCOL", PROTOCOLS[-1])
    if declared not in PROTOCOLS:
        raise UsageError(
            f"{label}: expected XAIBENCH_PROTOCOL {' or '.join(PROTOCOLS)}, which xaibench "
            f"{__version__} has, got {declared!r}; install a version of one that fits the other"
        )


def _edited(point: EntryPoint) -> Sources:
    """The sources of an imported plug-in whose package is installed to be edited, so that its
    version does not say what it holds; none of any other."""
    module = sys.modules.get(point.module)
    file = getattr(module, "__file__", None)
    if point.dist is None or point.dist.name == "xaibench" or module is None or file is None:
        return ()
    return () if is_installed(Path(file).resolve()) else sources_of(module)


def _version(point: EntryPoint, sources: Sources) -> str:
    """What names a plug-in in an artefact. Ours go by kind, name and version, so that code can move
    between modules and nothing that was computed is lost."""
    if point.dist is None or point.dist.name == "xaibench":
        kind = point.group.removeprefix("xaibench.")
        return f"{kind}:{point.name} {__version__}"
    version = f"{point.value} {point.dist.version}"
    return f"{version} {digest_of(sources)}" if sources else version


def _adapted(kind: str, name: str) -> Plugin:
    """The plug-in that an adapter makes of ``prefix:Name``; no other dotted path is imported."""
    prefix, _, member = name.partition(":")
    adapters = available("adapters")
    if prefix not in adapters:
        raise UsageError(
            f"{name!r} is not reachable from a plan (only {', '.join(adapters)}:...); "
            f"give its module with --plugin {prefix} and name it {member!r}"
        )
    call = _imported(adapters[prefix])(member)
    sources = _edited(adapters[prefix])
    return Plugin(kind, name, call, f"{name} {_version(adapters[prefix], sources)}", sources)


_HELD: dict[str, tuple[Plugin, ...]] = {}

_NUMBERS = count()


@contextmanager
def held(plugins: Iterable[Plugin]) -> Iterator[str]:
    """A name for functions that Python code has at hand and no file holds: within, ``load`` finds
    them where this name stands among its ``plugins``."""
    source = f"functions of this process, {next(_NUMBERS)}"
    _HELD[source] = tuple(plugins)
    try:
        yield source
    finally:
        del _HELD[source]


def members(kind: str, source: str) -> dict[str, Plugin]:
    """The public functions and classes that a plug-in file or module defines, or those that are
    ``held``."""
    if source in _HELD:
        return {plugin.name: plugin for plugin in _HELD[source] if plugin.kind == kind}
    module = _module(source)
    sources = sources_of(module)
    code = digest_of(sources)
    return {
        name: Plugin(kind, name, member, f"{Path(source).name}:{name} {code}", sources)
        for name, member in vars(module).items()
        if not name.startswith("_")
        and (inspect.isfunction(member) or inspect.isclass(member))
        and member.__module__ == module.__name__
    }


def _module(source: str) -> ModuleType:
    """The module of ``--plugin``, from a file or by its dotted name."""
    module = _imported_module(source)
    _require_protocol(module, f"--plugin {source}")
    return module


def _imported_module(source: str) -> ModuleType:
    path = Path(source)
    try:
        with fenced():
            of_file = path.suffix == ".py"
            module = _module_of_file(path) if of_file else importlib.import_module(source)
        if getattr(module, "__file__", None) is None:
            raise ImportError("expected a module of one file")
        return module
    except Exception as error:
        raise UsageError(f"--plugin {source}: cannot be imported: {described(error)}") from error


class _SourceLoader(SourceFileLoader):
    """Compiles what the file says now: Python's cache takes two files for one where they have the
    same length and were written within a second, and the digest of a plug-in is its source's."""

    def get_code(self, fullname: str) -> CodeType:
        return self.source_to_code(self.get_data(self.path), self.path)


def _module_of_file(path: Path) -> ModuleType:
    """Imported once under a name that no installed module has; modules beside it can be imported
    too, where no other of their name can."""
    name = f"{FILE_MODULE_PREFIX}{path.stem}"
    known = sys.modules.get(name)
    if known is not None and known.__file__ == str(path.resolve()):
        return known
    if not path.is_file():
        raise FileNotFoundError("no such file")
    loader = _SourceLoader(name, str(path.resolve()))
    spec = importlib.util.spec_from_file_location(name, path.resolve(), loader=loader)
    assert spec is not None  # it was given its loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    folder = str(path.resolve().parent)
    if folder not in sys.path:
        sys.path.append(folder)  # for good: functions may import what they need when they run
    try:
        loader.exec_module(module)
    except BaseException:
        del sys.modules[name]  # half a module is none
        raise
    return module
