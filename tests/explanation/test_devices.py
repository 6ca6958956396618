"""Every method on another device: what it makes and what it is given is where the model is."""

import numpy as np
import pytest
import torch
from elsewhere import DEVICE, Elsewhere

from xaibench.explanation.method_call import asks_for, explain
from xaibench.models.attngen import AttnGen
from xaibench.models.transformer import Transformer
from xaibench.nn import devices
from xaibench.plugins.options import resolve
from xaibench.plugins.registry import available, load
from xaibench.plugins.signatures import typed
from xaibench.testing.toy_models import random_references, sequences

CODES = sequences(3, 24)

OURS = sorted(
    name
    for name, entry in available("attribution").items()
    if entry.value.startswith("xaibench.attribution") and name != "scores"
)
"""All but ``scores``, which are read from a file and computed nowhere."""

CAPTUM = [f"captum.attr:{name}" for name in ("IntegratedGradients", "KernelShap")]


def attngen():
    return AttnGen(classes=2, length=24, filters=[5], kernels=[7])


def transformer():
    return Transformer(classes=2, length=24, width=8, heads=2, layers=1)


def explained(name, model):
    plugin = load("attribution", name)
    options = typed(plugin, resolve(plugin, {}, where=name))
    options = {key: each for key, each in options.items() if key not in ("strands", "sequences")}
    return called(plugin.call, model, options=options)


def called(method, model, *, options=None):
    """The method's answer on ``CODES``, with what it asks for."""
    return explain(
        method,
        model.eval(),
        CODES,
        np.array([0, 1, 1]),
        options=options or {},
        seed=0,
        component="",
        references=random_references(CODES) if asks_for(method, "references") else None,
    )


def made(make):
    with devices.seeded(1):
        return make()


@pytest.mark.parametrize(
    ("name", "make"),
    [
        *((name, transformer) for name in [*OURS, *CAPTUM]),
        *((name, attngen) for name in ("attention_x_gradient", "deeplift", "grad_cam", "lrp")),
    ],
)
def test_a_method_gives_on_another_device_what_it_gives_on_the_cpu(name, make):
    here = explained(name, made(make))
    with Elsewhere():
        there = explained(name, made(make).to("cuda"))
    assert not np.all(here.scores == 0)
    np.testing.assert_allclose(there.scores, here.scores, rtol=1e-4, atol=1e-6)
    assert (there.forwards, there.backwards) == pytest.approx(
        (here.forwards, here.backwards), rel=1
    )


def test_codes_valid_and_references_are_where_the_model_is():
    seen = {}

    def looks(model, inputs, target, *, codes, valid, references):
        seen.update(inputs=inputs, target=target, codes=codes, valid=valid, references=references)
        return inputs

    with Elsewhere():
        called(looks, made(attngen).to("cuda"))
        assert {each.device for each in seen.values()} == {DEVICE}
        assert (seen["codes"].cpu().numpy() == CODES).all()
        assert (seen["valid"].cpu().numpy() == (CODES < 4)).all()


def test_attributions_are_computed_without_tf32():
    seen = []

    def looks(model, inputs, target):
        seen.extend(getattr(module, name) for module, name in devices._settings())
        return inputs

    torch.backends.cudnn.conv.fp32_precision = "tf32"
    with Elsewhere():
        called(looks, made(attngen).to("cuda"))
    assert set(seen) == {"ieee"}
    assert torch.backends.cudnn.conv.fp32_precision == "tf32"
