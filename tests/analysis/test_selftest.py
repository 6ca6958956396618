"""Whether a metric can tell a good explanation from a bad one."""

import numpy as np
import pandas as pd
import pytest

from xaibench.analysis.selftest import BLURRED, NEGATED, self_test, selftest_verdicts
from xaibench.explanation.controls import CONTROLS, ORACLE, RANDOM
from xaibench.results.schema import columns_of

COLUMNS = columns_of("selftest")
ROWS = {(ORACLE, RANDOM): (1, 2), (RANDOM, NEGATED): (0.5, 3), (ORACLE, BLURRED): (-1, 1)}


def asked(metric: str = "auprc", operator: str = "", model: str = "cnn", **changed) -> pd.DataFrame:
    """The rows of one metric that passes, but for the intervals of the named checks."""
    names = ("oracle_over_random", "random_over_negated", "blurred_not_over_oracle")
    rows = []
    for name, ((method, other), interval) in zip(names, ROWS.items(), strict=True):
        low, high = changed.get(name, interval)
        reason = "no pair is defined" if np.isnan(low) else ""
        rows.append((method, other, low, high, low, high, reason))
    columns = ["method", "other", "low", "high", "sequences_low", "sequences_high", "reason"]
    frame = pd.DataFrame(rows, columns=columns)
    return frame.assign(
        question="self-test", dataset="d", model=model, metric=metric, operator=operator
    )


def only(frame: pd.DataFrame) -> pd.Series:
    (row,) = (row for _, row in frame.iterrows())
    return row


def test_the_spoilt_oracles_are_controls() -> None:
    spoilt = {name.removeprefix(f"{ORACLE}, ") for name in (NEGATED, BLURRED)}
    assert spoilt <= set(CONTROLS)


def test_a_metric_that_orders_oracle_random_and_negated_passes() -> None:
    found = self_test(asked())
    assert list(found.columns) == COLUMNS
    assert COLUMNS[:3] == ["model", "metric", "operator"]
    row = only(found)
    assert row.tolist() == ["cnn", "auprc", "", "yes", "yes", "yes", "yes", ""]


@pytest.mark.parametrize(
    ("check", "interval", "answer"),
    [
        ("oracle_over_random", (0.1, 2), "yes"),
        ("oracle_over_random", (0, 2), "no"),
        ("oracle_over_random", (-1, 2), "no"),
        ("oracle_over_random", (-2, -1), "no"),
        ("random_over_negated", (0.1, 2), "yes"),
        ("random_over_negated", (-1, 2), "no"),
        ("blurred_not_over_oracle", (1, 2), "yes"),
        ("blurred_not_over_oracle", (-2, 0), "yes"),
        ("blurred_not_over_oracle", (-2, -1), "no"),
        *((check, (np.nan, np.nan), "unknown") for check in COLUMNS[3:6]),
    ],
)
def test_a_check_is_answered_by_where_the_interval_lies(check, interval, answer) -> None:
    row = only(self_test(asked(**{check: interval})))
    assert row[check] == row["passed"] == answer
    assert [row[name] for name in COLUMNS[3:6] if name != check] == ["yes", "yes"]


@pytest.mark.parametrize(
    ("check", "refusal"),
    [
        ("oracle_over_random", "the oracle is not above random"),
        ("random_over_negated", "random is not above the negated oracle"),
        ("blurred_not_over_oracle", "the blurred oracle is above the oracle"),
    ],
)
def test_a_metric_that_fails_cannot_discriminate_and_says_why(check, refusal) -> None:
    row = only(self_test(asked(**{check: (-2, -1)})))
    assert row["reason"] == f"cannot discriminate here: {refusal}"


def test_every_refusal_is_named() -> None:
    row = only(self_test(asked(oracle_over_random=(-1, 1), blurred_not_over_oracle=(-2, -1))))
    assert row["reason"] == (
        "cannot discriminate here: the oracle is not above random; "
        "the blurred oracle is above the oracle"
    )


def test_one_refusal_outweighs_what_is_unknown() -> None:
    nowhere = (np.nan, np.nan)
    row = only(self_test(asked(oracle_over_random=nowhere, random_over_negated=(-1, 1))))
    assert (row["oracle_over_random"], row["passed"]) == ("unknown", "no")
    unknown = only(self_test(asked(oracle_over_random=nowhere, random_over_negated=nowhere)))
    assert (unknown["passed"], unknown["reason"]) == ("unknown", "no pair is defined")


def test_a_metric_is_judged_by_the_interval_over_sequences_alone() -> None:
    """The question is about these trained models; with few seeds the headline holds anything."""
    undecided = asked().assign(low=-np.inf, high=np.inf)
    assert only(self_test(undecided))["passed"] == "yes"
    refused = asked(random_over_negated=(-1, 1)).assign(low=2, high=3)
    assert only(self_test(refused))[COLUMNS[3:7]].tolist() == ["yes", "no", "yes", "no"]


def test_a_check_that_was_not_made_is_unknown() -> None:
    row = only(self_test(asked().iloc[:2]))
    assert (row["blurred_not_over_oracle"], row["passed"]) == ("unknown", "unknown")


def test_each_model_metric_and_operator_is_tested_by_itself() -> None:
    parts = [
        asked("deletion", "n", "cnn"),
        asked("deletion", "uniform", "cnn", oracle_over_random=(-1, 1)),
        asked("deletion", "n", "attngen", random_over_negated=(-1, 1)),
        asked("auprc", "", "attngen"),
    ]
    others = asked("deletion", "uniform").assign(question="against random")
    mixed = pd.concat([*parts, others]).sample(frac=1, random_state=0)
    found = self_test(mixed).set_index(["model", "metric", "operator"])["passed"]
    assert found.to_dict() == {
        ("cnn", "deletion", "n"): "yes",
        ("cnn", "deletion", "uniform"): "no",
        ("attngen", "deletion", "n"): "no",
        ("attngen", "auprc", ""): "yes",
    }


def test_datasets_are_told_apart() -> None:
    two = pd.concat([asked(), asked(oracle_over_random=(-1, 1)).assign(dataset="e")])
    found = selftest_verdicts(two)
    assert dict(zip(found["dataset"], found["passed"], strict=True)) == {"d": "yes", "e": "no"}


def test_an_operator_read_back_as_missing_is_kept() -> None:
    assert len(self_test(asked().assign(operator=np.nan))) == 1


def test_without_the_question_there_is_no_row() -> None:
    found = self_test(asked().assign(question="value"))
    assert (list(found.columns), len(found)) == (COLUMNS, 0)
