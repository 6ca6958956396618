"""The exact posterior: a slow twin that lists everything, sums to 1, and calibration."""

from functools import cache
from itertools import combinations, pairwise, permutations, product

import numpy as np
import pytest
from scipy.stats import chisquare

from xaibench.data.motifs import decoy, find_motif
from xaibench.data.synthetic.backgrounds import UNIFORM, VERTEBRATE, stationary_chain, walks
from xaibench.data.synthetic.bayes_classifier import (
    bayes_accuracy,
    log_likelihoods,
    position_sums,
    posterior,
)
from xaibench.data.synthetic.contents import Design
from xaibench.data.synthetic.placement import Grammar
from xaibench.data.synthetic.planted import Background, generated
from xaibench.data.synthetic.rules import parse

RANDOM = np.random.default_rng(0)
MATRICES = [RANDOM.dirichlet(np.full(4, 0.5), width) for width in (2, 1, 2)]
DECOYS = [matrix[::-1] for matrix in MATRICES]
CHAINS = [
    stationary_chain(np.random.default_rng(order).dirichlet(np.full(4, 2.0), 4**order))
    for order in range(4)
]
SHUFFLED = ("shuffled",)
MISPLACED = ("shuffled", "misplaced")


def designed(text, decoys=SHUFFLED, *, length=6, both_strands=False, **grammar):
    rule = parse(text)
    matrices = MATRICES[: len(rule.atoms)]
    if "shuffled" in decoys:
        matrices = matrices + DECOYS[: len(rule.atoms)]
    grammar = Grammar(len(rule.atoms), **grammar)
    return Design(rule, tuple(matrices), grammar, decoys, length, both_strands)


DESIGNS = [
    (designed("A"), 0),
    (designed("A"), 1),
    (designed("A", ("absent",), both_strands=True), 1),
    (designed("not A", SHUFFLED, both_strands=True), 2),
    (designed("A and B"), 1),
    (designed("A and B", MISPLACED, ordered=True), 0),
    (designed("A and B", MISPLACED, ordered=True, low=0, high=1), 1),
    (designed("A xor B", ("shuffled", "absent"), low=1, high=3), 2),
    (designed("2 A", MISPLACED, low=1, high=1), 1),
    (designed("2 A", ("absent", "misplaced"), low=1), 3),
    (designed("2 A or B", ("misplaced",), length=7, low=1, both_strands=True), 1),
    (designed("A and B and not C", MISPLACED, length=7, ordered=True), 1),
    (designed("A and B and not C", MISPLACED, length=7, low=1), 2),
]


def sequences(length):
    return np.array(list(product(range(4), repeat=length)), np.uint8)


def slow_likelihoods(codes, design, background):
    """(class, sequence): straight from the words of ``planted``, one arrangement at a time."""
    rule, grammar = design.rule, design.grammar
    atoms, length = len(rule.atoms), design.length
    names = [decoy for decoy in design.decoys if decoy != "misplaced"] or ["absent"]

    @cache
    def stretch(start, end):
        total = np.ones(len(codes))
        for position in range(start, end):
            before = min(position - start, background.order)
            context = np.zeros(len(codes), int)
            for back in range(before, 0, -1):
                context = 4 * context + codes[:, position - back]
            total *= background.tables[before][context, codes[:, position]]
        return total

    @cache
    def instance(kind, start):
        matrix = design.matrices[kind]
        strands = [matrix, matrix[::-1, ::-1]] if design.both_strands else [matrix]
        columns = range(len(matrix))
        return np.mean(
            [np.prod([m[c][codes[:, start + c]] for c in columns], axis=0) for m in strands], axis=0
        )

    def arrangements(kinds):
        widths = [len(design.matrices[kind]) for kind in kinds]
        for order in set(permutations(range(len(kinds)))):
            for starts in combinations(range(length), len(kinds)):
                placed = tuple(
                    (kinds[n], start, start + widths[n])
                    for n, start in zip(order, starts, strict=True)
                )
                nexts = (*starts[1:], length)[: len(placed)]
                if all(end <= n for (_, _, end), n in zip(placed, nexts, strict=True)):
                    yield placed

    def near(placed):
        high = np.inf if grammar.high is None else grammar.high
        return [grammar.low <= b[1] - a[2] <= high for a, b in pairwise(placed)]

    def admitted(placed):
        of_atoms = [kind % atoms for kind, _, _ in placed]
        return all(near(placed)) and (not grammar.ordered or of_atoms == sorted(of_atoms))

    def broken(placed):
        motifs = [kind for kind, _, _ in placed if kind < atoms]
        pairs = zip(pairwise(placed), near(placed), strict=True)
        wrong = [not kept for (a, b), kept in pairs if a[0] < atoms and b[0] < atoms]
        return any(wrong) or (grammar.ordered and motifs != sorted(motifs))

    def of_content(kinds, keeps):
        """The mean over all arrangements that are kept; None where there is none."""
        kept = {placed for placed in arrangements(kinds) if keeps(placed)}
        if not kept:
            return None
        total = np.zeros(len(codes))
        for placed in kept:
            weight, before = np.ones(len(codes)), 0
            for kind, start, end in placed:
                weight = weight * stretch(before, start) * instance(kind, start)
                before = end
            total += weight * stretch(before, length)
        return total / len(kept)

    def of_truths(truths, keeps):
        """The mean over the contents of these truths."""
        counts = [atom.count for atom in rule.atoms]
        motifs = [[n] if true else range(n) for n, true in zip(counts, truths, strict=True)]
        means = []
        for there, name in product(product(*motifs), names):
            kinds = [atom for atom in range(atoms) for _ in range(there[atom])]
            if name == "shuffled":
                missing = [n - k for n, k in zip(counts, there, strict=True)]
                kinds += [atoms + atom for atom in range(atoms) for _ in range(missing[atom])]
            means.append(of_content(kinds, keeps))
        return None if any(mean is None for mean in means) else np.mean(means, axis=0)

    every = list(product([False, True], repeat=atoms))
    positive = np.mean([of_truths(t, admitted) for t in every if rule.holds(t)], axis=0)
    negative = np.mean([of_truths(t, admitted) for t in every if not rule.holds(t)], axis=0)
    if "misplaced" in design.decoys:
        found = [of_truths(t, broken) for t in every if rule.holds(t)]
        wrong = np.mean([each for each in found if each is not None], axis=0)
        share = 1 / len(design.decoys)
        negative = (1 - share) * negative + share * wrong
    return np.array([negative, positive])


@pytest.mark.parametrize(("design", "order"), DESIGNS)
def test_likelihoods_are_those_of_all_arrangements_and_sum_to_one(design, order):
    codes = sequences(design.length)
    likelihoods = np.exp(log_likelihoods(codes, design, CHAINS[order]))
    assert likelihoods.sum(axis=1) == pytest.approx([1, 1])
    chosen = np.random.default_rng(0).permutation(len(codes))[:500]
    slow = slow_likelihoods(codes[chosen], design, CHAINS[order])
    assert likelihoods[:, chosen] == pytest.approx(slow, rel=1e-8, abs=1e-18)


def of_chain(background):
    def draw(inside, generator):
        return walks(background, inside, generator)

    return Background(draw, background, is_chain=True, description="")


@pytest.mark.parametrize(("design", "order"), [DESIGNS[n] for n in (1, 3, 6, 7, 9, 12)])
def test_sequences_are_generated_as_often_as_they_are_likely(design, order):
    count = 200_000
    made = generated(design, of_chain(CHAINS[order]), count, np.random.default_rng(5))
    likelihoods = np.exp(log_likelihoods(sequences(design.length), design, CHAINS[order]))
    numbers = made.codes.astype(int) @ 4 ** np.arange(design.length)[::-1]
    for label in (0, 1):
        found = np.bincount(numbers[made.labels == label], minlength=4**design.length)
        expected = likelihoods[label] * count / 2
        rare = expected < 8
        pooled = [(part[~rare], part[rare].sum()) for part in (found, expected)]
        found, expected = (np.append(*each) for each in pooled)
        assert chisquare(found, expected, sum_check=False).pvalue > 1e-3


def real(text, *, length=60, decoys=SHUFFLED, **grammar):
    rule = parse(text)
    motifs = [find_motif(atom.motif).matrix for atom in rule.atoms]
    others = [decoy(motif, np.random.default_rng(0)) for motif in motifs]
    grammar = Grammar(len(motifs), **grammar)
    return Design(rule, (*motifs, *others), grammar, decoys, length)


@pytest.mark.parametrize(
    ("design", "background"),
    [
        (real("GATA1"), VERTEBRATE),
        (real("GATA1 xor SPI1"), UNIFORM),
        (real("GATA1 and SPI1", decoys=MISPLACED, ordered=True, low=2, high=9), VERTEBRATE),
        (real("2 GATA1", decoys=("shuffled", "absent")), CHAINS[3]),
    ],
)
def test_the_posterior_is_calibrated(design, background):
    codes, labels, _ = generated(design, of_chain(background), 3000, np.random.default_rng(0))
    positive = posterior(codes, design, background)
    share, error = bayes_accuracy(positive, labels)
    assert np.maximum(positive, 1 - positive).mean() == pytest.approx(share, abs=3 * error)
    for low, high in ((0, 0.2), (0.2, 0.5), (0.5, 0.8), (0.8, 1)):
        some = (positive >= low) & (positive <= high)
        error = np.sqrt((positive * (1 - positive))[some].sum()) / some.sum()
        assert labels[some].mean() == pytest.approx(positive[some].mean(), abs=3.5 * error)


def test_no_threshold_of_the_best_hit_does_better():
    design = real("GATA1", length=150)
    codes, labels, _ = generated(design, of_chain(VERTEBRATE), 3000, np.random.default_rng(1))
    log_odds = np.log((design.matrices[0] + 0.001) / 1.004 / 0.25)
    places = np.lib.stride_tricks.sliding_window_view(codes, 11, axis=1)
    best = sum(column[places[:, :, i]] for i, column in enumerate(log_odds)).max(axis=1)
    shares = [((best > threshold) == labels).mean() for threshold in np.unique(best)]
    share, _ = bayes_accuracy(posterior(codes, design, VERTEBRATE), labels)
    assert max(shares) < share < 0.99


def test_the_posterior_of_a_sequence_does_not_depend_on_the_others():
    design = real("GATA1")
    codes = generated(design, of_chain(VERTEBRATE), 230, np.random.default_rng(2)).codes
    whole = posterior(codes, design, VERTEBRATE)
    assert posterior(codes[150:157], design, VERTEBRATE) == pytest.approx(whole[150:157], rel=1e-9)


def test_an_accuracy_has_its_standard_error():
    share, error = bayes_accuracy(np.array([0.9, 0.2, 0.6, 0.4]), np.array([1, 0, 0, 0]))
    assert (share, error) == pytest.approx((0.75, np.sqrt(0.75 * 0.25 / 4)))


def test_the_cost_grows_with_what_is_left_to_place():
    assert position_sums(designed("A", ("absent",))) == 2
    assert position_sums(designed("A")) == 3 * 2
    assert position_sums(designed("2 A and B", MISPLACED)) == 6 * 3 * 4 * 4
