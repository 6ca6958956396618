"""Operators and controls in a report."""

from dataclasses import replace

import numpy as np
import pandas as pd

from xaibench.reports.format.numbers import TIMES
from xaibench.reports.format.replicates import SEEDS
from xaibench.reports.tables.controls import controls
from xaibench.reports.tables.operators import agreement_of_operators, distances, least_agreement


def told(table):
    return {row[0].text: [cell.text for cell in row[1:]] for row in table.rows}


def test_methods_are_below_what_pushes_the_data(run):
    table = distances(run, "attngen")
    assert table.header == ("", "n", "uniform", SEEDS.counted)
    rows = told(table)
    assert [head.split(",")[0] for head in rows][:5] == [
        *["Log-likelihood"] * 2,
        *["Largest probability"] * 2,
        "deeplift",
    ]
    assert list(rows.values())[1] == [
        *("\u22120.050 [\u22120.060, \u22120.040]", "\u22120.100 [\u22120.110, \u22120.090]"),
        "23",
    ]
    assert rows["deeplift"] == [*["1.90 [1.58, 2.22] ▲"] * 2, f"23 {TIMES} 5"]


def test_of_many_fractions_those_nearest_to_a_tenth_and_a_half_are_shown(run):
    rows = run.operators[run.operators["fraction"] == 0.1]
    many = [rows.assign(fraction=fraction) for fraction in (0.02, 0.12, 0.4, 0.8)]
    table = distances(replace(run, operators=pd.concat(many)), "cnn")
    shares = [head.replace("\N{NO-BREAK SPACE}", " ").split(" at ")[-1] for head in told(table)]
    assert shares[:4] == ["12 %", "40 %", "12 %", "40 %"]


def test_an_operator_under_which_the_metric_failed_is_marked(run):
    rows = run.selftest
    passed = rows["passed"].mask(rows["operator"] == "n", "no")
    table = distances(replace(run, selftest=rows.assign(passed=passed)), "cnn")
    assert table.header[1:3] == ("n (cannot discriminate here)", "uniform")


def test_an_operator_that_could_not_act_gives_its_reason(run):
    rows = run.estimates
    gone = (rows["operator"] == "n") & (rows["question"] == "against random")
    blank = {name: rows[name].mask(gone) for name in ("mean", "low", "high")}
    reason = rows["reason"].mask(gone, "not applicable: the window is longer than the sequence")
    pushed = run.operators[run.operators["operator"] != "n"]
    own = replace(run, estimates=rows.assign(**blank, reason=reason), operators=pushed)
    table = distances(own, "attngen")
    assert table.header[1:3] == ("n", "uniform")
    assert "not applicable: the window is longer than the sequence" in table.notes


def test_tau_is_shown_for_every_pair_with_the_number_of_methods(run):
    table = agreement_of_operators(run, "cnn")
    assert table.caption.endswith("6 methods")
    assert told(table) == {"n": ["", "0.80"], "uniform": ["0.80", ""]}


def test_a_pair_with_fewer_methods_names_their_number(run):
    rows = run.rankings
    more = rows.assign(other="dinucleotide", methods=4, tau=np.nan)
    plan = run.plan | {"operators": ["n", "uniform", "dinucleotide"]}
    own = replace(run, rankings=pd.concat([rows, rows, more]), plan=plan)
    table = agreement_of_operators(own, "cnn")
    assert told(table)["n"] == ["", "0.80", "\N{EN DASH} (4)"]
    assert len(table.notes) == 1


def test_the_least_alike_operators_of_every_metric_are_named(run):
    rows = [tuple(cell.text for cell in row) for row in least_agreement(run).rows]
    assert rows[1] == ("cnn", "flip rate", "n, uniform", "\u22120.20", "\u22120.20", "1", "6")


def test_one_operator_agrees_with_nobody(make):
    results = make(operators=("n",))
    assert agreement_of_operators(results, "cnn") is None
    assert least_agreement(results) is None


def test_controls_are_across_and_priors_only_on_the_motif(run):
    deletion, auprc = controls(run, "cnn")
    spoilt = ("rotated", "another sequence", "mean map", "negated", "blurred")
    assert deletion.header == ("Method", *spoilt)
    assert auprc.header == ("Method", *spoilt, "distance to centre", "GC content")
    assert told(deletion)["deeplift"][2] == "0.75 [0.60, 0.90] ▲"
    assert told(deletion)["random"][1].endswith("≈")
    assert told(deletion)["random"][4].endswith("▼")
    assert set(told(auprc)[SEEDS.counts]) == {f"11 {TIMES} 5"}


def test_without_motifs_there_is_one_table_of_controls(make):
    assert len(controls(make(motifs=False), "cnn")) == 1


def test_a_method_that_did_not_apply_stays_among_the_controls_with_its_reason(run):
    deletion, _ = controls(run, "cnn")
    assert deletion.notes == {"not applicable: the model has no attention": "a"}
