"""The guards around a method: what it is given, what it may return, what it leaves behind."""

import copy
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
import toy
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from xaibench.attribution.deeplift import deeplift
from xaibench.attribution.gradient import saliency
from xaibench.attribution.integrated import integrated_gradients
from xaibench.attribution.layers import grad_cam
from xaibench.attribution.lrp import lrp
from xaibench.attribution.perturbation import in_silico_mutagenesis
from xaibench.dna.encoding import reverse_complement
from xaibench.errors import NotApplicable
from xaibench.explanation.method_call import (
    Explanation,
    asks_for,
    explain,
    on_both_strands,
    other_strands,
)
from xaibench.nn.layers import WeightedSum, one_hot
from xaibench.nn.restore import left_as_found
from xaibench.nn.trace import parts_of
from xaibench.nn.view import ExplainedView
from xaibench.protocols import method
from xaibench.shapes import Codes
from xaibench.values import Attribution

CODES = toy.sequences()
TARGETS = np.array([0, 1, 1])
DEFAULTS: dict[str, Any] = {"options": {}, "seed": 0, "component": "attribution"}


def centre(model, inputs, target):  # type: ignore[no-untyped-def]  # as a stranger writes it
    sites = inputs.shape[2]
    return -(torch.arange(sites) - sites / 2).abs().expand(len(inputs), sites)


def gradient(model: Any, inputs: Tensor, target: Tensor) -> Tensor:
    chosen = model(inputs).gather(1, target[:, None]).sum()
    return torch.autograd.grad(chosen, inputs)[0]


def test_one_hot_has_a_one_where_the_base_stands_and_nothing_for_n() -> None:
    codes = torch.tensor([[0, 3, 4], [2, 1, 1]], dtype=torch.uint8)
    slow = torch.zeros(2, 4, 3)
    for row, position in np.argwhere(codes.numpy() < 4):
        slow[row, int(codes[row, position]), position] = 1
    assert torch.equal(one_hot(codes), slow)
    assert one_hot(codes).dtype == torch.float32


def test_a_weighted_sum_is_the_product_summed_over_sites() -> None:
    weights, features = torch.rand(3, 7), torch.rand(3, 5, 7)
    expected = torch.einsum("ns,nds->nd", weights, features)
    torch.testing.assert_close(WeightedSum()(weights, features), expected)


def test_two_classes_are_explained_by_the_difference_of_their_logits() -> None:
    inputs = torch.tensor([[3.0, 1.0]]).unsqueeze(2)
    assert ExplainedView(nn.Flatten())(inputs).tolist() == [[2.0, -2.0]]


def test_a_single_output_is_explained_itself() -> None:
    inputs = torch.rand(2, 1, 1)
    assert torch.equal(ExplainedView(nn.Flatten())(inputs), inputs.flatten(1))


def test_a_model_without_attention_says_so() -> None:
    with pytest.raises(NotApplicable, match="the model has no attention"):
        ExplainedView(toy.saturating()).attention(torch.zeros(1, 4, toy.LENGTH))


def test_a_strangers_function_without_annotations_runs() -> None:
    explanation = explain(centre, toy.saturating(), CODES, TARGETS, **DEFAULTS)
    assert explanation.scores.shape == CODES.shape
    assert explanation.scores.dtype == np.float32
    assert explanation.forwards == explanation.backwards == 0
    assert np.isnan(explanation.completeness_error)


def test_contributions_are_summed_over_channels() -> None:
    explanation = explain(gradient, toy.saturating(), CODES, TARGETS, **DEFAULTS)
    model = toy.saturating()
    inputs = model.encode(torch.from_numpy(CODES)).requires_grad_()
    contributions = gradient(ExplainedView(model), inputs, torch.from_numpy(TARGETS))
    np.testing.assert_array_equal(explanation.scores, contributions.sum(1).numpy())


def test_rows_forward_and_backward_are_counted() -> None:
    explanation = explain(gradient, toy.both(), CODES, TARGETS, batch_size=2, **DEFAULTS)
    assert (explanation.forwards, explanation.backwards) == (3, 3)
    assert explanation.seconds > 0


def test_what_a_signature_asks_for_is_supplied_and_options_are_passed_on() -> None:
    seen: dict[str, Any] = {}

    def curious(  # type: ignore[no-untyped-def]
        model, inputs, target, *, codes, valid, references, generators, scale=1
    ) -> Tensor:
        seen.update(codes=codes, valid=valid, references=references, generators=generators)
        return scale * inputs

    model, references = toy.both(), toy.random_references(CODES)
    arguments = {**DEFAULTS, "options": {"scale": 3}}
    explanation = explain(curious, model, CODES, TARGETS, references=references, **arguments)
    assert explanation.scores.max() == 3
    assert torch.equal(seen["codes"], torch.from_numpy(CODES))
    assert torch.equal(seen["valid"], torch.from_numpy(CODES < 4))
    assert seen["references"].shape == (3, 5, 4, toy.LENGTH)
    alone = model.encode(torch.from_numpy(references[2]))
    assert torch.equal(seen["references"][2], alone)
    assert len({generator.random() for generator in seen["generators"]}) == 3


def test_generators_depend_on_the_sequence_and_not_on_its_batch() -> None:
    def drawn(model, inputs, target, *, generators) -> Tensor:  # type: ignore[no-untyped-def]
        return torch.tensor(np.stack([each.random(toy.LENGTH) for each in generators]))

    together = explain(drawn, toy.both(), CODES, TARGETS, **DEFAULTS).scores
    alone = explain(drawn, toy.both(), CODES[::-1], TARGETS, batch_size=1, **DEFAULTS).scores
    np.testing.assert_array_equal(together, alone[::-1])


def test_references_that_nobody_supplied_are_an_error() -> None:
    def wants(model, inputs, target, *, references) -> Tensor:  # type: ignore[no-untyped-def]
        raise AssertionError

    with pytest.raises(ValueError, match="references: wants asks for them, got None"):
        explain(wants, toy.both(), CODES, TARGETS, **DEFAULTS)


def test_only_keywords_are_asked_for() -> None:
    def positional(model, codes, target): ...  # type: ignore[no-untyped-def]

    assert not asks_for(positional, "codes")


def test_no_sequences_have_no_scores() -> None:
    explanation = explain(gradient, toy.both(), CODES[:0], TARGETS[:0], **DEFAULTS)
    assert explanation.scores.shape == (0, toy.LENGTH)


@pytest.mark.parametrize("answer", [torch.zeros(3, 22), torch.zeros(3, 4, 22), torch.zeros(69)])
def test_scores_of_another_shape_are_refused(answer: Tensor) -> None:
    wanted = r"expected scores \(3, 23\) or contributions \(3, channel, 23\), got"
    with pytest.raises(ValueError, match=wanted):
        explain(lambda *_: answer, toy.both(), CODES, TARGETS, **DEFAULTS)


def test_anything_but_a_tensor_is_refused() -> None:
    with pytest.raises(TypeError, match="expected a tensor or an Attribution, got ndarray"):
        explain(lambda *_: np.zeros((3, 23)), toy.both(), CODES, TARGETS, **DEFAULTS)


def test_scores_that_are_not_finite_are_refused_and_counted() -> None:
    def broken(model: Any, inputs: Tensor, target: Tensor) -> Tensor:
        scores = inputs.sum(1).detach()
        scores[0, :2] = torch.tensor([torch.nan, torch.inf])
        return scores

    with pytest.raises(ValueError, match="broken: 2 of 69 scores are not finite"):
        explain(broken, toy.both(), CODES, TARGETS, **DEFAULTS)


def _measured(errors: list[float], promised: float) -> Any:
    @method(completeness=promised)
    def measured(model: Any, inputs: Tensor, target: Tensor) -> Attribution:
        model(inputs.detach())
        size = len(inputs)
        error, change = torch.tensor(errors)[:size], torch.tensor([3.0, 4.0, 0.0])[:size]
        return Attribution(inputs, completeness_error=error, output_change=change)

    return measured


def test_the_completeness_error_is_the_largest_over_the_rms_change() -> None:
    explanation = explain(_measured([0.1, 0.5, 0.0], 1.0), toy.both(), CODES, TARGETS, **DEFAULTS)
    assert explanation.completeness_error == pytest.approx(0.5 / np.sqrt(25 / 3))


def test_a_broken_promise_of_completeness_is_refused_with_an_audit() -> None:
    method = _measured([0.1, 0.5, 0.0], 0.1)
    with pytest.raises(ValueError, match=r"within 0\.1 .* error is 0\.5, .* 2\.89.*relu x 1"):
        explain(method, toy.Functional(), CODES, TARGETS, **DEFAULTS)


def test_rounding_of_a_large_output_breaks_no_promise() -> None:
    method = _measured([1e-3, 0.0, 0.0], 1e-5)
    far, near = toy.both(), toy.both()
    torch.nn.init.constant_(far.body[-1].bias, 1000.0)
    explain(method, far, CODES, TARGETS, **DEFAULTS)
    with pytest.raises(ValueError, match="measured promises"):
        explain(method, near, CODES, TARGETS, **DEFAULTS)


def test_completeness_is_undefined_where_nothing_changes() -> None:
    @method(completeness=0.1)
    def still(model: Any, inputs: Tensor, target: Tensor) -> Attribution:
        return Attribution(inputs, None, torch.zeros(3), torch.zeros(3))

    assert np.isnan(explain(still, toy.both(), CODES, TARGETS, **DEFAULTS).completeness_error)


def test_the_audit_names_modules_and_the_functions_outside_of_them() -> None:
    assert parts_of(toy.Functional(), CODES[:1]) == (
        "Modules: Conv1d x 1, Linear x 1; functions outside of them: relu x 1, flatten x 1."
    )


def _state(model: nn.Module) -> list[Any]:
    modules = [
        (m.training, *(len(v) for k, v in vars(m).items() if k.endswith("_hooks")), *vars(m))
        for m in model.modules()
    ]
    return [modules, [(p.requires_grad, p.grad) for p in model.parameters()]]


def _used_model() -> Any:
    """Half in training, partly frozen, with a gradient and a hook of its own."""
    model = toy.MODELS["conv, batch norm, relu, max pool"]().train()
    model.body[1].eval()
    first, second, *_ = model.parameters()
    first.requires_grad_(False)
    second.grad = torch.ones_like(second)
    model.body[0].register_forward_hook(lambda *_: None)
    return model


def meddle(model: Any, inputs: Tensor, target: Tensor) -> Tensor:
    assert not any(module.training for module in model.classifier.modules())
    model.classifier.train()
    for parameter in model.parameters():
        parameter.requires_grad_(True)
    model.classifier.body[3].register_forward_hook(lambda *_: None)
    model.classifier.body[0]._forward_hooks.clear()
    model(inputs)[:, 0].sum().backward()
    return inputs


def fail(model: Any, inputs: Tensor, target: Tensor) -> Tensor:
    meddle(model, inputs, target)
    raise RuntimeError("on purpose")


def test_the_model_is_left_as_found() -> None:
    model = _used_model()
    before, gradient = _state(model), list(model.parameters())[1].grad
    with pytest.raises(ValueError, match=r"meddle changed .* buffers: .*running_mean"):
        explain(meddle, model, CODES, TARGETS, **DEFAULTS)
    assert _state(model) == before
    assert list(model.parameters())[1].grad is gradient
    assert torch.equal(gradient, torch.ones_like(gradient))


def test_the_model_is_left_as_found_when_the_method_raises() -> None:
    model = _used_model()
    before = _state(model)
    with pytest.raises(RuntimeError, match="on purpose"):
        explain(fail, model, CODES, TARGETS, **DEFAULTS)
    assert _state(model) == before


def test_left_as_found_nests() -> None:
    model = _used_model()
    with left_as_found(model):
        with left_as_found(model):
            model.train()
        assert not model.body[1].training


def test_a_method_that_changes_weights_is_refused_and_they_are_put_back() -> None:
    def meddling(model, inputs, target) -> Tensor:  # type: ignore[no-untyped-def]
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.mul_(0.5)
        return inputs

    model = toy.network(nn.Conv1d(4, 3, 5), nn.Flatten(), nn.LazyLinear(2))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(ValueError, match="meddling changed the model's weights or buffers"):
        explain(meddling, model, CODES, TARGETS, **DEFAULTS)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name])


def train_mode(model: Any) -> None:
    model.train()


def leave_hook(model: Any) -> None:
    model.classifier.body[0].register_forward_hook(lambda *_: None)


def want_gradients(model: Any) -> None:
    model.requires_grad_(True)


@pytest.mark.parametrize(
    ("leave", "message"),
    [
        (train_mode, "leaving left the model in training mode"),
        (leave_hook, "leaving left hooks on the model"),
        (want_gradients, "leaving left parameters of the model that want gradients"),
    ],
)
def test_a_method_that_leaves_something_behind_is_refused(leave: Any, message: str) -> None:
    def leaving(model, inputs, target) -> Tensor:  # type: ignore[no-untyped-def]
        leave(model)
        return inputs

    model = _used_model()
    before = _state(model)
    with pytest.raises(ValueError, match=message):
        explain(leaving, model, CODES, TARGETS, **DEFAULTS)
    assert _state(model) == before


def test_a_model_without_a_gradient_is_none_for_a_method_that_wants_one() -> None:
    class Counting(toy.Toy):
        def forward(self, inputs: Tensor) -> Tensor:
            return super().forward(inputs.detach())

    model = Counting(toy.both().body)
    with pytest.raises(NotApplicable, match="gradient needs a gradient, and the model gives none"):
        explain(gradient, model, CODES, TARGETS, **DEFAULTS)
    assert explain(centre, model, CODES, TARGETS, **DEFAULTS).scores.shape == CODES.shape


def test_a_model_that_overwrites_what_its_gradient_needs_is_none_for_such_a_method() -> None:
    class Overwriting(toy.Toy):
        def forward(self, inputs: Tensor) -> Tensor:
            features = self.body[0](inputs).sigmoid()
            features *= 2  # the gradient of a sigmoid is made of its output
            logits: Tensor = self.body[1:](features)
            return logits

    model = Overwriting(toy.network(nn.Conv1d(4, 6, 5)).body)
    for each in (gradient, saliency, grad_cam):
        with pytest.raises(
            NotApplicable, match="needs a gradient, and the model overwrites in place"
        ):
            explain(each, model, CODES, TARGETS, **DEFAULTS)


def test_both_strands_are_averaged_on_the_positions_of_the_sequence() -> None:
    weights = torch.arange(2 * 4 * toy.LENGTH, dtype=torch.float64).reshape(2, 4, -1).sin()
    model = toy.linear(weights)

    def observed(model: Any, inputs: Tensor, target: Tensor) -> Tensor:
        return inputs * gradient(model, inputs, target)

    def explained(codes: Codes, references: Codes | None) -> Explanation:
        assert references is not None
        return explain(observed, model, codes, TARGETS, **DEFAULTS)

    both = on_both_strands(explained, CODES, toy.random_references(CODES))
    one, other = (weights[TARGETS[0]] - weights[1 - TARGETS[0]]).numpy(), CODES[0]
    for position, base in enumerate(other):
        forward, backward = one[base, position], one[3 - base, toy.LENGTH - 1 - position]
        assert both.scores[0, position] == pytest.approx((forward + backward) / 2)
    assert (both.forwards, both.backwards) == (2 * len(CODES), 2 * len(CODES))


def test_the_references_of_the_other_strand_are_turned_one_by_one() -> None:
    references = toy.random_references(CODES)
    turned = other_strands(references)
    for row, column in np.ndindex(references.shape[:2]):
        alone = reverse_complement(references[row, column][None])[0]
        assert (turned[row, column] == alone).all()


def test_torchs_own_random_numbers_are_the_same_again_and_leave_no_trace() -> None:
    def drawing(model, inputs, target) -> Tensor:  # type: ignore[no-untyped-def]
        return torch.rand(inputs.shape[0], inputs.shape[2])

    model = toy.both()
    state = torch.random.get_rng_state()
    first = explain(drawing, model, CODES, TARGETS, **DEFAULTS).scores
    again = explain(drawing, model, CODES, TARGETS, **DEFAULTS).scores
    other = explain(drawing, model, CODES, TARGETS, **{**DEFAULTS, "seed": 9}).scores
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert torch.equal(torch.random.get_rng_state(), state)


def zero_data(model: Any) -> None:
    for parameter in model.parameters():
        parameter.data = torch.zeros_like(parameter)


def to_double(model: Any) -> None:
    model.double()


def swap(model: Any) -> None:
    model.classifier.body[2] = nn.GELU().eval()


@pytest.mark.parametrize(
    ("meddling", "message"),
    [
        (zero_data, "replacing changed the model's weights or buffers"),
        (to_double, "replacing put other parts into the model"),
        (swap, "replacing put other parts into the model"),
    ],
)
def test_what_a_method_replaces_is_put_back_and_refused(meddling: Any, message: str) -> None:
    def replacing(model, inputs, target) -> Tensor:  # type: ignore[no-untyped-def]
        meddling(model)
        return inputs

    model = _used_model()
    before, modules = _state(model), list(model.modules())
    weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(ValueError, match=message):
        explain(replacing, model, CODES, TARGETS, **DEFAULTS)
    assert _state(model) == before
    assert list(model.modules()) == modules
    for name, tensor in model.state_dict().items():
        assert tensor.dtype == weights[name].dtype
        assert torch.equal(tensor, weights[name])


def _in_half(kind: Any, dtype: torch.dtype) -> Any:
    """A model whose weights, and inputs where it has a hand in them, are narrow."""

    class Half(toy.Toy):
        def encode(self, codes: Tensor) -> Tensor:
            return super().encode(codes).to(dtype)

    return kind(Half, dtype)


def _plain(half: Any, dtype: torch.dtype) -> Any:
    return half(toy.MODELS["conv, batch norm, relu, max pool"]().body).to(dtype)


HALF = [torch.bfloat16, torch.float16]


@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize(
    "method", [deeplift, lrp, integrated_gradients, saliency, in_silico_mutagenesis, grad_cam]
)
def test_half_precision_is_explained_as_the_same_weights_in_single(
    method: Any, dtype: torch.dtype
) -> None:
    half = _in_half(_plain, dtype)
    single = toy.Toy(copy.deepcopy(half.body)).float()
    before = [(each.dtype, each.data_ptr(), each.clone()) for each in half.state_dict().values()]
    arguments = {**DEFAULTS, "references": toy.random_references(CODES)}
    answer = explain(method, half, CODES, TARGETS, **arguments)
    expected = explain(method, single, CODES, TARGETS, **arguments)
    np.testing.assert_array_equal(answer.scores, expected.scores)
    for each, (kind, place, values) in zip(half.state_dict().values(), before, strict=True):
        assert (each.dtype, each.data_ptr()) == (kind, place)
        assert torch.equal(each, values)


@pytest.mark.parametrize("dtype", HALF)
def test_what_no_rule_sees_is_refused_in_half_precision_too(dtype: torch.dtype) -> None:
    model = _calling(lambda y: y.cummax(2).values).to(dtype)
    arguments = {**DEFAULTS, "references": toy.random_references(CODES)}
    with pytest.raises(ValueError, match=r"deeplift promises .*functions outside of them: cummax"):
        explain(deeplift, model, CODES, TARGETS, **arguments)


UNRULED: dict[str, tuple[Any, Any, str]] = {
    "deeplift, a maximum": (deeplift, lambda y: y.cummax(2).values, "cummax"),
    "deeplift, a product in place": (deeplift, lambda y: (y * 1).mul_(y), "mul"),
    "deeplift, a norm": (deeplift, lambda y: y / y.norm(dim=1, keepdim=True), "linalgvectornorm"),
    "lrp, an activation": (lrp, torch.sigmoid, "sigmoid"),
    "lrp, a constant that is added": (lrp, lambda y: y + 1, "add"),
    "lrp, a product": (lrp, lambda y: y * y, "mul"),
}
"""A method, a function of what a convolution gives, and what the method has no rule for."""


@pytest.mark.parametrize("name", UNRULED)
def test_less_complete_than_promised_for_want_of_a_rule_is_not_applicable(name: str) -> None:
    method, function, names = UNRULED[name]
    model = _calling(function)
    arguments = {**DEFAULTS, "references": toy.random_references(CODES)}
    with pytest.raises(NotApplicable, match=rf"promises .* It has no rule for {names} there"):
        explain(method, model, CODES, TARGETS, **arguments)


class Calling(toy.Functional):
    """A function between a convolution and what classifies."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def forward(self, inputs: Tensor) -> Tensor:
        logits: Tensor = self.classify(self.function(self.body(inputs)).flatten(1))
        return logits


def _calling(function: Any) -> Any:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Calling(function).double()


@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad")  # it is run without
@pytest.mark.parametrize("reentrant", [True, False])
def test_what_is_computed_a_second_time_for_its_gradient_is_refused(reentrant: bool) -> None:
    again = partial(checkpoint, use_reentrant=reentrant)
    model = _calling(lambda y: y)
    model.forward = lambda inputs: model.classify(again(model.body, inputs).flatten(1))
    with pytest.raises(NotApplicable, match=r"lrp needs a gradient that torch\.utils\.checkpoint"):
        explain(lrp, model, CODES, TARGETS, **DEFAULTS)
    if reentrant:
        with pytest.raises(NotApplicable, match=r"gradients needs a gradient that torch\.utils"):
            explain(integrated_gradients, model, CODES, TARGETS, **DEFAULTS)


class Narrowing(toy.Toy):
    """Single precision in, half precision out."""

    def forward(self, inputs: Tensor) -> Tensor:
        return super().forward(inputs).bfloat16()


class Autocast(toy.Toy):
    def forward(self, inputs: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return super().forward(inputs)


@pytest.mark.parametrize("made", [Narrowing, Autocast])
@pytest.mark.parametrize("method", [deeplift, lrp, integrated_gradients])
def test_logits_in_half_precision_show_no_completeness(made: Any, method: Any) -> None:
    model = made(toy.network(nn.Conv1d(4, 6, 5), nn.ReLU()).body)
    with pytest.raises(
        NotApplicable, match=f"{method.__name__} .*logits in bfloat16 are too coarse"
    ):
        explain(method, model, CODES, TARGETS, references=toy.random_references(CODES), **DEFAULTS)
    for each in (gradient, in_silico_mutagenesis):
        assert np.isfinite(explain(each, model, CODES, TARGETS, **DEFAULTS).scores).all()


class Insisting(toy.Toy):
    def forward(self, inputs: Tensor) -> Tensor:
        return super().forward(inputs.half())


def test_a_model_that_insists_on_half_precision_is_named() -> None:
    model = Insisting(toy.network(nn.Conv1d(4, 6, 5)).body).half()
    with pytest.raises(
        NotApplicable, match="gradient: the weights are float16, and in float32, as"
    ):
        explain(gradient, model, CODES, TARGETS, **DEFAULTS)
    assert all(each.dtype == torch.float16 for each in model.parameters())


def test_on_both_strands_hypothetical_contributions_keep_to_the_scores():
    layers = (nn.Conv1d(4, 6, 5, padding=2), nn.ReLU(), nn.Flatten())
    model, codes = toy.network(*layers), toy.sequences(5)
    references = toy.random_references(codes, 3)
    how = {"options": {}, "seed": 0, "component": "deeplift"}

    def explained(codes, references):
        targets = np.ones(len(codes), np.int64)
        return explain(deeplift, model, codes, targets, references=references, **how)

    both = on_both_strands(explained, codes, references)
    at_bases = np.take_along_axis(both.hypothetical, np.minimum(codes, 3)[:, None], axis=1)[:, 0]
    known = codes < 4
    assert at_bases[known] == pytest.approx(both.scores[known], abs=1e-5)
