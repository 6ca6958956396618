"""What a method finds beside what it costs."""

from dataclasses import replace

import numpy as np
import pytest

from xaibench.reports.content.sections import sections
from xaibench.reports.figures.pareto import cost_panels
from xaibench.reports.tables.pareto import pareto_front, score_and_cost, worth


def slow_pareto_front(scores, costs):
    """By the definition, pair by pair."""
    places = range(len(scores))
    return [
        not any(
            scores[other] >= scores[one]
            and costs[other] <= costs[one]
            and (scores[other] > scores[one] or costs[other] < costs[one])
            for other in places
        )
        for one in places
    ]


def test_the_front_is_that_of_its_definition():
    random = np.random.default_rng(4)
    for _ in range(50):
        scores, costs = random.integers(5, size=(2, 9)) / 2
        assert pareto_front(scores, costs).tolist() == slow_pareto_front(scores, costs)


def test_equals_are_both_on_the_pareto_front():
    assert pareto_front(np.array([0.5, 0.5]), np.array([3.0, 3.0])).tolist() == [True, True]


def column(table, place):
    return {row[0].text: row[place].text for row in table.rows}


def test_the_front_is_marked_by_forwards_and_by_milliseconds(run):
    table = score_and_cost(run, "attngen")
    assert "normalised score" in table.caption
    on = [name for name, text in column(table, 2).items() if text.endswith("●")]
    assert on == ["deeplift"]
    assert column(table, 2)["integrated_gradients"] == "200.0"
    assert column(table, 1)["deeplift"] == "0.95 [0.88, 1.02]"
    assert column(table, 3)["deeplift"] == "100.0"


def test_what_a_method_costs_is_shown_once(run):
    def captions(results):
        (cost,) = [section for section in sections(results) if section.anchor == "cost"]
        return [table.caption for table in cost.tables]

    assert len(captions(run)) == 3
    unweighed = run.cost.assign(method=run.cost["method"].replace("saliency", "unscored"))
    assert captions(replace(run, cost=unweighed))[3:] == [
        "Cost of one explained sequence, mean over seeds"
    ]


def test_the_score_is_the_gap_where_there_is_no_oracle(make):
    found = worth(make(controls=False), "cnn")
    assert found.score == "gap to random"
    assert found.rows["mean"].iloc[0] == pytest.approx(1.9)


def test_the_score_is_the_gap_where_one_normalised_score_is_undefined(run):
    rows = run.estimates
    gone = (rows["question"] == "normalised") & (rows["method"] == "saliency")
    own = replace(run, estimates=rows.assign(mean=rows["mean"].mask(gone)))
    assert worth(own, "cnn").score == "gap to random"


def test_no_front_is_marked_by_a_metric_that_failed_its_self_test(make):
    results = make(blind=(("cnn", "deletion_logit_difference"),))
    table = score_and_cost(results, "cnn")
    assert table.caption.endswith("cannot discriminate here, so no Pareto front")
    assert not any("●" in cell.text for row in table.rows for cell in row)
    assert cost_panels(results)[0].title == "cnn: cannot discriminate here"


def test_a_method_without_a_score_or_a_cost_is_not_weighed(run):
    assert "attention" not in set(worth(run, "cnn").rows["method"])
    assert worth(replace(run, cost=run.cost[:0]), "cnn") is None


def test_every_method_is_named_beside_the_figure(run):
    (panel, *_) = cost_panels(run)
    assert panel.title == "cnn"
    assert "deeplift 0.95 at 0" in panel.alt
    assert "integrated_gradients 0.93 at 200" in panel.alt
