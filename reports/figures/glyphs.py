"""The letters of DNA as outlines: drawn once, stretched to any height."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

WIDE = 100
"""Letters stand in a box of 100 x 100, the origin bottom left."""

OUTLINES: dict[str, str] = {
    "A": "M0 0 L37 100 L63 100 L100 0 L77 0 L70 21 L30 21 L23 0 Z M36 39 L64 39 L50 80 Z",
    "C": "M98 67 C93 88 76 100 52 100 C20 100 0 80 0 50 C0 20 20 0 52 0 C76 0 93 12 98 33 "
    "L76 37 C73 25 64 18 52 18 C34 18 23 30 23 50 C23 70 34 82 52 82 C64 82 73 75 76 63 Z",
    "G": "M96 70 C90 89 75 100 52 100 C20 100 0 80 0 50 C0 20 20 0 53 0 C71 0 86 5 98 13 L98 53 "
    "L52 53 L52 36 L77 36 L77 23 C71 20 63 18 54 18 C34 18 23 30 23 50 C23 70 34 82 52 82 "
    "C64 82 71 76 74 65 Z",
    "T": "M0 100 L100 100 L100 82 L61 82 L61 0 L39 0 L39 82 L0 82 Z",
}
"""Our own drawings: M, L, C and Z of SVG, absolute."""

LOW = 4
"""Units below which no letter can be told from a bar, and a bar is what is drawn."""

Points = NDArray[np.float64]
"""``(point, 2)`` in the unit box."""


@lru_cache
def outline(letter: str) -> tuple[Points, tuple[str, ...]]:
    """The points of a letter in the unit box, and the command that each run of them belongs to.

    >>> outline("T")[0][:2].tolist(), outline("T")[1][:2]
    ([[0.0, 1.0], [1.0, 1.0]], ('M', 'L'))
    """
    words = OUTLINES[letter].replace("M", "M ").replace("L", "L ").replace("C", "C ").split()
    commands = tuple(word for word in words if word.isalpha())
    numbers = [float(word) / WIDE for word in words if not word.isalpha()]
    return np.array(numbers).reshape(-1, 2), commands


@lru_cache(maxsize=4096)
def stretched(letter: str, width: int, height: int) -> tuple[int, int, str]:
    """A letter in whole units of SVG: where it begins in its box, and relative commands from there.

    SVG counts downwards: a letter of positive ``height`` stands upright above the origin of its
    box, one of negative ``height`` hangs upside down below it.
    """
    if abs(height) < LOW:
        return 0, 0, f"h{width}v{-height}h-{width}z"
    points, commands = outline(letter)
    places = np.rint(points * (width, -height)).astype(int)
    taken, words = 1, []
    begun = last = places[0]
    for command in commands[1:]:
        if command == "Z":
            words.append("z")
            last = begun
            continue
        count = 3 if command == "C" else 1
        moves = (places[taken : taken + count] - last).ravel().tolist()
        taken, last = taken + count, places[taken + count - 1]
        begun = last if command == "M" else begun
        words.append(_relative(command, moves))
    return int(places[0, 0]), int(places[0, 1]), "".join(words)


def _relative(command: str, moves: list[int]) -> str:
    """One command, as short as it can be told.

    >>> _relative("C", [-1, 2, -3, 4, 5, -6]), _relative("L", [0, 7])
    ('c-1 2-3 4 5-6', 'v7')
    """
    if command == "L" and 0 in moves:
        return f"h{moves[0]}" if moves[1] == 0 else f"v{moves[1]}"
    text = command.lower()
    for place, move in enumerate(moves):
        text += f" {move}" if place and move >= 0 else f"{move}"
    return text
