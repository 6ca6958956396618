"""Numbers in print: how many decimals, what is printed for what is not known."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import pandas as pd

from .select import TableRow, rows_of

ABSENT = "\N{EN DASH}"
LEVEL = "[95\N{NO-BREAK SPACE}%]"
TIMES = "\N{MULTIPLICATION SIGN}"
MINUS = "\N{MINUS SIGN}"

BRIEF = 160
"""How much of a reason is printed below a table; the table of reasons has it whole."""

MARKS: dict[int | None, str] = {1: " ▲", 0: " ≈", -1: " ▼", None: ""}
"""Of a difference, by its ``direction``: better, not distinguishable, worse."""


def brief(reason: str) -> str:
    """The beginning of a long reason.

    >>> len(brief("x" * 500)), brief("no motif")
    (160, 'no motif')
    """
    return reason if len(reason) <= BRIEF else reason[: BRIEF - 1].rstrip() + "…"


def listed(names: Iterable[str]) -> str:
    """Names in a sentence; nothing where there are none.

    >>> listed("abc"), listed("a")
    ('a, b and c', 'a')
    """
    *most, last = [*names] or [""]
    return f"{', '.join(most)} and {last}" if most else last


def with_noun(count: int, noun: str) -> str:
    """A count with its noun.

    >>> with_noun(1, "dataset"), with_noun(2000, "model")
    ('1 dataset', '2,000 models')
    """
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def number(value: float, decimals: int = 2) -> str:
    """A number in print; a dash where it is NaN.

    >>> number(1234.567, 1)
    '1,234.6'
    """
    if not math.isfinite(value):
        return ABSENT if math.isnan(value) else str(value).replace("-", "\N{MINUS SIGN}")
    text = f"{value:,.{decimals}f}"
    return text.lstrip("-") if float(text.replace(",", "")) == 0 else text.replace("-", "\u2212")


def interval_text(low: float, high: float, decimals: int = 2) -> str:
    """``[low, high]``, or nothing where it is not known."""
    if math.isnan(low) or math.isnan(high):
        return ""
    return f"[{number(low, decimals)}, {number(high, decimals)}]"


def probability(p: float) -> str:
    """A p value in print.

    >>> probability(0.0002), probability(0.0314)
    ('<0.001', '0.031')
    """
    return "<0.001" if p < 0.001 else number(p, 3)


def corrected_p(estimate: TableRow) -> tuple[float, str]:
    """The corrected p value and the population it is of: retraining where that was tested."""
    retraining = float(estimate["p_holm"])
    if not math.isnan(retraining):
        return retraining, "retraining"
    return float(estimate["p_sequences_holm"]), "these models"


def scientific(value: float) -> str:
    """A number that may be very small."""
    return ABSENT if math.isnan(value) else f"{value:.1e}".replace("-", "\N{MINUS SIGN}")


def decimals_of(estimates: pd.DataFrame) -> int:
    """How many decimals a column needs so that its intervals keep one or two digits that count."""
    pairs = (("low", "high"), ("sequences_low", "sequences_high"))
    widths = np.concatenate(
        [
            (estimates[high] - estimates[low]).to_numpy(dtype=float)
            for low, high in pairs
            if low in estimates
        ]
    )
    widths = widths[np.isfinite(widths) & (widths > 0)]
    if not len(widths):
        return 3
    half = float(np.median(widths)) / 2
    # one digit of the half-width counts, two where it begins with 1: hence the 0.3, log10 of 2
    return int(np.clip(math.ceil(0.3 - math.log10(half)), 2 if half < 1 else 0, 5))


def direction(estimate: TableRow) -> int | None:
    """Of a difference: 1 where its interval is above 0, -1 below, 0 where it includes 0.

    The headline interval, or with one seed that over sequences; None where neither is known.
    """
    low, high = ends(estimate)
    if math.isnan(low):
        return None
    return int(low > 0) - int(high < 0)


def ends(estimate: TableRow) -> tuple[float, float]:
    """The headline interval; with one seed, that over sequences; two NaN where neither is known."""
    for low, high in (("low", "high"), ("sequences_low", "sequences_high")):
        if low in estimate and not math.isnan(estimate[low]) and not math.isnan(estimate[high]):
            return float(estimate[low]), float(estimate[high])
    return math.nan, math.nan


def mean_and_interval(estimate: TableRow, decimals: int) -> str:
    """``0.42 [0.39, 0.45]``; the mean alone where no interval is known."""
    return (
        f"{number(estimate['mean'], decimals)} {interval_text(*ends(estimate), decimals)}".strip()
    )


def used(estimate: TableRow) -> str:
    """The sequences behind an estimate, and those that it leaves out as undefined.

    >>> used(pd.Series({"sequences": 23.0, "undefined": 4.0}))
    '23 + 4 undefined'
    """
    undefined = estimate.get("undefined", 0)
    more = f" + {int(undefined)} undefined" if undefined > 0 else ""
    return number(estimate["sequences"], 0) + more


def counts(estimate: TableRow) -> str:
    """How many sequences and seeds an estimate is made of."""
    return f"{used(estimate)} {TIMES} {number(estimate['seeds'], 0)}"


def usual_counts(estimates: pd.DataFrame) -> str:
    """The ``counts`` that most of the estimates with a mean have; nothing where none has one."""
    known = [counts(row) for row in rows_of(estimates) if not math.isnan(row["mean"])]
    return max(dict.fromkeys(known), key=known.count, default="")


def apart_from(usual: str, estimate: TableRow) -> str:
    """The counts of an estimate, in brackets, where they are not the usual ones."""
    if math.isnan(estimate["mean"]) or counts(estimate) == usual:
        return ""
    return f" ({counts(estimate)})"


def why(estimate: TableRow) -> str:
    """The reason of an estimate whose mean or headline interval is missing."""
    complete = not any(math.isnan(estimate[name]) for name in ("mean", "low", "high"))
    return "" if complete else str(estimate.get("reason", ""))
