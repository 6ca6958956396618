"""How long one of everything takes on this machine: a pass, an explanation, a training."""

import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from xaibench.artefacts.explanations import REFERENCE_COUNT, Explaining, explained_by
from xaibench.artefacts.job import Work, is_explained, is_trained, plugin_and_options
from xaibench.artefacts.networks import build, placed
from xaibench.artefacts.subsets import first
from xaibench.artefacts.trained_models import TrainedModel
from xaibench.dna import shuffling
from xaibench.errors import NotApplicable, UsageError
from xaibench.explanation.method_call import asks_for
from xaibench.nn.devices import clock_of, seeded
from xaibench.nn.inference import batch_rows, device_of, logits
from xaibench.plugins.signatures import supplied
from xaibench.values import Sequences, Splits

from .workers import on_threads

LEARNT = 256
"""So many sequences are learnt from."""

TRAINING_SECONDS = 0.6
"""Seconds that all models together train for; each is cut at the end of an epoch."""

FEW, MORE, QUICK = 1, 8, 0.02
"""So many sequences are explained, and then more of them where that took less than ``QUICK``
seconds: a method that is quick is quicker on many."""


@dataclass(frozen=True, slots=True)
class ModelTiming:
    """Seconds of one model: per pass of a sequence, per training, and per sequence that is
    explained, by method. ``refused`` are the methods that do not apply, ``hypothetical`` those that
    score all bases of a position; ``weights`` is the size of its parameters and buffers in bytes.
    """

    passing: float = 0.0
    training: float = 0.0
    explaining: Mapping[str, float] = field(default_factory=dict)
    refused: frozenset[str] = frozenset()
    hypothetical: frozenset[str] = frozenset()
    weights: int = 0


def timings(work: Work, *, threads: int) -> dict[str, ModelTiming]:
    """Every model of a plan with fresh weights, on so many threads of torch.

    What fails here takes no time; the run will say why.
    """
    with on_threads(threads), seeded(0):
        return {model: _of_model(work, model) for model in work.plan.models}


def _of_model(work: Work, model: str) -> ModelTiming:
    try:
        classifier = placed(work, build(work, model))
        passing = _pass(work, classifier)
    except UsageError:
        raise
    except Exception:  # a broken model fails in the run, alone
        return ModelTiming()
    training = _training(work, classifier) if is_trained(work.plan, model) else 0.0
    classifier = placed(work, classifier)  # a training that was cut leaves it where it trained
    explained = work.plan.attribution if is_explained(work.plan, model) else ()
    methods = {method: _method(work, model, classifier, method) for method in explained}
    return ModelTiming(
        passing,
        training,
        {method: one.seconds for method, one in methods.items()},
        frozenset(method for method, one in methods.items() if one.refused),
        frozenset(method for method, one in methods.items() if one.all_bases),
        sum(each.numel() * each.element_size() for each in classifier.state_dict().values()),
    )


def _clock(work: Work) -> Callable[[], float]:
    return clock_of(torch.device(work.plan.device))


def _seconds(call: Callable[[], Any], clock: Callable[[], float]) -> float:
    began = clock()
    call()
    return clock() - began


def _pass(work: Work, classifier: Any) -> float:
    """A pass of as many sequences as go through a model together; the first one warms up."""
    length = work.chosen.codes.shape[1]
    codes = np.resize(work.chosen.codes, (batch_rows(length, device_of(classifier)), length))
    precision, clock = work.plan.precision, _clock(work)
    logits(classifier, codes[:2], precision=precision)

    def one_pass() -> None:
        logits(classifier, codes, precision=precision)

    return min(_seconds(one_pass, clock) for _ in range(3)) / len(codes)


# Explaining


class _MethodTiming(NamedTuple):
    """Seconds per sequence, whether the method does not apply, and whether it scores all bases."""

    seconds: float
    refused: bool = False
    all_bases: bool = False


def _method(work: Work, model: str, classifier: Any, method: str) -> _MethodTiming:
    """What a method takes on weights that have learnt a little.

    A slow one may sample as finely as it has to, and the longer the less was learnt: it is timed on
    fresh weights too, and the smaller figure counts.
    """
    timing = _timed_method(work, FEW, classifier, model, method)
    if timing.refused:
        return timing
    if timing.seconds * FEW > QUICK:
        untrained = placed(work, build(work, model))
        return min(timing, _timed_method(work, FEW, untrained, model, method))
    return _timed_method(work, MORE, classifier, model, method)


def _timed_method(
    work: Work, count: int, classifier: Any, model: str, method: str
) -> _MethodTiming:
    """What a method takes on the first so many sequences."""
    sequences = first(work.chosen, count)
    explaining = Explaining(work, sequences, classifier, TrainedModel(model, 0), method)
    plugin, options = explaining.plugin
    codes, references = sequences.codes, None
    if asks_for(plugin.call, "references"):
        references = shuffling.shuffled_references(codes, REFERENCE_COUNT, work.plan.data_seed)
    _, labels = explaining.targets_and_labels()
    clock, all_bases = _clock(work), False
    began = clock()
    try:
        explanation = explained_by(explaining, codes, labels, options, references)
        all_bases = explanation.hypothetical is not None
    except NotApplicable:
        return _MethodTiming(0.0, refused=True)
    except Exception:  # on such weights a promise may be broken; the time has passed
        pass
    return _MethodTiming((clock() - began) / len(codes), all_bases=all_bases)


# Training


class _Enough(Exception):
    """A training has been watched for long enough."""


def _training(work: Work, classifier: Any) -> float:
    """Seconds of a training, in proportion to one on few sequences; 0 for a broken model, which
    fails in the run, alone. The first epoch of all warms up."""
    splits = _fewer(work.splits)
    try:
        _watched(work, classifier, splits, longest=0.0)
        seconds = _watched(
            work, classifier, splits, longest=TRAINING_SECONDS / len(work.plan.models)
        )
    except UsageError:
        raise
    except Exception:
        return 0.0
    return seconds * len(work.splits.train) / len(splits.train)


def _watched(work: Work, classifier: Any, splits: Splits, *, longest: float) -> float:
    """The seconds of all epochs, in proportion to as many as end before ``longest``."""
    plugin, options = plugin_and_options(work, "training", work.plan.training)
    clock, epochs = _clock(work), (1, 1)
    began = clock()

    def progress(epoch: int, of: int, row: dict[str, float]) -> None:
        nonlocal epochs
        epochs = epoch, of
        if clock() - began > longest:
            raise _Enough

    with tempfile.TemporaryDirectory() as folder, suppress(_Enough):
        known = {"seed": 0, "progress": progress, "checkpoint": Path(folder) / "state"}
        plugin.call(classifier, splits, **supplied(plugin.call, known), **options)
    done, every = epochs
    return (clock() - began) * every / done


def _fewer(splits: Splits) -> Splits:
    """As many to learn from as are tried, and of the others the same share."""
    share = min(1.0, LEARNT / len(splits.train))

    def few(sequences: Sequences) -> Sequences:
        count = max(round(share * len(sequences)), 1)
        return sequences.take(np.arange(count))

    validation = None if splits.validation is None else few(splits.validation)
    return Splits(train=few(splits.train), validation=validation, test=few(splits.test))
