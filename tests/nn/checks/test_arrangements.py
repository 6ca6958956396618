"""With what else a network runs, on networks that take one thing alone."""

import numpy as np
import pytest
import torch
from torch import nn

from xaibench.nn.checks.arrangements import running_arrangement

CODES = np.random.default_rng(0).integers(0, 4, (3, 50)).astype(np.uint8)


class Takes(nn.Module):
    """Raises unless the axes behind the batch have these sizes; None takes any."""

    def __init__(self, *sizes):
        super().__init__()
        self.sizes = sizes

    def forward(self, inputs):
        expected = [size or got for size, got in zip(self.sizes, inputs.shape[1:], strict=True)]
        if list(inputs.shape[1:]) != expected:
            raise ValueError
        return inputs.flatten(1)[:, :2]


@pytest.mark.parametrize(
    ("sizes", "layout", "found"),
    [
        ((None, 4), "", "layout=NL4"),
        ((4, None), "NL4", "layout=N4L"),
        ((4, 1, None), "", "layout=N41L"),
        ((5, None), "", "alphabet=ACGTN"),
        ((None, 5), "", "layout=NL4 alphabet=ACGTN"),
        ((4, 251), "", "length=251"),
        ((600, 4), "", "layout=NL4 length=600"),
    ],
)
def test_the_nearest_arrangement_that_runs_is_named(sizes, layout, found):
    assert str(running_arrangement(Takes(*sizes), CODES, layout)) == found


def test_there_is_none_where_none_runs():
    assert running_arrangement(Takes(6, None), CODES, "") is None


def test_nothing_is_remembered_of_the_tries():
    network = Takes(4, 251)
    before = torch.get_rng_state()
    running_arrangement(network, CODES, "")
    assert torch.equal(torch.get_rng_state(), before)
