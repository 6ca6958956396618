"""Sets of genes in the format GMT: a line per set, its name, a description, and its genes."""

from __future__ import annotations

from pathlib import Path

from xaibench.errors import UsageError, message_of
from xaibench.plan.bounds import fault_of_name

from .content import text_stream


def is_gmt(path: Path) -> bool:
    """Whether a file holds sets of genes, by its name."""
    return ".gmt" in [suffix.lower() for suffix in path.suffixes]


def gene_sets(path: Path) -> dict[str, frozenset[str]]:
    """The genes of each set; UsageError, one line, where it is no GMT, or has a name twice."""
    sets: dict[str, frozenset[str]] = {}
    try:
        with text_stream(path) as text:
            for number, line in enumerate(text, start=1):
                if line.strip():
                    name, genes = _set_of(line, number)
                    if name in sets:
                        raise ValueError(f"line {number}: the set {name!r} is there already")
                    sets[name] = genes
    except (OSError, ValueError) as error:
        raise UsageError(
            f"{path.name}: cannot be read as GMT ({message_of(error)[:200]})"
        ) from None
    return sets


def _set_of(line: str, number: int) -> tuple[str, frozenset[str]]:
    name, *rest = (field.strip() for field in line.split("\t"))
    genes = frozenset(filter(None, rest[1:]))
    if not name or not genes:
        raise ValueError(
            f"line {number}: expected a name, a description and genes with tabs between, got "
            f"{line.strip()[:40]!r}"
        )
    if fault := fault_of_name(name):
        raise ValueError(f"line {number}: expected a name {fault}, got {name[:40]!a}")
    return name, genes
