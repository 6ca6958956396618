"""Does a map say what the model loses? Scores beside the true effects of substitutions.

The bases at some positions are replaced by other ones and the model predicts again: every single
substitution, or random sets of them. ``drops`` are of what is explained; only valid positions
count.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from xaibench.errors import NotApplicable
from xaibench.protocols import metric
from xaibench.shapes import Values
from xaibench.values import Explained, Subsets, Substitutions

from .agreement import centred_ranks
from .quotient import ratio

_effect_metric = partial(metric, family="faithfulness", of="effects", signs_apart=True)


@_effect_metric(
    better="higher", range=(-1.0, 1.0), effects="substitutions", invariant=("scale", "monotone")
)
def substitution_agreement(explained: Explained, effects: Substitutions) -> Values:
    """Spearman correlation of a map with the true effects of positions; in [-1, 1], higher is
    better.

    The effect of a position is the mean drop over its three substitutions, which is what in silico
    mutagenesis measures; for an unsigned map it is the size of that mean. NaN where the map or the
    effects are constant: their order is undefined.
    """
    valid = explained.sequences.valid
    effect = effects.drops.sum(axis=2) / 3  # the own base, a fourth, drops by 0
    effect = effect if explained.signed else np.abs(effect)
    return _correlation(centred_ranks(explained.scores, valid), centred_ranks(effect, valid))


@_effect_metric(better="lower", range=(0.0, 1.0), effects="subsets", invariant=("scale",))
def infidelity(explained: Explained, effects: Subsets) -> Values:
    """Share of the drops that the summed scores leave unexplained; in [0, 1], lower is better.

    The mean squared difference between the drops and the sums of the map over the replaced
    positions, both as differences from the mean over the sets of their size, over the mean square
    of these drops: 0 where sums are proportional to drops, 1 where they say nothing. Large sets
    lose more whatever the map says, so that without the means a constant map would do well. Maps
    differ in unit, so that each sequence's is first multiplied by the best factor that is not
    negative: a map that points the wrong way says nothing. All this is our choice; the difference
    is that of *Yeh 2019*. NaN where no set of a size differs from another in its drop.
    """
    sums = _within_sizes(_sums(explained, effects), effects.fractions)
    drops = _within_sizes(effects.drops.astype(np.float64), effects.fractions)
    fit, size = (sums * drops).sum(0), (sums**2).sum(0)
    factor = np.divide(np.maximum(fit, 0), size, out=np.zeros_like(fit), where=size > 0)
    share = ratio(((factor * sums - drops) ** 2).sum(0), (drops**2).sum(0))
    bounded: Values = np.minimum(share, 1)  # without a factor it would be 1: above is rounding
    return bounded


def _within_sizes(
    values: NDArray[np.float64], fractions: NDArray[np.float64]
) -> NDArray[np.float64]:
    """``(edit, sequence)`` less the mean over the edits of the same size; 0 where these are all
    the same, whatever rounding says."""
    centred = np.empty_like(values)
    for fraction in np.unique(fractions):
        of_size = values[fractions == fraction]
        differ = np.ptp(of_size, 0) > 0
        centred[fractions == fraction] = np.where(differ, of_size - of_size.mean(0), 0)
    return centred


@_effect_metric(better="higher", range=(-1.0, 1.0), effects="subsets", invariant=("scale",))
def sensitivity_n(explained: Explained, effects: Subsets) -> Values:
    """Correlation of summed scores with drops over sets of one size; in [-1, 1], higher is better.

    Pearson correlation over the sets of n positions, and the plain mean of it over the sizes.
    NaN where the sums or the drops of a size are all the same. ``NotApplicable`` where a size has
    one set only. *Ancona 2018*.
    """
    sums, drops = _sums(explained, effects), effects.drops.astype(np.float64)
    sizes, counts = np.unique(effects.fractions, return_counts=True)
    if counts.min() < 2:
        raise NotApplicable(
            f"expected two or more sets of every size to correlate over, got one of "
            f"{sizes[counts.argmin()]:g} of the positions"
        )
    of_size = [effects.fractions == size for size in sizes]
    mean: Values = np.mean([_correlation(sums[own].T, drops[own].T) for own in of_size], axis=0)
    return mean


def _sums(explained: Explained, effects: Subsets) -> NDArray[np.float64]:
    """``(edit, sequence)``: the scores of the replaced valid positions, added up."""
    # float64 holds sums of equal float32 exactly: those of a constant map do not differ by rounding
    scores = np.where(explained.sequences.valid, explained.scores.astype(np.float64), 0)
    return np.stack([np.where(replaced, scores, 0).sum(axis=1) for replaced in effects.replaced])


def _correlation(first: NDArray[np.float64], second: NDArray[np.float64]) -> Values:
    """Pearson correlation of the rows of two arrays; NaN where one of them is constant."""
    # sums along rows of one memory layout round alike, however the rows were made
    first, second = np.ascontiguousarray(first), np.ascontiguousarray(second)
    varies = (np.ptp(first, axis=1) > 0) & (np.ptp(second, axis=1) > 0)
    first = first - first.mean(axis=1, keepdims=True)
    second = second - second.mean(axis=1, keepdims=True)
    size = np.sqrt((first**2).sum(1) * (second**2).sum(1))
    correlation = ratio((first * second).sum(1), size, defined=varies)
    bounded: Values = np.clip(correlation, -1, 1)  # by rounding it may be a last bit more
    return bounded
