"""Probabilities are told from logits, and only they."""

import sys
from importlib.abc import MetaPathFinder

import numpy as np
import pytest
import torch

from xaibench.nn.checks.operations import traced
from xaibench.nn.checks.units import caution_of, units_of

RAW = torch.from_numpy(np.random.default_rng(2).normal(size=(8, 3))).float()

ENDINGS = {
    "softmax": lambda z: z.softmax(1),
    "softmax again": lambda z: z.softmax(1)[:, [2, 0, 1]],
    "one minus": lambda z: torch.cat([1 - z[:, :1].sigmoid(), z[:, :1].sigmoid()], 1),
    "log-softmax": lambda z: z.log_softmax(1),
    "log of softmax": lambda z: z.softmax(1).log(),
    "sigmoid": lambda z: z.sigmoid(),
    "sigmoids in a row": lambda z: torch.stack([z[:, 0].sigmoid(), z[:, 1].sigmoid()], 1),
    "logits": lambda z: z,
    "logits from 0 to 1": lambda z: (z / 10 + 0.5).clamp(0, 1),
    "attention": lambda z: (z.softmax(1) @ torch.ones(3, 3)) * 0.3,
    "zeros": lambda z: z * 0,
    "logsigmoid": lambda z: torch.nn.functional.logsigmoid(z),
}
UNITS = {
    "softmax": "softmax",
    "softmax again": "softmax",
    "one minus": "softmax",
    "log-softmax": "log-softmax",
    "log of softmax": "log-softmax",
    "sigmoid": "sigmoid",
    "sigmoids in a row": "sigmoid",
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_units_are_told_by_values_and_the_last_operation(ending):
    outputs, trace = traced(lambda: ENDINGS[ending](RAW * 1.0))
    found = units_of(outputs.numpy(), last=trace.last, spacing=trace.spacing)
    assert found == UNITS.get(ending, "logits")


def test_a_single_output_is_no_softmax_and_only_a_sigmoid_at_its_end_is_said():
    ones = np.ones((8, 1))
    assert units_of(ones) == "logits"
    assert units_of(0 * ones) == "logits"
    assert units_of(ones, last="sigmoid") == "sigmoid"
    assert caution_of("logits", 1) is None
    assert str(caution_of("sigmoid", 1)).startswith("ends in a sigmoid")


def test_log_probabilities_need_no_caution_and_probabilities_do():
    assert caution_of("logits", 3) is None
    assert caution_of("log-softmax", 2) is None
    assert caution_of("log-softmax", 3) is None
    assert "at most 0.73" in str(caution_of("softmax", 2))
    assert "(a sigmoid)" in str(caution_of("sigmoid", 3))


class _NoCompiler(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.startswith("torch._dynamo"):
            raise ImportError(name)
        return None


def test_the_trace_of_a_model_does_not_import_the_compiler(monkeypatch):
    for name in [name for name in sys.modules if name.startswith("torch._dynamo")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [_NoCompiler(), *sys.meta_path])
    _, trace = traced(lambda: torch.relu(RAW))  # would be empty where the pass cannot be traced
    assert trace.last == "relu"
