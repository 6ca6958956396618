"""What a model returns: the one place that checks it, in training, prediction and explanation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import is_dataclass
from typing import Any

import torch
from torch import Tensor

from xaibench.errors import ModelError, NotApplicable, NotFinite, RuleError, described
from xaibench.nn.blocks import is_out_of_memory

from .raised import is_about_shapes, remedy_of

NO_CLASSES = "gives one number per sequence and no classes"
"""Why what needs classes does not apply to a model."""


def forward_logits(
    model: Any, inputs: Any, rows: int, *, classes: int | None = None, valid: Tensor | None = None
) -> Tensor:
    """The logits ``(N, class)`` of a forward pass of so many rows, of any values; ModelError where
    it raises or gives something else. A model whose output was chosen may give ``(N, 1)``,
    and one with ``single_output = True`` gives nothing else. ``valid`` is for a model that has
    tokens: which of its sites are no padding."""
    try:
        outputs = model(inputs) if valid is None else model(inputs, valid)
    except (ModelError, NotApplicable, RuleError):  # the rules of a method run within this call
        raise
    except Exception as error:
        if is_out_of_memory(error):  # whoever calls has smaller blocks
            raise
        mode = "training" if model.training else "evaluation"
        raise ModelError(
            f"{described(error)} (raised by forward in {mode} mode, given "
            f"{_shape_text(inputs, rows)}, N = {rows}){_remedy_text(error)}"
        ) from error
    if getattr(model, "chooses", False) and tuple(getattr(outputs, "shape", ())) == (rows, 1):
        classes = None
    if getattr(model, "single_output", False):
        classes = 1
    return valid_logits(outputs, rows, classes=classes, device=getattr(inputs, "device", None))


def _remedy_text(error: Exception) -> str:
    remedy = remedy_of(error)
    if not remedy and is_about_shapes(error):
        remedy = "check-model names the layout, alphabet or length that it runs with"
    return f"; {remedy}" if remedy else ""


def valid_logits(
    outputs: Any,
    rows: int,
    *,
    classes: int | None = None,
    device: torch.device | None = None,
) -> Tensor:
    """The same logits, if they are a floating-point tensor ``(N, class)`` of as many rows and
    classes, on the device of the inputs; else ModelError."""
    expected = f"expected logits (N, {classes or 'class'})"
    batch = f" for a batch of {rows}" if rows == 1 else ""
    if not isinstance(outputs, Tensor):
        raise ModelError(f"{expected}, got {_description(outputs, rows)}{batch}")
    fits = outputs.ndim == 2 and len(outputs) == rows and outputs.shape[1] > 0
    if not fits or classes not in (None, outputs.shape[1]):
        got = _axes_text(outputs, rows)
        raise ModelError(f"{expected}, got {got}{batch}: {_hint(outputs, rows, classes)}")
    if not outputs.is_floating_point():
        raise ModelError(
            f"{expected} in floating point, got {str(outputs.dtype).removeprefix('torch.')}: "
            "return the numbers from which the class or angle is taken"
        )
    if outputs.layout != torch.strided:
        raise ModelError(f"{expected} in a dense tensor, got a sparse one: return its to_dense()")
    if device is not None and outputs.device.type != device.type:
        raise ModelError(f"{expected} on {device.type}, got {outputs.device.type}")
    return outputs


def finite(outputs: Tensor) -> Tensor:
    """The same logits; NotFinite where one is NaN or infinite."""
    lost = ~torch.isfinite(outputs.detach()).all(dim=1)
    if lost.any():
        values = outputs.detach()[~torch.isfinite(outputs.detach())]
        raise NotFinite(
            f"expected finite logits, got {values[0].item()} for {int(lost.sum())} of "
            f"{len(outputs)} sequences; is there a log of 0, or a division by 0?"
        )
    return outputs


def _axes_text(tensor: Tensor, rows: int) -> str:
    """The shape, with the first axis that has the size of the batch as N."""
    sizes: list[int | str] = list(tensor.shape)
    if rows in sizes:
        sizes[sizes.index(rows)] = "N"
    return f"({', '.join(map(str, sizes))}{',' if len(sizes) == 1 else ''})"


def _shape_text(value: Any, rows: int) -> str:
    if not isinstance(value, Tensor):
        return type(value).__name__
    return f"{str(value.dtype).removeprefix('torch.')} {_axes_text(value, rows)}"


_OF_PARTS = "choose the tensor of logits in it by explain: {output: NAME}, or return it alone"


def _description(outputs: Any, rows: int) -> str:
    """What was returned instead of a tensor, and what to return."""
    name = type(outputs).__name__
    if outputs is None:
        return "None: forward returns nothing"
    if isinstance(outputs, Mapping):
        parts = ", ".join(f"{key!r}: {_shape_text(part, rows)}" for key, part in outputs.items())
        return f"a {name} of {parts or 'nothing'}: {_OF_PARTS}"
    if isinstance(outputs, Sequence) and not isinstance(outputs, str):
        parts = ", ".join(_shape_text(part, rows) for part in outputs)
        return f"a {name} of {parts or 'nothing'}: {_OF_PARTS}"
    if is_dataclass(outputs) or hasattr(outputs, "logits"):
        return f"a {name}: {_OF_PARTS}"
    if hasattr(outputs, "__array__"):
        return f"a {name}, which is no torch tensor and has no gradient: compute with torch"
    return f"a {name}: return a torch tensor"


def _hint(outputs: Tensor, rows: int, classes: int | None) -> str:
    """How to return a tensor of another shape as logits ``(N, class)``."""
    shape = list(outputs.shape)
    if shape in ([rows], [rows, 1]) and classes == 2:
        join = "cat" if outputs.ndim == 2 else "stack"
        return (
            f"one output for two classes; of the output z before a sigmoid, return "
            f"torch.{join}([torch.zeros_like(z), z], 1)"
        )
    if classes is not None and shape == [classes, rows]:
        return "the axes are in another order; return its transpose"
    if classes is not None and outputs.numel() == rows * classes and shape[:1] == [rows]:
        return "return it flattened from axis 1 on"
    if shape[:1] != [rows]:
        return "return one row per sequence, in their order"
    if outputs.ndim == 2 and classes == 1:
        most = outputs.shape[1] - 1
        return f"choose the one that is explained, as explain: {{output: 0}} (0 to {most})"
    if outputs.ndim == 2:
        return (
            "end in one output per class (`classes`, an argument of the model, is their number), "
            "or choose one, as explain: {output: 0}"
        )
    return "return one number per class of each sequence"
