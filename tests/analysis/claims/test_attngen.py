"""The claims of AttnGen, on numbers whose answers are known and through one tiny run."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from xaibench.analysis.claims import CLAIMS, attngen, claims, deletion
from xaibench.analysis.claims.arms import Arms, arms_of, chosen_ratio, explained_ratio, validation
from xaibench.analysis.claims.attngen import (
    _accuracy_findings,
    _convergence,
    _optimum,
    _steadiness,
)
from xaibench.analysis.claims.deletion import _chance_verdict
from xaibench.analysis.claims.finding import FAILS, HOLDS, UNDECIDED
from xaibench.artefacts.job import Job
from xaibench.plan.schema import read_plan
from xaibench.results.reading import read_results as results
from xaibench.results.schema import columns_of
from xaibench.runs.pipeline import begin, run
from xaibench.statistics.means import undefined

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
    return begin(Job(read_plan(str(path)), str(path), (), folder))


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    folder = tmp_path_factory.mktemp("claims") / "run"
    work = work_of(folder)
    outcome = run(work, jobs=0, threads=1, command="xaibench run plan.yaml")
    assert outcome.failures == []
    return work, folder


def test_arms_are_told_by_what_models_are(ran):
    arms = arms_of(ran[0].plan)
    assert arms == Arms("cnn", "twin", {0.1: "few", 0.3: "some"}, {0.15: "chance"})


def test_every_claim_has_a_row_with_its_rule_or_a_reason(ran):
    table = results(ran[1]).claims
    assert list(table.columns) == columns_of("claims")
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
    assert row["verdict"] == UNDECIDED


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
    assert list(table.columns) == columns_of("claims")
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
    monkeypatch.setattr("xaibench.analysis.claims.arms.validation", told)
    monkeypatch.setattr(attngen, "trained_arms", lambda _, masked: masked)
    monkeypatch.setattr("xaibench.analysis.claims.arms.trained_arms", lambda _, masked: masked)


ARMS = Arms("cnn", "twin", {0.1: "few", 0.3: "some"}, {})


def test_another_network_is_no_arm(ran):
    work, _ = ran
    few = work.plan.models["few"]
    wider = few.model_copy(update={"options": {**few.options, "filters": [9]}})
    less = few.model_copy(update={"options": {**few.options, "sequences": 3}})
    models = work.plan.models
    for instead, masked in ((wider, {0.3: "some"}), (less, {0.1: "few", 0.3: "some"})):
        plan = work.plan.model_copy(update={"models": {**models, "few": instead}})
        assert arms_of(plan).masked == masked


def test_the_ratio_is_chosen_by_the_mean_on_validation(ran, monkeypatch):
    validating(monkeypatch, {"few": [0.9, 0.7, 0.9, 0.9, 0.9], "some": [0.8] * 5})
    assert chosen_ratio(ran[0], ARMS.masked) == 0.1


@pytest.mark.parametrize(
    ("few", "verdict"),
    [([0.9] * 4 + [0.1], HOLDS), ([0.9] * 3 + [0.1] * 2, UNDECIDED), ([0.9] + [0.1] * 4, FAILS)],
)
def test_ten_to_twenty_percent_is_best_where_four_of_five_seeds_say_so(
    ran, monkeypatch, few, verdict
):
    validating(monkeypatch, {"twin": [0.2] * 5, "few": few, "some": [0.3] * 5})
    found = _optimum(ran[0], ARMS)
    assert found.verdict == verdict
    assert found.mean == sum(each > 0.3 for each in few) / 5


@pytest.mark.parametrize(
    "ratios", [(0.1, 0.15, 0.2), (0.1, 0.2, 0.3), (0.05, 0.1, 0.2), (0.05, 0.3)]
)
def test_an_optimum_asks_for_ratios_below_in_and_above(ran, monkeypatch, ratios):
    names = {ratio: f"at {ratio}" for ratio in ratios}
    validating(monkeypatch, dict.fromkeys(names.values(), [0.9] * 5))
    found = _optimum(ran[0], Arms("cnn", "", names, {}))
    assert found.verdict == UNDECIDED
    assert np.isnan(found.p)


def test_the_spread_between_seeds_is_that_of_the_cnn_over_that_of_attngen(ran, monkeypatch):
    masked = np.array([0.90, 0.91, 0.92, 0.93, 0.94])
    moved = np.array([0.01, -0.02, 0.01, 0.0, 0.0])
    validating(monkeypatch, {"few": masked, "cnn": 0.9 + 4 * (masked - 0.92) + moved})
    found = _steadiness(ran[0], ARMS, "few")
    assert found.mean == pytest.approx(4, rel=0.05)
    assert found.low > 1
    assert found.verdict == HOLDS


def test_seeds_that_all_give_one_accuracy_have_no_ratio_of_spreads(ran, monkeypatch):
    validating(monkeypatch, {"few": [0.9, 0.8, 0.7, 0.6, 0.5], "cnn": [0.9] * 5})
    found = _steadiness(ran[0], ARMS, "few")
    assert (found.verdict, np.isnan(found.p)) == (UNDECIDED, True)
    assert "does not vary" in found.caveat


def estimated(low, high):
    return replace(undefined(""), mean=(low + high) / 2, low=low, high=high)


@pytest.mark.parametrize(
    ("attended", "apart", "verdict"),
    [
        ((0.45, 0.55), (0.1, 0.2), HOLDS),
        ((0.35, 0.55), (0.1, 0.2), UNDECIDED),
        ((0.62, 0.70), (0.1, 0.2), FAILS),
        ((0.20, 0.39), (0.1, 0.2), FAILS),
        ((0.45, 0.55), (-0.2, -0.1), FAILS),
        ((0.45, 0.55), (-0.1, 0.1), UNDECIDED),
        ((np.nan, np.nan), (0.1, 0.2), UNDECIDED),
    ],
)
def test_near_chance_is_from_40_to_60_percent_and_below_random(attended, apart, verdict):
    assert _chance_verdict(estimated(*attended), estimated(*apart)) == verdict


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
    assert {"random orders", "its own map rotated (run lengths stay)"} == set(
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
    assert found.verdict == UNDECIDED
    assert "never reached by AttnGen under 3 and by the CNN under 0 of 5 seeds" in found.caveat


def test_the_accuracy_of_a_model_is_that_of_the_weights_it_has(ran, monkeypatch):
    history = [{"validation_accuracy": 0.9, "kept": 1.0}, {"validation_accuracy": 0.7, "kept": 0.0}]
    monkeypatch.setattr("xaibench.analysis.claims.arms.histories", lambda *_: {3: history})
    assert validation(ran[0], ["few"])[1].tolist() == [[0.9]]


def test_a_tie_between_in_and_out_speaks_for_neither(ran, monkeypatch):
    validating(monkeypatch, {"twin": [0.9] * 5, "few": [0.9] * 5, "some": [0.3] * 5})
    found = _optimum(ran[0], ARMS)
    assert (found.mean, found.verdict) == (0, UNDECIDED)
    assert "0 and 0.1" in found.caveat


def test_a_plan_without_a_cnn_cannot_tell_who_is_faster(ran):
    found = list(_convergence(ran[0], replace(ARMS, cnn=""), "few"))
    assert {each.verdict for each in found} == {UNDECIDED}
    assert all("no trainings of few and such a model" in each.caveat for each in found)


def accurate(mean, low, high, *, first="few", second="cnn"):
    """Estimates with one row that compares the accuracy of two models."""
    row = {"question": "between models", "metric": "accuracy", "model": first, "other": second}
    numbers = {"mean": mean, "low": low, "high": high, "p": 0.03, "seeds": 5, "sequences": 30}
    return pd.DataFrame([{**row, **numbers}])


@pytest.mark.parametrize(
    ("row", "mean", "verdict"),
    [
        (accurate(0.01, 0.004, 0.016), 0.01, HOLDS),
        (accurate(-0.01, -0.016, -0.004, first="cnn", second="few"), 0.01, HOLDS),
        (accurate(-0.01, -0.016, 0.0019), -0.01, FAILS),
        (accurate(-0.01, -0.016, 0.0021), -0.01, UNDECIDED),
    ],
)
def test_attngen_is_put_before_the_cnn_and_must_be_a_fifth_of_a_point_better(row, mean, verdict):
    more, *_ = _accuracy_findings(row, ARMS, 0.1)
    assert (more.mean, more.verdict) == (pytest.approx(mean), verdict)
    assert more.quantity == "test accuracy, few minus cnn"


def test_masking_at_random_is_compared_at_the_same_ratio_or_not_at_all():
    row = accurate(0.01, 0.004, 0.016, first="some", second="chance")
    *_, told = _accuracy_findings(row, replace(ARMS, random={0.3: "chance", 0.5: "half"}), 0.1)
    assert (told.verdict, told.caveat) == (HOLDS, "both at ratio 0.3")
    *_, untold = _accuracy_findings(row, replace(ARMS, random={0.15: "chance"}), 0.1)
    assert (untold.verdict, untold.caveat) == (UNDECIDED, "expected both at one ratio")


def test_who_is_higher_on_the_way_and_calmer_at_the_end_speaks_for_the_claim(ran, monkeypatch):
    """Areas .8 and .7; spreads over the last two epochs 0 and a tenth over the root of 2."""
    ahead = [[0.6, 0.8, 0.9, 0.9, 0.9 + 0.001 * seed] for seed in range(5)]
    behind = [[0.4, 0.6, 0.9, 0.8, 0.9 - 0.001 * seed] for seed in range(5)]
    trained_so(monkeypatch, ahead, behind)
    *_, area, spread = _convergence(ran[0], ARMS, "few")
    assert area.mean == pytest.approx((0.2 / 2 + 0.2 + 0.1) / 4 + 0.001 * 2 * 2 / 8)
    assert spread.mean == pytest.approx((0.1 - 0.002 - 0.002) / 2**0.5)
    assert (area.verdict, spread.verdict) == (HOLDS, HOLDS)
    assert "convergence follows the schedule" in area.caveat


def test_areas_of_the_same_accuracies_in_another_order_speak_for_nobody(ran, monkeypatch):
    """They differ by 1e-16, which is less under some seeds than under others."""
    sums_up = [0.5, 0.8, 0.6, 0.75, 0.7, 0.9, 0.5]
    down, middle = [0.5, 0.7, 0.9, 0.75, 0.8, 0.6, 0.5], [0.5, 0.9, 0.75, 0.6, 0.7, 0.8, 0.5]
    trained_so(monkeypatch, [sums_up] * 5, [down] * 3 + [middle] * 2)
    *_, area, _ = _convergence(ran[0], ARMS, "few")
    assert (area.mean, area.verdict) == (0, UNDECIDED)


def test_one_that_stops_early_without_getting_there_is_not_sooner(ran, monkeypatch):
    stopped, late = [0.5, 0.7, 0.7], [0.5, 0.6, 0.7, 0.8, 0.9, 0.96]
    trained_so(monkeypatch, [stopped] * 4 + [[0.5, 0.7]], [late] * 4 + [[*late[:4], 0.96]])
    found = next(iter(_convergence(ran[0], ARMS, "few")))
    assert found.mean == pytest.approx((4 * (6 - 7) + (5 - 6)) / 5)
    assert found.verdict == UNDECIDED


def lines(ten, twenty, sequences=20):
    """``(step, sequence)`` of the fractions 0, .1, .2 and 1: as many are right as is said."""
    right = [sequences, ten, twenty, 0]
    return np.array([np.arange(sequences) < count for count in right], float)


def deleted_so(monkeypatch, attention, chance):
    """Curves of accuracy under five seeds; in every seed one more sequence is right by chance."""

    def told(work, model, method, operator):
        if method == "attention":
            return {seed: lines(*attention) for seed in range(5)}
        return {seed: lines(*(right + seed % 2 for right in chance)) for seed in range(5)}

    monkeypatch.setattr(deletion, "_accuracies_by_seed", told)


def test_deletion_is_told_at_both_points_and_by_whom(ran, monkeypatch):
    deleted_so(monkeypatch, (11, 10), (18, 16))
    found = next(iter(deletion.near_chance(ran[0], ARMS.masked, 0.1)))
    assert found.mean == pytest.approx(0.5)
    assert "10%: attention 0.550" in found.caveat
    assert "random 0.920" in found.caveat
    assert "20%: attention 0.500" in found.caveat
    assert "random 0.820" in found.caveat
    assert (found.seeds, found.sequences) == (5, 20)


def test_what_falls_more_by_chance_does_not_hold_and_has_a_large_p(ran, monkeypatch):
    deleted_so(monkeypatch, (11, 11), (7, 4))
    found = next(iter(deletion.near_chance(ran[0], ARMS.masked, 0.1)))
    assert found.verdict == FAILS
    assert found.p > 0.99


def test_what_masking_puts_in_carries_its_caveat_under_that_operator(ran, monkeypatch):
    deleted_so(monkeypatch, (11, 10), (18, 16))
    work, _ = ran
    few = work.plan.models["few"]
    masking = {**few.options["masking"], "replacement": "uniform"}
    other = few.model_copy(update={"options": {**few.options, "masking": masking}})
    plan = work.plan.model_copy(update={"models": {**work.plan.models, "few": other}})
    told = deletion.near_chance(replace(work, job=replace(work.job, plan=plan)), {0.1: "few"}, 0.1)
    assert ["training distribution" in each.caveat for each in told] == [False, True]
