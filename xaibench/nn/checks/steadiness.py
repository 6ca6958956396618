"""Whether a model gives a sequence the same logits whenever it is asked, in whatever batch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from xaibench.errors import ModelError, NotFinite
from xaibench.shapes import Codes, Logits

from .inputs import explainable_inputs, taken
from .outputs import called, finite
from .units import Units, units_of

if TYPE_CHECKING:
    from .operations import Trace

SEQUENCES = 8
"""So many sequences are looked at."""

AGAIN = 1e-5
"""What may change when the same batch is asked again, as a share of what the logits span: nothing
but the order of sums on several threads."""

IN_OTHER_COMPANY = 1e-3
"""What may change in another batch. Kernels round otherwise for other numbers of rows; that stays
two orders of magnitude below, and what normalises over the batch moves by far more."""

_ROUNDINGS = 64
"""So many roundings of the largest logit are no change."""


@dataclass(frozen=True, slots=True)
class Answers:
    """Logits ``(sequence, class)`` of a steady model, and how they were computed."""

    logits: Logits
    trace: Trace

    @property
    def units(self) -> Units:
        return units_of(self.logits, last=self.trace.last, spacing=self.trace.spacing)


def steady(model: Any, codes: Codes, *, classes: int, explained: bool = True) -> Answers:
    """The answers of a model in evaluation mode to a few sequences ``(N, L)``.

    They go through it six times, in 15 passes. ModelError where the model cannot be called, gives
    anything but finite logits of so many classes, is ``explained`` but takes no continuous input
    with a site for each position, answers the same question in different ways, changes its weights
    or buffers, or answers by what else is in the batch.
    """
    # slow to import, and a run that finds all there asks no model
    from .operations import traced

    with _answering(model):
        inputs = taken(model, codes)
        if explained:
            explainable_inputs(inputs, codes)
        outputs, trace = traced(lambda: called(model, inputs, len(codes), classes=classes))
        first = _numbers(outputs)
        _require_same_again(model, codes, first, trace, classes)
        _require_same_in_other_company(model, codes, first, trace, classes)
    return Answers(first, trace)


@contextmanager
def _answering(model: Any) -> Iterator[None]:
    """Evaluation mode without gradients; modes and torch's generator are put back. No inference
    mode: what a model remembers of this pass must serve in training."""
    if not isinstance(model, torch.nn.Module):
        raise ModelError(f"expected a torch.nn.Module, got a {type(model).__name__}")
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)  # chance, where there is any, is told in the same words each time
            yield
    finally:
        for module, training in modes:
            module.training = training


def _numbers(outputs: Tensor) -> Logits:
    numbers: Logits = finite(outputs).detach().to("cpu", torch.float32).numpy()
    return numbers


def _asked(model: Any, codes: Codes, classes: int) -> Logits:
    return _numbers(called(model, taken(model, codes), len(codes), classes=classes))


def _require_same_again(
    model: Any, codes: Codes, first: Logits, trace: Trace, classes: int
) -> None:
    before = {name: tensor.clone() for name, tensor in _state(model).items()}
    for _ in range(2):
        change = _largest(first, _asked(model, codes, classes))
        if change > _allowed(first, AGAIN, trace):
            raise ModelError(
                "answers by chance, or changes at each call: the same sequences, asked again in "
                f"evaluation mode, have logits that differ by {change:.2g} {_span(first)}; "
                "expected the same. Is dropout or noise on outside of training?"
            )
    for name, tensor in _state(model).items():
        if name not in before or not _equal(tensor, before[name]):
            raise ModelError(f"changes {name!r} when it is called in evaluation mode")


def _require_same_in_other_company(
    model: Any, codes: Codes, first: Logits, trace: Trace, classes: int
) -> None:
    """In reverse order, three at a time and alone."""
    for size, company in ((len(codes), "in reverse order"), (3, "three at a time"), (1, "alone")):
        parts = np.array_split(codes[::-1], range(size, len(codes), size))
        try:
            answers = np.concatenate([_asked(model, part, classes) for part in parts])[::-1]
        except NotFinite as error:
            raise ModelError(f"{_BY_COMPANY}: asked {company}, {error}") from None
        except ModelError as error:
            raise ModelError(f"cannot be asked {company}: {error}") from error
        change = _largest(first, answers)
        if change > _allowed(first, IN_OTHER_COMPANY, trace):
            raise ModelError(
                f"{_BY_COMPANY}: the same sequences, asked {company}, have logits that differ by "
                f"{change:.2g} {_span(first)}; expected the same. Is there a normalisation or a "
                "softmax over the batch?"
            )


_BY_COMPANY = "answers by what else is in the batch"


def _state(model: Any) -> dict[str, Tensor]:
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}


def _equal(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors hold the same; NaN is NaN."""
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    return bool(((one == other) | ((one != one) & (other != other))).all())


def _largest(one: Logits, other: Logits) -> float:
    return float(np.abs(one - other).max(initial=0))


def _spread(logits: Logits) -> float:
    return float(np.ptp(logits)) if logits.size else 0.0


def _span(logits: Logits) -> str:
    return f"where all logits span {_spread(logits):.2g}"


def _allowed(logits: Logits, share: float, trace: Trace) -> float:
    """The larger of a share of what the logits span and some roundings of the largest."""
    largest = float(np.abs(logits).max(initial=0))
    return max(share * _spread(logits), _ROUNDINGS * trace.spacing * largest)
