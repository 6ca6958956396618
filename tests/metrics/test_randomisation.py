"""Explanations by a model and by models that lost what it had learnt."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import ArrayLike
from scipy.stats import spearmanr
from toy import MODELS, sequences

from xaibench.errors import NotApplicable
from xaibench.metrics.randomisation import (
    cascading_randomisation,
    independent_randomisation,
    random_label_similarity,
)
from xaibench.nn.reinitialise import layers, reinitialised
from xaibench.protocols import OfChange
from xaibench.values import Explained, Sequences

METRICS = [cascading_randomisation, independent_randomisation, random_label_similarity]
CODES = np.where(np.random.default_rng(0).random((13, 19)) < 0.75, 1, 4).astype(np.uint8)


def explained(
    scores: ArrayLike, codes: ArrayLike | None = None, hypothetical: ArrayLike | None = None
) -> Explained:
    scores = np.atleast_2d(np.asarray(scores, np.float32))
    codes = np.zeros(scores.shape, np.uint8) if codes is None else np.asarray(codes, np.uint8)
    labels = np.zeros(len(scores), np.int64)
    named = Sequences(codes, labels, tuple(map(str, range(len(scores)))), ("a", "b"))
    maps = None if hypothetical is None else np.asarray(hypothetical, np.float32)
    return Explained(named, scores, labels, signed=True, hypothetical=maps)


def maps(count: int, *, hypothetical: bool) -> list[Explained]:
    """Maps with ties of 13 sequences of 19 positions, some unknown."""
    generator = np.random.default_rng(5)
    return [
        explained(
            generator.integers(-3, 4, CODES.shape),
            CODES,
            generator.integers(-3, 4, (13, 4, 19)) if hypothetical else None,
        )
        for _ in range(count)
    ]


def slow_similarity(first: Explained, others: list[Explained], absolute: bool) -> list[float]:
    size = np.abs if absolute else np.asarray
    means = []
    for n, valid in enumerate(first.sequences.valid):
        rhos = []
        for each in others:
            pair = [first.scores[n, valid], each.scores[n, valid]]
            if first.hypothetical is not None and each.hypothetical is not None:
                pair = [of.hypothetical[n, :, valid].ravel() for of in (first, each)]
            rhos.append(spearmanr(size(pair[0]), size(pair[1]))[0])
        means.append(float(np.mean(rhos)))
    return means


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("hypothetical", [False, True])
@pytest.mark.parametrize("absolute", [False, True])
def test_similarity_is_the_mean_spearman_of_scipy(metric, hypothetical, absolute) -> None:
    trained, *randomised = maps(4, hypothetical=hypothetical)
    expected = slow_similarity(trained, randomised, absolute)
    found = metric(trained, randomised, absolute=absolute)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("metric", METRICS)
def test_without_hypothetical_scores_of_both_the_scores_are_compared(metric) -> None:
    trained, randomised = maps(2, hypothetical=True)
    bare = [replace(each, hypothetical=None) for each in (trained, randomised)]
    expected = metric(bare[0], (bare[1],))
    np.testing.assert_array_equal(metric(trained, (bare[1],)), expected)
    np.testing.assert_array_equal(metric(bare[0], (randomised,)), expected)


@pytest.mark.parametrize("metric", METRICS)
def test_a_method_that_ignores_the_weights_is_caught_before_the_input_hides_it(metric) -> None:
    """Scores by the input alone stay the same; what the weights say of all bases does not."""
    codes = np.array([[0, 1, 2, 3, 0, 1, 2]])
    trained = explained([range(7)], codes, [[[5, 1, 2, 3, 4, 6, 0]] * 4])
    turned = explained([range(7)], codes, [[[-5, -1, -2, -3, -4, -6, 0]] * 4])
    np.testing.assert_allclose(metric(trained, (trained, trained)), [1.0], rtol=1e-12)
    np.testing.assert_allclose(metric(trained, (turned,)), [-1.0], rtol=1e-12)


@pytest.mark.parametrize("metric", METRICS)
def test_signs_that_turn_cancel_and_absolute_scores_show_it(metric) -> None:
    trained = explained([[3, -1, 2, 9, -8, 0, -4]])
    turned = explained(-trained.scores)
    np.testing.assert_allclose(metric(trained, (trained, turned)), [0.0], atol=1e-12)
    found = metric(trained, (trained, turned), absolute=True)
    np.testing.assert_allclose(found, [1.0], rtol=1e-12)


@pytest.mark.parametrize("metric", METRICS)
def test_similarity_with_a_constant_map_is_undefined(metric) -> None:
    trained, flat = explained([range(7), range(7)]), explained([[2] * 7, range(7)])
    assert np.isnan(metric(trained, (trained, flat))).tolist() == [True, False]


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("hypothetical", [False, True])
def test_unknown_positions_do_not_count(metric, hypothetical) -> None:
    trained, randomised = maps(2, hypothetical=hypothetical)
    known = trained.sequences.valid
    loud = replace(trained, scores=np.where(known, trained.scores, 1e6).astype(np.float32))
    if hypothetical:
        every = np.where(known[:, None], trained.hypothetical, 1e6).astype(np.float32)
        loud = replace(loud, hypothetical=every)
    np.testing.assert_array_equal(metric(loud, (randomised,)), metric(trained, (randomised,)))


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("bend", [lambda s: 8 * s, lambda s: 3 * np.exp(s) + 5])
def test_similarity_depends_on_ranks_alone_as_the_facts_say(metric, bend) -> None:
    trained, *randomised = maps(4, hypothetical=True)
    bent = [
        replace(each, scores=bend(each.scores), hypothetical=bend(each.hypothetical))
        for each in (trained, *randomised)
    ]
    np.testing.assert_allclose(metric(bent[0], bent[1:]), metric(trained, randomised), rtol=1e-12)
    assert metric.facts.invariant == ("scale", "monotone")


@pytest.mark.parametrize("metric", METRICS)
def test_similarity_of_a_sequence_does_not_depend_on_its_company(metric) -> None:
    trained, *randomised = maps(4, hypothetical=True)
    rows = np.array([7, 2, 11])
    part = [
        explained(each.scores[rows], CODES[rows], each.hypothetical[rows])
        for each in (trained, *randomised)
    ]
    np.testing.assert_array_equal(metric(part[0], part[1:]), metric(trained, randomised)[rows])


@pytest.mark.parametrize("metric", METRICS)
def test_randomisation_needs_a_randomised_model(metric) -> None:
    with pytest.raises(NotApplicable, match="no randomised model gave an explanation"):
        metric(explained([range(7)]), ())


@pytest.mark.parametrize(
    ("metric", "change"),
    [*zip(METRICS, ["cascading", "independent", "random_labels"], strict=True)],
)
def test_facts_name_the_change_and_that_lower_is_better(metric, change) -> None:
    facts = metric.facts
    assert (facts.family, facts.kind) == ("randomisation", OfChange(change))
    assert (facts.better, facts.target, facts.range) == ("lower", "predicted", (-1.0, 1.0))


def gradients(model, codes) -> Explained:
    """What the weights say of every base: the gradient of the difference of the logits."""
    inputs = model.eval().encode(torch.from_numpy(codes)).requires_grad_()
    logits = model(inputs)
    (slopes,) = torch.autograd.grad((logits[:, 1] - logits[:, 0]).sum(), inputs)
    return explained((slopes * inputs).sum(1).detach(), codes, slopes)


def test_gradients_of_a_network_without_its_weights_are_others_and_a_constant_map_is_not() -> None:
    codes = sequences(5)
    model = MODELS["conv, batch norm, relu, max pool"]()
    trained = gradients(model, codes)
    generators = (np.random.default_rng(seed) for seed in range(6))
    randomised = [
        gradients(reinitialised(model, layers(model), generator), codes) for generator in generators
    ]
    assert cascading_randomisation(trained, randomised).max() < 0.5
    prior = explained(np.tile(np.arange(23), (5, 1)), codes)
    np.testing.assert_allclose(cascading_randomisation(prior, (prior,) * 6), 1.0, rtol=1e-12)


def test_of_a_linear_model_it_is_the_correlation_of_the_weights() -> None:
    codes = sequences(5)[:4]  # all their bases are known
    model = MODELS["saturating"]()
    model.body[1].bias.data.fill_(100)  # every unit is active: the model is linear
    fresh = reinitialised(model, ["body.1"], np.random.default_rng(0))
    fresh.body[1].bias.data.fill_(100)
    old, new = (of.body[1].weight.detach().ravel() for of in (model, fresh))
    found = independent_randomisation(gradients(model, codes), (gradients(fresh, codes),))
    np.testing.assert_allclose(found, spearmanr(old, new)[0], rtol=1e-6)


def test_a_new_output_of_a_one_motif_model_turns_maps_at_most_around() -> None:
    codes = sequences(5)[:1]  # the motif is in the first
    model = MODELS["motif count"]()
    trained = gradients(model, codes)
    generators = map(np.random.default_rng, range(8))
    new = [gradients(reinitialised(model, ["classify"], each), codes) for each in generators]
    found = [independent_randomisation(trained, (each,))[0] for each in new]
    assert {round(value, 12) for value in found} == {-1.0, 1.0}
    shapes = independent_randomisation(trained, new, absolute=True)
    np.testing.assert_allclose(shapes, 1.0, rtol=1e-12)
