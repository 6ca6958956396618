"""A few explained sequences in full: letters, truth, maps and curves, for a person to look at."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xaibench.artefacts import explanations
from xaibench.artefacts import models as trainings
from xaibench.artefacts.artefact import arrays_of, is_stored
from xaibench.artefacts.curve_keys import CurveKey
from xaibench.artefacts.curves import curve_spec
from xaibench.artefacts.job import Work
from xaibench.artefacts.model_checks import usable
from xaibench.artefacts.trained_models import TrainedModel, replicates_of
from xaibench.dna import encoding
from xaibench.evaluation.quantities import CurveValues, existing_curves
from xaibench.explanation.controls import RANDOM
from xaibench.nn import outputs as curves
from xaibench.nn.inference import logits
from xaibench.plan.primary import leading_operator
from xaibench.protocols import Quantity
from xaibench.shapes import Evidence, Logits, Mask
from xaibench.values import Sequences

from .summaries import signed_methods

FEWEST_EXAMPLES, MOST_EXAMPLES = 6, 8
"""So many examples a run has, where it explains so many sequences."""

CLASSES_WITH_OWN = 4
"""No more classes than these have an example of their own."""

QUANTITY: Quantity = "logit_difference"
"""What the curves of an example show."""


@dataclass(frozen=True, slots=True)
class Predictions:
    """What one model says of the explained sequences, ``(sequence,)`` each: the class that it
    predicts and the probability that it gives it; or, of a model with one output, that number,
    the class then being 0."""

    predicted: NDArray[np.int64]
    probability: NDArray[np.float64]
    output: NDArray[np.float64] | None = None

    @property
    def ranked_by(self) -> NDArray[np.float64]:
        """What the most and the least of an example are."""
        return self.probability if self.output is None else self.output


@dataclass(frozen=True, slots=True)
class ExplainedModel:
    """One model under the first seed: its predictions, the maps and the deletion curves by method.

    ``random`` holds the curves of the random orders, one per draw.
    """

    predictions: Predictions
    scores: dict[str, NDArray[np.float32]]
    lines: dict[str, CurveValues]
    random: list[CurveValues]


def examples(work: Work) -> list[dict[str, Any]]:
    """The examples of a run, with the maps of every method and their curves under the first seed.

    Which sequences they are, and why, is a rule (``chosen_rows``).
    """
    by_model = {
        model: _explained_model(work, first)
        for model in work.plan.models
        if usable(work, first := replicates_of(work.plan, model)[0])
    }
    chosen = work.chosen
    inside = chosen.inside_motif
    carries: Mask = np.zeros(len(chosen), bool) if inside is None else np.any(inside, axis=1)
    predictions = {
        model: each.predictions
        for model, each in by_model.items()
        if len(each.predictions.predicted)
    }
    rows = chosen_rows(chosen.labels, chosen.class_names, carries, predictions)
    return [_example_of(work, row, "; ".join(why), by_model) for row, why in rows.items()]


def chosen_rows(
    labels: NDArray[np.int64],
    class_names: tuple[str, ...],
    carries: NDArray[np.bool_],
    predictions: Mapping[str, Predictions],
) -> dict[int, list[str]]:
    """Row of each example -> why it is one, in the order of the choice.

    The first sequence of each class (classes with a known motif before others, and one that carries
    it), the first that each model gets wrong, the one that the first model is least and that it is
    most sure of, then the first that are left; ``carries`` ``(sequence,)`` says which have a motif.
    Without classes, the first with a motif; of a model with one output, the two with the least and
    the largest.
    """
    reasons: list[tuple[int, str]] = []
    if len(class_names) > 1:
        reasons += _of_classes(labels, class_names, carries)
    else:
        reasons += [(row, "the first with a known motif") for row in _first_row(carries)]
    for model, each in predictions.items():
        if len(class_names) > 1 and each.output is None:
            wrong = each.predicted != labels[: len(each.predicted)]
            reasons += [(row, f"the first that {model} gets wrong") for row in _first_row(wrong)]
    for model, each in list(predictions.items())[:1]:
        least, most = int(each.ranked_by.argmin()), int(each.ranked_by.argmax())
        sure = each.output is None
        least_of = "is least sure of" if sure else "gives the smallest output"
        most_of = "is most sure of" if sure else "gives the largest output"
        reasons += [(least, f"the one {model} {least_of}"), (most, f"the one {model} {most_of}")]
    rows: dict[int, list[str]] = {}
    for row, reason in reasons:
        if row in rows or len(rows) < MOST_EXAMPLES:
            rows.setdefault(row, []).append(reason)
    for row in np.argsort(~carries, kind="stable").tolist():
        if len(rows) < FEWEST_EXAMPLES:
            rows.setdefault(row, ["next in the order of the run"])
    return rows


def _of_classes(
    labels: NDArray[np.int64], class_names: tuple[str, ...], carries: NDArray[np.bool_]
) -> Iterator[tuple[int, str]]:
    """The first sequence of each class, and why."""
    classes = [labels == place for place in range(len(class_names))]
    motif_first = sorted(
        range(len(classes)), key=lambda place: not (classes[place] & carries).any()
    )
    for place in motif_first[:CLASSES_WITH_OWN]:
        with_motif = classes[place] & carries
        what = "with a known motif of class" if with_motif.any() else "of class"
        for row in _first_row(with_motif, classes[place]):
            yield row, f"the first {what} {class_names[place]}"


def _first_row(*masks: Mask) -> list[int]:
    """The first row of the first mask that has one."""
    return next(([int(mask.argmax())] for mask in masks if mask.any()), [])


def _explained_model(work: Work, trained: TrainedModel) -> ExplainedModel:
    operator = leading_operator(work.plan.operators)
    scores: dict[str, NDArray[np.float32]] = {}
    lines: dict[str, CurveValues] = {}
    for method in work.plan.attribution:
        spec = explanations.explained_spec(work, trained, method)
        if is_stored(work, spec):
            scores[method] = arrays_of(work, spec)["scores"]
        own = existing_curves(work, trained, CurveKey(method, operator), QUANTITY)
        lines |= {method: own[0]} if own else {}
    random = existing_curves(work, trained, CurveKey(RANDOM, operator), QUANTITY)
    return ExplainedModel(_predictions_of(work, trained), scores, lines, random)


def _predictions_of(work: Work, trained: TrainedModel) -> Predictions:
    """From stored logits where there are any."""
    spec = curve_spec(work, trained, CurveKey(RANDOM, leading_operator(work.plan.operators)))
    if is_stored(work, spec):
        outputs: Logits = arrays_of(work, spec)["logits"][0, 0]
    else:
        outputs = logits(trainings.stored_classifier(work, trained), work.chosen.codes)
    predicted = outputs.argmax(axis=1).astype(np.int64)
    if outputs.shape[1] == 1:
        output = outputs[:, 0].astype(np.float64)
        return Predictions(predicted, np.full(len(output), np.nan), output)
    return Predictions(predicted, curves.quantity("probability", outputs, predicted, predicted))


def _example_of(
    work: Work, row: int, why: str, by_model: dict[str, ExplainedModel]
) -> dict[str, Any]:
    chosen = work.chosen
    known = int(encoding.lengths(chosen.codes[row][None])[0])
    evidence = None if chosen.evidence is None else chosen.evidence[row]
    return {
        "name": chosen.names[row],
        "chosen": why,
        "letters": encoding.to_letters(chosen.codes[row][None])[0],
        "label": _label_of(chosen, row),
        "models": {
            model: _predicted(work, each.predictions, row) for model, each in by_model.items()
        },
        "motif": [] if chosen.inside_motif is None else stretches(chosen.inside_motif[row]),
        "evidence": [] if evidence is None else _evidence_stretches(evidence, chosen.class_names),
        "scores": {
            model: {
                method: _rounded(scores[row, :known])
                for method, scores in each.scores.items()
                if row < len(scores)
            }
            for model, each in by_model.items()
        },
        "curves": {model: _curves_of(work, each, row) for model, each in by_model.items()},
        "signed": signed_methods(work),
    }


def _label_of(chosen: Sequences, row: int) -> str:
    """The class, or the measured number; nothing where neither is known."""
    if chosen.has_classes:
        return str(chosen.class_names[chosen.labels[row]])
    return "" if chosen.responses is None else f"{chosen.responses[row]:.4g}"


def _predicted(work: Work, predictions: Predictions, row: int) -> dict[str, Any]:
    if row >= len(predictions.predicted):
        return {}
    if predictions.output is not None:
        return {"output": float(f"{predictions.output[row]:.4g}")}
    return {
        "predicted": work.chosen.class_names[predictions.predicted[row]],
        "probability": round(float(predictions.probability[row]), 4),
    }


def _curves_of(work: Work, explained: ExplainedModel, row: int) -> dict[str, Any]:
    """The curves of one sequence, most relevant first, and the mean and range of random orders;
    nothing where none are stored."""
    own = {
        method: _rounded(line[:, row])
        for method, line in explained.lines.items()
        if row < line.shape[1]
    }
    if not own:
        return {}
    draws = np.array([line[:, row] for line in explained.random if row < line.shape[1]])
    return {
        "operator": leading_operator(work.plan.operators),
        "quantity": QUANTITY,
        "fractions": list(work.plan.fractions),
        "methods": own,
        "random": _band(draws) if len(draws) else {},
    }


def _band(draws: NDArray[np.float64]) -> dict[str, list[float]]:
    """Mean and range over the draws of ``(draw, step)``."""
    ends = {"mean": draws.mean(axis=0), "low": draws.min(axis=0), "high": draws.max(axis=0)}
    return {name: _rounded(end) for name, end in ends.items()}


def _rounded(values: NDArray[Any]) -> list[float]:
    return [float(f"{value:.4g}") for value in values]


def stretches(inside: Mask) -> list[list[int]]:
    """Start and end of every run of True in ``(position,)``, 0-based, half-open.

    >>> stretches(np.array([False, True, True, False, True]))
    [[1, 3], [4, 5]]
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[False], inside, [False]]).astype(np.int8)))
    return [[int(start), int(end)] for start, end in edges.reshape(-1, 2)]


def _evidence_stretches(evidence: Evidence, class_names: tuple[str, ...]) -> list[list[Any]]:
    """Start, end and class of every run of positions that speak for one class."""
    edges = [0, *(np.flatnonzero(np.diff(evidence)) + 1).tolist(), len(evidence)]
    return [
        [start, end, class_names[evidence[start]]]
        for start, end in pairwise(edges)
        if evidence[start] >= 0
    ]
