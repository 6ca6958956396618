from dataclasses import replace

import numpy as np
import pytest

from xaibench.evaluation import records
from xaibench.evaluation.records import RecordGroup, frame, write_parquet
from xaibench.results.schema import columns_of

BLOCKS = [
    RecordGroup(
        *("cnn", 3, "random control", "", "deletion", "n", 1, ("a", "b", "c")),
        values=np.array([1, np.nan, 2]),
    ),
    RecordGroup(
        *("cnn", 4, "attention", "blurred", "deletion", "n"),
        status="not applicable",
        reason="no attention",
    ),
    RecordGroup("attngen", 3, metric="accuracy", sequences=("b", "d"), values=np.array([0.0, 1.0])),
]


def test_one_row_a_value_and_one_where_there_is_none():
    table = frame(BLOCKS, "planted")
    assert list(table.columns) == columns_of("records")
    assert len(table) == 3 + 1 + 2
    assert table.sequence.astype(str).tolist() == ["a", "b", "c", "", "b", "d"]
    assert table.seed.tolist() == [3, 3, 3, 4, 3, 3]
    assert table.repeat.tolist() == [1, 1, 1, 0, 0, 0]
    assert table.value.isna().tolist() == [False, True, False, True, False, False]
    assert table.reason.astype(str).tolist()[3] == "no attention"
    assert table.control.astype(str).tolist() == ["", "", "", "blurred", "", ""]
    assert set(table.dataset) == {"planted"}


@pytest.mark.parametrize(("together", "row_groups"), [(1, 8), (2, 5), (4, 3), (2**20, 3)])
def test_a_file_holds_the_same_records_in_a_row_group_per_model_seed_and_method(
    tmp_path, monkeypatch, together, row_groups
):
    import pandas as pd
    from pyarrow import parquet

    monkeypatch.setattr(records, "ROWS_TOGETHER", together)
    groups = [*BLOCKS, replace(BLOCKS[2], values=np.array([2.0, 3.0]), repeat=1)]
    with (tmp_path / "results.parquet").open("wb") as file:
        write_parquet(file, groups, "planted")
    again = pd.read_parquet(tmp_path / "results.parquet")
    table = frame(groups, "planted")
    pd.testing.assert_frame_equal(again, table, check_categorical=False)
    assert parquet.read_metadata(tmp_path / "results.parquet").num_row_groups == row_groups
    asked = pd.read_parquet(tmp_path / "results.parquet", filters=[("model", "==", "attngen")])
    assert asked["value"].tolist() == [0, 1, 2, 3]


def test_a_table_of_nothing_has_all_columns():
    table = frame([], "planted")
    assert list(table.columns) == columns_of("records")
    assert table.empty
