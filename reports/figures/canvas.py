"""What every figure is drawn on: seaborn's quiet axes, the house font, margins, and names."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import matplotlib
import numpy as np
import seaborn
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.patches import Polygon
from matplotlib.textpath import text_to_path
from matplotlib.ticker import MaxNLocator, ScalarFormatter
from matplotlib.transforms import Affine2D, Transform
from numpy.typing import NDArray

from ..format.paths import without_folders
from .style import GREY, HAIR, INK, Style

Numbers = NDArray[np.float64]

SIZE = 11.0
"""Pixels of a letter's em. A figure has 72 to the inch, so that a pixel is a point of matplotlib;
files are as large on paper."""

PANEL_WIDTH = 460.0
LINE = 14.0
"""Pixels from one name to the next in a column of names."""

LONGEST_NAME = 24
"""Letters of a name in a figure; of a longer one the middle gives way."""

MISSING = "Glyph .* missing from"
"""How matplotlib warns of a letter that the house font has not; the font of a page may have it."""

SWATCH = 18.0
AIR = 6.0

SETTINGS: Any = {
    **seaborn.axes_style("ticks"),
    # DejaVu Sans comes with matplotlib, so that a figure is the same on every machine
    **{"font.family": ["sans-serif"], "font.sans-serif": ["DejaVu Sans"], "font.size": SIZE},
    **{"axes.labelsize": SIZE, "xtick.labelsize": SIZE, "ytick.labelsize": SIZE},
    **{"text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": GREY, "axes.linewidth": 0.8},
    **{
        "xtick.color": GREY,
        "ytick.color": GREY,
        "xtick.labelcolor": GREY,
        "ytick.labelcolor": GREY,
    },
    **{"axes.facecolor": "none", "figure.facecolor": "none", "grid.color": HAIR},
    **{"grid.linewidth": 0.6, "axes.spines.top": False, "axes.spines.right": False},
    **{"xtick.major.size": 3, "xtick.major.width": 0.8, "ytick.major.size": 0},
    **{"lines.scale_dashes": False, "lines.solid_capstyle": "butt", "text.parse_math": False},
    **{"svg.fonttype": "none", "svg.hashsalt": "xaibench", "pdf.fonttype": 42},
}


@contextmanager
def canvas(width: float, height: float) -> Iterator[Figure]:
    """An empty figure of so many pixels; the settings of matplotlib come back afterwards."""
    with matplotlib.rc_context(SETTINGS), warnings.catch_warnings():
        warnings.filterwarnings("ignore", MISSING)
        yield Figure(figsize=(width / 72, height / 72), dpi=72)


@dataclass(frozen=True, slots=True)
class Margins:
    """Pixels between the axes and the edges of their figure."""

    left: float = 12.0
    top: float = 10.0
    right: float = 12.0
    bottom: float = 40.0


def add_axes(figure: Figure, margins: Margins) -> Axes:
    width, height = (float(side) * 72 for side in figure.get_size_inches())
    across = width - margins.left - margins.right
    up = height - margins.top - margins.bottom
    box = (margins.left / width, margins.bottom / height, across / width, up / height)
    return figure.add_axes(box)


@dataclass(frozen=True, slots=True)
class Axis:
    """What an axis measures, and between which ends.

    ``whole``: no ticks between whole numbers. ``counts``: logarithmic beyond 1, and in proportion
    below, for counts that may be 0.
    """

    label: str
    limits: tuple[float, float]
    whole: bool = False
    counts: bool = False

    @property
    def ticks(self) -> tuple[list[float], list[str]]:
        """Round numbers between the ends, with as many digits as set them apart."""
        low, high = self.limits
        if self.counts:
            powers = [10.0**power for power in range(int(np.log10(max(high, 1))) + 1)]
            return [0.0, *powers], ["0", *(f"{power:,.0f}" for power in powers)]
        locator = MaxNLocator(5, steps=[1, 2, 2.5, 5, 10], integer=self.whole, min_n_ticks=2)
        near = 1e-9 * (high - low)
        ticks = [at for at in locator.tick_values(low, high) if low - near <= at <= high + near]
        formatter = ScalarFormatter(useOffset=False)
        formatter.set_scientific(False)
        formatter.create_dummy_axis()
        formatter.axis.set_view_interval(low, high)  # type: ignore[union-attr]
        formatter.axis.set_data_interval(low, high)  # type: ignore[union-attr]
        return ticks, formatter.format_ticks(ticks)


def plain_axes(figure: Figure, x: Axis, y: Axis, *, right: float = 12.0, top: float = 10.0) -> Axes:
    """Axes with labels and a fine grid, as wide as the numbers of ``y`` leave them."""
    at, numbers = y.ticks
    left = 22 + max(map(width_of, numbers), default=0.0) + AIR
    axes = add_axes(figure, Margins(left, top, right))
    if x.counts:
        axes.set_xscale("symlog", linthresh=1, linscale=0.5)
        axes.minorticks_off()
    axes.set(xlim=x.limits, ylim=y.limits)
    axes.set_yticks(at, numbers)
    axes.set_xticks(*x.ticks)
    axes.grid(axis="y")
    axes.set_axisbelow(True)
    box = axes.get_window_extent()
    across, up = (box.x0 + box.width / 2, 11.0), (11.0, box.y0 + box.height / 2)
    write(figure, across, _fitted(x.label, box.width), ha="center")
    label = _fitted(y.label, box.height)
    write(figure, up, label, ha="center", rotation=90, rotation_mode="anchor", va="center")
    return axes


def write(figure: Figure, at: tuple[float, float], text: str, **options: Any) -> None:
    """A text at a point of the figure, in pixels from its bottom left."""
    figure.text(*at, text, transform=pixels(figure), **{"va": "center_baseline", **options})


def pixels(figure: Figure) -> Transform:
    """From pixels of the figure to whatever it is saved with."""
    return Affine2D().scale(1 / 72) + figure.dpi_scale_trans


def _fitted(label: str, room: float) -> str:
    """A label, its middle left out where it is longer than its axis."""
    long = width_of(label)
    return label if long <= room else elided(label, int(len(label) * room / long))


def draw_line(axes: Axes, x: Numbers, y: Numbers, style: Style, **options: Any) -> None:
    """A line through what is known of ``y``."""
    known = np.isfinite(x) & np.isfinite(y)
    look = {"color": style.colour, "linestyle": style.line, "linewidth": 1.6, **options}
    # as an artist: axes whose limits are set need not look for those of what they hold
    axes.add_artist(Line2D(x[known], y[known], **look)).set_clip_on(False)


def draw_band(
    axes: Axes, x: Numbers, low: Numbers, high: Numbers, colour: str, shade: float
) -> None:
    """An interval around a line, where it is known."""
    known = np.isfinite(low) & np.isfinite(high)
    if known.any():
        along = np.concatenate([x[known], x[known][::-1]])
        edge = np.concatenate([high[known], low[known][::-1]])
        look: dict[str, Any] = {
            "facecolor": colour,
            "alpha": shade,
            "linewidth": 0,
            "clip_on": False,
        }
        band = Polygon(np.column_stack([along, edge]), zorder=1.5, **look)
        axes.add_artist(band).set_clip_on(False)


def draw_dot(axes: Axes, x: float, y: float, colour: str, *, hollow: bool = False) -> None:
    look: dict[str, Any] = {
        "markerfacecolor": "white" if hollow else colour,
        "markeredgecolor": colour,
    }
    dot = Line2D([x], [y], marker="o", markersize=6, markeredgewidth=1.2, linestyle="", **look)
    dot.set_zorder(3)
    axes.add_artist(dot).set_clip_on(False)


def draw_names(figure: Figure, axes: Axes, names: Mapping[str, Style]) -> None:
    """Swatches and names on the right of the axes, from the top down."""
    box = axes.get_window_extent()
    for place, (name, style) in enumerate(names.items()):
        down = box.y1 - 5 - LINE * place
        start = box.x1 + AIR + 2
        swatch = Line2D(
            [start, start + SWATCH - 2],
            [down, down],
            transform=pixels(figure),
            color=style.colour,
            linestyle=style.line,
            linewidth=2.2,
        )
        figure.add_artist(swatch)
        write(figure, (start + SWATCH + 3, down), short(name))


def room_for(names: Sequence[str]) -> float:
    """Pixels that a column of names with swatches takes on the right."""
    return max((width_of(short(name)) for name in names), default=0.0) + SWATCH + 3 * AIR


def height_for(names: Sequence[str], least: float) -> float:
    """Pixels of a figure that has a column of names."""
    return max(least, LINE * len(names) + 54)


def limits_of(values: Any) -> tuple[float, float]:
    """The ends of an axis that shows these values with a little air."""
    every = np.asarray(values, np.float64).ravel()
    known = every[np.isfinite(every)]
    if not len(known):
        return (0.0, 1.0)
    low, high = float(known.min()), float(known.max())
    air = 0.05 * (high - low) or 0.05 * max(abs(high), 1.0)
    return (low - air, high + air)


def short(name: str, most: int = LONGEST_NAME) -> str:
    """A name that fits into a figure, in one line, and tells no folder."""
    return elided(" ".join(without_folders(name).split()), most)


def elided(name: str, most: int) -> str:
    """A name that fits: its middle gives way.

    >>> elided("integrated_gradients_of_everything", 15)
    'integra…rything'
    """
    half = (most - 1) // 2
    return name if len(name) <= most else f"{name[:half]}…{name[-half:]}"


@lru_cache(maxsize=4096)
def width_of(text: str, size: float = SIZE) -> float:
    """Pixels that a text takes in the house font, which is wider than those of most pages.

    >>> width_of("ill") < width_of("sum")
    True
    """
    font = FontProperties(family="DejaVu Sans", size=size)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", MISSING)
        width, _, _ = text_to_path.get_text_width_height_descent(text, font, ismath=False)
    return float(width)


def spaced(desired: Sequence[float], ends: tuple[float, float], apart: float) -> list[float]:
    """Rising places as near to the ``desired`` (rising) ones as ``apart`` and the ends allow.

    Where there is too little room, places are closer, and evenly so.

    >>> spaced([5, 6, 20], (0, 30), 4)
    [5, 9, 20]
    """
    if len(desired) > 1:
        apart = min(apart, (ends[1] - ends[0]) / (len(desired) - 1))
    places: list[float] = []
    for number, place in enumerate(desired):
        least = places[-1] + apart if places else ends[0]
        most = ends[1] - apart * (len(desired) - 1 - number)
        places.append(min(max(place, least), most))
    return places
