"""Heat maps: what is in their cells, in which order, and colours that both themes have."""

from dataclasses import replace

import numpy as np
import pytest

from xaibench.reports.figures.heat import (
    ABOVE,
    BELOW,
    DIVERGING,
    agreement_panels,
    clusters,
    score_panels,
)


def written(panel):
    """The texts of a figure's cells, row by row."""
    (cells, *_) = panel.figure.axes
    places = {text.get_position()[::-1]: text.get_text() for text in cells.texts}
    return [places[place] for place in sorted(places)]


def test_scores_are_ordered_as_the_leaderboard_and_taken_under_its_operator(run):
    (cnn, *_) = score_panels(run)
    methods = cnn.alt.partition("means ")[2]
    assert [one.split()[0] for one in methods.split(", ")] == [
        *("deeplift", "integrated_gradients", "input_x_gradient", "saliency", "random")
    ]
    rows = run.estimates
    rows = rows[(rows["question"] == "normalised") & (rows["model"] == "cnn")]
    best = rows[(rows["method"] == "deeplift") & (rows["operator"] == "uniform")]["mean"]
    assert f"{float(best.iloc[0]):.2f}" in written(cnn)


def test_a_score_that_is_not_known_is_a_dash(run):
    rows = run.estimates
    gone = (rows["question"] == "normalised") & (rows["method"] == "saliency")
    gone &= rows["metric"] == "auprc"
    masked = rows.assign(mean=rows["mean"].mask(gone))
    panel = score_panels(replace(run, estimates=masked))[0]
    assert "–" in written(panel)  # noqa: RUF001  (what stands for what is not known)
    assert "nan" not in panel.markup


def test_a_run_without_an_oracle_has_no_scores(make):
    assert score_panels(make(controls=False)) == []


def test_agreement_is_symmetric_and_those_that_agree_are_side_by_side(run):
    rows = run.agreement.copy()
    pair = {"deeplift", "random"}
    close = rows["method"].isin(pair) & rows["other"].isin(pair)
    rows.loc[close, "mean"] = 0.97
    panel = agreement_panels(replace(run, agreement=rows))[0]
    assert panel.alt.startswith("Agreement between methods on cnn: ")
    assert "0.97" in panel.alt.partition(",")[0]
    cells = written(panel)
    size = int(len(cells) ** 0.5)
    square = np.array(cells).reshape(size, size)
    assert np.array_equal(square, square.T)
    places = np.argwhere(square == "0.97")
    assert np.abs(places[:, 0] - places[:, 1]).max() == 1


@pytest.mark.parametrize("count", [0, 1])
def test_agreement_needs_two_methods(run, count):
    rows = run.agreement[run.agreement["method"] == run.agreement["other"]]
    rows = rows[rows["method"] == "deeplift"] if count else rows[:0]
    assert agreement_panels(replace(run, agreement=rows)) == []


def test_agreement_that_is_not_known_is_as_far_as_none():
    tree = clusters(np.array([[1, 0.9, np.nan], [0.9, 1, np.nan], [np.nan, np.nan, 1]]))
    assert abs(tree.order.index(0) - tree.order.index(1)) == 1
    assert tree.distances.max() == pytest.approx(1)


def test_0_is_clear_and_the_ends_are_two_hues_of_the_palette(run):
    low, high = DIVERGING(0.0), DIVERGING(1.0)
    assert DIVERGING(0.5)[3] < 0.01
    assert low[3] == high[3] == pytest.approx(0.6)
    assert low[:3] != high[:3]
    page = score_panels(run)[0].markup
    assert page.count('class="area m') > 10  # cells are shapes whose colour the page has
    assert ABOVE != BELOW


def test_methods_whose_maps_are_the_same_are_joined_at_once():
    above = np.nextafter(1, 2)
    tree = clusters(np.array([[1, above, 0.2], [above, 1, 0.2], [0.2, 0.2, 1]]))
    assert tree.distances.min() == 0
