"""Backgrounds: chains at their equilibrium, fits, and windows of given sequences."""

import numpy as np
import pytest

from xaibench.data.synthetic.backgrounds import (
    UNIFORM,
    VERTEBRATE,
    fit_markov_chain,
    labelled_sequences,
    log_probabilities,
    shuffled,
    stationary_chain,
    unlabelled_sequences,
    walks,
    windows,
)
from xaibench.dna.encoding import to_codes, to_letters
from xaibench.errors import UsageError

NOWHERE = np.zeros((2000, 50), bool)


def random_chain(order, seed=0):
    return stationary_chain(np.random.default_rng(seed).dirichlet(np.full(4, 3.0), 4**order))


def word_counts(codes, width):
    """(word,): how often each word of that width occurs."""
    columns = codes.shape[1] - width + 1
    words = sum(codes[:, i : i + columns].astype(int) * 4 ** (width - 1 - i) for i in range(width))
    return np.bincount(words.ravel(), minlength=4**width)


def test_walks_follow_the_chain_from_its_equilibrium():
    codes = walks(VERTEBRATE, NOWHERE, np.random.default_rng(0))
    pairs = word_counts(codes, 2).reshape(4, 4)
    assert pairs / pairs.sum(axis=1, keepdims=True) == pytest.approx(VERTEBRATE.tables[1], abs=0.01)
    composition = np.stack([(codes == base).mean(axis=0) for base in range(4)])
    assert composition[:, 0] == pytest.approx(composition[:, 1:].mean(axis=1), abs=0.05)


@pytest.mark.parametrize("order", [0, 1, 2, 3])
def test_the_equilibrium_is_where_long_walks_end(order):
    background = random_chain(order)
    codes = walks(background, np.zeros((500, 200), bool), np.random.default_rng(1))
    share = word_counts(codes, 1) / codes.size
    assert background.tables[0][0] == pytest.approx(share, abs=0.01)


@pytest.mark.parametrize("order", [1, 2])
def test_the_first_bases_of_a_walk_are_distributed_like_all_others(order):
    background = random_chain(order)
    codes = walks(background, np.zeros((40_000, 9), bool), np.random.default_rng(2))
    first = word_counts(codes[:, : order + 1], order + 1) / len(codes)
    last = word_counts(codes[:, -order - 1 :], order + 1) / len(codes)
    assert first == pytest.approx(last, abs=0.012)  # 4 standard errors of a difference


def test_a_walk_begins_anew_behind_what_is_inside():
    """A chain that repeats its bases: what follows the inside does not repeat what precedes it."""
    sticky = stationary_chain(0.94 * np.eye(4) + 0.015)
    inside = np.zeros((5000, 7), bool)
    inside[:, 3] = True
    codes = walks(sticky, inside, np.random.default_rng(0))
    assert (codes[:, 1] == codes[:, 2]).mean() == pytest.approx(0.955, abs=0.012)
    assert (codes[:, 5] == codes[:, 4]).mean() == pytest.approx(0.955, abs=0.012)
    assert (codes[:, 4] == codes[:, 3]).mean() == pytest.approx(0.25, abs=0.03)
    assert (codes[:, 4] == codes[:, 2]).mean() == pytest.approx(0.25, abs=0.03)
    assert word_counts(codes[:, 4:5], 1) / 5000 == pytest.approx(0.25, abs=0.03)


@pytest.mark.parametrize("order", [0, 1, 2])
def test_log_probabilities_are_those_of_the_tables(order):
    background = random_chain(order)
    codes = np.random.default_rng(3).integers(4, size=(3, 7)).astype(np.uint8)
    logs = log_probabilities(background, codes)
    assert len(logs) == order + 1
    for row, position, looks_back in np.ndindex(3, 7, order + 1):
        before = codes[row, max(position - looks_back, 0) : position]
        context = int("".join(map(str, before)) or "0", 4)
        expected = background.tables[len(before)][context, codes[row, position]]
        assert logs[looks_back][row, position] == pytest.approx(np.log(expected))


@pytest.mark.parametrize("order", [0, 1, 3, 5])
def test_a_fit_finds_the_chain_again(order):
    background = random_chain(min(order, 3))
    codes = walks(background, np.zeros((2000, 200), bool), np.random.default_rng(4))
    found = fit_markov_chain(codes, order)
    expected = np.tile(background.tables[-1], (4 ** (order - background.order), 1))
    assert found.order == order
    assert found.tables[-1] == pytest.approx(expected, abs=0.35 if order == 5 else 0.05)
    assert np.abs(found.tables[-1] - expected).mean() < 0.04


def test_a_fit_counts_words_of_known_bases_with_one_added():
    found = fit_markov_chain(to_codes(["AACNA", "AAN"]), 1)
    # AA twice, AC once; C, G and T were never followed
    assert found.tables[1] == pytest.approx(
        np.array([[3 / 7, 2 / 7, 1 / 7, 1 / 7], [0.25] * 4, [0.25] * 4, [0.25] * 4])
    )


@pytest.mark.parametrize("letters", ["ANCNGNT", "A"])
def test_a_fit_wants_words_of_known_bases(letters):
    with pytest.raises(UsageError, match=r"expected stretches of 2 known bases or more .* order 1"):
        fit_markov_chain(to_codes([letters]), 1)


def test_tables_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"tables\[1\]: expected \(4, 4\), got \(16, 4\)"):
        type(UNIFORM)((np.ones((1, 4)), np.ones((16, 4))))


def test_windows_are_uniform_among_those_of_known_bases():
    codes = to_codes(["ACGNTTAC", "GG", "CCA"])
    found = to_letters(windows(codes, 4000, 3, np.random.default_rng(0)))
    words, counts = np.unique(found, return_counts=True)
    assert words.tolist() == ["ACG", "CCA", "TAC", "TTA"]
    assert counts == pytest.approx(1000, abs=110)  # 4 standard errors


def test_windows_want_known_bases():
    for letters in ("ACGNTTAC", "ACG"):
        with pytest.raises(UsageError, match="expected stretches of 5 known bases or more to shuf"):
            windows(to_codes([letters]), 2, 5, np.random.default_rng(0))


def test_shuffles_keep_the_dinucleotides_of_a_window():
    codes = to_codes(["ACGGTCATTTAGCA"])
    found = shuffled(codes, 30, 14, np.random.default_rng(0))
    assert found.shape == (30, 14)
    assert len(np.unique(found, axis=0)) > 5
    for row in found:
        assert word_counts(row[None], 2).tolist() == word_counts(codes, 2).tolist()


def test_given_sequences_are_read_from_fasta_and_tables(tmp_path):
    (tmp_path / "a.fa").write_text(">one\nACG\nT\n>two\nnnA\n")
    (tmp_path / "a.csv").write_text("sequence,kind\nACGT,x\nNNA,y\n")
    assert to_letters(unlabelled_sequences(tmp_path / "a.fa")) == ["ACGT", "NNA"]
    codes, labels, names = labelled_sequences(tmp_path / "a.csv", "kind")
    assert to_letters(codes) == ["ACGT", "NNA"]
    assert (labels.tolist(), names) == ([0, 1], ("x", "y"))


def test_given_sequences_without_their_columns_are_refused(tmp_path):
    (tmp_path / "a.csv").write_text("letters,label\nACGT,x\nNNA,y\n")
    with pytest.raises(UsageError, match="expected the column 'sequence'"):
        unlabelled_sequences(tmp_path / "a.csv")
    (tmp_path / "a.csv").write_text("sequence\nACGT\nNNA\n")
    with pytest.raises(UsageError, match="expected the column 'label'"):
        labelled_sequences(tmp_path / "a.csv", "label")
