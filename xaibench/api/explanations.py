"""What ``explain`` gives: scores, and what a notebook does with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from xaibench.dna.encoding import LETTERS, lengths
from xaibench.errors import UsageError
from xaibench.export import values
from xaibench.export.formats import DEFAULT_FORMATS, formats_by_name, write_formats
from xaibench.export.values import Written
from xaibench.plugins.registry import nearest

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

SHOWN_ROWS = 10
"""Of a table in a notebook."""


@dataclass(frozen=True, slots=True, repr=False)
class Explanations(values.Explanations):
    """The scores ``(N, L)`` that a method gives every position of some sequences.

    ``targets`` ``(N,)`` are the outputs that were explained, ``outputs`` ``(N, class)`` what the
    model gave where that was asked. ``hypothetical`` ``(N, 4, L)`` is what each base, A C G T,
    would contribute if it stood there; None where the method does not say. The score of a position
    is in the units of the model's output (logits). ``completeness_error`` is the largest difference
    between a sum of scores and the change of the output that it should be, divided by the root mean
    square of these changes; NaN where the method measures none.
    """

    completeness_error: float = float("nan")

    def __repr__(self) -> str:
        size = f"{len(self):,} sequences of {self.scores.shape[1]:,} nt"
        return f"<Explanations: {self.method} of {self.origin.model}, {size}>"

    @property
    def names(self) -> tuple[str, ...]:
        """Of the sequences."""
        return self.sequences.names

    @property
    def method(self) -> str:
        """The name of the method."""
        return self.origin.method

    def to_frame(self) -> pd.DataFrame:
        """A row per position with a known base or an N, without padding: sequence, position (from
        0), base, score, target."""
        import pandas as pd

        ends = np.maximum(lengths(self.sequences.codes), 1)
        rows, positions = np.nonzero(np.arange(self.scores.shape[1]) < ends[:, None])
        letters = np.array(list(LETTERS))
        targets = np.array(self.origin.target_names, dtype=object)
        return pd.DataFrame(
            {
                "sequence": np.array(self.names, dtype=object)[rows],
                "position": positions,
                "base": letters[self.sequences.codes[rows, positions]],
                "score": self.scores[rows, positions],
                "target": targets[self.targets][rows],
            }
        )

    def plot(self, row: int | str = 0) -> Figure:
        """The logo of one sequence, by its row or its name."""
        from .figures import figure_named

        if isinstance(row, str):
            row = self._row_of(row)
        if not -len(self) <= row < len(self):
            raise UsageError(f"row: expected one below {len(self)}, got {row}")
        return figure_named("logo", self, row % len(self))

    def _row_of(self, name: str) -> int:
        if name not in self.names:
            known = list(self.names[:1000])
            raise UsageError(f"no sequence named {name!r}; {nearest(name, known)}")
        return self.names.index(name)

    def save(
        self,
        folder: str | Path,
        formats: Sequence[str] = DEFAULT_FORMATS,
        *,
        options: dict[str, dict[str, Any]] | None = None,
    ) -> dict[str, Written]:
        """Write the files of other tools: ``scores``, ``parquet``, ``html``, ``modisco``,
        ``finemo``, ``chrombpnet``, ``bigwig``, ``bedgraph``, ``logos``. UsageError for a format
        that is not known."""
        names = (formats,) if isinstance(formats, str) else formats
        return write_formats([self], Path(folder), formats_by_name(names), options=options)

    def _repr_html_(self) -> str:
        from html import escape

        import pandas as pd

        shown = self.take(np.arange(min(SHOWN_ROWS, len(self))))
        best = np.abs(np.where(shown.sequences.valid, shown.scores, 0)).argmax(axis=1)
        table = pd.DataFrame(
            {
                "sequence": shown.names,
                "target": [self.origin.target_names[target] for target in shown.targets],
                "sum of scores": np.where(shown.sequences.valid, shown.scores, 0).sum(axis=1),
                "largest at": best,
                "score there": shown.scores[np.arange(len(shown)), best],
            }
        )
        head = f"{self.method} of {self.origin.model}, {len(self):,} sequences"
        if len(shown) < len(self):
            head += f", the first {len(shown)}"
        return f"<p>{escape(head)}</p>{table.to_html(index=False, float_format='{:.4g}'.format)}"
