"""A run's job, and the data and plug-ins it needs, at hand in one process."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from xaibench.data.files.targets import CLASSES_FACT
from xaibench.data.loading import load_splits
from xaibench.data.splitting import choose, fingerprint, with_validation
from xaibench.errors import NotApplicable, UsageError
from xaibench.plan.schema import Plan, Use
from xaibench.plugins.registry import Plugin, load
from xaibench.plugins.signatures import typed
from xaibench.protocols import MetricFacts, metric_facts
from xaibench.storage.artefacts import Store
from xaibench.values import Sequences, Splits

from .option_files import located

CLASSIFIES = "supervised"
"""The training whose loss needs classes."""

Given = ParamSpec("Given")
Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class Job:
    """All that a process needs to compute any task of a run; ``begun`` once its folder exists, and
    must stay."""

    plan: Plan
    source: str
    plugins: tuple[str, ...]
    folder: Path
    begun: bool = False


@dataclass(frozen=True, slots=True)
class Work:
    """A job with its data at hand. ``data`` is the fingerprint of all splits, ``chosen`` the test
    sequences that are explained; ``made`` is of ``remembered``, empty in each copy."""

    job: Job
    store: Store
    splits: Splits
    chosen: Sequences
    data: str
    made: dict[Any, Any] = field(default_factory=dict, init=False, compare=False, repr=False)

    @property
    def plan(self) -> Plan:
        return self.job.plan


def remembered(
    make: Callable[Concatenate[Work, Given], Made],
) -> Callable[Concatenate[Work, Given], Made]:
    """A function of a work and of hashable values, whose results are made once for each work.

    For what depends on plan and data alone, not on what is stored by now: measuring needs the
    same specs thousands of times. Nobody may change a result.
    """

    @wraps(make)
    def known(work: Work, /, *given: Given.args, **named: Given.kwargs) -> Made:
        call = make, given, tuple(named.items())
        if call not in work.made:
            work.made[call] = make(work, *given, **named)
        made: Made = work.made[call]
        return made

    return known


def prepare(job: Job) -> Work:
    """Load the data, cut the validation split, choose what is explained.

    UsageError where the plan trains a model that the data have nothing to learn from for.
    """
    plan = job.plan
    splits = load_splits(
        plan.dataset, data_seed=plan.data_seed, source=job.source, plugins=job.plugins
    )
    data = fingerprint(splits)
    trained = [model for model in plan.models if is_trained(plan, model)]
    if trained:
        _require_trainable(plan, splits, trained[0])
    splits = _with_validation(splits, plan, needed=bool(trained))
    chosen = choose(splits.test, plan.sequences, plan.data_seed)
    return Work(job, Store(job.folder / "store", job.begun), splits, chosen, data)


def seeds_of(plan: Plan, model: str) -> tuple[int, ...]:
    """The seeds under which a model is trained: the plan's, or the first so many of them. Of a
    model with weights of its own the numbers of their files, from 0."""
    options = plan.models[model].options
    files = weights_of(plan, model)
    return (tuple(range(len(files))) or plan.seeds)[: options.get("seeds")]


def weights_of(plan: Plan, model: str) -> tuple[str, ...]:
    """The files of the weights that a model has already, one per replicate; none of a model that
    is trained."""
    given = plan.models[model].options.get("weights")
    if given is None:
        return ()
    return (given,) if isinstance(given, str) else tuple(given)


def is_trained(plan: Plan, model: str) -> bool:
    """Whether a model is trained in the run, rather than given with its weights."""
    return not weights_of(plan, model)


def require_training(plan: Plan, model: str) -> None:
    """NotApplicable where a model is not trained in the run, and so cannot be trained again."""
    if not is_trained(plan, model):
        raise NotApplicable(f"{model} was given with its weights and is not trained here")


def _require_trainable(plan: Plan, splits: Splits, model: str) -> None:
    """UsageError where there is no train split, or are no classes, to train ``model`` on."""
    remedy = "or give the model weights that are trained already (its option weights)"
    if not splits.has_train:
        raise UsageError(
            f"models.{model}: expected sequences to train it on, got {len(splits.test):,} to test "
            f"on alone; mark some as train by the option split of the dataset, {remedy}"
        )
    measured = splits.train.responses is not None
    if splits.train.has_classes or (measured and plan.training.use != CLASSIFIES):
        return
    if measured:
        raise UsageError(
            f"models.{model}: expected two classes or more for the training {CLASSIFIES}, got a "
            f"response; name a training of numbers (a plug-in), {remedy}"
        )
    got = splits.facts.get(CLASSES_FACT, f"one, {splits.train.class_names[0]!r}")
    raise UsageError(
        f"models.{model}: expected two classes or more to train it on, got {got}; name the column "
        f"of the classes by the option label of the dataset, {remedy}"
    )


def _with_validation(splits: Splits, plan: Plan, *, needed: bool) -> Splits:
    """With a validation split; where no model needs one, only if it can be cut."""
    try:
        return with_validation(splits, plan.data_seed)
    except UsageError:
        if needed:
            raise
        return splits


def is_explained(plan: Plan, model: str) -> bool:
    """Whether anything of a model is explained, beyond what it predicts."""
    return bool(plan.models[model].options.get("sequences") != 0)


def plugin_and_options(work: Work, kind: str, use: Use) -> tuple[Plugin, dict[str, Any]]:
    """A plug-in of the plan and its options, typed as its signature says."""
    plugin = load(kind, use.use, work.job.plugins)
    return plugin, typed(plugin, located(plugin, use.options, work.job.source))


@remembered
def facts_of_metric(work: Work, label: str) -> MetricFacts:
    """The facts of one of the plan's metrics."""
    return metric_facts(load("metrics", work.plan.metrics[label].use, work.job.plugins).call)
