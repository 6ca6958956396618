"""In what two runs differ, apart from their results: plan, data, versions, machine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from .runs import ComparedRun, explained_sequences, version_of

_ABSENT = object()


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not the same; ``first`` or ``second`` is empty where a run has none."""

    topic: str
    key: str
    first: str
    second: str


def differences(first: ComparedRun, second: ComparedRun) -> list[Difference]:
    """What is not the same in the plan, the data, the versions and the machine; what was explained
    under which seeds."""
    plans = first.results.plan, second.results.plan
    one, other = first.results.environment, second.results.environment
    changed = [Difference("plan", *change) for change in _nested_changes(*plans)]
    changed += [
        Difference("data", *change) for change in _nested_changes(_data_of(one), _data_of(other))
    ]
    changed += [
        Difference("versions", *change)
        for change in _nested_changes(_versions_of(one), _versions_of(other))
    ]
    changed += [
        Difference("machine", *change)
        for change in _nested_changes(_machine_of(one), _machine_of(other))
    ]
    return [
        *changed,
        *_size_difference(
            "sequences", "explained", explained_sequences(first), explained_sequences(second)
        ),
    ]


def compare_cautions(first: ComparedRun, second: ComparedRun) -> list[str]:
    """What makes the same label mean different things in the two runs."""
    changed = [key for key, *_ in _nested_changes(first.results.plan, second.results.plan)]
    return [
        *_versions_apart(first, second),
        *_explained_apart(first, second),
        *_data_apart(first, second),
        *_models_apart(changed, _shared_labels(first, second, "models")),
        *_methods_apart(changed, _shared_labels(first, second, "attribution")),
        *_measured_apart(changed),
        *_resampled_apart(first, second),
    ]


def training_cautions(first: ComparedRun, second: ComparedRun) -> list[str]:
    """What may explain different models from equal trainings."""
    one, other = (run.results.environment.get("trained_with") or {} for run in (first, second))
    if not one or not other or {*one} == {*other}:
        return []
    return [
        f"The models were trained with {' and '.join(one)} in one run, with {' and '.join(other)} "
        "in the other: sums in another order are enough for different weights."
    ]


def same_data(first: ComparedRun, second: ComparedRun) -> bool:
    """Whether the fingerprints of the data are equal."""
    one, other = (run.results.environment.get("data") for run in (first, second))
    return one is not None and one == other


def _nested_changes(first: Any, second: Any, where: str = "") -> Iterator[tuple[str, str, str]]:
    """Key, dotted, and both values, wherever two nested mappings are not equal."""
    if not (isinstance(first, Mapping) and isinstance(second, Mapping)):
        if first != second:
            yield where, _as_yaml(first), _as_yaml(second)
        return
    for key in dict.fromkeys([*first, *second]):
        inner = f"{where}.{key}" if where else str(key)
        yield from _nested_changes(first.get(key, _ABSENT), second.get(key, _ABSENT), inner)


def _as_yaml(value: Any) -> str:
    """A value as the plan would write it, on one line."""
    if value is _ABSENT:
        return ""
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=float("inf"))
    return text.removesuffix("\n...\n").strip()


def _data_of(environment: Mapping[str, Any]) -> dict[str, Any]:
    dataset = dict(environment.get("dataset") or {})
    sizes = {
        key: size for key, size in dict(dataset.pop("sizes", {})).items() if key != "explained"
    }
    dataset.pop("note", None)  # the facts and the plan as text
    return {"fingerprint": environment.get("data"), "sizes": sizes, **dataset}


def _versions_of(environment: Mapping[str, Any]) -> Any:
    return environment.get("versions") or {}


def _machine_of(environment: Mapping[str, Any]) -> dict[str, Any]:
    """What rounding depends on, and with it the weights of a training."""
    known = {name: environment.get(name) for name in ("processor", "cores", "threads")}
    known["device"] = environment.get("device", "cpu")  # earlier versions had no other
    return {**known, "trained with": " and ".join(environment.get("trained_with") or {})}


def _size_difference(topic: str, key: str, one: set[str], other: set[str]) -> Iterator[Difference]:
    if one != other:
        shared = f"{len(one & other):,} shared"
        yield Difference(topic, key, f"{len(one):,} ({shared})", f"{len(other):,} ({shared})")


def _shared_labels(first: ComparedRun, second: ComparedRun, section: str) -> list[str]:
    one, other = first.results.plan[section], second.results.plan[section]
    return [str(label) for label in one if label in other]


def _versions_apart(first: ComparedRun, second: ComparedRun) -> Iterator[str]:
    one, other = (version_of(run.results.environment) for run in (first, second))
    if one.split(".")[:2] != other.split(".")[:2]:
        yield (
            f"The runs were made by xaibench {one or 'of an unknown version'} and "
            f"{other or 'of an unknown version'}: a metric may have another meaning in each."
        )


def _explained_apart(first: ComparedRun, second: ComparedRun) -> Iterator[str]:
    environments = [run.results.environment for run in (first, second)]
    classes = [len((each.get("dataset") or {}).get("class_names") or ()) for each in environments]
    if min(classes) > 2 and environments[0].get("explained") != environments[1].get("explained"):
        yield (
            "One run explains the logit of the target, the other that minus the mean of the other "
            "logits: scores, curves of the logit difference and true effects are not of the same."
        )


def _data_apart(first: ComparedRun, second: ComparedRun) -> Iterator[str]:
    if not same_data(first, second):
        yield (
            "The data are not the same: sequences are paired by their names, and the models "
            "learnt from other data."
        )


def _models_apart(changed: list[str], labels: list[str]) -> Iterator[str]:
    training = [key for key in changed if key == "training" or key.startswith("training.")]
    if training:
        yield f"The training of every model differs ({', '.join(training)})."
    yield from _options_apart(changed, "models", labels, "is another model in each run")


def _methods_apart(changed: list[str], labels: list[str]) -> Iterator[str]:
    yield from _options_apart(changed, "attribution", labels, "has other options in each run")


def _options_apart(changed: list[str], section: str, labels: list[str], what: str) -> Iterator[str]:
    for label in labels:
        options = [key for key in changed if key.startswith(f"{section}.{label}.")]
        if options:
            yield f"{label} {what} ({', '.join(options)}): its rows compare the two."


def _measured_apart(changed: list[str]) -> Iterator[str]:
    """What is replaced, by what, how often, and for which class."""
    sections = ("metrics.", "operators.")
    single = ("target", "fractions", "random_draws", "data_seed", "metrics", "operators")
    measured = [key for key in changed if key.startswith(sections) or key in single]
    if measured:
        yield (
            f"The runs do not measure the same ({', '.join(measured)}): where that concerns a "
            "metric, its difference is also one of measuring."
        )


def _resampled_apart(first: ComparedRun, second: ComparedRun) -> Iterator[str]:
    if first.results.plan.get("clusters") or second.results.plan.get("clusters"):
        yield (
            "The runs resample groups of sequences; here sequences are resampled one by one, so "
            "the intervals are too narrow."
        )
