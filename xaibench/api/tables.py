"""The tables of a run, as a notebook shows them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from xaibench.results.leaderboard import leaderboard_of, measured
from xaibench.results.reading import Results

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False, repr=False)
class Tables:
    """What was measured of explanations, beside the controls that they must beat.

    ``results`` holds every table of a run by its name (docs/run-folder.md).
    """

    results: Results

    @property
    def records(self) -> pd.DataFrame:
        """A row per value: model, method, control, metric, operator, sequence, value, status,
        reason."""
        return self.results.records

    @property
    def estimates(self) -> pd.DataFrame:
        """A row per question: means, differences, intervals (95 %), p values, ranks."""
        return self.results.estimates

    @property
    def leaderboard(self) -> pd.DataFrame:
        """The gap of every method to random deletion (logits) with its intervals, best first;
        without rows where deletion was not measured."""
        return leaderboard_of(self.estimates)

    @property
    def cautions(self) -> list[str]:
        """What a reader must know of the models and the data."""
        return list(self.results.environment.get("cautions", []))

    @property
    def missing(self) -> pd.DataFrame:
        """The methods and metrics without values, and why: failed, or not applicable."""
        rows = self.records[self.records["status"] != "ok"]
        columns = ["model", "method", "metric", "operator", "status", "reason"]
        return rows[columns].drop_duplicates().reset_index(drop=True)

    def __repr__(self) -> str:
        methods = self.to_frame()["method"].nunique()
        return f"<{type(self).__name__}: {methods} sources of maps, {len(self.records):,} values>"

    def to_frame(self) -> pd.DataFrame:
        """A row per method and metric: mean, low, high (95 %), and the gap to random with its
        interval, in the units of the metric; better methods first. With one replicate the
        intervals are those over sequences."""
        return measured(self.estimates)

    def plot(self, name: str = "", *, model: str = "") -> Figure:
        """The report's figure: ``gaps`` (the leaderboard), ``scores``, ``agreement``, ``ranks`` or
        ``cost``, by default the first that there is; of the first model, or of the one named."""
        from .figures import figure_named

        return figure_named("run", self.results, name, model)

    def _repr_html_(self) -> str:
        table = self.to_frame().drop(columns="reason")
        return table.to_html(index=False, float_format="{:.4g}".format, na_rep="")
