"""What the classes of Captum that set hooks on modules cannot see in a model.

They leave to the plain gradient what is computed outside of modules, or by modules of other kinds,
and say nothing. So the operations of one forward pass are looked up in its autograd graph, with the
module that recorded each, and what a class would miss makes it not applicable.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import Node

from xaibench.errors import NotApplicable
from xaibench.nn.restore import left_as_found
from xaibench.nn.view import ExplainedView

from .graph import REARRANGING, Spans, nodes, on_the_way, operation

HOOKED = {
    "GuidedBackprop": "rectifies the gradient of nn.ReLU modules",
    "Deconvolution": "rectifies the gradient of nn.ReLU modules",
    "LRP": "has rules for modules",
}
"""Classes of Captum that set hooks on modules, and what these do."""

_ACTIVATION = re.compile(
    r"Relu.*|LeakyRelu|Rrelu.*|Prelu.*|[SC]?[Ee]lu|Gelu|Silu|Mish|Sigmoid|Tanh|Softplus|Softshrink"
    r"|Hardshrink|Hardtanh|Hardswish|Hardsigmoid|LogSigmoid.*|Threshold|Glu|Clamp.*|Maximum"
    r"|Minimum|Where|Exp|Exp2|Expm1|Log|Log2|Log1P|Pow|Abs|Sgn|Erf.*|Sin|Sinh|Cos|Cosh|Atan"
)
"""Operations that an elementwise nonlinearity is made of."""


def refuse_what_hooks_miss(name: str, model: Any, inputs: Tensor) -> None:
    """NotApplicable where a class of Captum would leave to the plain gradient what it is there to
    change: activations that are no ``nn.ReLU``; for LRP, all that is computed outside of modules.

    The first of the ``inputs`` is run once. Beside an ``nn.ReLU``, the modules ``nn.Tanh`` and
    ``nn.Sigmoid`` are no activations to rectify: attention and gates are made of them.
    """
    whole = model.classifier if isinstance(model, ExplainedView) else model
    with left_as_found(whole), _recorded(whole, name) as spans, torch.enable_grad():
        output = whole(inputs.detach()[:1].requires_grad_())
    way = list(nodes(output))
    rectified = any(spans.owner(node) == _RELU for node in way)
    allowed = _GATES if rectified else ()
    missed = (
        _outside_of_modules(way, spans) if name == "LRP" else _not_rectified(way, spans, allowed)
    )
    if missed:
        raise NotApplicable(f"{name} {HOOKED[name]}, and cannot see {_names_and_counts(missed)}")
    if name != "LRP" and not rectified:
        raise NotApplicable(
            f"{name} {HOOKED[name]}, and the model has none: it would be input x gradient. "
            f"Computed outside of modules: {_names_and_counts(_outside_of_modules(way, spans))}"
        )


def _names_and_counts(parts: list[str]) -> str:
    return ", ".join(f"{part} x {count}" for part, count in Counter(parts).items()) or "none"


@contextmanager
def _recorded(model: nn.Module, name: str) -> Iterator[Spans]:
    """Which module without children records which operations within this context."""
    spans = Spans()
    handles = []
    for path, module in on_the_way(model, name):
        if module is not model and not any(module.children()):
            enter, leave = _entering_and_leaving(spans, _module_label(path, module))
            handles += [module.register_forward_pre_hook(enter)]
            handles += [module.register_forward_hook(leave)]
    try:
        yield spans
    finally:
        for handle in handles:
            handle.remove()


_RELU = "nn.ReLU"

_GATES = ("(nn.Tanh)", "(nn.Sigmoid)")


def _module_label(path: str, module: nn.Module) -> str:
    """The path and the class; all ``nn.ReLU`` are one, and gates are known by the end."""
    if isinstance(module, nn.ReLU):
        return _RELU
    of_torch = "nn." if type(module) in (nn.Tanh, nn.Sigmoid) else ""
    return f"{path} ({of_torch}{type(module).__name__})"


def _entering_and_leaving(spans: Spans, label: str) -> tuple[Any, Any]:
    return lambda *call: spans.enter(label), lambda *call: spans.leave()


def _not_rectified(way: list[Node], spans: Spans, allowed: tuple[str, ...]) -> list[str]:
    """The activations that are no ``nn.ReLU`` nor allowed, by module or else by operation."""
    activations = [node for node in way if _ACTIVATION.fullmatch(operation(node))]
    names = [spans.owner(node) or operation(node).lower() for node in activations]
    return [name for name in names if not name.endswith((_RELU, *allowed))]


def _outside_of_modules(way: list[Node], spans: Spans) -> list[str]:
    computed = [node for node in way if node.next_functions and node not in spans]
    return [operation(n).lower() for n in computed if operation(n) not in REARRANGING]
