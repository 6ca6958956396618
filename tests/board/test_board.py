"""A board of runs: what it checks, what it ranks together, and what it never runs or copies."""

import json
import math
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup
from small_run import finished

from xaibench.board.entries import NO_RECORDS, Refused, RunEntry, read_entries
from xaibench.board.site import Board, write_board
from xaibench.board.standings import ranks_over_datasets, rows_of_entry
from xaibench.board.verification import unfounded, unknown_of_intervals
from xaibench.errors import UsageError
from xaibench.reports.board import html
from xaibench.results.reading import read_results
from xaibench.statistics.ranks import critical_difference

PLAN = """
dataset: {name: planted, train: 64, test: 24, length: 40}
seeds: [0, 1]
training: {epochs: 1}
models: {cnn: {filters: [4], kernels: [19]}}
attribution: {saliency: {}, input_x_gradient: {}, random: {}}
metrics: {deletion: {}, auprc: {}}
operators: {uniform: {}}
sequences: 12
random_draws: 2
controls: []
fractions: [0, 0.1, 0.5, 1]
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("board") / "mine"
    finished(folder, text=PLAN)
    return folder


def edited(results, column, row, value):
    table = results.estimates.copy()
    table.loc[table.index[row], column] = value
    return replace(results, estimates=table)


# Whether estimates follow from records


def test_estimates_of_a_run_follow_from_its_records(folder):
    assert unfounded(folder, read_results(folder)) == ""


@pytest.mark.parametrize("column", ["mean", "low", "sequences_high", "seeds"])
def test_an_edited_estimate_is_named_with_what_the_records_give(folder, column):
    results = read_results(folder)
    row = results.estimates["rank"].notna().to_numpy().argmax()
    recorded = results.estimates.iloc[row]
    forged = edited(results, column, row, recorded[column] + 1)
    line = unfounded(folder, forged)
    assert line.startswith(f"1 of {len(results.estimates)} rows of the estimates do not follow")
    assert f"{recorded['method']}, {recorded['metric']}" in line
    assert f"{column} is {recorded[column] + 1:.6g}, expected {recorded[column]:.6g}" in line


def test_a_row_that_is_not_there_is_named(folder):
    results = read_results(folder)
    fewer = replace(results, estimates=results.estimates.drop(index=3))
    assert unfounded(folder, fewer).startswith("1 rows of the estimates are in one table alone")


def test_intervals_of_another_version_or_of_groups_are_not_known(folder):
    """Means are, and are looked at."""
    results = read_results(folder)
    row = results.estimates["rank"].notna().to_numpy().argmax()
    environment = json.loads(json.dumps(results.environment))
    for facts in environment["metrics"].values():
        del facts["range"]
    old = replace(edited(results, "low", row, -9.0), environment=environment)
    grouped = {**results.environment, "clusters": {"explained": 3, "test": 4}}
    assert unfounded(folder, old) == ""
    assert unfounded(folder, replace(edited(results, "low", row, -9.0), environment=grouped)) == ""
    assert unfounded(folder, replace(edited(old, "mean", row, -9.0), environment=grouped))


def test_intervals_over_groups_of_sequences_are_made_again_from_the_groups(tmp_path):
    letters = np.array(list("ACGT"))[np.random.default_rng(0).integers(0, 4, (60, 40))]
    table = pd.DataFrame({"sequence": ["".join(row) for row in letters], "label": [0, 1] * 30})
    table["split"] = ["test" if row < 20 else "train" for row in range(60)]
    table["group"] = [f"chr{row // 5}" for row in range(60)]
    table.to_csv(tmp_path / "grouped.csv", index=False)
    data = f"dataset: {{name: file, path: {tmp_path / 'grouped.csv'}}}\nclusters: true\n"
    folder = tmp_path / "grouped"
    finished(folder, text=data + PLAN.partition("\n")[2].partition("\n")[2])
    results = read_results(folder)
    assert results.predictions["group"].nunique() == 4
    assert unfounded(folder, results) == ""
    row = results.estimates["rank"].notna().to_numpy().argmax()
    assert "low is -9" in unfounded(folder, edited(results, "low", row, -9.0))
    of_earlier = replace(results, predictions=results.predictions.drop(columns="group"))
    assert unfounded(folder, edited(of_earlier, "low", row, -9.0)) == ""
    assert unknown_of_intervals(of_earlier) == "which sequences are resampled together"


# What is ranked with what


def rows(**gaps):
    """A row per method of the runs ``data/version/model``, each with gaps by method."""
    made = []
    for name, by_method in gaps.items():
        data, version, model = name.split("__")
        made += [
            {
                **{"run": data, "data": data, "version": version, "records": True},
                **{"model": model, "method": method, "settings": "", "family": "faithfulness"},
                **{"metric": "deletion", "operator": "uniform", "rank": 1.0, "gap": gap},
                **{"normalised": gap / 10, "sound": True},
            }
            for method, gap in by_method.items()
        ]
    return pd.DataFrame(made)


def ranks(table):
    made = ranks_over_datasets(table)
    return {
        version: dict(zip(own["method"], own["mean_rank"], strict=True))
        for version, own in made.groupby("version")
    }


def test_ranks_are_means_over_datasets_with_their_critical_difference():
    table = rows(
        one__v__cnn={"a": 3.0, "b": 2.0, "c": 1.0},
        two__v__cnn={"a": 3.0, "b": 2.0, "c": 1.0},
        three__v__cnn={"a": 2.0, "b": 3.0, "c": 1.0},
        four__v__cnn={"a": 5.0, "b": 4.0, "c": 0.5},
    )
    made = ranks_over_datasets(table).set_index("method")
    assert made["mean_rank"].to_dict() == {"a": 1.25, "b": 1.75, "c": 3.0}
    assert made.loc["a", "critical_difference"] == critical_difference(3, 4)
    shares = np.array([0.3, 0.3, 0.2, 0.5])
    assert made.loc["a", "normalised"] == pytest.approx(shares.mean())
    half = 3.182446305 * shares.std(ddof=1) / 2  # t of 3 degrees of freedom
    assert made.loc["a", "normalised_low"] == pytest.approx(shares.mean() - half)


def test_models_of_the_same_data_are_one_block():
    """Twelve models of one dataset say no more of other datasets than one."""
    of_one = {f"one__v__{number}": {"a": 1.0, "b": 2.0} for number in range(12)}
    made = ranks_over_datasets(rows(**of_one, two__v__cnn={"a": 2.0, "b": 1.0}))
    assert made["datasets"].tolist() == [2, 2]
    assert made["models"].tolist() == [13, 13]
    assert made["mean_rank"].tolist() == [1.5, 1.5]


def test_versions_tables_without_records_and_other_options_are_apart():
    table = rows(one__v__cnn={"a": 2.0, "b": 1.0}, two__w__cnn={"a": 1.0, "b": 2.0})
    assert ranks(table) == {"v": {"a": 1.0, "b": 2.0}, "w": {"a": 2.0, "b": 1.0}}
    alone = pd.concat([table[table["version"] == "v"]] * 2).assign(records=[True] * 2 + [False] * 2)
    assert ranks_over_datasets(alone)["records"].tolist() == [True, True, False, False]
    other = rows(one__v__cnn={"a": 2.0, "b": 1.0}, two__v__cnn={"a": 1.0, "b": 2.0})
    other.loc[3, "settings"] = "steps 9"
    assert ranks_over_datasets(other)["datasets"].tolist() == [1, 1]


def test_what_is_not_sound_or_has_no_rank_is_not_ranked():
    table = rows(one__v__cnn={"a": 2.0, "b": 1.0}, two__v__cnn={"a": 1.0, "b": 2.0})
    unsound = table.assign(sound=table["data"] == "one")
    assert ranks(unsound) == {"v": {"a": 1.0, "b": 2.0}}
    unranked = table.assign(rank=np.where(table["data"] == "one", 1.0, math.nan))
    assert ranks(unranked) == {"v": {"a": 1.0, "b": 2.0}}
    assert ranks_over_datasets(table.assign(sound=False)).empty


def test_a_run_with_few_methods_does_not_take_them_from_the_others():
    four = {f"d{place}__v__cnn": {"a": 3.0, "b": 2.0, "c": 1.0} for place in range(4)}
    made = ranks_over_datasets(rows(**four, odd__v__cnn={"a": 1.0, "x": 2.0}))
    assert made["method"].tolist() == ["a", "b", "c"]
    assert made["left_out"].tolist() == [1, 1, 1]


# The site


@pytest.fixture(scope="module")
def site(folder, tmp_path_factory):
    """A sound run, one whose estimates were forged together with their digest, a table, and a
    folder that is no run; the files and what was said."""
    place = tmp_path_factory.mktemp("site")
    forged = shutil.copytree(folder, place / "<b>forged")
    table = pd.read_csv(forged / "estimates.csv", keep_default_na=False, na_values=[""])
    row = (table["question"] == "against random").argmax()
    table.loc[row, "mean"] = 99.0
    table.to_csv(forged / "estimates.csv", index=False)
    (forged / "store" / "rendered.json").unlink()  # and with it the digests
    (forged / "report.html").write_text("<script>stranger</script>")
    alone = table.assign(data="TATA", version="0.1.0")
    alone.to_csv(place / "published.csv", index=False)
    (place / "other").mkdir()
    (place / "other" / "notes.txt").write_text("no run")
    paths = [folder, forged, place / "published.csv", place / "other"]
    written, failures = write_board(paths, place / "board")
    return place / "board", written, failures


def test_every_run_is_there_and_what_is_wrong_with_it_is_said(site):
    board, written, failures = site
    assert {str(path.relative_to(board)) for path in written} == {
        *("index.html", "board.csv", "ranks.csv", "board.json"),
        *("reports/1-mine.html", "reports/2--b-forged.html"),
    }
    assert len(failures) == 2
    assert "other: " in failures[0]
    assert "no run of xaibench here" in failures[0]
    assert "<b>forged: 1 of " in failures[1]
    assert "mean is 99, expected" in failures[1]
    table = pd.read_csv(board / "board.csv")
    known = table.groupby("run", sort=False)["sound"].first().to_dict()
    assert known == {"mine": True, "<b>forged": False, "published/TATA": True}
    ranked = pd.read_csv(board / "ranks.csv")
    assert sorted(ranked[["version", "records"]].drop_duplicates()["records"]) == [False, True]
    assert ranked.loc[ranked["records"], "datasets"].unique().tolist() == [1]


def test_the_page_marks_escapes_and_asks_nothing_of_anybody(site):
    text = (site[0] / "index.html").read_text()
    assert "<b>forged" not in text
    assert "http://" not in text.replace("http://www.w3.org", "")
    page = BeautifulSoup(text, "html.parser")
    cautions = page.select_one("ul.cautions").get_text()
    assert "other could not be read" in cautions
    assert "<b>forged is shown and not ranked with others" in cautions
    assert "Of published/TATA there are estimates alone" in cautions
    links = [each["href"] for each in page.select("#every-row td a")]
    assert set(links) == {"reports/1-mine.html", "reports/2--b-forged.html"}
    assert all((site[0] / link).is_file() for link in links)


def test_two_settings_of_a_method_have_two_labels_on_the_page(folder):
    """Options in which they agree are not named, nor are any of a method with one setting."""
    results = read_results(folder)
    entries = []
    for data, steps in (("a", 20), ("b", 20), ("c", 20), ("d", 64)):
        options = {"use": "saliency", "strands": "forward", "steps": steps}
        plan = {**results.plan, "attribution": {**results.plan["attribution"], "saliency": options}}
        of_run = replace(results, plan=plan)
        entries.append(RunEntry(data, results.estimates, data, "v", of_run))
    table = pd.concat([*map(rows_of_entry, entries)]).assign(report="")
    board = Board("two", tuple(entries), (), table, ranks_over_datasets(table))
    page = BeautifulSoup(html(board)["index.html"], "html.parser")
    others = {"input x gradient", "random"}
    ranked = {"saliency (steps 20)", *others}  # that of 64 steps is on one dataset alone
    for part, names in (("every-row", {*ranked, "saliency (steps 64)"}), ("every-metric", ranked)):
        rows_shown = page.select(f"#{part} tbody tr")
        assert {row.select_one("th, td").get_text() for row in rows_shown} == names


def test_reports_are_rendered_anew_and_not_copied(site):
    text = (site[0] / "reports" / "2--b-forged.html").read_text()
    assert "stranger" not in text
    assert "Which explanation to trust" in text


def test_the_tables_say_what_the_page_says(site):
    made = json.loads((site[0] / "board.json").read_text())
    for name in ("board", "ranks"):
        table = pd.read_csv(site[0] / f"{name}.csv")
        assert len(made[name]) == len(table)
        assert [*made[name][0]] == [*table]


def test_the_command_says_where_the_page_is(folder, tmp_path, call, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = call("board", folder, tmp_path)
    assert code == 1
    assert out.splitlines()[0] == "board/index.html"
    assert "no run of xaibench here" in err


def test_a_row_says_what_the_run_says(folder):
    (entry,) = read_entries([folder])
    table = rows_of_entry(entry)
    own = table[(table["metric"] == "deletion_logit_difference") & (table["method"] == "saliency")]
    recorded = entry.estimates.set_index(["question", "method", "metric"]).sort_index()
    gap = recorded.loc[("against random", "saliency", "deletion_logit_difference")]
    share = recorded.loc[("normalised", "saliency", "deletion_logit_difference")]
    assert own["gap"].tolist() == [gap["mean"]]
    assert own["gap_low"].tolist() == [gap["low"]]
    assert own["normalised"].tolist() == pytest.approx([share["mean"]], nan_ok=True)
    assert own["rank"].tolist() == [gap["rank"]]
    assert own[["kind", "family", "forwards"]].to_numpy().tolist() == [["cnn", "faithfulness", 1.0]]
    assert json.loads(own["settings"].iloc[0])["use"] == "saliency"
    assert "random control" not in set(table["method"])


def test_a_table_needs_no_dataset_and_no_version(folder, tmp_path):
    recorded = read_results(folder).estimates.drop(columns=["dataset", "p", "p_holm"])
    recorded.to_csv(tmp_path / "old.csv", index=False)
    (entry,) = read_entries([tmp_path / "old.csv"])
    assert isinstance(entry, RunEntry)
    assert (entry.name, entry.data, entry.version) == ("old", "old", "")
    assert entry.marks == (NO_RECORDS,)


def test_what_no_run_writes_is_refused_and_the_others_are_shown(folder, tmp_path, monkeypatch):
    table = read_results(folder).estimates
    pd.concat([table, table]).to_csv(tmp_path / "twice.csv", index=False)
    table.to_csv(tmp_path / "once.csv", index=False)
    paths = [tmp_path / "twice.csv", tmp_path / "once.csv"]
    _, (failure,) = write_board(paths, tmp_path / "board")
    assert failure.startswith("twice: expected one row of each model, method, metric, operator")
    assert set(pd.read_csv(tmp_path / "board" / "board.csv")["run"]) == {"once"}
    (tmp_path / "twice.csv").unlink()
    monkeypatch.setattr("xaibench.board.site.rows_of_entry", lambda entry: 1 / 0)
    with pytest.raises(UsageError, match="once: is not as a run writes it: ZeroDivisionError"):
        write_board([tmp_path / "once.csv"], tmp_path / "board")


def test_no_cell_of_a_board_is_a_formula(folder, tmp_path):
    table = read_results(folder).estimates.replace({"saliency": "=1+1", "uniform": "@x"})
    table.to_csv(tmp_path / "forged.csv", index=False)
    write_board([tmp_path / "forged.csv"], tmp_path / "board")
    cells = pd.read_csv(tmp_path / "board" / "board.csv", dtype=str, keep_default_na=False)
    assert "'=1+1" in set(cells["method"])
    assert "'@x" in set(cells["operator"])
    assert not cells[["method", "operator"]].map(lambda cell: cell[:1] in set("=+@")).any(axis=None)


def test_what_cannot_be_a_board_is_one_line(tmp_path, folder):
    (tmp_path / "empty").mkdir()
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    (entry,) = read_entries([tmp_path / "other.csv"])
    assert isinstance(entry, Refused)
    assert "expected a table of estimates with the column question" in entry.reason
    with pytest.raises(UsageError, match="board: no run that can be read; empty: "):
        write_board([tmp_path / "empty"], tmp_path / "board")
    with pytest.raises(UsageError, match="no such folder or file"):
        write_board([folder, tmp_path / "nowhere"], tmp_path / "board")
    twin = shutil.copytree(folder, tmp_path / "mine")
    with pytest.raises(UsageError, match="another run is called 'mine' too"):
        write_board([folder, twin], tmp_path / "board")
    assert not (tmp_path / "board").exists()
