"""A run's job, and the data and plug-ins it needs, at hand in one process."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from xaibench.data.loading import load_splits
from xaibench.data.splitting import choose, fingerprint, with_validation
from xaibench.plan.schema import Plan, Use
from xaibench.plugins.registry import Plugin, load
from xaibench.plugins.signatures import typed
from xaibench.protocols import MetricFacts, metric_facts
from xaibench.storage.artefacts import Store
from xaibench.values import Sequences, Splits

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
    """Load the data, cut the validation split, choose what is explained."""
    plan = job.plan
    splits = load_splits(
        plan.dataset, data_seed=plan.data_seed, source=job.source, plugins=job.plugins
    )
    data = fingerprint(splits)
    splits = with_validation(splits, plan.data_seed)
    chosen = choose(splits.test, plan.sequences, plan.data_seed)
    return Work(job, Store(job.folder / "store", job.begun), splits, chosen, data)


def seeds_of(plan: Plan, model: str) -> tuple[int, ...]:
    """The seeds under which a model is trained: the plan's, or the first so many of them."""
    return plan.seeds[: plan.models[model].options.get("seeds")]


def is_explained(plan: Plan, model: str) -> bool:
    """Whether anything of a model is explained, beyond what it predicts."""
    return bool(plan.models[model].options.get("sequences") != 0)


def plugin_and_options(work: Work, kind: str, use: Use) -> tuple[Plugin, dict[str, Any]]:
    """A plug-in of the plan and its options, typed as its signature says."""
    plugin = load(kind, use.use, work.job.plugins)
    return plugin, typed(plugin, use.options)


@remembered
def facts_of(work: Work, label: str) -> MetricFacts:
    """The facts of one of the plan's metrics."""
    return metric_facts(load("metrics", work.plan.metrics[label].use, work.job.plugins).call)
