"""Full in silico mutagenesis, ours and tangermeme's, and the forward passes that it needs.

    pip install tangermeme==1.6.0
    python benchmarks/mutagenesis.py [--sequences 8] [--length 200] [--filters 64 64] [--rounds 9]

The network is convolution, batch normalisation, ReLU and max pooling by 4, once for each of
``--filters``, then two linear layers. It has three classes: of two, what we explain is the
difference. tangermeme runs as ``saturation_mutagenesis(model, inputs, target=1, batch_size=256,
hypothetical=True, fast=False, device="cpu")``; neither runs the identity edits. Its values, which
follow the same convention, must be ours to rounding before anything is timed. Bare: the 3 x N x L
rows, edited beforehand, in the largest calls that ours makes.

CPU seconds, one thread, the three interleaved, each in a process of its own: memory that one keeps
for its layers would serve the others. With ``--together`` they share one all the same.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from itertools import pairwise
from multiprocessing import get_context
from typing import NamedTuple

import numpy as np
import torch
from tangermeme.saturation_mutagenesis import saturation_mutagenesis
from torch import Tensor, nn

from xaibench.attribution.perturbation import in_silico_mutagenesis
from xaibench.nn.layers import one_hot
from xaibench.nn.view import ExplainedView


class Setting(NamedTuple):
    sequences: int
    length: int
    filters: tuple[int, ...]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sequences", type=int, default=8)
    parser.add_argument("--length", type=int, default=200)
    parser.add_argument("--filters", type=int, nargs="+", default=[64, 64])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--together", action="store_true")
    given = parser.parse_args()
    setting = Setting(given.sequences, given.length, tuple(given.filters))
    processes = [ProcessPoolExecutor(1, get_context("spawn")) for _ in CONTENDERS]
    places = dict(zip(CONTENDERS, processes[:1] * 3 if given.together else processes, strict=True))

    def run(contender: str, what: Callable[..., object]) -> object:
        return places[contender].submit(what, contender, setting).result()

    ours, theirs, _ = (run(name, _values) for name in CONTENDERS)
    difference = np.abs(ours - theirs).max() / np.abs(theirs).max()
    if not difference <= 1e-4:  # NaN where all values are 0
        raise SystemExit(f"values differ by {difference:.1e} of the largest: nothing to time")
    rounds = [[run(name, _seconds) for name in CONTENDERS] for _ in range(given.rounds)]
    print(f"{given.sequences} sequences of {given.length} nt, filters {given.filters}")
    print(f"values differ by at most {difference:.1e} of the largest; {given.rounds} rounds")
    for name, seconds in zip(CONTENDERS, zip(*rounds, strict=True), strict=True):
        print(f"{name:<10} {statistics.median(seconds):.2f} CPU-s (median)")
    _print_ratio("tangermeme over ours", [second / first for first, second, _ in rounds])
    _print_ratio("ours over bare", [first / last for first, _, last in rounds])


def _print_ratio(name: str, ratios: list[float]) -> None:
    median = statistics.median(ratios)
    print(f"{name}: {median:.3f} (median; {min(ratios):.3f} to {max(ratios):.3f})")


def _values(contender: str, setting: Setting) -> np.ndarray:
    return _work(contender, setting)().numpy()


def _seconds(contender: str, setting: Setting) -> float:
    work = _work(contender, setting)
    began = time.process_time()
    work()
    return time.process_time() - began


@cache
def _work(contender: str, setting: Setting) -> Callable[[], Tensor]:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = _network(setting.filters, setting.length).eval()
    codes = torch.randint(4, (setting.sequences, setting.length), dtype=torch.uint8)
    return CONTENDERS[contender](model, one_hot(codes))


def _network(filters: tuple[int, ...], length: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for position, (inward, outward) in enumerate(pairwise([4, *filters])):
        kernel = 7 if position else 11
        layers += [nn.Conv1d(inward, outward, kernel, padding=kernel // 2)]
        layers += [nn.BatchNorm1d(outward), nn.ReLU(), nn.MaxPool1d(4)]
        length //= 4
    layers += [nn.Flatten(), nn.Linear(filters[-1] * length, 64), nn.ReLU(), nn.Linear(64, 3)]
    return nn.Sequential(*layers)


def _ours(model: nn.Module, inputs: Tensor) -> Callable[[], Tensor]:
    target = torch.ones(len(inputs), dtype=torch.int64)

    def run() -> Tensor:
        return in_silico_mutagenesis(ExplainedView(model), inputs, target).hypothetical

    return run


def _tangermeme(model: nn.Module, inputs: Tensor) -> Callable[[], Tensor]:
    options = {"target": 1, "batch_size": 256, "hypothetical": True, "fast": False, "device": "cpu"}

    def run() -> Tensor:
        return saturation_mutagenesis(model, inputs, **options)

    return run


def _bare(model: nn.Module, inputs: Tensor) -> Callable[[], Tensor]:
    """The rows of ``_ours`` as the model sees them, kept by a hook, without the intact ones."""
    calls: list[Tensor] = []
    hook = model.register_forward_pre_hook(lambda module, arguments: calls.append(arguments[0]))
    _ours(model, inputs)()
    hook.remove()
    rows = torch.cat(calls)
    edited = (rows.unsqueeze(1) != inputs).any(-1).any(-1).all(1)
    batches = rows[edited].split(max(map(len, calls)))

    @torch.no_grad()
    def run() -> Tensor:
        return torch.cat([model(batch) for batch in batches])

    return run


CONTENDERS = {"ours": _ours, "tangermeme": _tangermeme, "bare": _bare}


if __name__ == "__main__":
    main()
