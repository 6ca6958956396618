"""What a file holds, by its first bytes and not by its suffix; text of any common coding."""

import bz2
import gzip
import io
import lzma
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO, TextIO, cast

from xaibench.errors import shortened
from xaibench.storage.files import no_content
from xaibench.storage.unpacking import Unpacked, most_unpacked

_HEAD = 4096
"""So many bytes tell what a file is."""

_BLOCK = 2**18
"""Bytes that are unpacked at once."""

_COMPRESSIONS: dict[bytes, Callable[..., IO[Any]]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\x00": lzma.open,
}
"""bgzip writes gzip, in blocks."""

_PARQUET = b"PAR1"

_BINARY_FORMATS = {
    b"PK\x03\x04": "an Excel workbook or another zip archive; save the sheet as CSV, or unzip it",
    b"\xd0\xcf\x11\xe0": "an Excel workbook; save the sheet as CSV",
    b"\x28\xb5\x2f\xfd": "zstandard; unpack it (unzstd)",
    b"7z\xbc\xaf": "a 7z archive; unpack it",
    b"Rar!": "a RAR archive; unpack it",
    b"ARROW1": "an Arrow (Feather) file; write it as Parquet",
    b"\x89HDF": "an HDF5 file; write the sequences as Parquet or CSV",
    b"BAM\x01": "BAM; write the sequences as FASTA (samtools fasta)",
    b"\x43\x27\x41\x1a": "2bit; write it as FASTA (twoBitToFa)",
    b"\x1a\x41\x27\x43": "2bit; write it as FASTA (twoBitToFa)",
    b"%PDF": "a PDF",
    b"\x93NUMPY": "an array of NumPy; write the letters as CSV or FASTA",
    b"SQLite format 3": "an SQLite database; write the table as CSV",
    b"\x1f\x8b": "gzip inside of compression; unpack it once",
    b"BZh": "bzip2 inside of compression; unpack it once",
    b"\xfd7zXZ\x00": "xz inside of compression; unpack it once",
    _PARQUET: "Parquet inside of compression; it is compressed already, unpack it",
}
"""By their first bytes, what is not read, and the hint."""

_SEQUENCES = {
    r"@\S[^\n]*\n[^\n]*\n\+": "FASTQ; write it as FASTA, with a label a read (seqtk seq -a)",
    r"@(HD|SQ|RG|PG)\t": "SAM; write the sequences as FASTA (samtools fasta)",
    r"LOCUS {3}": "GenBank; write it as FASTA",
    r"ID {3}": "EMBL; write it as FASTA",
    r"CLUSTAL": "an alignment of CLUSTAL; write it as FASTA without gaps",
    r"#NEXUS": "an alignment in NEXUS; write it as FASTA without gaps",
}
_OTHERS = {
    r"##gff-version": "GFF; write the intervals as BED",
    r"##fileformat=VCF": "VCF; variants are no sequences",
    r"version https://git-lfs": "a pointer of Git LFS; git lfs pull",
    r"<(!DOCTYPE|html|\?xml|!--)": "a page of HTML or XML; perhaps the download failed",
    r"\{\\rtf": "RTF; save it as plain text",
    r"[{\[]": "JSON; write it as CSV or Parquet",
    r"MEME version": "motifs in MEME format, not sequences",
}
"""By how the text begins, what is not read, and the hint."""


class OtherFormat(ValueError):
    """Sequences in a format that is not read; with a hint."""


_BYTE_ORDER_MARKS = {
    b"\xef\xbb\xbf": "utf-8-sig",
    b"\xff\xfe\x00\x00": "utf-32",
    b"\x00\x00\xfe\xff": "utf-32",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
}


def require_regular(path: Path) -> None:
    """Raises ``ValueError`` for a pipe or a device: reading would wait or never end."""
    if fault := "a folder, not a file" if path.is_dir() else no_content(path):
        raise ValueError(fault)
    if path.stat().st_size == 0:
        raise ValueError("an empty file")


def is_parquet(path: Path) -> bool:
    require_regular(path)
    with path.open("rb") as stream:
        return stream.read(len(_PARQUET)) == _PARQUET


def letters_at_most(path: Path) -> int:
    """More than what can be read of a text; 0 where there is none."""
    return most_unpacked(path.stat().st_size) if path.is_file() else 0


@contextmanager
def text_stream(path: Path) -> Iterator[TextIO]:
    """The text of a file, plain or compressed by gzip, bgzip, bzip2 or xz.

    UTF-8, or UTF-16 and UTF-32 with a byte order mark; every kind of line end is a newline. Raises
    ``ValueError`` with a hint for what is no text, and ``UnicodeDecodeError``.
    """
    with _decompressed(path) as stream:
        head = stream.read(_HEAD)
        stream.seek(0)
        coding = _coding(head)
        yield io.TextIOWrapper(stream, encoding=coding)


@contextmanager
def _decompressed(path: Path) -> Iterator[BinaryIO]:
    require_regular(path)
    with path.open("rb") as stream:
        head = stream.read(_HEAD)
    opened = next((call for magic, call in _COMPRESSIONS.items() if head.startswith(magic)), None)
    if opened is None:
        with path.open("rb") as stream:
            yield stream
        return
    with opened(path, "rb") as packed:
        unpacked = Unpacked(packed, path.stat().st_size)
        yield cast(BinaryIO, io.BufferedReader(unpacked, _BLOCK))


def _coding(head: bytes) -> str:
    for magic, name in _BINARY_FORMATS.items():
        if head.startswith(magic):
            raise ValueError(name)
    for mark, coding in _BYTE_ORDER_MARKS.items():
        if head.startswith(mark):
            return coding
    if b"\0" not in head:
        return "utf-8"
    if head[257:262] == b"ustar":
        raise ValueError("a tar archive; unpack it")
    if not any(head[1::2]) or not any(head[::2]):  # letters of ASCII have one empty byte of two
        return "utf-16-le" if head[0] else "utf-16-be"
    raise ValueError("a binary file, not text")


def beginning(text: TextIO) -> str:
    """The first letters of a text, which is then at its start again.

    Raises ``ValueError`` for a format that is not read, ``OtherFormat`` where it holds sequences.
    """
    first = text.read(_HEAD).lstrip()
    text.seek(0)
    for kind, formats in ((OtherFormat, _SEQUENCES), (ValueError, _OTHERS)):
        for form, name in formats.items():
            if re.match(form, first):
                raise kind(name)
    return first


def reason(path: Path, error: Exception) -> str:
    """What is wrong with a file that could not be read, in a line."""
    if isinstance(error, UnicodeDecodeError):
        return _undecodable(path, error)
    return shortened(" ".join(str(getattr(error, "strerror", None) or error).split()))


def _undecodable(path: Path, error: UnicodeDecodeError) -> str:
    """Which line of a file is no text."""
    if not error.encoding.startswith("utf-8"):
        return f"text that is no {error.encoding}; save it as UTF-8"
    with _decompressed(path) as stream:
        for number, line in enumerate(stream, 1):
            try:
                line.decode()
            except UnicodeDecodeError as of_line:
                byte = line[of_line.start]
                return f"a byte in line {number} that is no UTF-8 (0x{byte:02x}); save it as UTF-8"
    return f"text that is no {error.encoding}; save it as UTF-8"
