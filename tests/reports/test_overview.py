"""The page over several runs: one row a model, and a dataset that failed is told as such."""

import math
import re
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pandas as pd
import pytest

from xaibench.reports.content.document import Name
from xaibench.reports.content.overview import OVERVIEW_COLUMNS
from xaibench.reports.content.verdict import verdicts
from xaibench.reports.overview import index
from xaibench.results.reading import Results, read_results

from .conftest import Made, write

RANDOM = {"use": "random"}
WORDS = {"model": "str", "best": "str", "not_distinguishable": "str", "reason": "str"}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, Results | str]]:
    """Two that ran, with 3 models and 1, and one that could not."""

    def made(**changes: object) -> Results:
        return read_results(write(tmp_path_factory.mktemp("runs") / "run", Made(**changes)))

    blind = made(models=("attngen",), blind=(("attngen", "deletion_logit_difference"),))
    return [
        ("planted & <b>", made()),
        ("blind", blind),
        ("gone", "no folder /home/somebody/sets/gone; <script>"),
    ]


@pytest.fixture(scope="module")
def files(runs: list[tuple[str, Results | str]]) -> dict[str, str]:
    return index("my series", runs)


@pytest.fixture(scope="module")
def table(files: dict[str, str]) -> pd.DataFrame:
    return pd.read_csv(StringIO(files["overview.csv"]), dtype=WORDS, keep_default_na=True)


def test_there_is_a_row_for_every_model_of_every_dataset(table: pd.DataFrame) -> None:
    assert tuple(table.columns[: len(OVERVIEW_COLUMNS)]) == OVERVIEW_COLUMNS
    assert table["dataset"].tolist() == ["planted & <b>"] * 3 + ["blind", "gone"]
    assert table["model"].tolist()[:4] == ["cnn", "attngen", "attention only", "attngen"]


def test_the_figures_are_those_of_the_estimates(
    runs: list[tuple[str, Results | str]], table: pd.DataFrame
) -> None:
    run = runs[0][1]
    assert isinstance(run, Results)
    rows = run.estimates[run.estimates["model"] == "attngen"]
    gaps = rows[
        (rows["question"] == "against random")
        & (rows["metric"] == "deletion_logit_difference")
        & (rows["operator"] == "uniform")
    ].set_index("method")
    said = table[(table["dataset"] == "planted & <b>") & (table["model"] == "attngen")].iloc[0]
    best = gaps["mean"].idxmax()
    assert said["best"] == best
    assert (said["gap"], said["gap_low"], said["gap_high"]) == tuple(
        gaps.loc[best, ["mean", "low", "high"]]
    )
    accuracy = rows[(rows["question"] == "value") & (rows["metric"] == "accuracy")]
    assert said["accuracy"] == accuracy["mean"].iloc[0]
    assert said["floor"] == max(each["accuracy"] for each in run.environment["floor"])
    assert (said["auroc"], said["auroc_low"]) == (0.97, 0.96)
    for method, rank in gaps["rank"].items():
        assert said[f"rank {method}"] == rank or (
            math.isnan(rank) and math.isnan(said[f"rank {method}"])
        )


def test_what_equals_the_best_has_a_paired_difference_that_holds_0(
    runs: list[tuple[str, Results | str]], table: pd.DataFrame
) -> None:
    run = runs[0][1]
    assert isinstance(run, Results)
    rows = run.estimates[run.estimates["question"] == "against best"]
    rows = rows[
        (rows["metric"] == "deletion_logit_difference")
        & (rows["operator"] == "uniform")
        & (rows["model"] == "cnn")
    ]
    holds = rows[(rows["low"] <= 0) & (rows["high"] >= 0)]["method"].tolist()
    assert holds
    assert table["not_distinguishable"][0].split("; ") == holds


def test_nothing_is_recommended_by_a_metric_that_failed_its_self_test(table: pd.DataFrame) -> None:
    (row,) = table[table["dataset"] == "blind"].to_dict("records")
    assert isinstance(row["best"], float)
    assert math.isnan(row["best"])
    assert row["reason"].startswith("deletion cannot tell good explanations from bad")


def said_of(run: Results) -> dict[str, object]:
    text = index("one", [("run", run)])["overview.csv"]
    (row,) = pd.read_csv(StringIO(text), dtype=WORDS, keep_default_na=False).to_dict("records")
    return {str(name): value for name, value in row.items()}


QUALITIES = (
    (("noise", 0.99), ("deeplift", 0.9), ("same", 0.9), ("far", 0.2)),
    (("noise", 0.99), ("one", 0.01), ("two", 0.02)),
    (("noise", 0.99), ("one", -0.6)),
    (("noise", 0.99),),
)


@pytest.mark.parametrize("quality", QUALITIES)
def test_the_index_names_the_method_that_the_report_recommends(
    tmp_path: Path, quality: tuple[tuple[str, float], ...]
) -> None:
    run = read_results(
        write(tmp_path / "run", Made(models=("cnn",), quality=quality, motifs=False))
    )
    planned: dict[str, object] = {name: {} for name, _ in quality}
    run = replace(run, plan=run.plan | {"attribution": planned | {"noise": {"use": "random"}}})
    (verdict,) = verdicts(run)
    trusted = [
        part.text
        for sentence in verdict.sentences
        for part in sentence
        if isinstance(part, Name) and part.trusted
    ]
    row = said_of(run)
    named = [row["best"], *str(row["not_distinguishable"]).split("; ")]
    assert [name for name in named if name] == trusted
    assert "noise" not in named
    assert bool(row["reason"]) == (not trusted)


def test_where_none_leads_the_index_says_why(tmp_path: Path) -> None:
    run = read_results(write(tmp_path / "run", Made(models=("cnn",), quality=QUALITIES[1][1:])))
    assert said_of(run)["reason"] == (
        "the largest gap to random is that of two, whose interval includes 0"
    )
    alone = replace(run, plan=run.plan | {"attribution": dict.fromkeys(("one", "two"), RANDOM)})
    assert said_of(alone)["reason"] == "only random numbers were measured"
    nothing = replace(run, estimates=run.estimates[run.estimates["question"] == "value"])
    assert said_of(nothing)["reason"] == "no deletion was measured"


def test_a_method_ahead_of_the_best_is_distinguishable_from_what_equals_it(tmp_path: Path) -> None:
    quality = (("one", 0.9), ("rare", 0.9))
    run = read_results(write(tmp_path / "run", Made(models=("cnn",), quality=quality)))
    rows = run.estimates
    behind = rows["question"] == "against best"
    rows = rows.assign(low=rows["low"].mask(behind, 0.1), high=rows["high"].mask(behind, 0.3))
    row = said_of(replace(run, estimates=rows))
    assert (row["best"], row["not_distinguishable"]) == ("one", "")
    assert row["reason"] == "ahead of it on shared sequences: rare"


def test_a_dataset_without_a_run_says_why_and_nobodys_folders(files: dict[str, str]) -> None:
    assert "<li>gone: no run. no folder gone; &lt;script&gt;" in files["index.html"]
    for text in files.values():
        assert "/home/somebody" not in text
    assert "<script" not in files["index.html"]


def test_the_page_leads_to_every_report_and_asks_nothing_of_the_network(
    files: dict[str, str],
) -> None:
    links = re.findall(r'href="([^"#][^"]*)"', files["index.html"])
    assert set(links) == {"data:,", "planted%20%26%20%3Cb%3E/report.html", "blind/report.html"}
    assert not re.search(r'(?:src|href)="(?:https?:)?//', files["index.html"])


def test_the_same_runs_give_the_same_page(
    runs: list[tuple[str, Results | str]], files: dict[str, str]
) -> None:
    assert index("my series", iter(runs)) == files


def test_a_series_of_which_nothing_ran_is_still_a_page() -> None:
    texts = index("none", [("a", "not fetched")])
    assert "<li>a: no run. not fetched" in texts["index.html"]
    assert "Ranks" not in texts["index.html"]
    assert texts["overview.csv"].splitlines()[1].startswith("a,")


def test_a_run_without_the_page_has_no_link(tmp_path: Path) -> None:
    write(tmp_path / "run", Made(models=("cnn",)))
    plan = tmp_path / "run" / "plan.yaml"
    plan.write_text(plan.read_text().replace("use: html", "use: markdown"))
    texts = index("plain", [("run", read_results(tmp_path / "run"))])
    assert 'href="run' not in texts["index.html"]


def test_one_seed_has_the_interval_of_these_trained_models(tmp_path: Path) -> None:
    write(tmp_path / "run", Made(models=("cnn",), seeds=(0,)))
    run = read_results(tmp_path / "run")
    table = pd.read_csv(StringIO(index("one", [("run", run)])["overview.csv"]))
    rows = run.estimates[run.estimates["question"] == "against random"]
    assert table["gap_low"][0] in set(rows["sequences_low"])


def test_runs_without_trivial_baselines_are_rows_too(tmp_path: Path) -> None:
    run = read_results(write(tmp_path / "run", Made(models=("cnn",))))
    run = replace(run, environment={**run.environment, "floor": []})
    texts = index("unlabelled", [("one", run), ("two", run)])
    table = pd.read_csv(StringIO(texts["overview.csv"]))
    assert table["floor"].isna().all()
    assert len(table) == 2
