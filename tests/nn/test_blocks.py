"""Blocks are halved where a device has no memory for them, and results stay."""

import gc

import numpy as np
import pytest
import torch
from torch import nn
from toy import LENGTH, random_references, sequences

from xaibench.attribution.deeplift import deeplift
from xaibench.attribution.gradient import input_x_gradient, smooth_grad
from xaibench.attribution.integrated import expected_integrated_gradients, integrated_gradients
from xaibench.attribution.perturbation import in_silico_mutagenesis
from xaibench.explanation.method_call import explain
from xaibench.nn import blocks
from xaibench.nn.blocks import in_blocks
from xaibench.nn.inference import logits
from xaibench.nn.layers import one_hot

CODES = np.concatenate([sequences(11), sequences(13)])[:19]
CPU = torch.device("cpu")


class Small(nn.Module):
    """A network on a device that has memory for so many rows; ``calls`` are the rows of each."""

    def __init__(self, most: int, error: type[RuntimeError] = torch.OutOfMemoryError) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.layers = nn.Sequential(
                nn.Conv1d(4, 6, 5, padding=2), nn.ReLU(), nn.Flatten(), nn.Linear(6 * LENGTH, 2)
            )
        self.most, self.error = most, error
        self.calls: list[int] = []

    def encode(self, codes):
        return one_hot(codes)

    def forward(self, inputs):
        self.calls.append(len(inputs))
        if len(inputs) > self.most:
            raise self.error(f"CUDA out of memory. Tried to allocate {len(inputs)} rows")
        return self.layers(inputs)


def messages(capsys):
    return capsys.readouterr().err.count("not enough memory")


@pytest.mark.parametrize("most", [1, 3, 19])
def test_logits_of_smaller_blocks_are_the_same_and_it_is_said_once(most, capsys):
    model = Small(most)
    np.testing.assert_allclose(logits(model, CODES), logits(Small(999), CODES), atol=1e-6)
    logits(model, CODES)
    assert messages(capsys) == (most < len(CODES))
    assert max(model.calls[-3:]) <= most


def test_a_later_call_begins_with_blocks_that_fit():
    model = Small(3)
    logits(model, CODES)
    tried = len(model.calls)
    logits(model, CODES)
    assert max(model.calls[tried:]) <= 3


def test_another_model_begins_anew():
    model = Small(3)
    logits(model, CODES)
    assert id(model) in blocks._BY_MODEL
    del model
    gc.collect()
    assert blocks._BY_MODEL == {}


def test_devices_that_say_it_in_words_alone_are_understood():
    model = Small(3, RuntimeError)
    np.testing.assert_allclose(logits(model, CODES), logits(Small(999), CODES), atol=1e-6)


METHODS = {
    "input_x_gradient": input_x_gradient,
    "smooth_grad": smooth_grad,
    "integrated_gradients": integrated_gradients,
    "expected_integrated_gradients": expected_integrated_gradients,
    "in_silico_mutagenesis": in_silico_mutagenesis,
    "deeplift": deeplift,
}


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_every_method_follows_to_smaller_blocks(method, capsys):
    """Two rows are the fewest that a comparison with a reference needs."""

    def explained(model):
        codes = CODES[:5]
        return explain(
            method,
            model,
            codes,
            np.arange(5, dtype=np.int64) % 2,
            options={},
            seed=0,
            component="",
            references=random_references(codes),
        )

    whole, parts = explained(Small(99_999)), explained(Small(2))
    np.testing.assert_allclose(parts.scores, whole.scores, atol=1e-5)
    assert messages(capsys) == 1
    if method is input_x_gradient:
        assert (parts.forwards, parts.backwards) == (whole.forwards, whole.backwards)


def test_what_is_too_large_for_a_single_row_is_raised():
    with pytest.raises(torch.OutOfMemoryError, match="Tried to allocate 1 rows"):
        logits(Small(0), CODES)


def test_other_errors_are_not_tried_again():
    tried = []

    def fails(block):
        tried.append(block)
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        list(in_blocks(nn.Identity(), 5, 2, fails, device=CPU))
    assert tried == [slice(0, 2)]


def test_blocks_cover_all_rows_in_order():
    parts = list(in_blocks(nn.Identity(), 5, 2, lambda block: block, device=CPU))
    assert parts == [slice(0, 2), slice(2, 4), slice(4, 5)]
    assert list(in_blocks(nn.Identity(), 0, 2, lambda block: block, device=CPU)) == []
