"""What is compared across operators and across methods: the tables beside the estimates."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xaibench.artefacts.artefact import arrays_of, is_there
from xaibench.artefacts.curve_keys import Course, orders
from xaibench.artefacts.curves import curve_spec
from xaibench.artefacts.donors import donor_of
from xaibench.artefacts.explanations import explained_spec
from xaibench.artefacts.job import Work, facts_of
from xaibench.dna import replacement
from xaibench.dna.distribution_shift import confidence, fit_kmer_background, likelihood_changes
from xaibench.dna.distribution_shift import rank_agreements as between_operators
from xaibench.explanation.controls import RANDOM, random_maps
from xaibench.metrics.agreement import overlaps, spearmans
from xaibench.randomness import stream, streams
from xaibench.shapes import Mask, Scores
from xaibench.statistics.means import of_values

from .clusters import numbers_of
from .summaries import signed as signed_methods

BACKGROUND = 20_000
"""So many train sequences, at most, are what a sequence should look like."""

_COUNTED = ["mean", "low", "high", "sequences", "seeds"]


def operators(work: Work) -> pd.DataFrame:
    """How far each operator pushes randomly chosen positions off the data, by fraction.

    ``log_likelihood``: nats a base, of the letters alone; ``confidence``: of the model, its largest
    probability. Both as the change from the intact sequence.
    """
    rows = [*_likelihoods(work), *_confidences(work)]
    columns = ["model", "operator", "quantity", "fraction", *_COUNTED]
    return pd.DataFrame(rows, columns=columns)


def _likelihoods(work: Work) -> Iterator[dict[str, Any]]:
    if not orders(work):
        return
    chosen, seed, fractions = work.chosen, work.plan.data_seed, work.plan.fractions[1:]
    train = work.splits.train.codes
    some = stream(seed, "background").permutation(len(train))[:BACKGROUND]
    background = fit_kmer_background(train[some])
    scores = random_maps(chosen, 1, seed)[0]
    ranked = replacement.replacement_ranks(
        scores, chosen.valid, streams(seed, "ties", chosen.codes)
    )
    for operator in work.plan.operators:
        try:
            donor = donor_of(work, operator)
        except Exception:
            continue  # its curves are records that say why there are none
        changes = likelihood_changes(background, chosen.codes, donor, fractions, ranked)
        where = {"model": "", "operator": operator, "quantity": "log_likelihood"}
        for fraction, values in zip(fractions, changes, strict=True):
            yield {
                **where,
                "fraction": fraction,
                **_counted(work, values[None], alone=True),
            }


def _confidences(work: Work) -> Iterator[dict[str, Any]]:
    for model, operator in product(work.plan.models, work.plan.operators):
        course = Course(RANDOM, operator)
        specs = [curve_spec(work, model, seed, course) for seed in work.plan.seeds]
        found = [arrays_of(work, spec)["logits"] for spec in specs if is_there(work, spec)]
        if not found:
            continue
        by_seed = [confidence(outputs).mean(axis=0) for outputs in found]
        changes = np.stack([steps - steps[0] for steps in by_seed])
        where = {"model": model, "operator": operator, "quantity": "confidence"}
        for step, fraction in enumerate(work.plan.fractions[1:], start=1):
            yield {**where, "fraction": fraction, **_counted(work, changes[:, step])}


def rankings(work: Work, estimates: pd.DataFrame) -> pd.DataFrame:
    """Whether the methods rank alike under two operators: Kendall's tau-b of their gaps to random.

    Of the signed methods alone where the least relevant go first.
    """
    rows = []
    gaps = estimates[estimates["question"] == "against random"]
    gaps = gaps[gaps["operator"].isin([*work.plan.operators])]
    methods, signed = [*work.plan.attribution], signed_methods(work)
    apart = {
        f"{label}_{quantity}"
        for label in work.plan.metrics
        for quantity in facts_of(work, label).quantities
        if facts_of(work, label).needs_least_relevant_first
    }
    for (model, metric), group in gaps.groupby(["model", "metric"], sort=False):
        if metric in apart:
            group = group[group["method"].map(signed)]
        means = {
            str(operator): part.set_index("method")["mean"].reindex(methods).to_numpy(float)
            for operator, part in group.groupby("operator", sort=False)
        }
        where = {"model": model, "metric": metric}
        rows += [{**where, **pair._asdict()} for pair in between_operators(means)]
    return pd.DataFrame(rows, columns=["model", "metric", "operator", "other", "tau", "methods"])


def agreement(work: Work) -> pd.DataFrame:
    """How alike the maps of two methods are on the same model and seed, and on the diagonal those
    of one method under two seeds."""
    rows: list[dict[str, Any]] = []
    for model, measure in product(work.plan.models, _MEASURES):
        rows += _between_methods(work, model, measure)
        rows += _between_seeds(work, model, measure)
    return pd.DataFrame(rows, columns=["model", "method", "other", "measure", *_COUNTED])


Compare = Callable[[list[Scores], Mask], NDArray[np.float64]]
_MEASURES: dict[str, Compare] = {"spearman": spearmans, "overlap": overlaps}


def _between_methods(work: Work, model: str, measure: str) -> Iterator[dict[str, Any]]:
    kept = {method: _maps(work, model, method, "scores") for method in work.plan.attribution}
    found: dict[tuple[str, str], list[NDArray[np.float64]]] = {}
    for seed in work.plan.seeds:
        methods = [method for method, maps in kept.items() if seed in maps]
        if len(methods) < 2:
            continue
        shared = min(len(kept[method][seed]) for method in methods)
        maps = [kept[method][seed][:shared] for method in methods]
        matrix = _MEASURES[measure](maps, work.chosen.valid[:shared])
        for row, column in zip(*np.tril_indices(len(methods), -1), strict=True):
            pair = methods[column], methods[row]
            found.setdefault(pair, []).append(matrix[row, column])
    for (method, other), values in found.items():
        where = {"model": model, "method": method, "other": other, "measure": measure}
        yield {**where, **_counted(work, np.stack(values))}


def _between_seeds(work: Work, model: str, measure: str) -> Iterator[dict[str, Any]]:
    """For the true label, for two seeds may predict two classes; a seed's mean with the others."""
    for method in work.plan.attribution:
        maps = list(_maps(work, model, method, "scores_of_label").values())
        if len(maps) < 2:
            continue
        matrix = _MEASURES[measure](maps, work.chosen.valid[: len(maps[0])])
        others = ~np.eye(len(maps), dtype=bool)
        values = np.stack([matrix[row][others[row]].mean(axis=0) for row in range(len(maps))])
        where = {"model": model, "method": method, "other": method, "measure": measure}
        yield {**where, **_counted(work, values, alone=True)}


def _maps(work: Work, model: str, method: str, name: str) -> dict[int, Scores]:
    """By seed, the kept scores of a method."""
    specs = {seed: explained_spec(work, model, seed, method) for seed in work.plan.seeds}
    return {
        seed: arrays_of(work, spec)[name] for seed, spec in specs.items() if is_there(work, spec)
    }


def _counted(work: Work, values: NDArray[np.float64], *, alone: bool = False) -> dict[str, Any]:
    """The mean of values ``(seed, sequence)`` of the first explained sequences, with its interval;
    ``alone``, over sequences only."""
    clusters = numbers_of(work, values.shape[1])
    found = of_values(values, clusters=clusters, sequences_only=alone)
    low, high = found.low, found.high
    if found.seeds == 1:
        low, high = found.sequences_low, found.sequences_high
    numbers = (found.mean, low, high, found.sequences, found.seeds)
    return dict(zip(_COUNTED, numbers, strict=True))
