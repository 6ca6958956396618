"""The plan: what to train, explain and measure. Strict, typed, read from YAML."""

import os
import re
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
)

from xaibench.controls import CONTROLS, ORACLE, PRIORS, RANDOM
from xaibench.errors import UsageError
from xaibench.options import resolve, validate, with_paths
from xaibench.protocols import Precision, metric_facts
from xaibench.registry import load, nearest

SECTIONS = ("models", "attribution", "metrics", "operators", "reports")
FRACTIONS = (0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 1)
_HALVED = (0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32)
GRIDS: dict[str, tuple[float, ...]] = {
    "linear": tuple(step / 20 for step in range(21)),
    "log": (0, *_HALVED, 0.5, *(round(1 - share, 3) for share in reversed(_HALVED)), 1),
}
"""Points of curves by name; ``log`` doubles from both ends, its own complement."""


class Use(BaseModel):
    """One plug-in of a plan, by name, and its options."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    use: str
    options: dict[str, Any] = {}


Parts = Annotated[dict[str, Use], Field(min_length=1)]
Fraction = Annotated[float, Field(ge=0, le=1)]


RESERVED = {
    "attribution": ("", RANDOM, ORACLE, *PRIORS),
    "metrics": ("", "accuracy", "training"),
}
"""What the columns ``method`` and ``metric`` of records hold beside the labels of a plan."""


def _known_control(name: str) -> str:
    if name not in CONTROLS:
        raise ValueError(f"unknown control; {nearest(name, list(CONTROLS))}")
    return name


ControlName = Annotated[str, AfterValidator(_known_control)]


class Plan(BaseModel):
    """A whole run. Sections map a label of your choice to a plug-in and its options.

    ``target`` is the class that is explained and whose curves are drawn: the one the model predicts
    for the intact sequence, or the true one. ``sequences`` counts the test sequences explained.
    ``fractions`` are the points of the curves (``log`` and ``linear`` name two grids),
    ``random_draws`` the orders of the random control. ``controls`` are made of every method's maps;
    they, the oracle and the self-test run on the first ``controlled`` of the explained sequences.
    With ``clusters`` estimates resample whole groups of the data (chromosome, region) instead of
    sequences. ``reference`` is the method that every other is compared with. ``claims`` names the
    paper whose claims are put to the test.
    ``precision`` is that of the passes along curves.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    dataset: Use
    data_seed: int = 0
    seeds: Annotated[tuple[int, ...], Field(min_length=1)] = (0, 1, 2)
    target: Literal["predicted", "label"] = "predicted"
    training: Use
    models: Parts
    attribution: Parts
    sequences: Annotated[int, Field(ge=1)] = 500
    metrics: Parts
    operators: Parts
    fractions: tuple[Fraction, ...] = FRACTIONS
    random_draws: Annotated[int, Field(ge=2)] = 10
    precision: Precision = "float32"
    controls: tuple[ControlName, ...] = tuple(CONTROLS)
    controlled: Annotated[int, Field(ge=0)] = 100
    claims: Literal["attngen"] | None = None
    clusters: bool = False
    reference: str | None = None
    reports: Parts

    @field_validator("attribution", "metrics")
    @classmethod
    def _not_reserved(cls, parts: dict[str, Use], info: ValidationInfo) -> dict[str, Use]:
        """Records name other sources of maps, and the model itself, in the same columns."""
        reserved = RESERVED[str(info.field_name)]
        taken = [label for label in parts if label in reserved]
        if taken:
            raise ValueError(
                f"wanted another label than {taken[0]!r}, which records use themselves"
            )
        return parts

    @field_validator("reference")
    @classmethod
    def _planned(cls, reference: str | None, info: ValidationInfo) -> str | None:
        planned = [*info.data.get("attribution", {})]
        if reference is not None and planned and reference not in planned:
            raise ValueError(f"wanted a label of attribution; {nearest(reference, planned)}")
        return reference

    @field_validator("seeds")
    @classmethod
    def _once(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(seeds)) < len(seeds):
            raise ValueError(f"wanted different seeds, got {list(seeds)}")
        return seeds

    @field_validator("fractions", mode="before")
    @classmethod
    def _named(cls, fractions: Any) -> Any:
        if not isinstance(fractions, str):
            return tuple(fractions) if isinstance(fractions, list) else fractions
        if fractions not in GRIDS:
            raise ValueError(f"wanted a list, or one of {', '.join(GRIDS)}, got {fractions!r}")
        return GRIDS[fractions]

    @field_validator("fractions")
    @classmethod
    def _whole(cls, fractions: tuple[float, ...]) -> tuple[float, ...]:
        if (
            fractions[:1] != (0,)
            or fractions[-1:] != (1,)
            or list(fractions) != sorted({*fractions})
        ):
            raise ValueError(f"wanted rising fractions from 0 to 1, got {list(fractions)}")
        # written as the default is: artefacts are named by the words of the plan
        return (0, *fractions[1:-1], 1)


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
    folder = files("xaibench") / "presets"
    return sorted(path.name.removesuffix(".yaml") for path in folder.iterdir())


def name_of(source: str) -> str:
    """What a run of a plan is called.

    >>> name_of("plans/mine.yaml+quick")
    'mine+quick'
    """
    return "+".join(Path(part).stem for part in _parts(source))


def read(
    source: str,
    *,
    changes: tuple[str, ...] = (),
    plugins: tuple[str, ...] = (),
    limit: int | None = None,
) -> Plan:
    """The plan of a preset or YAML file, with every option filled in and every name known.

    ``one+other`` is ``other`` laid over ``one``, as ``extends: [one, other]`` would. ``changes``
    are ``key=value`` with dots between keys and YAML values; ``limit`` caps ``sequences``. Raises
    UsageError with one line that names the key, also for a plan of several datasets.
    """
    plan = read_any(source, changes=changes, plugins=plugins, limit=limit)
    if isinstance(plan, dict):
        raise UsageError(f"{source}: wanted a plan of one dataset, got one of {', '.join(plan)}")
    return plan


def read_any(
    source: str,
    *,
    changes: tuple[str, ...] = (),
    plugins: tuple[str, ...] = (),
    limit: int | None = None,
) -> Plan | dict[str, Plan]:
    """The plan as ``read`` gives it, or where it names ``datasets`` a plan for each, by label.

    Whether the files of such a dataset are there is left to its run, so that one that is not does
    not stop the others.
    """
    written = _changed(_written(source, plugins), changes)
    _check_datasets(written, source)
    if "datasets" not in written:
        plan = _filled(_shaped(written, source), source, plugins)
        _check_paths(plan.dataset, "datasets", source, plugins)
        return _limited(plan, limit)
    each = {
        label: _option_filled(Use(**_use(one, where, key="name")), "datasets", where, plugins)
        for label, one in _datasets(written.pop("datasets")).items()
        for where in [f"datasets.{label}"]
    }
    first = next(iter(each.values()))
    shaped = _shaped({**written, "dataset": {"name": first.use, **first.options}}, source)
    plan = _limited(_filled(shaped, source, plugins), limit)
    return {label: plan.model_copy(update={"dataset": dataset}) for label, dataset in each.items()}


def read_back(path: str, *, source: str, plugins: tuple[str, ...]) -> Plan:
    """The resolved plan in a run's folder, its files looked for as those of ``source`` are."""
    plan = _filled(_shaped(_changed(_written(path, plugins), ()), path), source, plugins)
    _check_paths(plan.dataset, "datasets", source, plugins)
    return plan


def _changed(written: dict[str, Any], changes: tuple[str, ...]) -> dict[str, Any]:
    """With what the command line says, and the defaults of what nobody says."""
    for change in changes:
        change_one(written, change)
    return {**DEFAULTS, **written}


def _limited(plan: Plan, limit: int | None) -> Plan:
    if limit is None or limit >= plan.sequences:
        return plan
    return plan.model_copy(update={"sequences": limit})


def locate(path: str, source: str) -> Path:
    """A relative path is looked for beside the plan, in the folder ``XAIBENCH_DATA``, and here.

    Here is the current folder: from where a run began, the ``plan.yaml`` in its folder runs too.
    """
    data = os.environ.get("XAIBENCH_DATA")
    folders = [_folder(source), *([Path(data)] if data else []), Path()]
    for folder in folders:
        found = folder / Path(path).expanduser()
        if found.exists():
            return found
    looked = ", in XAIBENCH_DATA and here" if data else " and here; XAIBENCH_DATA is not set"
    raise UsageError(f"no file {path!r} (looked beside the plan{looked})")


def _parts(source: str) -> list[str]:
    """The plans that a word of the command line names; a file may have a plus in its name."""
    return [source] if Path(source).is_file() else source.split("+")


def _folder(source: str) -> Path:
    """What the paths in a plan are relative to."""
    named = source in presets() or len(_parts(source)) > 1
    return Path() if named else Path(source).parent


def _written(source: str, plugins: tuple[str, ...], above: tuple[str, ...] = ()) -> dict[str, Any]:
    """The mapping in a plan, laid section by section over those that it ``extends``."""
    if os.path.realpath(source) in map(os.path.realpath, above):
        raise UsageError(f"extends: wanted an end, got {' -> '.join([*above, source])}")
    written = _mapping(source)
    for section in SECTIONS:
        if section in written:
            written[section] = _labelled(written[section], section)
    if "datasets" in written:
        written["datasets"] = _datasets(written["datasets"])
    laid: dict[str, Any] = {}
    for name in _extended(written.pop("extends", []), source):
        below = _written(name, plugins, (*above, source))
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


def _datasets(given: Any) -> dict[str, Any]:
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
    return {label: {"name": one} if isinstance(one, str) else one for label, one in given.items()}


def _check_datasets(written: dict[str, Any], source: str) -> None:
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
    use = _use(dataset, "dataset", key="name")

    def moved(path: str) -> str:
        there = _folder(below) / path
        beside = not Path(path).is_absolute() and there.exists()
        return os.path.relpath(there, _folder(source)) if beside else path

    plugin = load("datasets", use["use"], plugins)
    return {"name": use["use"], **with_paths(plugin, use["options"], moved)}


def _mapping(source: str) -> dict[str, Any]:
    if len(parts := _parts(source)) > 1:
        return {"extends": parts}
    if source in presets():
        text = (files("xaibench") / "presets" / f"{source}.yaml").read_text()
    elif Path(source).is_file():
        try:
            text = Path(source).read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"{source}: cannot be read: {error}") from None
    else:
        raise UsageError(f"no plan or preset {source!r}; {nearest(source, presets())}")
    try:
        mapping = yaml.load(text, _Loader)  # a SafeLoader underneath
    except yaml.YAMLError as error:
        raise UsageError(f"{source}: is no YAML: {' '.join(str(error).split())}") from None
    if not isinstance(mapping, dict):
        raise UsageError(f"{source}: wanted a mapping of keys, got {type(mapping).__name__}")
    return mapping


class _Loader(yaml.SafeLoader):
    """YAML in which a key that stands twice is a mistake, not the loss of the first."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """Before anything is merged: what ``<<`` brings may be written over."""
        node = super().compose_mapping_node(anchor)
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        twice = {key for key in keys if keys.count(key) > 1}
        if twice:
            raise yaml.composer.ComposerError(None, None, f"{twice} twice", node.start_mark)
        return node


def _labelled(section: Any, where: str) -> dict[str, Any]:
    """A section given as a list of names is a mapping without options."""
    if isinstance(section, list) and all(isinstance(name, str) for name in section):
        return {name: {} for name in section}
    if isinstance(section, dict) and all(isinstance(name, str) for name in section):
        return {name: {} if options is None else options for name, options in section.items()}
    raise UsageError(f"{where}: wanted a list of names or a mapping, got {section!r}")


def assigned(change: str) -> tuple[str, Any]:
    """The key and the YAML value of ``key=value``.

    >>> assigned("dataset.motifs={CTCF: 1}")
    ('dataset.motifs', {'CTCF': 1})
    """
    key, equals, value = change.partition("=")
    if not equals or not all(key.split(".")):
        raise UsageError(f"--set {change}: wanted key=value")
    try:
        return key, yaml.load(value, _Loader)  # a SafeLoader underneath
    except yaml.YAMLError:
        raise UsageError(f"--set {change}: the value is no YAML") from None


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
            inner = place[name] = _labelled(inner or DEFAULTS.get(name, {}), name)
        if name == "datasets" and inner:
            inner = place[name] = _datasets(inner)
        if inner is None:
            inner = place[name] = {}
        if not isinstance(inner, dict):
            raise UsageError(f"--set {change}: {name!r} holds {inner!r}, no keys")
        place = inner
    place[last] = value


def _check_metrics(plan: Plan, plugins: tuple[str, ...]) -> None:
    """No label may be what the records of another metric are called."""
    called = {
        f"{label}_{quantity}": label
        for label, use in plan.metrics.items()
        for facts in [metric_facts(load("metrics", use.use, plugins).call)]
        if facts.of == "curves" and len(facts.quantities) > 1
        for quantity in facts.quantities
    }
    for label in plan.metrics:
        if label in called:
            raise UsageError(
                f"metrics.{label}: wanted another label, records of {called[label]!r} are called so"
            )


def _shaped(written: dict[str, Any], source: str) -> Plan:
    shaped = dict(written)
    for section in SECTIONS:
        if section in shaped:
            labelled = _labelled(shaped[section], section)
            shaped[section] = {
                label: _use(options, f"{section}.{label}", default=label)
                for label, options in labelled.items()
            }
    shaped["training"] = _use(shaped["training"], "training", default="supervised")
    if "dataset" in shaped:
        shaped["dataset"] = _use(shaped["dataset"], "dataset", key="name")
    plan = validate(Plan, shaped, where="")
    assert isinstance(plan, Plan)  # for the type checker
    return plan


def _use(given: Any, where: str, *, key: str = "use", default: str | None = None) -> dict[str, Any]:
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


def _filled(plan: Plan, source: str, plugins: tuple[str, ...]) -> Plan:
    """The plan with each plug-in found and its options checked against its signature."""

    def fill(kind: str, use: Use, where: str) -> Use:
        filled = _option_filled(use, kind, where, plugins)
        _check_paths(filled, kind, source, plugins)
        return filled

    sections = {
        section: {
            label: fill(section, use, f"{section}.{label}")
            for label, use in getattr(plan, section).items()
        }
        for section in SECTIONS
    }
    training = fill("training", plan.training, "training")
    dataset = _option_filled(plan.dataset, "datasets", "dataset", plugins)
    filled = plan.model_copy(update={**sections, "dataset": dataset, "training": training})
    _check_metrics(filled, plugins)
    return filled


def _option_filled(use: Use, kind: str, where: str, plugins: tuple[str, ...]) -> Use:
    plugin = load(kind, use.use, plugins)
    return Use(use=use.use, options=resolve(plugin, use.options, where=where))


def _check_paths(use: Use, kind: str, source: str, plugins: tuple[str, ...]) -> None:
    """Refuse a file that is not there."""
    with_paths(load(kind, use.use, plugins), use.options, lambda path: locate(path, source))


def dump(plan: Plan) -> str:
    """The plan as YAML that reads back to the same plan."""

    def written(use: Use, key: str) -> dict[str, Any]:
        return {key: use.use, **use.options}

    plain: dict[str, Any] = plan.model_dump(mode="json")
    plain["dataset"] = written(plan.dataset, "name")
    plain["training"] = written(plan.training, "use")
    for section in SECTIONS:
        parts: dict[str, Use] = getattr(plan, section)
        plain[section] = {label: written(use, "use") for label, use in parts.items()}
    return yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, default_flow_style=None)
