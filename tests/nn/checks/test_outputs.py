"""What a model may give, and what is said of anything else."""

from __future__ import annotations

from collections import OrderedDict, namedtuple
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from xaibench.errors import ModelError, NotFinite
from xaibench.nn.checks.inputs import explainable_inputs, taken
from xaibench.nn.checks.outputs import finite, forward_logits, valid_logits
from xaibench.nn.inference import logits
from xaibench.nn.view import ExplainedView

ROWS = 5
LOGITS = torch.arange(10.0).reshape(ROWS, 2)
Named = namedtuple("Named", "logits hidden")


class ModelOutput(OrderedDict[str, Any]):
    """As libraries of language models return it."""


@dataclass
class Output:
    logits: Tensor


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (LOGITS.repeat(1, 2)[:, :3], r"\(N, 2\), got \(N, 3\): end in one output per class"),
        (LOGITS[:, :1], r"got \(N, 1\): one output .* torch.cat\(\[torch.zeros_like\(z\), z\], 1"),
        (LOGITS[:, 0], r"got \(N,\): one output .* torch.stack\("),
        (LOGITS[:, :, None], r"got \(N, 2, 1\): return it flattened"),
        (LOGITS.T, r"got \(2, N\): .* transpose"),
        (LOGITS[1:], r"got \(4, 2\): return one row per sequence"),
        (LOGITS.sum(), r"got \(\): return one row per sequence"),
        (LOGITS[:, None].expand(-1, 7, -1), r"got \(N, 7, 2\): return one number per class"),
        (LOGITS[:, :0], r"got \(N, 0\)"),
        (LOGITS.long(), r"in floating point, got int64"),
        (LOGITS > 3, r"in floating point, got bool"),
        (LOGITS.to(torch.complex64), r"in floating point, got complex64"),
        (LOGITS.to_sparse(), r"dense tensor, got a sparse one"),
        (LOGITS.to("meta"), r"on cpu, got meta"),
        (None, r"got None: forward returns nothing"),
        ((LOGITS, None), r"got a tuple of float32 \(N, 2\), NoneType: choose the tensor"),
        ([LOGITS], r"got a list of float32 \(N, 2\)"),
        (Named(LOGITS, 3), r"got a Named of float32 \(N, 2\), int"),
        ({"logits": LOGITS}, r"got a dict of 'logits': float32 \(N, 2\)"),
        ({}, r"got a dict of nothing"),
        (ModelOutput(logits=LOGITS), r"got a ModelOutput of 'logits'"),
        (Output(LOGITS), r"got a Output: choose the tensor of logits in it"),
        (LOGITS.numpy(), r"got a ndarray, which is no torch tensor"),
        (0.5, r"got a float: return a torch tensor"),
        ("yes", r"got a str: return a torch tensor"),
    ],
)
def test_what_is_no_tensor_of_logits_is_refused_and_the_mend_is_named(given, message):
    with pytest.raises(ModelError, match=message):
        valid_logits(given, ROWS, classes=2, device=torch.device("cpu"))


def test_a_batch_of_one_is_named():
    with pytest.raises(ModelError, match=r"got \(2,\) for a batch of 1"):
        valid_logits(LOGITS[0], 1, classes=2)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_logits_of_any_floating_point_pass_as_they_are(dtype):
    given = LOGITS.to(dtype)
    assert valid_logits(given, ROWS, classes=2) is given
    assert finite(given) is given


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_logits_that_are_not_finite_are_counted_by_sequence(value):
    given = LOGITS.clone()
    given[1:3, 0] = value
    with pytest.raises(NotFinite, match=f"got {value} for 2 of 5 sequences"):
        finite(given)


class Given(nn.Module):
    """Gives what it is made of, of any input."""

    def __init__(self, outputs: Any) -> None:
        super().__init__()
        self.outputs = outputs

    def encode(self, codes: Tensor) -> Tensor:
        return codes.float()

    def forward(self, inputs: Tensor) -> Any:
        if isinstance(self.outputs, Exception):
            raise self.outputs
        return self.outputs


def test_a_forward_that_raises_says_in_which_mode_and_given_what():
    model = Given(KeyError("weights"))
    with pytest.raises(ModelError, match=r"KeyError: 'weights' .* training mode, .* \(N, 4, 7\)"):
        forward_logits(model, torch.zeros(3, 4, 7), 3)


def test_prediction_and_explanation_check_what_they_are_given():
    codes = np.zeros((5, 7), np.uint8)
    for outputs in (None, LOGITS.T, LOGITS * float("nan")):
        with pytest.raises(ModelError, match="expected"):
            logits(Given(outputs), codes)
        with pytest.raises(ModelError, match="expected"):
            ExplainedView(Given(outputs))(torch.zeros(5, 4, 7))


def test_a_number_of_classes_that_changes_between_batches_is_refused():
    class Growing(Given):
        def forward(self, inputs: Tensor) -> Tensor:
            return torch.zeros(len(inputs), 5 - len(inputs))

    with pytest.raises(ModelError, match=r"expected logits \(N, 2\), got \(N, 3\)"):
        logits(Growing(None), np.zeros((5, 7), np.uint8), rows=3)


CODES = np.zeros((3, 7), np.uint8)


@pytest.mark.parametrize(
    ("inputs", "got"),
    [
        (torch.zeros(3, 7, dtype=torch.int64), r"int64 \(N, 7\)"),
        (torch.zeros(3, 4, 7, dtype=torch.int64), r"int64 \(N, 4, 7\)"),
        (torch.zeros(3, 28), r"float32 \(N, 28\)"),
        (torch.zeros(3, 4, 5), r"float32 \(N, 4, 5\)"),
        ({"input_ids": torch.zeros(3, 7)}, "a dict"),
    ],
)
def test_inputs_without_a_site_for_each_position_are_refused(inputs, got):
    with pytest.raises(ModelError, match=rf"\(N, channels, 7\) .* got {got}: .*sequences: 0"):
        explainable_inputs(inputs, CODES)


def test_what_cannot_be_encoded_says_so():
    class NoEncode(nn.Module):
        pass

    class Raises(nn.Module):
        def encode(self, codes: Tensor) -> Tensor:
            raise RuntimeError("no tokenizer")

    with pytest.raises(ModelError, match=r"expected a method encode\(codes\)"):
        taken(NoEncode(), CODES)
    with pytest.raises(ModelError, match=r"RuntimeError: no tokenizer \(raised by encode"):
        taken(Raises(), CODES)
    with pytest.raises(ModelError, match=r"expected a torch\.nn\.Module, got a function"):
        taken(lambda inputs: inputs, CODES)
