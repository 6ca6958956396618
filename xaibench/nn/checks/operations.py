"""What a forward pass computes: its operations, and the coarsest precision among them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from itertools import islice
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

_MOVES = {
    *("view", "_unsafe_view", "reshape", "_reshape_alias", "transpose", "permute", "t", "squeeze"),
    *("unsqueeze", "cat", "stack", "alias", "detach", "clone", "slice", "select", "expand"),
    *("_to_copy", "rsub", "index", "split", "split_with_sizes", "contiguous", "zeros_like"),
}
"""Operations whose results are of the same kind as their inputs: ``1 - p`` is a probability too."""


class Trace(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch leaves it untyped
    """Records the operations of torch by name, and the spacing of numbers at 1 of the coarsest
    floating-point type that one of them returns."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.operations: list[str] = []
        self.spacing = torch.finfo(torch.float32).eps

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # what torch wraps the method below in imports torch._dynamo: 2 s of a processor
        return False

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        outputs = function(*args, **(kwargs or {}))
        self.operations.append(function.overloadpacket.__name__)
        for each in tree_leaves(outputs):
            if isinstance(each, Tensor) and each.is_floating_point():
                self.spacing = max(self.spacing, torch.finfo(each.dtype).eps)
        return outputs

    @property
    def last(self) -> str:
        """The last operation that computes numbers of another kind; "" where there is none."""
        return self._computing()[0]

    @property
    def before_last(self) -> str:
        """The one before it."""
        return self._computing()[1]

    def _computing(self) -> list[str]:
        computing = (name for name in reversed(self.operations) if name not in _MOVES)
        return [*islice(computing, 2), "", ""]


class _TraceBesideCompiled(Trace):  # type: ignore[no-untyped-call]
    """The same where code may be compiled: torch would compile the recording too."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return True

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        return super().__torch_dispatch__(function, types, args, kwargs)


def traced(forward: Callable[[], Tensor]) -> tuple[Tensor, Trace]:
    """The logits of a forward pass, and its trace; an empty one where the pass cannot be traced
    (compiled code may refuse to run inside a mode)."""
    trace = _TraceBesideCompiled() if "torch._dynamo" in sys.modules else Trace()
    try:
        with trace:
            return forward(), trace
    except Exception:  # what the model itself raises, it raises again
        return forward(), Trace()
