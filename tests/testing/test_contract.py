"""The contract catches what it is there to catch."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from xaibench.attribution.attention import attention
from xaibench.attribution.deeplift import deeplift
from xaibench.attribution.gradient import saliency
from xaibench.attribution.random import random
from xaibench.errors import UsageError
from xaibench.plugins.registry import available
from xaibench.protocols import method
from xaibench.testing.contract import (
    Checks,
    check_attribution,
    check_by_name,
    describe_checks,
)


def gradient(model: Any, inputs: Tensor, target: Tensor) -> Tensor:
    chosen = model(inputs).gather(1, target[:, None]).sum()
    return torch.autograd.grad(chosen, inputs)[0] * inputs


def of_company(model: Any, inputs: Tensor, target: Tensor) -> Tensor:
    scores = gradient(model, inputs, target).sum(1)
    return scores - scores.mean(0) + torch.arange(inputs.shape[2])


def of_place(model: Any, inputs: Tensor, target: Tensor) -> Tensor:
    rows = torch.arange(len(inputs)).unsqueeze(1)
    return gradient(model, inputs, target).sum(1) + rows * torch.arange(inputs.shape[2])


def of_chance(model: Any, inputs: Tensor, target: Tensor) -> Tensor:
    scores = np.random.default_rng().random((len(inputs), inputs.shape[2]))
    return torch.from_numpy(scores)


def in_training(model: Any, inputs: Tensor, target: Tensor) -> Tensor:
    model.train()
    return inputs


def flat(model: Any, inputs: Tensor, target: Tensor) -> Tensor:
    return torch.ones(len(inputs), inputs.shape[2])


def without_number(model: Any, inputs: Tensor, target: Tensor) -> Tensor:
    return inputs / 0


def of_another_shape(model: Any, inputs: Tensor, target: Tensor) -> Tensor:
    return inputs[:, :, 1:]


def raising(model: Any, inputs: Tensor, target: Tensor) -> Tensor:
    raise RuntimeError("on purpose")


@method(completeness=1e-2)
def promising(model: Any, inputs: Tensor, target: Tensor) -> Tensor:
    return gradient(model, inputs, target)


@method(of_nucleotides=True)
def of_sites(model: Any, inputs: Tensor, target: Tensor, *, codes: Tensor) -> Tensor:
    """Ignores what tokens cover: the score of a site stands at the position of its number."""
    scores = torch.zeros(codes.shape, dtype=inputs.dtype)
    of_inputs = gradient(model, inputs, target).sum(1)[:, : codes.shape[1]]
    scores[:, : of_inputs.shape[1]] = of_inputs
    return scores


def of_letters(model: Any, inputs: Tensor, target: Tensor, *, codes: Tensor) -> Tensor:
    """Nucleotides, and does not say so."""
    return codes.double()


def broken(checks: Checks) -> dict[str, str]:
    return {check.name: check.detail for check in checks if check.held is False}


@pytest.mark.parametrize("sound", [gradient, saliency, random, attention, deeplift])
def test_sound_methods_keep_the_contract(sound: Callable[..., Any]) -> None:
    assert broken(check_attribution(sound)) == {}


@pytest.mark.parametrize("name", sorted({*available("attribution")} - {"broken", "scores"}))
def test_every_method_that_can_be_named_keeps_the_contract(name: str) -> None:
    assert broken(check_by_name(name, changes=[], plugins=())) == {}


@pytest.mark.parametrize(
    ("method", "names"),
    [
        (of_company, {"one at a time", "three at a time"}),
        (of_place, {"one at a time", "three at a time", "in another order"}),
        (flat, {"tells positions apart"}),
        (promising, {"completeness"}),
        (of_sites, {"finds the token"}),
    ],
)
def test_what_breaks_the_contract_is_named(method: Callable[..., Any], names: set[str]) -> None:
    assert set(broken(check_attribution(method))) == names


def test_chance_without_a_stream_is_not_the_same_again() -> None:
    assert "the same again is the same" in broken(check_attribution(of_chance))


@pytest.mark.parametrize(
    ("method", "message"),
    [
        (in_training, "in_training left the model in training mode"),
        (without_number, "scores are not finite"),
        (of_another_shape, "expected scores"),
        (raising, "RuntimeError: on purpose"),
        (of_letters, "sites are tokens, and its channels no bases: raise NotApplicable"),
    ],
)
def test_a_method_that_does_not_run_says_why(method: Callable[..., Any], message: str) -> None:
    (only,) = check_attribution(method)
    assert (only.name, only.held) == ("runs", False)
    assert message in only.detail


def test_a_method_that_applies_to_no_model_is_neither_held_nor_broken() -> None:
    (only,) = check_attribution(attention, options={"unknown": 1})[:1]
    assert only.held is False
    (only,) = check_by_name("attention_rollout", changes=[], plugins=())
    assert only.held is None
    assert "the model has no layers of self-attention" in only.detail


def test_methods_that_know_the_motif_find_it_and_random_does_not() -> None:
    found = {check.name: check.detail for check in check_attribution(gradient)}
    assert found["finds the motif"].startswith("AUPRC 1.00, chance 0.2")
    assert found["finds the token"].startswith("AUPRC 1.00, chance 0.2")
    assert found["depends on the target"] == "yes"
    lost = {check.name: check.detail for check in check_attribution(random)}
    assert lost["depends on the target"] == "no"
    assert float(lost["finds the motif"].split()[1].strip(",")) < 0.5


def test_a_method_is_checked_by_name_with_its_options() -> None:
    lines = describe_checks(check_by_name("integrated_gradients", changes=["steps=20"], plugins=()))
    assert lines[0].split()[:2] == ["held", "runs"]
    assert any("promised 0.01" in line for line in lines)
    with pytest.raises(UsageError, match=r"integrated_gradients: unknown key 'step'; .*'steps'"):
        check_by_name("integrated_gradients", changes=["step=20"], plugins=())


def test_the_contract_is_a_table_too():
    checks = check_by_name("saliency", changes=(), plugins=())
    assert checks.held
    assert checks.to_frame()["held"].tolist() == [each.held for each in checks]
    assert checks._repr_html_().count("<tr") == len(checks) + 1
    assert repr(checks).splitlines()[0].startswith("held")
    assert not Checks([checks[0]._replace(held=False)]).held
