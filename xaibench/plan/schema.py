"""The plan: what to train, explain and measure. Strict and typed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
)

from xaibench.errors import Unknown, UsageError
from xaibench.explanation.controls import CONTROLS, ORACLE, PRIORS, RANDOM
from xaibench.plugins.options import resolve, with_paths
from xaibench.plugins.registry import load, nearest
from xaibench.plugins.signatures import takes
from xaibench.plugins.validation import validate
from xaibench.protocols import OfCurves, Precision, metric_facts

from .bounds import check_tasks
from .paths import locate
from .sections import DEFAULTS, PLUGIN_SECTIONS, by_label, datasets_of, use_of
from .sources import MAPPING, check_datasets, mapping_from, mapping_of
from .weight_files import weight_files
from .yaml_text import parsed_file

FRACTIONS = (0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 1)
_HALVED = (0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32)
GRIDS: dict[str, tuple[float, ...]] = {
    "linear": tuple(step / 20 for step in range(21)),
    "log": (0, *_HALVED, 0.5, *(round(1 - share, 3) for share in reversed(_HALVED)), 1),
}
"""Points of curves by name; ``log`` doubles from both ends, its own complement."""


DEFAULT_DEVICE = "cpu"


class Use(BaseModel):
    """One plug-in of a plan, by name, and its options."""

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, extra="forbid")
    use: str
    options: dict[str, Any] = {}


Parts = Annotated[dict[str, Use], Field(min_length=1)]
Fraction = Annotated[float, Field(ge=0, le=1)]


RESERVED: dict[str, tuple[str, ...]] = {
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
    ``precision`` is that of the passes along curves, ``device`` where models are trained,
    explained and measured; results on another agree within rounding, and so it names no artefact
    but a model that is trained there, and what is made of that.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, extra="forbid", strict=True)
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
    fractions: Annotated[tuple[Fraction, ...], Field(max_length=1000)] = FRACTIONS
    random_draws: Annotated[int, Field(ge=2, le=1000)] = 10
    precision: Precision = "float32"
    device: str = DEFAULT_DEVICE
    controls: tuple[ControlName, ...] = tuple(CONTROLS)
    controlled: Annotated[int, Field(ge=0)] = 100
    claims: Literal["attngen", "attnlrp"] | None = None
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
                f"expected another label than {taken[0]!r}, which records use themselves"
            )
        return parts

    @field_validator("reference")
    @classmethod
    def _planned(cls, reference: str | None, info: ValidationInfo) -> str | None:
        planned = [*info.data.get("attribution", {})]
        if reference is not None and planned and reference not in planned:
            raise ValueError(f"expected a label of attribution; {nearest(reference, planned)}")
        return reference

    @field_validator("seeds")
    @classmethod
    def _once(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(seeds)) < len(seeds):
            raise ValueError(f"expected different seeds, got {list(seeds)}")
        return seeds

    @field_validator("fractions", mode="before")
    @classmethod
    def _named(cls, fractions: Any) -> Any:
        if not isinstance(fractions, str):
            return tuple(fractions) if isinstance(fractions, list) else fractions
        if fractions not in GRIDS:
            raise ValueError(f"expected a list, or one of {', '.join(GRIDS)}, got {fractions!r}")
        return GRIDS[fractions]

    @field_validator("fractions")
    @classmethod
    def _whole(cls, fractions: tuple[float, ...]) -> tuple[float, ...]:
        """They rise from 0 to 1."""
        if (
            fractions[:1] != (0,)
            or fractions[-1:] != (1,)
            or list(fractions) != sorted({*fractions})
        ):
            raise ValueError(f"expected rising fractions from 0 to 1, got {list(fractions)}")
        # written as the default is: artefacts are named by the text of the plan
        return (0, *fractions[1:-1], 1)


def read_plan(
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
        raise UsageError(f"{source}: expected a plan of one dataset, got one of {', '.join(plan)}")
    return plan


def read_any(
    source: str,
    *,
    changes: tuple[str, ...] = (),
    plugins: tuple[str, ...] = (),
    limit: int | None = None,
) -> Plan | dict[str, Plan]:
    """The plan as ``read_plan`` gives it, or where it names ``datasets`` a plan for each, by label.

    Whether the files of such a dataset are there is left to its run, so that one that is not does
    not stop the others.
    """
    written = mapping_of(source, changes=changes, plugins=plugins)
    return _plans(written, source, plugins, limit)


def read_mapping(
    given: Mapping[str, Any],
    *,
    changes: tuple[str, ...] = (),
    plugins: tuple[str, ...] = (),
    limit: int | None = None,
) -> Plan | dict[str, Plan]:
    """The same of a mapping that Python code has at hand."""
    written = mapping_from(given, changes=changes, plugins=plugins)
    return _plans(written, MAPPING, plugins, limit)


def _plans(
    written: dict[str, Any], source: str, plugins: tuple[str, ...], limit: int | None
) -> Plan | dict[str, Plan]:
    check_datasets(written, source)
    if "datasets" not in written:
        plan = _with_options(_checked_plan(written, source), source, plugins)
        _check_paths(plan.dataset, "datasets", source, plugins)
        return _with_limit(plan, limit)
    each = {
        label: _use_with_options(Use(**use_of(one, where, key="name")), "datasets", where, plugins)
        for label, one in datasets_of(written.pop("datasets")).items()
        for where in [f"datasets.{label}"]
    }
    first = next(iter(each.values()))
    shaped = _checked_plan({**written, "dataset": {"name": first.use, **first.options}}, source)
    plan = _with_limit(_with_options(shaped, source, plugins), limit)
    return {label: plan.model_copy(update={"dataset": dataset}) for label, dataset in each.items()}


def of_mapping(written: dict[str, Any], *, plugins: tuple[str, ...] = ()) -> Plan:
    """The plan of what a file would hold, with the defaults of what is not in it; its paths are
    relative to the current folder. UsageError as of ``read_plan``."""
    plan = _with_options(_checked_plan({**DEFAULTS, **written}, ""), "", plugins)
    _check_paths(plan.dataset, "datasets", "", plugins)
    return plan


def read_back(
    path: str, *, source: str, plugins: tuple[str, ...], methods: tuple[str, ...] = ()
) -> Plan:
    """The resolved plan in a run's folder, its files looked for as those of ``source`` are. Where
    only some ``methods`` are asked for, others need no plug-in and are left out without it.

    UsageError where it is none: a run writes no ``extends``, which would read other files.
    """
    written = {**DEFAULTS, **parsed_file(Path(path))}
    others = [key for key in ("extends", "datasets") if key in written]
    if others:
        raise UsageError(f"{path}: expected the resolved plan of a run, got one with {others[0]!r}")
    known = _without_unknown(_checked_plan(written, path), methods, plugins)
    plan = _with_options(known, source, plugins)
    _check_paths(plan.dataset, "datasets", source, plugins)
    return plan


def _without_unknown(plan: Plan, methods: tuple[str, ...], plugins: tuple[str, ...]) -> Plan:
    """The plan without the methods beside ``methods``, if any, that no plug-in is known of."""

    def known(name: str) -> bool:
        try:
            load("attribution", name, plugins)
        except Unknown:
            return False
        return True

    attribution = {
        label: use
        for label, use in plan.attribution.items()
        if not methods or label in methods or known(use.use)
    }
    return plan.model_copy(update={"attribution": attribution})


def _with_limit(plan: Plan, limit: int | None) -> Plan:
    if limit is None or limit >= plan.sequences:
        return plan
    return plan.model_copy(update={"sequences": limit})


def _checked_plan(written: dict[str, Any], source: str) -> Plan:
    """The plan of a mapping, with every key and type checked; options of plug-ins are not, yet."""
    shaped = dict(written)
    for section in PLUGIN_SECTIONS:
        if section in shaped:
            shaped[section] = {
                label: use_of(options, f"{section}.{label}", default=label)
                for label, options in by_label(shaped[section], section).items()
            }
    shaped["training"] = use_of(shaped["training"], "training", default="supervised")
    if "dataset" in shaped:
        shaped["dataset"] = use_of(shaped["dataset"], "dataset", key="name")
    plan = validate(Plan, shaped, where="")
    assert isinstance(plan, Plan)  # for the type checker
    check_tasks(plan)
    return plan


def _with_options(plan: Plan, source: str, plugins: tuple[str, ...]) -> Plan:
    """The plan with each plug-in loaded and its options checked against its signature."""

    def fill(kind: str, use: Use, where: str) -> Use:
        filled = _with_weights(_use_with_options(use, kind, where, plugins), source, where)
        _check_paths(filled, kind, source, plugins)
        return filled

    sections = {
        section: {
            label: fill(section, use, f"{section}.{label}")
            for label, use in getattr(plan, section).items()
        }
        for section in PLUGIN_SECTIONS
    }
    training = fill("training", _on_device(plan, plugins), "training")
    dataset = _use_with_options(plan.dataset, "datasets", "dataset", plugins)
    filled = plan.model_copy(update={**sections, "dataset": dataset, "training": training})
    _check_metrics(filled, plugins)
    return filled


def _with_weights(use: Use, source: str, where: str) -> Use:
    """The files that match in place of patterns in the option ``weights`` of a model."""
    given = use.options.get("weights")
    if not given:
        return use
    files = weight_files(given, source, where=f"{where}.weights")
    return use.model_copy(update={"options": {**use.options, "weights": files}})


def _on_device(plan: Plan, plugins: tuple[str, ...]) -> Use:
    """The training, on the plan's device unless it says another or takes none."""
    training, device = plan.training, plan.device
    options = takes(load("training", training.use, plugins).call)
    if device == DEFAULT_DEVICE or "device" in training.options or "device" not in options:
        return training
    return training.model_copy(update={"options": {**training.options, "device": device}})


def _use_with_options(use: Use, kind: str, where: str, plugins: tuple[str, ...]) -> Use:
    plugin = load(kind, use.use, plugins)
    return Use(use=use.use, options=resolve(plugin, use.options, where=where))


def _check_paths(use: Use, kind: str, source: str, plugins: tuple[str, ...]) -> None:
    """Reject a file that is not there."""
    with_paths(load(kind, use.use, plugins), use.options, lambda path: locate(path, source))


def _check_metrics(plan: Plan, plugins: tuple[str, ...]) -> None:
    """No label may be what the records of another metric are called."""
    called = {
        name: label
        for label, use in plan.metrics.items()
        for kind in [metric_facts(load("metrics", use.use, plugins).call).kind]
        if isinstance(kind, OfCurves)
        for name in kind.recorded_as(label)
        if name != label
    }
    for label in plan.metrics:
        if label in called:
            raise UsageError(
                f"metrics.{label}: expected another label, {called[label]!r} has records so named"
            )


def trains(plan: Plan) -> bool:
    """Whether a model of the plan is trained, rather than given with its weights."""
    return any(not use.options.get("weights") for use in plan.models.values())


def dump(plan: Plan) -> str:
    """The plan as YAML that reads back to the same plan. Where nothing is trained it names no
    training and no seeds."""

    def written(use: Use, key: str) -> dict[str, Any]:
        return {key: use.use, **use.options}

    plain: dict[str, Any] = plan.model_dump(mode="json")
    if plan.device == DEFAULT_DEVICE:  # a plan reads as it did before there was a choice
        del plain["device"]
    plain["dataset"] = written(plan.dataset, "name")
    plain["training"] = written(plan.training, "use")
    if not trains(plan):
        del plain["training"], plain["seeds"]
    for section in PLUGIN_SECTIONS:
        parts: dict[str, Use] = getattr(plan, section)
        plain[section] = {label: written(use, "use") for label, use in parts.items()}
    return yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, default_flow_style=None)
