"""Networks as people bring them that are unusual in one thing each; no code is shared with ours."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

LENGTH = 60


class Plain(nn.Module):
    """A convolution, a maximum and ``outputs``; the others change one thing of it."""

    def __init__(self, outputs: int = 2) -> None:
        super().__init__()
        self.conv, self.out = nn.Conv1d(4, 8, 7), nn.Linear(8, outputs)

    def features(self, x: Tensor) -> Tensor:
        return torch.relu(self.conv(x)).amax(2)

    def forward(self, x: Tensor) -> Any:
        return self.out(self.features(x))


class TiedLayers(Plain):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(8, 8), nn.Linear(8, 8)
        self.second.weight = self.first.weight

    def features(self, x: Tensor) -> Tensor:
        return self.second(torch.relu(self.first(super().features(x))))


class NestedParts(Plain):
    """A dict of dicts of tensors, beside a list and None."""

    def forward(self, x: Tensor) -> Any:
        outputs = super().forward(x)
        return {"human": {"dnase": outputs, "loss": None}, "mouse": [outputs, outputs * 2]}


@dataclass
class Returned:
    logits: Tensor
    hidden: tuple[Tensor, ...]


class InDataclass(Plain):
    def forward(self, x: Tensor) -> Returned:
        return Returned(super().forward(x), (x,))


class Lazy(nn.Module):
    """Layers that learn their sizes from the first batch, or from a state dict."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.out = nn.LazyConv1d(8, 7), nn.LazyLinear(2)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(torch.relu(self.conv(x)).amax(2))


class Parametrised(Plain):
    """Weight norm and spectral norm as parametrisations."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.utils.parametrizations.weight_norm(self.conv)
        self.out = nn.utils.parametrizations.spectral_norm(self.out)


class HookedNorms(Plain):
    """The same by hooks, as before torch 1.9."""

    def __init__(self) -> None:
        super().__init__()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.conv = nn.utils.weight_norm(self.conv)
            self.out = nn.utils.spectral_norm(self.out)


class NonPersistentBuffer(Plain):
    def __init__(self, length: int = LENGTH) -> None:
        super().__init__()
        self.register_buffer("place", torch.linspace(0, 1, length), persistent=False)

    def features(self, x: Tensor) -> Tensor:
        return super().features(x * self.place)


class TwoDimensional(nn.Module):
    """A convolution in two dimensions, over an input of any such ``layout``."""

    def __init__(self, layout: str) -> None:
        super().__init__()
        sizes = {"N41L": (1, 7), "N4L1": (7, 1), "N14L": (4, 7), "N1L4": (7, 4)}
        self.conv = nn.Conv2d(4 if layout.startswith("N4") else 1, 8, sizes[layout])
        self.out = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(torch.relu(self.conv(x)).amax((2, 3)))


class InTrainingMode(Plain):
    """Batch normalisation and dropout, left in training mode."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.drop = nn.BatchNorm1d(8), nn.Dropout(0.5)
        self.train()

    def features(self, x: Tensor) -> Tensor:
        return self.drop(self.norm(super().features(x)))


class Always(Plain):
    """Monte-Carlo dropout."""

    def features(self, x: Tensor) -> Tensor:
        return F.dropout(super().features(x), 0.3, training=True)


class OwnDevice(Plain):
    """Moves its input to a device that is written in the code."""

    def __init__(self) -> None:
        super().__init__()
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.to(self.device)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.to(self.device).float())


class Bins(Plain):
    """Tracks in bins ``(N, bin, track)``, positive, as Enformer gives them."""

    def __init__(self) -> None:
        super().__init__(6)

    def forward(self, x: Tensor) -> Tensor:
        features = F.avg_pool1d(F.gelu(self.conv(x)), 9).transpose(1, 2)
        return F.softplus(self.out(features))


class BothStrands(Plain):
    """The mean over a sequence and its reverse complement."""

    def forward(self, x: Tensor) -> Tensor:
        return (super().forward(x) + super().forward(x.flip(1, 2))) / 2


class Ensemble(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.members = nn.ModuleList(Plain() for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([member(x) for member in self.members]).mean(0)


class PadsInside(Plain):
    """Pads to 100 nt with a quarter of each base, and flattens all."""

    def __init__(self) -> None:
        super().__init__()
        self.out = nn.Linear(8 * 94, 2)

    def features(self, x: Tensor) -> Tensor:
        padded = F.pad(x, (0, 100 - x.shape[2]), value=0.25)
        return torch.relu(self.conv(padded)).flatten(1)


class Gru(Plain):
    def __init__(self) -> None:
        super().__init__()
        self.gru = nn.GRU(8, 8, batch_first=True)

    def features(self, x: Tensor) -> Tensor:
        _, last = self.gru(torch.relu(self.conv(x)).transpose(1, 2))
        return last[-1]


class Transformer(Plain):
    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 1)

    def features(self, x: Tensor) -> Tensor:
        return self.encoder(self.conv(x).transpose(1, 2)).mean(1)


class WritesToItsInput(Plain):
    def forward(self, x: Tensor) -> Tensor:
        x -= 0.25
        return super().forward(x)


class Checkpointing(Plain):
    """Computes its features again in the backward pass, to save memory."""

    def forward(self, x: Tensor) -> Tensor:
        return self.out(checkpoint(self.features, x, use_reentrant=False))


class WantsMore(Plain):
    """Has an argument beside the sequences."""

    def forward(self, x: Tensor, signal: Tensor) -> Tensor:  # type: ignore[override]
        return super().forward(x) + signal


class CastsItsInput(Plain):
    """To half precision, which its weights are not in."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.half())


class AssertsItsInput(Plain):
    """Takes ``(N, L, 4)``, and says so without a word about shapes."""

    def forward(self, x: Tensor) -> Tensor:
        assert x.shape[-1] == 4
        return super().forward(x.transpose(1, 2))


class Embedding(Plain):
    """Looks bases up by number."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(5, 4)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(self.embedding(x).transpose(1, 2))


class OnCuda(Plain):
    """Wants a graphics card, whatever the machine."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.cuda())
