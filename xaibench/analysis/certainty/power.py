"""What so many seeds and sequences can show on the leading comparisons."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd

from xaibench.analysis.run_values import RunValues
from xaibench.results.schema import columns_of
from xaibench.statistics.crossed import Spread, crossed, of_these_models
from xaibench.statistics.means import defined_part
from xaibench.statistics.power import detectable_by

from .contrasts import Contrast, contrasts
from .significance import RETRAINING, THESE


def detectable_table(run: RunValues, estimates: pd.DataFrame) -> pd.DataFrame:
    """One row per leading contrast and population.

    ``detectable`` is the smallest true difference that the test of the estimates, two-sided at .05,
    would find four times in five: for ``retraining`` with ``n`` seeds, on other sequences as many
    as these, for ``these models`` with ``n`` sequences. ``spread`` is the standard deviation that
    ``n`` independent differences would have to give the same standard error. Where whole groups are
    resampled, ``n`` counts these.
    """
    rows = chain.from_iterable(_power_rows(one, run) for one in contrasts(run, estimates))
    return pd.DataFrame(rows, columns=columns_of("detectable"))


def _power_rows(contrast: Contrast, run: RunValues) -> Iterator[dict[str, Any]]:
    values, clusters = defined_part(contrast.differences.values, run.clusters(contrast.differences))
    for population in (RETRAINING, THESE):
        where = {**contrast.where, "population": population}
        if not values.size:
            yield {**where, "n": 0, **_NOT_KNOWN, "reason": contrast.row["reason"]}
            continue
        spread = (crossed if population == RETRAINING else of_these_models)(values, clusters)
        n = len(values) if population == RETRAINING else spread.units
        yield {**where, "n": n, **_of_spread(spread, n), "reason": _few(population, n, spread)}


_NOT_KNOWN = {"spread": np.nan, "detectable": np.nan}


def _of_spread(spread: Spread, n: int) -> dict[str, float]:
    if n < 2 or spread.units < 2:
        return _NOT_KNOWN
    variance = spread.seeds.variance + spread.sequences.variance
    return {"spread": float(np.sqrt(variance * n)), "detectable": detectable_by(spread)}


def _few(population: str, n: int, spread: Spread) -> str:
    """Why nothing is known; nothing where it is."""
    if n < 2 and population == RETRAINING:
        return "one replicate: its spread is not known"
    return "" if spread.units > 1 else "one sequence or group: its spread is not known"
