"""Small models with known answers, and sequences for them.

Each model has two classes and is made for sequences of ``LENGTH`` bases, always with the same
weights.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from xaibench.nn.layers import WeightedSum, one_hot
from xaibench.shapes import Codes
from xaibench.values import N, TokenSites

LENGTH = 23

MOTIF = (1, 0, 2)
"""The codes of the motif that ``motif_count`` counts, unless it is given another."""


class Toy(nn.Module):
    """One-hot in the model's own precision, then ``body``."""

    like: Tensor

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body
        self.register_buffer("like", torch.empty(0))

    def encode(self, codes: Tensor) -> Tensor:
        return one_hot(codes).to(self.like.dtype)

    def forward(self, inputs: Tensor) -> Tensor:
        logits: Tensor = self.body(inputs)
        return logits


class AttentionPool(Toy):
    """Attention proportional to ``exp(weight of the base)``; the logit of class 1 is the attended
    mean of ``value of the base``, that of class 0 is 0. Unknown bases weigh and are worth 0."""

    def __init__(
        self,
        weights: tuple[float, ...] = (0.0, 1.0, 2.0, 3.0),
        values: tuple[float, ...] = (1.0, -1.0, 2.0, 0.5),
    ) -> None:
        super().__init__(nn.Identity())
        self.energy = nn.Conv1d(4, 1, 1, bias=False)
        self.value = nn.Conv1d(4, 2, 1, bias=False)
        self.flatten, self.softmax, self.sum = nn.Flatten(), nn.Softmax(dim=-1), WeightedSum()
        with torch.no_grad():
            self.energy.weight.copy_(torch.tensor(weights).reshape(1, 4, 1))
            self.value.weight.zero_()[1] = torch.tensor(values).reshape(4, 1)

    def attention(self, inputs: Tensor) -> Tensor:
        weights: Tensor = self.softmax(self.flatten(self.energy(inputs)))
        return weights

    def forward(self, inputs: Tensor) -> Tensor:
        pooled: Tensor = self.sum(self.attention(inputs), self.value(inputs))
        return pooled


def linear(weights: Tensor) -> Toy:
    """The logits are sums of ``weights`` ``(class, base, position)`` at the observed bases."""
    layer = nn.Linear(weights[0].numel(), len(weights), bias=False, dtype=weights.dtype)
    with torch.no_grad():
        layer.weight.copy_(weights.flatten(1))
    return Toy(nn.Sequential(nn.Flatten(), layer)).to(weights.dtype)


def saturating(length: int = LENGTH) -> Toy:
    """The logit of class 1 is ``min(1, number of A)``; that of class 0 is 0."""
    return _hidden(-torch.eye(4)[0].repeat(length, 1).T, bias=1.0, sign=-1.0)


def both(length: int = LENGTH) -> Toy:
    """The logit of class 1 is 1 for an A at position 1 together with a C at position 4, else 0."""
    weights = torch.zeros(4, length)
    weights[0, 1] = weights[1, 4] = 1
    return _hidden(weights, bias=-1.0, sign=1.0)


def _hidden(weights: Tensor, *, bias: float, sign: float) -> Toy:
    """Class 1: ``sign x ReLU(sum of weights + bias)``, plus 1 where ``sign`` is negative."""
    hidden, out = nn.Linear(weights.numel(), 1), nn.Linear(1, 2)
    with torch.no_grad():
        hidden.weight.copy_(weights.flatten())
        hidden.bias.fill_(bias)
        out.weight.copy_(torch.tensor([[0.0], [sign]]))
        out.bias.copy_(torch.tensor([0.0, float(sign < 0)]))
    return Toy(nn.Sequential(nn.Flatten(), hidden, nn.ReLU(), out))


def motif_count(motif: tuple[int, ...] = MOTIF) -> Toy:
    """The logit of class 1 is how often the motif (codes) occurs; that of class 0 is 0."""
    match, out = nn.Conv1d(4, 1, len(motif)), nn.Linear(1, 2, bias=False)
    with torch.no_grad():
        match.weight.copy_(one_hot(torch.tensor([motif], dtype=torch.uint8)))
        match.bias.fill_(1 - len(motif))  # type: ignore[union-attr]  # it has a bias
        out.weight.copy_(torch.tensor([[0.0], [1.0]]))
    return Count(match, out)


class Count(Toy):
    """The sum over positions of ``ReLU(match)``."""

    def __init__(self, match: nn.Conv1d, classify: nn.Linear) -> None:
        super().__init__(nn.Sequential(match, nn.ReLU()))
        self.classify = classify

    def forward(self, inputs: Tensor) -> Tensor:
        logits: Tensor = self.classify(self.body(inputs).sum(2))
        return logits


class RunTokens(nn.Module):
    """A model whose sites are tokens: runs of one base, between a token that begins and one that
    ends. The logits are ``classify`` of the sum of the embeddings of all tokens, so that the score
    of a token is known: its embedding times the difference of the weights. Embeddings of padding
    are not zero."""

    longest = 4  # of a run that has a token of its own; longer ones share the last

    def __init__(self, channels: int = 3) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.embed = nn.Embedding(5 * self.longest + 3, channels)
            self.classify = nn.Linear(channels, 2, bias=False)

    def token_sites(self, codes: Tensor) -> TokenSites:
        """The runs, as spans."""
        return self._tokenised(codes)[1]

    def encode(self, codes: Tensor) -> Tensor:
        """``(N, L)`` codes -> embeddings ``(N, C, S)``."""
        ids = torch.from_numpy(self._tokenised(codes)[0]).to(codes.device)
        embedded: Tensor = self.embed(ids).transpose(1, 2)
        return embedded

    def reference(self, inputs: Tensor) -> Tensor:
        """The mean embedding of all runs, in place of every run."""
        start = inputs.detach().clone()
        start[:, :, 1:-1] = self.embed.weight[:-3].mean(0)[:, None]
        return start

    def forward(self, inputs: Tensor, valid: Tensor | None = None) -> Tensor:
        """``(N, C, S)`` -> ``(N, class)``."""
        known = inputs if valid is None else inputs * valid.unsqueeze(1)
        logits: Tensor = self.classify(known.sum(2))
        return logits

    def _tokenised(self, codes: Tensor) -> tuple[NDArray[np.int64], TokenSites]:
        rows = [self._runs(row) for row in codes.cpu().numpy()]
        begins, ends, pads = range(5 * self.longest, 5 * self.longest + 3)
        size = max((len(each) for each in rows), default=0) + 2
        ids = np.full((len(rows), size), pads)
        spans = np.zeros((len(rows), size, 2), np.int64)
        for row, runs in enumerate(rows):
            ids[row, 0], ids[row, len(runs) + 1] = begins, ends
            for site, (base, start, end) in enumerate(runs, start=1):
                ids[row, site] = base * self.longest + min(end - start, self.longest) - 1
                spans[row, site] = start, end
        return ids, TokenSites(spans, ids != pads)

    @staticmethod
    def _runs(sequence: Codes) -> list[tuple[int, int, int]]:
        """``(base, start, end)`` of every run but the padding."""
        known = np.flatnonzero(sequence < N)
        sequence = sequence[: known[-1] + 1 if len(known) else 0]
        edges = [0, *(np.flatnonzero(np.diff(sequence)) + 1).tolist(), len(sequence)]
        pairs = pairwise(edges) if len(sequence) else ()
        return [(int(sequence[start]), start, end) for start, end in pairs]


class CountedToken(RunTokens):
    """The logit of class 1 is how many tokens are a run of two C; that of class 0 is 0."""

    def __init__(self) -> None:
        super().__init__(channels=2)
        with torch.no_grad():
            self.embed.weight.copy_(torch.tensor([-1.0, 1.0]).expand_as(self.embed.weight))
            self.embed.weight[self.longest + 1] = torch.tensor([1.0, 1.0])
            self.classify.weight.copy_(torch.tensor([[0.0, 0.0], [1.0, 0.0]]))
        self.relu = nn.ReLU()

    def forward(self, inputs: Tensor, valid: Tensor | None = None) -> Tensor:
        """``(N, C, S)`` -> ``(N, class)``."""
        return super().forward(self.relu(inputs), valid)


def weighted() -> Toy:
    """A linear model with a different weight for every base and position."""
    return linear(torch.arange(2.0 * 4 * LENGTH).sin().reshape(2, 4, LENGTH))


def constant() -> Toy:
    """Both logits are always 0."""
    return linear(torch.zeros(2, 4, LENGTH))


def network(*layers: nn.Module, seed: int = 0) -> Toy:
    """Layers from ``(N, 4, L)`` to ``(N, D)`` with seeded weights, and a linear layer on top.

    Batch normalisation gets statistics as if it had been trained.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        body = nn.Sequential(*layers, nn.Flatten())
        width = body.eval()(torch.zeros(1, 4, LENGTH)).shape[1]
        body.append(nn.Linear(width, 2))
        for module in body.modules():
            if isinstance(module, (nn.Conv1d, nn.Linear)):
                module.reset_parameters()
                module.weight.data *= 3  # outputs that differ by more than their rounding
            if isinstance(module, nn.BatchNorm1d) and module.running_mean is not None:
                module.running_mean.normal_()
                module.running_var.uniform_(0.5, 2)  # type: ignore[union-attr]  # it has both
    return Toy(body)


MODELS: dict[str, Callable[[], Any]] = {
    "linear": weighted,
    "saturating": saturating,
    "both": both,
    "motif count": motif_count,
    "attention pool": AttentionPool,
    "conv, batch norm, relu, max pool": lambda: network(
        *(nn.Conv1d(4, 6, 5, padding=2), nn.BatchNorm1d(6), nn.ReLU(), nn.MaxPool1d(4)),
        *(nn.Conv1d(6, 8, 3), nn.ReLU(), nn.MaxPool1d(2), nn.Flatten(), nn.Linear(8, 9)),
        *(nn.ReLU(), nn.Dropout(0.5)),
    ),
}


TOKEN_MODELS: dict[str, Callable[[], Any]] = {
    "sum of tokens": RunTokens,
    "token count": CountedToken,
}
"""Models whose sites are tokens."""


def sequences(count: int = 3, length: int = LENGTH, *, seed: int = 1) -> Codes:
    """Random ones ``(sequence, position)``, each with at least three A and with other counts.

    The first has the motif of ``motif_count``, the second what ``both`` asks for, the last an N
    inside and two of padding.
    """
    codes = np.random.default_rng(seed).integers(0, 4, (count, length)).astype(np.uint8)
    codes[0, 8:11] = 1, 0, 2
    codes[1, 1], codes[1, 4] = 0, 1
    codes[-1, [5, -2, -1]] = 4
    return codes


def random_references(codes: Codes, count: int = 5, *, seed: int = 1) -> Codes:
    """Random known bases where ``codes`` are known, ``(sequence, reference, position)``."""
    shape = (len(codes), count, codes.shape[1])
    drawn = np.random.default_rng(seed).integers(0, 4, shape).astype(np.uint8)
    return np.where(codes[:, None] < 4, drawn, codes[:, None])
