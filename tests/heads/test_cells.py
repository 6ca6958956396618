"""Heads of scGPT on cells: the same code as for DNA."""

import re
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from small_cells import (
    GENES,
    PROGRAMME,
    TYPES,
    counts_of_cells,
    train,
    write_h5ad,
    write_scgpt,
)

from xaibench.errors import UsageError
from xaibench.heads.gene_tracks import gene_tracks_named
from xaibench.values import CellCounts

PAGE = (Path(__file__).parents[2] / "docs" / "heads.md").read_text()


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A trained model, other cells, and a GMT with the programme and with twenty random sets."""
    folder = tmp_path_factory.mktemp("cells")
    write_scgpt(folder / "model")
    train(folder / "model", *counts_of_cells(300))
    write_h5ad(folder / "cells.h5ad", *counts_of_cells(100, seed=1))
    generator = np.random.default_rng(0)
    random = {
        f"random {number}": generator.choice(GENES, 10, replace=False) for number in range(20)
    }
    sets = {"programme": PROGRAMME, **random, "elsewhere": ["H1", "H2", "H3", "H4", "H5", "H6"]}
    lines = ["\t".join([name, "", *genes]) for name, genes in sets.items()]
    (folder / "sets.gmt").write_text("\n".join(lines) + "\n")
    return folder


def test_the_head_of_a_planted_programme_is_found_and_ablated(call, place, monkeypatch):
    monkeypatch.chdir(place)
    (shown,) = re.findall(r"^xaibench heads scGPT_human (.*)$", PAGE, re.MULTILINE)
    typed = shown.replace("expression --ablate 10", "cell_type --ablate 25").split()
    code, _, err = call("heads", "model", *typed, "--received", "mean")
    assert (code, err) == (0, "")
    heads = pd.read_csv(place / "heads" / "heads.csv")
    assert heads.groupby("track").size().to_dict() == {
        "programme": 4,
        **{f"random {number}": 4 for number in range(20)},
        "cell_type": 4,
    }
    strongest = heads.loc[heads[heads["track"] == "programme"]["mean"].idxmax()]
    assert (strongest["layer"], strongest["head"], strongest["associated"]) == (0, 0, True)
    assert strongest["mean"] > 0.4
    random = heads[heads["track"].str.startswith("random")]
    assert not random["associated"].any()
    # heads favour genes, in all cells alike: by cell for cell, most random sets would go with them
    assert (random["p_shift"] < 0.05).mean() > 0.4
    tests = pd.read_csv(place / "heads" / "ablation_tests.csv")
    assert tests.loc[tests["by"] == "strength", "heads"].eq(1).all()
    intact = pd.read_csv(place / "heads" / "ablations.csv").iloc[0]
    assert intact["accuracy"] > 0.6


def test_cells_without_types_have_associations_and_no_ablation(call, place, tmp_path):
    code, _, err = call(
        *("heads", place / "model", place / "cells.h5ad", "--track", "expression"),
        *("--ablate", 25, "--sequences", 20, "--state", "random", "--state", "trained"),
        *("-o", tmp_path),
    )
    assert code == 1
    assert "failed: scgpt, random; scgpt: --ablate: expected labels of two classes" in err
    heads = pd.read_csv(tmp_path / "heads.csv")
    assert heads["state"].tolist() == ["random"] * 4 + ["as built"] * 4
    assert len(heads["mean"].unique()) == 8
    assert not (tmp_path / "changes.csv").exists()  # cells share their genes


def cells_of(counts, labels, **changes):
    given = {"genes": GENES[: counts.shape[1]], "class_names": TYPES, **changes}
    return CellCounts(counts, labels=labels, names=tuple(map(str, labels)), **given)


def test_the_track_of_cell_types_by_hand():
    counts = np.array([[3, 1, 0], [1, 3, 0], [0, 4, 0]], np.float32)
    labels = np.array([0, 1, 1])
    (track,) = gene_tracks_named("cell_type", cells_of(counts, labels))
    logarithms = np.log1p(10_000 * counts.astype(np.float64) / 4)
    expected = logarithms[0] - logarithms[1:].mean(axis=0)
    np.testing.assert_allclose(track.values, [expected, -expected, -expected])


@pytest.mark.parametrize(
    ("text", "content", "message"),
    [
        ("gc", "", "--track gc: expected expression, cell_type or a .gmt file"),
        ("missing.gmt", "", "no file 'missing.gmt'"),
        ("cell_type", "", "the cells have no types"),
        ("few.gmt", "a\tx\tG1\tG2\nb\tx\tENSG1\n", "none of its 2 sets shares 5 genes"),
        ("all.gmt", "\t".join(["a", "x", *GENES]), "none of its 1 sets shares 5 genes"),
    ],
)
def test_what_is_no_track_of_genes_is_one_line(tmp_path, monkeypatch, text, content, message):
    monkeypatch.chdir(tmp_path)
    if content:
        (tmp_path / text).write_text(content)
    counts, labels = counts_of_cells(4)
    with pytest.raises(UsageError, match=message) as raised:
        list(gene_tracks_named(text, cells_of(counts, 0 * labels, class_names=("unlabelled",))))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--weights", "x.pt"], "--weights: is for sequences"),
        (["--state", "pretrained"], "--state pretrained: is for sequences"),
        (["--shuffle-around", "expression"], "--shuffle-around: is for sequences"),
        (["--set", "dataset.labels=x"], "dataset.*'labels'"),
        (["--set", "seeds=[1]"], "--set seeds=.1.: expected dataset. or models.scgpt."),
        (["--set", "dataset.label=batch"], "tells 2 classes apart, and the label .* has 3"),
        (["--model", "x"], "--model: is for a run"),
    ],
)
def test_what_cannot_be_asked_of_cells_is_one_line(call, place, arguments, message, tmp_path):
    with h5py.File(place / "cells.h5ad", "r+") as file:
        if "batch" not in file["obs"]:
            file["obs/batch"] = ["abc"[row % 3] for row in range(100)]
    code, out, err = call("heads", place / "model", place / "cells.h5ad", *arguments)
    assert (code, out) == (2, "")
    assert re.search(message, err)
    assert len(err.strip().splitlines()) == 1
