"""Tokenizers of DNA: what a sequence is to a language model, and the nucleotides of each token."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from time import thread_time
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from xaibench.dna.encoding import to_letters
from xaibench.errors import ModelError, NotApplicable, UsageError, message_of
from xaibench.shapes import Codes
from xaibench.values import TokenSites

from .token_memory import TokenMemory, Tokens

if TYPE_CHECKING:
    from tokenizers import Tokenizer

TOKENIZER_FILE = "tokenizer.json"

TooLong = Literal["refuse", "truncate", "window"]
"""What is done with a sequence of more tokens than the network takes: it is refused; the last are
left out; or windows of it are read, and the logits are the mean over them (``windows``)."""

_PADS = ("[PAD]", "<pad>")

_LARGEST = 10**8
"""Bytes of a file; those of the largest vocabularies in use have a fifth of that."""

_GAPS = 100
"""So many identifiers a token may have, of which one is its own."""

_PROBE, _PATIENCE = 64, 0.05
"""Letters, and seconds of this thread in which they become tokens a thousand times over."""

_EVERY_BASE, _BACKWARDS = "ACGT", "TGCA"


@dataclass(frozen=True, slots=True)
class DNATokenizer:
    """``split`` makes tokens of sequences ``(N, L)``; ``size`` is one more than the largest
    identifier that it gives, ``padding`` the one that fills up a batch, and ``special`` those of
    special tokens by their names. ``before`` and ``after`` are how many of these stand around the
    tokens of nucleotides. A sequence has at most ``longest`` tokens, special ones among them;
    ``too_long`` says what is done with a longer one. ``library`` is the tokenizer of the library
    tokenizers, None where it is no such."""

    split: Callable[[Codes], Tokens]
    size: int
    padding: int
    special: Mapping[str, int]
    before: int
    after: int
    longest: int
    too_long: TooLong
    library: Any = None

    def identifier(self, token: str) -> int:
        """Of a special token; ``[MASK]`` may be ``<mask>``. NotApplicable where the tokenizer has
        none of that name."""
        for name in (token, f"<{token.strip('[]').lower()}>"):
            if name in self.special:
                return self.special[name]
        raise NotApplicable(f"the tokenizer of the model has no token {token}")


def read_tokenizer(path: Path, *, longest: int, too_long: TooLong = "refuse") -> DNATokenizer:
    """The tokenizer of a file ``tokenizer.json``, or of a folder that holds one; its ``padding`` is
    ``[PAD]``, or the first token where there is no such.

    UsageError, one line with the mend, where the library is not installed, the file is none of its
    tokenizers, or tokens do not cover each base once and tell bases apart.
    """
    file = path / TOKENIZER_FILE if path.is_dir() else path
    library = _library()
    if not file.is_file():
        raise UsageError(f"tokenizer: {path} is no file and holds no {TOKENIZER_FILE}")
    if file.stat().st_size > _LARGEST:
        raise UsageError(
            f"tokenizer: expected {file.name} of at most {_LARGEST:,} bytes, got "
            f"{file.stat().st_size:,}"
        )
    try:
        tokenizer = library.from_str(file.read_text(encoding="utf-8"))
    except Exception as error:  # the library raises nothing more special
        raise UsageError(
            f"tokenizer: {file.name} is no tokenizer of the library tokenizers "
            f"({message_of(error)[:120]}); expected the {TOKENIZER_FILE} of the model"
        ) from None
    tokenizer.no_padding()
    tokenizer.no_truncation()
    _require_quick(tokenizer, file.name)
    around = _special_tokens_around(tokenizer, file.name)
    before, after = map(len, around)
    if longest <= before + after:
        raise UsageError(f"longest: expected more than {before + after} tokens, got {longest}")
    vocabulary, added = tokenizer.get_vocab(), tokenizer.get_added_tokens_decoder().values()
    special = {each.content: vocabulary[each.content] for each in added if each.special}
    padding = next((vocabulary[each] for each in _PADS if each in vocabulary), 0)
    # identifiers may leave gaps
    size = max(vocabulary.values(), default=0) + 1
    if size > _GAPS * (len(vocabulary) + _GAPS):
        raise UsageError(
            f"tokenizer: {file.name} has {len(vocabulary):,} tokens and an identifier of "
            f"{size - 1:,}; expected identifiers without gaps"
        )
    room = longest - before - after if too_long == "truncate" else None
    split = partial(
        _split_by_library, _bare(tokenizer, room), around, _widths(tokenizer, size), padding
    )
    return DNATokenizer(
        TokenMemory(split, padding),
        size,
        padding,
        special,
        before,
        after,
        longest,
        too_long,
        library=tokenizer,
    )


def _library() -> Any:
    """The class of the library, which is slow to import and no part of a plain installation."""
    # threads would make a worker process, which is a fork, wait for ever or warn
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        from tokenizers import Tokenizer
    except ImportError:
        raise UsageError(
            "a model that reads tokens needs the library tokenizers: pip install 'xaibench[glm]'"
        ) from None
    return Tokenizer


def _require_quick(tokenizer: Tokenizer, name: str) -> None:
    """UsageError where the time that letters take doubles with each: the regular expressions of a
    file can be made so."""
    for count in range(1, _PROBE):
        began = thread_time()
        _unpanicked(tokenizer.encode, (_EVERY_BASE * _PROBE)[:count])
        if thread_time() - began > _PATIENCE:
            raise UsageError(
                f"tokenizer: {name} takes more than {_PATIENCE} s for {count} letters; expected "
                "regular expressions that go over each letter once"
            )


def _unpanicked(encode: Callable[[Any], Any], letters: Any) -> Any:
    """What ``encode`` gives; ModelError where the library gives up on a regular expression, which
    is no Exception of Python."""
    try:
        return encode(letters)
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise ModelError(f"the tokenizer gave up: {message_of(error)[:120]}") from None


def _special_tokens_around(tokenizer: Tokenizer, name: str) -> tuple[list[int], list[int]]:
    """The special tokens before and after those of nucleotides; UsageError where these do not cover
    each base once, or are the same whatever the bases."""
    encoding = tokenizer.encode(_EVERY_BASE)
    bases = [place for place, mark in enumerate(encoding.special_tokens_mask) if not mark]
    inside = range(min(bases, default=0), max(bases, default=-1) + 1)
    reached = [base for place in inside for base in range(*encoding.offsets[place])]
    if bases != [*inside] or reached != [*range(len(_EVERY_BASE))]:
        raise UsageError(
            f"tokenizer: {name} makes {' '.join(encoding.tokens)} of {_EVERY_BASE}; expected "
            "tokens that cover each base once, between special ones such as [CLS] and [SEP]"
        )
    if encoding.ids == tokenizer.encode(_BACKWARDS).ids:
        raise UsageError(
            f"tokenizer: {name} makes {' '.join(encoding.tokens)} of {_EVERY_BASE} and of "
            f"{_BACKWARDS}; is it a tokenizer of DNA in capital letters?"
        )
    return encoding.ids[: inside.start], encoding.ids[inside.stop :]


def _bare(tokenizer: Tokenizer, room: int | None) -> Tokenizer:
    """The tokens of nucleotides alone, at most ``room``, and a quarter faster: sequences have no
    spaces to look for, special tokens around them are always the same, and edited sequences, each
    a word of its own, are not met again in a cache of words."""
    bare = type(tokenizer).from_str(tokenizer.to_str())
    if type(bare.pre_tokenizer).__name__ in ("Whitespace", "WhitespaceSplit"):
        bare.pre_tokenizer = None
    bare.post_processor = None
    if hasattr(bare.model, "_resize_cache"):  # not in every version
        bare.model._resize_cache(0)
    if room is not None:
        bare.enable_truncation(room)
    return bare


def tokenised(tokenizer: DNATokenizer, codes: Codes) -> tuple[NDArray[np.int64], TokenSites]:
    """Sequences ``(N, L)`` -> the identifiers of their tokens ``(N, S)`` and what these cover.

    N at the end is padding and has no token; elsewhere it has what the tokenizer makes of it
    (``[UNK]``). ModelError where a sequence has too many tokens and is refused.
    """
    ids, spans, counts = tokenizer.split(codes)
    if counts.max(initial=0) > tokenizer.longest and tokenizer.too_long != "window":
        raise ModelError(
            f"expected at most {tokenizer.longest} tokens per sequence, got {counts.max()}: "
            "shorten the sequences, or say longest, too_long: truncate or too_long: window"
        )
    return ids, TokenSites(spans, np.arange(ids.shape[1]) < counts[:, None])


def _split_by_library(
    bare: Tokenizer,
    around: tuple[list[int], list[int]],
    widths: NDArray[np.int64],
    padding: int,
    codes: Codes,
) -> Tokens:
    """The library is faster where it need not say what tokens cover. That follows from the
    ``widths`` of all tokens where those of a sequence sum to its length; others, as truncated
    ones, are tokenised again."""
    letters = to_letters(codes)
    encodings = _unpanicked(bare.encode_batch_fast, letters)
    inside = np.array([len(each) for each in encodings], np.intp)
    before, after = around
    counts = len(before) + inside + len(after)
    place = np.arange(counts.max(initial=0)) - len(before)
    ids = np.full((len(codes), len(place)), padding)
    ids[:, : len(before)] = before
    # the lists of all sequences in one go: an array for each takes longer than tokenising
    listed = chain.from_iterable(each.ids for each in encodings)
    ids[(place >= 0) & (place < inside[:, None])] = np.fromiter(listed, np.int64)
    for offset, identifier in enumerate(after):
        ids[np.arange(len(codes)), len(before) + inside + offset] = identifier
    covered = widths[ids] * (place < inside[:, None])
    ends = covered.cumsum(axis=1)
    spans = np.stack([ends - covered, ends], axis=-1) * (covered > 0)[..., None]
    others = np.flatnonzero(covered.sum(axis=1) != [len(each) for each in letters])
    for row, encoding in zip(
        others, _unpanicked(bare.encode_batch, [letters[row] for row in others]), strict=True
    ):
        spans[row, len(before) : len(before) + inside[row]] = encoding.offsets or 0
    return Tokens(ids, spans, counts)


def _widths(library: Tokenizer, size: int) -> NDArray[np.int64]:
    """``(token,)``: the letters of each, none of special ones, one of what is unknown."""
    widths = np.zeros(size, np.int64)
    for word, identifier in library.get_vocab().items():
        widths[identifier] = len(word)
    for identifier, added in library.get_added_tokens_decoder().items():
        unknown = added.content == getattr(library.model, "unk_token", None)
        widths[identifier] = 1 if unknown else 0
    return widths
