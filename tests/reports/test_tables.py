"""Numbers in print, and the tables of a made-up run."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from xaibench.reports import tables
from xaibench.reports.tables import CONTROL, number

NAN = float("nan")


def row(**values):
    names = ["mean", "low", "high", "sequences_low", "sequences_high"]
    return pd.Series({**dict.fromkeys(names, NAN), **values})


def column(table, name):
    place = table.header.index(name)
    return [one[place].text for one in table.rows]


@pytest.mark.parametrize(
    ("value", "decimals", "text"),
    [
        (0.425, 1, "0.4"),
        (-0.001, 2, "0.00"),
        (-1.26, 1, "\u22121.3"),
        (12345.6, 0, "12,346"),
        (NAN, 2, "\u2013"),
        (float("inf"), 2, "inf"),
    ],
)
def test_a_number_in_print(value, decimals, text):
    assert number(value, decimals) == text


def test_an_unknown_interval_is_left_out():
    assert tables.mean_and_interval(row(mean=0.5), 2) == "0.50"


def test_an_interval_over_sequences_stands_in_where_there_is_one_seed():
    estimate = row(mean=0.5, sequences_low=0.4, sequences_high=0.61)
    assert tables.mean_and_interval(estimate, 2) == "0.50 [0.40, 0.61]"


@pytest.mark.parametrize(
    ("low", "high", "wanted"), [(0.1, 0.3, 1), (-0.3, -0.1, -1), (-0.1, 0.3, 0), (NAN, NAN, None)]
)
def test_a_difference_has_a_direction_only_where_its_interval_leaves_0(low, high, wanted):
    assert tables.direction(row(low=low, high=high)) == wanted


def test_decimals_follow_the_width_of_the_intervals():
    def decimals(width):
        frame = pd.DataFrame([row(low=1.0, high=1.0 + width)])
        return tables.decimals_of(frame)

    assert [decimals(w) for w in (40.0, 0.6, 0.06, 0.002)] == [0, 2, 2, 4]
    assert tables.decimals_of(pd.DataFrame([row()])) == 3


def test_methods_come_in_the_order_of_the_plan_and_without_the_control(run):
    planned = list(run.plan["attribution"])
    assert tables.methods_of(run) == [*planned, "broken"]
    assert CONTROL not in tables.methods_of(run)


def test_the_leaderboard_is_ordered_by_rank_and_what_is_not_ranked_stands_last(run):
    methods = column(tables.leaderboard(run, "cnn"), "Method")
    assert methods[:2] == ["deeplift", "integrated_gradients"]
    assert methods[-1] == "attention"


def test_a_dash_in_the_leaderboard_has_its_reason(run):
    table = tables.leaderboard(run, "cnn")
    assert table.notes == {"not applicable: the model has no attention": "a"}


def test_the_leaderboard_takes_the_first_operator_where_uniform_did_not_run(make):
    results = make(operators=("n",))
    assert "(logit difference, n)" in tables.leaderboard(results, "cnn").caption


def test_there_is_no_leaderboard_without_a_deletion_metric(run):
    rest = run.estimates[~run.estimates["metric"].str.startswith("deletion")]
    assert tables.leaderboard(replace(run, estimates=rest), "cnn") is None


def test_the_accuracy_of_a_seed_is_the_mean_of_its_records(run):
    records = run.records
    wanted = records[
        (records["model"] == "attngen") & (records["seed"] == 3) & (records["metric"] == "accuracy")
    ]["value"].mean()
    table = tables.accuracy(run)
    place = column(table, "Model").index("attngen")
    assert column(table, "Seed 3")[place] == number(wanted, 3)


def test_marks_tell_better_worse_and_not_distinguishable(run):
    table = tables.measures(run, "cnn", "localisation")
    cells = dict(zip(column(table, "Method"), [r[1].text[-1] for r in table.rows], strict=True))
    assert cells["deeplift"] == "▲"
    assert cells["random"] == "≈"
    assert cells["chance level"] == "2"


def test_localisation_is_silent_without_motifs(make):
    assert tables.measures(make(motifs=False), "cnn", "localisation") is None


def test_two_models_are_compared_once(run):
    assert tables.between(run, "cnn", "attngen") is not None
    assert tables.between(run, "attngen", "cnn") is None
    assert tables.accuracy_differences(run).rows[0][0].text == "cnn \u2212 attngen"


def test_failures_and_what_does_not_apply_are_told_with_their_reason(run):
    table = tables.unmeasured(run)
    assert set(column(table, "Status")) == {"failed", "not applicable"}
    assert column(table, "Seeds")[0] == "0, 1, 2, 3, 4"


def test_a_long_reason_is_told_whole_once(run):
    long = "x" * 300 + "end"
    records = run.records.assign(
        reason=run.records["reason"].mask(run.records["reason"] != "", long)
    )
    reasons = column(tables.unmeasured(replace(run, records=records)), "Reason")
    assert len(reasons) > 2
    assert reasons.count(long) == 1
    assert {len(reason) for reason in reasons} == {303, 160}


def test_nothing_is_unmeasured_where_all_ran(make):
    assert tables.unmeasured(make(failures=False)) is None


def test_cost_is_that_of_one_sequence(run):
    table = tables.cost(run)
    assert column(table, "Forwards")[0] == number(4600 / 23, 1)
    assert column(table, "Milliseconds")[0] == number(1000 * 1.75 / 23, 1)


def test_the_guards_stand_beside_the_cost(run):
    table = tables.cost(run)
    assert set(column(table, "Made again")) == {"3.0e\N{MINUS SIGN}07"}
    assert set(column(table, "Flat maps")) == {"12.5 %"}


def test_the_floor_is_told_beside_the_accuracy(run):
    table = tables.floor(run)
    assert column(table, "Model") == ["GC alone", "5-mers"]
    assert column(table, "Accuracy") == ["0.510", "0.815"]
    assert table.rows[1][2].note == "undefined"
    assert tables.floor(replace(run, environment={})) is None


def test_one_seed_is_said(make):
    assert "One seed" in tables.cautions(make(seeds=(7,)))[0]


def test_few_seeds_are_said(make):
    (said,) = tables.cautions(make(seeds=(4, 7, 9)))
    assert said.startswith("Only 3 seeds")


def test_few_explained_sequences_are_said(run):
    dataset = {**run.environment["dataset"], "sizes": {"explained": 5}}
    said = tables.cautions(replace(run, environment={**run.environment, "dataset": dataset}))
    assert said[0].startswith("Only 5 explained sequences: intervals over so few are too narrow")


def test_undefined_values_are_counted(run):
    estimates = run.estimates.assign(undefined=np.where(run.estimates["method"] == "random", 4, 0))
    (said,) = tables.cautions(replace(run, estimates=estimates))
    assert said.startswith(f"{int((estimates['undefined'] > 0).sum())} of {len(estimates)}")
    table = tables.leaderboard(replace(run, estimates=estimates), "cnn")
    assert "23 + 4 undefined" in column(table, "Sequences")
