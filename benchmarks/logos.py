"""Sequence logos, ours against logomaker's, side by side in one run.

    pip install logomaker==0.8.7
    python benchmarks/logos.py [--logos 50] [--length 250] [--theirs 5] [--rounds 5]

The same random scores for all, half of them near 0 as in real maps. logomaker: one ``Logo`` of the
whole matrix (its constructor) on axes of its own, saved as SVG, for the first ``--theirs`` of the
sequences: it takes a second each. Ours, for a paper: the same axes
and the same saving. Ours, for the page: the SVG text that the report holds. CPU seconds, one
thread, the three interleaved, the first logo of each dropped; ratios are of seconds a logo.
"""

import argparse
import io
import statistics
import time
from collections.abc import Callable

import logomaker
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from xaibench.reports.figures.logo import heights_of, logo
from xaibench.reports.figures.logo_files import draw_logo

Given = tuple[str, np.ndarray]
"""The letters of a sequence and the score of each."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--logos", type=int, default=50)
    parser.add_argument("--length", type=int, default=250)
    parser.add_argument("--theirs", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    sequences = _sequences(given.logos, given.length)
    drawn = {
        "logomaker": (lambda each: _saved(each, _theirs), sequences[: given.theirs]),
        "ours, matplotlib": (lambda each: _saved(each, _ours), sequences),
        "ours, page": (_of_page, sequences),
    }
    for draw, own in drawn.values():
        draw(own[0])
    rounds = [[_seconds(*each) for each in drawn.values()] for _ in range(given.rounds)]
    print(f"{given.logos} logos of {given.length} nt, {given.rounds} rounds")
    for name, seconds in zip(drawn, zip(*rounds, strict=True), strict=True):
        ratios = sorted(each[0] / own for each, own in zip(rounds, seconds, strict=True))
        print(
            f"{name:<17} {statistics.median(seconds):.5f} CPU-s a logo (median), {given.logos}: "
            f"{given.logos * statistics.median(seconds):.2f} s; logomaker takes "
            f"{statistics.median(ratios):.1f} x ({ratios[0]:.1f} to {ratios[-1]:.1f})"
        )
    size = statistics.mean(len(_of_page(each)) for each in sequences)
    print(f"a logo of the page: {size / 1000:.1f} kB")


def _sequences(count: int, length: int) -> list[Given]:
    generator = np.random.default_rng(0)
    letters = np.array(list("ACGT"))
    found = []
    for _ in range(count):
        scores = generator.normal(size=length) * generator.gamma(0.3, size=length)
        found.append(("".join(letters[generator.integers(4, size=length)]), scores))
    return found


def _saved(given: Given, draw: Callable[[Axes, Given], None]) -> bytes:
    figure = Figure(figsize=(20, 1.5))
    draw(figure.add_subplot(), given)
    text = io.BytesIO()
    figure.savefig(text, format="svg")
    return text.getvalue()


def _theirs(axes: Axes, given: Given) -> None:
    letters, scores = given
    matrix = np.array(list(letters))[:, None] == np.array(list("ACGT"))
    logomaker.Logo(pd.DataFrame(matrix * scores[:, None], columns=list("ACGT")), ax=axes)


def _ours(axes: Axes, given: Given) -> None:
    letters, scores = given
    draw_logo(axes, letters, heights_of(letters, scores))


def _of_page(given: Given) -> str:
    letters, scores = given
    return "".join(logo(letters, heights_of(letters, scores)).paths.values())


def _seconds(draw: Callable[[Given], object], sequences: list[Given]) -> float:
    """Of one logo."""
    began = time.process_time()
    for each in sequences:
        draw(each)
    return (time.process_time() - began) / len(sequences)


if __name__ == "__main__":
    main()
