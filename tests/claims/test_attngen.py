"""The claims of AttnGen, on numbers whose answers are known and through one tiny run."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from xaibench.claims import CLAIMS, COLUMNS, attngen, claims, deletion
from xaibench.claims.arms import Arms, arms_of, chosen_ratio, explained_ratio, validation
from xaibench.claims.attngen import _convergence, _optimum, _steadiness
from xaibench.claims.deletion import _chance
from xaibench.claims.finding import FAILS, HOLDS, UNKNOWN
from xaibench.plan import read
from xaibench.results import read as results
from xaibench.run import begin, run
from xaibench.statistics.bootstrap import undefined
from xaibench.work import Job

PLAN = """
dataset: {name: planted, train: 90, test: 30, length: 40}
claims: attngen
seeds: [0, 3]
training: {epochs: 5, batch_size: 32, keep: last}
models:
  cnn: {filters: [6], kernels: [19]}
  twin: {use: attngen, filters: [5], kernels: [19], masking: none}
  chance: {use: attngen, filters: [5], kernels: [19], masking: {policy: random, warm_up: 0}}
  few: {use: attngen, filters: [5], kernels: [19], masking: {ratio: 0.1, warm_up: 0}}
  some: {use: attngen, filters: [5], kernels: [19], masking: {ratio: 0.3, warm_up: 0}, sequences: 0}
attribution: [attention, saliency]
sequences: 7
controlled: 5
controls: [rotated]
fractions: [0, 0.1, 0.2, 1]
random_draws: 3
reports: [html, markdown]
operators: [n, uniform]
metrics: [deletion]
"""


def work_of(folder, text=PLAN):
    path = folder.parent / "plan.yaml"
    path.write_text(text)
    return begin(Job(read(str(path)), str(path), (), folder))


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    folder = tmp_path_factory.mktemp("claims") / "run"
    work = work_of(folder)
    outcome = run(work, jobs=1, threads=1, command="xaibench run plan.yaml")
    assert outcome.failures == []
    return work, folder


def test_arms_are_told_by_what_models_are(ran):
    arms = arms_of(ran[0].plan)
    assert arms == Arms("cnn", "twin", {0.1: "few", 0.3: "some"}, {0.15: "chance"})


def test_every_claim_has_a_row_with_its_rule_or_a_reason(ran):
    table = results(ran[1]).claims
    assert list(table.columns) == COLUMNS
    told = table[table["seeds"] > 0]
    assert (told["rule"] != "").all()
    assert (told["test"] != "").all()
    assert table["caveat"].str.contains("on other data than the paper's").all()
    assert table["caveat"].str.contains("composition alone reaches").all()
    assert {"n", "uniform"} == set(
        table["quantity"].str.extract(r"deletion, operator (\w+)")[0].dropna()
    )
    assert table["claim"].str.contains("more accurate than the CNN").sum() == 1
    known = table[["p", "p_holm"]].dropna()
    assert (known["p_holm"] >= known["p"]).all()


def test_two_seeds_cannot_tell_which_ratio_is_best(ran):
    table = results(ran[1]).claims
    row = table[table["claim"].str.startswith("masking 10 to 20")].iloc[0]
    assert row["verdict"] == UNKNOWN


def test_the_report_shows_the_claims(ran):
    page = (ran[1] / "report.html").read_text()
    assert "Do the claims hold?" in page
    assert "Do the claims hold?" in (ran[1] / "report.md").read_text()


def test_operator_n_carries_its_caveat(ran):
    table = results(ran[1]).claims
    of_n = table[table["quantity"].str.endswith("operator n")]
    assert of_n["caveat"].str.contains("training distribution").all()
    assert not table.drop(of_n.index)["caveat"].str.contains("training distribution").any()


def test_without_claims_there_is_an_empty_table(ran):
    work, _ = ran
    plan = work.plan.model_copy(update={"claims": None})
    table = claims(replace(work, job=replace(work.job, plan=plan)), pd.DataFrame())
    assert list(table.columns) == COLUMNS
    assert table.empty


def test_a_run_without_masked_models_says_so(ran):
    work, _ = ran
    models = {label: use for label, use in work.plan.models.items() if label in ("cnn", "twin")}
    plan = work.plan.model_copy(update={"models": models})
    found = list(CLAIMS["attngen"](replace(work, job=replace(work.job, plan=plan)), pd.DataFrame()))
    assert len(found) == 1
    assert "no model with the least attended masked" in found[0].caveat


def validating(monkeypatch, accuracies):
    """Validation accuracies by label, a seed each."""

    def told(work, models):
        return list(range(5)), np.array([accuracies[label] for label in models])

    monkeypatch.setattr(attngen, "validation", told)
    monkeypatch.setattr("xaibench.claims.arms.validation", told)
    monkeypatch.setattr(attngen, "trained", lambda _, masked: masked)
    monkeypatch.setattr("xaibench.claims.arms.trained", lambda _, masked: masked)


ARMS = Arms("cnn", "twin", {0.1: "few", 0.3: "some"}, {})


def test_the_ratio_is_chosen_by_the_mean_on_validation(ran, monkeypatch):
    validating(monkeypatch, {"few": [0.9, 0.7, 0.9, 0.9, 0.9], "some": [0.8] * 5})
    assert chosen_ratio(ran[0], ARMS.masked) == 0.1


@pytest.mark.parametrize(
    ("few", "verdict"),
    [([0.9] * 4 + [0.1], HOLDS), ([0.9] * 3 + [0.1] * 2, UNKNOWN), ([0.9] + [0.1] * 4, FAILS)],
)
def test_ten_to_twenty_percent_is_best_where_four_of_five_seeds_say_so(
    ran, monkeypatch, few, verdict
):
    validating(monkeypatch, {"twin": [0.2] * 5, "few": few, "some": [0.3] * 5})
    found = _optimum(ran[0], ARMS)
    assert found.verdict == verdict
    assert found.mean == sum(each > 0.3 for each in few) / 5


def test_the_spread_between_seeds_is_tested_by_f(ran, monkeypatch):
    """F = 16 on 4 and 4 degrees of freedom: its tail is 1 - 3 z^2 + 2 z^3 with z = 16/17, and its
    quantile at .975 is 9.6045 in any table."""
    masked = np.array([0.90, 0.91, 0.92, 0.93, 0.94])
    validating(monkeypatch, {"few": masked, "cnn": 0.9 + 4 * (masked - 0.92)})
    found = _steadiness(ran[0], ARMS, "few")
    assert found.mean == pytest.approx(4)
    assert found.p == pytest.approx(2 * (1 - 3 * (16 / 17) ** 2 + 2 * (16 / 17) ** 3))
    assert (found.low**2, found.high**2) == pytest.approx((16 / 9.6045, 16 * 9.6045), rel=1e-4)
    assert found.verdict == HOLDS


def estimated(low, high):
    return replace(undefined(""), mean=(low + high) / 2, low=low, high=high)


@pytest.mark.parametrize(
    ("attended", "apart", "verdict"),
    [
        ((0.45, 0.55), (0.1, 0.2), HOLDS),
        ((0.35, 0.55), (0.1, 0.2), UNKNOWN),
        ((0.62, 0.70), (0.1, 0.2), FAILS),
        ((0.20, 0.39), (0.1, 0.2), FAILS),
        ((0.45, 0.55), (-0.2, -0.1), FAILS),
        ((0.45, 0.55), (-0.1, 0.1), UNKNOWN),
        ((np.nan, np.nan), (0.1, 0.2), UNKNOWN),
    ],
)
def test_near_chance_is_from_40_to_60_percent_and_below_random(attended, apart, verdict):
    assert _chance(estimated(*attended), estimated(*apart)) == verdict


def test_deletion_asks_for_the_points_that_the_claim_is_about(ran):
    work, _ = ran
    plan = work.plan.model_copy(update={"fractions": (0, 0.5, 1)})
    found = list(
        deletion.near_chance(replace(work, job=replace(work.job, plan=plan)), ARMS.masked, 0.1)
    )
    assert len(found) == 1
    assert "points at .1 and .2" in found[0].caveat


def test_attention_is_put_beside_its_controls_on_the_nearest_explained_arm(ran):
    table = results(ran[1]).claims
    rows = table[table["claim"].str.startswith("attention finds more than")]
    assert {"random orders", "its own map moved along (run lengths kept)"} == set(
        rows["claim"].str.removeprefix("attention finds more than ")
    )
    assert rows["caveat"].str.startswith("ratio 0.1;").all()
    assert explained_ratio(ran[0].plan, arms_of(ran[0].plan).masked, 0.3) == 0.1


def trained_so(monkeypatch, model, cnn):
    """Histories of five seeds each, as validation accuracies by epoch."""

    def told(work, label):
        every = model if label == "few" else cnn
        return {
            seed: [
                {"epoch": epoch, "steps": epoch, "validation_accuracy": accuracy}
                for epoch, accuracy in enumerate(accuracies, start=1)
            ]
            for seed, accuracies in enumerate(every)
        }

    monkeypatch.setattr(attngen, "histories", told)


def test_a_model_that_never_gets_there_is_not_faster(ran, monkeypatch):
    """It is an epoch earlier under two seeds, and never arrives under the other three."""
    late, never = [0.5, 0.9, 0.96, 0.97], [0.5, 0.9, 0.9, 0.9]
    soon = [0.5, 0.96, 0.96, 0.97]
    trained_so(monkeypatch, [never] * 3 + [soon] * 2, [soon] * 3 + [late] * 2)
    found = next(iter(_convergence(ran[0], ARMS, "few")))
    assert found.mean == pytest.approx((3 * (2 - 5) + 2 * 1) / 5)
    assert found.verdict == UNKNOWN
    assert "never reached by AttnGen under 3 and by the CNN under 0 of 5 seeds" in found.caveat


def test_the_accuracy_of_a_model_is_that_of_the_weights_it_has(ran, monkeypatch):
    history = [{"validation_accuracy": 0.9, "kept": 1.0}, {"validation_accuracy": 0.7, "kept": 0.0}]
    monkeypatch.setattr("xaibench.claims.arms.histories", lambda *_: {3: history})
    assert validation(ran[0], ["few"])[1].tolist() == [[0.9]]


def test_a_tie_for_the_best_ratio_counts_for_the_claim(ran, monkeypatch):
    validating(monkeypatch, {"twin": [0.9] * 5, "few": [0.9] * 5, "some": [0.3] * 5})
    found = _optimum(ran[0], ARMS)
    assert found.mean == 1
    assert "0 and 0.1" in found.caveat


def test_a_plan_without_a_cnn_cannot_tell_who_is_faster(ran):
    found = list(_convergence(ran[0], replace(ARMS, cnn=""), "few"))
    assert {each.verdict for each in found} == {UNKNOWN}
    assert all("no trainings of few and such a model" in each.caveat for each in found)
