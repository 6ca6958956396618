"""Trained weights, what models predict, and the trivial baselines."""

import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from math import isnan
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load as load_weights

from xaibench.data.audit.baselines import TrivialBaseline, trivial_baselines
from xaibench.errors import ModelError
from xaibench.nn.checks.steadiness import Answers, steady
from xaibench.nn.checks.units import caution_of
from xaibench.nn.devices import seeded
from xaibench.nn.inference import logits
from xaibench.plugins.fence import fenced
from xaibench.plugins.signatures import supplied
from xaibench.progress import announce
from xaibench.protocols import OfChange
from xaibench.randomness import stream
from xaibench.storage.artefacts import Spec, key
from xaibench.values import Sequences, Splits

from .artefact import (
    Artefact,
    Cost,
    Epoch,
    Files,
    Memory,
    ModelSizes,
    identified,
    is_stored,
    of_arrays,
    save_files,
)
from .given_weights import given_artefact, given_spec
from .job import Work, facts_of_metric, is_explained, is_trained, plugin_and_options, remembered
from .networks import (
    CARD,
    WEIGHTS,
    build,
    card_of,
    few,
    fresh,
    is_program,
    network_spec,
    placed,
    restored,
    saved_weights,
)
from .trained_models import TrainedModel, replicates_of

RANDOM_LABELS = "random labels"

CHECKPOINT = ".training-"
"""How the name of the folder of a checkpoint begins."""

_NARROW = ("bfloat16", "float16")
"""Types of weights with less than 32 bits."""


@remembered
def model_spec(work: Work, trained: TrainedModel, *, learnt_from: str = "") -> Spec:
    """``learnt_from`` says what the model was trained on instead of the train split."""
    plan = work.plan
    if not is_trained(plan, trained.name):
        return given_spec(work, trained)
    spec = {
        "kind": "model",
        "model": network_spec(work, trained.name),
        "training": identified(work, "training", plan.training),
        "seed": trained.seed,
        "data": work.data,
        "data_seed": plan.data_seed,
    }
    return {**spec, "learnt_from": learnt_from} if learnt_from else spec


def model_specs(work: Work, trained: TrainedModel) -> dict[str, Spec]:
    """By what they learn from, the models that the plan's metrics need under one seed."""
    sources = [""]
    if is_trained(work.plan, trained.name) and any(
        facts_of_metric(work, metric).kind == OfChange("random_labels")
        for metric in work.plan.metrics
    ):
        sources.append(RANDOM_LABELS)
    return {source: model_spec(work, trained, learnt_from=source) for source in sources}


def model_artefact(work: Work, trained: TrainedModel, *, learnt_from: str = "") -> Artefact:
    """A model trained under one seed, or given with its weights; its value is the model in
    evaluation mode."""
    if not is_trained(work.plan, trained.name):
        return given_artefact(work, trained)
    spec = model_spec(work, trained, learnt_from=learnt_from)

    def train(memory: Memory) -> Files:
        splits = _with_random_labels(work) if learnt_from else work.splits
        answers = _of_fresh(work, trained.name)
        if trained == replicates_of(work.plan, trained.name)[0] and not learnt_from:
            _say_units(trained.name, answers)
        classifier, history = learnt(work, trained, splits, spec, memory.epoch)
        _require_restorable(work, trained.name, classifier)
        return _files(classifier, history, spec)

    def cost(sizes: ModelSizes) -> Cost:
        return Cost(trainings=1, trained=1.0, stored=sizes.weights)

    return Artefact(
        spec,
        make=train,
        read=lambda file: restored(work, trained.name, file),
        cost=cost,
        stored=lambda: forget(work, spec),
    )


def model_artefacts(work: Work, trained: TrainedModel) -> Iterator[Artefact]:
    """The models that the plan's metrics need under one seed."""
    for source in model_specs(work, trained):
        yield model_artefact(work, trained, learnt_from=source)


def _of_fresh(work: Work, model: str) -> Answers:
    """The answers of fresh weights: what a model cannot do is known before it is trained."""
    classes, explained = len(work.splits.train.class_names), is_explained(work.plan, model)
    codes = few(work.splits.background)
    with fenced():
        untrained = fresh(work, model)
        answers = steady(untrained, codes, classes=classes, explained=explained)
        for name, value in untrained.state_dict().items():
            if not isinstance(value, torch.Tensor):
                kind = type(value).__name__
                raise ModelError(f"expected a state_dict of tensors, got a {kind} under {name!r}")
    return answers


def _say_units(model: str, answers: Answers) -> None:
    """Say before the first training that a model gives probabilities in place of logits."""
    caution = caution_of(answers.units, answers.logits.shape[1])
    if caution:
        announce(f"{model} {caution}")


def _require_restorable(work: Work, model: str, classifier: Any) -> None:
    """ModelError where the stored weights do not restore the trained model."""
    again, codes = fresh(work, model), few(work.splits.background)
    again.load_state_dict(classifier.state_dict())
    one, other = logits(placed(work, classifier), codes), logits(again, codes)
    change, span = float(np.abs(one - other).max()), float(np.ptp(one))
    if change > 1e-3 * max(span, float(np.abs(one).max())):
        raise ModelError(
            f"is not made again by its weights: loaded into a new one they give logits that differ "
            f"by {change:.2g} where all span {span:.2g}. Is something learnt or drawn that is no "
            "parameter and no buffer of the module?"
        )


def learnt(
    work: Work,
    trained: TrainedModel,
    splits: Splits,
    spec: Spec,
    progress: Epoch,
    *,
    after_epoch: Callable[[Any, int], None] = lambda model, epoch: None,
) -> tuple[Any, list[dict[str, Any]]]:
    """A model trained on these splits, and its history; ``after_epoch`` is called with the model as
    it is then, and the number of the epoch from 1.

    A training that was cut goes on from the checkpoint of ``spec``, where the loop keeps one. It
    stays: ``forget`` it once the outcome is stored.
    """
    plugin, options = plugin_and_options(work, "training", work.plan.training)
    work.store.check()
    work.store.root.mkdir(parents=not work.store.marked, exist_ok=True)
    checkpoint = checkpoint_folder(work, spec)
    if checkpoint.is_symlink() or checkpoint.is_file():
        checkpoint.unlink()  # what a link leads to is not ours to write
    # Initialisation and dropout draw from torch's global generators: give them their own.
    with seeded(seed_of_weights(trained)):
        classifier = build(work, trained.name)

        def passed(epoch: int, epochs: int, row: dict[str, float]) -> None:
            progress(epoch, epochs, row)
            after_epoch(classifier, epoch)

        known = {"seed": trained.seed, "progress": passed, "checkpoint": checkpoint}
        with fenced():
            history = plugin.call(classifier, splits, **supplied(plugin.call, known), **options)
    return classifier, history


def seed_of_weights(trained: TrainedModel) -> int:
    """What torch draws from when a model is made and trained."""
    return int(stream(trained.seed, "model").integers(2**62))


def forget(work: Work, spec: Spec) -> None:
    """Remove the checkpoint of ``spec``, if there is one: what came of the training is stored."""
    shutil.rmtree(checkpoint_folder(work, spec), ignore_errors=True)


def checkpoint_folder(work: Work, spec: Spec) -> Path:
    """Where the state of a training under way lies, in the store."""
    return work.store.root / f"{CHECKPOINT}{key(spec)}"


def _with_random_labels(work: Work) -> Splits:
    """The splits with permuted labels of what is learnt from."""

    def permuted(sequences: Sequences) -> Sequences:
        generator = stream(work.plan.data_seed, RANDOM_LABELS, len(sequences))
        return replace(sequences, labels=generator.permutation(sequences.labels))

    validation = work.splits.validation
    return replace(
        work.splits,
        train=permuted(work.splits.train),
        validation=None if validation is None else permuted(validation),
    )


def _files(classifier: Any, history: list[dict[str, Any]], spec: Spec) -> Files:
    """Weights, and a card that says what they are and how they came about."""
    made_from = {name: spec[name] for name in ("model", "training", "seed", "data", "data_seed")}
    card = card_of(classifier, made_from, history=history)
    return {WEIGHTS: saved_weights(classifier), CARD: json.dumps(card, indent=1).encode()}


def card(work: Work, trained: TrainedModel) -> dict[str, Any]:
    """Parameter count and history of a trained model."""
    return dict(json.loads(work.store.content(model_spec(work, trained), CARD)[:]))


def stored_classifier(work: Work, trained: TrainedModel) -> Any:
    """A trained model from the store, in evaluation mode."""
    return model_artefact(work, trained).load(work.store)


def narrow_weights(work: Work, trained: TrainedModel) -> str:
    """The types of a stored model's weights that have less than 32 bits; empty where none has."""
    spec = model_spec(work, trained)
    if not is_stored(work, spec):
        return ""
    if is_program(work, trained.name):
        return ""
    weights = load_weights(work.store.content(spec, WEIGHTS)[:])
    kinds = {str(tensor.dtype).removeprefix("torch.") for tensor in weights.values()}
    return " and ".join(kind for kind in _NARROW if kind in kinds)


def predictions_spec(work: Work, trained: TrainedModel) -> Spec:
    return {
        "kind": "predictions",
        "model": key(model_spec(work, trained)),
        "data": work.data,
    }


def predictions_artefact(work: Work, trained: TrainedModel, *needs: Spec) -> Artefact:
    """The logits of the whole test split."""
    codes, classes = work.splits.test.codes, len(work.splits.test.class_names)

    def cost(_: ModelSizes) -> Cost:
        passes = Counter({(trained.name, "the test split"): len(codes)})
        return Cost(passes, stored=len(codes) * classes * 4)

    return of_arrays(
        predictions_spec(work, trained),
        lambda memory: {"logits": logits(memory.value(model_artefact(work, trained)), codes)},
        cost,
        needs,
    )


def trivial_baselines_of(work: Work) -> list[dict[str, Any]]:
    """What trivial baselines reach on test, the fields of ``TrivialBaseline`` (None: undefined)."""
    spec = _trivial_baselines_spec(work)
    if not work.store.holds(spec):
        rows = [
            {name: _known(figure) for name, figure in trivial._asdict().items()}
            for trivial in trivial_baselines(work.splits, work.plan.data_seed)
        ]
        save_files(work, spec, {"floor.json": json.dumps(rows, indent=1).encode()})
    return stored_trivial_baselines(work)


def _known(figure: Any) -> Any:
    """JSON has no NaN."""
    return None if isinstance(figure, float) and isnan(figure) else figure


def stored_trivial_baselines(work: Work) -> list[dict[str, Any]]:
    """The trivial baselines of a run that has come so far; nothing before."""
    spec = _trivial_baselines_spec(work)
    return (
        list(json.loads(work.store.content(spec, "floor.json")[:])) if is_stored(work, spec) else []
    )


def _trivial_baselines_spec(work: Work) -> Spec:
    return {
        "kind": "floor",
        "figures": list(TrivialBaseline._fields),
        "data": work.data,
        "data_seed": work.plan.data_seed,
    }
