"""Which other arrangement, alphabet or length a network runs with, where it does not run as it is
called."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from time import monotonic
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from xaibench.nn.adapted import LAYOUTS, AdaptedModel, alphabet_table
from xaibench.nn.devices import moved
from xaibench.nn.inference import device_of
from xaibench.shapes import Codes

LENGTHS = (
    *(35, 40, 41, 50, 51, 60, 70, 80, 81, 100, 101, 110, 120, 128, 145, 147, 150, 170, 200, 201),
    *(230, 249, 250, 251, 256, 270, 300, 301, 350, 400, 401, 500, 501, 512, 600, 601, 800, 1000),
    *(1001, 1024, 1344, 1500, 2000, 2001, 2048, 2114, 2500, 3000, 3020, 4000, 4096, 5000),
)
"""Lengths of sequences that published networks take."""

_SECONDS = 10
"""No longer is it looked for."""


class Arrangement(NamedTuple):
    """What a network runs with; each is as it is called now where it is empty or 0."""

    layout: str = ""
    alphabet: str = ""
    length: int = 0

    def __str__(self) -> str:
        options = {"layout": self.layout, "alphabet": self.alphabet, "length": self.length}
        return " ".join(f"{name}={value}" for name, value in options.items() if value)


def running_arrangement(network: nn.Module, codes: Codes, layout: str) -> Arrangement | None:
    """The first arrangement with which the network runs on a few sequences ``(N, L)``: another
    layout, a fifth channel for N, another length, or these together; None where none does."""
    until = monotonic() + _SECONDS
    for arrangement in _arrangements(layout or "N4L", codes.shape[1]):
        if monotonic() > until:
            return None
        if _runs(network, codes[:2], arrangement, layout or "N4L"):
            return arrangement
    return None


def _arrangements(layout: str, length: int) -> Iterator[Arrangement]:
    """Those that differ in least first."""
    others = [each for each in LAYOUTS if each != layout]
    lengths = [each for each in LENGTHS if each != length]
    yield from (Arrangement(layout=each) for each in others)
    yield from (Arrangement(each, "ACGTN") for each in ("", *others))
    yield from (Arrangement(length=each) for each in lengths)
    for other in others:
        yield from (Arrangement(other, length=each) for each in lengths)


def _runs(network: nn.Module, codes: Codes, arrangement: Arrangement, layout: str) -> bool:
    model = AdaptedModel(
        network,
        classes=2,
        table=alphabet_table(arrangement.alphabet or "ACGT"),
        layout=arrangement.layout or layout,
    )
    if arrangement.length:
        codes = np.resize(codes, (len(codes), arrangement.length))
    with suppress(Exception), torch.no_grad():
        inputs = model.encode(moved(codes, device_of(model)))
        model.network(model.arranged(inputs))
        return True
    return False
