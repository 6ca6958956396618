"""Every metric, operator and control through the harness, on one small plan."""

import shutil

import numpy as np
import pandas as pd
import pytest

from xaibench.analysis.agreement import agreement
from xaibench.artefacts.artefact import Memory, arrays_of
from xaibench.artefacts.curve_keys import CurveKey
from xaibench.artefacts.curves import curve_spec, map_of
from xaibench.artefacts.donors import donor_of
from xaibench.artefacts.explanations import explained_spec
from xaibench.artefacts.job import Job
from xaibench.artefacts.models import (
    RANDOM_LABELS,
    _with_random_labels,
    model_specs,
    stored_classifier,
)
from xaibench.artefacts.oracle import Oracle, oracle_spec
from xaibench.artefacts.retraining import Retraining, retrained_spec
from xaibench.artefacts.trained_models import TrainedModel
from xaibench.artefacts.variants import changes
from xaibench.dna.replacement import LERF, MORF, replacement_counts, replacement_ranks
from xaibench.errors import UsageError
from xaibench.evaluation.quantities import curves_of
from xaibench.explanation import method_call
from xaibench.explanation.controls import CONTROLS, ORACLE, PRIORS, RANDOM
from xaibench.nn import inference, outputs
from xaibench.nn.inference import logits
from xaibench.nn.outputs import quantity
from xaibench.plan.schema import read_plan
from xaibench.plugins.registry import available
from xaibench.randomness import streams
from xaibench.runs.pipeline import begin, run
from xaibench.runs.tasks import Task, TaskKind, missing

PLAN = """
dataset: {name: planted, train: 90, test: 30, length: 40}
seeds: [0, 3]
training: {epochs: 1, batch_size: 32}
models:
  cnn: {filters: [6], kernels: [19]}
  attngen: {filters: [5], kernels: [19]}
attribution:
  attention: {}
  saliency: {}
  deeplift: {}
sequences: 9
controlled: 5
fractions: [0, 0.1, 0.25, 0.5, 0.75, 1]
random_draws: 3
reports: [markdown]
operators: {n: {}, uniform: {}, too wide: {use: window, width: 41}}
metrics:
  deletion: {}
  insertion: {}
  area_between: {}
  aopc: {}
  comprehensiveness: {bins: [0.1, 0.5]}
  sufficiency: {bins: [0.1, 0.5]}
  flip_rate: {}
  flip_fraction: {}
  logit_drop: {}
  road: {}
  roar: {fractions: [0.5], train: 64}
  cross_model_deletion: {}
  substitution_agreement: {sequences: 4}
  infidelity: {draws: 3, fractions: [0.25, 0.5]}
  sensitivity_n: {draws: 3, fractions: [0.25, 0.5]}
  auprc: {}
  auroc: {}
  relevance_mass: {}
  relevance_rank: {}
  top_k: {k: 5}
  top of all: {use: top_k, k: 41}
  pointing_game: {}
  instance_recall: {}
  rule_satisfaction: {}
  seed_agreement: {}
  seed_overlap: {}
  substitution_sensitivity: {draws: 2, of: 2, sequences: 4}
  lipschitz: {draws: 2, of: 2, sequences: 4}
  reverse_complement_consistency: {sequences: 4}
  shift_consistency: {sequences: 4, offset: 3}
  settings_sensitivity: {sequences: 4}
  cascading_randomisation: {sequences: 3, draws: 2}
  independent_randomisation: {sequences: 3, draws: 1}
  random_label_similarity: {sequences: 3}
  gini: {}
  entropy: {}
  effective_positions: {}
"""


SMALL = "models={cnn: {filters: [6], kernels: [19]}}"
"""One model, as small as that of the plan."""


def work_of(folder, *, text=PLAN, changes=(), plugins=()):
    path = folder.parent / f"{folder.name}.yaml"
    path.write_text(text)
    plan = read_plan(str(path), changes=changes, plugins=plugins)
    return begin(Job(plan, str(path), plugins, folder))


def finished(folder, **options):
    work = work_of(folder, **options)
    outcome = run(work, jobs=0, threads=1, command="xaibench run all.yaml")
    return work, outcome, pd.read_parquet(folder / "results.parquet")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return finished(tmp_path_factory.mktemp("run") / "all")


def table_of(work, name):
    return pd.read_csv(work.job.folder / name)


def test_every_metric_of_ours_is_in_the_plan_and_has_values(whole):
    work, outcome, records = whole
    assert outcome.failures == []
    ours = {name for name in available("metrics") if "package" not in name}
    assert ours == {use.use for use in work.plan.metrics.values()}
    measured = records[(records.status == "ok") & (records.control == "")]
    of_deeplift = set(measured[measured.method == "deeplift"].metric)
    for label in set(work.plan.metrics) - {"top of all"}:
        assert label in of_deeplift or f"{label}_accuracy" in of_deeplift, label


def test_what_cannot_be_is_not_applicable_and_says_why(whole):
    _, _, records = whole
    refused = records[records.status == "not applicable"]
    reasons = refused.groupby("metric", observed=True).reason.unique().map(set)
    assert "windows of 41 bases are longer" in " ".join(
        refused[refused.operator == "too wide"].reason.unique()
    )
    assert any("41" in reason for reason in reasons["top of all"])
    assert any("no sign" in reason for reason in reasons["rule_satisfaction"])
    assert any("no steps, samples" in reason for reason in reasons["settings_sensitivity"])
    assert refused.value.isna().all()


def test_motifs_that_nobody_knows_and_a_single_seed_are_not_applicable(tmp_path):
    text = PLAN.replace("name: planted, ", "name: composition, ")
    changes = (
        *("metrics={deletion: {}, auprc: {}, seed_agreement: {}}", "attribution=[deeplift]"),
        *(SMALL, "operators=[n]", "controls=[]", "seeds=[0]"),
    )
    _, outcome, records = finished(tmp_path / "few", text=text, changes=changes)
    assert outcome.failures == []
    for name, reason in (
        ("auprc", "motif positions"),
        ("seed_agreement", "one replicate"),
    ):
        rows = records[(records.metric == name) & (records.method == "deeplift")]
        assert set(rows.status) == {"not applicable"}, name
        assert reason in " ".join(rows.reason.unique())


def test_controls_and_the_oracle_look_at_the_first_few_sequences(whole):
    work, _, records = whole
    few = set(work.chosen.names[:5])
    curves = records[(records.metric == "deletion_accuracy") & (records.operator == "n")]
    spoiled = curves[(curves.control != "") | (curves.method == ORACLE)]
    assert set(spoiled.sequence.unique()) - {""} == few
    assert set(curves[curves.method == "saliency"].control.unique()) == {"", *CONTROLS}
    assert set(curves[curves.method == ORACLE].control.unique()) == {"", "negated", "blurred"}
    priors = records[records.method.isin(PRIORS)]
    assert set(priors[priors.status == "ok"].metric) >= {"auprc", "pointing_game"}
    assert "deletion_accuracy" not in set(priors.metric)


def test_deleting_by_the_negated_map_is_inserting_by_the_map(whole):
    _, _, records = whole
    saliency = records[(records.method == "saliency") & (records.operator == "uniform")]
    keys = ["model", "seed", "sequence"]
    negated = saliency[
        (saliency.control == "negated") & (saliency.metric == "deletion_logit_difference")
    ].set_index(keys)["value"]
    own = saliency[
        (saliency.control == "") & (saliency.metric == "insertion_logit_difference")
    ].set_index(keys)["value"]
    assert len(negated) == 5 * 2 * 2
    assert (negated == own.reindex(negated.index)).all()


def test_the_oracle_is_what_is_lost_when_one_position_takes_the_base_of_the_donor(whole):
    work, _, _ = whole
    model = stored_classifier(work, TrainedModel("cnn", 3))
    codes = work.chosen.codes[2]
    donor = donor_of(work, "uniform", work.chosen.codes)[2]
    oracle = arrays_of(
        work, oracle_spec(work, TrainedModel("cnn", 3), Oracle("uniform", "predicted"))
    )["scores"]
    assert oracle.shape == (5, 40)
    intact = logits(model, codes[None])[0]
    target = intact.argmax()
    for position in (0, 7, 39):
        edited = codes.copy()
        edited[position] = donor[position]
        changed = logits(model, edited[None])[0]
        drop = (intact[target] - intact[1 - target]) - (changed[target] - changed[1 - target])
        assert oracle[2, position] == pytest.approx(drop, abs=1e-5)
    assert (oracle[2][donor == codes] == 0).all()


def test_another_model_judges_what_this_one_explained(whole):
    """Recomputed by hand: order by the map of attngen for the label, logits of cnn."""
    work, _, _ = whole
    course = CurveKey("saliency", "uniform", MORF, "", "other_models")
    lines = curves_of(work, TrainedModel("attngen", 0), course, "logit_difference")
    codes, labels = work.chosen.codes, work.chosen.labels
    scores = map_of(Memory(work), TrainedModel("attngen", 0), course)
    ranked = replacement_ranks(scores, work.chosen.valid, streams(0, "ties", codes), order=MORF)
    donor = donor_of(work, "uniform", codes)
    steps = replacement_counts(work.plan.fractions, work.chosen.valid)
    judge = stored_classifier(work, TrainedModel("cnn", 0))
    slow = [
        quantity(
            "logit_difference",
            logits(judge, np.where(ranked < step[:, None], donor, codes)),
            labels,
            labels,
        )
        for step in steps
    ]
    assert lines[0].whole() == pytest.approx(np.stack(slow), abs=1e-5)


def test_random_orders_judged_by_others_are_the_random_curves_of_the_others(whole):
    work, _, _ = whole
    course = CurveKey(RANDOM, "n", MORF, "", "other_models")
    judged = curves_of(work, TrainedModel("cnn", 0), course, "accuracy")
    own = curves_of(work, TrainedModel("attngen", 0), CurveKey(RANDOM, "n"), "accuracy")
    assert len(judged) == 3
    pairs = zip(judged, own, strict=True)
    assert all((one.whole() == other.whole()).all() for one, other in pairs)


def test_a_retraining_without_anything_removed_is_shared_by_all_methods(whole):
    work, _, records = whole
    none, half = Retraining("uniform", 0.0, 64), Retraining("uniform", 0.5, 64)
    methods = ("saliency", "deeplift", RANDOM)
    intact = {str(retrained_spec(work, TrainedModel("cnn", 0), method, none)) for method in methods}
    removed = {
        str(retrained_spec(work, TrainedModel("cnn", 0), method, half)) for method in methods
    }
    assert len(intact) == 1
    assert len(removed) == 3
    assert set(records[records.metric == "roar"].operator.unique()) == {"uniform"}


def test_a_retraining_under_an_operator_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"metrics\.roar\.operator: expected an operator of the"):
        work_of(tmp_path / "new", changes=("metrics.roar={operator: complement}",))


def test_random_labels_are_the_same_labels_dealt_out_anew(whole):
    work, _, _ = whole
    dealt = _with_random_labels(work).train
    assert (dealt.codes == work.splits.train.codes).all()
    assert sorted(dealt.labels) == sorted(work.splits.train.labels)
    agree = (dealt.labels == work.splits.train.labels).mean()
    assert 0.2 < agree < 0.8
    assert list(model_specs(work, TrainedModel("cnn", 0))) == ["", RANDOM_LABELS]


def test_randomisation_is_recorded_by_layer_from_the_output_down(whole):
    work, _, records = whole
    wanted = [each.layer for each in changes(work, "cnn") if each.kind == "cascading"]
    assert wanted[0] == "classify"
    rows = records[(records.model == "cnn") & (records.metric == "cascading_randomisation")]
    found = rows[rows.method == "saliency"].operator.unique()
    assert list(found) == wanted


def test_tables_stand_beside_the_records(whole):
    work, _, _ = whole
    selftest = table_of(work, "selftest.csv")
    assert {"deletion_logit_difference", "auprc", "infidelity"} <= set(selftest.metric)
    assert set(selftest.passed) <= {"yes", "no", "unknown"}
    operators = table_of(work, "operators.csv")
    pushed = operators[operators.fraction == 0.5].set_index(["quantity", "operator"])["mean"]
    assert pushed["log_likelihood", "n"] < pushed["log_likelihood", "uniform"]
    assert set(operators[operators.quantity == "confidence"].model) == {"cnn", "attngen"}
    rankings = table_of(work, "rankings.csv")
    assert rankings.tau.between(-1, 1).any()
    agreement = table_of(work, "agreement.csv")
    same = agreement[agreement.method == agreement.other]
    assert set(agreement.measure) == {"spearman", "overlap"}
    assert len(same) == 2 * (2 + 3)


def test_the_oracle_beats_random_when_the_model_has_learnt(tmp_path):
    """With one seed and a model that tells the classes apart, deletion can tell good from bad."""
    changes = (
        "dataset={name: planted, train: 1500, test: 60, length: 60}",
        "training={epochs: 4}",
        "models=[cnn]",
        "seeds=[0]",
        "attribution=[saliency]",
        "metrics={deletion: {}, auprc: {}}",
        "operators=[uniform]",
        "sequences=40",
        "controlled=40",
    )
    work, outcome, _ = finished(tmp_path / "learnt", changes=changes)
    assert outcome.failures == []
    selftest = table_of(work, "selftest.csv").set_index("metric").passed
    assert selftest["deletion_logit_difference"] == "yes"
    assert selftest["auprc"] == "yes"
    estimates = table_of(work, "estimates.csv")
    normalised = estimates[(estimates.question == "normalised") & (estimates.method == "saliency")]
    value = normalised.set_index("metric")["mean"]["deletion_logit_difference"]
    assert 0.1 < value < 1


def test_the_oracle_and_the_controls_can_be_left_out(tmp_path):
    changes = (
        *("controlled=0", "metrics=[deletion, auprc]", "operators=[uniform]"),
        *("seeds=[0]", SMALL, "attribution=[saliency, deeplift]"),
    )
    work, outcome, records = finished(tmp_path / "without", changes=changes)
    assert outcome.failures == []
    assert set(records.control) == {""}
    assert not {ORACLE, *PRIORS} & set(records.method)
    assert len(table_of(work, "selftest.csv")) == 0
    assert (table_of(work, "estimates.csv")["rank"] > 0).any()


def test_bfloat16_is_asked_for_and_kept_apart(tmp_path):
    changes = (
        *(SMALL, "metrics=[deletion]", "attribution=[saliency]", "seeds=[0]"),
        *("operators=[uniform]", "controls=[]"),
    )
    one, _, exact = finished(tmp_path / "both", changes=changes)
    other, outcome, rough = finished(tmp_path / "both", changes=(*changes, "precision=bfloat16"))
    assert outcome.computed > 0
    course = CurveKey("saliency", "uniform")
    assert curve_spec(one, TrainedModel("cnn", 0), course) != curve_spec(
        other, TrainedModel("cnn", 0), course
    )
    first, second = keyed(exact), keyed(rough)
    assert second.to_numpy() == pytest.approx(first.to_numpy(), abs=0.3, nan_ok=True)
    assert not (first == second).all()


REVERSED = """
from xaibench.data.synthetic.planted import planted
import numpy as np
from dataclasses import replace

def mine(*, data_seed, turned: bool = False):
    splits = planted(data_seed=data_seed, train=120, test=9, length=40)
    order = np.arange(9)[:: -1 if turned else 1]
    return replace(splits, test=splits.test.take(order))
"""

FEWER = (
    "training.epochs=2",
    "attribution.smooth_grad={draws: 4}",
    "models=[attngen]",
    "models.attngen={filters: [5], kernels: [19]}",
    "operators=[uniform, background]",
    "sequences=9",
    "seeds=[0]",
    "controlled=9",
    "metrics={deletion: {}, insertion: {}, road: {}, auprc: {}, sensitivity_n: {draws: 3}, "
    "substitution_agreement: {}, shift_consistency: {}, cascading_randomisation: {}, "
    "settings_sensitivity: {}, lipschitz: {}}",
)


def fewer(folder, *changes, turned=False):
    """The records of fewer questions, on sequences in this or the other order."""
    plugin = folder.with_name("own_data.py")
    plugin.write_text(REVERSED)
    dataset = f"dataset={{name: mine, turned: {str(turned).lower()}}}"
    changes = (*FEWER, dataset, *changes)
    _, outcome, records = finished(folder, changes=changes, plugins=(str(plugin),))
    assert outcome.failures == []
    return keyed(records)


def keyed(records):
    keys = ["method", "control", "metric", "operator", "repeat", "sequence"]
    ok = records[records.status == "ok"].copy()
    ok[keys] = ok[keys].astype(str)
    return ok.set_index(keys)["value"].sort_index()


OF_RANKS = ("shift_consistency", "cascading_randomisation")


@pytest.fixture(scope="module")
def whole_batches(tmp_path_factory):
    """Answered with batches as large as they go."""
    return fewer(tmp_path_factory.mktemp("batches") / "run")


def test_records_do_not_depend_on_the_batch(whole_batches, tmp_path, monkeypatch):
    """Of 4, 4 and 1 sequences; each method by itself: tests/attribution/test_every_method.py."""
    for module, name in (
        (inference, "batch_rows"),
        (outputs, "batch_rows"),
        (method_call, "explained_rows"),
    ):
        monkeypatch.setattr(module, name, lambda *_: 4)
    first, second = whole_batches, fewer(tmp_path / "other")
    assert first.index.equals(second.index)
    # two scores of attention may be so near that rounding swaps their ranks, on some machines
    ranked = first.index.get_level_values("metric").isin(OF_RANKS)
    apart = np.abs(second.to_numpy() - first.to_numpy())
    assert (np.isnan(second) == np.isnan(first)).all()
    assert not (apart[~ranked] > 1e-5).any()
    assert np.mean(apart[ranked] > 1e-5) < 0.01
    assert not (apart > 0.01).any()


def test_records_do_not_depend_on_the_order_of_the_sequences(whole_batches, tmp_path):
    other = fewer(tmp_path / "turned", turned=True)
    assert whole_batches.index.equals(other.index)
    assert other.to_numpy() == pytest.approx(whole_batches.to_numpy(), abs=1e-5, nan_ok=True)


def test_an_oracle_that_is_lost_is_made_again(tmp_path):
    changes = (
        *(SMALL, "metrics=[deletion]", "attribution=[saliency]", "seeds=[0]"),
        *("operators=[uniform]", "controls=[]"),
    )
    work, _, first = finished(tmp_path / "run", changes=changes)
    task = Task(TrainedModel("cnn", 0), TaskKind.ORACLE)
    assert not missing(work, task)
    shutil.rmtree(
        work.store.path(curve_spec(work, TrainedModel("cnn", 0), CurveKey(ORACLE, "uniform", LERF)))
    )
    assert missing(work, task)
    _, outcome, again = finished(tmp_path / "run", changes=changes)
    assert outcome.computed == 1
    pd.testing.assert_frame_equal(first, again)


def test_the_oracle_of_other_models_is_for_the_true_label(whole):
    work, _, _ = whole
    of_label = Oracle.of(work, CurveKey(ORACLE, "uniform", kind="other_models"))
    own = Oracle.of(work, CurveKey(ORACLE, "uniform"))
    assert (of_label.target, own.target) == ("label", "predicted")
    outputs = logits(stored_classifier(work, TrainedModel("cnn", 0)), work.chosen.codes[:5])
    wrong = outputs.argmax(axis=1) != work.chosen.labels[:5]
    scores = [
        arrays_of(work, oracle_spec(work, TrainedModel("cnn", 0), each))["scores"]
        for each in (of_label, own)
    ]
    turned = np.where(wrong[:, None], -scores[1], scores[1])
    assert scores[0] == pytest.approx(turned, abs=1e-6)


def test_randomised_weights_have_values_and_no_difference_to_random(whole):
    work, _, _ = whole
    rows = table_of(work, "estimates.csv")
    rows = rows[rows.metric == "cascading_randomisation"]
    assert {"value"} <= set(rows.question) <= {"value", "between models"}
    assert rows["rank"].isna().all()


def test_what_a_mean_map_has_nothing_to_say_of_is_not_asked(whole):
    _, _, records = whole
    averaged = records[records.control == "mean map"]
    assert "seed_agreement" in set(averaged.metric)
    assert not {"cascading_randomisation", "random_label_similarity"} & set(averaged.metric)


def test_sequences_without_a_motif_of_their_class_are_not_applicable(tmp_path):
    plugin = tmp_path / "own_data.py"
    plugin.write_text(
        REVERSED.replace("take(order))", "take(order), train=splits.train)").replace(
            "    return replace(",
            "    test = splits.test\n"
            "    other = np.where(test.evidence < 0, -1, 1 - test.labels[:, None])\n"
            "    splits = replace(splits, test=replace(test, evidence=other.astype(np.int8)))\n"
            "    return replace(",
        )
    )
    changes = (
        *("dataset=mine", "metrics=[auprc]", SMALL, "seeds=[0]"),
        *("attribution=[deeplift]", "controls=[]"),
    )
    _, outcome, records = finished(tmp_path / "run", changes=changes, plugins=(str(plugin),))
    assert outcome.failures == []
    rows = records[(records.metric == "auprc") & (records.method == "deeplift")]
    assert set(rows.reason) == {"no explained sequence carries a motif of its class"}


def test_a_run_that_was_cut_after_a_retry_tells_of_the_retry(tmp_path, monkeypatch):
    plugin = tmp_path / "flaky.py"
    plugin.write_text(
        "import os\ndef flaky(model, inputs, target):\n"
        "    if 'FLAKY' in os.environ:\n        raise RuntimeError('out of memory')\n"
        "    return inputs[:, 0] + 2 * inputs[:, 1]\n"
    )
    options = {
        "changes": (
            *(SMALL, "metrics=[deletion]", "attribution=[flaky]", "seeds=[0]"),
            *("operators=[uniform]", "controls=[]", "sequences=2"),
        ),
        "plugins": (str(plugin),),
    }
    monkeypatch.setenv("FLAKY", "yes")
    _, outcome, _ = finished(tmp_path / "run", **options)
    assert "out of memory" in outcome.failures[0]
    monkeypatch.delenv("FLAKY")
    with monkeypatch.context() as cut:
        cut.setattr("xaibench.runs.pipeline._write_tables", lambda *_, **__: 1 / 0)
        with pytest.raises(UsageError, match="ZeroDivisionError"):
            finished(tmp_path / "run", **options)
    _, outcome, records = finished(tmp_path / "run", **options)
    assert (outcome.computed, outcome.failures) == (0, [])
    assert set(records[records.method == "flaky"].status) >= {"ok"}


def test_agreement_of_two_methods_does_not_depend_on_a_third(whole, tmp_path):
    """A method that fails under one seed takes nothing from the others."""
    work, _, _ = whole
    before = table_of(work, "agreement.csv")
    store = work.store
    spec = explained_spec(work, TrainedModel("attngen", 3), "attention")
    hidden = store.path(spec).rename(store.path(spec).with_name("elsewhere"))
    try:
        after = agreement(work)
    finally:
        hidden.rename(store.path(spec))
    keys = ["model", "method", "other", "measure"]
    both = before.merge(after, on=keys)
    apart = both[(both.method != "attention") & (both.other != "attention")]
    assert len(apart) > 10
    assert apart.mean_x.to_numpy() == pytest.approx(apart.mean_y.to_numpy(), nan_ok=True)
