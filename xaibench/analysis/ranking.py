"""Which methods are compared with each other: corrections and ranks within a family."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import reduce

import numpy as np
import pandas as pd

from xaibench.explanation.controls import ORACLE, PRIORS
from xaibench.results.schema import Question
from xaibench.statistics.corrections import holm
from xaibench.statistics.means import defined_part
from xaibench.statistics.ranks import rank

from .orientation import is_directed, sign_of
from .panels import CrossedValues, PanelKey
from .run_values import RunValues
from .selftest import PLACE, selftest_verdicts

FAMILY = ("question", "dataset", "model", "other", "metric", "operator")
"""The methods that share these are ranked against each other and corrected together."""

_RANKED = (Question.AGAINST_RANDOM, Question.VALUE)
"""By which question methods are ranked; the first that ranks any says which is the best."""

_NEVER_RANKED = ("stability", "randomisation", "complexity")
"""Families that a useless map can win: a constant one is perfectly stable."""


def apart(frame: pd.DataFrame, run: RunValues, signed: Mapping[str, bool]) -> pd.Series[bool]:
    """Which rows are of signed methods by a metric that does not compare these with unsigned ones.

    Signed methods put evidence against the target last and unsigned ones cannot, so least relevant
    first they are not compared; nor are they where a metric means different things for them.
    """
    metrics = {
        name
        for name, each in run.facts.items()
        if each and (each.needs_least_relevant_first or each.signs_apart)
    }
    of_signed = frame["method"].map(lambda name: signed.get(name, True)).astype(bool)
    return frame["metric"].isin(metrics) & of_signed


def families(
    frame: pd.DataFrame, apart: pd.Series[bool], names: Sequence[str] = FAMILY
) -> pd.Series[int]:
    """The number of the family of each row: the methods that share ``names``."""
    return frame.groupby([*(frame[name] for name in names), apart], sort=False).ngroup()


def corrected(frame: pd.DataFrame, families: pd.Series[int]) -> pd.DataFrame:
    """With the p values after Holm over the methods of a family."""
    for name in ("p", "p_sequences", "p_seeds"):
        tested = frame[name].dropna()
        adjusted = tested.groupby(families, sort=False).transform(lambda p: holm(p.to_numpy()))
        frame[f"{name}_holm"] = adjusted.reindex(frame.index)
    return frame


def ranked(frame: pd.DataFrame, families: pd.Series[int], run: RunValues) -> pd.DataFrame:
    """Methods by their mean, within a model, where the metric can rank them; where they were
    measured on different sequences, by their mean over those that all were measured on."""
    methods = ~frame["method"].isin(["", run.control, ORACLE, *PRIORS])
    can = methods & frame["question"].isin(_RANKED) & frame["metric"].map(_can_rank(run))
    tests = selftest_verdicts(frame)
    failed = pd.MultiIndex.from_frame(tests.loc[tests["passed"] == "no", PLACE])
    can &= ~pd.MultiIndex.from_frame(frame[PLACE]).isin(failed)
    signs = {name: sign_of(each) for name, each in run.facts.items()}
    lower_is_better = (frame["metric"].map(signs).astype(float) < 0) & (
        frame["question"] == Question.VALUE
    )
    merit = _on_shared(frame[can.astype(bool)], families, run)
    merit = merit.where(~lower_is_better[merit.index], -merit)
    ranks = merit.groupby(families, sort=False).transform(lambda means: rank(means.to_numpy()))
    frame["rank"] = ranks.reindex(frame.index)
    return frame


def _on_shared(frame: pd.DataFrame, families: pd.Series[int], run: RunValues) -> pd.Series[float]:
    """The means of rows, those of a family over the same sequences."""
    means = frame["mean"].copy()
    known = frame[means.notna()]
    for _, rows in known.groupby(families[known.index], sort=False):
        cells = cells_of(rows)
        if len({len(run.panel(cell).sequences) for cell in cells}) == 1:
            continue
        panels = [_panel_ranked(*each, run) for each in zip(rows["question"], cells, strict=True)]
        shared = reduce(np.intersect1d, [panel.sequences for panel in panels])
        for index, panel in zip(rows.index, panels, strict=True):
            values, _ = defined_part(panel.values[:, np.isin(panel.sequences, shared)])
            means[index] = np.nanmean(values, axis=1).mean() if values.size else np.nan
    return means


def _panel_ranked(question: str, cell: PanelKey, run: RunValues) -> CrossedValues:
    if question == Question.VALUE:
        return run.panel(cell)
    return run.gap(cell, run.random(cell))


def boards(frame: pd.DataFrame, apart: pd.Series[bool]) -> Iterator[pd.DataFrame]:
    """The rows that rank the methods of a model by a metric, one board after another."""
    with_rank = frame[frame["rank"].notna()]
    for _, board in with_rank.groupby([*PLACE, apart[with_rank.index]], sort=False):
        for question in _RANKED:
            rows = board[board["question"] == question]
            if len(rows):
                yield rows
                break


def cells_of(rows: pd.DataFrame) -> list[PanelKey]:
    """The method's own map that each row is about."""
    return [PanelKey(*names) for names in rows.assign(control="")[[*PanelKey._fields]].to_numpy()]


def _can_rank(run: RunValues) -> dict[str, bool]:
    """Which metrics rank at all."""
    return {
        name: is_directed(facts) and facts.family not in _NEVER_RANKED
        for name, facts in run.facts.items()
    }
