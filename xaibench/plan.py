"""The plan: what to train, explain and measure. Strict, typed, read from YAML."""

import os
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
        return fractions


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


def read(
    source: str,
    *,
    changes: tuple[str, ...] = (),
    plugins: tuple[str, ...] = (),
    limit: int | None = None,
) -> Plan:
    """The plan of a preset or YAML file, with every option filled in and every name known.

    ``changes`` are ``key=value`` with dots between keys and YAML values; ``limit`` caps
    ``sequences``. Raises UsageError with one line that names the key.
    """
    written = _written(source, plugins)
    for change in changes:
        change_one(written, change)
    for key, value in DEFAULTS.items():
        written.setdefault(key, value)
    plan = _filled(_shaped(written, source), source, plugins)
    _check_metrics(plan, plugins)
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


def _folder(source: str) -> Path:
    return Path() if source in presets() else Path(source).parent


def _written(source: str, plugins: tuple[str, ...], above: tuple[str, ...] = ()) -> dict[str, Any]:
    """The mapping in a plan, laid section by section over the one that it ``extends``."""
    if os.path.realpath(source) in map(os.path.realpath, above):
        raise UsageError(f"extends: wanted an end, got {' -> '.join([*above, source])}")
    written = _mapping(source)
    for section in SECTIONS:
        if section in written:
            written[section] = _labelled(written[section], section)
    if "extends" not in written:
        return written
    below = str(written.pop("extends"))
    if below not in presets() and not Path(below).is_absolute():
        below = str(Path(source).parent / below)
    inherited = _written(below, plugins, (*above, source))
    if "dataset" in inherited and "dataset" not in written:
        inherited["dataset"] = _moved(inherited["dataset"], below, source, plugins)
    return {**inherited, **written}


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
        plugin = load(kind, use.use, plugins)
        options = resolve(plugin, use.options, where=where)
        with_paths(plugin, options, lambda path: locate(path, source))  # refuses what is not there
        return Use(use=use.use, options=options)

    sections = {
        section: {
            label: fill(section, use, f"{section}.{label}")
            for label, use in getattr(plan, section).items()
        }
        for section in SECTIONS
    }
    dataset = fill("datasets", plan.dataset, "dataset")
    training = fill("training", plan.training, "training")
    return plan.model_copy(update={**sections, "dataset": dataset, "training": training})


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
