"""Panels are the same bytes each time and leave matplotlib as it was."""

from dataclasses import replace

import matplotlib
import numpy as np
import pytest

from xaibench.controls import RANDOM
from xaibench.reports import figures, logos
from xaibench.reports.figures import COLOURS, styles
from xaibench.reports.selection import methods_of


def test_a_method_keeps_its_style_in_every_figure(run):
    assert styles(methods_of(run))["deeplift"].colour == COLOURS[0]
    assert styles(methods_of(run))[RANDOM].dashes


def test_a_panel_is_the_same_each_time(run):
    first, second = (figures.gap_panels(run)[0].svg for _ in range(2))
    assert first == second
    assert "<dc:date>" not in first


def test_drawing_leaves_the_settings_of_matplotlib(run):
    before = dict(matplotlib.rcParams)
    figures.gap_panels(run)
    assert dict(matplotlib.rcParams) == before


def test_every_model_has_its_curves(run):
    drawn = figures.curve_panels(run, "uniform", "probability", "least relevant first")
    assert [panel.title for panel in drawn] == ["cnn", "attngen", "attention only"]
    assert "random control" in drawn[0].alt
    assert "attention," not in drawn[0].alt


def test_a_quantity_that_is_always_0_is_not_drawn(make):
    results = make(models=("cnn",))
    assert set(figures.training_panels(results)) == {"Loss", "Accuracy"}


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


def test_the_window_holds_the_motif_in_its_middle():
    assert logos.window(example(motif=[[50, 57]])) == (23, 83)


@pytest.mark.parametrize(("motif", "shown"), [([2, 9], (0, 60)), ([90, 97], (40, 100))])
def test_the_window_stays_inside_the_sequence(motif, shown):
    assert logos.window(example(motif=[motif])) == shown


def test_a_short_sequence_is_shown_whole():
    assert logos.window(example(letters="ACGTACG", motif=[])) == (0, 7)


def test_without_a_motif_the_window_holds_most_of_the_scores():
    scores = np.zeros(100)
    scores[85] = -3
    start, end = logos.window(example(motif=[], scores={"cnn": {"one": scores.tolist()}}))
    assert start <= 85 < end


def test_zero_scores_unknown_bases_and_nan_are_drawn_without_a_fault(make):
    results = make(models=("cnn",), quality=(("one", 0.5), ("two", 0.5)))
    scores = {"cnn": {"one": [0.0] * 100, "two": [float("nan")] * 99 + [-1.0]}}
    ((title, panels),) = logos.logo_panels(replace(results, examples=[example(scores=scores)]))
    assert title == "s, class x"
    assert "one, two" in panels[0].alt


def test_a_report_draws_no_more_logos_than_the_most(make):
    many = tuple((f"m{k}", 0.5) for k in range(15))
    results = make(models=("cnn", "gru"), quality=many, failures=False)
    methods, examples = logos.methods_shown(results), logos.examples_shown(results)
    assert 2 * len(methods) * len(examples) <= logos.MOST
    assert methods == [name for name, _ in many[:12]]


def test_few_methods_leave_room_for_more_examples(make):
    results = make(models=("cnn",), quality=(("one", 0.5), ("two", 0.5)))
    assert len(logos.examples_shown(results)) == 3
