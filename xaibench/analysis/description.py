"""What ``environment.json`` says of the data, the models and the metrics of a run."""

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from xaibench.artefacts import explanations
from xaibench.artefacts import models as trainings
from xaibench.artefacts.artefact import is_stored
from xaibench.artefacts.given_weights import replicate_names
from xaibench.artefacts.job import Work, facts_of_metric, is_trained
from xaibench.artefacts.model_checks import of_answers, single_outputs
from xaibench.artefacts.trained_models import TrainedModel, replicates_of
from xaibench.data.audit.cautions import dataset_cautions
from xaibench.data.loading import STANDS_IN
from xaibench.metrics.localisation import CHANCE
from xaibench.plan.listing import first_sentence
from xaibench.plan.schema import Plan
from xaibench.plugins.registry import load
from xaibench.results.metric_facts import written_facts
from xaibench.shapes import Codes
from xaibench.values import N, Sequences

from .summaries import signed_methods


def description(work: Work) -> dict[str, Any]:
    """The data and the models of a run, for ``environment.json``."""
    plan = work.plan
    parameters = {
        trained.name: trainings.card(work, trained)["parameters"]
        for trained in _first_replicates(plan)
        if is_stored(work, trainings.model_spec(work, trained))
    }
    return {
        "data": work.data,
        "dataset": _dataset(work),
        "floor": trainings.stored_trivial_baselines(work),
        "parameters": parameters,
        "replicates": {
            model: list(replicate_names(plan, model))
            for model in plan.models
            if not is_trained(plan, model)
        },
        "signed": signed_methods(work),
        "metrics": {label: _facts_of(work, label) for label in plan.metrics},
        "operators": {
            label: _definition(load("operators", use.use, work.job.plugins).call)
            for label, use in plan.operators.items()
        },
        "chance": _chance_levels(work),
        **explanations.what_is_explained(work),
        **_single_outputs(work),
        "cautions": [*of_answers(work), *_cautions(work)],
    }


def _dataset(work: Work) -> dict[str, Any]:
    """What the data are and how many."""
    splits = work.splits
    sizes = {"train": len(splits.train), "test": len(splits.test), "explained": len(work.chosen)}
    if splits.validation is not None:
        sizes["validation"] = len(splits.validation)
    return {
        "name": work.plan.dataset.use,
        "note": splits.note,
        "facts": dict(splits.facts),
        "sizes": sizes,
        "length": int(splits.train.codes.shape[1]),
        "class_names": list(splits.train.class_names),
        "test_counts": np.bincount(
            splits.test.labels, minlength=len(splits.train.class_names)
        ).tolist(),
        "groups": splits.background.groups is not None,
        "inside_motif": _share_inside_motif(splits.background),
    }


def _single_outputs(work: Work) -> dict[str, list[str]]:
    """The models without classes, where there are any."""
    models = single_outputs(work)
    return {"single_output": models} if models else {}


def _share_inside_motif(sequences: Sequences) -> float | None:
    """The share of positions that lie inside motifs; None where that is not known."""
    motif = sequences.inside_motif
    return None if motif is None else float(motif.sum() / sequences.valid.sum())


def _cautions(work: Work) -> list[str]:
    """What a reader must know of the data and the models that is in no table."""
    instead = [work.splits.note] if STANDS_IN in work.splits.facts else []
    references = explanations.stored_references(work)
    shuffled = [] if references is None else _of_shuffles(references, work.chosen.codes)
    return [*instead, *dataset_cautions(work.splits), *_of_half_precision(work), *shuffled]


def _first_replicates(plan: Plan) -> list[TrainedModel]:
    """Every model under its first seed."""
    return [replicates_of(plan, model)[0] for model in plan.models]


def _of_half_precision(work: Work) -> list[str]:
    narrow = {
        trained.name: trainings.narrow_weights(work, trained)
        for trained in _first_replicates(work.plan)
    }
    return [
        f"The weights of {model} are {kind}: it is explained with the same weights in float32, and "
        "measured as it is; logits of the two differ by rounding."
        for model, kind in narrow.items()
        if kind
    ]


def _of_shuffles(references: Codes, codes: Codes) -> list[str]:
    """What methods with references cannot see: positions where all shuffles have the base of the
    sequence. Two per sequence are its ends."""
    same = (references == codes[:, None]).all(axis=1)
    alone = int(same.all(axis=1).sum())
    own = (
        f"{alone} of {len(codes)} explained sequences are their own only dinucleotide shuffle: "
        "methods with references find nothing there."
    )
    known = codes < N
    share = float((same & known).sum() / max(1, known.sum()))
    ends = (
        f"{share:.1%} of the known positions have the same base in all dinucleotide shuffles, the "
        "first and the last of every stretch of known bases among them: methods with references "
        "give them exactly 0."
    )
    many = (same & known).sum() > 2.2 * len(codes)  # low complexity may add a few
    return [*([own] if alone else []), *([ends] if many else [])]


def _facts_of(work: Work, label: str) -> dict[str, Any]:
    facts = facts_of_metric(work, label)
    plugin = load("metrics", work.plan.metrics[label].use, work.job.plugins)
    return {**written_facts(facts), "definition": _definition(plugin.call)}


def _definition(call: Callable[..., Any]) -> str:
    """What a plug-in's author says in one sentence."""
    return first_sentence(inspect.getdoc(call) or "")


def _chance_levels(work: Work) -> dict[str, float]:
    """What a random map reaches on the sequences that carry the motif."""
    if work.chosen.inside_motif is None:
        return {}
    inside = work.chosen.inside_motif.sum(axis=1)
    carries = inside > 0
    if not carries.any():
        return {}
    positions = work.chosen.valid.sum(axis=1)[carries]
    chances = {name: chance(inside[carries], positions) for name, chance in CHANCE.items()}
    return {
        name: float(np.nanmean(each)) for name, each in chances.items() if not np.isnan(each).all()
    }
