"""Scores against the positions of a motif."""

from functools import partial
from itertools import combinations, groupby

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

from xaibench.errors import NotApplicable
from xaibench.metrics.localisation import (
    CHANCE,
    auprc,
    auroc,
    chance_auprc,
    chance_auroc,
    chance_rule_satisfaction,
    chance_share,
    instance_recall,
    pointing_game,
    relevance_mass,
    relevance_rank,
    rule_satisfaction,
    top_k,
)
from xaibench.values import NO_CLASS, Explained, Sequences

top_3 = partial(top_k, k=3)
OF_ORDER = [auprc, relevance_rank, top_3, pointing_game, auroc, instance_recall]
"""What depends on the order of the evidence alone."""
OF_EVIDENCE = [*OF_ORDER, relevance_mass]
EVERY = [*OF_EVIDENCE, rule_satisfaction]


def explained(
    scores: ArrayLike, inside_motif: ArrayLike | None, valid: ArrayLike = True, signed: bool = True
) -> Explained:
    scores = np.atleast_2d(np.asarray(scores, np.float32))
    codes = np.where(np.broadcast_to(valid, scores.shape), 2, 4).astype(np.uint8)
    evidence = None
    if inside_motif is not None:
        evidence = np.where(np.atleast_2d(inside_motif), 0, NO_CLASS).astype(np.int8)
    labels = np.zeros(len(scores), np.int64)
    names = tuple(map(str, range(len(scores))))
    sequences = Sequences(codes, labels, names, ("a", "b"), evidence=evidence)
    return Explained(sequences, scores, labels, signed)


@pytest.fixture
def tied() -> Explained:
    """Many ties, zeros, negative scores and unknown bases: 31 sequences of 17 positions."""
    generator = np.random.default_rng(3)
    scores = generator.integers(-3, 5, size=(31, 17)) / 4
    valid, inside = generator.random((31, 17)) < 0.8, generator.random((31, 17)) < 0.3
    valid[:, :2], inside[:, :2] = True, (True, False)
    return explained(scores, inside, valid)


def slow_average_precision(scores: NDArray[np.float64], inside: NDArray[np.bool_]) -> float:
    """Threshold after threshold: the gain in recall times the precision there."""
    total, recall = 0.0, 0.0
    for threshold in sorted(set(scores), reverse=True):
        chosen = scores >= threshold
        hits = (chosen & inside).sum()
        total += (hits / inside.sum() - recall) * hits / chosen.sum()
        recall = hits / inside.sum()
    return total


def rows(of: Explained) -> list[tuple[NDArray[np.float64], NDArray[np.bool_]]]:
    """The scores, of signed ones the positive part, and the motif, of the valid positions."""
    assert of.sequences.inside_motif is not None
    least = 0 if of.signed else -np.inf
    return [
        (np.maximum(scores[valid], least).astype(np.float64), inside[valid])
        for scores, inside, valid in zip(
            of.scores, of.sequences.inside_motif, of.sequences.valid, strict=True
        )
    ]


def test_auprc_equals_average_precision_of_scikit_learn_under_ties(tied: Explained) -> None:
    expected = [average_precision_score(inside, scores) for scores, inside in rows(tied)]
    np.testing.assert_allclose(auprc(tied), expected, rtol=1e-12)


def test_auprc_equals_its_slow_twin(tied: Explained) -> None:
    expected = [slow_average_precision(scores, inside) for scores, inside in rows(tied)]
    np.testing.assert_allclose(auprc(tied), expected, rtol=1e-12)


def test_relevance_mass_equals_its_slow_twin(tied: Explained) -> None:
    expected = [scores[inside].sum() / scores.sum() for scores, inside in rows(tied)]
    np.testing.assert_allclose(relevance_mass(tied), expected, rtol=1e-12)


def test_a_perfect_map_has_auprc_and_mass_one() -> None:
    inside = [[0, 0, 1, 1, 0, 0, 0]]
    perfect = explained([[0, -1, 2, 5, 0, -3, 0]], inside)
    assert auprc(perfect).tolist() == relevance_mass(perfect).tolist() == [1.0]


def test_a_map_that_puts_two_motif_positions_last_has_the_closed_form() -> None:
    last = explained([[7, 6, 5, 4, 3, 2, 1]], [[0, 0, 0, 0, 0, 1, 1]])
    np.testing.assert_allclose(auprc(last), [(1 / 6 + 2 / 7) / 2])
    np.testing.assert_allclose(relevance_mass(last), [3 / 28])


def test_equal_scores_reach_the_share_of_the_motif() -> None:
    flat = explained(np.full((1, 7), 0.3), [[0, 1, 1, 0, 0, 0, 0]])
    np.testing.assert_allclose(auprc(flat), [2 / 7])
    np.testing.assert_allclose(relevance_mass(flat), [2 / 7])


def test_negative_scores_are_no_evidence_for_the_label() -> None:
    inside = [[1, 0, 0, 0, 0, 0, 0]]
    np.testing.assert_allclose(auprc(explained([[-9, -1, -2, 0, 0, 0, 0]], inside)), [1 / 7])
    assert np.isnan(relevance_mass(explained([[-9, -1, -2, 0, 0, 0, 0]], inside))).all()


def test_auprc_of_unsigned_scores_takes_them_as_they_are() -> None:
    scores, inside = [[-1, -2, -3, -4, -5, -6, -7]], [[1, 0, 0, 0, 0, 0, 0]]
    assert auprc(explained(scores, inside, signed=False)).tolist() == [1.0]


@pytest.mark.parametrize("metric", EVERY)
def test_localisation_does_not_depend_on_the_scale_of_a_map(metric, tied: Explained) -> None:
    scaled = Explained(tied.sequences, tied.scores * np.float32(8), tied.targets, True)
    np.testing.assert_allclose(metric(scaled), metric(tied), rtol=1e-12)


@pytest.mark.parametrize("metric", OF_ORDER)
def test_a_rising_change_that_keeps_0_changes_nothing(metric, tied: Explained) -> None:
    bent = np.sign(tied.scores) * np.expm1(np.abs(tied.scores))
    monotone = Explained(tied.sequences, bent.astype(np.float32), tied.targets, True)
    np.testing.assert_allclose(metric(monotone), metric(tied), rtol=1e-12)


@pytest.mark.parametrize("metric", EVERY)
def test_no_position_is_favoured_among_equal_scores(metric, tied: Explained) -> None:
    of = tied.sequences
    assert of.evidence is not None
    turned = Sequences(
        of.codes[:, ::-1], of.labels, of.names, of.class_names, evidence=of.evidence[:, ::-1]
    )
    backwards = Explained(turned, tied.scores[:, ::-1], tied.targets, True)
    np.testing.assert_allclose(metric(backwards), metric(tied), rtol=1e-12)


@pytest.mark.parametrize("metric", EVERY)
def test_localisation_of_a_sequence_does_not_depend_on_its_company(metric, tied) -> None:
    rows = np.array([22, 4, 9])
    few = Explained(tied.sequences.take(rows), tied.scores[rows], tied.targets[rows], True)
    np.testing.assert_array_equal(metric(few), metric(tied)[rows])


@pytest.mark.parametrize("metric", EVERY)
def test_scores_and_motif_of_unknown_bases_do_not_count(metric) -> None:
    valid = np.array([[1, 1, 1, 1, 1, 0, 0]], bool)
    with_unknown = explained([[5, 4, 3, 2, 1, 99, 98]], [[0, 1, 0, 0, 1, 0, 1]], valid)
    without = explained([[5, 4, 3, 2, 1]], [[0, 1, 0, 0, 1]])
    np.testing.assert_allclose(metric(with_unknown), metric(without))


@pytest.mark.parametrize("metric", EVERY)
def test_unknown_bases_separate_nothing(metric) -> None:
    valid = np.array([[1, 1, 0, 0, 0, 1, 1, 1, 1]], bool)
    with_unknown = explained([[0, 5, 9, 9, 9, 4, 3, 0, 2]], [[0, 1, 0, 0, 0, 1, 1, 0, 0]], valid)
    without = explained([[0, 5, 4, 3, 0, 2]], [[0, 1, 1, 1, 0, 0]])
    assert metric(with_unknown).tolist() == metric(without).tolist()


@pytest.mark.parametrize("metric", EVERY)
def test_localisation_is_undefined_without_the_motif(metric) -> None:
    scores = np.tile(np.arange(7.0), (3, 1))
    inside = np.zeros((3, 7), bool)
    inside[1, 4] = True
    assert np.isnan(metric(explained(scores, inside))).tolist() == [True, False, True]


@pytest.mark.parametrize("metric", [auprc, auroc])
def test_areas_are_undefined_where_every_valid_position_is_motif(metric) -> None:
    valid = np.array([[1, 1, 1, 0, 0, 0, 0]], bool)
    assert np.isnan(metric(explained([np.arange(7)], [[1, 1, 1, 0, 0, 0, 0]], valid))).all()


@pytest.mark.parametrize("metric", [relevance_rank, top_3, pointing_game, instance_recall])
def test_nothing_but_motif_is_found_by_every_map(metric) -> None:
    valid = np.array([[1, 1, 1, 0, 0, 0, 0], [1] * 7], bool)
    everything = explained(np.tile(np.arange(1.0, 8), (2, 1)), valid, valid)
    assert metric(everything).tolist() == [1, 1]


@pytest.mark.parametrize("metric", EVERY)
def test_localisation_needs_to_know_where_motifs_are(metric) -> None:
    with pytest.raises(NotApplicable, match="does not say where its motifs are"):
        metric(explained([np.arange(7)], None))


@pytest.mark.parametrize(("motif_positions", "positions"), [(1, 7), (3, 11), (15, 60), (59, 60)])
def test_chance_auprc_is_the_mean_over_random_orders(motif_positions: int, positions: int) -> None:
    inside = np.zeros((20_000, positions), bool)
    inside[:, :motif_positions] = True
    scores = np.random.default_rng(0).random(inside.shape)
    values = auprc(explained(scores, inside))
    error = values.std() / np.sqrt(len(values))
    assert abs(values.mean() - chance_auprc(motif_positions, positions)) < 4 * error


def test_chance_auprc_of_one_motif_position_is_the_mean_of_one_over_its_rank() -> None:
    expected = sum(1 / rank for rank in range(1, 8)) / 7
    np.testing.assert_allclose(chance_auprc(1, 7), expected, rtol=1e-12)


def test_chance_auprc_is_above_the_share_of_the_motif() -> None:
    assert chance_auprc(15, 200) > 1.2 * 15 / 200


def test_chance_auprc_is_undefined_where_auprc_is() -> None:
    assert np.isnan(chance_auprc([0, 7, 3, 1], [7, 7, 7, 1])).tolist() == [True, True, False, True]


@pytest.mark.parametrize("metric", [*OF_EVIDENCE[:2], top_k, *OF_EVIDENCE[3:], rule_satisfaction])
def test_localisation_explains_the_label_and_is_better_when_higher(metric) -> None:
    assert metric.facts.target == "label"
    assert metric.facts.kind.needs_motif
    assert metric.facts.better == "higher"
    assert metric.facts.range == (0, 1)
    assert metric.facts.invariant == ("scale",)


# The highest positions


def slow_hits(scores: NDArray[np.float64], inside: NDArray[np.bool_], count: int) -> float:
    """Score after score from the highest: of those that still fit, the share that is inside."""
    hits = 0.0
    for score in sorted(set(scores), reverse=True):
        tied = scores == score
        taken = min(count, int(tied.sum()))
        hits, count = hits + taken * inside[tied].mean(), count - taken
    return hits


def test_relevance_rank_equals_its_slow_twin(tied: Explained) -> None:
    expected = [slow_hits(*row, row[1].sum()) / row[1].sum() for row in rows(tied)]
    np.testing.assert_allclose(relevance_rank(tied), expected, rtol=1e-12)


@pytest.mark.parametrize("k", [1, 2, 7])
def test_top_k_equals_its_slow_twin(k: int, tied: Explained) -> None:
    expected = [slow_hits(*row, k) / k if len(row[0]) >= k else np.nan for row in rows(tied)]
    np.testing.assert_allclose(top_k(tied, k=k), expected, rtol=1e-12)


def test_the_pointing_game_equals_its_slow_twin(tied: Explained) -> None:
    expected = [inside[scores == scores.max()].mean() for scores, inside in rows(tied)]
    np.testing.assert_allclose(pointing_game(tied), expected, rtol=1e-12)


def test_the_highest_positions_have_their_closed_forms() -> None:
    ramp = explained([[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]], [[0] * 6 + [1] * 4 + [0]])
    assert relevance_rank(ramp).tolist() == [3 / 4]
    assert top_3(ramp).tolist() == [2 / 3]
    assert top_k(ramp).tolist() == [4 / 10]
    assert pointing_game(ramp).tolist() == [0]


@pytest.mark.parametrize("metric", [relevance_rank, top_3, pointing_game])
def test_equal_scores_point_at_the_motif_by_chance(metric) -> None:
    flat = explained(np.full((1, 7), 0.3), [[0, 1, 1, 0, 0, 0, 0]])
    np.testing.assert_allclose(metric(flat), chance_share(2, 7))


def test_two_highest_positions_of_which_one_is_inside_are_half_a_point() -> None:
    assert pointing_game(explained([[8, 1, 8, 2, 3]], [[1, 1, 0, 0, 0]])).tolist() == [0.5]


def test_top_k_is_undefined_where_a_sequence_is_shorter_than_k() -> None:
    valid = np.array([[1, 1, 1, 1, 0], [1, 1, 1, 0, 0]], bool)
    short = explained([[5, 4, 3, 2, 1]] * 2, [[1, 0, 0, 0, 0]] * 2, valid)
    np.testing.assert_array_equal(top_k(short, k=4), [0.25, np.nan])


def test_top_k_does_not_apply_where_every_sequence_is_shorter_than_k(tied: Explained) -> None:
    with pytest.raises(NotApplicable, match="k is 18, and no sequence has more than 17 known"):
        top_k(tied, k=18)


# The area under the ROC curve


def test_auroc_equals_that_of_scikit_learn_under_ties(tied: Explained) -> None:
    expected = [roc_auc_score(inside, scores) for scores, inside in rows(tied)]
    np.testing.assert_allclose(auroc(tied), expected, rtol=1e-12)


def test_auroc_equals_its_slow_twin(tied: Explained) -> None:
    wins = [np.sign(np.subtract.outer(s[inside], s[~inside])) for s, inside in rows(tied)]
    expected = [(1 + each).mean() / 2 for each in wins]
    np.testing.assert_allclose(auroc(tied), expected, rtol=1e-12)


def test_auroc_saturates_where_auprc_does_not() -> None:
    inside = np.zeros((1, 200), bool)
    inside[:, 15:30] = True
    behind = explained([np.arange(200, 0, -1)], inside)
    assert auroc(behind) == pytest.approx(170 / 185)
    assert auprc(behind) < 0.4


# Instances


def slow_stretches(positions: list[int], gap: int) -> list[set[int]]:
    """Positions and what lies between two of them that are close enough."""
    found: list[set[int]] = []
    for position in sorted(positions):
        if found and position - max(found[-1]) <= gap + 1:
            found[-1] |= set(range(max(found[-1]), position + 1))
        else:
            found.append({position})
    return found


def slow_recall(scores, inside, overlap: float, gap: int) -> float:
    """Every stretch of the highest positions against every instance, as sets."""
    count = inside.sum()
    falling = [*sorted(scores, reverse=True), -np.inf]
    chosen = slow_stretches(np.flatnonzero(scores > falling[count]).tolist(), gap)
    instances = slow_stretches(np.flatnonzero(inside).tolist(), gap)
    best = [
        max([len(each & other) / len(each | other) for other in chosen], default=0)
        for each in instances
    ]
    return float(np.mean([value >= overlap for value in best]))


@pytest.mark.parametrize(("overlap", "gap"), [(0.5, 2), (0.5, 0), (0.3, 1), (1.0, 2), (0.6, 40)])
def test_instance_recall_equals_its_slow_twin(overlap: float, gap: int, tied: Explained) -> None:
    generator = np.random.default_rng(8)
    inside = np.repeat(generator.random((40, 9)) < 0.3, 5, axis=1)
    inside[:, :5] = True
    likely = explained(inside + generator.normal(size=inside.shape), inside, signed=False)
    for of in (tied, likely):
        expected = [slow_recall(*row, overlap, gap) for row in rows(of)]
        np.testing.assert_allclose(instance_recall(of, overlap=overlap, gap=gap), expected)
    assert 0 < np.mean(expected) < 1


def test_an_instance_is_found_where_half_of_the_union_is_shared() -> None:
    inside = [[0, 0, 1, 1, 1, 1, 0, 0, 0, 1, 1, 0, 0]]
    #          four and two positions: six are chosen, the stretches share 3 of 5 and 0 of 2
    shifted = explained([[0, 9, 9, 9, 9, 0, 0, 8, 8, 0, 0, 0, 0]], inside)
    assert instance_recall(shifted, gap=0).tolist() == [0.5]
    assert instance_recall(shifted, gap=0, overlap=0.6).tolist() == [0.5]
    assert instance_recall(shifted, gap=0, overlap=0.61).tolist() == [0.0]


def test_a_gap_in_an_instance_is_bridged() -> None:
    inside = [[0, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0]]
    holed = explained([[0, 9, 9, 0, 0, 9, 9, 9, 0, 0, 0, 0, 7]], inside)
    assert instance_recall(holed, gap=2).tolist() == [1.0]
    assert instance_recall(holed, gap=1).tolist() == [0.0]


def test_a_perfect_map_finds_instances_however_near() -> None:
    inside = np.array([[0, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0], [1, 0, 0, 1, 0, 0, 0, 1, 0, 1, 1]])
    assert instance_recall(explained(inside, inside)).tolist() == [1, 1]


def test_equal_scores_find_no_instance() -> None:
    flat = explained(np.full((1, 11), 0.3), [[0, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0]])
    assert instance_recall(flat).tolist() == [0]


def test_a_map_that_is_zero_outside_a_part_of_the_motif_finds_it() -> None:
    sparse = explained([[0, 0, 4, 3, 0, 0, 0, 0, 0]], [[0, 1, 1, 1, 0, 0, 0, 0, 0]])
    assert instance_recall(sparse).tolist() == [1]


# Signs


def judged(scores: ArrayLike, evidence: ArrayLike, label: int = 1) -> Explained:
    scores, evidence = np.atleast_2d(scores), np.atleast_2d(np.asarray(evidence, np.int8))
    codes = np.full(scores.shape, 3, np.uint8)
    labels = np.full(len(codes), label)
    names = tuple(map(str, range(len(codes))))
    sequences = Sequences(codes, labels, names, ("a", "b", "c"), evidence=evidence)
    return Explained(sequences, scores.astype(np.float32), labels, signed=True)


def slow_satisfaction(scores, evidence, label: int) -> float:
    """Run after run of equal evidence: has the sum its sign?"""
    right, start = [], 0
    for kind, run in groupby(evidence):
        end = start + len(list(run))
        total = scores[start:end].astype(np.float64).sum()
        if kind != NO_CLASS:
            right.append(total > 0 if kind == label else total < 0)
        start = end
    return float(np.mean(right)) if right else np.nan


def test_rule_satisfaction_equals_its_slow_twin() -> None:
    generator = np.random.default_rng(6)
    evidence = np.repeat(generator.integers(-1, 3, size=(43, 7)), 3, axis=1)
    of = judged(generator.integers(-2, 3, size=evidence.shape), evidence)
    expected = [slow_satisfaction(*row, 1) for row in zip(of.scores, evidence, strict=True)]
    np.testing.assert_allclose(rule_satisfaction(of), expected, rtol=1e-12)


def test_evidence_for_another_class_wants_negative_scores() -> None:
    evidence = [1, 1, -1, 0, 0, 0, -1, 2, 2]
    right = [3, -1, 9, -1, 2, -2, -9, 0, -4]
    assert rule_satisfaction(judged(right, evidence)).tolist() == [1]
    assert rule_satisfaction(judged(right, evidence, label=0)).tolist() == [1 / 3]
    assert rule_satisfaction(judged([-score for score in right], evidence)).tolist() == [0]


def test_a_sum_of_zero_has_no_sign_and_is_not_right() -> None:
    evidence = [1, 1, -1, 0, 0]
    assert rule_satisfaction(judged([2, -2, 9, 0, 0], evidence)).tolist() == [0]


def test_a_sequence_with_evidence_for_another_class_alone_has_a_rule() -> None:
    evidence = [[0, 0, -1, -1], [-1, -1, -1, -1]]
    satisfied = rule_satisfaction(judged([[-1, -2, 0, 0], [1, 2, 3, 4]], evidence))
    np.testing.assert_array_equal(satisfied, [1, np.nan])


def test_methods_without_a_sign_cannot_satisfy_a_rule() -> None:
    with pytest.raises(NotApplicable, match="scores have no sign"):
        rule_satisfaction(explained([np.arange(5)], [[0, 1, 1, 0, 0]], signed=False))


# Chance


@pytest.mark.parametrize("metric", [auprc, relevance_rank, top_3, pointing_game, auroc])
def test_chance_is_the_mean_over_all_places_of_the_motif(metric) -> None:
    chosen = list(combinations(range(7), 3))
    inside = np.zeros((len(chosen), 7), bool)
    inside[np.arange(len(chosen))[:, None], np.array(chosen)] = True
    scores = np.tile([0.1, 5, 3, 2, 9, 1, 4], (len(chosen), 1))
    name = getattr(metric, "func", metric).__name__
    values = metric(explained(scores, inside))
    np.testing.assert_allclose(values.mean(), CHANCE[name](3, 7), rtol=1e-12)
    by_mass = relevance_mass(explained(scores, inside)).mean()
    np.testing.assert_allclose(by_mass, CHANCE["relevance_mass"](3, 7), rtol=1e-12)


def test_chance_of_rule_satisfaction_is_the_mean_over_all_signs() -> None:
    signs = np.array(np.meshgrid([-1, 1], [-1, 1], [-1, 1])).reshape(3, -1).T
    scores = signs @ np.repeat(np.eye(3), [1, 2, 4], axis=1)
    evidence = np.tile(np.repeat([0, 1, 2], [1, 2, 4]), (8, 1))
    values = rule_satisfaction(judged(scores, evidence))
    assert values.mean() == CHANCE["rule_satisfaction"](2, 7) == 0.5


def test_chance_is_undefined_where_its_metric_is() -> None:
    motif, positions = [0, 7, 3], [7, 7, 7]
    assert np.isnan(chance_auroc(motif, positions)).tolist() == [True, True, False]
    np.testing.assert_array_equal(chance_share(motif, positions), [np.nan, 1, 3 / 7])
    np.testing.assert_array_equal(chance_rule_satisfaction(motif, positions), [np.nan, 0.5, 0.5])


def test_every_metric_but_instance_recall_knows_its_chance() -> None:
    metrics = {getattr(metric, "func", metric).__name__ for metric in EVERY}
    assert set(CHANCE) == metrics - {"instance_recall"}
