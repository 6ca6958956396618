"""Whether a model gives a sequence the same logits at each call, in whatever batch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from xaibench.errors import ModelError, NotFinite
from xaibench.nn.devices import seeded
from xaibench.nn.inference import forward_codes
from xaibench.nn.sites import has_tokens
from xaibench.shapes import Codes, Logits

from .inputs import explainable_inputs, taken
from .outputs import finite, forward_logits
from .units import Units, units_of

if TYPE_CHECKING:
    from .operations import Trace

CHECKED_SEQUENCES = 8
"""So many sequences are passed."""

SAME_BATCH_TOLERANCE = 1e-5
"""The largest change when the same batch is passed again, as a share of the range of the logits:
only the order of sums on several threads may differ."""

OTHER_BATCH_TOLERANCE = 1e-3
"""The largest change in a different batch. Kernels round otherwise for other numbers of rows; that
stays two orders of magnitude below, and what normalises over the batch changes by far more."""

_ROUNDING_STEPS = 64
"""A change of so many roundings of the largest logit is none."""


@dataclass(frozen=True, slots=True)
class Answers:
    """Logits ``(sequence, class)`` of a steady model, and how they were computed."""

    logits: Logits
    trace: Trace

    @property
    def units(self) -> Units:
        last = self.trace.last
        if self.logits.shape[1] == 1 and last == "sub":  # the second of two outputs less the first
            last = self.trace.before_last
        return units_of(self.logits, last=last, spacing=self.trace.spacing)


def steady(model: Any, codes: Codes, *, classes: int, explained: bool = True) -> Answers:
    """The answers of a model in evaluation mode to a few sequences ``(N, L)``.

    They go through it six times, in 15 passes. ModelError where the model cannot be called, returns
    anything but finite logits of so many classes, is ``explained`` but takes no continuous input
    with a site for each position, returns different logits for the same batch, changes its weights
    or buffers, or depends on what else is in the batch.
    """
    with answering(model):
        answers = first_answers(model, codes, classes=classes, explained=explained)
        require_same_again(model, codes, answers)
        require_same_in_other_batches(model, codes, answers)
    return answers


def first_answers(
    model: Any, codes: Codes, *, classes: int | None, explained: bool = True
) -> Answers:
    """The answers of one pass, within ``answering``; ModelError where the model cannot be called or
    gives no finite logits of so many classes, or where ``classes`` is None of any."""
    # slow to import, and a run whose models are all trained calls none
    from .operations import traced

    inputs = taken(model, codes)
    if explained:
        explainable_inputs(inputs, codes, model)
    outputs, trace = traced(lambda: _forward(model, codes, inputs, classes))
    return Answers(_numbers(outputs), trace)


@contextmanager
def answering(model: Any) -> Iterator[None]:
    """Evaluation mode without gradients; modes and torch's generator are restored. No inference
    mode: what a model caches in this pass must serve in training."""
    if not isinstance(model, torch.nn.Module):
        raise ModelError(f"expected a torch.nn.Module, got a {type(model).__name__}")
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        # a model that draws at random fails with the same numbers each time
        with torch.no_grad(), seeded(0):
            yield
    finally:
        for module, training in modes:
            module.training = training


def _numbers(outputs: Tensor) -> Logits:
    numbers: Logits = finite(outputs).detach().to("cpu", torch.float32).numpy()
    return numbers


def _logits_again(model: Any, codes: Codes, classes: int) -> Logits:
    """Of as many classes as the first time."""
    return _numbers(_forward(model, codes, taken(model, codes), classes))


def _forward(model: Any, codes: Codes, inputs: Any, classes: int | None) -> Tensor:
    """The logits of the inputs that ``encode`` made of the codes; of a model that has tokens by
    their number."""
    if has_tokens(model):
        return forward_codes(model, codes, classes=classes)
    return forward_logits(model, inputs, len(codes), classes=classes)


def require_same_again(model: Any, codes: Codes, answers: Answers) -> None:
    """ModelError where the same batch has other logits when it is passed again, or weights or
    buffers change."""
    first, trace = answers.logits, answers.trace
    before = {name: tensor.clone() for name, tensor in _weights_and_buffers(model).items()}
    for _ in range(2):
        change = _largest_change(first, _logits_again(model, codes, first.shape[1]))
        if change > _allowed(first, SAME_BATCH_TOLERANCE, trace):
            raise ModelError(
                "is random, or changes at each call: the same sequences, passed again in "
                f"evaluation mode, have logits that differ by {change:.2g} {_range_text(first)}; "
                "expected the same. Is dropout or noise on outside of training?"
            )
    for name, tensor in _weights_and_buffers(model).items():
        if name not in before or not _same_values(tensor, before[name]):
            raise ModelError(
                f"changes {name!r} when it is called in evaluation mode; is its train() overridden?"
            )


def require_same_in_other_batches(model: Any, codes: Codes, answers: Answers) -> None:
    """ModelError where sequences have other logits in reverse order, three at a time or alone."""
    first, trace = answers.logits, answers.trace
    for size, batching in ((len(codes), "in reverse order"), (3, "three at a time"), (1, "alone")):
        parts = np.array_split(codes[::-1], range(size, len(codes), size))
        try:
            passes = [_logits_again(model, part, first.shape[1]) for part in parts]
        except NotFinite as error:
            raise ModelError(f"{_DEPENDS_ON_BATCH}: called {batching}, {error}") from None
        except ModelError as error:
            raise ModelError(f"cannot be called {batching}: {error}") from error
        change = _largest_change(first, np.concatenate(passes)[::-1])
        if change > _allowed(first, OTHER_BATCH_TOLERANCE, trace):
            raise ModelError(
                f"{_DEPENDS_ON_BATCH}: the same sequences, passed {batching}, have logits that "
                f"differ by {change:.2g} {_range_text(first)}; expected the same. Is there a "
                "normalisation or a softmax over the batch?"
            )


_DEPENDS_ON_BATCH = "depends on what else is in the batch"


def _weights_and_buffers(model: Any) -> dict[str, Tensor]:
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}


def _same_values(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors hold the same; NaN is NaN."""
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    return bool(((one == other) | ((one != one) & (other != other))).all())


def _largest_change(one: Logits, other: Logits) -> float:
    return float(np.abs(one - other).max(initial=0))


def _logit_range(logits: Logits) -> float:
    return float(np.ptp(logits)) if logits.size else 0.0


def _range_text(logits: Logits) -> str:
    return f"where all logits span {_logit_range(logits):.2g}"


def _allowed(logits: Logits, share: float, trace: Trace) -> float:
    """The larger of a share of the range of the logits and some roundings of the largest."""
    largest = float(np.abs(logits).max(initial=0))
    return max(share * _logit_range(logits), _ROUNDING_STEPS * trace.spacing * largest)
