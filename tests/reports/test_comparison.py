"""What is said of runs that are compared: the page, the text, and the table of every figure."""

import io
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import yaml

from xaibench.comparison.same_models import SameModel
from xaibench.comparison.side_by_side import Comparison, compare
from xaibench.plugins.registry import available, load
from xaibench.reports.comparison import csv, html, text
from xaibench.reports.content.comparison import pair_verdicts

EVIL = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def folders(run_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A made-up run, itself again, and one where a method drops on each sequence."""
    keys = {"deletion": "curves", "insertion": "curves", "flip_rate": "curves"}
    found = []
    for name, drop in (("old", 0.0), ("same", 0.0), (f"new {EVIL}".replace("/", " "), 0.3)):
        folder = tmp_path_factory.mktemp("compared") / name
        folder.mkdir()
        for path in run_folder.iterdir():
            if path.is_file():
                (folder / path.name).write_bytes(path.read_bytes())
        environment = json.loads((folder / "environment.json").read_text())
        for metric, told in environment["metrics"].items():
            told |= {"of": keys.get(metric, "explanation"), "change": ""}
        plan = yaml.safe_load((folder / "plan.yaml").read_text())
        if drop:
            environment["dataset"]["classes"] = ["decoy", EVIL]
            plan["dataset"]["path"] = "/home/somebody else/data/y.csv"
            records = pd.read_parquet(folder / "results.parquet")
            dropped = (records["method"] == "deeplift") & (records["metric"] == "auprc")
            records.loc[dropped, "value"] -= drop
            records.to_parquet(folder / "results.parquet")
        (folder / "environment.json").write_text(json.dumps(environment))
        (folder / "plan.yaml").write_text(yaml.safe_dump(plan, sort_keys=False))
        found.append(folder)
    return found


@pytest.fixture(scope="module")
def worse(folders: list[Path]) -> Comparison:
    gates = ["auprc:deeplift:0.1", "accuracy:-:0.02"]
    return compare([folders[0], folders[2]], gates)


def test_the_forms_are_plug_ins():
    assert {"html", "text", "csv"} <= set(available("comparisons"))
    assert load("comparisons", "html").call is html


def test_every_form_is_the_same_twice(worse, folders):
    again = compare([folders[0], folders[2]], ["auprc:deeplift:0.1"])
    assert html(again) == html(again)
    for form in (html, text, csv):
        assert form(worse) == form(worse)


def test_the_page_asks_nothing_of_the_network_and_has_no_script(worse):
    page = html(worse)["comparison.html"]
    assert "<script" not in page
    assert "default-src 'none'" in page
    assert "script-src 'none'" in page
    assert not re.search(r"(src|href)=\"(?!#|data:)", page)


def test_names_are_escaped(worse):
    page = html(worse)["comparison.html"]
    assert "&lt;script&gt;alert(1)" in page


def test_no_form_shows_whose_folders_the_data_lie_in(worse):
    for form in (html, text, csv):
        (said,) = form(worse).values()
        assert "somebody" not in said
        assert "/tmp" not in said


def test_the_page_and_the_text_say_the_same(worse):
    page, said = html(worse)["comparison.html"], text(worse)["comparison.txt"]
    sentences = re.findall(r"<li>([^<]+)</li>", page)
    assert len(sentences) >= 4
    folded = " ".join(said.split())
    for sentence in sentences:
        plain = sentence.replace("&lt;", "<").replace("&gt;", ">").replace("&#39;", "'")
        assert " ".join(plain.split()) in folded


def test_what_dropped_is_marked_and_its_gates_are_last(worse):
    said = text(worse)["comparison.txt"]
    changed = said.partition("What changed")[2].partition("\n\nAccuracy")[0]
    (first, *_) = [line for line in changed.splitlines() if "deeplift" in line]
    drop = "\N{MINUS SIGN}0.300"
    assert re.search(rf"auprc +deeplift +cnn .* {drop} \[{drop}, {drop}\] ▼", first)
    gates = said.partition("Gates: ")[2].splitlines()
    assert gates[0] == "3 failed, 3 held"
    assert gates[3].startswith("auprc:deeplift:0.1   FAILED")


def test_runs_that_are_equal_are_stated_to_be(folders):
    found = compare(folders[:2])
    said = text(found)["comparison.txt"]
    assert "figures that both have are equal to the last digit." in said
    assert "Plan, data, versions and machine are the same." in said
    assert "What changed" not in said
    assert "Gates" not in html(found)["comparison.html"]


@pytest.fixture(scope="module")
def fewer(folders: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first run without its last seed, and with values that were rounded in another way."""
    folder = tmp_path_factory.mktemp("fewer") / "fewer"
    shutil.copytree(folders[0], folder)
    records = pd.read_parquet(folder / "results.parquet")
    kept = records[records["seed"] != records["seed"].max()].copy()
    kept.loc[(kept["method"] == "deeplift") & (kept["metric"] == "auprc"), "value"] *= 1 + 1e-9
    kept.to_parquet(folder / "results.parquet")
    return folder


def test_only_seeds_that_one_run_has_alone_are_stated_to_be_left_out(folders, fewer):
    every = pd.read_parquet(folders[0] / "results.parquet")["seed"].unique().tolist()
    for runs, letter in (((folders[0], fewer), "A"), ((fewer, folders[0]), "B")):
        said = " ".join(text(compare(runs))["comparison.txt"].split())
        assert f"paired by both. Left out: seed {max(every)} of {letter}." in said


def test_differences_of_rounding_are_stated_to_be_such(folders, fewer):
    said = " ".join(text(compare([folders[0], fewer]))["comparison.txt"].split())
    count = int(compare([folders[0], fewer]).pairs[0].rows["rounding"].sum())
    assert count
    assert f"are equal, {count} but for rounding (at most 1e-06 of the metric's size)." in said
    assert "What changed" not in said


def test_whether_models_were_trained_again_is_stated_with_what_shows_it(worse):
    (pair,) = worse.pairs
    pairs = {
        "same": "The same trained models in both, by their saved weights: cnn.",
        "anew": "Trained again, by their training history: cnn.",
        "unknown": "Trained again or the same, which nothing in the folders shows: cnn.",
    }
    shown = {"same": "saved weights", "anew": "training history", "unknown": ""}
    for verdict, sentence in pairs.items():
        said = replace(pair, same_models={"cnn": SameModel(verdict, shown[verdict])})
        assert (sentence,) in pair_verdicts(replace(worse, pairs=(said,)))[0].sentences


def test_more_than_two_runs_are_distinguishable_by_their_heads(folders):
    found = compare(folders)
    page = html(found)["comparison.html"]
    assert "<h3>B against A</h3>" in page
    assert "C against A: What differs" in page
    assert len(set(re.findall(r'<section id="([^"]+)"', page))) == page.count("<section ")


def test_the_table_holds_every_row_in_all_its_digits(worse):
    (pair,) = worse.pairs
    table = pd.read_csv(io.StringIO(csv(worse)["comparison.csv"]), keep_default_na=False)
    assert len(table) == len(pair.rows)
    assert table.columns[:4].tolist() == ["first_run", "first", "second_run", "second"]
    assert table["second_run"].unique().tolist() == [worse.runs[1].name]
    means = pd.to_numeric(table["mean"])
    assert means.to_numpy() == pytest.approx(pair.rows["mean"].to_numpy(), nan_ok=True, abs=0)
