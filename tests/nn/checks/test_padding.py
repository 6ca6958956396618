"""What padding does to logits is measured on models whose answer is known."""

import numpy as np
import pytest
import torch
from torch import nn

from xaibench.nn.checks.padding import padding_of
from xaibench.nn.layers import one_hot
from xaibench.values import N

LENGTHS = (5, 7, 8, 10)


def codes_of(lengths, longest):
    codes = np.full((len(lengths), longest), N, np.uint8)
    for row, length in enumerate(lengths):
        codes[row, :length] = np.random.default_rng(row).integers(0, 4, length)
    return codes


class Counting(nn.Module):
    """Logits of the number of A and of C: the sum over positions, or their mean."""

    def __init__(self, pool):
        super().__init__()
        self.pool = pool

    def encode(self, codes):
        return one_hot(codes)

    def forward(self, inputs):
        return self.pool(inputs[:, :2], 2)


class FixedLength(Counting):
    def __init__(self):
        super().__init__(torch.mean)
        self.dense = nn.Linear(4 * 10, 2)

    def forward(self, inputs):
        return self.dense(inputs.flatten(1))


def test_a_sum_over_positions_sees_no_padding():
    assert padding_of(Counting(torch.sum), codes_of(LENGTHS, 10)) is None


def test_a_mean_over_positions_shrinks_by_the_share_of_padding():
    codes = codes_of(LENGTHS, 10)
    padding = padding_of(Counting(torch.mean), codes)
    assert (padding.sequences, padding.shortest, padding.longest, padding.padded) == (3, 5, 8, 10)
    counts = [(codes[row] == base).sum() for row in range(3) for base in (0, 1)]
    lengths = np.repeat(LENGTHS[:3], 2)
    changes = np.array(counts) / lengths - np.array(counts) / 10
    assert padding.change == pytest.approx(changes.max())
    assert padding.flipped == 0
    assert "sees padding: without it" in str(padding)
    assert "(3 of 5 to 8 nt, padded to 10)" in str(padding)


def test_a_class_that_hangs_on_padding_is_counted():
    class ByLength(Counting):
        def forward(self, inputs):
            empty = 1 - inputs.sum(1)
            return torch.stack([empty.sum(1), torch.full((len(inputs),), 0.5)], 1)

    assert padding_of(ByLength(None), codes_of(LENGTHS, 10)).flipped == 3


def test_of_a_number_no_class_is_counted():
    class Number(Counting):
        def forward(self, inputs):
            return inputs[:, :1].mean(2)

    padding = padding_of(Number(None), codes_of(LENGTHS, 10))
    assert padding.flipped is None
    assert "without it the outputs of shorter sequences" in str(padding)
    assert "classified" not in str(padding)


def test_nothing_is_said_of_one_length_or_of_a_model_that_takes_no_other():
    assert padding_of(Counting(torch.mean), codes_of((10, 10), 10)) is None
    assert padding_of(FixedLength(), codes_of(LENGTHS, 10)) is None


def test_sequences_without_a_base_are_left_out():
    assert padding_of(Counting(torch.mean), codes_of((0, 10), 10)) is None


def test_only_some_of_many_sequences_are_asked_from_the_shortest_to_the_longest():
    padding = padding_of(Counting(torch.mean), codes_of(range(3, 60), 60))
    assert (padding.sequences, padding.shortest, padding.longest) == (8, 3, 59)
