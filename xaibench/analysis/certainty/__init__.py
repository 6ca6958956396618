"""How sure a run is of what it says: the tables beside its estimates."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from xaibench.analysis.measurements import Asked

from .power import detectable
from .rank_tests import ranks
from .significance import tests
from .variance import variance


def tables(
    asked: Asked, estimates: pd.DataFrame, records: pd.DataFrame, signed: Mapping[str, bool]
) -> dict[str, pd.DataFrame]:
    """By the file of a run folder that holds it."""
    return {
        "tests.csv": tests(asked, estimates),
        "ranks.csv": ranks(asked, estimates, signed),
        "variance.csv": variance(asked, estimates, records),
        "detectable.csv": detectable(asked, estimates),
    }
