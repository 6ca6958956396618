"""AUROC, AUPRC and MCC: scikit-learn is the oracle of the numbers, simulation of the intervals."""

import math
from functools import partial
from itertools import product

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics

from xaibench.statistics.classification_intervals import auroc_interval, wilson_interval
from xaibench.statistics.discrimination import MEASURES, difference, estimate, of_seeds
from xaibench.statistics.resampling import draw

SEEDS, SEQUENCES = 3, 61


def drawing(seeds, sequences, clusters=None, resamples=400):
    generator = np.random.default_rng(1)
    return draw(generator, seeds, sequences, resamples=resamples, flips=1, clusters=clusters)


def predictions(classes, seed=0, ties=False):
    """Logits that know a little, and labels of which the first class has most."""
    generator = np.random.default_rng([seed, classes])
    labels = np.minimum(generator.geometric(0.5, SEQUENCES) - 1, classes - 1)
    labels[:classes] = np.arange(classes)
    logits = generator.normal(size=(SEEDS, SEQUENCES, classes)) + np.eye(classes)[labels]
    return (logits.round(0) if ties else logits), labels


def by_sklearn(measure, logits, labels):
    places = range(logits.shape[1])
    others = [np.logaddexp.reduce(np.delete(logits, place, 1), axis=1) for place in places]
    odds = (logits - np.stack(others, axis=1)).round(9)
    asked = range(odds.shape[1]) if odds.shape[1] > 2 else (1,)
    if measure == "mcc":
        return metrics.matthews_corrcoef(labels, logits.argmax(1))
    score = {"auroc": metrics.roc_auc_score, "auprc": metrics.average_precision_score}[measure]
    return np.mean([score(labels == place, odds[:, place]) for place in asked])


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("classes", [2, 3, 5])
@pytest.mark.parametrize("measure", MEASURES)
def test_numbers_are_those_of_scikit_learn(measure, classes, ties):
    logits, labels = predictions(classes, ties=ties)
    expected = [by_sklearn(measure, each, labels) for each in logits]
    assert of_seeds(measure, logits, labels) == pytest.approx(expected, abs=1e-12)
    assert estimate(measure, logits, labels, drawing).mean == pytest.approx(np.mean(expected))


@pytest.mark.parametrize("measure", MEASURES)
def test_a_draw_is_the_number_of_the_drawn_sequences(measure):
    """By sequences repeated as often as they were drawn."""
    logits, labels = predictions(3)
    draws = drawing(1, SEQUENCES, resamples=300)

    def one_seed(*_, **__):
        return draws

    found = estimate(measure, logits[:1], labels, one_seed)
    drawn = []
    for counts in draws.sequence_counts:
        rows = np.repeat(np.arange(SEQUENCES), counts)
        if len(set(labels[rows])) == 3:
            drawn.append(by_sklearn(measure, logits[0][rows], labels[rows]))
    low, high = np.quantile(drawn, [0.025, 0.975])
    assert found.sequences_low <= low + 0.02
    assert found.sequences_high >= high - 0.02


def test_probabilities_that_saturate_still_have_an_order():
    logits = np.zeros((1, 4, 2))
    logits[0, :, 1] = [50, 60, 55, 70]  # all are 1.0 as probabilities
    assert of_seeds("auroc", logits, np.array([0, 0, 1, 1])) == [0.75]


def test_one_class_that_is_always_predicted_has_the_figures_of_chance():
    labels = np.array([0] * 9 + [1] * 3)
    constant = np.zeros((2, 12, 2))
    found = {name: estimate(name, constant, labels, drawing).mean for name in MEASURES}
    assert found == {"auroc": 0.5, "auprc": 0.25, "mcc": 0.0}


def test_a_class_without_sequences_is_nan_with_the_reason():
    logits, _ = predictions(3)
    for name in MEASURES:
        found = estimate(name, logits, np.arange(SEQUENCES) % 2, drawing)
        assert math.isnan(found.mean)
        assert math.isnan(found.sequences_low)
        assert found.reason == "class 2 has no test sequence"


def test_logits_that_are_not_finite_are_nan_with_the_reason():
    logits, labels = predictions(2)
    logits[1, 3, 0] = np.inf
    assert estimate("auroc", logits, labels, drawing).reason == "some logits are not finite"
    assert math.isnan(difference("mcc", logits[:, :0], logits[:, :0], labels[:0], drawing).mean)


def test_perfect_separation_has_an_interval_with_a_width():
    labels = np.array([0] * 40 + [1] * 10)
    logits = np.stack([np.zeros(50), labels * 4.0 - 2], axis=1)[None]
    for name in MEASURES:
        found = estimate(name, logits, labels, drawing)
        assert found.mean == found.sequences_high == 1
        assert found.sequences_low < 0.95
        same = difference(name, logits, logits, labels, drawing)
        assert same.mean == 0
        assert same.sequences_low < 0 < same.sequences_high


def test_with_one_seed_the_interval_over_retraining_is_missing_with_the_reason():
    logits, labels = predictions(2)
    found = estimate("auroc", logits[:1], labels, drawing)
    assert math.isnan(found.low)
    assert not math.isnan(found.sequences_low)
    assert found.reason == "one replicate: no interval over replicates"


def test_seeds_that_disagree_widen_the_interval_over_retraining():
    logits, labels = predictions(2)
    logits[2, :, 1] += 6 * labels
    found = estimate("auroc", logits, labels, drawing)
    assert found.high - found.low > found.sequences_high - found.sequences_low
    assert 0 <= found.low
    assert found.high <= 1


def test_clusters_are_drawn_whole():
    logits, labels = predictions(2)
    found = estimate("auroc", logits, labels, drawing, clusters=np.arange(SEQUENCES) % 4)
    alone = estimate("auroc", logits, labels, drawing)
    assert found.sequences_high != alone.sequences_high
    one = estimate("auroc", logits, labels, drawing, clusters=np.zeros(SEQUENCES, int))
    assert one.reason == "one cluster: no interval"


def test_a_difference_is_paired():
    logits, labels = predictions(2)
    worse = logits + np.random.default_rng(3).normal(0, 0.05, logits.shape)
    paired = difference("auroc", logits, worse, labels, drawing)
    alone = estimate("auroc", logits, labels, drawing)
    assert abs(paired.mean) < 0.05
    assert paired.sequences_high - paired.sequences_low < (
        alone.sequences_high - alone.sequences_low
    )
    with pytest.raises(ValueError, match="second: expected the shape of first"):
        difference("auroc", logits, logits[:2], labels, drawing)


@pytest.mark.parametrize(("auroc", "inside", "rest"), [(0.5, 20, 20), (0.83, 7, 90), (0.0, 5, 9)])
def test_ends_of_an_auroc_lie_where_chance_just_reaches_it(auroc, inside, rest):
    z = stats.norm.ppf(0.975)
    for end in auroc_interval(auroc, inside, rest):
        if 0 < end < 1:
            q1, q2 = end / (2 - end), 2 * end**2 / (1 + end)
            more = (inside + rest) / 2 - 1
            variance = end * (1 - end) + more * ((q1 - end**2) + (q2 - end**2))
            assert abs(auroc - end) == pytest.approx(z * np.sqrt(variance / (inside * rest)))


def test_wilson_is_that_of_scipy():
    for right, trials in ((0, 7), (3, 11), (11, 11)):
        expected = stats.binomtest(right, trials).proportion_ci(method="wilson")
        assert wilson_interval(right / trials, trials) == pytest.approx(
            (expected.low, expected.high)
        )


SEEDS_DIFFER = 0.5
"""The deviation of a score between seeds, where that of a class is 1."""


def held(auroc, share, sequences, seeds, samples, resamples):
    """By measure, how often the intervals hold the truth: of these models, of retraining, and of
    the difference of two models that are equally good, these models."""
    generator = np.random.default_rng(11)
    apart = np.sqrt(2) * stats.norm.ppf(auroc)
    noise = SEEDS_DIFFER if seeds > 1 else 0.0

    def drawn(count, models=1):
        labels = (generator.random(count) < share).astype(int)
        shared = generator.normal(size=count)
        own = generator.normal(size=(models, seeds, count))
        score = np.sqrt(1 - noise**2) * shared + noise * own if seeds > 1 else own
        if models > 1 and seeds == 1:
            score = np.sqrt(0.5) * (shared + own)
        score = score + apart * (labels - 0.5)
        odds = apart * score + np.log(share / (1 - share))
        return np.stack([np.zeros_like(odds), odds], axis=-1), labels

    whole, labels = drawn(100_000)
    truth = {name: of_seeds(name, whole[0], labels).mean() for name in MEASURES}
    found = {name: [] for name in MEASURES}
    for _ in range(samples):
        (one, two), labels = drawn(sequences, models=2)
        if labels.sum() < 2:
            continue
        for name in MEASURES:
            of_size = partial(drawing, resamples=resamples)
            own = estimate(name, one, labels, of_size)
            apart_ = difference(name, one, two, labels, of_size)
            found[name].append(
                (
                    own.sequences_low <= truth[name] <= own.sequences_high,
                    own.low <= truth[name] <= own.high,
                    apart_.sequences_low <= 0 <= apart_.sequences_high,
                )
            )
    return {name: np.mean(rows, axis=0) for name, rows in found.items()}


@pytest.mark.parametrize(("auroc", "share", "sequences"), [(0.97, 0.1, 100), (0.8, 0.5, 60)])
def test_intervals_hold_the_truth_often_enough(auroc, share, sequences):
    """Percentiles alone hold an AUROC of 0.97 with 10 of 100 in the class in 78 % of the cases."""
    for name, (models, _, between) in held(auroc, share, sequences, 1, 100, 200).items():
        assert models > 0.9, name
        assert between > 0.9, name


def test_intervals_for_retraining_hold_the_truth_often_enough():
    for name, (_, retraining, _) in held(0.9, 0.3, 60, 3, 60, 200).items():
        assert retraining > 0.9, name


if __name__ == "__main__":  # the table of docs/statistics.md
    for auroc, share, seeds in product((0.7, 0.9, 0.99), (0.1, 0.5), (1, 3)):
        found = held(auroc, share, 100, seeds, 300, 300)
        shown = {name: np.round(of, 2).tolist() for name, of in found.items()}
        print(auroc, share, seeds, shown, flush=True)
