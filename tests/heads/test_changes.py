"""Heads in two states, and in two contexts."""

import numpy as np
import pytest
import torch
from torch import nn

from xaibench.dna.encoding import to_codes
from xaibench.errors import UsageError
from xaibench.heads.association import associations_of, correlations_of
from xaibench.heads.attention import head_scores
from xaibench.heads.changes import changes_between, shuffled_around
from xaibench.heads.tracks import Track, track_named
from xaibench.nn.layers import one_hot
from xaibench.values import Sequences

MOTIF, FLANKED = "TATAAA", "TATAAAGG"


class TwoReaders(nn.Module):
    """The first head attends to TATAAA, the second to it only where GG follows."""

    def encode(self, codes):
        return one_hot(codes)

    def forward(self, inputs):
        return inputs[:, :2].mean(2)

    def attentions(self, inputs):
        heads = []
        for word in (MOTIF, FLANKED):
            wanted = one_hot(torch.from_numpy(to_codes([word])))
            start = (torch.conv1d(inputs, wanted) == len(word)).float()
            inside = torch.conv_transpose1d(start, torch.ones(1, 1, len(MOTIF)))[:, 0]
            padded = torch.zeros(len(inputs), inputs.shape[2])
            padded[:, : inside.shape[1]] = inside
            place = torch.arange(inputs.shape[2], dtype=torch.float32)
            heads.append((3 * padded + torch.cos(place))[:, None].expand(-1, len(place), -1))
        return torch.stack(heads, dim=1).softmax(3)[:, None]


@pytest.fixture(scope="module")
def planted():
    generator = np.random.default_rng(0)
    codes = generator.integers(0, 4, (60, 40)).astype(np.uint8)
    for row, start in enumerate(generator.integers(1, 31, 60)):
        codes[row, start : start + 8] = to_codes([FLANKED])[0]
    return Sequences(codes, np.zeros(60, np.int64), tuple(map(str, range(60))), ("a", "b"))


def test_correlations_are_those_that_association_has_the_mean_of(planted):
    tracks = [track_named(name, planted) for name in (MOTIF, "gc")]
    scores = [*head_scores(TwoReaders(), planted)]
    measured = correlations_of(scores[::-1], tracks)
    assert measured.shape == (60, 1, 2, 2)
    table = associations_of(scores, tracks)
    np.testing.assert_allclose(measured.mean(0).ravel(), table["mean"], rtol=1e-9)
    alone = correlations_of([scores[7]], tracks)
    np.testing.assert_array_equal(measured[scores[7].row], alone[0])


def test_what_a_head_follows_in_context_alone_is_gone_with_it(planted):
    track = track_named(MOTIF, planted)
    codes = shuffled_around(planted.codes, track, seed=3)
    inside = track.values == 1
    np.testing.assert_array_equal(codes[inside], planted.codes[inside])
    moved = (codes != planted.codes).mean()
    assert 0.3 < moved < 0.75
    np.testing.assert_array_equal(
        shuffled_around(planted.codes[5:9], Track("t", track.values[5:9]), 3), codes[5:9]
    )
    elsewhere = Sequences(codes, planted.labels, planted.names, planted.class_names)
    real, shuffled = (
        correlations_of(head_scores(TwoReaders(), each), [track]) for each in (planted, elsewhere)
    )
    table = changes_between(real, shuffled, [MOTIF])
    assert table["changed"].tolist() == [False, True]
    assert abs(table["change"][0]) < 0.05
    assert table["change"][1] < -0.4


def test_changes_by_hand():
    before = np.zeros((4, 1, 2, 1))
    after = before.copy()
    after[:, 0, 1, 0] = [0.1, 0.2, 0.3, np.nan]
    table = changes_between(before, after, ["t"])
    same, more = table.iloc[0], table.iloc[1]
    assert (same["change"], same["sequences"]) == (0, 4)
    assert np.isnan(same["p"])  # no difference varies
    assert not same["changed"]
    assert (more["change"], more["sequences"]) == (pytest.approx(0.2), 3)
    assert more["p"] == pytest.approx(0.0741799)  # t = 0.2 / (0.1 / sqrt 3), two degrees of freedom
    assert more["q"] == pytest.approx(0.0741799)
    assert more["high"] == pytest.approx(0.2 + 4.3026527 * 0.1 / np.sqrt(3))
    unknown = changes_between(before[:, :, :1], np.full((4, 1, 1, 1), np.nan), ["t"]).iloc[0]
    assert unknown["sequences"] == 0
    assert np.isnan(unknown["change"])


def test_a_track_of_values_has_nothing_to_shuffle_around(planted):
    with pytest.raises(UsageError, match="--shuffle-around position: expected a track of features"):
        shuffled_around(planted.codes, track_named("position", planted), seed=0)
