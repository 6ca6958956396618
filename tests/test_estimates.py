"""From records to estimates."""

from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from xaibench.estimates import COLUMNS, estimates
from xaibench.protocols import MetricFacts
from xaibench.randomness import stream
from xaibench.statistics import difference, estimate, holm
from xaibench.values import Estimate

CONTROL = "random control"
FACTS = {
    "deletion": MetricFacts("faithfulness", "lower", (-np.inf, np.inf), "curves"),
    "insertion": MetricFacts("faithfulness", "higher", (-np.inf, np.inf), "curves"),
    "auprc": MetricFacts("localisation", "higher", (0, 1), "explanation", needs_motif=True),
    "seed_agreement": MetricFacts("stability", "higher", (-1, 1), "change", change="seed"),
    "sensitivity": MetricFacts("stability", "lower", (0, np.inf), "change", change="substitutions"),
}
SEEDS, SEQUENCES, REPEATS = (0, 1, 10), tuple("bca") + tuple("hgfed"), 4
METRICS = [
    ("deletion_logit_difference", "uniform"),
    ("deletion_accuracy", "uniform"),
    ("insertion_probability", "n"),
    ("auprc", ""),
    ("seed_agreement", ""),
    ("sensitivity", ""),
]


def made() -> pd.DataFrame:
    """Records of 2 models, 3 seeds, 8 sequences and the methods good, bad and noise (random)."""
    rows = []
    for model, method, (metric, operator) in product(
        ("cnn", "attngen"), (CONTROL, "good", "bad", "noise"), METRICS
    ):
        of_change = metric in ("seed_agreement", "sensitivity")
        if method == CONTROL and of_change:
            continue
        repeats = range(REPEATS if method == CONTROL else 1)
        rows += [
            ("d", model, seed, method, metric, operator, repeat, sequence)
            for seed, repeat, sequence in product(SEEDS, repeats, SEQUENCES)
        ]
    rows += [
        ("d", model, seed, "", "accuracy", "", 0, sequence)
        for model, seed, sequence in product(("cnn", "attngen"), SEEDS, SEQUENCES)
    ]
    names = "dataset model seed method metric operator repeat sequence".split()
    records = pd.DataFrame(rows, columns=names)
    merit = records["method"].map({"good": 1.0, "bad": -1.0}).fillna(0)
    falls = records["metric"].str.match("deletion|sensitivity")
    noise = np.random.default_rng(0).normal(size=len(records))
    records["value"] = np.where(falls, -merit, merit) + 0.3 * noise
    records["status"], records["reason"] = "ok", ""
    return as_categories(records)


def as_categories(records: pd.DataFrame) -> pd.DataFrame:
    names = "dataset model method metric operator sequence status reason".split()
    return records.astype(dict.fromkeys(names, "category"))


@pytest.fixture(scope="module")
def records() -> pd.DataFrame:
    return made()


def of(records: pd.DataFrame, random_method: str | None = "noise") -> pd.DataFrame:
    return estimates(records, facts=FACTS, random_method=random_method, data_seed=0)


@pytest.fixture(scope="module")
def frame(records: pd.DataFrame) -> pd.DataFrame:
    return of(records)


def only(frame: pd.DataFrame, **where: str) -> pd.Series:
    """The one row with these entries."""
    for name, wanted in where.items():
        frame = frame[frame[name] == wanted]
    (row,) = (row for _, row in frame.iterrows())
    return row


def slow(records: pd.DataFrame, **where: str) -> np.ndarray:
    """The values ``(seed, sequence)``, both sorted, averaged over repeats."""
    for name, wanted in where.items():
        records = records[records[name] == wanted]
    means = records.astype({"sequence": str}).groupby(["seed", "sequence"])["value"].mean()
    return means.unstack().to_numpy()


def expected(how, *values: np.ndarray, **options: bool) -> Estimate:
    return how(*values, generator=stream(0, "statistics", *values[0].shape), **options)


def assert_is(row: pd.Series, found: Estimate) -> None:
    for name in Estimate.columns():
        assert row[name] == pytest.approx(getattr(found, name), nan_ok=True), name


def test_the_columns_are_those_of_the_design(frame: pd.DataFrame) -> None:
    assert list(frame.columns) == COLUMNS
    assert COLUMNS[:7] == "question dataset model other method metric operator".split()
    assert COLUMNS[-3:] == ["p_sequences_holm", "p_seeds_holm", "rank"]


def test_every_question_is_asked_once_of_every_method_and_metric(frame: pd.DataFrame) -> None:
    asked = frame["question"].value_counts().to_dict()
    of_methods = 3 * len(METRICS)
    assert asked == {
        "value": 2 * (of_methods + 4 + 1),
        # the random method is not compared with itself on the two metrics of stability
        "against random": 2 * (of_methods - 2),
        "between models": of_methods + 1,
    }
    assert not frame.duplicated(COLUMNS[:7]).any()


def test_a_value_is_the_estimate_of_its_records(records, frame) -> None:
    where = {"model": "cnn", "method": "good", "metric": "auprc"}
    row = only(frame, question="value", **where)
    assert_is(row, expected(estimate, slow(records, **where)))
    assert row["other"] == ""


def test_the_control_of_a_sequence_is_the_mean_over_its_repeats(records, frame) -> None:
    where = {"model": "attngen", "method": CONTROL, "metric": "deletion_accuracy"}
    assert_is(only(frame, question="value", **where), expected(estimate, slow(records, **where)))


@pytest.mark.parametrize(
    ("metric", "other"),
    [
        ("auprc", CONTROL),
        ("insertion_probability", CONTROL),
        ("deletion_accuracy", CONTROL),
        ("sensitivity", "noise"),
    ],
)
def test_against_random_is_the_paired_difference_to_the_control(
    records, frame, metric, other
) -> None:
    where = {"model": "attngen", "metric": metric}
    sides = [slow(records, method="bad", **where), slow(records, method=other, **where)]
    if metric in ("deletion_accuracy", "sensitivity"):
        sides.reverse()
    row = only(frame, question="against random", method="bad", **where)
    assert row["other"] == other
    assert_is(row, expected(difference, *sides))


@pytest.mark.parametrize("metric", [metric for metric, _ in METRICS])
def test_positive_means_better_than_random(frame, metric) -> None:
    asked = {"question": "against random", "model": "cnn", "metric": metric}
    assert only(frame, method="good", **asked)["mean"] > 0.5
    assert only(frame, method="bad", **asked)["mean"] < -0.5


def test_between_models_curves_are_compared_by_their_gap_to_random(records, frame) -> None:
    metric = "deletion_logit_difference"
    gaps = [
        slow(records, model=model, method=CONTROL, metric=metric)
        - slow(records, model=model, method="good", metric=metric)
        for model in ("cnn", "attngen")
    ]
    row = only(frame, question="between models", method="good", metric=metric)
    assert (row["model"], row["other"]) == ("cnn", "attngen")
    assert_is(row, expected(difference, *gaps))


@pytest.mark.parametrize(("metric", "method"), [("auprc", "good"), ("accuracy", "")])
def test_between_models_other_values_are_compared_as_they_are(
    records, frame, metric, method
) -> None:
    sides = [
        slow(records, model=model, method=method, metric=metric) for model in ("cnn", "attngen")
    ]
    row = only(frame, question="between models", method=method, metric=metric)
    assert_is(row, expected(difference, *sides))


def test_between_models_positive_means_better_on_the_model_where_lower_is_better(records) -> None:
    worse = records.copy()
    worse.loc[worse["model"] == "attngen", "value"] += 2
    row = only(of(worse), question="between models", method="good", metric="sensitivity")
    assert row["mean"] > 1.5


def test_all_pairs_of_models_are_compared_in_order_of_appearance(records) -> None:
    third = records[records["model"] == "cnn"].astype({"model": str}).assign(model="a third")
    found = of(pd.concat([records, third], ignore_index=True))
    pairs = found.loc[found["question"] == "between models", ["model", "other"]]
    assert list(pairs.drop_duplicates().itertuples(index=False, name=None)) == [
        ("cnn", "attngen"),
        ("cnn", "a third"),
        ("attngen", "a third"),
    ]


def test_seed_agreement_has_intervals_over_sequences_only(records, frame) -> None:
    rows = frame[frame["metric"] == "seed_agreement"]
    assert len(rows) == 3 * 2 + 2 * 2 + 3
    np.testing.assert_array_equal(rows["low"], rows["sequences_low"])
    assert rows["p_seeds"].isna().all()
    assert rows["reason"].str.contains("over sequences only").all()


def test_stability_without_the_random_method_is_undefined_with_the_reason(records) -> None:
    found = of(records[records["method"] != "noise"], random_method=None)
    row = only(found, question="against random", model="cnn", method="good", metric="sensitivity")
    assert row["other"] == "random"
    assert np.isnan(row["mean"])
    assert row["reason"] == "there are no values of random on cnn"


def test_holm_runs_over_the_methods_within_a_model(frame) -> None:
    asked = frame[
        (frame["question"] == "against random")
        & (frame["model"] == "cnn")
        & (frame["metric"] == "insertion_probability")
    ]
    assert len(asked) == 3
    np.testing.assert_allclose(asked["p_sequences_holm"], holm(asked["p_sequences"]))
    np.testing.assert_allclose(asked["p_seeds_holm"], holm(asked["p_seeds"]))


def test_rank_one_is_the_best_method_within_a_model(frame) -> None:
    ranked = frame[frame["method"].isin(["good", "bad", "noise"])]
    ranked = ranked[ranked["question"] == "value"]
    assert (ranked.groupby("method")["rank"].nunique() == 1).all()
    assert dict(zip(ranked["method"], ranked["rank"], strict=True)) == {
        "good": 1,
        "noise": 2,
        "bad": 3,
    }


def test_against_random_ranks_as_the_leaderboard(frame) -> None:
    board = frame[
        (frame["question"] == "against random")
        & (frame["metric"] == "deletion_logit_difference")
        & (frame["model"] == "attngen")
    ].set_index("method")
    assert board["rank"].to_dict() == {"good": 1, "noise": 2, "bad": 3}


def test_neither_the_control_nor_the_model_nor_a_pair_of_models_is_ranked(frame) -> None:
    unranked = frame["method"].isin([CONTROL, ""]) | (frame["question"] == "between models")
    assert frame.loc[unranked, "rank"].isna().all()
    assert frame.loc[~unranked, "rank"].notna().all()


@pytest.mark.parametrize("status", ["failed", "not applicable"])
def test_a_method_without_values_has_rows_of_nan_with_the_reason(records, status) -> None:
    gone = (records["method"] == "bad") & (records["model"] == "cnn")
    broken = records.astype({"status": str, "reason": str})
    broken.loc[gone, ["value", "status", "reason"]] = [np.nan, status, "no attention"]
    found = of(as_categories(broken))
    rows = found[(found["method"] == "bad") & (found["model"] == "cnn")]
    assert set(rows["question"]) == {"value", "against random", "between models"}
    assert rows["mean"].isna().all()
    assert rows["rank"].isna().all()
    assert rows["reason"].str.startswith(f"{status}: no attention").all()
    best = only(found, question="value", model="cnn", method="good", metric="auprc")
    assert best["rank"] == 1


def test_a_failed_method_without_a_metric_has_one_row(records) -> None:
    failed = records.iloc[[0]].astype(object).assign(
        method="broken", metric="", operator="", sequence="", value=np.nan, status="failed",
        reason="it raised",
    )  # fmt: skip
    found = of(pd.concat([records.astype(object), failed], ignore_index=True))
    row = only(found, method="broken")
    assert (row["question"], row["reason"]) == ("value", "failed: it raised")


def test_a_seed_that_failed_is_left_out_and_named(records) -> None:
    gone = (records["method"] == "good") & (records["model"] == "cnn") & (records["seed"] == 10)
    broken = records.astype({"status": str, "reason": str})
    broken.loc[gone, ["value", "status", "reason"]] = [np.nan, "failed", "out of memory"]
    found = of(broken)
    for question in ("value", "against random", "between models"):
        row = only(found, question=question, model="cnn", method="good", metric="auprc")
        assert (row["seeds"], row["sequences"]) == (2, 8)
        assert row["reason"] == "failed: out of memory"


def test_a_model_without_the_methods_values_is_not_compared(records) -> None:
    kept = (records["method"] != "good") | (records["model"] == "cnn")
    row = only(of(records[kept]), question="between models", method="good", metric="auprc")
    assert np.isnan(row["mean"])
    assert row["reason"] == "there are no values of good on attngen"


def test_pairs_are_of_the_sequences_that_both_have(records) -> None:
    few = ~((records["method"] == "good") & records["sequence"].isin(["a", "f", "g"]))
    row = only(
        of(records[few]), question="against random", model="cnn", method="good", metric="auprc"
    )
    assert (row["sequences"], row["undefined"]) == (5, 0)
    kept = records[records["sequence"].isin(list("bchde"))]
    sides = [slow(kept, model="cnn", method=name, metric="auprc") for name in ("good", CONTROL)]
    assert_is(row, expected(difference, *sides))


def test_undefined_values_are_counted(records) -> None:
    holed = records.copy()
    where = (holed["method"] == "good") & (holed["metric"] == "auprc") & (holed["model"] == "cnn")
    holed.loc[where & holed["sequence"].isin(["a"]), "value"] = np.nan
    row = only(of(holed), question="value", model="cnn", method="good", metric="auprc")
    assert (row["undefined"], row["sequences"]) == (3, 7)


def test_one_seed_has_no_headline_and_says_so(records) -> None:
    found = of(records[records["seed"] == 1])
    assert (
        found[["low", "high", "p_seeds", "p_seeds_holm"]]
        .drop(index=found.index[found["metric"] == "seed_agreement"])
        .isna()
        .all(axis=None)
    )
    assert found["sequences_low"].notna().all()
    assert found["reason"].str.contains("seed").all()


def test_an_estimate_does_not_depend_on_the_order_of_the_records(records, frame) -> None:
    names = COLUMNS[:7]
    mixed = of(records.sample(frac=1, random_state=0))
    same = frame["question"] != "between models"  # which of two models comes first may change
    merged = frame[same].merge(mixed, on=names, suffixes=("", "_mixed"))
    assert len(merged) == same.sum()
    for name in COLUMNS[7:]:
        if name != "reason":
            np.testing.assert_allclose(merged[name], merged[f"{name}_mixed"], rtol=1e-9)


def test_an_estimate_does_not_depend_on_other_methods(records, frame) -> None:
    alone = of(records[records["method"].isin(["good", CONTROL])])
    where = {"question": "against random", "model": "cnn", "method": "good", "metric": "auprc"}
    names = Estimate.columns()
    assert only(alone, **where)[names].to_dict() == only(frame, **where)[names].to_dict()


def test_another_data_seed_draws_anew(records, frame) -> None:
    other = estimates(records, facts=FACTS, random_method="noise", data_seed=1)
    assert (other["mean"] == frame["mean"]).all()
    assert (other["sequences_low"] != frame["sequences_low"]).any()


def test_the_longest_label_names_a_curve_metric(records) -> None:
    facts = {**FACTS, "deletion_logit": FACTS["insertion"]}
    turned = estimates(records, facts=facts, random_method="noise", data_seed=0)
    asked = {"question": "against random", "model": "cnn", "method": "good"}
    assert only(turned, metric="deletion_logit_difference", **asked)["mean"] < 0
    assert only(turned, metric="deletion_accuracy", **asked)["mean"] > 0


def test_p_seeds_is_the_paired_t_test_of_scipy(records, frame) -> None:
    sides = [
        slow(records, model="cnn", method=method, metric="auprc").mean(axis=1)
        for method in ("noise", CONTROL)
    ]
    row = only(frame, question="against random", model="cnn", method="noise", metric="auprc")
    assert row["p_seeds"] == pytest.approx(stats.ttest_rel(*sides).pvalue)


def test_no_records_answer_no_question(records) -> None:
    assert list(of(records.iloc[:0]).columns) == COLUMNS
    assert len(of(records.iloc[:0])) == 0


def test_least_relevant_first_signed_and_unsigned_methods_are_families_of_their_own(records):
    facts = {**FACTS, "insertion": replace(FACTS["insertion"], needs_least_relevant_first=True)}
    signed = {"good": True, "bad": False, "noise": False}
    found = estimates(
        records, facts=facts, random_method="noise", data_seed=0, signed=signed
    ).query("question == 'against random' and model == 'cnn'")
    insertion = found[found.metric == "insertion_probability"].set_index("method")
    assert insertion["rank"].to_dict() == {"good": 1, "noise": 1, "bad": 2}
    assert insertion.p_seeds_holm["good"] == insertion.p_seeds["good"]
    deletion = found[found.metric == "deletion_accuracy"].set_index("method")
    assert deletion["rank"].to_dict() == {"good": 1, "noise": 2, "bad": 3}
