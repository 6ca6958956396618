"""Where instances stand: uniform over all arrangements, and summed over all of them."""

from collections import Counter
from itertools import combinations, permutations

import numpy as np
import pytest
from scipy.stats import chisquare

from xaibench.data.synthetic.placement import (
    Grammar,
    arrangements,
    misplace,
    place,
    summed,
    weighed_by,
    windowed,
)
from xaibench.errors import UsageError

MOTIFS = 2
WIDTHS = (2, 3, 1, 2)  # two motifs and their decoys
LENGTH = 13


def every_arrangement(content, widths=WIDTHS, length=LENGTH):
    """All (kinds, starts) of instances that do not overlap."""
    kinds = [kind for kind, count in enumerate(content) for _ in range(count)]
    for order in sorted(set(permutations(kinds))):
        room = length - sum(widths[kind] for kind in order)
        for bars in combinations(range(room + len(order)), len(order)):
            used = np.concatenate([[0], np.cumsum([widths[kind] for kind in order])])[:-1]
            starts = [bar - n + int(used[n]) for n, bar in enumerate(bars)]
            yield order, tuple(starts)


def gaps_of(order, starts, widths=WIDTHS):
    ends = [start + widths[kind] for kind, start in zip(order, starts, strict=True)]
    return [start - end for start, end in zip(starts[1:], ends[:-1], strict=True)]


def admitted(order, starts, grammar):
    high = np.inf if grammar.high is None else grammar.high
    atoms = [kind % MOTIFS for kind in order]
    in_order = not grammar.ordered or atoms == sorted(atoms)
    return in_order and all(grammar.low <= gap <= high for gap in gaps_of(order, starts))


def kept_by_motifs(order, starts, grammar):
    """Motifs in order, and two neighbouring motifs at the right distance."""
    high = np.inf if grammar.high is None else grammar.high
    motifs = [kind for kind in order if kind < MOTIFS]
    near = [
        grammar.low <= gap <= high
        for first, second, gap in zip(order, order[1:], gaps_of(order, starts), strict=False)
        if first < MOTIFS and second < MOTIFS
    ]
    return all(near) and (not grammar.ordered or motifs == sorted(motifs))


GRAMMARS = [
    Grammar(MOTIFS),
    Grammar(MOTIFS, ordered=True),
    Grammar(MOTIFS, low=1, high=2),
    Grammar(MOTIFS, ordered=True, low=1),
    Grammar(MOTIFS, ordered=True, low=0, high=1),
    Grammar(MOTIFS, low=2, high=100),
]
CONTENTS = [(1, 0, 0, 0), (2, 0, 0, 0), (1, 1, 0, 0), (1, 1, 1, 0), (2, 0, 1, 1), (1, 0, 0, 2)]


def assert_uniform(placed, expected):
    found = Counter(zip(map(tuple, placed.kinds), map(tuple, placed.starts), strict=True))
    assert set(found) <= set(expected)
    assert chisquare([found[each] for each in expected]).pvalue > 1e-3


@pytest.mark.parametrize("content", CONTENTS)
@pytest.mark.parametrize("grammar", GRAMMARS)
def test_places_are_uniform_over_all_that_the_grammar_admits(content, grammar):
    expected = [each for each in every_arrangement(content) if admitted(*each, grammar)]
    generator = np.random.default_rng(0)
    size = {"widths": WIDTHS, "length": LENGTH, "generator": generator}
    assert_uniform(place(content, 40 * len(expected), grammar, **size), expected)


@pytest.mark.parametrize("content", [(1, 1, 0, 0), (2, 0, 0, 0), (1, 1, 1, 0), (2, 1, 0, 0)])
@pytest.mark.parametrize("grammar", [GRAMMARS[2], GRAMMARS[4]])
def test_what_is_misplaced_is_uniform_over_all_whose_motifs_break_the_grammar(content, grammar):
    every = every_arrangement(content)
    expected = [each for each in every if not kept_by_motifs(*each, grammar)]
    generator = np.random.default_rng(1)
    size = {"widths": WIDTHS, "length": LENGTH, "generator": generator}
    assert_uniform(misplace(content, 40 * len(expected), grammar, **size), expected)


def test_an_empty_content_has_no_instances():
    size = {"widths": WIDTHS, "length": LENGTH, "generator": np.random.default_rng(0)}
    assert place((0, 0, 0, 0), 3, GRAMMARS[0], **size).kinds.shape == (3, 0)


def test_what_can_hardly_be_misplaced_is_refused():
    grammar = Grammar(MOTIFS, low=0, high=194)
    size = {"widths": WIDTHS, "length": 200, "generator": np.random.default_rng(0)}
    with pytest.raises(UsageError, match="expected an order or a spacing that random places break"):
        misplace((1, 1, 0, 0), 50, grammar, **size)


@pytest.mark.parametrize("content", [(0, 0, 0, 0), *CONTENTS])
@pytest.mark.parametrize("grammar", GRAMMARS)
def test_all_arrangements_are_counted(content, grammar):
    every = list(every_arrangement(content))
    loose = Grammar(MOTIFS, grammar.ordered, grammar.low, grammar.high, loose=True)
    size = {"widths": WIDTHS, "length": LENGTH}
    assert arrangements([content], grammar, **size) == [
        sum(admitted(*each, grammar) for each in every)
    ]
    assert arrangements([content], loose, **size) == [
        sum(kept_by_motifs(*each, grammar) for each in every)
    ]


@pytest.mark.parametrize("content", CONTENTS)
@pytest.mark.parametrize("grammar", GRAMMARS)
def test_sums_are_those_over_all_arrangements_one_by_one(content, grammar):
    generator = np.random.default_rng(2)
    starts = [generator.random((3, LENGTH - width + 1)) for width in WIDTHS]
    gaps = [np.ones((3, LENGTH + 1)), *generator.random((2, 3, LENGTH + 1))]
    expected = np.zeros(3)
    for order, places in every_arrangement(content):
        if not admitted(order, places, grammar):
            continue
        weight = np.ones(3)
        for kind, start, following in zip(order, places, [*places[1:], None], strict=True):
            end = start + WIDTHS[kind]
            gap = 2 if following is None else min(following - end, 2)
            weight *= starts[kind][:, start] * gaps[gap][:, end]
        expected += weight
    assert summed(content, weighed_by(starts, gaps, grammar)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("low", [0, 1, 4, 20])
@pytest.mark.parametrize("reach", [0, 1, 2, 6, 7, 50, None])
def test_windowed_sums_are_those_of_slices(low, reach):
    values = np.random.default_rng(0).random((2, 13))
    high = None if reach is None else low + reach
    expected = [
        values[:, position + low : None if high is None else position + high + 1].sum(axis=1)
        for position in range(13)
    ]
    assert windowed(values, low, high) == pytest.approx(np.array(expected).T)


def test_windowed_sums_lose_nothing_beside_a_large_weight():
    values = np.array([1e20, 1.0, 2.0, 3.0, 1e20])
    assert windowed(values, 1, 2)[:3].tolist() == [3.0, 5.0, 1e20]


def test_thirty_thousand_orders_take_no_time():
    """8 different motifs: the sums grow with their subsets, 256, and not with their orders."""
    grammar = Grammar(8)
    assert arrangements([(1,) * 8], grammar, widths=[1] * 8, length=8) == [40320]
