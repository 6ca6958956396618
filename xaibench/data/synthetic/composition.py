"""Sequences without any motif: two classes that differ in their composition alone."""

from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from xaibench.errors import UsageError
from xaibench.randomness import stream
from xaibench.shapes import Codes, Labels
from xaibench.values import Sequences, Splits

from .backgrounds import (
    HIGHEST_ORDER,
    MarkovChain,
    fit_markov_chain,
    labelled_sequences,
    log_probabilities,
    require_possible,
    stationary_chain,
    walks,
)
from .bayes_classifier import SIMULATED, SimulatedFacts, bayes_accuracy, describe_accuracy

_LEAN = 0.03 * np.array([[1, -1, 1, -1], [-1, 1, -1, 1], [1, 1, -1, -1], [-1, -1, 1, 1]])
CHAINS = (stationary_chain(0.25 - _LEAN), stationary_chain(0.25 + _LEAN))
"""Each dinucleotide is 0.22 or 0.28 of those with its first base, and the other in the other class.
Single bases are uniform in both. Round figures of our own choice: at 200 nt the best possible
classifier is right in about 95 of 100 sequences."""


def composition(
    *,
    data_seed: int,
    train: Annotated[int, Field(ge=10, le=10_000_000)] = 8000,
    test: Annotated[int, Field(ge=10, le=10_000_000)] = 2000,
    length: Annotated[int, Field(ge=1, le=1_000_000)] = 200,
    order: Annotated[int, Field(ge=0, le=HIGHEST_ORDER)] = 1,
    sequences: Path | None = None,
    label: str = "label",
) -> Splits:
    """Two classes, each a Markov chain of its own: no position tells more than any other.

    A faithful benchmark must show curves close to random here. The chains are two of first order
    that differ in their dinucleotides (``CHAINS``); or, of any ``order``, those fitted to the two
    classes that the column ``label`` of a file ``sequences`` names. ``facts`` hold the accuracy of
    the best possible classifier, by simulation.

    Raises ``UsageError`` for a file of more than two classes.
    """
    require_possible(train + test, length)
    names, chains, origin = _chains(sequences, label, order)

    def split(which: str, count: int) -> Sequences:
        codes, labels = _draw_sequences(chains, count, length, data_seed, which)
        of_split = tuple(f"{which} {row}" for row in range(count))
        return Sequences(codes, labels, of_split, names)

    def best_possible() -> str:
        return describe_accuracy(*simulated_composition_accuracy(chains, length, data_seed))

    return Splits(
        split("train", train),
        split("test", test),
        note=f"Sequences of {length} nt without motifs, each class from {origin}.",
        facts=SimulatedFacts({"motifs": "none"}, "Bayes-optimal accuracy", best_possible),
    )


def simulated_composition_accuracy(
    chains: tuple[MarkovChain, MarkovChain], length: int, data_seed: int
) -> tuple[float, float]:
    """The accuracy of the best possible classifier of two chains and its standard error."""
    from scipy.special import expit  # slow to import

    codes, labels = _draw_sequences(chains, SIMULATED, length, data_seed, "simulated")
    first, second = (log_probabilities(of_class, codes)[-1].sum(axis=1) for of_class in chains)
    return bayes_accuracy(expit(second - first), labels)


def _draw_sequences(
    chains: tuple[MarkovChain, MarkovChain], count: int, length: int, data_seed: int, which: str
) -> tuple[Codes, Labels]:
    generator = stream(data_seed, "composition", which)
    labels = generator.permutation(np.arange(count) % 2)
    codes = np.empty((count, length), np.uint8)
    for index, of_class in enumerate(chains):
        rows = labels == index
        codes[rows] = walks(of_class, np.zeros((rows.sum(), length), bool), generator)
    return codes, labels


def _chains(
    path: Path | None, label: str, order: int
) -> tuple[tuple[str, ...], tuple[MarkovChain, MarkovChain], str]:
    """The names of the classes, their chains, and where these come from."""
    if path is None:
        if order != 1:
            raise UsageError(
                "composition: order: expected 1 without a file (sequences) to fit chains to, "
                f"got {order}"
            )
        return ("first chain", "second chain"), CHAINS, "a first-order Markov chain"
    codes, labels, names = labelled_sequences(path, label)
    if len(names) != 2:
        raise UsageError(
            f"composition: sequences: expected two classes in the column {label!r} of {path}, "
            f"got {len(names)}: {', '.join(names)}"
        )
    first, second = (fit_markov_chain(codes[labels == index], order) for index in range(2))
    return names, (first, second), f"a Markov chain of order {order} fitted to it in {path.name}"
