"""The autograd graph of a forward pass: its operations, and which module recorded which of them.

Rules for modules cannot see functions that a model calls outside of modules. What they call leaves
operations in the graph, with names (``ConvolutionBackward0``), parents, and a number that says when
they were recorded; this is how DeepLIFT, LRP and the classes of Captum find what they would miss.
"""

from __future__ import annotations

import math
import re
from bisect import bisect
from collections.abc import Iterator
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import Node
from torch.nn.utils.parametrize import ParametrizationList

from xaibench.errors import NotApplicable


def nodes(output: Tensor) -> Iterator[Node]:
    """Every operation that a gradient of ``output`` passes on its way back, once."""
    visited: set[Node | None] = {None}
    waiting = [output.grad_fn]
    while waiting:
        node = waiting.pop()
        if node in visited:
            continue
        visited.add(node)
        assert node is not None  # None counts as visited
        yield node
        waiting += [parent for parent, _ in node.next_functions]


def operation(node: Node) -> str:
    """What a node differentiates: ``Convolution`` for ``ConvolutionBackward0``."""
    return _differentiated(node.name())


@cache
def _differentiated(name: str) -> str:
    return re.sub(r"Backward\d*$", "", name)


REARRANGING = frozenset(
    {
        *("View", "UnsafeView", "Reshape", "Permute", "Transpose", "T", "Expand", "Squeeze"),
        *("Unsqueeze", "Clone", "Slice", "Select", "Alias", "Flip", "ToCopy"),
    }
)
"""Operations that change no value, only its place."""

_LINEAR_OPERATIONS = re.compile(
    r"Add|Sub|Rsub|Neg|Sum|Mean|Cumsum|Trace|Cat|Stack|Split.*|Unbind|Unfold|Index.*|Gather|Scatter.*"
    r"|Roll|Repeat.*|Tril|Triu|Diagonal.*|.*Pad.*|.*AvgPool.*|.*BatchNorm|MaskedFill|MaskedScatter"
    r"|Upsample.*|Im2Col|Col2Im|Fft.*|Copy.*|AsStrided.*|SqueezeDim.*|ReshapeAlias|Narrow|Detach"
    r"|PixelShuffle|ViewAsReal|ViewAsComplex|torch::autograd::Copy.*"
)

_PRODUCT_OPERATIONS = re.compile(r"Mul|Div|.*[Mm]m|[Mm]v|Dot|.*Convolution.*|Linear|Addcmul|Lerp")
"""Linear where one factor alone depends on the input."""


def nonlinear(output: Tensor) -> Iterator[Node]:
    """The operations on the way to ``output`` that are not known to be linear in what depends on
    the input."""
    for node in nodes(output):
        kind = operation(node)
        # A parent is None where an argument needs no gradient: a weight, a constant.
        depending = sum(parent is not None for parent, _ in node.next_functions)
        linear = kind in REARRANGING or _LINEAR_OPERATIONS.fullmatch(kind) is not None
        linear |= depending == 1 and _PRODUCT_OPERATIONS.fullmatch(kind) is not None
        if depending and not linear:
            yield node


class Spans:
    """The operations recorded between ``enter`` and the ``leave`` that belongs to it, and the name
    given to them.

    Autograd numbers its operations in the order in which they run, so a span is a half-open range
    of numbers, and an operation is in it if its number is. Of nested spans, the outermost counts;
    ``depth`` is how many are open.
    """

    def __init__(self) -> None:
        self.depth: int = 0
        self._spans: list[tuple[int, float, str]] = []

    def enter(self, name: str = "") -> None:
        if not self.depth:
            self._spans.append((current_number(), math.inf, name))
        self.depth += 1

    def leave(self) -> None:
        self.depth -= 1
        if not self.depth:
            start, _, name = self._spans.pop()  # its end was infinite until now
            self._spans.append((start, current_number(), name))

    def owner(self, node: Node) -> str | None:
        """The name of the span that a node belongs to; None where it belongs to none."""
        number = node._sequence_nr()
        before = bisect(self._spans, (number,))  # spans follow each other in order
        if not before or number >= self._spans[before - 1][1]:
            return None
        return self._spans[before - 1][2]

    def __contains__(self, node: Node) -> bool:
        return self.owner(node) is not None


def current_number() -> int:
    """The number of an operation that runs now, read from one that is made for it."""
    with torch.enable_grad():
        now = torch.zeros((), requires_grad=True).view(1).grad_fn
    assert now is not None
    return now._sequence_nr()


def on_the_way(model: nn.Module, method: str) -> list[tuple[str, nn.Module]]:
    """The modules that may see inputs, with their paths: all but those that compute weights.

    NotApplicable where one is scripted: it takes no hook.
    """
    for path, module in model.named_modules():
        if isinstance(module, torch.jit.ScriptModule):
            raise NotApplicable(f"{method} cannot look into {path or 'the model'}, it is scripted")
    lists = [each for each in model.modules() if isinstance(each, ParametrizationList)]
    of_weights = {module for each in lists for module in each.modules()}
    return [(path, each) for path, each in model.named_modules() if each not in of_weights]


def has_parts(module: nn.Module) -> bool:
    """Whether a module is made of others, those that compute its weights not counted."""
    return any(name != "parametrizations" for name, _ in module.named_children())


def depends_on_input(value: Any) -> bool:
    """Whether a gradient of what is explained may reach a value."""
    return isinstance(value, Tensor) and value.requires_grad
