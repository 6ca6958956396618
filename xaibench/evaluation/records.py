"""One row per value: the tidy table that everything printed is made from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, groupby
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from xaibench.artefacts.trained_models import TrainedModel
from xaibench.results.schema import columns_of
from xaibench.storage.artefacts import FAILED, NOT_COMPUTED, OK

if TYPE_CHECKING:
    import pandas as pd

WORDS = ("dataset", "model", "method", "control", "metric", "operator", "status", "reason")


@dataclass(frozen=True, slots=True)
class RecordGroup:
    """Values that share all but their sequences: the rows of one metric under one seed and draw.

    A group without sequences is of a metric that gave no values; its ``status`` and ``reason`` say
    why.
    """

    model: str
    seed: int
    method: str = ""
    control: str = ""
    metric: str = ""
    operator: str = ""
    repeat: int = 0
    sequences: tuple[str, ...] = ()
    values: NDArray[np.float64] | None = None
    status: str = OK
    reason: str = ""

    @property
    def trained(self) -> TrainedModel:
        """The model that the values are of."""
        return TrainedModel(self.model, self.seed)


def excused(group: RecordGroup) -> RecordGroup:
    """The group as a run that was stopped records it: what was not computed did not fail."""
    not_yet = group.status == FAILED and group.reason == NOT_COMPUTED
    return replace(group, status=NOT_COMPUTED) if not_yet else group


ROWS_TOGETHER = 2**19
"""So many records at most are a table in memory at a time."""


def write_parquet(file: BinaryIO, groups: Sequence[RecordGroup], dataset: str) -> None:
    """The records of ``frame`` as a file, part by part: row groups are of one model, seed and
    method each, so that a reader who asks for one of these reads nothing else."""
    import pyarrow as pa
    from pyarrow import parquet

    text = pa.dictionary(pa.int32(), pa.string())
    example = pa.Schema.from_pandas(frame(groups[:1], dataset), preserve_index=False)
    for place, name in enumerate(example.names):
        if name in (*WORDS, "sequence"):
            example = example.set(place, pa.field(name, text))
    with parquet.ParquetWriter(file, example) as writer:
        for part in _parts(groups):
            rows = pa.Table.from_pandas(frame(part, dataset), schema=example, preserve_index=False)
            writer.write_table(rows)
            del rows
            pa.default_memory_pool().release_unused()


def _parts(groups: Sequence[RecordGroup]) -> Iterator[list[RecordGroup]]:
    """The groups of one model, seed and method, in their order, with at most ``ROWS_TOGETHER``
    rows; a larger group is cut."""
    for _, same in groupby(groups, lambda group: (group.model, group.seed, group.method)):
        part: list[RecordGroup] = []
        for piece in chain.from_iterable(map(_pieces, same)):
            if part and sum(map(_rows, [*part, piece])) > ROWS_TOGETHER:
                yield part
                part = []
            part.append(piece)
        yield part


def _pieces(group: RecordGroup) -> Iterator[RecordGroup]:
    """The group, cut where it has more rows than ``ROWS_TOGETHER``."""
    if group.values is None or len(group.sequences) <= ROWS_TOGETHER:
        yield group
        return
    for start in range(0, len(group.sequences), ROWS_TOGETHER):
        rows = slice(start, start + ROWS_TOGETHER)
        yield replace(group, sequences=group.sequences[rows], values=group.values[rows])


def _rows(group: RecordGroup) -> int:
    """Of a group without sequences there is a row that says why."""
    return max(len(group.sequences), 1)


def frame(groups: Iterable[RecordGroup], dataset: str) -> pd.DataFrame:
    """The records of all groups, texts as categories; NaN values stay, to be counted."""
    import pandas as pd

    made = list(groups)
    rows = np.array([*map(_rows, made)], dtype=np.intp)
    columns: dict[str, Any] = {
        name: _categorical([getattr(group, name) for group in made], rows) for name in WORDS[1:]
    }
    columns["dataset"] = _categorical([dataset] * len(made), rows)
    for name in ("seed", "repeat"):
        numbers = np.array([getattr(group, name) for group in made], dtype=np.int64)
        columns[name] = np.repeat(numbers, rows)
    columns["sequence"] = pd.Categorical(
        [name for group in made for name in (group.sequences or ("",))]
    )
    columns["value"] = np.concatenate(
        [np.empty(0)]
        + [np.array([np.nan]) if group.values is None else group.values for group in made]
    )
    return pd.DataFrame(columns)[columns_of("records")]


def _categorical(texts: list[str], rows: NDArray[np.intp]) -> pd.Categorical:
    """Each text as often as its group has rows."""
    import pandas as pd

    categories = list(dict.fromkeys(texts))
    places = {text: place for place, text in enumerate(categories)}
    codes = np.array([places[text] for text in texts], dtype=np.intp)
    return pd.Categorical.from_codes(np.repeat(codes, rows), pd.Index(categories, dtype="str"))
