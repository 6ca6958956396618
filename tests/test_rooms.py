"""The rooms of docs/design.md: who may import whom."""

import ast
import re
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path
from pkgutil import resolve_name

import pytest

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "design.md").read_text()
TABLE = PAGE.partition("## The house")[2]
STOPS = PAGE.partition("## How one sequence becomes a number")[2].partition("\n## ")[0]
ROWS = [
    ([name.rstrip("/") for name in re.findall(r"`([a-z_]+)/?`", rooms)], allowed)
    for rooms, _, allowed in re.findall(
        r"^\| (`[^|]*) \| ([^|]*) \| ([^|]*) ?\|$", TABLE, re.MULTILINE
    )
]
ORDER = [room for rooms, _ in ROWS for room in rooms]
BESIDE = ["models", "attribution", "reports"]


def room_of(module: str) -> str:
    return module.split(".")[1]


@cache
def imports() -> set[tuple[str, str]]:
    """Pairs of rooms, of which the first imports from the second."""
    pairs = set()
    for top in ["xaibench", *BESIDE]:
        for path in (ROOT / top).rglob("*.py"):
            inside = path.relative_to(ROOT / top).with_suffix("").parts[0]
            room = inside if top == "xaibench" else top
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.ImportFrom) and node.level == 0:
                    names = [f"{node.module}.{alias.name}" for alias in node.names]
                elif isinstance(node, ast.Import):
                    names = [alias.name for alias in node.names]
                else:
                    continue
                pairs |= {(room, room_of(name)) for name in names if name.startswith("xaibench.")}
    return {(room, other) for room, other in pairs if room != other and other[0] != "_"}


def permitted(allowed: str, place: int) -> set[str]:
    """The rooms that a cell of the last column names."""
    named = set(re.findall(r"`([a-z_]+)`", allowed))
    if not allowed.startswith("all"):
        return named
    return set(ORDER if allowed.strip() == "all" else ORDER[place + 1 :]) - named


def test_the_page_names_every_room():
    rooms = {path.stem for path in (ROOT / "xaibench").iterdir() if path.name[0] not in "_."}
    assert set(ORDER) == (rooms - {"py"}) | set(BESIDE)


@pytest.mark.parametrize(("rooms", "allowed"), ROWS, ids=[" ".join(rooms) for rooms, _ in ROWS])
def test_a_room_is_imported_only_by_those_that_may(rooms, allowed):
    may = permitted(allowed, ORDER.index(rooms[-1])) | set(rooms)
    importing = {room for room, other in imports() if other in rooms and room[0] != "_"}
    assert importing <= may


def test_no_circle_leads_from_room_to_room():
    graph: dict[str, set[str]] = {}
    for room, other in imports():
        graph.setdefault(room, set()).add(other)
    assert list(TopologicalSorter(graph).static_order())


def test_about_ten_files_are_loose():
    assert len(list((ROOT / "xaibench").glob("*.py"))) <= 10


def test_a_sequence_becomes_a_number_by_at_most_twenty_stops_that_exist():
    stops = re.findall(r"^\d+\. `([\w.]+)`", STOPS, re.MULTILINE)
    assert 10 < len(stops) <= 20
    files = {".csv", ".parquet"}
    named = re.findall(r"`([a-z_]+(?:\.\w+)+)`", STOPS)
    for name in (name for name in named if Path(name).suffix not in files):
        assert resolve_name(f"xaibench.{name}")
