"""How far an operator pushes its sequences off the data, and whether that changes who wins.

A model was never trained on what an operator makes. What it predicts there is due both to the
explanation and to how unusual the sequence is, so that is measured and printed beside the score: by
letters, which no model is asked about, and by the model's own confidence.

By letters: the mean log-likelihood per base under a Markov chain of order 3 fitted to train,

    l(s) = 1/L  sum over i of log p(s[i] | s[i-3], s[i-2], s[i-1]),
    p(d | a, b, c) = (n(abcd) + 1) / (n(abcA) + ... + n(abcN) + 5),

with n the counts of 4-mers in train. Reported is l(edited) - l(intact), in nats per base; negative
is further from train.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np
import scipy
from numpy.typing import NDArray

from xaibench.shapes import Codes, Logits, Values
from xaibench.statistics.rounding import without_rounding
from xaibench.values import N

from . import encoding
from .replacement import Ranks, replacement_counts, with_replaced

ORDER = 3
"""So many letters before a letter its probability depends on: 4-mers are counted. Our choice."""

_ALPHABET_SIZE = N + 1
_KMERS = _ALPHABET_SIZE ** (ORDER + 1)
_POSITIONS_PER_BLOCK = 2**20
"""So many positions are looked up at a time; their table look-ups then take 8 MiB."""


@dataclass(frozen=True, slots=True)
class KmerBackground:
    """A Markov chain of order 3 over A C G T N, as it was fitted to train.

    ``log_probability`` ``(letter, letter, letter, next letter)`` is that of the next letter after
    the three before it, in nats. Three N stand before the first letter of a sequence.
    """

    log_probability: NDArray[np.float64]

    def __post_init__(self) -> None:
        expected = (_ALPHABET_SIZE,) * (ORDER + 1)
        if self.log_probability.shape != expected:
            raise ValueError(
                f"log_probability: expected {expected}, got {self.log_probability.shape}"
            )


class RankAgreement(NamedTuple):
    """Kendall's tau-b of the methods' means under two operators, and how many methods it is of."""

    operator: str
    other: str
    tau: float
    methods: int


def fit_kmer_background(codes: Codes) -> KmerBackground:
    """The background of sequences: counts of all 4-mers, one added to each.

    Padding is not counted. N within a sequence is a letter like any other: where there was none, it
    has the one added and nothing else, and so is the less likely the more sequences there were.
    """
    kmer_counts = sum(
        (
            np.bincount(each.ravel(), minlength=_KMERS + 1)[:_KMERS]
            for _, each in _kmer_blocks(codes)
        ),
        start=np.ones(_KMERS, np.intp),
    ).reshape((_ALPHABET_SIZE,) * (ORDER + 1))
    return KmerBackground(np.log(kmer_counts / kmer_counts.sum(axis=-1, keepdims=True)))


def log_likelihood(
    background: KmerBackground, codes: Codes, lengths: NDArray[np.intp] | None = None
) -> Values:
    """``(sequence,)``: nats per base of the length without padding; higher is more like train.

    ``lengths`` ``(sequence,)`` are those of ``codes`` where they are not given. NaN for a sequence
    without a known base.
    """
    ends = encoding.lengths(codes) if lengths is None else lengths
    table = np.append(background.log_probability.ravel(), 0.0)  # the 4-mer of padding adds nothing
    sums = np.empty(len(codes))
    for rows, kmers in _kmer_blocks(codes, ends):
        sums[rows] = table[kmers].sum(axis=1)
    undefined = np.full(len(codes), np.nan)
    per_base: Values = np.divide(sums, ends, out=undefined, where=ends > 0)
    return per_base


def likelihood_changes(
    background: KmerBackground,
    codes: Codes,
    donor: Codes,
    fractions: tuple[float, ...],
    ranked: Ranks,
) -> NDArray[np.float64]:
    """``(fraction, sequence)``: what replacing does to the log-likelihood, in nats per base.

    Negative is further from train than the intact sequence. ``ranked`` is a random order of
    replacement. The length is that of the intact sequence, also where N are put at its end; NaN as
    in ``log_likelihood``.
    """
    lengths = encoding.lengths(codes)
    intact = log_likelihood(background, codes, lengths)
    edited = (
        with_replaced(codes, donor, ranked, count)
        for count in replacement_counts(fractions, codes < N)
    )
    return np.stack([log_likelihood(background, each, lengths) for each in edited]) - intact


def confidence(logits: Logits) -> NDArray[np.float64]:
    """The largest probability ``(...)`` of logits ``(..., class)``: from 1 / classes to 1."""
    exact = logits.astype(np.float64)
    below = exact - exact.max(axis=-1, keepdims=True)
    largest: NDArray[np.float64] = 1 / np.exp(below).sum(axis=-1)
    return largest


def rank_agreements(means: Mapping[str, NDArray[np.float64]]) -> list[RankAgreement]:
    """Whether two operators rank the methods alike, for every pair of operators.

    ``means`` holds, by operator, one number per method ``(method,)``, in the same order and
    direction for all. tau-b is 1 for the same ranking, -1 for the reverse and counts ties (*Kendall
    1945*). A method that is NaN under one of the two is left out; NaN with fewer than three
    methods, or where one operator has the same mean for all.
    """
    return [
        RankAgreement(operator, other, *_kendalls_tau(means[operator], means[other]))
        for operator, other in combinations(means, 2)
    ]


def _kendalls_tau(first: NDArray[np.float64], second: NDArray[np.float64]) -> tuple[float, int]:
    """tau-b of the means ``(method,)`` that both have, and the number of those methods."""
    both = ~(np.isnan(first) | np.isnan(second))
    methods = int(both.sum())
    if methods < 3:
        return float("nan"), methods
    ranked = [without_rounding(each[both]) for each in (first, second)]
    return float(scipy.stats.kendalltau(*ranked, variant="b").statistic), methods


def _kmer_blocks(
    codes: Codes, lengths: NDArray[np.intp] | None = None
) -> Iterator[tuple[slice, NDArray[np.uint16]]]:
    """Some sequences at a time, and the 4-mers ``(sequence, position)`` that end at each position.

    Behind the ``lengths`` (those of ``codes`` where they are not given) the number is ``_KMERS``.
    """
    rows = max(1, _POSITIONS_PER_BLOCK // max(1, codes.shape[1]))
    for start in range(0, len(codes), rows):
        part = slice(start, start + rows)
        ends = encoding.lengths(codes[part]) if lengths is None else lengths[part]
        yield part, _kmer_numbers(codes[part], ends)


def _kmer_numbers(codes: Codes, lengths: NDArray[np.intp]) -> NDArray[np.uint16]:
    """``(sequence, position)``: the 4-mer that ends there, read as a number to base 5."""
    length = codes.shape[1]
    padded = np.pad(codes.astype(np.uint16), ((0, 0), (ORDER, 0)), constant_values=N)
    kmers = np.zeros(codes.shape, np.uint16)
    for start in range(ORDER + 1):
        kmers = kmers * np.uint16(_ALPHABET_SIZE) + padded[:, start : start + length]
    kmers[np.arange(length) >= lengths[:, None]] = _KMERS
    return kmers
