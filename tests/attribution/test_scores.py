"""Scores made elsewhere: written by our own exports and by hand, read back as a method."""

import json
import sys
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from explained import explanations, in_blocks, places
from explained import sequences as three
from small_run import work_of
from torch import nn
from toy import MODELS

from xaibench.artefacts.artefact import arrays_of
from xaibench.artefacts.explanations import explained_spec
from xaibench.artefacts.trained_models import TrainedModel
from xaibench.attribution.perturbation import in_silico_mutagenesis
from xaibench.attribution.scores import scores
from xaibench.errors import NotApplicable, UsageError
from xaibench.explanation.method_call import explain
from xaibench.export.motifs import chrombpnet, finemo, modisco
from xaibench.export.tables import parquet
from xaibench.export.tables import scores as numpy_scores
from xaibench.export.tracks import bigwig
from xaibench.nn.layers import one_hot
from xaibench.runs.pipeline import run
from xaibench.storage.files import digest_of_file
from xaibench.testing.contract import check_by_name
from xaibench.values import Sequences

ON_BOTH_STRANDS = places([10, 20, 30], [1, 1, -1], [7, 5, 7])
TARGETS = np.array([1, 0, 1])


class Linear(nn.Module):
    """The counts of the first bases as logits: sequences of 7, ``outputs`` classes."""

    def __init__(self, outputs: int = 2) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.eye(4)[:outputs])

    def encode(self, codes):
        return one_hot(codes)

    def forward(self, inputs):
        return inputs.sum(2) @ self.weights.T


def imported(path, split, *, targets=TARGETS, codes=None, outputs=2, **options):
    """The scores that the method gives of the test split, or of other sequences."""
    method = partial(scores, path=path, **options)
    given = split.codes if codes is None else codes
    model = Linear(outputs)
    call = dict(options={}, seed=0, component="scores", test_split=split, batch_size=2)
    return explain(method, model, given, np.asarray(targets), **call).scores


def whole():
    """Three sequences on both strands, the second of five letters, with the classes 1, 0, 1."""
    return explanations(ON_BOTH_STRANDS)


def expected(block):
    return block.scores * block.sequences.valid


# Round trips


@pytest.mark.parametrize("write", [numpy_scores, parquet, bigwig])
@pytest.mark.parametrize("order", [[0, 1, 2], [2, 0, 1]])
def test_what_we_export_comes_back_whatever_the_order(tmp_path, write, order):
    pytest.importorskip("pybigtools")
    block = whole()
    path = write(in_blocks(block.take(np.array(order)), 2), tmp_path).files[0]
    options = {"target": "any"} if write is bigwig else {}
    got = imported(path, block.sequences, **options)
    np.testing.assert_array_equal(got, expected(block))


@pytest.mark.parametrize("hypothetical", [True, False])
def test_hypothetical_contributions_are_taken_at_the_base_that_is_there(tmp_path, hypothetical):
    block = explanations(ON_BOTH_STRANDS, hypothetical=hypothetical)
    bases, contributions = modisco([block], tmp_path).files
    got = imported(contributions, block.sequences, one_hot=bases, target="any")
    np.testing.assert_array_equal(got, expected(block))


def test_the_file_of_chrombpnet_comes_back_in_half_precision(tmp_path):
    pytest.importorskip("h5py")
    block = explanations(places([10, 20, 30], [1, 1, -1], [7, 7, 7]))
    path = chrombpnet([block], tmp_path).files[0]
    for array in ("", "shap/seq", "projected_shap/seq"):
        got = imported(path, block.sequences, array=array, target="any")
        np.testing.assert_array_equal(got, expected(block))  # whole numbers below 2048


def test_a_sequence_of_the_other_strand_is_found_as_the_genome_has_it(tmp_path):
    block = explanations(places([10, 20, 30], [1, 1, -1], [7, 7, 7]))
    path = finemo([block], tmp_path).files[0]
    got = imported(path, block.sequences, target="any")
    np.testing.assert_array_equal(got, expected(block))
    elsewhere = replace(block.sequences, intervals=None)
    with pytest.raises(ValueError, match="has scores of 2 of the 3 sequences"):
        imported(path, elsewhere, target="any")


def test_rows_without_letters_are_matched_by_their_interval(tmp_path):
    block = whole()
    path = parquet([block.take(np.array([2, 1, 0]))], tmp_path).files[0]
    table = pd.read_parquet(path).drop(columns="sequence")
    table.to_parquet(path)
    np.testing.assert_array_equal(imported(path, block.sequences), expected(block))
    table["strand"] = ["+", "+", "-"]  # the other direction of the third and the first sequence
    table.to_parquet(path)
    got = imported(path, block.sequences)
    assert got[0].tolist() == [7, 6, 5, 4, 0, 2, 1]  # its fifth is an N
    assert got[1].tolist() == expected(block)[1].tolist()
    assert got[2].tolist() == [21, 20, 19, 18, 17, 16, 15]


# By hand


def by_hand(tmp_path, **arrays):
    path = tmp_path / "theirs.npz"
    np.savez(path, **arrays)
    return path


def hot(block):
    return block.one_hot.astype(np.int8)


@pytest.mark.parametrize("alphabet", ["ACGT", "TGAC"])
@pytest.mark.parametrize("last", [False, True])
def test_layouts_and_orders_of_bases(tmp_path, alphabet, last):
    block = whole()
    order = ["ACGT".index(base) for base in alphabet]
    arrays = {"one_hot": hot(block)[:, order], "attributions": block.of_bases[:, order]}
    if last:
        arrays = {name: array.transpose(0, 2, 1) for name, array in arrays.items()}
    path = by_hand(tmp_path, **arrays)
    got = imported(path, block.sequences, target="any", alphabet=alphabet)
    np.testing.assert_array_equal(got, expected(block))


def test_contributions_of_all_bases_may_be_summed(tmp_path):
    block = whole()
    path = by_hand(tmp_path, ohe=hot(block), attributions=block.of_bases)
    got = imported(path, block.sequences, target="any", bases="sum")
    np.testing.assert_allclose(got, block.of_bases.sum(1) * block.sequences.valid)


def test_names_of_sequences_as_letters(tmp_path):
    block = whole()
    letters = np.array(["TTTTACG", "ACGTNCA", "GGCAT"])
    path = by_hand(tmp_path, sequence=letters, values=block.scores[[2, 0, 1]])
    got = imported(path, block.sequences, target="any")
    np.testing.assert_array_equal(got, expected(block))


def test_position_alone_is_a_match_only_where_the_plan_says_so(tmp_path):
    block = whole()
    path = by_hand(tmp_path, attributions=block.scores)
    with pytest.raises(ValueError, match="does not say which sequences it is of; name a file"):
        imported(path, block.sequences, target="any")
    got = imported(path, block.sequences, target="any", match="order")
    np.testing.assert_array_equal(got, expected(block))
    path = by_hand(tmp_path, attributions=block.scores, codes=block.sequences.codes)
    with pytest.raises(ValueError, match="position alone is no match then; leave match: order out"):
        imported(path, block.sequences, target="any", match="order")


def test_mutagenesis_of_tangermeme_comes_in_as_ours(tmp_path):
    """Ours is of the difference of two logits, and centred over the bases; so is theirs."""
    tangermeme = pytest.importorskip("tangermeme.saturation_mutagenesis")
    model = MODELS["conv, batch norm, relu, max pool"]()
    codes = np.random.default_rng(0).integers(0, 4, (3, 23)).astype(np.uint8)
    inputs = one_hot(torch.from_numpy(codes)).float()
    options = dict(hypothetical=True, fast=False, device="cpu")
    first, second = (
        tangermeme.saturation_mutagenesis(model, inputs, target=each, **options)
        for each in range(2)
    )
    arrays = {"ohe": inputs.numpy().astype(np.int8), "attributions": (second - first).numpy()}
    path = by_hand(tmp_path, **arrays)
    split = Sequences(codes, np.zeros(3, np.int64), ("a", "b", "c"), ("0", "1"))
    targets = np.array([0, 1, 1])
    call = dict(options={}, seed=0, component="scores", test_split=split)
    method = partial(scores, path=path, target="1")
    theirs = explain(method, model, codes, targets, **call).scores
    ours = explain(in_silico_mutagenesis, model, codes, targets, **call).scores
    np.testing.assert_allclose(theirs, ours, rtol=0, atol=1e-5)  # single precision
    assert np.abs(ours).max() > 0.01


# Which class


def codes_and(tmp_path, block, **more):
    return by_hand(tmp_path, codes=block.sequences.codes, scores=block.scores, **more)


def test_of_two_classes_scores_of_the_other_one_are_the_negative(tmp_path):
    block = whole()
    path = codes_and(tmp_path, block)
    got = imported(path, block.sequences, target="positive", targets=[1, 0, 1])
    signs = np.array([[1], [-1], [1]])
    np.testing.assert_array_equal(got, expected(block) * signs)


def test_scores_of_the_label_and_of_the_predicted_class(tmp_path):
    block = whole()
    split = replace(block.sequences, labels=np.array([0, 1, 0]))
    path = codes_and(tmp_path, block)
    got = imported(path, split, target="label", targets=[0, 0, 0])
    np.testing.assert_array_equal(got, expected(block) * np.array([[1], [-1], [1]]))
    # counts of A and of C: 2 and 2 in ACGTNCA, a tie for the first; 1 and 1; 1 and 1
    got = imported(path, split, target="predicted", targets=[0, 1, 1])
    np.testing.assert_array_equal(got, expected(block) * np.array([[1], [-1], [-1]]))


def test_of_three_classes_those_of_one_say_nothing_of_another(tmp_path):
    block = whole()
    split = replace(block.sequences, class_names=("a", "b", "c"))
    path = codes_and(tmp_path, block)
    got = imported(path, split, target="b", targets=[1, 1, 1], outputs=3)
    np.testing.assert_array_equal(got, expected(block))
    with pytest.raises(
        NotApplicable, match=r"of 1 of 2 sequences are of another class .* 3 classes"
    ):
        imported(path, split, target="b", targets=[1, 2, 1], outputs=3)


def test_of_several_rows_of_a_sequence_that_of_the_class_is_taken(tmp_path):
    block = whole()
    path = by_hand(
        tmp_path,
        codes=np.concatenate([block.sequences.codes] * 2),
        scores=np.concatenate([block.scores, 10 * block.scores]),
        targets=np.repeat([0, 2], 3),
        target_names=np.array(["a", "b", "c"]),
    )
    split = replace(block.sequences, class_names=("a", "b", "c"))
    got = imported(path, split, targets=[2, 0, 2], outputs=3)
    np.testing.assert_array_equal(got, expected(block) * np.array([[10], [1], [10]]))


def test_a_gap_in_the_row_of_a_class_that_may_not_be_read_is_no_reason_to_refuse_a_file(tmp_path):
    block, options = whole(), {"array": "", "one_hot": None, "layout": "", "alphabet": "ACGT"}
    options |= {"bases": "observed", "match": "", "signed": True, "target": "any", "fill": None}
    codes, with_gap = block.sequences.codes, nan_at(block.scores, 0, 1)
    rows = {"codes": np.concatenate([codes] * 2), "scores": np.concatenate([with_gap] * 2)}
    path = by_hand(tmp_path, **rows)
    scores.require_fit(codes, block.sequences, {**options, "path": path})
    path = by_hand(tmp_path, codes=codes, scores=with_gap)
    with pytest.raises(ValueError, match="1 scores of 1 sequences are NaN"):
        scores.require_fit(codes, block.sequences, {**options, "path": path})


def test_scores_without_a_sign_are_not_negated(tmp_path):
    block = whole()
    path = codes_and(tmp_path, block)
    with pytest.raises(NotApplicable, match="scores without a sign"):
        imported(path, block.sequences, target="positive", signed=False)
    path = codes_and(tmp_path, block, origin=np.array([json.dumps({"signed": False})]))
    with pytest.raises(ValueError, match="says that its scores have no sign; set signed: false"):
        imported(path, block.sequences, target="any")


def test_a_single_output_has_no_classes(tmp_path):
    block = whole()
    path = codes_and(tmp_path, block)
    got = imported(path, block.sequences, targets=[0, 0, 0], outputs=1)
    np.testing.assert_array_equal(got, expected(block))


# What is wrong with a file


def nan_at(scores, row, position):
    changed = scores.copy()
    changed[row, position] = np.nan
    return changed


@pytest.mark.parametrize(
    ("change", "options", "reason"),
    [
        (
            lambda codes, scores: {"codes": codes[:1], "scores": scores[:1]},
            {},
            r"theirs.npz: by sequence it has scores of 1 of the 3 sequences of the test split, and "
            r"lacks 1 of the 2 that are explained; write .* the order of its bases by alphabet:",
        ),
        (
            lambda codes, scores: {"codes": codes[:, :6], "scores": scores[:, :6]},
            {},
            r"of 1 of the 3 sequences of the test split \(of 6 positions, not 7\)",
        ),
        (
            lambda codes, scores: {"codes": codes, "scores": scores[:, :6]},
            {},
            "scores: expected scores of 7 positions, as its sequences have, got 6; write both of",
        ),
        (
            lambda codes, scores: {"codes": codes, "scores": scores[:2]},
            {},
            "expected scores of the 3 sequences of the file, got 2 rows",
        ),
        (
            lambda codes, scores: {"codes": codes, "scores": scores},
            {"array": "shap"},
            r"no array 'shap'; name one of them by array: codes \(3, 7\), scores \(3, 7\)",
        ),
        (
            lambda codes, scores: {"one": scores, "other": scores},
            {},
            "no array that is clearly the scores; name one of them by array: one .* other",
        ),
        (
            lambda codes, scores: {"codes": codes, "scores": scores[:, None, None]},
            {},
            r"expected \(N, 4, L\), \(N, L, 4\) or \(N, L\), got \(3, 1, 1, 7\); save it in",
        ),
        (
            lambda codes, scores: {"codes": codes, "scores": np.zeros((3, 4, 4))},
            {},
            "say which axis has the bases by layout: N4L or NL4",
        ),
        (
            lambda codes, scores: {"codes": codes, "scores": np.zeros((3, 4, 7))},
            {"layout": "NL4"},
            r"expected \(N, L, 4\), got \(3, 4, 7\); set layout: to its own",
        ),
        (
            lambda codes, scores: {"codes": codes, "scores": nan_at(scores, 0, 2)},
            {},
            "1 scores of 1 sequences are NaN, infinite or missing; write them, or say by fill:",
        ),
        (
            lambda codes, scores: {"one_hot": np.full((3, 4, 7), 0.3), "scores": scores},
            {},
            "expected one-hot sequences of 0 and 1, got other numbers",
        ),
        (
            lambda codes, scores: {"codes": codes, "scores": np.array([{}])},
            {},
            r"cannot be read \(Object arrays .*; save plain arrays, without Python objects",
        ),
        (
            lambda codes, scores: {"codes": codes, "scores": scores},
            {"target": "third"},
            "expected target: predicted, label, any or one of the classes negative, positive, got",
        ),
        (
            lambda codes, scores: {"codes": codes, "scores": scores},
            {"target": ""},
            "does not say which of the classes negative, positive its scores are of; say it by",
        ),
        (
            lambda codes, scores: {"sequence": np.array(["ACGT?"]), "scores": scores},
            {},
            "got '.' at position 4; write the sequences as DNA",
        ),
    ],
)
def test_what_is_wrong_with_a_file_is_one_line_with_the_mend(tmp_path, change, options, reason):
    block = whole()
    path = by_hand(tmp_path, **change(block.sequences.codes, block.scores))
    with pytest.raises(ValueError, match=reason) as caught:
        imported(path, block.sequences, **{"target": "any", **options})
    assert "\n" not in str(caught.value)


def test_gaps_may_be_filled(tmp_path):
    block = whole()
    path = by_hand(tmp_path, codes=block.sequences.codes, scores=nan_at(block.scores, 0, 2))
    got = imported(path, block.sequences, target="any", fill=0.0)
    assert got[0].tolist() == [1, 2, 0, 4, 0, 6, 7]  # the fifth is an N


@pytest.mark.parametrize("write", [numpy_scores, modisco, parquet, bigwig, chrombpnet])
def test_a_truncated_file_is_named(tmp_path, write):
    pytest.importorskip("pybigtools")
    pytest.importorskip("h5py")
    block = whole()
    path = write([block], tmp_path).files[0]
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=rf"{path.name} cannot be read \(.*write it again"):
        imported(path, block.sequences, target="any")


def test_a_track_needs_to_know_where_sequences_are(tmp_path):
    pytest.importorskip("pybigtools")
    block = whole()
    path = bigwig([block], tmp_path).files[0]
    with pytest.raises(ValueError, match="is not known; give the dataset as BED and a genome"):
        imported(path, three(), target="any")
    moved = places([10, 20, 40], [1, 1, -1], [7, 5, 7])
    with pytest.raises(ValueError, match="by interval it has scores of 2 of the 3 sequences"):
        imported(path, three(intervals=moved), target="any")


@pytest.mark.parametrize(("library", "write"), [("h5py", chrombpnet), ("pybigtools", bigwig)])
def test_a_library_that_is_missing_is_named(tmp_path, monkeypatch, library, write):
    pytest.importorskip(library)
    block = whole()
    path = write([block], tmp_path).files[0]
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ValueError, match=rf"needs {library}: pip install 'xaibench\[export\]'"):
        imported(path, block.sequences, target="any")


def test_another_suffix_is_refused(tmp_path):
    path = tmp_path / "scores.txt"
    path.write_text("1")
    with pytest.raises(
        ValueError, match=r"ends in .npz, .npy, .h5, .hdf5, .pt, .pth, .parquet, .bw"
    ):
        imported(path, three(), target="any")


def test_changed_sequences_have_no_scores(tmp_path):
    block = whole()
    path = codes_and(tmp_path, block)
    changed = block.sequences.codes.copy()
    changed[0, 0] = 3
    with pytest.raises(NotApplicable, match="cannot follow changed sequences: 1 of 2 are not in"):
        imported(path, block.sequences, codes=changed, target="any")


def test_a_file_that_is_written_anew_is_read_anew(tmp_path):
    block = whole()
    path = codes_and(tmp_path, block)
    before = imported(path, block.sequences, target="any")
    np.savez(path, codes=block.sequences.codes, scores=2 * block.scores, more=np.zeros(9))
    np.testing.assert_array_equal(imported(path, block.sequences, target="any"), 2 * before)


# In a plan

CODE = """
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(4, 6, 8)
        self.head = nn.Linear(6, 2)

    def forward(self, x):
        return self.head(self.conv(x).relu().amax(2))
"""

PLAN = """
dataset: {name: planted, train: 60, test: 20, length: 40}
models:
  mine: {use: Net, weights: [fold0.pt, fold1.pt]}
attribution: {input_x_gradient: {}, random: {}}
sequences: 6
metrics:
  deletion: {}
  auprc: {}
  infidelity: {}
  seed_agreement: {}
  cascading_randomisation: {draws: 1}
  random_label_similarity: {}
  substitution_sensitivity: {draws: 1}
  reverse_complement_consistency: {}
  settings_sensitivity: {}
operators: [n]
fractions: [0, 0.5, 1]
random_draws: 2
controlled: 3
controls: []
reports: [markdown]
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A plan that has explained its own models, and its scores as files."""
    folder = tmp_path_factory.mktemp("scores")
    (folder / "net.py").write_text(CODE)
    namespace = {}
    exec(CODE, namespace)
    for seed in (0, 1):
        torch.manual_seed(seed)
        torch.save(namespace["Net"]().state_dict(), folder / f"fold{seed}.pt")
    work = work_in(folder, "first")
    assert run(work, jobs=0, threads=1, command="").failures == []
    for seed in (0, 1):
        spec = explained_spec(work, TrainedModel("mine", seed), "input_x_gradient")
        arrays = arrays_of(work, spec)
        for name, key in (("predicted", "scores"), ("label", "scores_of_label")):
            order = np.arange(len(work.chosen))[::-1]
            np.savez(
                folder / f"{name}{seed}.npz",
                codes=work.chosen.codes[order],
                scores=arrays[key][order],
            )
    return folder


def work_in(folder, name, *changes):
    return work_of(folder / name, text=PLAN, changes=changes, plugins=(str(folder / "net.py"),))


def records_of(folder, name):
    table = pd.read_parquet(folder / name / "results.parquet")
    keys = ["seed", "metric", "operator", "repeat", "sequence"]
    return table[table["control"] == ""].sort_values(keys).reset_index(drop=True)


@pytest.fixture(scope="module")
def with_theirs(folder):
    """The records of a run with a file per replicate, and with the file of the first alone."""
    each = "{use: scores, path: [predicted0.npz, predicted1.npz], target: predicted}"
    one = "{use: scores, path: label0.npz, target: label, of: mine}"
    work = work_in(folder, "theirs", f"attribution.theirs={each}", f"attribution.first={one}")
    assert run(work, jobs=0, threads=1, command="").failures == []
    return records_of(folder, "theirs")


def of(records, method, metric):
    return records[(records["method"] == method) & (records["metric"] == metric)]


@pytest.mark.parametrize(
    "metric", ["deletion_logit_difference", "auprc", "infidelity", "seed_agreement"]
)
def test_imported_scores_get_the_values_of_the_method_that_made_them(with_theirs, metric):
    ours, theirs = (of(with_theirs, name, metric) for name in ("input_x_gradient", "theirs"))
    assert len(theirs) == len(ours) > 0
    assert set(theirs["status"]) == {"ok"}
    assert theirs["value"].notna().any()
    np.testing.assert_array_equal(theirs["value"].to_numpy(), ours["value"].to_numpy())


@pytest.mark.parametrize(
    ("metric", "reason"),
    [
        ("cascading_randomisation", "cannot follow other weights"),
        ("substitution_sensitivity", "cannot follow changed sequences"),
        ("reverse_complement_consistency", "cannot follow changed sequences"),
        ("settings_sensitivity", "cannot follow other settings"),
    ],
)
def test_fixed_scores_have_no_values_where_something_changes(with_theirs, metric, reason):
    for method in ("theirs", "first"):
        records = of(with_theirs, method, metric)
        assert set(records["status"]) == {"not applicable"}
        assert records["reason"].str.contains(f"scores made elsewhere {reason}").all()
        assert records["value"].isna().all()


def test_one_file_for_all_replicates_has_no_agreement_between_them(with_theirs):
    records = of(with_theirs, "first", "seed_agreement")
    assert set(records["status"]) == {"not applicable"}
    assert records["reason"].str.contains("name one per replicate by path").all()


def test_one_file_is_measured_on_every_replicate_for_its_own_class(with_theirs):
    ours, first = (of(with_theirs, name, "auprc") for name in ("input_x_gradient", "first"))
    same = first["seed"] == 0
    np.testing.assert_array_equal(first["value"][same], ours["value"][ours["seed"] == 0])
    assert len(first) == len(ours)


def test_the_other_of_three_classes_lacks_localisation_alone(folder):
    """The file has the predicted class; the label of some sequences is another."""
    code = CODE.replace("Net", "Three").replace("Linear(6, 2)", "Linear(6, 3)")
    (folder / "three.py").write_text(code)
    namespace = {}
    exec(code, namespace)
    torch.manual_seed(3)
    torch.save(namespace["Three"]().state_dict(), folder / "three.pt")
    letters = np.array(list("ACGT"))[np.random.default_rng(0).integers(0, 4, (30, 40))]
    table = pd.DataFrame({"sequence": ["".join(row) for row in letters], "label": [0, 1, 2] * 10})
    table["split"] = ["test", "train"] * 15
    table["start"] = 5
    table.to_csv(folder / "three.csv", index=False)
    test = table[table["split"] == "test"]
    codes = np.array([["ACGT".index(each) for each in row] for row in test["sequence"]], np.uint8)
    scores = np.random.default_rng(1).normal(size=codes.shape)
    np.savez(folder / "three.npz", codes=codes, scores=scores)
    changes = (
        "dataset={name: file, path: three.csv, site_start: start, site_width: 7, site_class: 1}",
        "models={three: {use: Three, weights: three.pt}}",
        "metrics={deletion: {}, auprc: {}}",
        "attribution={theirs: {use: scores, path: three.npz, target: predicted}}",
    )
    plugins = (str(folder / "three.py"),)
    work = work_of(folder / "three", text=PLAN, changes=changes, plugins=plugins)
    assert run(work, jobs=0, threads=1, command="").failures == []
    records = records_of(folder, "three")
    assert set(of(records, "theirs", "deletion_logit_difference")["status"]) == {"ok"}
    localisation = of(records, "theirs", "auprc")
    assert set(localisation["status"]) == {"not applicable"}
    assert localisation["reason"].str.contains("of one class per sequence, and the label").all()


def test_the_contract_of_a_method_that_computes_is_not_asked_of_a_file(folder):
    with pytest.raises(UsageError, match=r"scores: its scores were made elsewhere, .* in a plan"):
        check_by_name("scores", changes=[f"path={folder / 'label0.npz'}"], plugins=())


def test_the_report_says_that_scores_are_from_a_file(folder, with_theirs):
    report = (folder / "theirs" / "report.md").read_text()
    assert "The scores of theirs and first were computed elsewhere and read from files." in report


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ("path: [predicted0.npz]", "expected one file, or 2, one per replicate of mine, got 1"),
        ("path: predicted0.npz, of: yours", r"expected a model of the plan \(mine\), got 'yours'"),
        ("path: predicted7.npz", "no file 'predicted7.npz'"),
        ("path: predicted0.npz, target: maybe", "expected target: predicted, .* got 'maybe'"),
        ("path: predicted0.npz, layout: LN4", "layout"),
        ("path: predicted0.npz, alphabet: AACG", "alphabet"),
        ("array: scores", "path"),
    ],
)
def test_a_plan_that_cannot_be_is_refused_before_anything_runs(folder, options, reason):
    def begun():
        work = work_in(folder, "refused", f"attribution.theirs={{use: scores, {options}}}")
        explained_spec(work, TrainedModel("mine", 0), "theirs")

    with pytest.raises(UsageError, match=reason):
        begun()


def test_other_content_is_another_explanation(folder, tmp_path):
    path = tmp_path / "theirs.npz"
    digests = set()
    for number in range(2):
        np.savez(path, scores=np.full((20, 40), number))
        change = f"attribution.theirs={{use: scores, path: {path}, match: order, target: any}}"
        work = work_in(folder, "digest", change)
        spec = explained_spec(work, TrainedModel("mine", 0), "theirs")
        digests.add(spec["method"]["options"]["path"])
        assert spec["method"]["options"]["path"] == digest_of_file(path)[:20]
    assert len(digests) == 2


def test_the_other_strand_of_scores_does_not_apply(folder):
    change = "attribution.both={use: scores, path: label0.npz, target: label, strands: both}"
    work = work_in(folder, "both", "metrics={deletion: {}}", change)
    run(work, jobs=0, threads=1, command="")
    records = records_of(folder, "both")
    assert set(of(records, "input_x_gradient", "deletion_logit_difference")["status"]) == {"ok"}
    both = of(records, "both", "deletion_logit_difference")
    assert both["reason"].str.contains("cannot follow the other strand").all()


def other_sequences(path, content, arrays):
    np.savez(path, codes=np.zeros((2, 40), np.uint8), scores=np.zeros((2, 40)))


def cut_off(path, content, arrays):
    path.write_bytes(content[: len(content) // 2])


def another_shape(path, content, arrays):
    np.savez(path, codes=arrays["codes"], scores=arrays["scores"][:, :30])


def a_gap(path, content, arrays):
    np.savez(path, codes=arrays["codes"], scores=nan_at(arrays["scores"], slice(None), 3))


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (other_sequences, "has scores of 0 of the 20 sequences of the test split, and lacks 6 of"),
        (cut_off, r"cannot be read \(.*write it again"),
        (another_shape, "scores: expected scores of 40 positions, as its sequences have, got 30"),
        (a_gap, "6 scores of 6 sequences are NaN, infinite or missing"),
    ],
)
def test_a_file_of_scores_that_does_not_fit_is_named_before_anything_is_computed(
    folder, spoil, reason
):
    """Also where it is that of the last replicate, behind others that fit."""
    path = folder / f"{spoil.__name__}.npz"
    with np.load(folder / "predicted1.npz") as archive:
        arrays = dict(archive)
    spoil(path, (folder / "predicted1.npz").read_bytes(), arrays)
    change = f"{{use: scores, path: [predicted0.npz, {path.name}], target: predicted}}"
    with pytest.raises(UsageError, match=rf"^attribution.theirs: {path.name}.*{reason}") as caught:
        work_in(folder, "refused", f"attribution.theirs={change}")
    assert "\n" not in str(caught.value)
    assert not (folder / "refused").exists()
