"""Which models of a plan are the arms of a comparison of maskings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xaibench.artefacts.job import Work, is_explained
from xaibench.artefacts.model_checks import usable
from xaibench.artefacts.models import card
from xaibench.artefacts.trained_models import replicates_of
from xaibench.plan.schema import Plan, Use
from xaibench.plugins.harness_options import LIMITS

ATTNGEN = "attngen"


@dataclass(frozen=True, slots=True)
class Arms:
    """Labels of the plan; empty where it has no such model.

    ``cnn`` has no attention; the others are one network: ``unmasked``, with the least attended
    positions ``masked`` (by ratio), and with ``random`` ones (by ratio).
    """

    cnn: str
    unmasked: str
    masked: dict[float, str]
    random: dict[float, str]


def arms_of(plan: Plan) -> Arms:
    """Told by what the models are, not by their labels; the first of a kind counts. One network is
    that of the first AttnGen: another (wider, a scorer only) is no arm."""
    network = next((_network(use) for use in plan.models.values() if use.use == ATTNGEN), None)

    def labels(use: str, policy: str) -> dict[float, str]:
        by_ratio: dict[float, str] = {}
        for label, model in plan.models.items():
            masking = model.options.get("masking") or {}
            alike = use != ATTNGEN or _network(model) == network
            if model.use == use and alike and masking.get("policy") == policy:
                by_ratio.setdefault(float(masking["ratio"]), label)
        return dict(sorted(by_ratio.items()))

    def first(named: dict[float, str]) -> str:
        return next(iter(named.values()), "")

    plain, unmasked = labels("cnn", "none"), labels(ATTNGEN, "none")
    masked, random = labels(ATTNGEN, "low_attention"), labels(ATTNGEN, "random")
    return Arms(first(plain), first(unmasked), masked, random)


def _network(use: Use) -> dict[str, Any]:
    """The options that are not about masking or about how much is asked."""
    besides = ("masking", *LIMITS["models"])
    return {name: value for name, value in use.options.items() if name not in besides}


def histories(work: Work, model: str) -> dict[int, list[dict[str, float]]]:
    """By seed, the history of each training that succeeded; none where there is no such model."""
    if not model:
        return {}
    return {
        trained.seed: card(work, trained)["history"]
        for trained in replicates_of(work.plan, model)
        if usable(work, trained)
    }


def validation(work: Work, models: list[str]) -> tuple[list[int], NDArray[np.float64]]:
    """The seeds that all the models share, and ``(model, seed)`` the validation accuracy of the
    weights that were saved."""
    accuracies = [
        {seed: _of_saved_epoch(history) for seed, history in histories(work, model).items()}
        for model in models
    ]
    seeds = sorted(set.intersection(*map(set, accuracies))) if accuracies else []
    return seeds, np.array([[each[seed] for seed in seeds] for each in accuracies])


def _of_saved_epoch(history: list[dict[str, float]]) -> float:
    """Of the epoch whose weights were saved; the last where the history does not say."""
    saved = [row for row in history if row.get("kept")] or history
    return float(saved[-1]["validation_accuracy"])


def trained_arms(work: Work, masked: dict[float, str]) -> dict[float, str]:
    """The arms that finished under any seed."""
    return {ratio: label for ratio, label in masked.items() if histories(work, label)}


def chosen_ratio(work: Work, masked: dict[float, str]) -> float | None:
    """The ratio whose arm has the best mean validation accuracy; the test split is not asked."""
    arms = trained_arms(work, masked)
    seeds, accuracies = validation(work, list(arms.values()))
    if not seeds:
        return None
    return list(arms)[int(accuracies.mean(axis=1).argmax())]


def explained_ratio(plan: Plan, masked: dict[float, str], ratio: float) -> float | None:
    """The ratio itself, or the nearest whose arm is explained; None where none is."""
    explained = [other for other in masked if is_explained(plan, masked[other])]
    return min(explained, key=lambda other: abs(other - ratio), default=None)
