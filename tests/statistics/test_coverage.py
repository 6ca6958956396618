"""How often the headline's test finds what is not there, and what is, on simulated values.

Settings and shares are those of the tables in docs/statistics.md, under the same headings.
"""

import re
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from simulated import Float, values

from xaibench.statistics.crossed import Spread, crossed, interval, of_these_models, p_value
from xaibench.statistics.ratios import difference_of_ratios, linearised, of_ratio
from xaibench.statistics.resampling import Clusters

PAGE = (Path(__file__).parents[2] / "docs" / "statistics.md").read_text()
RUNS = 2000
CHECKED, CHECKED_RATIOS = 10, 50
"""Of so many data sets, one is also taken the long way: p itself, the ends of a ratio."""

LEVEL, MOST = 0.05, 0.06
"""What the test says that it finds where nothing differs, and what it may."""

SAME = 0.011
"""The page rounds to 0.01; where another machine rounds otherwise, a data set or two may turn."""


def rows(heading: str) -> list[list[float]]:
    """The numbers in each row of the first table of the page under this heading."""
    part = PAGE.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    lines = re.findall(r"^\| (\d.*)\|$", part, flags=re.MULTILINE)
    return [[float(number) for number in re.findall(r"[\d.]+", line)] for line in lines]


def regions(number: int, sequences: int) -> Clusters:
    """Of uneven size: the last is the largest, as chromosomes are."""
    sizes = np.arange(1, number + 1) + number / 2
    return np.searchsorted(np.cumsum(sizes / sizes.sum()), (np.arange(sequences) + 0.5) / sequences)


def finds(spread: Spread, *, shift: float = 0.0) -> bool:
    """Whether the interval excludes 0, which is where p < .05 and takes no root to find."""
    low, high = interval(spread._replace(mean=spread.mean + shift))
    return not low <= 0 <= high


def p_agrees(spread: Spread) -> bool:
    return finds(spread) == (p_value(spread) < LEVEL)


@pytest.mark.parametrize("row", rows("How often the headline is wrong"), ids=str)
def test_the_headline_finds_no_more_than_it_says(row) -> None:
    """And t over the seeds' means does, and so does a test of all values as if independent."""
    (seeds, sequences), deviations, expected = map(int, row[:2]), row[2:5], row[5:]
    sizes = np.array([seeds, sequences, seeds * sequences])
    three_errors = 3 * np.sqrt((np.square(deviations) / sizes).sum())
    every = [
        values(*deviations, (seeds, sequences), (seeds, sequences, run)) for run in range(RUNS)
    ]
    spreads = [crossed(made) for made in every]
    assert all(p_agrees(spread) for spread in spreads[::CHECKED])
    means, flat = np.mean(every, axis=2), np.reshape(every, (RUNS, -1))
    shares = [
        np.mean([finds(spread) for spread in spreads]),
        np.mean([finds(spread, shift=three_errors) for spread in spreads]),
        *((stats.ttest_1samp(each, 0, axis=1).pvalue < LEVEL).mean() for each in (means, flat)),
    ]
    assert shares[0] <= MOST
    np.testing.assert_allclose(shares, expected, atol=SAME)


@pytest.mark.parametrize("row", rows("Clusters"), ids=str)
def test_the_headline_of_clusters_finds_no_more_than_it_says(row) -> None:
    """And with sequences taken as independent it does."""
    seeds, number, sequences = map(int, row[:3])
    clusters, found = regions(number, sequences), np.zeros(3)
    sizes = np.bincount(clusters) / sequences
    rest = 0.1**2 / seeds + 1 / sequences + 1 / (seeds * sequences)
    three_errors = 3 * np.sqrt(rest + (sizes**2).sum())
    for run in range(RUNS):
        of_regions = np.random.default_rng((number, run)).normal(0, 1, number)[clusters]
        made = values(0.1, 1, 1, (seeds, sequences), (sequences, run)) + of_regions
        spread = crossed(made, clusters)
        assert run % CHECKED or p_agrees(spread)
        found += [finds(spread), finds(spread, shift=three_errors), finds(crossed(made))]
    shares = found / RUNS
    assert shares[0] <= MOST
    np.testing.assert_allclose(shares, row[3:], atol=SAME)


def model(
    ratio: float, scale: float, deviations: list[float], source: np.random.Generator, hard: Float
) -> tuple[Float, Float]:
    """What a method reaches on a model and what is possible, their means having this ratio."""
    size = (5, len(hard))
    possible = scale * (1 + deviations[0] * source.normal(size=(5, 1)) + hard)
    possible = possible + scale * deviations[2] * source.normal(size=size)
    reached = ratio * (possible + scale) / 2 + scale * 0.3 * source.normal(size=size)
    return reached, possible


def is_above_zero(possible: Float) -> bool:
    """Where it is not, surely, there is no score, and so none that is wrong."""
    return interval(crossed(possible)).low > 0


def misses(ratio: float, reached: Float, possible: Float) -> bool:
    """Whether Fieller's interval excludes the ratio, without a search for its ends, where what is
    possible is above 0."""
    return finds(crossed(reached - ratio * possible))


def differ(one: tuple[Float, Float], other: tuple[Float, Float]) -> bool:
    """Whether the difference of two scores is found, where both are defined."""
    return finds(crossed(linearised(*one) - linearised(*other)))


@pytest.mark.parametrize("row", rows("Normalised score"), ids=str)
def test_normalised_scores_and_their_differences_find_no_more_than_they_say(row) -> None:
    sequences, ratio, deviations = int(row[0]), row[1], row[2:5]
    found, runs = np.zeros(2), RUNS // 2
    for run in range(runs):
        source = np.random.default_rng((sequences, run))
        hard = source.normal(0, deviations[1], sequences)
        one, other = (model(ratio, scale, deviations, source, hard) for scale in (4.0, 9.0))
        defined = is_above_zero(one[1])
        wrong = [
            defined and misses(ratio, *one),
            defined and is_above_zero(other[1]) and differ(one, other),
        ]
        if not run % CHECKED_RATIOS:
            of_one = of_ratio(*one)
            outside = not of_one.low <= ratio <= of_one.high
            p = difference_of_ratios(one, other).p
            assert wrong == [outside and not np.isnan(of_one.low), p < LEVEL]
        found += wrong
    shares = found / runs
    assert (shares <= MOST).all()
    np.testing.assert_allclose(shares, row[5:], atol=SAME)


def test_taking_the_models_as_given_would_not_do_for_retraining() -> None:
    ends = [interval(of_these_models(values(1, 0.1, 0.1, random_state=run))) for run in range(100)]
    assert np.mean([low <= 0 <= high for low, high in ends]) < 0.3


@pytest.mark.parametrize(("sequences", "most"), [(50, 0.08), (100, 0.07), (400, MOST)])
def test_skewed_differences_are_found_less_often_than_by_t(sequences: int, most: float) -> None:
    """Lognormal, of deviation 1.2 on the scale of logarithms: t finds .13, .10 and .07."""
    runs, found, by_t = 1000, 0, 0
    for run in range(runs):
        source = np.random.default_rng((sequences, run))
        of_sequences = source.lognormal(0, 1.2, sequences) - np.exp(1.2**2 / 2)
        made = of_sequences + source.normal(0, 0.5, (5, sequences))
        spread = of_these_models(made)
        assert run % CHECKED or p_agrees(spread)
        found += finds(spread)
        by_t += stats.ttest_1samp(made.mean(axis=0), 0).pvalue < LEVEL
    assert found / runs <= most < by_t / runs


def test_the_page_has_the_tables() -> None:
    assert len(rows("How often the headline is wrong")) >= 20
    assert len(rows("Clusters")) >= 5
    assert len(rows("Normalised score")) >= 4
