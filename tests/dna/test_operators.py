"""What operators put in the place of a base, against its definition and slow twins."""

from itertools import pairwise

import numpy as np
import pytest

from xaibench.dna import encoding, operators, shuffling
from xaibench.dna.operators import (
    background,
    base_composition,
    complement,
    different,
    dinucleotide,
    donors,
    n,
    uniform,
    window,
)
from xaibench.errors import NotApplicable
from xaibench.explanation.controls import random_maps
from xaibench.randomness import streams
from xaibench.values import N, Sequences

CODES = np.tile(np.array([0, 1, 2, 3, N], np.uint8), 2000)
COMPOSITION = np.array([0.4, 0.3, 0.0, 0.3])
OPERATORS = {
    "n": (n, {}),
    "uniform": (uniform, {}),
    "different": (different, {}),
    "background": (background, {"composition": COMPOSITION}),
    "dinucleotide": (dinucleotide, {}),
    "window": (window, {"width": 3}),
    "complement": (complement, {}),
}
every_operator = pytest.mark.parametrize(("operator", "options"), OPERATORS.values(), ids=OPERATORS)


def drawn(operator, codes, seed=0, **options):
    return operator(codes, np.random.default_rng(seed), **options)


def known_bases(count, seed=0):
    return np.random.default_rng(seed).integers(4, size=count).astype(np.uint8)


# What holds for all


@every_operator
def test_a_donor_has_the_shape_and_codes_of_its_sequence(operator, options):
    codes = known_bases(23)
    before = codes.copy()
    donor = drawn(operator, codes, **options)
    assert (donor.dtype, donor.shape, donor.max() <= N) == (np.uint8, codes.shape, True)
    assert np.array_equal(codes, before)


@every_operator
def test_what_is_unknown_stays_unknown(operator, options):
    donor = drawn(operator, CODES, **options)
    assert (donor[CODES == N] == N).all()
    assert (donor[CODES < N] == N).all() == (operator is n)


@every_operator
def test_a_sequence_of_n_alone_stays(operator, options):
    for length in (0, 1, 7):
        unknown = np.full(length, N, np.uint8)
        assert np.array_equal(drawn(operator, unknown, **options), unknown)


@every_operator
def test_padding_moves_no_base_of_the_donor(operator, options):
    codes = encoding.to_codes(["ACGTNACCATTGACAGTACCA"])[0]
    padded = np.pad(codes, (0, 6), constant_values=N)
    donor = drawn(operator, padded, **options)
    assert np.array_equal(donor[:-6], drawn(operator, codes, **options))


@every_operator
def test_donors_are_those_of_one_sequence_at_a_time(operator, options):
    codes = known_bases(5 * 23).reshape(5, 23)
    codes[3, 9:] = N
    found = donors(operator, codes, streams(0, "donor", codes), **options)
    for row, one, generator in zip(codes, found, streams(0, "donor", codes), strict=True):
        assert np.array_equal(one, operator(row, generator, **options))
    rows = np.array([3, 1])
    again = donors(operator, codes[rows], streams(0, "donor", codes[rows]), **options)
    assert np.array_equal(again, found[rows])


@every_operator
def test_another_seed_gives_another_donor_where_something_is_drawn(operator, options):
    codes = known_bases(60)
    same = np.array_equal(drawn(operator, codes, **options), drawn(operator, codes, 1, **options))
    assert same == (operator in (n, complement))


# One by one


def test_n_leaves_nothing_known():
    assert (drawn(n, CODES) == N).all()


def test_uniform_draws_every_base_one_time_in_four():
    shares = np.bincount(drawn(uniform, CODES)[CODES < N], minlength=4) / 8000
    # standard error 0.0048 of each share of 8,000
    assert np.abs(shares - 0.25).max() < 0.024


def test_uniform_draws_what_it_always_drew():
    """The donor of version 0.1: results that are kept depend on it."""
    expected = [3, 2, 2, 3, 4, 3, 3, 0, 0, 4, 1, 3, 3, 0, 4, 3]
    assert drawn(uniform, CODES[:16], 7).tolist() == expected


def test_different_is_each_of_the_other_bases_one_time_in_three():
    donor = drawn(different, CODES)
    for base in range(4):
        shares = np.bincount(donor[CODES == base], minlength=4) / 2000
        assert shares[base] == 0
        # standard error 0.0105 of each share of 2,000
        assert np.abs(np.delete(shares, base) - 1 / 3).max() < 0.05


def test_background_draws_by_the_composition_whatever_the_base_was():
    donor = drawn(background, CODES, composition=COMPOSITION)
    for base in range(4):
        shares = np.bincount(donor[CODES == base], minlength=4) / 2000
        assert shares[2] == 0
        # standard error at most 0.011
        assert np.abs(shares - COMPOSITION).max() < 0.05


def test_composition_is_the_share_of_each_known_base():
    codes = encoding.to_codes(["AACGT", "NANCA", "GG"])
    assert base_composition(codes).tolist() == [4 / 10, 2 / 10, 3 / 10, 1 / 10]


def test_nothing_known_has_no_composition():
    with pytest.raises(NotApplicable, match="no base of train is known"):
        base_composition(np.full((3, 7), N, np.uint8))


def test_dinucleotide_keeps_dinucleotides_and_ends():
    codes = known_bases(80)
    donor = drawn(dinucleotide, codes)
    assert sorted(pairwise(donor.tolist())) == sorted(pairwise(codes.tolist()))
    assert (donor[0], donor[-1]) == (codes[0], codes[-1])
    assert not np.array_equal(donor, codes)


def test_dinucleotide_is_drawn_together_for_all_sequences(monkeypatch):
    codes = known_bases(4 * 30).reshape(4, 30)
    expected = donors(dinucleotide, codes, streams(0, "donor", codes))
    monkeypatch.setattr(shuffling, "dinucleotide_shuffles", None)
    assert np.array_equal(donors(dinucleotide, codes, streams(0, "donor", codes)), expected)


def test_one_generator_per_sequence_is_expected():
    codes = known_bases(2 * 7).reshape(2, 7)
    with pytest.raises(ValueError, match="shorter"):
        donors(uniform, codes, streams(0, "donor", codes[:1]))


def test_complement_is_the_other_strand_read_in_place():
    codes = encoding.to_codes(["ACGTNTTGA"])
    assert encoding.to_letters(complement(codes[0], None)[None]) == ["TGCANAACT"]
    assert np.array_equal(
        encoding.reverse_complement(codes)[:, ::-1], complement(codes[0], None)[None]
    )


# Windows


def slow_windows(length, width, offset):
    """Edges one by one; those too near to an end are none."""
    edges = [at for at in range(length) if (at - offset) % width == 0]
    edges = [at for at in edges if width <= at <= length - width]
    return [sum(edge <= at for edge in edges) for at in range(length)]


@pytest.mark.parametrize("width", [2, 3, 10])
def test_windows_hold_at_least_their_width_and_are_what_the_slow_way_finds(width):
    for length in range(width, 5 * width):
        for offset in range(width):
            found = operators._window_numbers(length, width, offset)
            assert found.tolist() == slow_windows(length, width, offset)
            assert np.bincount(found).min() >= width


def test_window_keeps_the_bases_of_each_window():
    codes = known_bases(47)
    donor = drawn(window, codes, 3, width=6)
    offset = int(np.random.default_rng(3).integers(6))
    windows = np.array(slow_windows(47, 6, offset))
    assert windows.max() > 4
    for each in range(windows.max() + 1):
        inside = windows == each
        assert sorted(donor[inside]) == sorted(codes[inside])
    assert not np.array_equal(donor, codes)


def test_every_order_of_a_window_is_equally_likely():
    codes = np.array([0, 1, 2], np.uint8)
    generator = np.random.default_rng(0)
    orders = [tuple(window(codes, generator, width=3).tolist()) for _ in range(6000)]
    counts = np.unique(orders, axis=0, return_counts=True)[1]
    assert len(counts) == 6
    # standard deviation 29 of each count
    assert np.abs(counts - 1000).max() < 150


def test_no_place_is_always_between_two_windows():
    codes = np.arange(24, dtype=np.uint8) % 4
    generator = np.random.default_rng(0)
    edges = np.zeros(23)
    for _ in range(4000):
        edges += np.diff(operators._window_numbers(len(codes), 4, int(generator.integers(4)))) > 0
    inner = edges[3:-3] / 4000
    # one in four; standard error 0.007
    assert np.abs(inner - 0.25).max() < 0.035


def test_a_window_passes_over_n():
    codes = np.array([N, 0, N, N, 1, 2, N, 3, 0, 1, N], np.uint8)
    first = {tuple(drawn(window, codes, seed, width=3)[[1, 4, 5]]) for seed in range(200)}
    assert (0, 1, 2) in first
    assert (2, 0, 1) in first
    assert len(first) > 6, "windows always begin at the first base"


def test_a_window_longer_than_the_sequence_is_not_applicable():
    codes = np.array([0, 1, N, 2, 3, N, N], np.uint8)
    assert sorted(drawn(window, codes, width=4)) == sorted(codes)
    message = "windows of 5 bases are longer than a sequence with 4 known ones"
    with pytest.raises(NotApplicable, match=message):
        drawn(window, codes, width=5)


# The random control


def test_the_random_control_depends_on_the_sequence_and_the_data_seed_alone():
    codes = np.array([[0, 1, 2, 3, 0], [3, 2, 1, 0, 0], [1, 1, 1, 1, 1]], np.uint8)
    sequences = Sequences(codes, np.zeros(3, np.int64), ("a", "b", "c"), ("x", "y"))
    maps = random_maps(sequences, 4, 0)
    assert maps.shape == (4, 3, 5)
    assert len(np.unique(maps)) == maps.size
    rows = np.array([2, 0])
    assert (random_maps(sequences.take(rows), 4, 0) == maps[:, rows]).all()
    assert not (random_maps(sequences, 4, 1) == maps).any()
