"""Whether a model is at chance once what it attends to most is gone."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from xaibench.analysis.clusters import numbers_of
from xaibench.artefacts.curve_keys import CurveKey
from xaibench.artefacts.job import Work
from xaibench.artefacts.trained_models import replicates_of
from xaibench.evaluation.quantities import existing_curves
from xaibench.explanation.controls import RANDOM
from xaibench.statistics.means import of_differences, of_values
from xaibench.statistics.resampling import Resampling
from xaibench.values import Estimate

from .arms import explained_ratio
from .finding import (
    CROSSED,
    FAILS,
    HOLDS,
    UNDECIDED,
    Finding,
    above,
    all_of,
    not_measured,
)

NEAR_CHANCE = (0.4, 0.6)
DELETED = (0.1, 0.2)
NEAR_CHANCE_RULE = (
    "holds if at 10 % and at 20 % the interval of the accuracy is in [.40, .60] and that of "
    "random minus attention above 0; does not if at either the accuracy's interval is outside "
    "[.40, .60] or that of the difference below 0"
)
OUTSIDE = "what it puts in is in AttnGen's training distribution and not in the CNN's"


def near_chance(work: Work, masked: dict[float, str], ratio: float) -> Iterator[Finding]:
    """One finding per operator, on the arm of the chosen ratio or the nearest explained one."""
    claim = ("deleting what AttnGen attends to most leaves chance", "96.9 % to near chance")
    nearest = explained_ratio(work.plan, masked, ratio)
    methods = [label for label, use in work.plan.attribution.items() if use.use == "attention"]
    if nearest is None or not methods or not set(DELETED) <= set(work.plan.fractions):
        yield not_measured(
            *claim, "expected attention of an explained AttnGen, and points at .1 and .2"
        )
        return
    for operator in work.plan.operators:
        deleted = _deleted(work, masked[nearest], methods[0], operator)
        if deleted is None:
            yield not_measured(*claim, f"no curves under operator {operator}")
            continue
        caveat = f"ratio {nearest:g}"
        if work.plan.operators[operator].use == _replacement(work, masked[nearest]):
            caveat += f"; {OUTSIDE}"
        yield _of_deletion(claim, operator, deleted, caveat)


Deleted = dict[float, tuple[Estimate, Estimate, float]]
"""By fraction: accuracy by attention, random minus attention, and the accuracy at random."""


def _replacement(work: Work, model: str) -> str:
    """The operator that replaces bases as the masking of a model does."""
    return str(work.plan.models[model].options["masking"]["replacement"])


def _deleted(work: Work, model: str, method: str, operator: str) -> Deleted | None:
    """None where there are no curves of both under one seed."""
    by_attention = _accuracies_by_seed(work, model, method, operator)
    by_chance = _accuracies_by_seed(work, model, RANDOM, operator)
    seeds = sorted(by_attention.keys() & by_chance.keys())
    if not seeds:
        return None
    count = by_attention[seeds[0]].shape[1]
    resampling = Resampling(clusters=numbers_of(work, count))
    by_fraction = {}
    for fraction in DELETED:
        step = work.plan.fractions.index(fraction)
        attended, chance = (
            np.stack([lines[seed][step, :count] for seed in seeds])
            for lines in (by_attention, by_chance)
        )
        alone = of_values(attended, resampling, yes_no=True)
        apart = of_differences(chance - attended, resampling)
        by_fraction[fraction] = alone, apart, float(chance.mean())
    return by_fraction


def _accuracies_by_seed(
    work: Work, model: str, method: str, operator: str
) -> dict[int, NDArray[np.float64]]:
    """By seed, ``(step, sequence)``: 1 where the label is still predicted; of random orders the
    mean."""
    by_seed = {}
    for trained in replicates_of(work.plan, model):
        curves = existing_curves(work, trained, CurveKey(method, operator), "accuracy")
        if curves:
            by_seed[trained.seed] = np.mean(curves, axis=0)
    return by_seed


def _of_deletion(claim: tuple[str, str], operator: str, deleted: Deleted, caveat: str) -> Finding:
    figures = [
        f"{fraction:.0%}: attention {attended.mean:.3f} [{attended.low:.3f}, {attended.high:.3f}], "
        f"random {chance:.3f}"
        for fraction, (attended, _, chance) in deleted.items()
    ]
    most = DELETED[-1]
    attended = deleted[most][0]
    below = [_one_sided(apart) for _, apart, _ in deleted.values()]
    return Finding(
        *claim,
        quantity=f"accuracy at {most:.0%} deletion, operator {operator}",
        mean=attended.mean,
        low=attended.low,
        high=attended.high,
        seeds=attended.seeds,
        sequences=attended.sequences,
        test=f"one-sided {CROSSED} that attention is below random, the larger p of both",
        p=float(np.max(below)),
        verdict=all_of(
            [_chance_verdict(attended, apart) for attended, apart, _ in deleted.values()]
        ),
        rule=NEAR_CHANCE_RULE,
        caveat="; ".join([*figures, caveat]),
    )


def _one_sided(apart: Estimate) -> float:
    """Of a difference above 0; NaN where the two-sided p is."""
    half = apart.p / 2
    return half if apart.mean > 0 else 1 - half


def _chance_verdict(attended: Estimate, apart: Estimate) -> str:
    """Near chance, and below random deletion of as many positions."""
    low, high = NEAR_CHANCE
    if np.isnan(attended.low):
        return UNDECIDED
    if attended.high < low or attended.low > high:
        return FAILS
    near = HOLDS if low <= attended.low and attended.high <= high else UNDECIDED
    return all_of([near, above(apart.low, apart.high)])
