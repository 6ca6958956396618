"""DeepLIFT: known answers, exactness, refusal, and a slow twin."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import toy
from captum.attr import DeepLift
from torch import Tensor, nn
from toy import MODELS

from xaibench.attribution.deeplift import LINEAR, RULES, deeplift, rescale
from xaibench.errors import NotApplicable
from xaibench.explain import ExplainedView, explain
from xaibench.layers import WeightedSum
from xaibench.values import Attribution

CODES = toy.sequences()
REFERENCES = toy.references(CODES)
TARGETS = torch.tensor([0, 1, 1])


def tensors(model: Any) -> tuple[Tensor, Tensor]:
    """The inputs ``(3, 4, 23)`` and their references ``(3, 5, 4, 23)``."""
    inputs = model.encode(torch.from_numpy(CODES)).requires_grad_()
    references = model.encode(torch.from_numpy(REFERENCES).flatten(0, 1))
    return inputs, references.reshape(3, 5, 4, toy.LENGTH)


def explained(model: Any, target: Tensor = TARGETS) -> Attribution:
    inputs, references = tensors(model)
    return deeplift(ExplainedView(model.eval()), inputs, target, references=references)


def is_complete(answer: Attribution, *, within: float) -> bool:
    """Whether no error is larger than ``within`` of the RMS change of the output."""
    assert answer.completeness_error is not None
    assert answer.output_change is not None
    change = answer.output_change.square().mean().sqrt()
    return bool(answer.completeness_error.max() <= within * change)


def test_a_linear_model_gets_its_weights_times_the_difference_to_the_references() -> None:
    generator = torch.Generator().manual_seed(0)
    weights = torch.randn(2, 4, toy.LENGTH, generator=generator, dtype=torch.float64)
    model = toy.linear(weights)
    inputs, references = tensors(model)
    gradient = weights[TARGETS] - weights[1 - TARGETS]
    expected = ((inputs - references.mean(1)) * gradient).sum(1).detach()
    torch.testing.assert_close(explained(model).contributions.sum(1), expected, rtol=0, atol=1e-12)


def test_a_saturated_motif_is_shared_equally_by_its_copies() -> None:
    model = toy.saturating().double()
    inputs = model.encode(torch.from_numpy(CODES)).requires_grad_()
    without = torch.from_numpy(np.where(CODES == 0, 3, CODES))
    references = model.encode(without).unsqueeze(1)
    answer = deeplift(ExplainedView(model), inputs, torch.ones(3).long(), references=references)
    is_a = torch.from_numpy(CODES == 0).double()
    torch.testing.assert_close(answer.contributions.sum(1), is_a / is_a.sum(1, keepdim=True))


def test_two_bases_that_are_needed_together_get_half_each() -> None:
    model = toy.both().double()
    codes = np.full((1, toy.LENGTH), 3, np.uint8)
    references = model.encode(torch.from_numpy(codes)).unsqueeze(1)
    codes[0, 1], codes[0, 4] = 0, 1
    inputs = model.encode(torch.from_numpy(codes)).requires_grad_()
    answer = deeplift(ExplainedView(model), inputs, torch.tensor([1]), references=references)
    expected = torch.zeros(1, toy.LENGTH, dtype=torch.float64)
    expected[0, [1, 4]] = 0.5
    torch.testing.assert_close(answer.contributions.sum(1), expected)


def test_a_product_of_two_changing_factors_is_split_at_their_means() -> None:
    """One base attended alone: weights 1/(1+e) and e/(1+e); worked out by hand."""
    model = toy.AttentionPool(weights=(0, 1, 0, 0), values=(2, 0, 0, 0)).double()
    inputs = model.encode(torch.tensor([[0, 1]], dtype=torch.uint8)).requires_grad_()
    references = model.encode(torch.tensor([[1, 1]], dtype=torch.uint8)).unsqueeze(1)
    answer = deeplift(ExplainedView(model), inputs, torch.tensor([1]), references=references)
    change = 2 / (1 + np.e)  # from weights (1/2, 1/2) and values (0, 0) to (2, 0)
    torch.testing.assert_close(
        answer.contributions.sum(1), torch.tensor([[change, 0]], dtype=torch.float64)
    )


@pytest.mark.parametrize("name", MODELS)
def test_contributions_sum_to_the_change_of_the_output(name: str) -> None:
    assert is_complete(explained(MODELS[name]().double()), within=1e-10)
    assert is_complete(explained(MODELS[name]().float()), within=1e-5)


LAYERS = [kind for kind in RULES if kind is not WeightedSum]  # that is in the attention pool


@pytest.mark.parametrize("activation", LAYERS)
def test_every_rule_is_exact(activation: Any) -> None:
    made: dict[Any, Callable[[], nn.Module]] = {
        nn.MaxPool1d: lambda: nn.MaxPool1d(5, stride=2, padding=2, dilation=2),
        nn.AdaptiveMaxPool1d: lambda: nn.AdaptiveMaxPool1d(4),
        nn.Softmax: lambda: nn.Softmax(dim=-1),
    }
    layer = made.get(activation, activation)()
    answer = explained(toy.network(nn.Conv1d(4, 6, 5), layer).double())
    assert is_complete(answer, within=1e-10)


@pytest.mark.parametrize("name", MODELS)
def test_answers_do_not_depend_on_the_company_in_a_batch(name: str) -> None:
    model = MODELS[name]().double().eval()
    inputs, references = tensors(model)
    together = rescale(ExplainedView(model), inputs, TARGETS, references)
    for row in range(3):
        for reference in range(5):
            alone = rescale(
                ExplainedView(model),
                inputs[[row]],
                TARGETS[[row]],
                references[[row], reference : reference + 1],
            )
            for part, whole in zip(alone, together, strict=True):
                expected = whole[row, reference]
                torch.testing.assert_close(part[0, 0], expected, rtol=1e-9, atol=1e-12)


def test_a_reused_module_is_one_call_after_the_other() -> None:
    shared, separate = MODELS["reused relu"]().double(), MODELS["reused relu in place"]().double()
    expected = explained(shared)
    torch.testing.assert_close(explained(separate).contributions, expected.contributions)
    assert is_complete(expected, within=1e-10)


def test_a_module_registered_twice_counts_once() -> None:
    relu = nn.ReLU()
    twice = toy.network(nn.Conv1d(4, 6, 5), relu, nn.Sequential(nn.Conv1d(6, 6, 3), relu))
    once = toy.network(nn.Conv1d(4, 6, 5), nn.ReLU(), nn.Sequential(nn.Conv1d(6, 6, 3), nn.ReLU()))
    torch.testing.assert_close(
        explained(twice.double()).contributions, explained(once.double()).contributions
    )


def test_contributions_are_the_hypothetical_ones_at_the_observed_base() -> None:
    model = MODELS["adaptive max pool"]().double()
    answer = explained(model)
    inputs, references = tensors(model)
    multipliers = rescale(ExplainedView(model), inputs, TARGETS, references).multipliers
    assert answer.hypothetical is not None
    torch.testing.assert_close(answer.contributions, answer.hypothetical * inputs.detach())
    slow = torch.zeros(3, 4, toy.LENGTH, dtype=torch.float64)
    for base in range(4):
        stood = torch.zeros(4, 1, dtype=torch.float64)
        stood[base] = 1
        slow[:, base] = (multipliers * (stood - references)).sum(2).mean(1)
    torch.testing.assert_close(answer.hypothetical, slow)


def _twin(model: nn.Sequential, inputs: Tensor, reference: Tensor) -> Tensor:
    """Slow and obvious: the Jacobian of every layer between one input and one reference, with the
    slope of the secant on the diagonal of ReLU, times each other. ``(class, 4 L)``."""
    before, at_reference = inputs.flatten(), reference.flatten()
    shape, jacobian = inputs.shape, torch.eye(before.numel(), dtype=torch.float64)
    for layer in model:

        def flat(values: Tensor, layer: Any = layer, shape: Any = shape) -> Tensor:
            answer: Tensor = layer(values.reshape(1, *shape)).flatten()
            return answer

        after, after_reference = flat(before), flat(at_reference)
        if isinstance(layer, nn.ReLU):
            apart = before != at_reference
            slopes = (after - after_reference) / (before - at_reference).where(apart, 1)
            step = torch.diag(torch.where(apart, slopes, (before > 0).double()))
        else:
            step = torch.autograd.functional.jacobian(flat, before)
        jacobian = step @ jacobian
        shape = layer(torch.zeros(1, *shape, dtype=torch.float64)).shape[1:]
        before, at_reference = after.detach(), after_reference.detach()
    return jacobian


def test_multipliers_are_those_of_a_slow_twin() -> None:
    layers = [nn.Conv1d(4, 6, 5), nn.BatchNorm1d(6), nn.ReLU(), nn.Conv1d(6, 3, 3), nn.ReLU()]
    model = toy.network(*layers).double().eval()
    inputs, references = tensors(model)
    multipliers = rescale(ExplainedView(model), inputs, TARGETS, references).multipliers
    for row, target in enumerate(TARGETS.tolist()):
        for count in range(5):
            of_logits = _twin(model.body, inputs[row].detach(), references[row, count])
            expected = of_logits[target] - of_logits[1 - target]
            torch.testing.assert_close(multipliers[row, count].flatten(), expected)


def test_captums_own_deeplift_is_wrong_where_relu_meets_max_pooling() -> None:
    """Why this module exists: two neighbours hook one tensor, and no warning says so."""
    model = MODELS["conv, batch norm, relu, max pool"]().double().eval()
    inputs, references = tensors(model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        answer, error = DeepLift(ExplainedView(model)).attribute(
            inputs, references[:, 0].contiguous(), target=TARGETS, return_convergence_delta=True
        )
    change = ExplainedView(model)(inputs) - ExplainedView(model)(references[:, 0])
    assert answer.isfinite().all()
    assert error.abs().max() > 0.05 * change.abs().max()
    assert is_complete(explained(model), within=1e-10)


def _explain(model: Any) -> Any:
    return explain(
        deeplift,
        model,
        CODES,
        TARGETS.numpy(),
        options={},
        seed=0,
        component="attribution",
        references=REFERENCES,
    )


def test_a_module_without_a_rule_is_refused_by_name() -> None:
    model = toy.network(nn.Conv1d(4, 6, 5), nn.LayerNorm(19))
    with pytest.raises(NotApplicable, match=r"deeplift has no rule for body\.1 \(LayerNorm\)"):
        _explain(model)
    assert not any(module._forward_pre_hooks for module in model.modules())


def test_batch_normalisation_by_the_batch_is_refused() -> None:
    model = toy.network(nn.Conv1d(4, 6, 5), nn.BatchNorm1d(6, track_running_stats=False))
    with pytest.raises(NotApplicable, match=r"no rule for body\.1 \(BatchNorm1d\)"):
        _explain(model)


def test_a_module_without_a_rule_that_never_runs_does_no_harm() -> None:
    model = toy.both()
    model.loss = nn.CrossEntropyLoss()
    assert _explain(model).completeness_error <= 1e-5


def test_a_function_that_no_rule_sees_is_caught_by_completeness() -> None:
    with pytest.raises(ValueError, match=r"deeplift promises .*functions outside of them: relu"):
        _explain(toy.Functional())


def test_a_model_that_shares_memory_in_place_is_caught_by_completeness() -> None:
    with pytest.raises(ValueError, match="deeplift promises"):
        _explain(toy.Aliased())


def test_no_module_is_both_linear_and_ruled() -> None:
    assert not LINEAR & RULES.keys()


def test_many_references_are_run_in_several_calls() -> None:
    model = toy.both().double()
    inputs, _ = tensors(model)
    references = model.encode(torch.from_numpy(toy.references(CODES, 200)).flatten(0, 1))
    references = references.reshape(3, 200, 4, toy.LENGTH)
    view = ExplainedView(model)
    largest = []
    view.register_forward_pre_hook(lambda _, arguments: largest.append(len(arguments[0])))
    multipliers, changes, outputs = rescale(view, inputs, TARGETS, references)
    assert multipliers.shape == references.shape
    assert changes.shape == outputs.shape == (3, 200)
    assert len(largest) == 3
    few = rescale(ExplainedView(model), inputs, TARGETS, references[:, 77:79])
    torch.testing.assert_close(few.multipliers, multipliers[:, 77:79])
    torch.testing.assert_close(few.changes, changes[:, 77:79])


def test_it_agrees_with_tangermeme_where_that_is_right() -> None:
    tangermeme = pytest.importorskip("tangermeme.deep_lift_shap")
    model = MODELS["conv, batch norm, relu, max pool"]().double().eval()
    inputs, references = tensors(model)
    known = slice(0, 2)  # tangermeme refuses N
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = tangermeme.deep_lift_shap(
            nn.Sequential(model, _Difference()),
            inputs[known].detach(),
            target=1,
            references=references[known],
            device="cpu",
        )
    ours = explained(model, torch.ones(3).long()).contributions[known]
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-12)


class _Difference(nn.Sequential):
    def forward(self, logits: Tensor) -> Tensor:
        return logits - logits.flip(1)
