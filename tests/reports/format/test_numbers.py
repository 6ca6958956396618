"""Numbers in print."""

import pandas as pd
import pytest

from xaibench.reports.format import numbers

NAN = float("nan")


def row(**values):
    names = ["mean", "low", "high", "sequences_low", "sequences_high"]
    return pd.Series({**dict.fromkeys(names, NAN), **values})


@pytest.mark.parametrize(
    ("value", "decimals", "text"),
    [
        (0.425, 1, "0.4"),
        (-0.001, 2, "0.00"),
        (-1.26, 1, "\u22121.3"),
        (12345.6, 0, "12,346"),
        (NAN, 2, "\u2013"),
        (float("inf"), 2, "inf"),
    ],
)
def test_a_number_in_print(value, decimals, text):
    assert numbers.number(value, decimals) == text


@pytest.mark.parametrize(("value", "text"), [(0.00031, "3.1e\u221204"), (NAN, "\u2013")])
def test_a_very_small_number_in_print(value, text):
    assert numbers.scientific(value) == text


def test_an_unknown_interval_is_left_out():
    assert numbers.mean_and_interval(row(mean=0.5), 2) == "0.50"


def test_an_interval_over_sequences_stands_in_where_there_is_one_seed():
    estimate = row(mean=0.5, sequences_low=0.4, sequences_high=0.61)
    assert numbers.mean_and_interval(estimate, 2) == "0.50 [0.40, 0.61]"


def test_a_table_with_one_interval_only_is_printed_the_same_way():
    estimate = pd.Series({"mean": 0.5, "low": 0.4, "high": 0.61})
    assert numbers.mean_and_interval(estimate, 2) == "0.50 [0.40, 0.61]"
    assert numbers.decimals_of(pd.DataFrame([estimate])) == 2


@pytest.mark.parametrize(
    ("low", "high", "wanted"), [(0.1, 0.3, 1), (-0.3, -0.1, -1), (-0.1, 0.3, 0), (NAN, NAN, None)]
)
def test_a_difference_has_a_direction_only_where_its_interval_leaves_0(low, high, wanted):
    assert numbers.direction(row(low=low, high=high)) == wanted


def test_decimals_follow_the_width_of_the_intervals():
    def decimals(width):
        frame = pd.DataFrame([row(low=1.0, high=1.0 + width)])
        return numbers.decimals_of(frame)

    assert [decimals(w) for w in (40.0, 0.6, 0.06, 0.002)] == [0, 2, 2, 4]
    assert numbers.decimals_of(pd.DataFrame([row()])) == 3


def counted(sequences, *, mean=0.5, undefined=0, seeds=5):
    return row(mean=mean, sequences=sequences, undefined=undefined, seeds=seeds)


def test_the_usual_counts_are_those_of_most_estimates_with_a_mean():
    rows = [counted(0, mean=NAN), counted(0, mean=NAN), counted(0, mean=NAN)]
    rows += [counted(23), counted(7), counted(23)]
    assert numbers.usual_counts(pd.DataFrame(rows)) == "23 \N{MULTIPLICATION SIGN} 5"
    assert numbers.usual_counts(pd.DataFrame([counted(0, mean=NAN)])) == ""


def test_only_what_has_other_counts_than_usual_names_its_own():
    usual = numbers.counts(counted(23))
    assert numbers.apart_from(usual, counted(23)) == ""
    assert numbers.apart_from(usual, counted(0, mean=NAN)) == ""
    other = numbers.apart_from(usual, counted(19, undefined=4))
    assert other == " (19 + 4 undefined \N{MULTIPLICATION SIGN} 5)"
