"""Which number of what a network returns is explained, and what is said where there is none."""

from typing import NamedTuple

import numpy as np
import pytest
import torch

from xaibench.dna.shuffling import shuffled_references
from xaibench.errors import ModelError
from xaibench.explanation.method_call import WithoutRule, explain
from xaibench.nn.adapted import adapted
from xaibench.nn.explained_output import explained_number, weighted_profile
from xaibench.plugins.harness_options import Explain
from xaibench.plugins.registry import load

ROWS, TASKS, POSITIONS = 3, 5, 11
TENSOR = torch.randn(ROWS, TASKS, POSITIONS, generator=torch.Generator().manual_seed(0))


class Heads(NamedTuple):
    profile: torch.Tensor
    counts: torch.Tensor


HEADS = Heads(TENSOR, TENSOR[:, :2, 0])


def explained(outputs, *, classes=2, function=None, **choice):
    return explained_number(
        outputs,
        ROWS,
        classes=classes,
        explained=Explain(**choice) if choice else None,
        function=function,
    )


def test_logits_of_the_classes_pass():
    assert explained(TENSOR[:, :2, 0]) is not None
    assert torch.equal(explained(TENSOR[:, :2, 0]), TENSOR[:, :2, 0])


@pytest.mark.parametrize("shape", [(ROWS,), (ROWS, 1)])
def test_one_output_for_two_classes_is_the_logit_of_the_second(shape):
    logit = TENSOR[:, 0, 0].reshape(shape)
    logits = explained(logit)
    torch.testing.assert_close(logits.softmax(1)[:, 1], logit.reshape(ROWS).sigmoid())


@pytest.mark.parametrize("shape", [(ROWS,), (ROWS, 1)])
def test_one_output_without_classes_is_the_number_itself(shape):
    number = TENSOR[:, 0, 0].reshape(shape)
    assert torch.equal(explained(number, classes=1), number.reshape(ROWS, 1))


def test_two_logits_without_classes_are_explained_by_their_difference():
    logits = TENSOR[:, :2, 0]
    for of_both in (
        explained(logits, classes=1),
        explained({"head": logits}, classes=1, output="head"),
    ):
        assert torch.equal(of_both[:, 0], logits[:, 1] - logits[:, 0])


def test_an_output_a_position_and_a_reduction_are_taken_one_after_the_other():
    column = explained(TENSOR, output=3, position=7)
    assert torch.equal(column, TENSOR[:, 3, 7:8])
    summed = explained(TENSOR, output=3, position=(2, 6), reduce="sum")
    torch.testing.assert_close(summed[:, 0], TENSOR[:, 3, 2:6].sum(1))
    highest = explained(TENSOR, reduce="max")
    assert torch.equal(highest[:, 0], TENSOR.flatten(1).amax(1))
    mean = explained(TENSOR, output=-1, reduce="mean")
    torch.testing.assert_close(mean[:, 0], TENSOR[:, -1].mean(1))


def test_names_lead_through_dicts_tuples_and_named_tuples():
    in_dict = explained({"heads": HEADS}, output=("heads", "counts", 1))
    assert torch.equal(in_dict[:, 0], HEADS.counts[:, 1])
    in_tuple = explained((TENSOR, HEADS.counts), output=(1, 0))
    assert torch.equal(in_tuple[:, 0], HEADS.counts[:, 0])


def test_a_head_with_an_output_per_class_has_its_logits():
    assert explained(HEADS, output="counts").shape == (ROWS, 2)
    with pytest.raises(ModelError, match=r"expected one number per sequence, got \(N, 2\)"):
        explained(HEADS, classes=3, output="counts")


def test_a_head_with_one_output_for_two_classes_is_a_logit_and_a_column_is_a_number():
    heads = {"logit": TENSOR[:, 0, :1]}
    torch.testing.assert_close(
        explained(heads, output="logit").softmax(1)[:, 1:], heads["logit"].sigmoid()
    )
    assert explained(heads, output=("logit", 0)).shape == (ROWS, 1)
    assert explained(heads, output="logit", reduce="sum").shape == (ROWS, 1)


def test_the_logarithm_of_a_sum():
    positive = TENSOR.exp()
    logarithm = explained(positive, reduce="sum", log=True)
    torch.testing.assert_close(logarithm[:, 0], positive.flatten(1).sum(1).log())
    with pytest.raises(ModelError, match="above 0 for log: true, got -"):
        explained(-positive, reduce="sum", log=True)


def test_the_weighted_profile_has_the_gradient_of_detached_weights():
    """*Avsec et al. (2021)*: weights are constants, so the gradient is w_i minus 1/P."""
    logits = TENSOR[:, 0].clone().requires_grad_()
    weighted_profile(logits).sum().backward()
    weights = logits.detach().softmax(1)
    torch.testing.assert_close(logits.grad, weights - 1 / POSITIONS)


def test_the_weighted_profile_does_not_see_what_all_logits_share():
    logits = TENSOR[:, 0]
    torch.testing.assert_close(weighted_profile(logits), weighted_profile(logits + 3))


def test_a_function_of_the_outputs_takes_the_place_of_the_choice():
    column = explained(HEADS, function=lambda heads: heads.counts[:, 0] - heads.counts[:, 1])
    assert torch.equal(column[:, 0], HEADS.counts[:, 0] - HEADS.counts[:, 1])
    with pytest.raises(ModelError, match=r"expected one number per sequence, \(3,\), got \(N, 2\)"):
        explained(HEADS, function=lambda heads: heads.counts)


@pytest.mark.parametrize(
    ("outputs", "choice", "message"),
    [
        ({"a": TENSOR}, {"output": "b"}, r"no output 'b' in a dict of 'a': \(N, 5, 11\)"),
        (HEADS, {"output": "logits"}, r"no output 'logits' in a Heads of 'profile': .*'counts'"),
        ((TENSOR,), {"output": 4}, r"no output 4 in a tuple of 0: \(N, 5, 11\)"),
        (TENSOR, {"output": 5}, r"no output 5 in a tensor \(N, 5, 11\); expected a number below 5"),
        (TENSOR, {"output": "counts"}, "no output 'counts' in a tensor"),
        (TENSOR, {"output": 0, "position": 11}, "no position 11 in an output .* 0 to 11"),
        (TENSOR, {"output": 0, "position": (6, 2)}, r"no position \[6, 2\] in an output"),
        (TENSOR, {"output": 0}, r"expected one number per sequence, got \(N, 11\); choose"),
        ({"a": TENSOR}, {"reduce": "sum"}, r"expected a tensor, got a dict of 'a'"),
    ],
)
def test_what_does_not_exist_is_said_with_what_does(outputs, choice, message):
    with pytest.raises(ModelError, match=message):
        explained(outputs, **choice)


def test_a_function_with_another_choice_is_rejected():
    with pytest.raises(ValueError, match="expected function: alone"):
        Explain(function="counts", log=True)


def test_a_weighted_profile_need_not_add_up_and_a_sum_must():
    network = torch.nn.Conv1d(4, 2, 3)
    profile, total = (
        adapted(network, classes=1, length=POSITIONS, explained=Explain(reduce=reduction))
        for reduction in ("profile", "sum")
    )
    assert not profile.adds_up
    assert total.adds_up
    assert explained_by("integrated_gradients", profile).completeness_error > 0.01


def explained_by(method, model):
    """What a method says of three random sequences."""
    codes = np.random.default_rng(0).integers(0, 4, (3, POSITIONS)).astype(np.uint8)
    return explain(
        load("attribution", method).call,
        model,
        codes,
        np.zeros(3, np.int64),
        options={},
        seed=0,
        component="",
        references=shuffled_references(codes, 2, 0),
    )


@pytest.mark.parametrize("choice", [{"output": 3, "position": 7}, {"reduce": "sum"}])
def test_no_rows_give_no_numbers(choice):
    none = explained_number(TENSOR[:0], 0, classes=2, explained=Explain(**choice))
    assert none.shape == (0, 1)


def test_deeplift_of_a_profile_needs_a_rule_for_every_function():
    """No sum can show that a rule is missing, so what has none is refused by name."""

    class Functional(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = torch.nn.Conv1d(4, 5, 3, padding=1)
            self.profile = torch.nn.Conv1d(5, 2, 3, padding=1)

        def forward(self, inputs):
            return self.profile(self.conv(inputs).cummax(2).values)

    model = adapted(Functional(), classes=1, length=POSITIONS, explained=Explain(reduce="profile"))
    with pytest.raises(WithoutRule, match="no rule for cummax there; call it by a module"):
        explained_by("deeplift", model)
