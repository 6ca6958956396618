"""A model of a run as it was before its training and in the course of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from xaibench.errors import NotApplicable, UsageError
from xaibench.nn.devices import seeded
from xaibench.nn.reinitialise import layers, reinitialised
from xaibench.plan.schema import Use
from xaibench.plugins.registry import load
from xaibench.randomness import stream
from xaibench.storage.artefacts import Spec, key

from .artefact import save_files
from .job import Work, require_training
from .models import forget, learnt, model_spec, seed_of_weights
from .networks import CARD, WEIGHTS, build, card_of, is_program, placed, restored, saved_weights
from .trained_models import TrainedModel

PRETRAINED = "pretrained"
"""The option of a model that says where it begins, unless its plug-in has an attribute
``begins_from`` with another name of it."""


def as_it_began(work: Work, trained: TrainedModel) -> Any:
    """The model as its training began, in evaluation mode."""
    require_training(work.plan, trained.name)
    if is_program(work, trained.name):
        raise NotApplicable(f"{trained.name} comes whole out of its file, and was never without it")
    with seeded(seed_of_weights(trained)):
        return placed(work, build(work, trained.name)).eval()


def with_pretrained_weights(work: Work, trained: TrainedModel) -> Any:
    """As its training began, of a model that began from a checkpoint; NotApplicable for others."""
    if not _has_checkpoint(work, trained.name):
        raise NotApplicable(f"{trained.name} does not begin from pre-trained weights")
    return as_it_began(work, trained)


def with_random_weights(work: Work, trained: TrainedModel) -> Any:
    """As its training would have begun without pre-trained weights.

    Where the checkpoint says the network too, its layers are re-initialised each by its own rule.
    """
    began = as_it_began(work, trained)
    if not _has_checkpoint(work, trained.name):
        return began
    bare = without_option(work, trained.name, _checkpoint_option(work, trained.name))
    with suppress(UsageError):  # of an option that the checkpoint stands for
        drawn = as_it_began(bare, trained)
        if _shapes(drawn) == _shapes(began):
            return drawn
    return redrawn(began, trained.seed)


def redrawn(model: Any, seed: int) -> Any:
    """A copy in evaluation mode, with random weights by the own rule of each layer."""
    generator = stream(seed, "model without its checkpoint")
    return reinitialised(model, layers(model), generator).eval()


BEFORE_TRAINING: Mapping[str, Callable[[Work, TrainedModel], Any]] = {
    "random": with_random_weights,
    "pretrained": with_pretrained_weights,
}
"""By the name of the state."""


def without_option(work: Work, model: str, option: str) -> Work:
    """The work of a plan whose model has not this option."""
    use = work.plan.models[model]
    options = {name: each for name, each in use.options.items() if name != option}
    models = {**work.plan.models, model: Use(use=use.use, options=options)}
    plan = work.plan.model_copy(update={"models": models})
    return replace(work, job=replace(work.job, plan=plan))


def _checkpoint_option(work: Work, model: str) -> str:
    plugin = load("models", work.plan.models[model].use, work.job.plugins)
    return str(getattr(plugin.call, "begins_from", PRETRAINED))


def _has_checkpoint(work: Work, model: str) -> bool:
    return bool(work.plan.models[model].options.get(_checkpoint_option(work, model)))


def _shapes(model: Any) -> dict[str, Any]:
    return {name: each.shape for name, each in model.state_dict().items()}


# In the course of training


def after_epoch(work: Work, trained: TrainedModel, epoch: int) -> Any:
    """The model after so many epochs of its training, in evaluation mode; ``keep_epochs`` first."""
    spec = _epoch_spec(work, trained, epoch)
    return restored(work, trained.name, lambda name: work.store.content(spec, name))


def keep_epochs(work: Work, trained: TrainedModel, epochs: Sequence[int]) -> None:
    """Train the model once more, up to the last of these epochs, and store the weights after each
    of them, where the store does not hold them yet.

    The same seed gives the same weights, where the training of the run does. NotApplicable where
    the training ends before, and of low-rank adaptation, whose weights are there at its end alone.
    """
    require_training(work.plan, trained.name)
    if work.plan.training.options.get("lora"):
        raise NotApplicable("low-rank adaptation has the weights of a model at its end alone")
    missing = [each for each in epochs if not work.store.holds(_epoch_spec(work, trained, each))]
    if not missing:
        return

    def keep(model: Any, epoch: int) -> None:
        if epoch in missing:
            _keep(work, _epoch_spec(work, trained, epoch), model)
        if epoch == max(missing):
            raise _Reached

    spec: Spec = {"kind": "epochs", "model": key(model_spec(work, trained))}
    forget(work, spec)  # a checkpoint of later epochs has no way back
    try:
        learnt(work, trained, work.splits, spec, lambda *_: None, after_epoch=keep)
    except _Reached:
        return
    finally:
        forget(work, spec)
    raise NotApplicable(f"the training of {trained.name} ends before epoch {max(missing)}")


class _Reached(Exception):
    """Nothing is left to be learnt."""


def _epoch_spec(work: Work, trained: TrainedModel, epoch: int) -> Spec:
    return {"kind": "epoch", "model": key(model_spec(work, trained)), "epoch": epoch}


def _keep(work: Work, spec: Spec, model: Any) -> None:
    card = card_of(model, spec, history=[])
    files = {WEIGHTS: saved_weights(model), CARD: json.dumps(card, indent=1).encode()}
    save_files(work, spec, files)
