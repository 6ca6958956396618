"""Which maps each kind of metric looks at."""

import pytest

from xaibench.evaluation.kinds import MEASUREMENTS
from xaibench.explanation.controls import CONTROLS, ORACLE, PRIORS, RANDOM
from xaibench.protocols import METRIC_KINDS, OfChange, OfCurves, OfEffects, OfExplanation

OWN = [("saliency", "")]
RANDOM_MAPS = [(RANDOM, "")]
OF_ORACLE = [(ORACLE, ""), (ORACLE, "negated"), (ORACLE, "blurred")]
OF_PRIORS = [(prior, "") for prior in PRIORS]
CONTROLLED = [("saliency", control) for control in CONTROLS]
EVERY = [*OWN, *RANDOM_MAPS, *OF_ORACLE, *OF_PRIORS, *CONTROLLED]

CASES = {
    OfExplanation(): [*OWN, *RANDOM_MAPS],
    OfExplanation(needs_sign=True): [*OWN, *RANDOM_MAPS],
    OfExplanation(needs_motif=True): EVERY,
    OfExplanation(needs_motif=True, needs_sign=True): [
        each for each in EVERY if each not in OF_PRIORS
    ],
    OfCurves(): [*OWN, *RANDOM_MAPS, *OF_ORACLE, *CONTROLLED],
    OfCurves(needs_least_relevant_first=True): [*OWN, *RANDOM_MAPS, *OF_ORACLE],
    OfCurves(curve="imputed"): [*OWN, *RANDOM_MAPS, *OF_ORACLE],
    OfCurves(curve="other_models"): [*OWN, *RANDOM_MAPS, *OF_ORACLE],
    OfCurves(curve="retrained"): [*OWN, *RANDOM_MAPS],
    OfEffects("substitutions"): [*OWN, *RANDOM_MAPS, *OF_ORACLE, *CONTROLLED],
    OfEffects("subsets"): [*OWN, *RANDOM_MAPS, *OF_ORACLE, *CONTROLLED],
    OfChange("seed"): [*OWN, ("saliency", "mean map")],
    OfChange("shift"): [*OWN, ("saliency", "mean map")],
    OfChange("cascading"): OWN,
    OfChange("random_labels"): OWN,
}


@pytest.mark.parametrize("kind", CASES, ids=str)
def test_a_kind_of_metric_looks_at_these_maps_and_no_others(kind) -> None:
    maps = MEASUREMENTS[type(kind)].maps(kind)
    assert [each for each in EVERY if maps.include(*each)] == [
        each for each in EVERY if each in CASES[kind]
    ]


def test_every_kind_of_metric_has_a_row() -> None:
    assert list(MEASUREMENTS) == list(METRIC_KINDS.values())
