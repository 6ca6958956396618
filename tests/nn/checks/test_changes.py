"""What a single N, the strand and the order of channels do, on models whose answer is known."""

import numpy as np
import pytest
import torch
from torch import nn

from xaibench.nn.checks.changes import by_channel_order, by_n, by_strand
from xaibench.nn.layers import one_hot

CODES = np.array([[0, 0, 1, 2, 3, 0, 0], [1, 0, 2, 2, 3, 0, 1], [3, 3, 3, 1, 1, 0, 2]], np.uint8)


class Sums(nn.Module):
    """The logit of class 1 is the sum of ``weights`` at the bases; that of class 0 is 0."""

    def __init__(self, weights):
        super().__init__()
        self.weights = torch.tensor(weights)[:, None]

    def encode(self, codes):
        return one_hot(codes)

    def forward(self, inputs):
        logit = (inputs * self.weights).sum((1, 2))
        return torch.stack([torch.zeros_like(logit), logit], 1)


def test_an_n_takes_the_middle_base_away():
    change = by_n(Sums([1.0, 2.0, 5.0, 1.0]), CODES)  # 2, 2 and 1 in the middle
    assert change.change == 5.0
    assert not change.is_rounding


def test_a_sum_that_is_the_same_for_complements_sees_no_strand():
    assert by_strand(Sums([1.0, 2.0, 2.0, 1.0]), CODES).is_rounding


def test_a_count_of_a_changes_with_the_strand_by_its_surplus_over_t():
    assert by_strand(Sums([1.0, 0.0, 0.0, 0.0]), CODES).change == 3.0  # AACGTAA: 4 A, 1 T


def labelled(count=200):
    codes = np.random.default_rng(2).integers(0, 4, (count, 20)).astype(np.uint8)
    counts = (codes == 2).sum(1) - (codes == 0).sum(1)  # more G than A
    return codes[counts != 0], (counts[counts != 0] > 0).astype(np.int64)


@pytest.mark.parametrize(
    ("weights", "alphabet"), [([0.0, 1.0, -1.0, 0.0], "CGAT"), ([1.0, 0.0, 0.0, -1.0], "GTCA")]
)
def test_the_order_in_which_a_model_was_trained_is_the_best(weights, alphabet):
    codes, labels = labelled()
    order = by_channel_order(Sums(weights), codes, labels)
    best = {base: weights[order.best_alphabet.index(base)] for base in "ACGT"}
    assert best == {base: weights[alphabet.index(base)] for base in "ACGT"}
    assert order.is_wrong
    assert order.best_accuracy == 1.0


def test_an_order_that_is_above_the_majority_is_not_wrong():
    codes, labels = labelled()
    order = by_channel_order(Sums([-1.0, 0.0, 1.0, 0.0]), codes, labels)
    assert (order.accuracy, order.is_above_majority, order.is_wrong) == (1.0, True, False)


def test_of_a_model_that_knows_nothing_no_order_is_clearly_better():
    codes, _ = labelled()
    labels = np.random.default_rng(4).integers(0, 2, len(codes))
    order = by_channel_order(Sums([1.0, -1.0, 0.5, -0.5]), codes, labels)
    assert not order.is_wrong
    assert not order.is_above_majority
