"""How alike the maps of two methods are on the same model, and of one method under two seeds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xaibench.artefacts.artefact import arrays_of, is_stored
from xaibench.artefacts.explanations import OF_LABEL, SPANS, explained_spec
from xaibench.artefacts.fixed_scores import replicates_share_scores
from xaibench.artefacts.job import Work, seeds_of
from xaibench.artefacts.trained_models import replicates_of
from xaibench.dna.token_replacement import token_sizes
from xaibench.dna.tokens import to_tokens
from xaibench.metrics.agreement import pairwise_overlap, pairwise_spearman
from xaibench.results.schema import columns_of
from xaibench.shapes import Mask, Scores

from .summaries import mean_columns

Compare = Callable[[list[Scores], Mask], NDArray[np.float64]]
OF_TOKENS = "spearman of tokens"
COMPARISONS: dict[str, Compare] = {
    "spearman": pairwise_spearman,
    "overlap": pairwise_overlap,
    OF_TOKENS: pairwise_spearman,
}
"""By name; ``OF_TOKENS`` is of the sums over tokens, of models that have such."""


def agreement(work: Work) -> pd.DataFrame:
    """How alike the maps of two methods are on the same model and seed, and on the diagonal those
    of one method under two seeds."""
    rows: list[dict[str, Any]] = []
    for model, measure in product(work.plan.models, COMPARISONS):
        rows += _between_methods(work, model, measure)
        rows += _between_seeds(work, model, measure)
    return pd.DataFrame(rows, columns=columns_of("agreement"))


def _between_methods(work: Work, model: str, measure: str) -> Iterator[dict[str, Any]]:
    maps_of = {
        method: scores_by_seed(work, model, method, "scores") for method in work.plan.attribution
    }
    spans_of: dict[int, Any] = {}
    for method in work.plan.attribution:
        spans_of = arrays_by_seed(work, model, method, SPANS) | spans_of
    similarities: dict[tuple[str, str], list[NDArray[np.float64]]] = {}
    for seed in seeds_of(work.plan, model):
        methods = [method for method, maps in maps_of.items() if seed in maps]
        if len(methods) < 2 or (seed not in spans_of and measure == OF_TOKENS):
            continue
        shared = min(len(maps_of[method][seed]) for method in methods)
        maps = [maps_of[method][seed][:shared] for method in methods]
        matrix = COMPARISONS[measure](*in_space(work, maps, measure, spans_of.get(seed)))
        for row, column in zip(*np.tril_indices(len(methods), -1), strict=True):
            pair = methods[column], methods[row]
            similarities.setdefault(pair, []).append(matrix[row, column])
    for (method, other), values in similarities.items():
        where = {"model": model, "method": method, "other": other, "measure": measure}
        yield {**where, **mean_columns(work, np.stack(values))}


def _between_seeds(work: Work, model: str, measure: str) -> Iterator[dict[str, Any]]:
    """For the true label, for two seeds may predict two classes; a seed's mean with the others."""
    for method in work.plan.attribution:
        if replicates_share_scores(work, model, method):
            continue
        spans = next(iter(arrays_by_seed(work, model, method, SPANS).values()), None)
        maps = list(scores_by_seed(work, model, method, OF_LABEL).values())
        if len(maps) < 2 or (spans is None and measure == OF_TOKENS):
            continue
        matrix = COMPARISONS[measure](*in_space(work, maps, measure, spans))
        others = ~np.eye(len(maps), dtype=bool)
        values = np.stack([matrix[row][others[row]].mean(axis=0) for row in range(len(maps))])
        where = {"model": model, "method": method, "other": method, "measure": measure}
        yield {**where, **mean_columns(work, values, over_sequences=True)}


def in_space(
    work: Work, maps: list[Scores], measure: str, spans: NDArray[np.int32] | None
) -> tuple[list[Scores], Mask]:
    """Maps of nucleotides and where they count, or of the tokens that cover known ones, each the
    sum over its nucleotides."""
    valid = work.chosen.valid[: len(maps[0])]
    if measure != OF_TOKENS or spans is None:
        return maps, valid
    of_maps = spans[: len(maps[0])].astype(np.int64)
    summed = [to_tokens(scores, of_maps, rule="sum").astype(np.float32) for scores in maps]
    return summed, token_sizes(of_maps, valid) > 0


def scores_by_seed(work: Work, model: str, method: str, name: str) -> dict[int, Scores]:
    """By seed, the stored scores of a method."""
    return arrays_by_seed(work, model, method, name)


def arrays_by_seed(work: Work, model: str, method: str, name: str) -> dict[int, Any]:
    """By seed, one of the arrays of the explanations by a method."""
    replicates = replicates_of(work.plan, model)
    specs = {trained.seed: explained_spec(work, trained, method) for trained in replicates}
    arrays = {seed: arrays_of(work, spec) for seed, spec in specs.items() if is_stored(work, spec)}
    return {seed: each[name] for seed, each in arrays.items() if name in each}
