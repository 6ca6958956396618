"""In silico mutagenesis and occlusion: known answers, slow twins, tangermeme and Captum."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import toy
from captum.attr import FeatureAblation, Occlusion
from torch import Tensor
from toy import MODELS

from xaibench.attribution.gradient import corrected_gradient, input_x_gradient
from xaibench.attribution.perturbation import in_silico_mutagenesis, occlusion
from xaibench.errors import NotApplicable
from xaibench.explanation.method_call import explain
from xaibench.nn.view import ExplainedView
from xaibench.shapes import Codes

ROUNDING = {"rtol": 0, "atol": 1e-12}
"""Of a few sums in double precision."""

CODES = toy.sequences()
TARGETS = torch.tensor([0, 1, 1])
KNOWN = torch.from_numpy(CODES < 4)
METHODS: dict[str, Callable[..., Any]] = {
    "in_silico_mutagenesis": in_silico_mutagenesis,
    "occlusion": occlusion,
}


def inputs_of(model: Any, codes: Codes = CODES) -> Tensor:
    encoded: Tensor = model.encode(torch.from_numpy(codes))
    return encoded.requires_grad_()


def linear() -> tuple[Any, Tensor]:
    """A linear model, and the gradient ``(N, 4, L)`` of what is explained for TARGETS."""
    generator = torch.Generator().manual_seed(0)
    weights = torch.randn(2, 4, toy.LENGTH, generator=generator, dtype=torch.float64)
    return toy.linear(weights), weights[TARGETS] - weights[1 - TARGETS]


def hypothetical(model: Any, codes: Codes = CODES, target: Tensor = TARGETS) -> Tensor:
    view = ExplainedView(model.eval())
    answer: Tensor = in_silico_mutagenesis(view, inputs_of(model, codes), target).hypothetical
    return answer


def occluded(model: Any, codes: Codes = CODES, target: Tensor = TARGETS, **options: Any) -> Tensor:
    return occlusion(ExplainedView(model.eval()), inputs_of(model, codes), target, **options)


def test_mutagenesis_of_a_linear_model_is_its_corrected_gradient_where_bases_are_known() -> None:
    model, weights = linear()
    answer = in_silico_mutagenesis(ExplainedView(model), inputs_of(model), TARGETS)
    expected = corrected_gradient(weights) * KNOWN.unsqueeze(1)
    torch.testing.assert_close(answer.hypothetical, expected, **ROUNDING)
    by_gradient = input_x_gradient(ExplainedView(model), inputs_of(model), TARGETS)
    torch.testing.assert_close(answer.contributions, by_gradient.detach(), **ROUNDING)


def test_a_base_that_all_substitutions_of_destroy_has_three_fourths_of_the_loss() -> None:
    codes = CODES[[1]]  # with an A at position 1 and a C at position 4: the logit is 1
    expected = torch.zeros(1, 4, toy.LENGTH, dtype=torch.float64)
    expected[0, :, [1, 4]] = -0.25
    expected[0, 0, 1] = expected[0, 1, 4] = 0.75
    answer = hypothetical(toy.both().double(), codes, torch.tensor([1]))
    torch.testing.assert_close(answer, expected, **ROUNDING)
    torch.testing.assert_close(
        hypothetical(toy.both().double(), codes, torch.tensor([0])), -expected, **ROUNDING
    )


def test_mutagenesis_misses_a_saturated_motif() -> None:
    assert (CODES == 0).sum(1).min() >= 2
    assert hypothetical(toy.saturating().double()).abs().max() == 0


@pytest.mark.parametrize("name", MODELS)
def test_mutagenesis_is_what_substituting_letters_one_at_a_time_gives(name: str) -> None:
    model = MODELS[name]().double()
    torch.testing.assert_close(hypothetical(model), letter_by_letter(model), **ROUNDING)


def letter_by_letter(model: Any) -> Tensor:
    """The slow twin: every substitution made in the letters, and run alone."""
    changes = torch.zeros(*CODES.shape, 4, dtype=torch.float64)
    for row, position in zip(*np.nonzero(CODES < 4), strict=True):
        for base in range(4):
            changes[row, position, base] = margin(model, row, position, base)
    return (changes - changes.mean(2, keepdim=True)).transpose(1, 2)


@torch.no_grad()
def margin(model: Any, row: int, position: int, base: int) -> Tensor:
    """By how much a substitution raises the logit of the target over the other's."""
    pair = CODES[[row, row]]
    pair[1, position] = base
    before, after = model.eval()(model.encode(torch.from_numpy(pair)))
    change: Tensor = (after - before)[TARGETS[row]] - (after - before)[1 - TARGETS[row]]
    return change


def test_mutagenesis_is_that_of_tangermeme_but_for_unknown_positions() -> None:
    tangermeme = pytest.importorskip("tangermeme.saturation_mutagenesis")
    model = MODELS["conv, batch norm, relu, max pool"]().double()
    inputs = inputs_of(model).detach()
    of_class = torch.stack(
        [
            tangermeme.saturation_mutagenesis(
                model, inputs, target=each, hypothetical=True, fast=False, device="cpu"
            )
            for each in range(2)
        ]
    )
    rows = torch.arange(3)
    theirs = of_class[TARGETS, rows] - of_class[1 - TARGETS, rows]
    torch.testing.assert_close(hypothetical(model), theirs * KNOWN.unsqueeze(1), **ROUNDING)
    assert theirs[2, :, 5].abs().max() > 0.01  # they put bases where ours keeps the N


@pytest.mark.parametrize("window", [1, 4, 23])
@pytest.mark.parametrize("fill", ["mean", "zero"])
def test_occlusion_of_a_linear_model_is_a_mean_of_means_of_weights(window: int, fill: Any) -> None:
    model, weights = linear()
    weights = corrected_gradient(weights) if fill == "mean" else weights
    losses = (weights * inputs_of(model).detach()).sum(1)
    answer = occluded(model, window=window, fill=fill)
    torch.testing.assert_close(answer, sliding(losses, window, 1), **ROUNDING)


@pytest.mark.parametrize("stride", [2, 3, 4, 5])
def test_with_a_stride_the_last_window_still_reaches_the_end(stride: int) -> None:
    model, weights = linear()
    losses = (corrected_gradient(weights) * inputs_of(model).detach()).sum(1)
    answer = occluded(model, window=5, stride=stride)
    torch.testing.assert_close(answer, sliding(losses, 5, stride), **ROUNDING)
    assert (answer[KNOWN] != 0).all()


def sliding(losses: Tensor, window: int, stride: int) -> Tensor:
    """The slow twin: the loss of each position alone ``(N, L)`` -> the mean over the windows that
    cover it of their mean loss."""
    scores = torch.zeros_like(losses)
    for row, known in enumerate(KNOWN.numpy()):
        first, end = np.flatnonzero(known)[[0, -1]] + [0, 1]
        width = min(window, end - first)
        windows = [range(start, start + width) for start in range(first, end - width + 1, stride)]
        if windows[-1].stop < end:
            windows.append(range(end - width, end))
        windows = [each for each in windows if known[each].any()]
        means = [losses[row, each][known[each]].mean() for each in windows]
        for position in np.flatnonzero(known):
            covering = [m for m, each in zip(means, windows, strict=True) if position in each]
            scores[row, position] = np.mean(covering)
    return scores


@pytest.mark.parametrize("fill", ["mean", "zero"])
def test_a_window_of_one_is_input_x_gradient_on_a_linear_model(fill: Any) -> None:
    model, _ = linear()
    view, inputs = ExplainedView(model), inputs_of(model)
    expected = input_x_gradient(view, inputs, TARGETS, correct=fill == "mean").sum(1).detach()
    torch.testing.assert_close(occluded(model, window=1, fill=fill), expected, **ROUNDING)


@pytest.mark.parametrize(("fill", "baseline"), [("mean", 0.25), ("zero", 0.0)])
@pytest.mark.parametrize("name", MODELS)
def test_a_window_of_one_is_feature_ablation_by_captum(
    name: str, fill: Any, baseline: float
) -> None:
    model = MODELS[name]().double().eval()
    positions = torch.arange(toy.LENGTH).expand(1, 4, -1)
    theirs = FeatureAblation(ExplainedView(model)).attribute(
        inputs_of(model).detach(), baselines=baseline, target=TARGETS, feature_mask=positions
    )
    answer = occluded(model, window=1, fill=fill)
    torch.testing.assert_close(answer[KNOWN], theirs[:, 0][KNOWN], **ROUNDING)


@pytest.mark.parametrize(("window", "stride"), [(7, 1), (5, 2)])
def test_occlusion_is_that_of_captum_over_the_window_where_windows_end_with_the_sequence(
    window: int, stride: int
) -> None:
    model = MODELS["conv, batch norm, relu, max pool"]().double().eval()
    inputs = inputs_of(model, CODES[:2]).detach()  # without N
    theirs = Occlusion(ExplainedView(model)).attribute(
        inputs, (4, window), (1, stride), baselines=0.25, target=TARGETS[:2]
    )
    answer = occluded(model, CODES[:2], TARGETS[:2], window=window, stride=stride)
    single = {"rtol": 1e-5, "atol": 1e-6, "check_dtype": False}  # in which Captum averages
    torch.testing.assert_close(answer * window, theirs[:, 0], **single)


def test_one_window_over_all_shares_the_whole_change_of_the_output() -> None:
    model = MODELS["tanh, gelu, average pool"]().double().eval()
    view, inputs = ExplainedView(model), inputs_of(model)
    hidden = torch.full_like(inputs, 0.25) * KNOWN.unsqueeze(1)
    loss = (view(inputs) - view(hidden))[torch.arange(3), TARGETS].detach()
    expected = KNOWN * (loss / KNOWN.sum(1)).unsqueeze(1)
    torch.testing.assert_close(occluded(model, window=toy.LENGTH), expected, **ROUNDING)


def test_padding_does_not_move_the_windows() -> None:
    model = toy.motif_count().double()
    padding = np.full((3, 6), 4, np.uint8)
    padded = np.concatenate([padding[:, :2], CODES, padding], axis=1)
    options = {"window": 5, "stride": 3}
    answer = occluded(model, padded, **options)
    torch.testing.assert_close(answer[:, 2:-6], occluded(model, **options), rtol=0, atol=0)


def test_occlusion_of_the_reversed_sequence_is_reversed() -> None:
    forwards, backwards = toy.motif_count((1, 0, 2)).double(), toy.motif_count((2, 0, 1)).double()
    answer = occluded(backwards, CODES[:, ::-1].copy(), window=4)
    torch.testing.assert_close(answer.flip(1), occluded(forwards, window=4), **ROUNDING)


def test_a_window_within_unknown_bases_hides_nothing() -> None:
    codes = CODES.copy()
    codes[:, 6:14] = 4
    model, weights = linear()
    answer = occluded(model, codes, window=3)
    assert (answer[:, 6:14] == 0).all()
    loss = (corrected_gradient(weights) * inputs_of(model).detach()).sum(1)
    torch.testing.assert_close(answer[:, 0], loss[:, :3].mean(1), **ROUNDING)


def test_a_sequence_shorter_than_the_window_is_hidden_at_once() -> None:
    codes = np.full((1, toy.LENGTH), 4, np.uint8)
    codes[0, [3, 5]] = 0, 2
    model, weights = linear()
    loss = (corrected_gradient(weights)[0, 0, 3] + corrected_gradient(weights)[0, 2, 5]) / 2
    expected = torch.zeros(1, toy.LENGTH, dtype=torch.float64)
    expected[0, [3, 5]] = loss
    torch.testing.assert_close(occluded(model, codes, TARGETS[:1]), expected, **ROUNDING)


@pytest.mark.parametrize("name", METHODS)
def test_what_is_unknown_has_exactly_nothing(name: str) -> None:
    model = toy.AttentionPool().double()
    assert (scores(METHODS[name], model)[CODES == 4] == 0).all()
    nothing = np.full_like(CODES, 4)
    assert (scores(METHODS[name], model, codes=nothing) == 0).all()
    assert hypothetical(model)[2, :, 5].abs().max() == 0


def scores(
    method: Any,
    model: Any,
    *,
    codes: Codes = CODES,
    targets: Tensor = TARGETS,
    batch_size: int = 64,
) -> Any:
    settings: dict[str, Any] = {"options": {}, "seed": 0, "component": "attribution"}
    settings["batch_size"] = batch_size
    return explain(method, model, codes, targets.numpy(), **settings).scores


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("name", METHODS)
def test_other_sequences_of_a_batch_do_not_change_a_bit(name: str, model: str) -> None:
    classifier = MODELS[model]()
    together = scores(METHODS[name], classifier)
    for size in (1, 2):
        alone = scores(METHODS[name], classifier, batch_size=size)
        np.testing.assert_array_equal(alone, together)
    turned = scores(METHODS[name], classifier, codes=CODES[::-1], targets=TARGETS.flip(0))
    np.testing.assert_array_equal(turned[::-1], together)


@pytest.mark.parametrize("name", METHODS)
def test_nothing_is_saved_for_gradients(name: str) -> None:
    model = MODELS["reused relu"]().train()
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    scores(METHODS[name], model)
    assert all(module.training for module in model.modules())
    assert all(p.requires_grad and p.grad is None for p in model.parameters())
    assert all(torch.equal(tensor, before[key]) for key, tensor in model.state_dict().items())
    inputs = inputs_of(model)
    answer = METHODS[name](ExplainedView(model.eval()), inputs, TARGETS)
    for each in [answer] if isinstance(answer, Tensor) else [*answer[:2]]:
        assert not each.requires_grad
    torch.testing.assert_close(inputs.detach(), model.encode(torch.from_numpy(CODES)))


def test_mutagenesis_runs_the_sequence_once_and_every_substitution_once() -> None:
    view = ExplainedView(linear()[0])
    in_silico_mutagenesis(view, inputs_of(view.classifier), TARGETS)
    assert view.forwards == (1 + 3 * KNOWN.sum(1)).sum()
    assert view.backwards == 0


def test_occlusion_runs_the_sequence_once_and_every_window_once() -> None:
    view = ExplainedView(linear()[0])
    occlusion(view, inputs_of(view.classifier), TARGETS, window=7, stride=5)
    # starts 0, 5, 10, 15 and 16 in 23 positions; 0, 5, 10 and 14 in the 21 before padding
    assert view.forwards == 6 + 6 + 5


@pytest.mark.parametrize(("length", "largest"), [(200, 163), (toy.LENGTH, 70), (4000, 8)])
def test_calls_of_the_model_have_the_size_that_was_measured_to_be_fast(
    length: int, largest: int
) -> None:
    calls: list[int] = []
    codes = toy.sequences(2, length)[:1]
    codes[:, 300:] = 4
    view = ExplainedView(toy.motif_count().eval())
    view.register_forward_pre_hook(lambda module, arguments: calls.append(len(arguments[0])))
    in_silico_mutagenesis(view, inputs_of(view.classifier, codes), torch.tensor([1]))
    assert max(calls) <= largest
    assert max(calls) - min(calls) <= 1
    assert sum(calls) == 1 + 3 * (codes < 4).sum()


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize(
    "inputs",
    [torch.eye(5).repeat(1, 1, 2), torch.full((1, 4, 9), 0.25), torch.ones(1, 4, 9)],
    ids=["five channels", "shares", "two bases at once"],
)
def test_sites_that_are_not_nucleotides_are_rejected(name: str, inputs: Tensor) -> None:
    with pytest.raises(NotApplicable, match="one-hot of four bases"):
        METHODS[name](ExplainedView(toy.motif_count()), inputs, TARGETS[:1])


def test_a_stride_that_skips_positions_is_rejected() -> None:
    with pytest.raises(ValueError, match="at most the window of 4, got 5"):
        occluded(toy.both(), window=4, stride=5)


def test_a_window_longer_than_the_sequences_is_rejected() -> None:
    with pytest.raises(NotApplicable, match="at most the 23 positions of a sequence, got 24"):
        occluded(toy.both(), window=24)
