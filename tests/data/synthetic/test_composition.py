"""Composition: two chains, and nothing else."""

import numpy as np
import pytest

from xaibench.data.splitting import fingerprint
from xaibench.data.synthetic.backgrounds import log_probabilities
from xaibench.data.synthetic.composition import CHAINS, composition, simulated_composition_accuracy
from xaibench.errors import UsageError


def pair_shares(codes):
    pairs = np.bincount((4 * codes[:, :-1].astype(int) + codes[:, 1:]).ravel(), minlength=16)
    return pairs.reshape(4, 4) / pairs.reshape(4, 4).sum(axis=1, keepdims=True)


def test_each_class_follows_its_chain():
    splits = composition(data_seed=0, train=1000, test=300)
    train = splits.train
    for label, of_class in enumerate(CHAINS):
        found = pair_shares(train.codes[train.labels == label])
        assert found == pytest.approx(of_class.tables[1], abs=0.01)
    assert np.bincount(train.labels).tolist() == [500, 500]
    assert len(set(train.names + splits.test.names)) == 1300


def test_there_is_no_motif_anywhere():
    splits = composition(data_seed=0, train=10, test=12)
    assert splits.test.evidence is None
    assert splits.facts["motifs"] == "none"


def test_single_bases_tell_nothing():
    for of_class in CHAINS:
        assert of_class.tables[0] == pytest.approx(np.full((1, 4), 0.25))


def test_the_best_classifier_is_right_in_95_of_100():
    share, error = simulated_composition_accuracy(CHAINS, 200, 0)
    assert share == pytest.approx(0.95, abs=0.01)
    assert error == pytest.approx(np.sqrt(share * (1 - share) / 2000))
    words = composition(data_seed=0, train=10, test=10).facts["Bayes-optimal accuracy"]
    assert words == f"{share:.3f} (2,000 simulated sequences, standard error {error:.3f})"


def test_the_likelihood_ratio_separates_the_test_split_as_well():
    test = composition(data_seed=3, train=10, test=4000).test
    first, second = (log_probabilities(each, test.codes)[-1].sum(axis=1) for each in CHAINS)
    assert ((second > first) == test.labels).mean() == pytest.approx(0.95, abs=0.015)


def test_the_data_seed_fixes_everything():
    one, same, other = (composition(data_seed=seed, train=20, test=10) for seed in (0, 0, 1))
    assert fingerprint(one) == fingerprint(same) != fingerprint(other)


def test_chains_are_fitted_to_the_classes_of_a_file(tmp_path):
    rows = [("ACGT" * 400, "repeat"), ("AACCGGTT" * 200, "pairs")]
    lines = ["sequence,kind", *(f"{letters},{kind}" for letters, kind in rows)]
    (tmp_path / "given.csv").write_text("\n".join(lines))
    options = {"sequences": tmp_path / "given.csv", "label": "kind", "order": 2}
    splits = composition(data_seed=0, train=200, test=10, length=50, **options)
    assert splits.train.class_names == ("pairs", "repeat")
    repeats = pair_shares(splits.train.codes[splits.train.labels == 1])
    assert np.diag(np.roll(repeats, -1, axis=1)).min() > 0.8  # A to C, C to G, G to T, T to A
    assert splits.facts["Bayes-optimal accuracy"].startswith("1.000")
    assert "order 2 fitted to it in given.csv" in splits.note


def test_a_file_of_three_classes_is_refused(tmp_path):
    (tmp_path / "given.csv").write_text("sequence,label\nACGT,a\nCCGT,b\nGGT,c\n")
    with pytest.raises(
        UsageError, match=r"expected two classes in the column 'label' .* 3: a, b, c"
    ):
        composition(data_seed=0, sequences=tmp_path / "given.csv")


def test_an_order_without_sequences_is_refused():
    with pytest.raises(UsageError, match=r"order: expected 1 without a file .* got 3"):
        composition(data_seed=0, order=3)
