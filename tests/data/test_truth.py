"""Motif positions against a scan by hand and a search of every pair of site and sequence."""

import gzip
import os
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from xaibench.data import truth
from xaibench.data.files.file import file
from xaibench.data.motifs import find_motif
from xaibench.data.truth import annotated, scanned
from xaibench.dna.encoding import reverse_complement, to_codes
from xaibench.errors import UsageError
from xaibench.values import Intervals, Sequences, Splits

CTCF = find_motif("CTCF")
MEME = """MEME version 4

MOTIF made.1 short
letter-probability matrix: alength= 4 w= 5
 0.97 0.01 0.01 0.01
 0.01 0.97 0.01 0.01
 0.01 0.97 0.01 0.01
 0.01 0.01 0.01 0.97
 0.40 0.00 0.60 0.00
MOTIF made.2 longer
letter-probability matrix: alength= 4 w= 7
 0.97 0.01 0.01 0.01
 0.01 0.97 0.01 0.01
 0.01 0.97 0.01 0.01
 0.01 0.01 0.01 0.97
 0.01 0.01 0.97 0.01
 0.25 0.25 0.25 0.25
 0.70 0.10 0.10 0.10
"""


@pytest.fixture
def matrices(tmp_path):
    path = tmp_path / "made.meme"
    path.write_text(MEME)
    return path


def sequences_of(codes, *, prefix="s", classes=("a", "b", "c"), intervals=None):
    names = tuple(f"{prefix}{row}" for row in range(len(codes)))
    labels = np.arange(len(codes)) % len(classes)
    return Sequences(codes, labels, names, classes, intervals=intervals)


def splits_of(letters, *, test=("ACGTACG", "TT")):
    width = max(map(len, [*letters, *test]))
    train, held = (
        to_codes([row.ljust(width, "N") for row in rows]) for rows in (letters, list(test))
    )
    return Splits(
        sequences_of(train), sequences_of(held, prefix="t"), note="Made.", facts={"of": "before"}
    )


def random_codes(count, length, *, seed=0):
    return np.random.default_rng(seed).integers(4, size=(count, length), dtype=np.uint8)


# the scan by hand


def survival(matrix):
    """``{score in tenths: probability of as much or more}`` for a window of uniform bases."""
    scores = {0: 1.0}
    for column in np.round(log_odds(matrix) / 0.1).astype(int):
        after = {}
        for score, probability in scores.items():
            for base in column:
                after[score + base] = after.get(score + base, 0) + probability / 4
        scores = after
    above, probability = {}, 0.0
    for score in range(max(scores) + len(matrix), min(scores) - 1, -1):
        probability += scores.get(score, 0.0)
        above[score] = probability
    return above


def log_odds(matrix):
    return np.log2(matrix + 1e-4) - np.log2(0.25)


def slow_hits(codes, matrix, p_value):
    """``(start, strand, p)`` of one sequence; N adds nothing to a score."""
    for strand, read in (("+", matrix), ("-", matrix[::-1, ::-1])):
        above = survival(read)
        weights = np.hstack([log_odds(read), np.zeros((len(read), 1))])
        threshold = min(score for score, p in above.items() if p < p_value)
        for start in range(len(codes) - len(read) + 1):
            window = codes[start : start + len(read)]
            score = sum(weights[column, base] for column, base in enumerate(window))
            if score > threshold * 0.1:
                yield start, strand, above[int(score / 0.1)]


def slow_evidence(codes, motifs, p_value):
    """``(sequence, position)``, for ``[(matrix, class index)]``, one position at a time."""
    evidence = np.full(codes.shape, -1)
    best = np.full(codes.shape, np.inf)
    for row, sequence in enumerate(codes):
        for matrix, speaks_for in motifs:
            for start, _, p in slow_hits(sequence, matrix, p_value):
                for position in range(start, start + len(matrix)):
                    known = (sequence[start : start + len(matrix)] < 4).all()
                    if known and p < best[row, position]:
                        evidence[row, position], best[row, position] = speaks_for, p
    return evidence


@pytest.mark.parametrize("name", ["CTCF", "made.1", "made.2"])
def test_memelite_finds_what_a_scan_by_hand_finds(matrices, name):
    """Starts count from 0; the pseudocount is 1e-4, the bins are tenths of a bit."""
    matrix = (CTCF if name == "CTCF" else find_motif(name, path=matrices)).matrix
    codes = random_codes(5, 90)
    codes[1, 7 : 7 + len(matrix)] = matrix.argmax(axis=1)
    codes[3, 40 : 40 + len(matrix)] = reverse_complement(matrix.argmax(axis=1)[None])[0]
    codes[4, 60:] = 4
    one_hot = (codes[:, None] == np.arange(4)[:, None]).astype(np.int8)
    (found,) = truth._scanner()({"it": matrix.T}, one_hot, threshold=2e-3)
    rows = found[["sequence_name", "start", "strand", "p-value"]].itertuples(index=False)
    found_hits = {(row, start, strand): p for row, start, strand, p in rows}
    expected = {
        (row, start, strand): p
        for row, sequence in enumerate(codes)
        for start, strand, p in slow_hits(sequence, matrix, 2e-3)
    }
    assert found_hits == pytest.approx(expected, rel=1e-9)
    assert {(1, 7, "+"), (3, 40, "-")} <= expected.keys()


@pytest.mark.parametrize("p_value", [0.02, 0.2])
def test_evidence_is_that_of_a_scan_by_hand(monkeypatch, matrices, p_value):
    monkeypatch.setattr(truth, "_BASES_PER_BLOCK", 3 * 61)  # the last part is smaller
    codes = random_codes(11, 61)
    codes[2, 20:23] = codes[4, 5:] = codes[6] = 4
    train = sequences_of(codes)
    splits = Splits(train, sequences_of(random_codes(3, 61, seed=1), prefix="t"), train)
    motifs = {"made.2": "b", "short": "c"}
    found = scanned(splits, motifs, p_value=p_value, path=matrices)
    of_classes = [
        (find_motif(name, path=matrices).matrix, "abc".index(motifs[name])) for name in motifs
    ]
    for split in (found.train, found.test, found.validation):
        assert split.evidence.dtype == np.int8
        assert np.array_equal(split.evidence, slow_evidence(split.codes, of_classes, p_value))
    assert set(found.train.evidence.ravel()) == {-1, 1, 2}


def test_the_smaller_p_value_takes_the_position(matrices):
    """ACCTG is in both; with the two columns behind it the longer motif is the rarer hit."""
    splits = splits_of(["TTTTTACCTGCATTTTT", "TTTTTACCTATTTTTTT"])
    for motifs in ({"short": "a", "longer": "b"}, {"longer": "b", "short": "a"}):
        evidence = scanned(splits, motifs, p_value=0.003, path=matrices).train.evidence
        assert evidence[0].tolist() == 5 * [-1] + 7 * [1] + 5 * [-1]
        assert evidence[1].tolist() == 5 * [-1] + 5 * [0] + 7 * [-1]


def test_of_equal_p_values_the_first_motif_takes_the_position(matrices):
    splits = splits_of(["TTTTTACCTATTTTTTT"])
    for motifs in ({"short": "a", "made.1": "b"}, {"made.1": "a", "short": "b"}):
        evidence = scanned(splits, motifs, p_value=0.003, path=matrices).train.evidence
        assert evidence[0].tolist() == 5 * [-1] + 5 * [0] + 7 * [-1]


def test_a_window_with_n_and_a_sequence_shorter_than_the_motif_have_no_hit(matrices):
    """Scored as an average base, N would leave ACCTGN. a hit, and so would padding."""
    splits = splits_of(["TTACCTGNATT", "TTACCTG", "ACC", "TTACCTGCATT"])
    found = scanned(splits, {"longer": "b"}, p_value=0.02, path=matrices)
    assert (found.train.evidence >= 0).any(axis=1).tolist() == [False, False, False, True]
    narrow = splits_of(["ACG"], test=["ACGT", "TT"])
    assert (scanned(narrow, {"longer": "b"}, path=matrices, p_value=0.02).test.evidence < 0).all()


def test_the_report_is_told_which_motifs_and_how_many_sequences_have_one(matrices):
    splits = splits_of(["TTACCTGCATT", "TTACCTGCATT", "TTTTTTTTT"], test=["TT", "TGCAGGTAA"])
    found = scanned(splits, {"longer": "b"}, p_value=0.002, path=matrices)
    assert found.note == "Made."
    assert found.facts == {
        "of": "before",
        "motif positions": "hits of longer (made.2) for 'b' at p < 2e-3, either strand",
        "sequences with a motif of their own class": "40 % (2 of 5)",
        "sequences with a motif of another class": "20 % (1 of 5)",
    }
    assert found.train.inside_motif[1].sum() == 7


def test_what_cannot_be_scanned_for_is_one_line(matrices):
    splits = splits_of(["ACGTACGT"])
    with pytest.raises(UsageError, match=r"^truth: CTCF: expected a class, 'a' or .* got 'pig'$"):
        scanned(splits, {"CTCF": "pig"})
    with pytest.raises(UsageError, match=r"motifs: expected a motif and the class .*, got none"):
        scanned(splits, {})
    with pytest.raises(UsageError, match=r"0\.00098, which the best .* short \(5 .*, got 0\.0001"):
        scanned(splits, {"short": "a"}, path=matrices)
    with pytest.raises(UsageError, match=r"expected a name or an identifier of .*got 'shrot'"):
        scanned(splits, {"shrot": "a"}, path=matrices)


def test_a_dataset_that_knows_its_motifs_is_refused(tmp_path):
    splits = splits_of(["ACGTACGT"])
    evidence = np.full(splits.train.codes.shape, -1, np.int8)
    known = replace(splits, train=replace(splits.train, evidence=evidence))
    with pytest.raises(UsageError, match="expected a dataset that does not know where its motifs"):
        scanned(known, {"CTCF": "a"})
    with pytest.raises(UsageError, match="expected a dataset that does not know where its motifs"):
        annotated(known, tmp_path / "sites.bed")


def test_without_memelite_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "memelite", None)
    with pytest.raises(UsageError, match=r"memelite, .*; pip install 'xaibench\[motifs\]'"):
        scanned(splits_of(["ACGTACGT"]), {"CTCF": "a"})


@pytest.mark.skipif("XAIBENCH_DATA" not in os.environ, reason="XAIBENCH_DATA is not set")
def test_most_peaks_have_the_motif_of_their_own_factor_and_few_the_other():
    path = Path(os.environ["XAIBENCH_DATA"]) / "ctcf_vs_pu1.csv.gz"
    splits = file(data_seed=0, path=path)
    found = scanned(splits, {"CTCF": "1", "MA0080.4": "0"}, release="JASPAR2018").test
    for label, (own, other) in enumerate([(0.63, 0.05), (0.79, 0.03)]):
        evidence = found.evidence[found.labels == label]
        assert (evidence == label).any(axis=1).mean() == pytest.approx(own, abs=0.01)
        assert (evidence == 1 - label).any(axis=1).mean() == pytest.approx(other, abs=0.01)


# sites


def bed(folder, rows, name="sites.bed"):
    text = "".join("\t".join(map(str, row)) + "\n" for row in rows)
    path = folder / name
    data = text.encode()
    path.write_bytes(data if name.endswith(".bed") else gzip.compress(data))
    return path


@pytest.mark.parametrize("name", ["sites.bed", "sites.bed.gz", "sites.bed.bgz"])
def test_a_site_stands_at_its_positions_in_the_sequence_it_names(tmp_path, name):
    splits = splits_of(["ACGTACGTA", "ACGTACG"])
    path = bed(tmp_path, [("s1", 0, 3, "b"), ("t0", 6, 7, "a"), ("s1", 2, 5, "c")], name)
    found = annotated(splits, path)
    assert found.train.evidence.tolist() == [9 * [-1], [1, 1, 1, 2, 2, -1, -1, -1, -1]]
    assert found.test.evidence.tolist() == [[*6 * [-1], 0, -1, -1], 9 * [-1]]
    assert found.facts == {
        "of": "before",
        "motif positions": f"3 sites of {name}, for the classes in its fourth column",
        "sites outside every sequence": 0,
        "sequences with a motif of their own class": "50 % (2 of 4)",
        "sequences with a motif of another class": "25 % (1 of 4)",
    }


def test_one_class_may_be_said_for_all_sites(tmp_path):
    path = bed(tmp_path, [("s0", 1, 3), ("nowhere", 2, 4)])
    found = annotated(splits_of(["ACGTACGTA"]), path, speaks_for="c")
    assert found.train.evidence.tolist() == [[-1, 2, 2, *6 * [-1]]]
    assert found.facts["motif positions"] == "1 sites of sites.bed, for 'c'"
    assert found.facts["sites outside every sequence"] == 1


@pytest.mark.parametrize("classes", [128, 129, 300, 40_000])
def test_a_site_may_speak_for_any_of_many_classes(tmp_path, classes):
    names = tuple(f"c{number}" for number in range(classes))
    last = f"c{classes - 1}"
    parts = [
        sequences_of(np.zeros((4, 9), np.uint8), prefix=prefix, classes=names) for prefix in "ab"
    ]
    path = bed(tmp_path, [("a0", 2, 5, last), ("a1", 2, 5, "c0")])
    known = annotated(Splits(*parts), path).train
    assert known.evidence.max() == classes - 1
    assert known.evidence.min() == -1
    assert (known.evidence == classes - 1).sum() == 3


def genomic(generator, count, length, prefix):
    """Sequences on either strand, some the same, some overlapping, some of other lengths."""
    starts = generator.integers(100, size=count)
    ends = starts + generator.integers(1, length + 1, size=count)
    chromosomes = tuple(generator.choice(["chr1", "chr2", "chrX"], size=count).tolist())
    strands = generator.choice([-1, 1], size=count).astype(np.int8)
    codes = np.full((count, length), 4, np.uint8)
    codes[np.arange(length) < (ends - starts)[:, None]] = 0
    where = Intervals(chromosomes, starts, ends, strands)
    return sequences_of(codes, prefix=prefix, intervals=where)


def slow_sites(sequences, rows):
    """Every site beside every sequence, one position of the genome at a time."""
    evidence = np.full(sequences.codes.shape, -1)
    where = sequences.intervals
    for row in range(len(sequences)):
        for chromosome, start, end, word in reversed(rows):
            for place in range(start, end):
                inside = where.starts[row] <= place < where.ends[row]
                if chromosome == where.chromosomes[row] and inside:
                    forward = where.strands[row] > 0
                    at = place - where.starts[row] if forward else where.ends[row] - 1 - place
                    evidence[row, at] = sequences.class_names.index(word)
    return evidence


def test_sites_of_a_genome_are_cut_to_the_sequences_and_turned(tmp_path):
    generator = np.random.default_rng(0)
    train, test = genomic(generator, 29, 17, "s"), genomic(generator, 11, 17, "t")
    starts = generator.integers(140, size=41)
    words = ["chr1", "chr2", "chrX", "chr4"]
    rows = [
        (
            str(generator.choice(words)),
            int(start),
            int(start + size),
            str(generator.choice([*"abc"])),
        )
        for start, size in zip(starts, generator.integers(1, 23, size=41), strict=True)
    ]
    found = annotated(Splits(train, test), bed(tmp_path, rows))
    expected = slow_sites(train, rows), slow_sites(test, rows)
    assert np.array_equal(found.train.evidence, expected[0])
    assert np.array_equal(found.test.evidence, expected[1])
    touched = [(slow_sites(part, [row]) >= 0).any() for row in rows for part in (train, test)]
    outside = int((~np.reshape(touched, (41, 2)).any(axis=1)).sum())
    assert 0 < outside < 41
    assert found.facts["sites outside every sequence"] == outside


def test_on_the_other_strand_a_site_is_read_from_the_end(tmp_path):
    where = Intervals(("chr7",) * 2, np.array([100, 100]), np.array([107, 107]), np.array([1, -1]))
    codes = to_codes(["ACGTTTT", "AAAACGT"])
    splits = Splits(sequences_of(codes, intervals=where), sequences_of(codes, prefix="t"))
    found = annotated(splits, bed(tmp_path, [("chr7", 90, 102)]), speaks_for="b")
    assert found.train.evidence.tolist() == [[1, 1, *5 * [-1]], [*5 * [-1], 1, 1]]


BAD = {
    "a class": ([("s0", 1, 3, "a"), ("s0", 1, 3, "pig")], "row 1: expected a class, .* got 'pig'$"),
    "no class": ([("s0", 1, 3)], "expected a fourth column, .* got 3 columns; name the class of"),
    "no number": ([("s0", 1, "x", "a")], "column 'end': expected whole numbers, got 'x' in row 0"),
    "an end first": ([("s0", 3, 3, "a")], "row 0: expected 0 <= start < end, got 3 and 3"),
    "a negative start": ([("s0", -1, 3, "a")], "row 0: expected 0 <= start < end, got -1 and 3"),
    "outside": (
        [("s0", 3, 9, "a")],
        "row 0: expected a site inside the 8 letters of 's0', got 3-9",
    ),
    "nowhere": ([("chr1", 3, 9, "a")], r"got none among 1; .*\('s0'\) .* chromosome, got 'chr1'$"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_sites_are_one_line_with_the_file(tmp_path, case):
    rows, message = BAD[case]
    path = bed(tmp_path, rows)
    with pytest.raises(UsageError, match=message) as caught:
        annotated(splits_of(["ACGTACGT"]), path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_a_class_for_all_that_is_none_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"^truth: speaks_for: expected a class, .* got 'pig'$"):
        annotated(splits_of(["ACGTACGT"]), bed(tmp_path, [("s0", 1, 3)]), speaks_for="pig")


def test_a_name_in_two_splits_is_refused(tmp_path):
    splits = splits_of(["ACGTACGT"])
    twice = replace(splits, test=splits.train)
    with pytest.raises(UsageError, match=r"tell sequences apart, got 's0', .* train and in test$"):
        annotated(twice, bed(tmp_path, [("s0", 1, 3, "a")]))


STRING = "CGACCGAACTCC"
BACK = "GGAGTTCGGTCG"


def test_a_string_is_searched_for_as_it_stands_on_either_strand():
    splits = splits_of([f"TT{STRING}A", f"{BACK}TAG", f"TT{STRING[:-1]}AA", "A" * 15])
    facts = scanned(splits, {STRING: "b"})
    found = (facts.train.evidence == 1).sum(axis=1).tolist()
    assert found == [12, 12, 0, 0]
    assert facts.train.evidence[0].argmax() == 2
    assert facts.facts["motif positions"] == f"hits of {STRING} (exact) for 'b', either strand"


def test_a_string_needs_no_scanner(monkeypatch):
    monkeypatch.setitem(sys.modules, "memelite", None)
    assert scanned(splits_of([STRING]), {STRING: "a"}).train.evidence[0].tolist() == [0] * 12


def test_strings_and_matrices_are_searched_for_together(matrices):
    splits = splits_of(["AACCTAGACCTGAAGATTACAT"])
    motifs = {"made.1": "a", "GATTACA": "b"}
    known = scanned(splits, motifs, p_value=0.01, path=matrices)
    alone = scanned(splits, {"made.1": "a"}, p_value=0.01, path=matrices)
    is_string = known.train.evidence[0] == 1
    assert np.flatnonzero(is_string).tolist() == list(range(14, 21))
    assert (known.train.evidence == 0).sum() == ((alone.train.evidence == 0) & ~is_string).sum() > 0
    assert " (made.1) for 'a' and GATTACA (exact) for 'b' at p < 1e-2" in str(
        known.facts["motif positions"]
    )


def test_a_name_of_the_file_goes_before_a_string(tmp_path):
    path = tmp_path / "named.meme"
    path.write_text(MEME.replace("made.1 short", "CACGTG other"))
    with pytest.raises(UsageError, match="best match of other"):
        scanned(splits_of(["ACGTACGTA"]), {"CACGTG": "a"}, p_value=1e-6, path=path)


def test_sites_of_unlabelled_sequences_need_no_class(tmp_path):
    test = Sequences(to_codes(["ACGTACGT"]), np.zeros(1, np.int64), ("s",), ("unlabelled",))
    splits = Splits(test.take(np.arange(0)), test)
    bed = tmp_path / "sites.bed"
    bed.write_text("s\t2\t5\tCTCF\n")
    known = annotated(splits, bed)
    assert np.flatnonzero(known.test.inside_motif[0]).tolist() == [2, 3, 4]
    assert known.facts["motif positions"] == "1 sites of sites.bed"
