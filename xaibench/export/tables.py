"""Scores for people who read them with NumPy, pandas or polars."""

from __future__ import annotations

import json
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from xaibench.dna.encoding import LETTERS, lengths, to_letters
from xaibench.storage.files import replacing

from .npz import growing_npz
from .values import Blocks, Explanations, Origin, Written, spans

_REPEATED = ("target", "predicted", "chromosome", "strand")
"""Columns of few words; a dictionary of numbers or letters costs time and saves nothing."""

_RANGED = ("name", "target", "predicted", "output", "chromosome", "start", "end", "strand")
"""Columns whose range in a row group a reader can skip by; nobody looks for scores by theirs."""


def scores(blocks: Blocks, folder: Path) -> Written:
    """``scores.npz``: names, letters, targets, outputs and scores, a row per sequence.

    ``scores`` ``(N, L)`` float32; ``codes`` ``(N, L)`` uint8 with A C G T N = 0 1 2 3 4, padding
    too; ``targets`` ``(N,)`` index ``target_names``; ``outputs`` ``(N, class)`` where they are
    known; ``names`` ``(N,)``; ``origin`` is JSON. No array needs ``allow_pickle``.
    """
    path = folder / "scores.npz"
    with growing_npz(path) as append:
        for number, block in enumerate(blocks):
            if number == 0:
                append("target_names", np.array(block.origin.target_names))
                append("letters", np.array([LETTERS]))
                append("origin", np.array([_origin_text(block.origin)]))
            append("names", np.array(block.sequences.names))
            append("codes", block.sequences.codes)
            append("targets", block.targets)
            append("scores", block.scores)
            if block.outputs is not None:
                append("outputs", block.outputs)
    return Written((path,))


def parquet(blocks: Blocks, folder: Path) -> Written:
    """``scores.parquet``: a row per sequence, its letters and its scores, without the padding.

    ``name``, ``sequence``, ``target`` and ``predicted`` (words; no ``predicted`` of a model with
    one output), ``output`` (of the target), ``outputs``, ``scores`` (one per letter); where
    intervals are known ``chromosome``, ``start``, ``end`` (0-based, half-open) and ``strand``, in
    whose direction letters and scores stand. The metadata say where the scores are from.
    """
    import pyarrow as pa  # slow to import
    import pyarrow.parquet as pq

    path = folder / "scores.parquet"
    each = iter(blocks)
    first = next(each)
    columns = _columns(first)
    metadata = {"xaibench": _origin_text(first.origin)}
    schema = pa.schema([(name, _arrow_types()[name]) for name in columns], metadata)
    with (
        replacing(path) as file,
        pq.ParquetWriter(
            file, schema, use_dictionary=list(_REPEATED), write_statistics=list(_RANGED)
        ) as writer,
    ):
        for block in chain([first], each):
            writer.write_table(pa.Table.from_pydict(_columns(block), schema=schema))
    return Written((path,))


def _arrow_types() -> dict[str, Any]:
    """The type of every column, which the rows of a block do not tell where all are missing."""
    import pyarrow as pa

    floats = pa.list_(pa.float32())
    texts = dict.fromkeys(
        ("name", "sequence", "target", "predicted", "chromosome", "strand"), pa.string()
    )
    places = dict.fromkeys(("start", "end"), pa.int64())
    return {**texts, **places, "output": pa.float32(), "outputs": floats, "scores": floats}


def _columns(block: Explanations) -> dict[str, Any]:
    """One list or array per column of the table, with one element per sequence."""
    names = np.array(block.origin.target_names, dtype=object)
    known = block.outputs is not None
    outputs = block.outputs if known else np.full((len(block), 0), np.nan, np.float32)
    assert outputs is not None  # for the type checker
    classes = outputs.shape[1] > 1
    rows = np.arange(len(block))
    columns: dict[str, Any] = {
        "name": list(block.sequences.names),
        "sequence": to_letters(block.sequences.codes),
        "target": names[block.targets].tolist(),
        "predicted": names[outputs.argmax(1)].tolist() if classes else [None] * len(block),
        "output": outputs[rows, block.targets].tolist() if known else [None] * len(block),
        "outputs": outputs.tolist() if known else [None] * len(block),
        "scores": _without_padding(block),
    }
    return {**columns, **_places(block)}


def _without_padding(block: Explanations) -> Any:
    """A list of scores per sequence, as Arrow has them: numbers, and where each list ends."""
    import pyarrow as pa

    ends = lengths(block.sequences.codes)
    known = block.scores[np.arange(block.scores.shape[1]) < ends[:, None]]
    offsets = np.concatenate([[0], ends.cumsum()]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(known, pa.float32()))


def _places(block: Explanations) -> dict[str, list[Any]]:
    """The columns of intervals; missing in the rows whose interval is not known."""
    where = block.sequences.intervals
    if where is None:
        return {}
    known = spans(block)
    strands = np.where(where.strands < 0, "-", "+")
    columns = {
        "chromosome": where.chromosomes,
        "start": where.starts.tolist(),
        "end": where.ends.tolist(),
        "strand": strands.tolist(),
    }
    return {
        name: [value if is_known else None for value, is_known in zip(values, known, strict=True)]
        for name, values in columns.items()
    }


def _origin_text(origin: Origin) -> str:
    return json.dumps(asdict(origin))
