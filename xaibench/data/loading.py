"""A dataset by name: its splits, without what leaks and with what is known of its motifs."""

import sys
from dataclasses import replace
from pathlib import PurePath
from typing import Any

import numpy as np

from xaibench.data.audit.leakage import deduplicated
from xaibench.data.splitting import with_validation
from xaibench.data.truth import annotated, scanned
from xaibench.errors import Absent, UsageError, described
from xaibench.plan.paths import locate
from xaibench.plan.schema import Use
from xaibench.plugins.fence import fenced
from xaibench.plugins.harness_options import Truth, of_harness
from xaibench.plugins.options import resolve, with_paths
from xaibench.plugins.registry import Plugin, load
from xaibench.plugins.signatures import supplied, typed
from xaibench.values import NO_CLASS, N, Sequences, Splits

STANDS_IN, BECAUSE = "stands in for", "because"
"""Of ``Splits.facts``: the dataset that the plan named first and that is not here, and why not."""

_BLOCK_ROWS = 4096
"""At a time."""


def load_splits(use: Use, *, data_seed: int, source: str, plugins: tuple[str, ...]) -> Splits:
    """What a dataset of a plan holds; ``source`` is the plan that its paths are relative to.

    Where that is not here (``Absent``), its ``fallback``, which says so in its note and its facts.
    Raises UsageError (one line) where there is nothing to test on. Train may be empty and there may
    be no classes: whether that suits the models of the plan is asked where they meet
    (``artefacts.job.prepare``).
    """
    fallback = use.options.get("fallback")
    try:
        return _splits(use, data_seed=data_seed, source=source, plugins=plugins)
    except Absent as error:
        if fallback is None:
            raise
        reason = str(error)
    instead = _use_of(fallback, plugins)
    splits = _splits(instead, data_seed=data_seed, source=source, plugins=plugins)
    expected, got = _dataset_name(use), _dataset_name(instead)
    note = f"NOT {expected}, which could not be had, but {got}. {splits.note}".strip()
    return replace(splits, note=note, facts={STANDS_IN: expected, BECAUSE: reason, **splits.facts})


def _use_of(fallback: dict[str, Any], plugins: tuple[str, ...]) -> Use:
    given = dict(fallback)
    name = given.pop("name", None)
    if not isinstance(name, str):
        raise UsageError(f"dataset.fallback: expected name: NAME and its options, got {fallback!r}")
    plugin = load("datasets", name, plugins)
    return Use(use=name, options=resolve(plugin, given, where="dataset.fallback"))


def _dataset_name(use: Use) -> str:
    """What a reader would call the data of a plan."""
    named = use.options.get("dataset") or PurePath(str(use.options.get("path") or "")).name
    return str(named or use.use)


def _splits(use: Use, *, data_seed: int, source: str, plugins: tuple[str, ...]) -> Splits:
    plugin = load("datasets", use.use, plugins)
    options = with_paths(plugin, use.options, lambda path: locate(path, source))
    splits = _call_plugin(plugin, options, data_seed)
    _check_splits(splits)
    splits = _with_background_facts(splits)
    ours = of_harness(plugin, options)
    if ours["deduplicated"]:
        splits = deduplicated(with_validation(splits, data_seed))
    return splits if ours["truth"] is None else _with_truth(splits, ours["truth"])


def _call_plugin(plugin: Plugin, options: dict[str, object], data_seed: int) -> Splits:
    known = supplied(plugin.call, {"data_seed": data_seed})
    try:
        with fenced():
            splits = plugin.call(**typed(plugin, options), **known)
    except UsageError:
        raise
    except MemoryError as error:
        reason = "the data need more memory than there is"
        raise UsageError(f"dataset {plugin.name!r}: {reason}") from error
    except Exception as error:
        raise UsageError(f"dataset {plugin.name!r}: {described(error)}") from error
    finally:
        _release_tables()
    if not isinstance(splits, Splits):
        raise UsageError(f"dataset {plugin.name!r}: expected Splits, got {type(splits).__name__}")
    return splits


def _release_tables() -> None:
    """Give the memory of the tables that were read back to the system, which Arrow does not while
    it is idle; what runs next would come on top of it."""
    if arrow := sys.modules.get("pyarrow"):
        arrow.default_memory_pool().release_unused()


def _check_splits(splits: Splits) -> None:
    if not len(splits.test):
        raise UsageError("dataset: expected a sequence in test, got none")
    for name in ("train", "test", "validation"):
        split = getattr(splits, name)
        if split is not None and len(split):
            _check_split_content(name, split)
    for name, split in (("train", splits.train), ("test", splits.test)):
        if not len(split):
            continue  # there is nothing to learn from
        present = np.bincount(split.labels, minlength=len(split.class_names)) > 0
        # where nothing is learnt, sequences of one class may be all that is to be explained
        if splits.has_train and not present.all():
            absent = split.class_names[int(np.argmin(present))]
            raise UsageError(f"dataset: expected every class in {name}, got none of {absent!r}")
        if len(set(split.names)) < len(split):
            raise UsageError(f"dataset: expected names that differ, {name} has one twice")


def _with_background_facts(splits: Splits) -> Splits:
    if splits.has_train:
        return splits
    instead = "none; base composition and Markov chains are those of test"
    return replace(splits, facts={**splits.facts, "train": instead})


def _check_split_content(name: str, split: Sequences) -> None:
    """That there is a base to look at, and that evidence names classes."""
    if not any(
        (split.codes[row : row + _BLOCK_ROWS] < N).any()
        for row in range(0, len(split), _BLOCK_ROWS)
    ):
        raise UsageError(
            f"dataset: expected sequences with known bases in {name}, got N alone in all "
            f"{len(split):,}"
        )
    evidence, classes = split.evidence, len(split.class_names)
    if evidence is not None and not NO_CLASS <= evidence.min() <= evidence.max() < classes:
        raise UsageError(
            f"dataset: expected evidence of {NO_CLASS} to {classes - 1} in {name}, got "
            f"{evidence.min()} to {evidence.max()}"
        )


def _with_truth(splits: Splits, truth: Truth) -> Splits:
    if truth.sites is not None:
        return annotated(splits, truth.sites, speaks_for=truth.speaks_for)
    return scanned(
        splits, truth.motifs, p_value=truth.p_value, release=truth.release, path=truth.matrices
    )
