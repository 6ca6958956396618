"""How often the intervals hold the true mean, on simulated values of known mean and variances.

The settings and shares are those of the tables in docs/statistics.md.
"""

import re
from pathlib import Path

import numpy as np
import pytest
from simulated import shared, values

from xaibench.statistics.bootstrap import draw, of_values
from xaibench.statistics.draws import Clusters

PAGE = (Path(__file__).parents[2] / "docs" / "statistics.md").read_text()
RUNS = 600
RESAMPLES = 400
BELOW = 3 * np.sqrt(0.95 * 0.05 / RUNS)
"""Three binomial standard errors of the share of data sets."""

SAME = 0.011
"""The page rounds to 0.01; where another machine rounds otherwise, a data set or two may turn."""


def rows(columns: int) -> list[list[float]]:
    """The numbers of the rows of the page that hold so many, of its tables of coverage."""
    lines = re.findall(r"^\| (\d+ x \d+ \|.*)\|$", PAGE, flags=re.MULTILINE)
    found = [[float(number) for number in re.findall(r"[\d.]+", line)] for line in lines]
    return [row for row in found if len(row) == columns]


def nested(seeds: int, sequences: int) -> np.ndarray:
    """``(draw, seed x sequence)``: the weights where each drawn seed draws sequences anew."""
    source = np.random.default_rng(8)
    weights = np.zeros((RESAMPLES, seeds, sequences))
    for drawn in weights:
        for seed in source.integers(seeds, size=seeds):
            again = source.integers(sequences, size=sequences)
            drawn[seed] += np.bincount(again, minlength=sequences)
    return weights.reshape(RESAMPLES, -1) / (seeds * sequences)


def holds(low: float, high: float) -> bool:
    return low <= 0 <= high


@pytest.mark.parametrize("row", rows(8), ids=str)
def test_the_headline_covers_and_nested_resampling_does_not(row) -> None:
    (seeds, sequences), deviations = map(int, row[:2]), row[2:5]
    draws = draw(np.random.default_rng(7), seeds, sequences, resamples=RESAMPLES, flips=0)
    weights, covered = nested(seeds, sequences), np.zeros(3)
    for run in range(RUNS):
        made = values(*deviations, (seeds, sequences), (seeds, sequences, int(deviations[1]), run))
        found = of_values(made, shared(draws))
        again = np.quantile(weights @ made.ravel(), [0.025, 0.975])
        covered += [
            holds(found.low, found.high),
            holds(found.sequences_low, found.sequences_high),
            holds(*again),
        ]
    shares = covered / RUNS
    assert shares[0] >= 0.95 - BELOW
    assert shares[2] < 0.95 - BELOW
    np.testing.assert_allclose(shares, row[5:], atol=SAME)


def regions(number: int, sequences: int) -> Clusters:
    """Of uneven size: the last is the largest, as chromosomes are."""
    sizes = np.arange(1, number + 1) + number / 2
    return np.searchsorted(np.cumsum(sizes / sizes.sum()), (np.arange(sequences) + 0.5) / sequences)


@pytest.mark.parametrize("row", rows(4), ids=str)
def test_drawing_whole_clusters_covers_where_drawing_sequences_does_not(row) -> None:
    number, sequences = map(int, row[:2])
    clusters, size = regions(number, sequences), (5, sequences)
    plain, whole = (
        draw(np.random.default_rng(7), *size, resamples=RESAMPLES, flips=0, clusters=each)
        for each in (None, clusters)
    )
    covered = np.zeros(2)
    for run in range(RUNS):
        of_regions = np.random.default_rng((number, run)).normal(0, 1, number)[clusters]
        made = values(0.1, 1, 1, size, (sequences, run)) + of_regions
        found = [of_values(made, shared(draws)) for draws in (plain, whole)]
        covered += [holds(each.low, each.high) for each in found]
    shares = covered / RUNS
    assert shares[0] < 0.8
    assert shares[1] >= 0.95 - BELOW
    np.testing.assert_allclose(shares, row[2:], atol=SAME)


def test_resampling_sequences_alone_would_not_cover_the_mean_over_retraining() -> None:
    draws = draw(np.random.default_rng(7), 5, 40, flips=0)
    found = [of_values(values(1, 0.1, 0.1, random_state=run), shared(draws)) for run in range(100)]
    assert np.mean([holds(each.sequences_low, each.sequences_high) for each in found]) < 0.3


def test_the_page_has_both_tables() -> None:
    assert len(rows(8)) >= 5
    assert len(rows(4)) >= 3
