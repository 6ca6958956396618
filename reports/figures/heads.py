"""Attention heads: how each goes with a track, and what a model loses without them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from xaibench.explanation.controls import RANDOM

from ..format.heads import by_trained, by_trained_model
from .canvas import (
    AIR,
    PANEL_WIDTH,
    Axis,
    Margins,
    Numbers,
    add_axes,
    canvas,
    draw_line,
    draw_names,
    elided,
    height_for,
    limits_of,
    plain_axes,
    room_for,
    short,
    width_of,
    write,
)
from .curves import Curve, curves_figure
from .heat import CELL, ROW, draw_cells
from .page import Figures
from .panel import Panel, saved
from .style import GREY, INK, Style, styles

ABOVE, BELOW = 44.0, 26.0
"""Pixels of the title and the heads' numbers, and of the legend."""

MOST_MAPS = 24
"""Maps on a page, of the tracks that most heads follow: each is up to 20 kB."""

MOST_CURVES = 36
"""Panels of curves on a page."""

CERTAIN = 12.0
"""Powers of ten of q beyond which a volcano goes no higher."""

MOST_NAMES = 16
"""Tracks that a legend names."""

_LINE = Style(GREY, "4 2")
_ABLATED = {"chosen": Style(INK), "least associated": Style("#0072b2", "5 2", 0), RANDOM: _LINE}


def head_figures(associations: pd.DataFrame) -> dict[str, bytes]:
    """SVG, PDF and PNG of each track on each trained model, by the names of their files; the rows
    are those of ``heads.csv``."""
    files: dict[str, bytes] = {}
    trained = associations.groupby(["model", "state", "replicate", "track"], sort=False)
    for number, ((model, state, replicate, track), rows) in enumerate(trained, start=1):
        figure = head_map(rows, f"{track}: {model}, {state}, {replicate}")
        files |= {f"head_map_{number}.{kind}": each for kind, each in saved(figure).items()}
    return files


def head_map(rows: pd.DataFrame, title: str) -> Figure:
    """The mean correlation of every head with one track; framed where it is associated."""
    means, associated = (
        rows.pivot(index="layer", columns="head", values=name) for name in ("mean", "associated")
    )
    left = width_of("layer 00") + 2 * AIR
    across, down = CELL * means.shape[1], ROW * means.shape[0]
    legend = "mean rank correlation; framed: q < 0.05"
    width = max(left + across, left + width_of(legend), width_of(title)) + 2 * AIR
    with canvas(width, ABOVE + down + BELOW) as figure:
        axes = add_axes(figure, Margins(left, ABOVE, width - left - across, BELOW))
        draw_cells(axes, means)
        for row, column in np.argwhere(associated.to_numpy(bool)).tolist():
            axes.add_patch(Rectangle((column, row), 1, 1, fill=False, edgecolor=INK, linewidth=1.5))
        box = axes.get_window_extent()
        write(figure, (AIR, box.y1 + 26), elided(title, 60))
        write(figure, (left, 8), legend)
        for place, layer in enumerate(means.index):
            write(figure, (left - AIR, box.y1 - ROW * (place + 0.5)), f"layer {layer}", ha="right")
        for place, head in enumerate(means.columns):
            write(figure, (left + CELL * (place + 0.5), box.y1 + 8), str(head), ha="center")
    return figure


def head_panels(associations: pd.DataFrame, ablations: pd.DataFrame) -> dict[str, list[Figures]]:
    """The figures of the page of heads, by its section."""
    return {
        "maps": _maps(associations),
        "volcano": [Figures("", tuple(_volcanoes(associations)), note=VOLCANO)],
        "change": _changes(associations),
        "ablation": _ablations(ablations) if len(ablations) else [],
    }


VOLCANO = (
    "A dot per head and track; in colour where associated, above the dashed line (q = 0.05) in "
    f"both nulls. The larger q of both is shown, at {CERTAIN:.0f} powers of ten at the most."
)
BANDS = (
    "The mean over replicates. Grey: random sets with as many heads in each layer, their mean, and "
    "from the one that loses most to the one that loses least."
)


def _maps(associations: pd.DataFrame) -> list[Figures]:
    """Of the tracks that a head follows, those that most do; in the order of the table."""
    every = [
        (int(rows["associated"].sum()), name, str(track), rows)
        for name, own in by_trained(associations)
        for track, rows in own.groupby("track", sort=False)
    ]
    counts = sorted((count for count, *_ in every), reverse=True)
    least = max(counts[:MOST_MAPS][-1], 1)
    panels: list[Panel] = []
    for count, name, track, rows in every:
        if count >= least and len(panels) < MOST_MAPS:
            alt = f"How each head of {name} goes with {track}: {count} of {len(rows)} follow it"
            panels.append(Panel(name, "", head_map(rows, f"{short(track)}: {name}"), alt))
    left = len(every) - len(panels)
    note = f"{left} more maps are in the files head_map_*.svg." if left else ""
    return [Figures("", tuple(panels), note=note)]


def _volcanoes(associations: pd.DataFrame) -> Iterator[Panel]:
    """A panel per trained model, effect against certainty."""
    style = styles(list(dict.fromkeys(map(str, associations["track"]))))
    x = Axis("mean rank correlation", limits_of(associations["mean"]))
    for name, rows in by_trained(associations):
        # a track that is the same in all sequences has no exchange
        q = np.fmax(rows["q_shift"].to_numpy(float), rows["q_exchange"].to_numpy(float))
        with np.errstate(divide="ignore"):
            height = np.minimum(-np.log10(q), CERTAIN)
        associated = rows["associated"].to_numpy(bool)
        tracks = rows["track"].to_numpy(str)
        names = [track for track in style if (associated & (tracks == track)).any()][:MOST_NAMES]
        with canvas(PANEL_WIDTH, height_for(names, 250)) as figure:
            y = Axis("\u2212log10 of q", (0.0, CERTAIN + 0.5))
            axes = plain_axes(figure, x, y, right=room_for(names))
            at = rows["mean"].to_numpy(float)
            _dots(axes, at[~associated], height[~associated], GREY)
            for track in set(tracks[associated]):
                own = associated & (tracks == track)
                _dots(axes, at[own], height[own], style[track].colour)
            level = np.full(2, -np.log10(0.05))
            draw_line(axes, np.array(x.limits), level, _LINE, linewidth=1.0)
            draw_names(figure, axes, {name: Style(style[name].colour) for name in names})
        alt = f"Associations of {name}: {associated.sum()} of {len(rows)} heads and tracks"
        yield Panel(name, name, figure, alt)


def _dots(axes: Axes, x: Numbers, y: Numbers, colour: str) -> None:
    look: dict[str, Any] = {"markerfacecolor": colour, "markeredgewidth": 0.0, "linestyle": ""}
    axes.add_artist(Line2D(x, y, marker="o", markersize=4, **look)).set_clip_on(False)


def _changes(associations: pd.DataFrame) -> list[Figures]:
    """Of models in several states: the share of heads that follow each track, state by state."""
    if "state" not in associations:
        return []
    style = styles(list(dict.fromkeys(map(str, associations["track"]))))
    panels = []
    for model, rows in associations.groupby("model", sort=False):
        states = list(dict.fromkeys(rows["state"].astype(str)))
        if len(states) < 2:
            continue
        shares = rows.groupby(["track", "state"], sort=False)["associated"].mean().unstack()[states]
        names = [str(track) for track in shares.max(axis=1).nlargest(MOST_NAMES).index]
        with canvas(PANEL_WIDTH, height_for(names, 250)) as figure:
            x, y = Axis("state", (0.0, len(states) - 1)), Axis("share of heads", (0.0, 1.0))
            axes = plain_axes(figure, x, y, right=room_for(names))
            axes.set_xticks(range(len(states)), [short(state, 14) for state in states])
            for name in names:
                along = np.arange(len(states), dtype=float)
                draw_line(axes, along, shares.loc[name].to_numpy(float), style[name])
            draw_names(figure, axes, {name: style[name] for name in names})
        alt = f"Share of the heads of {model} that follow a track: {', '.join(states)}"
        panels.append(Panel(str(model), str(model), figure, alt))
    return [Figures("", tuple(panels))] if panels else []


def _ablations(ablations: pd.DataFrame) -> list[Figures]:
    """A group per measure and choice of heads, accuracy and strength first and open."""
    groups: list[Figures] = []
    count, left_out = 0, []
    for by in dict.fromkeys(ablations.loc[ablations["by"] != "", "by"]):
        for measure in ("accuracy", "auroc", "logit_difference"):
            panels = tuple(_ablation_panels(ablations, measure, str(by)))
            count += len(panels)
            title = f"{measure.replace('_', ' ').capitalize()}, heads by {by}"
            if panels and (not groups or count <= MOST_CURVES):
                groups.append(Figures(title, panels, folded=bool(groups), note=BANDS))
            elif panels:
                left_out.append(title)
    if left_out:
        more = f"{BANDS} Not drawn, but in ablations.csv: {'; '.join(left_out).lower()}."
        groups[0] = replace(groups[0], note=more)
    return groups


def _ablation_panels(ablations: pd.DataFrame, measure: str, by: str) -> Iterator[Panel]:
    known = ablations[ablations[measure].notna()]
    y = Axis(measure.replace("_", " "), limits_of(known[measure]))
    for name, own in by_trained_model(known):
        intact = float(own.loc[own["set"] == "intact", measure].mean())
        for track, rows in own[own["by"] == by].groupby("track", sort=False):
            curves = {
                RANDOM if which == "random" else str(which): _lost(part, measure, intact)
                for which, part in rows.groupby("set", sort=False)
            }
            end = float(rows["share"].max())
            x = "share of the heads taken out"
            figure = curves_figure(curves, _ABLATED, x=x, y=y, bands=False, end=end)
            alt = f"{y.label.capitalize()} of {name} without the heads that follow {track}"
            yield Panel(name, f"{track}: {name}", figure, alt)


def _lost(rows: pd.DataFrame, measure: str, intact: float) -> Curve:
    """By share: the mean, and of several draws the least and the most, means over replicates."""
    of_draws = rows.groupby(["share", "replicate"])[measure].agg(["mean", "min", "max"])
    means = of_draws.groupby("share").mean()
    means.loc[0.0] = intact
    means = means.sort_index()
    return (means.index.to_numpy(float), *(means[name].to_numpy(float) for name in means))
