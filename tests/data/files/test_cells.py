"""Cells from .h5ad and sets of genes from GMT."""

import gzip

import h5py
import numpy as np
import pytest
from small_cells import GENES, TYPES, counts_of_cells, write_h5ad

from xaibench.data.files.gene_sets import gene_sets
from xaibench.data.files.h5ad import cells
from xaibench.errors import UsageError


@pytest.mark.parametrize("kind", ["dense", "csr_matrix", "csc_matrix"])
def test_counts_and_types_are_those_that_were_written(tmp_path, kind):
    counts, labels = counts_of_cells(9)
    labels[4] = -1  # of no type, and left out
    path = write_h5ad(tmp_path / "cells.h5ad", counts, labels, kind=kind)
    read = cells(path=path, label="cell_type")
    rows = np.delete(np.arange(9), 4)
    np.testing.assert_array_equal(read.counts, counts[rows])
    assert (read.genes, read.class_names) == (GENES, TYPES)
    assert read.labels.tolist() == labels[rows].tolist()
    assert read.names[4] == "c5"
    few = cells(path=path, most=3)
    np.testing.assert_array_equal(few.counts, counts[[0, 4, 8]])
    assert not few.has_classes


def test_other_columns_and_layers_can_be_named(tmp_path):
    counts, labels = counts_of_cells(5)
    path = write_h5ad(tmp_path / "cells.h5ad", -counts, labels)
    with h5py.File(path, "r+") as file:
        file["layers/raw"] = counts
        file["obs/batch"] = ["b", "a", "b", "", "a"]
        file["var/symbol"][1] = "symbol G0"  # of two genes of one name the first counts
    read = cells(path=path, label="batch", genes="symbol", layer="raw")
    assert read.genes[:2] == ("symbol G0", "symbol G2")
    np.testing.assert_array_equal(read.counts, np.delete(counts, 1, axis=1)[[0, 1, 2, 4]])
    assert [read.class_names[label] for label in read.labels] == ["b", "a", "b", "a"]


def rewritten(file, name, value):
    del file[name]
    file[name] = value


def in_another_file(file):
    file.create_dataset("far", (8,), "u1", external=[("/etc/hostname", 0, 8)])


def unpacking(file):
    file.create_dataset("much", (2 * 10**9,), "u1", chunks=(10**6,))


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (None, {"label": "nonsense"}, "no column 'nonsense' in obs, which has _index, cell_type"),
        (None, {"genes": "nonsense"}, "no column 'nonsense' in var"),
        (None, {"layer": "nonsense"}, "has no layer 'nonsense', but X alone"),
        (lambda f: rewritten(f, "X/data", -f["X/data"][:]), {}, "not negative.*are they scaled"),
        (
            lambda f: rewritten(f, "var/_index", ["a"]),
            {},
            r"counts of shape \(5, 48\), cells and genes of \(5, 1\)",
        ),
        (lambda f: rewritten(f, "X/indices", f["X/indices"][:] + 10**6), {}, "indices.* must be <"),
        (lambda f: rewritten(f, "X/indptr", f["X/indptr"][:] * 9), {}, "cannot be read as anndata"),
        (
            lambda f: rewritten(f, "obs/cell_type/codes", [9] * 5),
            {"label": "cell_type"},
            "obs.cell_type: a code of none of its 2 categories",
        ),
        (
            lambda f: rewritten(f, "X", h5py.ExternalLink("other.h5", "X")),
            {},
            "X is in another file; copy it into this",
        ),
        (in_another_file, {}, "far is in another file"),
        (unpacking, {}, "that unpack to 2,000,00"),
        (
            lambda f: rewritten(f, "obs/cell_type/codes", [-1] * 5),
            {"label": "cell_type"},
            "no cell",
        ),
        (lambda f: f["obs"].attrs.pop("_index"), {}, "cannot be read as anndata 0.7"),
    ],
)
def test_what_cannot_be_read_is_one_line(tmp_path, change, options, message):
    path = write_h5ad(tmp_path / "cells.h5ad", *counts_of_cells(5))
    if change:
        with h5py.File(path, "r+") as file:
            change(file)
    with pytest.raises(UsageError, match=message) as raised:
        cells(path=path, **options)
    assert "\n" not in str(raised.value)


def test_a_file_that_is_no_hdf5_is_one_line(tmp_path):
    path = tmp_path / "cells.h5ad"
    path.write_text("gene,count\n")
    with pytest.raises(UsageError, match="cannot be read as anndata"):
        cells(path=path)


def test_sets_of_a_gmt(tmp_path):
    path = tmp_path / "sets.gmt.gz"
    path.write_bytes(gzip.compress(b"one\thttp\tA\tB\t\n\ntwo\t\tC\n"))
    assert gene_sets(path) == {"one": {"A", "B"}, "two": {"C"}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("=1+1\t\tA\n", "line 1: expected a name that begins with no = . - @"),
        ("one\tx\tA\none\tx\tB\n", "line 2: the set 'one' is there already"),
        ("one A B\n", "line 1: expected a name, a description and genes"),
        ("", "an empty file"),
    ],
)
def test_what_is_no_gmt_is_one_line(tmp_path, text, message):
    path = tmp_path / "sets.gmt"
    path.write_text(text)
    with pytest.raises(UsageError, match=message):
        gene_sets(path)
