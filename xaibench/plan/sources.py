"""What a user wrote, before it is a plan: YAML, ``extends``, presets, ``--set``, defaults."""

import os
import re
from collections import Counter
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from xaibench.errors import Absent, UsageError, message_of, shortened
from xaibench.plugins.options import with_paths
from xaibench.plugins.registry import load, nearest
from xaibench.storage.files import read_file

from .bounds import (
    CHARACTERS,
    LEVELS,
    PLANS,
    check_labels,
    check_text,
    check_values,
)

OF_A_SERIES = ("series.json", "index.html", "overview.csv")
"""What lies in the folder of several datasets beside the folders of their runs."""

SECTIONS = ("models", "attribution", "metrics", "operators", "reports")
"""The keys that hold several plug-ins by label."""

DEFAULTS: dict[str, Any] = {
    "training": {"use": "supervised"},
    "attribution": [
        *("attention", "integrated_gradients", "deeplift", "saliency", "input_x_gradient"),
        "random",
    ],
    "metrics": {
        "deletion": {},
        "insertion": {},
        "flip_rate": {},
        "substitution_agreement": {"sequences": 50},
        "auprc": {},
        "relevance_mass": {},
        "pointing_game": {},
        "seed_agreement": {},
        "substitution_sensitivity": {},
        "reverse_complement_consistency": {},
        "effective_positions": {},
    },
    "operators": ["n", "uniform"],
    "reports": ["html", "markdown"],
}


def presets() -> list[str]:
    """The plans that ship with the package."""
    folder = files("xaibench.plan") / "presets"
    return sorted(path.name.removesuffix(".yaml") for path in folder.iterdir())


def name_of(source: str) -> str:
    """What a run of a plan is called.

    >>> name_of("plans/mine.yaml+quick")
    'mine+quick'
    """
    return "+".join(Path(part).stem for part in _parts(source))


def mapping_of(
    source: str, *, changes: tuple[str, ...] = (), plugins: tuple[str, ...] = ()
) -> dict[str, Any]:
    """What a preset or file says, with ``changes`` (``key=value``) and the defaults of what nobody
    says. Sections map labels to options; what is in them is not checked yet."""
    written = _written(source, plugins)
    for change in changes:
        change_one(written, change)
    return {**DEFAULTS, **written}


def locate(path: str, source: str) -> Path:
    """A relative path is looked for beside the plan, in the folder ``XAIBENCH_DATA``, and here.

    Here is the current folder: from where a run began, the ``plan.yaml`` in its folder runs too.
    """
    data = os.environ.get("XAIBENCH_DATA")
    folders = [_folder(source), *([Path(data)] if data else []), Path()]
    for folder in folders:
        found = folder / expanded(path)
        if os.path.exists(found):  # False also where a name is longer than a disk allows
            return found
    looked = ", in XAIBENCH_DATA and here" if data else " and here; XAIBENCH_DATA is not set"
    raise Absent(f"no file {shortened(repr(path))} (looked beside the plan{looked})")


def expanded(path: str | Path) -> Path:
    """A path with ~ and ~user replaced; raises UsageError for a user that is unknown."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise Absent(f"{shortened(str(path))}: no user of that name has a home here") from None


def _parts(source: str) -> list[str]:
    """The plans that a word of the command line names; a file may have a plus in its name."""
    return [source] if os.path.isfile(source) else source.split("+")


def _folder(source: str) -> Path:
    """What the paths in a plan are relative to."""
    named = source in presets() or len(_parts(source)) > 1
    return Path() if named else Path(source).parent


def _written(
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
        raise UsageError(f"extends: wanted at most {PLANS} plans in all, got more")
    if os.path.realpath(source) in map(os.path.realpath, above):
        raise UsageError(f"extends: wanted an end, got {' -> '.join([*above, source])}")
    written = _mapping(source)
    for section in SECTIONS:
        if section in written:
            written[section] = labelled(written[section], section)
    if "datasets" in written:
        written["datasets"] = datasets_of(written["datasets"])
    laid: dict[str, Any] = {}
    for name in _extended(written.pop("extends", []), source):
        below = _written(name, plugins, (*above, source), every)
        laid = _laid(laid, _seen_from(below, name, source, plugins))
    return _laid(laid, written)


def _extended(names: Any, source: str) -> list[str]:
    """The plans below one, each as a preset or as a path from here."""
    names = [names] if isinstance(names, str) else names
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise UsageError(f"extends: wanted a preset or file, or a list of them, got {names!r}")
    beside = _folder(source)  # joined to an absolute path it falls away
    return [name if name in presets() else str(beside / name) for name in names]


def _laid(below: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """One mapping over another; what to look at is said as one dataset or as several."""
    said = ("dataset", "datasets")
    kept = {key: value for key, value in below.items() if key not in said or not {*said} & {*over}}
    return {**kept, **over}


def datasets_of(given: Any) -> dict[str, Any]:
    """Datasets by label, each a folder of its run; a list of names labels them by these."""
    if isinstance(given, list) and all(isinstance(name, str) for name in given):
        if len({*given}) < len(given):
            raise UsageError(f"datasets: wanted different names, got {given}")
        given = {name: name for name in given} or given
    if not isinstance(given, Mapping) or not given:
        raise UsageError(f"datasets: wanted labels and their datasets, or names, got {given!r}")
    for label in given:
        if not isinstance(label, str) or not re.fullmatch(r"(?!\.)[^/\\\0]+", label):
            raise UsageError(f"datasets: wanted labels that can name folders, got {label!r}")
        if label.casefold() in OF_A_SERIES:
            raise UsageError(f"datasets: wanted another label than {label!r}, a file of the series")
    check_labels(given, "datasets")
    return {label: {"name": one} if isinstance(one, str) else one for label, one in given.items()}


def check_datasets(written: dict[str, Any], source: str) -> None:
    """One way or the other, and a size says neither."""
    if "dataset" in written and "datasets" in written:
        raise UsageError(f"{source}: wanted dataset or datasets, got both")
    sized = all(part in presets() for part in _parts(source))
    if sized and "dataset" not in written and "datasets" not in written:
        raise UsageError(
            f"{source}: says how much, not of what: wanted a plan with it, such as "
            f"planted+{source}, or extends: {source} in one with a dataset and models"
        )


def _seen_from(
    below: dict[str, Any], name: str, source: str, plugins: tuple[str, ...]
) -> dict[str, Any]:
    """The mapping of the plan ``name`` with the paths of its datasets as seen from ``source``."""
    seen = dict(below)
    if "dataset" in below:
        seen["dataset"] = _moved(below["dataset"], name, source, plugins)
    if "datasets" in below:
        each = below["datasets"].items()
        seen["datasets"] = {label: _moved(one, name, source, plugins) for label, one in each}
    return seen


def _moved(dataset: Any, below: str, source: str, plugins: tuple[str, ...]) -> dict[str, Any]:
    """A dataset with the files that lie beside the plan ``below``, as seen from ``source``."""
    use = use_of(dataset, "dataset", key="name")

    def moved(path: str) -> str:
        there = _folder(below) / path
        beside = not Path(path).is_absolute() and os.path.exists(there)
        return os.path.relpath(there, _folder(source)) if beside else path

    plugin = load("datasets", use["use"], plugins)
    return {"name": use["use"], **with_paths(plugin, use["options"], moved)}


def _mapping(source: str) -> dict[str, Any]:
    if len(parts := _parts(source)) > 1:
        return {"extends": parts}
    if source in presets():
        text = (files("xaibench.plan") / "presets" / f"{source}.yaml").read_text()
    elif os.path.isfile(source):
        try:
            size = os.path.getsize(source)
            if size > 4 * CHARACTERS:
                raise UsageError(f"{source}: wanted a plan, got a file of {size:,} bytes")
            text = Path(source).read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"{source}: cannot be read: {error}") from None
    else:
        raise UsageError(
            f"no plan or preset {shortened(repr(source))}; {nearest(source, presets())}"
        )
    return _parsed(text, source)


def parsed_file(path: Path) -> dict[str, Any]:
    """The mapping in the plan of a run folder, as it stands; a link is not followed."""
    try:
        return _parsed(read_file(path).decode(), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read: {error}") from None


def _parsed(text: str, source: str) -> dict[str, Any]:
    check_text(text, source)
    try:
        mapping = yaml.load(text, _Loader)  # a SafeLoader underneath
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # the latter of numbers
        raise UsageError(f"{source}: is no YAML: {message_of(error)}") from None
    if not isinstance(mapping, dict):
        raise UsageError(f"{source}: wanted a mapping of keys, got {type(mapping).__name__}")
    check_values(mapping, "")
    return mapping


_TEXT = "tag:yaml.org,2002:str"
_UNAMBIGUOUS = {
    "tag:yaml.org,2002:bool": re.compile("(?i:true|false)"),
    "tag:yaml.org,2002:int": re.compile("[-+]?(0|[1-9][0-9]*)"),
    "tag:yaml.org,2002:float": re.compile("[^:_]+"),
    "tag:yaml.org,2002:timestamp": re.compile("(?!)"),
    "tag:yaml.org,2002:value": re.compile("(?!)"),
}
"""By tag, what is no name: yes, off, 0x10, 010, 1_000, 1:30 and 2026-01-31 are classes as well."""


class _Loader(yaml.SafeLoader):
    """YAML in which names stay names, and a key that stands twice is a mistake.

    Keys are text. So are the words yes, no, on and off, dates, and numbers in another base than
    ten, with _ inside or as 1e-3; ``options.validate`` reads the words where a truth value is
    wanted, and the numbers where one is.
    """

    def resolve(self, kind: Any, value: Any, implicit: Any) -> Any:
        tag = super().resolve(kind, value, implicit)  # type: ignore[no-untyped-call]
        plain = kind is yaml.ScalarNode and implicit[0]
        if plain and tag in _UNAMBIGUOUS and not _UNAMBIGUOUS[tag].fullmatch(value):
            return _TEXT
        return tag

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """Before anything is merged: what ``<<`` brings may be written over."""
        node = super().compose_mapping_node(anchor)
        scalars = [key for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        for key in scalars:
            key.tag = key.tag if key.tag == "tag:yaml.org,2002:merge" else _TEXT
        twice = {key for key, count in Counter(key.value for key in scalars).items() if count > 1}
        if twice:
            raise yaml.composer.ComposerError(None, None, f"{twice} twice", node.start_mark)
        return node


def labelled(section: Any, where: str) -> dict[str, Any]:
    """A section given as a list of names is a mapping without options."""
    if isinstance(section, list) and all(isinstance(name, str) for name in section):
        check_labels(section, where)
        return {name: {} for name in section}
    if isinstance(section, dict) and all(isinstance(name, str) for name in section):
        check_labels(section, where)
        return {name: {} if options is None else options for name, options in section.items()}
    raise UsageError(f"{where}: wanted a list of names or a mapping, got {section!r}")


def use_of(
    given: Any, where: str, *, key: str = "use", default: str | None = None
) -> dict[str, Any]:
    """``{use: name, option: value}`` or a bare name, as the fields of ``Use``."""
    if isinstance(given, str):
        given = {key: given}
    if not isinstance(given, Mapping):
        raise UsageError(f"{where}: wanted options, got {given!r}")
    options = {name: value for name, value in given.items() if name != key}
    name = given.get(key, default)
    if not isinstance(name, str):
        raise UsageError(f"{where}: wanted {key}: NAME, got {given!r}")
    return {"use": name, "options": options}


def assigned(change: str) -> tuple[str, Any]:
    """The key and the YAML value of ``key=value``.

    >>> assigned("dataset.motifs={CTCF: 1}")
    ('dataset.motifs', {'CTCF': 1})
    """
    key, equals, value = change.partition("=")
    if not equals or not all(key.split(".")):
        raise UsageError(f"--set {change}: wanted key=value")
    check_values(key, "--set")
    if key.count(".") >= LEVELS:
        raise UsageError(f"--set {change}: wanted at most {LEVELS} keys with dots between")
    check_text(value, f"--set {key}")
    try:
        loaded = yaml.load(value, _Loader)  # a SafeLoader underneath
    except (yaml.YAMLError, ValueError, OverflowError):
        raise UsageError(f"--set {change}: the value is no YAML") from None
    check_values(loaded, key)
    return key, loaded


def change_one(written: dict[str, Any], change: str) -> None:
    """Write ``key=value`` over what a plan says, dots between keys."""
    key, value = assigned(change)
    *outer, last = key.split(".")
    if key == "extends":
        raise UsageError(f"--set {change}: wanted 'extends' in the plan itself")
    place = written
    for name in outer:
        inner = place.setdefault(name, {})
        if name in SECTIONS:
            inner = place[name] = labelled(inner or DEFAULTS.get(name, {}), name)
        if name == "datasets" and inner:
            inner = place[name] = datasets_of(inner)
        if inner is None:
            inner = place[name] = {}
        if not isinstance(inner, dict):
            raise UsageError(f"--set {change}: {name!r} holds {inner!r}, no keys")
        place = inner
    place[last] = value
