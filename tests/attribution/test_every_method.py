"""Every method on every toy model, through the same door as the harness."""

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
import toy
from toy import MODELS

from xaibench.attribution.attention import attention, attention_rollout, last_layer_attention
from xaibench.attribution.captum import adapt
from xaibench.attribution.deeplift import deeplift
from xaibench.attribution.gradient import input_x_gradient, saliency, smooth_grad
from xaibench.attribution.integrated import (
    expected_integrated_gradients,
    gradient_shap,
    integrated_gradients,
)
from xaibench.attribution.layers import grad_cam
from xaibench.attribution.lrp import lrp
from xaibench.attribution.perturbation import in_silico_mutagenesis, occlusion
from xaibench.attribution.prior import position_prior
from xaibench.attribution.random import random
from xaibench.errors import NotApplicable
from xaibench.explanation.method_call import Explanation, explain
from xaibench.protocols import method_facts

METHODS: dict[str, Callable[..., Any]] = {
    "saliency": saliency,
    "input_x_gradient": input_x_gradient,
    "integrated_gradients": integrated_gradients,
    "expected_integrated_gradients": expected_integrated_gradients,
    "gradient_shap": gradient_shap,
    "smooth_grad": smooth_grad,
    "deeplift": deeplift,
    "lrp": lrp,
    "grad_cam": grad_cam,
    "in_silico_mutagenesis": in_silico_mutagenesis,
    "occlusion": occlusion,
    "position_prior": position_prior,
    "random": random,
    "captum.attr:Saliency": adapt("Saliency"),
    "captum.attr:FeatureAblation": adapt("FeatureAblation"),
}
CODES = toy.sequences()
REFERENCES = toy.random_references(CODES)
TARGETS = np.array([0, 1, 1])


def explained(method: Any, model: Any, *, batch_size: int = 64) -> Explanation:
    return explain(
        method,
        model,
        CODES,
        TARGETS,
        options={},
        seed=0,
        component="attribution",
        references=REFERENCES,
        batch_size=batch_size,
    )


NOT_APPLICABLE = {
    ("lrp", "softmax over channels"),
    *(("grad_cam", model) for model in ("saturating", "both")),
}
PAIRS = [pair for pair in product(METHODS, MODELS) if pair not in NOT_APPLICABLE]


@pytest.mark.parametrize(("method", "model"), sorted(NOT_APPLICABLE))
def test_what_has_no_meaning_for_a_model_says_so(method: str, model: str) -> None:
    with pytest.raises(NotApplicable):
        explained(METHODS[method], MODELS[model]())


@pytest.mark.parametrize(("method", "model"), PAIRS)
def test_scores_do_not_depend_on_the_batch_size_and_leave_no_trace(method: str, model: str) -> None:
    classifier = MODELS[model]().double().train()
    before = {name: tensor.clone() for name, tensor in classifier.state_dict().items()}
    together = explained(METHODS[method], classifier)
    assert together.scores.shape == CODES.shape
    for size in (1, 2):
        alone = explained(METHODS[method], classifier, batch_size=size)
        np.testing.assert_allclose(alone.scores, together.scores, rtol=1e-6, atol=1e-9)
        assert alone.forwards == together.forwards or method == "captum.attr:FeatureAblation"
        assert alone.backwards == together.backwards
    assert all(module.training for module in classifier.modules())
    for name, tensor in classifier.state_dict().items():
        assert torch.equal(tensor, before[name])


ON_A_KINK = {("gradient_shap", "motif count"), ("expected_integrated_gradients", "motif count")}
"""Where two of three bases match at both ends, the whole way lies on the kink of the ReLU, and the
gradient there is a matter of rounding."""


@pytest.mark.parametrize(
    ("method", "model"),
    [pair for pair in PAIRS if pair not in ON_A_KINK],
)
def test_in_single_precision_scores_are_those_of_double(method: str, model: str) -> None:
    double = explained(METHODS[method], MODELS[model]().double()).scores
    single = explained(METHODS[method], MODELS[model]().float()).scores
    np.testing.assert_allclose(single, double, rtol=1e-3, atol=1e-5 * np.abs(double).max(initial=1))


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("method", [deeplift, integrated_gradients, expected_integrated_gradients])
def test_promised_completeness_holds(method: Any, model: str) -> None:
    error = explained(method, MODELS[model]().double()).completeness_error
    limit = 1e-10 if method is deeplift else method_facts(method).completeness
    assert error <= limit or (model == "saturating" and np.isnan(error))  # it is not moved at all


def test_attention_is_the_weight_of_each_position_whatever_the_target() -> None:
    scores = explained(attention, toy.AttentionPool(weights=(0, 1, 2, 3))).scores
    raw = np.exp(np.array([0, 1, 2, 3, 0])[CODES])
    np.testing.assert_allclose(scores, raw / raw.sum(1, keepdims=True), rtol=1e-6)
    assert not method_facts(attention).signed


def test_attention_does_not_apply_to_a_model_without_it() -> None:
    with pytest.raises(NotApplicable, match="the model has no attention"):
        explained(attention, toy.both())
    for method in (last_layer_attention, attention_rollout):
        with pytest.raises(NotApplicable, match="the model has no layers of self-attention"):
            explained(method, toy.both())


def test_random_scores_are_uniform_and_those_of_the_seed() -> None:
    first, again = (explained(random, toy.both()).scores for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert 0 <= first.min() < 0.1
    assert 0.9 < first.max() < 1
    assert len(np.unique(first)) == first.size
