"""Scores of tokens and of nucleotides, beside loops that say the same."""

import numpy as np
import pytest

from xaibench.dna.tokens import relevance_shares, to_nucleotides, to_tokens, unread_share
from xaibench.values import TokenSites

LENGTH = 11

# [CLS], three tokens, [SEP]; the last two nucleotides of the second sequence are truncated
SPANS = np.array(
    [
        [[0, 0], [0, 1], [1, 6], [6, 11], [11, 11]],
        [[0, 0], [0, 4], [4, 7], [7, 9], [9, 9]],
    ]
)
KMERS = np.array([[[start, start + 3] for start in range(LENGTH - 2)]] * 2)
"""Overlapping, as DNABERT reads them."""

RNG = np.random.default_rng(0)
SCORES = RNG.normal(size=(2, 5))
OF_KMERS = RNG.normal(size=(2, LENGTH - 2))
WITHIN = RNG.normal(size=(2, LENGTH))


def slowly(scores, spans, rule, within=None):
    """A loop over nucleotides."""
    given = np.zeros((len(scores), LENGTH))
    for row, position in np.ndindex(given.shape):
        cover = [t for t, (start, end) in enumerate(spans[row]) if start <= position < end]
        if rule == "equal":
            parts = [scores[row, t] / np.ptp(spans[row, t]) for t in cover]
        elif rule == "broadcast":
            parts = [scores[row, t] / len(cover) for t in cover]
        else:
            weights = [np.abs(within[row, slice(*spans[row, t])]).sum() for t in cover]
            own = abs(within[row, position])
            parts = [scores[row, t] * own / w for t, w in zip(cover, weights, strict=True)]
        given[row, position] = sum(parts)
    return given


@pytest.mark.parametrize(("scores", "spans"), [(SCORES, SPANS), (OF_KMERS, KMERS)])
@pytest.mark.parametrize("rule", ["equal", "broadcast", "proportional"])
def test_nucleotides_take_what_a_loop_gives_them(rule, scores, spans):
    within = WITHIN if rule == "proportional" else None
    given = to_nucleotides(scores, spans, LENGTH, rule=rule, within=within)
    np.testing.assert_allclose(given, slowly(scores, spans, rule, within), atol=1e-14)


@pytest.mark.parametrize(("scores", "spans"), [(SCORES, SPANS), (OF_KMERS, KMERS)])
@pytest.mark.parametrize("rule", ["equal", "proportional"])
def test_equal_and_proportional_conserve_what_is_not_on_special_tokens(rule, scores, spans):
    within = WITHIN if rule == "proportional" else None
    given = to_nucleotides(scores, spans, LENGTH, rule=rule, within=within)
    inside = scores * (spans[..., 0] < spans[..., 1])
    np.testing.assert_allclose(given.sum(1), inside.sum(1), rtol=1e-12)


@pytest.mark.parametrize(
    ("down", "up"),
    [("equal", "sum"), ("broadcast", "mean"), ("broadcast", "signed_maximum")],
)
def test_what_goes_down_and_up_again_is_the_same_but_for_special_tokens(down, up):
    again = to_tokens(to_nucleotides(SCORES, SPANS, LENGTH, rule=down), SPANS, rule=up)
    np.testing.assert_allclose(again[:, 1:-1], SCORES[:, 1:-1], rtol=1e-12)
    assert not again[:, [0, -1]].any()


def test_a_proportional_map_that_is_summed_is_the_scores_again():
    given = to_nucleotides(SCORES, SPANS, LENGTH, rule="proportional", within=WITHIN)
    np.testing.assert_allclose(to_tokens(given, SPANS)[:, 1:-1], SCORES[:, 1:-1], rtol=1e-12)


def test_a_token_where_the_map_says_nothing_is_split_equally():
    within = WITHIN.copy()
    within[0, 1:6] = 0
    given = to_nucleotides(SCORES, SPANS, LENGTH, rule="proportional", within=within)
    np.testing.assert_allclose(given[0, 1:6], SCORES[0, 2] / 5)


def test_truncated_nucleotides_have_nothing():
    for rule in ("equal", "broadcast"):
        assert not to_nucleotides(SCORES, SPANS, LENGTH, rule=rule)[1, 9:].any()


def test_the_signed_maximum_keeps_the_sign_and_of_equal_ones_the_first():
    scores = np.array([[1.0, -5.0, 5.0, 2.0, 0.0, -0.5]])
    spans = np.array([[[0, 4], [4, 6], [6, 6]]])
    assert to_tokens(scores, spans, rule="signed_maximum").tolist() == [[-5.0, -0.5, 0.0]]
    assert to_tokens(scores, spans, rule="sum").tolist() == [[3.0, -0.5, 0.0]]
    assert to_tokens(scores, spans, rule="mean").tolist() == [[0.75, -0.25, 0.0]]


def test_relevance_on_special_tokens_is_told_apart():
    known = np.ones((2, LENGTH), bool)
    known[0, 6:9], known[1, 9:] = False, False  # of a token a part, and what is truncated
    sizes = np.abs(SCORES) / np.abs(SCORES).sum(1, keepdims=True)
    shares = relevance_shares(SCORES, SPANS, known)
    np.testing.assert_allclose(shares["before"], sizes[:, 0])
    np.testing.assert_allclose(shares["after"], sizes[:, 4])
    np.testing.assert_allclose(shares["outside"], sizes[:, 0] + sizes[:, 4])
    np.testing.assert_allclose(shares["on_unknown"], [sizes[0, 3], 0])
    flat = relevance_shares(np.zeros((1, 5)), SPANS[:1], known[:1])
    assert all(np.isnan(share).all() for share in flat.values())


def test_nucleotides_that_no_token_covers_are_unread():
    present = np.ones((2, LENGTH), bool)
    np.testing.assert_allclose(unread_share(SPANS, present), [0, 2 / LENGTH])
    present[1, 10:] = False
    np.testing.assert_allclose(unread_share(SPANS, present), [0, 1 / 10])
    assert not unread_share(KMERS, present).any()
    assert unread_share(SPANS[:1], np.zeros((1, LENGTH), bool)).tolist() == [0]


@pytest.mark.parametrize("spans", [SPANS - 1, SPANS[..., ::-1], SPANS + 5])
def test_spans_outside_of_the_sequence_are_refused(spans):
    with pytest.raises(ValueError, match="spans: expected 0 <= start <= end <= 11"):
        to_nucleotides(SCORES, spans, LENGTH)


def test_spans_of_another_number_of_tokens_are_refused():
    with pytest.raises(ValueError, match=r"spans: expected \(2, 4, 2\) .*, got \(2, 5, 2\)"):
        to_nucleotides(SCORES[:, 1:], SPANS, LENGTH)


def test_a_rule_that_is_none_and_a_map_without_its_rule_are_refused():
    with pytest.raises(ValueError, match=r"rule: expected one of equal, broadcast, .* got 'mean'"):
        to_nucleotides(SCORES, SPANS, LENGTH, rule="mean")
    with pytest.raises(ValueError, match=r"rule: expected one of sum, mean, .* got 'equal'"):
        to_tokens(WITHIN, SPANS, rule="equal")
    for options in ({"within": WITHIN}, {"rule": "proportional"}):
        with pytest.raises(ValueError, match="within: expected a map of nucleotides with"):
            to_nucleotides(SCORES, SPANS, LENGTH, **options)


def test_sites_are_checked_when_they_are_made():
    valid = np.ones((2, 5), np.bool_)
    assert TokenSites(SPANS, valid).counts.tolist() == [5, 5]
    with pytest.raises(ValueError, match=r"spans: expected \(2, 4, 2\) to go with valid"):
        TokenSites(SPANS, valid[:, 1:])
    with pytest.raises(ValueError, match="spans: expected 0 <= start <= end"):
        TokenSites(SPANS[..., ::-1], valid)
