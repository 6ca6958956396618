"""Models that are random or depend on the batch, and those that only round."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from xaibench.errors import ModelError
from xaibench.nn.checks.steadiness import steady
from xaibench.nn.layers import one_hot

CODES = np.random.default_rng(3).integers(0, 5, (8, 23)).astype(np.uint8)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(4)
            self.conv, self.out = nn.Conv1d(4, 6, 5, padding=2), nn.Linear(6, 3)

    def encode(self, codes: Tensor) -> Tensor:
        return one_hot(codes)

    def features(self, inputs: Tensor) -> Tensor:
        return self.conv(inputs).relu().amax(2)

    def forward(self, inputs: Tensor) -> Tensor:
        logits: Tensor = self.out(self.features(inputs))
        return logits


class Dropout(Net):
    def forward(self, inputs: Tensor) -> Tensor:
        return self.out(functional.dropout(self.features(inputs), 0.3))


class Noise(Net):
    def forward(self, inputs: Tensor) -> Tensor:
        return super().forward(inputs) + 1e-3 * torch.randn(len(inputs), 3)


class Counting(Net):
    calls = 0

    def forward(self, inputs: Tensor) -> Tensor:
        self.calls += 1
        return super().forward(inputs) * (1 + self.calls / 100)


class Statistics(Net):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, inputs: Tensor) -> Tensor:
        self.calls += 1
        return super().forward(inputs)


class OfTheBatch(Net):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(6, track_running_stats=False)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.out(self.norm(self.features(inputs)))


class Centred(Net):
    def forward(self, inputs: Tensor) -> Tensor:
        features = self.features(inputs)
        return self.out(features - features.mean(0))


class SoftmaxOverBatch(Net):
    def forward(self, inputs: Tensor) -> Tensor:
        return super().forward(inputs).softmax(0)


class ByPlace(Net):
    def forward(self, inputs: Tensor) -> Tensor:
        return super().forward(inputs) + 0.1 * torch.arange(len(inputs))[:, None]


class Squeezed(Net):
    def forward(self, inputs: Tensor) -> Tensor:
        return super().forward(inputs).squeeze()


class Eight(Net):
    def forward(self, inputs: Tensor) -> Tensor:
        if len(inputs) < 8:
            raise RuntimeError("batches of 8")
        return super().forward(inputs)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Dropout, "is random.*passed again"),
        (Noise, "is random.*passed again"),
        (Counting, "changes at each call.*passed again"),
        (Statistics, "changes 'calls' when it is called"),
        (OfTheBatch, "on what else is in the batch.*three at a time"),
        (Centred, "on what else is in the batch.*three at a time"),
        (SoftmaxOverBatch, "on what else is in the batch"),
        (ByPlace, "on what else is in the batch.*in reverse order"),
        (Squeezed, r"cannot be called alone: .*got \(3,\) for a batch of 1"),
        (Eight, "cannot be called three at a time: RuntimeError: batches of 8"),
    ],
)
def test_a_model_that_is_not_steady_is_refused(model, message):
    with pytest.raises(ModelError, match=message):
        steady(model(), CODES, classes=3)


class Half(Net):
    """In bfloat16 throughout."""

    def __init__(self) -> None:
        super().__init__()
        self.bfloat16()

    def encode(self, codes: Tensor) -> Tensor:
        return super().encode(codes).bfloat16()


class Autocast(Net):
    """In bfloat16 inside, single precision outside: only a trace of the pass can tell."""

    def forward(self, inputs: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return super().forward(inputs).float()


class Offset(Net):
    def forward(self, inputs: Tensor) -> Tensor:
        return super().forward(inputs) + 1e4


class Constant(Net):
    def forward(self, inputs: Tensor) -> Tensor:
        return self.out.bias.expand(len(inputs), -1)


class RunningStatistics(Net):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(6)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.out(self.norm(self.features(inputs)))


class Deep(Net):
    """Twelve layers of attention with sharp weights, which amplify rounding."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(4)
            layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
            self.embed, self.body = nn.Linear(4, 16), nn.TransformerEncoder(layer, 12)
            self.out = nn.Linear(16, 3)
        self.embed.weight.data *= 30

    def forward(self, inputs: Tensor) -> Tensor:
        return self.out(self.body(self.embed(inputs.transpose(1, 2))).mean(1))


class NaNBuffer(Net):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("unused", torch.tensor(float("nan")))


STEADY = [Net, Half, Autocast, Offset, Constant, RunningStatistics, Deep, NaNBuffer]


@pytest.mark.parametrize("model", STEADY)
def test_a_model_that_only_rounds_passes_and_is_left_as_found(model):
    net = model().train()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    state = torch.get_rng_state()
    answers = steady(net, CODES, classes=3)
    assert answers.logits.shape == (8, 3)
    assert all(module.training for module in net.modules())
    for name, tensor in net.state_dict().items():
        assert torch.equal(tensor, before[name]) or name == "unused"
    assert torch.equal(torch.get_rng_state(), state)


def test_what_is_only_tested_may_take_tokens():
    class Tokens(Net):
        def encode(self, codes: Tensor) -> Tensor:
            return codes.long()

        def forward(self, inputs: Any) -> Tensor:
            return super().forward(functional.one_hot(inputs, 5)[..., :4].float().transpose(1, 2))

    assert steady(Tokens(), CODES, classes=3, explained=False).logits.shape == (8, 3)
    with pytest.raises(ModelError, match=r"got int64 \(N, 23\)"):
        steady(Tokens(), CODES, classes=3)
