"""Whether a metric can tell a good explanation from a bad one on this model.

The oracle must be above random, random above the negated oracle, and the blurred oracle not above
the oracle. A metric that cannot order these on a model says nothing about the methods on it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from xaibench.explanation.controls import ORACLE
from xaibench.results.schema import Question, columns_of

NEGATED, BLURRED = f"{ORACLE}, negated", f"{ORACLE}, blurred"
"""The control maps of the oracle as ``other`` names them."""

PLACE = ["dataset", "model", "metric", "operator"]
_CHECK_OF = {NEGATED: "random_over_negated", BLURRED: "blurred_not_over_oracle"}
_FAILURES = {
    "oracle_over_random": "the oracle is not above random",
    "random_over_negated": "random is not above the negated oracle",
    "blurred_not_over_oracle": "the blurred oracle is above the oracle",
}


def self_test(estimates: pd.DataFrame) -> pd.DataFrame:
    """The self-test of every metric on every model.

    Made from the rows of the question ``self-test``, a positive mean saying that the first is
    better. By the interval over sequences, for the question is about these trained models: a check
    that one is above the other is ``yes`` where it is above 0, that of the blurred oracle ``no``
    where it is below 0; ``unknown`` where there is no interval. ``passed`` is ``no`` where any
    is, else ``unknown`` where any is, else ``yes``.
    """
    return selftest_verdicts(estimates)[columns_of("selftest")]


def selftest_verdicts(estimates: pd.DataFrame) -> pd.DataFrame:
    """``self_test`` with the dataset."""
    rows_of_test = estimates[estimates["question"] == Question.SELF_TEST]
    rows = [
        {**dict(zip(PLACE, place, strict=True)), **_verdict(part)}
        for place, part in rows_of_test.groupby(PLACE, sort=False, dropna=False)
    ]
    return pd.DataFrame(rows, columns=["dataset", *columns_of("selftest")])


def _verdict(rows: pd.DataFrame) -> dict[str, str]:
    """Of the rows of one metric on one model."""
    checks = rows["other"].map(_CHECK_OF).fillna("oracle_over_random")
    answers = dict.fromkeys(_FAILURES, "unknown")
    for check, (_, row) in zip(checks, rows.iterrows(), strict=True):
        answers[check] = _answer(check, row)
    refused = [refusal for check, refusal in _FAILURES.items() if answers[check] == "no"]
    if refused:
        reason = f"cannot discriminate here: {'; '.join(refused)}"
        return {**answers, "passed": "no", "reason": reason}
    unanswered = [answers[check] == "unknown" for check in checks]
    reason = "; ".join(rows["reason"][unanswered].unique())
    passed = "unknown" if "unknown" in answers.values() else "yes"
    return {**answers, "passed": passed, "reason": reason}


def _answer(check: str, row: pd.Series[Any]) -> str:
    low, high = row["sequences_low"], row["sequences_high"]
    if np.isnan(low):
        return "unknown"
    holds = high >= 0 if check == "blurred_not_over_oracle" else low > 0
    return "yes" if holds else "no"
