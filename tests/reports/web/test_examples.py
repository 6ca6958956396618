"""The example browser: what it shows of a sequence, and what it leaves out."""

from dataclasses import replace

import numpy as np
import pytest

from xaibench.reports.figures.window import drawn_window
from xaibench.reports.web import examples
from xaibench.reports.web.examples import example_browser, examples_shown


def example(**changes):
    made = {
        "name": "s",
        "letters": "ACGTN" * 20,
        "label": "x",
        "models": {},
        "motif": [[70, 77]],
        "scores": {"cnn": {"one": [0.0] * 100}},
    }
    return made | changes


def curves():
    values = {"mean": [4.0, 2.0, 0.0], "low": [4.0, 1.0, 0.0], "high": [4.0, 3.0, 0.0]}
    told = {"operator": "uniform", "quantity": "logit_difference", "fractions": [0.0, 0.5, 1.0]}
    return {"cnn": {**told, "methods": {"one": [4.0, -1.0, 0.0]}, "random": values}}


@pytest.fixture
def small(make):
    return make(models=("cnn",), quality=(("one", 0.5), ("two", 0.5)), operators=("n",))


def test_the_window_holds_the_motif_in_its_middle():
    assert drawn_window(example(motif=[[50, 57]]), 60) == (23, 83)


@pytest.mark.parametrize(("motif", "shown"), [([2, 9], (0, 60)), ([90, 97], (40, 100))])
def test_the_window_stays_inside_the_sequence(motif, shown):
    assert drawn_window(example(motif=[motif]), 60) == shown


def test_a_short_sequence_is_shown_whole():
    assert drawn_window(example(letters="ACGTACG", motif=[]), 60) == (0, 7)


def test_without_a_motif_the_window_holds_most_of_the_scores():
    scores = np.zeros(100)
    scores[85] = -3
    start, end = drawn_window(example(motif=[], scores={"cnn": {"one": scores.tolist()}}), 60)
    assert start <= 85 < end


def test_zero_scores_unknown_bases_and_nan_are_drawn_without_a_fault(small):
    scores = {"cnn": {"one": [0.0] * 100, "two": [float("nan")] * 99 + [-1.0]}}
    (shown,) = examples_shown(replace(small, examples=[example(scores=scores)]))
    one, two = shown.views[0].maps
    assert one.largest == "all scores are zero"
    assert two.score_parts.split() == ["0"] * 100  # the last letter is N


def test_a_run_without_examples_has_no_browser(small):
    assert example_browser(replace(small, examples=[])) == ""


def test_an_older_run_without_curves_or_reasons_is_shown(small):
    page = example_browser(replace(small, examples=[example()]))
    assert "<figure>" not in page
    assert "Why this one" not in page


def test_the_curve_of_the_sequence_is_there_with_its_operator(small):
    page = example_browser(replace(small, examples=[example(curves=curves())]))
    assert "operator uniform" in page
    assert "random control" in page


def test_scores_are_told_in_parts_of_the_largest(small):
    scores = {"cnn": {"one": [0.5, -2.0, *[0.0] * 98]}}
    (shown,) = examples_shown(replace(small, examples=[example(scores=scores)]))
    (one,) = shown.views[0].maps
    assert one.score_parts.startswith("250 -1000 0")
    assert one.largest == "largest 2"


def test_right_and_wrong_predictions_are_named(small):
    told = {"cnn": {"predicted": "y", "probability": 0.61234}}
    page = example_browser(replace(small, examples=[example(models=told)]))
    assert "y, wrong; probability 0.612" in page


def test_a_motif_is_named_with_the_class_that_it_speaks_for(small):
    page = example_browser(replace(small, examples=[example(evidence=[[70, 77, "x"]])]))
    assert "positions 70 to 76 for x" in page
    assert "known motif for x" in page


def test_nothing_of_the_run_becomes_markup_and_nothing_runs(small):
    nasty = "<script>alert(1)</script>"
    told = {"cnn": {"predicted": nasty, "probability": 0.5}}
    own = example(name=nasty, label=nasty, chosen=nasty, models=told, evidence=[[70, 77, nasty]])
    page = example_browser(replace(small, examples=[own]))
    assert "<script" not in page
    assert " on" not in [word[:3] for word in page.split("<")]
    assert "style=" not in page  # the policy of the page allows none


def test_a_page_draws_no_more_letters_than_it_has_room_for(small, monkeypatch):
    monkeypatch.setattr(examples, "MOST_LETTERS", 250)
    results = replace(small, examples=[example(name=f"s{k}") for k in range(5)])
    assert [shown.name for shown in examples_shown(results)] == ["s0", "s1"]
    assert "3 more in examples.json" in example_browser(results)


def test_many_methods_see_a_part_of_a_long_sequence(make):
    quality = tuple((f"m{k}", 0.5) for k in range(40))
    results = make(models=("cnn",), quality=quality, failures=False, operators=("n",))
    letters = "ACGT" * 500
    scores = {"cnn": {name: [1.0] * 2000 for name, _ in quality}}
    own = example(letters=letters, motif=[[1500, 1510]], scores=scores)
    (shown,) = examples_shown(replace(results, examples=[own]))
    assert len(shown.letters) == examples.MOST_LETTERS // 40
    assert shown.start <= 1500 < shown.end


def test_the_browser_is_the_same_each_time(run):
    assert example_browser(run) == example_browser(run)
