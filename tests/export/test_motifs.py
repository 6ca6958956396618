import json
from dataclasses import replace

import numpy as np
import pytest
from explained import explanations, in_blocks, npz_of, places

from xaibench.errors import UsageError
from xaibench.export import motifs
from xaibench.export.motifs import chrombpnet, finemo, modisco

ON_BOTH_STRANDS = places([10, 20, 30], [1, 1, -1], [7, 7, 7])


@pytest.mark.parametrize("size", [1, 2, 3])
def test_modisco_reads_one_hot_and_hypothetical_contributions(tmp_path, size):
    whole = explanations()
    written = modisco(in_blocks(whole, size), tmp_path)
    one_hot, contributions = (npz_of(path)["arr_0"] for path in written.files)
    assert [path.name for path in written.files] == ["ohe.npz", "shap.npz"]
    assert (one_hot.dtype, contributions.dtype) == (np.int8, np.float32)
    assert one_hot.shape == contributions.shape == (3, 4, 7)
    assert np.array_equal(one_hot, whole.one_hot)
    assert np.array_equal(contributions, whole.of_bases)
    assert written.notes == ("2 sequences have N or padding: columns of 0",)


def test_modisco_keeps_the_strand_that_was_explained(tmp_path):
    whole = explanations(ON_BOTH_STRANDS)
    one_hot = npz_of(modisco([whole], tmp_path).files[0])["arr_0"]
    assert np.array_equal(one_hot, whole.one_hot)


@pytest.mark.parametrize("write", [modisco, finemo, chrombpnet])
def test_scores_in_place_of_hypothetical_contributions_are_noted(tmp_path, write):
    written = write([explanations(hypothetical=False)], tmp_path)
    assert motifs.PROJECTED in written.notes


def test_finemo_reads_half_precision_and_no_places_where_one_is_not_known(tmp_path):
    where = places([10, 20, 30], [1, 1, -1], [7, 5, 70])
    for block in (explanations(), explanations(where)):
        read = npz_of(finemo([block], tmp_path).files[0])
        assert sorted(read) == ["contributions", "sequences"]
        assert (read["sequences"].dtype, read["contributions"].dtype) == (np.int8, np.float16)
        assert np.array_equal(read["contributions"], block.of_bases.astype(np.float16))


def test_finemo_reads_places_and_forward_strands_where_all_are_known(tmp_path):
    written = finemo(in_blocks(explanations(ON_BOTH_STRANDS), 2), tmp_path)
    read = npz_of(written.files[0])
    assert read["chr"].tolist() == ["chr1"] * 3
    assert read["chr_id"].tolist() == [0, 0, 0]
    assert read["start"].tolist() == [10, 20, 30]
    assert read["peak_id"].tolist() == [0, 1, 2]
    assert read["peak_name"].tolist() == ["peak 0", "peak 1", "peak 2"]
    kinds = {"chr_id": np.uint32, "start": np.int32, "peak_id": np.uint32}
    assert {name: read[name].dtype for name in kinds} == kinds
    # TTTTACG is CGTAAAA on the forward strand
    assert read["sequences"][2].argmax(0).tolist() == [1, 2, 3, 0, 0, 0, 0]
    own = (read["contributions"][2] * read["sequences"][2]).sum(0)
    assert own.tolist() == [21, 20, 19, 18, 17, 16, 15]
    assert motifs.REVERSED in written.notes


@pytest.mark.parametrize("size", [1, 2, 3])
def test_the_file_of_chrombpnet_has_its_three_datasets(tmp_path, size):
    h5py = pytest.importorskip("h5py")
    whole = explanations()
    (path,) = chrombpnet(in_blocks(whole, size), tmp_path).files
    with h5py.File(path) as file:
        raw, shap, projected = (file[f"{name}/seq"] for name in ("raw", "shap", "projected_shap"))
        assert np.array_equal(raw, whole.one_hot)
        assert np.array_equal(shap, whole.of_bases.astype(np.float16))
        assert np.array_equal(projected[:].sum(1), (whole.scores * whole.sequences.valid))
        assert (raw.dtype, shap.dtype) == (np.int8, np.float16)


def test_regions_beside_the_file_of_chrombpnet_have_their_summits_in_the_middle(tmp_path):
    pytest.importorskip("h5py")
    files = chrombpnet([explanations(ON_BOTH_STRANDS)], tmp_path).files
    rows = [line.split("\t") for line in files[1].read_text().splitlines()]
    assert [row[:4] for row in rows][2] == ["chr1", "30", "37", "peak 2"]
    assert {len(row) for row in rows} == {10}
    assert rows[2][9] == "3"


def test_regions_are_left_out_where_one_is_shorter_than_the_sequences_are_padded(tmp_path):
    pytest.importorskip("h5py")
    where = places([10, 20, 30], [1, 1, -1], [7, 5, 7])
    assert len(chrombpnet([explanations(where)], tmp_path).files) == 1


def test_contributions_that_half_precision_cannot_hold_are_rejected(tmp_path):
    block = explanations()
    large = replace(block, hypothetical=block.of_bases * np.float32(1e5))
    with pytest.raises(UsageError, match=r"finemo holds float16, up to 65,504, got a contribution"):
        finemo([large], tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_without_h5py_the_message_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    with pytest.raises(UsageError, match="needs h5py: pip install 'xaibench\\[export\\]'"):
        chrombpnet([explanations()], tmp_path)
    assert json.dumps([path.name for path in tmp_path.iterdir()]) == "[]"
