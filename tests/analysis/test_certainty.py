"""How sure a run is, against numbers made by hand, by scipy and by slow twins."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from xaibench.analysis.certainty.power import detectable_table as power
from xaibench.analysis.certainty.rank_tests import ranks
from xaibench.analysis.certainty.significance import tests as significance
from xaibench.analysis.certainty.variance import variance
from xaibench.analysis.estimates import estimates
from xaibench.analysis.run_values import RunValues, values_of_run
from xaibench.protocols import MetricFacts, OfCurves, OfExplanation
from xaibench.results.schema import columns_of
from xaibench.statistics.corrections import holm
from xaibench.statistics.power import detectable_difference
from xaibench.statistics.ranks import critical_difference
from xaibench.statistics.variance_components import terms

PRIMARY, CONTROL = "deletion_logit_difference", "random control"
FACTS = {
    "deletion": MetricFacts("faithfulness", "lower", (-np.inf, np.inf), OfCurves()),
    "auprc": MetricFacts("localisation", "higher", (0, 1), OfExplanation(needs_motif=True)),
}
SEEDS, SEQUENCES, DRAWS = (3, 4, 11), 7, 2
MERIT = {"good": 2.0, "fair": 1.9, "bad": 0.3}


def made(
    operators: tuple[str, ...] = ("n", "uniform"), seeds: tuple[int, ...] = SEEDS
) -> pd.DataFrame:
    """Two models, three methods and the control, seven sequences and nine for the accuracy."""
    random = np.random.default_rng(5)
    rows = []
    for model, seed in product(("cnn", "attngen"), seeds):
        for sequence in range(SEQUENCES + 2):
            right = float(random.random() < 0.7)
            rows.append(("d", model, seed, "", "accuracy", "", 0, f"s{sequence}", right))
        for sequence, operator in product(range(SEQUENCES), operators):
            where = ("d", model, seed)
            for draw in range(DRAWS):
                value = random.normal(scale=0.3) + sequence
                rows.append((*where, CONTROL, PRIMARY, operator, draw, f"s{sequence}", value))
            for method, merit in MERIT.items():
                value = random.normal(scale=0.3) + sequence - merit
                rows.append((*where, method, PRIMARY, operator, 0, f"s{sequence}", value))
        for sequence, (method, merit) in product(range(SEQUENCES), MERIT.items()):
            value = merit / 3 + random.normal(scale=0.1)
            rows.append((*where, method, "auprc", "", 0, f"s{sequence}", value))
    names = "dataset model seed method metric operator repeat sequence value".split()
    return pd.DataFrame(rows, columns=names).assign(control="", status="ok", reason="")


class Run:
    """Records, with what is made of them."""

    def __init__(self, records: pd.DataFrame, **options) -> None:
        self.records = records
        self.run: RunValues = values_of_run(records, facts=FACTS, data_seed=0, **options)
        self.estimates = estimates(self.run)
        self.tables = {
            "tests": significance(self.run, self.estimates),
            "ranks": ranks(self.run, self.estimates, {}),
            "variance": variance(self.run, self.estimates, records),
            "detectable": power(self.run, self.estimates),
        }

    def __getitem__(self, name: str) -> pd.DataFrame:
        return self.tables[name]

    def values(self, method: str, metric: str = PRIMARY, **where: str) -> np.ndarray:
        """``(seed, sequence)`` of the model cnn and the operator uniform, unless it says else."""
        wanted = {"model": "cnn", "method": method, "metric": metric}
        wanted |= {"operator": "uniform"} if metric == PRIMARY else {}
        return slow(self.records, **{**wanted, **where})


def slow(records: pd.DataFrame, **where: str) -> np.ndarray:
    for name, wanted in where.items():
        records = records[records[name] == wanted]
    return records.groupby(["seed", "sequence"])["value"].mean().unstack().to_numpy()


@pytest.fixture(scope="module")
def run() -> Run:
    return Run(made())


def only(frame: pd.DataFrame, **where: str) -> pd.Series:
    (row,) = (row for _, row in rows_of(frame, **where).iterrows())
    return row


def rows_of(frame: pd.DataFrame, **where: str) -> pd.DataFrame:
    for name, wanted in where.items():
        frame = frame[frame[name] == wanted]
    return frame


def test_the_tables_are_those_that_a_run_folder_is_read_for(run) -> None:
    for name, table in run.tables.items():
        assert list(table.columns) == columns_of(name)


def test_without_records_the_tables_have_their_columns_and_no_rows() -> None:
    empty = Run(made().iloc[:0])
    assert [len(table) for table in empty.tables.values()] == [0, 0, 0, 0]
    assert list(empty["ranks"].columns) == columns_of("ranks")


# Tests

ON_THESE = "retraining, these sequences"
OVER_SEQUENCES = {"test": "sign flips", "population": "these models"}
AGAINST = {"question": "against random", "model": "cnn", "metric": PRIMARY}


@pytest.mark.parametrize("method", MERIT)
def test_the_tests_over_seeds_are_those_of_scipy(run, method) -> None:
    gaps = (run.values(CONTROL) - run.values(method)).mean(axis=1)
    rows = rows_of(run["tests"], method=method, population=ON_THESE, **AGAINST)
    p = dict(zip(rows["test"], rows["p"], strict=True))
    assert p["paired t"] == pytest.approx(stats.ttest_1samp(gaps, 0).pvalue)
    assert p["Wilcoxon"] == pytest.approx(stats.wilcoxon(gaps).pvalue)
    assert p["sign flips"] == 0.25  # of 2 ** 3 signs the two where all are alike
    np.testing.assert_allclose(rows["effect"], gaps.mean() / gaps.std(ddof=1))
    assert dict(zip(rows["test"], rows["smallest"].fillna(-1), strict=True)) == {
        "paired t": -1,
        "Wilcoxon": 0.25,
        "sign flips": 0.25,
    }


def test_the_test_over_few_sequences_tries_all_signs(run) -> None:
    row = only(run["tests"], method="bad", **OVER_SEQUENCES, **AGAINST)
    found = only(run.estimates, method="bad", operator="uniform", **AGAINST)
    gaps = (run.values(CONTROL) - run.values("bad")).mean(axis=0)
    sums = np.array([*product((-1, 1), repeat=SEQUENCES)]) @ gaps
    assert (row["test"], row["pairs"]) == ("sign flips", SEQUENCES)
    assert row["p"] == (np.abs(sums) >= abs(gaps.sum()) - 1e-9).mean()
    assert row["statistic"] == pytest.approx(found["mean"])
    assert row["effect"] == found["effect"]
    assert row["smallest"] == 2.0 ** (1 - SEQUENCES)


def test_the_test_over_more_sequences_draws_signs() -> None:
    records = made(operators=("uniform",))
    more = [records.assign(sequence=records["sequence"] + end) for end in ("", "'", '"')]
    run = Run(pd.concat(more, ignore_index=True))
    row = only(run["tests"], method="fair", **OVER_SEQUENCES, **AGAINST)
    assert (row["pairs"], row["smallest"]) == (3 * SEQUENCES, 1e-4)


@pytest.mark.parametrize(
    ("test", "population", "p"),
    [("crossed t", "retraining", "p"), ("t", "these models", "p_sequences")],
)
def test_the_tests_of_the_estimates_are_among_them(run, test, population, p) -> None:
    row = only(run["tests"], method="fair", test=test, population=population, **AGAINST)
    found = only(run.estimates, method="fair", operator="uniform", **AGAINST)
    assert (row["p"], row["p_corrected"]) == (found[p], found[f"{p}_holm"])
    assert row["statistic"] == found["mean"]


def test_holm_runs_over_the_methods_of_one_test_on_one_model(run) -> None:
    rows = rows_of(run["tests"], test="paired t", **AGAINST)
    np.testing.assert_allclose(rows["p_corrected"], holm(rows["p"]))
    assert set(rows["correction"]) == {"Holm over 3"}


def test_delta_is_positive_where_the_first_is_better(run) -> None:
    """By its definition, over all pairs; on the leaderboard the smaller area is the better."""
    rows = rows_of(run["tests"], method="fair", **OVER_SEQUENCES, **AGAINST)
    own, other = (run.values(name).mean(axis=0) for name in ("fair", CONTROL))
    pairs = np.sign(other[None] - own[:, None])
    assert rows["delta"].tolist() == [pytest.approx(pairs.mean())]
    assert pairs.mean() > 0


def test_the_best_is_compared_with_the_others(run) -> None:
    rows = rows_of(run["tests"], question="against best", model="attngen", test="paired t")
    best = only(
        run.estimates, question="against random", model="attngen", metric=PRIMARY,
        operator="uniform", rank=1,
    )  # fmt: skip
    assert set(rows["other"]) == {best["method"]}
    assert set(rows["method"]) == {*MERIT} - {best["method"]}
    assert (rows["statistic"] < 0).all()


def test_mcnemar_is_made_once_under_each_seed(run) -> None:
    rows = rows_of(run["tests"], test="McNemar")
    assert rows["seed"].tolist() == [*SEEDS]
    sides = [run.values("", "accuracy", model=model) == 1 for model in ("cnn", "attngen")]
    for row, first, second in zip(rows.itertuples(), *sides, strict=True):
        alone, other = (first & ~second).sum(), (second & ~first).sum()
        assert row.p == pytest.approx(stats.binomtest(int(alone), int(alone + other)).pvalue)
        assert row.statistic == alone - other
    np.testing.assert_allclose(rows["p_corrected"], holm(rows["p"]))


def test_between_models_the_gaps_to_random_are_compared(run) -> None:
    row = only(run["tests"], question="between models", method="bad", test="paired t")
    gaps = [
        (run.values(CONTROL, model=model) - run.values("bad", model=model)).mean(axis=1)
        for model in ("cnn", "attngen")
    ]
    assert row["p"] == pytest.approx(stats.ttest_rel(*gaps).pvalue)
    assert row["statistic"] == pytest.approx(stats.ttest_rel(*gaps).statistic)


def test_one_seed_leaves_the_tests_over_seeds_undefined_with_the_reason() -> None:
    tests = Run(made(seeds=(3,)))["tests"]
    crossed = rows_of(tests, population="retraining")
    assert crossed["p"].isna().all()
    assert set(crossed["reason"]) == {"one replicate: no interval over replicates"}
    rows = rows_of(tests, population=ON_THESE)
    assert rows["p"].isna().all()
    assert set(rows["reason"]) == {"one pair: no test"}
    assert set(rows["correction"]) == {""}


def test_a_method_without_values_is_told_as_the_estimates_do() -> None:
    records = made()
    gone = (records["method"] == "bad") & (records["model"] == "cnn")
    records.loc[gone, ["value", "status", "reason"]] = [np.nan, "failed", "it raised"]
    run = Run(records)
    for name in ("tests", "detectable", "variance"):
        rows = rows_of(run[name], model="cnn", method="bad")
        rows = rows[rows["population"] == "retraining"] if "population" in rows else rows
        assert len(rows)
        assert set(rows["reason"]) == {"failed: it raised"}
    assert set(rows_of(run["ranks"], model="cnn")["method"]) == {"good", "fair"}


# Ranks


@pytest.mark.parametrize(("metric", "operator"), [(PRIMARY, "n"), ("auprc", "")])
def test_friedman_ranks_the_methods_on_each_sequence(run, metric, operator) -> None:
    rows = rows_of(run["ranks"], model="cnn", metric=metric, operator=operator)
    means = [
        slow(run.records, model="cnn", metric=metric, operator=operator, method=name).mean(axis=0)
        for name in rows["method"]
    ]
    sign = 1 if metric == PRIMARY else -1
    expected = stats.rankdata(sign * np.array(means), axis=0).mean(axis=1)
    np.testing.assert_allclose(rows["mean_rank"], expected)
    np.testing.assert_allclose(rows["p_friedman"], stats.friedmanchisquare(*means).pvalue)
    assert set(rows["critical_difference"]) == {critical_difference(3, SEQUENCES)}
    assert set(rows["blocks"]) == {SEQUENCES}


def test_the_chances_of_being_best_sum_to_one_and_follow_the_ranks(run) -> None:
    for _, rows in run["ranks"].groupby(["model", "metric", "operator"]):
        assert rows["best"].sum() == pytest.approx(1)
        chance = rows.set_index("method")["best"]
        assert chance["bad"] == 0
        assert 0 < chance["fair"] < chance["good"] + chance["fair"]


def test_the_chance_of_being_best_is_that_of_the_crossed_bootstrap(run) -> None:
    """Its slow twin: another stream, so equal but for the error of 2000 draws, 0.011."""
    random = np.random.default_rng(0)
    values = np.stack([run.values(name) for name in MERIT])
    wins = np.zeros(3)
    for _ in range(2000):
        seeds, sequences = random.integers(3, size=3), random.integers(SEQUENCES, size=SEQUENCES)
        wins[values[:, seeds][:, :, sequences].mean(axis=(1, 2)).argmin()] += 1 / 2000
    rows = rows_of(run["ranks"], model="cnn", metric=PRIMARY, operator="uniform")
    found = rows.set_index("method")["best"].reindex([*MERIT])
    np.testing.assert_allclose(found, wins, atol=0.05)


def test_two_methods_have_a_chance_and_no_friedman_test() -> None:
    records = made()
    rows = Run(records[records["method"] != "bad"])["ranks"]
    assert rows["p_friedman"].isna().all()
    assert rows["best"].notna().all()
    assert rows["reason"].str.contains("methods: a paired test says more").all()
    assert not len(Run(records[~records["method"].isin(["bad", "fair"])])["ranks"])


def test_ranks_are_of_the_sequences_that_all_methods_have() -> None:
    records = made()
    records.loc[
        (records["method"] == "bad") & (records["sequence"] == "s2") & (records["seed"] == 4),
        "value",
    ] = np.nan
    records = records[(records["method"] != "fair") | (records["sequence"] != "s5")]
    assert set(Run(records)["ranks"]["blocks"]) == {SEQUENCES - 2}


def test_groups_are_the_blocks_where_whole_groups_are_resampled() -> None:
    groups = {f"s{number}": "xyz"[number // 3] for number in range(SEQUENCES + 2)}
    run = Run(made(), groups=groups)
    assert set(run["ranks"]["blocks"]) == {3}
    row = only(run["tests"], method="good", **OVER_SEQUENCES, **AGAINST)
    assert (row["pairs"], row["smallest"], row["p"]) == (3, 0.25, 0.25)


# Variance


def test_the_variance_of_gaps_is_split_over_sequence_seed_and_operator(run) -> None:
    rows = rows_of(run["variance"], model="cnn", method="bad")
    assert rows["component"].tolist() == ["operator", "seed", "sequence", "residual"]
    assert set(rows["operator"]) == {""}
    assert rows["share"].sum() == pytest.approx(1)
    np.testing.assert_allclose(rows["share"], rows["variance"] / rows["variance"].sum())


def test_with_one_operator_it_is_no_component() -> None:
    """Of two crossed factors by the table of an analysis of variance, worked out by hand."""
    run = Run(made(operators=("uniform",)))
    rows = rows_of(run["variance"], model="cnn", method="bad").set_index("component")["variance"]
    gaps = run.values(CONTROL) - run.values("bad")
    of_seeds, of_sequences = gaps.mean(axis=1), gaps.mean(axis=0)
    rest = gaps - of_seeds[:, None] - of_sequences[None] + gaps.mean()
    error = (rest**2).sum() / (2 * 6)
    expected = {
        "seed": max(of_seeds.var(ddof=1) - error / SEQUENCES, 0),
        "sequence": max(of_sequences.var(ddof=1) - error / 3, 0),
        "residual": error,
    }
    assert rows.to_dict() == pytest.approx(expected)
    assert set(run["variance"]["operator"]) == {"uniform"}


def test_what_draws_bring_is_told_for_the_random_control() -> None:
    """Orders that are the same for all seeds, each with its own effect on each sequence: nothing
    of that is residual, for a draw belongs to its sequence."""
    records = made(operators=("uniform",))
    control = records["method"] == CONTROL
    effect = {f"s{number}": (0.5 + number / 7) for number in range(SEQUENCES)}
    signs = records["repeat"].map({0: -1.0, 1: 1.0})
    records.loc[control, "value"] = (signs * records["sequence"].map(effect))[control]
    rows = rows_of(Run(records)["variance"], model="cnn", method=CONTROL)
    assert rows["component"].tolist() == ["draw", "seed", "sequence", "residual"]
    assert rows.set_index("component")["share"].to_dict() == pytest.approx(
        {"draw": 1, "seed": 0, "sequence": 0, "residual": 0}
    )


def test_one_seed_leaves_its_part_undefined_with_the_reason() -> None:
    rows = rows_of(Run(made(seeds=(4,)))["variance"], model="cnn", method="good")
    parts = rows.set_index("component")
    assert np.isnan(parts["variance"]["seed"])
    assert parts["reason"]["seed"] == "one seed: its variance cannot be separated"
    assert parts["share"].sum() == pytest.approx(1)


# What n can show


def test_what_is_found_of_these_models_comes_from_the_spread_of_sequences(run) -> None:
    gaps = run.values(CONTROL) - run.values("fair")
    row = only(run["detectable"], method="fair", population="these models", **AGAINST)
    spread = gaps.mean(axis=0).std(ddof=1)
    assert row["n"] == SEQUENCES
    assert row["spread"] == pytest.approx(spread)
    assert row["detectable"] == pytest.approx(detectable_difference(spread, SEQUENCES))


def test_what_is_found_of_retraining_comes_from_seeds_and_sequences(run) -> None:
    gaps = run.values(CONTROL) - run.values("fair")
    row = only(run["detectable"], method="fair", population="retraining", **AGAINST)
    of_seeds = gaps.mean(axis=1).std(ddof=1)
    of_sequences = np.sqrt(max(terms(gaps, ("seed", "sequence"))["sequence"], 0))
    assert row["n"] == len(SEEDS)
    assert row["spread"] == pytest.approx(np.hypot(of_seeds, of_sequences * np.sqrt(3 / SEQUENCES)))
    parts = (
        detectable_difference(of_seeds, len(SEEDS)),
        detectable_difference(of_sequences, SEQUENCES),
    )
    assert row["detectable"] == pytest.approx(np.hypot(*parts))


def test_of_groups_the_spread_is_that_of_the_mean_of_the_run() -> None:
    """With groups of equal size the mean is that of their means: the textbook case."""
    groups = {f"s{number}": "xyz"[number // 2] for number in range(6)}
    records = made()
    few = records[(records["metric"] != PRIMARY) | (records["sequence"] != "s6")]
    run = Run(few, groups=groups)
    row = only(run["detectable"], method="bad", population="these models", **AGAINST)
    gaps = (run.values(CONTROL) - run.values("bad")).mean(axis=0)
    assert row["n"] == 3
    assert row["spread"] == pytest.approx(gaps.reshape(3, 2).mean(axis=1).std(ddof=1))


def test_one_seed_has_no_spread_and_says_so() -> None:
    rows = rows_of(Run(made(seeds=(3,)))["detectable"], population="retraining")
    assert rows["detectable"].isna().all()
    assert set(rows["reason"]) == {"one replicate: its spread is not known"}


def test_accuracy_and_the_leaderboard_are_asked_between_models_too(run) -> None:
    rows = rows_of(run["detectable"], question="between models", population="retraining")
    assert set(zip(rows["metric"], rows["method"], strict=True)) == {
        ("accuracy", ""),
        *((PRIMARY, method) for method in MERIT),
    }
