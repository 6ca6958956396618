"""Rules: what they say, and what each motif of a sequence speaks for."""

from itertools import product

import numpy as np
import pytest

from xaibench.data.synthetic.rules import Atom, combinations_of, parse, speaks_for
from xaibench.errors import UsageError


@pytest.mark.parametrize(
    ("text", "python"),
    [
        ("A", "a"),
        ("not A", "not a"),
        ("A and B", "a and b"),
        ("A or B and C", "a or (b and c)"),
        ("A xor B and C", "a ^ (b and c)"),
        ("A or B xor C", "a or (b ^ c)"),
        ("(A or B) and C", "(a or b) and c"),
        ("A and not B or C", "(a and (not b)) or c"),
        ("not(A or B) xor C", "(not (a or b)) ^ c"),
        ("A xor B xor C", "a ^ b ^ c"),
        ("not not A AND (B Or NOT (C))", "a and (b or (not c))"),
    ],
)
def test_a_rule_holds_where_python_says_so(text, python):
    rule = parse(text)
    for truths in product([False, True], repeat=len(rule.atoms)):
        names = dict(zip("abc", truths, strict=False))
        assert rule.holds(truths) == eval(python, names)


def test_atoms_stand_in_the_order_of_naming_with_their_counts():
    rule = parse("GATA1 or 2 CTCF and not SPI1 or  GATA1")
    assert rule.atoms == (Atom("GATA1", 1), Atom("CTCF", 2), Atom("SPI1", 1))
    assert str(rule) == "GATA1 or 2 CTCF and not SPI1 or GATA1"


def test_the_truth_table_follows_the_combinations():
    rule = parse("A and not B or C")
    assert combinations_of(rule)[:3].tolist() == [
        [False, False, False],
        [False, False, True],
        [False, True, False],
    ]
    answers = [rule.holds(truths.tolist()) for truths in combinations_of(rule)]
    assert list(rule.truth_table) == answers == [False, True, False, True, True, True, False, True]


@pytest.mark.parametrize(
    "name", ["TFAP2A(var.2)", "BATF::JUN", "E(spl)m3-HLH", "l(3)neo38", "MA0139.1", "Six3/6", "ORF"]
)
def test_names_of_jaspar_are_motifs(name):
    assert parse(f"(2 {name}) and not ({name}x)").atoms == (Atom(name, 2), Atom(f"{name}x", 1))


def test_a_name_with_a_space_stands_in_quotes():
    rule = parse('"JUN (var.2)" and 3 "and"')
    assert rule.atoms == (Atom("JUN (var.2)", 1), Atom("and", 3))
    assert str(rule) == '"JUN (var.2)" and 3 "and"'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "position 0: expected a motif, got the end"),
        ("A and", "position 5: expected a motif, got the end"),
        ("A and or B", "position 6: expected a motif, got 'or'"),
        ("A B", "position 2: expected 'and', 'or', 'xor' or the end, got 'B'"),
        ("A and (B", r"position 8: expected '\)', got the end"),
        ("A)", r"position 1: expected 'and', 'or', 'xor' or the end, got '\)'"),
        ("A or 0 B", "position 5: expected a count of 1 or more, got '0'"),
        ("2 (A or B)", r"position 2: expected a motif, got '\('"),
        ("2 A or A", "position 7: expected one count for A, 2 as before, got 1"),
        ('A or "B', "position 5: expected a name within double quotes, got '\"B'"),
        ("a or b or c or d or e or f or g", "position 30: expected 6 motifs at most, got 'g'"),
        ("A and not A", "got 'A and not A', which never holds"),
        ("A or not A", "got 'A or not A', which always holds"),
    ],
)
def test_what_is_no_rule_is_refused_with_its_position(text, message):
    with pytest.raises(UsageError, match=message):
        parse(text)


@pytest.mark.parametrize(
    ("text", "truths", "classes"),
    [
        ("A", [True], [1]),
        ("not A", [True], [0]),
        ("A and B", [True, True], [1, 1]),
        ("A and B", [True, False], [-1, -1]),
        ("A or B", [True, True], [1, 1]),
        ("A or B", [False, True], [-1, 1]),
        ("A and not B", [True, True], [1, 0]),
        ("A and not B", [False, True], [-1, -1]),
        ("A xor B", [True, True], [-1, -1]),
        ("A xor B", [True, False], [1, -1]),
        ("A and B or C", [True, True, True], [1, 1, 1]),
        ("(A or B) and not C", [True, True, True], [1, 1, 0]),
        # exactly one: alone each brings it about, and spoils it for another one; these cancel
        ("(A xor B xor C) and not (A and B and C)", [True, True, True], [-1, -1, -1]),
    ],
)
def test_a_motif_speaks_for_what_it_brings_about(text, truths, classes):
    rule = parse(text)
    row = combinations_of(rule).tolist().index(truths)
    assert speaks_for(rule)[row].tolist() == classes


def test_motifs_that_are_not_there_speak_for_nothing():
    rule = parse("A and not B xor C")
    assert (speaks_for(rule)[~combinations_of(rule)] == -1).all()


def test_a_motif_that_never_matters_speaks_for_nothing():
    rule = parse("A or (B and not B)")
    assert np.unique(speaks_for(rule)[:, 1]).tolist() == [-1]
