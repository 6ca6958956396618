"""The templates of the pages, all read in the same way."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from ..format.numbers import brief
from .terms import with_terms


@cache
def template(name: str, finalize: Callable[[Any], Any] | None = None) -> Template:
    """A file of ``templates/``; what it prints is escaped, after ``finalize`` has seen it."""
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        loader=PackageLoader("xaibench.reports"),
        finalize=finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["brief"] = brief
    environment.filters["with_terms"] = with_terms
    return environment.get_template(f"{name}.html.j2")
