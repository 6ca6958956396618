import numpy as np

from xaibench.evaluation.records import RecordGroup, frame
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


def test_records_survive_a_file(tmp_path):
    table = frame(BLOCKS, "planted")
    table.to_parquet(tmp_path / "results.parquet", index=False)
    import pandas as pd

    again = pd.read_parquet(tmp_path / "results.parquet")
    pd.testing.assert_frame_equal(again, table, check_categorical=False)
