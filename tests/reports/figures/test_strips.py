"""Strips: a dot per sequence, the same places each time."""

from dataclasses import replace

import pandas as pd
import pytest

from xaibench.reports.figures import strips
from xaibench.reports.figures.strips import strip_panels


@pytest.fixture
def with_random(run):
    """The run with values of the random control, 4 at every sequence."""
    rows = run.records
    own = rows["metric"] == "deletion_logit_difference"
    first = rows[own & (rows["method"].astype(str) == "saliency")]
    control = first.assign(method="random control", value=4.0)
    words = {name: "str" for name in ("method",)}
    return replace(run, records=pd.concat([rows.astype(words), control.astype(words)]))


def dots_of(panel):
    """The dots of each method, best first: the values of its sequences."""
    (axes,) = panel.figure.axes
    return [line.get_xdata() for line in axes.lines if line.get_marker() == "o"]


def test_a_dot_is_random_minus_method_the_mean_over_seeds(with_random):
    panel = strip_panels(with_random)[0]
    rows = with_random.records
    own = (rows["model"] == "cnn") & (rows["metric"] == "deletion_logit_difference")
    best = rows[own & (rows["method"] == "deeplift")].groupby("sequence", observed=True)["value"]
    assert sorted(dots_of(panel)[0]) == pytest.approx(sorted(4 - best.mean()))


def test_dots_are_at_the_same_places_each_time(with_random):
    first, second = (strip_panels(with_random)[0].markup for _ in range(2))
    assert first == second


def test_no_more_sequences_are_drawn_than_an_eye_can_part(with_random, monkeypatch):
    monkeypatch.setattr(strips, "MOST_SEQUENCES", 5)
    panel = strip_panels(with_random)[0]
    assert {len(dots) for dots in dots_of(panel)} == {5}
    assert "of 5 sequences" in panel.alt


def test_a_run_without_values_of_the_control_has_no_strips(run):
    assert strip_panels(run) == []
