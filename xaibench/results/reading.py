"""What a run folder holds, read back for a report."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from xaibench.errors import UsageError
from xaibench.plan.bounds import check_text
from xaibench.storage import files

from .compatibility import BEGUN, RENDERED, check, mend

TEXT = {
    *("question", "dataset", "model", "other", "method", "control", "metric", "operator"),
    *("quantity", "order", "measure", "status", "reason"),
    *("oracle_over_random", "random_over_negated", "blurred_not_over_oracle", "passed"),
    *("test", "population", "correction", "component"),
    *("claim", "published", "verdict", "rule", "caveat"),
}
"""The columns that hold words; an empty one, or one that says NA, is that word."""

COLUMNS = {
    "results.parquet": (
        *("dataset", "model", "seed", "method", "control", "metric", "operator", "repeat"),
        *("sequence", "value", "status", "reason"),
    ),
    "estimates.csv": (
        *("question", "dataset", "model", "other", "method", "metric", "operator"),
        *("mean", "low", "high", "sequences_low", "sequences_high", "effect"),
        *("p", "p_sequences", "p_seeds", "sequences", "seeds", "undefined", "reason"),
        *("p_holm", "p_sequences_holm", "p_seeds_holm", "rank"),
    ),
    "curves.csv": (
        *("model", "method", "operator", "quantity", "order", "fraction"),
        *("mean", "low", "high", "sequences", "seeds"),
    ),
    "training.csv": ("model", "seed", "epoch"),
    "cost.csv": (
        *("model", "seed", "method", "forwards", "backwards", "seconds", "sequences"),
        *("completeness_error", "difference", "flat"),
    ),
    "selftest.csv": (
        *("model", "metric", "operator", "oracle_over_random", "random_over_negated"),
        *("blurred_not_over_oracle", "passed", "reason"),
    ),
    "operators.csv": (
        *("model", "operator", "quantity", "fraction"),
        *("mean", "low", "high", "sequences", "seeds"),
    ),
    "rankings.csv": ("model", "metric", "operator", "other", "tau", "methods"),
    "agreement.csv": (
        *("model", "method", "other", "measure"),
        *("mean", "low", "high", "sequences", "seeds"),
    ),
    "tests.csv": (
        *("question", "model", "other", "method", "metric", "operator", "seed", "test"),
        *("population", "statistic", "p", "p_corrected", "correction", "pairs", "smallest"),
        *("effect", "delta", "reason"),
    ),
    "ranks.csv": (
        *("model", "metric", "operator", "method", "mean_rank", "critical_difference"),
        *("p_friedman", "blocks", "best", "reason"),
    ),
    "variance.csv": (
        *("model", "method", "metric", "operator", "component", "variance", "share", "reason"),
    ),
    "detectable.csv": (
        *("model", "other", "method", "metric", "operator", "question", "population"),
        *("n", "spread", "detectable", "reason"),
    ),
    "classification.csv": (
        *("question", "model", "other", "metric", "mean", "low", "high"),
        *("sequences_low", "sequences_high", "sequences", "seeds", "reason"),
    ),
    "predictions.parquet": ("model", "seed", "sequence", "label"),
    "claims.csv": (
        *("claim", "published", "quantity", "mean", "low", "high", "seeds", "sequences", "test"),
        *("p", "p_holm", "verdict", "rule", "caveat"),
    ),
}
"""What each table must have; it may have more."""

LATER = (
    *("tests.csv", "ranks.csv", "variance.csv", "detectable.csv", "claims.csv"),
    *("classification.csv", "predictions.parquet"),
)
"""The tables that earlier runs lack: where one is missing it has no rows."""

SECTIONS = ("models", "attribution", "reports")
"""What a plan must hold for its run to be rendered, each a mapping of labels."""


@dataclass(frozen=True, slots=True, eq=False)
class Results:
    """One run, as its folder tells it (``docs/design.md``, "A run folder")."""

    plan: dict[str, Any]
    environment: dict[str, Any]
    records: pd.DataFrame
    estimates: pd.DataFrame
    curves: pd.DataFrame
    training: pd.DataFrame
    cost: pd.DataFrame
    selftest: pd.DataFrame
    operators: pd.DataFrame
    rankings: pd.DataFrame
    agreement: pd.DataFrame
    tests: pd.DataFrame
    ranks: pd.DataFrame
    variance: pd.DataFrame
    detectable: pd.DataFrame
    claims: pd.DataFrame
    classification: pd.DataFrame
    predictions: pd.DataFrame
    examples: list[dict[str, Any]]


def read(folder: Path) -> Results:
    """The results in a run folder; UsageError (one line) where it holds no run that can be read."""
    check(folder, COLUMNS)
    results = Results(
        plan=_plan(folder),
        environment=_content(folder, "environment.json", _json, dict),
        records=_table(folder, "results.parquet"),
        estimates=_table(folder, "estimates.csv"),
        curves=_table(folder, "curves.csv"),
        training=_table(folder, "training.csv"),
        cost=_table(folder, "cost.csv"),
        selftest=_table(folder, "selftest.csv"),
        operators=_table(folder, "operators.csv"),
        rankings=_table(folder, "rankings.csv"),
        agreement=_table(folder, "agreement.csv"),
        tests=_table(folder, "tests.csv"),
        ranks=_table(folder, "ranks.csv"),
        variance=_table(folder, "variance.csv"),
        detectable=_table(folder, "detectable.csv"),
        claims=_table(folder, "claims.csv"),
        classification=_table(folder, "classification.csv"),
        predictions=_table(folder, "predictions.parquet"),
        examples=_content(folder, "examples.json", _json, list),
    )
    _refuse_changed(folder)  # what cannot be read at all has said so in more words
    return results


def _refuse_changed(folder: Path) -> None:
    """Refuse a table that is not as its run wrote it.

    Of a run of 0.1.0, and of one that is unfinished, nothing is known.
    """
    try:
        known = dict(json.loads(files.read(folder / RENDERED))["digests"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return
    if (folder / BEGUN).is_file():
        return
    for name in (*COLUMNS, "examples.json"):
        path = folder / name
        if name in known and path.is_file() and files.digest(path) not in ("", known[name]):
            raise UsageError(
                f"{path}: is not as its run wrote it, damaged or edited: the command of the run "
                f"makes it again; to read it as it is, delete {folder / RENDERED}"
            )


def _plan(folder: Path) -> dict[str, Any]:
    plan: dict[str, Any] = _content(folder, "plan.yaml", _yaml, dict)
    for section in SECTIONS:
        found = plan.get(section)
        if not isinstance(found, dict):
            came = "no such key" if section not in plan else type(found).__name__
            wanted = f"wanted the plan of a run, with a mapping under {section!r}"
            raise UsageError(f"{folder / 'plan.yaml'}: {wanted}, got {came}")
    for report, options in plan["reports"].items():
        if not isinstance(options, dict) or not isinstance(options.get("use"), str):
            wanted = f"wanted use: NAME under reports.{report}"
            raise UsageError(f"{folder / 'plan.yaml'}: {wanted}, got {options!r}")
    return plan


def _content(folder: Path, name: str, parse: Callable[[Path], Any], kind: type) -> Any:
    path = folder / name
    try:
        content = parse(path)
    except FileNotFoundError as error:
        missing = f"{folder}: no run of xaibench here, {name} is missing{mend(folder)}"
        raise UsageError(missing) from error
    except Exception as error:
        # each reader has its own family of errors, and to a user they all say this
        raise UsageError(f"{path}: unreadable, {_one_line(error)}{mend(folder)}") from error
    if not isinstance(content, kind):
        came = type(content).__name__
        raise UsageError(f"{path}: wanted a {kind.__name__} at the top, got {came}")
    return content


def _table(folder: Path, name: str) -> pd.DataFrame:
    if name in LATER and not (folder / name).exists():
        return pd.DataFrame(columns=list(COLUMNS[name]))
    parse = _parquet if name.endswith(".parquet") else _csv
    table: pd.DataFrame = _content(folder, name, parse, pd.DataFrame)
    missing = [column for column in COLUMNS[name] if column not in table]
    if missing:
        wanted = f"wanted the column {missing[0]}, got {list(table)}{mend(folder)}"
        raise UsageError(f"{folder / name}: {wanted}")
    return table


def _parquet(path: Path) -> pd.DataFrame:
    return pd.read_parquet(BytesIO(files.read(path)))


def _csv(path: Path) -> pd.DataFrame:
    content = files.read(path)
    header = [str(column) for column in pd.read_csv(BytesIO(content), nrows=0)]
    return pd.read_csv(
        BytesIO(content),
        dtype={column: "str" for column in header if column in TEXT},
        na_values={column: ["", "nan", "NaN"] for column in header if column not in TEXT},
        keep_default_na=False,
    )


def _yaml(path: Path) -> Any:
    text = files.read(path).decode()
    check_text(text, "as YAML")
    return yaml.safe_load(text)


def _json(path: Path) -> Any:
    return json.loads(files.read(path))


def _one_line(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror  # the path stands before it
    return " ".join(str(error).split()) or type(error).__name__
