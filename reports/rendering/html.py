"""A document as one HTML file that asks nothing of the network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from ..content.document import Document
from ..figures.page import Figures
from ..figures.style import Style
from ..format.paths import without_folders
from ..web.assets import Assets
from ..web.templates import template


def html_of(
    document: Document,
    assets: Assets,
    *,
    figures: Mapping[str, Sequence[Figures]] | None = None,
    blocks: Mapping[str, Markup] | None = None,
    styles: Mapping[str, Style] | None = None,
) -> str:
    """The document with its ``figures`` and ready ``blocks`` of markup, by the names that sections
    give them; ``styles`` of methods draw the swatch beside their names."""
    figures, blocks = figures or {}, blocks or {}
    # a run without epochs or examples has nothing to draw in sections of figures alone
    drawn = {name for name, groups in (*figures.items(), *blocks.items()) if groups}
    shown = [
        section
        for section in document.sections
        if not section.figures_alone or drawn & {*section.figures}
    ]
    return template("page", _finalize).render(
        document=document,
        sections=shown,
        assets=assets,
        figures=figures,
        blocks=blocks,
        styles=styles or {},
        terms={term: meaning for section in shown for term, meaning in section.terms},
    )


def _finalize(value: Any) -> Any:
    """Whatever the template prints loses its absolute paths; what is already markup is ours."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return without_folders(value)
    return value
