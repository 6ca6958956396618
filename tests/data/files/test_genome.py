"""Intervals of a genome; the outside oracle is slicing a string."""

import bz2
import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from xaibench.data.files import intervals as genome_module
from xaibench.data.files.intervals import intervals
from xaibench.data.splitting import fingerprint
from xaibench.dna.encoding import reverse_complement, to_letters
from xaibench.errors import UsageError

GENOME = {"chr1": "ACGTTGCANNacgtgRATTC", "chr2": "TTTTGGGGCCCCAAAA", "chrX": "GATTACAGATTACA"}
BED = """track name=peaks
#chrom start end name score strand
chr1\t0\t7\topen\t0\t+
chr1\t3\t12\tshut\t0\t-
chr1\t11\t20\topen\t0\t.
chr2\t2\t9\tshut\t0\t-
chr2\t0\t16\topen\t0\t+

chrX\t4\t14\tshut\t0\t-
chrX\t4\t14\topen\t0\t+
"""
ROWS = [line.split("\t") for line in BED.splitlines() if line.startswith("chr")]
COLUMNS = ["chrom", "start", "end", "label", "score", "strand"]


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XAIBENCH_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def write(tmp_path):
    def written(name, text):
        path = tmp_path / name
        data = text.encode()
        path.write_bytes(gzip.compress(data) if path.suffix in (".gz", ".bgz") else data)
        return path

    return written


def fasta(chromosomes, width=6):
    lines = []
    for name, letters in chromosomes.items():
        lines += [f">{name}", *(letters[i : i + width] for i in range(0, len(letters), width))]
    return "\n".join(lines) + "\n"


@pytest.fixture
def genome(write):
    return write("genome.fa", fasta(GENOME))


@pytest.fixture
def bed(write):
    return write("peaks.bed", BED)


def all_rows(splits):
    """The letters of every sequence by its name."""
    parts = [part for part in (splits.train, splits.validation, splits.test) if part is not None]
    return {
        name: letters
        for part in parts
        for name, letters in zip(part.names, to_letters(part.codes), strict=True)
    }


def sliced(chromosome, start, end, strand):
    """The slow twin: a slice, turned letter by letter, without the padding."""
    letters = GENOME[chromosome][int(start) : int(end)].upper().replace("R", "N")
    if strand == "-":
        letters = "".join("TGCAN"["ACGTN".index(letter)] for letter in reversed(letters))
    return letters.rstrip("N")


def test_intervals_are_slices_of_the_genome_on_either_strand(bed, genome):
    splits = intervals(data_seed=0, path=bed, genome=genome, test_chromosomes=["chr2"])
    expected = {
        f"{chromosome}:{start}-{end}({'-' if strand == '-' else '+'})": sliced(
            chromosome, start, end, strand
        )
        for chromosome, start, end, _, _, strand in ROWS
    }
    assert all_rows(splits) == expected
    assert splits.train.class_names == ("open", "shut")
    assert splits.train.labels.tolist() == [0, 1, 0, 1, 0]
    assert splits.test.labels.tolist() == [1, 0]
    assert splits.validation is None
    assert splits.note == "7 intervals of peaks.bed in genome.fa, test on chr2."
    assert splits.facts == {"letters of ambiguity read as N": 1}


def test_groups_and_intervals_are_those_of_the_file(bed, genome):
    train = intervals(data_seed=0, path=bed, genome=genome, test_chromosomes=["chr2"]).train
    assert train.groups == train.intervals.chromosomes == ("chr1", "chr1", "chr1", "chrX", "chrX")
    assert train.intervals.starts.tolist() == [0, 3, 11, 4, 4]
    assert train.intervals.ends.tolist() == [7, 12, 20, 14, 14]
    assert train.intervals.strands.tolist() == [1, -1, 1, -1, 1]


def test_the_other_strand_is_the_reverse_complement(write, genome):
    places = [("chr1", start, start + 5) for start in range(10, 15)] + [("chr2", 1, 6)] * 2
    rows = [
        f"{chromosome}\t{start}\t{end}\t{row % 2}\t0\t{{strand}}\n"
        for row, (chromosome, start, end) in enumerate(places)
    ]
    forward, reverse = (
        intervals(
            data_seed=0,
            path=write(f"{name}.bed", "".join(rows).format(strand=strand)),
            genome=genome,
            test_chromosomes=["chr2"],
        ).train.codes
        for name, strand in (("forward", "+"), ("reverse", "-"))
    )
    known = (forward[:, -1] < 4) & (reverse[:, -1] < 4)  # a last N is padding
    assert known.sum() == 5 - 1
    np.testing.assert_array_equal(reverse[known], reverse_complement(forward)[known])


def test_unknown_bases_stay_where_they_are_on_the_other_strand(write, genome):
    rows = "chr1\t5\t10\t0\t0\t-\nchr1\t5\t10\t1\t0\t+\nchr2\t0\t9\t0\t0\t+\nchr2\t0\t9\t1\t0\t-\n"
    splits = intervals(
        data_seed=0, path=write("n.bed", rows), genome=genome, test_chromosomes=["chr2"]
    )
    assert to_letters(splits.train.codes) == ["NNTGC", "GCA"]


def bgzipped(path, text):
    from Bio import bgzf

    with bgzf.BgzfWriter(path) as stream:
        stream.write(text.encode())
    return path


def test_a_bgzipped_genome_gives_the_same(bed, genome, tmp_path):
    options = {"data_seed": 0, "path": bed, "test_chromosomes": ["chr2"]}
    packed = bgzipped(tmp_path / "genome.fa.bgz", fasta(GENOME))
    plain, compressed = (all_rows(intervals(genome=path, **options)) for path in (genome, packed))
    assert compressed == plain


@pytest.mark.parametrize("name", ["long.fa", "long.fa.gz"])
@pytest.mark.parametrize("block", [100, 10_000, 2**22])
def test_long_chromosomes_are_read_across_blocks(monkeypatch, tmp_path, write, name, block):
    monkeypatch.setattr("xaibench.data.files.fasta._BLOCK", block)
    generator = np.random.default_rng(0)
    sizes = {"a": 200_003, "b": 65_280, "c": 7}  # 65,280 is what bgzip puts into a block
    letters = {key: "".join(generator.choice([*"ACGTacgtN"], size)) for key, size in sizes.items()}
    rows = [(key, int(generator.integers(size - 5))) for key, size in sizes.items()] * 2
    rows += [("a", start) for start in range(0, 200_003 - 5, 1999)] + [
        ("a", 199_998),
        ("b", 65_275),
    ]
    text = "".join(f"{key}\t{start}\t{start + 5}\t{i % 2}\n" for i, (key, start) in enumerate(rows))
    genome = tmp_path / name
    written = fasta(letters, width=61)
    bgzipped(genome, written) if name.endswith("gz") else genome.write_text(written)
    splits = intervals(data_seed=0, path=write("t.bed", text), genome=genome)
    found = {name.split("#")[0]: row for name, row in all_rows(splits).items()}
    assert found == {
        f"{key}:{start}-{start + 5}(+)": letters[key][start : start + 5].upper().rstrip("N")
        for key, start in rows
    }


@pytest.mark.parametrize(
    "name", ["t.csv", "t.csv.gz", "t.tsv", "t.tsv.bgz", "t.parquet", "p.bed.gz"]
)
def test_tables_and_bed_files_say_the_same(bed, genome, tmp_path, write, name):
    options = {"data_seed": 0, "genome": genome, "test_chromosomes": ["chr2"]}
    table = pd.DataFrame(ROWS, columns=COLUMNS)
    if name.endswith("bed.gz"):
        path = write(name, BED)
    elif name.endswith("parquet"):
        path = tmp_path / name
        table.astype({"start": np.int32, "end": np.float64}).to_parquet(path)
    else:
        path = write(name, table.to_csv(sep="," if "csv" in name else "\t", index=False))
    assert all_rows(intervals(path=path, **options)) == all_rows(intervals(path=bed, **options))


def test_a_region_holds_the_whole_interval(write, genome):
    rows = [f"{c}:{s}-{e}({strand}),{i % 2}" for i, (c, s, e, _, _, strand) in enumerate(ROWS)]
    path = write("t.csv", "\n".join(["region,label", *rows]))
    splits = intervals(data_seed=0, path=path, genome=genome, test_chromosomes=["chr1"])
    assert splits.train.intervals.strands.tolist() == [-1, 1, -1, 1]
    assert to_letters(splits.train.codes)[0] == sliced("chr2", 2, 9, "-")


def test_regions_of_samtools_count_from_one(write, genome):
    half_open, closed = (
        write(f"{base}.csv", "region,label\n" + "".join(
            f"{c}:{int(s) + base}-{e},{i % 2}\n" for i, (c, s, e, *_) in enumerate(ROWS)
        ))
        for base in (0, 1)
    )  # fmt: skip
    options = {"data_seed": 0, "genome": genome, "test_chromosomes": ["chr2"]}
    expected = intervals(path=half_open, **options)
    splits = intervals(path=closed, one_based=True, **options)
    assert fingerprint(splits) == fingerprint(expected)
    assert expected.facts["regions"] == "0-based, half-open (option one_based: false)"
    assert splits.facts["regions"] == "1-based, with their ends (option one_based: true)"


def test_a_region_that_cannot_be_read_is_named(write, genome):
    rows = "chr1:0-9,a\nchr1:2-9,b\nchr2,a\n"
    with pytest.raises(UsageError, match=r"row 2: expected a place, as chr1:200-300, got 'chr2'"):
        intervals(data_seed=0, path=write("t.csv", f"region,label\n{rows}"), genome=genome)


def test_a_header_may_begin_with_a_hash(write, genome):
    text = "#" + pd.DataFrame(ROWS, columns=COLUMNS).to_csv(sep="\t", index=False)
    splits = intervals(
        data_seed=0, path=write("t.tsv", text), genome=genome, test_chromosomes=["chr2"]
    )
    assert len(splits.train) == 5


def test_names_are_those_of_the_file_where_they_tell_rows_apart(write, genome):
    table = pd.DataFrame(ROWS, columns=COLUMNS)
    table["name"] = [f"peak {row}" for row in range(len(table))]
    options = {"data_seed": 0, "genome": genome, "test_chromosomes": ["chr2"]}
    path = write("t.csv", table.to_csv(index=False))
    assert intervals(path=path, **options).test.names == ("peak 3", "peak 4")
    table.loc[3, "name"] = "peak 4"
    path = write("u.csv", table.to_csv(index=False))
    assert intervals(path=path, **options).test.names == ("chr2:2-9(-)", "chr2:0-16(+)")


def test_the_names_of_peaks_in_a_bed_file_are_those_of_the_sequences(write, genome):
    rows = [f"chr1\t{row}\t{row + 7}\tpeak {row}\n" for row in range(3)]
    splits = intervals(data_seed=0, path=write("peaks.bed", "".join(rows)), genome=genome)
    assert splits.test.names == ("peak 0", "peak 1", "peak 2")
    rows[1] = rows[1].replace("peak 1", ".")
    splits = intervals(data_seed=0, path=write("others.bed", "".join(rows)), genome=genome)
    assert splits.test.names == ("chr1:0-7(+)", "chr1:1-8(+)", "chr1:2-9(+)")


def test_an_interval_may_stand_twice_and_has_two_names(write, genome):
    rows = "chr1\t0\t9\topen\nchr1\t0\t9\tshut\nchr2\t0\t9\topen\nchr2\t1\t9\tshut\n"
    splits = intervals(
        data_seed=0, path=write("t.bed", rows), genome=genome, test_chromosomes=["chr2"]
    )
    assert splits.train.names == ("chr1:0-9(+)", "chr1:0-9(+)#2")


def test_a_bed_column_may_hold_the_label_and_the_split(write, genome):
    rows = [
        [*row[:3], f"peak {i}", "0", row[5], str(i % 2), ("train", "test")[i > 3]]
        for i, row in enumerate(ROWS)
    ]
    path = write("t.bed", "\n".join(map("\t".join, rows)))
    splits = intervals(data_seed=0, path=path, genome=genome, label="7", split="8")
    assert splits.train.names == ("peak 0", "peak 1", "peak 2", "peak 3")
    assert splits.test.labels.tolist() == [0, 1, 0]
    assert splits.note.endswith("split by the file.")


@pytest.mark.parametrize(
    ("row", "length", "start", "end"),
    [
        ("chr1\t4\t10", 4, 5, 9),
        ("chr1\t4\t10", 10, 2, 12),
        ("chr1\t4\t10", 3, 5, 8),
        ("chr1\t4\t9", 4, 4, 8),
        ("chr1\t4\t9", 5, 4, 9),
    ],
)
def test_intervals_are_cut_or_grown_about_their_centre(write, genome, row, length, start, end):
    rows = f"{row}\topen\n{row}\tshut\nchr2\t6\t8\topen\nchr2\t6\t8\tshut\n"
    splits = intervals(
        data_seed=0,
        path=write("t.bed", rows),
        genome=genome,
        test_chromosomes=["chr2"],
        length=length,
    )
    where = splits.train.intervals
    assert (where.starts[0], where.ends[0]) == (start, end)
    assert splits.test.codes.shape[1] == length
    assert f"each cut or grown to {length} nt" in splits.note


MANY = "".join(
    f"chr{i}\t{start}\t{start + 4}\t{('open', 'shut')[start % 2]}\n"
    for i in range(1, 11)
    for start in range(6)
)
TEN = {f"chr{i}": "ACGTTGCAAC" for i in range(1, 11)}


@pytest.fixture
def many(write):
    paths = {"path": write("many.bed", MANY), "genome": write("ten.fa", fasta(TEN))}
    return lambda **options: intervals(data_seed=0, **paths, **options)


def test_without_test_chromosomes_the_test_is_cut_by_chromosome(many):
    splits = many(test_fraction=0.3)
    assert len(set(splits.test.groups)) == 3
    assert set(splits.test.groups).isdisjoint(splits.train.groups)
    assert splits.note.endswith("test cut from it by chromosome.")


def test_of_one_chromosome_the_test_is_cut_within_each_class(write, genome):
    rows = "".join(f"chr2\t{start}\t{start + 3}\t{start % 2}\n" for start in range(12))
    splits = intervals(data_seed=0, path=write("t.bed", rows), genome=genome, test_fraction=1 / 3)
    assert np.bincount(splits.test.labels).tolist() == [2, 2]
    assert splits.note.endswith("test cut from it.")


def test_chromosomes_may_be_kept_for_validation(many):
    splits = many(test_chromosomes=["chr1", "chr8"], validation_chromosomes=["chr9"])
    assert set(splits.test.groups) == {"chr1", "chr8"}
    assert set(splits.validation.groups) == {"chr9"}
    assert len(splits.train) == 7 * 6
    splits = many(validation_chromosomes=["chr9"])
    assert set(splits.validation.groups) == {"chr9"}
    assert {"chr9"}.isdisjoint(splits.train.groups + splits.test.groups)
    assert len(splits.train) + len(splits.test) == 9 * 6


def test_chromosomes_that_are_named_go_before_a_split_column(write, genome):
    kinds = ["test", "train", "train", "test", "train", "dev", "train"]
    table = pd.DataFrame(ROWS, columns=COLUMNS).assign(split=kinds)

    options = {"data_seed": 0, "path": write("t.csv", table.to_csv(index=False)), "genome": genome}
    assert set(intervals(**options, test_chromosomes=["chr2"]).test.groups) == {"chr2"}
    assert intervals(**options).test.groups == ("chr1", "chr2")


FORMS = {
    "a byte order mark": ("g.fa", lambda text: text.encode("utf-8-sig")),
    "gzip": ("g.fa.gz", lambda text: gzip.compress(text.encode())),
    "gzip without its suffix": ("g.fa", lambda text: gzip.compress(text.encode())),
    "bzip2": ("g.fa.bz2", lambda text: bz2.compress(text.encode())),
    "Windows' line ends": ("g.fa", lambda text: text.replace("\n", "\r\n").encode()),
    "old line ends of the Mac": ("g.fa", lambda text: text.replace("\n", "\r").encode()),
    "UTF-16": ("g.txt", lambda text: text.encode("utf-16")),
    "blank lines": ("g.fa", lambda text: ("\n \n" + text.replace(">", "\n>")).encode()),
    "blanks behind lines": ("g.fa", lambda text: text.replace("\n", "  \n").encode()),
    "a comment": ("g.fa", lambda text: (";made by hand\n" + text).encode()),
    "words behind names": ("g.fa", lambda text: text.replace("chr1", "chr1 of Homo").encode()),
    "lines of any length": ("g.fa", lambda text: text.replace("GCAN", "GC\nAN").encode()),
    "no last line end": ("g.fa", lambda text: text.rstrip().encode()),
}


@pytest.mark.parametrize("case", FORMS)
def test_a_genome_is_read_as_forgivingly_as_fasta(bed, genome, tmp_path, case):
    name, form = FORMS[case]
    options = {"data_seed": 0, "path": bed, "test_chromosomes": ["chr2"]}
    expected = all_rows(intervals(genome=genome, **options))
    (tmp_path / name).write_bytes(form(fasta(GENOME)))
    assert all_rows(intervals(genome=tmp_path / name, **options)) == expected


def test_an_index_beside_the_genome_is_neither_read_nor_made(bed, genome):
    index = Path(f"{genome}.fai")
    index.write_text("chr1\t20\t6\t6\t6\nchr2\t16\t36\t6\t7\n")
    before = {path.name for path in genome.parent.iterdir()}
    splits = intervals(data_seed=0, path=bed, genome=genome, test_chromosomes=["chr2"])
    assert len(splits.train) == 5
    assert {path.name for path in genome.parent.iterdir()} == before | {"cache"}


@pytest.fixture
def opened(monkeypatch):
    """The genomes that were opened."""
    names = []
    real = genome_module._chromosomes

    def counted(path):
        names.append(path.name)
        return real(path)

    monkeypatch.setattr(genome_module, "_chromosomes", counted)
    return names


def test_a_second_load_opens_no_genome_and_gives_the_same(bed, genome, opened):
    options = {"data_seed": 0, "path": bed, "genome": genome, "test_chromosomes": ["chr2"]}
    first, second = intervals(**options), intervals(**options)
    assert opened == ["genome.fa"]
    assert fingerprint(second) == fingerprint(first)
    assert (second.note, second.facts) == (first.note, first.facts)


def test_changed_files_and_other_options_are_read_anew(bed, genome, opened, write):
    options = {"data_seed": 0, "path": bed, "genome": genome, "test_chromosomes": ["chr2"]}
    short = {**options, "length": 4}
    intervals(**options)
    assert intervals(**short).test.codes.shape == (2, 4)
    write("peaks.bed", BED + "chr2\t0\t5\topen\t0\t+\n")
    assert len(intervals(**options).test) == 3
    write("genome.fa", fasta(GENOME | {"chr2": "C" * 22}))
    assert to_letters(intervals(**options).test.codes)[2] == "C" * 5
    assert len(opened) == 4


def test_plans_with_other_options_keep_their_packed_files(bed, genome, opened):
    options = {"data_seed": 0, "path": bed, "genome": genome, "test_chromosomes": ["chr2"]}
    for length in (None, 4, None, 4):
        intervals(**options, length=length)
    assert len(opened) == 2


BAD_ROWS = {
    "an end outside": ("chr2\t9\t17\topen", "row 7: .* inside chr2 .* has 16 letters, got 9-17"),
    "a chromosome without chr": ("2\t0\t9\topen", "row 7: .* got '2'; there it is called 'chr2'"),
    "no chromosome": ("chr9\t0\t9\topen", "row 7: .* 'chr9'; there are 'chr1', 'chr2', 'chrX'$"),
    "start at end": ("chr1\t9\t9\topen", "row 7: expected 0 <= start < end, got 9 and 9"),
    "a negative start": ("chr1\t-1\t9\topen", "row 7: expected 0 <= start < end, got -1 and 9"),
    "no number": ("chr1\tx\t9\topen", "'start': expected whole numbers, got 'x' in row 7"),
    "half a number": ("chr1\t0\t9.5\topen", "'end': expected whole numbers, got '9.5' in row 7"),
    "no strand": ("chr1\t0\t9\topen\t0\t*", "'strand': expected .* got '\\*' in row 7"),
    "no label": ("chr1\t0\t9\t", "row 7: column 'name' is empty"),
    "fewer columns": ("chr1\t0\t9", "got: 6 columns in row 0 and 3 in row 7"),
    "no letter": ("chrX\t0\t15\topen", "row 7: expected an interval inside chrX .* 14 letters"),
}


@pytest.mark.parametrize("case", BAD_ROWS)
def test_a_bad_row_is_one_line(write, genome, tmp_path, case):
    row, message = BAD_ROWS[case]
    fields = row.split("\t")
    filled = fields if len(fields) == 3 else [*fields, "0", "+"][: max(6, len(fields))][:6]
    path = write("bad.bed", BED + "\t".join(filled) + "\n")
    with pytest.raises(UsageError, match=message) as caught:
        intervals(data_seed=0, path=path, genome=genome)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "cache").exists()


BAD_FILES = {
    "nothing": ("t.bed", "", "expected a BED file, got: an empty file"),
    "comments": ("t.bed", "# nothing\n", "got a file without rows"),
    "two columns": ("t.bed", "chr1\t9\n", "expected a BED file, got: 2 columns, not chrom"),
    "no header": ("t.csv", "chr1,0,9,open\n", "got a file without rows"),
    "other columns": (
        "t.csv",
        "a,label\n1,2\n1,3\n1,2\n",
        "expected the columns start, end and ch",
    ),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_bad_file_is_one_line(write, genome, case):
    name, text, message = BAD_FILES[case]
    with pytest.raises(UsageError, match=message) as caught:
        intervals(data_seed=0, path=write(name, text), genome=genome)
    assert "\n" not in str(caught.value)


BAD_OPTIONS = {
    "no such test": ({"test_chromosomes": ["2"]}, "got '2'; there it is called 'chr2'"),
    "no such validation": ({"validation_chromosomes": ["chrY"]}, "got 'chrY'; there are 'chr1', "),
    "both": ({"test_chromosomes": ["chr1"], "split": "8"}, "either .* got '8' and chr1"),
    "twice": (
        {"test_chromosomes": ["chr1"], "validation_chromosomes": ["chr1"]},
        "expected a chromosome in one split, got 'chr1'",
    ),
    "no such column": ({"label": "7"}, "expected the column '7', got 'chrom'"),
    "too long": ({"length": 15}, "row 0: expected an interval inside chr1 .* got -4-11"),
}


@pytest.mark.parametrize("case", BAD_OPTIONS)
def test_bad_options_are_one_line(bed, genome, case):
    options, message = BAD_OPTIONS[case]
    with pytest.raises(UsageError, match=message) as caught:
        intervals(data_seed=0, path=bed, genome=genome, **options)
    assert "\n" not in str(caught.value)


def test_a_class_that_is_only_tested_is_refused(write, genome):
    rows = "chr1\t0\t9\ta\nchr1\t0\t8\ta\nchr2\t0\t9\tb\n"
    with pytest.raises(UsageError, match=r"'name': expected every class in train, .* of 'b'"):
        intervals(data_seed=0, path=write("t.bed", rows), genome=genome, test_chromosomes=["chr2"])


def test_missing_files_are_one_line(bed, genome, tmp_path):
    with pytest.raises(UsageError, match=r"none\.bed: .* got: No such file or directory"):
        intervals(data_seed=0, path=tmp_path / "none.bed", genome=genome)
    with pytest.raises(UsageError, match=r"none\.fa: .* got: No such file or directory"):
        intervals(data_seed=0, path=bed, genome=tmp_path / "none.fa")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (">chr1\nACGT\n>chr1\nACGT\n", "two records of one name, 'chr1'"),
        ("ACGT\n", "no record that begins with '>'"),
        ("", "an empty file"),
        ("LOCUS       chr1 9 bp\n", "GenBank; write it as FASTA"),
        ("@r\nACGT\n+\nIIII\n", "FASTQ; write it as FASTA"),
    ],
)
def test_a_malformed_genome_is_one_line(bed, write, text, message):
    with pytest.raises(UsageError, match=f"genome in FASTA, got: .*{message}") as caught:
        intervals(data_seed=0, path=bed, genome=write("bad.fa", text))
    assert "\n" not in str(caught.value)


def test_a_letter_that_is_none_is_named_by_its_interval(bed, write):
    genome = write("genome.fa", fasta(GENOME | {"chrX": "GATTACAGAXTACA"}))
    with pytest.raises(UsageError, match=r"genome\.fa: chrX:4-14\(-\): .* got 'X' at position 4"):
        intervals(data_seed=0, path=bed, genome=genome)
