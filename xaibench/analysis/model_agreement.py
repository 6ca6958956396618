"""How alike the maps of two models are on the same sequences, beside what that is to be read with.

In the space of tokens maps are sums over the tokens of the model that has them, of both models.

Models are compared by pairs of trainings of one seed, which are independent draws of both. All
maps are for the true label, since two models may predict two classes.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, product
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xaibench.artefacts.explanations import OF_LABEL, SPANS, explained_spec
from xaibench.artefacts.fixed_scores import replicates_share_scores
from xaibench.artefacts.job import Work
from xaibench.artefacts.trained_models import replicates_of
from xaibench.explanation.controls import another_sequence, random_maps
from xaibench.nn.sites import has_tokens
from xaibench.plan.schema import Plan
from xaibench.plugins.registry import load
from xaibench.results.schema import COMPARED, columns_of
from xaibench.shapes import Mask, Scores
from xaibench.storage.artefacts import key

from .agreement import COMPARISONS, OF_TOKENS, arrays_by_seed, in_space, scores_by_seed
from .summaries import mean_columns

AT_MOST = 500
"""So many of the explained sequences: more make an interval that is narrow enough no narrower."""

RANDOM_MAPS = 3
"""Of random maps."""

WITHOUT_MODEL = {"random", "position_prior"}
"""Plug-ins whose maps say nothing of a model, and so are alike or unlike for no reason of its."""


class ExplainedBy(NamedTuple):
    """Whose maps are compared, by labels of the plan."""

    model: str
    method: str


class Similarities(NamedTuple):
    """How alike maps are, each ``(seed, sequence)``: of two models on the same sequence; of the
    first model and of the second on another sequence of the class; of the first and random; and of
    two trainings of either model, those of one seed with all others, without rows where there is
    one. The order is that of ``COMPARED``."""

    same_sequence: NDArray[np.float64]
    another_sequence: NDArray[np.float64]
    random: NDArray[np.float64]
    seeds_of_model: NDArray[np.float64]
    seeds_of_other: NDArray[np.float64]


def model_agreement(work: Work) -> pd.DataFrame:
    """Every two models that are not of one kind, each method with itself and with other labels of
    the same plug-in: other rules, other ways from tokens to nucleotides."""
    rows: list[dict[str, Any]] = []
    for first, second in _pairs_of_maps(work):
        for measure in COMPARISONS:
            rows += _rows(work, first, second, measure)
    return pd.DataFrame(rows, columns=columns_of("model_agreement"))


def similarities(
    work: Work, first: ExplainedBy, second: ExplainedBy, measure: str
) -> Similarities | None:
    """None where the models share no seed under which both have maps, and in the space of tokens
    where neither has any."""
    maps_of = [scores_by_seed(work, *each, OF_LABEL) for each in (first, second)]
    shared = sorted(maps_of[0].keys() & maps_of[1].keys())
    if not shared:
        return None
    count = min(AT_MOST, *(len(maps) for each in maps_of for maps in each.values()))
    own, other = ([each[seed][:count] for seed in shared] for each in maps_of)
    sequences = work.chosen.take(np.arange(count))
    seed = work.plan.data_seed
    elsewhere = [another_sequence(maps, sequences, sequences.labels, seed) for maps in other]
    drawn = list(random_maps(sequences, RANDOM_MAPS, seed))
    spans = _spans(work, first, second)
    if measure == OF_TOKENS and spans is None:
        return None
    spaces = [in_space(work, maps, measure, spans) for maps in (own, other, elsewhere, drawn)]
    (own, valid), (other, _), (elsewhere, _), (drawn, _) = spaces
    compare = _Comparison(measure, valid)
    return Similarities(
        compare.pairwise(own, other),
        compare.pairwise(own, elsewhere),
        np.stack([np.mean([compare.two(maps, each) for each in drawn], axis=0) for maps in own]),
        compare.among(own),
        compare.among(other),
    )


def _spans(work: Work, *maps: ExplainedBy) -> NDArray[np.int32] | None:
    """What the tokens of each sequence cover, of the first model that has tokens."""
    for each in maps:
        for spans in arrays_by_seed(work, *each, SPANS).values():
            return np.asarray(spans, np.int32)
    return None


class _Comparison(NamedTuple):
    measure: str
    valid: Mask

    def two(self, first: Scores, second: Scores) -> NDArray[np.float64]:
        """``(sequence,)``."""
        matrix = COMPARISONS[self.measure]([first, second], self.valid)
        alike: NDArray[np.float64] = matrix[0, 1]
        return alike

    def pairwise(self, first: list[Scores], second: list[Scores]) -> NDArray[np.float64]:
        """``(pair, sequence)``."""
        return np.stack([self.two(*pair) for pair in zip(first, second, strict=True)])

    def among(self, maps: list[Scores]) -> NDArray[np.float64]:
        """``(map, sequence)``: the mean of each with the others; no rows of a single one."""
        if len(maps) < 2:
            return np.empty((0, len(self.valid)))
        matrix = COMPARISONS[self.measure](maps, self.valid)
        others = ~np.eye(len(maps), dtype=bool)
        return np.stack([matrix[row][others[row]].mean(axis=0) for row in range(len(maps))])


def _pairs_of_maps(work: Work) -> Iterator[tuple[ExplainedBy, ExplainedBy]]:
    plan = work.plan
    for models in combinations(plan.models, 2):
        if not _differ_in_kind(work, *models):
            continue
        compared: set[tuple[str, str]] = set()
        for methods in product(plan.attribution, repeat=2):
            first, second = map(ExplainedBy, models, methods)
            maps = _identity(work, first), _identity(work, second)
            if _comparable(work, first, second) and maps not in compared:
                compared.add(maps)
                yield first, second


def _comparable(work: Work, first: ExplainedBy, second: ExplainedBy) -> bool:
    uses = {work.plan.attribution[each.method].use for each in (first, second)}
    fixed = any(replicates_share_scores(work, *each) for each in (first, second))
    return len(uses) == 1 and not uses & WITHOUT_MODEL and not fixed


def _identity(work: Work, maps: ExplainedBy) -> str:
    """What two labels share that are one method on this model, as two ways from tokens to
    nucleotides are where there are none."""
    return key(explained_spec(work, replicates_of(work.plan, maps.model)[0], maps.method))


def _differ_in_kind(work: Work, first: str, second: str) -> bool:
    """Whether they are made by two plug-ins, or one reads tokens: two settings of one network are
    arms of a comparison of trainings, which may be many."""
    uses = [work.plan.models[label].use for label in (first, second)]
    return uses[0] != uses[1] or reads_tokens(work.plan, work.job.plugins, first)


def reads_tokens(plan: Plan, plugins: tuple[str, ...], model: str) -> bool:
    """Whether what makes a model of the plan says what its tokens cover."""
    return has_tokens(load("models", plan.models[model].use, plugins).call)


def _rows(
    work: Work, first: ExplainedBy, second: ExplainedBy, measure: str
) -> Iterator[dict[str, Any]]:
    measured = similarities(work, first, second, measure)
    if measured is None:
        return
    where = {"model": first.model, "method": first.method, "other_model": second.model}
    where |= {"other": second.method, "measure": measure}
    for compared, values in zip(COMPARED, measured, strict=True):
        if len(values):
            between_seeds = compared in COMPARED[3:]
            means = mean_columns(work, values, over_sequences=between_seeds)
            yield {**where, "compared": compared, **means}
