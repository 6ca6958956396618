"""Networks as people bring them, after published architectures; they share no code with ours.

Each is an ``nn.Module`` without base class or ``encode``, and seeded by whoever makes it.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class ProfileAndCounts(nn.Module):
    """A dilated residual CNN after BPNet: eleven convolutions, ReLU as a function, a head for the
    profile ``(N, strand, L)`` and one for the counts ``(N, 1)``."""

    def __init__(self, filters: int = 8, strands: int = 2) -> None:
        super().__init__()
        self.first = nn.Conv1d(4, filters, 21, padding=10)
        self.dilated = nn.ModuleList(
            nn.Conv1d(filters, filters, 3, padding=2**layer, dilation=2**layer)
            for layer in range(1, 10)
        )
        self.profile = nn.Conv1d(filters, strands, 25, padding=12)
        self.counts = nn.Linear(filters, 1)

    def heads(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = F.relu(self.first(x))
        for convolution in self.dilated:
            x = x + F.relu(convolution(x))
        return self.profile(x), self.counts(x.mean(2))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.heads(x)


class ProfileAndCountsByName(ProfileAndCounts):
    """The same in a dict."""

    def forward(self, x: Tensor) -> dict[str, Tensor]:  # type: ignore[override]
        profile, counts = self.heads(x)
        return {"profile": profile, "counts": counts}


class Heads(NamedTuple):
    profile: Tensor
    counts: Tensor


class ProfileAndCountsInFields(ProfileAndCounts):
    """The same in a named tuple."""

    def forward(self, x: Tensor) -> Heads:
        return Heads(*self.heads(x))


class Normalised(nn.Module):
    """Two blocks of convolution, batch normalisation, ReLU and pooling, pooled as functions."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv1d(4, 8, 11, padding=5), nn.BatchNorm1d(8)
        self.conv2, self.bn2 = nn.Conv1d(8, 8, 5, padding=2), nn.BatchNorm1d(8)
        self.out = nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool1d(F.relu(self.bn1(self.conv1(x))), 4)
        x = F.max_pool1d(F.relu(self.bn2(self.conv2(x))), 4)
        return self.out(x.mean(2))


class InDict(nn.Module):
    """Logits under a name, as trainers expect them, beside an embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.out = nn.Conv1d(4, 8, 9), nn.Linear(8, 2)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        embedding = F.relu(self.conv(x)).amax(2)
        return {"logits": self.out(embedding), "embedding": embedding}


class FiveTasks(nn.Module):
    """Five outputs of 600 nt and of no other length, after Basset."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv1d(4, 8, 19), nn.Conv1d(8, 8, 11)
        self.hidden, self.out = nn.Linear(8 * 33, 16), nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool1d(F.relu(self.conv1(x)), 4)
        x = F.max_pool1d(F.relu(self.conv2(x)), 4)
        return self.out(F.relu(self.hidden(x.view(x.size(0), -1))))


class OneLogit(nn.Module):
    """The logit of the second of two classes, ``(N, 1)``, for ``BCEWithLogitsLoss``."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv1d(4, 8, 9), nn.ReLU(), nn.AdaptiveMaxPool1d(1), nn.Flatten(), nn.Linear(8, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)


class Regression(nn.Module):
    """A measured number, ``(N,)``."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.out = nn.Conv1d(4, 8, 9), nn.Linear(8, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(F.elu(self.conv(x)).mean(2)).squeeze(1)


class Recurrent(nn.Module):
    """A bidirectional LSTM over convolutions, after DanQ."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.out = nn.Conv1d(4, 8, 9), nn.Linear(8, 2)
        self.lstm = nn.LSTM(8, 4, batch_first=True, bidirectional=True)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool1d(F.relu(self.conv(x)), 3).transpose(1, 2)
        states, _ = self.lstm(x)
        return self.out(states.mean(1))


class Attending(nn.Module):
    """Multi-head self-attention of torch over pooled convolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.out = nn.Conv1d(4, 8, 9), nn.Linear(8, 2)
        self.attend = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool1d(F.relu(self.conv(x)), 3).transpose(1, 2)
        attended, _ = self.attend(x, x, x, need_weights=False)
        return self.out((x + attended).mean(1))


class PositionsFirst(nn.Module):
    """Takes ``(N, L, 4)``."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.conv, self.out = nn.Linear(4, 6), nn.Conv1d(6, 8, 9), nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x).transpose(1, 2)
        return self.out(torch.relu(self.conv(x)).amax(2))
