"""What numbers were computed with: versions, processor, and the kernels that torch chose there."""

import os
import platform
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from xaibench import __version__

LIBRARIES = ("torch", "captum", "numpy", "scipy", "pandas", "scikit-learn")

Kernels = Mapping[str, Any]
"""What the last digits of a number depend on, and in a training all that follows from them."""


def machine() -> dict[str, Any]:
    """Versions and processor: what a number in a report was measured with."""
    versions = {"python": platform.python_version(), "xaibench": __version__}
    versions |= {name: version(name) for name in LIBRARIES}
    return {"versions": versions, "processor": processor(), "cores": os.cpu_count()}


@cache
def processor() -> str:
    """The processor's name, without the name of the machine."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def kernels(threads: int | None = None) -> dict[str, Any]:
    """Torch's threads in this process (or those given), the instructions that its kernels use, and
    what MKL is restricted to."""
    return {
        "threads": torch.get_num_threads() if threads is None else threads,
        "processor": processor(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "mkl_cbwr": os.environ.get("MKL_CBWR", ""),
    }


def describe_kernels(chosen: Kernels) -> str:
    """Kernels in one line of text.

    >>> chosen = {"threads": 2, "processor": "P", "instructions": "AVX2", "mkl_cbwr": "COMPATIBLE"}
    >>> describe_kernels(chosen)
    '2 threads, AVX2, P, MKL_CBWR=COMPATIBLE'
    """
    count = chosen.get("threads")
    parts = [f"{count} thread{'' if count == 1 else 's'}"]
    parts += [str(chosen.get(name)) for name in ("instructions", "processor")]
    return ", ".join([*parts, *[f"MKL_CBWR={chosen['mkl_cbwr']}"] * bool(chosen.get("mkl_cbwr"))])


def count_kernels(every: Iterable[Kernels]) -> dict[str, int]:
    """How many trained models there are of each, by ``describe_kernels``."""
    return dict(sorted(Counter(map(describe_kernels, every)).items()))
