"""A method of a single pass shares it with the prediction."""

import numpy as np
import pytest
import torch
import toy

from xaibench.explanation.method_call import explain
from xaibench.nn.inference import logits
from xaibench.nn.view import ExplainedView
from xaibench.plugins.registry import load
from xaibench.protocols import method

HOW = {"options": {}, "seed": 0, "component": "test"}


class Counting(torch.nn.Module):
    """A model of three classes that counts the rows it is called with."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layer, self.rows = torch.nn.Linear(4 * toy.LENGTH, 3), 0

    def encode(self, codes):
        return torch.nn.functional.one_hot(codes.long(), 5)[..., :4].transpose(1, 2).float()

    def forward(self, inputs):
        self.rows += len(inputs)
        return self.layer(inputs.flatten(1))


@pytest.mark.parametrize("name", ["saliency", "input_x_gradient"])
def test_the_pass_that_predicts_is_that_which_explains(name):
    model, codes = Counting(), toy.sequences(7)
    given = logits(model, codes)
    model.rows = 0
    by_prediction = explain(load("attribution", name).call, model, codes, None, **HOW)
    assert model.rows == 7
    by_target = explain(load("attribution", name).call, model, codes, given.argmax(1), **HOW)
    assert np.array_equal(by_prediction.scores, by_target.scores)
    assert by_prediction.outputs == pytest.approx(given, abs=1e-6)


def test_another_tensor_than_the_given_one_makes_a_pass_of_its_own():
    model = Counting()
    inputs = model.encode(torch.from_numpy(toy.sequences(2)))
    view = ExplainedView(model)
    view.first_pass(inputs)
    other = view(inputs + 1)
    assert torch.equal(other, ExplainedView(model)(inputs + 1))
    view.first_pass(inputs)
    once, twice = view(inputs), view(inputs)
    assert torch.equal(once, twice)
    assert model.rows == 2 * 5  # all but that of `once`


def test_a_method_of_several_passes_must_be_given_its_targets():
    @method()
    def several(model, inputs, target):
        return inputs

    with pytest.raises(ValueError, match="targets: several makes other passes than that"):
        explain(several, Counting(), toy.sequences(2), None, **HOW)
