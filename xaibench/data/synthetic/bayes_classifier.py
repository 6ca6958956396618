"""What the best possible classifier knows of a generated sequence: its exact posterior."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xaibench.data.meme import Matrix
from xaibench.shapes import Codes, Labels, Values

from .backgrounds import MarkovChain, log_probabilities
from .contents import Design, weighed
from .placement import Content, Grammar, Ways, arrangements, summed, weighed_by

SIMULATED = 2000
"""So many fresh sequences tell the accuracy of the best possible classifier."""

_BLOCK_ROWS = 100
"""So many sequences at a time: what is kept of them stays in the processor's cache."""


class _MixturePart(NamedTuple):
    """A content of the mixture, with its number of arrangements and its probability by class."""

    content: Content
    is_misplaced: bool
    arrangements: float
    probabilities: NDArray[np.float64]


def posterior(codes: Codes, design: Design, background: MarkovChain) -> Values:
    """``(sequence,)``: the probability of class 1, both classes being equally likely before.

    Exact for sequences of ``design`` in ``background``; every base is known.
    """
    from scipy.special import expit  # slow to import, and sequences are made without

    negative, positive = log_likelihoods(codes, design, background)
    probabilities: Values = expit(positive - negative)
    return probabilities


def log_likelihoods(codes: Codes, design: Design, background: MarkovChain) -> NDArray[np.float64]:
    """``(class, sequence)``: the log-probability of each sequence among those of a class.

    Summed over contents, orders, starts and strands. The stretches between instances are walks by
    themselves, so an arrangement is a product of its instances and its gaps.
    """
    parts = _mixture_parts(design)
    chunks = [
        _of_chunk(codes[start : start + _BLOCK_ROWS], design, background, parts)
        for start in range(0, len(codes), _BLOCK_ROWS)
    ]
    return np.concatenate(chunks, axis=1)


def position_sums(design: Design) -> int:
    """How many sums over positions ``log_likelihoods`` takes at most for a sequence."""
    shuffled = "shuffled" in design.decoys
    states = 1
    for count in design.counts.tolist():
        states *= (count + 1) * (count + 2) // 2 if shuffled else count + 1
    # all and loose arrangements too, the loose ones for two sorts of neighbours
    return states * (4 if "misplaced" in design.decoys else 1) * len(design.matrices)


def bayes_accuracy(positive: Values, labels: Labels) -> tuple[float, float]:
    """The share of sequences whose more likely class is theirs, and its standard error.

    ``positive`` ``(sequence,)`` is the probability of class 1.
    """
    mean = float(((positive > 0.5) == labels).mean())
    return mean, float(np.sqrt(mean * (1 - mean) / len(labels)))


class SimulatedFacts(Mapping[str, str | int | float]):
    """Facts of a dataset and, by the name ``what``, one that is simulated when it is first read:
    that takes as long as drawing the sequences, and only reports need it."""

    def __init__(
        self, known: Mapping[str, str | int | float], what: str, simulate: Callable[[], str]
    ) -> None:
        self._known, self._what, self._simulate = known, what, simulate

    @cached_property
    def _simulated(self) -> str:
        return self._simulate()

    def __getitem__(self, name: str) -> str | int | float:
        return self._simulated if name == self._what else self._known[name]

    def __contains__(self, name: object) -> bool:
        return name == self._what or name in self._known

    def __iter__(self) -> Iterator[str]:
        yield from self._known
        yield self._what

    def __len__(self) -> int:
        return len(self._known) + 1


def describe_accuracy(mean: float, error: float) -> str:
    """An accuracy by simulation, as text."""
    return f"{mean:.3f} ({SIMULATED:,} simulated sequences, standard error {error:.3f})"


def _mixture_parts(design: Design) -> list[_MixturePart]:
    weights = weighed(design)
    contents = [content for content, _ in weights]
    counts = [
        arrangements(contents, grammar, widths=design.widths, length=design.length)
        for grammar in _grammars(design)
    ]
    parts = []
    for part, ((content, is_misplaced), probabilities) in enumerate(weights.items()):
        of_grammar = [counted[part] for counted in counts]
        total = of_grammar[1] - of_grammar[2] if is_misplaced else of_grammar[0]
        parts.append(_MixturePart(content, is_misplaced, total, probabilities))
    return parts


def _grammars(design: Design) -> list[Grammar]:
    """That of the sequences; and, where some are misplaced, all arrangements and those that are
    not: what is misplaced is the difference."""
    grammar = design.grammar
    if "misplaced" not in design.decoys:
        return [grammar]
    return [grammar, Grammar(grammar.motifs), replace(grammar, loose=True)]


def _of_chunk(
    codes: Codes, design: Design, background: MarkovChain, parts: Sequence[_MixturePart]
) -> NDArray[np.float64]:
    from scipy.special import logsumexp

    logs = log_probabilities(background, codes)
    log_weights = [_log_weights(codes, matrix, logs[-1], design) for matrix in design.matrices]
    scales = [_log_scale(of_kind) for of_kind in log_weights]
    weights = [
        np.exp(of_kind - scale[:, None]) for of_kind, scale in zip(log_weights, scales, strict=True)
    ]
    gaps = _gap_weights(logs)
    sums = [weighed_by(weights, gaps, grammar) for grammar in _grammars(design)]
    terms = []
    for part in parts:
        if part.is_misplaced:
            # rounding leaves less than nothing where no misplaced arrangement is any likely
            total = np.maximum(summed(part.content, sums[1]) - summed(part.content, sums[2]), 0)
        else:
            total = summed(part.content, sums[0])
        scale = np.tensordot(part.content, scales, axes=1)
        with np.errstate(divide="ignore"):
            terms.append(np.log(total / part.arrangements) + scale)
    with np.errstate(divide="ignore"):
        mixture = np.log([part.probabilities for part in parts])
    of_classes = np.array(terms) + mixture.T[:, :, None]
    likelihoods: NDArray[np.float64] = logs[-1].sum(axis=1) + logsumexp(of_classes, axis=1)
    return likelihoods


def _log_weights(
    codes: Codes, matrix: Matrix, logs: NDArray[np.float64], design: Design
) -> NDArray[np.float64]:
    """``(sequence, start)``: an instance there against the background's own bases."""
    instance = _log_instances(codes, matrix)
    if design.both_strands:
        other = _log_instances(codes, matrix[::-1, ::-1])
        instance = np.logaddexp(instance, other) - np.log(2)
    before = np.pad(logs.cumsum(axis=1), ((0, 0), (1, 0)))
    weights: NDArray[np.float64] = instance - (before[:, len(matrix) :] - before[:, : -len(matrix)])
    return weights


def _log_instances(codes: Codes, matrix: Matrix) -> NDArray[np.float64]:
    """``(sequence, start)``: the log-probability of the bases there as an instance."""
    starts = codes.shape[1] - len(matrix) + 1
    with np.errstate(divide="ignore"):
        log_matrix = np.log(matrix)
    total = np.zeros((len(codes), starts))
    for column, of_base in enumerate(log_matrix):
        total += of_base[codes[:, column : column + starts]]
    return total


def _log_scale(log_weights: NDArray[np.float64]) -> Values:
    """``(sequence,)``: the largest, which keeps products from overflowing."""
    largest: Values = log_weights.max(axis=1)
    return np.where(np.isfinite(largest), largest, 0)


def _gap_weights(logs: Sequence[NDArray[np.float64]]) -> list[Ways]:
    """The weights of 0, 1, ... bases behind an instance, which begin a new walk.

    Against the bases of one walk through the whole sequence, they are another weight for as many
    bases as the chain looks back.
    """
    count, length = logs[-1].shape
    weights = [np.ones((count, length + 1))]
    for order, of_order in enumerate(logs[:-1]):
        restarted = np.ones((count, length + 1))
        restarted[:, : length - order] = np.exp(of_order - logs[-1])[:, order:]
        weights.append(weights[-1] * restarted)
    return weights
