"""What resampling draws, sequence by sequence or by whole clusters."""

from functools import partial

import numpy as np
import pytest
from scipy import stats
from simulated import generator, shared, values

from xaibench.statistics.bootstrap import bands, difference, estimate, of_differences, of_values
from xaibench.statistics.draws import Draws, draw
from xaibench.statistics.ratios import of_ratio

REGIONS = np.array([7, 7, 3, 3, 3, 9, 9, 9, 9, 1, 2, 2])


def test_a_bootstrap_sample_has_the_size_of_what_it_is_drawn_from() -> None:
    draws = draw(generator(), 3, 11, resamples=17, flips=19)
    assert (draws.sequence_counts.sum(axis=1) == 11).all()
    assert (draws.seed_counts.sum(axis=1) == 3).all()
    assert draws.signs.shape == (19, 11)
    assert set(np.unique(draws.signs)) == {-1, 1}
    assert (draws.clusters, draws.units) == (None, 11)


def test_very_many_sequences_get_fewer_draws(monkeypatch) -> None:
    monkeypatch.setattr("xaibench.statistics.draws.LARGEST", 30_000)
    draws = draw(generator(), 2, 150)
    assert draws.sequence_counts.shape == draws.signs.shape == (200, 150)
    assert draw(generator(), 2, 10_000, flips=0).sequence_counts.shape == (100, 10_000)


def test_counts_of_very_many_sequences_are_not_cut_off() -> None:
    draws = draw(generator(), 2, 100_000, resamples=3, flips=0)
    assert (draws.sequence_counts.sum(axis=1, dtype=np.int64) == 100_000).all()


def test_a_cluster_is_drawn_and_turned_whole() -> None:
    draws = draw(generator(), 3, 12, resamples=50, flips=60, clusters=REGIONS)
    for region in np.unique(REGIONS):
        members = REGIONS == region
        assert (np.ptp(draws.sequence_counts[:, members], axis=1) == 0).all()
        assert (np.ptp(draws.signs[:, members], axis=1) == 0).all()
    _, first = np.unique(REGIONS, return_index=True)
    assert (draws.sequence_counts[:, first].sum(axis=1) == 5).all()
    assert (draws.clusters, draws.units) == (5, 5)


def test_a_cluster_for_each_sequence_draws_as_without_and_widens_a_little() -> None:
    plain = draw(generator(), 3, 12)
    alone = draw(generator(), 3, 12, clusters=np.arange(12))
    for name in ("sequence_counts", "seed_counts", "signs"):
        assert (getattr(alone, name) == getattr(plain, name)).all()
    both = values(0, 1, 1, (3, 12))
    narrow, wide = (of_values(both, shared(draws)) for draws in (plain, alone))
    assert wide.sequences_low < narrow.sequences_low < narrow.sequences_high < wide.sequences_high


def test_clusters_of_another_number_of_sequences_are_refused() -> None:
    with pytest.raises(ValueError, match=r"each of 11 sequences, got the shape \(12,\)"):
        draw(generator(), 3, 11, clusters=REGIONS)


def test_the_interval_of_clusters_is_that_of_the_draws_one_by_one() -> None:
    both = values(0.3, 1, 1, (3, 12))
    draws = draw(generator(), 3, 12, resamples=500, clusters=REGIONS)
    means = [np.repeat(both, columns, axis=1).mean() for columns in draws.sequence_counts]
    # the tails in which t of five units reaches as far as a normal deviate does
    reach = stats.t.ppf(0.975, 4) * np.sqrt(5 / 4)
    expected = np.quantile(means, stats.norm.cdf([-reach, reach]))
    found = of_values(both, shared(draws), clusters=REGIONS)
    np.testing.assert_allclose((found.sequences_low, found.sequences_high), expected)


def test_equal_values_of_uneven_clusters_stay_at_their_value() -> None:
    same = np.full((3, 12), 0.7)
    found = estimate(same, generator=generator(), resamples=200, clusters=REGIONS)
    assert (found.low, found.high) == pytest.approx((0.7, 0.7))
    same[1, 4] = np.nan
    holed = estimate(same, generator=generator(), resamples=200, clusters=REGIONS)
    assert (holed.low, holed.high) == pytest.approx((0.7, 0.7))


def test_a_sequence_without_a_value_takes_its_cluster_number_with_it() -> None:
    known = values(0.3, 1, 1, (3, 12)) + 0.4
    padded, regions = np.insert(known, [0, 6, 6], np.nan, axis=1), np.insert(REGIONS, [0, 6, 6], 5)
    one, other = (
        of_differences(each, partial(draw, generator(), resamples=200), clusters=clusters)
        for each, clusters in ((known, REGIONS), (padded, regions))
    )
    assert (one.low, one.high, one.p_sequences) == (other.low, other.high, other.p_sequences)


def test_a_ratio_of_clusters_is_wider_than_one_of_sequences() -> None:
    regions = np.repeat(np.arange(8), 5)
    bottom = 3 + values(0.1, 0.1, 0.1) + np.random.default_rng(1).normal(0, 1, 8)[regions]
    top = values(0.1, 0.1, 0.1, random_state=2) + np.random.default_rng(3).normal(0, 1, 8)[regions]
    drawing = partial(draw, generator(), resamples=400)
    wide, narrow = of_ratio(top, bottom, drawing, clusters=regions), of_ratio(top, bottom, drawing)
    assert wide.mean == narrow.mean
    assert wide.sequences_high - wide.sequences_low > 1.5 * (
        narrow.sequences_high - narrow.sequences_low
    )


def test_one_cluster_has_no_interval_and_says_so() -> None:
    one = np.zeros(12, int)
    both = values(1, 1, 1, (3, 12))
    found = difference(both, 0 * both, generator=generator(), resamples=20, flips=20, clusters=one)
    assert np.isnan([found.low, found.high, found.sequences_low, found.sequences_high]).all()
    assert found.reason == "one cluster: no interval"
    draws = draw(generator(), 3, 12, resamples=20, flips=0, clusters=one)
    mean, low, high = bands(both[:, :, None], draws)
    assert mean == pytest.approx(both.mean())
    assert np.isnan([low, high]).all()


def test_bands_of_clusters_are_the_headline_of_every_column() -> None:
    columns = [values(0, 1, 1, (3, 12)), values(0.1, 2, 1, (3, 12), 1)]
    draws = draw(generator(), 3, 12, resamples=300, flips=0, clusters=REGIONS)
    expected = [of_values(column, shared(draws)) for column in columns]
    np.testing.assert_allclose(
        bands(np.stack(columns, axis=2), draws),
        np.transpose([(each.mean, each.low, each.high) for each in expected]),
        rtol=1e-9,
    )


def test_draws_made_by_hand_are_of_sequences() -> None:
    counts = np.ones((4, 6), np.uint16)
    assert Draws(counts, np.ones((4, 2), np.uint16), np.ones((1, 6), np.int8)).units == 6
