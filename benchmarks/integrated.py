"""Integrated gradients against the bare forwards and backwards that they need.

    python benchmarks/integrated.py [--sequences 64] [--length 200] [--rounds 9]

The network is of the demo's scale: three convolutions with batch normalisation and ReLU, a mean
over positions, a linear layer. The bare twin makes the same passes through the same model (the
points on the path in calls of the same size, forwards with their backward, and the two ends
without) and nothing else. CPU seconds, one thread, the two interleaved.
"""

import argparse
from functools import partial

import torch
from interleaved import cpu_seconds, ratio
from torch import Tensor, nn

from xaibench.attribution.integrated import integrated_gradients
from xaibench.nn.inference import in_calls
from xaibench.nn.view import ExplainedView

STEPS = 50


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sequences", type=int, default=64)
    parser.add_argument("--length", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=9)
    given = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    view = ExplainedView(_network().eval().requires_grad_(False))
    codes = torch.randint(4, (given.sequences, given.length))
    inputs = nn.functional.one_hot(codes, 4).transpose(1, 2).float()
    target = torch.zeros(given.sequences, dtype=torch.int64)

    ours = partial(integrated_gradients, view, inputs, target, steps=STEPS)
    ours()
    backwards, ends = view.backwards, view.forwards - view.backwards
    contenders = {"ours": ours, "bare": partial(_bare, view, inputs, backwards, ends)}
    seconds = cpu_seconds(contenders, given.rounds)
    print(f"{backwards} rows forwards and backwards, {ends} rows forwards")
    print(f"integrated gradients / bare passes: {ratio(seconds['ours'], seconds['bare'])}")


def _bare(view: ExplainedView, inputs: Tensor, backwards: int, ends: int) -> None:
    rows = inputs.repeat(-(-max(backwards, ends) // len(inputs)), 1, 1)
    for (some,) in in_calls(rows[:backwards]):
        wanted = some.detach().requires_grad_()
        torch.autograd.grad(view(wanted)[:, 0].sum(), wanted)
    with torch.no_grad():
        for (some,) in in_calls(rows[:ends]):
            view(some)


def _network() -> nn.Module:
    layers: list[nn.Module] = []
    for before, after, width in ((4, 32, 11), (32, 64, 7), (64, 64, 5)):
        layers += [nn.Conv1d(before, after, width, padding="same"), nn.BatchNorm1d(after)]
        layers += [nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(64, 2))


if __name__ == "__main__":
    main()
