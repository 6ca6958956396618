"""Scores that were made elsewhere, as a method."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import AfterValidator
from torch import Tensor

from xaibench.plugins.harness_options import ClassName
from xaibench.protocols import method
from xaibench.shapes import Codes, Scores
from xaibench.values import N, Sequences

from .score_classes import ClassesOfRows, require_known_target, signs_for_explained
from .score_files import Reading, ScoreLayout, ScoresError, ScoreTable
from .score_rows import ByIdentity, Match, MatchedFile, matched_file, stamp_of


def _four_bases(alphabet: str) -> str:
    if sorted(alphabet) != list("ACGT"):
        raise ValueError(f"expected the order of A, C, G and T, such as TGAC, got {alphabet!r}")
    return alphabet


Alphabet = Annotated[str, AfterValidator(_four_bases)]


@method(fixed=True)
def scores(
    model: Any,
    inputs: Tensor,
    explained: Tensor,
    *,
    codes: Tensor,
    test_split: Sequences,
    path: Path | tuple[Path, ...],
    one_hot: Path | tuple[Path, ...] | None = None,
    array: str = "",
    match: Match = "",
    target: ClassName = "",
    signed: bool = True,
    layout: ScoreLayout = "",
    alphabet: Alphabet = "ACGT",
    bases: Literal["observed", "sum"] = "observed",
    fill: float | None = None,
) -> Tensor:
    """The scores in a file ``(N, L)``, found for each sequence by its letters or its interval.

    ``path`` is one file, or one per replicate of the model: ``.npz``, ``.npy``, ``.pt``, ``.h5``,
    ``.parquet``, ``.bw``. ``array`` names its scores; ``one_hot`` is a file with the sequences that
    they are of, where ``path`` has none. ``match: order`` takes row i for sequence i of the test
    split; it is never guessed.

    Of arrays with four bases, in the order of ``alphabet`` on the axis that ``layout`` says, a
    score is the one at the sequence's own base (``bases: observed``), or the sum. ``fill`` is the
    score of positions that have none.

    ``target`` says which class the scores are of: a class, the one that the model ``predicted``,
    the ``label``, or ``any`` where they do not depend on it; files of ours say it themselves. With
    two classes ``signed`` scores of the other one are the negative.

    ScoresError where the file is not of these sequences; NotApplicable where it has no scores of
    the class that is explained, or the sequences are not those of the test split.
    """
    assert isinstance(path, Path)  # for the type checker: the harness chose one
    assert not isinstance(one_hot, tuple)
    reading = Reading(array, one_hot, layout, alphabet, bases)
    matched = _matched(path, reading, match, test_split, signed=signed)
    batch = codes.cpu().numpy()
    rows = matched.rows_of(batch, path)
    classes = explained.cpu().numpy()
    of_file = ClassesOfRows(matched, test_split, target, path)
    picks, of = of_file.chosen(rows, classes, model, inputs)
    signs = signs_for_explained(
        of, classes, model, inputs, signed=signed, names=test_split.class_names
    )
    values = matched.take(rows, picks, batch) * signs[:, None]
    return torch.from_numpy(_without_gaps(values, batch < N, fill, path))


def _require_fit(codes: Codes, test_split: Sequences, options: Mapping[str, Any]) -> None:
    """ScoresError where the file of these options of ``scores`` cannot be read, is not of the
    sequences ``(N, L)`` that are explained, or lacks a score at a base of theirs."""
    names = ("array", "one_hot", "layout", "alphabet", "bases")
    reading, path = Reading(*(options[name] for name in names)), options["path"]
    matched = _matched(path, reading, options["match"], test_split, signed=options["signed"])
    require_known_target(options["target"], test_split, path)
    rows = matched.rows_of(codes, path)
    # of several rows of a sequence, which are of classes, only one is read: which, is not known yet
    single = np.array([len(matched.rows[row]) == 1 for row in rows], bool)
    rows, codes = rows[single], codes[single]
    picks = np.array([matched.rows[row][0] for row in rows], np.intp)
    _without_gaps(matched.take(rows, picks, codes), codes < N, options["fill"], path)


scores.require_fit = _require_fit  # type: ignore[attr-defined]


def _matched(
    path: Path, reading: Reading, match: Match, test_split: Sequences, *, signed: bool
) -> MatchedFile:
    stamp = stamp_of(path, reading.one_hot)
    matched = matched_file(path, stamp, reading, match, ByIdentity(test_split))
    _require_sign(matched.table, signed, path)
    return matched


def _require_sign(table: ScoreTable, signed: bool, path: Path) -> None:
    if table.signed is False and signed:
        raise ScoresError(f"{path.name}: says that its scores have no sign; set signed: false")


def _without_gaps(
    values: Scores, valid: NDArray[np.bool_], fill: float | None, path: Path
) -> Scores:
    """The scores, 0 where the sequence has no base."""
    gaps = valid & ~np.isfinite(values)
    if gaps.any() and fill is None:
        raise ScoresError(
            f"{path.name}: {int(gaps.sum()):,} scores of {int(gaps.any(axis=1).sum()):,} sequences "
            "are NaN, infinite or missing; write them, or say by fill: what they are, such as 0"
        )
    filled: Scores = np.where(gaps, np.float32(fill or 0), np.where(valid, values, np.float32(0)))
    return filled
