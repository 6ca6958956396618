"""Figures of what stands behind the leaderboard: operators, and ranks over sequences."""

from __future__ import annotations

import numpy as np
import pandas as pd

from xaibench.plan.primary import PRIMARY
from xaibench.results.reading import Results

from ..format.select import methods_of, models_of, operator_of, operators_of
from .chart import Axis, Band, Entry, Line, Mark, Name, chart, limits_of
from .panels import Panel, short
from .style import Style, styles

QUANTITIES = {
    "log_likelihood": "change in nats a base",
    "confidence": "change of confidence",
}
"""What an operator changes -> what its axis says."""


def operator_panels(results: Results) -> list[Panel]:
    """For the data and for each model, what every operator changes as more is replaced."""
    rows = results.operators
    # operators are not methods, and take the colours anew
    style = styles(operators_of(results))
    return [
        _operator_panel(str(model), str(quantity), own, style)
        for (quantity, model), own in rows.groupby(["quantity", "model"], sort=False)
    ]


def _operator_panel(
    model: str, quantity: str, rows: pd.DataFrame, style: dict[str, Style]
) -> Panel:
    entries: list[Entry] = []
    last: dict[str, float] = {}
    for operator, own in rows.groupby("operator", sort=False):
        curve = own.sort_values("fraction")
        at, mean, low, high = (
            np.concatenate([[0.0], curve[name].to_numpy(float)])
            for name in ("fraction", "mean", "low", "high")
        )
        look = style.get(str(operator), Style("", ""))
        entries += [Band(at, low, high, look, 0.1), Line(at, mean, look)]
        last[str(operator)] = float(mean.mean())
    falling = sorted(last, key=lambda operator: -last[operator])
    names = [Name(short(operator), style.get(operator, Style("", ""))) for operator in falling]
    words = QUANTITIES.get(quantity, quantity.replace("_", " "))
    y = Axis(words, limits_of(np.append(rows[["low", "high"]].to_numpy(float).ravel(), 0.0)))
    drawing = chart(Axis("share replaced at random", (0.0, 1.0)), y, entries, names)
    alt = f"{words} under {', '.join(last)} as positions are replaced at random"
    return Panel(model or "the data", drawing, f"{alt}, on {model}" if model else alt)


def rank_panels(results: Results) -> list[Panel]:
    """For each model, the methods by their mean rank over sequences, with half the critical
    difference (Nemenyi) to both sides: methods whose lines do not meet are told apart."""
    rows = results.ranks
    rows = rows[(rows["metric"] == PRIMARY) & (rows["operator"] == operator_of(results))]
    found = ((model, rows[rows["model"] == model]) for model in models_of(results))
    return [
        _rank_panel(results, model, own)
        for model, own in found
        if own["mean_rank"].notna().any() and own["critical_difference"].notna().any()
    ]


def _rank_panel(results: Results, model: str, rows: pd.DataFrame) -> Panel:
    style = styles(methods_of(results))
    rows = rows[rows["mean_rank"].notna()].sort_values("mean_rank", kind="stable")
    half = float(rows["critical_difference"].max()) / 2
    entries: list[Entry] = []
    for place, (method, rank) in enumerate(zip(rows["method"], rows["mean_rank"], strict=True)):
        ends, at = np.array([rank - half, rank + half]), np.array([place, place], float)
        own = style.get(method, Style("", ""))
        entries += [Line(ends, at, own, 3.0, 0.5, solid=True), Mark(float(rank), place, own)]
    words = tuple(short(method) for method in rows["method"])
    y = Axis("", (len(rows) - 0.4, -0.6), words=words)
    ranks = rows["mean_rank"].to_numpy(float)
    x = Axis(
        "mean rank over sequences, best left", limits_of(np.append(ranks - half, ranks + half))
    )
    drawing = chart(x, y, entries, height=62 + 20 * len(rows))
    said = ", ".join(f"{name} {rank:.2f}" for name, rank in zip(words, ranks, strict=True))
    return Panel(
        model, drawing, f"Mean ranks on {model}, critical difference {2 * half:.2f}: {said}"
    )
