import numpy as np
import torch

from xaibench.attribution.prior import position_prior


def test_the_prior_is_a_tent_over_the_known_positions() -> None:
    valid = torch.tensor([[True] * 5, [False, True, True, True, False], [True] * 4 + [False]])
    answer = position_prior(None, torch.zeros(3, 4, 5), torch.zeros(3), valid=valid)
    expected = [[1 / 3, 2 / 3, 1, 2 / 3, 1 / 3], [0, 0.5, 1, 0.5, 0], [0.4, 0.8, 0.8, 0.4, 0]]
    np.testing.assert_allclose(answer, expected, rtol=1e-6)


def test_the_prior_depends_on_positions_alone() -> None:
    valid = torch.ones(2, 7, dtype=torch.bool)
    first, second = position_prior(None, torch.zeros(2, 4, 7), torch.zeros(2), valid=valid)
    assert torch.equal(first, second)
    assert torch.equal(first, first.flip(0))
