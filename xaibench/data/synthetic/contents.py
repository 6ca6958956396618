"""What generated sequences carry: how many motifs and decoys, in each class."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xaibench.data.meme import Matrix
from xaibench.shapes import Labels

from .placement import Content, Grammar
from .rules import Rule, combinations_of

Decoys = Literal["shuffled", "absent", "misplaced"]
"""What makes a negative: a motif with its columns in another order, none, or all of them in a
wrong order or at a wrong distance."""


@dataclass(frozen=True, slots=True)
class Design:
    """Sequences as far as their motifs go.

    ``matrices`` are those of the kinds: the rule's motifs, and their decoys where there are any.
    """

    rule: Rule
    matrices: tuple[Matrix, ...]
    grammar: Grammar
    decoys: tuple[Decoys, ...]
    length: int
    both_strands: bool = False

    @property
    def counts(self) -> NDArray[np.intp]:
        """``(atom,)``: how many instances make it true."""
        return np.array([atom.count for atom in self.rule.atoms], np.intp)

    @property
    def widths(self) -> list[int]:
        """``(kind,)``"""
        return [len(matrix) for matrix in self.matrices]


class Carried(NamedTuple):
    """What each sequence carries: its content ``(sequence, kind)``, which of the rule's
    ``combinations_of`` truths that fulfils, and whether it is misplaced."""

    contents: NDArray[np.intp]
    combinations: NDArray[np.intp]
    misplaced: NDArray[np.bool_]


def carried(design: Design, labels: Labels, generator: np.random.Generator) -> Carried:
    """What sequences of these classes carry.

    Positives are uniform over the combinations of truths that fulfil the rule, negatives over those
    that do not. A false atom has any smaller number of instances than it needs, all equally likely.
    In the place of each one that is missing is its decoy, or nothing: where ``decoys`` name
    both, by chance for each sequence. Where they name "misplaced", so many of the negatives are as
    is its share among the names; they have what positives with two motifs or more have.
    """
    misplaced = (labels == 0) & (generator.random(len(labels)) < _misplaced_share(design))
    combinations = np.empty(len(labels), np.intp)
    for rows, admitted in zip(
        (labels == 1, (labels == 0) & ~misplaced, misplaced), _admitted(design), strict=True
    ):
        if rows.any():
            combinations[rows] = generator.choice(np.flatnonzero(admitted), size=rows.sum())
    truths = combinations_of(design.rule)[combinations]
    fewer = (generator.random(truths.shape) * design.counts).astype(np.intp)
    motifs = np.where(truths, design.counts, fewer)
    filled = generator.choice(_fills(design), size=len(labels))
    contents = np.hstack([motifs, (design.counts - motifs) * filled[:, None]])
    return Carried(contents[:, : len(design.matrices)], combinations, misplaced)


def weighed(design: Design) -> dict[tuple[Content, bool], NDArray[np.float64]]:
    """Each content with whether it is misplaced -> its probability in class 0 and in class 1."""
    probabilities: dict[tuple[Content, bool], NDArray[np.float64]] = defaultdict(
        lambda: np.zeros(2)
    )
    share = _misplaced_share(design)
    positive, negative, misplaced = _admitted(design)
    groups = (
        (1, 1.0, positive, False),
        (0, 1 - share, negative, False),
        (0, share, misplaced, True),
    )
    for label, weight, admitted, is_misplaced in groups:
        for truths in combinations_of(design.rule)[admitted] if weight else ():
            contents = list(_contents(design, truths))
            each = weight / admitted.sum() / len(contents)
            for content in contents:
                probabilities[content, is_misplaced][label] += each
    return dict(probabilities)


def _contents(design: Design, truths: Sequence[bool]) -> list[Content]:
    """The contents of a combination of truths, equally likely; some may be there twice."""
    counts = design.counts.tolist()
    possible = [
        (count,) if truth else range(count) for count, truth in zip(counts, truths, strict=True)
    ]
    contents = []
    for motifs, filled in product(product(*possible), _fills(design)):
        decoys = [(count - there) * filled for count, there in zip(counts, motifs, strict=True)]
        contents.append((*motifs, *decoys)[: len(design.matrices)])
    return contents


def can_be_misplaced(design: Design) -> bool:
    """Whether some sequences that fulfil the rule can break its order or spacing."""
    return bool(_admitted(design)[2].any())


def _admitted(design: Design) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
    """``(combination,)``: those of positives, of negatives, and of misplaced negatives."""
    grammar = design.grammar
    truths, positive = combinations_of(design.rule), np.array(design.rule.truth_table)
    whole = sum(design.counts * design.widths[: grammar.motifs])
    out_of_order = grammar.ordered & (truths.sum(axis=1) >= 2)
    too_far = grammar.high is not None and design.length - whole > grammar.high
    at_a_distance = (truths @ design.counts >= 2) & (grammar.low > 0 or too_far)
    return positive, ~positive, positive & (out_of_order | at_a_distance)


def _misplaced_share(design: Design) -> float:
    return ("misplaced" in design.decoys) / len(design.decoys)


def _fills(design: Design) -> list[bool]:
    """Whether decoys stand in the place of what is missing; several are equally likely."""
    named = [decoy == "shuffled" for decoy in design.decoys if decoy != "misplaced"]
    return named or [False]
