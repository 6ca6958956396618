"""Whether a model that two runs have is the same trained model in both, and what shows it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xaibench.analysis.panels import Cell, aligned
from xaibench.explanation.controls import RANDOM
from xaibench.plugins.harness_options import LIMITS
from xaibench.protocols import OfCurves
from xaibench.storage.artefacts import verify
from xaibench.storage.files import read_file

from .differences import same_data
from .overlap import Shared, cells
from .runs import Run

LEARNT = ("train_loss", "validation_loss", "train_accuracy", "validation_accuracy")
"""What a history tells of what was learnt; its other columns are of time, or of the plan."""

_LOSSES = LEARNT[:2]
Values = NDArray[np.float64]


class Trained(NamedTuple):
    """The same trained model, one trained anew, or unknown; ``shown`` says by what, empty where
    nothing tells."""

    verdict: Literal["same", "anew", "unknown"]
    shown: str = ""


class _Kept(NamedTuple):
    """Trained weights in a run's store: what they came from, and the file."""

    spec: Mapping[str, Any]
    weights: Path


@dataclass(frozen=True, slots=True)
class _Model:
    """A model of both runs, by its label, with all that may tell."""

    label: str
    found: Shared
    runs: tuple[Run, Run]
    kept: tuple[list[_Kept], list[_Kept]]


def trained(found: Shared, first: Run, second: Run) -> dict[str, Trained]:
    """Of each model in both, whether it is the same under every seed that is compared.

    Kept weights tell, where both folders still have them. Else other answers on the same sequences
    or another course of training show a new training; equal values on curves of random positions,
    or an equal course of a training that was planned alike, show that there was none.
    """
    labels = dict.fromkeys(cell.model for cell, _ in cells(found, first, second))
    if not found.paired:
        return dict.fromkeys(labels, Trained("anew", "other seeds"))
    kept = list(_kept(first)), list(_kept(second))
    return {label: _of(_Model(label, found, (first, second), kept)) for label in labels}


def _of(model: _Model) -> Trained:
    """One seed with other weights is enough for another training; all must be the same."""
    told = [_under(model, seed) for seed in _seeds(model)]
    for each in told:
        if each.verdict == "anew":
            return each
    if not told or any(each.verdict == "unknown" for each in told):
        return Trained("unknown")
    return Trained("same", " and ".join(dict.fromkeys(each.shown for each in told)))


def _under(model: _Model, seed: int) -> Trained:
    """By the first that tells."""
    for shown, witness in _WITNESSES.items():
        same = witness(model, seed)
        if same is not None:
            return Trained("same" if same else "anew", shown)
    return Trained("unknown")


def _seeds(model: _Model) -> list[int]:
    """A plan may train a model under fewer seeds than others."""
    of_model = []
    for run in model.runs:
        records = run.results.records
        of_model.append(set(records.loc[records["model"] == model.label, "seed"].unique()))
    return [seed for seed in model.found.seeds if all(seed in seeds for seeds in of_model)]


# What tells: True the same, False another training, None nothing


def _by_weights(model: _Model, seed: int) -> bool | None:
    one, other = (
        _digest_of(run, kept, model.label, seed)
        for run, kept in zip(model.runs, model.kept, strict=True)
    )
    return one == other if one and other else None


def _by_accuracy(model: _Model, seed: int) -> bool | None:
    """Equal ones say nothing: two good models are right about the same sequences."""
    if not same_data(*model.runs):
        return None
    other = any(
        not _equal(*values)
        for cell, *values in _values(model, seed, method="")
        if cell.metric == "accuracy"
    )
    return False if other else None


def _by_curves(model: _Model, seed: int) -> bool | None:
    """Other ones say nothing: another machine rounds in another way."""
    curves = [
        values
        for cell, *values in _values(model, seed, method=RANDOM)
        if (facts := model.found.values.facts[cell.metric]) is not None
        and isinstance(facts.kind, OfCurves)
    ]
    graded = any(len(np.unique(one[~np.isnan(one)])) > 1 for one, _ in curves)
    return True if graded and all(_equal(*values) for values in curves) else None


def _by_history(model: _Model, seed: int) -> bool | None:
    one, other = (_history(run, model.label, seed) for run in model.runs)
    known = [name for name in LEARNT if _whole(one, name) and _whole(other, name)]
    if not known:
        return None
    if not _equal(one[known].to_numpy(np.float64), other[known].to_numpy(np.float64)):
        return False
    graded = any(name in known for name in _LOSSES)
    return True if graded and _planned_alike(model) else None


_WITNESSES = {
    "kept weights": _by_weights,
    "accuracy on the same sequences": _by_accuracy,
    "values on curves of random positions": _by_curves,
    "training history": _by_history,
}


# The store


def _kept(run: Run) -> Iterator[_Kept]:
    """The trained weights that the folder still has."""
    for path in sorted((run.folder / "store").glob("model-*/spec.json")):
        try:
            record = json.loads(read_file(path))
            kept = _Kept(dict(record["spec"]), path.with_name("weights.safetensors"))
            digest(kept.weights)
        except Exception:  # damaged weights tell nothing, whatever reading them ends in
            continue
        if "files" not in record or verify(path.parent):  # 0.1.0 recorded no digests
            yield kept


def _digest_of(run: Run, kept: list[_Kept], label: str, seed: int) -> str:
    """That of a model's weights; empty where none are kept, or it is not clear which are its."""
    wanted = {**_recipe(run, label), "seed": seed, "data": run.results.environment.get("data")}
    digests = {digest(each.weights) for each in kept if _made_from(each.spec) == wanted}
    return digests.pop() if len(digests) == 1 else ""


def _recipe(run: Run, label: str) -> dict[str, Any]:
    """The options of a model and of its training, but for those of how much is looked at."""
    plan = run.results.plan
    apart = {"use", *LIMITS["models"]}
    options = {"model": plan["models"][label], "training": plan.get("training") or {}}
    return {
        name: {key: value for key, value in given.items() if key not in apart}
        for name, given in options.items()
    }


def _made_from(spec: Mapping[str, Any]) -> dict[str, Any]:
    """What a model of a store came from, as ``_digest_of`` wants it; one that learnt from other
    labels is nobody's."""
    made = {name: spec.get(name, {}).get("options") for name in ("model", "training")}
    made |= {name: spec.get(name) for name in ("seed", "data")}
    return made | {"learnt_from": spec["learnt_from"]} if "learnt_from" in spec else made


def digest(weights: Path) -> str:
    """That of the tensors in a safetensors file, whatever order and notes they were written with:
    those depend on the version of the library."""
    content = read_file(weights)
    start = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:start])
    found = blake2b()
    for name in sorted(set(header) - {"__metadata__"}):
        tensor = header[name]
        begin, end = (start + offset for offset in tensor["data_offsets"])
        found.update(f"{name} {tensor['dtype']} {tensor['shape']}\n".encode())
        found.update(content[begin:end])
    return found.hexdigest()


# The tables


def _values(model: _Model, seed: int, *, method: str) -> Iterator[tuple[Cell, Values, Values]]:
    """What both measured under a seed, on the sequences that both have."""
    first, second = model.runs
    values = model.found.values
    for cell, panel in values.panels.items():
        other = values.panels.get(cell._replace(dataset=second.letter))
        wanted = (cell.dataset, cell.model, cell.method) == (first.letter, model.label, method)
        if wanted and other is not None:
            one, two = aligned(panel, other)
            rows = values.seeds[one.seeds] == seed
            yield cell, one.values[rows].ravel(), two.values[rows].ravel()


def _history(run: Run, label: str, seed: int) -> pd.DataFrame:
    history = run.results.training
    own = history[(history["model"] == label) & (history["seed"] == seed)]
    return own.sort_values("epoch")


def _whole(history: pd.DataFrame, name: str) -> bool:
    """Whether every epoch has a number there: without a validation split none has."""
    return (
        name in history
        and len(history) > 0
        and bool(np.isfinite(pd.to_numeric(history[name], errors="coerce")).all())
    )


def _planned_alike(model: _Model) -> bool:
    """Without that, an equal course may have ended in other weights: the best or the last."""
    one, other = (_recipe(run, model.label) for run in model.runs)
    return one == other and same_data(*model.runs)


def _equal(first: Values, second: Values) -> bool:
    return np.array_equal(first, second, equal_nan=True)
