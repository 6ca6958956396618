"""Motifs: the shipped ones, those of a file, those of JASPAR, and their decoys."""

import gzip
import os
import sys

import numpy as np
import pytest

from xaibench.data.meme import read_motifs
from xaibench.data.motifs import SHIPPED, decoy, find_motif, motifs_of_family, resemblance
from xaibench.errors import UsageError

CTCF = find_motif("CTCF").matrix
MEME = """MEME version 4

ALPHABET= ACGT

MOTIF one first
letter-probability matrix: alength= 4 w= 2
 0.5 0.25 0.25 0
 0 0 0.333333 0.666667

MOTIF two
letter-probability matrix:
1.0 0.0 0.0 0.0

MOTIF three first
letter-probability matrix: w= 1
0 1 0 0
URL http://nowhere
"""


@pytest.fixture
def meme(tmp_path):
    def written(text=MEME):
        path = tmp_path / "own.meme"
        path.write_text(text)
        return path

    return written


def test_motifs_have_the_columns_and_consensus_of_jaspar():
    motifs = read_motifs(SHIPPED)
    assert {motif.name: len(motif.matrix) for motif in motifs} == {
        "CTCF": 19,
        "REST": 21,
        "TP53": 18,
        "SPI1": 14,
        "GATA1": 11,
    }
    assert "".join("ACGT"[base] for base in CTCF.argmax(axis=1)) == "TGGCCACCAGGGGGCGCTA"
    assert CTCF[0] * 913 == pytest.approx([87, 291, 76, 459], abs=0.001)  # JASPAR's counts
    for motif in motifs:
        assert motif.matrix.sum(axis=1) == pytest.approx(1)


def test_an_identifier_names_the_motif_too():
    assert find_motif("MA0080.4").name == "SPI1"
    assert find_motif("SPI1").identifier == "MA0080.4"


def test_a_file_gives_its_own_motifs(meme):
    path = meme()
    assert find_motif("two", path=path).name == "two"
    motif = find_motif("first", path=path)
    assert motif.identifier == "one"
    expected = np.array([[0.5, 0.25, 0.25, 0], [0, 0, 1 / 3, 2 / 3]])
    assert motif.matrix == pytest.approx(expected, abs=1e-6)


def test_a_file_goes_before_the_shipped_motifs(meme):
    with pytest.raises(UsageError, match=r"of .*own.meme, got 'CTCF'; the nearest is 'two'"):
        find_motif("CTCF", path=meme())


def test_a_file_and_a_release_exclude_each_other(meme):
    with pytest.raises(UsageError, match="expected a MEME file or a release of JASPAR, got both"):
        find_motif("one", path=meme(), release="JASPAR2024")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no motifs", "expected motifs in MEME format, got no line MOTIF"),
        (MEME.replace("MOTIF one first", ""), "line 6: expected a line MOTIF before the matrix"),
        (MEME.replace("0.333333 0.666667", "0.5 0.7"), "motif one: .* got '0 0 0.5 0.7' in line 8"),
        (MEME.replace("0 1 0 0", "0 1 0"), "motif three: .* got '0 1 0' in line 16"),
        (MEME.replace("1.0 0.0 0.0 0.0", "-1 1 1 0"), "motif two: .* got '-1 1 1 0'"),
        (MEME.replace("0 1 0 0", ""), "motif three: expected rows behind line 15, got none"),
        (MEME.replace("1.0 0.0 0.0 0.0", ""), "motif two: expected rows behind line 11, got none"),
        (MEME[: MEME.index(" 0 0 0.33")], "motif one: expected w= 2 as line 6 says, got 1 rows"),
        (MEME.replace(" 0 0 0.33", "URL\n0 0 0.33"), "motif one: expected w= 2 .* got 1 rows"),
        (MEME.replace("w= 2", "w=2").replace(" 0 0 0.33", "0 1 0 0\n0 0 0.33"), "got 3 rows"),
        (MEME.replace("w= 2", "w= six"), "motif one: expected w= six as line 6 says, got 2 rows"),
        (MEME.replace("alength= 4", "alength= 20"), "expected alength= 20 .*, got 4 columns"),
        (MEME.replace("1.0 0.0 0.0 0.0", "1.0 0.0 0.0 0.0 end"), "motif two: .* 0.0 end' in line"),
        (MEME.replace("0.5 0.25 0.25 0", "0,5 0,25 0,25 0"), "motif one: .* got '0,5 0,25 0,25 0'"),
        (MEME.replace("0.5 0.25 0.25 0", "A 0.5 0.25 0.25 0"), "motif one: .* got 'A 0.5"),
        (MEME.replace("0.5 0.25 0.25 0", "nan nan nan nan"), "motif one: .* 'nan nan nan nan'"),
        (MEME.replace("0.5 0.25 0.25 0", "inf 0 0 0"), "motif one: .* got 'inf 0 0 0' in line 7"),
        (MEME.replace("0.5 0.25 0.25 0", "2 -1 0 0"), "motif one: .* got '2 -1 0 0' in line 7"),
        (MEME.replace("0.5 0.25 0.25 0", "50 25 25 0"), "motif one: .* that sum to 1, got '50 25"),
        (MEME.replace("0.5 0.25 0.25 0", "0 0 0 0"), "motif one: .* that sum to 1, got '0 0 0 0'"),
        (
            MEME.replace("URL", "letter-probability matrix:\n1 0 0 0\nURL"),
            "motif three: expected one letter-probability matrix, got one in line 15 and in line "
            "17",
        ),
        (MEME.replace("two", "one"), "identifiers that differ, got 'one' in line 5 and in line 10"),
        (MEME + "MOTIF four\n", "motif four: expected a letter-probability matrix, got none"),
        (
            MEME.replace("= ACGT", "= ACDEFGHIKLMNPQRSTVWY"),
            "line 3: expected the alphabet ACGT, got",
        ),
        (MEME.replace("= ACGT", "= TGCA"), "line 3: expected the alphabet ACGT, got TGCA"),
        (">MA0139.1\tCTCF\nA [ 87 167 ]\n", "got matrices of JASPAR or HOMER; convert them"),
        ("AC M00001\nXX\nID V$MYOD\nPO A C G T\n", "got matrices of TRANSFAC; convert them"),
        ("<?xml version='1.0'?>\n", "got XML or HTML"),
    ],
)
def test_what_is_no_file_of_motifs_is_refused(meme, text, message):
    with pytest.raises(UsageError, match=message):
        read_motifs(meme(text))


def test_a_missing_file_and_one_that_is_no_text_are_refused(tmp_path):
    with pytest.raises(UsageError, match=r"no.meme: expected motifs .*, got: No such file"):
        read_motifs(tmp_path / "no.meme")
    (tmp_path / "packed.meme").write_bytes(b"\x00\x07\xff\xfe")
    with pytest.raises(UsageError, match=r"packed.meme: expected motifs .*, got: a binary file"):
        read_motifs(tmp_path / "packed.meme")
    os.mkfifo(tmp_path / "pipe.meme")
    with pytest.raises(UsageError, match=r"pipe.meme: expected motifs .*, got: a pipe, not a file"):
        read_motifs(tmp_path / "pipe.meme")


@pytest.mark.parametrize(
    "written",
    [
        MEME.encode("utf-8-sig"),
        MEME.replace("\n", "\r\n").encode(),
        gzip.compress(MEME.encode()),
        MEME.replace("= ACGT", "= ACGU").encode(),
        MEME.replace(" 0 0 0.3", "\n 0 0 0.3").encode(),
        MEME.replace(" w= 2", "").encode(),
        MEME.replace(" 0 0 0.3", "# by hand\n 0 0 0.3").encode(),
    ],
    ids=["a mark", "Windows", "gzip", "RNA", "a blank line", "no width", "a comment"],
)
def test_a_file_of_motifs_may_be_written_otherwise(tmp_path, written):
    (tmp_path / "own.meme").write_bytes(written)
    assert [motif.matrix.shape for motif in read_motifs(tmp_path / "own.meme")] == [
        (2, 4),
        (1, 4),
        (1, 4),
    ]


def test_what_is_not_shipped_needs_pyjaspar(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyjaspar", None)
    assert find_motif("CTCF").identifier == "MA0139.1"
    with pytest.raises(UsageError, match=r"'MYC' .*REST.*pip install 'xaibench\[motifs\]'"):
        find_motif("MYC")


@pytest.mark.parametrize(
    ("name", "release", "identifier", "width"),
    [
        ("MYC", None, "MA0147.4", 8),
        ("CTCF", "JASPAR2024", "MA0139.2", 15),
        ("CTCF", "JASPAR2020", "MA0139.1", 19),
        ("MA0139", "JASPAR2024", "MA0139.2", 15),
        ("MA0139.1", "JASPAR2026", "MA0139.1", 19),
        ("POL012.1", "JASPAR2020", "POL012.1", 15),
        ("TATA-Box", "JASPAR2014", "POL012.1", 15),
        ("JUN (var.2)", "JASPAR2014", "MA0489.1", 14),
        ("TFAP2A(var.2)", "JASPAR2018", "MA0810.1", 12),
        ("BATF::JUN", "JASPAR2022", "MA0462.2", 11),
    ],
)
def test_releases_of_jaspar_are_looked_up(name, release, identifier, width):
    pytest.importorskip("pyjaspar")
    motif = find_motif(name, release=release)
    assert (motif.identifier, motif.matrix.shape) == (identifier, (width, 4))
    assert motif.matrix.sum(axis=1) == pytest.approx(1)


@pytest.mark.parametrize("motif", read_motifs(SHIPPED), ids=lambda motif: motif.name)
def test_a_release_holds_what_is_shipped(motif):
    pytest.importorskip("pyjaspar")
    assert find_motif(motif.identifier, release="JASPAR2024").matrix == pytest.approx(
        motif.matrix,
        abs=2e-6,  # six digits are shipped
    )


def test_counts_become_probabilities_without_pseudocount():
    """The counts as pyjaspar's own call reads them."""
    pyjaspar = pytest.importorskip("pyjaspar")
    database = pyjaspar.jaspardb(release="JASPAR2022")
    counts = database.fetch_motif_by_id("MA0138.2").counts
    database.conn.close()
    columns = np.array([counts[base] for base in "ACGT"]).T
    matrix = find_motif("MA0138.2", release="JASPAR2022").matrix
    assert matrix == pytest.approx(columns / columns.sum(axis=1, keepdims=True), abs=1e-15)
    assert matrix.min() == 0 or columns.min() > 0


def test_what_a_release_does_not_have_is_refused_with_the_nearest():
    pytest.importorskip("pyjaspar")
    with pytest.raises(UsageError, match="of JASPAR2024, got 'Mycn2'; the nearest is 'Mycn'"):
        find_motif("Mycn2")
    with pytest.raises(UsageError, match=r"got 'POL012.1'; .*; JASPAR2020 has it"):
        find_motif("POL012.1")
    with pytest.raises(UsageError, match=r"release: expected one of .*, got 'JASPAR2015'.*JASPAR2"):
        find_motif("CTCF", release="JASPAR2015")


def test_a_matrix_without_counts_in_a_column_is_refused():
    pytest.importorskip("pyjaspar")
    with pytest.raises(UsageError, match=r"UN0498.1 of JASPAR2024, whose column \d+ is empty"):
        find_motif("UN0498.1")


def test_a_motif_resembles_itself_on_either_strand_and_shifted():
    assert resemblance(CTCF, CTCF) == pytest.approx(1)
    assert resemblance(CTCF[::-1, ::-1], CTCF) == pytest.approx(1)
    assert resemblance(np.roll(CTCF, 1, axis=0), CTCF) > 0.7
    assert resemblance(np.full((19, 4), 0.25), CTCF) < 0


@pytest.mark.parametrize("motif", read_motifs(SHIPPED), ids=lambda motif: motif.name)
def test_a_decoy_has_the_columns_in_an_order_unlike_the_motif(motif):
    shuffled = decoy(motif.matrix, np.random.default_rng(0))
    assert sorted(map(tuple, shuffled)) == sorted(map(tuple, motif.matrix))
    assert resemblance(shuffled, motif.matrix) <= 0.3


def test_a_motif_of_equal_columns_has_no_decoy():
    with pytest.raises(UsageError, match="expected a motif whose columns can be put in an order"):
        decoy(np.tile([0.7, 0.1, 0.1, 0.1], (7, 1)), np.random.default_rng(0))


def test_a_family_needs_pyjaspar(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyjaspar", None)
    with pytest.raises(UsageError, match=r"'Ets-related' is looked up .* not installed"):
        motifs_of_family("Ets-related")
