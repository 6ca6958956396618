"""Whether a model of two runs is the same trained model in both, and by which evidence."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from xaibench.analysis.panels import PanelKey, aligned
from xaibench.explanation.controls import RANDOM
from xaibench.plugins.harness_options import LIMITS
from xaibench.protocols import OfCurves
from xaibench.shapes import Float
from xaibench.storage.artefacts import verify
from xaibench.storage.files import read_file

from .overlap import Shared, shared_cells
from .runs import ComparedRun
from .setup_differences import same_data

LEARNT_COLUMNS = ("train_loss", "validation_loss", "train_accuracy", "validation_accuracy")
"""The columns of a history about what was learnt; the others are of time, or of the plan."""

_LOSSES = LEARNT_COLUMNS[:2]


class SameModel(NamedTuple):
    """The same trained model, a retrained one (``anew``), or unknown; ``shown`` names the evidence,
    empty where there is none."""

    verdict: Literal["same", "anew", "unknown"]
    shown: str = ""


class _SavedWeights(NamedTuple):
    """Trained weights in a run's store: the spec they were made from, and the file."""

    spec: Mapping[str, Any]
    weights: Path


@dataclass(frozen=True, slots=True)
class _Model:
    """A model of both runs, by its label, with all that may be evidence."""

    label: str
    shared: Shared
    runs: tuple[ComparedRun, ComparedRun]
    saved: tuple[list[_SavedWeights], list[_SavedWeights]]


def same_models(shared: Shared, first: ComparedRun, second: ComparedRun) -> dict[str, SameModel]:
    """Of each model in both, whether it is the same under every seed that is compared.

    Saved weights decide, where both folders still have them. Else different answers on the same
    sequences or a different training history show a retrained model; equal values on curves of
    random positions, or an equal history of a training with the same plan, show the same one.
    """
    labels = dict.fromkeys(cell.model for cell, _ in shared_cells(shared, first, second))
    if not shared.paired:
        return dict.fromkeys(labels, SameModel("anew", "other seeds"))
    saved = list(_saved_weights(first)), list(_saved_weights(second))
    return {label: _same_model(_Model(label, shared, (first, second), saved)) for label in labels}


def _same_model(model: _Model) -> SameModel:
    """One seed with other weights is enough for another training; all must be the same."""
    verdicts = [_same_under_seed(model, seed) for seed in _shared_seeds(model)]
    for each in verdicts:
        if each.verdict == "anew":
            return each
    if not verdicts or any(each.verdict == "unknown" for each in verdicts):
        return SameModel("unknown")
    return SameModel("same", " and ".join(dict.fromkeys(each.shown for each in verdicts)))


def _same_under_seed(model: _Model, seed: int) -> SameModel:
    """By the first evidence that decides."""
    for shown, witness in _WITNESSES.items():
        same = witness(model, seed)
        if same is not None:
            return SameModel("same" if same else "anew", shown)
    return SameModel("unknown")


def _shared_seeds(model: _Model) -> list[int]:
    """A plan may train a model under fewer seeds than others."""
    of_model = []
    for run in model.runs:
        records = run.results.records
        of_model.append(set(records.loc[records["model"] == model.label, "seed"].unique()))
    return [seed for seed in model.shared.seeds if all(seed in seeds for seeds in of_model)]


# The evidence: True for the same model, False for another training, None for neither


def _by_weights(model: _Model, seed: int) -> bool | None:
    one, other = (
        _digest_of(run, saved, model.label, seed)
        for run, saved in zip(model.runs, model.saved, strict=True)
    )
    return one == other if one and other else None


def _by_accuracy(model: _Model, seed: int) -> bool | None:
    """Equal ones decide nothing: two good models are right about the same sequences."""
    if not same_data(*model.runs):
        return None
    other = any(
        not _all_equal(*values)
        for cell, *values in _shared_values(model, seed, method="")
        if cell.metric == "accuracy"
    )
    return False if other else None


def _by_curves(model: _Model, seed: int) -> bool | None:
    """Different ones decide nothing: another machine rounds differently."""
    curves = [
        values
        for cell, *values in _shared_values(model, seed, method=RANDOM)
        if (facts := model.shared.values.facts[cell.metric]) is not None
        and isinstance(facts.kind, OfCurves)
    ]
    graded = any(len(np.unique(one[~np.isnan(one)])) > 1 for one, _ in curves)
    return True if graded and all(_all_equal(*values) for values in curves) else None


def _by_history(model: _Model, seed: int) -> bool | None:
    one, other = (_history_of(run, model.label, seed) for run in model.runs)
    known = [
        name for name in LEARNT_COLUMNS if _is_complete(one, name) and _is_complete(other, name)
    ]
    if not known:
        return None
    if not _all_equal(one[known].to_numpy(np.float64), other[known].to_numpy(np.float64)):
        return False
    graded = any(name in known for name in _LOSSES)
    return True if graded and _planned_alike(model) else None


_WITNESSES = {
    "saved weights": _by_weights,
    "accuracy on the same sequences": _by_accuracy,
    "values on curves of random positions": _by_curves,
    "training history": _by_history,
}


# The store


def _saved_weights(run: ComparedRun) -> Iterator[_SavedWeights]:
    """The trained weights that the folder still has."""
    for path in sorted((run.folder / "store").glob("model-*/spec.json")):
        try:
            record = json.loads(read_file(path))
            weights = _SavedWeights(dict(record["spec"]), path.with_name("weights.safetensors"))
            weights_digest(weights.weights)
        except Exception:  # damaged weights are no evidence, whatever reading them raises
            continue
        if "files" not in record or verify(path.parent):  # 0.1.0 recorded no digests
            yield weights


def _digest_of(run: ComparedRun, saved: list[_SavedWeights], label: str, seed: int) -> str:
    """That of a model's weights; empty where none are stored, or it is not clear which are its."""
    recipe = {**_recipe(run, label), "seed": seed, "data": run.results.environment.get("data")}
    digests = {weights_digest(each.weights) for each in saved if _made_from(each.spec) == recipe}
    return digests.pop() if len(digests) == 1 else ""


def _recipe(run: ComparedRun, label: str) -> dict[str, Any]:
    """The options of a model and of its training, without those of how many sequences are used."""
    plan = run.results.plan
    apart = {"use", *LIMITS["models"]}
    options = {"model": plan["models"][label], "training": plan.get("training") or {}}
    return {
        name: {key: value for key, value in given.items() if key not in apart}
        for name, given in options.items()
    }


def _made_from(spec: Mapping[str, Any]) -> dict[str, Any]:
    """What a model of a store was made from, as ``_recipe`` says it of a run's; a model of permuted
    labels has a key more, so it is no model of a plan."""
    made = {name: spec.get(name, {}).get("options") for name in ("model", "training")}
    made |= {name: spec.get(name) for name in ("seed", "data")}
    return made | {"learnt_from": spec["learnt_from"]} if "learnt_from" in spec else made


def weights_digest(weights: Path) -> str:
    """That of the tensors in a safetensors file, whatever order and notes they were written with:
    those depend on the version of the library."""
    content = read_file(weights)
    start = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:start])
    hashed = blake2b()
    for name in sorted(set(header) - {"__metadata__"}):
        tensor = header[name]
        begin, end = (start + offset for offset in tensor["data_offsets"])
        hashed.update(f"{name} {tensor['dtype']} {tensor['shape']}\n".encode())
        hashed.update(content[begin:end])
    return hashed.hexdigest()


# The tables


def _shared_values(
    model: _Model, seed: int, *, method: str
) -> Iterator[tuple[PanelKey, Float, Float]]:
    """What both measured under a seed, on the shared sequences."""
    first, second = model.runs
    values = model.shared.values
    for cell, panel in values.panels.items():
        other = values.panels.get(cell._replace(dataset=second.letter))
        chosen = (cell.dataset, cell.model, cell.method) == (first.letter, model.label, method)
        if chosen and other is not None:
            one, two = aligned(panel, other)
            rows = values.seeds[one.seeds] == seed
            yield cell, one.values[rows].ravel(), two.values[rows].ravel()


def _history_of(run: ComparedRun, label: str, seed: int) -> pd.DataFrame:
    history = run.results.training
    own = history[(history["model"] == label) & (history["seed"] == seed)]
    return own.sort_values("epoch")


def _is_complete(history: pd.DataFrame, name: str) -> bool:
    """Whether every epoch has a number there: without a validation split none has."""
    return (
        name in history
        and len(history) > 0
        and bool(np.isfinite(pd.to_numeric(history[name], errors="coerce")).all())
    )


def _planned_alike(model: _Model) -> bool:
    """Otherwise an equal history may be of other weights: the best epoch's or the last's."""
    one, other = (_recipe(run, model.label) for run in model.runs)
    return one == other and same_data(*model.runs)


def _all_equal(first: Float, second: Float) -> bool:
    return np.array_equal(first, second, equal_nan=True)
