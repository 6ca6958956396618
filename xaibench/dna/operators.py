"""What a replaced position takes its base from: ``(codes, generator) -> donor`` of one sequence.

Replacing positions means taking the donor's base there, so every edit is one of whole nucleotides
and every curve ends at the donor itself. What is unknown stays unknown: a donor has N where the
sequence has it, and what stands before padding does not depend on how much of it follows.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from xaibench.errors import NotApplicable
from xaibench.shapes import Codes
from xaibench.values import N

from . import shuffling


def n(codes: Codes, generator: np.random.Generator) -> Codes:
    """Unknown bases: the information is gone, and the model sees what no genome contains."""
    return np.full_like(codes, N)


def uniform(codes: Codes, generator: np.random.Generator) -> Codes:
    """A uniformly random base, which is the sequence's own one time in four."""
    return _where_known(codes, generator.integers(4, size=codes.shape))


def different(codes: Codes, generator: np.random.Generator) -> Codes:
    """One of the three other bases, each as likely: every replaced position changes."""
    return _where_known(codes, (codes + generator.integers(1, 4, size=codes.shape)) % 4)


def background(
    codes: Codes, generator: np.random.Generator, *, composition: NDArray[np.float64]
) -> Codes:
    """A base drawn from the composition of train: its own as often as that has it.

    ``composition`` ``(base,)``, with the sum 1, is supplied by the harness.
    """
    return _where_known(codes, generator.choice(4, size=codes.shape, p=composition))


def dinucleotide(codes: Codes, generator: np.random.Generator) -> Codes:
    """A shuffle of the sequence with the same dinucleotides: what is fully replaced looks real.

    Drawn from all such shuffles (``shuffling``), so a base often meets itself. The
    first and the last base stay, N stay, and each stretch between them is shuffled by itself.
    """
    shuffled: Codes = shuffling.dinucleotide_shuffles(codes, 1, generator)[0]
    return shuffled


def window(
    codes: Codes, generator: np.random.Generator, *, width: Annotated[int, Field(ge=2)] = 10
) -> Codes:
    """The sequence with its bases shuffled inside consecutive windows: the composition stays near.

    Windows hold ``width`` known bases; N stay and are passed over. Where the first window begins is
    drawn, so that no position is always at the edge of one (a motif in the middle of every sequence
    would else always be mixed with its surroundings, or never); what is left over at either end
    joins the window beside it. ``NotApplicable`` where ``width`` is more than the known bases;
    a sequence without any stays.
    """
    known = np.flatnonzero(codes < N)
    if 0 < len(known) < width:
        raise NotApplicable(
            f"windows of {width} bases are longer than a sequence with {len(known)} known ones"
        )
    windows = _window_numbers(len(known), width, int(generator.integers(width)))
    mixed = np.lexsort((generator.random(len(known)), windows))
    shuffled = codes.copy()
    shuffled[known] = codes[known[mixed]]
    return shuffled


def complement(codes: Codes, generator: np.random.Generator) -> Codes:
    """The Watson-Crick partner of every base, read in place: always another base, the same GC."""
    return _where_known(codes, 3 - codes)


def _window_numbers(length: int, width: int, offset: int) -> NDArray[np.intp]:
    """``(known base,)``: the number of its window; edges are ``width`` apart and from the ends."""
    edges = np.arange(offset, length - width + 1, width)
    return np.searchsorted(edges[edges >= width], np.arange(length), side="right")


def _where_known(codes: Codes, drawn: NDArray[Any]) -> Codes:
    return np.where(codes < N, drawn, N).astype(np.uint8)


# Of many sequences


def donors(
    operator: Callable[..., Codes],
    codes: Codes,
    generators: Iterable[np.random.Generator],
    /,
    **options: Any,
) -> Codes:
    """``(sequence, position)``: the donor of each sequence, one generator per sequence.

    An operator may carry ``together``, which takes all sequences and the iterator of their
    generators and gives the same donors as one sequence at a time, faster.
    """
    together = getattr(operator, "together", None)
    if together is not None:
        donor: Codes = together(codes, iter(generators), **options)
        return donor
    rows = zip(codes, generators, strict=True)
    return np.stack([operator(row, generator, **options) for row, generator in rows])


def _dinucleotide_donors(codes: Codes, generators: Iterator[np.random.Generator]) -> Codes:
    shuffled: Codes = shuffling.shuffles(codes, 1, generators)[:, 0]
    return shuffled


dinucleotide.together = _dinucleotide_donors  # type: ignore[attr-defined]  # functions carry attributes


def base_composition(codes: Codes) -> NDArray[np.float64]:
    """``(base,)``: the shares of A, C, G and T among the known bases of all sequences.

    ``NotApplicable`` where no base is known.

    >>> base_composition(np.array([[0, 1, 1, 2, 4], [0, 0, 1, 1, 4]], np.uint8)).tolist()
    [0.375, 0.5, 0.125, 0.0]
    """
    counts = np.array([np.count_nonzero(codes == base) for base in range(4)])
    if counts.sum() == 0:
        raise NotApplicable("no base of train is known, so it has no composition")
    shares: NDArray[np.float64] = counts / counts.sum()
    return shares
