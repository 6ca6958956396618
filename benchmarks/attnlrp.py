"""AttnLRP and CP-LRP beside gradient x input of the same model: time, and what reaches the input.

    python benchmarks/attnlrp.py [--sequences 64] [--length 200] [--rounds 9]

Three networks with random weights: ``transformer`` (self-attention in products of its own, with
ALiBi), layers of ``nn.TransformerEncoderLayer`` (one function of torch for all of attention) and
``attngen`` (convolutions, attention pooling). CPU seconds, one thread, the three methods
interleaved; ratios are those of one round.

Before anything is timed, relevance and what constants absorb must sum to what is explained. Then
the share of it that reaches the input is printed: neither method promises any.
"""

import argparse
import statistics
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from interleaved import cpu_seconds, ratio
from torch import Tensor, nn

from xaibench.attribution.gradient import input_x_gradient
from xaibench.attribution.lrp import lrp
from xaibench.models.attngen import AttnGen
from xaibench.models.transformer import Transformer
from xaibench.nn.layers import one_hot
from xaibench.nn.view import ExplainedView


class Encoder(nn.Module):
    """A convolution, layers of torch's own, a mean over sites."""

    def __init__(self, width: int, heads: int, hidden: int, layers: int) -> None:
        super().__init__()
        self.stem = nn.Conv1d(4, width, 11, padding=5)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(width, heads, hidden, activation="gelu", batch_first=True)
            for _ in range(layers)
        )
        self.classify = nn.Linear(width, 2)

    def forward(self, inputs: Tensor) -> Tensor:
        sites = self.stem(inputs).transpose(1, 2)
        for layer in self.layers:
            sites = layer(sites)
        logits: Tensor = self.classify(sites.mean(1))
        return logits


METHODS: dict[str, Callable[..., object]] = {
    "gradient x input": input_x_gradient,
    "attnlrp": partial(lrp, rule="attnlrp"),
    "cp_lrp": partial(lrp, rule="cp_lrp"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sequences", type=int, default=64)
    parser.add_argument("--length", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=9)
    given = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    length = given.length
    models = {
        "transformer": Transformer(
            classes=2, length=length, width=64, heads=4, hidden=256, layers=4
        ),
        "nn.TransformerEncoderLayer": Encoder(64, 4, 256, 4),
        "attngen": AttnGen(classes=2, length=length),
    }
    shape = (given.sequences, length)
    codes = np.random.default_rng(0).integers(4, size=shape).astype(np.uint8)
    inputs = one_hot(torch.from_numpy(codes)).requires_grad_()
    target = torch.arange(given.sequences) % 2
    print(f"{given.sequences} sequences of {length} nt; {given.rounds} rounds, medians")
    for name, network in models.items():
        view = ExplainedView(network.eval().requires_grad_(False))
        print(name)
        _report_shares(view, inputs, target)
        calls = {name: partial(call, view, inputs, target) for name, call in METHODS.items()}
        _report_times(cpu_seconds(calls, given.rounds))


def _report_shares(view: ExplainedView, inputs: Tensor, target: Tensor) -> None:
    explained = view(inputs).gather(1, target.unsqueeze(1))[:, 0].detach()
    for rule in ("attnlrp", "cp_lrp"):
        answer = lrp(view, inputs, target, rule=rule)
        if answer.completeness_error.max() > 1e-4 * explained.square().mean().sqrt():
            raise SystemExit(f"{rule} does not add up: nothing to time")
        shares = answer.contributions.sum((1, 2)) / explained
        low, middle, high = np.quantile(shares.numpy(), (0.05, 0.5, 0.95))
        print(
            f"  {rule:<17} sum of relevance / explained: {middle:.2f} in the median, "
            f"{low:.2f} to {high:.2f} in nine of ten sequences"
        )


def _report_times(seconds: dict[str, list[float]]) -> None:
    plain = seconds["gradient x input"]
    for name, column in seconds.items():
        print(
            f"  {name:<17} {statistics.median(column):.3f} CPU-s, "
            f"{ratio(column, plain)} x gradient x input"
        )


if __name__ == "__main__":
    main()
