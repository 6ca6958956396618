"""What the paper on explanations of DNABERT-2 claims (*Kurth, Yanez Sarmiento and Renard 2026*,
arXiv 2604.21690): AttnLRP is reliable, matches known biology, and a genome language model is
explained like a CNN.

Its abstract gives no number; data sets, metrics, the CNN, the variant of LRP on it and the way from
tokens to nucleotides are not known to us. The quantities and rules here are ours, and were fixed
before any run whose result the project reports.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from xaibench.analysis.agreement import OF_TOKENS
from xaibench.analysis.clusters import numbers_of
from xaibench.analysis.model_agreement import ExplainedBy, Similarities, similarities
from xaibench.artefacts.job import Work
from xaibench.explanation.controls import PRIORS
from xaibench.plan.primary import PRIMARY
from xaibench.results.leaderboard import leaderboard_operator
from xaibench.results.schema import Question
from xaibench.shapes import Float
from xaibench.statistics.means import of_differences
from xaibench.statistics.ratios import of_ratio
from xaibench.statistics.resampling import Resampling

from .finding import ABOVE, CROSSED, Claim, Finding, above, not_measured, of_estimate, within
from .floor import best_accuracy, composition_alone, stand_in
from .language_arms import LanguageArms, language_arms

RELIABLE = ("AttnLRP gives reliable explanations", "reliable (no number)")
KNOWN = ("AttnLRP matches known biological patterns", "matches them (no number)")
LIKE_A_CNN = ("a genome language model is explained like a CNN", "like CNNs (no number)")
OF_ANY_METHOD = "not reported; asked of any method"

MARGIN = 0.1
"""Within so much two models are as good as alike: of the share of the oracle's gap, of AUPRC, of
the Gini index."""

WITHIN = f"holds if the interval is within {MARGIN:g} of 0, does not if it is wholly outside"
SPACES = {"spearman": "the maps", OF_TOKENS: "sums over tokens"}
"""What maps of both models are compared by -> of what that is."""

HALF_WAY = 0.5
TO_THE_CEILING = (
    "holds if the interval is above .5, half of the way from random maps to the maps of two "
    "trainings of one model (mean of both models); does not if its upper end is below .5"
)
OF_SEEDS = "t over sequences, for these trained models"
BY_INTERVAL = "its 95 % interval, no p"
OVER_SEQUENCES = "Fieller's interval over sequences, for these trained models; no p"


def attnlrp_findings(work: Work, estimates: pd.DataFrame) -> Iterator[Finding]:
    """Each claim as the run finds it, with what a critic would ask."""
    arms = language_arms(work)
    if not arms.attnlrp or not arms.language:
        yield not_measured(*RELIABLE, _missing(arms))
        return
    every = (
        *_reliable(estimates, arms),
        *_matches_what_is_known(estimates, arms),
        *_like_a_cnn(work, estimates, arms),
    )
    about = "; ".join(filter(None, (_about_the_models(work, estimates, arms), stand_in(work))))
    for finding in every:
        yield replace(finding, caveat="; ".join(filter(None, (finding.caveat, about))))


def _missing(arms: LanguageArms) -> str:
    if not arms.language:
        return "the plan has no model that reads tokens"
    return "the plan has no method lrp with rule: attnlrp"


def _about_the_models(work: Work, estimates: pd.DataFrame, arms: LanguageArms) -> str:
    """What the models reach, and what the language model began with."""
    rows = _rows(estimates, Question.VALUE, metric="accuracy").set_index("model")["mean"]
    known = [model for model in (arms.cnn, arms.language) if model in rows.index]
    reached = ", ".join(f"{model} {rows[model]:.3f}" for model in known)
    floor = best_accuracy(work)
    below = [model for model in known if floor is not None and rows[model] <= floor]
    return "; ".join(
        [
            f"{arms.language} began {arms.began}",
            *([f"accuracy: {reached}"] if known else []),
            composition_alone(work),
            *(f"{model} is not above that, and so is hardly worth explaining" for model in below),
        ]
    )


def _rows(estimates: pd.DataFrame, question: Question, **values: str) -> pd.DataFrame:
    match = (estimates["question"] == question) & estimates["mean"].notna()
    for column, value in values.items():
        match &= estimates[column] == value
    return estimates[match]


def _of_rows(
    claim: tuple[str, str],
    rows: pd.DataFrame,
    quantity: str,
    *,
    sign: int = 1,
    caveat: str = "",
) -> Iterator[Finding]:
    """A finding per row; ``quantity`` is filled in from its columns."""
    for row in rows.to_dict("records"):
        measured = Claim(*claim, quantity.format(**{str(name): row[name] for name in row}))
        yield of_estimate(measured, row, ABOVE, sign=sign, caveat=caveat)


# Reliable: it finds what the model uses, in this sequence, and again in another training


def _reliable(estimates: pd.DataFrame, arms: LanguageArms) -> Iterator[Finding]:
    of_attnlrp = {"model": arms.language, "method": arms.attnlrp}
    by_chance = _rows(estimates, Question.AGAINST_RANDOM, metric=PRIMARY, **of_attnlrp)
    quantity = "area of deletion (logit difference, {operator}), random orders minus AttnLRP"
    yield from _or_not_measured(RELIABLE, _of_rows(RELIABLE, by_chance, quantity), "deletion")

    operator = leaderboard_operator(estimates)
    deletion = {"metric": PRIMARY, "operator": operator}
    controls = _rows(estimates, Question.AGAINST_CONTROL, **deletion, **of_attnlrp)
    controls = controls[controls["other"].isin(["mean map", "another sequence"])]
    beyond = (f"{RELIABLE[0]}, beyond what a position tells", OF_ANY_METHOD)
    quantity = "area of deletion (logit difference, {operator}), {other} minus AttnLRP"
    yield from _of_rows(beyond, controls, quantity)

    steady = _rows(estimates, Question.AGAINST_RANDOM, metric="seed_agreement", **of_attnlrp)
    again = (f"{RELIABLE[0]}, and again in another training", OF_ANY_METHOD)
    quantity = "Spearman correlation of the maps of two seeds, AttnLRP minus random maps"
    for finding in _of_rows(again, steady, quantity):
        yield replace(finding, test=OF_SEEDS)

    yield from _against_other_methods(estimates, arms, deletion)


def _against_other_methods(
    estimates: pd.DataFrame, arms: LanguageArms, deletion: Mapping[str, str]
) -> Iterator[Finding]:
    """On the language model; what the estimates hold is the other method minus the reference."""
    better = ("AttnLRP finds more of what the model uses than other methods", OF_ANY_METHOD)
    against = {"model": arms.language, "other": arms.attnlrp}
    rows = _rows(estimates, Question.AGAINST_REFERENCE, **deletion, **against)
    rows = rows[rows["method"].isin(arms.others)]
    quantity = "area of deletion (logit difference, {operator}), {method} minus AttnLRP"
    made = _of_rows(better, rows, quantity, sign=-1)
    yield from _or_not_measured(better, made, f"reference: {arms.attnlrp} in the plan")


def _or_not_measured(
    claim: tuple[str, str], made: Iterator[Finding], expected: str
) -> Iterator[Finding]:
    known = [*made]
    yield from known or [not_measured(*claim, f"expected {expected}")]


# Known patterns: motifs, beyond chance and beyond what no model has to know


def _matches_what_is_known(estimates: pd.DataFrame, arms: LanguageArms) -> Iterator[Finding]:
    of_attnlrp = {"model": arms.language, "method": arms.attnlrp}
    by_chance = _rows(estimates, Question.AGAINST_RANDOM, **of_attnlrp)
    by_chance = by_chance[by_chance["metric"].isin(["auprc", "relevance_mass"])]
    quantity = "{metric} for the known motifs, AttnLRP minus random maps"
    expected = "auprc or relevance_mass, and data that say where motifs are"
    yield from _or_not_measured(KNOWN, _of_rows(KNOWN, by_chance, quantity), expected)

    controls = _rows(estimates, Question.AGAINST_CONTROL, metric="auprc", **of_attnlrp)
    controls = controls[controls["other"].isin([*PRIORS, "mean map"])]
    beyond = (f"{KNOWN[0]}, beyond maps that need no model", OF_ANY_METHOD)
    yield from _of_rows(beyond, controls, "auprc for the known motifs, AttnLRP minus {other}")


# Like a CNN: alike maps, as faithful, as well placed, as concentrated


def _like_a_cnn(work: Work, estimates: pd.DataFrame, arms: LanguageArms) -> Iterator[Finding]:
    if not arms.cnn or not arms.lrp:
        yield not_measured(
            *LIKE_A_CNN, "expected a model of nucleotides, and lrp with a rule of it"
        )
        return
    yield from _alike(work, arms)
    operator = leaderboard_operator(estimates)
    shares = _rows(estimates, Question.NORMALISED_BETWEEN_MODELS, metric=PRIMARY, operator=operator)
    yield _as_much(arms, shares, f"share of the oracle's gap in deletion ({operator})")
    between = _rows(estimates, Question.BETWEEN_MODELS)
    for metric, quantity in (("auprc", "auprc for the known motifs"), ("gini", "Gini index")):
        yield _as_much(arms, between[between["metric"] == metric], quantity)


def _alike(work: Work, arms: LanguageArms) -> Iterator[Finding]:
    """By nucleotides, and by the sums of both models over the tokens of the language model."""
    for measure, of in SPACES.items():
        maps = ExplainedBy(arms.cnn, arms.lrp), ExplainedBy(arms.language, arms.attnlrp)
        measured = similarities(work, *maps, measure)
        if measured is None:
            why = f"no maps of {arms.cnn} and {arms.language} of one seed"
            yield not_measured(*LIKE_A_CNN, why)
            continue
        alike = f"Spearman correlation of {of} (LRP by {arms.lrp} on {arms.cnn})"
        clusters = numbers_of(work, measured.same_sequence.shape[1])
        beyond = (f"{LIKE_A_CNN[0]}, beyond what a position tells", OF_ANY_METHOD)
        by_chance = f"{alike} minus that with random maps"
        yield _above(LIKE_A_CNN, measured, measured.random, by_chance, clusters)
        elsewhere = f"{alike} minus that with another sequence of the class"
        yield _above(beyond, measured, measured.another_sequence, elsewhere, clusters)
        yield _share_of_ceiling(measured, alike, clusters)


def _above(
    claim: tuple[str, str], measured: Similarities, other: Float, quantity: str, clusters: Any
) -> Finding:
    difference = measured.same_sequence - other
    estimate = of_differences(difference, Resampling(clusters=clusters))
    row = {name: getattr(estimate, name) for name in ("mean", "low", "high", "p")}
    row |= {"seeds": estimate.seeds, "sequences": estimate.sequences}
    return of_estimate(Claim(*claim, quantity), row, ABOVE, caveat=estimate.reason)


def _share_of_ceiling(measured: Similarities, alike: str, clusters: Any) -> Finding:
    """How far from random maps to the maps of two trainings of one model."""
    claim = (f"{LIKE_A_CNN[0]}, as much as two trainings of one model are alike", OF_ANY_METHOD)
    ceilings = measured.seeds_of_model, measured.seeds_of_other
    if not all(map(len, ceilings)):
        return not_measured(*claim, "expected two seeds of both models")
    reached = measured.same_sequence - measured.random
    possible = np.mean(ceilings, axis=0) - measured.random
    resampling = Resampling(clusters=clusters, sequences_only=True)
    ratio = of_ratio(reached, possible, resampling, named="two trainings of one model minus random")
    return Finding(
        *claim,
        quantity=f"{alike}, as a share of that of two trainings of one model (random is 0)",
        mean=ratio.mean,
        low=ratio.low,
        high=ratio.high,
        seeds=ratio.seeds,
        sequences=ratio.sequences,
        test=OVER_SEQUENCES,
        p=np.nan,
        verdict=above(ratio.low - HALF_WAY, ratio.high - HALF_WAY),
        rule=TO_THE_CEILING,
        caveat=ratio.reason,
    )


def _as_much(arms: LanguageArms, rows: pd.DataFrame, quantity: str) -> Finding:
    """The difference of the two models under AttnLRP, which on a CNN is LRP (epsilon 0)."""
    claim = Claim(*LIKE_A_CNN, f"{quantity}, AttnLRP, {arms.language} minus {arms.cnn}")
    rows = rows[rows["method"] == arms.attnlrp]
    for first, other, sign in ((arms.language, arms.cnn, 1), (arms.cnn, arms.language, -1)):
        for row in rows[(rows["model"] == first) & (rows["other"] == other)].to_dict("records"):
            finding = of_estimate(claim, row, WITHIN, sign=sign)
            verdict = within(finding.low, finding.high, MARGIN)
            return replace(finding, verdict=verdict, test=f"{CROSSED}: {BY_INTERVAL}", p=np.nan)
    return not_measured(*claim[:2], f"no {quantity} of both models")
