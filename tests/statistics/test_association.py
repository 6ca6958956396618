"""Rank correlation along sequences, and its two nulls."""

import numpy as np
import pytest
from scipy.stats import kstest, norm, spearmanr

from xaibench.statistics.association import FEWEST_SEQUENCES, Along, associations


def smooth(generator: np.random.Generator, rows: int, length: int, window: int = 5):
    """Noise whose neighbours are alike."""
    noise = generator.normal(size=(rows, length + window - 1))
    return np.lib.stride_tricks.sliding_window_view(noise, window, axis=1).mean(axis=2)


def drawn(seed: int, *, sequences: int = 40, heads: int = 3, annotations: int = 4):
    """Sequences of several lengths; the first head follows the first annotation."""
    generator = np.random.default_rng(seed)
    made = []
    for length in generator.integers(15, 30, sequences):
        first, second = (smooth(generator, rows, length) for rows in (heads, annotations))
        first[0] += 0.3 * second[0]
        made.append(Along(first, second))
    return made


def each_pair(sequences, function):
    """``function(first, second)`` of every sequence and pair, ``(N, F, P)``."""
    return np.array(
        [[[function(one, two) for two in each.second] for one in each.first] for each in sequences]
    )


def test_the_mean_is_that_of_spearmans_correlations():
    sequences = drawn(0)
    rho = each_pair(sequences, lambda one, two: spearmanr(one, two).statistic)
    measured = associations(sequences)
    np.testing.assert_allclose(measured.mean, rho.mean(axis=0), atol=1e-12)
    assert (measured.sequences == len(sequences)).all()
    reach = 2.0226909 * rho.std(axis=0, ddof=1) / np.sqrt(len(sequences))  # t, 39 degrees
    np.testing.assert_allclose(measured.high - measured.mean, reach, rtol=1e-6)


def test_p_of_shifts_is_that_of_drawn_shifts():
    sequences = drawn(1)
    generator = np.random.default_rng(2)
    draws = 20_000
    sums = np.zeros((draws, 3, 4))
    for each in sequences:
        length = each.first.shape[1]
        moved = [
            each_pair([Along(each.first, np.roll(each.second, shift, axis=1))], rank_correlation)[0]
            for shift in range(length)
        ]
        sums += np.array(moved)[generator.integers(0, length, draws)]
    measured = associations(sequences)
    observed = np.abs(measured.mean) * len(sequences)
    share = (np.abs(sums) >= observed - 1e-9).mean(axis=0)
    error = np.sqrt(share * (1 - share) / draws)
    assert (np.abs(measured.p_shift - share) <= 4 * error + 1e-3).all()
    assert share.min() < 0.02 < share.max()  # both ends are compared


def rank_correlation(one, two):
    ranks = [np.argsort(np.argsort(each)) for each in (one, two)]
    return np.corrcoef(ranks)[0, 1]


def test_p_of_exchange_is_that_of_drawn_permutations():
    generator = np.random.default_rng(3)
    profile = np.linspace(0, 2, 12)  # by position alone, the same in all
    sequences = [
        Along(generator.normal(size=(2, 12)) + profile, generator.normal(size=(3, 12)) + profile)
        for _ in range(30)
    ]
    for each in sequences:
        each.first[0] += 0.6 * each.second[0]
    pairs = np.array(
        [
            each_pair([Along(one.first, two.second)], rank_correlation)[0]
            for one in sequences
            for two in sequences
        ]
    ).reshape(30, 30, 2, 3)
    draws = np.array([pairs[np.arange(30), generator.permutation(30)] for _ in range(4000)]).sum(1)
    observed = pairs[np.arange(30), np.arange(30)].sum(axis=0)
    middle = draws.mean(axis=0)
    share = (np.abs(draws - middle) >= np.abs(observed - middle)).mean(axis=0)
    measured = associations(sequences)
    np.testing.assert_allclose(measured.p_exchange, share, atol=0.03)
    # what all sequences share by position is an association, but none that exchange would break
    assert (measured.mean > 0.2).all()
    assert (measured.p_shift < 1e-3).all()
    assert measured.p_exchange[0, 0] < 1e-6 < 0.01 < np.delete(measured.p_exchange, 0).min()


def test_p_of_shifts_is_uniform_for_autocorrelated_noise():
    sequences = drawn(4, sequences=25, heads=20, annotations=20)
    measured = associations(sequences)
    p = np.delete(measured.p_shift, 0, axis=0).ravel()
    assert kstest(p, "uniform").pvalue > 1e-3
    # where places are scattered the variance of a correlation is 1 / (T - 1): much too little here
    variance = sum(1 / (each.first.shape[1] - 1) for each in sequences)
    scattered = 2 * norm.sf(np.abs(measured.mean) * len(sequences) / np.sqrt(variance))
    assert (scattered < 0.05).mean() > 0.2


def test_places_without_a_value_take_no_part():
    sequences = drawn(5)
    generator = np.random.default_rng(6)
    for each in sequences:
        each.second[1:, generator.random(each.second.shape[1]) < 0.3] = np.nan
    rho = each_pair(sequences, lambda one, two: spearmanr(one, two, nan_policy="omit").statistic)
    measured = associations(sequences)
    np.testing.assert_allclose(measured.mean, rho.mean(axis=0), atol=1e-12)
    whole = associations([Along(each.first, each.second[:1]) for each in sequences])
    np.testing.assert_allclose(measured.p_shift[:, :1], whole.p_shift, rtol=1e-9)
    cut = [
        Along(each.first[:, known], each.second[1:, known])
        for each in sequences
        for known in [~np.isnan(each.second[1])]
    ]
    np.testing.assert_allclose(measured.p_shift[:, 1:], associations(cut).p_shift, rtol=1e-9)


def test_what_goes_with_a_nuisance_is_taken_out():
    generator = np.random.default_rng(7)
    confounded = []
    for length in generator.integers(20, 30, 40):
        gc = smooth(generator, 1, length)
        first, second = (gc + 0.3 * smooth(generator, 1, length) for _ in range(2))
        confounded.append(Along(first, second, gc))
    apart = associations([Along(each.first, each.second) for each in confounded])
    partial = associations(confounded)
    assert apart.p_shift.item() < 1e-6
    assert partial.p_shift.item() > 0.01
    rank = lambda rows: np.argsort(np.argsort(rows)) * 1.0  # noqa: E731
    expected = np.mean(
        [partial_correlation(*map(rank, np.concatenate(each[:3]))) for each in confounded]
    )
    assert partial.mean.item() == pytest.approx(expected, abs=1e-12)


def partial_correlation(one, two, nuisance):
    """By the textbook's formula of three correlations."""
    ab, ac, bc = (
        np.corrcoef(x, y)[0, 1] for x, y in ((one, two), (one, nuisance), (two, nuisance))
    )
    return (ab - ac * bc) / np.sqrt((1 - ac**2) * (1 - bc**2))


def test_a_constant_and_few_sequences_say_nothing():
    sequences = drawn(8, sequences=FEWEST_SEQUENCES + 2)
    for each in sequences[:3]:
        each.second[1] = 0.0
    for each in sequences:
        each.second[2] = 1.0
    measured = associations(sequences)
    assert measured.sequences[0].tolist() == [12, 9, 0, 12]
    assert np.isnan(measured.p_shift[:, 1:3]).all()
    assert np.isfinite(measured.p_shift[:, 0]).all()
    rest = associations([Along(each.first, each.second[[0, 3]]) for each in sequences])
    np.testing.assert_allclose(measured.p_shift[:, [0, 3]], rest.p_shift, rtol=1e-9)


def test_a_rising_change_of_a_head_changes_nothing():
    """Centring by head, which a published pipeline does, least of all."""
    sequences = drawn(9)
    moved = [Along(np.exp(3 * each.first) - 7, each.second) for each in sequences]
    for before, after in zip(associations(sequences), associations(moved), strict=True):
        np.testing.assert_allclose(before, after, rtol=1e-9)


def test_the_largest_sum_has_a_p_that_is_not_too_small():
    rises = np.arange(6.0)[None]
    measured = associations([Along(rises, rises)] * 12)
    assert 6.0**-12 <= measured.p_shift.item() < 1e-7


def test_places_that_are_counted_six_times_are_no_evidence():
    """As those of overlapping 6-mers are, which would be six times as many where all are pooled."""
    sequences = drawn(10)
    repeated = [Along(*(np.repeat(each, 6, axis=1) for each in along[:2])) for along in sequences]
    once, often = associations(sequences), associations(repeated)
    np.testing.assert_allclose(often.mean, once.mean, atol=1e-12)
    np.testing.assert_allclose(often.low, once.low, atol=1e-12)
    assert (often.p_shift > once.p_shift**1.5 / 10).all()


def in_cells(seed, *, everywhere=False):
    """Thirty cells: both heads favour genes, the same in all, and the first also those that the
    first of three sets of genes holds."""
    generator = np.random.default_rng(seed)
    favoured = generator.normal(size=(2, 60))
    sets = np.array([generator.permutation(np.arange(60) < 12) for _ in range(3)]) * 1.0
    favoured[0] += 1.5 * sets[0]
    cells = []
    for _ in range(30):
        genes = np.flatnonzero(generator.random(60) < (1 if everywhere else 0.6))
        first = favoured[:, genes] + generator.normal(size=(2, len(genes)))
        cells.append(Along(first, sets[:, genes], places=genes))
    return cells


@pytest.mark.parametrize("everywhere", [True, False])
def test_p_of_exchanged_places_is_that_of_drawn_sets_of_genes(everywhere):
    cells, generator = in_cells(5, everywhere=everywhere), np.random.default_rng(0)
    whole = np.zeros((3, 60))
    for cell in cells:
        whole[:, cell.places] = cell.second
    draws = []
    for _ in range(1000):
        genes = generator.permutation(60)
        moved = [cell._replace(second=whole[:, genes][:, cell.places]) for cell in cells]
        draws.append(sum(correlations(cell) for cell in moved))
    observed = sum(correlations(cell) for cell in cells)
    share = (np.abs(draws) >= np.abs(observed)).mean(axis=0)
    measured = associations(cells)
    np.testing.assert_allclose(measured.p_exchange, share, atol=0.05)
    assert measured.p_exchange[0, 0] < 1e-3
    # a head that favours genes goes with any set that holds them, in all cells alike
    assert (measured.p_shift < 1e-4).sum() > 1


def correlations(along):
    ranks = [np.argsort(np.argsort(along.first)) * 1.0, along.second]
    unit = [each - each.mean(axis=1, keepdims=True) for each in ranks]
    unit = [each / np.linalg.norm(each, axis=1, keepdims=True) for each in unit]
    return unit[0] @ unit[1].T
