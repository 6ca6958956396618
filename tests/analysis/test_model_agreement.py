"""How alike the maps of two models are: beside loops over scipy, and on maps made up for it."""

import numpy as np
import pandas as pd
import pytest
import scipy

pytest.importorskip("tokenizers")

from token_run import token_run

from xaibench.analysis import model_agreement as module
from xaibench.analysis.agreement import OF_TOKENS, arrays_by_seed, scores_by_seed
from xaibench.analysis.model_agreement import ExplainedBy, model_agreement, similarities
from xaibench.artefacts.explanations import OF_LABEL, SPANS
from xaibench.results.reading import read_results
from xaibench.results.schema import COMPARED


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    return token_run(tmp_path_factory)


FIRST, SECOND = ExplainedBy("plain", "by epsilon"), ExplainedBy("reader", "by operation")


def correlation(first, second, valid):
    return scipy.stats.spearmanr(first[valid], second[valid]).statistic


def test_maps_of_one_sequence_and_of_two_trainings_are_compared_as_by_loops(work):
    plain, reader = (scores_by_seed(work, *each, OF_LABEL) for each in (FIRST, SECOND))
    measured = similarities(work, FIRST, SECOND, "spearman")
    for row, seed in enumerate((0, 3)):
        for sequence, valid in enumerate(work.chosen.valid):
            alike = correlation(plain[seed][sequence], reader[seed][sequence], valid)
            again = correlation(reader[0][sequence], reader[3][sequence], valid)
            assert measured.same_sequence[row, sequence] == pytest.approx(alike, nan_ok=True)
            assert measured.seeds_of_other[row, sequence] == pytest.approx(again, nan_ok=True)
    assert measured.seeds_of_model.shape == measured.same_sequence.shape == (2, 8)


def told(monkeypatch, maps):
    """ExplainedBy by model and seed, whatever the method."""
    monkeypatch.setattr(module, "scores_by_seed", lambda _, model, *__: maps[model])


def test_maps_that_are_the_same_are_alike_and_no_other_is(work, monkeypatch):
    drawn = np.random.default_rng(0).random((3, *work.chosen.codes.shape))
    told(monkeypatch, {"plain": {0: drawn[0], 1: drawn[1]}, "reader": {0: drawn[0], 2: drawn[2]}})
    measured = similarities(work, FIRST, SECOND, "spearman")
    np.testing.assert_allclose(measured.same_sequence, np.ones((1, 8)))
    assert abs(np.nanmean(measured.another_sequence)) < 0.2
    assert abs(measured.random.mean()) < 0.2
    assert len(measured.seeds_of_model) == len(measured.seeds_of_other) == 0


def test_what_only_a_position_tells_is_there_with_another_sequence_too(work, monkeypatch):
    slope = np.tile(np.arange(work.chosen.codes.shape[1], dtype=float), (len(work.chosen), 1))
    told(monkeypatch, {"plain": {0: slope, 1: slope}, "reader": {0: slope, 1: slope}})
    measured = similarities(work, FIRST, SECOND, "overlap")
    for values in (measured.same_sequence, measured.another_sequence, measured.seeds_of_model):
        np.testing.assert_allclose(values, 1)
    assert measured.random.max() < 1


def test_models_that_share_no_seed_are_not_compared(work, monkeypatch):
    told(monkeypatch, {"plain": {0: np.zeros((8, 40))}, "reader": {1: np.zeros((8, 40))}})
    assert similarities(work, FIRST, SECOND, "spearman") is None


def test_the_table_has_a_row_for_each_comparison_of_methods_of_one_kind(work):
    table = read_results(work.job.folder).model_agreement
    pd.testing.assert_frame_equal(table, model_agreement(work), check_dtype=False)
    pairs = table[["model", "method", "other_model", "other"]].drop_duplicates()
    assert [tuple(pair) for pair in pairs.itertuples(index=False)] == [
        # on the CNN there is nothing to broadcast, so it has AttnLRP once
        ("plain", "by operation broadcast", "reader", "by operation broadcast"),
        ("plain", "by operation broadcast", "reader", "by operation"),
        ("plain", "by epsilon", "reader", "by operation broadcast"),
        ("plain", "by epsilon", "reader", "by operation"),
        ("plain", "input_x_gradient", "reader", "input_x_gradient"),
    ]
    assert set(table["compared"]) == set(COMPARED)
    assert len(table) == len(pairs) * 3 * len(COMPARED)


def test_sums_over_tokens_are_compared_where_one_model_has_tokens(work, monkeypatch):
    """The map of nucleotides that has the sums of a map of tokens is that map, to tokens."""
    spans = arrays_by_seed(work, *SECOND, SPANS)[0]
    tokens = np.random.default_rng(0).random(spans.shape[:2])
    first, second = np.zeros((2, *work.chosen.codes.shape))
    for row, column in zip(*np.nonzero(spans[:, :, 1] > spans[:, :, 0]), strict=True):
        at = slice(*spans[row, column])
        first[row, at.start] = tokens[row, column]
        second[row, at] = tokens[row, column] / (at.stop - at.start)
    told(monkeypatch, {"plain": {0: first}, "reader": {0: second}})
    assert similarities(work, FIRST, SECOND, "spearman").same_sequence.mean() < 0.9
    measured = similarities(work, FIRST, SECOND, OF_TOKENS)
    np.testing.assert_allclose(measured.same_sequence, 1, atol=0.01)
    alone = ExplainedBy("plain", "by epsilon")
    assert similarities(work, alone, alone, OF_TOKENS) is None


def test_two_settings_of_one_network_of_nucleotides_are_no_pair(work):
    plan, plugins = work.plan, work.job.plugins
    twin = plan.model_copy(update={"models": {**plan.models, "twin": plan.models["plain"]}})
    other = type(work)(
        type(work.job)(twin, work.job.source, plugins, work.job.folder),
        *(work.store, work.splits, work.chosen, work.data),
    )
    assert not module._differ_in_kind(other, "plain", "twin")
    assert module._differ_in_kind(other, "reader", "reader")
