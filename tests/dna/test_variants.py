"""Sequences changed a little."""

import numpy as np
import pytest

from xaibench.dna.encoding import to_codes
from xaibench.dna.variants import in_hamming_ball, offset_of, shifted, substituted, unshifted
from xaibench.randomness import identity, stream
from xaibench.values import N

CODES = to_codes(["ACGTNNACGGTCA", "TTGCA", "NNN"])
"""13 positions with two unknown, 5 with padding, and nothing known at all."""

DRAWS = range(200)

SUBSTITUTIONS = [substituted, in_hamming_ball]


def test_a_substitution_is_the_one_that_it_has_always_been() -> None:
    """Records of earlier runs hold what these draws gave."""
    generator = stream(3, "substitution", identity(CODES[0]), 5)
    expected = CODES[0].copy()
    position = generator.choice(np.flatnonzero(expected < 4))
    expected[position] = (expected[position] + generator.integers(1, 4)) % 4
    np.testing.assert_array_equal(substituted(CODES[0], 5, 3), expected)


@pytest.mark.parametrize("codes", CODES[:2])
def test_a_substitution_puts_another_base_at_one_known_position(codes) -> None:
    for draw in DRAWS:
        changed = substituted(codes, draw, 0)
        (position,) = np.flatnonzero(changed != codes)
        assert codes[position] < N
        assert changed[position] < N


@pytest.mark.parametrize("codes", CODES[:2])
def test_a_ball_holds_one_to_radius_other_bases_at_known_positions(codes) -> None:
    counts = []
    for draw in DRAWS:
        changed = in_hamming_ball(codes, draw, 0, radius=4)
        other = changed != codes
        counts.append(int(other.sum()))
        assert (codes[other] < N).all()
        assert (changed[other] < N).all()
    # the standard error of a quarter of 200 draws is 6
    assert np.abs(np.bincount(counts, minlength=5)[1:] - 50).max() < 25


def test_a_ball_reaches_every_other_base_of_every_known_position() -> None:
    changed = np.stack([in_hamming_ball(CODES[0], draw, 0) for draw in DRAWS])
    reached = [set(column) - {base} for column, base in zip(changed.T, CODES[0], strict=True)]
    assert reached == [{0, 1, 2, 3} - {base} if base < N else set() for base in CODES[0].tolist()]


def test_a_ball_is_no_larger_than_the_sequence() -> None:
    counts = {int((in_hamming_ball(CODES[1], d, 0, radius=9) != CODES[1]).sum()) for d in DRAWS}
    assert counts == {1, 2, 3, 4, 5}


@pytest.mark.parametrize("change", SUBSTITUTIONS)
def test_a_sequence_without_a_known_base_stays_as_it_is(change) -> None:
    np.testing.assert_array_equal(change(CODES[2], 0, 0), CODES[2])


@pytest.mark.parametrize("change", [*SUBSTITUTIONS, shifted])
def test_a_change_is_the_same_again_and_another_for_another_draw_or_seed(change) -> None:
    codes = np.random.default_rng(0).integers(0, 4, 50).astype(np.uint8)
    before = codes.copy()
    first = change(codes, 1, 0)
    assert first.dtype == np.uint8
    np.testing.assert_array_equal(first, change(codes, 1, 0))
    others = [change(codes, draw, seed) for draw in (3, 4, 7) for seed in (0, 1, 2)]
    assert all((first != other).any() for other in others)
    np.testing.assert_array_equal(codes, before)


@pytest.mark.parametrize("change", [*SUBSTITUTIONS, shifted])
def test_padding_does_not_change_what_is_drawn(change) -> None:
    short, padded = CODES[1, :5], CODES[1]
    changed = change(padded, 2, 0)
    np.testing.assert_array_equal(changed[:5], change(short, 2, 0))
    assert (changed[5:] == N).all()


def test_offsets_reach_both_ways_and_are_different_before_one_comes_again() -> None:
    for largest in (1, 3):
        offsets = [offset_of(CODES[0], draw, 0, largest=largest) for draw in range(2 * largest)]
        assert sorted(offsets) == [*range(-largest, 0), *range(1, largest + 1)]
        assert offset_of(CODES[0], 2 * largest, 0, largest=largest) == offsets[0]


def test_every_offset_is_as_likely_for_a_draw() -> None:
    rows = np.random.default_rng(0).integers(0, 4, (1000, 30)).astype(np.uint8)
    offsets = np.array([offset_of(row, 2, 0) for row in rows])
    counts = np.bincount(offsets + 5, minlength=11)
    # the standard error of a tenth of 1000 is 9.5
    assert counts[5] == 0
    assert np.abs(np.delete(counts, 5) - 100).max() < 40


def test_a_shift_moves_every_base_and_keeps_the_padding() -> None:
    codes = to_codes(["ACGTA", "CCCCCCC"])[0]
    right, left = shifted(codes, 2, 0), shifted(codes, -2, 0)
    assert right[2:].tolist() == [0, 1, 2, N, N]
    assert left[:3].tolist() == [2, 3, 0]
    assert left[5:].tolist() == [N, N]
    assert max(*right[:2], *left[3:5]) < N
    np.testing.assert_array_equal(shifted(codes, 0, 0), codes)


def test_unknown_bases_inside_move_with_the_others() -> None:
    moved = shifted(CODES[0], 3, 0)
    np.testing.assert_array_equal(moved[3:], CODES[0, :-3])


def test_what_opens_is_filled_with_every_base_alike() -> None:
    rows = np.random.default_rng(0).integers(0, 4, (1000, 12)).astype(np.uint8)
    filled = np.stack([shifted(row, 4, 0)[:4] for row in rows])
    counts = np.bincount(filled.ravel())
    # the standard error of a quarter of 4000 is 27
    assert len(counts) == 4
    assert np.abs(counts - 1000).max() < 110


@pytest.mark.parametrize("offset", [-9, -5, -3, -1, 0, 1, 3, 5, 9])
def test_scores_come_back_to_the_bases_that_they_belong_to(offset: int) -> None:
    for codes in CODES:
        # each base of the shifted sequence has its old position as its score, a new one -1
        length = int(np.flatnonzero(codes < N).max(initial=-1)) + 1
        positions = np.arange(length) - offset
        scores = np.full(len(codes), 99, np.float32)
        scores[:length] = np.where((positions >= 0) & (positions < length), positions, -1)
        mapped = unshifted(scores, codes, offset)
        known = ~np.isnan(mapped)
        assert mapped.dtype == np.float32
        assert mapped[known].tolist() == np.flatnonzero(known).tolist()
        assert known.sum() == max(0, length - abs(offset))


def test_codes_shifted_and_mapped_back_are_the_codes() -> None:
    for offset in (-4, 2):
        moved = shifted(CODES[0], offset, 0)
        mapped = unshifted(moved.astype(np.float32), CODES[0], offset)
        kept = ~np.isnan(mapped)
        assert kept.sum() == 13 - abs(offset)
        np.testing.assert_array_equal(mapped[kept], CODES[0][kept])
