"""The finding of a run about one claim."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xaibench.statistics.paired import of_t, paired_t

HOLDS, FAILS, UNDECIDED = "holds", "does not hold", "cannot be told at this n"


CROSSED = "crossed t over seeds and sequences"
OVER_SEEDS = "paired t over seeds, on exactly these sequences"
ABOVE = "holds if the interval is above 0, does not if its upper end is below 0"
"""The rule of ``above``."""


class Claim(NamedTuple):
    """What a paper claims, what it gives for it, and what we measure of it."""

    claim: str
    published: str
    quantity: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One claim: what was published, and what we measured with its 95 % interval.

    ``rule`` says when it ``holds`` and when it ``does not hold``; anything else is undecided.
    ``caveat`` is what to know before it is quoted. ``p`` is two-sided unless ``test`` says else.
    """

    claim: str
    published: str
    quantity: str
    mean: float
    low: float
    high: float
    seeds: int
    sequences: int
    test: str
    p: float
    verdict: str
    rule: str
    caveat: str = ""

    @classmethod
    def columns(cls) -> list[str]:
        return [field.name for field in fields(cls)]


def not_measured(claim: str, published: str, why: str) -> Finding:
    """A claim that the run has no numbers for."""
    return Finding(
        claim=claim,
        published=published,
        quantity="",
        mean=np.nan,
        low=np.nan,
        high=np.nan,
        seeds=0,
        sequences=0,
        test="",
        p=np.nan,
        verdict=UNDECIDED,
        rule="",
        caveat=why,
    )


def above(low: float, high: float, *, least: float = 0.0) -> str:
    """Holds where the whole interval is above 0, fails where its upper end is below ``least``.

    >>> above(0.001, 0.004), above(-0.003, 0.001, least=0.002), above(-0.003, 0.004)
    ('holds', 'does not hold', 'cannot be told at this n')
    """
    if low > 0:
        return HOLDS
    return FAILS if high < least else UNDECIDED


def within(low: float, high: float, margin: float) -> str:
    """Holds where the whole interval is within ``margin`` of 0, fails where all of it is outside.

    >>> within(-0.05, 0.08, 0.1), within(0.12, 0.3, 0.1), within(-0.05, 0.3, 0.1)
    ('holds', 'does not hold', 'cannot be told at this n')
    """
    if -margin <= low and high <= margin:
        return HOLDS
    return FAILS if low > margin or high < -margin else UNDECIDED


def all_of(verdicts: Sequence[str]) -> str:
    """Holds where all parts hold, fails where any fails."""
    if FAILS in verdicts:
        return FAILS
    return HOLDS if set(verdicts) == {HOLDS} else UNDECIDED


def over_seeds(
    claim: Claim, differences: NDArray[np.float64], rule: str, *, caveat: str = ""
) -> Finding:
    """A paired difference of one number per seed, positive where the claim is right; NaN is left
    out."""
    known = differences[~np.isnan(differences)]
    test = paired_t(known)
    low, high = of_t(known)
    return Finding(
        **claim._asdict(),
        mean=float(known.mean()) if len(known) else np.nan,
        low=low,
        high=high,
        seeds=len(known),
        sequences=0,
        test=OVER_SEEDS,
        p=test.p,
        verdict=UNDECIDED if np.isnan(test.p) else above(low, high),
        rule=rule,
        caveat="; ".join(filter(None, (caveat, test.reason))),
    )


def of_estimate(
    claim: Claim,
    row: Mapping[Any, Any],
    rule: str,
    *,
    sign: int = 1,
    least: float = 0.0,
    caveat: str = "",
) -> Finding:
    """A paired difference that the estimates hold; ``sign`` makes positive speak for the
    claim."""
    low, high = sorted((sign * row["low"], sign * row["high"]))
    return Finding(
        **claim._asdict(),
        mean=sign * row["mean"],
        low=low,
        high=high,
        seeds=int(row["seeds"]),
        sequences=int(row["sequences"]),
        test=CROSSED,
        p=float(row["p"]),
        verdict=above(low, high, least=least),
        rule=rule,
        caveat=caveat,
    )
