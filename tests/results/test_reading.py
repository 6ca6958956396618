"""A run folder is read whole, and what is no run folder is told in one line."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from xaibench.errors import UsageError
from xaibench.results.columns import ColumnKind
from xaibench.results.reading import read_results
from xaibench.results.schema import COLUMNS, TABLES

PLAN = {
    "seeds": [3],
    "models": {"cnn": {"use": "cnn"}},
    "attribution": {"random": {"use": "random"}},
    "reports": {"html": {"use": "html"}},
}


def write(folder: Path) -> Path:
    """The smallest run folder: a row a table."""
    folder.mkdir()
    values = {ColumnKind.TEXT: "NA", ColumnKind.NUMBER: 0.1 + 0.2, ColumnKind.INTEGER: 3}
    for table in TABLES:
        row = {column.name: values[column.kind] for column in table.columns}
        frame = pd.DataFrame([row, {**row, **dict.fromkeys(table.texts, "")}])
        if table.file.endswith(".parquet"):
            frame.to_parquet(folder / table.file)
        else:
            frame.to_csv(folder / table.file, index=False)
    (folder / "plan.yaml").write_text(yaml.safe_dump(PLAN))
    (folder / "environment.json").write_text('{"threads": 2}')
    (folder / "examples.json").write_text("[]")
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path / "run")


def test_every_file_is_read(folder):
    results = read_results(folder)
    assert (results.plan, results.environment) == (PLAN, {"threads": 2})
    assert results.examples == []
    for table in (results.records, results.estimates, results.curves, results.cost):
        assert len(table) == 2
    for table in (results.selftest, results.operators, results.rankings, results.agreement):
        assert len(table) == 2


def test_a_table_without_rows_is_a_table(folder):
    for name in ("selftest.csv", "operators.csv", "rankings.csv", "agreement.csv"):
        pd.DataFrame(columns=list(COLUMNS[name])).to_csv(folder / name, index=False)
    results = read_results(folder)
    assert (len(results.selftest), len(results.agreement)) == (0, 0)
    assert list(results.operators) == list(COLUMNS["operators.csv"])


def test_a_run_from_before_a_table_was_written_has_no_rows_of_it(folder):
    later = [table for table in TABLES if table.later]
    for table in later:
        (folder / table.file).unlink()
    results = read_results(folder)
    for table in later:
        frame = getattr(results, table.name)
        assert (len(frame), list(frame)) == (0, table.names)


def test_words_stay_words_even_where_they_say_na(folder):
    assert list(read_results(folder).estimates["model"]) == ["NA", ""]
    assert list(read_results(folder).selftest["passed"]) == ["NA", ""]


def test_numbers_come_back_and_an_empty_place_is_nan(folder):
    path = folder / "estimates.csv"
    table = pd.read_csv(path, keep_default_na=False)
    table.loc[1, "low"] = np.nan
    table.to_csv(path, index=False)
    estimates = read_results(folder).estimates
    assert estimates["low"][0] == pytest.approx(0.1 + 0.2, rel=1e-15)
    assert np.isnan(estimates["low"][1])


def test_no_folder_is_no_run(tmp_path):
    with pytest.raises(UsageError, match="got no folder"):
        read_results(tmp_path / "nowhere")


@pytest.mark.parametrize(
    "name", ["plan.yaml", "environment.json", "results.parquet", "estimates.csv", "examples.json"]
)
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(UsageError, match=rf"no run of xaibench here, {name} is missing"):
        read_results(folder)


@pytest.mark.parametrize("name", [*COLUMNS, "plan.yaml", "environment.json"])
def test_an_unreadable_file_is_told_in_one_line(folder, name):
    (folder / name).write_bytes(b"\xff\x00{")
    with pytest.raises(UsageError, match=rf"{name}: unreadable") as caught:
        read_results(folder)
    assert "\n" not in str(caught.value)


def test_a_plan_that_explodes_is_told_before_it_does(folder):
    """Nine levels of nine aliases: a third of a gigabyte of values in 200 bytes."""
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    levels += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]
    (folder / "plan.yaml").write_text("\n".join(levels))
    with pytest.raises(UsageError, match=r"plan\.yaml: unreadable, .*at most 100,000 values"):
        read_results(folder)


def test_an_empty_table_is_told(folder):
    (folder / "curves.csv").write_text("")
    with pytest.raises(UsageError, match=r"curves.csv: unreadable, No columns"):
        read_results(folder)


def test_a_file_with_another_content_says_what_was_expected(folder):
    (folder / "examples.json").write_text("{}")
    with pytest.raises(UsageError, match="expected a list at the top, got dict"):
        read_results(folder)


def test_a_missing_column_is_named(folder):
    (folder / "cost.csv").write_text("model,seed\ncnn,0\n")
    with pytest.raises(UsageError, match="expected the column method, got"):
        read_results(folder)


def test_a_column_that_is_not_known_is_named(folder):
    path = folder / "cost.csv"
    pd.read_csv(path).assign(joules=1.0).to_csv(path, index=False)
    with pytest.raises(UsageError, match=r"cost\.csv: expected no column but model, .*got joules"):
        read_results(folder)


def test_a_training_may_tell_more_and_predictions_have_a_column_per_class(folder):
    path = folder / "training.csv"
    pd.read_csv(path).assign(mood="good").to_csv(path, index=False)
    path = folder / "predictions.parquet"
    pd.read_parquet(path).assign(logit_0=0.5, logit_11=2.0).to_parquet(path)
    results = read_results(folder)
    assert list(results.training["mood"]) == ["good", "good"]
    assert list(results.predictions["logit_11"]) == [2.0, 2.0]
    pd.read_parquet(path).assign(logits=0.5).to_parquet(path)
    with pytest.raises(UsageError, match="got logits"):
        read_results(folder)


@pytest.mark.parametrize(
    ("file", "column", "value", "wrong"),
    [
        ("estimates.csv", "mean", "low", "a number in the column mean, got 'low'"),
        ("estimates.csv", "seeds", 2.5, r"an integer in the column seeds, got .*2\.5"),
        ("results.parquet", "seed", "one", "a number in the column seed, got 'one'"),
        ("results.parquet", "model", 7, "text in the column model, got .*7"),
    ],
)
def test_a_column_of_another_type_is_told_in_one_line(folder, file, column, value, wrong):
    path = folder / file
    if file.endswith("csv"):
        pd.read_csv(path, keep_default_na=False).assign(**{column: value}).to_csv(path, index=False)
    else:
        pd.read_parquet(path).assign(**{column: value}).to_parquet(path)
    with pytest.raises(UsageError, match=f"{file}: expected {wrong}") as caught:
        read_results(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("section", ["models", "attribution", "reports"])
def test_a_plan_that_cannot_be_rendered_is_told_in_one_line(folder, section):
    path = folder / "plan.yaml"
    path.write_text(yaml.safe_dump({key: PLAN[key] for key in PLAN if key != section}))
    with pytest.raises(UsageError, match=f"a mapping under '{section}', got no such key") as caught:
        read_results(folder)
    assert "\n" not in str(caught.value)
    path.write_text(yaml.safe_dump(PLAN | {section: ["cnn"]}))
    with pytest.raises(UsageError, match=f"a mapping under '{section}', got list"):
        read_results(folder)


@pytest.mark.parametrize("options", [None, "html", {}, {"use": 3}])
def test_a_report_without_a_plug_in_is_told(folder, options):
    (folder / "plan.yaml").write_text(yaml.safe_dump(PLAN | {"reports": {"page": options}}))
    with pytest.raises(UsageError, match=r"expected use: NAME under reports\.page, got"):
        read_results(folder)


def test_a_run_can_be_moved(folder, tmp_path):
    shutil.move(folder, tmp_path / "elsewhere")
    assert len(read_results(tmp_path / "elsewhere").records) == 2


@pytest.mark.parametrize(
    ("changes", "got"),
    [
        ({"seeds": list(range(90_000))}, r"360,000 \(1 models, 90,000 seeds, 1 methods\)"),
        ({"seeds": [0], "operators": {f"o{n}": {} for n in range(10)}}, None),
    ],
)
def test_a_plan_that_no_run_can_have_had_is_rejected_with_its_count(folder, changes, got):
    (folder / "plan.yaml").write_text(yaml.safe_dump({**PLAN, **changes}))
    if got is None:
        assert read_results(folder).plan["seeds"] == [0]
        return
    with pytest.raises(UsageError, match=rf"plan\.yaml: expected at most 100,000 tasks, got {got}"):
        read_results(folder)
