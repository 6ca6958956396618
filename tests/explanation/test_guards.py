from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from xaibench.artefacts import explanations
from xaibench.explanation.guards import guarded

SCORES = np.random.default_rng(0).random((5, 7)).astype(np.float32)
ROWS = np.array([2, 1, 0])
CODES = np.zeros((5, 7), np.uint8)


def test_the_same_scores_again_pass() -> None:
    assert guarded(SCORES, SCORES[ROWS], ROWS, CODES, name="method") == (0, 0)


def test_scores_that_depend_on_their_batch_are_refused() -> None:
    again = SCORES[ROWS].copy()
    again[1, 3] += 0.02 * SCORES.max()
    with pytest.raises(ValueError, match=r"method: .* differ by 0\.02 of the largest"):
        guarded(SCORES, again, ROWS, CODES, name="method")


def test_flat_maps_are_counted_on_the_valid_positions() -> None:
    scores, codes = SCORES.copy(), CODES.copy()
    scores[3, :5], codes[3, 5:] = 0.5, 4
    assert guarded(scores, scores[ROWS], ROWS, codes, name="method").flat == 0.2


def test_maps_that_are_all_flat_are_refused() -> None:
    scores = np.tile(np.arange(5, dtype=np.float32)[:, None], 7)
    with pytest.raises(ValueError, match="every position of every sequence scores the same"):
        guarded(scores, scores[ROWS], ROWS, CODES, name="method")


@pytest.mark.parametrize("count", [0, 1, 2, 3, 5, 8])
def test_the_second_time_one_sequence_is_alone(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []

    def of_rows(here: Any, rows: Any, targets: Any, _: None, together: int = 64) -> Any:
        sizes.extend(len(rows[start : start + together]) for start in range(0, len(rows), together))
        return SimpleNamespace(scores=np.stack([rows, targets], axis=1) * 1.0)

    monkeypatch.setattr(explanations, "_of_rows", of_rows)
    rows = np.arange(count)[::-1]
    explaining: Any = SimpleNamespace(references=lambda: None)
    again = explanations._in_other_batches(explaining, rows, rows + 10)
    np.testing.assert_array_equal(again[:, 0], rows)
    np.testing.assert_array_equal(again[:, 1], rows + 10)
    assert sum(sizes) == count
    assert not count or sizes[-1] == 1
