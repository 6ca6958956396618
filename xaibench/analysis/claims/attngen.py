"""What AttnGen's paper claims (*Shabani Nia and Karkehabadi 2026*, arXiv 2605.14073).

The paper gives single numbers on demo_human_or_worm: no intervals, no seeds, no controls. The rules
here are ours, and were fixed before any run whose result the project reports.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from xaibench.analysis.convergence import History, convergence
from xaibench.artefacts.job import Work
from xaibench.explanation.controls import RANDOM
from xaibench.plan.primary import PRIMARY
from xaibench.results.leaderboard import leaderboard_operator
from xaibench.results.schema import Question
from xaibench.statistics.rounding import subtracted
from xaibench.statistics.variance_ratio import ratio_of_deviations

from .arms import (
    Arms,
    arms_of,
    chosen_ratio,
    explained_ratio,
    histories,
    trained_arms,
    validation,
)
from .deletion import near_chance
from .finding import (
    ABOVE,
    FAILS,
    HOLDS,
    UNDECIDED,
    Claim,
    Finding,
    above,
    not_measured,
    of_estimate,
    over_seeds,
)
from .floor import composition_alone, stand_in

BETTER = "96.73 % against 95.83 % (validation, one number each)"
FASTER = ("AttnGen converges faster than the CNN", "faster (no number)")
STEADIER = ("AttnGen's training is more stable", "more stable (no number)")
CRITICS = "not reported; asked for by critics"
BEST_RATIOS = (0.1, 0.2)

Of = Callable[[History], float]
"""A number of a history, more being better; NaN where it was never reached or is undefined."""

ABOVE_BY = "holds if the interval is above 0, does not if its upper end is below 0.2 points"
OPTIMUM = "holds if the best ratio on validation is in [.10, .20] in at least 4 of 5 seeds (80 %); "
OPTIMUM += "does not if it is elsewhere in as many; a seed with a tie of in and out is neither"
SCHEDULE = "the rate falls over all epochs, so convergence follows the schedule"


def findings(work: Work, estimates: pd.DataFrame) -> Iterator[Finding]:
    """Each claim as the run finds it, with the controls that critics asked for."""
    arms = arms_of(work.plan)
    ratio = chosen_ratio(work, arms.masked)
    if ratio is None:
        yield not_measured(
            "AttnGen", BETTER, "the run trained no model with the least attended masked"
        )
        return
    model = arms.masked[ratio]
    every = (
        *_accuracy_findings(estimates, arms, ratio),
        *_convergence(work, arms, model),
        _steadiness(work, arms, model),
        *near_chance(work, arms.masked, ratio),
        _optimum(work, arms),
        *_control_findings(work, estimates, arms, ratio),
    )
    about = _about_the_data(work)
    left = arms.masked.keys() - trained_arms(work, arms.masked).keys()
    if left:
        about += f"; no training of ratio {', '.join(f'{each:g}' for each in sorted(left))}"
    for finding in every:
        yield replace(finding, caveat="; ".join(filter(None, (finding.caveat, about))))


def _about_the_data(work: Work) -> str:
    """A caveat of every claim: other data than the paper's, and what composition alone reaches."""
    named = work.plan.dataset.options.get("dataset") == "demo_human_or_worm"
    other = "" if named else "on other data than the paper's"
    return "; ".join(filter(None, (stand_in(work) or other, composition_alone(work))))


# Accuracy


def _accuracy_findings(estimates: pd.DataFrame, arms: Arms, ratio: float) -> Iterator[Finding]:
    """Test accuracy in shares; the ratio was chosen on validation."""
    model = arms.masked[ratio]
    picked = f"ratio {ratio:g} chosen on validation of {len(arms.masked)}"
    yield _more_accurate(
        estimates, ("AttnGen is more accurate than the CNN", BETTER), (model, arms.cnn), picked
    )
    yield _more_accurate(
        estimates,
        ("masking makes the network with attention more accurate", CRITICS),
        (model, arms.unmasked),
        picked,
    )
    by_chance = ("masking by attention is better than masking at random", CRITICS)
    shared = min(arms.masked.keys() & arms.random, key=lambda at: abs(at - ratio), default=None)
    if shared is None:
        yield not_measured(*by_chance, "expected both at one ratio")
        return
    pair = arms.masked[shared], arms.random[shared]
    yield _more_accurate(estimates, by_chance, pair, f"both at ratio {shared:g}")


def _more_accurate(
    estimates: pd.DataFrame, claim: tuple[str, str], pair: tuple[str, str], caveat: str
) -> Finding:
    compared = _accuracy_difference(estimates, *pair)
    if compared is None:
        return not_measured(*claim, f"no accuracies of {pair[0]} and {pair[1] or 'such a model'}")
    row, sign = compared
    measured = Claim(*claim, f"test accuracy, {pair[0]} minus {pair[1]}")
    return of_estimate(measured, row, ABOVE_BY, sign=sign, least=0.002, caveat=caveat)


def _accuracy_difference(estimates: pd.DataFrame, model: str, other: str) -> tuple[Any, int] | None:
    """The row that compares the accuracy of two models, and the sign that puts ``model`` first."""
    rows = estimates[
        (estimates["question"] == Question.BETWEEN_MODELS) & (estimates["metric"] == "accuracy")
    ]
    for first, second, sign in ((model, other, 1), (other, model, -1)):
        own = rows[(rows["model"] == first) & (rows["other"] == second)]
        if len(own) and not np.isnan(own["mean"].iloc[0]):
            return own.iloc[0], sign
    return None


# Convergence and stability


def _convergence(work: Work, arms: Arms, model: str) -> Iterator[Finding]:
    pair = (model, arms.cnn)
    caveat = SCHEDULE if work.plan.training.options.get("schedule") == "one_cycle" else ""
    for quantity, of in _EPOCHS.items():
        claim = Claim(*FASTER, f"{quantity}, CNN minus AttnGen")
        yield _of_histories(work, claim, pair, of, caveat=caveat)
    area = Claim(*FASTER, "area under the validation curve, AttnGen minus CNN")
    yield _of_histories(work, area, pair, _area_under, caveat=caveat)
    spread = "spread of validation accuracy over the last epochs, CNN minus AttnGen"
    yield _of_histories(work, Claim(*STEADIER, spread), pair, _steadiness_of)


def _epochs_to_95(history: History) -> float:
    return -convergence(history).epochs_to_95


def _epochs_to_99_of_final(history: History) -> float:
    return -convergence(history).epochs_to_99_of_final


def _area_under(history: History) -> float:
    return convergence(history).area


def _steadiness_of(history: History) -> float:
    return -convergence(history).spread


_EPOCHS: dict[str, Of] = {
    "epochs to 95 % validation accuracy": _epochs_to_95,
    "epochs to 99 % of the own final accuracy": _epochs_to_99_of_final,
}


def _of_histories(
    work: Work, claim: Claim, pair: tuple[str, str], of: Of, *, caveat: str = ""
) -> Finding:
    """The paired difference of a number of each history.

    Never reached counts as one epoch after the last of either model, which is the least that it can
    have been, and is said.
    """
    first, second = (histories(work, label) for label in pair)
    shared = sorted(first.keys() & second.keys())
    if not shared:
        return not_measured(
            *claim[:2], f"no trainings of {pair[0]} and {pair[1] or 'such a model'}"
        )
    of_seeds = np.array([[of(each[seed]) for seed in shared] for each in (first, second)])
    never = np.isnan(of_seeds).sum(axis=1)
    if of in _EPOCHS.values() and never.any():
        longest = [max(len(first[seed]), len(second[seed])) for seed in shared]
        of_seeds = np.where(np.isnan(of_seeds), -(np.array(longest) + 1.0), of_seeds)
        bound = f"never reached by AttnGen under {never[0]} and by the CNN under {never[1]} of "
        bound += f"{len(shared)} seeds, counted as one epoch after the last of either"
        caveat = "; ".join(filter(None, (bound, caveat)))
    return over_seeds(claim, subtracted(of_seeds[0], of_seeds[1]), ABOVE, caveat=caveat)


def _steadiness(work: Work, arms: Arms, model: str) -> Finding:
    """The deviation of accuracy between seeds, which both models share."""
    seeds, accuracies = validation(work, [model, arms.cnn] if arms.cnn else [])
    if len(seeds) < 3:
        return not_measured(*STEADIER, "the spread between seeds asks for three of them, and a CNN")
    ratio = ratio_of_deviations(accuracies[1], accuracies[0])
    return Finding(
        *STEADIER,
        quantity="standard deviation of validation accuracy between seeds, CNN over AttnGen",
        mean=ratio.ratio,
        low=ratio.low,
        high=ratio.high,
        seeds=len(seeds),
        sequences=0,
        test="Pitman and Morgan, of the variances of pairs",
        p=ratio.p,
        verdict=above(ratio.low - 1, ratio.high - 1),
        rule="holds if the interval is above 1, does not if its upper end is below 1",
        caveat=ratio.reason,
    )


# The ratio


def _optimum(work: Work, arms: Arms) -> Finding:
    claim = ("masking 10 to 20 % of the positions is best", "10-20 % best")
    arm = trained_arms(work, ({0.0: arms.unmasked} if arms.unmasked else {}) | arms.masked)
    seeds, accuracies = validation(work, list(arm.values()))
    if len(arm) < 3 or not seeds:
        return not_measured(*claim, "expected at least three ratios, trained")
    ratios = np.array(list(arm))
    moderate = (ratios >= BEST_RATIOS[0]) & (ratios <= BEST_RATIOS[1])
    if not (moderate.any() and (ratios < BEST_RATIOS[0]).any() and (ratios > BEST_RATIOS[1]).any()):
        return not_measured(*claim, "expected ratios below, in and above [.10, .20]")
    best = accuracies == accuracies.max(axis=0)
    inside, outside = (int((~best[~part]).all(axis=0).sum()) for part in (moderate, ~moderate))
    inside_ratios = int(moderate.sum())
    test = stats.binomtest(inside, len(seeds), inside_ratios / len(ratios), alternative="greater")
    interval = stats.binomtest(inside, len(seeds)).proportion_ci(0.95)
    return Finding(
        *claim,
        quantity="share of seeds whose best ratio on validation is in [.10, .20]",
        mean=inside / len(seeds),
        low=float(interval.low),
        high=float(interval.high),
        seeds=len(seeds),
        sequences=0,
        test=f"binomial, one-sided, against {inside_ratios} of {len(ratios)} ratios",
        p=float(test.pvalue),
        verdict=_optimum_verdict(inside, outside, len(seeds)),
        rule=OPTIMUM,
        caveat="best by seed: " + ", ".join(_ratios_text(ratios[column]) for column in best.T),
    )


def _ratios_text(ratios: NDArray[np.float64]) -> str:
    return " and ".join(f"{ratio:g}" for ratio in ratios)


def _optimum_verdict(inside: int, outside: int, seeds: int) -> str:
    if seeds < 5:
        return UNDECIDED
    if inside >= 0.8 * seeds:
        return HOLDS
    return FAILS if outside >= 0.8 * seeds else UNDECIDED


# What critics asked for


def _control_findings(
    work: Work, estimates: pd.DataFrame, arms: Arms, ratio: float
) -> Iterator[Finding]:
    """Attention beside random orders and beside controls of its own map, on the arm of the ratio or
    the nearest that is explained."""
    nearest = explained_ratio(work.plan, arms.masked, ratio)
    methods = [label for label, use in work.plan.attribution.items() if use.use == "attention"]
    operator = leaderboard_operator(estimates)
    rows = estimates[
        (estimates["model"] == arms.masked.get(nearest or ratio))
        & estimates["method"].isin(methods[:1])
        & (estimates["metric"] == PRIMARY)
        & (estimates["operator"] == operator)
        & estimates["question"].isin([Question.AGAINST_RANDOM, Question.AGAINST_CONTROL])
        & estimates["mean"].notna()
    ]
    if rows.empty:
        why = "expected attention, deletion and an explained AttnGen"
        yield not_measured("attention finds more than chance", CRITICS, why)
    for _, row in rows.iterrows():
        claim = f"attention finds more than {_CONTROLS.get(row['other'], row['other'])}"
        quantity = f"area of deletion (logit difference, {operator}), control minus attention"
        measured = Claim(claim, CRITICS, quantity)
        yield of_estimate(measured, row.to_dict(), ABOVE, caveat=f"ratio {nearest:g}")


_CONTROLS = {
    RANDOM: "random orders",
    "rotated": "its own map rotated (run lengths stay)",
    "another sequence": "the map of another sequence",
    "mean map": "the mean of all maps",
    "negated": "its own map negated",
    "blurred": "its own map blurred",
}
