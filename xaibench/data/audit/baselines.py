"""Trivial baselines: a guess, composition and k-mers, learnt from train without a network."""

import math
import warnings
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xaibench.dna.encoding import lengths
from xaibench.randomness import stream
from xaibench.shapes import Codes, Labels
from xaibench.values import N, Sequences, Splits

MOST_TRAIN_SEQUENCES = 50_000
"""From more train sequences than this, about so many are drawn, the same share of each class."""

_ITERATIONS = 300
_BLOCK_ROWS = 2048
_CONSTANT_DEVIATION = 1e-6
"""A deviation that is no more than this is that of a constant."""

Features = NDArray[np.float32]
"""``(sequence, feature)``; NaN where a sequence has none."""


class TrivialBaseline(NamedTuple):
    """What one baseline reaches on test, higher is better.

    ``auroc`` is the mean over classes of that of the class against the rest, for two classes the
    usual one; ``auprc`` (average precision) likewise, for two classes that of the second; ``mcc``
    is Matthews' correlation, 0 for what always says one class. AUROC and AUPRC are NaN where test
    lacks a class, the MCC where it has one alone. ``learnt`` counts the train sequences;
    ``converged`` is False where the fit was cut off after 300 iterations.
    """

    name: str
    accuracy: float
    auroc: float
    learnt: int
    converged: bool = True
    auprc: float = math.nan
    mcc: float = math.nan


def trivial_baselines(splits: Splits, data_seed: int) -> list[TrivialBaseline]:
    """The largest class of train, then logistic regressions (scikit-learn, C = 1, its default).

    They see the share of G and C; the frequencies of all 3-mers and of all 5-mers as they are read,
    one strand; and the length alone, where lengths differ. Features are standardised by train, and
    one that a sequence does not have takes the mean. Nothing is tuned. Validation is not used.
    There are none without train, and none without two classes.
    """
    if not splits.has_train or not splits.train.has_classes:
        return []
    train = _subsampled(splits.train, data_seed)
    baselines = [_majority(splits)]
    for name, features in _BASELINES.items():
        train_features = features(train.codes)
        if name != "length" or np.ptp(train_features) > 0:
            baselines.append(
                _logistic_regression(name, train_features, train.labels, features, splits.test)
            )
    return baselines


def _subsampled(train: Sequences, data_seed: int) -> Sequences:
    share = min(MOST_TRAIN_SEQUENCES / len(train), 1)
    generator = stream(data_seed, "floor")
    rows = []
    for label in np.unique(train.labels):
        of_class = generator.permutation(np.flatnonzero(train.labels == label))
        rows.append(of_class[: max(round(share * len(of_class)), 1)])
    return train.take(np.sort(np.concatenate(rows)))


def _majority(splits: Splits) -> TrivialBaseline:
    counts = np.bincount(splits.train.labels, minlength=len(splits.train.class_names))
    accuracy = float((splits.test.labels == counts.argmax()).mean())
    constant = np.zeros((len(splits.test), len(counts)))
    figures = _mean_auroc(constant, splits.test), len(splits.train), True
    also = _mean_auprc(constant, splits.test), _matthews(constant, splits.test)
    return TrivialBaseline("majority class", accuracy, *figures, *also)


def _logistic_regression(
    name: str,
    train_features: Features,
    labels: Labels,
    features: Callable[[Codes], Features],
    test: Sequences,
) -> TrivialBaseline:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    standardise = _standardiser(train_features)
    model = LogisticRegression(max_iter=_ITERATIONS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # reported in the result
        model.fit(standardise(train_features), labels)
    scores = np.zeros((len(test), len(test.class_names)))
    scores[:, model.classes_] = model.predict_proba(standardise(features(test.codes)))
    accuracy = float((scores.argmax(axis=1) == test.labels).mean())
    converged = bool(model.n_iter_.max() < _ITERATIONS)
    figures = _mean_auroc(scores, test), len(labels), converged
    return TrivialBaseline(
        name, accuracy, *figures, _mean_auprc(scores, test), _matthews(scores, test)
    )


def _standardiser(train_features: Features) -> Callable[[Features], Features]:
    """What makes the mean of ``train_features`` 0 and its deviation 1, in place."""
    known = ~np.isnan(train_features[:, :1])  # a sequence has all features or none
    some = known.any()
    means = (
        train_features.mean(axis=0, where=known)
        if some
        else np.zeros(train_features.shape[1], np.float32)
    )
    deviations = train_features.std(axis=0, where=known) if some else means
    deviations = np.where(deviations > _CONSTANT_DEVIATION, deviations, 1)

    def standardise(features: Features) -> Features:
        features -= means
        features /= deviations
        return np.nan_to_num(features, copy=False, nan=0)

    return standardise


def _mean_auroc(scores: NDArray[np.float64], test: Sequences) -> float:
    """``scores`` ``(sequence, class)``."""
    from sklearn.metrics import roc_auc_score

    inside = test.labels[:, None] == np.arange(len(test.class_names))
    if inside.all(axis=0).any() or not inside.any(axis=0).all():
        return float("nan")
    return float(np.mean([*map(roc_auc_score, inside.T, scores.T)]))


def _mean_auprc(scores: NDArray[np.float64], test: Sequences) -> float:
    """``scores`` ``(sequence, class)``."""
    from sklearn.metrics import average_precision_score

    inside = test.labels[:, None] == np.arange(len(test.class_names))
    if inside.all(axis=0).any() or not inside.any(axis=0).all():
        return float("nan")
    every = [*map(average_precision_score, inside.T, scores.T)]
    return float(every[1] if len(every) == 2 else np.mean(every))


def _matthews(scores: NDArray[np.float64], test: Sequences) -> float:
    from sklearn.metrics import matthews_corrcoef

    if len(set(test.labels.tolist())) < 2:
        return float("nan")
    return float(matthews_corrcoef(test.labels, scores.argmax(axis=1)))


def gc(codes: Codes) -> Features:
    """``(sequence, 1)``: the share of G and C among the known bases."""
    strong = ((codes == 1) | (codes == 2)).sum(axis=1)
    return _quotient(strong[:, None], (codes < N).sum(axis=1)[:, None])


def frequencies(codes: Codes, width: int) -> Features:
    """``(sequence, 4**width)``: the share of each k-mer among those without an unknown base.

    In the order AA, AC, ... TT, as the sequence is read.
    """
    table = np.empty((len(codes), 4**width), np.float32)
    for start in range(0, len(codes), _BLOCK_ROWS):
        chunk = codes[start : start + _BLOCK_ROWS]
        windows = max(chunk.shape[1] - width + 1, 0)
        kmers = np.arange(len(chunk))[:, None] + np.zeros(windows, np.intp)
        known = np.ones(kmers.shape, np.bool_)
        for offset in range(width):
            bases = chunk[:, offset : offset + windows]
            kmers = 4 * kmers + bases
            known &= bases < N
        counts = np.bincount(kmers[known], minlength=len(chunk) * 4**width)
        table[start : start + _BLOCK_ROWS] = _quotient(
            counts.reshape(len(chunk), -1), known.sum(axis=1)[:, None]
        )
    return table


def _quotient(counts: NDArray[np.intp], totals: NDArray[np.intp]) -> Features:
    with np.errstate(invalid="ignore"):  # 0 of 0 is NaN
        return (counts / totals).astype(np.float32)


def _length(codes: Codes) -> Features:
    """``(sequence, 1)``, in bases."""
    parts = [
        lengths(codes[start : start + _BLOCK_ROWS]) for start in range(0, len(codes), _BLOCK_ROWS)
    ]
    return np.concatenate(parts)[:, None].astype(np.float32)


_BASELINES: dict[str, Callable[[Codes], Features]] = {
    "GC alone": gc,
    "3-mers": partial(frequencies, width=3),
    "5-mers": partial(frequencies, width=5),
    "length": _length,
}
