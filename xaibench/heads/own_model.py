"""The heads of a model of one's own, on sequences or cells in a file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from xaibench.artefacts.given_weights import described_model, given_classifier, replicate_name
from xaibench.artefacts.job import Job, Work, is_trained, seeds_of
from xaibench.artefacts.networks import built, fresh
from xaibench.artefacts.own_model import changed_plan, dataset_of, say_left_out
from xaibench.artefacts.states import BEFORE_TRAINING, redrawn, without_option
from xaibench.artefacts.trained_models import TrainedModel
from xaibench.data.files.h5ad import cells, is_h5ad
from xaibench.data.loading import load_splits
from xaibench.errors import UsageError
from xaibench.nn.devices import seeded
from xaibench.plan.changes import assign
from xaibench.plan.paths import locate
from xaibench.plugins.options import resolve
from xaibench.plugins.registry import Plugin, load
from xaibench.plugins.signatures import typed
from xaibench.progress import announce_if_slow
from xaibench.storage.artefacts import Store
from xaibench.values import CellCounts

from .analysis import HeadModel, HeadTables, Known, head_tables, known_of_sequences
from .gene_tracks import gene_tracks_named
from .options import AS_BUILT, STATES, TRAINED, HeadOptions
from .tracks import require_different

OF_FOLDER, OF_CELLS = "huggingface", "scgpt"
"""Which models a folder is of: one of sequences, one of cells."""


@dataclass(frozen=True, slots=True)
class OwnHeads:
    """What ``xaibench heads MODEL FILE`` was called with: ``source`` is the name of a model or the
    folder of one, ``examples`` a file of sequences or ``.h5ad``; ``changes`` are ``key=value``, the
    keys those of a plan."""

    source: str
    examples: str
    weights: tuple[str, ...] = ()
    genome: str | None = None
    changes: tuple[str, ...] = ()
    plugins: tuple[str, ...] = ()


def heads_of_own(request: OwnHeads, options: HeadOptions) -> HeadTables:
    """The tables of a model with each of its files of weights, or as its options make it.

    UsageError, one line, before anything is computed, where model, file or a track is none.
    """
    if (Path(request.source) / "plan.yaml").is_file():
        raise UsageError(
            f"{request.source}: is a run, which has its own sequences; leave yours out"
        )
    epochs = [state for state in options.states if state not in STATES[:-1]]
    of_run = {"--model": options.models, **{f"--state {state}": True for state in epochs}}
    for option in (name for name, is_asked in of_run.items() if is_asked):
        raise UsageError(f"{option}: is for a run; {request.source} is a model")
    if is_h5ad(Path(request.examples)):
        return _heads_of_cells(request, options)
    name, given = _model_of(request, OF_FOLDER)
    weights: dict[str, Any] = {"weights": [*request.weights]} if request.weights else {}
    dataset = dataset_of(request.examples, request.genome)
    written = {"dataset": dataset, "models": {name: {**given, **weights}}}
    plan = changed_plan(written, request.changes, request.plugins)
    with announce_if_slow("reading the data"):
        splits = load_splits(plan.dataset, data_seed=0, source="", plugins=request.plugins)
    say_left_out(splits.train)
    job = Job(plan, "", request.plugins, Path())
    work = Work(job, Store(job.folder / "store", False), splits, splits.test, "")
    known = known_of_sequences(splits.test, options)
    return head_tables(_replicates(work, name, options.states), known, options)


def _model_of(request: OwnHeads, of_folder: str) -> tuple[str, dict[str, Any]]:
    """The name of a model and its options; of a folder those of a model that reads such."""
    if Path(request.source).is_dir():
        return of_folder, {"path": request.source}
    return request.source, {}


def _replicates(work: Work, name: str, states: Sequence[str]) -> Iterator[HeadModel]:
    """Each file of weights, or the model as its options make it, in each state."""
    bare = without_option(work, name, "weights")
    for number, own in enumerate(_given_models(work, name)):
        for state in states:
            if state == TRAINED:
                yield own
                continue
            before = partial(BEFORE_TRAINING[state], bare, TrainedModel(name, number))
            yield replace(own, described=f"{own.described}, {state}", state=state, load=before)


def _given_models(work: Work, name: str) -> Iterator[HeadModel]:
    if is_trained(work.plan, name):
        yield HeadModel(name, "0", name, lambda: fresh(work, name).eval(), AS_BUILT)
        return
    for trained in (TrainedModel(name, seed) for seed in seeds_of(work.plan, name)):
        described = described_model(work.plan, trained)
        load_it = partial(given_classifier, work, trained)
        yield HeadModel(name, replicate_name(work.plan, trained), described, load_it)


# Cells


def _heads_of_cells(request: OwnHeads, options: HeadOptions) -> HeadTables:
    of_sequences = {
        **{"--weights": request.weights, "--genome": request.genome},
        **{
            "--shuffle-around": options.around,
            "--state pretrained": "pretrained" in options.states,
        },
    }
    for option in (name for name, given in of_sequences.items() if given):
        raise UsageError(f"{option}: is for sequences; cells have none")
    name, folder = _model_of(request, OF_CELLS)
    dataset = {"path": request.examples, "most": options.sequences}
    written: dict[str, Any] = {"dataset": dataset, "models": {name: folder}}
    for change in request.changes:
        assign(written, change)
        if change.partition(".")[0] not in ("dataset", "models"):
            raise UsageError(f"--set {change}: expected dataset. or models.{name}.")
    with announce_if_slow("reading the cells"):
        read = _called(Plugin("cells", "cells", cells, ""), written["dataset"], where="dataset")
    plugin = load("models", name, request.plugins)
    about: dict[str, Any] = {"genes": read.genes, "classes": len(read.class_names)}
    where = f"models.{name}"
    with seeded(0):
        network = _called(plugin, written["models"][name], where=where, about=about).eval()
    _require_its_classes(network, read, request.source)
    known = _known_of_cells(read, options)
    return head_tables(_in_states(name, network, options.states), known, options)


def _in_states(name: str, network: Any, states: Sequence[str]) -> Iterator[HeadModel]:
    own = HeadModel(name, "0", name, lambda: network, AS_BUILT)
    drawn = partial(redrawn, network, 0)
    for state in states:
        random = replace(own, described=f"{name}, {state}", state=state, load=drawn)
        yield own if state == TRAINED else random


def _called(
    plugin: Plugin, given: dict[str, Any], *, where: str, about: dict[str, Any] | None = None
) -> Any:
    if isinstance(given.get("path"), str):
        given = {**given, "path": str(locate(given["path"], ""))}
    return built(plugin, typed(plugin, resolve(plugin, given, where=where)), about or {})


def _require_its_classes(network: Any, read: CellCounts, source: str) -> None:
    classes = getattr(network, "classes", None)
    if read.has_classes and classes is not None and classes != len(read.class_names):
        listed = ", ".join(read.class_names[:5])
        raise UsageError(
            f"{source}: tells {classes} classes apart, and the label of the cells has "
            f"{len(read.class_names)} ({listed} ...)"
        )


def _known_of_cells(read: CellCounts, options: HeadOptions) -> Known:
    tracks, nuisance = (
        [track for each in named for track in gene_tracks_named(each, read)]
        for named in (options.tracks or ("expression",), options.nuisance)
    )
    require_different(tracks)
    return Known(read, tracks, nuisance)
