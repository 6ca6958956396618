"""Malformed and malicious input in one table: what is made, the command, and what its line says.

A row is for a kind of damage at a door of the command line; the readers' own tests go through the
variants of a kind. Nothing here is code that runs: were a row let in, it would leave ``PWNED``.
"""

import bz2
import gzip
import io
import json
import lzma
import os
import pickle
import shutil
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from safetensors.torch import save as safetensors
from small_cells import counts_of_cells, write_h5ad, write_scgpt
from small_tokenizer import write_tokenizer

from xaibench.models.cnn import CNN

Make = Callable[[Path], object]
"""Writes into a folder, which is the working folder of the command."""


class Row(NamedTuple):
    """``line`` is a piece of the one line that the command says."""

    make: Make
    words: str
    line: str


class Pwns:
    """What a pickle says that runs code."""

    def __reduce__(self):
        return os.mkdir, ("PWNED",)


def file(name: str, content: str | bytes) -> Make:
    written = content if isinstance(content, bytes) else content.encode()
    return lambda place: (place / name).write_bytes(written)


def folder(name: str) -> Make:
    return lambda place: (place / name).mkdir()


def holes(name: str, size: int) -> Make:
    """A file that takes no place on the disk."""

    def make(place: Path) -> None:
        with (place / name).open("wb") as opened:
            opened.truncate(size)

    return make


def both(*makes: Make) -> Make:
    return lambda place: [make(place) for make in makes]


def nothing(_: Path) -> None:
    pass


# Plans

PLANTED = "dataset: {name: planted, train: 64, test: 20, length: 40}\n"
REST = "models: [cnn]\nattribution: [saliency]\nmetrics: [deletion]\n"
BASE = PLANTED + REST


def plan(text: str, line: str, words: str = "run plan.yaml -o out --jobs 1") -> Row:
    return Row(file("plan.yaml", text), words, line)


def base_with(old: str, new: str, line: str) -> Row:
    assert old in BASE
    return plan(BASE.replace(old, new), line)


def bomb(first: str, again: str) -> str:
    """Nine levels of aliases, each nine times in the next."""
    lines = [f"a0: &a0 {first}"]
    for level in range(1, 10):
        inner = ", ".join(again.format(f"*a{level - 1}", k) for k in range(9))
        lines.append(f"a{level}: &a{level} {first[0]}{inner}{first[-1]}")
    return "\n".join(lines)


def many(section: str, use: str, count: int) -> str:
    return f"{section}: {{{', '.join(f'{section[0]}{k}: {{use: {use}}}' for k in range(count))}}}\n"


PLANS = {
    "a tag that calls a function": plan(
        BASE + "x: !!python/object/apply:os.mkdir [PWNED]",
        "could not determine a constructor for the tag",
    ),
    "a tag that makes an object": plan(
        BASE + "x: !!python/object/new:os.mkdir [PWNED]",
        "could not determine a constructor for the tag",
    ),
    "a tag of a module": plan(
        BASE + "x: !!python/module:os", "could not determine a constructor for the tag"
    ),
    "a tag of its own": plan(
        "dataset: !include /etc/passwd\n" + REST,
        "could not determine a constructor for the tag '!include'",
    ),
    "bytes in YAML": plan(BASE + "x: !!binary aGVsbG8=", "plan: unknown key 'x'"),
    "a set in YAML": plan(
        BASE.replace("[saliency]", "!!set {saliency}"), "expected a list of names or a mapping"
    ),
    "aliases of lists": plan(
        BASE + bomb("[x, x]", "{0}"),
        "plan.yaml: expected at most 100,000 values, got 1,362,025,185",
    ),
    "aliases of mappings": plan(
        BASE + bomb("{x: 1}", "k{1}: {0}"),
        "plan.yaml: expected at most 100,000 values, got 1,852,354,230",
    ),
    "aliases of merged mappings": plan(
        BASE + bomb("{x: 1}", "<<: {0}, k{1}: 1"),
        "plan.yaml: expected at most 100,000 values, got 2,833,012,320",
    ),
    "a list within itself": plan(
        BASE + "b: &b [*b]", "plan.yaml: expected an end, got *b within itself"
    ),
    "an unknown alias": plan(BASE + "b: *b", "found undefined alias 'b'"),
    "brackets, ten thousand deep": plan(
        BASE + f"b: {'[' * 10_000}{']' * 10_000}", "plan.yaml: expected at most 50 levels, got more"
    ),
    "a million cells": plan(
        PLANTED
        + many("models", "cnn", 1000)
        + many("attribution", "saliency", 1000)
        + "metrics: [deletion]",
        "expected at most 100,000 tasks, got 3,009,000",
    ),
    "a million operators and methods": plan(
        PLANTED
        + "models: [cnn]\nmetrics: [deletion]\nseeds: [0]\n"
        + many("attribution", "saliency", 2000)
        + many("operators", "n", 1000),
        "expected at most 1,000,000 tasks x operators, got 2,003,000",
    ),
    "fifty thousand seeds": plan(
        f"{BASE}seeds: {[*range(50_000)]}", "expected at most 100,000 tasks, got 200,000"
    ),
    "a seed of 5,000 digits": plan(
        f"{BASE}data_seed: {'9' * 5000}", "Exceeds the limit (4300 digits)"
    ),
    "a trillion epochs": plan(
        BASE + "training: {epochs: 1000000000000}",
        "training.epochs: input should be less than or equal to 100000",
    ),
    "a data set larger than any memory": base_with(
        "train: 64, test: 20, length: 40",
        "train: 10000000, test: 10000000, length: 1000000",
        "letters in all, got 20,000,000,000,000",
    ),
    "a network larger than any memory": base_with(
        "[cnn]",
        "{transformer: {width: 1000000, layers: 1000}}",
        "models.transformer.width: input should be less than or equal to 10000",
    ),
    "a filter as long as the genome": base_with(
        "[cnn]",
        "{cnn: {filters: [4], kernels: [3000000001]}}",
        "models.cnn.kernels.0: input should be less than or equal to 10000",
    ),
    "a rate that is no number": plan(
        BASE + "training: {learning_rate: .nan}",
        "training.learning_rate: expected a finite number, got nan",
    ),
    "an infinite rate": plan(
        BASE + "training: {learning_rate: .inf}",
        "training.learning_rate: expected a finite number, got inf",
    ),
    "a negative count": plan(
        BASE + "sequences: -1", "sequences: input should be greater than or equal to 1, got -1"
    ),
    "a date for a name": base_with("planted", "2026-12-01", "no datasets named '2026-12-01'"),
    "a number for a key": plan(BASE + "1: 2", "plan: unknown key '1'"),
    "null for a key": plan(BASE + "null: 2", "plan: unknown key 'null'"),
    "a list for a key": plan(BASE + "[a, b]: 2", "is no YAML"),
    "a key twice": plan(BASE + "metrics: [auprc]", "{'metrics'} twice"),
    "a list for a plan": plan("- run\n- this\n", "plan.yaml: expected a mapping of keys, got list"),
    "a number for a plan": plan("42", "plan.yaml: expected a mapping of keys, got int"),
    "two plans in one": plan(f"{BASE}---\n{BASE}", "expected a single document in the stream"),
    "a plan of tabs": plan("dataset:\n\tname: planted\n", "is no YAML"),
    "a plan of null characters": Row(
        file("plan.yaml", b"a: \0"),
        "run plan.yaml -o out",
        "unacceptable character #x0000: special characters are not allowed",
    ),
    "a plan that is no text": Row(
        file("plan.yaml", bytes(range(256))),
        "run plan.yaml -o out",
        "plan.yaml: cannot be read: 'utf-8' codec",
    ),
    "a plan in UTF-16 cut off": Row(
        file("plan.yaml", BASE.encode("utf-16")[:-1]),
        "run plan.yaml -o out",
        "plan.yaml: cannot be read: 'utf-8' codec",
    ),
    "half a pair": base_with("64", r'"\ud800"', r"dataset.train: expected text, got '\ud800'"),
    "a null in a path": base_with(
        "planted", r'"file", path: "a\0b"', r"dataset.path: expected text, got 'a\x00b'"
    ),
    "a plan that extends itself": plan(
        "extends: plan.yaml\n" + BASE, "extends: expected an end, got plan.yaml -> plan.yaml"
    ),
    "a plan that extends a device": plan(
        "extends: /dev/zero\n" + BASE, "/dev/zero: is no file, expected a plan in YAML"
    ),
    "a plan that extends a password file": plan(
        "extends: /etc/passwd\n" + BASE, "/etc/passwd: expected a mapping of keys, got str"
    ),
    "a plan that extends an address": plan(
        "extends: https://example.org/p.yaml\n" + BASE,
        "no plan or preset 'https:/example.org/p.yaml'",
    ),
    "a label that leads out": plan(
        "datasets: {../../out: {name: planted, train: 64, test: 20, length: 40}}\n" + REST,
        "expected labels that can name folders, got '../../out'",
    ),
    "a label that is a path": base_with(
        "[cnn]", "{/tmp/x: {use: cnn}}", "expected a label without an absolute path"
    ),
    "a label that spreadsheets compute": base_with(
        "[cnn]",
        "{'=1+1': {use: cnn}}",
        "begins with no = + - @, which spreadsheets compute, got '=1+1'",
    ),
    "a label that moves the cursor": base_with(
        "[cnn]", r'{"\e[2J": {use: cnn}}', r"control characters and blanks around it, got '\x1b[2J'"
    ),
    "a label that reads backwards": base_with(
        "[cnn]",
        r'{"\u202egnp.exe": {use: cnn}}',
        r"control characters and blanks around it, got '\u202egnp.exe'",
    ),
    "a dotted path for a method": base_with(
        "[saliency]", "{s: {use: os.system}}", "no attribution named 'os.system'"
    ),
    "a module for a method": base_with(
        "[saliency]", "{s: {use: 'os:mkdir'}}", "'os:mkdir' is not reachable from a plan"
    ),
    "what is no method of captum": base_with(
        "[saliency]", "{s: {use: 'captum.attr:__import__'}}", "captum.attr:__import__ is no class"
    ),
    "a path of captum": base_with(
        "[saliency]", "{s: {use: 'captum.attr:../../os'}}", "captum.attr:../../os is no class"
    ),
    "a report that leads out": plan(BASE + "reports: [../../x]", "no reports named '../../x'"),
    "a set that leads out": base_with(
        "{name: planted, train: 64, test: 20, length: 40}",
        "{name: genomic_benchmarks, dataset: ../../etc}",
        "genomic_benchmarks: dataset: expected a name, got '../../etc'",
    ),
    "a release that leads out": base_with(
        "length: 40", "length: 40, release: ../../etc", "got '../../etc'; the nearest is"
    ),
    "a device that leads out": plan(
        BASE + "device: ../../dev/null", "torch has no '../../dev/null' on this machine"
    ),
    "a rule of brackets": base_with(
        "length: 40",
        f"length: 40, rule: '{'(' * 5000}'",
        "rule: expected at most 500 characters, got 5,000",
    ),
    "a rule that is code": base_with(
        "length: 40",
        'length: 40, rule: \'__import__("os").mkdir("PWNED")\'',
        "expected a name or an identifier of JASPAR2024, got '__import__(",
    ),
    "matrices that are a device": base_with(
        "length: 40",
        "length: 40, rule: XYZ, matrices: /dev/zero",
        "/dev/zero: expected a file, got: a device, not a file",
    ),
    "matrices of garbage": Row(
        both(
            file("plan.yaml", BASE.replace("length: 40", "length: 40, rule: X, matrices: m.meme")),
            file("m.meme", "MEME version 4\nMOTIF X\nletter-probability matrix: w= 999999999999\n"),
        ),
        "run plan.yaml -o out",
        "m.meme: motif X: expected rows behind line 3, got none",
    ),
}

# Sequences

AUDIT, EXPLAIN = "data audit {}", "explain cnn {} -o out --method saliency"
LETTERS = ["ACGTACGTAC", "TTGCATTGCA", "GGCATCCATG", "CATGACCTGA"]
CSV = "sequence,label,split\n" + "".join(
    f"{letters},{'ab'[k % 2]},{split}\n"
    for split in ("train", "train", "test")
    for k, letters in enumerate(LETTERS)
)


def data(name: str, content: str | bytes, line: str, words: str = AUDIT) -> Row:
    return Row(file(name, content), words.format(name), line)


def zipped(members: dict[str, bytes]) -> bytes:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return whole.getvalue()


HUGE = 200 * 2**20
"""Bytes that a bomb unpacks to: few enough that a test may meet them, were they let in."""


def bomb_of(compress: Callable[[bytes], bytes], first: str) -> bytes:
    """A little text, then very much of one letter, packed in pieces that stand side by side."""
    return compress(first.encode()) + compress(b"A" * 2**20) * (HUGE // 2**20)


def parquet(table: pa.Table, **how: object) -> bytes:
    whole = io.BytesIO()
    pq.write_table(table, whole, **how)
    return whole.getvalue()


def nested(depth: int) -> pa.Array:
    array = pa.array([1])
    for _ in range(depth):
        array = pa.ListArray.from_arrays(pa.array([0, 1], pa.int32()), array)
    return array


def repeated(text: str, count: int) -> pa.Table:
    """Rows of one long text: a dictionary of one entry on the disk, all of them in memory."""
    words = pa.DictionaryArray.from_arrays(pa.array(np.zeros(count, np.int32)), pa.array([text]))
    return pa.table({"sequence": words, "label": words})


PARQUET = parquet(pa.table({"sequence": LETTERS, "label": ["a", "b", "a", "b"]}))

DATA = {
    "an empty table": data("d.csv", "", "an empty file"),
    "a header alone": data("d.csv", "sequence,label\n", "expected rows, got a file without rows"),
    "a table without sequences": data(
        "d.csv", "seq,label\nACGT,a\n", "expected the column 'sequence', got 'seq', 'label'"
    ),
    "a column twice": data(
        "d.csv", "sequence,label,label\nACGT,a,b\n", "two columns of one name, 'label'"
    ),
    "an open quote": data(
        "d.csv", 'sequence,label\nACGT,"a\nTTT,b\n', "unexpected end of data (line 3)"
    ),
    "a row too long": data(
        "d.csv", CSV + "ACGT,a,test,x,y\n", "5 fields in row 12, 3 in the header"
    ),
    "a million columns": data(
        "d.csv",
        ",".join(f"c{k}" for k in range(10**6)) + "\n",
        "1,000,000 columns; expected one row per sequence, a few columns",
    ),
    "null characters in a table": data(
        "d.csv", CSV.replace("TTGC", "TT\0C"), "a binary file, not text"
    ),
    "half a pair in a table": data(
        "d.csv",
        CSV.replace(",a,", ",\udcff,").encode("utf-8", "surrogatepass"),
        "a byte in line 2 that is no UTF-8 (0xed); save it as UTF-8",
    ),
    "Latin-1": data(
        "d.csv",
        CSV.replace(",a,", ",\xe9,").encode("latin-1"),
        "a byte in line 2 that is no UTF-8 (0xe9); save it as UTF-8",
    ),
    "letters that are none": data(
        "d.csv", CSV.replace("TTGC", "<b>!"), "row 1: expected the letters A C G T N"
    ),
    "a field of ten million letters": data(
        "d.csv",
        CSV + "A" * 10**7 + ",a,test\n",
        "got 10,000,000 letters among others of 10 (median)",
    ),
    "an unknown split": data(
        "d.csv",
        CSV.replace(",test", ",tset"),
        "expected train, test or validation, got 'tset' in row 8",
    ),
    "no test": data(
        "d.csv",
        CSV.replace(",test", ",train"),
        "column 'split': expected rows of test, got none among 12 rows",
    ),
    "one row": data(
        "d.csv",
        "sequence,label,split\nACGT,a,train\n",
        "column 'split': expected rows of test, got none among 1 rows",
    ),
    "a column that moves the cursor": data(
        "d.csv", "\x1b[2J\u202e,label\nACGT,a\n", r"got '\x1b[2J\u202e', 'label'"
    ),
    "a gzip bomb in FASTA": data(
        "d.fa.gz",
        bomb_of(gzip.compress, ">a b\n"),
        "bytes that unpack to 67,117,056 or more, over 200 times as many",
    ),
    "a gzip bomb in a table": data(
        "d.csv.gz",
        bomb_of(gzip.compress, "sequence,label\n"),
        "bytes that unpack to 67,117,056 or more, over 200 times as many",
    ),
    "a bzip2 bomb": data(
        "d.fa",
        bomb_of(bz2.compress, ">a b\n"),
        "bytes that unpack to 67,117,056 or more, over 200 times as many",
    ),
    "an xz bomb": data(
        "d.fa",
        bomb_of(lzma.compress, ">a b\n"),
        "bytes that unpack to 67,117,056 or more, over 200 times as many",
    ),
    "gzip within gzip": data(
        "d.fa.gz",
        gzip.compress(gzip.compress(b">a b\nACGT\n")),
        "gzip inside of compression; unpack it once",
    ),
    "gzip cut off": data(
        "d.csv.gz", gzip.compress(CSV.encode())[:-9], "Compressed file ended before"
    ),
    "gzip with a wrong checksum": data(
        "d.csv.gz", gzip.compress(CSV.encode())[:-8] + bytes(8), "CRC check failed"
    ),
    "a zip archive that leads out": data(
        "d.csv", zipped({"../../PWNED": b"x"}), "an Excel workbook or another zip archive"
    ),
    "a pickle of pandas": data("d.csv", pickle.dumps(Pwns()), "a binary file, not text"),
    "binary in FASTA": data("d.fa", b">a b\n" + bytes(range(256)), "a binary file, not text"),
    "FASTA without a header": data(
        "d.fa", "ACGT\nACGT\n", "a FASTA file that begins with 'ACGT', not with '>'"
    ),
    "FASTA of headers alone": data("d.fa", ">a b\n>c d\n", "row 0: column 'sequence' is empty"),
    "protein in FASTA": data(
        "d.fa", ">a b\nMKVLLE\n>c d\nMKPPQE\n", "row 0: expected the letters A C G T N"
    ),
    "FASTA of a million keys": data(
        "d.fa",
        ">a " + " ".join(f"k{k}=1" for k in range(10**5)) + "\nACGT\n",
        "100,001 columns; expected one row per sequence, a few columns",
    ),
    "a null character in FASTA": data("d.fa", ">a b\nAC\0GT\n", "a binary file, not text"),
    "Parquet cut off": data("d.parquet", PARQUET[:-20], "Parquet magic bytes not found in footer"),
    "Parquet of zeros": data(
        "d.parquet", b"PAR1" + bytes(100) + b"PAR1", "Couldn't deserialize thrift"
    ),
    "Parquet whose footer lies": data(
        "d.parquet",
        PARQUET[:-8] + struct.pack("<I", 2**31 - 1) + b"PAR1",
        "smaller than the size reported by footer",
    ),
    "Parquet whose pages are damaged": data(
        "d.parquet", PARQUET[:4] + bytes(40) + PARQUET[44:], "Couldn't deserialize thrift"
    ),
    "Parquet of lists in lists": data(
        "d.parquet",
        parquet(pa.table({"sequence": nested(90), "label": ["a"]})),
        "Parquet schema too deeply nested",
    ),
    "Parquet of one text a million times": data(
        "d.parquet",
        parquet(repeated("A" * 20_000, 10**6), compression="zstd"),
        "bytes that unpack to 40,000,000,000 or more, over 200 times as many",
    ),
    "Parquet of 100,000 columns": data(
        "d.parquet",
        parquet(pa.table({f"c{k}": [1] for k in range(20_000)})),
        "20,000 columns; expected one row per sequence, a few columns",
    ),
    "HDF5 for a table": data(
        "d.csv",
        b"\x89HDF\r\n\x1a\n" + bytes(100),
        "an HDF5 file; write the sequences as Parquet or CSV",
    ),
    "a page for a table": data(
        "d.csv", "<!DOCTYPE html><script>alert(1)</script>", "a page of HTML or XML"
    ),
    "JSON, deep": data("d.csv", "[" * 10**6, "JSON; write it as CSV or Parquet"),
    "a device": Row(
        nothing, "data audit /dev/zero", "/dev/zero: expected a file, got: a device, not a file"
    ),
    "a file of the system": Row(nothing, "data audit /proc/self/environ", "an empty file"),
    "a link to itself": Row(
        lambda place: (place / "d.csv").symlink_to("d.csv"), "data audit d.csv", "no file 'd.csv'"
    ),
    "a pipe": Row(
        lambda place: os.mkfifo(place / "d.csv"),
        "data audit d.csv",
        "d.csv: expected a file, got: a pipe, not a file",
    ),
    "a terabyte of holes": Row(
        holes("d.fa", 2**40), "data audit d.fa", "got: a sparse file, nearly all of it holes"
    ),
    "a folder of links to itself": Row(
        both(folder("d"), lambda place: (place / "d" / "x").symlink_to(place / "d")),
        "data audit d",
        "expected a folder of FASTA, BED or table files",
    ),
}

GENOME = ">chr1\n" + "ACGTTGCA" * 20 + "\n"


def bed(text: str, line: str, genome: str | bytes = GENOME) -> Row:
    makes = both(file("p.bed", text), file("g.fa", genome))
    return Row(makes, "data audit p.bed --set genome=g.fa", line)


BEDS = {
    "an interval that ends before it starts": bed(
        "chr1\t9\t3\n", "row 0: expected 0 <= start < end, got 9 and 3"
    ),
    "an interval before the chromosome": bed(
        "chr1\t-5\t3\n", "row 0: expected 0 <= start < end, got -5 and 3"
    ),
    "an interval behind the chromosome": bed(
        "chr1\t5\t3000000000\n", "expected an interval inside chr1 of g.fa, which has 160 letters"
    ),
    "an interval of 5,000 digits": bed(
        f"chr1\t0\t{'9' * 5000}\n", "column 'end': expected whole numbers, got"
    ),
    "an interval beyond 64 bits": bed(
        f"chr1\t{2**63}\t{2**63 + 5}\n",
        "column 'start': expected whole numbers, got '92233720368547",
    ),
    "intervals in words": bed(
        "chr1\tzero\tten\n", "column 'start': expected whole numbers, got 'zero' in row 0"
    ),
    "intervals in fractions": bed(
        "chr1\t1.5\t9.5\n", "column 'start': expected whole numbers, got '1.5' in row 0"
    ),
    "an unknown chromosome": bed(
        "../../etc\t0\t9\n", "expected a chromosome of g.fa, got '../../etc'"
    ),
    "rows of different width": bed(
        "chr1\t0\t9\nchr1\t0\t9\tx\n", "3 columns in row 0 and 4 in row 1"
    ),
    "an interval of nothing": bed("chr1\t4\t4\n", "row 0: expected 0 <= start < end, got 4 and 4"),
    "a strand that is none": bed(
        "chr1\t0\t9\tn\t0\t<b>\n", "column 'strand': expected +, - or ., got '<b>' in row 0"
    ),
    "a genome that is empty": bed("chr1\t0\t9\n", "an empty file", ""),
    "a genome with a chromosome twice": bed(
        "chr1\t0\t9\n", "two records of one name, 'chr1'", GENOME * 2
    ),
    "a genome that is a bomb": bed(
        "chr1\t0\t9\n",
        "bytes that unpack to 67,117,056 or more, over 200 times as many",
        bomb_of(gzip.compress, ">chr2\n"),
    ),
    "a genome of binary": bed("chr1\t0\t9\n", "a binary file, not text", bytes(range(256))),
}

# Weights

WEIGHTS = "check-model cnn --weights {} --classes 2 --length 40 --method saliency"


def weights(name: str, content: bytes, line: str) -> Row:
    return Row(file(name, content), WEIGHTS.format(name), line)


def torch_file(value: object, **how: object) -> bytes:
    whole = io.BytesIO()
    torch.save(value, whole, **how)
    return whole.getvalue()


def header(text: str, length: int | None = None) -> bytes:
    """A safetensors file of a header alone, whose length may lie."""
    written = text.encode()
    return struct.pack("<Q", len(written) if length is None else length) + written


def entry(**changes: object) -> str:
    told = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]} | changes
    return json.dumps({"w": told})


def repacked(content: bytes) -> bytes:
    """The members of an archive, compressed."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return zipped({name: archive.read(name) for name in archive.namelist()})


def of_a_cnn(first: torch.Tensor) -> dict[str, torch.Tensor]:
    return CNN(classes=2, length=40).state_dict() | {"trunk.0.weight": first}


SHAPE = "'trunk.0.weight' is {} in the file"

PICKLE = pickle.dumps(Pwns())

WEIGHT_FILES = {
    **{
        f"a pickle dressed as {suffix}": weights(
            f"w{suffix}", PICKLE, "which runs code when it is read"
        )
        for suffix in (".pt", ".bin", ".safetensors", ".pth", ".ckpt", ".h5")
    },
    "a pickle of torch that runs code": weights(
        "w.pt", torch_file({"w": Pwns()}), "holds a pickled posix.mkdir, which runs code"
    ),
    "an old pickle of torch that runs code": weights(
        "w.pt",
        torch_file({"w": Pwns()}, _use_new_zipfile_serialization=False),
        "holds a pickled posix.mkdir, which runs code",
    ),
    "a whole module": weights(
        "w.pt",
        torch_file(torch.nn.Linear(2, 3)),
        "holds a pickled torch.nn.modules.linear.Linear, which runs code",
    ),
    "a pickle behind a true one": weights(
        "w.pt",
        zipped({"archive/data.pkl": PICKLE, "archive/version": b"3"}),
        "is a compressed archive, which torch.save never makes",
    ),
    "weights that unpack to a hundred times": weights(
        "w.pt",
        repacked(torch_file({"w": torch.zeros(HUGE // 4)})),
        "is a compressed archive, which torch.save never makes",
    ),
    "a tensor of one number a trillion times": weights(
        "w.pt",
        torch_file(of_a_cnn(torch.zeros(1).expand(10**6, 10**6))),
        SHAPE.format("(1000000, 1000000)"),
    ),
    "an archive that leads out": weights(
        "w.pt",
        zipped({"../../PWNED": b"x"}),
        "is a compressed archive, which torch.save never makes",
    ),
    "an archive without a member": weights(
        "w.pt", zipped({}), "expected weights as safetensors or as torch.save writes"
    ),
    "weights cut off": weights(
        "w.pt",
        torch_file({"w": torch.zeros(9)})[:-100],
        "w.pt: cannot be read as torch.save writes it; is it cut short?",
    ),
    "weights of nothing": weights("w.pt", b"", "header too small"),
    "weights of zeros": weights("w.pt", bytes(1000), "invalid JSON in header"),
    "weights of text": weights("w.pt", b"<!DOCTYPE html>", "header too large"),
    "weights of Keras": weights(
        "w.h5", b"\x89HDF\r\n\x1a\n" + bytes(100), "w.h5: is a file of Keras"
    ),
    "weights that are a list": weights(
        "w.pt",
        torch_file([1, 2]),
        "w.pt: expected a state dict, got a list: save model.state_dict()",
    ),
    "weights that are a number": weights(
        "w.pt", torch_file(7), "w.pt: expected a state dict, got a int: save model.state_dict()"
    ),
    "weights of other names": weights(
        "w.pt", torch_file({"\x1b[2Jw": torch.zeros(2)}), r"unexpected '\x1b[2Jw'"
    ),
    "a header longer than the file": weights(
        "w.safetensors", header("{}", 2**62), "header too large"
    ),
    "a header of no JSON": weights("w.safetensors", header("{{{{"), "invalid JSON in header"),
    "a header, deep": weights("w.safetensors", header("[" * 10**5), "invalid JSON in header"),
    "offsets behind the end": weights(
        "w.safetensors",
        header(entry(data_offsets=[0, 2**40])),
        "invalid shape, data type, or offset",
    ),
    "offsets backwards": weights(
        "w.safetensors", header(entry(data_offsets=[8, 0])) + bytes(8), "invalid offset for tensor"
    ),
    "a shape that overflows": weights(
        "w.safetensors",
        header(entry(shape=[2**62, 2**62])) + bytes(8),
        "overflow computing buffer size",
    ),
    "a shape of another size": weights(
        "w.safetensors", header(entry(shape=[5])) + bytes(8), "invalid shape, data type, or offset"
    ),
    "an unknown type of numbers": weights(
        "w.safetensors", header(entry(dtype="X99")) + bytes(8), "unknown variant `X99`"
    ),
    "weights of another shape": weights(
        "w.safetensors", safetensors(of_a_cnn(torch.zeros(2, 3))), SHAPE.format("(2, 3)")
    ),
    "a TorchScript program for weights": weights(
        "w.pt",
        zipped({"a/data.pkl": b"x", "a/code/__torch__.py": b"import os"}),
        "is a whole program, not weights; name it with use: torchscript",
    ),
    "weights that are a folder": Row(
        folder("w"), WEIGHTS.format("w"), "w: holds no weights; expected model.safetensors"
    ),
    "weights that are a device": Row(
        nothing,
        WEIGHTS.format("/dev/zero"),
        "/dev/zero: expected a file, got: a device, not a file",
    ),
    "weights that are a pipe": Row(
        lambda place: os.mkfifo(place / "w.pt"),
        WEIGHTS.format("w.pt"),
        "w.pt: expected a file, got: a pipe, not a file",
    ),
    "weights that are nowhere": Row(nothing, WEIGHTS.format("../../w.pt"), "no file '../../w.pt'"),
}

# Tokenizers, checkpoints and programs

PRETRAIN = "pretrain d.csv --tokenizer t.json -o out --epochs 1 --layers 1 --width 8 --heads 2"


def tokenizer(change: Callable[[dict], object], line: str, table: str = CSV) -> Row:
    """A small true tokenizer, changed."""

    def make(place: Path) -> None:
        file("d.csv", table)(place)
        path = write_tokenizer(place / "t.json")
        read = json.loads(path.read_text())
        change(read)
        path.write_text(json.dumps(read))

    return Row(make, PRETRAIN, line)


def raw_tokenizer(content: str | bytes, line: str) -> Row:
    return Row(both(file("d.csv", CSV), file("t.json", content)), PRETRAIN, line)


def splitting(pattern: str) -> Callable[[dict], object]:
    split = {
        "type": "Split",
        "pattern": {"Regex": pattern},
        "behavior": "Isolated",
        "invert": False,
    }
    return lambda read: read.update(pre_tokenizer=split)


def checkpoint(files: dict[str, str | bytes], line: str) -> Row:
    """A folder of a language model."""
    makes = [file(f"m/{name}", content) for name, content in files.items()]
    words = "check-model huggingface --set path=m --classes 2 --length 40 --method saliency"
    return Row(both(folder("m"), *makes), words, line)


BERT = {
    "model_type": "bert",
    "hidden_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 8,
    "vocab_size": 30,
}
NO_WEIGHTS = {"model.safetensors": safetensors({"w": torch.zeros(2)})}


def config(line: str, **changes: object) -> Row:
    return checkpoint({"config.json": json.dumps(BERT | changes), **NO_WEIGHTS}, line)


def index(listed: object, line: str) -> Row:
    return checkpoint(
        {"config.json": json.dumps(BERT), "model.safetensors.index.json": json.dumps(listed)}, line
    )


def program(content: bytes, line: str, use: str = "torchscript") -> Row:
    words = f"check-model {use} --weights p.pt --classes 2 --length 40 --method saliency"
    return Row(file("p.pt", content), words, line)


MODELS = {
    "a tokenizer of nothing": raw_tokenizer("", "EOF while parsing"),
    "a tokenizer of binary": raw_tokenizer(bytes(range(256)), "'utf-8' codec"),
    "a tokenizer of brackets": raw_tokenizer("[" * 10**5, "invalid type: sequence"),
    "a tokenizer that is a list": raw_tokenizer("[]", "invalid type: sequence"),
    "a tokenizer that is a pickle": raw_tokenizer(PICKLE, "'utf-8' codec"),
    "a tokenizer of 200 MB": Row(
        both(file("d.csv", CSV), holes("t.json", 2 * 10**8)),
        PRETRAIN,
        "expected t.json of at most 100,000,000 bytes, got 200,000,000",
    ),
    "a tokenizer of an unknown model": tokenizer(
        lambda t: t["model"].update(type="os.system"), "is no tokenizer of the library tokenizers"
    ),
    "a regular expression that explodes": tokenizer(
        splitting("([ACGT]+)+X"),
        "letters; expected regular expressions that go over each letter once",
    ),
    "a regular expression that explodes later": tokenizer(
        splitting("(?:A|AC|C|G|T|GT)+(?=X)"),
        "letters; expected regular expressions that go over each letter once",
        CSV.replace("TTGC", "ACGTA" * 40),
    ),
    "a regular expression that is none": tokenizer(splitting("((((("), "Oniguruma error"),
    "merges of tokens that are not there": tokenizer(
        lambda t: t["model"].update(merges=[["Q", "Y"]]), "Token `Q` out of vocabulary"
    ),
    "identifiers beyond 32 bits": tokenizer(
        lambda t: t["model"]["vocab"].update(zz=2**40), "expected u32"
    ),
    "an identifier of two billion": tokenizer(
        lambda t: t["model"]["vocab"].update(zz=2**31),
        "has 17 tokens and an identifier of 2,147,483,648",
    ),
    "negative identifiers": tokenizer(lambda t: t["model"]["vocab"].update(zz=-5), "expected u32"),
    "a tokenizer without bases": tokenizer(
        lambda t: t["model"].update(vocab={"[UNK]": 0}, merges=[]), "of ACGT and of TGCA"
    ),
    "a tokenizer that replaces bases": tokenizer(
        lambda t: t.update(
            normalizer={"type": "Replace", "pattern": {"Regex": "A"}, "content": "A" * 1000}
        ),
        "t.json makes [CLS] A A A A",
    ),
    "a checkpoint of nothing": checkpoint(
        {}, "m: expected a folder with config.json, weights and a tokenizer,"
    ),
    "a configuration of no JSON": checkpoint(
        {"config.json": "{{{"}, "config.json: cannot be read (Expecting property name"
    ),
    "a configuration, deep": checkpoint(
        {"config.json": "[" * 10**5}, "config.json: cannot be read (maximum recursion depth"
    ),
    "a configuration that is a list": checkpoint(
        {"config.json": "[]"}, "config.json: expected a mapping that names its model_type"
    ),
    "a configuration of an unknown type": config("has no '../../etc'", model_type="../../etc"),
    "a configuration with code": config(
        "no code of a checkpoint is run", auto_map={"AutoModel": "evil.Evil"}
    ),
    "a configuration of another kind of size": config(
        "Field 'hidden_size' expected int", hidden_size="8; import os"
    ),
    "a configuration larger than any memory": config(
        "config.json describes 5,498,160,021,514 numbers", hidden_size=2**20
    ),
    "a configuration of a billion layers": config(
        "has 1,000,000,000 layers, and 1 weights", num_hidden_layers=10**9
    ),
    "a negative size": config("negative dimension -8", hidden_size=-8),
    "an activation that is code": config(
        "__import__('os').mkdir('PWNED')", hidden_act="__import__('os').mkdir('PWNED')"
    ),
    "parts that lead out": index(
        {"weight_map": {"w": "../../../etc/passwd"}},
        "lists '../../../etc/passwd', which is not in the folder",
    ),
    "parts that are absolute": index(
        {"weight_map": {"w": "/etc/passwd"}}, "lists '/etc/passwd', which is not in the folder"
    ),
    "parts that are not there": index(
        {"weight_map": {"w": "gone.safetensors"}},
        "lists 'gone.safetensors', which is not in the folder",
    ),
    "parts of another type": index([1, 2], "expected a weight_map"),
    "a checkpoint with a pickle": checkpoint(
        {"config.json": json.dumps(BERT), "pytorch_model.bin": PICKLE},
        "pytorch_model.bin: holds a pickled object that is no tensor",
    ),
    "a checkpoint of other weights": config("does not fit config.json: missing"),
    "a name that leads out of the Hub": Row(
        nothing,
        "check-model huggingface --set path=hub:../../etc --classes 2",
        "no file 'hub:../../etc'",
    ),
    "a program of garbage": program(
        b"garbage", "torchscript: expected a program as torch.jit.save writes it"
    ),
    "a program that is a pickle": program(
        PICKLE, "torchscript: expected a program as torch.jit.save writes it:"
    ),
    "a program of an archive": program(
        zipped({"a/code/x.py": b"import os", "a/data.pkl": PICKLE}),
        "torchscript: expected a program as torch.jit.save writes it:",
    ),
    "an exported program that is a pickle": program(
        PICKLE,
        "exported_program: expected a program as torch.export.save writes",
        "exported_program",
    ),
    "an exported program with a pickle": program(
        zipped(
            {
                "p/archive_format": b"pt2",
                "p/models/model.json": b"{}",
                "p/data/weights/model.pt": PICKLE,
                "p/archive_version": b"0",
                "p/byteorder": b"little",
            }
        ),
        "exported_program: expected a program as torch.export.save writes",
        "exported_program",
    ),
}

# Scores made elsewhere


def scores(name: str, content: bytes | Make, line: str) -> Row:
    make = content if callable(content) else file(name, content)
    theirs = f"{{theirs: {{use: scores, path: {name}, match: order}}}}"
    text = BASE.replace("[saliency]", theirs)
    return Row(both(make, file("plan.yaml", text)), "run plan.yaml -o out --jobs 1", line)


def bigwig(content: bytes, line: str) -> Row:
    """Of sequences that have their places in a genome."""
    beds = "".join(f"chr1\t{10 * k}\t{10 * k + 10}\t{'ab'[k % 2]}\n" for k in range(16))
    theirs = BASE.replace("[saliency]", "{theirs: {use: scores, path: s.bw}}")
    where = theirs.replace(PLANTED, "dataset: {name: intervals, path: p.bed, genome: g.fa}\n")
    makes = [file("p.bed", beds), file("g.fa", GENOME), file("s.bw", content)]
    return Row(both(*makes, file("plan.yaml", where)), "run plan.yaml -o out --jobs 1", line)


def npz(members: dict[str, np.ndarray]) -> bytes:
    whole = io.BytesIO()
    np.savez_compressed(whole, **members)
    return whole.getvalue()


def hdf5(write: Callable[[object], object]) -> Make:
    import h5py

    def make(place: Path) -> None:
        (place / "secret").write_bytes(b"what lies outside" * 200)
        with h5py.File(place / "other.h5", "w") as other:
            other["scores"] = np.zeros((20, 40), np.float32)
        with h5py.File(place / "s.h5", "w") as opened:
            write(opened)

    return make


def external_link(opened) -> None:
    import h5py

    opened["scores"] = h5py.ExternalLink("other.h5", "scores")


def external_bytes(opened) -> None:
    opened.create_dataset("scores", (20, 40), np.float32, external=[("secret", 0, 3200)])


def virtual(opened) -> None:
    import h5py

    layout = h5py.VirtualLayout((20, 40), np.float32)
    layout[:] = h5py.VirtualSource("other.h5", "scores", (20, 40))
    opened.create_virtual_dataset("scores", layout)


def npy_header(text: str) -> bytes:
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()


SCORES = {
    "scores of Python objects": scores(
        "s.npy",
        npy_header("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}\n") + PICKLE,
        "allow_pickle=False",
    ),
    "scores whose header is code": scores(
        "s.npy",
        npy_header("__import__('os').mkdir('PWNED')\n"),
        "s.npy cannot be read (malformed node",
    ),
    "scores whose header lies": scores(
        "s.npy",
        npy_header(f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({2**50},)}}\n"),
        "Unable to allocate 4.00 PiB",
    ),
    "scores of negative size": scores(
        "s.npy",
        npy_header("{'descr': '<f4', 'fortran_order': False, 'shape': (-5, 40)}\n"),
        "s.npy cannot be read",
    ),
    "scores that unpack to a hundred times": scores(
        "s.npz",
        npz({"scores": np.zeros((HUGE // 160, 40), np.float32)}),
        "unpack to 209,715,328 or more",
    ),
    "scores that lead out": scores(
        "s.npz", zipped({"../../scores.npy": b"x"}), "s.npz cannot be read"
    ),
    "scores that are a pickle": scores(
        "s.pt", PICKLE, "s.pt cannot be read (Weights only load failed"
    ),
    "scores of torch that run code": scores(
        "s.pt", torch_file({"scores": Pwns()}), "s.pt cannot be read (Weights only load failed"
    ),
    "HDF5 with a link to another file": scores(
        "s.h5",
        hdf5(external_link),
        "s.h5: no array that is clearly the scores; name one of them by array: none",
    ),
    "HDF5 with the bytes of another file": scores(
        "s.h5", hdf5(external_bytes), "s.h5: scores is in another file"
    ),
    "HDF5 that is a view of another file": scores(
        "s.h5", hdf5(virtual), "s.h5: scores is in another file"
    ),
    "HDF5 of garbage": scores("s.h5", b"\x89HDF\r\n\x1a\n" + bytes(100), "s.h5 cannot be read"),
    "HDF5 that fills itself": scores(
        "s.h5",
        hdf5(lambda h: h.create_dataset("scores", (10**9, 40), np.float32, chunks=(1000, 40))),
        "unpack to 160,000,000,000 or more",
    ),
    "HDF5 within itself": scores(
        "s.h5",
        hdf5(lambda h: h.__setitem__("x", h["/"])),
        "s.h5: no array that is clearly the scores",
    ),
    "a bigWig of garbage": bigwig(bytes(60), "s.bw cannot be read"),
    "a bigWig whose header lies": bigwig(
        b"\x26\xfc\x8f\x88\x04\x00\x0a\x00" + b"\xff" * 56, "s.bw cannot be read"
    ),
    "scores of nothing": scores("s.npz", b"", "s.npz cannot be read (No data left in file)"),
    "scores of another suffix": scores(
        "s.exe", b"MZ", "expected a file of scores that ends in .npz"
    ),
}

# Plug-ins


def plugin(text: str, line: str, words: str = "list metrics --plugin p.py") -> Row:
    return Row(file("p.py", text), words, line)


PLUGINS = {
    "a plug-in of no Python": plugin("def (:\n", "SyntaxError: invalid syntax (p.py, line 1)"),
    "a plug-in of null characters": plugin(
        "x = 1\0\n", "SyntaxError: source code string cannot contain null bytes"
    ),
    "a plug-in of Latin-1": Row(
        file("p.py", b"x = '\xe9'\n"), "list --plugin p.py", "'utf-8' codec can't decode byte 0xe9"
    ),
    "a plug-in that raises": plugin("raise ValueError('\\x1b[2J')\n", r"ValueError: \x1b[2J"),
    "a plug-in that ends the process": plugin("raise SystemExit(0)\n", "SystemExit: 0"),
    "a plug-in without an end": plugin(
        "x = " + "(" * 10_000 + "\n", "SyntaxError: too many nested parentheses (p.py, line 1)"
    ),
    "a plug-in that is nowhere": Row(
        nothing, "list --plugin ../../p.py", "FileNotFoundError: no such file"
    ),
    "a plug-in that is a folder": Row(
        folder("p.py"), "list --plugin p.py", "FileNotFoundError: no such file"
    ),
    "a plug-in that is a device": Row(
        nothing, "list --plugin /dev/zero", "No module named '/dev/zero'"
    ),
    "a plug-in that takes a name of ours": plugin(
        "def deletion(curves): ...\n",
        "two metrics are named 'deletion':",
        "run demo -o out --plugin p.py --dry-run",
    ),
    "a model that is none": plugin(
        "def m(*, classes, length, shortest): return 7\n",
        "m: expected it to return a torch.nn.Module, got a int",
        "check-model m --plugin p.py",
    ),
}

# Run folders: each is a finished run, in which one file was replaced


def broken(name: str, content: str | bytes, line: str, words: str = "report run") -> Row:
    make = both(
        lambda place: shutil.copytree(place.parent / "run", place / "run"),
        file(f"run/{name}", content),
    )
    return Row(make, words, line)


NO_FOLDERS = ("report run", "compare ../run run", "explain run -o out", "heads run")

RUNS = {
    **{f"no run, {words.split()[0]}": Row(folder("run"), words, "run: ") for words in NO_FOLDERS},
    **{
        f"a run whose plan calls a function, {words.split()[0]}": broken(
            "plan.yaml",
            "dataset: !!python/object/apply:os.mkdir [PWNED]\n",
            "could not determine a constructor",
            words,
        )
        for words in NO_FOLDERS
    },
    "a run whose plan explodes": broken(
        "plan.yaml",
        BASE + bomb("[x, x]", "{0}"),
        "expected at most 100,000 values, got 1,362,025,185",
    ),
    "a run whose records are a pickle": broken(
        "results.parquet", PICKLE, "run/results.parquet: unreadable"
    ),
    "a run whose records unpack to anything": broken(
        "results.parquet", parquet(pa.table({"value": np.zeros(10**7)})), "rows in"
    ),
    "a run whose table is binary": broken(
        "estimates.csv", bytes(range(256)), "run/estimates.csv: unreadable"
    ),
    "a run whose table has a million columns": broken(
        "estimates.csv", "a," * 10**6, "expected at most 2,000 columns, got 1,000,001"
    ),
    "a run whose environment is deep": broken(
        "environment.json", "[" * 10**5, "run/environment.json: unreadable"
    ),
    "a run whose environment is a list": broken(
        "environment.json", "[]", "run/environment.json: expected a dict at the top, got list"
    ),
    "a run whose examples are a number": broken(
        "examples.json", "1" * 6000, "run/examples.json: unreadable"
    ),
    "a series that leads out": Row(
        both(folder("run"), file("run/series.json", '{"name": "x", "runs": {"../../out": ""}}')),
        "report run",
        "run/series.json: unreadable",
    ),
    "a series of garbage": Row(
        both(folder("run"), file("run/series.json", "{{{")),
        "report run",
        "run/series.json: unreadable",
    ),
    "a run for a report that leads out": broken(
        "x", "", "no reports named '../../x'", "report run --format ../../x"
    ),
}

# The command line

COMMANDS = {
    "an unknown command": Row(nothing, "rnu", "No such command 'rnu'. Did you mean 'run'?"),
    "an unknown option": Row(
        nothing, "run --deivce cuda", "No such option: --deivce (Possible options: --device"
    ),
    "no argument": Row(nothing, "report", "Missing argument 'folder'."),
    "an argument too many": Row(
        nothing, "list models methods", "Got unexpected extra argument(s) (methods)"
    ),
    "words for a number": Row(nothing, "run demo --limit ten", "Invalid value for '--limit'"),
    "a negative number": Row(nothing, "run demo --jobs -1", "Invalid value for '--jobs'"),
    "a number of 5,000 digits": Row(
        nothing, f"run demo --limit {'9' * 5000}", "Invalid value for '--limit'"
    ),
    "a change without a value": Row(
        nothing, "run demo -o out --set sequences", "--set sequences: expected key=value"
    ),
    "a change of brackets": Row(
        nothing,
        f"run demo -o out --set x={'[' * 10_000}",
        "--set x: expected at most 50 levels, got more",
    ),
    "a change with a tag": Row(
        nothing,
        "run demo -o out --set x=!!python/name:os.mkdir",
        "--set x=!!python/name:os.mkdir: the value is no YAML",
    ),
    "a change within itself": Row(
        nothing, "run demo -o out --set x=&a[*a]", "--set x=&a[*a]: the value is no YAML"
    ),
    "a change of an unknown key": Row(
        nothing, "run demo -o out --set __class__.x=1", "plan: unknown key '__class__'"
    ),
    "a preset that leads out": Row(
        nothing, "run ../../etc/passwd -o out", "no plan or preset '../../etc/passwd'"
    ),
    "a plan that is a device": Row(
        nothing, "run /dev/zero -o out", "/dev/zero: is no file, expected a plan in YAML"
    ),
    "a folder in a file": Row(
        file("f", "x"),
        "run demo -o f/out --dry-run",
        "f/out: cannot be used as the folder of a run: Not a directory",
    ),
    "an unknown device": Row(
        nothing,
        "run demo -o out --device cuda:999999999999",
        "torch has no 'cuda:999999999999' on this machine",
    ),
    "a list of nothing": Row(nothing, "list ../../etc", "no list of '../../etc'"),
    "a method that is a path": Row(
        nothing, "check ../../etc/passwd", "no attribution named '../../etc/passwd'"
    ),
    "a set that is a path": Row(
        nothing, "data fetch ../../etc", "expected a set of genomic-benchmarks, got '../../etc'"
    ),
    "one run to compare": Row(
        nothing, "compare run", "compare: expected the folders of two runs or more, got 1"
    ),
    "a gate of words": Row(
        nothing,
        "compare a b --fail-if-drop x:y:z",
        "expected a drop that is a number and not negative, got 'z'",
    ),
    "a format that leads out": Row(
        file("d.fa", ">a\nACGTACGTACGT\n"),
        "explain cnn d.fa --format ../../x --method saliency -o out",
        "no exports named '../../x'",
    ),
    "an audit of an option of another kind": Row(
        file("d.csv", CSV),
        "data audit d.csv --set name=5",
        "--set name=5: expected the name of a dataset, got 5",
    ),
    "a name of 5,000 letters": Row(nothing, f"report {'a' * 5000}", "aaaaaaaaaa"),
    "a name of nobody's home": Row(
        nothing, "run ~nosuchuser/plan.yaml", "no plan or preset '~nosuchuser/plan.yaml'"
    ),
    "pretraining without layers": Row(
        both(file("d.csv", CSV), lambda place: write_tokenizer(place / "t.json")),
        PRETRAIN.replace("--layers 1", "--layers 0"),
        "pretrain.layers: input should be greater than or equal to 1, got 0",
    ),
    "pretraining of a width beyond memory": Row(
        both(file("d.csv", CSV), lambda place: write_tokenizer(place / "t.json")),
        PRETRAIN.replace("--width 8", "--width 1000000000"),
        "pretrain.width: input should be less than or equal to 10000",
    ),
    "heads of nothing": Row(
        nothing, "heads nothing", "expected the folder of a run, got one without plan.yaml"
    ),
}
# Cells, sets of genes, and the commands before and after a run


def cells(change: Callable[[h5py.File], object], line: str, more: str = "") -> Row:
    """Cells of which something was changed, and a model for them."""

    def make(place: Path) -> None:
        write_scgpt(place / "model")
        with h5py.File(write_h5ad(place / "c.h5ad", *counts_of_cells(5)), "r+") as opened:
            change(opened)

    return Row(make, f"heads model c.h5ad -o out {more}", line)


def link_elsewhere(opened: h5py.File) -> None:
    opened["var/far"] = h5py.ExternalLink("/etc/passwd", "x")


def lead_out(opened: h5py.File) -> None:
    indices = opened["X/indices"][:]
    del opened["X/indices"]
    opened["X/indices"] = indices + 10**6


def sets_of_genes(content: str | bytes, line: str) -> Row:
    row = cells(lambda _: None, line, "--track s.gmt")
    return row._replace(make=both(row.make, file("s.gmt", content)))


def explained(row: Row) -> Row:
    """A row about weights, where they are to be explained with."""
    words = f"explain cnn d.fa --weights {row.words.split()[3]} --method saliency -o out"
    return Row(both(row.make, file("d.fa", f">a\n{'ACGT' * 10}\n")), words, row.line)


EXPLAINED = (
    "a pickle dressed as .safetensors",
    "a pickle of torch that runs code",
    "weights that unpack to a hundred times",
    "weights of another shape",
    "weights of zeros",
)

AROUND = {
    "cells whose counts lead out of memory": cells(lead_out, "indices must be <"),
    "cells in another file": cells(link_elsewhere, "var/far is in another file"),
    "cells of a label that leads out": cells(
        lambda _: None, "has no column '../../x' in obs", "--set dataset.label=../../x"
    ),
    "sets of genes that are binary": sets_of_genes(bytes(256), "s.gmt: cannot be read as GMT"),
    "sets of genes that unpack to anything": sets_of_genes(
        gzip.compress(bytes(10**8)), "that unpack to 67,1"
    ),
    **{
        f"a set of genes whose name {act}": sets_of_genes(f"{name}\t\tG1\n", line)
        for act, name, line in (
            ("spreadsheets compute", "=1+1", "that begins with no = + - @"),
            ("moves the cursor", "\x1b[2J", "without line ends, control characters"),
        )
    },
    "a language model in a file": cells(
        lambda _: None,
        "--summarise: expected the address",
        "--summarise file:///etc/passwd --summarise-model m",
    ),
    **{f"{name}, explained": explained(WEIGHT_FILES[name]) for name in EXPLAINED},
    "a plan for a pickle": Row(file("d.parquet", PICKLE), "init d.parquet", "d.parquet: expected"),
    "a plan for a device": Row(nothing, "init /dev/zero", "got: a device, not a file"),
    "a page that is a device": Row(
        both(folder("run"), lambda place: (place / "run/index.html").symlink_to("/dev/zero")),
        "open run",
        "run: expected a folder with one of index.html",
    ),
    "a board of a pipe": Row(
        lambda place: os.mkfifo(place / "e.csv"), "board e.csv -o out", "is no regular file"
    ),
    "a board of anything": Row(
        file("e.csv", bytes(range(256))), "board e.csv -o out", "e.csv: unreadable"
    ),
    "a board of an environment of other types": broken(
        "environment.json", '{"versions": [1]}', "run/environment.json", "board run -o out"
    ),
    "an object store of no kind": Row(
        file("plan.yaml", BASE), "run plan.yaml -o nosuch://a/b", "Protocol not known: nosuch"
    ),
    "a folder to clean that is no run": Row(
        folder("x"), "clean x --yes", "x: expected the folder of a run"
    ),
    "a status of a device": Row(nothing, "status /dev/zero", "/dev/zero: expected the folder"),
}
TABLES = [PLANS, DATA, BEDS, WEIGHT_FILES, MODELS, SCORES, PLUGINS, RUNS, COMMANDS, AROUND]
ROWS = {name: row for table in TABLES for name, row in table.items()}
assert len(ROWS) == sum(map(len, TABLES))
