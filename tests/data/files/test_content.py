"""What a file is, whatever its name says: read where it can be, else named with the mend."""

import bz2
import gzip
import lzma
import os
import socket
import zipfile

import pandas as pd
import pytest

from xaibench.data.files.file import file
from xaibench.data.files.reading import read_bed
from xaibench.data.resolving import splits_named
from xaibench.data.splitting import fingerprint
from xaibench.dna.encoding import to_letters
from xaibench.errors import UsageError

ROWS = [
    ("ACGTACG", "worm", "train"),
    ("acgtn", "human", "train"),
    ("TTTT", "worm", "test"),
    ("GGG", "human", "test"),
]


def delimited(separator, end="\n"):
    lines = [("sequence", "label", "split"), *ROWS]
    return "".join(separator.join(line) + end for line in lines)


CSV = delimited(",")
FASTA = "".join(
    f">s{row} label={label} split={split}\n{letters}\n"
    for row, (letters, label, split) in enumerate(ROWS)
)


def letters_of(path):
    splits = file(data_seed=0, path=path)
    labels = [splits.train.class_names[label] for label in splits.train.labels]
    return to_letters(splits.train.codes), labels, to_letters(splits.test.codes)


EXPECTED = (["ACGTACG", "ACGT"], ["worm", "human"], ["TTTT", "GGG"])

READ = {
    "FASTA named as text": ("t.txt", FASTA.encode()),
    "FASTA named as a table": ("t.csv", FASTA.encode()),
    "a table named as FASTA": ("t.fa", CSV.encode()),
    "a table named as Parquet": ("t.parquet", CSV.encode()),
    "a table without a suffix": ("t", CSV.encode()),
    "gzip without its suffix": ("t.fa", gzip.compress(FASTA.encode())),
    "no gzip with its suffix": ("t.csv.gz", CSV.encode()),
    "bzip2": ("t.fa.bz2", bz2.compress(FASTA.encode())),
    "bzip2 without its suffix": ("t.csv", bz2.compress(CSV.encode())),
    "xz": ("t.tsv.xz", lzma.compress(CSV.encode())),
    "UTF-16": ("t.fa", FASTA.encode("utf-16")),
    "UTF-16 as Excel's text": ("t.txt", delimited("\t").encode("utf-16")),
    "UTF-16 without a mark": ("t.csv", CSV.encode("utf-16-le")),
    "UTF-16, the other way about": ("t.csv", CSV.encode("utf-16-be")),
    "UTF-32": ("t.csv", CSV.encode("utf-32")),
    "a byte order mark": ("t.fa", FASTA.encode("utf-8-sig")),
    "a mark inside of gzip": ("t.csv.gz", gzip.compress(CSV.encode("utf-8-sig"))),
    "Windows' line ends": ("t.csv", delimited(",", "\r\n").encode()),
    "old line ends of the Mac": ("t.csv", delimited(",", "\r").encode()),
    "FASTA of an old Mac": ("t.fa", FASTA.replace("\n", "\r").encode()),
    "blank lines and a comment before FASTA": ("t.fa", b"\n\n;made by hand\n" + FASTA.encode()),
    "tabs": ("t.csv", delimited("\t").encode()),
    "commas in .tsv": ("t.tsv", CSV.encode()),
    "semicolons": ("t.csv", delimited(";").encode()),
    "bars": ("t.csv", delimited("|").encode()),
    "blanks": ("t.txt", delimited(" ").encode()),
    "commas and blanks": ("t.csv", delimited(", ").encode()),
    "the separator before the header": ("t.csv", b"sep=;\n" + delimited(";").encode()),
    "blank lines first": ("t.csv", b"\n\n" + CSV.encode()),
    "a comma behind every row": ("t.csv", CSV.replace("train\n", "train,\n").encode()),
    "a comma behind every line": ("t.csv", CSV.replace("\n", ",\n").encode()),
    "quotes": ("t.csv", delimited('","', '"\n"').removesuffix('"').join(['"', ""]).encode()),
    "comments before the header": ("t.csv", b"# by hand\n## 2026\n#\n" + CSV.encode()),
    "blanks about fields": ("t.csv", delimited(" , ").encode()),
    "rows of commas at the end": ("t.csv", CSV.encode() + b",,\n,,\n"),
}


@pytest.mark.parametrize("case", READ)
def test_what_a_file_is_its_bytes_say(tmp_path, case):
    name, data = READ[case]
    (tmp_path / name).write_bytes(data)
    assert letters_of(tmp_path / name) == EXPECTED


def test_parquet_needs_no_suffix(tmp_path):
    table = pd.DataFrame(ROWS, columns=["sequence", "label", "split"])
    table.to_parquet(tmp_path / "t.csv", engine="pyarrow")
    assert letters_of(tmp_path / "t.csv") == EXPECTED


@pytest.mark.parametrize("name", ["t.txt", "t.csv", "t"])
def test_the_command_line_takes_any_name(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_text(FASTA)
    (tmp_path / "plain.fa").write_text(FASTA)
    assert fingerprint(splits_named(f"./{name}")[0]) == fingerprint(splits_named("plain.fa")[0])


def workbook(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")


NAMED = {
    "FASTQ": (b"@read1\nACGT\n+\nIIII\n", r"FASTQ; write it as FASTA"),
    "SAM": (b"@HD\tVN:1.6\n@SQ\tSN:chr1\tLN:9\n", r"SAM; .*samtools fasta"),
    "GenBank": (b"LOCUS       X56734   1859 bp\n", "GenBank; write it as FASTA"),
    "EMBL": (b"ID   X56734; SV 1; linear\nXX\n", "EMBL; write it as FASTA"),
    "GFF": (b"##gff-version 3\nchr1\t.\tgene\t1\t9\n", "GFF; write the intervals as BED"),
    "VCF": (b"##fileformat=VCFv4.2\n", "VCF; variants are no sequences"),
    "an alignment": (b"CLUSTAL W (1.83)\n\na ACGT\n", "an alignment of CLUSTAL"),
    "a page": (b"<!DOCTYPE html>\n<html>404</html>", "HTML or XML; perhaps the download failed"),
    "JSON": (b'[{"sequence": "ACGT"}]', "JSON; write it as CSV or Parquet"),
    "a pointer": (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS; git lfs pull"),
    "RTF": (rb"{\rtf1\ansi ACGT}", "RTF; save it as plain text"),
    "an array": (b"\x93NUMPY\x01\x00v\x00{'descr'", "an array of NumPy"),
    "UTF-16 that is cut off": (CSV.encode("utf-16")[:-1], "text that is no utf-16"),
    "a tar archive": (b"a.fa".ljust(257, b"\0") + b"ustar\x0000", "a tar archive; unpack it"),
    "motifs": (b"MEME version 4\n", "motifs in MEME format, not sequences"),
    "zstandard": (b"\x28\xb5\x2f\xfd\x04\x00\x01", "zstandard; unpack it"),
    "an old workbook": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Excel workbook; save .* as CSV"),
    "HDF5": (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
    "BAM": (gzip.compress(b"BAM\x01\x00\x00"), "BAM; write the sequences as FASTA"),
    "gzip in gzip": (gzip.compress(gzip.compress(CSV.encode())), "unpack it once"),
    "a binary file": (bytes(range(256)), "a binary file, not text"),
    "Latin-1": (
        CSV.replace("worm", "ver\xe9").encode("latin-1"),
        r"a byte in line 2 that is no UTF-8 \(0xe9\); save it as UTF-8",
    ),
    "an empty file": (b"", "an empty file"),
    "an open quote": (b'sequence,label\nACGT,"a\nTTT,b\n', r"unexpected end of data \(line 3\)"),
    "a field too many": (
        CSV.replace("TTTT,worm,test", "TTTT,worm,test,x").encode(),
        "4 fields in row 2, 3 in the header",
    ),
}


@pytest.mark.parametrize("suffix", [".csv", ".fa"])
@pytest.mark.parametrize("case", NAMED)
def test_what_is_not_read_is_named(tmp_path, case, suffix):
    data, message = NAMED[case]
    path = tmp_path / f"t{suffix}"
    path.write_bytes(data)
    with pytest.raises(UsageError, match=message) as caught:
        file(data_seed=0, path=path)
    assert str(caught.value).startswith(
        f"{path}: expected a CSV, TSV, Parquet or FASTA file, got: "
    )
    assert "\n" not in str(caught.value)


def test_a_workbook_is_named(tmp_path):
    workbook(tmp_path / "t.xlsx")
    with pytest.raises(
        UsageError, match="an Excel workbook or another zip archive; save the sheet"
    ):
        file(data_seed=0, path=tmp_path / "t.xlsx")


def test_a_pipe_a_socket_and_a_device_are_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(UsageError, match="got: a pipe, not a file"):
        file(data_seed=0, path=tmp_path / "pipe.csv")
    with pytest.raises(UsageError, match="got: a pipe, not a file"):
        splits_named(str(tmp_path / "pipe.csv"))
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "s.fa"))
        with pytest.raises(UsageError, match="got: a socket, not a file"):
            file(data_seed=0, path=tmp_path / "s.fa")
    with pytest.raises(UsageError, match=r"/dev/zero: .* got: a device, not a file"):
        splits_named("/dev/zero")


TWICE = {
    "a column": ("t.csv", CSV.replace("split", "label"), "two columns of one name, 'label'"),
    "but for case": ("t.csv", CSV.replace("split", "LABEL"), "two columns of one name, 'label'"),
    "a key but for case": (
        "t.fa",
        FASTA.replace("split=", "Label="),
        "'label' twice in the header",
    ),
    "but for blanks": ("t.csv", CSV.replace("split", " label "), "two columns of one name"),
    "a key": ("t.fa", FASTA.replace("label=human", "label=a label=b"), "'label' twice in .* row 1"),
    "the same key": ("t.fa", FASTA.replace("split=test", "split=test split=test"), "'split' twice"),
    "the name": ("t.fa", FASTA.replace("split=", "name="), "'name' twice in the header of row 0"),
}


@pytest.mark.parametrize("case", TWICE)
def test_what_is_given_twice_is_refused(tmp_path, case):
    name, text, message = TWICE[case]
    (tmp_path / name).write_text(text)
    with pytest.raises(UsageError, match=message):
        file(data_seed=0, path=tmp_path / name)


HEADERS = {
    "another case": (
        CSV.replace("label", "Label"),
        "'Label', 'split'; upper and lower case differ",
    ),
    "none": ("ACGTACGTACGT,0\nACGTACGTACGA,1\n", "'0'; the first row is no header"),
    "names of rows": (
        "sequence label\n1 ACGT 0\n2 ACGG 1\n",
        r"3 fields in row 0, 2 in the header; R writes names of rows so, unless row\.names = FALSE",
    ),
}


@pytest.mark.parametrize("case", HEADERS)
def test_a_header_that_is_none_is_named_with_the_mend(tmp_path, case):
    text, message = HEADERS[case]
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(UsageError, match=message):
        file(data_seed=0, path=tmp_path / "t.csv")


def test_a_million_columns_are_refused(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(",".join(f"c{column}" for column in range(1_000_000)) + "\n")
    with pytest.raises(UsageError, match="got: 1,000,000 columns; expected one row per sequence"):
        file(data_seed=0, path=path)
    path.write_text(">a " + " ".join(f"k{column}=1" for column in range(20_000)) + "\nACGT\n")
    with pytest.raises(UsageError, match="got: 20,001 columns; expected one row per sequence"):
        file(data_seed=0, path=path)
    path.write_text("\t".join(["chr1", "1", "9", *map(str, range(19_997))]) + "\n")
    with pytest.raises(UsageError, match="got: 20,000 columns; expected one row per sequence"):
        read_bed(path)
    columns = {f"c{column}": [1] for column in range(10_001)}
    pd.DataFrame(columns).to_parquet(path, engine="pyarrow")
    with pytest.raises(UsageError, match="got: 10,001 columns; expected one row per sequence"):
        file(data_seed=0, path=path)


def test_a_field_of_megabytes_is_cut_in_messages(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(f"{'x' * 5_000_000},label\nACGT,0\n")
    with pytest.raises(UsageError, match="expected the column 'sequence'") as caught:
        file(data_seed=0, path=path)
    assert len(str(caught.value)) < 3000
    path.write_text(CSV.replace("worm", "w" * 5_000_000))
    with pytest.raises(UsageError, match=r"row 0: .* \(5,000,002 characters\)") as caught:
        file(data_seed=0, path=path)
    assert len(str(caught.value)) < 3000


def test_a_lone_word_is_the_label_beside_keys(tmp_path):
    rows = [("a", 0, "train"), ("b", 1, "train"), ("c", 0, "test"), ("d", 1, "test")]
    text = "".join(f">{name} {label} split={split}\nACGT\n" for name, label, split in rows)
    (tmp_path / "t.fa").write_text(text)
    assert file(data_seed=0, path=tmp_path / "t.fa").train.class_names == ("0", "1")
