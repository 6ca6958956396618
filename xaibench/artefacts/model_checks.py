"""Whether a trained model can be used, and what a reader must know of its outputs."""

import json
from dataclasses import asdict
from itertools import takewhile
from typing import Any

from xaibench.nn.checks.padding import Padding, padding_of
from xaibench.nn.checks.steadiness import steady
from xaibench.nn.checks.units import caution_of
from xaibench.plugins.fence import fenced
from xaibench.storage.artefacts import NOT_APPLICABLE, NOT_COMPUTED, OK, Spec, key

from .artefact import Artefact, Cost, Memory, is_stored
from .given_weights import described_model
from .job import Work, is_explained
from .models import model_artefact, model_spec
from .networks import WEIGHTS, few
from .trained_models import TrainedModel, replicates_of

FILE = "behaviour.json"


def behaviour_spec(work: Work, trained: TrainedModel) -> Spec:
    return {
        "kind": "behaviour",
        "model": key(model_spec(work, trained)),
        "data": work.data,
        "explained": is_explained(work.plan, trained.name),
    }


def behaviour_artefact(work: Work, trained: TrainedModel) -> Artefact:
    """What a trained model is like; or why nothing can be made of it."""
    return Artefact(
        behaviour_spec(work, trained),
        make=lambda memory: {
            FILE: json.dumps(_behaviour(memory, trained), indent=1).encode(),
        },
        read=lambda file: json.loads(file(FILE)[:]),
        cost=lambda _: Cost(),
        needs=(model_spec(work, trained),),
    )


def _behaviour(memory: Memory, trained: TrainedModel) -> dict[str, Any]:
    """The units of its outputs, and how it answers to padding."""
    work = memory.work
    classifier, test = memory.value(model_artefact(work, trained)), work.splits.test
    explained = is_explained(work.plan, trained.name)
    classes = len(test.class_names)
    with fenced():
        answers = steady(classifier, few(test), classes=classes, explained=explained)
    padding = padding_of(classifier, work.chosen.codes)
    return {
        "units": answers.units,
        "padding": None if padding is None else asdict(padding),
        "outputs": answers.logits.shape[1],
    }


def unusable(work: Work, trained: TrainedModel) -> tuple[str, str] | None:
    """The status and reason where a model was not trained, cannot be used, or is a copy of another
    replicate. None where it can, and where nobody looked yet, as in folders of earlier versions."""
    for spec in (model_spec(work, trained), behaviour_spec(work, trained)):
        status, reason = work.store.outcome(spec)
        if status != OK and reason != NOT_COMPUTED:
            return status, reason
    other = _copied(work, trained)
    if other is None:
        return None
    reason = f"has the weights of seed {other.seed}, and a copy is no other replicate"
    return NOT_APPLICABLE, reason


def _copied(work: Work, trained: TrainedModel) -> TrainedModel | None:
    """The first of the replicates before it that has the same weights, to the last bit: a training
    that changes nothing, or one file under two names."""
    own = work.store.digest(model_spec(work, trained), WEIGHTS)
    before = takewhile(lambda each: each != trained, replicates_of(work.plan, trained.name))
    same = (each for each in before if work.store.digest(model_spec(work, each), WEIGHTS) == own)
    return next(same, None) if own else None


def usable(work: Work, trained: TrainedModel) -> bool:
    """Whether a model was trained and can be used."""
    return is_stored(work, model_spec(work, trained)) and not unusable(work, trained)


def of_answers(work: Work) -> list[str]:
    """What a reader must know of the answers of the plan's models, one sentence each."""
    return [*_of_units(work), *of_padding(work), *_of_profiles(work)]


def _of_profiles(work: Work) -> list[str]:
    """Of the models whose profile is weighted by its own probabilities."""
    choices = {model: use.options.get("explain") or {} for model, use in work.plan.models.items()}
    return [
        f"{model}: the probabilities that weigh its profile count as constants (Avsec et al. "
        "2021), so contributions need not sum to the change of what is explained."
        for model, choice in choices.items()
        if choice.get("reduce") == "profile"
    ]


def _of_units(work: Work) -> list[str]:
    """Of the models that give probabilities in place of logits."""
    classes = len(work.splits.train.class_names)
    units = {
        (model, each["units"], each.get("outputs", classes)): None  # up to 0.1.0 not stored
        for model in work.plan.models
        for each in _behaviours(work, model)
    }
    cautions = ((model, caution_of(unit, outputs)) for model, unit, outputs in units)
    return [f"{model} {caution}." for model, caution in cautions if caution]


def of_padding(work: Work) -> list[str]:
    """Of the models that see padding, under the seed under which it changes most."""
    sentences = []
    for model in work.plan.models:
        paddings = [
            Padding(**each["padding"]) for each in _behaviours(work, model) if each["padding"]
        ]
        if paddings:
            sentences.append(f"{model} {max(paddings, key=lambda padding: padding.change)}.")
    return sentences


def single_outputs(work: Work) -> list[str]:
    """The models that give one number per sequence, and no classes."""
    return [
        model
        for model in work.plan.models
        if any(each.get("outputs") == 1 for each in _behaviours(work, model))
    ]


def _behaviours(work: Work, model: str) -> list[dict[str, Any]]:
    """What is known of a model under every seed under which it can be used."""
    specs = [behaviour_spec(work, trained) for trained in replicates_of(work.plan, model)]
    return [
        json.loads(work.store.content(spec, FILE)[:]) for spec in specs if is_stored(work, spec)
    ]


def unusable_models(work: Work) -> list[str]:
    """A sentence for each model that cannot be used, with the first seed's reason, and for each
    replicate of the others that cannot."""
    sentences = []
    for model in work.plan.models:
        replicates = replicates_of(work.plan, model)
        reasons = {each: why[1] for each in replicates if (why := unusable(work, each))}
        if len(reasons) == len(replicates):
            sentences.append(f"{model} is left out: {next(iter(reasons.values()))}")
        else:
            named = {described_model(work.plan, each): why for each, why in reasons.items()}
            sentences += [f"{model} is left out: {why}" for model, why in named.items()]
    return sentences
