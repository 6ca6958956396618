"""Which of the explained sequences an artefact is of: always the first of them."""

import numpy as np

from xaibench.values import Sequences

from .job import Work, remembered


def first(sequences: Sequences, count: int | None) -> Sequences:
    """The first so many sequences; None is all of them."""
    if count is None or count >= len(sequences):
        return sequences
    return sequences.take(np.arange(count))


@remembered
def subset(
    work: Work, model: str, method: str = "", operator: str = "", at_most: int | None = None
) -> Sequences:
    """The sequences that the plan has explained by all of these: the fewest that one asks for."""
    plan = work.plan
    uses = (plan.models.get(model), plan.attribution.get(method), plan.operators.get(operator))
    counts = [use.options.get("sequences") for use in uses if use is not None]
    limits = [count for count in (*counts, at_most) if count is not None]
    return first(work.chosen, min(limits, default=None))
