"""What sequences carry: by their class, as often as it is said."""

from collections import Counter

import numpy as np
import pytest

from xaibench.data.synthetic.contents import Design, can_be_misplaced, carried, weighed
from xaibench.data.synthetic.placement import Grammar
from xaibench.data.synthetic.rules import combinations_of, parse

WIDTHS = (2, 3, 1, 4)


def designed(text, decoys=("shuffled",), *, length=20, **grammar):
    rule = parse(text)
    matrices = [np.full((width, 4), 0.25) for width in WIDTHS[: len(rule.atoms)]]
    matrices *= 1 + ("shuffled" in decoys)
    return Design(rule, tuple(matrices), Grammar(len(rule.atoms), **grammar), decoys, length)


def parts(text, decoys=("shuffled",), **options):
    """{(content, is misplaced): probabilities}, without those of 0."""
    found = weighed(designed(text, decoys, **options))
    return {key: value.tolist() for key, value in found.items()}


def test_a_motif_stands_against_its_decoy():
    assert parts("A") == {((1, 0), False): [0, 1], ((0, 1), False): [1, 0]}


def test_an_absent_motif_leaves_nothing():
    assert parts("A", ("absent",)) == {((1,), False): [0, 1], ((0,), False): [1, 0]}


def test_negatives_have_a_motif_without_its_partner():
    third = pytest.approx([1 / 3, 0])
    assert parts("A and B") == {
        ((1, 1, 0, 0), False): [0, 1],
        ((1, 0, 0, 1), False): third,
        ((0, 1, 1, 0), False): third,
        ((0, 0, 1, 1), False): third,
    }


def test_single_motifs_stand_alone_where_decoys_are_absent():
    assert set(parts("A and B", ("absent",))) == {
        (content, False) for content in [(1, 1), (1, 0), (0, 1), (0, 0)]
    }


def test_fewer_instances_than_are_wanted_are_all_equally_likely():
    third = pytest.approx([1 / 3, 0])
    assert parts("3 A") == {
        ((3, 0), False): [0, 1],
        ((2, 1), False): third,
        ((1, 2), False): third,
        ((0, 3), False): third,
    }


def test_every_kind_of_decoy_has_an_equal_share_of_the_negatives():
    kinds = ("shuffled", "absent", "misplaced")
    found = parts("A and B", kinds, ordered=True)
    assert found[(1, 1, 0, 0), True] == pytest.approx([1 / 3, 0])
    assert found[(0, 0, 1, 1), False] == pytest.approx([1 / 9, 0])
    assert found[(1, 0, 0, 0), False] == pytest.approx([1 / 9, 0])
    assert parts("A and B", ("misplaced",), ordered=True) == {
        ((1, 1), False): [0, 1],
        ((1, 1), True): [1, 0],
    }


def test_misplaced_negatives_have_what_positives_have():
    found = parts("A and (B or C)", ("shuffled", "misplaced"), ordered=True)
    misplaced = {content: value for (content, is_misplaced), value in found.items() if is_misplaced}
    assert misplaced == {
        content: pytest.approx([1 / 6, 0])
        for content in [(1, 1, 1, 0, 0, 0), (1, 1, 0, 0, 0, 1), (1, 0, 1, 0, 1, 0)]
    }


@pytest.mark.parametrize(
    ("text", "options", "possible"),
    [
        ("A and B", {}, False),
        ("A and B", {"ordered": True}, True),
        ("2 A", {"ordered": True}, False),
        ("2 A", {"low": 1}, True),
        ("2 A", {"high": 15}, True),
        ("2 A", {"high": 16}, False),  # 20 positions, 4 of them inside
        ("A xor B", {"ordered": True}, False),
        ("A or B", {"ordered": True}, True),
        ("A and not B", {"low": 2}, False),
    ],
)
def test_what_two_motifs_keep_can_be_broken(text, options, possible):
    assert can_be_misplaced(designed(text, **options)) is possible


@pytest.mark.parametrize(
    "design",
    [
        designed("A"),
        designed("2 A and not B", ("shuffled", "absent")),
        designed("A xor 2 B", ("absent",)),
        designed("A and (B or C)", ("shuffled", "misplaced"), ordered=True),
        designed("A or 2 B", ("shuffled", "absent", "misplaced"), low=1),
        designed("A or 2 B", ("misplaced",), low=1),
    ],
)
def test_contents_are_drawn_as_often_as_they_weigh(design):
    count = 30_000
    labels = np.arange(count) % 2
    found = carried(design, labels, np.random.default_rng(0))
    rows = zip(map(tuple, found.contents.tolist()), found.misplaced.tolist(), labels, strict=True)
    shares = Counter(rows)
    expected = weighed(design)
    assert sum(expected.values()) == pytest.approx([1, 1])
    assert {(content, wrong) for content, wrong, _ in shares} == set(expected)
    for (content, wrong), probabilities in expected.items():
        drawn = [shares[content, wrong, label] / (count / 2) for label in (0, 1)]
        assert drawn == pytest.approx(probabilities, abs=0.016)  # 4 standard errors


def test_what_a_sequence_carries_agrees_with_its_label():
    design = designed("2 A and not B", ("shuffled", "absent"))
    labels = np.arange(500) % 2
    found = carried(design, labels, np.random.default_rng(0))
    truths = found.contents[:, :2] == design.counts
    assert (truths == combinations_of(design.rule)[found.combinations]).all()
    assert [design.rule.holds(row) for row in truths.tolist()] == (labels == 1).tolist()
