"""The planted data: the motif is where it is said to be, and composition does not give it away."""

import time
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

import xaibench.data.planted as module
from xaibench.data.planted import (
    BACKGROUND,
    background,
    decoy,
    planted,
    read_motifs,
    resemblance,
)
from xaibench.data.splitting import fingerprint
from xaibench.dna import reverse_complement
from xaibench.errors import UsageError

MOTIFS = read_motifs(Path(module.__file__).with_name("motifs.meme"))
CTCF = MOTIFS["MA0139.1"][1]


@pytest.fixture(scope="module")
def splits():
    return planted(data_seed=0)


def word_counts(codes, width):
    """(sequence, word): how often each word of that width occurs."""
    columns = codes.shape[1] - width + 1
    words = sum(codes[:, i : i + columns].astype(int) * 4 ** (width - 1 - i) for i in range(width))
    return np.stack([(words == word).sum(axis=1) for word in range(4**width)], axis=1)


def best_hit(codes, motif):
    """(sequence,): the largest log-odds score of the motif over all places, forward strand."""
    log_odds = np.log2((motif + 0.001) / 1.004 / 0.25)
    places = np.lib.stride_tricks.sliding_window_view(codes, len(motif), axis=1)
    return sum(column[places[:, :, i]] for i, column in enumerate(log_odds)).max(axis=1)


def test_motifs_have_the_columns_and_consensus_of_jaspar():
    assert {name: len(matrix) for name, matrix in MOTIFS.values()} == {
        "CTCF": 19,
        "REST": 21,
        "TP53": 18,
        "SPI1": 14,
        "GATA1": 11,
    }
    assert "".join("ACGT"[base] for base in CTCF.argmax(axis=1)) == "TGGCCACCAGGGGGCGCTA"
    assert CTCF[0] * 913 == pytest.approx([87, 291, 76, 459], abs=0.001)  # JASPAR's counts
    for _, matrix in MOTIFS.values():
        assert matrix.sum(axis=1) == pytest.approx(1)


@pytest.mark.parametrize("motif", ["CTCF", "SPI1"])
@pytest.mark.parametrize("width", [1, 2])
def test_composition_alone_stays_near_chance(motif, width):
    splits = planted(data_seed=1, train=3000, test=1000, motif=motif)
    scale = 10
    model = LogisticRegression(max_iter=1000)
    model.fit(word_counts(splits.train.codes, width) / scale, splits.train.labels)
    counts = word_counts(splits.test.codes, width) / scale
    assert model.score(counts, splits.test.labels) < 0.6


def test_the_motif_itself_separates_the_classes(splits):
    score = best_hit(splits.test.codes, CTCF)
    assert roc_auc_score(splits.test.labels, score) > 0.95


def test_inside_motif_marks_an_instance_in_positives_only(splits):
    test = splits.test
    positives = test.labels == 1
    assert (test.inside_motif.sum(axis=1) == np.where(positives, 19, 0)).all()
    instances = test.codes[positives][test.inside_motif[positives]].reshape(-1, 19)
    frequencies = np.stack([(instances == base).mean(axis=0) for base in range(4)], axis=1)
    assert frequencies == pytest.approx(CTCF, abs=0.08)  # 1,000 instances: 5 standard errors


def test_instances_stand_anywhere(splits):
    starts = splits.train.inside_motif[splits.train.labels == 1].argmax(axis=1)
    assert (starts.min(), starts.max()) == (0, 200 - 19)
    assert starts.mean() == pytest.approx(90.5, abs=5)


def test_classes_are_balanced_and_named(splits):
    assert splits.train.class_names == ("decoy", "CTCF")
    assert np.bincount(splits.train.labels).tolist() == [4000, 4000]
    assert splits.train.groups is None
    assert len(set(splits.train.names + splits.test.names)) == 10_000


def test_train_and_test_share_no_sequence(splits):
    rows = {row.tobytes() for row in splits.train.codes}
    assert not rows & {row.tobytes() for row in splits.test.codes}


def test_the_data_seed_fixes_everything(splits):
    assert fingerprint(planted(data_seed=0)) == fingerprint(splits)
    assert fingerprint(planted(data_seed=1)) != fingerprint(splits)


def test_both_strands_carry_the_motif_where_asked():
    test = planted(data_seed=0, train=10, test=1000, strands="both").test
    positives = test.codes[test.labels == 1]
    forward = best_hit(positives, CTCF) > best_hit(reverse_complement(positives), CTCF)
    assert forward.mean() == pytest.approx(0.5, abs=0.07)  # 500 sequences: 3 standard errors


def test_background_follows_its_chain():
    codes = background(2000, 50, np.random.default_rng(0))
    pairs = word_counts(codes, 2).sum(axis=0).reshape(4, 4)
    assert pairs / pairs.sum(axis=1, keepdims=True) == pytest.approx(BACKGROUND, abs=0.01)
    composition = np.stack([(codes == base).mean(axis=0) for base in range(4)])
    assert composition[:, 0] == pytest.approx(composition[:, 1:].mean(axis=1), abs=0.05)


def test_a_motif_resembles_itself_on_either_strand_and_shifted():
    assert resemblance(CTCF, CTCF) == pytest.approx(1)
    assert resemblance(CTCF[::-1, ::-1], CTCF) == pytest.approx(1)
    assert resemblance(np.roll(CTCF, 1, axis=0), CTCF) > 0.7
    assert resemblance(np.full((19, 4), 0.25), CTCF) < 0


@pytest.mark.parametrize("matrix", [matrix for _, matrix in MOTIFS.values()])
def test_a_decoy_has_the_columns_in_an_order_unlike_the_motif(matrix):
    shuffled = decoy(matrix, np.random.default_rng(0))
    assert sorted(map(tuple, shuffled)) == sorted(map(tuple, matrix))
    assert resemblance(shuffled, matrix) <= 0.3


def test_a_motif_of_equal_columns_has_no_decoy():
    with pytest.raises(UsageError, match="wanted one whose columns can be put in an order unlike"):
        decoy(np.tile([0.7, 0.1, 0.1, 0.1], (7, 1)), np.random.default_rng(0))


def test_a_sequence_as_long_as_the_motif_is_the_motif():
    test = planted(data_seed=0, train=10, test=12, length=19).test
    assert test.inside_motif[test.labels == 1].all()


def test_a_sequence_shorter_than_the_motif_is_refused():
    with pytest.raises(UsageError, match="length: wanted at least the 19 positions of CTCF, got 7"):
        planted(data_seed=0, length=7)


def test_an_identifier_names_the_motif_too():
    splits = planted(data_seed=0, train=10, test=12, motif="MA0080.4")
    assert splits.train.class_names == ("decoy", "SPI1")


def test_an_unknown_motif_is_refused_with_the_nearest():
    with pytest.raises(UsageError, match=r"motif: wanted one of CTCF, .*got 'CTFC'.* 'CTCF'"):
        planted(data_seed=0, motif="CTFC")


def test_ten_thousand_sequences_take_under_a_second():
    start = time.process_time()
    planted(data_seed=2)
    assert time.process_time() - start < 1
