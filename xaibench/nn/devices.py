"""Where torch computes: which devices there are, how data get to one, how exactly it multiplies."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from time import perf_counter, process_time
from typing import Any

import torch
from torch import Tensor

from xaibench.errors import UsageError
from xaibench.shapes import Codes

CPU = torch.device("cpu")

BYTES_PER_POSITION = 2**16
"""What a position takes in a pass forward and back: 32 layers of 256 features in float32, each with
its gradient."""

SHARE_OF_MEMORY = 0.5
"""Of the memory that is free at first; the rest is for weights, references and what is left over
between calls."""


def device_named(name: str) -> torch.device:
    """The device of a name such as ``cuda:1``; UsageError, with those that there are, for one that
    torch does not know or this machine does not have."""
    try:
        device = torch.device(name)
        torch.empty(0, device=device).device  # noqa: B018  # a driver may be there and not work
        if device.type in _types():
            return device
    except (RuntimeError, AssertionError, NotImplementedError):
        pass
    raise UsageError(
        f"device: torch has no {name!r} on this machine, which has {', '.join(devices_here())}; "
        "name one of these"
    )


def described_device(name: str) -> str:
    """A device with what it is, where torch says: ``cuda:1 (NVIDIA H200)``.

    >>> described_device("cpu")
    'cpu'
    """
    device = torch.device(name)
    if device.type not in ("cuda", "xpu"):
        return name
    return f"{name} ({torch.get_device_module(device).get_device_name(device)})"


def _types() -> list[str]:
    """The types of devices that this machine has."""
    every = {"cuda": torch.cuda, "xpu": torch.xpu, "mps": torch.backends.mps}
    return ["cpu", *(kind for kind, backend in every.items() if backend.is_available())]


def devices_here() -> list[str]:
    """Every device of this machine, described."""
    names = []
    for kind in _types():
        count = torch.get_device_module(kind).device_count() if kind in ("cuda", "xpu") else 0
        names += [f"{kind}:{index}" for index in range(count)] or [kind]
    return list(map(described_device, names))


def clock_of(device: torch.device) -> Callable[[], float]:
    """What seconds are measured by: the time of the processor, all threads together, on the CPU,
    which other work does not change; the time that passes on any other device."""
    return process_time if device.type == "cpu" else perf_counter


def moved(codes: Codes, device: torch.device) -> Tensor:
    """Codes ``(N, L)`` on a device, one byte per base; to a CUDA device by pinned memory."""
    given = torch.from_numpy(codes.copy())
    if device.type != "cuda":
        return given.to(device)
    return given.pin_memory().to(device, non_blocking=True)


# Randomness


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """In here torch draws from generators with this seed, on every device; afterwards those of the
    CPU, and of every device that is in use by now, are as they were."""
    cuda, xpu = (_count_in_use(kind) for kind in ("cuda", "xpu"))
    mps = torch.mps.get_rng_state() if torch.backends.mps.is_available() else None
    with (
        torch.random.fork_rng(devices=range(cuda)),
        torch.random.fork_rng(devices=range(xpu), device_type="xpu"),
    ):
        # not torch.manual_seed, which takes longer than a small network on devices not yet in use
        torch.default_generator.manual_seed(seed)
        if cuda:
            torch.cuda.manual_seed_all(seed)
        if xpu:
            torch.xpu.manual_seed_all(seed)
        if mps is not None:
            torch.mps.manual_seed(seed)
        try:
            yield
        finally:
            if mps is not None:
                torch.mps.set_rng_state(mps)


def _count_in_use(kind: str) -> int:
    """How many devices of a kind there are; 0 before torch first uses one, which is slow."""
    module = torch.get_device_module(kind)
    return int(module.device_count()) if module.is_initialized() else 0


# Precision


@contextmanager
def multiplying(device: torch.device, *, tf32: bool = False) -> Iterator[None]:
    """In here a device multiplies float32 exactly, or in TensorFloat-32, which keeps 10 bits of
    every factor; afterwards as before. Nothing changes on the CPU.

    Torch's own default is TF32 in convolutions of a CUDA device, whose logits differ in the third
    digit from those of the CPU.
    """
    settings = _settings() if device.type == "cuda" else []
    before = [(module, name, getattr(module, name)) for module, name in settings]
    try:
        for module, name, _ in before:
            setattr(module, name, _value(name, tf32))
        yield
    finally:
        for module, name, value in before:
            setattr(module, name, value)


def _settings() -> list[tuple[Any, str]]:
    """What says how products are computed; torch 2.9 gave it another name, and raises where both
    are used."""
    backends: Any = torch.backends
    if hasattr(backends.cudnn, "conv"):
        parts = (backends.cuda.matmul, backends.cudnn.conv, backends.cudnn.rnn)
        return [(part, "fp32_precision") for part in parts]
    return [(part, "allow_tf32") for part in (backends.cuda.matmul, backends.cudnn)]


def _value(name: str, tf32: bool) -> Any:
    return tf32 if name == "allow_tf32" else ("tf32" if tf32 else "ieee")


# Memory


@cache
def positions_of(device: torch.device) -> int:
    """How many positions go through a model together on a device other than the CPU: as many as
    half of its memory holds, of what was free when it was first asked, at 64 KiB each."""
    return int(SHARE_OF_MEMORY * _free_memory(device)) // BYTES_PER_POSITION


def _free_memory(device: torch.device) -> int:
    """In bytes."""
    if device.type == "mps":
        return int(torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory())
    free, _ = torch.get_device_module(device).mem_get_info(device)
    return int(free)


def free_cached_memory(device: torch.device) -> None:
    """Give back what torch keeps for later, so that smaller blocks find room."""
    if device.type != "cpu":
        torch.get_device_module(device).empty_cache()
