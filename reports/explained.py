"""Explanations for the eye, as formats of an export: logos as files, and a page of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from xaibench.dna.encoding import LETTERS, lengths
from xaibench.export.values import Blocks, Explanations, Written, spans
from xaibench.storage.files import write_file
from xaibench.terminal import visible

from .figures.window import fullest_window

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from .figures.logo import Logo

LONGEST_LOGO = 600
"""Positions of a sequence that are drawn; of a longer one those with the largest scores."""

PER_LINE = 100
"""Positions on a line of a sheet: more would be too small to read in print."""

_LETTERS_OF_A_PAGE = 40_000
"""Each takes about 50 bytes."""

PositiveCount = Annotated[int, Field(ge=1)]


@dataclass(frozen=True, slots=True)
class Shown:
    """One sequence to be drawn: ``letters`` and ``scores`` of the positions from ``start`` on."""

    number: int
    name: str
    place: str
    target: str
    predicted: str
    output: str
    start: int
    length: int
    letters: str
    scores: NDArray[np.float64]

    @property
    def end(self) -> int:
        return self.start + len(self.letters)

    @property
    def largest(self) -> str:
        """The largest absolute score of those that are drawn."""
        return f"{float(np.abs(self.scores).max(initial=0.0)):.3g}"

    @property
    def title(self) -> str:
        """Target and prediction in a line."""
        predicted = f", predicted {self.predicted}" if self.predicted else ""
        return f"{self.name}: {self.target}{predicted}"


def logos(blocks: Blocks, folder: Path, *, most: PositiveCount = 20) -> Written:
    """``logos/``: an SVG and a PNG of the first sequences, ``most`` of them, letters as high as
    their scores."""
    from .figures.panel import saved

    written = []
    (folder / "logos").mkdir(exist_ok=True)
    for shown in islice(_shown(blocks), most):
        name = f"{shown.number:03d}-{_file_name(shown.name)}"
        for kind, content in saved(sheet(shown), ("svg", "png")).items():
            path = folder / "logos" / f"{name}.{kind}"
            write_file(path, content)
            written.append(path)
    return Written(tuple(written), _left_out(blocks, len(written) // 2, "drawn"))


def page(blocks: Blocks, folder: Path, *, most: PositiveCount = 50) -> Written:
    """``explanations.html``: where the scores are from, and a logo of each of the first sequences,
    ``most`` of them; one file that asks nothing of the network."""
    from .figures.logo import HIGH, heights_of, logo
    from .web.assets import unscripted
    from .web.templates import template

    drawn: list[tuple[Shown, Logo]] = []
    letters = 0
    for shown in islice(_shown(blocks), most):
        letters += len(shown.letters)
        if drawn and letters > _LETTERS_OF_A_PAGE:
            break
        drawn.append((shown, logo(shown.letters, heights_of(shown.letters, shown.scores))))
    origin = next(iter(blocks)).origin
    path = folder / "explanations.html"
    text = template("explanations").render(
        document={"title": f"{origin.method} on {origin.model}"},
        assets=unscripted("report.css", "figures.css", "examples.css"),
        origin=origin,
        drawn=drawn,
        count=sum(map(len, blocks)),
        high=HIGH,
    )
    write_file(path, text)
    return Written((path,), _left_out(blocks, len(drawn), "on the page"))


def _left_out(blocks: Blocks, shown: int, where: str) -> tuple[str, ...]:
    count = sum(map(len, blocks))
    return (f"the first {shown} of {count:,} sequences are {where}",) if shown < count else ()


def _shown(blocks: Blocks) -> Iterator[Shown]:
    number = 0
    for block in blocks:
        placed = spans(block)
        for row in range(len(block)):
            number += 1
            yield _shown_row(block, row, number, placed=bool(placed[row]))


def _shown_row(block: Explanations, row: int, number: int, *, placed: bool) -> Shown:
    codes, names = block.sequences.codes[row], block.origin.target_names
    length = max(int(lengths(codes[None])[0]), 1)  # a sequence without a base is an N
    scores = np.where(codes < 4, block.scores[row], 0.0)[:length]
    start = fullest_window(np.abs(scores), min(LONGEST_LOGO, length))
    end = min(start + LONGEST_LOGO, length)
    target, where = int(block.targets[row]), block.sequences.intervals
    place = ""
    if placed and where is not None:
        strand = "+" if where.strands[row] > 0 else "-"
        place = f"{where.chromosomes[row]}:{where.starts[row]}-{where.ends[row]}({strand})"
    outputs = None if block.outputs is None else block.outputs[row]
    several = outputs is not None and len(outputs) > 1
    return Shown(
        number,
        visible(block.sequences.names[row]),
        visible(place),
        visible(names[target]),
        visible(names[int(outputs.argmax())]) if several and outputs is not None else "",
        "" if outputs is None else f"{float(outputs[target]):.4g}",
        start,
        length,
        "".join(LETTERS[code] for code in codes[start:end]),
        scores[start:end].astype(np.float64),
    )


def sheet(shown: Shown) -> Figure:
    """The logo of one sequence, ``PER_LINE`` positions on a line, all lines on one scale."""
    from .figures.canvas import Margins, add_axes, canvas, short, write
    from .figures.logo import heights_of
    from .figures.logo_files import EDGE, FOOT, HEAD, POSITION, ROW, draw_logo
    from .figures.style import GREY

    heights = heights_of(shown.letters, shown.scores)
    starts = range(0, max(len(shown.letters), 1), PER_LINE)
    across = min(PER_LINE, max(len(shown.letters), 20))
    width, height = 2 * EDGE + POSITION * across, HEAD + ROW * len(starts) + FOOT
    low, high = min(float(heights.min(initial=0.0)), 0.0), float(heights.max(initial=0.0))
    with canvas(width, height) as figure:
        write(figure, (EDGE, height - 14), short(shown.title, 100), fontweight="bold")
        for line, start in enumerate(starts):
            top = HEAD + ROW * line
            axes = add_axes(figure, Margins(EDGE, top + 2, EDGE, height - top - ROW + 14))
            part = slice(start, start + PER_LINE)
            draw_logo(axes, shown.letters[part], heights[part], shown.start + start)
            first = shown.start + start
            axes.set(xlim=(first - 0.5, first + across - 0.5), ylim=(low, max(high, 0.05)))
            last = first + len(shown.letters[part])
            axes.set_xticks([at for at in range(first, last) if at % 20 == 0])
            axes.tick_params(axis="x", length=0)
        label = f"position, counted from 0; the highest letter is {shown.largest}"
        write(figure, (width / 2, 8), label, ha="center", color=GREY)
    return figure


def logo_figure(explanations: Explanations, row: int) -> Figure:
    """The logo of the sequence in a row."""
    placed = bool(spans(explanations)[row])
    return sheet(_shown_row(explanations, row, row + 1, placed=placed))


def _file_name(name: str) -> str:
    """A name of a file that every system takes.

    >>> _file_name("chr1:5-9(+)/x")
    'chr1-5-9-x'
    """
    return re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")[:60] or "sequence"
