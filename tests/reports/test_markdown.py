"""The Markdown report and its CSV tables."""

import io
import re
from dataclasses import replace

import pandas as pd
import pytest

from xaibench.reports.content.sections import sections
from xaibench.reports.markdown import markdown
from xaibench.reports.rendering.markdown import plain
from xaibench.results.schema import COLUMNS


@pytest.fixture(scope="module")
def files(run):
    return markdown(run)


def test_the_same_results_give_the_same_text(run, files):
    assert markdown(run) == files


def test_every_row_of_a_table_has_the_cells_of_its_header(files):
    unescaped = re.compile(r"(?<!\\)\|")
    blocks = [block for block in files["report.md"].split("\n\n") if block.startswith("| ")]
    assert len(blocks) > 10
    for block in blocks:
        assert len({len(unescaped.findall(line)) for line in block.splitlines()}) == 1


def test_the_leaderboard_keeps_all_digits(run, files):
    table = pd.read_csv(io.StringIO(files["leaderboard.csv"]))
    wanted = run.estimates.query("question == 'against random' and operator == 'uniform'")
    wanted = wanted[wanted["metric"] == "deletion_logit_difference"]
    assert list(table["mean"].dropna()) == pytest.approx(list(wanted["mean"].dropna()), rel=1e-12)


def test_the_csv_of_accuracy_has_auroc_auprc_and_mcc(make, files):
    table = pd.read_csv(io.StringIO(files["accuracy.csv"]))
    assert list(table["auroc"]) == pytest.approx([0.97] * len(table))
    assert list(table["mcc_low"]) == pytest.approx([0.86] * len(table))
    few = make(models=("cnn",), quality=(("one", 0.9),), classified=False)
    old = pd.read_csv(io.StringIO(markdown(few)["accuracy.csv"]))
    assert old[["auroc", "auroc_low", "auprc", "mcc_sequences_high"]].isna().all(axis=None)


def test_no_absolute_path_and_no_nan_is_shown(files):
    assert "/home" not in "".join(files.values())
    assert not re.search(r"\bnan\b", files["report.md"], re.IGNORECASE)


def test_what_the_html_report_shows_the_markdown_one_shows_too(run, files):
    for section in (one for one in sections(run) if not one.figures_alone):
        assert f"\n## {plain(section.title)}\n" in files["report.md"]
        for table in section.tables:
            assert f"**{plain(table.caption)}**" in files["report.md"]


def test_a_reason_to_rank_nothing_is_below_the_leaderboard(make):
    blind = (("cnn", "deletion_logit_difference"),)
    text = markdown(make(models=("cnn",), blind=blind))["report.md"]
    assert "| cannot discriminate here<sup>a</sup> |" in text
    assert "<sup>a</sup> the oracle is not above random" in text


def test_controls_and_shares_of_the_oracle_are_tables_of_their_own(files):
    controls = pd.read_csv(io.StringIO(files["against_controls.csv"]))
    assert {"mean map", "GC content"} < set(controls["other"])
    shares = pd.read_csv(io.StringIO(files["normalised.csv"]))
    assert set(shares["metric"]) == {"deletion_logit_difference"}
    assert set(shares["operator"]) == {"uniform"}


def test_no_table_has_the_name_of_a_file_of_the_run(files):
    assert not set(files) & set(COLUMNS)


def test_names_are_escaped(make):
    results = make(models=("a|b",), quality=(("<b>x</b>", 0.9),), failures=False)
    text = markdown(results)["report.md"]
    assert "a\\|b" in text
    assert "<b>" not in re.sub(r"^    .*$", "", text, flags=re.MULTILINE)


def test_a_table_that_would_be_empty_is_no_file(make):
    files = markdown(make(models=("cnn",), motifs=False))
    assert not {"localisation.csv", "between_models.csv"} & set(files)
    assert "leaderboard.csv" in files


def test_a_long_reason_below_a_table_is_cut(make):
    results = make(models=("cnn",), quality=(("one", 0.9), ("attention", 0.2)))
    absent = results.estimates["reason"] != ""
    rows = results.estimates.assign(reason=results.estimates["reason"].mask(absent, "x" * 300))
    text = markdown(replace(results, estimates=rows))["report.md"]
    assert f"<sup>a</sup> {'x' * 159}…" in text
    assert "x" * 160 not in text


def test_text_stays_in_one_line():
    assert plain("a\nb") == "a b"


ACTING = [
    "<style>*{display:none}</style>",
    "<iframe src=//x>",
    "one\ntwo",
    "\u202egnp.exe",
    "\x1b[2J",
]


def test_a_word_of_the_glossary_is_text(make, monkeypatch):
    words = [(word, word) for word in ACTING]
    monkeypatch.setattr("xaibench.reports.content.sections.glossary", lambda _: words)
    text = markdown(make(models=("cnn",)))["report.md"]
    entries = [
        line for line in text.splitlines() if line.startswith("- **") and line.count("**") == 2
    ]
    assert len(entries) == len(ACTING)
    for word, entry in zip(ACTING, entries, strict=True):
        assert word not in text
        assert "<" not in entry
        assert all(letter.isprintable() for letter in entry)
