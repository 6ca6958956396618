"""Whether the order of the methods is more than chance, and who may be the best."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import reduce
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xaibench.analysis.orientation import sign_of
from xaibench.analysis.panels import CrossedValues, joined
from xaibench.analysis.ranking import apart, boards, cells_of
from xaibench.analysis.run_values import RunValues
from xaibench.results.schema import columns_of
from xaibench.shapes import Float
from xaibench.statistics.ranks import Friedman, best_shares, friedman


class Stack(NamedTuple):
    """Panels ``(panel, seed, sequence)`` on the seeds that all have and the sequences that all
    have a value of; ``sequences`` are the numbers of these."""

    values: Float
    sequences: NDArray[np.intp]


def stacked(panels: list[CrossedValues], sign: int = 1) -> Stack:
    """What panels share, their values times ``sign``."""
    seeds = reduce(np.intersect1d, [panel.seeds for panel in panels])
    sequences = reduce(np.intersect1d, [panel.sequences for panel in panels])
    values = np.stack(
        [
            panel.values[np.isin(panel.seeds, seeds)][:, np.isin(panel.sequences, sequences)]
            for panel in panels
        ]
    )
    whole = ~np.isnan(values).any(axis=(0, 1))
    return Stack(sign * values[:, :, whole], sequences[whole])


def ranks(
    run: RunValues, estimates: pd.DataFrame, signed: Mapping[str, bool] | None = None
) -> pd.DataFrame:
    """One row per ranked method, of every metric that ranks several.

    ``mean_rank`` (1 is best), ``critical_difference`` and ``p_friedman`` are of these models: their
    ``blocks`` are sequences (or groups, where these are resampled), averaged over seeds. ``best``
    is the share of crossed bootstrap draws, of sequences and seeds, in which the method has the
    best mean. All are made of the sequences that every method has a value of.
    """
    alone = apart(estimates, run, signed or {})
    every = (board for board in boards(estimates, alone) if len(board) > 1)
    rows = chain.from_iterable(_rank_rows(board, run) for board in every)
    return pd.DataFrame(rows, columns=columns_of("ranks"))


def _rank_rows(board: pd.DataFrame, run: RunValues) -> Iterator[dict[str, Any]]:
    cells = cells_of(board)
    stack = stacked([run.panel(cell) for cell in cells], sign_of(run.facts[cells[0].metric]))
    tested = friedman(_blocks_of(stack, run).T)
    shares = _best_shares(stack, run)
    few = "one replicate: best in other sequences, not of other replicates"
    reason = joined(tested.reason, few if stack.values.shape[1] == 1 else "")
    for cell, mean_rank, best in zip(cells, tested.mean_ranks, shares, strict=True):
        yield {
            "model": cell.model,
            "metric": cell.metric,
            "operator": cell.operator,
            "method": cell.method,
            **_friedman_columns(tested),
            "mean_rank": mean_rank,
            "best": best,
            "reason": reason,
        }


def _friedman_columns(tested: Friedman) -> dict[str, float]:
    return {
        "critical_difference": tested.critical_difference,
        "p_friedman": tested.p,
        "blocks": tested.blocks,
    }


def _blocks_of(stack: Stack, run: RunValues) -> Float:
    """``(method, block)``: the mean over seeds, and over the sequences of a group."""
    means: Float = stack.values.mean(axis=1)
    if run.groups is None:
        return means
    _, members = np.unique(run.groups[stack.sequences], return_inverse=True)
    sums = np.stack([np.bincount(members, weights=row) for row in means])
    blocks: Float = sums / np.bincount(members)
    return blocks


def _best_shares(stack: Stack, run: RunValues) -> Float:
    methods, seeds, sequences = stack.values.shape
    if not seeds * sequences:
        return np.full(methods, np.nan)
    clusters = None if run.groups is None else run.groups[stack.sequences]
    options = {} if clusters is None else {"clusters": clusters}
    return best_shares(stack.values, run.drawing(seeds, sequences, **options))
