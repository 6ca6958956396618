"""The mapping of a plan before it is checked: file or preset, ``extends``, ``--set``, defaults."""

import os
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from xaibench.errors import UsageError, shortened
from xaibench.plugins.options import with_paths
from xaibench.plugins.registry import load, nearest

from .bounds import CHARACTERS, PLANS
from .changes import assign
from .paths import combined_sources, folder_of_source, presets
from .sections import DEFAULTS, PLUGIN_SECTIONS, by_label, datasets_of, use_of
from .yaml_text import parsed_text


def plan_name(source: str) -> str:
    """What a run of a plan is called.

    >>> plan_name("plans/mine.yaml+quick")
    'mine+quick'
    """
    return "+".join(Path(part).stem for part in combined_sources(source))


def mapping_of(
    source: str, *, changes: tuple[str, ...] = (), plugins: tuple[str, ...] = ()
) -> dict[str, Any]:
    """What a preset or file says, with ``changes`` (``key=value``) and the defaults of what nobody
    says. Sections map labels to options; what is in them is not checked yet."""
    return _filled(_mapping_with_extended(source, plugins), changes)


def mapping_from(
    given: Mapping[str, Any], *, changes: tuple[str, ...] = (), plugins: tuple[str, ...] = ()
) -> dict[str, Any]:
    """The same of a mapping that Python code has at hand; its paths are relative to the current
    folder."""
    text = yaml.safe_dump(_plain(given), sort_keys=False)
    return _filled(_over_extended(parsed_text(text, MAPPING), MAPPING, plugins, (), []), changes)


MAPPING = "the plan"
"""What stands in messages for the name of a plan that is no file."""


def _plain(value: Any) -> Any:
    """The value as YAML holds it."""
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    return value.item() if hasattr(value, "item") else value


def _filled(written: dict[str, Any], changes: tuple[str, ...]) -> dict[str, Any]:
    for change in changes:
        assign(written, change)
    return {**DEFAULTS, **written}


def _mapping_with_extended(
    source: str,
    plugins: tuple[str, ...],
    above: tuple[str, ...] = (),
    every: list[str] | None = None,
) -> dict[str, Any]:
    """The mapping in a plan, laid section by section over those that it ``extends``; ``every`` are
    all that were read for one call."""
    every = [] if every is None else every
    every.append(source)
    if len(every) > PLANS:
        raise UsageError(f"extends: expected at most {PLANS} plans in all, got more")
    if os.path.realpath(source) in map(os.path.realpath, above):
        raise UsageError(f"extends: expected an end, got {' -> '.join([*above, source])}")
    return _over_extended(_own_mapping(source), source, plugins, above, every)


def _over_extended(
    written: dict[str, Any],
    source: str,
    plugins: tuple[str, ...],
    above: tuple[str, ...],
    every: list[str],
) -> dict[str, Any]:
    """What a plan says itself, over what it ``extends``."""
    for section in PLUGIN_SECTIONS:
        if section in written:
            written[section] = by_label(written[section], section)
    if "datasets" in written:
        written["datasets"] = datasets_of(written["datasets"])
    laid: dict[str, Any] = {}
    for name in _below(written.pop("extends", []), source):
        below = _mapping_with_extended(name, plugins, (*above, source), every)
        laid = _laid_over(laid, _relative_to(below, name, source, plugins))
    return _laid_over(laid, written)


def _below(names: Any, source: str) -> list[str]:
    """The plans below one, each as a preset or as a path from here."""
    names = [names] if isinstance(names, str) else names
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise UsageError(f"extends: expected a preset or file, or a list of them, got {names!r}")
    beside = folder_of_source(source)  # joined to an absolute path it falls away
    return [name if not name or name in presets() else str(beside / name) for name in names]


def _laid_over(below: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """One mapping over another; a dataset or datasets take the place of either."""
    either = {"dataset", "datasets"}
    hidden = either if either & {*over} else set()
    return {**{key: value for key, value in below.items() if key not in hidden}, **over}


def check_datasets(written: dict[str, Any], source: str) -> None:
    """One way or the other, and a size says neither."""
    if "dataset" in written and "datasets" in written:
        raise UsageError(f"{source}: expected dataset or datasets, got both")
    sized = all(part in presets() for part in combined_sources(source))
    if sized and "dataset" not in written and "datasets" not in written:
        raise UsageError(
            f"{source}: says how much, not of what: expected a plan with it, such as "
            f"planted+{source}, or extends: {source} in one with a dataset and models"
        )


def _relative_to(
    below: dict[str, Any], name: str, source: str, plugins: tuple[str, ...]
) -> dict[str, Any]:
    """The mapping of the plan ``name`` with the paths of its datasets relative to ``source``."""
    moved = dict(below)
    if "dataset" in below:
        moved["dataset"] = _with_moved_paths(below["dataset"], name, source, plugins)
    if "datasets" in below:
        each = below["datasets"].items()
        moved["datasets"] = {
            label: _with_moved_paths(one, name, source, plugins) for label, one in each
        }
    return moved


def _with_moved_paths(
    dataset: Any, below: str, source: str, plugins: tuple[str, ...]
) -> dict[str, Any]:
    """A dataset with the files beside the plan ``below``, relative to ``source``."""
    use = use_of(dataset, "dataset", key="name")

    def moved(path: str) -> str:
        there = folder_of_source(below) / path
        beside = not Path(path).is_absolute() and os.path.exists(there)
        return os.path.relpath(there, folder_of_source(source)) if beside else path

    plugin = load("datasets", use["use"], plugins)
    return {"name": use["use"], **with_paths(plugin, use["options"], moved)}


def _own_mapping(source: str) -> dict[str, Any]:
    """The mapping in a preset or file, before what it extends; of a sum, what it extends."""
    if len(parts := combined_sources(source)) > 1:
        return {"extends": parts}
    if source in presets():
        text = (files("xaibench.plan") / "presets" / f"{source}.yaml").read_text()
    elif os.path.isfile(source):
        try:
            size = os.path.getsize(source)
            if size > 4 * CHARACTERS:
                raise UsageError(f"{source}: expected a plan, got a file of {size:,} bytes")
            text = Path(source).read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"{source}: cannot be read: {error}") from None
    elif os.path.lexists(source):  # a folder, a pipe, a link that leads nowhere
        raise UsageError(f"{source}: is no file, expected a plan in YAML")
    else:
        raise UsageError(
            f"no plan or preset {shortened(repr(source))}; {nearest(source, presets())}"
        )
    return parsed_text(text, source)
