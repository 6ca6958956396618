"""Tokens of k nucleotides: at every position (DNABERT), or one after the other (Nucleotide
Transformer)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xaibench.dna.encoding import LETTERS, lengths
from xaibench.errors import UsageError
from xaibench.shapes import Codes
from xaibench.values import N

from .token_memory import Tokens
from .tokenizer import DNATokenizer, TooLong

VOCABULARY_FILE = "vocab.txt"

_CONFIG_FILES = ("special_tokens_map.json", "tokenizer_config.json")
"""Where a folder says whether a token ends a sequence; what the second says counts."""

_BERT, _ESM = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"), ("<unk>", "<pad>", "<mask>", "<cls>")


def all_kmers(k: int) -> list[str]:
    """All k-mers, in the order of the vocabularies of both families."""
    return ["".join(letters) for letters in product("ATCG", repeat=k)]


def overlapping_vocabulary(k: int) -> list[str]:
    """The tokens of DNABERT in their order."""
    return [*_BERT, *all_kmers(k)]


def stepping_vocabulary(k: int) -> list[str]:
    """The tokens of the Nucleotide Transformer in their order."""
    return [*_ESM, *all_kmers(k), *"ATCGN", "<eos>", "<bos>"]


def read_vocabulary(folder: Path, *, longest: int, too_long: TooLong = "refuse") -> DNATokenizer:
    """The tokenizer of a ``vocab.txt``, one token per line, in a folder; UsageError where it is no
    vocabulary of all k-mers of one k."""
    try:
        lines = (folder / VOCABULARY_FILE).read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{VOCABULARY_FILE}: cannot be read ({error})") from None
    vocabulary = [line.strip() for line in lines]
    while vocabulary and not vocabulary[-1]:
        vocabulary.pop()
    ends = _has_an_end(folder)
    return kmer_tokenizer(vocabulary, longest=longest, too_long=too_long, ends=ends)


def _has_an_end(folder: Path) -> bool:
    """Whether a folder says that a token stands after the nucleotides of each sequence."""
    named: dict[str, Any] = {}
    for name in _CONFIG_FILES:
        try:
            read = json.loads((folder / name).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            continue
        named.update(read if isinstance(read, dict) else {})
    return bool(named.get("eos_token"))


def kmer_tokenizer(
    vocabulary: Sequence[str], *, longest: int, too_long: TooLong = "refuse", ends: bool = False
) -> DNATokenizer:
    """The tokenizer of a vocabulary, from its special tokens and its k-mers of one k.

    Where single bases are tokens too, k-mers stand one after the other, and what is left over at
    the end or beside an N is read base by base; else there is one at every position, and one with N
    in it is unknown. A sequence begins with ``[CLS]`` and ends with ``[SEP]``, or begins with
    ``<cls>`` and, where it ``ends``, with ``<eos>``. UsageError for any other vocabulary.
    """
    ids = {token: place for place, token in enumerate(vocabulary)}
    bases = [token for token in vocabulary if token and set(token) <= set("ACGT")]
    k = max(map(len, bases), default=0)
    single = bool(k > 1 and "A" in ids)
    expected = len(bases) == 4**k + 4 * single
    if k < 1 or not expected or any(kmer not in ids for kmer in all_kmers(k)):
        raise UsageError(
            f"{VOCABULARY_FILE}: expected all k-mers of one k, one token per line, got "
            f"{len(bases)} of A, C, G and T among {len(vocabulary)} tokens; is it the model's?"
        )
    names = _BERT_NAMES if "[CLS]" in ids else _ESM_NAMES
    ends = ends or names is _BERT_NAMES
    absent = [name for name in names if name not in ids and (ends or name != names.last)]
    if absent:
        raise UsageError(f"{VOCABULARY_FILE}: has no token {absent[0]}; is it that of the model?")
    around = _Around(ids[names.first], ids[names.last] if ends else None, ids[names.padding])
    kmers = _Kmers(
        k, _table(ids, k), np.array([ids.get(each, ids[names.unknown]) for each in LETTERS])
    )
    room = longest - 1 - ends if too_long == "truncate" else None
    split = partial(_split, kmers, single, around, room=room)
    largest = max(kmers.table.max(), kmers.letters.max(), around.padding, around.last or 0)
    special = {token: place for token, place in ids.items() if token[:1] in ("[", "<")}
    return DNATokenizer(
        split,
        int(largest) + 1,
        around.padding,
        special,
        1,
        int(ends),
        longest,
        too_long,
    )


class _Names(NamedTuple):
    first: str
    last: str
    padding: str
    unknown: str


_BERT_NAMES = _Names("[CLS]", "[SEP]", "[PAD]", "[UNK]")
_ESM_NAMES = _Names("<cls>", "<eos>", "<pad>", "<unk>")


def _table(ids: Mapping[str, int], k: int) -> NDArray[np.int64]:
    """The identifier of each k-mer, in the order of A C G T."""
    return np.array([ids["".join(kmer)] for kmer in product("ACGT", repeat=k)])


@dataclass(frozen=True, slots=True)
class _Kmers:
    """The identifiers of all k-mers in the order of A C G T, and of what stands for one letter."""

    k: int
    table: NDArray[np.int64]
    letters: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _Around:
    """The identifiers of what stands before and after a sequence, and of what fills up a batch."""

    first: int
    last: int | None
    padding: int


def _split(
    kmers: _Kmers, stepping: bool, around: _Around, codes: Codes, *, room: int | None
) -> Tokens:
    """The k-mers of each sequence, at most ``room``, with the special tokens around them."""
    inside = (_one_after_the_other if stepping else _at_every_position)(kmers, codes, room)
    rows, after = np.arange(len(codes)), 0 if around.last is None else 1
    shape = (len(codes), 1 + inside.ids.shape[1] + after)
    ids, spans = np.full(shape, around.padding), np.zeros((*shape, 2), np.int64)
    width = 1 + inside.ids.shape[1]
    valid = np.arange(inside.ids.shape[1]) < inside.counts[:, None]
    ids[:, 0] = around.first
    ids[:, 1:width] = np.where(valid, inside.ids, around.padding)
    spans[:, 1:width] = inside.spans * valid[:, :, None]
    if around.last is not None:
        ids[rows, 1 + inside.counts] = around.last
    return Tokens(ids, spans, inside.counts + 1 + after)


def _kmers_at(kmers: _Kmers, codes: Codes) -> NDArray[np.int64]:
    """The k-mer that begins at each position ``(N, L - k + 1)``; -1 where N is in it."""
    places = max(codes.shape[1] - kmers.k + 1, 0)
    numbers, known = np.zeros((len(codes), places), np.int64), np.ones((len(codes), places), bool)
    for shift in range(kmers.k):
        letters = codes[:, shift : shift + places]
        numbers = 4 * numbers + letters
        known &= letters < N
    return np.where(known, kmers.table[np.where(known, numbers, 0)], -1)


def _at_every_position(kmers: _Kmers, codes: Codes, room: int | None) -> Tokens:
    ids = _kmers_at(kmers, codes)[:, :room]
    counts = np.clip(lengths(codes) - kmers.k + 1, 0, ids.shape[1])
    ids = np.where(ids < 0, kmers.letters[N], ids)[:, : counts.max(initial=0)]
    starts = np.broadcast_to(np.arange(ids.shape[1]), ids.shape)
    return Tokens(ids, np.stack([starts, starts + kmers.k], -1), counts)


def _one_after_the_other(kmers: _Kmers, codes: Codes, room: int | None) -> Tokens:
    ends, rows, start = lengths(codes), np.arange(len(codes)), np.zeros(len(codes), np.intp)
    # none where it would reach behind the end
    at = np.full(codes.shape, -1)
    whole = _kmers_at(kmers, codes)
    at[:, : whole.shape[1]] = whole
    columns: list[tuple[NDArray[np.int64], NDArray[np.intp], NDArray[np.intp]]] = []
    while (start < ends).any() and (room is None or len(columns) < room):
        place = np.minimum(start, codes.shape[1] - 1)
        ids, width = at[rows, place], np.where(at[rows, place] < 0, 1, kmers.k)
        ids = np.where(ids < 0, kmers.letters[codes[rows, place]], ids)
        width = np.where(start < ends, width, 0)
        columns.append((ids, start, start + width))
        start = start + width
    shape = (len(codes), len(columns))
    ids, starts, stops = (
        np.array([column[part] for column in columns], np.int64).T.reshape(shape)
        for part in range(3)
    )
    return Tokens(ids, np.stack([starts, stops], -1), (starts < stops).sum(1))
