"""Agreement between methods, as a matrix."""

from dataclasses import replace

import numpy as np

from xaibench.reports.format.numbers import TIMES
from xaibench.reports.tables.agreement import matrices


def told(table):
    return {row[0].text: [cell.text for cell in row[1:]] for row in table.rows}


def test_the_matrix_is_whole_with_agreement_between_seeds_on_its_diagonal(run):
    spearman, overlap = matrices(run, "attngen")
    assert spearman.header == ("Method", *"123456")
    values = np.array([[float(text[:4]) for text in row] for row in told(spearman).values()])
    np.testing.assert_array_equal(values, values.T)
    assert set(np.diag(values)) == {0.9}
    assert set(values[~np.eye(6, dtype=bool)]) == {0.45}
    assert overlap.rows[0][1].text == "0.60 [0.55,\N{NO-BREAK SPACE}0.65]"


def test_the_counts_are_in_the_caption_and_beside_what_has_others(run):
    few = run.agreement["other"] == "saliency"
    rows = run.agreement.assign(sequences=run.agreement["sequences"].mask(few, 3))
    spearman, _ = matrices(replace(run, agreement=rows), "attngen")
    assert spearman.caption.endswith(f"(11 {TIMES} 5)")
    assert told(spearman)["1. deeplift"][4].endswith(f"(3 {TIMES} 5)")
    assert spearman.rows[0][1].text.endswith("]")


def test_a_method_that_has_no_map_on_a_model_is_left_out(run):
    spearman, _ = matrices(run, "cnn")
    assert "attention" not in " ".join(told(spearman))


def test_an_undefined_agreement_is_a_dash_with_a_reason(run):
    rows = run.agreement.assign(mean=np.nan, low=np.nan, high=np.nan)
    spearman, _ = matrices(replace(run, agreement=rows), "attngen")
    assert spearman.rows[0][1].noted


def test_with_one_seed_the_diagonal_is_empty(run):
    rows = run.agreement[run.agreement["method"] != run.agreement["other"]]
    spearman, _ = matrices(replace(run, agreement=rows), "attngen")
    assert spearman.rows[0][1].text == ""


def test_a_run_without_agreement_has_no_matrix(make):
    assert matrices(make(controls=False), "cnn") == []
