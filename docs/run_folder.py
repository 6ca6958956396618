"""Write the tables of ``run-folder.md`` anew from ``xaibench.results.schema``.

    python docs/run_folder.py

What stands between them is written by hand.
"""

import re
from pathlib import Path

from xaibench.results.columns import TableSchema
from xaibench.results.schema import HEAD_TABLES, TABLES

PAGE = Path(__file__).with_name("run-folder.md")
HEADER = ("column", "type", "unit or range", "meaning", "empty when")


def markdown(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A Markdown table, with a line break at its end."""
    lines = [f"| {' | '.join(row)} |" for row in (header, *rows)]
    return "\n".join([lines[0], "|---" * len(header) + "|", *lines[1:], ""])


def columns(table: TableSchema) -> str:
    """The columns of one table, a row each."""
    rows = [
        (f"`{each.name}`", str(each.kind), each.unit, each.meaning, each.empty)
        for each in table.columns
    ]
    return markdown(HEADER, rows)


def renewed(page: str) -> str:
    """The page with what the schema says of each table."""
    for table in (*TABLES, *HEAD_TABLES):
        line = f"| `{table.file}` | {table.holds} | {table.row} |"
        page = _replaced(rf"^\| `{re.escape(table.file)}` \|.*$", line, page)
        before, heading, section = page.partition(f"\n## `{table.file}`\n")
        if not heading:
            raise SystemExit(f"{PAGE.name}: expected a section about {table.file}, got none")
        page = before + heading + _replaced(r"(^\|.*\n)+", columns(table), section)
    return page


def _replaced(pattern: str, new: str, text: str) -> str:
    """With ``new`` in place of the first match."""
    return re.sub(pattern, lambda _: new, text, count=1, flags=re.MULTILINE)


if __name__ == "__main__":
    PAGE.write_text(renewed(PAGE.read_text()))
