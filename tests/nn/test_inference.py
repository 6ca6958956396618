from contextlib import nullcontext

import numpy as np
import pytest
import torch
from elsewhere import DEVICE, Elsewhere
from torch import nn

from xaibench.nn.inference import batch_rows, device_of, evaluating, in_calls, logits


class Noisy(nn.Module):
    """Doubles what survives dropout, so that a forgotten evaluation mode shows."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(3))

    def encode(self, codes):
        return codes.float()

    def forward(self, inputs):
        return self.inner(inputs)


CODES = np.arange(21, dtype=np.uint8).reshape(7, 3)


def test_logits_do_not_depend_on_the_batch():
    model = Noisy()
    whole = logits(model, CODES)
    assert whole.shape == (7, 3)
    for rows in (1, 3, 7):
        assert logits(model, CODES, rows=rows) == pytest.approx(whole)


def test_every_module_gets_its_own_mode_back_even_after_an_error():
    model = Noisy()
    model.inner[1].eval()

    def fail():
        with evaluating(model):
            assert not model.inner[0].training
            assert torch.is_inference_mode_enabled()
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        fail()
    assert [module.training for module in model.modules()] == [True, True, True, False]


@pytest.mark.parametrize(("length", "rows"), [(1, 512), (64, 512), (200, 163), (10_000, 8)])
def test_fewer_long_sequences_go_through_a_model_together(length, rows):
    assert batch_rows(length) == rows


def test_calls_keep_rows_together_and_in_order():
    inputs, target = torch.arange(20 * 4 * 4096.0).reshape(20, 4, 4096), torch.arange(20)
    parts = list(in_calls(inputs, target))
    assert [len(rows) for rows, _ in parts] == [8, 8, 4]
    assert torch.equal(torch.cat([rows for rows, _ in parts]), inputs)
    assert torch.equal(torch.cat([targets for _, targets in parts]), target)


class Product(nn.Module):
    """One matrix product: of 1 + 2^-8, which bfloat16 rounds to 1, with 1."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 2, bias=False)
        nn.init.constant_(self.linear.weight, 1 + 2**-8)

    def encode(self, codes):
        return codes.float()

    def forward(self, inputs):
        return self.linear(inputs)


def test_bfloat16_rounds_the_factors_and_leaves_the_model_in_float32():
    model, codes = Product(), np.ones((7, 3), np.uint8)
    assert logits(model, codes)[0, 0] == 3 + 3 * 2**-8
    rounded = logits(model, codes, precision="bfloat16")
    assert rounded[0, 0] == 3
    assert rounded.dtype == np.float32
    assert model.linear.weight.dtype == torch.float32
    assert logits(model, codes)[0, 0] == 3 + 3 * 2**-8


# Elsewhere


class Shifted(Product):
    """What it knows is a buffer: it has no parameters."""

    def __init__(self):
        super().__init__()
        del self.linear
        self.register_buffer("shift", torch.tensor([0.5, 1.5, 2.5]))

    def forward(self, inputs):
        return inputs + self.shift


class Bare(Product):
    """Nothing that could be anywhere."""

    def __init__(self):
        super().__init__()
        del self.linear

    def forward(self, inputs):
        return 2 * inputs


@pytest.mark.parametrize("model", [Product, Noisy, Shifted])
def test_logits_are_computed_where_the_model_is_and_come_back(model):
    here = logits(model(), CODES)
    with Elsewhere():
        there = model().to("cuda")
        assert device_of(there) == DEVICE
        assert (logits(there, CODES, rows=3) == here).all()


def test_a_model_with_nothing_to_be_anywhere_is_on_the_cpu():
    assert device_of(Bare()) == torch.device("cpu")
    assert (logits(Bare(), CODES) == 2.0 * CODES).all()


@pytest.mark.parametrize(("precision", "enabled"), [("float32", False), ("bfloat16", True)])
def test_the_precision_is_that_of_the_device(monkeypatch, precision, enabled):
    """The CPU cannot compute as another device would: what is asked for is looked at instead."""
    asked = []

    def asking(*given, **named):
        asked.append((*given, *named.values()))
        return nullcontext()

    monkeypatch.setattr(torch, "autocast", asking)
    with Elsewhere():
        logits(Product().to("cuda"), CODES, precision=precision)
    assert asked == [("cuda", torch.bfloat16, enabled)]
