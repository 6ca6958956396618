"""The attributions that every method must beat, and those no method should be.

``CONTROLS`` alter a method's own map so that it should get worse. Each is called ``(scores,
sequences, targets, data_seed)`` and gives ``(sequence, position)`` float32, 0 where no base is
known; a sequence of which the control cannot be made has a row of NaN. What is drawn depends on
the data seed and the sequence alone, so every method, model and seed meets the same draws, and the
order of the sequences changes nothing. ``PRIORS`` are maps that no model made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from xaibench.errors import NotApplicable
from xaibench.randomness import streams
from xaibench.shapes import Labels, Mask, Scores
from xaibench.values import Sequences

RANDOM = "random control"
"""The method's name of the control in records."""

ORACLE = "oracle"
"""The method's name, in records, of the map that knows the right answer."""

BLUR_WIDTH = 9
"""How many positions ``blurred`` averages over: about a motif, so that its shape is lost. Our
choice."""

GC_WIDTH = 11
"""How many positions the prior "GC content" looks at. Our choice."""

Control = Callable[[Scores, Sequences, Labels, int], Scores]


def random_maps(sequences: Sequences, draws: int, data_seed: int) -> NDArray[np.float32]:
    """Uniform scores ``(draw, sequence, position)``: orders of equal cardinality, and random maps.

    They depend on the data seed alone, so every model, seed and operator meets the same ones.
    """
    maps = np.empty((draws, *sequences.codes.shape), np.float32)
    for row, generator in enumerate(streams(data_seed, RANDOM, sequences.codes)):
        maps[:, row] = generator.random((draws, maps.shape[2]), dtype=np.float32)
    return maps


def is_map(scores: Scores, valid: Mask) -> NDArray[np.bool_]:
    """``(sequence,)``: False where a control could not be made."""
    known: NDArray[np.bool_] = np.logical_not((np.isnan(scores) & valid).any(axis=1))
    return known


def oracle_of_truth(sequences: Sequences) -> Scores:
    """The truth about motifs as a signed map for the label ``(sequence, position)``.

    1 where a motif speaks for the sequence's own class, -1 at every other known position. Were it
    0 there, the negated oracle would have no positive score, and a map without any is as good as
    chance, not worse. ``NotApplicable`` where nothing is known of motifs.
    """
    if sequences.inside_motif is None:
        raise NotApplicable("the dataset does not say where its motifs are")
    return _at_known(np.where(sequences.inside_motif, 1, -1), sequences.valid)


# A method's own map, altered


def rotated(scores: Scores, sequences: Sequences, targets: Labels, data_seed: int) -> Scores:
    """The values of the known positions rotated by a random distance, never by none.

    Values and lengths of runs stay as they are (but for the run over the end), so it shows what
    the pattern is worth in the wrong place. NaN for a sequence of fewer than two known positions.
    """
    counts = sequences.valid.sum(axis=1)
    offsets = np.array(
        [
            generator.integers(1, count) if count > 1 else 0
            for generator, count in zip(
                streams(data_seed, "rotated", sequences.codes), counts, strict=True
            )
        ]
    )
    known_first = np.argsort(~sequences.valid, axis=1, kind="stable")
    among_known = np.cumsum(sequences.valid, axis=1) - 1
    taken = (among_known - offsets[:, None]) % np.maximum(counts, 1)[:, None]
    positions = np.take_along_axis(known_first, taken, axis=1)
    maps = _at_known(np.take_along_axis(scores, positions, axis=1), sequences.valid)
    maps[counts < 2] = np.nan
    return maps


def another_sequence(
    scores: Scores, sequences: Sequences, targets: Labels, data_seed: int
) -> Scores:
    """The map of another of the sequences with the same target, each given to one other.

    The sequences of a target, each different one counted once, are put in a random circle; each
    takes the map of the next. Positions are counted from the start; where the other sequence has no
    known base its map says nothing, 0. NaN where there is no other sequence with the target.
    """
    maps = np.full(scores.shape, np.nan, np.float32)
    known = _at_known(scores, sequences.valid)
    for rows, circle, places in _circles(sequences, targets, data_seed):
        if len(circle) > 1:
            others = circle[(places + 1) % len(circle)]
            maps[rows] = _at_known(known[others], sequences.valid[rows])
    return maps


def mean_map(scores: Scores, sequences: Sequences, targets: Labels, data_seed: int) -> Scores:
    """The mean map of all the other sequences with the same target: what the position tells.

    At each position over those that have a known base there, each different sequence counted once;
    0 where none has. NaN where there is no other sequence with the target.
    """
    maps = np.full(scores.shape, np.nan, np.float32)
    valid = sequences.valid
    # Sums of float32 in float64 lose nothing that matters when the own map is taken off again.
    known = _at_known(scores, valid).astype(np.float64)
    for rows, circle, _ in _circles(sequences, targets, data_seed):
        if len(circle) > 1:
            total = known[circle].sum(axis=0) - known[rows]
            maps[rows] = _mean_at_known(total, valid[circle].sum(axis=0) - valid[rows], valid[rows])
    return maps


def negated(scores: Scores, sequences: Sequences, targets: Labels, data_seed: int) -> Scores:
    """The map with the sign of every score flipped: the least relevant are the most relevant."""
    return _at_known(-scores, sequences.valid)


def blurred(scores: Scores, sequences: Sequences, targets: Labels, data_seed: int) -> Scores:
    """The mean over the known positions of the ``BLUR_WIDTH`` around each; at an end, of those
    that are there."""
    return _means_around(scores, sequences.valid, BLUR_WIDTH)


CONTROLS: Mapping[str, Control] = {
    "rotated": rotated,
    "another sequence": another_sequence,
    "mean map": mean_map,
    "negated": negated,
    "blurred": blurred,
}
"""By their names in records."""


# What no model made


def distance_to_centre(sequences: Sequences) -> Scores:
    """1 in the middle of the known positions, falling linearly to 0 just outside them."""
    valid = sequences.valid
    first = valid.argmax(axis=1)[:, None]
    last = valid.shape[1] - 1 - valid[:, ::-1].argmax(axis=1)[:, None]
    middle, reach = (first + last) / 2, (last - first) / 2 + 1
    return _at_known(1 - np.abs(np.arange(valid.shape[1]) - middle) / reach, valid)


def gc_content(sequences: Sequences) -> Scores:
    """The share of G and C among the known bases of the ``GC_WIDTH`` around each position."""
    return _means_around(np.isin(sequences.codes, (1, 2)), sequences.valid, GC_WIDTH)


_PRIORS: Mapping[str, Callable[[Sequences], Scores]] = {
    "distance to centre": distance_to_centre,
    "GC content": gc_content,
}

PRIORS = tuple(_PRIORS)
"""The methods' names of the priors in records."""


def prior_maps(name: str, sequences: Sequences) -> Scores:
    """The map ``(sequence, position)`` of one of ``PRIORS``; not negative, and unsigned."""
    return _PRIORS[name](sequences)


def _at_known(values: NDArray[np.generic], valid: Mask) -> Scores:
    """The values at known positions, 0 elsewhere."""
    return np.where(valid, values, 0).astype(np.float32)


def _circles(
    sequences: Sequences, targets: Labels, data_seed: int
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]]:
    """For each target: its rows, a row of each different sequence in random order, and the place
    of each row in that order."""
    keys = np.array(
        [generator.random() for generator in streams(data_seed, "circle", sequences.codes)]
    )
    for target in np.unique(targets):
        rows = np.flatnonzero(targets == target)
        _, first, places = np.unique(keys[rows], return_index=True, return_inverse=True)
        yield rows, rows[first], places


def _means_around(values: NDArray[np.generic], valid: Mask, width: int) -> Scores:
    """Means over the known positions of a window around each."""

    def sums(counted: NDArray[np.float64]) -> NDArray[np.float64]:
        # Not differences of running sums: their rounding would make equal scores differ.
        padded = np.pad(counted, ((0, 0), (width // 2, width // 2)))
        total: NDArray[np.float64] = sliding_window_view(padded, width, axis=1).sum(axis=-1)
        return total

    known = np.where(valid, values, 0).astype(np.float64)
    return _mean_at_known(sums(known), sums(valid.astype(np.float64)), valid)


def _mean_at_known(
    total: NDArray[np.float64], count: NDArray[np.floating | np.integer], valid: Mask
) -> Scores:
    """The quotient at known positions; 0 elsewhere and where nothing was counted."""
    mean = np.zeros(total.shape)
    np.divide(total, count, out=mean, where=valid & (count > 0))
    return mean.astype(np.float32)
