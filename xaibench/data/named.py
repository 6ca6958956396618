"""A dataset in one word of the command line."""

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from xaibench.data.audit.counts import audit
from xaibench.data.audit.words import interval_lines, lines
from xaibench.data.loading import load_splits
from xaibench.data.own.reading import has_fasta, is_bed
from xaibench.data.published.benchmark_sets import SETS
from xaibench.errors import UsageError
from xaibench.options import resolve
from xaibench.plan import Use, read
from xaibench.registry import available, load
from xaibench.values import Splits
from xaibench.written import change_one, locate, presets

_PLANS = {".yaml", ".yml"}


def named(
    word: str, *, changes: Iterable[str] = (), plugins: tuple[str, ...] = ()
) -> tuple[Splits, int]:
    """The splits of a set of genomic-benchmarks, a dataset plug-in, a plan, a file or a folder, and
    the data seed that they were made under: the plan's, else 0.

    ``changes`` are ``key=value``, the dataset's options, as on the command line of a run.
    """
    of_dataset = tuple(f"dataset.{change}" for change in changes)
    is_preset = word in presets() and word not in available("datasets")
    if is_preset or Path(word).suffix in _PLANS:
        plan = read(word, changes=of_dataset, plugins=plugins)
        use, data_seed, source = plan.dataset, plan.data_seed, word
    else:
        given: dict[str, Any] = {"dataset": _options(word)}
        for change in of_dataset:
            change_one(given, change)
        name = given["dataset"].pop("name")
        options = resolve(load("datasets", name, plugins), given["dataset"], where="dataset")
        use, data_seed, source = Use(use=name, options=options), 0, ""
    return load_splits(use, data_seed=data_seed, source=source, plugins=plugins), data_seed


def audited(word: str, *, changes: Iterable[str], plugins: tuple[str, ...]) -> list[str]:
    """The audit of a dataset, or of a folder that holds intervals without their sequences."""
    folder = _interval_folder(word)
    if folder is None:
        splits, data_seed = named(word, changes=changes, plugins=plugins)
        return lines(audit(splits, data_seed=data_seed))
    if changes := tuple(changes):
        raise UsageError(f"--set {changes[0]}: a folder of intervals has no options")
    return interval_lines(folder)


def _interval_folder(word: str) -> Path | None:
    try:
        folder = locate(word, "")
    except UsageError:
        return None
    tables = (*folder.glob("*.csv*"), *folder.glob("train/*.csv*"))
    return folder if folder.is_dir() and tables else None


def _options(word: str) -> dict[str, Any]:
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
            f"{word}: wanted a set of genomic-benchmarks, a dataset, a plan, a file or a folder; "
            f"the nearest name is {nearest[0]!r} (see `xaibench data list`)"
        ) from error
    return _of_path(path.absolute())


def _of_path(path: Path) -> dict[str, Any]:
    if path.is_dir() and not has_fasta(path):
        own = {"dataset": path.name, "root": str(path.parent), "download": False}
        return {"name": "genomic_benchmarks", **own}
    return {"name": "intervals" if is_bed(path) else "file", "path": str(path)}
