"""Models that are there already: a network, and a file of weights per replicate."""

from __future__ import annotations

import json
from pathlib import Path, PurePath
from typing import Any

from xaibench.errors import ModelError, UsageError
from xaibench.nn.weights import load_into, read_weights, without_prefix
from xaibench.plan.paths import locate
from xaibench.plan.schema import Plan
from xaibench.plugins.harness_options import of_harness
from xaibench.plugins.registry import load
from xaibench.storage.artefacts import Spec

from .artefact import Artefact, Cost, Files, Memory, pieces_of
from .job import Work, is_trained, seeds_of, weights_of
from .networks import (
    CARD,
    PROGRAM,
    WEIGHTS,
    build,
    card_of,
    data_of_network,
    is_program,
    network_spec,
    restored,
    saved_weights,
)
from .option_files import content_digest
from .trained_models import TrainedModel


def given_spec(work: Work, trained: TrainedModel) -> Spec:
    """What a model is: its network, and the bytes of its weights. Not the name of the file, nor its
    place among others: a file that is added computes only itself."""
    return {
        "kind": "model",
        "model": network_spec(work, trained.name),
        "weights": _digest(work, trained),
        **data_of_network(work),
    }


def _file_of(work: Work, trained: TrainedModel) -> str:
    return weights_of(work.plan, trained.name)[trained.seed]


def _digest(work: Work, trained: TrainedModel) -> str:
    return content_digest(locate(_file_of(work, trained), work.job.source))


def given_artefact(work: Work, trained: TrainedModel) -> Artefact:
    """A model with the weights of a file; its value is the model in evaluation mode."""
    spec = given_spec(work, trained)

    def read_in(memory: Memory) -> Files:
        try:
            path = locate(_file_of(work, trained), work.job.source)
            return _files(work, trained.name, path, spec)
        except UsageError as error:  # of one model: the others go on
            raise ModelError(str(error)) from None

    return Artefact(
        spec,
        make=read_in,
        read=lambda file: restored(work, trained.name, file),
        cost=lambda sizes: Cost(stored=sizes.weights),
    )


def given_classifier(work: Work, trained: TrainedModel) -> Any:
    """A model with the weights of a file, in evaluation mode; nothing is stored."""
    artefact = given_artefact(work, trained)
    files = artefact.make(Memory(work))
    return artefact.read(lambda name: b"".join(pieces_of(files[name])))


def _files(work: Work, model: str, path: Path, spec: Spec) -> Files:
    """The weights, or the program, and a card that says what they are."""
    content = path.read_bytes() if is_program(work, model) else None
    classifier = build(work, model, program=content)
    if content is None:
        plugin = load("models", work.plan.models[model].use, work.job.plugins)
        prefix = of_harness(plugin, work.plan.models[model].options)["strip_prefix"]
        state = without_prefix(read_weights(path), prefix, path.name)
        load_into(classifier, state, path.name)
    made_from = {"model": spec["model"], "weights": spec["weights"], "file": path.name}
    card: dict[str, Any] = card_of(classifier, made_from, history=[])
    files = {WEIGHTS: saved_weights(classifier)} if content is None else {PROGRAM: content}
    return {**files, CARD: json.dumps(card, indent=1).encode()}


def replicate_names(plan: Plan, model: str) -> tuple[str, ...]:
    """What the replicates of a model are called: the stems of their files, with the folder where
    that alone tells them apart; of a trained model its seeds."""
    seeds = seeds_of(plan, model)
    if is_trained(plan, model):
        return tuple(map(str, seeds))
    paths = [PurePath(file) for file in weights_of(plan, model)[: len(seeds)]]
    stems = [path.stem for path in paths]
    if len(set(stems)) == len(stems):
        return tuple(stems)
    return tuple(f"{path.parent.name}/{path.stem}" for path in paths)


def replicate_name(plan: Plan, trained: TrainedModel) -> str:
    """The seed of a trained model, or the stem of its file of weights."""
    seeds = seeds_of(plan, trained.name)
    return replicate_names(plan, trained.name)[seeds.index(trained.seed)]


def described_model(plan: Plan, trained: TrainedModel) -> str:
    """A trained model in words: ``cnn, seed 0`` or ``mine, weights fold0``."""
    kind = "seed" if is_trained(plan, trained.name) else "weights"
    return f"{trained.name}, {kind} {replicate_name(plan, trained)}"


def require_different_weights(work: Work) -> None:
    """UsageError where a model is given the same file twice: copies are no replicates."""
    for model in work.plan.models:
        files = weights_of(work.plan, model)
        by_digest: dict[str, str] = {}
        for seed, file in enumerate(files):
            digest = _digest(work, TrainedModel(model, seed))
            other = by_digest.setdefault(digest, file)
            if other is not file:
                raise UsageError(
                    f"models.{model}.weights: {other} and {file} hold the same bytes; a copy is no "
                    "other replicate, so name it once"
                )


def seed_of_streams(work: Work, trained: TrainedModel) -> int:
    """What random streams of a model are drawn from: its seed, or of given weights their bytes, so
    that nothing depends on the order of files."""
    if is_trained(work.plan, trained.name):
        return trained.seed
    return int(_digest(work, trained)[:12], 16)
