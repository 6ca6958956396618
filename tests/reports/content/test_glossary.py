"""The words of a report say what the plan did."""

from dataclasses import replace

import pytest

from xaibench.reports.content.cautions import cautions
from xaibench.reports.content.glossary import glossary
from xaibench.reports.content.methods_text import account
from xaibench.reports.content.sections import sections


def words(results, **plan):
    return dict(glossary(replace(results, plan=results.plan | plan)))


def lead(results, slug):
    (section,) = [one for one in sections(results) if one.anchor == slug]
    return section.paragraphs[0]


def test_the_explained_class_is_that_of_the_plan(run):
    predicted = words(run, target="predicted")["Explained class"]
    assert "the model predicts" in predicted
    assert "localisation and agreement between seeds the true one" in predicted
    assert words(run, target="label")["Explained class"].startswith("The true class")
    assert "agreement for the true label" in lead(run, "stability")


@pytest.mark.parametrize(
    ("classes", "known", "said", "account_says"),
    [
        ("ab", {}, "minus the other's", ", less that of the other,"),
        (
            "abc",
            {"explained": "so"},
            "minus the mean of the other",
            ", less the mean of the others,",
        ),
        ("abc", {}, "known only up to", "class of"),
    ],
)
def test_what_is_explained_is_as_the_run_did_it(run, classes, known, said, account_says):
    data = run.environment["dataset"] | {"class_names": [*classes]}
    of_classes = replace(run, environment=run.environment | known | {"dataset": data})
    assert said in dict(glossary(of_classes))["What is explained"]
    assert f"The logit of the predicted class{account_says}".removesuffix("class of") in account(
        of_classes
    )


def test_words_of_what_is_resampled_name_the_groups(run):
    by_sequence = dict(glossary(run))
    assert "Group" not in by_sequence
    assert by_sequence["p these models"].endswith("over sequences.")
    grouped = replace(run, environment=run.environment | {"clusters": {"explained": 9}})
    said = dict(glossary(grouped))
    assert "there are 9." in said["Group"]
    for word in ("95 % interval", "These models", "p these models", "P(best)", "Mean rank"):
        assert "of sequences" in said[word]
        assert "group" not in by_sequence[word]
    assert "seeds and groups" in said["Detected with a power of 80 %"]


def test_the_random_control_has_as_many_orders_as_the_plan_draws(run):
    assert words(run, random_draws=13)["Random control"].startswith("13 random orders")


def test_a_curve_has_the_points_of_the_plan(run):
    curve = words(run, fractions=[0, 0.25, 1])["Curve"]
    assert "3 points, where 0, 25, 100 %" in curve


def test_only_the_operators_of_the_plan_are_explained(run):
    assert words(run, operators={"n": {"use": "n"}})["Operator"] == (
        "What a replaced position becomes: n is an unknown base."
    )
    assert words(run, operators={"own": {}})["Operator"] == "What a replaced position becomes."


def test_every_metric_and_operator_is_explained_in_the_words_of_the_run(run):
    told = words(run)
    assert told["AUPRC"] == "What auprc is."
    assert told["Agreement between seeds"] == "What seed_agreement is."
    assert told["Operator uniform"] == "What uniform does."
    silent = words(replace(run, environment={}))
    assert not {"AUPRC", "Operator uniform"} & set(silent)


def test_the_oracle_and_the_self_test_are_explained_where_they_ran(run, make):
    own = {"Oracle", "Normalised score", "Self-test", "Control map"}
    assert own < set(words(run))
    assert not own & set(words(make(controls=False)))


def test_the_levels_of_chance_are_distinguished(run, make):
    chance = words(run)["Chance level"]
    assert "above the share R/N of motif positions" in chance
    assert "(in this run 0.118)" in chance
    assert "(in this run 0.095)" in chance
    assert "above the share of motif positions" in lead(run, "localisation")
    assert "Chance level" not in words(make(motifs=False))


def test_what_insertion_keeps_apart_is_stated_and_only_then(run):
    apart = "Signed and unsigned methods are not compared on insertion"
    assert apart in lead(run, "deletion")
    rest = run.estimates[~run.estimates["metric"].str.startswith("insertion")]
    assert apart not in lead(replace(run, estimates=rest), "deletion")


@pytest.mark.parametrize(("draws", "said"), [(4, True), (9, True), (10, False), (23, False)])
def test_few_random_orders_are_a_caution(run, draws, said):
    found = cautions(replace(run, plan=run.plan | {"random_draws": draws}))
    assert any(one.startswith(f"Only {draws} random orders") for one in found) == said


def test_what_the_run_warns_of_is_shown(run):
    warned = run.environment | {"cautions": ["3 of 7 sequences are their own only shuffle."]}
    found = cautions(replace(run, environment=warned))
    assert found[-1] == "3 of 7 sequences are their own only shuffle."
