"""Gates of two motifs, where every method's answer can be worked out on paper.

``a`` is 1 where an A stands at position 1, ``b`` where a C stands at position 4; both do. The
references have neither. What is explained is the gate, of the first hidden layer of a network with
ReLU, for class 1.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
import toy
from torch import nn

from xaibench.attribution.deeplift import deeplift
from xaibench.attribution.gradient import input_x_gradient, saliency, smooth_grad
from xaibench.attribution.integrated import (
    expected_integrated_gradients,
    gradient_shap,
    integrated_gradients,
)
from xaibench.attribution.lrp import lrp
from xaibench.attribution.perturbation import in_silico_mutagenesis, occlusion
from xaibench.explanation.method_call import explain

LENGTH = 7
SITES = (1, 4)

GATES: dict[str, tuple[list[float], list[float], list[float], float]] = {
    # slopes and biases of the hidden units, their weights in the output, the output's bias
    "and": ([1], [-1], [1], 0),  # ReLU(a + b - 1)
    "or": ([-1], [1], [-1], 1),  # 1 - ReLU(1 - a - b)
    "xor": ([1, 1], [0, -1], [1, -2], 0),  # ReLU(a + b) - 2 ReLU(a + b - 1)
    "sum": ([1], [0], [1], 0),  # ReLU(a + b), linear where a and b are not negative
}

ANSWERS: dict[str, tuple[Callable[..., Any], dict[str, float]]] = {
    # the gradient where both motifs stand
    "input_x_gradient": (
        partial(input_x_gradient, correct=False),
        {"and": 1, "or": 0, "xor": -1, "sum": 1},
    ),
    "saliency": (partial(saliency, correct=False), {"and": 1, "or": 0, "xor": 1, "sum": 1}),
    "corrected saliency": (saliency, {"and": 0.75, "or": 0, "xor": 0.75, "sum": 0.75}),
    "smooth_grad": (
        partial(smooth_grad, correct=False, noise=1e-9),
        {"and": 1, "or": 0, "xor": -1, "sum": 1},
    ),
    # where the output is 0, nothing is handed on
    "lrp": (partial(lrp, epsilon=1e-12), {"and": 1, "or": 0, "xor": 0, "sum": 1}),
    # the change from neither motif to both, shared
    "integrated_gradients": (
        partial(integrated_gradients, reference="zero"),
        {"and": 0.5, "or": 0.5, "xor": 0, "sum": 1},
    ),
    "expected_integrated_gradients": (
        expected_integrated_gradients,
        {"and": 0.5, "or": 0.5, "xor": 0, "sum": 1},
    ),
    "gradient_shap": (
        partial(gradient_shap, draws=4000),
        {"and": 0.5, "or": 0.5, "xor": 0, "sum": 1},
    ),
    "deeplift": (deeplift, {"and": 0.5, "or": 0.5, "xor": 0, "sum": 1}),
    "deeplift from zero": (
        partial(deeplift, reference="zero"),
        {"and": 0.5, "or": 0.5, "xor": 0, "sum": 1},
    ),
    # the effect of losing one motif while the other stands
    "occlusion": (
        partial(occlusion, window=1, fill="zero"),
        {"and": 1, "or": 0, "xor": -1, "sum": 1},
    ),
    "in_silico_mutagenesis": (
        in_silico_mutagenesis,
        {"and": 0.75, "or": 0, "xor": -0.75, "sum": 0.75},
    ),
}

TOLERANCE = {"gradient_shap": 0.05, "integrated_gradients": 1e-6} | dict.fromkeys(
    ["expected_integrated_gradients"], 2e-2
)
"""Chance; single-precision weights of quadrature; an odd number of points across a jump."""


def gate(name: str) -> toy.Toy:
    slopes, biases, weights, bias = GATES[name]
    hidden, out = nn.Linear(4 * LENGTH, len(slopes)), nn.Linear(len(slopes), 2)
    with torch.no_grad():
        present = torch.zeros(4, LENGTH)
        present[0, SITES[0]] = present[1, SITES[1]] = 1
        hidden.weight.copy_(torch.tensor(slopes)[:, None] * present.flatten())
        hidden.bias.copy_(torch.tensor(biases))
        out.weight.copy_(torch.stack([torch.zeros(len(slopes)), torch.tensor(weights)]))
        out.bias.copy_(torch.tensor([0.0, bias]))
    return toy.Toy(nn.Sequential(nn.Flatten(), hidden, nn.ReLU(), out)).double()


@pytest.mark.parametrize("name", GATES)
@pytest.mark.parametrize("method", ANSWERS)
def test_both_motifs_get_what_was_worked_out_and_nothing_else_does(method: str, name: str) -> None:
    call, answers = ANSWERS[method]
    codes = np.full((1, LENGTH), 3, np.uint8)
    references = np.full((1, 3, LENGTH), 2, np.uint8)
    codes[0, list(SITES)] = 0, 1
    scores = explain(
        call,
        gate(name),
        codes,
        np.array([1]),
        options={},
        seed=0,
        component="attribution",
        references=references,
    ).scores[0]
    expected = np.zeros(LENGTH)
    expected[list(SITES)] = answers[name]
    np.testing.assert_allclose(scores, expected, rtol=0, atol=TOLERANCE.get(method, 1e-7))
