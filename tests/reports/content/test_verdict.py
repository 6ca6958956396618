"""The sentences follow from the numbers."""

import math
from dataclasses import replace

import pandas as pd
import pytest

from xaibench.explanation.controls import ORACLE, PRIORS
from xaibench.plan.primary import PRIMARY
from xaibench.reports.content.document import Name
from xaibench.reports.content.verdict import verdicts
from xaibench.reports.tables.leader import beside_best, leading


def sentences(results, model="cnn"):
    (verdict,) = [one for one in verdicts(results) if one.title == model]
    return [
        "".join(part.text if isinstance(part, Name) else part for part in sentence)
        for sentence in verdict.sentences
    ]


def names(results, model="cnn"):
    (verdict,) = [one for one in verdicts(results) if one.title == model]
    return [part for sentence in verdict.sentences for part in sentence if isinstance(part, Name)]


def trusted(results, model="cnn"):
    return {name.text for name in names(results, model) if name.trusted}


def test_the_best_method_is_named_with_how_much_and_how_sure(make):
    said = sentences(make(quality=(("deeplift", 0.95), ("saliency", 0.5)), motifs=False))
    assert said[0] == (
        "deeplift finds best what the model uses: gap to random 1.90 [1.58, 2.22], normalised 0.95 "
        "[0.88, 1.02]; better than every other method."
    )
    assert said[1] == (
        "deeplift: corrected p < 0.001 (retraining), best in 50 % of resamplings, measured on 23 "
        "sequences and 5 seeds."
    )


def test_the_four_questions_of_a_reader_are_answered_in_their_order(make):
    results = make(models=("cnn",), quality=(("deeplift", 0.95), ("saliency", 0.5)))
    planned = replace(results, environment={**results.environment, "plugins": ["/x/own net.py"]})
    (verdict,) = verdicts(planned)
    assert [answer.question for answer in verdict.answers] == [
        *("Which method?", "How sure?", "On what evidence?", "What next?")
    ]
    assert verdict.answers[3].command == (
        "xaibench explain . sequences.fa --model cnn --method deeplift --plugin 'own net.py'"
    )


def test_where_nothing_leads_no_method_is_to_be_used(make):
    blind = make(models=("cnn",), blind=(("cnn", PRIMARY),))
    (verdict,) = verdicts(blind)
    assert [answer.question for answer in verdict.answers][:1] == ["Which method?"]
    assert not any(answer.command for answer in verdict.answers)
    assert "Another operator may tell methods apart" in sentences(blind)[-1]
    assert "How sure?" not in [answer.question for answer in verdict.answers]


def test_methods_that_are_not_distinguishable_lead_together(run):
    told = "deeplift and integrated_gradients find what the model uses equally well (stat"
    assert sentences(run)[0].startswith(told)
    assert {"deeplift", "integrated_gradients"} <= trusted(run)


def test_with_one_seed_the_p_value_is_stated_to_be_of_these_models(make):
    said = sentences(make(quality=(("deeplift", 0.95),), seeds=(0,)))
    assert "corrected p < 0.001 (these models)" in said[1]


def test_files_of_weights_are_called_replicates(make):
    results = make(quality=(("deeplift", 0.95), ("saliency", 0.5)), motifs=False)
    given = {"replicates": {model: [*map(str, range(5))] for model in ("cnn", "attngen")}}
    said = sentences(replace(results, environment=results.environment | given))
    assert "corrected p < 0.001 (replicates), best in 50 % of resamplings, measured on" in said[1]
    assert "and 5 replicates." in said[1]


def test_random_numbers_under_any_label_are_no_candidate(make):
    quality = (("deeplift", 0.9), ("noise", 0.0))
    results = make(models=("cnn",), quality=quality)
    assert "Not distinguishable from random: noise." in sentences(results)
    planned = {"deeplift": {}, "noise": {"use": "random"}}
    known = replace(results, plan=results.plan | {"attribution": planned})
    assert not any("noise" in said for said in sentences(known))
    alone = make(models=("cnn",), quality=(("random", 0.9),), motifs=False)
    assert sentences(alone)[0] == "Only random numbers were measured."


def test_a_method_that_does_not_beat_a_control_of_its_own_is_stated_to(make):
    results = make(models=("cnn",), quality=(("deeplift", 0.9), ("prior", 0.3)), motifs=False)
    said = "Not above a control map made from their own: prior (mean map, negated)."
    assert said in sentences(results)
    assert not any("blurred" in one for one in sentences(results))


def test_of_very_many_equals_the_first_are_named_and_the_rest_counted(make):
    quality = tuple((f"method {k}", 0.9) for k in range(9))
    said = sentences(make(models=("cnn",), quality=quality))[0]
    assert said.startswith("method 0, method 1, method 2, method 3, method 4, method 5 and 3 more")


def test_a_method_worse_than_random_is_stated_to_be(make):
    results = make(models=("cnn",), quality=(("deeplift", 0.9), ("backwards", -0.5)))
    assert "Worse than random: backwards." in sentences(results)


def test_no_method_is_praised_where_none_beats_random(make):
    results = make(models=("cnn",), quality=(("one", 0.01), ("two", 0.02)), motifs=False)
    said = sentences(results)
    assert names(results)
    assert not trusted(results)
    assert "No method is distinguishable from random." in said
    assert (
        "The largest gap to random, that of two, is 0.04 [\u22120.28, 0.36], whose interval "
        "includes 0."
    ) in said


def test_what_holds_for_these_models_only_is_stated_so(make):
    results = make(models=("cnn",), quality=(("one", 0.1), ("two", 0.01)), motifs=False)
    assert "Better than random on these trained models: one." in sentences(results)


def test_a_smaller_gap_that_is_sure_is_named_beside_a_larger_one_that_is_not(make):
    results = make(models=("cnn",), quality=(("sure", 0.5), ("unsure", 0.7)), motifs=False)
    rows = results.estimates
    wide = rows["method"] == "unsure"
    rows = rows.assign(low=rows["low"].where(~wide, -1.0))
    said = sentences(replace(results, estimates=rows))
    assert "Better than random: sure." in said
    assert "Not distinguishable from random: unsure." in said


def with_ends(results, low, high, **where):
    """The results with another interval where the columns hold these words."""
    rows = results.estimates
    found = pd.concat([rows[name] == word for name, word in where.items()], axis=1).all(axis=1)
    ends = {"low": low, "sequences_low": low, "high": high, "sequences_high": high}
    changed = {name: rows[name].mask(found, end) for name, end in ends.items()}
    return replace(results, estimates=rows.assign(**changed))


@pytest.mark.parametrize(
    ("low", "high", "doubt"),
    [
        (-0.1, 0.2, "whose interval includes 0"),
        (-0.2, -0.1, "whose interval is below 0"),
        (math.nan, math.nan, "which has no interval"),
    ],
)
def test_why_the_first_does_not_lead_is_stated_as_it_is(make, low, high, doubt):
    results = make(models=("cnn",), quality=(("one", 0.7),), motifs=False)
    unsure = with_ends(results, low, high, question="against random")
    assert leading(unsure, "cnn").outcome == "unsure"
    assert any(one.endswith(f", {doubt}.") for one in sentences(unsure))


def test_a_method_ahead_of_the_best_on_shared_sequences_is_not_said_to_equal_it(make):
    results = make(models=("cnn",), quality=(("one", 0.9), ("rare", 0.7)))
    where = {"question": "against best", "method": "rare"}
    ahead = [one for one in sentences(with_ends(results, 0.1, 0.3, **where)) if "ahead" in one]
    assert len(ahead) == 2  # by deletion and by the motif
    assert all(one.endswith("; ahead of it on shared sequences: rare.") for one in ahead)
    assert not any("distinguishable" in one for one in ahead)


def test_a_method_ahead_of_two_that_lead_together_is_stated_to_be(run):
    where = {"question": "against best", "method": "saliency", "model": "cnn", "metric": PRIMARY}
    said = sentences(with_ends(run, 0.1, 0.3, **where))
    assert "equally well" in said[0]
    assert said[0].endswith("; ahead of it on shared sequences: saliency.")


def test_localisation_is_shown_with_the_level_of_chance(run):
    told = "By AUPRC, deeplift finds the known motif best: 0.86 ["
    assert any(one.startswith(told) for one in sentences(run))
    assert any("chance 0.12" in one for one in sentences(run))


def test_a_method_whose_difference_to_the_best_holds_0_equals_it(make):
    results = make(models=("cnn",), quality=(("one", 0.9), ("same", 0.9), ("far", 0.2)))
    assert beside_best(results, "cnn", (PRIMARY, "uniform"), best="one") == {"same": 0, "far": -1}


def test_a_run_that_shows_no_differences_to_the_best_is_stated_to(run):
    rest = run.estimates[run.estimates["question"] != "against best"]
    silent = replace(run, estimates=rest)
    assert beside_best(silent, "cnn", (PRIMARY, "uniform"), best="deeplift") == {}
    assert sentences(silent)[0].endswith("; whether others equal it was not measured.")


def test_one_method_has_nobody_to_equal(make):
    said = sentences(make(models=("cnn",), quality=(("deeplift", 0.9),)))
    assert not any("distinguishable" in one for one in said)


def test_a_model_that_is_not_clearly_above_the_baselines_is_stated_to_be_so(make):
    assert not any("trivial baseline" in said for said in sentences(make()))
    (above,) = [said for said in sentences(make(floor=0.995)) if "trivial baseline" in said]
    assert above.endswith(", not clearly more than a trivial baseline (5-mers: 99.5 %).")


def test_with_uneven_classes_the_baselines_are_compared_by_auroc(make):
    assert not any("AUROC" in said for said in sentences(make()))
    (above,) = [said for said in sentences(make(counts=(970, 30))) if "Classes are uneven" in said]
    assert above.endswith(
        " Classes are uneven, so go by AUROC: 0.970 [0.960, 0.980], clearly more than the best "
        "trivial baseline (GC alone: 0.530)."
    )
    (not_,) = [
        said for said in sentences(make(counts=(970, 30), auroc=0.535)) if "Classes are" in said
    ]
    assert "0.535 [0.525, 0.545], not clearly more than" in not_
    old = make(counts=(970, 30), classified=False)
    assert not any("Classes are uneven" in said for said in sentences(old))


def test_no_method_is_praised_for_the_motif_where_none_beats_chance(run):
    environment = {**run.environment, "chance": {"auprc": 0.999}}
    said = sentences(replace(run, environment=environment))
    none = "By AUPRC, no method finds the known motif better than chance"
    assert any(one.startswith(none) for one in said)
    assert not any("finds the known motif best" in one for one in said)


def test_nothing_is_recommended_from_a_metric_that_failed_its_self_test(make):
    results = make(models=("cnn",), blind=(("cnn", "deletion_logit_difference"),))
    said = sentences(results)
    assert (
        "Deletion (logit difference), uniform cannot tell good explanations from bad ones on this "
        "model: the oracle is not above random."
    ) in said
    assert "No method is recommended from it." in said
    assert not any("finds best" in one or "andom positions" in one for one in said)
    assert any("finds the known motif best" in one for one in said)


def test_the_operators_under_which_a_failed_metric_passes_are_named(run):
    failed = (run.selftest["metric"] == PRIMARY) & (run.selftest["operator"] == "uniform")
    rows = run.selftest.assign(passed=run.selftest["passed"].mask(failed, "no"))
    assert "It passes its self-test under n." in sentences(replace(run, selftest=rows))


def test_the_motif_is_shown_by_the_first_metric_that_did_not_fail(make):
    said = sentences(make(models=("cnn",), blind=(("cnn", "auprc"),)))
    assert any(one.startswith("AUPRC cannot tell good explanations from bad") for one in said)
    told = "By relevance mass, deeplift finds the known motif best"
    assert any(one.startswith(told) for one in said)


def motif(results):
    """The sentence on the known motif."""
    (said,) = [one for one in sentences(results) if "finds the known motif best" in one]
    return said


def with_mass(results, **means):
    """The results with other relevance masses, and no differences between methods by it."""
    rows = results.estimates
    mass = rows["metric"] == "relevance_mass"
    rows = rows[~(mass & (rows["question"] == "against best"))]
    for method, mean in means.items():
        own = mass & (rows["method"] == method) & (rows["question"] == "value")
        rows = rows.assign(mean=rows["mean"].mask(own, mean), low=rows["low"].mask(own, mean))
    return replace(results, estimates=rows)


@pytest.fixture
def two(make):
    return make(models=("cnn",), quality=(("deeplift", 0.9), ("far", 0.2), ("third", 0.3)))


def test_another_metric_that_puts_another_method_first_is_named_with_it(two):
    assert motif(with_mass(two, far=0.95)).endswith(
        "; better than every other method; by relevance mass it is far."
    )
    assert motif(with_mass(two, far=0.95, third=0.95)).endswith(
        "; by relevance mass they are far and third."
    )


def test_another_metric_that_agrees_or_finds_no_more_than_chance_is_not_named(two):
    agrees = "; better than every other method."
    assert motif(two).endswith(agrees)
    assert motif(with_mass(two, deeplift=0.95, far=0.95)).endswith(agrees)
    nothing = with_mass(two, deeplift=0.01, far=0.05, third=0.02)
    assert motif(nothing).endswith(agrees)


def test_another_metric_that_does_not_show_its_first_apart_is_not_named(two):
    first = with_mass(two, far=0.95)
    rows = first.estimates
    behind = two.estimates[
        (two.estimates["question"] == "against best")
        & (two.estimates["metric"] == "relevance_mass")
        & (two.estimates["method"] == "far")
    ].assign(method="deeplift", other="far")
    holds = behind.assign(mean=-0.01, low=-0.1, high=0.1)
    lies_below = behind.assign(mean=-0.3, low=-0.4, high=-0.2)
    tied, apart = (
        motif(replace(first, estimates=pd.concat([rows, own], ignore_index=True)))
        for own in (holds, lies_below)
    )
    assert "relevance mass" not in tied
    assert apart.endswith("; by relevance mass it is far.")


def test_random_numbers_are_not_the_first_of_another_metric(make):
    quality = (("deeplift", 0.9), ("random", 0.2))
    results = make(models=("cnn",), quality=quality)
    assert "relevance mass" not in motif(with_mass(results, random=0.95))


def test_a_difference_without_an_interval_makes_nobody_better(two):
    ends = {"question": "against best", "method": "far", "metric": "auprc"}
    assert motif(with_ends(two, math.nan, math.nan, **ends)).endswith(
        "; better than every other method whose difference has an interval."
    )


def test_no_motif_is_shown_where_all_metrics_failed(make):
    blind = (("cnn", "auprc"), ("cnn", "relevance_mass"))
    said = sentences(make(models=("cnn",), blind=blind))
    assert not any("known motif" in one for one in said)
    assert sum("cannot tell good" in one for one in said) == 1


def test_what_could_not_be_tested_is_stated_beside_the_recommendation(run):
    rows = run.selftest.assign(passed="unknown", reason="there are no pairs of values")
    said = sentences(replace(run, selftest=rows))
    assert any("find what the model uses" in one for one in said)
    unsure = "can tell good explanations from bad ones is not known: there are no pairs of values."
    assert f"Whether deletion (logit difference), uniform {unsure}" in said
    assert f"Whether AUPRC {unsure}" in said


def test_what_is_beside_methods_is_never_the_best_of_them(run):
    best = run.estimates[run.estimates["method"] == PRIORS[0]].assign(mean=0.99)
    oracle = best.assign(method=ORACLE)
    estimates = pd.concat([run.estimates, best, oracle], ignore_index=True)
    assert sentences(replace(run, estimates=estimates)) == sentences(run)
