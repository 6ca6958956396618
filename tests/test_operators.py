import numpy as np

from xaibench.controls import random_maps
from xaibench.operators import n, uniform
from xaibench.values import N, Sequences

CODES = np.tile(np.array([0, 1, 2, 3, N], np.uint8), 2000)


def test_n_leaves_nothing_known():
    assert (n(CODES, np.random.default_rng(0)) == N).all()


def test_uniform_draws_every_base_one_time_in_four():
    donor = uniform(CODES, np.random.default_rng(0))
    assert donor.dtype == np.uint8
    shares = np.bincount(donor, minlength=5) / len(donor)
    # standard error 0.0043 of each share of 10,000
    assert np.abs(shares[:4] - 0.25).max() < 0.02
    assert shares[4] == 0


def test_the_random_control_depends_on_the_sequence_and_the_data_seed_alone():
    codes = np.array([[0, 1, 2, 3, 0], [3, 2, 1, 0, 0], [1, 1, 1, 1, 1]], np.uint8)
    sequences = Sequences(codes, np.zeros(3, np.int64), ("a", "b", "c"), ("x", "y"))
    maps = random_maps(sequences, 4, 0)
    assert maps.shape == (4, 3, 5)
    assert len(np.unique(maps)) == maps.size
    rows = np.array([2, 0])
    assert (random_maps(sequences.take(rows), 4, 0) == maps[:, rows]).all()
    assert not (random_maps(sequences, 4, 1) == maps).any()
