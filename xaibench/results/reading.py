"""What a run folder holds, read back for a report."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, make_dataclass, replace
from functools import partial
from io import BytesIO
from os.path import lexists
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from xaibench.errors import UsageError, shortened
from xaibench.plan.bounds import PARSERS, check_counts, check_text
from xaibench.storage import files

from .columns import TableSchema, problem
from .compatibility import BEGUN, RENDERED, check_run_folder, hint
from .environment import check_types
from .joining import rows_joined
from .schema import OF_FILE, OF_NAME, TABLES

SECTIONS = ("models", "attribution", "reports")
"""What a plan must hold for its run to be rendered, each a mapping of labels."""

MOST_ROWS, ROWS_PER_BYTE, BYTES_PER_BYTE = 10**8, 100, 1000
"""Of a table in Parquet: what memory holds, and what no record packs into. A row of a real table
takes several bytes, and none that we wrote was packed into a hundredth."""

MOST_COLUMNS = 2000
"""Of a table in CSV."""


if TYPE_CHECKING:
    import pandas as pd
    from pyarrow.parquet import ParquetFile

    class _Tables:
        def __getattr__(self, name: str) -> pd.DataFrame: ...

else:
    # a field for each table, so that another table is another entry of the schema and no more
    _Tables = make_dataclass(
        "_Tables", [(table.name, "pd.DataFrame") for table in TABLES], frozen=True, eq=False
    )


@dataclass(frozen=True, eq=False)
class Results(_Tables):
    """One run, as its folder has it; each table of ``results.schema`` by its name."""

    plan: dict[str, Any]
    environment: dict[str, Any]
    examples: list[dict[str, Any]]

    def with_tables(self, **tables: pd.DataFrame) -> Results:
        """The same with other tables of these names."""
        changes: dict[str, Any] = dict(tables)
        return replace(self, **changes)


def read_results(folder: Path) -> Results:
    """The results in a run folder; UsageError (one line) where it holds no run that can be read."""
    with files.with_rights(folder):
        check_run_folder(folder, OF_FILE)
    results = Results(
        plan=_plan(folder),
        environment=_checked_json(folder, "environment.json", dict),
        examples=_checked_json(folder, "examples.json", list),
        **{table.name: _table(folder, table) for table in TABLES},
    )
    _reject_changed(folder)  # after what cannot be read at all, of which the message says more
    return results


OF_PUBLISHED = ("data", "version")
"""Columns that a table of estimates on its own may have besides: what the rows are about, and the
version of xaibench that made them."""


def read_estimates(path: Path) -> pd.DataFrame:
    """The estimates in a CSV file of their own, with the columns of the schema and perhaps those of
    ``OF_PUBLISHED``; ``dataset`` and what 0.1.0 did not have may be missing. UsageError where it
    holds no estimates."""
    table = OF_NAME["estimates"]
    parse = partial(_csv, texts=(*table.texts, *OF_PUBLISHED))
    frame: pd.DataFrame = _content(path.parent, path.name, parse, _frame_type())
    lacking: dict[str, str | float] = {"dataset": "", "p": math.nan, "p_holm": math.nan}
    for name, value in lacking.items():
        if name not in frame:
            frame[name] = value
    wrong = problem(table, frame.drop(columns=[*OF_PUBLISHED], errors="ignore"))
    if wrong:
        raise UsageError(f"{path}: expected a table of estimates with {wrong}")
    return frame


def _frame_type() -> type[pd.DataFrame]:
    import pandas as pd

    return pd.DataFrame


def _reject_changed(folder: Path) -> None:
    """Reject a table that is not as its run wrote it.

    Of a run of 0.1.0, and of one that is unfinished, nothing is known.
    """
    try:
        known = dict(json.loads(files.read_file(folder / RENDERED))["digests"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return
    if (folder / BEGUN).is_file():
        return
    for name in (*OF_FILE, "examples.json"):
        path = folder / name
        if name in known and path.is_file() and files.digest_of_file(path) not in ("", known[name]):
            raise UsageError(
                f"{path}: is not as its run wrote it, damaged or edited: the command of the run "
                f"makes it again; to read it as it is, delete {folder / RENDERED}"
            )


def _plan(folder: Path) -> dict[str, Any]:
    plan: dict[str, Any] = _content(folder, "plan.yaml", _yaml, dict)
    for section in SECTIONS:
        if not isinstance(plan.get(section), dict):
            got = type(plan[section]).__name__ if section in plan else "no such key"
            expected = f"expected the plan of a run, with a mapping under {section!r}"
            raise UsageError(f"{folder / 'plan.yaml'}: {expected}, got {got}{hint(folder)}")
    for report, options in plan["reports"].items():
        if not isinstance(options, dict) or not isinstance(options.get("use"), str):
            expected = f"expected use: NAME under reports.{report}"
            got = f"{shortened(repr(options))}{hint(folder)}"
            raise UsageError(f"{folder / 'plan.yaml'}: {expected}, got {got}")
    _check_counts(folder / "plan.yaml", plan)
    return plan


def _check_counts(path: Path, plan: dict[str, Any]) -> None:
    """Reject a plan that no run can have had, before pages are made of its seeds and labels."""
    models, seeds, operators = plan["models"], plan.get("seeds"), plan.get("operators")
    try:
        check_counts(
            [use.get("seeds") if isinstance(use, dict) else None for use in models.values()],
            seeds=len(seeds) if isinstance(seeds, list) else 1,
            methods=len(plan["attribution"]),
            operators=len(operators) if isinstance(operators, dict) else 1,
        )
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from None


def _content(folder: Path, name: str, parse: Callable[[Path], Any], kind: type) -> Any:
    path = folder / name
    try:
        content = parse(path)
    except FileNotFoundError as error:
        # every run begins with its plan
        advice = "; expected the folder of a run" if name == "plan.yaml" else hint(folder)
        missing = f"{folder}: no run of xaibench here, {name} is missing{advice}"
        raise UsageError(missing) from error
    except Exception as error:
        # each reader has its own family of errors, and to a user they all mean this
        raise UsageError(f"{path}: unreadable, {_one_line(error)}{hint(folder)}") from error
    if not isinstance(content, kind):
        got = type(content).__name__
        expected = f"expected a {kind.__name__} at the top, got {got}"
        raise UsageError(f"{path}: {expected}{hint(folder)}")
    return content


def _checked_json(folder: Path, name: str, kind: type) -> Any:
    content = _content(folder, name, _json, kind)
    try:
        check_types(name, content)
    except UsageError as error:
        raise UsageError(f"{folder / name}: {error}{hint(folder)}") from None
    return content


def _table(folder: Path, table: TableSchema) -> pd.DataFrame:
    """A table with the columns of the schema; without rows where a later one is missing."""
    path = folder / table.file
    if table.later and not lexists(path):
        import pandas as pd

        return pd.DataFrame(columns=table.names)
    parse = _parquet if table.file.endswith(".parquet") else partial(_csv, texts=table.texts)
    frame: pd.DataFrame = _content(folder, table.file, parse, _frame_type())
    wrong = problem(table, frame)
    if wrong:
        raise UsageError(f"{path}: expected {wrong}{hint(folder)}")
    return frame


def _parquet(path: Path) -> pd.DataFrame:
    """As pandas reads it, a row group at a time: a table of ten million rows has many copies in
    memory where it is read at once."""
    import pyarrow as pa
    from pyarrow.parquet import ParquetFile

    content = files.read_or_map(path)
    file = ParquetFile(pa.BufferReader(pa.py_buffer(content)))
    known = file.metadata
    groups = range(known.num_row_groups)
    unpacked = sum(known.row_group(group).total_byte_size for group in groups)
    most = min(MOST_ROWS, ROWS_PER_BYTE * len(content))
    if known.num_rows > most or unpacked > BYTES_PER_BYTE * len(content):
        raise ValueError(
            f"expected at most {most:,} rows in {len(content):,} bytes, got {known.num_rows:,}"
        )
    if len(groups) < 2:
        whole: pd.DataFrame = file.read().to_pandas()
        return whole
    table = rows_joined(_row_groups(file))
    pa.default_memory_pool().release_unused()
    return table


def _row_groups(file: ParquetFile) -> Iterator[pd.DataFrame]:
    """One after another; what Arrow keeps of each for later is given back."""
    import pyarrow as pa

    for group in range(file.metadata.num_row_groups):
        yield file.read_row_group(group).to_pandas()
        pa.default_memory_pool().release_unused()


def _csv(path: Path, texts: Collection[str]) -> pd.DataFrame:
    """``texts`` stay text, even one that says NA; elsewhere only NaN and nothing are NaN."""
    import pandas as pd

    content = files.read_file(path)
    columns = content.partition(b"\n")[0].count(b",") + 1
    if columns > MOST_COLUMNS:  # pandas takes the square of their number
        raise ValueError(f"expected at most {MOST_COLUMNS:,} columns, got {columns:,}")
    header = [str(column) for column in pd.read_csv(BytesIO(content), nrows=0)]
    return pd.read_csv(
        BytesIO(content),
        dtype={column: "str" for column in header if column in texts},
        na_values={column: ["", "nan", "NaN"] for column in header if column not in texts},
        keep_default_na=False,
    )


def _yaml(path: Path) -> Any:
    text = files.read_file(path).decode()
    check_text(text, "as YAML")
    return yaml.load(text, PARSERS[0])  # safe ones, and no deeper than the one in C can


def _json(path: Path) -> Any:
    return json.loads(files.read_file(path))


def _one_line(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror  # the path stands before it
    return " ".join(str(error).split()) or type(error).__name__
