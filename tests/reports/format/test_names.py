"""What a metric is called, which way is good and where it stands in a report."""

from dataclasses import replace

import pytest

from xaibench.reports.content.verdict import verdicts
from xaibench.reports.format import names as measures
from xaibench.reports.tables import metrics as measured


def told(results, **metrics):
    """The run with these facts beside, or in the place of, those that its environment tells."""
    known = results.environment["metrics"] | metrics
    return replace(results, environment=results.environment | {"metrics": known})


@pytest.mark.parametrize(
    ("metric", "label"),
    [
        ("deletion_logit_difference", "deletion (logit difference)"),
        ("auprc", "AUPRC"),
        ("my_own", "my own"),
    ],
)
def test_a_metric_has_a_label(metric, label):
    assert measures.label(metric) == label


def renamed(results, metric, new):
    return replace(
        results,
        estimates=results.estimates.replace({"metric": {metric: new}}),
        records=results.records.replace({"metric": {metric: new}}),
    )


def test_a_metric_of_a_plug_in_stands_in_its_family_with_its_direction(make):
    results = renamed(make(models=("cnn",)), "relevance_mass", "distance")
    own = told(results, distance={"family": "localisation", "better": "lower"})
    assert measured.measures(own, "cnn", "localisation").header[2] == "distance ↓"
    assert measures.metrics_of(own, "other") == []


@pytest.mark.parametrize(("better", "head"), [("higher", "sparsity ↑"), ("lower", "sparsity ↓")])
def test_a_family_of_its_own_is_among_the_other_measures(make, better, head):
    results = renamed(make(models=("cnn",)), "seed_agreement", "sparsity")
    own = told(results, sparsity={"family": "own", "better": better})
    assert measured.measures(own, "cnn", "other").header == ("Method", head)


def test_a_metric_named_like_a_curve_is_one_only_if_the_run_does_not_say_otherwise(make):
    results = renamed(make(models=("cnn",)), "seed_agreement", "site_accuracy")
    assert "site_accuracy" in measures.metrics_of(results, "faithfulness")
    own = told(results, site_accuracy={"family": "stability", "better": "higher"})
    assert "site_accuracy" in measures.metrics_of(own, "stability")
    own = told(results, site_accuracy={"family": "own", "better": "higher"})
    assert measures.metrics_of(own, "other") == ["site_accuracy"]
    assert "deletion_accuracy" in measures.metrics_of(own, "faithfulness")


def test_a_run_that_says_nothing_of_its_metrics_knows_curves_by_their_names(run):
    silent = replace(run, environment=run.environment | {"metrics": {}})
    assert "deletion_accuracy" in measures.metrics_of(silent, "faithfulness")
    assert "auprc" in measures.metrics_of(silent, "other")
    assert "↑" not in "".join(measured.measures(silent, "cnn", "other").header)


def test_a_curve_metric_is_shown_by_its_label(run):
    assert measures.better_of(run, "deletion_probability") == "lower"
    assert measures.better_of(run, "flip_rate") == "higher"
    assert measures.better_of(run, "gini") == "neither"


def test_auprc_comes_first_of_localisation_whatever_its_label_and_place(run):
    rows = run.estimates.replace({"metric": {"auprc": "own", "relevance_mass": "auroc"}})
    plan = run.plan | {"metrics": {"own": {"use": "auprc"}}}
    own = told(
        replace(run, estimates=rows.sort_values("metric"), plan=plan),
        own={"family": "localisation"},
        auroc={"family": "localisation"},
    )
    assert measures.metrics_of(own, "localisation")[0] == "auroc"
    assert measures.first_localisation(own) == ["own", "auroc"]


def test_the_best_method_is_the_lowest_where_lower_is_better(make):
    results = make(models=("cnn",), quality=(("far", 0.1), ("near", 0.9)))
    own = told(results, auprc={"family": "localisation", "better": "lower"})
    (verdict,) = verdicts(own)
    (found,) = [one for one in verdict.sentences if "finds the known motif best" in str(one)]
    assert found[1].text == "far"


def test_the_chance_of_a_metric_under_another_label_is_that_of_its_plug_in(run):
    plan = run.plan | {"metrics": {"on the motif": {"use": "auprc"}}}
    assert measures.chance_of(replace(run, plan=plan), "on the motif") == 0.118
    assert measures.chance_of(run, "seed_agreement") is None


def gaps_of(results, metric):
    return [table for table in measured.gaps(results, "attngen") if f": {metric}," in table.caption]


def names(table):
    """The heads of its rows but the last, which counts."""
    return [row[0].text for row in table.rows[:-1]]


def test_insertion_shows_signed_and_unsigned_methods_apart(run):
    signed, unsigned = gaps_of(run, "insertion")
    assert "signed methods, not compared across signs" in signed.caption
    assert "unsigned methods, not compared across signs" in unsigned.caption
    assert names(signed) == ["deeplift", "integrated_gradients", "input_x_gradient"]
    assert names(unsigned) == ["attention", "saliency", "random"]


def test_deletion_shows_all_methods_together(run):
    (table,) = gaps_of(run, "deletion")
    assert names(table) == list(run.plan["attribution"])


def test_methods_of_one_sign_need_one_table(make):
    results = make(models=("attngen",), quality=(("deeplift", 0.9), ("gradient", 0.5)))
    (table,) = gaps_of(results, "insertion")
    assert names(table) == ["deeplift", "gradient"]


def test_a_plug_in_that_goes_least_relevant_first_keeps_signs_apart(run):
    own = told(run, deletion={"least_relevant_first": True})
    assert len(gaps_of(own, "deletion")) == 2
