"""Contenders timed in turn, so that whatever else the machine does meets all of them alike."""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence


def cpu_seconds(
    contenders: Mapping[str, Callable[[], object]], rounds: int
) -> dict[str, list[float]]:
    """By name, the CPU seconds in each of so many rounds, after one that does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(1 + rounds):
        for name, compute in contenders.items():
            began = time.process_time()
            compute()
            seconds[name].append(time.process_time() - began)
    return {name: taken[1:] for name, taken in seconds.items()}


def ratio(seconds: Sequence[float], others: Sequence[float]) -> str:
    """The ratio within each round: its median and its range."""
    ratios = [one / other for one, other in zip(seconds, others, strict=True)]
    return f"{statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})"
