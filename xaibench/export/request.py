"""Whose explanations are asked for: a model of one's own or those of a run, and which sequences."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from xaibench.artefacts.given_weights import replicate_names
from xaibench.artefacts.job import Job, Work, prepare, seeds_of
from xaibench.artefacts.own_model import all_rows, changed_plan, dataset_of, say_left_out
from xaibench.artefacts.trained_models import TrainedModel
from xaibench.data.loading import load_splits
from xaibench.errors import UsageError
from xaibench.nn.devices import device_named
from xaibench.plan.changes import assign
from xaibench.plan.schema import Plan, Use, of_mapping
from xaibench.plugins.registry import nearest
from xaibench.progress import announce_if_slow
from xaibench.results.manifest import job_of_folder
from xaibench.values import Sequences

RULES = ("predicted", "label")
"""What a target may be beside a class: the one that the model predicts, or the sequence's own."""


@dataclass(frozen=True, slots=True)
class Request:
    """What ``xaibench explain`` was called with.

    ``source`` is the folder of a run or the name of a model; ``weights`` are of the latter.
    ``models`` and ``seeds`` choose among those of a run. ``changes`` are ``key=value``, the keys
    those of a plan. ``device`` is where all is computed; where it is not given the CPU, or the
    device of the run.
    """

    source: str
    sequences: str | None = None
    methods: tuple[str, ...] = ()
    target: str = "predicted"
    weights: tuple[str, ...] = ()
    genome: str | None = None
    models: tuple[str, ...] = ()
    seeds: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()
    plugins: tuple[str, ...] = ()
    device: str | None = None


@dataclass(frozen=True, slots=True)
class Explainable:
    """What is to be explained: trained models of a work, by methods of its plan.

    ``target`` is one of ``RULES``, or the name or number of an output. ``of_run`` where these are
    the sequences that a run has explained itself.
    """

    work: Work
    sequences: Sequences
    trained: tuple[TrainedModel, ...]
    methods: tuple[str, ...]
    target: str
    of_run: bool = False


def explainable_of(request: Request) -> Explainable:
    """What a request asks for; UsageError (one line) where it cannot be."""
    folder = Path(request.source)
    if not folder.is_dir():
        return _of_own_model(request)
    if request.weights:
        raise UsageError(f"--weights: expected none, {folder} is a run and has its own")
    return _of_run(request, folder)


# A model of one's own


def _of_own_model(request: Request) -> Explainable:
    if request.sequences is None:
        raise UsageError(
            f"{request.source}: no such folder of a run; for a model of your own give "
            "sequences too: xaibench explain MODEL SEQUENCES --plugin FILE --weights FILE "
            "--method deeplift"
        )
    if not request.weights:
        raise UsageError(
            f"{request.source}: expected the weights of the model, --weights FILE, once for each "
            "replicate"
        )
    for option, given in (("--model", request.models), ("--seed", request.seeds)):
        if given:
            raise UsageError(f"{option}: is for a run; {request.source} is a model by its name")
    written = _written(request)
    written["models"] = {request.source: {"weights": list(request.weights)}}
    if request.device:
        written["device"] = request.device
    plan = changed_plan(written, request.changes, request.plugins)
    device_named(plan.device)
    with announce_if_slow("reading the data"):
        work = prepare(Job(plan, "", request.plugins, Path()))
    trained = tuple(TrainedModel(request.source, seed) for seed in seeds_of(plan, request.source))
    sequences = work.splits.test
    say_left_out(work.splits.train)
    return Explainable(work, sequences, trained, tuple(plan.attribution), request.target)


def _written(request: Request) -> dict[str, Any]:
    """A plan of the sequences and the methods, without models."""
    assert request.sequences is not None  # for the type checker
    if not request.methods:
        raise UsageError(
            "--method: expected one, as --method deeplift; `xaibench list attribution` has them all"
        )
    twice = [name for name in request.methods if request.methods.count(name) > 1]
    if twice:
        raise UsageError(f"--method: expected each once, got {twice[0]!r} twice")
    return {
        "dataset": dataset_of(request.sequences, request.genome),
        "attribution": {method: {} for method in request.methods},
        "target": "label" if request.target == "label" else "predicted",
    }


# A run


def _of_run(request: Request, folder: Path) -> Explainable:
    job = _on_device(job_of_folder(folder, request.plugins, request.methods), request.device)
    plan = job.plan
    models = _chosen(request.models, tuple(plan.models), "--model")
    trained = tuple(each for model in models for each in _replicates(plan, model, request.seeds))
    if not trained:
        raise UsageError(f"--seed: no model of {folder} has {', '.join(request.seeds)}")
    if request.sequences is None:
        return _of_run_itself(request, job, trained)
    written = _written(request)
    written["attribution"] |= {
        label: _as_written(use)
        for label, use in plan.attribution.items()
        if label in request.methods
    }
    for change in request.changes:
        assign(written, change)
        if change.partition(".")[0] not in ("dataset", "attribution"):
            raise UsageError(
                f"--set {change}: a run has its own; expected dataset. or attribution."
            )
    written = {**written, "dataset": all_rows(written["dataset"]), "models": ["kmer"]}
    given = of_mapping(written, plugins=request.plugins)
    with announce_if_slow("reading the data"):
        work = prepare(job)
        splits = load_splits(given.dataset, data_seed=0, source="", plugins=request.plugins)
    say_left_out(splits.train)
    changed = plan.model_copy(update={"attribution": given.attribution, "target": given.target})
    work = replace(work, job=replace(job, plan=changed))
    sequences = _relabelled(splits.test, work.splits.test.class_names)
    return Explainable(work, sequences, trained, tuple(given.attribution), request.target)


def _as_written(use: Use) -> dict[str, Any]:
    """What a plan says of a method, for all sequences that it is given."""
    options = {name: value for name, value in use.options.items() if name != "sequences"}
    return {"use": use.use, **options}


def _on_device(job: Job, name: str | None) -> Job:
    """The job of a run, on a device of this machine; the training is what it was."""
    if name is None:
        try:
            device_named(job.plan.device)
        except UsageError as error:
            raise UsageError(f"{job.folder}: the run has the {error}, as --device cpu") from None
        return job
    device_named(name)
    return replace(job, plan=job.plan.model_copy(update={"device": name}))


def _of_run_itself(request: Request, job: Job, trained: tuple[TrainedModel, ...]) -> Explainable:
    """The explanations that a run has made."""
    if request.changes or request.genome:
        raise UsageError("--set and --genome: expected sequences to explain, got none")
    if request.target not in ("predicted", job.plan.target):
        raise UsageError(
            f"--target {request.target}: the run explained what is {job.plan.target}; give the "
            "sequences too to explain another target"
        )
    methods = _chosen(request.methods, tuple(job.plan.attribution), "--method")
    with announce_if_slow("reading the data"):
        work = prepare(job)
    return Explainable(work, work.chosen, trained, methods, job.plan.target, of_run=True)


def _chosen(given: tuple[str, ...], known: tuple[str, ...], option: str) -> tuple[str, ...]:
    for name in given:
        if name not in known:
            raise UsageError(f"{option} {name}: not in the run; {nearest(name, list(known))}")
    return given or known


def _replicates(plan: Plan, model: str, seeds: tuple[str, ...]) -> list[TrainedModel]:
    names = replicate_names(plan, model)
    every = zip(names, seeds_of(plan, model), strict=True)
    return [TrainedModel(model, seed) for name, seed in every if name in seeds or not seeds]


def _relabelled(sequences: Sequences, class_names: tuple[str, ...]) -> Sequences:
    """Sequences with the classes of the run, where theirs are among them; else without."""
    known = {name: number for number, name in enumerate(class_names)}
    if not set(sequences.class_names) <= set(known):
        return sequences
    numbers = np.array([known[name] for name in sequences.class_names], np.int64)
    return replace(
        sequences, labels=numbers[sequences.labels], class_names=class_names, evidence=None
    )
