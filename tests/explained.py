"""Explanations with known numbers: 3 sequences of 7 positions, an N, padding, both strands."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from xaibench.dna.encoding import to_codes
from xaibench.export.values import Explanations, Origin
from xaibench.values import Intervals, Sequences

LETTERS = ("ACGTNCA", "GGCAT", "TTTTACG")
ORIGIN = Origin("cnn seed 0", "deeplift", True, ("negative", "positive"), "a logit difference")


def sequences(letters: Sequence[str] = LETTERS, intervals: Intervals | None = None) -> Sequences:
    codes = to_codes(letters)
    names = tuple(f"peak {row}" for row in range(len(codes)))
    labels = np.zeros(len(codes), np.int64)
    return Sequences(codes, labels, names, ("negative", "positive"), None, None, intervals)


def places(starts: Sequence[int], strands: Sequence[int], lengths: Sequence[int]) -> Intervals:
    ends = np.array(starts) + lengths
    return Intervals(
        tuple("chr1" for _ in starts),
        np.array(starts),
        ends,
        np.array(strands, np.int8),
    )


def explanations(intervals: Intervals | None = None, *, hypothetical: bool = True) -> Explanations:
    """Scores 1, 2, ... 21; the hypothetical ones of each base have ten thousandths of them more."""
    given = sequences(intervals=intervals)
    count, length = given.codes.shape
    scores = np.arange(1, count * length + 1, dtype=np.float32).reshape(count, length)
    bases = np.arange(4, dtype=np.float32)[:, None]
    codes = np.where(given.codes < 4, given.codes, 0)
    # a score is the hypothetical contribution of the base that is there
    of_bases = scores[:, None] + 100 * (bases - codes[:, None])
    outputs = np.array([[0, 1], [3, 2], [4, 9]], np.float32)
    targets = np.array([1, 0, 1])
    known = of_bases.astype(np.float32) if hypothetical else None
    return Explanations(given, scores, targets, ORIGIN, outputs, known)


def in_blocks(whole: Explanations, size: int) -> list[Explanations]:
    rows = np.arange(len(whole))
    return [whole.take(rows[start : start + size]) for start in range(0, len(rows), size)]


def without_outputs(whole: Explanations) -> Explanations:
    return replace(whole, outputs=None)


def npz_of(path: Path) -> dict[str, np.ndarray]:
    """All arrays of an archive, none of which needs pickle."""
    with np.load(path, allow_pickle=False) as archive:
        return dict(archive)
