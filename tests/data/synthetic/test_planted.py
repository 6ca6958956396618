"""The planted data: motifs are where they are said to be, and composition does not tell of them."""

import os
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from xaibench.data.motifs import find_motif
from xaibench.data.splitting import fingerprint
from xaibench.data.synthetic.planted import planted
from xaibench.dna.encoding import reverse_complement, to_letters
from xaibench.errors import UsageError
from xaibench.plugins.options import resolve
from xaibench.plugins.registry import load
from xaibench.plugins.signatures import typed

DATA = os.environ.get("XAIBENCH_DATA")
CTCF = find_motif("CTCF").matrix
WORDS = """MEME version 4

MOTIF red
letter-probability matrix: w= 5
1 0 0 0
0 0 0 1
0 0 0 1
0 1 0 0
0 1 0 0

MOTIF green
letter-probability matrix: w= 4
0 0 1 0
0 0 1 0
1 0 0 0
0 0 0 1

MOTIF blue
letter-probability matrix: w= 3
0 1 0 0
0 1 0 0
0 0 1 0
"""
"""Three motifs without chance: ATTCC, GGAT and CCG."""


@pytest.fixture(scope="module")
def splits():
    return planted(data_seed=0)


@pytest.fixture
def words(tmp_path):
    """``planted`` of motifs without chance; the test split has 300 sequences of 40 nt."""
    (tmp_path / "words.meme").write_text(WORDS)

    def made(**options):
        sizes = {"train": 10, "test": 300, "length": 40, "data_seed": 0}
        return planted(**sizes | options, matrices=tmp_path / "words.meme").test

    return made


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


def spoken(sequences):
    """For each sequence, its stretches of one evidence as (start, letters, class)."""
    for codes, evidence in zip(sequences.codes, sequences.evidence, strict=True):
        edges = np.flatnonzero(np.diff(evidence, prepend=-1, append=-1))
        yield [
            (int(start), to_letters(codes[None, start:end])[0], int(evidence[start]))
            for start, end in pairwise(edges)
            if evidence[start] >= 0
        ]


@pytest.mark.parametrize("rule", ["CTCF", "SPI1"])
@pytest.mark.parametrize("width", [1, 2])
def test_composition_alone_stays_near_chance(rule, width):
    splits = planted(data_seed=1, train=3000, test=1000, rule=rule)
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
    assert (test.evidence[~positives] == -1).all()
    instances = test.codes[positives][test.inside_motif[positives]].reshape(-1, 19)
    frequencies = np.stack([(instances == base).mean(axis=0) for base in range(4)], axis=1)
    assert frequencies == pytest.approx(CTCF, abs=0.08)  # 1,000 instances: 5 standard errors


def test_instances_stand_anywhere(splits):
    starts = splits.train.inside_motif[splits.train.labels == 1].argmax(axis=1)
    assert (starts.min(), starts.max()) == (0, 200 - 19)
    assert starts.mean() == pytest.approx(90.5, abs=5)


def test_classes_are_balanced_and_named(splits):
    assert splits.train.class_names == ("negative", "CTCF")
    assert np.bincount(splits.train.labels).tolist() == [4000, 4000]
    assert splits.train.groups is None
    assert len(set(splits.train.names + splits.test.names)) == 10_000


def test_train_and_test_share_no_sequence(splits):
    rows = {row.tobytes() for row in splits.train.codes}
    assert not rows & {row.tobytes() for row in splits.test.codes}


def test_the_data_seed_fixes_everything(splits):
    again = planted(data_seed=0)
    assert fingerprint(again) == fingerprint(splits)
    assert again.facts == splits.facts
    assert fingerprint(planted(data_seed=1)) != fingerprint(splits)


def test_both_strands_carry_the_motif_where_asked():
    test = planted(data_seed=0, train=10, test=1000, strands="both").test
    positives = test.codes[test.labels == 1]
    forward = best_hit(positives, CTCF) > best_hit(reverse_complement(positives), CTCF)
    assert forward.mean() == pytest.approx(0.5, abs=0.07)  # 500 sequences: 3 standard errors


def test_what_the_best_classifier_reaches_is_a_fact(splits):
    assert splits.facts["rule"] == "CTCF"
    words = splits.facts["Bayes-optimal accuracy"].split(maxsplit=1)
    assert 0.99 < float(words[0]) < 1
    assert words[1].startswith("(2,000 simulated sequences, standard error 0.00")
    assert splits.note.startswith("Sequences of 200 nt from a first-order Markov chain; half")


def test_the_best_classifier_is_simulated_when_it_is_read_and_once(monkeypatch):
    calls = []
    monkeypatch.setattr(
        "xaibench.data.synthetic.planted.simulated_planted_accuracy",
        lambda *given: calls.append(given) or (0.75, 0.01),
    )
    facts = planted(data_seed=0, train=10, test=10).facts
    assert "Bayes-optimal accuracy" in facts
    assert "another" not in facts
    assert (len(facts), [*facts], calls) == (2, ["rule", "Bayes-optimal accuracy"], [])
    assert dict(facts)["Bayes-optimal accuracy"].startswith("0.750 ")
    assert dict(facts) == facts
    assert len(calls) == 1


def test_a_motif_and_the_one_that_forbids_it_speak_for_different_classes(words):
    test = words(rule="red and not green")
    for found, label in zip(spoken(test), test.labels, strict=True):
        classes = {letters: speaks_for for _, letters, speaks_for in found}
        if label:
            assert classes == {"ATTCC": 1}
        else:
            # green alone changes nothing, and neither of them there is nothing either
            assert classes in ({"ATTCC": 1, "GGAT": 0}, {})


def test_an_instance_too_few_speaks_for_nothing(words):
    test = words(rule="2 red or green")
    for found in spoken(test):
        assert "".join(letters for _, letters, _ in found) in {
            *("", "GGAT", "ATTCCATTCC"),
            *("GGATATTCCATTCC", "ATTCCGGATATTCC", "ATTCCATTCCGGAT"),
        }


def test_ordered_and_spaced_motifs_stand_as_they_are_said_to(words):
    test = words(rule="red and green", ordered=True, spacing=(2, 5))
    gaps = []
    for found, label in zip(spoken(test), test.labels, strict=True):
        assert bool(found) == label
        if label:
            (first, red, _), (second, green, _) = found
            assert (red, green) == ("ATTCC", "GGAT")
            gaps.append(second - first - 5)
    assert set(gaps) == {2, 3, 4, 5}


def test_misplaced_negatives_carry_both_motifs_in_the_wrong_way(words):
    test = words(rule="red and green", ordered=True, spacing=(2, 5), decoys=["misplaced"])
    negatives = to_letters(test.codes[test.labels == 0])
    assert all("ATTCC" in letters and "GGAT" in letters for letters in negatives)
    assert (test.evidence[test.labels == 0] == -1).all()
    ahead = [letters.index("GGAT") < letters.index("ATTCC") for letters in negatives]
    assert 0.4 < np.mean(ahead) < 0.75


def test_absent_decoys_leave_single_motifs(words):
    test = words(rule="red and green", decoys=["absent"], background="uniform")
    carried = {("ATTCC" in letters, "GGAT" in letters) for letters in to_letters(test.codes)}
    assert carried == {(True, True), (True, False), (False, True), (False, False)}


def test_a_motif_may_be_forbidden(words):
    test = words(rule="not red", decoys=["absent"], background="uniform")
    negatives = test.labels == 0
    assert (test.inside_motif.sum(axis=1) == np.where(negatives, 5, 0)).all()
    assert ["ATTCC" in letters for letters in to_letters(test.codes[negatives])] == [True] * 150


def test_a_sequence_as_long_as_the_motif_is_the_motif():
    test = planted(data_seed=0, train=10, test=12, length=19).test
    assert test.inside_motif[test.labels == 1].all()


def test_an_identifier_of_a_release_is_a_motif():
    pytest.importorskip("pyjaspar")
    splits = planted(data_seed=0, train=10, test=12, rule="MA0147.3", release="JASPAR2020")
    assert splits.test.class_names == ("negative", "MA0147.3")
    assert splits.test.inside_motif.sum() == 6 * 12


@pytest.mark.parametrize("background", ["markov", "shuffled"])
def test_backgrounds_follow_given_sequences(tmp_path, background):
    """Sequences in which A follows A and C follows C for long."""
    letters = ["A" * 30 + "C" * 30, "C" * 30 + "A" * 30]
    (tmp_path / "given.fa").write_text(f">one\n{letters[0]}\n>two\n{letters[1]}\n")
    splits = planted(
        data_seed=0,
        train=10,
        test=60,
        length=30,
        rule="GATA1",
        background=background,
        sequences=tmp_path / "given.fa",
    )
    positives = splits.test.labels == 1
    outside = splits.test.codes[positives][splits.test.evidence[positives] == -1]
    assert np.isin(outside, [0, 1]).mean() > 0.9
    what = "accuracy of the best chain-background classifier (a lower bound of the Bayes-optimal"
    assert any(fact.startswith(what) for fact in splits.facts) == (background == "shuffled")
    assert "given.fa" in splits.note


def test_options_come_from_yaml():
    plugin = load("datasets", "planted", ())
    given = {"rule": "CTCF or SPI1", "spacing": [3, 9], "decoys": ["absent"], "sequences": "a.fa"}
    options = resolve(plugin, given, where="dataset")
    assert options["spacing"] == [3, 9]
    assert typed(plugin, options)["spacing"] == (3, 9)
    assert typed(plugin, options)["sequences"] == Path("a.fa")
    with pytest.raises(UsageError, match=r"dataset.spacing.0: input should be greater than or eq"):
        resolve(plugin, {"spacing": [-1, 9]}, where="dataset")
    with pytest.raises(UsageError, match=r"dataset.decoys.0: input should be 'shuffled', 'absent'"):
        resolve(plugin, {"decoys": ["shufled"]}, where="dataset")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"length": 7}, "length: expected at least the 19 positions of CTCF, got 7"),
        (
            {"rule": "2 CTCF or SPI1", "length": 61, "spacing": (5, 9)},
            "least the 62 positions of 2 CTCF, SPI1 at 5 bases from each other, got 61",
        ),
        ({"rule": "CTFC and"}, "rule: position 8: expected a motif, got the end"),
        ({"rule": "CTCF or MA0139.1"}, "each motif under one name, got MA0139.1 as CTCF and as MA"),
        ({"ordered": True}, "ordered: expected a rule with two instances or more, got CTCF"),
        ({"spacing": (1, 2)}, "spacing: expected a rule with two instances or more, got CTCF"),
        ({"rule": "2 CTCF", "spacing": (5, 2)}, r"expected \(low, high\), got 5 above 2"),
        ({"decoys": []}, r"decoys: expected each name once, one at least, got \[\]"),
        ({"decoys": ["absent", "absent"]}, "decoys: expected each name once, one at least"),
        ({"rule": "CTCF or SPI1", "decoys": ["misplaced"]}, "expected 'misplaced' where positives"),
        (
            {"background": "markov"},
            "sequences: expected a file for the background markov, got None",
        ),
        (
            {"sequences": Path("a.fa")},
            r"expected no file \(background: markov or shuffled\) for the",
        ),
        ({"order": 2}, "order: expected 1 but for the background markov, got 2"),
    ],
)
def test_options_that_cannot_be_are_refused(options, message):
    with pytest.raises(UsageError, match=message):
        planted(data_seed=0, **options)


def test_an_unknown_motif_is_refused_with_the_nearest(words):
    with pytest.raises(UsageError, match=r"got 'gren'; the nearest is 'green'"):
        words(rule="red and gren")


def test_a_rule_of_too_many_arrangements_is_not_simulated():
    rule = "3 CTCF or 3 SPI1 or 3 GATA1 or 3 TP53"
    facts = planted(data_seed=0, train=10, test=10, rule=rule, length=300).facts
    assert facts["Bayes-optimal accuracy"].startswith("not simulated: the rule allows so many")


def test_ten_thousand_sequences_take_under_a_second():
    start = time.process_time()
    planted(data_seed=2)
    assert time.process_time() - start < 1


@pytest.mark.skipif(DATA is None, reason="XAIBENCH_DATA is not set")
def test_real_sequences_make_a_background():
    path = Path(DATA) / "prom_300_tata_annotated.csv.gz"
    splits = planted(
        data_seed=0, train=10, test=200, background="markov", order=3, sequences=path, rule="SPI1"
    )
    assert len(splits.test) == 200
    assert splits.note.startswith(
        f"Sequences of 200 nt from a Markov chain of order 3 fitted to {path.name}"
    )
