"""A section per attention head: what it attends to on a sequence, its associations, a sentence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from xaibench.heads.summary import heads_of, named_head, sentence, strongest

from ..figures.logo import BASE, HIGH, Logo, heights_of, logo
from ..figures.window import fullest_window
from ..format.numbers import LEVEL, mean_and_interval, probability
from ..format.select import rows_of
from ..tables.table import Cell, Table, heads
from .templates import template

MOST_HEADS = 100
"""Sections of a page: each is about 15 kB."""

LONGEST = 200
"""Positions of a sequence that are drawn, those that the head attends to most."""

SHADES = 10
"""Steps of a track between its smallest and its largest value."""


@dataclass(frozen=True, slots=True)
class Shaded:
    """Positions in units of a logo where a track has one shade, in (0, 1]."""

    start: int
    width: int
    shade: float


@dataclass(frozen=True, slots=True)
class Picture:
    """A sequence from ``start`` on, letters as high as the head's score, and the track."""

    sequence: str
    track: str
    letters: str
    start: int
    logo: Logo
    shaded: tuple[Shaded, ...]


@dataclass(frozen=True, slots=True)
class HeadSection:
    """One head; without a picture where none was kept."""

    name: str
    text: str
    table: Table
    picture: Picture | None


def head_sections(
    associations: pd.DataFrame, examples: pd.DataFrame, sentences: Mapping[str, str]
) -> Markup:
    """The markup of the heads that follow a track, the strongest first; empty where none does.
    ``sentences`` by the names of heads stand in the place of that of the template."""
    pictures = {named_head(about): _picture(rows) for about, rows in _examples(examples)}
    with_tracks = [
        (about, rows) for about, rows in heads_of(associations) if rows["associated"].any()
    ]
    with_tracks.sort(key=lambda each: -float(strongest(each[1])["mean"].abs().iloc[0]))
    sections = []
    for about, rows in with_tracks[:MOST_HEADS]:
        name = named_head(about)
        text = sentences.get(name) or sentence(rows)
        sections.append(HeadSection(name, text, _table(rows), pictures.get(name)))
    if not sections:
        return Markup("")
    left_out = len(with_tracks) - len(sections)
    page = template("heads").render(
        sections=sections, left_out=left_out, base=BASE, high=HIGH, styles={}
    )
    return Markup(page)


def _examples(examples: pd.DataFrame) -> Iterator[tuple[dict[str, Any], pd.DataFrame]]:
    return heads_of(examples) if len(examples) else iter(())


def _table(rows: pd.DataFrame) -> Table:
    """The tracks of a head, the strongest first."""
    ordered = rows.sort_values("mean", key=abs, ascending=False)
    body = tuple(
        (
            Cell(str(row["track"])),
            Cell(mean_and_interval(row, 2)),
            Cell(probability(float(row["q_shift"])), note=str(row["reason"])),
            Cell(probability(float(row["q_exchange"])), note=str(row["reason"])),
            Cell("yes" if row["associated"] else "no"),
        )
        for row in rows_of(ordered)
    )
    header = ("Track", f"rho {LEVEL}", "q by shift", "q by exchange", "Associated")
    return Table("Its associations", heads(*header, prose=(0, 4)), body)


def _picture(rows: pd.DataFrame) -> Picture:
    example = rows.iloc[0]
    letters = str(example["letters"])
    scores = np.zeros(len(letters))
    for start, end, score in zip(
        example["starts"], example["ends"], example["scores"], strict=True
    ):
        scores[start:end] = np.maximum(scores[start:end], score)
    width = min(LONGEST, len(letters))
    first = fullest_window(np.abs(scores), width)
    shown = slice(first, first + width)
    values = np.array(example["values"], float)
    return Picture(
        str(example["sequence"]),
        str(example["track"]),
        letters[shown],
        first,
        logo(letters[shown], heights_of(letters[shown], scores[shown])),
        tuple(_shaded(_shades(values)[shown])),
    )


def _shades(values: Any) -> Any:
    """From 0, the smallest value of the sequence, to 1, the largest; 0 where it is not known."""
    low, high = np.nanmin(values), np.nanmax(values)
    if not high > low:
        return np.zeros(len(values))
    return np.nan_to_num(np.ceil((values - low) / (high - low) * SHADES) / SHADES)


def _shaded(shades: Any) -> Iterator[Shaded]:
    """Runs of one shade."""
    starts = np.flatnonzero(np.diff(shades, prepend=-1.0))
    ends = np.append(starts[1:], len(shades))
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        if shades[start] > 0:
            yield Shaded(BASE * start, BASE * (end - start), float(shades[start]))
