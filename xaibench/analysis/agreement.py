"""How alike the maps of two methods are on the same model, and of one method under two seeds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xaibench.artefacts.artefact import arrays_of, is_stored
from xaibench.artefacts.explanations import OF_LABEL, explained_spec
from xaibench.artefacts.fixed_scores import replicates_share_scores
from xaibench.artefacts.job import Work, seeds_of
from xaibench.artefacts.trained_models import replicates_of
from xaibench.metrics.agreement import pairwise_overlap, pairwise_spearman
from xaibench.results.schema import columns_of
from xaibench.shapes import Mask, Scores

from .summaries import mean_columns

Compare = Callable[[list[Scores], Mask], NDArray[np.float64]]
COMPARISONS: dict[str, Compare] = {"spearman": pairwise_spearman, "overlap": pairwise_overlap}


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
    similarities: dict[tuple[str, str], list[NDArray[np.float64]]] = {}
    for seed in seeds_of(work.plan, model):
        methods = [method for method, maps in maps_of.items() if seed in maps]
        if len(methods) < 2:
            continue
        shared = min(len(maps_of[method][seed]) for method in methods)
        maps = [maps_of[method][seed][:shared] for method in methods]
        matrix = COMPARISONS[measure](maps, work.chosen.valid[:shared])
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
        maps = list(scores_by_seed(work, model, method, OF_LABEL).values())
        if len(maps) < 2:
            continue
        matrix = COMPARISONS[measure](maps, work.chosen.valid[: len(maps[0])])
        others = ~np.eye(len(maps), dtype=bool)
        values = np.stack([matrix[row][others[row]].mean(axis=0) for row in range(len(maps))])
        where = {"model": model, "method": method, "other": method, "measure": measure}
        yield {**where, **mean_columns(work, values, over_sequences=True)}


def scores_by_seed(work: Work, model: str, method: str, name: str) -> dict[int, Scores]:
    """By seed, the stored scores of a method."""
    replicates = replicates_of(work.plan, model)
    specs = {trained.seed: explained_spec(work, trained, method) for trained in replicates}
    arrays = {seed: arrays_of(work, spec) for seed, spec in specs.items() if is_stored(work, spec)}
    return {seed: each[name] for seed, each in arrays.items() if name in each}
