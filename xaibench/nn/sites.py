"""Models whose sites are tokens: batches of sequences that have equally many.

Sequences of one length have different numbers of tokens. A batch never mixes them, so no model is
asked what a padded site is worth: sequences are put in the order of their numbers of sites, passes
are cut where the number changes, and what comes out is put back. A model whose sites are its
nucleotides has one number of them, and nothing changes for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xaibench.errors import ModelError, described
from xaibench.plugins.fence import fenced
from xaibench.shapes import Codes
from xaibench.values import TokenSites

from .devices import CPU, moved

RowValues = TypeVar("RowValues", NDArray[Any], Tensor)

_COUNTED_TOGETHER = 4096
"""So many sequences are tokenised together where only their numbers of sites count."""


def has_tokens(model: Any) -> bool:
    """Whether the sites of a model, or of what a plug-in makes, are tokens
    (``protocols.HasTokens``)."""
    return callable(getattr(model, "token_sites", None))


def token_sites(model: Any, codes: Codes) -> TokenSites:
    """The sites of a model that has tokens, for sequences ``(N, L)``; ModelError where it cannot
    say them, or says something else."""
    where = f"(raised by token_sites, given uint8 {codes.shape})"
    try:
        with fenced():
            sites = model.token_sites(moved(codes, CPU))
    except ModelError:
        raise
    except Exception as error:
        raise ModelError(f"{described(error)} {where}") from error
    if not isinstance(sites, TokenSites) or len(sites.valid) != len(codes):
        raise ModelError(
            f"token_sites: expected a TokenSites of {len(codes)} sequences, got "
            f"{type(sites).__name__}"
        )
    if (sites.spans > codes.shape[1]).any():
        raise ModelError(f"token_sites: expected spans that end by {codes.shape[1]}")
    return sites


@dataclass(frozen=True, slots=True)
class Buckets:
    """Sequences in the order of their numbers of sites.

    ``order`` ``(N,)`` are their rows, None where all have equally many; ``ends`` is where each
    number of sites ends in that order.
    """

    order: NDArray[np.intp] | None
    ends: NDArray[np.intp]

    def sorted(self, values: RowValues) -> RowValues:
        """Values of the sequences in this order; the very values where all have equally many."""
        return values if self.order is None else values[self.order]

    def restored(self, values: RowValues) -> RowValues:
        """Values in this order, in that of the sequences."""
        return values if self.order is None else values[np.argsort(self.order)]

    def batches(self, block: slice, rows: int) -> Iterator[slice]:
        """A block of the sequences in this order, at most so many ``rows`` at a time, which have
        equally many sites."""
        start = block.start
        for end in (*self.ends[(self.ends > block.start) & (self.ends < block.stop)], block.stop):
            while start < end:
                stop = min(start + rows, int(end))
                yield slice(start, stop)
                start = stop


def buckets(model: Any, codes: Codes) -> Buckets:
    """Sequences ``(N, L)`` in the order of their numbers of sites, those of one number as they
    come."""
    if not has_tokens(model) or not len(codes):
        return Buckets(None, np.array([len(codes)]))
    parts = range(0, len(codes), _COUNTED_TOGETHER)
    counts = np.concatenate(
        [token_sites(model, codes[start : start + _COUNTED_TOGETHER]).counts for start in parts]
    )
    order = np.argsort(counts, kind="stable")
    changes = np.flatnonzero(np.diff(counts[order])) + 1
    ends = np.append(changes, len(codes))
    return Buckets(None if len(ends) == 1 else order, ends)


def commonest(model: Any, codes: Codes) -> NDArray[np.intp]:
    """The rows of the sequences that have the number of sites which most of them have."""
    by_sites = buckets(model, codes)
    largest = int(np.argmax(np.diff(by_sites.ends, prepend=0)))
    start = 0 if largest == 0 else by_sites.ends[largest - 1]
    return by_sites.sorted(np.arange(len(codes)))[start : by_sites.ends[largest]]


def padded_sites(model: Any, codes: Codes) -> Tensor | None:
    """``(N, S)``: which sites of what ``encode`` makes of a mixed batch are no padding; None where
    sites are nucleotides. For training alone, where small batches would take too long."""
    return torch.from_numpy(token_sites(model, codes).valid) if has_tokens(model) else None
