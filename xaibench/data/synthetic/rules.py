"""Rules about motifs: Boolean expressions, and what each motif in a sequence speaks for."""

import re
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from math import factorial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xaibench.errors import UsageError
from xaibench.values import NO_CLASS

ATOMS = 6
"""So many motifs a rule may name: all combinations of true and false are evaluated."""

_LONGEST = 500
"""Characters of a rule: brackets within each other are read by functions that call themselves."""

_TOKEN = re.compile(
    r"""
      (?P<word> (?i: and | or | xor | not ) (?= [\s()] | $ ) | [()] )
    | (?P<count> \d+ ) (?= \s )
    | " (?P<quoted> [^"]+ ) "
    | (?P<motif> [^\s()"]+ (?: \( [^\s()]* \) [^\s()"]* )* )
    """,
    re.VERBOSE,
)
"""Keywords go first. Parentheses that follow letters belong to a name: TFAP2A(var.2)."""

_LEVELS = (("or", np.logical_or), ("xor", np.logical_xor), ("and", np.logical_and))
"""What binds loosest comes first."""

TruthTable = NDArray[np.bool_]
"""``(combination,)``: an answer for all truths of as many atoms as there may be."""

_TRUTHS = np.array(list(product([False, True], repeat=ATOMS)))
"""``(combination, atom)``."""


@dataclass(frozen=True, slots=True)
class Atom:
    """A motif, by name or identifier, with the number of instances that make it true."""

    motif: str
    count: int


@dataclass(frozen=True, slots=True)
class Rule:
    """A Boolean rule over motifs.

    ``atoms`` stand in the order in which the rule names them. ``truth_table`` has an answer for
    each combination of their truths, in the order of ``combinations_of``.
    """

    text: str
    atoms: tuple[Atom, ...]
    truth_table: tuple[bool, ...]

    def __str__(self) -> str:
        return self.text

    def holds(self, truths: Sequence[bool]) -> bool:
        """Whether the rule holds where its atoms are true and false like this."""
        return self.truth_table[sum(truth << place for place, truth in enumerate(truths[::-1]))]


def combinations_of(rule: Rule) -> NDArray[np.bool_]:
    """``(combination, atom)``: all truths, the last atom's changing fastest."""
    truths: NDArray[np.bool_] = _TRUTHS[: len(rule.truth_table), -len(rule.atoms) :]
    return truths


def parse(text: str) -> Rule:
    """The rule that an expression of motifs, ``and or xor not`` and parentheses says.

    ``not`` binds closest, then ``and``, ``xor``, ``or``. A number before a motif is how many
    instances make it true (``2 CTCF``). A name with a space, or one that is a keyword, is put in
    double quotes.

    Raises ``UsageError``, with the position counted from 0, for what is no such expression, for
    more than 6 motifs or 500 characters, for a motif with two counts, and for a rule that always or
    never holds.

    >>> rule = parse("SPI1 and not (2 CTCF or GATA1)")
    >>> rule.atoms[1]
    Atom(motif='CTCF', count=2)
    >>> rule.holds([True, False, False]), rule.holds([True, True, False])
    (True, False)
    """
    if len(text) > _LONGEST:
        raise UsageError(f"rule: expected at most {_LONGEST} characters, got {len(text):,}")
    tokens = deque(_tokens(text))
    atoms: list[Atom] = []
    table = _expression(tokens, atoms, level=0)
    if tokens[0].kind != "end":
        raise _expected("'and', 'or', 'xor' or the end", tokens[0])
    # the atoms that are not there change the fastest: the rows in which all of them are false
    spare = 2 ** (ATOMS - len(atoms))
    answers = tuple(table[::spare].tolist())
    if len(set(answers)) == 1:
        raise UsageError(
            f"rule: expected one that some sequences fulfil and others do not, got {text!r}, which "
            f"{'always' if answers[0] else 'never'} holds"
        )
    return Rule(_normalised_text(text), tuple(atoms), answers)


class _Token(NamedTuple):
    kind: str
    text: str
    position: int

    def is_word(self, *keywords: str) -> bool:
        return self.kind == "word" and self.text in keywords


def _tokens(text: str) -> Iterator[_Token]:
    position = 0
    while text[position:].strip():
        position += len(text[position:]) - len(text[position:].lstrip())
        match = _TOKEN.match(text, position)
        if not match:
            raise UsageError(
                f"rule: position {position}: expected a name within double quotes, "
                f"got {text[position:]!r}"
            )
        kind = str(match.lastgroup)
        part = match[kind]
        yield _Token(kind, part.lower() if kind == "word" else part, position)
        position = match.end()
    yield _Token("end", "the end", len(text))


def _expression(tokens: deque[_Token], atoms: list[Atom], level: int) -> TruthTable:
    """The truth table of what comes first, as far as nothing binds looser than ``level``."""
    if level == len(_LEVELS):
        return _operand(tokens, atoms)
    word, combined = _LEVELS[level]
    table = _expression(tokens, atoms, level + 1)
    while tokens[0].is_word(word):
        tokens.popleft()
        table = combined(table, _expression(tokens, atoms, level + 1))
    return table


def _operand(tokens: deque[_Token], atoms: list[Atom]) -> TruthTable:
    token = tokens.popleft()
    if token.is_word("not"):
        return ~_operand(tokens, atoms)
    if token.is_word("("):
        table = _expression(tokens, atoms, level=0)
        if not tokens[0].is_word(")"):
            raise _expected("')'", tokens[0])
        tokens.popleft()
        return table
    return _atom(token, tokens, atoms)


def _atom(token: _Token, tokens: deque[_Token], atoms: list[Atom]) -> TruthTable:
    count = 1
    if token.kind == "count":
        count = int(token.text)
        if count < 1:
            raise _expected("a count of 1 or more", token)
        token = tokens.popleft()
    if token.kind not in {"motif", "quoted"}:
        raise _expected("a motif", token)
    atom = Atom(token.text, count)
    known = next((other for other in atoms if other.motif == atom.motif), None)
    if known and known != atom:
        raise _expected(f"one count for {atom.motif}, {known.count} as before", token, count)
    if not known:
        atoms.append(atom)
    if len(atoms) > ATOMS:
        raise _expected(f"{ATOMS} motifs at most", token)
    table: TruthTable = _TRUTHS[:, atoms.index(atom)]
    return table


def _expected(expected: str, token: _Token, got: int | None = None) -> UsageError:
    token_text = token.text if token.kind == "end" else repr(token.text)
    return UsageError(
        f"rule: position {token.position}: expected {expected}, got "
        f"{token_text if got is None else got}"
    )


def _normalised_text(text: str) -> str:
    """The rule as it was written, with its words in lower case and one space between them."""
    parts = []
    for token in list(_tokens(text))[:-1]:
        parts.append(f'"{token.text}"' if token.kind == "quoted" else token.text)
    return " ".join(parts).replace("( ", "(").replace(" )", ")")


def speaks_for(rule: Rule) -> NDArray[np.int8]:
    """``(combination, atom)``: the class that each true atom speaks for, in ``combinations_of``.

    1 where the rule holds because of the atom and 0 where it fails because of it: the sign of its
    Shapley value, the players being the atoms that are true and the value whether the rule holds
    where only some of them are. ``NO_CLASS`` where that is 0 and for atoms that are not true.
    """
    truths = combinations_of(rule)
    signs = np.full(truths.shape, NO_CLASS, np.int8)
    for row, atom in zip(*np.nonzero(truths), strict=True):
        value = _shapley(rule, np.flatnonzero(truths[row]).tolist(), int(atom))
        if value:
            signs[row, atom] = value > 0
    return signs


def _shapley(rule: Rule, true: list[int], atom: int) -> int:
    """The Shapley value of a true atom, times the factorial of the number of true atoms."""

    def holds(present: Sequence[int]) -> bool:
        return rule.holds([other in present for other in range(len(rule.atoms))])

    others = [other for other in true if other != atom]
    total = 0
    for size in range(len(others) + 1):
        orders = factorial(size) * factorial(len(others) - size)
        for before in combinations(others, size):
            total += orders * (holds([*before, atom]) - holds(before))
    return total
