"""What the paper on attention heads of genomic transformers claims (*Consens et al. 2025*, bioRxiv
10.1101/2025.06.26.661544), judged from the tables of ``xaibench heads``.

We know its released code and tables, not its text: what they give is under ``published``. The
quantities and rules here are ours, and were fixed before any table that the project reports.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, replace
from itertools import combinations

import numpy as np
import pandas as pd

from xaibench.analysis.claims.finding import (
    ABOVE,
    FAILS,
    HOLDS,
    UNDECIDED,
    Claim,
    Finding,
    not_measured,
    over_seeds,
    within,
)
from xaibench.results.schema import columns_of_heads
from xaibench.shapes import Float
from xaibench.statistics.corrections import holm

from .analysis import HeadTables
from .association import FALSE_DISCOVERIES
from .options import AS_BUILT, RELEVANCE, TRAINED

NOT_TESTED = "not tested"

RANDOM_WEIGHTS, PRETRAINED = "random", "pretrained"
"""States of a model, beside ``TRAINED``."""

WITH_ITS_WEIGHTS = (TRAINED, AS_BUILT)
"""States in which a model is judged by itself."""

NO_BIOLOGY = ("position", "centre")
"""Tracks that the paper leaves out, as we do: where a site is, not what."""

ASSOCIATED = ("heads of a pre-trained model follow biological features", "they do (no number)")
SHIFTED = ("fine-tuning shifts what heads follow", "it does (no number)")
TOKENS_MATTER = ("what heads follow depends on the tokenisation", "it does (no number)")
CONTEXT_MATTERS = ("what heads follow depends on the context of a feature", "it does (no number)")
MATTER_MORE = (
    "losing associated heads hurts more than losing others",
    "accuracy without 5 % of the heads, associated and others: .962, .877 and .991, .981 (TATA), "
    ".491, .850 (enhancers)",
)

EQUAL_CORRELATION = 0.1
"""Within so much two correlations are as good as equal."""

DIFFERS_RULE = (
    f"holds if the interval is wholly more than {EQUAL_CORRELATION:g} from 0, does not if it is "
    "within that"
)


def head_claims(tables: HeadTables) -> pd.DataFrame:
    """A row per claim, as ``results.schema`` describes them; ``p_holm`` is corrected over all."""
    rows = tables.associations
    if not len(rows):
        return pd.DataFrame(columns=columns_of_heads("claims"))
    biological = _biological(rows)
    findings = [
        *_associated(biological),
        *_shifted(_biological(tables.changes)),
        *_tokens_matter(biological),
        *_context_matters(_biological(tables.changes)),
        *_matter_more(tables.ablations),
    ]
    frame = pd.DataFrame([asdict(each) for each in findings])
    return frame.assign(p_holm=holm(frame["p"]))[columns_of_heads("claims")]


def _biological(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[~rows["track"].isin(NO_BIOLOGY)] if len(rows) else rows


def not_tested(claim: tuple[str, str], needs: str) -> Finding:
    """A claim for which there is no table; ``needs`` says how to have it."""
    return replace(not_measured(*claim, needs), verdict=NOT_TESTED)


# Where it comes from


def _associated(rows: pd.DataFrame) -> Iterator[Finding]:
    tested = 0
    for model, own in rows.groupby("model", sort=False):
        pretrained, random = (own[own["state"] == name] for name in (PRETRAINED, RANDOM_WEIGHTS))
        if not len(pretrained) or not len(random):
            continue
        tested += 1
        before, after = _shares(random), _shares(pretrained)
        yield over_seeds(
            Claim(*ASSOCIATED, f"share of the heads of {model} that follow a track, less random"),
            _differences(after, before),
            ABOVE,
            caveat=f"{after.mean():.2f} pre-trained and {before.mean():.2f} of random weights "
            "follow one: what these follow is not learnt",
        )
    if not tested:
        needs = "needs pre-trained and random weights: xaibench heads RUN --state random "
        yield not_tested(ASSOCIATED, f"{needs}--state pretrained")


def _shifted(changes: pd.DataFrame) -> Iterator[Finding]:
    if len(changes):
        both = changes["before"].eq(PRETRAINED) & changes["after"].eq(TRAINED)
        changes = changes[both]
    if not len(changes):
        needs = "needs one state after the other: xaibench heads RUN --state pretrained "
        yield not_tested(SHIFTED, f"{needs}--state {TRAINED}")
        return
    for model, own in changes.groupby("model", sort=False):
        quantity = f"share of heads and tracks of {model} that changed, less 5 %"
        caveat = "a change need not be one for the task"
        yield over_seeds(Claim(*SHIFTED, quantity), _changed(own), ABOVE, caveat=caveat)


def _changed(changes: pd.DataFrame) -> Float:
    """By replicate the share that changed, beyond that of false discoveries."""
    shares = changes["changed"].astype(float).groupby(changes["replicate"], sort=False).mean()
    return np.array([float(share) - FALSE_DISCOVERIES for share in shares])


def _shares(rows: pd.DataFrame) -> pd.Series[float]:
    """By replicate the share of heads that follow a track."""
    by_head = rows.groupby(["replicate", "layer", "head"])["associated"].any()
    return by_head.astype(float).groupby("replicate").mean()


def _differences(first: pd.Series[float], second: pd.Series[float]) -> Float:
    """By replicate; a single one, as of a checkpoint, is compared with each of the others."""
    if len(first) > 1 and len(second) > 1:
        shared = first.index.intersection(second.index)
        first, second = first[shared], second[shared]
    differences: Float = first.to_numpy(float) - second.to_numpy(float)
    return differences


# What it depends on


def _tokens_matter(rows: pd.DataFrame) -> Iterator[Finding]:
    trained = _of_trained(rows)
    groups = [(tokens, own) for (_, tokens), own in trained.groupby(["model", "tokens"])]
    pairs = [(one, other) for one, other in combinations(groups, 2) if one[0] != other[0]]
    if not pairs:
        yield not_tested(
            TOKENS_MATTER,
            "needs two models of one run that read different tokens: xaibench heads RUN, of a plan "
            "whose models are the same but for that",
        )
    for (tokens, own), (others, other) in pairs:
        yield from _strongest_differs(TOKENS_MATTER, (str(tokens), own), (str(others), other))


def _context_matters(changes: pd.DataFrame) -> Iterator[Finding]:
    shuffled = tuple(f"{state}, shuffled around " for state in WITH_ITS_WEIGHTS)
    if len(changes):
        changes = changes[changes["after"].str.startswith(shuffled)]
    if not len(changes):
        needs = "needs features in their own and in shuffled context: xaibench heads RUN "
        yield not_tested(CONTEXT_MATTERS, f"{needs}--track TRACK --shuffle-around TRACK")
        return
    for (model, track), own in changes.groupby(["model", "track"], sort=False):
        quantity = f"share of heads of {model} whose correlation with {track} changed where all "
        claim = Claim(*CONTEXT_MATTERS, f"{quantity}else is shuffled, less 5 %")
        caveat = "a shuffled context also moves sequences off the data"
        yield over_seeds(claim, _changed(own), ABOVE, caveat=caveat)


def _strongest_differs(
    claim: tuple[str, str], one: tuple[str, pd.DataFrame], other: tuple[str, pd.DataFrame]
) -> Iterator[Finding]:
    """Of each track that both were asked about: the largest absolute correlation of a head."""
    (name, rows), (other_name, others) = one, other
    first, second = _strongest(rows), _strongest(others)
    for track in [each for each in first.columns if each in second.columns]:
        quantity = f"strongest correlation with {track}, {name} minus {other_name}"
        differences = _differences(first[track].dropna(), second[track].dropna())
        finding = over_seeds(Claim(*claim, quantity), differences, DIFFERS_RULE)
        opposite = {HOLDS: FAILS, FAILS: HOLDS, UNDECIDED: UNDECIDED}
        known = not np.isnan(finding.p)
        verdict = (
            opposite[within(finding.low, finding.high, EQUAL_CORRELATION)] if known else UNDECIDED
        )
        yield replace(finding, verdict=verdict)


def _strongest(rows: pd.DataFrame) -> pd.DataFrame:
    """``(replicate, track)``"""
    sizes = rows.assign(size=rows["mean"].abs())
    return sizes.groupby(["replicate", "track"])["size"].max().unstack()


def _of_trained(table: pd.DataFrame) -> pd.DataFrame:
    return table[table["state"].isin(WITH_ITS_WEIGHTS)] if len(table) else table


# Whether it matters


def _matter_more(ablations: pd.DataFrame) -> Iterator[Finding]:
    """Per model, share and measure: what is lost with the chosen heads beyond random ones."""
    rows = _of_trained(ablations)
    if not len(rows):
        yield not_tested(MATTER_MORE, "needs ablations.csv: xaibench heads RUN --ablate 5")
        return
    rows = rows[rows["by"].eq("strength") & ~rows["track"].isin([*NO_BIOLOGY, RELEVANCE])]
    for (model, share), own in rows.groupby(["model", "share"], sort=False):
        tracks = own["track"].nunique()
        for measure in ("accuracy", "logit_difference"):
            quantity = (
                f"{measure.replace('_', ' ')} of {model}, without random heads of the same layers "
                f"minus without the {share:.3g} of the heads that follow a track most"
            )
            caveat = f"mean over {tracks} track{'' if tracks == 1 else 's'}"
            claim = Claim(*MATTER_MORE, quantity)
            yield over_seeds(claim, _lost_beyond_random(own, measure), ABOVE, caveat=caveat)


def _lost_beyond_random(rows: pd.DataFrame, measure: str) -> Float:
    """By replicate, the mean over tracks."""
    of_sets = rows.groupby(["replicate", "track", "set"])[measure].mean().unstack()
    lost: Float = (of_sets["random"] - of_sets["chosen"]).groupby("replicate").mean().to_numpy()
    return lost
