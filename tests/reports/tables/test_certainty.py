"""How sure the order of the methods is, as the report tells it."""

from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd
import pytest

from xaibench.reports.content.glossary import glossary
from xaibench.reports.content.sections import sections
from xaibench.reports.format.numbers import ABSENT
from xaibench.reports.tables.certainty import (
    AHEAD,
    BEHIND,
    FIRST,
    LEADS,
    PERHAPS,
    TIED,
    VERDICTS,
    can_show,
    certainty,
    order,
    secondary,
    secondary_between,
    smallest_detectable,
    variances,
    verdict,
)
from xaibench.results.reading import Results
from xaibench.results.schema import COLUMNS

MINUS = "\N{MINUS SIGN}"
PRIMARY, MODELS = "deletion_logit_difference", ("cnn", "attngen")
QUESTIONS = (
    ("against random", "", "random control", PRIMARY),
    ("against best", "", "deeplift", PRIMARY),
    ("between models", "attngen", "attngen", PRIMARY),
)


def with_tests(run: Results, seeds: int = 5) -> Results:
    """A run with the tests, the parts of the variance and what can be found."""
    few = seeds == 1
    p, why = (np.nan, "one pair: no test") if few else (0.012, "")
    tests, found = [], []
    for model, (question, second, other, metric) in product(MODELS, QUESTIONS):
        if second == model:
            continue
        where = (question, model, other, "saliency", metric, "uniform")
        on_these = "retraining, these sequences"
        for test in ("paired t", "Wilcoxon", "sign flips"):
            least = np.nan if test == "paired t" else 0.0625
            numbers = (1, p, p, "", seeds, least, 3, 1, why)
            tests.append((*where, np.nan, test, on_these, *numbers))
        no_interval = "one replicate: no interval over replicates" if few else ""
        crossed = (1, 2 * p, 2 * p, "", seeds, np.nan, 3, np.nan, no_interval)
        tests.append((*where, np.nan, "crossed t", "retraining", *crossed))
        alone = (1, 3e-4, 6e-4, "Holm over 2", 23, np.nan, 0.7, np.nan, "")
        tests.append((*where, np.nan, "t", "these models", *alone))
        flips = (
            "sign flips",
            "these models",
            1.5,
            2e-4,
            4e-4,
            "Holm over 2",
            23,
            1e-4,
            0.7,
            0.4,
            "",
        )
        tests.append((*where, np.nan, *flips))
        size = np.nan if few else 0.321
        for population, n, most in (("retraining", seeds, size), ("these models", 23, 0.0123)):
            found.append(
                (model, other, "saliency", metric, "uniform", question, population, n, 1, most, why)
            )
    accuracy = ("between models", "cnn", "attngen", "", "accuracy", "")
    mcnemar = ("McNemar", "these models", 4, 0.04, 0.08, "Holm over 2", 23, 0.01, np.nan, 0.03, "")
    tests += [(*accuracy, seed, *mcnemar) for seed in (0, 1)]
    parts = [
        (model, method, PRIMARY, "", *part)
        for model in MODELS
        for method, part in (
            ("saliency", ("sequence", 0.3, 0.6, "")),
            ("saliency", ("seed", np.nan, np.nan, "one seed: its variance cannot be separated")),
            ("saliency", ("residual", 0.2, 0.4, "")),
            ("random control", ("draw", 0.1, 1.0, "")),
        )
    ]
    return replace(
        run,
        tests=pd.DataFrame(tests, columns=list(COLUMNS["tests.csv"])),
        variance=pd.DataFrame(parts, columns=list(COLUMNS["variance.csv"])),
        detectable=pd.DataFrame(found, columns=list(COLUMNS["detectable.csv"])),
    )


@pytest.fixture
def told(run: Results) -> Results:
    return with_tests(run)


def rows_of(table) -> dict[str, list[str]]:
    return {one[0].text: [cell.text for cell in one[1:]] for one in table.rows}


def test_the_methods_are_in_their_order_and_the_first_leads(run) -> None:
    table = order(run, "attngen")
    rows = rows_of(table)
    assert list(rows)[:2] == ["deeplift", "integrated_gradients"]
    assert rows["deeplift"] == [LEADS, "0.50", "", "", "1.0"]
    assert rows["saliency"][0] == BEHIND
    assert "23 sequences" in table.caption
    assert "mean ranks 0.40 apart differ" in table.caption


def test_the_first_does_not_lead_where_it_is_not_distinguishable_from_random(run) -> None:
    estimates = run.estimates.copy()
    gaps = (estimates["question"] == "against random") & (estimates["model"] == "attngen")
    estimates.loc[gaps, "low"] = -1.0
    rows = rows_of(order(replace(run, estimates=estimates), "attngen"))
    assert rows["deeplift"][0] == FIRST
    assert LEADS not in {row[0] for row in rows.values()}


def test_a_method_close_to_the_best_is_not_distinguishable(run) -> None:
    assert rows_of(order(run, "attngen"))["integrated_gradients"][0] == TIED


@pytest.mark.parametrize(
    ("low", "high", "p", "word"),
    [
        (-0.5, -0.1, 0.049, BEHIND),
        (-0.5, -0.1, 0.05, PERHAPS),
        (-0.5, 0.1, 0.001, TIED),
        (0.0, 0.1, 0.001, TIED),
        (0.1, 0.5, 0.001, AHEAD),
        (np.nan, np.nan, 0.001, ABSENT),
    ],
)
def test_the_verdict_asks_for_the_interval_and_the_corrected_p(low, high, p, word) -> None:
    row = pd.Series(
        {
            **dict.fromkeys(("low", "sequences_low"), low),
            **dict.fromkeys(("high", "sequences_high"), high),
            **dict.fromkeys(("p_holm", "p_sequences_holm"), p),
        }
    )
    assert verdict(row) == word


def test_groups_are_named_where_they_were_resampled(run) -> None:
    grouped = replace(run, environment={**run.environment, "clusters": {"explained": 9}})
    assert "groups of sequences" in order(grouped, "cnn").caption
    assert "of which 9 are explained" in can_show(grouped)


def test_a_metric_that_cannot_rank_has_no_order(make) -> None:
    assert order(make(blind=(("cnn", PRIMARY),)), "cnn") is None


def test_a_run_without_these_tables_has_no_such_section(run) -> None:
    empty = {
        name: pd.DataFrame(columns=list(COLUMNS[f"{name}.csv"]))
        for name in ("tests", "ranks", "variance", "detectable")
    }
    before = replace(run, **empty)
    assert certainty(before) == []
    assert can_show(before) == ""
    assert "certainty" not in [section.anchor for section in sections(before)]
    assert "P(best)" not in dict(glossary(before))


def test_the_section_is_behind_the_leaderboard_and_folds_what_is_behind_it(told) -> None:
    slugs = [section.anchor for section in sections(told)]
    assert slugs.index("leaderboard") < slugs.index("certainty") < slugs.index("deletion")
    folded = {table.caption: table.folded for table in certainty(told)}
    assert [caption for caption, shut in folded.items() if not shut] == [
        order(told, model).caption for model in ("cnn", "attngen", "attention only")
    ]
    assert "P(best)" in dict(glossary(told))
    (section,) = [one for one in sections(told) if one.anchor == "certainty"]
    assert VERDICTS not in section.paragraphs[0]
    assert dict(glossary(told))["Verdict of a method"] == VERDICTS
    assert section.paragraphs[0].startswith(
        "Each method is compared with the first on the same sequences"
    )


def test_the_p_values_of_other_tests_are_side_by_side(told) -> None:
    rows = rows_of(secondary(told, "cnn"))
    assert list(rows) == [f"saliency {MINUS} random control", f"saliency {MINUS} deeplift"]
    p_values = ["0.024", "0.012", "0.012", "0.012", "<0.001", "<0.001"]
    assert rows[f"saliency {MINUS} deeplift"] == [*p_values, "3.00", "0.70", "0.40"]


def test_models_are_compared_by_method_and_by_accuracy_under_each_seed(told) -> None:
    rows = rows_of(secondary_between(told, "cnn", "attngen"))
    assert list(rows) == ["saliency", "accuracy, McNemar, seed 0", "accuracy, McNemar, seed 1"]
    assert rows["accuracy, McNemar, seed 1"] == ["", "", "", "", "", "0.080", "", "", "0.03"]
    assert secondary_between(told, "attngen", "attention only") is None


def test_what_is_undefined_has_its_reason(run) -> None:
    table = secondary(with_tests(run, seeds=1), "cnn")
    assert list(table.notes) == ["one replicate: no interval over replicates", "one pair: no test"]
    assert list(variances(with_tests(run), "cnn").notes) == [
        "one seed: its variance cannot be separated"
    ]


def test_the_parts_of_the_variance_are_shares(told) -> None:
    table = variances(told, "attngen")
    assert table.header == ("Method", "Sequence", "Seed", "Draw", "Residual")
    assert rows_of(table)["saliency"] == ["60 %", ABSENT, "", "40 %"]
    assert rows_of(table)["random control"] == ["", "", "100 %", ""]


def test_what_would_be_found_is_beside_its_n(told) -> None:
    rows = rows_of(smallest_detectable(told))
    assert rows[f"cnn: saliency {MINUS} deeplift"] == ["0.32 (5)", "0.012 (23)"]
    assert f"cnn {MINUS} attngen: saliency" in rows


def test_what_five_seeds_cannot_show_is_stated_in_numbers(told) -> None:
    said = can_show(told)
    assert "With 5 seeds no Wilcoxon or sign-flip test over seeds can give p below 0.0625" in said
    assert "none below .05" in said
    assert "less than 0.32 on cnn and 0.32 on attngen" in said


def test_seven_seeds_can_show_more(run) -> None:
    said = can_show(with_tests(run, seeds=7))
    assert "can give p below 0.0156." in said


def test_one_seed_shows_nothing_of_retraining(run) -> None:
    assert can_show(with_tests(run, seeds=1)) == ("With one seed nothing is known of retraining.")
