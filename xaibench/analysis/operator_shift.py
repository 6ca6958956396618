"""How far each operator pushes sequences off the data, and whether operators rank methods alike."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xaibench.artefacts.artefact import arrays_of, is_stored
from xaibench.artefacts.curve_keys import CurveKey, orders
from xaibench.artefacts.curves import curve_spec
from xaibench.artefacts.donors import donor_of, replaces_tokens
from xaibench.artefacts.job import Work, facts_of_metric
from xaibench.artefacts.trained_models import replicates_of
from xaibench.dna import replacement
from xaibench.dna.distribution_shift import (
    KmerBackground,
    confidence,
    fit_kmer_background,
    likelihood_changes,
)
from xaibench.dna.distribution_shift import rank_agreements as between_operators
from xaibench.explanation.controls import RANDOM, random_maps
from xaibench.protocols import OfCurves
from xaibench.randomness import stream, streams
from xaibench.results.schema import Question, columns_of
from xaibench.shapes import Logits
from xaibench.storage.arrays import parts, release
from xaibench.values import Sequences

from .summaries import mean_columns, signed_methods

BACKGROUND_SEQUENCES = 20_000
"""The likelihood of a sequence is that under at most so many train sequences, or, where there are
none, test sequences."""


def operators(work: Work) -> pd.DataFrame:
    """How far each operator pushes randomly chosen positions off the data, by fraction.

    ``log_likelihood``: nats per base, of the letters alone; ``confidence``: the largest probability
    of the model. Both as the change from the intact sequence.
    """
    rows = [*_likelihoods(work), *_confidences(work)]
    return pd.DataFrame(rows, columns=columns_of("operators"))


def _likelihoods(work: Work) -> Iterator[dict[str, Any]]:
    if not orders(work):
        return
    chosen, seed, fractions = work.chosen, work.plan.data_seed, work.plan.fractions[1:]
    known = work.splits.background.codes
    some = stream(seed, "background").permutation(len(known))[:BACKGROUND_SEQUENCES]
    background = fit_kmer_background(known[some])
    for operator in work.plan.operators:
        if replaces_tokens(work, operator):
            continue  # which leaves the letters as they are
        try:
            changes = np.concatenate(
                [
                    _changes(
                        work, operator, background, chosen.take(np.arange(part.start, part.stop))
                    )
                    for part in parts(*chosen.codes.shape)
                ],
                axis=1,
            )
        except Exception:
            continue  # its curves are records that say why there are none
        where = {"model": "", "operator": operator, "quantity": "log_likelihood"}
        for fraction, values in zip(fractions, changes, strict=True):
            yield {
                **where,
                "fraction": fraction,
                **mean_columns(work, values[None], over_sequences=True),
            }


def _changes(
    work: Work, operator: str, background: KmerBackground, some: Sequences
) -> NDArray[np.float64]:
    """``(fraction, sequence)``: what an operator does to the likelihood, in a random order."""
    seed, codes = work.plan.data_seed, some.codes
    donor = donor_of(work, operator, codes)
    scores = random_maps(some, 1, seed)[0]
    ranked = replacement.replacement_ranks(scores, some.valid, streams(seed, "ties", codes))
    changes = likelihood_changes(background, codes, donor, work.plan.fractions[1:], ranked)
    release(work.chosen.codes)
    return changes


def _confidences(work: Work) -> Iterator[dict[str, Any]]:
    for model, operator in product(work.plan.models, work.plan.operators):
        key = CurveKey(RANDOM, operator)
        specs = [curve_spec(work, trained, key) for trained in replicates_of(work.plan, model)]
        outputs_by_seed = [
            arrays_of(work, spec)["logits"] for spec in specs if is_stored(work, spec)
        ]
        if not outputs_by_seed or outputs_by_seed[0].shape[-1] == 1:  # no class to be sure of
            continue
        by_seed = [_mean_confidence(outputs) for outputs in outputs_by_seed]
        changes = np.stack([steps - steps[0] for steps in by_seed])
        where = {"model": model, "operator": operator, "quantity": "confidence"}
        for step, fraction in enumerate(work.plan.fractions[1:], start=1):
            yield {**where, "fraction": fraction, **mean_columns(work, changes[:, step])}


def _mean_confidence(outputs: Logits) -> NDArray[np.float64]:
    """``(step, sequence)`` of logits ``(draw, step, sequence, class)``: the mean over draws."""
    means = []
    for part in parts(outputs.shape[2], outputs[:, :, 0].size):
        means.append(confidence(outputs[:, :, part]).mean(axis=0))
        release(outputs)
    return np.concatenate(means, axis=1)


def rankings(work: Work, estimates: pd.DataFrame) -> pd.DataFrame:
    """Whether the methods rank alike under two operators: Kendall's tau-b of their gaps to random.

    Of the signed methods alone where the least relevant go first.
    """
    rows = []
    gaps = estimates[estimates["question"] == Question.AGAINST_RANDOM]
    gaps = gaps[gaps["operator"].isin([*work.plan.operators])]
    methods, signed = [*work.plan.attribution], signed_methods(work)
    apart = {
        name
        for label in work.plan.metrics
        for kind in [facts_of_metric(work, label).kind]
        if isinstance(kind, OfCurves) and kind.needs_least_relevant_first
        for name in kind.recorded_as(label)
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
    return pd.DataFrame(rows, columns=columns_of("rankings"))
