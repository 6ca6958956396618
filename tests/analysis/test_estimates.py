"""From records to estimates."""

from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from xaibench.analysis import estimates as questions
from xaibench.analysis.run_values import values_of_run
from xaibench.explanation.controls import ORACLE, PRIORS
from xaibench.protocols import MetricFacts, OfChange, OfCurves, OfExplanation
from xaibench.results.schema import columns_of
from xaibench.statistics.corrections import holm
from xaibench.statistics.means import of_differences, of_values
from xaibench.statistics.ratios import of_ratio
from xaibench.statistics.resampling import Resampling
from xaibench.values import Estimate

COLUMNS = columns_of("estimates")
CONTROL = "random control"
ANY = (-np.inf, np.inf)
BOTH_ORDERS = OfCurves(needs_least_relevant_first=True)
FACTS = {
    "deletion": MetricFacts("faithfulness", "lower", ANY, OfCurves()),
    "insertion": MetricFacts("faithfulness", "higher", ANY, OfCurves()),
    "auprc": MetricFacts("localisation", "higher", ANY, OfExplanation(needs_motif=True)),
    "seed_agreement": MetricFacts("stability", "higher", ANY, OfChange("seed")),
    "sensitivity": MetricFacts("stability", "lower", ANY, OfChange("substitutions")),
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


STABILITY = ("seed_agreement", "sensitivity")
SPOILT = ("rotated", "negated", "blurred")


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
    records = pd.DataFrame(rows, columns=names).assign(control="")
    return with_values(records, records["method"].map({"good": 1.0, "bad": -1.0}).fillna(0))


def with_values(records: pd.DataFrame, merit: pd.Series, source: int = 0) -> pd.DataFrame:
    """A merit turned round where lower is better, and noise."""
    falls = records["metric"].str.match("deletion|sensitivity")
    noise = np.random.default_rng(source).normal(size=len(records))
    records["value"] = np.where(falls, -merit, merit) + 0.3 * noise
    records["status"], records["reason"] = "ok", ""
    return as_categories(records)


def controls() -> pd.DataFrame:
    """On 5 of the sequences: the methods' maps spoilt, the oracle, its spoilt maps, the priors;
    and for one metric of a change the mean map."""
    merits = {
        **dict(zip(product(["good"], SPOILT), (0, -1, 0.5), strict=True)),
        **dict(zip(product(["bad"], SPOILT), (0, 1, -0.5), strict=True)),
        **dict.fromkeys(product(["noise"], SPOILT), 0),
        **{(ORACLE, ""): 2, (ORACLE, "negated"): -2, (ORACLE, "blurred"): 1},
    }
    asked = [
        (*source, *metric, merit) for source, merit in merits.items() for metric in METRICS[:4]
    ]
    asked += [(name, "", "auprc", "", 0.5) for name in PRIORS]
    asked += [(name, "mean map", "sensitivity", "", 3) for name in ("good", "bad", "noise")]
    rows = [
        ("d", model, seed, *what[:4], 0, sequence, what[4])
        for model, what, seed, sequence in product(("cnn", "attngen"), asked, SEEDS, SEQUENCES[:5])
    ]
    names = "dataset model seed method control metric operator repeat sequence merit".split()
    records = pd.DataFrame(rows, columns=names)
    return with_values(records.drop(columns="merit"), records["merit"], source=1)


def as_categories(records: pd.DataFrame) -> pd.DataFrame:
    names = "dataset model method control metric operator sequence status reason".split()
    return records.astype(dict.fromkeys(names, "category"))


@pytest.fixture(scope="module")
def records() -> pd.DataFrame:
    return made()


def estimates(
    records: pd.DataFrame,
    *,
    signed: dict[str, bool] | None = None,
    reference: str | None = None,
    **options,
) -> pd.DataFrame:
    return questions.estimates(
        values_of_run(records, **options), signed=signed, reference=reference
    )


def of(records: pd.DataFrame, random_method: str | None = "noise", **options) -> pd.DataFrame:
    return estimates(records, facts=FACTS, random_method=random_method, data_seed=0, **options)


@pytest.fixture(scope="module")
def frame(records: pd.DataFrame) -> pd.DataFrame:
    return of(records)


@pytest.fixture(scope="module")
def full(records: pd.DataFrame) -> pd.DataFrame:
    return as_categories(pd.concat([records, controls()], ignore_index=True))


@pytest.fixture(scope="module")
def answered(full: pd.DataFrame) -> pd.DataFrame:
    return of(full)


def only(frame: pd.DataFrame, **where: str) -> pd.Series:
    """The one row with these entries."""
    for name, wanted in where.items():
        frame = frame[frame[name] == wanted]
    (row,) = (row for _, row in frame.iterrows())
    return row


def slow(records: pd.DataFrame, **where: str) -> np.ndarray:
    """The values ``(seed, sequence)``, both sorted, averaged over repeats."""
    for name, wanted in {"control": "", **where}.items():
        records = records[records[name] == wanted]
    means = records.astype({"sequence": str}).groupby(["seed", "sequence"])["value"].mean()
    return means.unstack().to_numpy()


def difference(first: np.ndarray, second: np.ndarray, **options: bool) -> Estimate:
    return of_differences(first - second, **options)


def assert_is(row: pd.Series, found: Estimate) -> None:
    for name in Estimate.columns():
        assert row[name] == pytest.approx(getattr(found, name), nan_ok=True), name


def test_the_columns_are_those_of_the_design(frame: pd.DataFrame) -> None:
    assert list(frame.columns) == COLUMNS
    assert COLUMNS[:7] == "question dataset model other method metric operator".split()
    assert COLUMNS[-4:] == ["p_holm", "p_sequences_holm", "p_seeds_holm", "rank"]


def test_every_question_is_asked_once_of_every_method_and_metric(frame: pd.DataFrame) -> None:
    asked = frame["question"].value_counts().to_dict()
    of_methods = 3 * len(METRICS)
    assert asked == {
        "value": 2 * (of_methods + 4 + 1),
        # the random method is not compared with itself on the two metrics of stability
        "against random": 2 * (of_methods - 2),
        "between models": of_methods + 1,
        # nothing is ranked on the two metrics of stability, and the best not held against itself
        "against best": 2 * 2 * (len(METRICS) - 2),
    }
    assert not frame.duplicated(COLUMNS[:7]).any()


def test_a_value_is_the_estimate_of_its_records(records, frame) -> None:
    where = {"model": "cnn", "method": "good", "metric": "auprc"}
    row = only(frame, question="value", **where)
    assert_is(row, of_values(slow(records, **where)))
    assert row["other"] == ""


def test_the_control_of_a_sequence_is_the_mean_over_its_repeats(records, frame) -> None:
    where = {"model": "attngen", "method": CONTROL, "metric": "deletion_accuracy"}
    assert_is(only(frame, question="value", **where), of_values(slow(records, **where)))


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
    assert_is(row, difference(*sides))


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
    assert_is(row, difference(*gaps))


@pytest.mark.parametrize(("metric", "method"), [("auprc", "good"), ("accuracy", "")])
def test_between_models_other_values_are_compared_as_they_are(
    records, frame, metric, method
) -> None:
    sides = [
        slow(records, model=model, method=method, metric=metric) for model in ("cnn", "attngen")
    ]
    row = only(frame, question="between models", method=method, metric=metric)
    assert_is(row, difference(*sides))


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
    ranked = ranked[(ranked["question"] == "value") & ~ranked["metric"].isin(STABILITY)]
    assert (ranked.groupby("method")["rank"].nunique() == 1).all()
    assert dict(zip(ranked["method"], ranked["rank"], strict=True)) == {
        "good": 1,
        "noise": 2,
        "bad": 3,
    }


def test_methods_asked_about_different_sequences_are_ranked_by_those_they_share(records) -> None:
    """``bad`` was not asked about the hard ones, on which ``good`` falls below it."""
    hard = ~records["sequence"].isin(["b", "c"])
    few = records[~(hard & (records["method"] == "bad"))].copy()
    few.loc[hard & (few["method"] == "good") & (few["metric"] == "auprc"), "value"] -= 10
    found = of(few)
    rows = found[(found["metric"] == "auprc") & (found["model"] == "cnn")]
    for question in ("value", "against random"):
        board = rows[rows["question"] == question].set_index("method")
        assert board["mean"]["good"] < board["mean"]["bad"]
        assert board["rank"][["good", "noise", "bad"]].tolist() == [1, 2, 3]
    assert set(rows[rows["question"] == "against best"]["other"]) == {"good"}


def test_against_random_ranks_as_the_leaderboard(frame) -> None:
    board = frame[
        (frame["question"] == "against random")
        & (frame["metric"] == "deletion_logit_difference")
        & (frame["model"] == "attngen")
    ].set_index("method")
    assert board["rank"].to_dict() == {"good": 1, "noise": 2, "bad": 3}


def test_neither_the_control_nor_the_model_nor_a_pair_of_models_is_ranked(frame) -> None:
    unranked = frame["method"].isin([CONTROL, ""]) | (frame["question"] == "between models")
    unranked |= frame["metric"].isin(STABILITY) | (frame["question"] == "against best")
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
    assert_is(row, difference(*sides))


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
    assert found["reason"].str.contains("one replicate|compare seeds").all()


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


def test_estimates_do_not_depend_on_the_data_seed(records, frame) -> None:
    other = estimates(records, facts=FACTS, random_method="noise", data_seed=1)
    pd.testing.assert_frame_equal(other, frame, check_exact=True)


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
    facts = {**FACTS, "insertion": replace(FACTS["insertion"], kind=BOTH_ORDERS)}
    signed = {"good": True, "bad": False, "noise": False}
    found = estimates(
        records, facts=facts, random_method="noise", data_seed=0, signed=signed
    ).query("question == 'against random' and model == 'cnn'")
    insertion = found[found.metric == "insertion_probability"].set_index("method")
    assert insertion["rank"].to_dict() == {"good": 1, "noise": 1, "bad": 2}
    assert insertion.p_seeds_holm["good"] == insertion.p_seeds["good"]
    deletion = found[found.metric == "deletion_accuracy"].set_index("method")
    assert deletion["rank"].to_dict() == {"good": 1, "noise": 2, "bad": 3}


# The best and the reference


@pytest.mark.parametrize("metric", ["deletion_logit_difference", "insertion_probability", "auprc"])
def test_against_best_is_the_paired_difference_to_the_method_of_rank_one(records, frame, metric):
    rows = frame.query("question == 'against best' and model == 'cnn' and metric == @metric")
    assert dict(zip(rows["method"], rows["other"], strict=True)) == {"bad": "good", "noise": "good"}
    sides = [slow(records, model="cnn", method=name, metric=metric) for name in ("bad", "good")]
    if metric.startswith("deletion"):
        sides.reverse()
    assert_is(only(rows, method="bad"), difference(*sides))
    assert (rows["mean"] < 0).all()
    np.testing.assert_allclose(rows["p_seeds_holm"], holm(rows["p_seeds"]))


def test_a_metric_that_fails_its_self_test_has_no_best(full) -> None:
    turned = full.copy()
    oracle = (turned["method"] == ORACLE) & (turned["metric"] == "auprc")
    turned.loc[oracle, "value"] *= -1
    rows = of(turned, reference="good").query("metric == 'auprc'")
    assert not {"against best", "against reference"} & {*rows["question"]}


def test_against_reference_is_the_paired_difference_to_the_method_that_is_named(records, frame):
    found = of(records, reference="noise")
    rows = found[found["question"] == "against reference"]
    assert set(rows["other"]) == {"noise"}
    assert set(rows["method"]) == {"good", "bad"}
    assert len(rows) == 2 * 2 * (len(METRICS) - 2)
    where = {"model": "attngen", "metric": "auprc"}
    sides = [slow(records, method=name, **where) for name in ("good", "noise")]
    assert_is(only(rows, method="good", **where), difference(*sides))
    rest = found[found["question"] != "against reference"].reset_index(drop=True)
    pd.testing.assert_frame_equal(rest, frame)


def test_a_reference_without_values_gives_rows_of_nan_with_the_reason(records) -> None:
    kept = records[(records["method"] != "bad") | (records["model"] != "cnn")]
    rows = of(kept, reference="bad").query("question == 'against reference' and model == 'cnn'")
    assert set(rows["method"]) == {"good", "noise"}
    assert rows["mean"].isna().all()
    assert set(rows["reason"]) == {"there are no values of bad on cnn"}


def test_a_method_is_compared_with_the_best_and_the_reference_of_its_own_family(records) -> None:
    facts = {**FACTS, "insertion": replace(FACTS["insertion"], kind=BOTH_ORDERS)}
    signed = {"good": True, "bad": False, "noise": False}
    found = estimates(
        records, facts=facts, random_method="noise", data_seed=0, signed=signed, reference="bad"
    ).query("model == 'cnn' and metric == 'insertion_probability'")
    for question, pair in (
        ("against best", ("bad", "noise")),
        ("against reference", ("noise", "bad")),
    ):
        row = only(found, question=question)
        assert (row["method"], row["other"]) == pair


# Groups


def test_whole_groups_are_resampled_where_they_are_given(records, frame) -> None:
    groups = dict(zip(SEQUENCES, "xxyyyzzz", strict=True))
    found = of(records, groups=groups)
    where = {"model": "cnn", "method": "good", "metric": "auprc"}
    row = only(found, question="value", **where)
    # numbered in the order of the sequences, which panels sort by name: a b c d e f g h
    clusters = np.array([list(dict.fromkeys(groups[name] for name in sorted(groups))).index(
        groups[name]) for name in sorted(groups)])  # fmt: skip
    assert_is(row, of_values(slow(records, **where), Resampling(clusters=clusters)))
    single = only(frame, question="value", **where)
    assert row["mean"] == single["mean"]
    assert row["sequences_low"] != single["sequences_low"]


def test_a_sequence_without_a_group_is_resampled_alone(records) -> None:
    every = dict(zip(SEQUENCES, SEQUENCES, strict=True))
    some = {name: name for name in "abc"}
    pd.testing.assert_frame_equal(of(records, groups=every), of(records, groups=some))


def test_groups_of_undefined_values_are_not_drawn(full) -> None:
    """Five of the eight sequences have an oracle; the groups are those of these."""
    groups = dict(zip(SEQUENCES, "xxyyyzzz", strict=True))
    rows = of(full, groups=groups).query("question == 'normalised' and metric == 'auprc'")
    assert rows["mean"].notna().all()
    assert (rows["sequences"] == 5).all()


# Controls, the oracle and the self-test


def test_values_are_those_of_maps_as_they_are(full, answered) -> None:
    values = answered[(answered["question"] == "value") & (answered["model"] == "cnn")]
    assert not values.duplicated(["method", "metric", "operator"]).any()
    assert set(values["method"]) == {"good", "bad", "noise", CONTROL, "", ORACLE, *PRIORS}
    where = {"model": "cnn", "method": ORACLE, "metric": "auprc"}
    assert_is(only(values, **where), of_values(slow(full, **where)))


def test_controls_change_nothing_of_what_is_asked_without_them(frame, answered) -> None:
    names = COLUMNS[:7]
    merged = frame.merge(answered, on=names, suffixes=("", "_again"), how="left")
    for name in COLUMNS[7:]:
        pd.testing.assert_series_equal(
            merged[name], merged[f"{name}_again"], check_names=False, check_exact=True
        )


@pytest.mark.parametrize(
    ("metric", "other"),
    [("insertion_probability", "rotated"), ("deletion_accuracy", "negated"), ("auprc", "blurred")],
)
def test_against_control_is_the_paired_difference_to_the_methods_own_spoilt_map(
    full, answered, metric, other
) -> None:
    where = {"model": "attngen", "method": "good", "metric": metric}
    kept = full[full["sequence"].isin(SEQUENCES[:5])]
    sides = [slow(kept, **where), slow(kept, control=other, **where)]
    if metric == "deletion_accuracy":
        sides.reverse()
    row = only(answered, question="against control", other=other, **where)
    assert_is(row, difference(*sides))
    assert (row["mean"] > 0, row["sequences"]) == (True, 5)


@pytest.mark.parametrize("prior", PRIORS)
def test_against_control_compares_localisation_with_each_prior(full, answered, prior) -> None:
    where = {"model": "cnn", "metric": "auprc"}
    kept = full[full["sequence"].isin(SEQUENCES[:5])]
    sides = [slow(kept, method=name, **where) for name in ("bad", prior)]
    row = only(answered, question="against control", other=prior, method="bad", **where)
    assert_is(row, difference(*sides))
    assert set(answered[answered["other"] == prior]["metric"]) == {"auprc"}


def test_stability_is_held_against_random_and_against_the_mean_map(answered) -> None:
    where = {"model": "cnn", "method": "good", "metric": "sensitivity"}
    rows = answered[np.logical_and.reduce([answered[name] == is_ for name, is_ in where.items()])]
    against = rows[rows["question"].str.startswith("against")].set_index("other")["mean"]
    assert set(against.index) == {"noise", "mean map"}
    assert against["noise"] > 0 > against["mean map"]


def test_holm_runs_over_the_methods_against_one_control(answered) -> None:
    asked = answered.query("question == 'against control' and model == 'cnn' and metric == 'auprc'")
    assert asked["other"].value_counts().to_dict() == dict.fromkeys((*SPOILT, *PRIORS), 3)
    for _, rows in asked.groupby("other"):
        np.testing.assert_allclose(rows["p_seeds_holm"], holm(rows["p_seeds"]))


@pytest.mark.parametrize(
    "question", ["against control", "normalised", "normalised between models", "self-test"]
)
def test_what_is_asked_of_controls_ranks_nothing(answered, question) -> None:
    assert answered.loc[answered["question"] == question, "rank"].isna().all()


def test_the_oracle_and_the_priors_are_no_methods(answered) -> None:
    rows = answered[answered["method"].isin([ORACLE, *PRIORS])]
    assert set(rows["question"]) == {"value", "self-test"}
    assert rows["rank"].isna().all()


@pytest.mark.parametrize("status", ["failed", "not applicable"])
def test_a_control_without_values_is_a_row_of_nan_with_the_reason(full, status) -> None:
    broken = full.astype({"status": str, "reason": str})
    gone = broken["control"] == "rotated"
    broken.loc[gone, ["value", "status", "reason"]] = [np.nan, status, "one position"]
    row = only(
        of(as_categories(broken)),
        question="against control", other="rotated", model="cnn", method="good", metric="auprc",
    )  # fmt: skip
    assert np.isnan(row["mean"])
    assert row["reason"] == f"{status}: one position"


@pytest.mark.parametrize("metric", ["deletion_logit_difference", "auprc"])
def test_normalised_is_the_ratio_of_mean_gaps_to_random(full, answered, metric) -> None:
    where = {"model": "cnn", "metric": metric}
    kept = full[full["sequence"].isin(SEQUENCES[:5])]
    random, oracle, good = (slow(kept, method=name, **where) for name in (CONTROL, ORACLE, "good"))
    sign = 1 if metric == "auprc" else -1
    found = of_ratio(sign * (good - random), sign * (oracle - random))
    row = only(answered, question="normalised", method="good", **where)
    assert_is(row, found)
    assert row["mean"] == pytest.approx(0.5, abs=0.2)
    assert (row["other"], row["sequences"], row["seeds"]) == (ORACLE, 5, 3)


@pytest.mark.parametrize(("source", "share"), [(CONTROL, 0), (ORACLE, 1)])
def test_normalised_is_zero_for_random_and_one_for_the_oracle(full, source, share) -> None:
    copied = full[(full["method"] == source) & (full["control"] == "") & (full["repeat"] == 0)]
    single = full[(full["method"] != CONTROL) | (full["repeat"] == 0)]
    copied = copied.astype({"method": str}).assign(method="copy")
    found = of(pd.concat([single, copied], ignore_index=True))
    rows = found[(found["question"] == "normalised") & (found["method"] == "copy")]
    assert len(rows) == 2 * 4
    np.testing.assert_array_equal(rows["mean"], share)
    np.testing.assert_allclose(rows[["low", "high"]], share, atol=1e-12)


def test_normalised_is_undefined_where_the_oracle_is_not_above_random(full) -> None:
    blind = full.copy()
    where = (blind["method"] == ORACLE) & (blind["metric"] == "auprc")
    blind.loc[where, "value"] = np.random.default_rng(3).normal(size=where.sum())
    found = of(blind)
    row = only(found, question="normalised", model="cnn", method="good", metric="auprc")
    assert np.isnan(row["mean"])
    assert row["reason"] == "the interval of oracle minus random includes 0: no ratio"
    assert (row["sequences"], row["seeds"]) == (5, 3)


def test_normalised_says_why_there_is_no_oracle_where_one_was_wanted(full) -> None:
    broken = full.astype({"status": str, "reason": str})
    gone = broken["method"] == ORACLE
    broken.loc[gone, ["value", "status", "reason"]] = [np.nan, "failed", "out of memory"]
    found = of(as_categories(broken))
    row = only(found, question="normalised", model="cnn", method="good", metric="auprc")
    assert np.isnan(row["mean"])
    assert row["reason"] == "failed: out of memory"


@pytest.mark.parametrize("metric", ["deletion_logit_difference", "auprc"])
def test_normalised_scores_of_two_models_are_compared(full, answered, metric) -> None:
    where = {"method": "good", "metric": metric}
    row = only(
        answered, question="normalised between models", model="cnn", other="attngen", **where
    )
    shares = [
        only(answered, question="normalised", model=model, **where)["mean"]
        for model in ("cnn", "attngen")
    ]
    assert row["mean"] == pytest.approx(shares[0] - shares[1])
    assert row["low"] < row["mean"] < row["high"]
    assert 0 < row["p_seeds"] <= row["p_seeds_holm"] <= 1


def test_the_scale_of_a_model_changes_no_normalised_comparison(full, answered) -> None:
    """Its gap to the other model's does change."""
    louder = full.copy()
    here = (louder["model"] == "attngen") & (louder["metric"] == "deletion_logit_difference")
    louder.loc[here, "value"] *= 7
    found = of(louder)
    where = {"model": "cnn", "method": "good", "metric": "deletion_logit_difference"}
    one, other = (
        only(each, question="normalised between models", **where) for each in (answered, found)
    )
    assert other[["mean", "low", "high"]].tolist() == pytest.approx(
        one[["mean", "low", "high"]].tolist()
    )
    one, other = (only(each, question="between models", **where) for each in (answered, found))
    assert abs(other["mean"]) > 2 * abs(one["mean"])


def test_the_interval_of_a_value_ends_where_the_metric_does(full) -> None:
    """Three seeds whose means are .7, .9 and 1: t reaches to 1.25."""
    high = full.copy()
    for seed, value in zip(sorted(high["seed"].unique()), (0.7, 0.9, 1.0), strict=True):
        high.loc[(high["seed"] == seed) & (high["metric"] == "auprc"), "value"] = value
    facts = {**FACTS, "auprc": replace(FACTS["auprc"], range=(0, 1))}
    found = estimates(high, facts=facts, random_method="noise", data_seed=0)
    row = only(found, question="value", model="cnn", method="good", metric="auprc")
    assert row["high"] == 1
    assert row["low"] == pytest.approx(0.8667 - 4.3027 * 0.1528 / 3**0.5, abs=1e-3)


def test_without_an_oracle_nothing_is_normalised_or_tested(frame) -> None:
    normalised = {"normalised", "normalised between models"}
    assert not {*normalised, "self-test", "against control"} & {*frame["question"]}


@pytest.mark.parametrize("metric", ["deletion_logit_difference", "insertion_probability", "auprc"])
def test_the_self_test_is_three_paired_differences(full, answered, metric) -> None:
    rows = answered.query("question == 'self-test' and model == 'cnn' and metric == @metric")
    sources = [(ORACLE, ""), (CONTROL, ""), (ORACLE, "negated"), (ORACLE, "blurred")]
    kept = full[full["sequence"].isin(SEQUENCES[:5])]
    oracle, random, negated, blurred = (
        slow(kept, model="cnn", metric=metric, method=method, control=control)
        for method, control in sources
    )
    sign = -1 if metric.startswith("deletion") else 1
    wanted = {
        (ORACLE, CONTROL): sign * (oracle - random),
        (CONTROL, f"{ORACLE}, negated"): sign * (random - negated),
        (ORACLE, f"{ORACLE}, blurred"): sign * (oracle - blurred),
    }
    assert list(zip(rows["method"], rows["other"], strict=True)) == list(wanted)
    for (_, row), values in zip(rows.iterrows(), wanted.values(), strict=True):
        assert_is(row, difference(values, np.zeros_like(values)))
        assert row["mean"] > 0


def test_a_spoilt_oracle_that_is_missing_is_named(full) -> None:
    found = of(full[(full["method"] != ORACLE) | (full["control"] != "negated")])
    row = only(found, question="self-test", other="oracle, negated", model="cnn", metric="auprc")
    assert row["reason"] == "there are no values of oracle, negated on cnn"


def test_a_metric_that_fails_its_self_test_ranks_nothing_on_that_model_and_operator(full) -> None:
    other = full.astype({"operator": str})
    other = other[other["operator"] == "uniform"].assign(operator="n")
    blind = pd.concat([full.astype({"operator": str}), other], ignore_index=True)
    where = (blind["method"] == ORACLE) & (blind["metric"] == "deletion_accuracy")
    where &= (blind["model"] == "cnn") & (blind["operator"] == "n")
    blind.loc[where, "value"] = 0.0
    found = of(blind)
    ranked = found[found["rank"].notna() & (found["metric"] == "deletion_accuracy")]
    places = ranked[["question", "model", "operator"]].drop_duplicates()
    assert sorted(places.itertuples(index=False, name=None)) == sorted(
        (question, *place)
        for question in ("value", "against random")
        for place in (("cnn", "uniform"), ("attngen", "uniform"), ("attngen", "n"))
    )


def test_a_self_test_without_an_answer_leaves_the_ranks(full, answered) -> None:
    unknown = of(full[(full["method"] != ORACLE) | (full["control"] != "negated")])
    asked = {"question": "value", "model": "cnn", "method": "good", "metric": "auprc"}
    assert only(unknown, **asked)["rank"] == only(answered, **asked)["rank"] == 1


# What metrics say of themselves


@pytest.mark.parametrize("family", ["stability", "randomisation", "complexity"])
def test_what_a_useless_map_can_win_ranks_nothing(records, family) -> None:
    facts = {**FACTS, "auprc": replace(FACTS["auprc"], family=family)}
    found = estimates(records, facts=facts, random_method="noise", data_seed=0)
    assert found.loc[found["metric"] == "auprc", "rank"].isna().all()
    assert found.loc[found["metric"] == "deletion_accuracy", "rank"].notna().any()


def test_a_family_of_a_plug_ins_own_is_ranked(records, frame) -> None:
    facts = {**FACTS, "auprc": replace(FACTS["auprc"], family="own")}
    found = estimates(records, facts=facts, random_method="noise", data_seed=0)
    pd.testing.assert_series_equal(found["rank"], frame["rank"])


def test_a_number_that_is_no_merit_is_compared_between_models_alone(full) -> None:
    names = ("auprc", "deletion")
    facts = {**FACTS, **{name: replace(FACTS[name], better="neither") for name in names}}
    found = estimates(full, facts=facts, random_method="noise", data_seed=0)
    found = found[found["metric"].isin(["auprc", "deletion_accuracy"])]
    assert set(found["question"]) == {"value", "between models"}
    assert found["rank"].isna().all()
    for metric in ("auprc", "deletion_accuracy"):
        sides = [
            slow(full, model=model, method="good", metric=metric) for model in ("cnn", "attngen")
        ]
        row = only(found, question="between models", method="good", metric=metric)
        assert_is(row, difference(*sides))


def test_a_curve_metric_of_one_quantity_is_recorded_as_its_label(records) -> None:
    curves = MetricFacts("faithfulness", "lower", (0, 1), OfCurves(quantities=("accuracy",)))
    facts = {**FACTS, "flip_rate": curves, "flip": curves}
    renamed = records.astype({"metric": str})
    names = {"auprc": "flip_rate", "deletion_accuracy": "flip_size"}
    renamed["metric"] = renamed["metric"].replace(names)
    found = estimates(renamed, facts=facts, random_method="noise", data_seed=0)
    asked = {"model": "cnn", "method": "good"}
    row = only(found, question="against random", metric="flip_rate", **asked)
    assert row["mean"] < 0
    # nothing is known of what only begins like the label of another
    unknown = found[found["metric"] == "flip_size"]
    assert set(unknown["question"]) == {"value"}
    assert unknown["rank"].isna().all()
