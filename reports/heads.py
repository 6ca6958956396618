"""The page of attention heads, one file that asks nothing of the network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:
    from xaibench.heads.analysis import HeadTables


def heads_page(
    name: str, tables: HeadTables, claims: pd.DataFrame, sentences: Mapping[str, str]
) -> dict[str, str]:
    """``heads.html`` of the run of this ``name``; ``sentences``, by heads, of a language model."""
    from .content.heads import heads_document
    from .figures.heads import head_panels
    from .rendering.html import html_of
    from .web.assets import assets
    from .web.heads import head_sections

    page = html_of(
        heads_document(name, tables, claims),
        assets(),
        figures=head_panels(tables.associations, tables.ablations),
        blocks={"heads": head_sections(tables.associations, tables.examples, sentences)},
    )
    return {"heads.html": page}
