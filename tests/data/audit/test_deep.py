"""The leak linter finds what is planted, in sentences, and is given the letters of the files."""

import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("seqleak")

from xaibench.data.audit.deep import Linted, LinterCheck
from xaibench.data.audit.deep_text import deep_findings
from xaibench.data.resolving import audited
from xaibench.dna.encoding import to_codes, to_letters
from xaibench.dna.shuffling import dinucleotide_shuffles
from xaibench.errors import UsageError

TRAIN, TEST, LENGTH = 160, 60, 60


def random_letters(generator, count=TRAIN + TEST, length=LENGTH):
    return ["".join(row) for row in generator.choice(list("ACGT"), (count, length))]


@pytest.fixture
def sequences():
    """The same in both classes but for what a test plants; class b is every second."""
    return random_letters(np.random.default_rng(7))


@pytest.fixture
def deep(tmp_path, monkeypatch):
    """The findings of the linter, a paragraph each, on sequences of the classes a, b, a, b ..."""
    monkeypatch.chdir(tmp_path)

    def findings(letters, classes="ab"):
        rows = (
            f"{word},{classes[row % len(classes)]},{'train' if row < TRAIN else 'test'}"
            for row, word in enumerate(letters)
        )
        Path("own.csv").write_text("\n".join(["sequence,label,split", *rows]))
        return said(audited("own.csv", changes=(), plugins=(), deep=True))

    return findings


def said(lines):
    """The deep part as paragraphs; continued lines are indented further."""
    text = "\n".join(lines)
    return text[text.index("DEEP AUDIT") :].replace("\n    ", " ").splitlines()


def failures(lines):
    return [line.strip() for line in lines if line.strip().startswith("FAIL: ")]


def every_second(letters, change):
    return [change(word) if row % 2 else word for row, word in enumerate(letters)]


def test_a_clean_dataset_passes(deep, sequences):
    lines = deep(sequences)
    assert "  Verdict: PASS, the worst of its checks." in lines
    assert not failures(lines)


def test_lower_case_of_one_class_is_a_finding_though_models_do_not_see_it(deep, sequences):
    lines = deep(every_second(sequences, str.lower))
    (failure,) = failures(lines)
    assert failure == (
        "FAIL: the share of lower-case letters, as soft-masked repeats have, alone reaches an MCC "
        "of 1.000 and an AUROC of 1.000 on test."
    )
    assert any("Letters as the files have them." in line for line in lines)


def test_n_at_the_end_is_a_finding_though_models_see_padding(deep, sequences):
    lines = failures(deep(every_second(sequences, lambda word: word[:-8] + "N" * 8)))
    assert any("of N" in line and "MCC of 1.000" in line for line in lines)


def test_length_is_a_finding(deep, sequences):
    (failure,) = failures(deep(every_second(sequences, lambda word: word[:-8])))
    assert failure.startswith("FAIL: length alone reaches an MCC of 1.000")


def test_letters_at_fixed_positions_are_a_finding_with_their_places(deep, sequences):
    lines = failures(deep(every_second(sequences, lambda word: word[:20] + "GATC" + word[24:])))
    assert any(
        line.startswith("FAIL: a few bases at fixed positions (") and "at 20" in line
        for line in lines
    )
    assert any("of test sequences of class 'b' have" in line for line in lines)


def test_negatives_shuffled_from_positives_are_a_finding(deep, sequences):
    generator = np.random.default_rng(3)
    positives = sequences[::2]
    shuffled = [
        to_letters(dinucleotide_shuffles(row, 1, generator))[0] for row in to_codes(positives)
    ]
    elsewhere = [*shuffled[TEST:], *shuffled[:TEST]]  # test negatives of train positives
    pairs = zip(positives, elsewhere, strict=True)
    lines = failures(deep([word for pair in pairs for word in pair]))
    assert any("one class was made from the other" in line for line in lines)
    assert any("dinucleotide shuffle" in line for line in lines)


def test_constant_segments_of_one_class_are_a_finding(deep, sequences):
    segment = random_letters(np.random.default_rng(11), 1, 30)[0]
    lines = failures(deep(every_second(sequences, lambda word: word[:15] + segment + word[45:])))
    assert any(
        line.startswith("FAIL: a constant segment at a fixed position") and "libraries" in line
        for line in lines
    )


def test_three_classes_have_no_auroc(deep, sequences):
    lines = failures(
        deep([word[: 60 - 9 * (row % 3)] for row, word in enumerate(sequences)], "abc")
    )
    assert any(line == "FAIL: length alone reaches an MCC of 1.000 on test." for line in lines)


def test_of_a_rare_class_the_auroc_is_told_where_it_makes_the_verdict():
    evidence = {"test_auroc": 0.91, "status_from": "auroc"}
    check = LinterCheck("shortcut.kmer", "WARN", -0.024, -0.1, 0.1, 60, "", evidence)
    (finding,) = deep_findings(Linted("1", "v1", "WARN", True, ("a", "b"), (check,)))
    assert finding == (
        "WARN: a third-order Markov chain for each class, 4-mers, reaches an AUROC of 0.910 on "
        "test (the MCC, -0.024, says little here)."
    )


def test_its_figures_stand_beside_ours(deep, sequences):
    lines = deep([*sequences[:TRAIN], *sequences[: TEST // 2], *sequences[TRAIN + TEST // 2 :]])
    row = next(line for line in lines if line.strip().startswith("overlap.exact"))
    assert row.split() == ["overlap.exact", "FAIL", "50.00", "%", "[37.74,", "62.26]", "50.00", "%"]


def test_lines_stay_within_a_hundred_columns(deep, sequences):
    deep(every_second(sequences, str.lower))
    lines = audited("own.csv", changes=(), plugins=(), deep=True)
    assert max(map(len, lines)) <= 100


def test_made_sequences_are_linted_as_models_see_them():
    changes = ("train=40", "test=20", "length=60")
    lines = said(audited("planted", changes=changes, plugins=(), deep=True))
    assert any("Letters as they are read: upper case, without N" in line for line in lines)


def test_letters_of_a_set_and_of_a_genome_are_those_of_their_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XAIBENCH_CACHE", str(tmp_path / "cache"))
    generator = np.random.default_rng(5)
    for split, count in (("train", 20), ("test", 10)):
        for label, change in (("cat", str.lower), ("dog", str.upper)):
            folder = tmp_path / "pets" / split / label
            folder.mkdir(parents=True)
            for row, word in enumerate(random_letters(generator, count, 40)):
                (folder / f"{row}.txt").write_text(change(word))
    assert any("lower-case" in line for line in failures(said(deep_of("pets"))))

    words = random_letters(generator, 60, 40)
    letters = "".join(word.lower() if row % 2 else word for row, word in enumerate(words))
    (tmp_path / "g.fa").write_text(f">chr1\n{letters}\n")
    rows = "".join(
        f"chr1\t{40 * row}\t{40 * row + 40}\t{'ab'[row % 2]}\t0\t{'+-'[row % 3 == 0]}\n"
        for row in range(60)
    )
    (tmp_path / "p.bed").write_text(rows)
    assert any("lower-case" in line for line in failures(said(deep_of("p.bed", "genome=g.fa"))))


def deep_of(word, *changes):
    return audited(word, changes=changes, plugins=(), deep=True)


def test_rows_that_a_dataset_leaves_out_are_left_out_of_the_letters(deep, sequences):
    deep(every_second([*sequences[:TRAIN], *sequences[:20], *sequences[TRAIN + 20 :]], str.lower))
    lines = said(deep_of("own.csv", "deduplicated=true"))
    assert any("lower-case" in line for line in failures(lines))
    assert not any("have the letters of" in line for line in lines)


@pytest.mark.parametrize("letters", [["A"] * 220, ["ACGTACGT"] * 220, ["A" * 30, "CCGT"] * 110])
def test_sequences_with_nothing_to_find_do_not_stop_it(deep, letters):
    assert any("Verdict: " in line for line in deep(letters))


def test_without_the_extra_a_line_says_what_to_install(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"not installed; pip install 'xaibench\[audit\]'"):
        audited("planted", changes=(), plugins=(), deep=True)


def test_where_the_linter_stops_the_audit_stands_and_a_line_says_why(monkeypatch, deep, sequences):
    def stops(*_, **__):
        raise IndexError("of nothing")

    deep(sequences)
    monkeypatch.setattr(sys.modules["seqleak.audit"], "run_audit", stops)
    lines = deep_of("own.csv")
    assert next(lines).startswith("AUDIT: 220 sequences")
    with pytest.raises(UsageError, match=r"seqleak .* stopped with IndexError: of nothing"):
        list(lines)


def test_a_folder_of_intervals_has_no_sequences_to_lint(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train_cat.csv").write_text("id,region,start,end,strand\n1,chr1,1,2,+\n")
    with pytest.raises(UsageError, match="--deep: expected sequences, got a folder of intervals"):
        deep_of(".")


def test_relatives_of_one_class_are_told_apart_from_made_negatives():
    evidence = {"label_relation_on_test": "copy", "label_determined_share_covered": 0.96}
    check = LinterCheck("construction.segment", "WARN", 0.05, 0.04, 0.06, 200, "", evidence)
    (finding,) = deep_findings(Linted("1", "v1", "WARN", True, ("a", "b"), (check,)))
    assert finding == (
        "WARN: 5.00 % of test sequences (10 of 200) have a copy with some segments replaced and "
        "the others in place in train or validation, of the same class for 96.0% of them: related "
        "sequences, aligned, on both sides of the split."
    )


def test_a_check_that_is_not_known_here_speaks_for_itself():
    check = LinterCheck("shortcut.new", "FAIL", 0.5, None, None, None, "a new rule: 0.5", {})
    linted = Linted("1", "v2", "FAIL", True, ("a", "b"), (check,))
    assert deep_findings(linted) == ["FAIL: a new rule: 0.5."]
