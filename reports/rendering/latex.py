"""LaTeX: text that prints as it is, and tables in the style of booktabs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from ..format.paths import without_folders
from ..tables.table import Cell, Table

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

LONG_NAME = 32
"""A name longer than this gets a column that breaks lines."""


def escaped(text: str) -> str:
    """Text that LaTeX prints as it is, in one line; a letter that it has none for by its number.

    >>> escaped("50% of a_b"), escaped(chr(945))
    ('50\\\\% of a\\\\_b', '{[}U+03B1{]}')
    """
    # two hyphens would become a dash
    return re.sub("-(?=-)", "-{}", "".join(_escaped_letter(letter) for letter in text))


def figure(text: str) -> str:
    """A number in print, with its interval.

    >>> figure("\N{MINUS SIGN}0.1 [\N{MINUS SIGN}0.2, 0.0]"), figure("<0.001")
    ('$-$0.1 [$-$0.2, 0.0]', '$<$0.001')
    """
    return text.translate(_OF_NUMBERS)


def _escaped_letter(letter: str) -> str:
    if letter in _COMMANDS:
        return _COMMANDS[letter]
    if letter.isspace():
        return " "
    known = (letter.isascii() and letter.isprintable()) or ord(letter) in _LETTERS
    return letter if known else f"{{[}}U+{ord(letter):04X}{{]}}"


def table_of(table: Table) -> str:
    r"""The table as a float for ``\input``, notes aside; it needs the package booktabs alone."""
    names = [row[0].text for row in table.rows]
    first = "p{0.3\\textwidth}" if any(len(name) > LONG_NAME for name in names) else "l"
    columns = "".join("l" if head.prose else "r" for head in table.heads[1:])
    lines = [
        r"\begin{table}",
        r"\centering\small",
        rf"\caption{{{_prose(table.caption)}}}",
        rf"\cross_reference{{{cross_reference(table.name)}}}",
        rf"\begin{{tabular}}{{{first}{columns}}}",
        r"\toprule",
        _tabular_row(_prose(head) for head in table.header),
        r"\midrule",
        *(_tabular_row(_tabular_cells(row, table, first)) for row in table.rows),
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _prose(text: str) -> str:
    """A caption or a head: text, with p values and numbers of sequences as mathematics."""
    text = escaped(without_folders(text)).replace(r" \%", r"\%")
    return re.sub(r"(?<![\w\\])(p\b|n(?= = ))(?!\{)", r"$\1$", text)


def _tabular_cells(row: tuple[Cell, ...], table: Table, first: str) -> Iterable[str]:
    name, *others = row
    yield _strong(_breakable(escaped(without_folders(name.text)), first), name)
    for head, cell in zip(table.heads[1:], others, strict=True):
        text = without_folders(cell.text)
        yield _strong(escaped(text) if head.prose else figure(text), cell)


def _strong(text: str, cell: Cell) -> str:
    return rf"\textbf{{{text}}}" if cell.strong else text


def citing(text: str, keys: Mapping[str, str]) -> str:
    r"""A paragraph whose citations in brackets are ``\cite``; ``keys`` by *Author Year*.

    >>> keys = {"Bach et al. 2015": "bach2015", "Montavon et al. 2019": "montavon2019"}
    >>> citing("LRP (Bach et al. 2015; Montavon et al. 2019) (new)", keys)
    'LRP~\\cite{bach2015,montavon2019} (new)'
    """
    parts = re.split(r" \(([^()]*)\)", text)
    plain, brackets = parts[::2], parts[1::2]
    cited = [_citation(bracket, keys) for bracket in brackets]
    return "".join(
        part for pair in zip(map(_prose, plain), [*cited, ""], strict=True) for part in pair
    )


def _citation(bracket: str, keys: Mapping[str, str]) -> str:
    works = bracket.split("; ")
    if any(work not in keys for work in works):
        return f" ({_prose(bracket)})"
    return rf"~\cite{{{','.join(keys[work] for work in works)}}}"


def cross_reference(name: str) -> str:
    """The name of a table for cross references, of letters and digits alone.

    >>> cross_reference("leaderboard my CNN_2")
    'tab:leaderboard-my-CNN-2'
    """
    return "tab:" + slug(name)


def slug(word: str) -> str:
    """A word of ASCII letters, digits and hyphens.

    >>> slug("../a b|c")
    'a-b-c'
    """
    plain = "".join(letter if letter.isascii() and letter.isalnum() else " " for letter in word)
    return "-".join(plain.split())


def _tabular_row(cells: Iterable[str]) -> str:
    return " & ".join(cells) + r" \\"


def _breakable(name: str, column: str) -> str:
    """A name that may break after what joins its words."""
    if column == "l":
        return name
    return r"\raggedright " + name.replace(r"\_", r"\_\allowbreak{}") + r"\par"
