"""Scores as other tools write them are those that we compute.

The numbers are tangermeme's DeepLIFT of the same network and references. Each file is written as
the code of its tool writes it, whose version and function stand beside it.
"""

import sys
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from xaibench.attribution.deeplift import deeplift
from xaibench.attribution.scores import scores
from xaibench.explanation.method_call import explain
from xaibench.nn.adapted import adapted
from xaibench.nn.layers import one_hot
from xaibench.values import Sequences

COUNT, LENGTH, REFERENCES = 5, 24, 3
TARGETS = np.zeros(COUNT, np.int64)
HOW = {"options": {}, "seed": 0, "component": "test"}


def network():
    torch.manual_seed(0)
    layers = [nn.Conv1d(4, 6, 5), nn.ReLU(), nn.MaxPool1d(2), nn.Flatten(), nn.Linear(60, 1)]
    return nn.Sequential(*layers).eval().requires_grad_(False)


def bases_of(codes):
    return one_hot(torch.from_numpy(codes))


@pytest.fixture(scope="module")
def theirs():
    """One-hot sequences, and by tangermeme 1.6.0 their hypothetical contributions, and those of
    every base that is in the sequence or in a reference, ``(N, 4, L)``."""
    tangermeme = pytest.importorskip("tangermeme.deep_lift_shap")
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 4, (COUNT, LENGTH)).astype(np.uint8)
    references = rng.integers(0, 4, (COUNT, REFERENCES, LENGTH)).astype(np.uint8)
    inputs = bases_of(codes)
    known = bases_of(references.reshape(-1, LENGTH)).reshape(COUNT, REFERENCES, 4, LENGTH)
    call = partial(
        tangermeme.deep_lift_shap, network(), inputs, references=known, target=0, device="cpu"
    )
    multipliers = call(raw_outputs=True)
    hypothetical = call(hypothetical=True)
    of_differences = (multipliers * (inputs[:, None] - known)).mean(1)
    return codes, references, inputs, hypothetical.detach(), of_differences.detach()


@pytest.fixture(scope="module")
def ours(theirs):
    codes, references, *_ = theirs
    model = adapted(network(), classes=1, length=LENGTH)
    explained = explain(deeplift, model, codes, TARGETS, references=references, **HOW).scores
    assert np.abs(explained).max() > 0.01
    return explained


def imported(path, codes, **options):
    """The scores of the file for the sequences, which stand in another order in the test split."""
    order = np.arange(COUNT)[::-1]
    names = tuple(map(str, order))
    split = Sequences(codes[order], TARGETS, names, ("unlabelled",))
    model = adapted(network(), classes=1, length=LENGTH)
    method = partial(scores, path=path, **options)
    return explain(method, model, codes, TARGETS, test_split=split, **HOW).scores


@pytest.mark.parametrize("suffix", ["npz", "pt"])
def test_attributions_of_tangermeme(theirs, ours, tmp_path, suffix):
    """tangermeme 1.6.0 has no writer: a tensor is saved by hand."""
    codes, _, inputs, hypothetical, _ = theirs
    path = tmp_path / f"attributions.{suffix}"
    arrays = {"one_hot": inputs, "attributions": hypothetical}
    if suffix == "pt":
        torch.save(arrays, path)
    else:
        np.savez(path, **{name: tensor.numpy() for name, tensor in arrays.items()})
    np.testing.assert_allclose(imported(path, codes), ours, rtol=1e-4, atol=1e-6)


def test_tensors_in_half_precision_and_in_files_of_their_own(theirs, ours, tmp_path):
    codes, _, inputs, hypothetical, _ = theirs
    torch.save(hypothetical.bfloat16().requires_grad_(), tmp_path / "attr.pt")  # not detached
    torch.save(inputs.to(torch.int8), tmp_path / "ohe.pt")
    got = imported(tmp_path / "attr.pt", codes, one_hot=tmp_path / "ohe.pt")
    np.testing.assert_allclose(got, ours, rtol=1e-2)


def test_attributions_of_bpnet_lite(theirs, ours, tmp_path):
    """bpnet-lite 1.1.0, ``bpnet attribute``: tensors, given to ``numpy.savez_compressed``."""
    codes, _, inputs, hypothetical, _ = theirs
    np.savez_compressed(tmp_path / "attributions.ohe.npz", inputs.to(torch.int8))
    np.savez_compressed(tmp_path / "attributions.attr.npz", hypothetical)
    path = tmp_path / "attributions.attr.npz"
    got = imported(path, codes, one_hot=tmp_path / "attributions.ohe.npz")
    np.testing.assert_allclose(got, ours, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("transpose", [True, False])
def test_contributions_of_crested(theirs, ours, tmp_path, transpose):
    """CREsted 1.11.0, ``crested.tl.contribution_scores``: a pair of files per class, of arrays (N,
    4, L) with ``transpose``, as is its default, else (N, L, 4)."""
    codes, _, inputs, hypothetical, _ = theirs
    for name, tensor in (("contrib", hypothetical), ("oh", inputs)):
        array = tensor.numpy() if transpose else tensor.numpy().transpose(0, 2, 1)
        np.savez_compressed(tmp_path / f"Astro_{name}.npz", array)
    got = imported(tmp_path / "Astro_contrib.npz", codes, one_hot=tmp_path / "Astro_oh.npz")
    np.testing.assert_allclose(got, ours, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("projected", [True, False])
def test_regions_of_finemo(theirs, ours, tmp_path, projected):
    """Fi-NeMo 0.41, ``finemo.data_io.write_regions_npz``: contributions (N, 4, L) or (N, L)."""
    codes, _, inputs, hypothetical, _ = theirs
    whole = hypothetical.numpy().astype(np.float16)
    contributions = (whole * inputs.numpy()).sum(1).astype(np.float16) if projected else whole
    path = tmp_path / "regions.npz"
    np.savez_compressed(
        path,
        sequences=inputs.numpy().astype(np.int8),
        contributions=contributions,
        chr=np.array(["chr1"] * COUNT),
        chr_id=np.zeros(COUNT, np.uint32),
        start=np.arange(COUNT, dtype=np.int32) * 100,
        peak_id=np.arange(COUNT, dtype=np.uint32),
        peak_name=np.array(["."] * COUNT),
    )
    np.testing.assert_allclose(imported(path, codes), ours, rtol=2e-3, atol=1e-6)


def write_as_chrombpnet(path, theirs):
    """ChromBPNet 1.0.1, ``chrombpnet.evaluation.interpret.interpret``: ``generate_shap_dict``,
    saved by deepdish 0.3.7 with ``compression="blosc"``."""
    h5py, hdf5plugin = pytest.importorskip("h5py"), pytest.importorskip("hdf5plugin")
    _, _, inputs, hypothetical, _ = theirs
    arrays = {
        "raw": inputs.numpy().astype(np.int8),
        "shap": hypothetical.numpy().astype(np.float16),
        "projected_shap": (inputs * hypothetical).numpy().astype(np.float16),
    }
    blosc = hdf5plugin.Blosc(cname="blosclz", clevel=9, shuffle=1)  # PyTables' own, by which it is
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file.create_group(name).create_dataset("seq", data=array, chunks=True, **blosc)


@pytest.mark.parametrize("array", ["", "shap/seq", "projected_shap/seq"])
def test_contributions_of_chrombpnet(theirs, ours, tmp_path, array):
    path = tmp_path / "peaks.counts_scores.h5"
    write_as_chrombpnet(path, theirs)
    got = imported(path, theirs[0], array=array)
    np.testing.assert_allclose(got, ours, rtol=2e-3, atol=1e-6)


def test_what_decompresses_the_files_of_chrombpnet_is_named_where_it_is_missing(
    theirs, tmp_path, monkeypatch
):
    path = tmp_path / "peaks.counts_scores.h5"
    write_as_chrombpnet(path, theirs)
    monkeypatch.setattr("h5py.h5z.filter_avail", lambda code: code != 32001)
    monkeypatch.setitem(sys.modules, "hdf5plugin", None)
    with pytest.raises(ValueError, match=r"needs hdf5plugin: pip install 'xaibench\[export\]'"):
        imported(path, theirs[0])


def test_values_of_shap(theirs, ours, tmp_path):
    """shap 0.51.0, ``DeepExplainer(...).shap_values``: an array whose last axis is the outputs,
    saved by hand; contributions of the bases of references too, so they add up."""
    codes, _, inputs, _, of_differences = theirs
    values = of_differences.double().numpy()[..., None]
    path = tmp_path / "shap.npz"
    np.savez(path, shap_values=values, one_hot=inputs.numpy())
    got = imported(path, codes, bases="sum")
    np.testing.assert_allclose(got, ours, rtol=1e-4, atol=1e-6)
    np.savez(path, shap_values=np.concatenate([values, values], 3), one_hot=inputs.numpy())
    with pytest.raises(
        ValueError, match=r"shap_values: expected scores of one output, .*\.\.\., 1"
    ):
        imported(path, codes, bases="sum")
