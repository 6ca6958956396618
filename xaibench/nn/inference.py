"""The one place with batches, evaluation mode and inference mode.

A forward pass takes a block of at most 2^15 positions (``POSITIONS``), not a number of sequences.
The largest tensor of a pass is that of a layer's features: with 256 of them in float32,

    2^15 positions x 256 features x 4 bytes = 32 MiB,

whatever the length of a sequence. That bounds memory, and it is the largest block that glibc can be
made to reuse (``keep_freed_memory``); what is larger is mapped, cleared and unmapped for every
layer. Larger blocks are slower on a CPU besides, since features leave its caches between layers:
163 rows of 200 nt are 1.5 times as fast as 512, 32 rows of 1,000 nt twice as fast as 512.

On another device a pass takes as many positions as its memory holds (``devices.positions_of``).
Where memory does not suffice after all, blocks are halved (``blocks.in_blocks``).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from itertools import chain
from typing import Any

import numpy as np
import torch
from torch import Tensor

from xaibench.nn.checks.outputs import finite, forward_logits
from xaibench.plugins.fence import fenced
from xaibench.protocols import Precision
from xaibench.shapes import Codes, Logits

from .blocks import halved, in_blocks
from .devices import CPU, moved, multiplying, positions_of
from .sites import buckets

ROWS = 512
"""The most sequences in one pass of a model on the CPU."""

ROWS_ON_DEVICE = 2**13
"""The most on another device: more keep it no busier."""

EXPLAINED_ROWS = 64
"""The most sequences that are explained together on the CPU."""

POSITIONS = 2**15
"""The most positions in one pass: what a layer of 256 features makes of them is 32 MiB."""

_CHANNELS = 32
"""Wider inputs, which embeddings are, count as so many times more positions in passes that keep
what a gradient needs."""

_LARGEST_KEPT_BLOCK = 2**25
"""Bytes: the largest block that glibc can be made to keep when it is freed (M_MMAP_THRESHOLD)."""


def batch_rows(length: int, device: torch.device = CPU) -> int:
    """How many sequences of a length go through a model together on a device.

    From 8 to ``most_rows``, fewer of long ones and where memory did not suffice; results do not
    depend on it beyond rounding.
    """
    if device.type == "cpu":
        keep_freed_memory()
    positions = POSITIONS if device.type == "cpu" else positions_of(device)
    return min(most_rows(device), halved(max(8, positions // max(1, length))))


def most_rows(device: torch.device) -> int:
    """How many sequences go through a model together at most, however short they are."""
    return halved(ROWS if device.type == "cpu" else ROWS_ON_DEVICE)


def explained_rows(length: int, device: torch.device) -> int:
    """How many sequences of a length a method explains together on a device."""
    rows = batch_rows(length, device)
    return min(EXPLAINED_ROWS, rows) if device.type == "cpu" else rows


def in_calls(*tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Tensors that share their rows, as many rows at a time as go through a model together.

    Their number follows from the sites of the first ``(N, C, S)``, from its channels where they are
    many, and from its device.
    """
    channels, sites = tensors[0].shape[-2:]
    rows = batch_rows(sites * max(1, channels // _CHANNELS), tensors[0].device)
    return zip(*(torch.split(tensor, rows) for tensor in tensors), strict=True)


@cache
def keep_freed_memory() -> None:
    """Make glibc keep what a layer frees for the next one.

    It keeps blocks as large as the largest that was freed before, at first only small ones, and has
    the system clear all others again for every layer: on a small network, half of the time.
    """
    torch.empty(
        _LARGEST_KEPT_BLOCK - 2**13, dtype=torch.uint8
    )  # never written to: this takes no memory


@contextmanager
def evaluating(model: Any) -> Iterator[None]:
    """Evaluation and inference mode; every submodule's own mode is put back afterwards."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        for module, training in modes:
            module.training = training


def device_of(model: Any) -> torch.device:
    """Where a model computes: its first parameter, else buffer, says; the CPU where it has none."""
    tensors = chain(model.parameters(), model.buffers())
    return next((tensor.device for tensor in tensors), torch.device("cpu"))


@contextmanager
def predicting(model: Any, precision: Precision = "float32") -> Iterator[None]:
    """Passes of a model without a gradient, in a precision of convolutions and matrix products.

    ``bfloat16`` keeps 8 bits of every factor, so logits differ in the third digit. It is faster on
    a processor that multiplies it (``avx512_bf16``, ``amx_bf16``) and slower on any other. ``tf32``
    keeps 10 bits on a CUDA device, and is ``float32`` elsewhere.
    """
    device = device_of(model)
    computing = torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16")
    with fenced(), evaluating(model), computing, multiplying(device, tf32=precision == "tf32"):
        yield


def logits(
    model: Any, codes: Codes, *, rows: int | None = None, precision: Precision = "float32"
) -> Logits:
    """Logits ``(sequence, class)`` of sequences ``(sequence, position)``, in float32.

    They are computed where the model is, and come back to the CPU. Passes of a model that has
    tokens are of sequences with equally many.

    ``precision`` is that of ``predicting``. ModelError where the model gives anything but finite
    logits, one per class of each sequence.
    """
    classes: int | None = None
    device = device_of(model)
    rows = rows or batch_rows(codes.shape[1], device)
    outputs: Logits = np.empty((0, 0), np.float32)
    by_sites = buckets(model, codes)
    codes = by_sites.sorted(codes)

    def passed(block: slice) -> Logits:
        batches = by_sites.batches(block, block.stop - block.start)
        parts = [_passed(model, codes[batch], classes) for batch in batches]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    start = 0
    with predicting(model, precision):
        for part in in_blocks(model, len(codes), rows, passed, device=device):
            if start == 0:
                classes = part.shape[1]
                outputs = np.empty((len(codes), classes), np.float32)
            outputs[start : start + len(part)] = part
            start += len(part)
            del part  # small blocks kept between large ones would make the heap grow by the pass
    return by_sites.restored(outputs)


def _passed(model: Any, codes: Codes, classes: int | None) -> Logits:
    """Of sequences that have equally many sites."""
    given = moved(codes, device_of(model))
    part = finite(forward_logits(model, model.encode(given), len(given), classes=classes))
    logits: Logits = part.float().cpu().numpy()
    return logits


def forward_codes(model: Any, codes: Codes, *, classes: int | None = None) -> Tensor:
    """Logits ``(N, class)`` of sequences ``(N, L)``, of any values, with the gradient that the mode
    of the caller keeps; one pass per number of sites. ModelError as of ``forward_logits``."""
    by_sites, device = buckets(model, codes), device_of(model)
    codes = by_sites.sorted(codes)
    parts = []
    for rows in by_sites.batches(slice(0, len(codes)), max(1, len(codes))):
        given = moved(codes[rows], device)
        parts.append(forward_logits(model, model.encode(given), len(given), classes=classes))
    return parts[0] if len(parts) == 1 else by_sites.restored(torch.cat(parts))
