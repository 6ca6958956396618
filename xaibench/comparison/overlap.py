"""What two runs have in common: the same sequences, seeds, and things measured on them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.types import union_categoricals

from xaibench.analysis.panels import PanelKey
from xaibench.analysis.run_values import RunValues, facts_of_recorded, values_of_run
from xaibench.errors import UsageError
from xaibench.explanation.controls import ORACLE, PRIORS, RANDOM
from xaibench.protocols import MetricFacts

from .runs import ComparedRun, explained_sequences, seeds_in
from .setup_differences import same_data

_LABELS = ("model", "method", "control", "metric", "operator", "sequence", "status", "reason")
_FEWEST = 2
"""With fewer shared seeds, while both runs have more, all are used and none is paired."""


@dataclass(frozen=True, slots=True)
class Shared:
    """The seeds of two runs, the sequences explained in both, and the values of both, in panels
    whose ``dataset`` is the letter of the run."""

    first_seeds: tuple[int, ...]
    second_seeds: tuple[int, ...]
    sequences: int
    values: RunValues
    unlike: tuple[str, ...]

    @property
    def seeds(self) -> tuple[int, ...]:
        """Those of both."""
        return tuple(seed for seed in self.first_seeds if seed in self.second_seeds)

    @property
    def paired(self) -> bool:
        """Whether seeds are compared one by one: two are shared, or all that a run has."""
        fewest = min(len(self.first_seeds), len(self.second_seeds), _FEWEST)
        return len(self.seeds) >= fewest


def shared(first: ComparedRun, second: ComparedRun) -> Shared:
    """What the runs share; UsageError where that is nothing."""
    sequences = explained_sequences(first) & explained_sequences(second)
    pair = f"{first.name} and {second.name} share nothing"
    if not sequences:
        raise UsageError(
            f"compare: {pair}: no sequence was explained in both; compare runs on the same data"
        )
    if not same_data(first, second):
        _check_same_letters(first, second, pair)
    facts, unlike = _shared_facts(first, second)
    one, other = (tuple(sorted(seeds_in(run))) for run in (first, second))
    data_seed = int(first.results.plan.get("data_seed", 0))
    values = values_of_run(
        _stacked(first, second, facts), facts=facts, data_seed=data_seed, control=RANDOM
    )
    overlap = Shared(one, other, len(sequences), values, unlike)
    if not any(shared_cells(overlap, first, second)):
        raise UsageError(
            f"compare: {pair}: no model, method and metric was measured in both; run one of them "
            "with the plan of the other"
        )
    return overlap


def shared_cells(
    overlap: Shared, first: ComparedRun, second: ComparedRun
) -> Iterator[tuple[PanelKey, PanelKey]]:
    """What was measured in both: of the methods, and of the models themselves."""
    for cell in overlap.values.panels:
        other = cell._replace(dataset=second.letter)
        if (
            cell.dataset == first.letter
            and cell.method != RANDOM
            and other in overlap.values.panels
        ):
            yield cell, other


def _check_same_letters(first: ComparedRun, second: ComparedRun, pair: str) -> None:
    """Names such as ``test 3`` say little: with different data they are trusted where the
    examples of both runs show that they name the same letters."""
    one, other = (
        {str(each.get("name")): each.get("letters") for each in run.results.examples}
        for run in (first, second)
    )
    both = [name for name in one if name in other]
    wrong = [name for name in both if one[name] != other[name]]
    if wrong:
        raise UsageError(
            f"compare: {pair}: the data differ, and {wrong[0]!r} is another sequence; compare runs "
            "on the same data"
        )
    if not both:
        raise UsageError(
            f"compare: {pair} for sure: the data differ, and no example stands in both runs by "
            "which sequences of the same name could be known for the same"
        )


def _shared_facts(
    first: ComparedRun, second: ComparedRun
) -> tuple[dict[str, MetricFacts], tuple[str, ...]]:
    """The facts of the metrics that mean the same in both, and the labels that do not."""
    both = [label for label in first.facts if label in second.facts]
    unlike = [
        label
        for label in both
        if first.facts[label] != second.facts[label]
        or _plug_in_of(first, label) != _plug_in_of(second, label)
    ]
    agreed = {label: first.facts[label] for label in both if label not in unlike}
    return agreed, tuple(unlike)


def _plug_in_of(run: ComparedRun, label: str) -> object:
    planned: Any = run.results.plan.get("metrics")
    options = planned.get(label) if isinstance(planned, dict) else None
    return options.get("use", label) if isinstance(options, dict) else label


def _stacked(
    first: ComparedRun, second: ComparedRun, facts: Mapping[str, MetricFacts]
) -> pd.DataFrame:
    """The records of both that are compared; ``dataset`` is the letter of the run."""
    compared = [_compared_records(run.results.records, facts) for run in (first, second)]
    columns: dict[str, Any] = {
        name: union_categoricals([records[name].astype("category") for records in compared])
        for name in _LABELS
    }
    for name in ("seed", "value"):
        columns[name] = np.concatenate([records[name].to_numpy() for records in compared])
    letters = np.repeat(np.arange(2), [len(records) for records in compared])
    labels = pd.Index([first.letter, second.letter])
    columns["dataset"] = pd.Categorical.from_codes(letters, labels)
    return pd.DataFrame(columns)


def _compared_records(records: pd.DataFrame, facts: Mapping[str, MetricFacts]) -> pd.DataFrame:
    known = [
        name
        for name in records["metric"].unique()
        if facts_of_recorded(str(name), facts) is not None
    ]
    own = (records["control"] == "") & ~records["method"].isin([ORACLE, *PRIORS])
    return records[own & records["metric"].isin(known)]
