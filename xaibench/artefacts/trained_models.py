"""The trained models of a plan: each of its models under each of its seeds."""

from collections.abc import Iterator
from typing import NamedTuple

from xaibench.plan.schema import Plan

from .job import seeds_of


class TrainedModel(NamedTuple):
    """What names a trained model: its label in the plan, and the seed it was trained under."""

    name: str
    seed: int

    def __str__(self) -> str:
        return f"{self.name}, seed {self.seed}"


def replicates_of(plan: Plan, model: str) -> list[TrainedModel]:
    """One model under each of its seeds, in their order."""
    return [TrainedModel(model, seed) for seed in seeds_of(plan, model)]


def trained_models(plan: Plan) -> Iterator[TrainedModel]:
    """Every model of a plan under each of its seeds."""
    for model in plan.models:
        yield from replicates_of(plan, model)
