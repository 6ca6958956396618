"""How fast and how steadily the models were trained, and what was masked."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from xaibench.analysis.convergence import Convergence, convergence
from xaibench.results.reading import Results

from ..format.numbers import ABSENT, LEVEL, interval_text, number
from ..format.select import models_of
from .table import Cell, Table, heads

CONVERGENCE = {
    "epochs_to_95": (f"Epochs to 95\N{NO-BREAK SPACE}% {LEVEL}, steps", 1),
    "epochs_to_99_of_final": (f"Epochs to 99\N{NO-BREAK SPACE}% of own final {LEVEL}, steps", 1),
    "area": (f"Area under the curve {LEVEL}", 4),
    "spread": (f"Spread, last epochs {LEVEL}", 4),
}
"""What is printed of a ``Convergence``: its head, and decimals."""


def converged(results: Results) -> Table | None:
    """How each model's validation accuracy rose; None where no epochs were recorded."""
    rows = results.training
    if rows.empty or "validation_accuracy" not in rows:
        return None
    header = ("Model", *(head for head, _ in CONVERGENCE.values()), "Spread between seeds", "Seeds")
    body = [
        _convergence_row(model, rows[rows["model"] == model])
        for model in models_of(results)
        if (rows["model"] == model).any()
    ]
    caption = "Validation accuracy while the models were trained"
    return Table(caption, heads(*header), tuple(body), folded=len(body) > 6)


def _convergence_row(model: str, rows: pd.DataFrame) -> tuple[Cell, ...]:
    """The mean over seeds of each measure; between seeds, the standard deviation."""
    histories = [seed.sort_values("epoch") for _, seed in rows.groupby("seed")]
    measured = [convergence(_epochs(history)) for history in histories]
    finals = np.array([history["validation_accuracy"].iloc[-1] for history in histories])
    between = float(finals.std(ddof=1)) if len(finals) > 1 else math.nan
    cells = [
        _mean_over_seeds(measured, name, decimals) for name, (_, decimals) in CONVERGENCE.items()
    ]
    return (
        Cell(model),
        *cells,
        Cell(number(between, 4), note="one seed"),
        Cell(str(len(measured))),
    )


def _epochs(history: pd.DataFrame) -> list[dict[str, float]]:
    rows: list[Any] = history.select_dtypes("number").to_dict("records")
    return rows


def _mean_over_seeds(measured: list[Convergence], name: str, decimals: int) -> Cell:
    """The mean over seeds with its interval by t, and how many seeds never got there."""
    # slow to import, and a run that resumes may render nothing
    from xaibench.statistics.paired import of_t

    every = np.array([getattr(each, name) for each in measured])
    known = every[~np.isnan(every)]
    if not len(known):
        return Cell(ABSENT, note="never reached, or too few epochs")
    most = 1.0 if name in ("area", "spread") else math.inf
    low, high = np.clip(of_t(known), 0, most)  # t over few seeds reaches beyond
    text = f"{number(float(known.mean()), decimals)} {interval_text(low, high, decimals)}".strip()
    steps = np.array([getattr(each, name.replace("epochs", "steps")) for each in measured])
    if name.startswith("epochs") and not np.isnan(steps).all():
        text += f", {number(float(np.nanmean(steps)), 0)}"
    missing = len(every) - len(known)
    return Cell(text + (f" (not {missing} of {len(every)})" if missing else ""))


def masked(results: Results) -> Table | None:
    """How much was masked in the last epoch, and how much of that was inside known motifs; None
    where nothing was masked."""
    rows = results.training
    if "masked" not in rows or not (rows["masked"] > 0).any():
        return None
    last = rows.sort_values("epoch").groupby(["model", "seed"], sort=False).tail(1)
    knows = last["masked_in_motif"].notna().any()
    body = []
    for model in models_of(results):
        own = last[(last["model"] == model) & (last["masked"] > 0)]
        if len(own):
            inside = own["masked_in_motif"].dropna().to_numpy(float)
            share = Cell(number(float(own["masked"].mean()), 3))
            body.append((Cell(model), share, *([_inside_motifs(inside)] if knows else [])))
    header = ("Model", "Share of positions masked", f"Of these inside motifs {LEVEL}")
    caption = "What was masked in the last epoch of training"
    share_of_all = results.environment["dataset"].get("inside_motif")
    if knows and share_of_all:
        caption += f"; of all positions {number(share_of_all, 4)} are inside motifs"
    return Table(caption, heads(*header[: 3 if knows else 2]), tuple(body))


def _inside_motifs(inside: np.ndarray) -> Cell:
    from xaibench.statistics.paired import of_t  # as above

    if not len(inside):
        return Cell(ABSENT, note="motif positions are not known")
    return Cell(f"{number(float(inside.mean()), 4)} {interval_text(*of_t(inside), 4)}".strip())
