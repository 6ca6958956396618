"""DeepLIFT with 20 shuffles a sequence: ours, tangermeme's and the loop over Captum's.

    pip install tangermeme==1.6.0
    python benchmarks/deeplift.py [--sequences 32] [--length 251] [--filters 64 64] [--rounds 9]

The network is convolution, batch normalisation, ReLU and max pooling by 4, once for each of
``--filters``, then two linear layers. It has one output: of classes, what we explain is relative to
the others. tangermeme runs as ``deep_lift_shap(model, inputs, target=0, references=references,
batch_size=32, hypothetical=True, device="cpu")``, Captum as its users write it, a call of
``DeepLiftShap`` for each sequence. CPU seconds, one thread, the three interleaved.

Before anything is timed, values must be equal: to 1e-5 of the largest in single and 1e-10 in double
precision. tangermeme's are hypothetical scores. Captum's are contributions, of a network that
copies what goes from ReLU to max pooling: without the copy they are wrong, and its hypothetical
scores depend on the batch. It is timed without the copies, which favours it.
"""

import argparse
import statistics
import warnings
from collections.abc import Callable
from copy import deepcopy
from functools import partial
from itertools import pairwise

import numpy as np
import torch
from captum.attr import DeepLiftShap
from interleaved import cpu_seconds, ratio
from tangermeme.deep_lift_shap import deep_lift_shap, hypothetical_attributions
from torch import Tensor, nn

from xaibench.attribution.deeplift import deeplift
from xaibench.dna import shuffling
from xaibench.nn.layers import one_hot
from xaibench.nn.view import ExplainedView


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sequences", type=int, default=32)
    parser.add_argument("--length", type=int, default=251)
    parser.add_argument("--filters", type=int, nargs="+", default=[64, 64])
    parser.add_argument("--references", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=9)
    given = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    warnings.filterwarnings("ignore", "Setting forward, backward hooks")  # Captum's, each call
    network = _network(given.filters, given.length).eval().requires_grad_(False)
    shape = (given.sequences, given.length)
    codes = np.random.default_rng(0).integers(4, size=shape).astype(np.uint8)
    inputs = one_hot(torch.from_numpy(codes))
    shuffled = torch.from_numpy(shuffling.shuffled_references(codes, given.references, 0)).flatten(
        0, 1
    )
    references = one_hot(shuffled).unflatten(0, (given.sequences, given.references))

    print(f"{given.sequences} sequences of {given.length} nt, {given.references} references each")
    print(network)
    _compare(network, inputs, references, within=1e-5)
    _compare(deepcopy(network).double(), inputs.double(), references.double(), within=1e-10)
    calls = {name: partial(call, network, inputs, references) for name, call in CONTENDERS.items()}
    seconds = cpu_seconds(calls, given.rounds)
    for name, column in seconds.items():
        print(f"{name:<10} {statistics.median(column):.3f} CPU-s (median of {given.rounds})")
    for name in ("tangermeme", "Captum"):
        print(f"{name} over ours: {ratio(seconds[name], seconds['ours'])}")


def _network(filters: list[int], length: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for (inward, outward), kernel in zip(
        pairwise([4, *filters]), [11] + [7] * (len(filters) - 1), strict=True
    ):
        layers += [nn.Conv1d(inward, outward, kernel, padding=kernel // 2)]
        layers += [nn.BatchNorm1d(outward), nn.ReLU(), nn.MaxPool1d(4)]
        length //= 4
    layers += [nn.Flatten(), nn.Linear(filters[-1] * length, 64), nn.ReLU(), nn.Linear(64, 1)]
    for layer in layers:
        if isinstance(layer, nn.BatchNorm1d):
            layer.running_mean.normal_(0, 0.1)
            layer.running_var.uniform_(0.5, 2)
    return nn.Sequential(*layers)


def _ours(network: nn.Module, inputs: Tensor, references: Tensor) -> Tensor:
    target = torch.zeros(len(inputs), dtype=torch.int64)
    return deeplift(ExplainedView(network), inputs, target, references=references).hypothetical


def _tangermeme(network: nn.Module, inputs: Tensor, references: Tensor) -> Tensor:
    return deep_lift_shap(
        network,
        inputs,
        target=0,
        references=references,
        batch_size=32,
        hypothetical=True,
        device="cpu",
    )


def _captum(network: nn.Module, inputs: Tensor, references: Tensor) -> Tensor:
    method = DeepLiftShap(network)
    answers = [
        method.attribute(
            inputs[row : row + 1],
            references[row],
            target=0,
            custom_attribution_func=hypothetical_attributions,
        )
        for row in range(len(inputs))
    ]
    return torch.cat(answers).detach()


class _Copy(nn.Module):
    def forward(self, inputs: Tensor) -> Tensor:
        return inputs.clone()


def _compare(network: nn.Sequential, inputs: Tensor, references: Tensor, *, within: float) -> None:
    copying = nn.Sequential()
    for layer in network:
        copying.extend([layer, _Copy()] if isinstance(layer, nn.ReLU) else [layer])
    ours = _ours(network, inputs, references)
    differences = {
        "tangermeme's hypothetical scores": _tangermeme(network, inputs, references) - ours,
        "Captum's contributions": (_captum(copying, inputs, references) - ours) * inputs,
    }
    for name, difference in differences.items():
        relative = (difference.abs().max() / ours.abs().max()).item()
        if relative > within:
            raise SystemExit(f"{name} differ by {relative:.1e} of the largest: nothing to time")
        print(f"{name} differ by at most {relative:.1e} of the largest, in {inputs.dtype}")


CONTENDERS: dict[str, Callable[[nn.Module, Tensor, Tensor], Tensor]] = {
    "ours": _ours,
    "tangermeme": _tangermeme,
    "Captum": _captum,
}
"""Network, inputs ``(N, 4, L)``, references ``(N, K, 4, L)`` -> hypothetical scores."""


if __name__ == "__main__":
    main()
