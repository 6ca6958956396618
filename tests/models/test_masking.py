import numpy as np
import pytest
import torch
from pydantic import ValidationError

from xaibench.attribution.gradient import saliency
from xaibench.errors import UsageError
from xaibench.models.attngen import AttnGen
from xaibench.models.cnn import CNN
from xaibench.models.masking import (
    NONE,
    POLICIES,
    Masking,
    checked_masking,
    lowest,
    masked_codes,
    masked_positions,
)
from xaibench.nn.view import ExplainedView
from xaibench.plugins.options import resolve
from xaibench.plugins.registry import Plugin
from xaibench.plugins.signatures import typed
from xaibench.values import N

VALID = np.array([[True] * 8, [True] * 5 + [False] * 3])
WEIGHTS = np.array([[8, 1, 7, 2, 6, 3, 5, 4], [5, 1, 4, 2, 3, 0, 0, 0]], np.float32)
SIZES = {"classes": 3, "length": 31, "filters": (5, 6), "kernels": (7, 3)}
LABELS = np.array([0, 2, 1, 1])


def codes():
    drawn = np.random.default_rng(1).integers(4, size=(4, 31)).astype(np.uint8)
    drawn[2, [4, 29, 30]] = N
    return drawn


def hidden(policy, *, epoch=2, ratio=0.25, draw=0, model=None, **options):
    """The mask of a network with seeded weights."""
    torch.manual_seed(0)
    return masked_positions(
        Masking(policy=policy, **options),
        model or AttnGen(**SIZES),
        codes(),
        LABELS,
        epoch=epoch,
        ratio=ratio,
        generator=np.random.default_rng(draw),
    )


def attention():
    torch.manual_seed(0)
    model = AttnGen(**SIZES).eval()
    with torch.no_grad():
        return model.attention(model.encode(torch.from_numpy(codes()))).numpy()


def gradient():
    torch.manual_seed(0)
    view = ExplainedView(AttnGen(**SIZES).eval())
    inputs = view.classifier.encode(torch.from_numpy(codes())).requires_grad_()
    return saliency(view, inputs, torch.from_numpy(LABELS)).numpy()


# How much


def test_nothing_is_masked_in_the_warm_up_and_the_whole_ratio_after_the_ramp():
    masking = Masking(ratio=0.3, warm_up=1, ramp=2)
    assert [masking.ratio_at(epoch) for epoch in range(4)] == [0.0, 0.15, 0.3, 0.3]


def test_a_cosine_starts_and_ends_slowly_and_a_step_is_taken_in_the_middle():
    def along(shape):
        masking = Masking(ratio=0.4, warm_up=1, ramp=4, shape=shape)
        return [masking.ratio_at(epoch) for epoch in range(7)]

    assert along("linear") == pytest.approx([0, 0.1, 0.2, 0.3, 0.4, 0.4, 0.4])
    half = 0.5**0.5
    cosine = [0, 0.2 * (1 - half), 0.2, 0.2 * (1 + half), 0.4, 0.4, 0.4]
    assert along("cosine") == pytest.approx(cosine)
    assert along("step") == [0, 0, 0, 0.4, 0.4, 0.4, 0.4]


@pytest.mark.parametrize(
    ("losses", "ratios"),
    [
        ([0.7, 0.6, 0.5, 0.4], [0, 0.1, 0.2, 0.2, 0.2]),  # falling: up to the ratio
        ([0.7, 0.8, 0.9, 1.0], [0, 0.1, 0, 0, 0]),  # rising: back to nothing
        ([0.7, 0.6, 0.6, 0.9], [0, 0.1, 0.2, 0.2, 0.1]),  # level is not rising
    ],
)
def test_an_adaptive_ratio_follows_the_validation_loss(losses, ratios):
    masking = Masking(ratio=0.2, warm_up=1, ramp=2, shape="adaptive")
    history = []
    for epoch, loss in enumerate([*losses, 0.0]):
        history.append({"mask_ratio": masking.ratio_at(epoch, history), "validation_loss": loss})
    assert [row["mask_ratio"] for row in history] == pytest.approx(ratios)


def test_a_masking_of_ratio_0_never_masks():
    assert Masking(ratio=0.0, shape="step").ratio_at(9) == 0
    assert Masking(ratio=0.0, shape="adaptive").ratio_at(9) == 0
    assert NONE.ratio_at(9) == 0


# Which


def test_the_lowest_of_the_valid_positions_are_masked_rounded_half_up():
    masked = lowest(WEIGHTS, VALID, 0.3, np.random.default_rng(0))
    assert np.flatnonzero(masked[0]).tolist() == [1, 3]
    assert np.flatnonzero(masked[1]).tolist() == [1, 3]
    half = lowest(WEIGHTS, VALID, 0.5, np.random.default_rng(0))
    assert half.sum(axis=1).tolist() == [4, 3]


def test_ties_are_masked_at_random():
    weights = np.ones((3000, 6), np.float32)
    masked = lowest(weights, weights > 0, 0.5, np.random.default_rng(0))
    assert (masked.sum(axis=1) == 3).all()
    # standard error of a share of one half of 3,000: 0.009
    assert np.abs(masked.mean(axis=0) - 0.5).max() < 0.05


@pytest.mark.parametrize("policy", sorted(set(POLICIES) - {"none"}))
def test_every_policy_masks_its_share_of_the_valid_positions(policy):
    masked = hidden(policy)
    # a quarter of 31 and of 28, rounded half up
    assert masked.sum(axis=1).tolist() == [8, 8, 7, 8]
    assert not masked[codes() == N].any()


@pytest.mark.parametrize(
    ("policy", "weights", "sign"),
    [
        ("low_attention", attention, 1),
        ("high_attention", attention, -1),
        ("low_gradient", gradient, 1),
    ],
)
def test_a_policy_hides_one_end_of_its_order(policy, weights, sign):
    ordered, masked, valid = sign * weights(), hidden(policy), codes() < N
    for row in range(4):
        shown = ordered[row, valid[row] & ~masked[row]]
        assert ordered[row, masked[row]].max() <= shown.min()


def test_alternate_hides_the_highest_gradients_first_and_the_lowest_in_the_next_epoch():
    lows, highs = hidden("low_gradient"), hidden("alternate", epoch=2)
    assert (hidden("alternate", epoch=3) == lows).all()
    assert (hidden("alternate", epoch=4) == highs).all()
    assert not (highs & lows).any()
    sizes = gradient()
    for row in range(4):
        assert sizes[row, highs[row]].min() >= sizes[row, (codes()[row] < N) & ~highs[row]].max()


def test_random_masks_depend_on_the_generator_and_on_nothing_else():
    other = CNN(**SIZES)
    assert (hidden("random") == hidden("random", model=other)).all()
    assert (hidden("random") != hidden("random", draw=1)).any()


@pytest.mark.parametrize("policy", ["low_attention", "low_gradient"])
def test_the_model_is_looked_at_in_evaluation_mode_and_left_as_it_was(policy):
    model = AttnGen(**SIZES, dropout=0.9).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    first, again = (hidden(policy, model=model, draw=draw) for draw in (3, 4))
    assert (first == again).all()
    assert all(module.training for module in model.modules())
    assert all(p.requires_grad and p.grad is None for p in model.parameters())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


# By what


def test_a_masked_position_becomes_unknown_or_any_base():
    intact = np.zeros((2000, 3), np.uint8)
    masked = np.broadcast_to([True, False, True], intact.shape)
    unknown = masked_codes(Masking(), intact, masked, np.random.default_rng(0))
    assert (unknown == np.where(masked, N, 0)).all()
    drawn = masked_codes(Masking(replacement="uniform"), intact, masked, np.random.default_rng(0))
    assert (drawn[:, 1] == 0).all()
    shares = np.bincount(drawn[:, [0, 2]].ravel(), minlength=4) / 4000
    # standard error of a share of a quarter of 4,000: 0.007
    assert np.abs(shares - 0.25).max() < 0.035


# As options


def plugin(model):
    return Plugin("models", "own", model, "")


def test_a_plan_may_name_a_policy_alone_and_its_defaults_are_filled_in():
    resolved = resolve(plugin(CNN), {"masking": "low_gradient"}, where="models.own")
    masking = resolved["masking"]
    assert (masking["policy"], masking["replacement"]) == ("low_gradient", "uniform")
    assert (masking["intact_loss"], masking["masked_loss"], masking["consistency_loss"]) == (
        1,
        0,
        1,
    )
    assert resolve(plugin(CNN), resolved, where="models.own") == resolved
    assert typed(plugin(CNN), resolved)["masking"] == Masking(policy="low_gradient")


def test_what_a_plan_says_goes_before_the_defaults_of_the_policy():
    given = {"masking": {"policy": "low_gradient", "replacement": "n", "masked_loss": 0.5}}
    masking = typed(plugin(CNN), resolve(plugin(CNN), given, where="models.own"))["masking"]
    assert (masking.replacement, masking.masked_loss, masking.intact_loss) == ("n", 0.5, 1)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("lowest", r"masking\.policy: input should be 'none', .*got 'lowest'"),
        ({"ratio": 1.0}, r"masking\.ratio: input should be less than 1, got 1\.0"),
        ({"ratios": 0.1}, r"masking: unknown key 'ratios'"),
        (
            {"policy": "none", "ratio": 0.1},
            "expected another policy than none, or ratio 0, got 0.1",
        ),
        ({"masked_loss": 0.0}, "expected intact_loss or masked_loss above 0"),
    ],
)
def test_a_masking_that_cannot_be_is_rejected_in_one_line(given, message):
    with pytest.raises(UsageError, match=message):
        resolve(plugin(AttnGen), {"masking": given}, where="models.own")


def test_a_masking_does_not_change():
    with pytest.raises(ValidationError, match="frozen"):
        Masking().ratio = 0.2


@pytest.mark.parametrize("policy", ["low_attention", "high_attention"])
def test_a_model_without_attention_cannot_be_masked_by_it(policy):
    with pytest.raises(UsageError, match=f"masking: {policy} needs .* CNN takes none, random, "):
        CNN(**SIZES, masking=Masking(policy=policy))


@pytest.mark.parametrize("policy", sorted(POLICIES))
def test_a_model_with_attention_takes_every_policy(policy):
    masking = Masking(policy=policy)
    assert checked_masking(masking, AttnGen(**SIZES)) is masking
