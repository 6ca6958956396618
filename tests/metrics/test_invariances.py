"""What the number of a metric must not depend on, of every metric that a plan can name.

Every metric is held to what its facts declare, on inputs made for what it looks at, and to what
holds for all: the company and the order of the sequences, and the scores of unknown bases.
"""

import inspect
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from importlib import import_module
from pkgutil import iter_modules
from typing import NamedTuple

import numpy as np
import pytest
import torch
import toy
from numpy.typing import NDArray

from xaibench import metrics
from xaibench.dna import replacement
from xaibench.errors import NotApplicable
from xaibench.nn import outputs as curves
from xaibench.nn.inference import logits
from xaibench.plugins.registry import available, load
from xaibench.protocols import MetricFacts, OfChange, OfEffects, Quantity, metric_facts
from xaibench.randomness import streams
from xaibench.shapes import Scores, Values
from xaibench.values import (
    NO_CLASS,
    Curves,
    Explained,
    N,
    Sequences,
    Subsets,
    Substitutions,
)

SEQUENCES, POSITIONS = 11, toy.LENGTH
FRACTIONS = (0.0, 0.01, 0.05, 0.1, 0.2, 0.5, 0.7, 1.0)

METRICS: dict[str, Callable[..., Values]] = {
    name: function
    for module in iter_modules(metrics.__path__, "xaibench.metrics.")
    for name, function in vars(import_module(module.name)).items()
    if inspect.isfunction(function) and hasattr(function, "facts")
}
METRICS |= {name: load("metrics", name).call for name in available("metrics")}


class Case(NamedTuple):
    """An explanation, and what a metric looks at beside it."""

    explained: Explained
    others: tuple[Explained, ...]  # what a change made
    substitutions: Substitutions
    subsets: Subsets


# Cases


def sequences() -> Sequences:
    """Different lengths, unknown bases, and motifs that speak for either class."""
    generator = np.random.default_rng(0)
    codes = generator.integers(4, size=(SEQUENCES, POSITIONS)).astype(np.uint8)
    codes[generator.random(codes.shape) < 0.05] = N
    labels = np.arange(SEQUENCES) % 2
    evidence = np.full(codes.shape, NO_CLASS, np.int8)
    for row in range(SEQUENCES):
        codes[row, POSITIONS - row % 4 :] = N
        evidence[row, row % 5 : row % 5 + 4] = labels[row]
        evidence[row, 12:15] = 1 - labels[row]
        codes[row, row % 5 + 1] = 2
    names = tuple(map(str, range(SEQUENCES)))
    return Sequences(codes, labels, names, ("a", "b"), evidence=evidence)


def explanations(of: Sequences, signed: bool) -> tuple[Explained, ...]:
    """An explanation and seven changed ones: grids of scores, with ties between positions and
    between maps, and hypothetical scores that are the scores at the observed bases."""
    generator = np.random.default_rng(1)
    first = generator.integers(-6 if signed else 1, 9, size=(SEQUENCES, 4, POSITIONS))
    observed = np.minimum(of.codes, 3)[:, None].astype(np.intp)
    made = []
    for draw in range(8):
        changed = first + draw * generator.integers(0, 2, size=first.shape)
        hypothetical = (changed / 4).astype(np.float32)
        scores = np.take_along_axis(hypothetical, observed, axis=1)[:, 0]
        made.append(Explained(of, scores, of.labels, signed, hypothetical))
    return tuple(made)


def with_substitution(of: Explained, draw: int) -> Explained:
    """The same map of sequences with another base at one known position."""
    codes = of.sequences.codes.copy()
    places = [np.flatnonzero(row < N)[draw] for row in codes]
    rows = np.arange(len(codes))
    codes[rows, places] = (codes[rows, places] + 1 + draw % 3) % 4
    return replace(of, sequences=replace(of.sequences, codes=codes))


def effects(of: Sequences) -> tuple[Substitutions, Subsets]:
    """Drops at random: what a model loses has nothing to do with the scale of a map."""
    generator = np.random.default_rng(2)
    drops = generator.normal(size=(*of.codes.shape, 4))
    np.put_along_axis(drops, np.minimum(of.codes, 3)[..., None].astype(np.intp), 0, axis=2)
    shares = np.repeat([0.2, 0.5], [7, 5])
    order = generator.random((len(shares), *of.codes.shape)) + ~of.valid
    counts = np.floor(shares[:, None] * of.valid.sum(1) + 0.5)
    sets = order.argsort(-1).argsort(-1) < counts[..., None]
    lost = generator.normal(size=(len(shares), len(of)))
    return Substitutions(np.where(of.valid[..., None], drops, np.nan)), Subsets(shares, sets, lost)


def case_of(facts: MetricFacts, signed: bool) -> Case:
    of = sequences()
    first, *others = explanations(of, signed)
    if facts.kind in (OfChange("substitutions"), OfChange("hamming_ball")):
        others = [with_substitution(each, draw) for draw, each in enumerate(others)]
    return Case(first, tuple(others), *effects(of))


def every_map(case: Case, change: Callable[[Explained], Explained]) -> Case:
    """The case with every explanation changed alike."""
    others = tuple(change(each) for each in case.others)
    return case._replace(explained=change(case.explained), others=others)


def taken(case: Case, rows: NDArray[np.intp]) -> Case:
    """The case of these sequences, in their order."""

    def of(each: Explained) -> Explained:
        assert each.hypothetical is not None
        return Explained(
            each.sequences.take(rows),
            each.scores[rows],
            each.targets[rows],
            each.signed,
            each.hypothetical[rows],
        )

    subsets = case.subsets
    return every_map(case, of)._replace(
        substitutions=Substitutions(case.substitutions.drops[rows]),
        subsets=Subsets(subsets.fractions, subsets.replaced[:, rows], subsets.drops[:, rows]),
    )


# Values


def curves_of(explained: Explained, quantity: Quantity) -> Curves:
    """The curves of a linear model: the scores come in through the order alone."""
    codes, valid = explained.sequences.codes, explained.sequences.valid
    weights = torch.arange(8 * POSITIONS, dtype=torch.float64).sin().reshape(2, 4, POSITIONS)
    model = toy.linear(weights)
    donor = np.where(valid, (codes + 1) % 4, codes).astype(np.uint8)
    steps = replacement.replacement_counts(FRACTIONS, valid)
    ends = (logits(model, codes), logits(model, donor))
    targets, labels = ends[0].argmax(axis=1), explained.sequences.labels
    lines = []
    for order in (replacement.MORF, replacement.LERF):
        ties = streams(0, "ties", codes)
        ranked = replacement.replacement_ranks(explained.scores, valid, ties, order=order)
        outputs = curves.curve(model, codes, donor, ranked, steps, ends)
        lines.append(curves.quantity(quantity, outputs, targets, labels))
    return Curves(np.asarray(FRACTIONS), *lines)


def of_curves(metric: Callable[..., Values], case: Case) -> Values:
    """The values of all quantities, one column each."""
    quantities = metric_facts(metric).kind.quantities
    return np.stack([metric(curves_of(case.explained, each)) for each in quantities], axis=1)


def of_effects(metric: Callable[..., Values], case: Case) -> Values:
    single = metric_facts(metric).kind == OfEffects("substitutions")
    return metric(case.explained, case.substitutions if single else case.subsets)


VALUES: dict[str, Callable[[Callable[..., Values], Case], Values]] = {
    "explanation": lambda metric, case: metric(case.explained),
    "change": lambda metric, case: metric(case.explained, case.others),
    "curves": of_curves,
    "effects": of_effects,
}
"""How a metric is called, by what it looks at."""


def values(metric: Callable[..., Values], case: Case) -> Values:
    """The values of a metric; what does not apply may say so of maps without a sign alone."""
    try:
        return VALUES[metric_facts(metric).kind.of](metric, case)
    except NotApplicable as reason:
        if case.explained.signed:
            raise
        pytest.skip(str(reason))


# Changes of a map


def rescored(of: Explained, change: Callable[[Scores], Scores]) -> Explained:
    assert of.hypothetical is not None
    return replace(of, scores=change(of.scores), hypothetical=change(of.hypothetical))


CHANGES: dict[str, list[Callable[[Scores], Scores]]] = {
    # both exact in float32 on the grid of scores; beside the second any epsilon is large
    "scale": [lambda scores: scores * np.float32(3.5), lambda scores: scores * np.float32(2**-40)],
    # strictly rising, bent, and nothing stays what it was: not zero, not the sign
    "monotone": [lambda scores: np.exp(scores / 2) - np.float32(1.3)],
}
"""What facts may declare, and how it is tried."""


def louder_unknown(of: Explained) -> Explained:
    """Other scores where no base is known in the intact sequence."""
    assert of.hypothetical is not None
    known, loud = of.sequences.valid, np.float32(99)
    scores = np.where(known, of.scores, loud)
    hypothetical = np.where(known[:, None], of.hypothetical, loud)
    return replace(of, scores=scores, hypothetical=hypothetical)


DECLARED = [
    pytest.param(name, change, id=f"{name}-{change}")
    for name, metric in METRICS.items()
    for change in metric_facts(metric).invariant
]
signs = pytest.mark.parametrize("signed", [True, False], ids=["signed", "unsigned"])
every_metric = pytest.mark.parametrize("name", METRICS)


@signs
@pytest.mark.parametrize(("name", "change"), DECLARED)
def test_a_metric_does_not_depend_on_what_it_says(name: str, change: str, signed: bool) -> None:
    metric = METRICS[name]
    case = case_of(metric_facts(metric), signed)
    expected = values(metric, case)
    for rescaled in CHANGES[change]:
        found = values(metric, every_map(case, partial(rescored, change=rescaled)))
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


@signs
@every_metric
def test_a_value_does_not_depend_on_the_other_sequences(name: str, signed: bool) -> None:
    metric = METRICS[name]
    case = case_of(metric_facts(metric), signed)
    together = values(metric, case)
    order = np.random.default_rng(3).permutation(SEQUENCES)
    mixed = values(metric, taken(case, order))
    alone = [values(metric, taken(case, np.array([row]))) for row in range(SEQUENCES)]
    # the outputs of a model are float32: their last bit may depend on how many there are
    np.testing.assert_allclose(mixed, together[order], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(np.concatenate(alone), together, rtol=1e-6, atol=1e-6)


@signs
@every_metric
def test_scores_of_unknown_bases_do_not_count(name: str, signed: bool) -> None:
    metric = METRICS[name]
    case = case_of(metric_facts(metric), signed)
    loud = every_map(case, louder_unknown)
    np.testing.assert_array_equal(values(metric, loud), values(metric, case))


@signs
@every_metric
def test_values_lie_in_the_range_of_the_metric_and_some_are_defined(
    name: str, signed: bool
) -> None:
    metric = METRICS[name]
    found = values(metric, case_of(metric_facts(metric), signed))
    assert found.dtype == np.float64
    assert not np.isnan(found).all()
    low, high = metric_facts(metric).range
    assert low <= np.nanmin(found)
    assert np.nanmax(found) <= high


def test_what_a_strictly_rising_change_leaves_a_factor_leaves_too() -> None:
    for name, metric in METRICS.items():
        invariant = metric_facts(metric).invariant
        assert "monotone" not in invariant or "scale" in invariant, name


def test_every_kind_of_metric_is_here() -> None:
    assert {metric_facts(metric).kind.of for metric in METRICS.values()} == set(VALUES)
    assert {"scale", "monotone"} == set(CHANGES)
