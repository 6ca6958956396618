"""Labels of one method that differ alone in how the scores of tokens reach nucleotides."""

from __future__ import annotations

from itertools import combinations
from typing import Any

from xaibench.artefacts.explanations import explained_spec
from xaibench.artefacts.job import Work
from xaibench.artefacts.trained_models import replicates_of
from xaibench.plan.schema import Use
from xaibench.plugins.harness_options import TRANSFER

TransferPair = tuple[str, str, str]
"""A model, a label of the plan, and the other label."""


def transfer_pairs(work: Work) -> list[TransferPair]:
    """Every such pair on every model where the rule makes a difference to what is explained."""
    labels = combinations(work.plan.attribution.items(), 2)
    same = [(one, other) for (one, a), (other, b) in labels if _but_the_rule(a) == _but_the_rule(b)]
    return [
        (model, one, other)
        for model in work.plan.models
        for trained in replicates_of(work.plan, model)[:1]
        for one, other in same
        if explained_spec(work, trained, one) != explained_spec(work, trained, other)
    ]


def _but_the_rule(use: Use) -> tuple[str, dict[str, Any]]:
    return use.use, {name: each for name, each in use.options.items() if name != TRANSFER}
