"""Files of scores as other tools write them: NumPy, torch, HDF5, Parquet, bigWig."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from xaibench.data.files.bigwig import bigwig_values
from xaibench.dna.encoding import LETTERS, to_codes
from xaibench.errors import UsageError
from xaibench.nn.restore import is_narrow
from xaibench.shapes import Codes, Scores
from xaibench.storage.unpacking import require_unpacked
from xaibench.values import Intervals, N

ScoreLayout = Literal["", "N4L", "NL4", "NL"]
"""The axes of an array in a file: those that a model's input may have (``Layout``), and scores
without bases; ``""`` where its shape says which."""

_SCORES = (
    *("scores", "projected_shap/seq", "contributions", "attributions", "shap_values"),
    *("shap/seq", "arr_0"),
)
_SEQUENCES = ("codes", "raw/seq", "sequences", "sequence", "one_hot", "ohe")
"""The names that arrays of scores and of sequences have, the first that is there."""

_ROWS = 1024
"""So many sequences of a file are read at a time."""


class ScoresError(ValueError):
    """A file of scores that cannot be used; the message names it and how to fix it."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How a file is read: ``array`` is the name of its scores, ``one_hot`` another file with its
    sequences, ``layout`` and ``alphabet`` the axes and the order of the bases of its arrays,
    ``bases`` how one score is made of those of four bases."""

    array: str = ""
    one_hot: Path | None = None
    layout: ScoreLayout = ""
    alphabet: str = "ACGT"
    bases: Literal["observed", "sum"] = "observed"


@dataclass(frozen=True, slots=True)
class ScoreTable:
    """What a file holds: ``scores`` ``(row, position)``, NaN behind the end of a sequence.

    Where the file says so: ``codes`` ``(row, position)`` of its sequences, ``intervals`` of its
    rows, ``targets`` the name of the class that each row is explained for, and ``signed``.
    """

    scores: Scores
    codes: Codes | None = None
    intervals: Intervals | None = None
    targets: tuple[str, ...] | None = None
    signed: bool | None = None


def read_score_table(path: Path, reading: Reading, known: Codes) -> ScoreTable:
    """The table in a file that holds rows: ``.npz``, ``.npy``, ``.pt``, ``.h5``, ``.parquet``.

    ``known`` are the sequences of the test split, for a file that holds none of its own and has a
    row for each. ScoresError where the file cannot be read or holds something else.
    """
    if path.suffix == ".parquet":
        return _parquet(path, reading)
    with _arrays(path) as arrays:
        name = _name_of_scores(arrays, reading, path)
        codes = _codes(arrays, reading, path, apart=name)
        values = _of_one_output(arrays[name], f"{path.name}: {name}")
        layout = _layout_of(values.shape, reading, f"{path.name}: {name}")
        rows = len(known) if codes is None else len(codes)
        if len(values) != rows:
            of = "sequences of the test split" if codes is None else "sequences of the file"
            raise ScoresError(
                f"{path.name}: expected scores of the {rows:,} {of}, got {len(values):,} rows"
                + ("; add the sequences that they are of to the file" if codes is None else "")
            )
        at = known if codes is None else codes
        scores = _of_positions(values, layout, reading, at, f"{path.name}: {name}")
        return ScoreTable(
            scores, codes, None, _targets(arrays, rows), _signed(arrays.get("origin"))
        )


def read_track(path: Path, intervals: Intervals, rows: NDArray[np.intp], length: int) -> Scores:
    """``(interval, position)``: the values of a bigWig (``bigwig.bigwig_values``); ScoresError
    where it cannot be read."""
    with _whole(path):
        return bigwig_values(path, intervals, rows, length)


# Arrays by name


@contextmanager
def _arrays(path: Path) -> Iterator[Mapping[str, Any]]:
    """The arrays of a file by name, as what can be sliced by rows."""
    read = _ARRAYS.get(path.suffix.lower())
    if read is None:
        raise ScoresError(
            f"{path.name}: expected a file of scores that ends in {', '.join(_ARRAYS)}, .parquet, "
            f".bw or .bigwig, got {path.suffix or 'no suffix'}"
        )
    with _whole(path), read(path) as arrays:
        yield arrays


@contextmanager
def _npz(path: Path) -> Iterator[Mapping[str, Any]]:
    # opened here: np.load leaves a file that is cut off open
    with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
        members = archive.zip.infolist()
        require_unpacked(sum(member.file_size for member in members), path.stat().st_size)
        yield {name: archive[name] for name in archive.files}


@contextmanager
def _npy(path: Path) -> Iterator[Mapping[str, Any]]:
    yield {"arr_0": np.load(path, allow_pickle=False)}


@contextmanager
def _torch(path: Path) -> Iterator[Mapping[str, Any]]:
    """A tensor, or a dict of tensors, as ``torch.save`` writes it; nothing in it is executed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what is no such file torch warns before it raises
        held = torch.load(path, map_location="cpu", weights_only=True)
    tensors = held if isinstance(held, dict) else {"arr_0": held}
    known = {str(name): each for name, each in tensors.items() if isinstance(each, torch.Tensor)}
    yield {
        name: (each.float() if is_narrow(each.dtype) else each).detach().numpy()
        for name, each in known.items()
    }


@contextmanager
def _hdf5(path: Path) -> Iterator[Mapping[str, Any]]:
    h5py = _library("h5py", "HDF5")
    with h5py.File(path, "r") as file:
        names: list[str] = []
        file.visititems(
            lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None
        )
        datasets = {name: file[name] for name in names}
        elsewhere = [name for name, each in datasets.items() if each.external or each.is_virtual]
        if elsewhere:
            raise ScoresError(f"{path.name}: {elsewhere[0]} is in another file; copy it into this")
        require_unpacked(sum(each.nbytes for each in datasets.values()), path.stat().st_size)
        if not all(map(_can_be_decompressed, datasets.values())):
            # ChromBPNet compresses by blosc, which HDF5 itself does not know; imported, it does
            _library("hdf5plugin", "HDF5 that is compressed as ChromBPNet does")
        yield datasets


def _can_be_decompressed(dataset: Any) -> bool:
    from h5py import h5z

    stored = dataset.id.get_create_plist()
    filters = [stored.get_filter(number)[0] for number in range(stored.get_nfilters())]
    return all(map(h5z.filter_avail, filters))


_ARRAYS = {
    **{".npz": _npz, ".npy": _npy, ".h5": _hdf5, ".hdf5": _hdf5},
    **{".pt": _torch, ".pth": _torch},
}


def _library(name: str, what: str) -> Any:
    import importlib

    try:
        return importlib.import_module(name)
    except ImportError:
        raise ScoresError(f"reading {what} needs {name}: pip install 'xaibench[export]'") from None


@contextmanager
def _whole(path: Path) -> Iterator[None]:
    """ScoresError in place of what a library raises for a file that is broken or another kind."""
    try:
        yield
    except ScoresError:
        raise
    except UsageError as error:
        raise ScoresError(str(error)) from None
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        remedy = (
            "save plain arrays, without Python objects in them"
            if "allow_pickle" in reason
            else "it may be cut off or of another format: write it again"
        )
        raise ScoresError(f"{path.name} cannot be read ({reason[:200]}); {remedy}") from error


def _name_of_scores(arrays: Mapping[str, Any], reading: Reading, path: Path) -> str:
    if reading.array:
        if reading.array not in arrays:
            raise _no_array(f"no array {reading.array!r}", arrays, path)
        return reading.array
    known = [name for name in _SCORES if name in arrays]
    numbers = [name for name, array in arrays.items() if array.dtype.kind == "f" and array.ndim > 1]
    if known or len(numbers) == 1:
        return (known or numbers)[0]
    raise _no_array("no array that is clearly the scores", arrays, path)


def _of_one_output(values: Any, where: str) -> Any:
    """Without the last axis of the outputs of a model, as shap has it, where there is one."""
    if values.ndim != 4 or 4 not in values.shape[1:3]:
        return values
    if values.shape[3] != 1:
        raise ScoresError(
            f"{where}: expected scores of one output, got {tuple(values.shape)}, the last axis "
            "those of several; save one of them, such as values[..., 1]"
        )
    return values[..., 0]


def _no_array(what: str, arrays: Mapping[str, Any], path: Path) -> ScoresError:
    names = ", ".join(f"{name} {tuple(array.shape)}" for name, array in sorted(arrays.items()))
    return ScoresError(f"{path.name}: {what}; name one of them by array: {names or 'none'}")


def _targets(arrays: Mapping[str, Any], rows: int) -> tuple[str, ...] | None:
    """The classes of the rows in a ``scores.npz`` of ours."""
    if not {"targets", "target_names"} <= set(arrays) or len(arrays["targets"]) != rows:
        return None
    names = arrays["target_names"]
    return tuple(str(names[each]) for each in arrays["targets"])


def _signed(origin: Any) -> bool | None:
    """Whether the scores have a sign, where a file of ours says so."""
    if origin is None:
        return None
    text = origin if isinstance(origin, bytes) else str(np.asarray(origin).flatten()[0])
    about = json.loads(text)
    return bool(about["signed"]) if "signed" in about else None


# Sequences of a file


def _codes(arrays: Mapping[str, Any], reading: Reading, path: Path, *, apart: str) -> Codes | None:
    """The sequences in the file, or in the one beside it; None where there are none."""
    if reading.one_hot is not None:
        with _arrays(reading.one_hot) as others:
            names = [*(name for name in _SEQUENCES if name in others), *others]
            return _as_codes(others[names[0]], reading, f"{reading.one_hot.name}: {names[0]}")
    names = [name for name in _SEQUENCES if name in arrays and name != apart]
    return _as_codes(arrays[names[0]], reading, f"{path.name}: {names[0]}") if names else None


def _as_codes(array: Any, reading: Reading, where: str) -> Codes:
    """Letters, codes or one-hot columns as codes."""
    if array.dtype.kind in "OSU":
        texts = [each.decode() if isinstance(each, bytes) else str(each) for each in array[:]]
        return _as_letters(texts, where)
    if array.ndim == 2 and array.dtype.kind in "iu":
        codes = np.asarray(array[:]).astype(np.int64)
        return np.where((codes >= 0) & (codes < N), codes, N).astype(np.uint8)
    layout = _layout_of(array.shape, reading, where)
    if layout == "NL":
        raise ScoresError(f"{where}: expected one-hot sequences (N, 4, L), got {array.shape}")
    base_of = np.array([LETTERS.index(letter) for letter in reading.alphabet], np.uint8)
    parts = []
    for block in _blocks(array, layout):
        if not np.isin(block, (0, 1)).all():
            raise ScoresError(f"{where}: expected one-hot sequences of 0 and 1, got other numbers")
        parts.append(np.where(block.any(1), base_of[block.argmax(1)], np.uint8(N)))
    none = np.empty((0, array.shape[2 if layout == "N4L" else 1]), np.uint8)
    return np.concatenate([none, *parts])


def _as_letters(texts: list[str], where: str) -> Codes:
    try:
        return to_codes(texts)
    except UsageError as error:  # of one method: the others go on
        raise ScoresError(f"{where}: {error}; write the sequences as DNA") from None


def _layout_of(shape: tuple[int, ...], reading: Reading, where: str) -> ScoreLayout:
    """Where the bases are in an array of this shape."""
    axes = [axis for axis in (1, 2) if len(shape) == 3 and shape[axis] == 4]
    fitting: dict[ScoreLayout, bool] = {
        "N4L": 1 in axes,
        "NL4": 2 in axes,
        "NL": len(shape) == 2,
    }
    if reading.layout and fitting[reading.layout]:
        return reading.layout
    possible = [layout for layout, fits in fitting.items() if fits]
    if len(possible) == 1 and (not reading.layout or len(shape) == 2):
        return possible[0]
    if len(possible) > 1:
        raise ScoresError(f"{where} is {shape}: say which axis has the bases by layout: N4L or NL4")
    shape_of_layout = {"N4L": "(N, 4, L)", "NL4": "(N, L, 4)"}.get(
        reading.layout, "(N, 4, L), (N, L, 4) or (N, L)"
    )
    remedy = "set layout: to its own" if reading.layout and possible else "save it in one of these"
    raise ScoresError(f"{where}: expected {shape_of_layout}, got {shape}; {remedy}")


def _blocks(array: Any, layout: ScoreLayout) -> Iterator[NDArray[Any]]:
    """``(row, base, position)``, or ``(row, position)`` of scores without bases."""
    for start in range(0, len(array), _ROWS):
        block = np.asarray(array[start : start + _ROWS])
        yield block.transpose(0, 2, 1) if layout == "NL4" else block


def _of_positions(
    values: Any, layout: ScoreLayout, reading: Reading, codes: Codes, where: str
) -> Scores:
    """One score per position: the one at the sequence's base, or the sum over the bases."""
    length = values.shape[1 if layout in ("NL4", "NL") else 2]
    if length != codes.shape[1]:
        raise ScoresError(
            f"{where}: expected scores of {codes.shape[1]:,} positions, as its sequences have, got "
            f"{length:,}; write both of the same sequences"
        )
    channel_of = np.array([reading.alphabet.index(letter) for letter in LETTERS[:N]] + [0])
    scores = np.empty(codes.shape, np.float32)
    for number, block in enumerate(_blocks(values, layout)):
        rows = slice(number * _ROWS, number * _ROWS + len(block))
        if layout == "NL":
            scores[rows] = block
        elif reading.bases == "sum":
            scores[rows] = block.sum(1)
        else:
            channels = channel_of[codes[rows]][:, None]
            scores[rows] = np.take_along_axis(block, channels, axis=1)[:, 0]
    return scores


# Tables


def _parquet(path: Path, reading: Reading) -> ScoreTable:
    """A row per sequence: its letters or its interval, and a list of scores."""
    import pyarrow.parquet as pq  # slow to import

    with _whole(path):
        table = pq.read_table(path)
    columns = table.column_names
    name = reading.array or "scores"
    if name not in columns:
        raise ScoresError(
            f"{path.name}: no column {name!r}; name that of the scores by array: "
            f"{', '.join(columns)}"
        )
    lists = table.column(name).to_pylist()
    if any(not isinstance(each, list) for each in lists):
        raise ScoresError(f"{path.name}: expected a list of numbers per row in {name!r}")
    scores = np.full((len(lists), max(map(len, lists), default=0)), np.nan, np.float32)
    for row, each in enumerate(lists):
        scores[row, : len(each)] = each
    codes = None
    if "sequence" in columns:
        letters = table.column("sequence").to_pylist()
        _require_like_lengths(letters, lists, path)
        codes = _as_letters(letters, path.name)
    targets = tuple(map(str, table.column("target").to_pylist())) if "target" in columns else None
    origin = (table.schema.metadata or {}).get(b"xaibench")
    return ScoreTable(scores, codes, _intervals(table), targets, _signed(origin))


def _require_like_lengths(letters: list[str], lists: list[list[float]], path: Path) -> None:
    for row, (sequence, scores) in enumerate(zip(letters, lists, strict=True)):
        if len(sequence) != len(scores):
            raise ScoresError(
                f"{path.name}, row {row}: expected a score per letter, {len(sequence):,}, got "
                f"{len(scores):,}"
            )


def _intervals(table: Any) -> Intervals | None:
    """The places of the rows, where all are known."""
    if not {"chromosome", "start", "end"} <= set(table.column_names):
        return None
    columns: dict[str, list[Any]] = {
        name: table.column(name).to_pylist() for name in ("chromosome", "start", "end")
    }
    if any(None in column for column in columns.values()):
        return None
    strands = ["+"] * len(table)
    if "strand" in table.column_names:
        strands = table.column("strand").to_pylist()
    return Intervals(
        tuple(columns["chromosome"]),
        np.array(columns["start"], np.int64),
        np.array(columns["end"], np.int64),
        np.array([-1 if strand == "-" else 1 for strand in strands], np.int8),
    )
