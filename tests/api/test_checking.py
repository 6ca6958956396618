"""The check of a module at hand."""

import numpy as np
import pytest
from torch import nn

import xaibench
from xaibench.errors import UsageError


class Turned(nn.Module):
    """Takes ``(N, L, 4)``."""

    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv1d(4, 6, 5), nn.Linear(6, 1)

    def forward(self, inputs):
        return {"score": self.head(self.conv(inputs.transpose(1, 2)).relu().amax(2))}


def test_arrays_are_taken_and_a_function_chooses_what_is_explained():
    one_hot = np.eye(4)[np.random.default_rng(0).integers(0, 4, (5, 23))]

    def score(outputs):
        return outputs["score"]

    options = {"layout": "NL4", "explain": score, "methods": ["random"]}
    check = xaibench.check_model(Turned(), one_hot, **options)
    assert "23 nt" in check.sequences
    assert check["output"].held is not False


def test_the_wrong_layout_is_a_finding_and_an_unknown_one_a_mistake():
    named = {"explain": {"output": "score"}, "methods": ["random"]}
    assert not xaibench.check_model(Turned(), ["ACGTTGCAGT"] * 3, **named).sound
    with pytest.raises(UsageError, match=r"layout: expected one of N4L, NL4, .*, got 'NLA'"):
        xaibench.check_model(Turned(), ["ACGTTGCAGT"] * 3, layout="NLA", **named)
