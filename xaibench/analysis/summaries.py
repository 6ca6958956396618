"""The small tables of a run folder: curves, training, predictions, cost."""

from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xaibench.analysis.certainty.classification import OF_CLASS
from xaibench.artefacts import explanations
from xaibench.artefacts import models as trainings
from xaibench.artefacts.artefact import Arrays, arrays_of, is_stored
from xaibench.artefacts.curve_keys import CurveKey, orders
from xaibench.artefacts.fixed_scores import is_signed
from xaibench.artefacts.job import Work
from xaibench.artefacts.model_checks import usable
from xaibench.artefacts.trained_models import TrainedModel, replicates_of, trained_models
from xaibench.dna.replacement import LERF, MORF
from xaibench.evaluation.quantities import existing_curves
from xaibench.explanation.controls import RANDOM
from xaibench.explanation.guards import Guards
from xaibench.plan.schema import Plan
from xaibench.protocols import QUANTITIES, Quantity
from xaibench.results.schema import TOKEN_COLUMNS, columns_of
from xaibench.statistics.means import bands, of_values
from xaibench.statistics.resampling import Resampling

from .clusters import numbers_of


def random_method(plan: Plan) -> str | None:
    """The plan's label of the plug-in ``random``, where it has one."""
    labels = [label for label, use in plan.attribution.items() if use.use == "random"]
    return labels[0] if labels else None


def curves(work: Work) -> pd.DataFrame:
    """The mean of every curve at every fraction, with its 95 % interval."""
    plan = work.plan
    rows = []
    sources = (RANDOM, *plan.attribution)
    for model, source, operator, quantity in product(
        plan.models, sources, plan.operators, QUANTITIES
    ):
        where = {"model": model, "method": source, "operator": operator, "quantity": quantity}
        for order, lines in _lines_by_order(work, model, source, operator, quantity).items():
            means, *ends = bands(lines, numbers_of(work, lines.shape[1]))
            lows, highs = ends if quantity == "logit_difference" else np.clip(ends, 0, 1)
            rows += [
                {
                    **where,
                    "order": order,
                    "fraction": fraction,
                    "mean": mean,
                    "low": low,
                    "high": high,
                    "sequences": lines.shape[1],
                    "seeds": lines.shape[0],
                }
                for fraction, mean, low, high in zip(
                    plan.fractions, means, lows, highs, strict=True
                )
            ]
    return pd.DataFrame(rows, columns=columns_of("curves"))


def _lines_by_order(
    work: Work, model: str, source: str, operator: str, quantity: Quantity
) -> dict[str, NDArray[np.float64]]:
    """By order, the lines of all seeds ``(seed, sequence, step)``; of the control, their mean."""
    lines_by_order: dict[str, list[NDArray[np.float64]]] = {}
    order_names = {MORF: "most relevant first", LERF: "least relevant first"}
    for trained, order in product(replicates_of(work.plan, model), orders(work)):
        if not usable(work, trained):
            continue
        draws = existing_curves(work, trained, CurveKey(source, operator, order), quantity)
        if source == RANDOM and draws and order == MORF:
            lines_by_order.setdefault("random", []).append(np.mean(draws, axis=0).T)
        elif source != RANDOM and draws:
            lines_by_order.setdefault(order_names[order], []).append(draws[0].T)
    return {order: np.stack(lines) for order, lines in lines_by_order.items()}


def mean_columns(
    work: Work, values: NDArray[np.float64], *, over_sequences: bool = False
) -> dict[str, Any]:
    """The columns ``mean`` to ``seeds`` of values ``(seed, sequence)`` of the first explained
    sequences; the interval is over sequences only with one seed, or where ``over_sequences``."""
    clusters = numbers_of(work, values.shape[1])
    estimate = of_values(values, Resampling(clusters=clusters, sequences_only=over_sequences))
    low, high = estimate.low, estimate.high
    if estimate.seeds == 1:
        low, high = estimate.sequences_low, estimate.sequences_high
    return {
        "mean": estimate.mean,
        "low": low,
        "high": high,
        "sequences": estimate.sequences,
        "seeds": estimate.seeds,
    }


def training(work: Work) -> pd.DataFrame:
    """The history of every trained model, one row per epoch."""
    rows = [
        {"model": trained.name, "seed": trained.seed, **epoch}
        for trained in trained_models(work.plan)
        if usable(work, trained)
        for epoch in trainings.card(work, trained)["history"]
    ]
    table = pd.DataFrame(rows, columns=None if rows else columns_of("training"))
    return table.drop(columns="masks", errors="ignore")  # too long for a cell; the card has them


def predictions(work: Work) -> pd.DataFrame:
    """The logits of every model on the whole test split, one row per sequence and seed; a model
    of a single output has it in place of the first logit, and no others. ``response`` is what was
    measured of the sequence, where something was, and ``group`` what it is resampled with, where
    whole groups are."""
    test, classes = work.splits.test, len(work.splits.train.class_names)
    names = [f"{OF_CLASS}{place}" for place in range(classes)]
    parts = [pd.DataFrame(columns=[*columns_of("predictions"), *names])]
    for trained in trained_models(work.plan):
        spec = trainings.predictions_spec(work, trained)
        logits = arrays_of(work, spec)["logits"] if is_stored(work, spec) else None
        if logits is None or logits.shape not in ((len(test), classes), (len(test), 1)):
            continue
        absent = np.full((len(test), classes - logits.shape[1]), np.nan)  # of a single output
        logits = np.concatenate([logits, absent.astype(logits.dtype)], axis=1)
        where = {"model": trained.name, "seed": trained.seed}
        of_test: dict[str, Any] = {"sequence": test.names, "label": test.labels}
        if test.responses is not None:
            of_test["response"] = test.responses
        if work.plan.clusters and test.groups is not None:
            of_test["group"] = test.groups
        columns = dict(zip(names, logits.T, strict=True))
        parts.append(pd.DataFrame({**where, **of_test, **columns}))
    table = pd.concat(parts[1:], ignore_index=True) if parts[1:] else parts[0]
    return table.astype({"model": "category", "sequence": "category"})


def cost(work: Work) -> pd.DataFrame:
    """What each method took to explain the chosen sequences, changed ones not counted."""
    costs = ["forwards", "backwards", "seconds", "completeness_error"]
    columns = [*costs, *Guards._fields]
    rows = []
    for trained, method in product(trained_models(work.plan), work.plan.attribution):
        arrays = _explanation(work, trained, method)
        if arrays is not None:
            measured = [*arrays["cost"].tolist(), *arrays["guards"].tolist()]
            numbers = dict(zip(columns, measured, strict=True))
            where = {"model": trained.name, "seed": trained.seed, "method": method}
            row = {**where, **numbers, "sequences": len(arrays["scores"])}
            rows.append(row | _token_columns(arrays))
    more = [name for name in TOKEN_COLUMNS if any(name in row for row in rows)]
    return pd.DataFrame(rows, columns=[*columns_of("cost"), *more])


def _token_columns(arrays: Arrays) -> dict[str, float]:
    """Of a model that reads tokens, means over sequences."""
    row = {}
    for name in explanations.TOKEN_SHARES.values():
        if name in arrays:
            share = arrays[name][~np.isnan(arrays[name])]  # of a flat map there is no share
            row[name] = float(share.mean()) if len(share) else np.nan
    if "unread" in arrays and len(arrays["unread"]):
        row["truncated"] = float((arrays["unread"] > 0).mean())
    return row


def _explanation(work: Work, trained: TrainedModel, method: str) -> Arrays | None:
    """The explanation of a method, where there is one."""
    spec = explanations.explained_spec(work, trained, method)
    return arrays_of(work, spec) if is_stored(work, spec) else None


def signed_methods(work: Work) -> dict[str, bool]:
    """Which methods give signed scores."""
    return {label: is_signed(work, label) for label in work.plan.attribution}
