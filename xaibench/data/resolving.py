"""A dataset in one word of the command line."""

from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from itertools import chain
from pathlib import Path
from typing import Any

from xaibench.data.audit.deep import linted, require_linter
from xaibench.data.audit.deep_text import deep_lines
from xaibench.data.audit.letters import as_read, as_written
from xaibench.data.audit.summary import Audit, audit_splits
from xaibench.data.audit.text import describe_audit, describe_intervals
from xaibench.data.files.folder_reading import bed_folder, sequence_folder
from xaibench.data.files.reading import holds_intervals, read_table
from xaibench.data.genomic_benchmarks.benchmark_sets import SETS
from xaibench.errors import UsageError, shortened
from xaibench.plan.changes import assign
from xaibench.plan.paths import locate, presets
from xaibench.plan.schema import Use, read_plan
from xaibench.plugins.options import resolve, with_paths
from xaibench.plugins.registry import available, load
from xaibench.values import Splits

from .loading import load_splits

_PLANS = {".yaml", ".yml"}


def splits_named(
    word: str, *, changes: Iterable[str] = (), plugins: tuple[str, ...] = ()
) -> tuple[Splits, int]:
    """The splits of a set of genomic-benchmarks, a dataset plug-in, a plan, a file or a folder, and
    the data seed that they were made under: the plan's, else 0.

    ``changes`` are ``key=value``, the dataset's options, as on the command line of a run.
    """
    use, data_seed, source = _use(word, changes=changes, plugins=plugins)
    return load_splits(use, data_seed=data_seed, source=source, plugins=plugins), data_seed


def _use(word: str, *, changes: Iterable[str], plugins: tuple[str, ...]) -> tuple[Use, int, str]:
    """The dataset, the data seed, and the plan that paths are relative to."""
    if is_plan(word):
        of_dataset = tuple(f"dataset.{change}" for change in changes)
        plan = read_plan(word, changes=of_dataset, plugins=plugins)
        return plan.dataset, plan.data_seed, word
    written = dataset_written(word, changes=changes)
    name = written.pop("name")
    options = resolve(load("datasets", name, plugins), written, where="dataset")
    return Use(use=name, options=options), 0, ""


def is_plan(word: str) -> bool:
    """Whether it names a plan, in a file or a preset, and not what one would say under
    ``dataset``."""
    is_preset = word in presets() and word not in available("datasets")
    return is_preset or Path(word).suffix in _PLANS


def dataset_written(word: str, *, changes: Iterable[str] = ()) -> dict[str, Any]:
    """What a plan would say under ``dataset`` of a set of genomic-benchmarks, a dataset plug-in, a
    file or a folder: its name and the options that are not left at their defaults."""
    given: dict[str, Any] = {"dataset": _dataset_options(word)}
    for change in changes:
        assign(given, f"dataset.{change}")
    written: dict[str, Any] = given["dataset"]
    name = written["name"]
    if not isinstance(name, str):
        raise UsageError(f"--set name={name}: expected the name of a dataset, got {name!r}")
    if name == "file" and "genome" in written:
        written["name"] = "intervals"
    if name == "intervals" and "path" in written and "genome" not in written:
        raise UsageError(f"{word}: holds intervals, expected their genome: --set genome=FILE")
    return written


def audited(
    word: str, *, changes: Iterable[str], plugins: tuple[str, ...], deep: bool = False
) -> Iterator[str]:
    """The audit of a dataset, or of a folder that holds intervals without their sequences.

    ``deep`` adds what the leak linter seqleak finds; its lines come after all others.
    """
    folder, changes = _interval_folder(word), tuple(changes)
    if deep:
        require_linter()
    if folder is not None:
        if changes:
            raise UsageError(f"--set {changes[0]}: a folder of intervals has no options")
        if deep:
            raise UsageError("--deep: expected sequences, got a folder of intervals without them")
        return iter(describe_intervals(folder))
    use, data_seed, source = _use(word, changes=changes, plugins=plugins)
    splits = load_splits(use, data_seed=data_seed, source=source, plugins=plugins)
    if deep and not (splits.has_train and splits.train.has_classes):
        raise UsageError(
            f"--deep: expected train, test and two classes or more, got {word} without "
            f"{'classes' if splits.has_train else 'train'}; audit it without --deep"
        )
    counted = audit_splits(splits, data_seed=data_seed)
    own = iter(describe_audit(counted))
    return chain(own, _deep(splits, counted, use, source, plugins)) if deep else own


def _deep(
    splits: Splits, counted: Audit, use: Use, source: str, plugins: tuple[str, ...]
) -> Iterator[str]:
    plugin = load("datasets", use.use, plugins)
    options = with_paths(plugin, use.options, lambda path: locate(path, source))
    of_name = {"train": splits.train, "validation": splits.validation, "test": splits.test}
    named = {name: split for name, split in of_name.items() if split is not None}
    written = as_written(named, use.use, options)
    letters = as_read(named) if written is None else written
    yield from deep_lines(linted(named, letters, as_written=written is not None), counted)


def _interval_folder(word: str) -> Path | None:
    try:
        folder = locate(word, "")
    except UsageError:
        return None
    tables = [*folder.glob("train_*.csv*"), *folder.glob("train/*.csv*")]
    if not tables:
        return None
    columns = set(read_table(tables[0]))
    return folder if "region" in columns and "sequence" not in columns else None


def _dataset_options(word: str) -> dict[str, Any]:
    """What a plan would have under ``dataset``."""
    if word in SETS and not Path(word).is_dir():
        return {"name": "genomic_benchmarks", "dataset": word}
    known = [*available("datasets")]
    if word in known:
        return {"name": word}
    try:
        path = locate(word, "")
    except UsageError as error:
        if Path(word).suffix or Path(word).name != word:  # it looks like a path
            raise
        nearest = get_close_matches(word, [*SETS, *known], n=1, cutoff=0)
        raise UsageError(
            f"{shortened(word)}: expected a set of genomic-benchmarks, a dataset, a plan, a file "
            f"or a folder; the nearest name is {nearest[0]!r} (see `xaibench data list`)"
        ) from error
    return _of_path(path.absolute())


def _of_path(path: Path) -> dict[str, Any]:
    if not path.is_dir():
        return {"name": "intervals" if holds_intervals(path) else "file", "path": str(path)}
    if len(bed_folder(path).parts) > 1:
        return {"name": "intervals", "path": str(path)}
    if sequence_folder(path).parts:
        return {"name": "file", "path": str(path)}
    if not (path / "train").is_dir():
        there = ", ".join(sorted(inside.name for inside in path.iterdir()))
        raise UsageError(
            f"{path}: expected a folder of FASTA, BED or table files, or a set of "
            f"genomic-benchmarks (train/CLASS/ID.txt), got {shortened(there) or 'an empty one'}"
        )
    own = {"dataset": path.name, "root": str(path.parent), "download": False}
    return {"name": "genomic_benchmarks", **own}
