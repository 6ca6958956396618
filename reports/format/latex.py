"""LaTeX: text that prints as it is, and tables in the style of booktabs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

Column = TypeVar("Column")

_COMMANDS = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "`": r"\textasciigrave{}",
    '"': r"\char34{}",
    **{letter: f"\\{letter}" for letter in "{}$&#_%"},
    # at the beginning of a row these belong to the end of the row before
    **{letter: f"{{{letter}}}" for letter in "[]*"},
    "\N{MINUS SIGN}": "$-$",
    "\N{EN DASH}": r"\textendash{}",
    "\N{MULTIPLICATION SIGN}": r"$\times$",
    "\N{ALMOST EQUAL TO}": r"$\approx$",
    "\N{UPWARDS ARROW}": r"$\uparrow$",
    "\N{DOWNWARDS ARROW}": r"$\downarrow$",
    "\N{HORIZONTAL ELLIPSIS}": r"\ldots{}",
    "\N{NO-BREAK SPACE}": "~",
}
_OF_NUMBERS = str.maketrans({"\N{MINUS SIGN}": "$-$", "\N{EN DASH}": r"\textendash{}", "<": "$<$"})
_LETTERS = range(0xC0, 0x180)
"""Latin letters with accents, which LaTeX reads as they are."""

LONG = 32
"""A name longer than this gets a column that breaks lines."""


@dataclass(frozen=True, slots=True)
class Float:
    """A table on its own: the first column holds names, the others figures.

    Captions, heads and places are LaTeX already.
    """

    caption: str
    label: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def escaped(text: str) -> str:
    """Text that LaTeX prints as it is, in one line; a letter that it has none for by its number.

    >>> escaped("50% of a_b"), escaped(chr(945))
    ('50\\\\% of a\\\\_b', '{[}U+03B1{]}')
    """
    # two hyphens would become a dash
    return re.sub("-(?=-)", "-{}", "".join(_letter(letter) for letter in text))


def figure(text: str) -> str:
    """A number in print, with its interval.

    >>> figure("\N{MINUS SIGN}0.1 [\N{MINUS SIGN}0.2, 0.0]"), figure("<0.001")
    ('$-$0.1 [$-$0.2, 0.0]', '$<$0.001')
    """
    return text.translate(_OF_NUMBERS)


def _letter(letter: str) -> str:
    if letter in _COMMANDS:
        return _COMMANDS[letter]
    if letter.isspace():
        return " "
    known = (letter.isascii() and letter.isprintable()) or ord(letter) in _LETTERS
    return letter if known else f"{{[}}U+{ord(letter):04X}{{]}}"


def floated(table: Float) -> str:
    r"""The table as text for ``\input``; it needs the package booktabs alone."""
    names = [row[0] for row in table.rows]
    first = "p{0.3\\textwidth}" if any(len(name) > LONG for name in names) else "l"
    lines = [
        r"\begin{table}",
        r"\centering\small",
        rf"\caption{{{table.caption}}}",
        rf"\label{{{table.label}}}",
        rf"\begin{{tabular}}{{{first}{'r' * (len(table.header) - 1)}}}",
        r"\toprule",
        _row(table.header),
        r"\midrule",
        *(_row([_named(row[0], first), *row[1:]]) for row in table.rows),
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def bold(text: str) -> str:
    return rf"\textbf{{{text}}}"


def label(*words: str) -> str:
    """The name of a table for cross references, of letters and digits alone.

    >>> label("leaderboard", "my CNN_2")
    'tab:leaderboard-my-CNN-2'
    """
    return "tab:" + "-".join(slug(word) for word in words)


def slug(word: str) -> str:
    """A word of ASCII letters, digits and hyphens.

    >>> slug("../a b|c")
    'a-b-c'
    """
    kept = "".join(letter if letter.isascii() and letter.isalnum() else " " for letter in word)
    return "-".join(kept.split())


def in_parts(columns: Sequence[Column], most: int) -> list[list[Column]]:
    """Columns in as few and as equal parts as a page takes.

    >>> in_parts(list("abcde"), 4)
    [['a', 'b', 'c'], ['d', 'e']]
    """
    parts = -(-len(columns) // most)
    size = -(-len(columns) // parts) if parts else 1
    return [list(columns[start : start + size]) for start in range(0, len(columns), size)]


def _row(cells: Iterable[str]) -> str:
    return " & ".join(cells) + r" \\"


def _named(name: str, column: str) -> str:
    """A name that may break after what joins its words."""
    if column == "l":
        return name
    return r"\raggedright " + name.replace(r"\_", r"\_\allowbreak{}") + r"\par"
