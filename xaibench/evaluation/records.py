"""One row per value: the tidy table that everything printed is made from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

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


def frame(groups: Iterable[RecordGroup], dataset: str) -> pd.DataFrame:
    """The records of all groups, texts as categories; NaN values stay, to be counted."""
    import pandas as pd

    made = list(groups)
    rows = np.array([max(len(group.sequences), 1) for group in made], dtype=np.intp)
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
        [np.array([np.nan]) if group.values is None else group.values for group in made]
    )
    return pd.DataFrame(columns)[columns_of("records")]


def _categorical(texts: list[str], rows: NDArray[np.intp]) -> pd.Categorical:
    """Each text as often as its group has rows."""
    import pandas as pd

    categories = list(dict.fromkeys(texts))
    places = {text: place for place, text in enumerate(categories)}
    codes = np.array([places[text] for text in texts], dtype=np.intp)
    return pd.Categorical.from_codes(np.repeat(codes, rows), pd.Index(categories, dtype="str"))
