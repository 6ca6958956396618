"""Sequences as people have them in Python: letters, codes, one-hot arrays, tables."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xaibench.dna.encoding import to_codes
from xaibench.errors import UsageError
from xaibench.shapes import Codes
from xaibench.values import UNLABELLED, N, Sequences

ACCEPTED = "letters, codes (N, L), one-hot (N, 4, L) or (N, L, 4), or a table with 'sequence'"


def as_sequences(
    given: Any, *, labels: Any = None, layout: str = "", alphabet: str = ""
) -> Sequences:
    """Sequences of one padded length, in the order in which they were given.

    ``given`` is a string or several, integer codes ``(N, L)`` (A C G T N are 0 to 4), a one-hot
    array or tensor in the ``layout`` and the order of bases, ``alphabet``, that the model takes, or
    a data frame with a column ``sequence``, perhaps with ``name`` and ``label``. ``labels`` are the
    classes ``(N,)``, by number from 0 or by name; numbers name the outputs of the model, and
    fractions are what was measured of each sequence (regression). UsageError where it is none of
    these.

    >>> as_sequences(["ACGT", "GN"]).codes
    array([[0, 1, 2, 3],
           [2, 4, 4, 4]], dtype=uint8)
    """
    if isinstance(given, Sequences):
        return given if labels is None else _labelled(given, labels)
    columns = _columns_of(given)
    codes = _codes_of(columns["sequence"], layout, alphabet)
    if not codes.size:
        raise UsageError("sequences: expected one position or more, got none")
    names = columns.get("name")
    named = Sequences(
        codes,
        np.zeros(len(codes), np.int64),
        _names(len(codes)) if names is None else tuple(map(str, names)),
        UNLABELLED,
    )
    if labels is None:
        labels = columns.get("label")
    return named if labels is None else _labelled(named, labels)


def _names(count: int) -> tuple[str, ...]:
    """Of sequences without a name, as datasets call them."""
    return tuple(f"row {row}" for row in range(count))


def _columns_of(given: Any) -> Mapping[str, Any]:
    """The columns that are known of a data frame; anything else is the sequences alone."""
    pandas = sys.modules.get("pandas")  # who has a data frame has imported it
    if pandas is None or not isinstance(given, pandas.DataFrame):
        return {"sequence": given}
    if "sequence" not in given.columns:
        raise UsageError(
            f"sequences: expected a column 'sequence', got {', '.join(map(str, given.columns))}"
        )
    return {name: list(given[name]) for name in ("sequence", "name", "label") if name in given}


def _codes_of(given: Any, layout: str, alphabet: str) -> Codes:
    if isinstance(given, str):
        return to_codes([given])
    if hasattr(given, "detach"):
        given = given.detach().cpu().numpy()
    rows = given if isinstance(given, np.ndarray) else list(given)
    if not len(rows):
        raise UsageError("sequences: expected one or more, got none")
    if all(isinstance(row, str) for row in rows):
        return to_codes([str(row) for row in rows])
    try:
        array = np.asarray([np.asarray(row) for row in rows])
    except ValueError:
        raise UsageError(f"sequences: expected {ACCEPTED}, got rows of other lengths") from None
    if array.ndim == 2 and np.issubdtype(array.dtype, np.integer):
        return _checked_codes(array)
    if array.ndim in (3, 4) and array.dtype.kind in "iufb":
        return _codes_of_one_hot(array, layout, alphabet)
    raise UsageError(f"sequences: expected {ACCEPTED}, got {array.dtype} {array.shape}")


def _checked_codes(array: NDArray[Any]) -> Codes:
    if array.size and not 0 <= array.min() <= array.max() <= N:
        raise UsageError(
            f"sequences: expected codes 0 to 4 (A C G T N), got {array.min()} to {array.max()}"
        )
    return array.astype(np.uint8)


def _codes_of_one_hot(array: NDArray[Any], layout: str, alphabet: str) -> Codes:
    """The base of every position; N where all four are alike, as 0 or as a quarter."""
    channels = _channels_first(array, layout).astype(np.float64)
    ends = channels.min(axis=1), channels.max(axis=1)
    unknown = ends[0] == ends[1]
    hot = (ends[1] == 1) & (channels.sum(axis=1) == 1) & (ends[0] == 0)
    if not (hot | unknown).all():
        row, position = np.argwhere(~(hot | unknown))[0]
        raise UsageError(
            f"sequences: expected one 1 among the four bases or the same number at all, got "
            f"{channels[row, :, position].tolist()} in row {row} at position {position}"
        )
    letters = (alphabet or "ACGT").upper().replace("U", "T").replace("N", "")
    code_of = np.array(["ACGT".index(letter) for letter in letters], np.uint8)
    return np.where(unknown, np.uint8(N), code_of[channels.argmax(axis=1)])


def _channels_first(array: NDArray[Any], layout: str) -> NDArray[Any]:
    """``(N, 4, L)`` of a layout that is named, or that the shape leaves no doubt of."""
    if array.ndim == 4:
        array = array.squeeze(_axis_of_one(array, layout))
    fits = {"N4L": array.ndim == 3 and array.shape[1] == 4, "NL4": array.shape[-1:] == (4,)}
    fits["NL4"] &= array.ndim == 3
    if layout.replace("1", "") == "NL4" and fits["NL4"]:
        return array.transpose(0, 2, 1)
    if fits["N4L"]:
        return array
    if fits["NL4"]:
        return array.transpose(0, 2, 1)
    raise UsageError(f"sequences: expected {ACCEPTED}, got an array {array.shape}")


def _axis_of_one(array: NDArray[Any], layout: str) -> int:
    """The axis of size 1 that two-dimensional convolutions have besides."""
    axes = [layout.index("1")] if "1" in layout else [2, 1, 3]
    fitting = [axis for axis in axes if array.shape[axis] == 1]
    if not fitting:
        raise UsageError(f"sequences: expected {ACCEPTED}, got an array {array.shape}")
    return fitting[0]


def _labelled(sequences: Sequences, labels: Any) -> Sequences:
    """The sequences with classes, names in their order or numbers from 0; or with responses."""
    values = labels.detach().cpu().numpy() if hasattr(labels, "detach") else np.asarray(labels)
    if values.shape != (len(sequences),):
        raise UsageError(f"labels: expected {len(sequences)}, one per sequence, got {values.shape}")
    if values.dtype.kind == "f":
        if not np.isfinite(values).all():
            raise UsageError("labels: expected numbers, got NaN or infinity")
        if not (values == np.round(values)).all():
            return replace(sequences, responses=values.astype(np.float64))
    if values.dtype.kind in "iubf":
        numbers = values.astype(np.int64)
        if numbers.min() < 0:
            raise UsageError(f"labels: expected classes from 0 on, got {numbers.min()}")
        names = tuple(map(str, range(max(int(numbers.max()) + 1, 2))))
    else:
        classes, numbers = np.unique(values.astype(str), return_inverse=True)
        names = tuple(map(str, classes))
        numbers = numbers.astype(np.int64)
    return replace(sequences, labels=numbers, class_names=names)


def with_classes(sequences: Sequences, count: int) -> Sequences:
    """Sequences labelled by number, with a name for each of so many outputs of a model."""
    names = sequences.class_names
    numbered = names == tuple(map(str, range(len(names))))
    if not sequences.has_classes or len(names) >= count or not numbered:
        return sequences
    return replace(sequences, class_names=tuple(map(str, range(count))))
