"""Replicates of models that came with their weights: numbers in tables, and names of files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from .reading import Results
from .schema import TABLES

_KEY = "replicates"
"""Of ``environment.json``."""


def given_weights(results: Results) -> dict[str, list[str]]:
    """What the files are called of the models that came with their weights; their place is the
    number of the replicate, the column ``seed`` of tables."""
    named = results.environment.get(_KEY)
    if not isinstance(named, dict):
        return {}
    return {str(model): [*map(str, files)] for model, files in named.items() if files}


def numbered_alike(runs: Sequence[Results]) -> list[Results]:
    """The runs with a number per file of a model that is the same in all of them, for replicates
    to be paired by their files; those of the first run stay as they are."""
    names: dict[str, dict[str, int]] = {}
    for run in runs:
        for model, files in given_weights(run).items():
            known = names.setdefault(model, {})
            for file in files:
                known.setdefault(file, len(known))
    return [_numbered(run, names) for run in runs]


def _numbered(results: Results, names: Mapping[str, Mapping[str, int]]) -> Results:
    own = given_weights(results)
    numbers = {
        model: {place: names[model][file] for place, file in enumerate(files)}
        for model, files in own.items()
    }
    if all(place == number for each in numbers.values() for place, number in each.items()):
        return results
    tables = {
        table.name: _with_numbers(getattr(results, table.name), numbers)
        for table in TABLES
        if {"model", "seed"} <= {*getattr(results, table.name)}
    }
    environment = {**results.environment, _KEY: {model: [*names[model]] for model in own}}
    return replace(results.with_tables(**tables), environment=environment)


def _with_numbers(table: pd.DataFrame, numbers: Mapping[str, Mapping[int, int]]) -> pd.DataFrame:
    seeds: pd.Series[Any] = table["seed"].copy()
    for model, of_model in numbers.items():
        rows = (table["model"] == model).to_numpy(bool)
        seeds[rows] = table["seed"][rows].map(lambda seed, of=of_model: of.get(seed, seed))
    return table.assign(seed=seeds)
