"""How alike two models are explained, as a table."""

from dataclasses import replace

import pandas as pd

from xaibench.reports.content.sections import sections
from xaibench.reports.tables.model_agreement import model_agreements
from xaibench.results.schema import COLUMNS, COMPARED


def with_rows(run, compared=COMPARED, **changed):
    columns = COLUMNS["model_agreement.csv"]
    pair = {"model": "cnn", "method": "deeplift", "other_model": "attngen", "other": "saliency"}
    counts = {"sequences": 11, "seeds": 5, **changed}
    rows = [
        {**pair, "measure": measure, "compared": each, "mean": mean, "low": mean - 0.1} | counts
        for measure in ("spearman", "overlap")
        for each, mean in zip(compared, (0.5, 0.3, 0.0, 0.8, 0.7), strict=False)
    ]
    frame = pd.DataFrame(rows).assign(high=lambda rows: rows["mean"] + 0.1)
    return replace(run, model_agreement=frame[list(columns)])


def test_every_comparison_has_a_column_beside_both_methods(run):
    spearman, overlap = model_agreements(with_rows(run))
    assert "cnn" in spearman.caption
    assert spearman.caption.endswith("(11 \N{MULTIPLICATION SIGN} 5)")
    assert [cell.text[:4] for cell in spearman.rows[0]] == [
        *("deep", "sali"),
        *("0.50", "0.30", "0.00", "0.80", "0.70"),
    ]
    assert spearman.header[-2:] == ("Two seeds of cnn", "Two seeds of attngen")
    assert (spearman.folded, overlap.folded) == (False, True)


def test_with_one_seed_there_are_no_columns_of_seeds(run):
    spearman, _ = model_agreements(with_rows(run, COMPARED[:3]))
    assert len(spearman.header) == 5


def test_an_undefined_similarity_has_a_reason(run):
    spearman, _ = model_agreements(with_rows(run, mean=float("nan"), low=float("nan")))
    assert spearman.rows[0][2].noted


def test_the_section_is_there_where_two_models_were_compared(run):
    anchors = [section.anchor for section in sections(with_rows(run))]
    assert anchors.index("model-agreement") == anchors.index("agreement") + 1
    assert "model-agreement" not in [section.anchor for section in sections(run)]
