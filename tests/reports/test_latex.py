"""Tables that LaTeX takes, whatever the names in them."""

import re
import shutil
import subprocess
from dataclasses import replace

import pytest

from xaibench.reports.latex import latex
from xaibench.reports.rendering.latex import LONG_NAME, escaped, table_of
from xaibench.reports.tables.table import Cell, Table, heads

PRINTABLE = "".join(map(chr, range(32, 127)))
ENGINES = [engine for engine in ("pdflatex", "tectonic") if shutil.which(engine)]

DOCUMENT = r"""\documentclass{article}
\usepackage{booktabs}
\begin{document}
%s
\end{document}
"""


@pytest.fixture(scope="module")
def files(run):
    return latex(run)


@pytest.fixture
def nasty(make):
    names = (PRINTABLE, "[a] *b* --c", "ä\N{GREEK SMALL LETTER ALPHA}\n\t中", "m_" * 40)
    quality = tuple((name, 0.9 - k / 10) for k, name in enumerate(names))
    return latex(make(models=("c_n&n", "100%"), quality=quality, seeds=(0, 4)))


def test_each_table_is_a_file_and_a_model_has_its_own(files):
    assert {
        *("tables/leaderboard.tex", "tables/leaderboard_cnn.tex", "tables/accuracy.tex"),
        *("tables/localisation_attention-only.tex", "tables/between_models.tex"),
    } <= set(files)


def test_the_figures_are_those_of_the_run(run, files):
    rows = run.estimates.query(
        "question == 'against random' and metric == 'deletion_logit_difference' "
        "and operator == 'uniform' and model == 'attngen' and method == 'deeplift'"
    )
    mean, low, high = (f"{rows[name].iloc[0]:.2f}" for name in ("mean", "low", "high"))
    (row,) = re.findall(r"^deeplift & .*$", files["tables/leaderboard_attngen.tex"], re.MULTILINE)
    assert f"{mean} [{low}, {high}]" in row


def test_captions_name_sequences_seeds_and_operator(files):
    for name, text in files.items():
        for caption in re.findall(r"\\caption\{(.*)\}", text):
            assert "$n$ = " in caption
            assert "5 seeds" in caption
            if "leaderboard" in name or "between" in name:
                assert "operator uniform" in caption


def bold_rows(text: str) -> list[str]:
    return [line.split(" & ")[0] for line in text.splitlines() if r"\textbf" in line]


def test_the_best_is_bold_only_where_every_other_is_behind(make):
    apart = latex(make(models=("cnn",), quality=(("one", 0.9), ("two", 0.4), ("three", 0.3))))
    close = latex(make(models=("cnn",), quality=(("one", 0.9), ("two", 0.89), ("three", 0.3))))
    assert bold_rows(apart["tables/leaderboard_cnn.tex"]) == ["one"]
    assert bold_rows(close["tables/leaderboard_cnn.tex"]) == []


def test_a_metric_that_failed_its_self_test_makes_nothing_bold(make):
    blind = (("cnn", "deletion_logit_difference"),)
    quality = (("one", 0.9), ("two", 0.4))
    text = latex(make(models=("cnn",), quality=quality, blind=blind))["tables/leaderboard_cnn.tex"]
    assert bold_rows(text) == []
    assert "Nothing is ranked: " in text


def test_the_methods_paragraph_cites_what_the_references_hold(files):
    cited = re.findall(r"\\cite\{([^}]*)\}", files["tables/methods.tex"])
    keys = re.findall(r"^@\w+\{(\w+),", files["tables/references.bib"], re.MULTILINE)
    assert {key for bracket in cited for key in bracket.split(",")} == set(keys)
    assert r"methods of a model~\cite{holm1979}." in files["tables/methods.tex"]
    assert "(Banerjee" not in files["tables/methods.tex"]


def test_one_seed_is_shown_by_the_caption(make):
    text = latex(make(models=("cnn",), seeds=(3,)))["tables/leaderboard.tex"]
    assert "1 seed; intervals for these trained models" in text


def test_auroc_auprc_and_mcc_are_beside_the_accuracy(make):
    text = latex(make())["tables/accuracy.tex"]
    assert "Model & Accuracy & AUROC & AUPRC of CTCF & MCC" in text
    assert "0.970 [0.960, 0.980]" in text
    assert "GC alone (baseline)" in text
    assert " 0.530 & 0.520 & 0.020" in " ".join(text.replace("$", "").split())


def test_a_run_from_before_auroc_was_saved_has_accuracy_alone(make):
    text = latex(make(classified=False))["tables/accuracy.tex"]
    assert "Model & Accuracy \\\\" in text


def test_a_table_that_would_be_empty_is_no_file(make):
    files = latex(make(models=("cnn",), motifs=False))
    assert set(files) == {
        *("tables/leaderboard.tex", "tables/leaderboard_cnn.tex", "tables/accuracy.tex"),
        *("tables/methods.tex", "tables/references.bib"),
    }


def test_a_file_name_holds_no_more_than_letters_whatever_the_model_is_called(make):
    files = latex(make(models=("a b", "a/b", "../x", "é"), quality=(("one", 0.9),), seeds=(0, 4)))
    names = [name for name in files if name.startswith("tables/leaderboard_")]
    assert names == [f"tables/leaderboard_{word}.tex" for word in ("a-b-1", "a-b-2", "x", "4")]


def test_the_same_results_give_the_same_text(run, files):
    assert latex(run) == files


def test_a_method_named_after_its_file_loses_its_folder(run):
    rows = run.estimates.assign(method=run.estimates["method"].replace("deeplift", "/home/a/b.py"))
    plan = run.plan | {"attribution": {"/home/a/b.py": {}, "saliency": {}}}
    text = latex(replace(run, estimates=rows, plan=plan))["tables/leaderboard_cnn.tex"]
    assert "\nb.py & " in text


# What LaTeX itself would say


def unescaped(text: str) -> str:
    """The text without commands, escaped letters, groups and formulas: what must be harmless."""
    text = re.sub(r"\$(\\[a-z]+|[-<])\$", "", text)
    text = re.sub(r"\\[{}$&#_%]", "", text)
    return re.sub(r"\\(text[a-z]+|ldots|char34|allowbreak)(\{\})?", "", text)


@pytest.mark.parametrize(
    "text", [PRINTABLE, "a--b---c", "[x]*", "\\\\ \\end{tabular}", "~\N{GREEK SMALL LETTER ALPHA}^"]
)
def test_escaped_text_holds_no_letter_that_means_something(text):
    left = unescaped(escaped(text))
    assert not re.search(r"[\\$&#_%^~<>|\"`]", left)
    assert "--" not in left
    assert left.count("{") == left.count("}")


def balanced(text: str) -> bool:
    """Whether braces and environments close in turn."""
    depth = 0
    for brace in re.findall(r"(?<!\\)[{}]", text.replace(r"\\", "")):
        depth += 1 if brace == "{" else -1
        if depth < 0:
            return False
    opened: list[str] = []
    for kind, name in re.findall(r"\\(begin|end)\{(\w+)\}", text):
        if kind == "begin":
            opened.append(name)
        elif not opened or opened.pop() != name:
            return False
    return depth == 0 and not opened


def test_braces_environments_and_columns_agree_whatever_the_names(nasty):
    for text in nasty.values():
        assert balanced(text)
        for table in re.findall(r"\\begin\{tabular\}.*?\\end\{tabular\}", text, re.DOTALL):
            rows = [line for line in table.splitlines() if line.endswith(r"\\")]
            assert len({len(re.findall(r"(?<!\\)&", row)) for row in rows}) == 1
            assert not any(row.startswith(("[", "*")) for row in rows)


def test_a_long_name_may_break(nasty):
    assert r"\allowbreak{}" in nasty["tables/leaderboard.tex"]
    assert len("m_" * 40) > LONG_NAME
    long = Table("", heads("Method", "Gap"), ((Cell("x" * (LONG_NAME + 1)), Cell("1")),))
    assert "p{" in table_of(long)


@pytest.mark.skipif(not ENGINES, reason="no LaTeX on this machine")
def test_latex_compiles_every_table_without_a_word(nasty, tmp_path):
    nasty = {name: text for name, text in nasty.items() if name.endswith(".tex")}
    for name, text in nasty.items():
        (tmp_path / name.removeprefix("tables/")).write_text(text)
    inputs = "\n".join(rf"\input{{{name.removeprefix('tables/')}}}" for name in nasty)
    (tmp_path / "all.tex").write_text(DOCUMENT % inputs)
    words = {"pdflatex": ["-interaction=nonstopmode", "-halt-on-error"], "tectonic": []}
    command = [ENGINES[0], *words[ENGINES[0]], "all.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace")
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Missing character" not in done.stdout
    assert (tmp_path / "all.pdf").stat().st_size > 10_000
