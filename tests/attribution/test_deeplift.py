"""DeepLIFT: known answers, exactness, refusal, and a slow twin."""

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
import toy
from captum.attr import DeepLift
from torch import Tensor, nn
from toy import MODELS

from xaibench.attribution.deeplift import deeplift, rescale
from xaibench.attribution.deeplift_rules import DEEPLIFT_RULES, LINEAR, secant
from xaibench.errors import NotApplicable
from xaibench.explanation.method_call import explain
from xaibench.nn.layers import MatrixProduct, WeightedSum
from xaibench.nn.view import ExplainedView
from xaibench.protocols import method
from xaibench.values import Attribution

CODES = toy.sequences()
REFERENCES = toy.random_references(CODES)
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


# WeightedSum is in the attention pool.
LAYERS: dict[str, Callable[[], nn.Module]] = {
    **{kind.__name__: kind for kind, rule in DEEPLIFT_RULES.items() if rule is secant},
    "ReLU in place": partial(nn.ReLU, inplace=True),
    "SiLU in place": partial(nn.SiLU, inplace=True),
    "PReLU, a slope a feature": partial(nn.PReLU, 6),
    "max pool": partial(nn.MaxPool1d, 4),
    "overlapping max pool": partial(nn.MaxPool1d, 5, stride=2, padding=2, dilation=2),
    "adaptive max pool": partial(nn.AdaptiveMaxPool1d, 4),
    "average pool": partial(nn.AvgPool1d, 4, stride=3, padding=1),
    "adaptive average pool": partial(nn.AdaptiveAvgPool1d, 4),
    "softmax over features": partial(nn.Softmax, dim=1),
    "softmax over sites": partial(nn.Softmax, dim=-1),
    "softmax of two axes": partial(nn.Softmax, dim=-2),
    "log softmax over features": partial(nn.LogSoftmax, dim=1),
    "log softmax over sites": partial(nn.LogSoftmax, dim=-1),
    "gates over features": partial(nn.GLU, dim=1),
    "gates over sites": lambda: nn.Sequential(nn.ConstantPad1d((0, 1), 0.5), nn.GLU()),
    "max pool of two axes": lambda: nn.Sequential(
        nn.Unflatten(1, (2, 3)), nn.MaxPool2d((2, 5), stride=(1, 2), padding=(1, 2))
    ),
    "adaptive max pool of two axes": lambda: nn.Sequential(
        nn.Unflatten(1, (2, 3)), nn.AdaptiveMaxPool2d((2, 4))
    ),
    "convolution of two axes": lambda: nn.Sequential(
        *(nn.Unflatten(1, (2, 3)), nn.Conv2d(2, 3, (2, 5)), nn.BatchNorm2d(3), nn.ELU()),
        *(nn.ZeroPad2d(1), nn.AvgPool2d(2), nn.AdaptiveAvgPool2d((1, 5))),
    ),
    "RMS norm of sites": partial(nn.RMSNorm, 19),
    "RMS norm of everything": partial(nn.RMSNorm, (6, 19), eps=0.3),
    "RMS norm without weights": partial(nn.RMSNorm, 19, elementwise_affine=False),
    "layer norm of sites": partial(nn.LayerNorm, 19),
    "layer norm of everything": partial(nn.LayerNorm, (6, 19)),
    "layer norm without weights": partial(nn.LayerNorm, 19, elementwise_affine=False),
}


def layered(name: str) -> toy.Toy:
    """A layer of the table behind another nonlinear one."""
    model = toy.network(nn.Conv1d(4, 6, 5), nn.Tanh(), LAYERS[name]())
    layer = model.body[2]
    if isinstance(layer, nn.LayerNorm | nn.RMSNorm) and layer.elementwise_affine:
        with torch.no_grad():
            layer.weight.copy_(
                torch.arange(1.0, 1 + layer.weight.numel()).sin().view_as(layer.weight)
            )
    return model


def test_every_rule_is_in_the_table() -> None:
    elsewhere = {WeightedSum, MatrixProduct}
    tried = {type(module) for layer in LAYERS.values() for module in layer().modules()}
    assert tried >= DEEPLIFT_RULES.keys() - elsewhere


@pytest.mark.parametrize("name", LAYERS)
def test_every_rule_is_exact(name: str) -> None:
    assert is_complete(explained(layered(name).double()), within=1e-10)
    assert is_complete(explained(layered(name).float()), within=1e-5)


class SelfProduct(toy.Toy):
    """Sites matched with sites, as queries with keys."""

    def __init__(self) -> None:
        super().__init__(nn.Sequential(nn.Conv1d(4, 6, 5), nn.Tanh()))
        self.match, self.softmax, self.mix = MatrixProduct(), nn.Softmax(dim=-1), MatrixProduct()
        self.classify = nn.Sequential(nn.Flatten(), nn.LazyLinear(2))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        features = self.body(inputs)
        weights = self.softmax(self.match(features.transpose(1, 2), features))
        logits: torch.Tensor = self.classify(self.mix(features, weights.transpose(1, 2)))
        return logits


def test_the_rule_of_matrix_products_is_exact() -> None:
    model = SelfProduct()
    model(model.encode(torch.zeros(1, toy.LENGTH, dtype=torch.uint8)))  # shapes of the last layer
    assert is_complete(explained(model.double()), within=1e-10)


@pytest.mark.parametrize("name", LAYERS)
def test_no_rule_depends_on_the_batch(name: str) -> None:
    model = layered(name).double().eval()
    inputs, references = tensors(model)
    together = rescale(ExplainedView(model), inputs, TARGETS, references)
    alone = rescale(ExplainedView(model), inputs[[1]], TARGETS[[1]], references[[1], 2:3])
    for part, whole in zip(alone, together, strict=True):
        torch.testing.assert_close(part[0, 0], whole[1, 2], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", MODELS)
def test_answers_do_not_depend_on_the_batch(name: str) -> None:
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


def test_a_site_that_is_the_same_in_both_gets_what_it_wins_in_the_input() -> None:
    """Of C T and C A, worth 1 0 and 1 2: the first site wins in the input alone."""
    model = toy.network(nn.Conv1d(4, 1, 1, bias=False), nn.AdaptiveMaxPool1d(1)).double()
    worth = torch.tensor([2.0, 1.0, 5.0, 0.0], dtype=torch.float64)
    with torch.no_grad():
        model.body[0].weight.copy_(worth.reshape(1, 4, 1))
        model.body[-1].weight.copy_(torch.tensor([[0.0], [1.0]]))
    inputs = model.encode(torch.tensor([[1, 3]], dtype=torch.uint8))
    references = model.encode(torch.tensor([[1, 0]], dtype=torch.uint8)).unsqueeze(1)
    answer = rescale(ExplainedView(model), inputs, torch.tensor([1]), references)
    expected = torch.stack([worth, worth / 2], dim=1)  # half of the way from 2 to 0
    torch.testing.assert_close(answer.multipliers[0, 0], expected)


def test_layer_norm_of_two_features_is_a_function_of_their_difference() -> None:
    """With weights 1 and 0, it is ``half / sqrt(half^2 + eps)`` of half their difference."""
    norm = nn.LayerNorm(2, eps=0.5).double()
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([1.0, 0.0]))
    model = toy.Toy(nn.Sequential(nn.Flatten(), norm, nn.ZeroPad1d((1, 0)))).double()
    inputs, reference = torch.tensor([[[3.0], [1.0]], [[0.25], [-1.0]]], dtype=torch.float64)
    answer = rescale(
        ExplainedView(model), inputs.unsqueeze(0), torch.tensor([1]), reference.reshape(1, 1, 2, 1)
    )
    half, before = 1.0, 0.625
    slope = (half / np.sqrt(half**2 + 0.5) - before / np.sqrt(before**2 + 0.5)) / (half - before)
    assert answer.multipliers.flatten().tolist() == pytest.approx([slope / 2, -slope / 2])


class Folded(toy.Toy):
    """Works on every site apart, folded into the batch axis."""

    def __init__(self) -> None:
        super().__init__(nn.Sequential(nn.Linear(4, 5), nn.GELU(), nn.Linear(5, 1)))
        self.softmax, self.classify = nn.Softmax(dim=1), nn.Linear(toy.LENGTH, 2)

    def forward(self, inputs: Tensor) -> Tensor:
        sites = inputs.transpose(1, 2)
        energy = self.body(sites.flatten(0, 1)).unflatten(0, sites.shape[:2])
        logits: Tensor = self.classify(self.softmax(energy).flatten(1))
        return logits


def test_sites_may_be_folded_into_the_batch_axis() -> None:
    torch.manual_seed(0)
    assert is_complete(explained(Folded().double()), within=1e-10)


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


@method(completeness=1e-4)
def raw_deeplift(model: Any, inputs: Tensor, target: Tensor, *, references: Tensor) -> Attribution:
    """Captum's own, with its own measure of the error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it sets hooks
        contributions, error = DeepLift(model).attribute(
            inputs, references[:, 0].contiguous(), target=target, return_convergence_delta=True
        )
        change = (model(inputs) - model(references[:, 0])).gather(1, target.unsqueeze(1))
    return Attribution(
        contributions.detach(),
        completeness_error=error.detach().abs(),
        output_change=change.detach().abs()[:, 0],
    )


def test_the_guard_catches_captums_own_deeplift_where_relu_meets_max_pooling() -> None:
    with pytest.raises(ValueError, match="raw_deeplift promises contributions that sum to"):
        _explain(MODELS["conv, batch norm, relu, max pool"](), raw_deeplift)
    apart = toy.network(nn.Conv1d(4, 6, 5), nn.ReLU(), nn.Conv1d(6, 8, 3), nn.MaxPool1d(4))
    assert _explain(apart, raw_deeplift).completeness_error <= 1e-5


def _explain(model: Any, method: Any = deeplift) -> Any:
    return explain(
        method,
        model,
        CODES,
        TARGETS.numpy(),
        options={},
        seed=0,
        component="attribution",
        references=REFERENCES,
    )


def test_a_module_without_a_rule_is_rejected_by_name() -> None:
    model = toy.network(nn.Conv1d(4, 6, 5), nn.GroupNorm(2, 6))
    with pytest.raises(NotApplicable, match=r"deeplift has no rule for body\.1 \(GroupNorm\)"):
        _explain(model)
    assert not any(module._forward_pre_hooks for module in model.modules())


def test_batch_normalisation_by_the_batch_is_rejected() -> None:
    model = toy.network(nn.Conv1d(4, 6, 5), nn.BatchNorm1d(6, track_running_stats=False))
    with pytest.raises(NotApplicable, match=r"no rule for body\.1 \(BatchNorm1d\)"):
        _explain(model)


def test_a_module_without_a_rule_that_never_runs_does_no_harm() -> None:
    model = toy.both()
    model.loss = nn.CrossEntropyLoss()
    assert _explain(model).completeness_error <= 1e-5


class CumulativeMaxima(toy.Functional):
    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.classify(self.body(inputs).cummax(2).values.flatten(1))


def test_a_function_without_a_rule_is_caught_by_completeness() -> None:
    with pytest.raises(ValueError, match=r"deeplift promises .*functions outside of them: cummax"):
        _explain(CumulativeMaxima())


def test_a_model_that_shares_memory_in_place_is_caught_by_completeness() -> None:
    with pytest.raises(ValueError, match="deeplift promises"):
        _explain(toy.Aliased())


@pytest.mark.parametrize("name", [*MODELS, "aliased"])
def test_changes_are_those_of_the_model_without_rules(name: str) -> None:
    model = ({**MODELS, "aliased": toy.Aliased}[name]()).double().eval()
    inputs, references = tensors(model)
    view = ExplainedView(model)
    with torch.no_grad():
        at_references = torch.stack([view(each) for each in references])
        expected = (view(inputs).unsqueeze(1) - at_references)[range(3), :, TARGETS]
    answer = rescale(view, inputs, TARGETS, references)
    torch.testing.assert_close(answer.changes, expected)


def test_no_module_is_both_linear_and_ruled() -> None:
    assert not LINEAR & DEEPLIFT_RULES.keys()


def test_a_sequence_is_run_once_for_all_its_references() -> None:
    model = toy.both().double()
    inputs, references = tensors(model)
    view = ExplainedView(model)
    rescale(view, inputs, TARGETS, references)
    assert (view.forwards, view.backwards) == (3 * (1 + 5), 3 * (1 + 5))


def sizes(view: ExplainedView) -> list[int]:
    """Of the calls that are to come."""
    rows: list[int] = []
    view.register_forward_pre_hook(lambda _, arguments: rows.append(len(arguments[0])))
    return rows


def test_many_references_are_run_in_several_calls() -> None:
    model = toy.both().double()
    inputs, _ = tensors(model)
    references = model.encode(torch.from_numpy(toy.random_references(CODES, 600)).flatten(0, 1))
    references = references.reshape(3, 600, 4, toy.LENGTH)
    view = ExplainedView(model)
    calls = sizes(view)
    multipliers, changes = rescale(view, inputs, TARGETS, references)
    assert multipliers.shape == references.shape
    assert changes.shape == (3, 600)
    assert calls == [512, 1 + 89] * 3
    few = rescale(ExplainedView(model), inputs, TARGETS, references[:, 509:513])
    torch.testing.assert_close(few.multipliers, multipliers[:, 509:513])
    torch.testing.assert_close(few.changes, changes[:, 509:513])


def test_long_sequences_are_run_in_several_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xaibench.nn.inference.POSITIONS", 2 * 6 * toy.LENGTH)
    model = toy.both().double()
    view = ExplainedView(model)
    calls = sizes(view)
    rescale(view, tensors(model)[0], TARGETS, tensors(model)[1])
    assert calls == [2 * 6, 6]


POOLED = "conv, batch norm, relu, max pool"
# Not softmax: their split between its numerator and its denominator is another one, and exact too.
THEIRS = ["ELU", "GELU", "Softshrink", "max pool", "overlapping max pool", "max pool of two axes"]
THEIRS += ["gates over features", "RMS norm of sites", "RMS norm without weights"]
THEIRS += [name for name in LAYERS if name.startswith("layer norm")]


@pytest.mark.parametrize("name", [POOLED, *THEIRS])
def test_hypothetical_scores_are_those_of_tangermeme(name: str) -> None:
    """They show multipliers also where nothing changes: there both take the gradient at the
    input."""
    tangermeme = pytest.importorskip("tangermeme.deep_lift_shap")
    model = (MODELS[name]() if name == POOLED else layered(name)).double().eval()
    inputs, references = tensors(model)
    known = slice(0, 2)  # tangermeme refuses N
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = tangermeme.deep_lift_shap(
            nn.Sequential(model, _Difference()),
            inputs[known].detach(),
            target=1,
            references=references[known],
            hypothetical=True,
            device="cpu",
        )
    ours = explained(model, torch.ones(3).long()).hypothetical
    assert ours is not None
    torch.testing.assert_close(ours[known], theirs, rtol=1e-9, atol=1e-12)


class _Difference(nn.Sequential):
    def forward(self, logits: Tensor) -> Tensor:
        return logits - logits.flip(1)


@pytest.mark.parametrize("distance", [0.5, 8.0, 30.0, 88.0])
@pytest.mark.parametrize(("dtype", "limit"), [(torch.float64, 1e-10), (torch.float32, 1e-5)])
def test_attention_is_explained_however_far_its_logits_come_apart(
    distance: float, dtype: torch.dtype, limit: float
) -> None:
    model = toy.AttentionPool(weights=(distance, 0, 0.3, 0.1)).to(dtype)
    codes = np.full((2, toy.LENGTH), 3, np.uint8)
    codes[:, ::3], codes[:, 1::3] = 1, 2
    references = codes[:, None].repeat(4, axis=1)
    codes[:, 7] = 0  # a base that the references do not have draws all attention
    explained = explain(
        deeplift,
        model,
        codes,
        np.array([0, 1]),
        options={},
        seed=0,
        component="attribution",
        references=references,
    )
    assert explained.completeness_error <= limit
