"""Which number of what a network returns is explained."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import is_dataclass
from functools import reduce
from typing import Any

import torch
from torch import Tensor

from xaibench.errors import ModelError
from xaibench.plugins.harness_options import Explain
from xaibench.values import Sequences

UNSAID, EVERY_OUTPUT = 0, -1
"""In place of a number of classes: nobody says how many; or as many as there are outputs, where
somebody names one of them to be explained."""


def classes_of(sequences: Sequences | None, named: int | None = None) -> int:
    """How many classes the outputs of a network are read as: as many as ``named``, else those
    of the labels, else 1, which is none, for measured numbers, or ``UNSAID``."""
    if named is not None:
        return named
    if sequences is None:
        return UNSAID
    if sequences.has_classes:
        return len(sequences.class_names)
    return 1 if sequences.responses is not None else UNSAID


def explained_number(
    outputs: Any,
    rows: int,
    *,
    classes: int,
    explained: Explain | None = None,
    function: Callable[[Any], Tensor] | None = None,
) -> Any:
    """Logits ``(N, class)``, or one number per sequence ``(N, 1)``, of what a network returns.

    Without a choice the rule is, for ``classes`` of ``classes_of``:

    - one output is the number, but where there are two classes the logit ``z`` of the second:
      ``(0, z)`` are logits with the same probabilities;
    - two outputs are two logits; where there is no class, or nobody says so, the number is the
      second less the first;
    - three outputs and more are logits of as many classes.

    The same holds of a part that is chosen by name, and nothing else of it; a column of a tensor is
    a number. Anything else is returned as it is, for the check of outputs to name.
    """
    if function is not None:
        return _as_column(function(outputs), rows)
    if explained is None:
        return _by_default(outputs, rows, classes)
    head, column = _part_by_part(outputs, explained.path())
    if explained.chooses_part_alone() and not column:
        logits = _by_default(head, rows, classes)
        if logits.shape[1:] == (classes if classes > 0 else logits.shape[-1],):
            return logits
    chosen = reduce(_column, column, head)
    return _as_column(
        _logarithm(_reduced(_at(chosen, explained), rows, explained), explained), rows
    )


def _by_default(outputs: Any, rows: int, classes: int) -> Any:
    two = isinstance(outputs, Tensor) and tuple(outputs.shape) == (rows, 2)
    if two and classes in (UNSAID, 1):
        return outputs[:, 1:] - outputs[:, :1]
    if not isinstance(outputs, Tensor) or tuple(outputs.shape) not in ((rows,), (rows, 1)):
        return outputs
    column = outputs.reshape(rows, 1)
    return torch.cat([torch.zeros_like(column), column], 1) if classes == 2 else column


def _part_by_part(
    outputs: Any, path: tuple[int | str, ...]
) -> tuple[Tensor, tuple[int | str, ...]]:
    """The tensor that a path leads to, and what is left of the path: columns of the tensor."""
    while path and not isinstance(outputs, Tensor):
        outputs, path = _part(outputs, path[0]), path[1:]
    if not isinstance(outputs, Tensor):
        raise ModelError(f"explain: expected a tensor, got {_parts_text(outputs)}")
    return outputs, path


def _column(tensor: Tensor, number: int | str) -> Tensor:
    """One of axis 1."""
    if not isinstance(number, int) or tensor.ndim < 2 or not _within(number, tensor.shape[1]):
        raise ModelError(
            f"explain: no output {number!r} in a tensor {_shape_text(tensor)}; expected a number "
            f"below {tensor.shape[1] if tensor.ndim > 1 else 1}"
        )
    return tensor.select(1, number)


def _part(outputs: Any, name: int | str) -> Any:
    """A named or numbered part of what a network returns."""
    if isinstance(outputs, Mapping) and name in outputs:
        return outputs[name]
    if isinstance(name, str) and not isinstance(outputs, Mapping) and name in _fields(outputs):
        return getattr(outputs, name)
    sequence = isinstance(outputs, Sequence) and not isinstance(outputs, str)
    if sequence and isinstance(name, int) and _within(name, len(outputs)):
        return outputs[name]
    raise ModelError(f"explain: no output {name!r} in {_parts_text(outputs)}")


def _within(index: int, size: int) -> bool:
    return -size <= index < size


def _fields(outputs: Any) -> tuple[str, ...]:
    if is_dataclass(outputs):
        return tuple(outputs.__dataclass_fields__)
    return tuple(getattr(outputs, "_fields", ()))


def _at(chosen: Tensor, explained: Explain) -> Tensor:
    """The positions that are explained, of the last axis."""
    if explained.position is None:
        return chosen
    start, end = explained.span()
    length = chosen.shape[-1] if chosen.ndim > 1 else 0
    if not 0 <= start < end <= length:
        where = start if end == start + 1 else [start, end]
        raise ModelError(
            f"explain: no position {where} in an output {_shape_text(chosen)}; expected one "
            f"within its last axis, 0 to {length}"
        )
    return chosen[..., start:end]


def _reduced(values: Tensor, rows: int, explained: Explain) -> Tensor:
    """``(N,)``: all that is left of a sequence's output in one number."""
    if values.ndim == 0 or len(values) != rows:
        return values  # the check of outputs says so
    flat = values.flatten(1) if values.ndim > 1 else values[:, None]
    if explained.reduce is None:
        if flat.shape[1] != 1:
            raise ModelError(
                f"explain: expected one number per sequence, got {_shape_text(values)}; choose "
                "with output: and position:, or say reduce: sum, mean, max or profile"
            )
        return flat[:, 0]
    return _REDUCTIONS[explained.reduce](flat)


def weighted_profile(logits: Tensor) -> Tensor:
    """``(N, P)`` logits of a profile, all strands together -> ``(N,)``: the mean-centred logits
    weighted by their own probabilities, which count as constants (*Avsec et al. 2021*):

        sum_i softmax(z)_i (z_i - mean(z)),  softmax without gradient.

    It rises where the profile gets sharper; without the centring it would depend on a constant that
    the softmax does not see.
    """
    centred = logits - logits.mean(1, keepdim=True)
    return (centred.softmax(1).detach() * centred).sum(1)


_REDUCTIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "sum": lambda flat: flat.sum(1),
    "mean": lambda flat: flat.mean(1),
    "max": lambda flat: flat.amax(1),
    "profile": weighted_profile,
}


def _logarithm(numbers: Tensor, explained: Explain) -> Tensor:
    if not explained.log:
        return numbers
    least = float(numbers.detach().min()) if numbers.numel() else 1.0
    if not least > 0:
        raise ModelError(f"explain: expected numbers above 0 for log: true, got {least:.3g}")
    return numbers.log()


def _as_column(numbers: Any, rows: int) -> Any:
    if isinstance(numbers, Tensor) and tuple(numbers.shape) in ((rows,), (rows, 1)):
        return numbers.reshape(rows, 1)
    got = _shape_text(numbers) if isinstance(numbers, Tensor) else f"a {type(numbers).__name__}"
    raise ModelError(f"explain: expected one number per sequence, ({rows},), got {got}")


def _shape_text(tensor: Tensor) -> str:
    sizes = ["N", *map(str, tensor.shape[1:])] if tensor.ndim else []
    return f"({', '.join(sizes)}{',' if len(sizes) == 1 else ''})"


def _parts_text(outputs: Any) -> str:
    """What a network returns, with the names and shapes of its parts."""
    named: list[tuple[Any, Any]] = []
    if isinstance(outputs, Mapping):
        named = list(outputs.items())
    elif _fields(outputs):
        named = [(name, getattr(outputs, name)) for name in _fields(outputs)]
    elif isinstance(outputs, Sequence) and not isinstance(outputs, str):
        named = list(enumerate(outputs))
    if not named:
        return f"a {type(outputs).__name__}"
    parts = ", ".join(
        f"{name!r}: {_shape_text(part) if isinstance(part, Tensor) else type(part).__name__}"
        for name, part in named
    )
    return f"a {type(outputs).__name__} of {parts}"
