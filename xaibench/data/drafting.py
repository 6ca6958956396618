"""A commented plan for data that are at hand, from what a look at them says."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml

from xaibench.dna.encoding import lengths
from xaibench.errors import UsageError, shortened
from xaibench.plan.paths import locate
from xaibench.plan.schema import Use, read_mapping
from xaibench.plan.weight_files import weight_files
from xaibench.plugins.options import resolve, with_paths
from xaibench.plugins.registry import load
from xaibench.terminal import visible
from xaibench.values import Sequences, Splits

from .audit import leakage
from .files.column_roles import column_roles
from .files.folder_reading import read_sequences
from .loading import load_splits
from .resolving import dataset_written, is_plan

_SIZE = "quick"
"""The preset that a draft extends: to see that it runs."""

_METHODS = ("integrated_gradients", "deeplift", "saliency", "input_x_gradient", "random")
"""Those that apply to most networks."""

_SHOWN_CLASSES = 5
"""Of more than these only the number is said."""

_WIDE = 10**6
"""Letters of a line of YAML that is folded nowhere."""


class OwnModel(NamedTuple):
    """A network that is trained already: its name, its files of weights, and the plug-ins that
    define it."""

    name: str
    weights: tuple[str, ...] = ()
    plugins: tuple[str, ...] = ()


class Draft(NamedTuple):
    """A plan as text, what the data are in a sentence, and the command that runs it."""

    text: str
    summary: str
    command: str


def drafted_plan(
    word: str, path: Path, *, changes: Sequence[str] = (), model: OwnModel | None = None
) -> Draft:
    """A plan to be written at ``path`` for a file, a folder or a set of sequences.

    The columns of a table are known by their names and by what they hold; ``changes`` are
    ``key=value``, options of the dataset. Where test repeats train, the plan leaves that out.
    UsageError for data that cannot be read, and where there is nothing to train on and no ``model``
    is named.
    """
    if is_plan(word):
        raise UsageError(f"{word}: is a plan already; run it: xaibench run {word}")
    plugins = model.plugins if model else ()
    dataset = _with_roles(_dataset_of(word, changes))
    splits = _loaded(dataset, plugins)
    if model is None and not (splits.has_train and splits.train.has_classes):
        raise UsageError(
            f"{word}: has {'no classes' if splits.has_train else 'no labels, or no train split'}, "
            "so no model can be trained on it; name the column by --set label=COLUMN, or your "
            "own network by --model NAME --plugin FILE --weights FILE"
        )
    models: dict[str, Any] = {"cnn": {}}
    if model is not None:
        weights = weight_files([*model.weights], "", where="--weights")
        models = {model.name: {"weights": [*weights]} if weights else {}}
    read_mapping({"extends": _SIZE, "dataset": dataset, "models": models}, plugins=plugins)
    repeats = _repeats(splits)
    if repeats:
        dataset["deduplicated"] = True
    command = " ".join(["xaibench run", str(path), *(f"--plugin {each}" for each in plugins)])
    parts = (
        _header(word, path, command),
        _dataset_lines(_moved_dataset(dataset, path.parent), splits, repeats),
        _size_lines(),
        _model_lines(_moved_models(models, path.parent), own=model is not None),
        _method_lines(),
    )
    return Draft(
        "\n\n".join("\n".join(part) for part in parts) + "\n", describe_splits(splits), command
    )


def _dataset_of(word: str, changes: Sequence[str]) -> dict[str, Any]:
    """What the plan says of the data, the file by the path that was given."""
    dataset = dataset_written(word, changes=changes)
    is_given = "path" in dataset and locate(word, "").absolute() == Path(dataset["path"])
    return {**dataset, "path": word} if is_given else dataset


def _with_roles(dataset: dict[str, Any]) -> dict[str, Any]:
    """With the columns of a table named where they have other names than those looked for."""
    if dataset["name"] != "file":
        return dataset
    known = {name: dataset.get(name) for name in ("sequence", "label")}
    table = read_sequences(
        locate(dataset["path"], ""),
        sequence=known["sequence"] or "sequence",
        label=known["label"] or "label",
    )
    targets = {"label", "response"} if {"label", "response", "labels"} & {*dataset} else set()
    roles = column_roles(table, known=frozenset({*dataset} | targets))
    return {**dataset, **roles}


def _loaded(dataset: Mapping[str, Any], plugins: tuple[str, ...]) -> Splits:
    options = {name: value for name, value in dataset.items() if name != "name"}
    plugin = load("datasets", dataset["name"], plugins)
    use = Use(use=dataset["name"], options=resolve(plugin, options, where="dataset"))
    return load_splits(use, data_seed=0, source="", plugins=plugins)


def _repeats(splits: Splits) -> int:
    """How many sequences of test have the letters of one of train, on either strand."""
    if not splits.has_train:
        return 0
    test, train = leakage.identities(splits.test.codes, splits.train.codes)
    flags = leakage.repeats_of(test, splits.test.labels, train, splits.train.labels)
    return int(flags.repeated.sum())


# Paths: as they are given here, then as the plan names them


def _moved(given: str, folder: Path) -> str:
    """A path from here as a plan in ``folder`` names it; others are looked for where a plan
    looks."""
    is_beside = not Path(given).is_absolute() and os.path.exists(given)
    return os.path.relpath(given, folder) if is_beside else given


def _moved_dataset(dataset: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    plugin = load("datasets", dataset["name"])
    return with_paths(plugin, dataset, lambda given: _moved(given, folder))


def _moved_models(models: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    return {
        name: {
            option: [_moved(each, folder) for each in given] for option, given in options.items()
        }
        for name, options in models.items()
    }


# The text


def _header(word: str, path: Path, command: str) -> list[str]:
    return [
        f"# Which explanation to trust on {_comment(word)}. Every key is in docs/plans.md.",
        f"#   {command} --dry-run",
        f"#   {command}",
        f"#   xaibench open runs/{path.stem}",
    ]


def _dataset_lines(dataset: Mapping[str, Any], splits: Splits, repeats: int) -> list[str]:
    notes = [f"{key}: {value}" for key, value in splits.facts.items()]
    lines = [f"# {_comment(each)}" for each in (describe_splits(splits), *notes)]
    lines += _section("dataset", dataset)
    if repeats:
        lines[-1] += f"    # {repeats:,} sequences of test repeat train: they are left out"
    if splits.train.has_classes and splits.test.evidence is None:
        lines += [
            "  # truth: {motifs: {MA0139.1: CLASS}}    # what a motif speaks for, if you know"
        ]
    return lines


def _size_lines() -> list[str]:
    return [
        "# How much: quick shows that it runs, standard is a result to show, thorough is for a",
        "# paper. Seeds, sequences, metrics and operators are those of the size.",
        f"extends: {_SIZE}",
    ]


def _model_lines(models: Mapping[str, Any], *, own: bool) -> list[str]:
    lines = _section("models", models)
    if own:
        return lines
    return [
        *lines,
        "  # A network that you have, in my_model.py, and its weights; add --plugin my_model.py:",
        "  # Net: {weights: [fold0.pt, fold1.pt]}",
    ]


def _method_lines() -> list[str]:
    return [
        "# More: xaibench list attribution. A method of your own is a function: docs/plugins.md",
        f"attribution: [{', '.join(_METHODS)}]",
    ]


def _section(name: str, content: Mapping[str, Any]) -> list[str]:
    """A key with a line for each entry."""
    entries = [
        yaml.safe_dump({key: value}, allow_unicode=True, default_flow_style=True, width=_WIDE)
        for key, value in content.items()
    ]
    return [f"{name}:", *(f"  {entry.strip()[1:-1]}" for entry in entries)]


def _comment(text: str) -> str:
    return shortened(" ".join(visible(text).split()))


def describe_splits(splits: Splits) -> str:
    """Sequences, lengths, classes and splits, in a sentence."""
    parts = {"train": splits.train, "validation": splits.validation, "test": splits.test}
    named = {name: part for name, part in parts.items() if part is not None and len(part)}
    ends = np.concatenate([lengths(part.codes) for part in named.values()])
    span = "-".join(f"{end:,}" for end in sorted({int(ends.min()), int(ends.max())}))
    sizes = ", ".join(f"{name} {len(part):,}" for name, part in named.items())
    return f"{len(ends):,} sequences of {span} nt, {_classes_text(named)}: {sizes}"


def _classes_text(named: Mapping[str, Sequences]) -> str:
    names = next(iter(named.values())).class_names
    if len(names) < 2:
        return "without classes"
    if len(names) > _SHOWN_CLASSES:
        return f"{len(names)} classes"
    every = [np.bincount(part.labels, minlength=len(names)) for part in named.values()]
    counts = zip(names, np.sum(every, axis=0), strict=True)
    return f"classes {' and '.join(f'{name} ({count:,})' for name, count in counts)}"
