"""Claims of papers, put to the test by rules that were fixed before anything ran."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict

import pandas as pd

from xaibench.artefacts.job import Work
from xaibench.results.schema import columns_of
from xaibench.statistics.corrections import holm

from . import attngen, attnlrp
from .finding import Finding

CLAIMS: dict[str, Callable[[Work, pd.DataFrame], Iterator[Finding]]] = {
    "attngen": attngen.findings,
    "attnlrp": attnlrp.attnlrp_findings,
}
"""By the name that a plan gives under ``claims``: what a paper claims, as a run finds it."""


def claims(work: Work, estimates: pd.DataFrame) -> pd.DataFrame:
    """One row per claim; ``p_holm`` is corrected over all of them."""
    if work.plan.claims is None:
        return pd.DataFrame(columns=columns_of("claims"))
    findings = CLAIMS[work.plan.claims](work, estimates)
    frame = pd.DataFrame([asdict(each) for each in findings])
    return frame.assign(p_holm=holm(frame["p"]))[columns_of("claims")]
