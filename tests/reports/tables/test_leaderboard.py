"""The sortable tables of the first screen: what is in a row, what it is sorted and filtered by."""

import math
from dataclasses import replace

import pandas as pd
import pytest

from xaibench.plan.primary import PRIMARY
from xaibench.reports.format.numbers import ABSENT
from xaibench.reports.tables.leaderboard import by_seed, standings
from xaibench.reports.tables.pairs import pairs
from xaibench.reports.tables.table import Cell, Head, Table
from xaibench.reports.tables.whisker import Scale, scale_of
from xaibench.results.schema import COLUMNS


def lines(table, model=None):
    """Method -> head -> cell, of the rows of a model."""
    return {
        table.method_of_row(place): dict(zip(table.header, row, strict=True))
        for place, row in enumerate(table.rows)
        if model is None or model in table.filters.choices[0].of_rows[place]
    }


def estimate(**changes):
    known = {"mean": 1.0, "low": 0.5, "high": 1.5, "sequences_low": 0.75, "sequences_high": 1.25}
    return pd.Series(known | changes)


def test_a_scale_shows_every_interval_and_zero():
    scale = scale_of(pd.DataFrame([estimate(), estimate(mean=3.0, high=5.0)]))
    assert (scale.low, scale.high) == (0.0, 5.0)
    assert scale_of(pd.DataFrame([estimate(mean=-2.0, low=-8.0)])).low == -8.0
    nothing = dict.fromkeys(["mean", "low", "high", "sequences_low", "sequences_high"], 0.0)
    assert scale_of(pd.DataFrame([nothing])) == Scale(-1.0, 1.0)


def test_a_whisker_has_its_places_within_the_margins():
    drawn = Scale(0.0, 2.0).whisker(estimate(high=2.0))
    assert (drawn.zero, drawn.mean, drawn.outer[1]) == (4.0, 60.0, 116.0)
    assert drawn.standing == "above"
    assert Scale(-1.0, 2.0).whisker(estimate(low=-0.5)).standing == "includes"
    assert Scale(-2.0, 0.0).whisker(estimate(mean=-1, low=-2, high=-0.1)).standing == "below"


def test_with_one_seed_a_whisker_is_the_interval_over_sequences():
    drawn = Scale(0.0, 2.0).whisker(estimate(low=math.nan, high=math.nan))
    assert drawn.outer == drawn.inner == (46.0, 74.0)


def test_what_is_not_known_has_no_whisker_and_no_key():
    assert Scale(0.0, 1.0).whisker(estimate(mean=math.nan)) is None
    assert Cell(ABSENT, math.nan).key == ""
    assert Cell("0.10", 0.1).key == "0.1"
    assert Cell("cnn").key == "cnn"


def test_a_column_that_says_nothing_is_left_out():
    heads = (Head("filled"), Head("empty"), Head("dashes"))
    row = (Cell("1", 1.0), Cell(""), Cell(ABSENT, math.nan))
    table = Table("", heads, (row,)).without_empty_columns()
    assert table.header == ("filled",)
    assert [cell.text for cell in table.rows[0]] == ["1"]


def test_every_method_of_every_model_has_a_line_best_first(run):
    board = standings(run)
    assert board.filters.choices[0].values == ["cnn", "attngen", "attention only"]
    assert (
        len(board.rows) == len(board.filters.choices[0].of_rows) == len(board.filters.ahead) == 18
    )
    of_cnn = list(lines(board, "cnn"))
    assert of_cnn[0] == "deeplift"
    assert of_cnn[-1] == "attention"


def test_a_line_says_by_how_much_and_how_sure(run):
    places = lines(standings(run), "cnn")["integrated_gradients"]
    assert places["Gap to random"].text == "1.86 [1.54, 2.18]"
    assert places["Gap to random"].interval.standing == "above"
    assert places["Normalised"].text == "0.93 [0.86, 1.00]"
    assert places["p"].text == "<0.001"
    assert places["P(best)"].text == "0.25"
    assert places["To the best"].text == "\u22120.04 [\u22120.24, 0.16]"
    assert places["ms"].text == "76.1"
    assert lines(standings(run), "cnn")["deeplift"]["To the best"].text == "best"


def test_what_must_be_known_before_trusting_a_line_is_under_its_method(run):
    told = {name: places["Method"].remark for name, places in lines(standings(run), "cnn").items()}
    assert told["deeplift"] == ""
    assert told["attention"] == "not applicable: the model has no attention"
    assert told["random"] == "random numbers"
    remark = lines(standings(run), "attngen")["attention"]["Method"].remark
    assert remark == "unsigned"


def test_unsigned_methods_are_marked_beside_signed_ones_and_the_note_says_why(run, make):
    board = standings(run)
    told = {name: places["Method"].remark for name, places in lines(board, "attngen").items()}
    assert {name for name, remark in told.items() if remark == "unsigned"} == {
        *("saliency", "attention")
    }
    assert told["random"] == "random numbers"
    assert "unsigned ones cannot distinguish it" in board.note
    for quality in ((("deeplift", 0.9),), (("saliency", 0.9), ("random", 0.0))):
        alike = standings(make(models=("cnn",), quality=quality))
        assert "unsigned" not in alike.note
        assert not any("unsigned" in place["Method"].remark for place in lines(alike).values())


def test_a_remark_on_the_kind_of_a_method_leaves_the_others(make):
    board = standings(make(models=("cnn",), quality=(("deeplift", 0.9), ("saliency", 0.3))))
    remark = lines(board)["saliency"]["Method"].remark
    assert remark == "unsigned; not above its control: mean map, negated"


def test_the_main_columns_are_explained_with_their_units_above_the_lines(run, make):
    gloss = standings(run).gloss
    assert gloss.startswith("Gap to random, in logits: ")
    assert "Normalised, without unit: " in gloss
    assert "Normalised" not in standings(make(controls=False)).gloss


def test_a_control_that_is_not_beaten_is_named(make):
    board = standings(make(models=("cnn",), quality=(("deeplift", 0.9), ("prior", 0.3))))
    assert lines(board)["prior"]["Method"].remark == "not above its control: mean map, negated"


def test_nothing_beats_random_by_a_metric_that_failed_its_self_test(make):
    board = standings(make(models=("cnn",), blind=(("cnn", PRIMARY),)))
    assert not any(board.filters.ahead)
    remarks = {places["Method"].remark for places in lines(board).values()}
    assert "not ranked: the metric failed its self-test" in remarks


def test_only_what_is_above_random_beats_it(run):
    board = standings(run)
    ahead = {
        board.method_of_row(row) for row, is_ahead in enumerate(board.filters.ahead) if is_ahead
    }
    assert ahead == {
        *("deeplift", "integrated_gradients", "input_x_gradient", "attention", "saliency")
    }


def test_a_run_without_ranks_controls_and_costs_has_fewer_columns(run, make):
    bare = make(models=("cnn",), controls=False)
    nothing = pd.DataFrame(columns=list(COLUMNS["ranks.csv"]))
    rest = bare.estimates[bare.estimates["question"] != "against best"]
    board = standings(replace(bare, ranks=nothing, cost=bare.cost.iloc[:0], estimates=rest))
    assert board.header == ("Model", "Method", "Rank", "Gap to random", "p", "To the best")
    assert standings(replace(bare, estimates=rest[rest["metric"] == "accuracy"])) is None


def test_the_note_shows_what_the_intervals_are_of(make):
    assert "for retraining; thick, for these" in standings(make()).note
    assert "over sequences, for these trained models." in standings(make(seeds=(3,))).note


def test_pairs_are_with_both_normalised_scores(run):
    board = pairs(run)
    assert len(board.rows) == 18
    places = lines(replace(board, rows=board.rows[:6]))["saliency"]
    assert places["Models"].text == "cnn \u2212 attngen"
    assert places["Difference"].text == "0.05 [\u22120.15, 0.25]"
    assert places["Normalised, the first"].text == "0.50 [0.43, 0.57]"
    assert board.filters.choices[0].numbers(17) == "1 2"


def test_the_difference_of_normalised_scores_is_beside_that_of_gaps(run):
    rows = run.estimates[
        (run.estimates["question"] == "between models") & (run.estimates["metric"] == PRIMARY)
    ]
    numbers = {"mean": 0.07, "low": 0.021, "high": 0.119, "p_holm": 0.013}
    shares = rows.assign(question="normalised between models", **numbers)
    board = pairs(replace(run, estimates=pd.concat([run.estimates, shares], ignore_index=True)))
    places = lines(replace(board, rows=board.rows[:6]))["saliency"]
    assert places["Normalised difference"].text == "0.07 [0.02, 0.12]"
    assert "Normalised difference" not in pairs(run).header


def test_two_models_are_called_by_their_names(make):
    header = pairs(make(models=("cnn", "attngen"))).header
    assert header[-2:] == ("Normalised, cnn", "Normalised, attngen")


def test_one_model_has_no_pairs(make):
    assert pairs(make(models=("cnn",))) is None


def test_the_gap_of_every_seed_is_the_mean_over_shared_sequences(run):
    random = run.records[run.records["metric"] == PRIMARY].query("method == 'saliency'")
    control = random.assign(method="random control", value=random["value"] + 0.25)
    beyond = control.assign(sequence="only here", value=100.0)
    records = pd.concat([run.records, control, beyond], ignore_index=True)
    table = by_seed(replace(run, records=records), "cnn")
    assert table.header == ("Method", "Seed 0", "Seed 1", "Seed 2", "Seed 3", "Seed 4")
    (own,) = [row for row in table.rows if row[0].text == "saliency"]
    assert [cell.text for cell in own[1:]] == ["0.25"] * 5
    assert table.folded


@pytest.mark.parametrize("seeds", [(0,), (0, 1)])
def test_without_values_of_the_control_or_with_one_seed_there_is_no_table_of_seeds(make, seeds):
    assert by_seed(make(models=("cnn",), seeds=seeds), "cnn") is None
