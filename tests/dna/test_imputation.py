"""Imputed bases against the posterior of the chain, from every way to fill the gaps."""

from collections import Counter
from itertools import pairwise, product

import numpy as np
import pytest
from scipy.stats import chisquare

from xaibench.dna import encoding
from xaibench.dna.imputation import DinucleotideChain, fit_dinucleotide_chain, imputed
from xaibench.randomness import streams
from xaibench.values import N

CHAIN = DinucleotideChain(
    np.array([0.4, 0.3, 0.2, 0.1]),
    np.array([[1, 2, 3, 4], [4, 0, 5, 1], [2, 6, 1, 1], [1, 1, 7, 1]]) / 10,
)
OPEN = DinucleotideChain(CHAIN.start, (CHAIN.steps + 0.25) / 2)
"""No base is forbidden after another."""

CYCLE = DinucleotideChain(np.full(4, 0.25), np.roll(np.eye(4), 1, axis=1))
"""A is always followed by C, C by G, G by T and T by A."""

CODES = encoding.to_codes(["ACATGA", "GNTTAC", "TGACNN", "NGGANC", "CAACTT"])
HOLES = np.array(
    [[0, 1, 1, 0, 1, 1], [1, 0, 1, 1, 1, 0], [1] * 6, [0, 1, 0, 1, 1, 1], [0] * 6], bool
)


def weight(chain, letters):
    steps = [chain.steps[a, b] for a, b in pairwise(letters)]
    return chain.start[letters[0]] * np.prod(steps)


def ways(codes, replaced):
    """Every sequence of known bases that has what is kept."""
    free = [
        range(4) if hole or code == N else [int(code)]
        for code, hole in zip(codes, replaced, strict=True)
    ]
    return list(product(*free))


def slow_imputed(codes, replaced, chain, generator):
    """Base by base, by the share of all ways to go on that have it."""
    numbers, left = generator.random(len(codes)), ways(codes, replaced)
    for position, number in enumerate(numbers):
        shares = np.zeros(4)
        for way in left:
            shares[way[position]] += weight(chain, way)
        drawn = int((number >= shares.cumsum()[:3] / shares.sum()).sum())
        left = [way for way in left if way[position] == drawn]
    (only,) = left
    return [N if code == N else base for code, base in zip(codes, only, strict=True)]


def drawn(codes, replaced, chain=CHAIN, seed=0):
    return imputed(codes, replaced, chain, streams(seed, "imputed", codes))


@pytest.mark.parametrize("seed", range(8))
def test_imputed_equals_drawing_base_by_base_from_all_ways_to_fill_the_gaps(seed):
    generators = streams(seed, "imputed", CODES)
    expected = [
        slow_imputed(*row, CHAIN, generator)
        for *row, generator in zip(CODES, HOLES, generators, strict=True)
    ]
    assert drawn(CODES, HOLES, seed=seed).tolist() == expected


@pytest.mark.parametrize("row", [0, 1, 3])
def test_draws_follow_the_posterior_given_all_others(row):
    posterior = Counter()
    for way in ways(CODES[row], HOLES[row]):
        posterior[tuple(np.where(CODES[row] == N, N, way).tolist())] += weight(CHAIN, way)
    count = 20_000
    generators = (np.random.default_rng([3, each]) for each in range(count))
    many = [np.tile(each[row], (count, 1)) for each in (CODES, HOLES)]
    seen = Counter(map(tuple, imputed(*many, CHAIN, generators).tolist()))
    total = sum(posterior.values())
    possible = [way for way, share in posterior.items() if share > 0]
    assert set(seen) <= set(possible)
    expected = np.array([posterior[way] / total * count for way in possible])
    found = np.array([seen[way] for way in possible])
    rare = expected < 5  # together, as chi-square wants
    if rare.any():
        expected = np.append(expected[~rare], expected[rare].sum())
        found = np.append(found[~rare], found[rare].sum())
    assert chisquare(found, expected).pvalue > 1e-3  # seeded: fails for a wrong sampler only


def test_nothing_replaced_leaves_the_sequences():
    found = drawn(CODES, np.zeros(CODES.shape, bool))
    assert found.dtype == np.uint8
    assert np.array_equal(found, CODES)


def test_all_replaced_is_a_walk_of_the_chain():
    codes = encoding.to_codes(["ACGTACG", "TTTTTTA", "GATTACA"])
    found = drawn(codes, np.ones(codes.shape, bool))
    for row, generator in zip(found, streams(0, "imputed", codes), strict=True):
        shares, walk = CHAIN.start, []
        for number in generator.random(7):
            walk.append(int((number >= shares.cumsum()[:3]).sum()))
            shares = CHAIN.steps[walk[-1]]
        assert row.tolist() == walk


def test_a_chain_without_a_choice_gives_the_sequence_back():
    codes = encoding.to_codes(["ACGTACGTACG", "TACGTACGTAC", "GTACNTACGNN"])
    replaced = np.ones(codes.shape, bool)
    for given in (0, 5, 8):
        replaced[:, :] = True
        replaced[:, given] = False
        assert np.array_equal(drawn(codes, replaced, CYCLE), codes)


def test_given_bases_and_n_stay():
    codes = np.random.default_rng(0).integers(5, size=(40, 30)).astype(np.uint8)
    replaced = np.random.default_rng(1).random(codes.shape) < 0.6
    found = drawn(codes, replaced, OPEN)
    stays = ~replaced | (codes == N)
    assert np.array_equal(found[stays], codes[stays])
    assert (found[~stays] < N).all()


def test_draws_depend_on_the_sequence_alone():
    codes = np.random.default_rng(0).integers(4, size=(9, 30)).astype(np.uint8)
    codes[4, 17:] = N
    replaced = np.random.default_rng(1).random(codes.shape) < 0.6
    found = drawn(codes, replaced, OPEN)
    rows = np.array([7, 4, 2])
    assert np.array_equal(drawn(codes[rows], replaced[rows], OPEN), found[rows])
    assert not np.array_equal(drawn(codes, replaced, OPEN, seed=1), found)
    padded = np.pad(codes, ((0, 0), (0, 3)), constant_values=N)
    holes = np.pad(replaced, ((0, 0), (0, 3)), constant_values=True)
    assert np.array_equal(drawn(padded, holes, OPEN)[:, :30], found)


def test_where_bases_do_not_depend_on_each_other_a_larger_hole_keeps_the_draws_of_a_smaller():
    shares = np.array([0.4, 0.3, 0.2, 0.1])
    alone = DinucleotideChain(shares, np.tile(shares, (4, 1)))
    codes = np.random.default_rng(0).integers(4, size=(6, 25)).astype(np.uint8)
    level = np.random.default_rng(1).random(codes.shape)
    small, large = level < 0.3, level < 0.8
    assert np.array_equal(drawn(codes, small, alone)[small], drawn(codes, large, alone)[small])


def test_no_sequences_and_no_positions_are_nothing():
    for shape in ((0, 7), (3, 0)):
        codes = np.zeros(shape, np.uint8)
        assert drawn(codes, np.ones(shape, bool)).shape == shape


def test_given_bases_that_the_chain_forbids_are_rejected():
    codes = encoding.to_codes(["ACGTACG", "ACGTGCG"])
    replaced = np.zeros(codes.shape, bool)
    replaced[:, 2] = True
    with pytest.raises(ValueError, match="given bases around position 4 cannot follow each other"):
        drawn(codes, replaced, CYCLE)


def test_one_generator_per_sequence_is_expected():
    with pytest.raises(ValueError, match="generators: expected one per sequence, 5, got 2"):
        imputed(CODES, HOLES, CHAIN, streams(0, "imputed", CODES[:2]))


# Fitting


def test_a_fitted_chain_counts_pairs_and_bases_one_by_one():
    codes = encoding.to_codes(["ACGTTTAACN", "NAACGG", "TTNA"])
    pairs, bases = np.ones((4, 4)), np.ones(4)
    for row in codes.tolist():
        for base in row:
            bases[base : base + 1] += 1  # N is beyond the end
        for before, after in pairwise(row):
            if N not in (before, after):
                pairs[before, after] += 1
    chain = fit_dinucleotide_chain(codes)
    assert chain.start == pytest.approx(bases / bases.sum())
    assert chain.steps == pytest.approx(pairs / pairs.sum(axis=1, keepdims=True))


def test_a_chain_fitted_to_nothing_is_uniform():
    chain = fit_dinucleotide_chain(np.full((2, 7), N, np.uint8))
    assert (chain.start == 0.25).all()
    assert (chain.steps == 0.25).all()


def test_a_fitted_chain_is_the_one_its_sequences_came_from():
    steps = np.array([[1, 2, 3, 4], [4, 1, 4, 1], [2, 6, 1, 1], [1, 1, 7, 1]]) / 10
    chain = DinucleotideChain(np.full(4, 0.25), steps)
    codes = np.tile(np.arange(4, dtype=np.uint8), (500, 50))
    walks = drawn(codes, np.ones(codes.shape, bool), chain)
    assert len(np.unique(walks, axis=0)) == 1, "equal sequences have equal streams"
    generators = (np.random.default_rng([1, each]) for each in range(500))
    walks = imputed(codes, np.ones(codes.shape, bool), chain, generators)
    # standard error at most 0.0035 of a share of some 20,000
    assert np.abs(fit_dinucleotide_chain(walks).steps - steps).max() < 0.018


@pytest.mark.parametrize("shapes", [((3,), (4, 4)), ((4,), (4, 5))])
def test_a_chain_of_another_shape_is_refused(shapes):
    with pytest.raises(ValueError, match=r"expected start \(4,\) and steps \(4, 4\), got"):
        DinucleotideChain(*map(np.ones, shapes))


@pytest.mark.parametrize("start", [[0.5, 0.6, -0.1, 0], [1, 1, 0, 0], [np.nan, 1, 0, 0]])
def test_a_chain_of_what_are_no_probabilities_is_refused(start):
    with pytest.raises(ValueError, match="expected probabilities whose rows sum to 1"):
        DinucleotideChain(np.array(start, float), np.full((4, 4), 0.25))
