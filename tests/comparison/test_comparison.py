"""Runs side by side: differences that are known to the last digit, gates, and what is refused."""

import json
import shutil
import sys
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from scipy import stats

from xaibench.cli import main
from xaibench.comparison.difference_rows import EQUAL_WITHIN
from xaibench.comparison.gates import Gate, gate
from xaibench.comparison.same_models import SameModel, weights_digest
from xaibench.comparison.setup_differences import Difference
from xaibench.comparison.side_by_side import Comparison, compare
from xaibench.comparison.unpaired import of_unpaired, welch
from xaibench.errors import UsageError
from xaibench.results.schema import COLUMNS, OF_FILE
from xaibench.statistics.corrections import holm
from xaibench.statistics.means import of_differences

SEQUENCES = 8
RANDOM = "random control"
CURVES = "values on curves of random positions"
OTHER_CURVES = {(RANDOM, "deletion_logit_difference"): 0.25}
FACTS = {
    "deletion": ("faithfulness", "lower", "curves", ""),
    "auprc": ("localisation", "higher", "explanation", ""),
    "sensitivity": ("stability", "lower", "change", "substitutions"),
    "seed_agreement": ("stability", "higher", "change", "seed"),
    "gini": ("complexity", "neither", "explanation", ""),
}
METRICS = {
    "auprc": "",
    "deletion_logit_difference": "uniform",
    "gini": "",
    "seed_agreement": "",
    "sensitivity": "",
}


@dataclass
class Made:
    """A run folder: values are noise of their own plus what is added to them here."""

    seeds: tuple[int, ...] = (0, 1, 2)
    models: tuple[str, ...] = ("cnn", "attngen")
    methods: tuple[str, ...] = ("saliency", "deeplift")
    sequences: int = SEQUENCES
    more: dict[tuple[str, str], Any] = field(default_factory=dict)
    """Added to the values of a (method, metric): a number, or values ``(seed, sequence)``."""
    noise: int = 0
    """Another number is other trained models."""
    plan: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, Any] = field(default_factory=dict)
    missing: tuple[tuple[str, str], ...] = ()
    """(method, metric) whose records failed."""
    classes: str = "ACGT"
    losses: tuple[float, ...] = ()
    """Of the epochs of every training; without any there is no history."""
    predicted: float | None = None
    """By how much the logit of a sequence's class is larger, beside noise; None: not kept."""
    off: float | None = None
    """By how much single outputs are off the measured responses, with noise; None: not kept."""
    weights: float | None = None
    """What the store keeps as the weights of every model, plus the seed."""
    reversed: bool = False
    """Whether the tensors of a file are written in another order."""


def rows(made: Made) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = []

    def add(model: str, method: str, metric: str, operator: str, values: Any, draws: int = 1):
        values = values + np.asarray(made.more.get((method, metric), 0.0))
        for place, seed in enumerate(made.seeds):
            for draw_ in range(draws):
                where = ("planted", model, seed, method, "", metric, operator, draw_)
                if (method, metric) in made.missing:
                    found.append((*where, "", np.nan, "failed", "ValueError: nothing"))
                    continue
                found.extend(
                    (*where, f"test {k}", value + 0.25 * draw_, "ok", "")
                    for k, value in enumerate(np.broadcast_to(values, shape)[place])
                )

    shape = len(made.seeds), made.sequences
    for number, model in enumerate(made.models):
        noise = np.random.default_rng([made.noise, number])
        add(model, "", "accuracy", "", noise.integers(0, 2, shape).astype(float))
        add(model, RANDOM, "deletion_logit_difference", "uniform", 3 + noise.random(shape), 2)
        for method in made.methods:
            for metric, operator in METRICS.items():
                add(model, method, metric, operator, noise.random(shape).round(6))
    return found


def write(folder: Path, made: Made) -> Path:
    folder.mkdir(parents=True)
    plan = {
        "seeds": list(made.seeds),
        "data_seed": 0,
        "training": {"epochs": 3},
        "models": {
            model: {"use": model, "dropout": (number + 1) / 10}
            for number, model in enumerate(made.models)
        },
        "attribution": {method: {"use": method} for method in made.methods},
        "metrics": {label: {"use": label} for label in FACTS},
        "operators": {"uniform": {"use": "uniform"}},
        "reports": {"html": {"use": "html"}},
        **made.plan,
    }
    keys = ("family", "better", "of", "change")
    environment = {
        "versions": {"xaibench": "0.1.0"},
        "threads": 1,
        "data": "9f2c41",
        "dataset": {"name": "planted", "sizes": {"train": 40, "explained": made.sequences}},
        "metrics": {label: dict(zip(keys, told, strict=True)) for label, told in FACTS.items()},
        **made.environment,
    }
    (folder / "plan.yaml").write_text(yaml.safe_dump(plan, sort_keys=False))
    (folder / "environment.json").write_text(json.dumps(environment))
    letters = [{"name": "test 3", "letters": made.classes}]
    (folder / "examples.json").write_text(json.dumps(letters))
    records = pd.DataFrame(rows(made), columns=list(COLUMNS["results.parquet"]))
    words = ["dataset", "model", "method", "control", "metric", "operator", "sequence", "status"]
    records.astype(dict.fromkeys(words, "category")).to_parquet(folder / "results.parquet")
    for name in COLUMNS:
        if name.endswith(".csv") and not OF_FILE[name].later:
            pd.DataFrame(columns=list(COLUMNS[name])).to_csv(folder / name, index=False)
    history = [
        (model, seed, epoch, loss + seed, np.nan, 0.5 + made.noise)
        for model, seed in product(made.models, made.seeds)
        for epoch, loss in enumerate(made.losses, start=1)
    ]
    columns = ["model", "seed", "epoch", "train_loss", "validation_loss", "seconds"]
    pd.DataFrame(history, columns=columns).to_csv(folder / "training.csv", index=False)
    if made.predicted is not None:
        predictions(made, made.predicted).to_parquet(folder / "predictions.parquet")
    if made.off is not None:
        numbers(made, made.off).to_parquet(folder / "predictions.parquet")
    if made.weights is not None:
        keep(folder / "store", made, plan, str(environment["data"]))
    return folder


def predictions(made: Made, apart: float) -> pd.DataFrame:
    """Noise is that of the model and the seed; every third sequence is of class 1."""
    parts = []
    labels = np.arange(made.sequences) % 3 // 2
    for model, seed in product(made.models, made.seeds):
        noise = np.random.default_rng([len(model), seed]).normal(size=(made.sequences, 2))
        logits = noise + apart * np.eye(2)[labels]
        names = [f"test {k}" for k in range(made.sequences)]
        where = {"model": model, "seed": seed, "sequence": names, "label": labels}
        parts.append(pd.DataFrame({**where, "logit_0": logits[:, 0], "logit_1": logits[:, 1]}))
    return pd.concat(parts, ignore_index=True)


def numbers(made: Made, off: float) -> pd.DataFrame:
    """One output per sequence beside a measured response, as models without classes have it."""
    responses = np.arange(made.sequences, dtype=float)
    parts = []
    for model, seed in product(made.models, made.seeds):
        noise = np.random.default_rng([len(model), seed]).normal(size=made.sequences)
        names = [f"test {k}" for k in range(made.sequences)]
        where = {"model": model, "seed": seed, "sequence": names, "label": 0}
        predicted = {"response": responses, "logit_0": responses + off * noise}
        parts.append(pd.DataFrame({**where, **predicted, "logit_1": np.nan}))
    return pd.concat(parts, ignore_index=True)


def keep(store: Path, made: Made, plan: dict[str, Any], data: str) -> None:
    """The trained weights of every model, and one that learnt from random labels."""
    own = [(model, seed, {}) for model, seed in product(made.models, made.seeds)]
    for number, (model, seed, more) in enumerate(
        [*own, (made.models[0], 0, {"learnt_from": "random labels"})]
    ):
        options = {name: value for name, value in plan["models"][model].items() if name != "use"}
        spec = {
            "model": {"code": f"{model} 0.1.0", "options": options},
            "training": {"code": "supervised 0.1.0", "options": plan["training"]},
            **{"seed": seed, "data": data, **more},
        }
        folder = store / f"model-{number:02}"
        folder.mkdir(parents=True)
        (folder / "spec.json").write_text(json.dumps({"status": "ok", "spec": spec}))
        tensors = {"bias": [9.0], "kernel": [made.weights + seed, 2.0, 3.0]}
        names = sorted(tensors, reverse=made.reversed)
        save(folder / "weights.safetensors", {name: tensors[name] for name in names})


def save(path: Path, tensors: dict[str, list[float]]) -> None:
    """A safetensors file by its description, the tensors in the order given."""
    header, content = {"__metadata__": {"first": next(iter(tensors))}}, b""
    for name, values in tensors.items():
        array = np.array(values, np.float32)
        offsets = [len(content), len(content) + array.nbytes]
        header[name] = {"dtype": "F32", "shape": list(array.shape), "data_offsets": offsets}
        content += array.tobytes()
    told = json.dumps(header).encode()
    path.write_bytes(len(told).to_bytes(8, "little") + told + content)


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """``compared({...}, {...}, gates=[...])``: made-up runs, each against the first."""
    written: dict[str, Path] = {}

    def folder(name: str, run: dict[str, Any]) -> Path:
        known = f"{name} {run}"
        if known not in written:
            written[known] = write(tmp_path_factory.mktemp("runs") / name, Made(**run))
        return written[known]

    def found(*runs: dict[str, Any], gates: list[str] | None = None) -> Comparison:
        folders = [folder(f"run{k}", run) for k, run in enumerate(runs)]
        return compare(folders, gates or ())

    return found


@pytest.fixture
def call(monkeypatch, capsys):
    """Calls the command line; gives exit code, standard output and standard error."""

    def called(*words):
        monkeypatch.setattr(sys, "argv", ["xaibench", "compare", *map(str, words)])
        with pytest.raises(SystemExit) as stopped:
            main()
        output = capsys.readouterr()
        return stopped.value.code or 0, output.out, output.err

    return called


def row(found: Comparison, metric: str, method: str, model: str = "cnn") -> pd.Series:
    (pair,) = found.pairs
    wanted = {"metric": metric, "method": method, "model": model}
    (index,) = pair.rows.index[(pair.rows[list(wanted)] == pd.Series(wanted)).all(axis=1)]
    return pair.rows.loc[index]


# What differs by a known number


@pytest.mark.parametrize(
    ("metric", "added", "better"),
    [
        ("auprc", 0.125, 0.125),
        ("sensitivity", 0.125, -0.125),
        ("deletion_logit_difference", 0.125, -0.125),
        ("gini", 0.125, 0.125),
    ],
)
def test_a_shift_is_found_to_the_last_digit_and_is_positive_where_the_second_is_better(
    compared, metric, added, better
):
    found = compared({}, {"more": {("saliency", metric): added}})
    shifted = row(found, metric, "saliency")
    assert shifted["mean"] == pytest.approx(better, abs=1e-12)
    assert shifted[["low", "high"]].tolist() == pytest.approx([better] * 2, abs=1e-12)
    assert (shifted["sequences"], shifted["seeds"]) == (SEQUENCES, 3)
    # one of 2^7 sign patterns and its mirror are as far from 0, plus what was drawn
    assert shifted["p_sequences"] < 0.03
    other = row(found, metric, "deeplift")
    assert (other["mean"], other["p_sequences"], other["equal"]) == (0, 1, True)


def test_the_means_of_both_differ_by_the_mean_difference(compared):
    found = compared({}, {"more": {("saliency", "auprc"): 0.125}})
    shifted = row(found, "auprc", "saliency")
    assert shifted["second_mean"] - shifted["first_mean"] == pytest.approx(0.125)
    values = pd.DataFrame(rows(Made()), columns=list(COLUMNS["results.parquet"]))
    own = values.query("model == 'cnn' and method == 'saliency' and metric == 'auprc'")
    assert shifted["first_mean"] == pytest.approx(own["value"].mean())


def test_of_curves_the_gap_to_random_is_compared(compared):
    """A model that is surer of everything has larger areas, and no better explanation."""
    metric = "deletion_logit_difference"
    methods = ("saliency", "deeplift", RANDOM)
    found = compared({}, {"more": {(method, metric): 5.0 for method in methods}})
    surer = row(found, metric, "saliency")
    assert surer["compared"] == "gap to random"
    assert surer["mean"] == pytest.approx(0, abs=1e-12)


def test_identical_runs_differ_by_nothing_with_p_1(compared):
    found = compared({}, {})
    (pair,) = found.pairs
    assert pair.differences == ()
    assert pair.cautions == ()
    assert pair.same_models == dict.fromkeys(("cnn", "attngen"), SameModel("same", CURVES))
    assert pair.rows["equal"].all()
    assert (pair.rows[["mean", "low", "high"]] == 0).all(axis=None)
    tested = pair.rows[pair.rows["p"].notna()]
    assert len(tested)
    assert (tested[["p", "p_sequences", "p_holm", "p_sequences_holm"]] == 1).all(axis=None)


def test_the_tests_of_a_row_are_those_of_scipy(compared):
    added = np.random.default_rng(3).normal(0.2, 0.3, (3, SEQUENCES))
    found = row(compared({}, {"more": {("saliency", "auprc"): added}}), "auprc", "saliency")
    t = stats.ttest_1samp(added.mean(axis=1), 0)
    assert found["p_seeds"] == pytest.approx(t.pvalue)
    expected = of_differences(added)
    assert (found["p"], found["p_sequences"]) == pytest.approx((expected.p, expected.p_sequences))


def test_holm_runs_over_the_rows_of_a_family_that_differ(compared):
    added = np.random.default_rng(3).normal(0.1, 0.3, (3, SEQUENCES))
    more = {("saliency", "sensitivity"): added, ("deeplift", "seed_agreement"): added}
    (pair,) = compared({}, {"more": more}).pairs
    stability = pair.rows[(pair.rows["family"] == "stability") & ~pair.rows["equal"].astype(bool)]
    assert len(stability) == 4
    for name in ("p", "p_sequences", "p_seeds"):
        np.testing.assert_array_equal(stability[f"{name}_holm"], holm(stability[name]))


def test_agreement_between_seeds_has_an_interval_over_sequences_alone(compared):
    added = np.random.default_rng(3).normal(0.1, 0.3, (3, SEQUENCES))
    found = row(
        compared({}, {"more": {("saliency", "seed_agreement"): added}}),
        "seed_agreement",
        "saliency",
    )
    assert np.isnan(found["p_seeds"])
    assert found["low"] == found["sequences_low"]


# What is shared


def test_only_shared_sequences_and_seeds_are_compared(compared):
    found = compared({}, {"seeds": (0, 1, 2, 5), "sequences": 11})
    (pair,) = found.pairs
    assert pair.shared.paired
    assert pair.shared.seeds == (0, 1, 2)
    assert pair.shared.sequences == SEQUENCES
    assert set(pair.rows.loc[pair.rows["compared"] != "", "sequences"]) == {SEQUENCES}
    assert set(pair.rows["first_seeds"]) == set(pair.rows["second_seeds"]) == {3}
    assert Difference("sequences", "explained", "8 (8 shared)", "11 (8 shared)") in pair.differences
    assert Difference("plan", "seeds", "[0, 1, 2]", "[0, 1, 2, 5]") in pair.differences


@pytest.mark.parametrize(
    ("first", "second", "paired"),
    [
        ((0, 1, 2), (1, 2, 3), True),
        ((0, 1, 2), (2, 3, 4, 5), False),
        ((0, 1, 2), (3, 4), False),
        ((0,), (0, 1, 2), True),
        ((0,), (1,), False),
    ],
)
def test_seeds_are_paired_where_two_or_all_of_a_run_are_shared(compared, first, second, paired):
    (pair,) = compared({"seeds": first}, {"seeds": second}).pairs
    assert pair.shared.paired is paired


def test_replicates_are_paired_by_the_files_of_their_weights(compared):
    """In the second run the same three stand in another order, and behind a fourth that failed."""
    first = {model: ["a", "b", "c"] for model in ("cnn", "attngen")}
    second = {model: ["d", "c", "a", "b"] for model in ("cnn", "attngen")}
    (pair,) = compared(
        {"environment": {"replicates": first}},
        {"seeds": (2, 3, 1), "environment": {"replicates": second}},
    ).pairs
    assert pair.shared.second_seeds == (0, 1, 2)
    assert pair.rows["equal"].all()
    assert pair.second.results.environment["replicates"]["cnn"] == ["a", "b", "c", "d"]


def test_without_shared_seeds_averages_are_compared_by_sequence(compared):
    found = compared({}, {"seeds": (3, 4, 5, 6), "noise": 1})
    compared_row = row(found, "auprc", "saliency")
    one, other = (
        pd.DataFrame(rows(made), columns=list(COLUMNS["results.parquet"]))
        .query("model == 'cnn' and method == 'saliency' and metric == 'auprc'")
        .pivot(index="seed", columns="sequence", values="value")
        for made in (Made(), Made(seeds=(3, 4, 5, 6), noise=1))
    )
    assert compared_row["mean"] == pytest.approx(other.mean(axis=None) - one.mean(axis=None))
    t = stats.ttest_ind(other.mean(axis=1), one.mean(axis=1), equal_var=False)
    assert compared_row["p_seeds"] == pytest.approx(t.pvalue)
    assert (compared_row["first_seeds"], compared_row["second_seeds"]) == (3, 4)
    of_both = SameModel("anew", "other seeds")
    assert found.pairs[0].same_models == {"cnn": of_both, "attngen": of_both}


def test_other_data_are_compared_where_an_example_shows_that_names_mean_the_same(compared):
    (pair,) = compared({}, {"environment": {"data": "77aa"}}).pairs
    assert Difference("data", "fingerprint", "9f2c41", "77aa") in pair.differences
    assert pair.cautions[0].startswith("The data are not the same: sequences are paired by")


def test_a_metric_that_means_another_thing_is_left_out(compared):
    keys = ("family", "better", "of", "change")
    turned = {label: dict(zip(keys, told, strict=True)) for label, told in FACTS.items()}
    turned["auprc"]["better"] = "lower"
    (pair,) = compared({}, {"environment": {"metrics": turned}}).pairs
    assert "auprc" not in set(pair.rows["metric"])
    assert pair.cautions == (
        "Left out, because they mean different things in the two runs: auprc.",
    )


@pytest.mark.parametrize(("classes", "cautioned"), [("ab", False), ("abc", True)])
def test_runs_that_explain_other_quantities_of_three_classes_are_told_apart(
    compared, classes, cautioned
):
    before = {"dataset": {"class_names": [*classes]}}
    (pair,) = compared(
        {"environment": before}, {"environment": before | {"explained": "less the mean"}}
    ).pairs
    assert any("One run explains the logit" in each for each in pair.cautions) == cautioned


def test_what_makes_a_label_another_thing_is_said(compared):
    plan = {
        "training": {"epochs": 4},
        "models": {"cnn": {"use": "cnn", "dropout": 0.2}, "attngen": {"use": "attngen"}},
        "attribution": {"saliency": {"use": "saliency", "correct": True}},
        "random_draws": 3,
        "clusters": True,
    }
    (pair,) = compared({}, {"plan": plan, "environment": {"versions": {"xaibench": "0.2"}}}).pairs
    said = " ".join(pair.cautions)
    for words in (
        "made by xaibench 0.1.0 and 0.2",
        "The training of every model differs (training.epochs)",
        "cnn is another model in each run (models.cnn.dropout)",
        "saliency has other options in each run (attribution.saliency.correct)",
        "do not measure the same (random_draws)",
        "resample groups of sequences",
    ):
        assert words in said
    key = "attribution.saliency.correct"
    assert Difference("plan", key, "", "true") in pair.differences


def test_of_three_runs_each_is_compared_with_the_first(compared):
    found = compared({}, {"more": {("saliency", "auprc"): 0.25}}, {"noise": 1})
    assert [(pair.first.letter, pair.second.letter) for pair in found.pairs] == [
        ("A", "B"),
        ("A", "C"),
    ]


# Whether models are the same


def only(found: Comparison) -> SameModel:
    """What is said of every model alike."""
    (said,) = set(found.pairs[0].same_models.values())
    return said


def test_the_same_weights_are_known_where_a_run_has_more_seeds_and_sequences(compared):
    found = compared({"sequences": 11, "weights": 1.5}, {"seeds": (0, 1), "weights": 1.5})
    assert only(found) == SameModel("same", "saved weights")


def test_kept_weights_tell_before_anything_else_does(compared):
    other = compared({"weights": 1.5}, {"weights": 1.25})
    assert only(other) == SameModel("anew", "saved weights")
    same = compared({"weights": 1.5, "losses": (0.5,)}, {"weights": 1.5, "losses": (0.75,)})
    assert only(same) == SameModel("same", "saved weights")


def test_weights_are_the_same_in_whatever_order_a_file_holds_them(compared, tmp_path):
    found = compared({"weights": 1.5}, {"weights": 1.5, "reversed": True})
    assert only(found) == SameModel("same", "saved weights")
    files = [tmp_path / name for name in "abc"]
    save(files[0], {"bias": [1.0], "kernel": [2.0, 3.0]})
    save(files[1], {"kernel": [2.0, 3.0], "bias": [1.0]})
    save(files[2], {"bias": [2.0], "kernel": [1.0, 3.0]})
    assert files[0].read_bytes() != files[1].read_bytes()
    assert weights_digest(files[0]) == weights_digest(files[1]) != weights_digest(files[2])


def test_weights_of_which_it_is_not_clear_whose_they_are_tell_nothing(tmp_path):
    """Such as those that an earlier version left in the store: its code had another name."""
    first = write(tmp_path / "a", Made(weights=1.5, models=("cnn",)))
    second = write(tmp_path / "b", Made(weights=1.5, models=("cnn",), more=OTHER_CURVES))
    assert only(compare([first, second])) == SameModel("same", "saved weights")
    last = max((second / "store").glob("model-*"))
    told = json.loads((last / "spec.json").read_text())
    del told["spec"]["learnt_from"]
    told["spec"] |= {"seed": 1}
    (last / "spec.json").write_text(json.dumps(told))
    assert only(compare([first, second])) == SameModel("unknown")


def test_an_equal_training_is_known_by_its_history(compared):
    runs = [{"losses": (0.5, 0.25), "more": more} for more in ({}, OTHER_CURVES)]
    assert only(compared(*runs)) == SameModel("same", "training history")


@pytest.mark.parametrize("losses", [(0.5, 0.26), (0.5,), (0.5, 0.25, 0.2)])
def test_another_course_of_training_is_a_new_training(compared, losses):
    found = compared({"losses": (0.5, 0.25)}, {"losses": losses, "more": OTHER_CURVES})
    assert only(found) == SameModel("anew", "training history")


def test_an_equal_course_of_another_training_tells_nothing(compared):
    """It may have kept the weights of another epoch."""
    plan = {"training": {"epochs": 3, "keep": "last"}}
    other = {"losses": (0.5, 0.25), "more": OTHER_CURVES, "plan": plan}
    assert only(compared({"losses": (0.5, 0.25)}, other)) == SameModel("unknown")


def test_other_answers_on_the_same_sequences_are_a_new_training(compared):
    more = {("", "accuracy"): -0.5}
    found = compared({"losses": (0.5,)}, {"losses": (0.5,), "more": more})
    assert only(found) == SameModel("anew", "accuracy on the same sequences")
    elsewhere = {"environment": {"data": "77aa"}, "losses": (0.5,), "more": more | OTHER_CURVES}
    assert only(compared({"losses": (0.5,)}, elsewhere)) == SameModel("unknown")


def test_curves_of_random_positions_that_differ_by_a_digit_tell_nothing(compared):
    more = {(RANDOM, "deletion_logit_difference"): 1e-9}
    assert only(compared({}, {"more": more})) == SameModel("unknown")


def test_a_model_that_was_trained_anew_under_one_seed_is_so(tmp_path):
    first, second = (write(tmp_path / name, Made(weights=1.5)) for name in "ab")
    save(second / "store" / "model-01" / "weights.safetensors", {"bias": [0.0]})
    said = compare([first, second]).pairs[0].same_models
    assert said == {
        "cnn": SameModel("anew", "saved weights"),
        "attngen": SameModel("same", "saved weights"),
    }


def test_models_are_compared_under_the_seeds_that_each_has(tmp_path):
    """A plan may give one model fewer seeds than the others."""
    first, second = (write(tmp_path / name, Made(weights=1.5)) for name in "ab")
    records = pd.read_parquet(second / "results.parquet")
    kept = (records["model"] != "attngen") | (records["seed"] != 2)
    records[kept].to_parquet(second / "results.parquet")
    shutil.rmtree(second / "store" / "model-05")
    said = compare([first, second]).pairs[0].same_models
    assert said["attngen"] == SameModel("same", "saved weights")


# Rounding, and what is not comparable


def test_what_differs_by_rounding_alone_is_equal_and_not_tested(compared):
    noise = np.random.default_rng(3).uniform(-1, 1, (3, SEQUENCES)) * EQUAL_WITHIN / 4
    (pair,) = compared({}, {"more": {("saliency", "auprc"): noise}}).pairs
    rounded = pair.rows[pair.rows["rounding"].astype(bool)]
    assert set(zip(rounded["metric"], rounded["method"], strict=True)) == {("auprc", "saliency")}
    assert rounded["equal"].all()
    assert (rounded[["mean", "low", "high"]] == 0).all(axis=None)
    assert (rounded["p_sequences_holm"] == 1).all()
    assert rounded["p_seeds_holm"].isna().all()


def test_what_differs_by_more_than_rounding_in_one_value_is_not_equal(compared):
    noise = np.zeros((3, SEQUENCES))
    noise[1, 4] = 3 * EQUAL_WITHIN
    found = compared({}, {"more": {("saliency", "auprc"): noise}})
    differs = row(found, "auprc", "saliency")
    assert (differs["equal"], differs["rounding"]) == (False, False)
    assert differs["mean"] > 0


def test_rounding_is_in_proportion_to_the_metric(compared):
    """A curve of a thousand logits is rounded as such, however small its gap to random is."""
    metric = "deletion_logit_difference"
    large = {("saliency", metric): 1000.0, (RANDOM, metric): 1000.0}
    found = compared({"more": large}, {"more": {**large, ("saliency", metric): 1000 + 1e-4}})
    assert row(found, metric, "saliency")["rounding"]
    small = compared({}, {"more": {("saliency", metric): 1e-4}})
    assert not row(small, metric, "saliency")["equal"]


@pytest.mark.parametrize("seeds", [(0, 1), (0, 1, 3), (3, 4, 5)])
def test_agreement_between_other_seeds_is_not_compared(compared, seeds):
    added = np.random.default_rng(3).normal(0.5, 0.1, (len(seeds), SEQUENCES))
    more = {(method, "seed_agreement"): added for method in ("saliency", "deeplift")}
    found = compared({}, {"seeds": seeds, "more": more}, gates=["seed_agreement:saliency:0"])
    left_out = row(found, "seed_agreement", "saliency")
    assert left_out["compared"] == ""
    assert np.isnan(left_out[["mean", "p_sequences", "p_sequences_holm"]].astype(float)).all()
    assert left_out["reason"].startswith("each value is an average over the other seeds of its run")
    assert {each.verdict for each in found.gates} == {"cannot be told"}
    (said,) = [each for each in found.pairs[0].cautions if each.startswith("Left out")]
    assert said.endswith("and the runs do not have the same: seed_agreement.")


# Gates


def test_a_gate_fails_where_the_drop_is_larger_than_allowed_and_no_chance(compared):
    more = {("saliency", "auprc"): -0.125}
    found = compared({}, {"more": more}, gates=["auprc:saliency:0.12", "auprc:saliency:0.13"])
    assert [each.verdict for each in found.gates] == ["failed", "failed", "held", "held"]
    assert {each.population for each in found.gates} == {"these models"}
    assert found.failed


@pytest.mark.parametrize("metric", ["sensitivity", "deletion_logit_difference"])
def test_where_lower_is_better_a_rise_is_a_drop(compared, metric):
    found = compared({}, {"more": {("saliency", metric): 0.125}}, gates=[f"{metric}:saliency:0.1"])
    assert {each.verdict for each in found.gates} == {"failed"}


def test_a_large_drop_that_may_be_chance_fails_nothing(compared):
    added = np.zeros((3, SEQUENCES))
    added[:, 0] = -1.6
    found = compared({}, {"more": {("saliency", "auprc"): added}}, gates=["auprc:saliency:0.1"])
    assert {each.verdict for each in found.gates} == {"cannot be told"}
    assert found.gates[0].why == "the drop is larger than allowed, and may be chance"
    assert not found.failed


def test_a_gate_that_held_says_what_it_leaves_open(compared):
    added = np.zeros((3, SEQUENCES))
    added[:, 0] = -1.6
    found = compared({}, {"more": {("saliency", "auprc"): added}}, gates=["auprc:saliency:0.25"])
    assert [each.why for each in found.gates] == ["a larger drop is not excluded"] * 2


def test_the_p_of_a_gate_is_that_of_no_difference_and_not_of_the_drop_that_is_allowed(compared):
    """The interval of the drop holds the drop that is allowed, and the gate fails."""
    added = np.linspace(-0.2, -0.05, SEQUENCES) * np.ones((3, 1))
    found = compared({}, {"more": {("saliency", "auprc"): added}}, gates=["auprc:saliency:0.12"])
    (first, _) = found.gates
    assert -first.row["high"] < 0.12 < -first.row["mean"]
    assert first.p == holm([first.row["p_sequences"]] * 2)[0] < 0.05
    assert first.verdict == "failed"


def test_a_gate_that_allows_nothing_holds_where_runs_differ_by_rounding(compared):
    more = {("saliency", "auprc"): -1e-8}
    found = compared({}, {"more": more}, gates=["auprc:saliency:0"])
    assert [each.verdict for each in found.gates] == ["held", "held"]


def test_models_trained_anew_are_judged_by_retraining(compared):
    anew = {(RANDOM, "deletion_logit_difference"): 1e-9}
    spread = np.array([[-0.5], [-0.1], [-0.3]]) * np.ones(SEQUENCES)
    more = {**anew, ("saliency", "auprc"): spread}
    found = compared({}, {"more": more}, gates=["auprc:saliency:0.02"])
    p = stats.ttest_1samp([-0.5, -0.1, -0.3], 0).pvalue
    assert {each.population for each in found.gates} == {"retraining"}
    assert [each.p for each in found.gates] == pytest.approx([2 * p] * 2)
    assert {each.verdict for each in found.gates} == {"cannot be told"}


def test_two_seeds_cannot_tell_of_retraining_and_the_gate_says_so(compared):
    more = {(RANDOM, "deletion_logit_difference"): 1e-9, ("saliency", "auprc"): -0.125}
    runs = {"seeds": (0, 1)}, {"seeds": (0, 1), "more": more}
    found = compared(*runs, gates=["auprc:saliency:0.02"])
    assert {each.population for each in found.gates} == {"these models"}
    assert found.gates[0].why == "fewer than three seeds: chance in training is not in this p"


def test_p_of_gates_is_corrected_over_the_rows_of_all_gates(compared):
    added = np.random.default_rng(3).normal(-0.2, 0.3, (3, SEQUENCES))
    found = compared(
        {},
        {"more": {("saliency", "auprc"): added, ("saliency", "sensitivity"): -added}},
        gates=["auprc:saliency:0.1", "sensitivity:saliency:0.1"],
    )
    plain = [each.row["p_sequences"] for each in found.gates]
    assert [each.p for each in found.gates] == holm(plain).tolist()
    assert len(plain) == 4


def test_a_method_that_broke_does_not_pass_its_gate(compared):
    missing = (("saliency", "auprc"),)
    found = compared({}, {"missing": missing}, gates=["auprc:saliency:0.02"])
    assert {each.verdict for each in found.gates} == {"failed"}
    assert found.gates[0].why == "B has no value (failed: ValueError: nothing)"


def test_a_method_that_never_worked_cannot_be_told(compared):
    missing = (("saliency", "auprc"),)
    found = compared({"missing": missing}, {}, gates=["auprc:saliency:0.02"])
    assert {each.verdict for each in found.gates} == {"cannot be told"}


def test_accuracy_is_gated_with_a_dash_for_the_method(compared):
    found = compared({}, {"more": {("", "accuracy"): -0.5}}, gates=["accuracy:-:0.1"])
    assert {each.verdict for each in found.gates} == {"failed"}
    assert gate("accuracy:-:0.1") == Gate("accuracy", "", 0.1)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("auprc", "--fail-if-drop: expected METRIC:METHOD:DROP, got 'auprc'; write auprc:METHOD:D"),
        ("auprc:saliency", "expected METRIC:METHOD:DROP, got 'auprc:saliency'$"),
        ("", "expected METRIC:METHOD:DROP, got ''$"),
        ("auprc:saliency:much", "expected a drop that is a number and not negative, got 'much'"),
        ("auprc:saliency:-0.02", "not negative, got '-0.02'"),
        ("auprc:saliency:nan", "not negative, got 'nan'"),
        ("auprk:saliency:0.02", "no metric 'auprk' in both A and B; did you mean 'auprc'"),
        ("auprc:salience:0.02", "no 'auprc' of 'salience' in both A and B; did you mean 'salienc"),
        ("auprc:a:b:0.02", "no 'auprc' of 'a:b' in both A and B"),
        ("accuracy:saliency:0.02", "no 'accuracy' of 'saliency' in both A and B; known: -"),
        ("gini:saliency:0.02", "of 'gini' neither more nor less is better"),
    ],
)
def test_a_gate_that_cannot_be_is_refused(compared, words, message):
    with pytest.raises(UsageError, match=message.replace("?", r"\?")):
        compared({}, {}, gates=[words])


# What is refused


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    first = write(tmp_path / "a", Made())
    with pytest.raises(UsageError, match="nowhere: expected the folder of a run"):
        compare([first, tmp_path / "nowhere"])
    with pytest.raises(
        UsageError, match="compare: expected the folders of two runs or more, got 1"
    ):
        compare([first])
    with pytest.raises(UsageError, match="are the same folder"):
        compare([first, tmp_path / "x" / ".." / "a"])
    with pytest.raises(UsageError, match="expected at most 26 runs, got 27"):
        compare([tmp_path / str(k) for k in range(27)])


def test_an_unfinished_run_is_refused(compared):
    with pytest.raises(UsageError, match="expected a finished run, got one that was stopped"):
        compared({}, {"environment": {"unfinished": {"done": 2, "tasks": 3}}})


def test_a_run_of_another_version_is_refused(compared):
    told = {"auprc": {"family": "localisation", "better": "higher"}}
    with pytest.raises(UsageError, match=r"another version: it does not say what .* \('of'\)"):
        compared({}, {"environment": {"metrics": told}})


def test_a_table_of_another_version_is_refused(tmp_path):
    first, second = (write(tmp_path / name, Made()) for name in "ab")
    pd.read_parquet(second / "results.parquet").drop(columns="operator").to_parquet(
        second / "results.parquet"
    )
    with pytest.raises(UsageError, match=r"results.parquet: expected the column operator"):
        compare([first, second])


def test_runs_that_share_nothing_are_refused(tmp_path):
    first = write(tmp_path / "a", Made())
    elsewhere = {"data": "77aa"}
    other = write(tmp_path / "b", Made(environment=elsewhere, classes="TTTT"))
    with pytest.raises(UsageError, match="a and b share nothing: the data differ, and 'test 3' is"):
        compare([first, other])
    (other / "examples.json").write_text("[]")
    with pytest.raises(UsageError, match="share nothing for sure: the data differ, and no example"):
        compare([first, other])
    unlike = write(tmp_path / "c", Made(models=("transformer",)))
    with pytest.raises(UsageError, match="no model, method and metric was measured in both"):
        compare([first, unlike])
    records = pd.read_parquet(unlike / "results.parquet")
    records["sequence"] = "peak " + records["sequence"].astype(str)
    records.to_parquet(unlike / "results.parquet")
    with pytest.raises(UsageError, match="share nothing: no sequence was explained in both"):
        compare([first, unlike])


# Seeds that are not shared


def test_welch_is_that_of_scipy():
    one, other = np.array([0.1, 0.4, 0.35]), np.array([0.5, 0.45, 0.7, 0.62])
    found = welch(one, other)
    t = stats.ttest_ind(other, one, equal_var=False)
    interval = t.confidence_interval(0.95)
    assert found.p == pytest.approx(t.pvalue)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))


def test_welch_of_one_seed_or_of_seeds_that_agree_is_undefined():
    assert np.isnan(welch(np.array([0.1]), np.array([0.2, 0.3])).p)
    assert np.isnan(welch(np.array([0.1, 0.1]), np.array([0.2, 0.2])).p)


def test_equal_sequences_of_unpaired_runs_have_no_effect_out_of_last_bits():
    """Their means are those of the same numbers, summed in another order."""
    source = np.random.default_rng(0)
    parts = source.normal(0, 1, 23) * np.array([[0.1], [0.2], [0.3], [0.4]])
    one, other = (
        np.array([np.add.accumulate(source.permutation(parts))[-1] for _ in range(seeds)])
        for seeds in (3, 4)
    )
    found = of_unpaired(one, other)
    assert np.ptp(other.mean(axis=0) - one.mean(axis=0)) > 0
    assert (found.mean, found.p) == (0, 1)
    assert np.isnan(found.effect)


def test_runs_of_equal_seeds_vary_theirs_apart():
    """Were they drawn together, the differences of like-minded seeds would hide their spread."""
    spread = np.array([[-1.0], [0.0], [1.0], [2.0]]) * np.ones(7)
    found = of_unpaired(spread, spread + np.linspace(0, 1e-3, 7))
    assert found.high - found.low > 1


def test_an_unpaired_interval_covers_as_often_as_it_says():
    """A difference of 0 with noise of sequences, shared, and of seeds, not shared."""
    inside, runs = 0, 200
    for repeat in range(runs):
        noise = np.random.default_rng(repeat)
        sequences = noise.normal(0, 1, 23)
        one, other = (
            sequences + noise.normal(0, 0.3, (seeds, 1)) + noise.normal(0, 0.3, (seeds, 23))
            for seeds in (4, 5)
        )
        found = of_unpaired(one, other)
        inside += found.low <= 0 <= found.high
    # 190 of 200 are wanted; at 0.95 fewer than 180 have a probability of 0.002
    assert inside >= 180


def test_unpaired_values_of_other_sequences_are_refused():
    with pytest.raises(ValueError, match="second: expected 3 sequences, got 4"):
        of_unpaired(np.zeros((2, 3)), np.zeros((2, 4)))


def test_unpaired_values_without_any_are_undefined():
    nothing = np.full((2, 3), np.nan)
    assert of_unpaired(nothing, np.zeros((2, 3))).reason == ("no sequence has a value in both runs")


# The command line


def test_the_command_prints_writes_and_is_the_same_twice(call, tmp_path):
    first = write(tmp_path / "a", Made())
    second = write(tmp_path / "b", Made(more={("saliency", "auprc"): 0.25}))
    code, out, err = call(first, second, "-o", tmp_path / "out")
    assert (code, err) == (0, "")
    assert out.startswith("b compared with a\n")
    files = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert files == ["comparison.csv", "comparison.html", "comparison.txt"]
    before = [(tmp_path / "out" / name).read_bytes() for name in files]
    shutil.rmtree(tmp_path / "out")
    assert call(first, second, "-o", tmp_path / "out") == (code, out, err)
    assert [(tmp_path / "out" / name).read_bytes() for name in files] == before


def test_exit_code_3_is_that_of_a_gate_that_failed(call, tmp_path):
    first = write(tmp_path / "a", Made())
    second = write(tmp_path / "b", Made(more={("saliency", "auprc"): -0.25}))
    held = ("--fail-if-drop", "auprc:deeplift:0", "--fail-if-drop", "accuracy:-:0.02")
    code, out, _ = call(first, second, *held)
    assert code == 0
    assert "Gates: 4 held" in out
    code, out, err = call("--fail-if-drop", "auprc:saliency:0.02", *held, first, second)
    assert (code, err) == (3, "")
    assert "Gates: 2 failed, 4 held" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("a",), "compare: expected the folders of two runs or more, got 1"),
        (("a", "a"), "compare: a and a are the same folder"),
        (("a", "c"), "c: expected the folder of a run, got no folder"),
        (("a", "b", "-o", "a/plan.yaml"), "a/plan.yaml: cannot be written: File exists"),
        (("a", "b", "--fail-if-drop"), "--fail-if-drop' requires an argument"),
        (
            ("--fail-if-drop", "auprc", "saliency", "0.02", "a", "b"),
            "expected METRIC:METHOD:DROP, got 'auprc'; write auprc:METHOD:DROP, without blanks",
        ),
        (("a", "b", "--fail-if-drop", "x:y:1"), "no metric 'x' in both A and B; known: "),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(call, tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    for name in "ab":
        write(tmp_path / name, Made())
    code, out, err = call(*words)
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert err.startswith("xaibench: ")
    assert message in err


def of_models(comparison, metric):
    rows = comparison.pairs[0].rows
    return rows[(rows["metric"] == metric) & (rows["method"] == "")]


def test_auroc_auprc_and_mcc_of_the_models_are_compared(compared):
    found = compared({"predicted": 1.0}, {"predicted": 4.0})
    for metric in ("auroc", "auprc", "mcc"):
        rows = of_models(found, metric)
        assert len(rows) == len(Made().models)
        assert (rows["mean"] > 0).all()
        assert (rows["second_mean"] - rows["first_mean"]).tolist() == pytest.approx(
            rows["mean"].tolist()
        )
        assert (rows["sequences_low"] < rows["mean"]).all()
        assert (rows["p_sequences_holm"].isna()).all()
    (back,) = compared({"predicted": 4.0}, {"predicted": 1.0}).pairs
    assert (back.rows[back.rows["metric"] == "mcc"]["mean"] < 0).all()


@pytest.mark.parametrize("metric", ["pearson", "spearman", "mse"])
def test_models_of_numbers_are_compared_by_what_was_measured(compared, metric):
    far, near = {"off": 4.0, "sequences": 20}, {"off": 1.0, "sequences": 20}
    rows = of_models(compared(far, near), metric)
    assert len(rows) == len(Made().models)
    sign = -1 if metric == "mse" else 1
    assert set(rows["better"]) == {"lower" if metric == "mse" else "higher"}
    assert (rows["mean"] > 0).all()  # the second is better
    assert (sign * (rows["second_mean"] - rows["first_mean"])).tolist() == pytest.approx(
        rows["mean"].tolist()
    )
    assert (rows["sequences_low"] < rows["mean"]).all()
    assert of_models(compared(far, far | {"noise": 1}), metric)["equal"].all()
    worse = compared(near, far, gates=[f"{metric}:-:0.001"])
    assert "held" not in {each.verdict for each in worse.gates}


def test_models_of_numbers_and_of_classes_are_not_compared(compared):
    rows = of_models(compared({"off": 1.0}, {"predicted": 1.0}), "pearson")
    assert rows.empty


def test_the_same_predictions_are_equal(compared):
    rows = of_models(compared({"predicted": 1.0}, {"predicted": 1.0, "noise": 1}), "auroc")
    assert rows["equal"].all()
    assert not rows["rounding"].any()


def test_a_run_from_before_predictions_were_kept_is_compared_without_them(compared):
    assert of_models(compared({"predicted": 1.0}, {}), "auroc").empty


def test_runs_without_a_shared_seed_have_no_difference_in_auroc(compared):
    found = compared({"predicted": 1.0, "seeds": (0, 1)}, {"predicted": 1.0, "seeds": (2, 3)})
    rows = of_models(found, "auroc")
    assert rows["mean"].isna().all()
    assert rows["reason"].iloc[0] == "the runs share no seed: no difference by seed"


def test_runs_with_other_classes_are_not_compared_by_auroc(compared):
    named = {"dataset": {"name": "planted", "class_names": ["a", "b"]}}
    found = compared({"predicted": 1.0}, {"predicted": 1.0, "environment": named})
    assert of_models(found, "auroc").empty


def test_a_gate_on_the_auroc_of_a_model_goes_by_its_interval(compared):
    worse = compared(
        {"predicted": 4.0, "sequences": 90},
        {"predicted": 0.0, "sequences": 90},
        gates=["auroc:-:0.01"],
    )
    assert {each.verdict for each in worse.gates} == {"failed"}
    assert {each.why for each in worse.gates} == {"by its interval, for there is no p"}
    better = compared(
        {"predicted": 0.0, "sequences": 90},
        {"predicted": 4.0, "sequences": 90},
        gates=["auroc:-:0.01"],
    )
    assert {each.verdict for each in better.gates} == {"held"}
    hardly = compared({"predicted": 1.0}, {"predicted": 0.95}, gates=["mcc:-:0"])
    assert "failed" not in {each.verdict for each in hardly.gates}
