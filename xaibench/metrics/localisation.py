"""Does a method point at the motif? Scores against the positions that carry the truth.

Scores are taken for the true label. Of signed scores the positive part counts (evidence for the
label), but for ``rule_satisfaction``; of all scores only the valid positions. Among equal scores no
position comes first. What depends on their order alone stays under every strictly rising change
that leaves 0 where it is. ``CHANCE`` says what a random map reaches.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Annotated

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray
from pydantic import Field

from xaibench.errors import NotApplicable
from xaibench.protocols import metric
from xaibench.shapes import Evidence, Mask, Values
from xaibench.values import NO_CLASS, Explained

from .motif_runs import best_overlaps, join_runs, known_first, runs, runs_of, share
from .quotient import ratio

_motif_metric = partial(
    metric,
    family="localisation",
    better="higher",
    range=(0.0, 1.0),
    of="explanation",
    target="label",
    needs_motif=True,
    invariant=("scale",),
)


@_motif_metric()
def auprc(explained: Explained) -> Values:
    """Average precision of the scores for the motif's positions; in (0, 1], higher is better.

    The step-wise sum over distinct scores, tied positions entering together (*Davis and Goadrich
    2006* on why not the trapezoid). NaN for a sequence without the motif, or with no valid
    position outside it. ``chance_auprc`` is what a random order reaches.
    """
    inside, valid = _motif_mask(explained), explained.sequences.valid
    scores = np.where(valid, _evidence(explained), -np.inf)
    order = np.argsort(-scores, axis=1, kind="stable")
    ranked_inside = np.take_along_axis(inside, order, axis=1)
    hits = np.cumsum(ranked_inside, axis=1)
    precision = hits / np.arange(1, hits.shape[1] + 1)
    ends = _ends_of_ties(np.take_along_axis(scores, order, axis=1))
    precision = np.take_along_axis(precision, ends, axis=1)
    motif_positions, positions = inside.sum(1), valid.sum(1)
    defined = (motif_positions > 0) & (motif_positions < positions)
    return ratio(np.where(ranked_inside, precision, 0).sum(1), motif_positions, defined=defined)


@_motif_metric()
def relevance_mass(explained: Explained) -> Values:
    """Share of the positive relevance that is inside the motif; in [0, 1], higher is better.

    Relevance mass accuracy (*Arras 2022*). Equal scores reach the motif's share of the valid
    positions, which is chance. NaN where there is no motif or no positive score.
    """
    inside, valid = _motif_mask(explained), explained.sequences.valid
    relevance = np.where(valid, np.maximum(_float64(explained), 0), 0)
    total = relevance.sum(1)
    defined = inside.any(1) & (total > 0)
    return ratio(np.where(inside, relevance, 0).sum(1), total, defined=defined)


@_motif_metric()
def relevance_rank(explained: Explained) -> Values:
    """Share of the R highest positions that are inside the motif of R; in [0, 1], higher is better.

    Relevance rank accuracy (*Arras 2022*); where scores are tied at the R-th, what a random order
    among them would find on average. Equal scores reach R/N of N valid positions, which is chance.
    NaN without a motif.
    """
    inside = _motif_mask(explained)
    motif_positions = inside.sum(1)
    return ratio(_expected_hits(explained, motif_positions), motif_positions)


@_motif_metric()
def top_k(explained: Explained, *, k: Annotated[int, Field(ge=1)] = 10) -> Values:
    """Share of the ``k`` highest positions that are inside the motif; in [0, 1], higher is better.

    Where scores are tied at the k-th, what a random order among them would find on average. A motif
    of R < k positions allows no more than R/k. Chance is R/N. NaN without a motif and where the
    sequence has fewer than k valid positions; ``NotApplicable`` where all have fewer.
    """
    inside, positions = _motif_mask(explained), explained.sequences.valid.sum(1)
    longest = positions.max(initial=0)
    if k > longest:
        raise NotApplicable(f"k is {k}, and no sequence has more than {longest} known positions")
    defined = inside.any(1) & (positions >= k)
    return ratio(_expected_hits(explained, np.full(len(inside), k)), k, defined=defined)


@_motif_metric()
def pointing_game(explained: Explained) -> Values:
    """Whether the highest position is inside the motif: 1 or 0, higher is better.

    The pointing game (*Zhang 2018*); of several highest positions, the share of them that is
    inside. Chance is R/N. NaN without a motif.
    """
    inside = _motif_mask(explained)
    hits = _expected_hits(explained, np.ones(len(inside), np.intp))
    return np.where(inside.any(1), hits, np.nan)


@_motif_metric()
def auroc(explained: Explained) -> Values:
    """How often a motif's position scores above another; in [0, 1], higher is better, chance 1/2.

    The area under the ROC curve, a tie counted as half (*Hanley and McNeil 1982*). It saturates: a
    map that puts 15 others above a motif of 15 among 200 still has 0.92, so read ``auprc`` first.
    NaN without a motif or with no valid position outside it.
    """
    inside, valid = _motif_mask(explained), explained.sequences.valid
    ranks = scipy.stats.rankdata(_evidence_of_known(explained), axis=1) - (~valid).sum(
        1, keepdims=True
    )
    motif_positions = inside.sum(1)
    others = valid.sum(1) - motif_positions
    wins = np.where(inside, ranks, 0).sum(1) - motif_positions * (motif_positions + 1) / 2
    pairs = motif_positions * others
    return ratio(wins, pairs)


@_motif_metric()
def instance_recall(
    explained: Explained,
    *,
    overlap: Annotated[float, Field(gt=0, le=1)] = 0.5,
    gap: Annotated[int, Field(ge=0)] = 2,
) -> Values:
    """Share of the motif's instances that are found; in [0, 1], higher is better.

    Of R motif positions in a sequence, the R highest are chosen; those tied at the R-th are left
    out where they are too many, for none of them comes first. Chosen positions with at most ``gap``
    others between them make one stretch, and so do instances. An instance is found where its
    intersection over union with a stretch is at least ``overlap``. Unknown bases separate nothing.
    NaN without a motif.

    A motif has positions that say little, so an ideal map is full of holes: from the log-odds of
    CTCF with some noise a ``gap`` of 0, 1 and 2 finds 51, 97 and 99.5 %, and at none of them does
    a random map find 1 % (our choice, measured on five motifs).
    """
    inside, valid = _motif_mask(explained), explained.sequences.valid
    chosen = _surely_highest(explained, inside.sum(1))
    motif, picked = (known_first(mask, valid) for mask in (inside, chosen))
    instances, stretches = (runs_of(join_runs(mask, gap)) for mask in (motif, picked))
    return share(instances, best_overlaps(instances, stretches) >= overlap, len(inside))


@_motif_metric(needs_sign=True)
def rule_satisfaction(explained: Explained) -> Values:
    """Share of motif instances whose scores have the right sign; in [0, 1], higher is better.

    The sum of an instance's scores must be positive where it speaks for the label and negative
    where it speaks for another class; a sum of 0 is not right. Maps of random sign reach 1/2.
    Instances of one class that touch count as one. NaN where no motif speaks for any class;
    ``NotApplicable`` to methods without a sign. The question is that of "Beyond Motif Localization"
    (2026), whether signed maps satisfy the rule; the definition is ours.
    """
    if not explained.signed:
        raise NotApplicable("the method's scores have no sign")
    labels, valid = explained.sequences.labels, explained.sequences.valid
    instances = runs(known_first(_truth(explained), valid))
    scores = known_first(_float64(explained), valid)
    sums = np.bincount(instances.numbers.ravel(), scores.ravel())[1:]
    speaks_for_label = instances.classes == labels[instances.rows]
    right = np.where(speaks_for_label, sums > 0, sums < 0)
    return share(instances, right, len(labels))


def chance_auprc(motif_positions: ArrayLike, positions: ArrayLike) -> Values:
    """The expected average precision of a random order, exactly.

    For R motif positions among N valid ones, with H the N-th harmonic number, it is
    ``H/N + (R-1)/(N-1) (1 - H/N)``: above R/N, for the first hits of a random order are measured
    on few positions. NaN where ``auprc`` is (no motif position, or nothing but).

    >>> chance_auprc([1, 15, 0], [2, 200, 200]).round(4).tolist()
    [0.75, 0.0977, nan]
    """
    motif, count = np.asarray(motif_positions, float), np.asarray(positions, float)
    defined = (motif > 0) & (motif < count)
    motif, count = np.where(defined, motif, 1), np.where(defined, count, 2)
    first = (scipy.special.digamma(count + 1) + np.euler_gamma) / count
    return np.where(defined, first + (motif - 1) / (count - 1) * (1 - first), np.nan)


def chance_share(motif_positions: ArrayLike, positions: ArrayLike) -> Values:
    """R/N: the share of a random map's mass, or of its highest positions, that the motif gets.

    Exactly, whatever the map's values and however many positions are looked at, for each of the N
    valid positions is as likely to have each score. NaN without a motif position.

    >>> chance_share([3, 0], [12, 12]).tolist()
    [0.25, nan]
    """
    motif, count = np.asarray(motif_positions, float), np.asarray(positions, float)
    return np.where(motif > 0, motif / np.where(motif > 0, count, 1), np.nan)


def chance_auroc(motif_positions: ArrayLike, positions: ArrayLike) -> Values:
    """1/2; NaN where ``auroc`` is (no motif position, or nothing but)."""
    motif, count = np.asarray(motif_positions, float), np.asarray(positions, float)
    return np.where((motif > 0) & (motif < count), 0.5, np.nan)


def chance_rule_satisfaction(motif_positions: ArrayLike, positions: ArrayLike) -> Values:
    """1/2: a random map of random sign is right about an instance as often as not. NaN without a
    motif position."""
    return np.where(np.broadcast_arrays(motif_positions, positions)[0] > 0, 0.5, np.nan)


Chance = Callable[[ArrayLike, ArrayLike], Values]

CHANCE: Mapping[str, Chance] = {
    "auprc": chance_auprc,
    "relevance_mass": chance_share,
    "relevance_rank": chance_share,
    "top_k": chance_share,
    "pointing_game": chance_share,
    "auroc": chance_auroc,
    "rule_satisfaction": chance_rule_satisfaction,
}
"""By metric, the expectation ``(motif_positions, positions)`` of a random map of scores that are
all different and, but for ``rule_satisfaction``, not negative. That of ``instance_recall`` depends
on where the instances are and has no closed form; the random control measures it."""


def _motif_mask(explained: Explained) -> Mask:
    inside: Mask = _truth(explained) == explained.sequences.labels[:, None]
    return inside


def _truth(explained: Explained) -> Evidence:
    """The evidence of known positions; ``NO_CLASS`` elsewhere."""
    evidence = explained.sequences.evidence
    if evidence is None:
        raise NotApplicable("the dataset does not say where its motifs are")
    return np.where(explained.sequences.valid, evidence, np.int8(NO_CLASS))


def _float64(explained: Explained) -> NDArray[np.float64]:
    return explained.scores.astype(np.float64)


def _evidence(explained: Explained) -> NDArray[np.float64]:
    scores = _float64(explained)
    return np.maximum(scores, 0) if explained.signed else scores


def _evidence_of_known(explained: Explained) -> NDArray[np.float64]:
    """The evidence in the scores; invalid positions are below all others."""
    return np.where(explained.sequences.valid, _evidence(explained), -np.inf)


def _expected_hits(explained: Explained, counts: NDArray[np.intp]) -> Values:
    """How many of the ``counts`` ``(sequence,)`` highest positions are the motif's, on average over
    the orders of those tied at the last. Has no meaning for less than one and more than all."""
    inside, scores = _motif_mask(explained), _evidence_of_known(explained)
    last = np.clip(counts, 1, scores.shape[1])[:, None] - 1
    threshold = np.take_along_axis(-np.sort(-scores, axis=1), last, axis=1)
    above, tied = scores > threshold, scores == threshold
    of_the_tied = (counts - above.sum(1)) / tied.sum(1)
    hits: Values = (above & inside).sum(1) + of_the_tied * (tied & inside).sum(1)
    return hits


def _surely_highest(explained: Explained, counts: NDArray[np.intp]) -> Mask:
    """The positions that are among the ``counts`` highest however ties are broken."""
    scores = _evidence_of_known(explained)
    falling = -np.sort(-scores, axis=1)
    falling = np.pad(falling, ((0, 0), (0, 1)), constant_values=-np.inf)
    highest: Mask = scores > np.take_along_axis(falling, counts[:, None], axis=1)
    return highest


def _ends_of_ties(ranked: NDArray[np.float64]) -> NDArray[np.intp]:
    """For each entry of sorted rows, the column of the last entry equal to it."""
    columns = np.arange(ranked.shape[1])
    ends = np.full(ranked.shape, ranked.shape[1] - 1)
    ends[:, :-1] = np.where(ranked[:, :-1] != ranked[:, 1:], columns[:-1], ends[:, :-1])
    reversed_minimum = np.minimum.accumulate(ends[:, ::-1], axis=1)
    return reversed_minimum[:, ::-1]
