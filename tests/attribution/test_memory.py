"""No method keeps a graph alive: a call's activations are gone when it returns."""

import gc
import weakref
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
import toy

from xaibench.explanation.method_call import explain
from xaibench.models.attngen import AttnGen
from xaibench.plugins.registry import load

METHODS = [
    "attention",
    "attention_x_gradient",
    "deeplift",
    "expected_integrated_gradients",
    "grad_cam",
    "gradient_shap",
    "in_silico_mutagenesis",
    "input_x_gradient",
    "integrated_gradients",
    "lrp",
    "occlusion",
    "random",
    "saliency",
    "smooth_grad",
    "captum.attr:GuidedBackprop",
]


class Token:
    """Lives as long as the graph that holds it."""


class Marked(torch.autograd.Function):
    """The identity, with a token in its graph."""

    tokens: ClassVar[list[weakref.ref[Token]]] = []

    @staticmethod
    def forward(ctx: Any, inputs: torch.Tensor) -> torch.Tensor:
        ctx.token = Token()
        Marked.tokens.append(weakref.ref(ctx.token))
        return inputs.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        return gradients[0]


class Model(AttnGen):
    """One whose every graph can be counted."""

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return super().forward(Marked.apply(inputs))


@pytest.mark.parametrize("name", METHODS)
def test_what_a_method_computes_is_gone_without_a_garbage_collection(name: str) -> None:
    torch.manual_seed(0)
    model = Model(classes=2, length=toy.LENGTH, filters=(5,), kernels=(7,)).eval()
    codes = toy.sequences()
    Marked.tokens.clear()
    gc.collect()
    gc.disable()
    try:
        explain(
            load("attribution", name).call,
            model,
            codes,
            np.zeros(3, np.int64),
            options={},
            seed=0,
            component=name,
            references=toy.random_references(codes),
        )
        alive = sum(token() is not None for token in Marked.tokens)
    finally:
        gc.enable()
    assert alive == 0
    assert Marked.tokens or name in {"attention", "random"}
