"""Any module as the classifier that the harness explains.

A method sees one-hot DNA ``(N, 4, L)`` and the numbers that are explained ``(N, K)``, whatever the
module takes and gives. In between stand a table of bases, an arrangement of axes, and a rule that
makes K numbers of what the module returns.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from itertools import chain
from typing import Any, get_args

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from xaibench.errors import ModelError
from xaibench.plugins.harness_options import Explain, Layout
from xaibench.values import N

from .explained_output import UNSAID, explained_number
from .layers import one_hot

LAYOUTS: tuple[str, ...] = get_args(Layout)

_DELEGATED = ("attention", "attentions")
"""What a network may have beside ``forward``, of the same input."""

_PASSED_ON = ("output_projections", "pooled_site")
"""What it may have that is of no input."""


def require_weights(network: nn.Module) -> None:
    """ModelError where a lazy module waits for its first batch to make its weights."""
    waiting = [name for name, parameter in network.named_parameters() if is_lazy(parameter)]
    if waiting:
        raise ModelError(
            f"{waiting[0]!r} has no weights yet, as lazy modules have none before their first "
            "batch; load a state dict, or call the network once"
        )


def alphabet_table(alphabet: str) -> Tensor:
    """``(5, channel)``: what A, C, G, T and N are in a one-hot encoding whose channels stand for
    these letters. Without a channel of its own N is zero.

    >>> alphabet_table("AGCT")[1]  # C
    tensor([0., 0., 1., 0.])
    """
    letters = alphabet.upper().replace("U", "T")
    if sorted(letters.replace("N", "", 1)) != sorted("ACGT"):
        raise ModelError(
            f"alphabet: expected the letters A, C, G and T in the order of the channels, perhaps "
            f"with N, got {alphabet!r}"
        )
    return torch.tensor([[float(letter == base) for letter in letters] for base in "ACGTN"])


def in_layout(channels: Tensor, layout: str) -> Tensor:
    """``(N, C, L)`` with its axes as a layout names them; 1 is an axis of that size.

    >>> in_layout(torch.zeros(3, 4, 7), "N1L4").shape
    torch.Size([3, 1, 7, 4])
    """
    axes = layout.replace("1", "")
    arranged = channels.transpose(1, 2) if axes == "NL4" else channels
    return arranged.unsqueeze(layout.index("1")) if "1" in layout else arranged


def from_layout(given: Tensor, layout: str) -> Tensor:
    """``(N, C, L)`` of what is in a layout; ValueError where its shape is another."""
    if given.ndim != len(layout) or ("1" in layout and given.shape[layout.index("1")] != 1):
        raise ValueError(f"expected {layout}, got {tuple(given.shape)}")
    arranged = given.squeeze(layout.index("1")) if "1" in layout else given
    return arranged.transpose(1, 2) if layout.replace("1", "") == "NL4" else arranged


class AdaptedModel(nn.Module):
    """A network with one-hot DNA in ``encode`` and what is explained as its output.

    ``table`` ``(5, channel)`` says what the network is given for A, C, G, T and N. Between two
    bases that is linear:

        given = sum_b x_b table_b + (1 - sum_b x_b) table_N,

    so a column of zeros is N, and whatever a gradient has along ``(1, 1, 1, 1)`` is what tells N
    from a base, which the correction for the simplex takes out. ``chooses`` where one number of
    what the network returns was chosen to be explained; ``adds_up`` unless its gradient takes a
    part of it for constant, so that contributions need not sum to its change.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        classes: int,
        table: Tensor,
        layout: str = "N4L",
        explained: Explain | None = None,
        function: Callable[[Any], Tensor] | None = None,
    ) -> None:
        super().__init__()
        self.network = network
        self.classes = classes
        self.layout = layout
        self.explained = explained
        self.function = function
        self.chooses = explained is not None or function is not None
        self.adds_up = explained is None or explained.reduce != "profile"
        # no buffer: it is no part of the weights, and follows the inputs' type and device
        self._table = table
        self._plain = layout == "N4L" and _is_one_hot(table)

    def encode(self, codes: Tensor) -> Tensor:
        """``(N, L)`` uint8 codes -> one-hot ``(N, 4, L)`` in the type of the weights."""
        return one_hot(codes).to(_dtype_of(self.network))

    def arranged(self, inputs: Tensor) -> Tensor:
        """One-hot ``(N, 4, L)`` as the network takes it."""
        if self._plain:
            # nothing to multiply, and nothing to round; a copy, for a network may write to it
            return inputs.clone(memory_format=torch.contiguous_format)
        table = self._table.to(inputs)
        given = torch.einsum("nbl,bc->ncl", inputs, table[:N] - table[N]) + table[N][:, None]
        # contiguous, as batches of training are: ``view`` in a network relies on that
        return in_layout(given, self.layout).contiguous()

    def forward(self, inputs: Tensor) -> Tensor:
        """One-hot ``(N, 4, L)`` -> logits ``(N, class)``, or one number ``(N, 1)``."""
        outputs = self.network(self.arranged(inputs))
        numbers: Tensor = explained_number(
            outputs,
            len(inputs),
            classes=self.classes,
            explained=self.explained,
            function=self.function,
        )
        return numbers

    def __getattr__(self, name: str) -> Any:
        if name in _DELEGATED:
            weights = getattr(self.network, name)
            return lambda inputs: weights(self.arranged(inputs))
        if name in _PASSED_ON:
            return getattr(self.network, name)
        return super().__getattr__(name)

    # Weights are named as the network's author named them.

    def state_dict(self, *arguments: Any, **options: Any) -> dict[str, Any]:  # type: ignore[override]
        """Of the network."""
        state: dict[str, Any] = self.network.state_dict(*arguments, **options)
        return state

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> Any:
        """Of the network."""
        return self.network.load_state_dict(state_dict, strict, assign)


def _dtype_of(network: nn.Module) -> torch.dtype:
    """The type of a network's numbers: its first parameter in floating point says."""
    # one after the other: what all are is asked with every batch
    for parameter in chain(network.parameters(), network.buffers()):
        if parameter.is_floating_point():
            return parameter.dtype
    return torch.float32


def adapted(
    network: nn.Module,
    *,
    classes: int,
    length: int,
    layout: str = "",
    alphabet: str = "",
    explained: Explain | None = None,
    function: Callable[[Any], Tensor] | None = None,
) -> nn.Module:
    """The network itself where it is a classifier of one-hot DNA already; else an ``AdaptedModel``.

    A network's own ``encode`` is used as it is where it is ``one_hot``, and read as a table where
    it gives every base the same numbers at every position; ``layout`` and ``alphabet`` are for
    networks without one.
    """
    if not isinstance(network, nn.Module):
        raise ModelError(f"expected a torch.nn.Module, got a {type(network).__name__}")
    choice: dict[str, Any] = {"classes": classes, "explained": explained, "function": function}
    encode = getattr(network, "encode", None)
    if not callable(encode):
        table = alphabet_table(alphabet or "ACGT")
        return AdaptedModel(network, table=table, layout=layout or "N4L", **choice)
    if layout or alphabet:
        raise ModelError(
            f"{'layout' if layout else 'alphabet'}: the network has an encode of its own, which "
            "says what it takes"
        )
    known = _table_of(encode, length)
    plain = known is None or (known[1] == "N4L" and _is_one_hot(known[0]))
    as_it_is = classes not in (UNSAID, 1) or known is None
    if explained is None and plain and as_it_is:
        return network
    if known is None:
        raise ModelError(
            "explain: expected an encode that gives each base the same numbers at every position, "
            "got another; choose the number in forward, or leave encode out"
        )
    return AdaptedModel(network, table=known[0], layout=known[1], **choice)


def _is_one_hot(table: Tensor) -> bool:
    return table.shape == (5, 4) and torch.equal(table, alphabet_table("ACGT"))


def _table_of(encode: Callable[[Tensor], Any], length: int) -> tuple[Tensor, str] | None:
    """The table ``(5, channel)`` and the layout of an ``encode`` that looks every base up in one;
    None of any other, or where it raises: whoever calls it next says so."""
    letters = torch.arange(5, dtype=torch.uint8)
    rows = torch.stack([letters[(torch.arange(length) + shift) % 5] for shift in range(5)])
    try:
        with torch.no_grad():
            given = encode(rows.clone())
    except Exception:
        return None
    if not isinstance(given, Tensor) or not given.is_floating_point():
        return None
    for layout, features in _arrangements(given, length):
        # every letter stands at every position of one of the rows
        table = torch.stack([features[shift, :, 0] for shift in range(5)])
        if torch.equal(features, table[rows.long()].transpose(1, 2)):
            return table.float(), layout
    return None


def _arrangements(given: Tensor, length: int) -> list[tuple[str, Tensor]]:
    """The features ``(5, channel, length)`` by each layout that the shape allows."""
    arrangements = []
    for layout in LAYOUTS:
        with suppress(ValueError):
            features = from_layout(given, layout)
            if features.shape[::2] == (5, length):
                arrangements.append((layout, features))
    return arrangements
