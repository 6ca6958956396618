"""What resampling draws, sequence by sequence or by whole clusters."""

import numpy as np
import pytest
from simulated import generator

from xaibench.statistics import resampling
from xaibench.statistics.resampling import Draws, draw, drawn_seed_means, product

REGIONS = np.array([7, 7, 3, 3, 3, 9, 9, 9, 9, 1, 2, 2])


def test_a_bootstrap_sample_has_the_size_of_what_it_is_drawn_from() -> None:
    draws = draw(generator(), 3, 11, resamples=17, flips=19)
    assert (draws.sequence_counts.sum(axis=1) == 11).all()
    assert (draws.seed_counts.sum(axis=1) == 3).all()
    assert draws.signs.shape == (19, 11)
    assert set(np.unique(draws.signs)) == {-1, 1}
    assert (draws.clusters, draws.units) == (None, 11)


def test_very_many_sequences_get_fewer_draws(monkeypatch) -> None:
    monkeypatch.setattr("xaibench.statistics.resampling.LARGEST", 30_000)
    draws = draw(generator(), 2, 150)
    assert draws.sequence_counts.nbytes == draws.signs.nbytes == 30_000
    assert draw(generator(), 2, 10_000, flips=0).sequence_counts.shape == (100, 10_000)


def test_counts_of_very_many_sequences_are_not_cut_off() -> None:
    draws = draw(generator(), 2, 100_000, resamples=3, flips=0)
    assert (product(draws.sequence_counts, np.ones((1, 100_000))) == 100_000).all()


@pytest.mark.parametrize("clusters", [None, REGIONS])
@pytest.mark.parametrize("together", [1, 2**16])
def test_what_is_not_held_is_drawn_again_the_same(monkeypatch, clusters, together) -> None:
    held = draw(generator(), 3, 12, resamples=17, flips=19, clusters=clusters)
    for name, value in {"HELD": 11, "_TOGETHER": together, "_SIGNS_TOGETHER": together}.items():
        monkeypatch.setattr(resampling, name, value)
    drawn = draw(generator(), 3, 12, resamples=17, flips=19, clusters=clusters)
    np.testing.assert_array_equal(drawn.seed_counts, held.seed_counts)
    values = np.random.default_rng(1).normal(size=(2, 12))
    columns = np.array([4, 4, 0])
    for name in ("sequence_counts", "signs"):
        table, expected = getattr(drawn, name), getattr(held, name)
        assert not isinstance(table, np.ndarray)
        for _ in range(2):
            joined = np.concatenate([*resampling.draw_blocks(table)])
            np.testing.assert_array_equal(joined, expected, strict=True)
        # where a cluster is drawn whole, sums may be in another order
        np.testing.assert_allclose(product(table, values), product(expected, values), rtol=1e-13)
        some = np.concatenate([*resampling.of_columns(table, columns).blocks()])
        np.testing.assert_array_equal(some, expected[:, columns])
    known = np.where(values > 1, np.nan, values)
    for each in (values, known):
        means = (drawn_seed_means(each, of) for of in (drawn, held))
        np.testing.assert_allclose(*means, rtol=1e-13)


@pytest.mark.parametrize("sequences", [1, 2, 7, 100])
def test_draws_do_not_depend_on_how_many_are_made_in_one_call(monkeypatch, sequences) -> None:
    together = draw(generator(), 3, sequences, flips=0)
    monkeypatch.setattr("xaibench.statistics.resampling._TOGETHER", 1)
    alone = draw(generator(), 3, sequences, flips=0)
    np.testing.assert_array_equal(alone.sequence_counts, together.sequence_counts)
    np.testing.assert_array_equal(alone.seed_counts, together.seed_counts)


def test_a_cluster_is_drawn_and_turned_whole() -> None:
    draws = draw(generator(), 3, 12, resamples=50, flips=60, clusters=REGIONS)
    for region in np.unique(REGIONS):
        members = REGIONS == region
        assert (np.ptp(draws.sequence_counts[:, members], axis=1) == 0).all()
        assert (np.ptp(draws.signs[:, members], axis=1) == 0).all()
    _, first = np.unique(REGIONS, return_index=True)
    assert (draws.sequence_counts[:, first].sum(axis=1) == 5).all()
    assert (draws.clusters, draws.units) == (5, 5)


def test_a_cluster_for_each_sequence_draws_as_without() -> None:
    plain = draw(generator(), 3, 12)
    alone = draw(generator(), 3, 12, clusters=np.arange(12))
    for name in ("sequence_counts", "seed_counts", "signs"):
        assert (getattr(alone, name) == getattr(plain, name)).all()


def test_clusters_of_another_number_of_sequences_are_refused() -> None:
    with pytest.raises(ValueError, match=r"each of 11 sequences, got the shape \(12,\)"):
        draw(generator(), 3, 11, clusters=REGIONS)


def test_draws_made_by_hand_are_of_sequences() -> None:
    counts = np.ones((4, 6), np.uint16)
    assert Draws(counts, np.ones((4, 2), np.uint16), np.ones((1, 6), np.int8)).units == 6
