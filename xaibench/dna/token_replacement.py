"""In which order tokens are replaced, and how many of them at each step, where steps are counted in
nucleotides: what replaces tokens is compared with what edits nucleotides at an equal budget."""

import numpy as np
from numpy.typing import NDArray

from xaibench.shapes import Float, Mask

from .replacement import Ranks, replacement_counts
from .tokens import TokenSpans, to_nucleotides, to_tokens


def token_sizes(spans: TokenSpans, valid: Mask) -> Float:
    """``(sequence, token)``: for how many known nucleotides a token counts; 0 where it covers none.

    One that several tokens cover is shared between them, so that sizes sum to the number of known
    nucleotides that the model reads.

    >>> kmers = np.array([[[0, 0], [0, 2], [1, 3]]])
    >>> token_sizes(kmers, np.ones((1, 3), bool)).tolist()
    [[0.0, 1.5, 1.5]]
    """
    covering = _covering(spans, valid)
    return to_tokens(valid / np.maximum(covering, 1), spans, rule="sum")


def token_counts(
    fractions: tuple[float, ...], ranked: Ranks, spans: TokenSpans, valid: Mask
) -> NDArray[np.intp]:
    """How many tokens of an order are replaced ``(step, sequence)``: as many as come nearest to the
    number of nucleotides that ``replacement_counts`` says, of those that the model reads.

    A token across that number is replaced where at least half of it lies within, so that the two
    differ by at most half a token. ``ranked`` ``(sequence, token)`` has tokens of size 0 last.

    >>> spans, valid = np.array([[[0, 3], [3, 4]]]), np.ones((1, 4), bool)
    >>> token_counts((0, 0.25, 0.5, 1), np.array([[0, 1]], np.int32), spans, valid).tolist()
    [[0], [0], [1], [2]]
    """
    sizes = token_sizes(spans, valid)
    in_order = np.take_along_axis(sizes, np.argsort(ranked, axis=1), axis=1)
    # sums of thirds and the like miss a whole number by rounding
    middles = np.cumsum(in_order, axis=1) - in_order / 2 - 1e-9
    budgets = replacement_counts(fractions, valid & (_covering(spans, valid) > 0))
    counts = [((middles <= each[:, None]) & (in_order > 0)).sum(axis=1) for each in budgets]
    return np.stack(counts).astype(np.intp)


def _covering(spans: TokenSpans, valid: Mask) -> Float:
    """``(sequence, position)``: how many tokens cover it."""
    widths = (spans[..., 1] - spans[..., 0]).astype(float)
    return np.rint(to_nucleotides(widths, spans, valid.shape[1], rule="equal"))
