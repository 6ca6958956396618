import numpy as np
import pytest
import torch

from xaibench.dna.replacement import (
    LERF,
    MORF,
    replacement_counts,
    replacement_ranks,
    with_replaced,
)
from xaibench.errors import NotApplicable
from xaibench.nn.inference import logits
from xaibench.nn.outputs import curve, explained_outputs, quantity
from xaibench.randomness import streams
from xaibench.values import N


class Counting(torch.nn.Module):
    """Logits: how many T, and how many C with a weight for each position."""

    def encode(self, codes):
        return codes

    def forward(self, codes):
        place = torch.arange(1, codes.shape[1] + 1)
        return torch.stack([(codes == 3).sum(1), ((codes == 1) * place).sum(1)], 1).float()


CODES = np.array([[0, 1, 2, 3, 0, 1, 2], [3, 3, 3, 3, 2, N, N], [1, 0, 1, 0, 1, 0, 1]], np.uint8)
VALID = CODES < N
SCORES = np.array([[5, 1, 4, 2, 7, 3, 6], [2, 9, 4, 1, 3, 99, 99], [0] * 7], np.float32)


def ranked(scores, order=MORF, codes=CODES):
    return replacement_ranks(scores, codes < N, streams(0, "ties", codes), order=order)


def test_the_most_relevant_position_goes_first_and_invalid_ones_last():
    found = ranked(SCORES)
    assert found[0].tolist() == [2, 6, 3, 5, 0, 4, 1]
    assert found[1, :5].tolist() == [3, 0, 1, 4, 2]
    assert sorted(found[1, 5:]) == [5, 6]


def test_least_relevant_first_is_the_reverse_on_valid_positions():
    assert (ranked(SCORES, LERF)[0] == 6 - ranked(SCORES)[0]).all()
    assert ranked(SCORES, LERF)[1, :5].tolist() == [1, 4, 3, 0, 2]
    assert (ranked(SCORES, LERF)[2] == 6 - ranked(SCORES)[2]).all(), "ties are not reversed"


def test_ties_favour_no_position():
    codes = np.random.default_rng(0).integers(4, size=(4000, 15)).astype(np.uint8)
    places = ranked(np.zeros(codes.shape, np.float32), codes=codes)
    # a uniform rank of 15 has standard deviation 4.32: 0.35 is five standard errors
    assert np.abs(places.mean(axis=0) - 7).max() < 0.35


def test_the_order_of_a_sequence_does_not_depend_on_its_company():
    assert (ranked(SCORES[[2, 0]], codes=CODES[[2, 0]]) == ranked(SCORES)[[2, 0]]).all()


def test_counts_are_of_valid_positions_rounded_half_up():
    assert replacement_counts((0, 0.1, 0.5, 1), VALID).tolist() == [
        [0, 0, 0],
        [1, 1, 1],
        [4, 3, 4],
        [7, 5, 7],
    ]


def test_replaced_positions_take_the_donors_base():
    donor = np.full_like(CODES, 3)
    found = with_replaced(CODES, donor, ranked(SCORES), np.array([2, 1, 0]))
    assert found[0].tolist() == [0, 1, 2, 3, 3, 1, 3]
    assert found[1].tolist() == [3, 3, 3, 3, 2, N, N]
    assert (found[2] == CODES[2]).all()


def test_a_curve_equals_the_slow_way_one_sequence_and_step_at_a_time():
    model = Counting()
    donor = np.full_like(CODES, 3)
    steps = replacement_counts((0, 0.3, 0.6, 1), VALID)
    order = ranked(SCORES)
    whole = np.where(VALID, donor, CODES)
    ends = (logits(model, CODES), logits(model, whole))
    found = curve(model, CODES, donor, order, steps, ends, rows=2)
    for step, row in np.ndindex(*steps.shape):
        edited = CODES[row].copy()
        for position in np.flatnonzero(order[row] < steps[step, row]):
            edited[position] = donor[row, position]
        assert found[step, row] == pytest.approx(logits(model, edited[None])[0])


def test_a_curve_does_not_depend_on_how_many_sequences_go_together():
    donor = np.full_like(CODES, 3)
    steps = replacement_counts((0, 0.3, 0.6, 1), VALID)
    ends = (logits(Counting(), CODES), logits(Counting(), np.where(VALID, donor, CODES)))
    whole = curve(Counting(), CODES, donor, ranked(SCORES), steps, ends)
    for rows in (1, 2, 3, 5):
        parts = curve(Counting(), CODES, donor, ranked(SCORES), steps, ends, rows=rows)
        assert (parts == whole).all()


def test_every_sequence_needs_its_own_stream():
    with pytest.raises(ValueError, match="shorter"):
        replacement_ranks(SCORES, VALID, list(streams(0, "ties", CODES))[:2])


def test_quantities_of_known_logits():
    outputs = np.array([[[2.0, 0.5]], [[-1.0, 1.0]]], np.float32)
    target, label = np.array([0]), np.array([1])
    assert quantity("logit_difference", outputs, target, label).tolist() == [[1.5], [-2.0]]
    assert quantity("accuracy", outputs, target, label).tolist() == [[0.0], [1.0]]
    expected = [1 / (1 + np.exp(-1.5)), 1 / (1 + np.exp(2.0))]
    assert quantity("probability", outputs, target, label)[:, 0] == pytest.approx(expected)


def test_with_three_classes_the_mean_of_the_others_is_subtracted():
    outputs = np.array([[2.0, 0.5, -1.0]], np.float32)
    assert quantity("logit_difference", outputs, np.array([2]), np.array([0])).tolist() == [-2.25]


@pytest.mark.parametrize("classes", [3, 5])
def test_what_all_logits_share_is_not_explained(classes):
    own = torch.randn(7, classes, dtype=torch.float64, generator=torch.manual_seed(0))
    shared = 1e3 * torch.randn(7, 1, dtype=torch.float64)
    explained = explained_outputs(own)
    torch.testing.assert_close(explained_outputs(own + shared), explained, rtol=0, atol=1e-11)
    for target in range(classes):
        others = [place for place in range(classes) if place != target]
        slowly = own[:, target] - own[:, others].mean(1)
        torch.testing.assert_close(explained[:, target], slowly, rtol=0, atol=1e-14)


def test_of_two_classes_the_difference_is_explained_to_the_bit():
    own = torch.randn(7, 2, generator=torch.manual_seed(0))
    assert torch.equal(
        explained_outputs(own), torch.stack([own[:, 0] - own[:, 1], own[:, 1] - own[:, 0]], 1)
    )


def test_of_a_single_output_only_itself_is_a_quantity():
    outputs = np.array([[[2.0], [0.5]], [[-1.0], [1.0]]], np.float32)
    labels = np.array([0, 1])
    found = quantity("logit_difference", outputs, labels, labels)
    assert found.tolist() == [[2.0, 0.5], [-1.0, 1.0]], "whatever the label"
    for name in ("probability", "accuracy", "kept"):
        with pytest.raises(NotApplicable, match="gives one number per sequence and no classes"):
            quantity(name, outputs, labels, labels)


def test_a_single_output_is_explained_itself():
    own = torch.randn(7, 1, generator=torch.manual_seed(0))
    assert explained_outputs(own) is own
