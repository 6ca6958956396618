"""Sequences block by block, in smaller blocks where a device has no memory for them."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar
from weakref import finalize

import torch

from xaibench.progress import announce

from .devices import free_cached_memory

Result = TypeVar("Result")

MOST_HALVINGS = 14
"""After so many every block is a single row."""

_BY_MODEL: dict[int, int] = {}
"""How often the blocks of a model were halved, by its id: a later call begins where one ended. By
id, since a scripted module cannot be compared."""

_HALVINGS: ContextVar[int] = ContextVar("halvings", default=0)
"""Of the model that computes now, for the calls that a method makes of it."""


def halved(rows: int) -> int:
    """So many rows, halved as often as the blocks of the model that computes now; at least one."""
    return max(1, rows >> _HALVINGS.get())


def in_blocks(
    model: Any, total: int, rows: int, compute: Callable[[slice], Result], *, device: torch.device
) -> Iterator[Result]:
    """What ``compute`` makes of one block of at most so many ``rows`` after the other, of ``total``
    in all.

    Where the device runs out of memory the block is halved and computed again, and so are all later
    ones of the model; in there ``halved`` says how many rows a call may have. The error is raised
    where a single row is too much.
    """
    start = 0
    while start < total:
        halvings = _BY_MODEL.get(id(model), 0)
        block = slice(start, min(start + max(1, rows >> halvings), total))
        try:
            with _with(halvings):
                result = compute(block)
        except RuntimeError as error:
            if not is_out_of_memory(error) or halvings == MOST_HALVINGS:
                raise
        else:
            yield result
            start = block.stop
            continue
        # only now is the error gone, and with it what it held of the block
        _halve(model, device, block.stop - block.start)


@contextmanager
def _with(halvings: int) -> Iterator[None]:
    token = _HALVINGS.set(halvings)
    try:
        yield
    finally:
        _HALVINGS.reset(token)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a device had not enough memory; of some torch says so in the text alone."""
    if isinstance(error, torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and "out of memory" in str(error)


def _halve(model: Any, device: torch.device, rows: int) -> None:
    if id(model) not in _BY_MODEL:
        finalize(model, _BY_MODEL.pop, id(model), None)
        announce(
            f"{device}: not enough memory for {rows:,} sequences at a time; fewer are computed "
            "together from here on, which changes no result beyond rounding"
        )
    _BY_MODEL[id(model)] = _BY_MODEL.get(id(model), 0) + 1
    gc.collect()
    free_cached_memory(device)
