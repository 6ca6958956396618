import json

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from explained import explanations, in_blocks, npz_of, places, without_outputs

from xaibench.export.tables import parquet, scores


@pytest.mark.parametrize("size", [1, 2, 3])
def test_scores_come_back_from_npz_whatever_the_blocks(tmp_path, size):
    whole = explanations()
    (path,) = scores(in_blocks(whole, size), tmp_path).files
    read = npz_of(path)
    assert np.array_equal(read["scores"], whole.scores)
    assert np.array_equal(read["codes"], whole.sequences.codes)
    assert np.array_equal(read["outputs"], whole.outputs)
    assert read["names"].tolist() == ["peak 0", "peak 1", "peak 2"]
    targets = read["target_names"][read["targets"]]
    assert targets.tolist() == ["positive", "negative", "positive"]
    assert json.loads(str(read["origin"][0]))["method"] == "deeplift"


def test_a_row_of_the_table_has_the_letters_and_one_score_for_each(tmp_path):
    (path,) = parquet(in_blocks(explanations(), 2), tmp_path).files
    table = pd.read_parquet(path)
    assert table["sequence"].tolist() == ["ACGTNCA", "GGCAT", "TTTTACG"]
    assert table["scores"][1].tolist() == [8, 9, 10, 11, 12]
    assert table["scores"][1].dtype == np.float32
    assert table["target"].tolist() == ["positive", "negative", "positive"]
    assert table["predicted"].tolist() == ["positive", "negative", "positive"]
    assert table["output"].tolist() == [1, 3, 9]
    assert table["outputs"][2].tolist() == [4, 9]
    assert "chromosome" not in table
    origin = json.loads(pq.read_schema(path).metadata[b"xaibench"])
    assert origin["model"] == "cnn seed 0"


def test_intervals_are_columns_and_missing_where_they_are_not_known(tmp_path):
    where = places([10, 20, 30], [1, -1, 1], [7, 5, 70])
    (path,) = parquet([explanations(where)], tmp_path).files
    table = pd.read_parquet(path)
    assert table["chromosome"].tolist()[:2] == ["chr1", "chr1"]
    assert table["start"][1] == 20
    assert table["end"][1] == 25
    assert table["strand"].tolist()[:2] == ["+", "-"]
    assert table.loc[2, ["chromosome", "start", "end", "strand"]].isna().all()


def test_places_that_only_a_later_block_knows_are_written(tmp_path):
    # the first row is on a contig of its own, so that its columns hold nothing but missing values
    where = places([10, 20, 30], [1, -1, 1], [70, 5, 7])
    (path,) = parquet(in_blocks(explanations(where), 1), tmp_path).files
    assert pd.read_parquet(path)["end"].tolist()[1:] == [25, 37]


def test_scores_without_outputs_of_a_model_are_written_too(tmp_path):
    block = without_outputs(explanations())
    (path,) = parquet([block], tmp_path).files
    assert pd.read_parquet(path)["output"].isna().all()
    (path,) = scores([block], tmp_path).files
    assert "outputs" not in npz_of(path)
