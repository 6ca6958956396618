"""The report's figures, for a notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xaibench.plugins.registry import load

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def figure_named(name: str, *what: Any) -> Figure:
    """The figure of this name, of ``xaibench.plots``: the reports draw it too."""
    figure: Figure = load("plots", name).call(*what)
    return figure
