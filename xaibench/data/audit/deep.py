"""What the leak linter seqleak finds in a dataset, beside the audit's own numbers.

Its rules and thresholds are its own (Tomar, doi:10.5281/zenodo.23605245): a rule without a model is
fitted to train, chosen by cross-validation there, and scored on test.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple

from xaibench.data.audit.letters import Letters
from xaibench.errors import UsageError
from xaibench.values import Sequences

if TYPE_CHECKING:
    import pandas as pd

_NEEDS_MORE = (
    "overlap.pair",  # items of several sequences
    "overlap.homology",  # BLAST or MMseqs2: the verdict would depend on what the machine has
    "reference.copies",  # another benchmark
    "construction.genome_membership",  # the genomes of all organisms
    "position",  # distances of genes
)
"""Checks that are left out, and what they would need."""

_LINTER_SPLITS = {"train": "train", "validation": "dev", "test": "test"}


class LinterCheck(NamedTuple):
    """One check of the linter; ``verdict`` is PASS, WARN, FAIL, SKIP, or INFO of what has none.

    ``value`` is a share of test sequences or a score on test, with its 95 % interval, and
    ``evidence`` what it rests on; None where the check does not apply, for the ``reason``.
    """

    name: str
    verdict: str
    value: float | None
    low: float | None
    high: float | None
    sequences: int | None
    reason: str
    evidence: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Linted:
    """The linter's report; ``as_written`` says whether it had the letters of the files."""

    version: str
    rules: str
    verdict: str
    as_written: bool
    class_names: tuple[str, ...]
    checks: tuple[LinterCheck, ...]


def require_linter() -> None:
    """Raises UsageError where seqleak is not installed."""
    if importlib.util.find_spec("seqleak") is None:
        raise UsageError(
            "--deep: expected the leak linter seqleak, it is not installed; "
            "pip install 'xaibench[audit]'"
        )


def linted(splits: Mapping[str, Sequences], letters: Letters, *, as_written: bool) -> Linted:
    """All checks of seqleak that need only the sequences, their classes and their intervals.

    Its seed is its default, 0, so that the same file given to ``seqleak audit`` is judged the same.
    """
    import seqleak
    from seqleak.audit import load_task, run_audit

    located = all(split.intervals is not None for split in splits.values())
    with TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its arithmetic on sets with nothing to find
        path = Path(folder) / "sequences.parquet"
        _linter_table(splits, letters).to_parquet(path)
        try:
            task = load_task(data=[str(path)], coords="auto" if located else "none")
            report, _ = run_audit(task, skip=_NEEDS_MORE, quiet=True)
        except Exception as error:  # whatever a stranger's code meets in a stranger's data
            raise UsageError(
                f"--deep: seqleak {seqleak.__version__} stopped with {type(error).__name__}: "
                f"{error}; the audit above is whole without it"
            ) from error
    return Linted(
        seqleak.__version__,
        report["settings"]["rules"],
        report["verdict"]["status"],
        as_written,
        next(iter(splits.values())).class_names,
        tuple(_parse_check(name, check) for name, check in report["checks"].items()),
    )


def _linter_table(splits: Mapping[str, Sequences], letters: Letters) -> pd.DataFrame:
    """One row per sequence; classes as numbers, for seqleak takes the names 1 and 01 for one."""
    import pandas as pd

    parts = []
    for name, split in splits.items():
        columns = {
            "split": _LINTER_SPLITS[name],
            "id": split.names,
            "sequence": letters[name],
            "label": split.labels,
        }
        where = split.intervals
        if where is not None:
            columns |= {"chrom": where.chromosomes, "start": where.starts, "end": where.ends}
        parts.append(pd.DataFrame(columns))
    return pd.concat(parts, ignore_index=True)


def _parse_check(name: str, check: Mapping[str, Any]) -> LinterCheck:
    low, high = check["ci"] or (None, None)
    figures = (check["value"], low, high, check["n"])
    return LinterCheck(name, check["status"], *figures, check["reason"], check["evidence"])
