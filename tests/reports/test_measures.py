"""What a metric is called, which way is good and where it stands in a report."""

from dataclasses import replace

import pytest

from xaibench.reports import measures, tables
from xaibench.reports.verdict import verdicts


def told(results, **metrics):
    return replace(results, environment=results.environment | {"metrics": metrics})


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
    assert tables.measures(own, "cnn", "localisation").header[2] == "distance ↓"
    assert measures.metrics_of(own, "other") == []


@pytest.mark.parametrize(("better", "head"), [("higher", "sparsity ↑"), ("lower", "sparsity ↓")])
def test_a_family_of_its_own_is_among_the_other_measures(make, better, head):
    results = renamed(make(models=("cnn",)), "seed_agreement", "sparsity")
    own = told(results, sparsity={"family": "own", "better": better})
    assert tables.measures(own, "cnn", "other").header == ("Method", head)


def test_a_metric_named_like_a_curve_is_one_only_if_the_run_does_not_say_otherwise(make):
    results = renamed(make(models=("cnn",)), "seed_agreement", "site_accuracy")
    assert "site_accuracy" in measures.metrics_of(results, "curves")
    own = told(results, site_accuracy={"family": "stability", "better": "higher"})
    assert "site_accuracy" in measures.metrics_of(own, "stability")
    own = told(results, site_accuracy={"family": "own", "better": "higher"})
    assert measures.metrics_of(own, "other") == ["site_accuracy"]
    assert "deletion_accuracy" in measures.metrics_of(own, "curves")


def test_a_run_that_says_nothing_of_its_metrics_has_the_known_directions(run):
    head = tables.measures(run, "cnn", "stability").header
    assert head[1:3] == ("agreement between seeds ↑", "substitution sensitivity ↓")


def test_the_best_method_is_the_lowest_where_lower_is_better(make):
    results = make(models=("cnn",), quality=(("far", 0.1), ("near", 0.9)))
    own = told(results, auprc={"family": "localisation", "better": "lower"})
    (verdict,) = verdicts(own)
    (found,) = [one for one in verdict.sentences if "finds the known motif best" in str(one)]
    assert found[0].text == "far"
    assert "every other method is distinguishable" in str(found)


def test_the_chance_of_a_metric_under_another_label_is_that_of_its_plug_in(run):
    plan = run.plan | {"metrics": {"on the motif": {"use": "auprc"}}}
    assert measures.chance_of(replace(run, plan=plan), "on the motif") == 0.118
    assert measures.chance_of(run, "seed_agreement") is None


def insertion_tables(results):
    return [t for t in tables.gaps(results, "attngen") if "insertion" in t.caption]


def test_insertion_shows_signed_and_unsigned_methods_apart(run):
    signed, unsigned = insertion_tables(run)
    assert "signed methods, not compared across signs" in signed.caption
    assert "unsigned methods, not compared across signs" in unsigned.caption
    assert [row[0].text for row in signed.rows] == [
        *("deeplift", "integrated_gradients", "input_x_gradient")
    ]
    assert [row[0].text for row in unsigned.rows] == ["attention", "saliency", "random"]


def test_deletion_shows_all_methods_together(run):
    (table,) = [t for t in tables.gaps(run, "attngen") if "deletion" in t.caption]
    assert len(table.rows) == len(run.plan["attribution"])


def test_methods_of_one_sign_need_one_table(make):
    results = make(models=("attngen",), quality=(("deeplift", 0.9), ("gradient", 0.5)))
    (table,) = insertion_tables(results)
    assert len(table.rows) == 2


def test_a_plug_in_that_goes_least_relevant_first_keeps_signs_apart(run):
    own = told(run, deletion={"least_relevant_first": True}, insertion={})
    assert len(tables.gaps(own, "attngen")) == 4
