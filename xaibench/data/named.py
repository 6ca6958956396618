"""A dataset in one word of the command line."""

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from xaibench.data.audit import audit, interval_lines, lines
from xaibench.data.benchmark_sets import SETS
from xaibench.data.loading import load_splits
from xaibench.data.reading import is_bed
from xaibench.errors import UsageError
from xaibench.options import resolve
from xaibench.plan import Use, assigned, locate, presets, read
from xaibench.registry import available, load
from xaibench.values import Splits

_PLANS = {".yaml", ".yml"}


def named(word: str, *, changes: Iterable[str] = (), plugins: tuple[str, ...] = ()) -> Splits:
    """The splits of a set of genomic-benchmarks, a dataset plug-in, a plan, a file or a folder.

    ``changes`` are ``key=value``, the dataset's options, with YAML values.
    """
    options = dict(map(assigned, changes))
    if word in presets() or Path(word).suffix in _PLANS:
        dataset = read(word, plugins=plugins).dataset
        use, source = Use(use=dataset.use, options=dataset.options | options), word
    else:
        use, source = _use(word, options), ""
    resolved = resolve(load("datasets", use.use, plugins), use.options, where="dataset")
    use = Use(use=use.use, options=resolved)
    return load_splits(use, data_seed=0, source=source, plugins=plugins)


def audited(word: str, *, changes: Iterable[str], plugins: tuple[str, ...]) -> list[str]:
    """The audit of a dataset, or of a folder that holds intervals without their sequences."""
    folder = _interval_folder(word)
    if folder is not None:
        return interval_lines(folder)
    return lines(audit(named(word, changes=changes, plugins=plugins), data_seed=0))


def _interval_folder(word: str) -> Path | None:
    try:
        folder = locate(word, "")
    except UsageError:
        return None
    tables = (*folder.glob("*.csv*"), *folder.glob("train/*.csv*"))
    return folder if folder.is_dir() and tables else None


def _use(word: str, options: dict[str, Any]) -> Use:
    if word in SETS:
        return Use(use="genomic_benchmarks", options={"dataset": word, **options})
    known = [*available("datasets")]
    if word in known:
        return Use(use=word, options=options)
    try:
        path = locate(word, "")
    except UsageError:
        nearest = get_close_matches(word, [*SETS, *known], n=1, cutoff=0)
        raise UsageError(
            f"{word}: wanted a set of genomic-benchmarks, a dataset, a plan, a file or a folder; "
            f"the nearest name is {nearest[0]!r} (see `xaibench data list`)"
        ) from None
    return _of_path(path.resolve(), options)


def _of_path(path: Path, options: dict[str, Any]) -> Use:
    if path.is_dir():
        own = {"dataset": path.name, "root": str(path.parent), "download": False}
        return Use(use="genomic_benchmarks", options=own | options)
    kind = "intervals" if is_bed(path) else "file"
    return Use(use=kind, options={"path": str(path), **options})
