"""How far an operator pushes its sequences off the data, and whether that changes who wins.

A model was never trained on what an operator makes. What it says there tells of the explanation and
of the strangeness at once, so the strangeness is measured and printed beside the score: by letters,
which no model is asked about, and by the model's own confidence.
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
from .replacement import Ranks, counts, replaced

ORDER = 3
"""A letter is judged by so many before it, so all words of four letters count. Our choice."""

_LETTERS = N + 1
_WORDS = _LETTERS ** (ORDER + 1)
_TOGETHER = 2**20
"""So many positions are looked up at a time; their words then take 8 MiB."""


@dataclass(frozen=True, slots=True)
class KmerBackground:
    """A Markov chain of order 3 over A C G T N, as it was fitted to train.

    ``log_probability`` ``(letter, letter, letter, next letter)`` is that of the next letter after
    the three before it, in nats. Three N stand before the first letter of a sequence.
    """

    log_probability: NDArray[np.float64]

    def __post_init__(self) -> None:
        expected = (_LETTERS,) * (ORDER + 1)
        if self.log_probability.shape != expected:
            raise ValueError(
                f"log_probability: expected {expected}, got {self.log_probability.shape}"
            )


class Agreement(NamedTuple):
    """Kendall's tau-b of the methods' means under two operators, and how many methods it is of."""

    operator: str
    other: str
    tau: float
    methods: int


def fitted(codes: Codes) -> KmerBackground:
    """The background of sequences: counts of all words of four letters, one added to each.

    Padding is not counted. N within a sequence is a letter like any other: where there was none, it
    has the one added and nothing else, and so is the less likely the more sequences there were.
    """
    words = sum(
        (np.bincount(each.ravel(), minlength=_WORDS + 1)[:_WORDS] for _, each in _parts(codes)),
        start=np.ones(_WORDS, np.intp),
    ).reshape((_LETTERS,) * (ORDER + 1))
    return KmerBackground(np.log(words / words.sum(axis=-1, keepdims=True)))


def log_likelihood(background: KmerBackground, codes: Codes) -> Values:
    """``(sequence,)``: in nats a base, over the length without padding; higher is more like train.

    NaN for a sequence without a known base.
    """
    return _log_likelihood(background, codes, encoding.lengths(codes))


def likelihood_changes(
    background: KmerBackground,
    codes: Codes,
    donor: Codes,
    fractions: tuple[float, ...],
    ranked: Ranks,
) -> NDArray[np.float64]:
    """``(fraction, sequence)``: what replacing does to the log-likelihood, in nats a base.

    Negative is further from train than the intact sequence. ``ranked`` is a random order of
    replacement. The length is that of the intact sequence, also where N are put at its end; NaN as
    in ``log_likelihood``.
    """
    lengths = encoding.lengths(codes)
    intact = _log_likelihood(background, codes, lengths)
    edited = (replaced(codes, donor, ranked, count) for count in counts(fractions, codes < N))
    return np.stack([_log_likelihood(background, each, lengths) for each in edited]) - intact


def confidence(logits: Logits) -> NDArray[np.float64]:
    """The largest probability ``(...)`` of logits ``(..., class)``: from 1 / classes to 1."""
    exact = logits.astype(np.float64)
    below = exact - exact.max(axis=-1, keepdims=True)
    largest: NDArray[np.float64] = 1 / np.exp(below).sum(axis=-1)
    return largest


def rankings(means: Mapping[str, NDArray[np.float64]]) -> list[Agreement]:
    """Whether two operators rank the methods alike, for every pair of operators.

    ``means`` holds, by operator, one number a method ``(method,)``, in the same order and direction
    for all. tau-b is 1 for the same ranking, -1 for the reverse and counts ties (*Kendall 1945*). A
    method that is NaN under one of the two is left out; NaN with fewer than three methods, or where
    one operator has the same mean for all.
    """
    return [
        Agreement(operator, other, *_tau(means[operator], means[other]))
        for operator, other in combinations(means, 2)
    ]


def _tau(first: NDArray[np.float64], second: NDArray[np.float64]) -> tuple[float, int]:
    both = ~(np.isnan(first) | np.isnan(second))
    methods = int(both.sum())
    if methods < 3:
        return float("nan"), methods
    ranked = [without_rounding(each[both]) for each in (first, second)]
    return float(scipy.stats.kendalltau(*ranked, variant="b").statistic), methods


def _log_likelihood(background: KmerBackground, codes: Codes, lengths: NDArray[np.intp]) -> Values:
    table = np.append(background.log_probability.ravel(), 0.0)  # the word of padding adds nothing
    sums = np.empty(len(codes))
    for part, words in _parts(codes, lengths):
        sums[part] = table[words].sum(axis=1)
    undefined = np.full(len(codes), np.nan)
    of_a_base: Values = np.divide(sums, lengths, out=undefined, where=lengths > 0)
    return of_a_base


def _parts(
    codes: Codes, lengths: NDArray[np.intp] | None = None
) -> Iterator[tuple[slice, NDArray[np.uint16]]]:
    """Some sequences at a time, and the words ``(sequence, position)`` that end at each position.

    Behind the ``lengths`` (found where they are not given) the word is ``_WORDS``.
    """
    rows = max(1, _TOGETHER // max(1, codes.shape[1]))
    for start in range(0, len(codes), rows):
        part = slice(start, start + rows)
        ends = encoding.lengths(codes[part]) if lengths is None else lengths[part]
        yield part, _words(codes[part], ends)


def _words(codes: Codes, lengths: NDArray[np.intp]) -> NDArray[np.uint16]:
    length = codes.shape[1]
    padded = np.pad(codes.astype(np.uint16), ((0, 0), (ORDER, 0)), constant_values=N)
    words = np.zeros(codes.shape, np.uint16)
    for start in range(ORDER + 1):
        words = words * np.uint16(_LETTERS) + padded[:, start : start + length]
    words[np.arange(length) >= lengths[:, None]] = _WORDS
    return words
