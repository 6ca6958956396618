"""The oracle: what a model loses when one position alone takes another base, or one token alone is
replaced."""

from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xaibench.explanation.controls import ORACLE
from xaibench.nn import outputs
from xaibench.nn.inference import logits
from xaibench.plan.primary import leading_operator
from xaibench.shapes import Codes, Labels
from xaibench.storage.artefacts import Spec, key
from xaibench.values import Sequences

from .artefact import (
    Arrays,
    Artefact,
    Cost,
    Memory,
    ModelSizes,
    identified,
    of_arrays,
    print_of,
)
from .curve_keys import CurveKey, curve_keys
from .donors import donor_of, replaces_tokens
from .explanations import explained_targets, what_is_explained
from .job import Work, remembered
from .models import model_artefact, model_spec
from .subsets import subset
from .token_steps import TokenSteps
from .trained_models import TrainedModel

SINGLE = 2**13
"""So many sequences with one position replaced are made at a time."""

PURPOSE = "the oracle and true effects"
"""What passes are for that replace positions one by one, in a forecast."""


class Oracle(NamedTuple):
    """Under which operator, and for which target, positions are tried one by one."""

    operator: str
    target: str

    @classmethod
    def of(cls, work: Work, curve: CurveKey) -> "Oracle":
        """The one whose order a curve has; other models predict the true label, which is then what
        is explained."""
        target = "label" if curve.kind == "other_models" else work.plan.target
        return cls(curve.operator or leading_operator(work.plan.operators), target)


def _sequences_of(work: Work, model: str, oracle: Oracle) -> Sequences:
    return subset(work, model, operator=oracle.operator, at_most=work.plan.controlled)


@remembered
def oracle_spec(work: Work, trained: TrainedModel, oracle: Oracle) -> Spec:
    plan = work.plan
    return {
        "kind": "oracle",
        "model": key(model_spec(work, trained)),
        "sequences": print_of(_sequences_of(work, trained.name, oracle).codes),
        "operator": identified(work, "operators", plan.operators[oracle.operator]),
        "target": oracle.target,
        "data_seed": plan.data_seed,
        **what_is_explained(work),
    }


def oracles(work: Work) -> list[Oracle]:
    """The oracles that the plan's curves need."""
    return list(dict.fromkeys(Oracle.of(work, each) for each in curve_keys(work, ORACLE)))


def oracle_artefacts(work: Work, trained: TrainedModel) -> Iterator[Artefact]:
    """The oracle's maps under every operator."""
    for oracle in oracles(work):
        yield oracle_artefact(work, trained, oracle)


def oracle_artefact(work: Work, trained: TrainedModel, oracle: Oracle) -> Artefact:
    """What is lost when one position takes the donor's base, or one token is replaced,
    ``(sequence, position)``."""
    sequences = _sequences_of(work, trained.name, oracle)

    def make(memory: Memory) -> Arrays:
        classifier = memory.value(model_artefact(work, trained))
        outputs = logits(classifier, sequences.codes)
        targets = explained_targets(oracle.target, sequences.labels, outputs)
        if replaces_tokens(work, oracle.operator):
            scores = TokenSteps(work, oracle.operator, classifier, sequences, outputs).drops(
                targets
            )
        else:
            donor = donor_of(work, oracle.operator, sequences.codes)
            scores = drops_by_donor(classifier, sequences, donor, targets)
        return {"scores": scores.astype(np.float32)}

    def cost(_: ModelSizes) -> Cost:
        positions = int(sequences.valid.sum())
        return Cost(Counter({(trained.name, PURPOSE): positions}), stored=positions * 4)

    return of_arrays(oracle_spec(work, trained, oracle), make, cost)


def drops_by_donor(
    classifier: Any, sequences: Sequences, donor: Codes, targets: Labels
) -> NDArray[np.float64]:
    """``(sequence, position)``: 0 where the donor has the sequence's own base."""
    codes, valid = sequences.codes, sequences.valid
    drops = np.zeros(codes.shape)
    rows, positions = np.nonzero(valid & (donor != codes))
    bases = donor[rows, positions]
    drops[rows, positions] = single_drops(classifier, codes, targets, (rows, positions, bases))
    return drops


def single_drops(
    classifier: Any,
    codes: Codes,
    targets: Labels,
    edits: tuple[NDArray[np.intp], NDArray[np.intp], Codes],
) -> NDArray[np.float64]:
    """``(edit,)``: what is explained of a sequence minus that with one base in its place.

    ``edits`` are the rows, the positions and the bases.
    """

    def explained(codes: Codes, targets: Labels) -> NDArray[np.float64]:
        return outputs.quantity("logit_difference", logits(classifier, codes), targets, targets)

    intact = explained(codes, targets)
    parts = []
    for start in range(0, len(edits[0]), SINGLE):
        rows, positions, bases = (each[start : start + SINGLE] for each in edits)
        edited = codes[rows]
        edited[np.arange(len(rows)), positions] = bases
        parts.append(intact[rows] - explained(edited, targets[rows]))
    return np.concatenate([np.empty(0), *parts])
