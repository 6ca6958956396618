"""What a model can still learn once a method's most relevant positions are gone from all data."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

from xaibench.dna import replacement
from xaibench.errors import UsageError
from xaibench.explanation.controls import RANDOM, random_maps
from xaibench.nn.inference import logits
from xaibench.plan.primary import leading_operator
from xaibench.protocols import OfCurves
from xaibench.randomness import streams
from xaibench.shapes import Codes, Scores
from xaibench.storage.artefacts import Spec, key
from xaibench.values import Sequences, Splits

from .artefact import (
    Arrays,
    Artefact,
    Cost,
    Memory,
    ModelSizes,
    identified,
    of_arrays,
    print_of,
)
from .donors import donor_of
from .explanations import Explaining, identified_method, scores_of_all, what_is_explained
from .fixed_scores import require_not_fixed
from .job import Work, facts_of_metric, is_trained, require_training
from .models import forget, learnt, model_artefact, model_spec
from .networks import placed
from .subsets import first
from .trained_models import TrainedModel

NOTHING_REMOVED = ""
"""In place of a source: the retrainings that remove nothing, which all sources share."""


class Retraining(NamedTuple):
    """One retraining: without the most relevant ``fraction`` of the positions, on the first
    ``train`` sequences (None: all)."""

    operator: str
    fraction: float
    train: int | None = None


def retrainings_of(work: Work, metric: str) -> list[Retraining]:
    """What a metric of the plan wants, the intact data first; none for other metrics."""
    kind, options = facts_of_metric(work, metric).kind, work.plan.metrics[metric].options
    if not isinstance(kind, OfCurves) or kind.curve != "retrained":
        return []
    operator = options["operator"]
    if operator not in work.plan.operators:
        known = ", ".join(work.plan.operators)
        raise UsageError(
            f"metrics.{metric}.operator: expected an operator of the plan ({known}), "
            f"got {operator!r}"
        )
    nothing = Retraining(leading_operator(work.plan.operators), 0.0, options["train"])
    fractions = sorted(options["fractions"])
    return [nothing, *(Retraining(operator, each, options["train"]) for each in fractions)]


def retrainings(work: Work) -> list[Retraining]:
    """The different retrainings that the plan's metrics want of every method."""
    every = (each for metric in work.plan.metrics for each in retrainings_of(work, metric))
    return list(dict.fromkeys(every))


def retrained_spec(work: Work, trained: TrainedModel, source: str, retraining: Retraining) -> Spec:
    """Without any position removed, the retraining is the same for every method and operator; in a
    random order, for every target."""
    plan = work.plan
    removed: dict[str, Any] = {"method": "none"}
    if retraining.fraction:
        operator = identified(work, "operators", plan.operators[retraining.operator])
        removed = {"method": RANDOM, "operator": operator}
    if retraining.fraction and source != RANDOM:
        removed["method"] = identified_method(work, trained, source)
        removed |= {"target": plan.target, **what_is_explained(work)}
    return {
        "kind": "retrained",
        "model": key(model_spec(work, trained)),
        **removed,
        "fraction": retraining.fraction,
        "train": retraining.train,
        "sequences": print_of(work.chosen.codes),
        "data_seed": plan.data_seed,
    }


def retrained_artefacts(
    work: Work, trained: TrainedModel, source: str, *needs: Spec
) -> Iterator[Artefact]:
    """The retrainings of one source; of ``NOTHING_REMOVED`` those that all sources share."""
    for retraining in retrainings(work):
        if (source == NOTHING_REMOVED) == (retraining.fraction == 0):
            yield retrained_artefact(work, trained, source, retraining, *needs)


def retrained_artefact(
    work: Work, trained: TrainedModel, source: str, retraining: Retraining, *needs: Spec
) -> Artefact:
    """The logits of a retrained model on the explained sequences, with as much removed."""
    source = RANDOM if source == NOTHING_REMOVED else source
    spec = retrained_spec(work, trained, source, retraining)

    def make(memory: Memory) -> Arrays:
        require_training(work.plan, trained.name)
        if source != RANDOM and retraining.fraction:
            require_not_fixed(work, source, "retraining, which removes positions of train too")
        maps = memory.once(
            ("maps to remove by", retraining.train),
            lambda: list(_maps(memory, trained, source, retraining)),
        )
        splits = _without_relevant(work, maps, retraining)
        classifier, _ = learnt(work, trained, splits, spec, lambda *_: None)
        return {"logits": logits(placed(work, classifier), splits.test.codes)}

    def cost(_: ModelSizes) -> Cost:
        if not is_trained(work.plan, trained.name):
            return Cost()  # only why not is stored
        train, validation, explained = map(len, _data_parts(work, retraining))
        validation = 0 if work.splits.validation is None else validation
        return Cost(
            retrainings=1,
            trained=train / len(work.splits.train),
            stored=explained * len(work.splits.train.class_names) * 4,
            shared={} if source == RANDOM else {train: train + validation + explained},
        )

    artefact = of_arrays(spec, make, cost, needs)
    return replace(artefact, stored=lambda: forget(work, spec))


def _data_parts(work: Work, retraining: Retraining) -> list[Sequences]:
    """What is learnt from, validated on and predicted."""
    train, validation = first(work.splits.train, retraining.train), work.splits.validation
    return [train, train if validation is None else validation, work.chosen]


def _maps(
    memory: Memory, trained: TrainedModel, source: str, retraining: Retraining
) -> Iterator[Scores]:
    """A map of each sequence of each part: of the method on the model as it was first trained."""
    work = memory.work
    for part in _data_parts(work, retraining):
        if source == RANDOM:
            yield random_maps(part, 1, work.plan.data_seed)[0]
            continue
        classifier = memory.value(model_artefact(work, trained))
        yield scores_of_all(Explaining(work, part, classifier, trained, source))


def _without_relevant(work: Work, maps: list[Scores], retraining: Retraining) -> Splits:
    """The splits without the most relevant positions."""
    parts = [
        replace(part, codes=_without(work, part, scores, retraining))
        for part, scores in zip(_data_parts(work, retraining), maps, strict=True)
    ]
    return Splits(train=parts[0], validation=parts[1], test=parts[2])


def _without(work: Work, sequences: Sequences, scores: Scores, retraining: Retraining) -> Codes:
    """The sequences with their most relevant positions replaced."""
    codes, valid = sequences.codes, sequences.valid
    ties = streams(work.plan.data_seed, "ties", codes)
    ranked = replacement.replacement_ranks(scores, valid, ties)
    count = replacement.replacement_counts((retraining.fraction,), valid)[0]
    return replacement.with_replaced(
        codes, donor_of(work, retraining.operator, codes), ranked, count
    )
