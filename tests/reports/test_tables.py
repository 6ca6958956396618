"""The tables of a made-up run: which number stands where, and from how many it is made."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import yaml

from xaibench.explanation.controls import PRIORS
from xaibench.reports.content.about import models_table, plan_text
from xaibench.reports.content.cautions import cautions
from xaibench.reports.content.sections import sections
from xaibench.reports.format.numbers import ABSENT, TIMES, number
from xaibench.reports.format.replicates import SEEDS
from xaibench.reports.format.select import methods_of
from xaibench.reports.tables.accuracy import accuracy, accuracy_differences, baselines
from xaibench.reports.tables.cost import cost_table, guards
from xaibench.reports.tables.discrimination import (
    discrimination,
    discrimination_differences,
    headings,
)
from xaibench.reports.tables.failures import unmeasured
from xaibench.reports.tables.leaderboard import leaderboard
from xaibench.reports.tables.metrics import between_models, gaps, measures, randomisation, stability


def column(table, name):
    place = table.header.index(name)
    return [one[place].text for one in table.rows]


def rows_of(table):
    return {one[0].text: [cell.text for cell in one[1:]] for one in table.rows}


def joined(*frames):
    return pd.concat(frames, ignore_index=True)


def test_methods_come_in_the_order_of_the_plan_and_without_what_is_beside_them(run):
    planned = list(run.plan["attribution"])
    assert set(PRIORS) < set(run.estimates["method"])
    assert methods_of(run) == [*planned, "broken"]


def test_the_leaderboard_is_ordered_by_rank_and_what_is_not_ranked_is_last(run):
    methods = column(leaderboard(run, "cnn"), "Method")
    assert methods[:2] == ["deeplift", "integrated_gradients"]
    assert methods[-1] == "attention"


def test_a_dash_in_the_leaderboard_has_its_reason(run):
    assert leaderboard(run, "cnn").notes == {"not applicable: the model has no attention": "a"}


def test_the_leaderboard_takes_the_first_operator_where_uniform_did_not_run(make):
    assert "(logit difference, n)" in leaderboard(make(operators=("n",)), "cnn").caption


def test_there_is_no_leaderboard_without_a_deletion_metric(run):
    rest = run.estimates[~run.estimates["metric"].str.startswith("deletion")]
    assert leaderboard(replace(run, estimates=rest), "cnn") is None


def test_the_normalised_score_is_beside_the_gap_with_its_own_counts(run):
    table = leaderboard(run, "cnn")
    assert table.header[3] == f"Normalised [95\N{NO-BREAK SPACE}%], 11 {TIMES} 5"
    assert table.rows[0][3].text == "0.95 [0.88, 1.02]"
    assert column(table, SEEDS.counted)[0] == f"23 {TIMES} 5"


def test_an_undefined_normalised_score_gives_its_reason(run):
    rows = run.estimates
    of_share = rows["question"] == "normalised"
    reason = "the interval of oracle minus random holds 0"
    blank = {name: rows[name].mask(of_share) for name in ("mean", "low", "high")}
    told = rows.assign(**blank, reason=rows["reason"].mask(of_share, reason))
    table = leaderboard(replace(run, estimates=told), "attngen")
    assert table.rows[0][3].noted
    assert reason in table.notes


def test_without_an_oracle_the_leaderboard_has_no_normalised_score(make):
    assert not any("Norm" in head for head in leaderboard(make(controls=False), "cnn").header)


def test_a_metric_that_failed_its_self_test_ranks_nothing_and_says_why(make):
    results = make(blind=(("attngen", "deletion_logit_difference"),))
    table = leaderboard(results, "attngen")
    assert set(column(table, "Rank")) == {"cannot discriminate here"}
    assert list(table.notes) == ["the oracle is not above random"]
    assert column(leaderboard(results, "cnn"), "Rank")[0] == "1"


def test_the_accuracy_of_a_seed_is_the_mean_of_its_records(run):
    records = run.records
    wanted = records[
        (records["model"] == "attngen") & (records["seed"] == 3) & (records["metric"] == "accuracy")
    ]["value"].mean()
    table = accuracy(run)
    place = column(table, "Model").index("attngen")
    assert column(table, "Seed 3")[place] == number(wanted, 3)


def test_marks_tell_better_worse_and_not_distinguishable(run):
    told = rows_of(measures(run, "cnn", "localisation"))
    assert told["deeplift"][0].endswith("▲")
    assert told["random"][0].endswith("≈")
    assert told["chance level"] == ["0.12", "0.10"]


def test_priors_are_below_the_methods_and_name_their_own_counts(run):
    table = measures(run, "cnn", "localisation")
    assert rows_of(table)[PRIORS[0]] == [f"0.20 [0.15, 0.25] (11 {TIMES} 5)", ""]
    assert [one[0].text for one in table.rows][-4:] == [*PRIORS, SEEDS.counts, "chance level"]


def test_every_column_of_measures_says_what_it_is_made_of(run):
    for section in ("localisation", "complexity"):
        assert set(rows_of(measures(run, "cnn", section))[SEEDS.counts]) == {f"23 {TIMES} 5"}


def test_localisation_is_silent_without_motifs(make):
    assert measures(make(motifs=False), "cnn", "localisation") is None


def test_a_column_whose_metric_failed_its_self_test_says_so(make):
    results = make(blind=(("cnn", "auprc"), ("cnn", "deletion_logit_difference")))
    assert measures(results, "cnn", "localisation").header[1:] == (
        *("AUPRC ↑ (cannot discriminate here)", "relevance mass ↑"),
    )
    (table,) = [one for one in gaps(results, "cnn") if "deletion" in one.caption]
    assert table.header[1] == "logit difference, n (cannot discriminate here)"
    assert table.header[3] == "probability, n"


def test_a_metric_of_one_quantity_has_a_column_an_operator(run):
    (table,) = [one for one in gaps(run, "cnn") if "flip rate" in one.caption]
    assert table.header == ("Method", "n", "uniform")


def test_metrics_without_an_operator_share_a_table(run):
    (table,) = [one for one in gaps(run, "cnn") if "other tests" in one.caption]
    assert table.header == ("Method", "infidelity")


def test_of_many_metrics_of_curves_only_the_leaderboards_is_open(run, make):
    assert {one.caption: one.folded for one in gaps(run, "attention only")} == {
        "attention only: deletion, gap to random": False,
        "attention only: insertion, gap to random; signed methods, not compared across signs": True,
        "attention only: insertion, gap to random; unsigned methods, not compared across signs": (
            True
        ),
        "attention only: flip rate, gap to random": True,
        "attention only: other tests, gap to random": True,
    }
    assert not any(one.folded for one in gaps(make(controls=False), "cnn"))


def test_stability_is_beside_the_mean_maps_and_has_no_rank(run):
    own, beside = stability(run, "cnn")
    assert own.header[1] == "agreement between seeds ↑"
    assert beside.caption == "cnn: better than the stability of the method's mean map by"
    assert beside.header[1:] == ("agreement between seeds",)
    assert rows_of(beside)["random"] == ["\u22120.80 [\u22120.90, \u22120.70] ▼"]
    assert rows_of(own)[SEEDS.counts][0] == f"23 {TIMES} 5"
    assert rows_of(beside)[SEEDS.counts] == [f"11 {TIMES} 5"]
    assert (own.folded, beside.folded) == (False, True)
    assert not any("rank" in head.lower() for head in (*own.header, *beside.header))


def test_stability_without_controls_is_the_metrics_alone(make):
    (own,) = stability(make(controls=False), "cnn")
    assert len(own.header) == 4


def test_randomisation_has_a_column_a_layer_in_the_order_of_the_run(run):
    (table,) = randomisation(run, "cnn")
    assert table.caption == "cnn: cascading randomisation ↓ by layer"
    assert table.header == ("Method", "output", "blocks.2", "blocks.0")


def test_a_method_without_layers_stays_in_the_table_with_its_reason(run):
    rows = run.estimates
    of_metric = rows["metric"] == "cascading_randomisation"
    gone = of_metric & rows["mean"].isna()
    first = rows["operator"] == "output"
    own = rows[~gone | first].assign(operator=rows["operator"].mask(gone, ""))
    (table,) = randomisation(replace(run, estimates=own), "cnn")
    assert table.header == ("Method", "output", "blocks.2", "blocks.0")
    assert all(cell.noted for row in table.rows for cell in row[1:] if row[0].text == "attention")


def test_randomisation_without_layers_is_a_table_of_its_own(run):
    rows = run.estimates.replace({"metric": {"gini": "random_label_similarity"}})
    facts = run.environment["metrics"]
    told = facts | {"random_label_similarity": {"family": "randomisation", "better": "lower"}}
    own = replace(run, estimates=rows, environment=run.environment | {"metrics": told})
    layers, alone = randomisation(own, "cnn")
    assert alone.header == ("Method", "random label similarity ↓")
    assert layers.header[1] == "output"


def test_complexity_has_neither_arrows_nor_marks(run):
    compared = run.estimates[run.estimates["metric"] == "gini"].assign(question="against random")
    both = replace(run, estimates=joined(run.estimates, compared))
    table = measures(both, "attngen", "complexity")
    assert table.header == ("Method", "Gini index")
    assert not any(mark in cell.text for row in table.rows for cell in row for mark in "↑↓▲▼≈")


def test_two_models_are_compared_once(run):
    assert between_models(run, "cnn", "attngen") is not None
    assert between_models(run, "attngen", "cnn") is None
    assert accuracy_differences(run).rows[0][0].text == "cnn \u2212 attngen"


def test_failures_and_what_does_not_apply_are_shown_with_their_reason(run):
    table = unmeasured(run)
    assert set(column(table, "Status")) == {"failed", "not applicable"}
    assert column(table, "Seeds")[0] == "0, 1, 2, 3, 4"


def test_methods_with_one_reason_share_a_row_and_a_control_is_named_with_its_map(run):
    failed = run.records[run.records["status"] == "failed"].query("model == 'cnn'")
    spoilt = failed.assign(method="deeplift", control="rotated")
    twice = failed.assign(control="blurred")
    table = unmeasured(replace(run, records=joined(run.records, spoilt, twice)))
    assert column(table, "Method")[:2] == ["attention", "broken, deeplift (rotated)"]


def test_a_long_reason_is_shown_whole_once(run):
    long = "x" * 300 + "end"
    records = run.records.assign(
        reason=run.records["reason"].mask(run.records["reason"] != "", long)
    )
    reasons = column(unmeasured(replace(run, records=records)), "Reason")
    assert len(reasons) > 2
    assert reasons.count(long) == 1
    assert {len(reason) for reason in reasons} == {303, 160}


def test_nothing_is_unmeasured_where_all_ran(make):
    assert unmeasured(make(failures=False)) is None


def test_cost_is_that_of_one_sequence(run):
    table = cost_table(run)
    assert column(table, "Forwards")[1] == number(4600 / 23, 1)
    assert column(table, "Milliseconds")[0] == number(1000 * 1.75 / 23, 1)
    assert set(column(table, SEEDS.counted)) == {f"23 {TIMES} 5"}


def test_an_option_that_is_not_set_is_not_told(run):
    options = {"sequences": None, "seeds": None, "dropout": 0.0, "masking": {"warm_up": None}}
    told = models_table(replace(run, plan=run.plan | {"models": {"cnn": options}}))
    assert column(told, "Options")[0] == "dropout 0.0, masking ()"


def test_the_plan_is_shown_whole_and_in_few_lines(run):
    options = {"use": "cnn", "sequences": None, "seeds": None}
    plan = run.plan | {"models": {f"model {k}": {**options} for k in range(20)}}
    text = plan_text(replace(run, plan=plan))
    assert yaml.safe_load(text) == plan
    assert "  model 7: {use: cnn, sequences: null, seeds: null}\n" in text


def test_the_guards_have_a_table_of_their_own(run):
    table = guards(run)
    assert set(column(table, "Batch difference")) == {"3.0e\N{MINUS SIGN}07"}
    assert set(column(table, "Flat maps")) == {"12.5 %"}


def test_the_trivial_baselines_are_shown_beside_the_accuracy(run):
    table = baselines(run)
    assert column(table, "Model") == ["GC alone", "5-mers"]
    assert column(table, "Accuracy") == ["0.510", "0.815"]
    assert table.rows[1][2].note == "undefined"
    assert column(table, "AUPRC of CTCF") == ["0.520", ABSENT]
    assert column(table, "MCC") == ["0.020", "0.630"]
    assert baselines(replace(run, environment={})) is None


def test_the_baselines_of_a_run_from_before_auprc_lacks_its_column(run):
    old = [{"name": "GC alone", "accuracy": 0.51, "auroc": 0.53}]
    table = baselines(replace(run, environment={"floor": old}))
    assert table.header == ("Model", "Accuracy", "AUROC")


def test_auroc_auprc_and_mcc_are_beside_the_accuracy(run):
    table = discrimination(run)
    assert table.header[2].startswith("AUPRC of CTCF")
    assert column(table, table.header[1])[0] == "0.970 [0.960, 0.980]"
    assert column(table, table.header[3])[0] == "0.870 [0.860, 0.880]"
    differences = discrimination_differences(run)
    assert differences.rows[0][0].text == "cnn \u2212 attngen"
    (section,) = [each for each in sections(run) if each.anchor == "accuracy"]
    assert table in section.tables
    assert "made before" not in section.paragraphs[0]


def test_one_model_has_no_difference_in_them(make):
    assert discrimination_differences(make(models=("cnn",))) is None


def test_a_run_from_before_auroc_was_saved_says_so(make):
    old = make(classified=False)
    assert discrimination(old) is None
    (section,) = [each for each in sections(old) if each.anchor == "accuracy"]
    assert (
        "AUROC, AUPRC and MCC are missing: the run was made before they were saved"
        in (section.paragraphs[0])
    )


def test_several_classes_have_means_over_classes(run):
    dataset = run.environment["dataset"] | {"class_names": ["a", "b", "c"]}
    several = replace(run, environment=run.environment | {"dataset": dataset})
    assert headings(several)["auprc"] == "AUPRC (mean over classes)"


@pytest.mark.parametrize(
    ("counts", "said"), [((599, 401), 0), ((600, 400), 1), ((30, 970), 1), ((20, 40, 40), 0)]
)
def test_uneven_classes_are_a_caution(make, counts, said):
    results = make(counts=counts)
    found = [caution for caution in cautions(results) if caution.startswith("Uneven classes")]
    assert len(found) == said
    if counts == (30, 970):
        assert "97.0 % of test is of class 'CTCF'" in found[0]
        assert "read its AUROC, AUPRC and MCC" in found[0]


def test_one_seed_is_stated(make):
    assert "One seed" in cautions(make(seeds=(7,)))[0]


def test_few_seeds_are_stated(make):
    (said,) = cautions(make(seeds=(4, 7, 9)))
    assert said.startswith("Only 3 seeds")


def test_few_explained_sequences_are_stated(run):
    dataset = {**run.environment["dataset"], "sizes": {"explained": 5}}
    said = cautions(replace(run, environment={**run.environment, "dataset": dataset}))
    assert said[0].startswith("Only 5 explained sequences: intervals over so few are too narrow")


def test_undefined_values_are_counted(run):
    estimates = run.estimates.assign(undefined=np.where(run.estimates["method"] == "random", 4, 0))
    (said,) = cautions(replace(run, estimates=estimates))
    assert said.startswith(f"{int((estimates['undefined'] > 0).sum())} of {len(estimates)}")
    table = leaderboard(replace(run, estimates=estimates), "cnn")
    assert f"23 + 4 undefined {TIMES} 5" in column(table, SEEDS.counted)
