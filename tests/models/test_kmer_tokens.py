"""k-mers: the tokens of DNABERT and of the Nucleotide Transformer, beside plain loops."""

import json

import numpy as np
import pytest

from xaibench.dna.encoding import to_codes, to_letters
from xaibench.errors import NotApplicable, UsageError
from xaibench.models.kmer_tokens import (
    kmer_tokenizer,
    overlapping_vocabulary,
    read_vocabulary,
    stepping_vocabulary,
)
from xaibench.models.tokenizer import tokenised

CODES = to_codes(["ACGTTNACGA", "AC", "NNN", "TTTTTTTTT", "GATTACATGC", "NACG"])


def slowly(text: str, words: list[str], k: int, *, single: bool) -> list[tuple[str, int, int]]:
    """The words of one sequence with the nucleotides that they cover."""
    found, start = [], 0
    while start < len(text):
        word = text[start : start + k]
        if single:
            word = word if word in words and len(word) == k else text[start]
            found.append((word, start, start + len(word)))
            start += len(word)
            continue
        if len(word) == k:
            found.append((word if word in words else "[UNK]", start, start + k))
        start += 1
    return found


@pytest.mark.parametrize("k", [3, 4])
@pytest.mark.parametrize("single", [False, True])
def test_words_are_those_of_a_plain_loop(k, single):
    words = (stepping_vocabulary if single else overlapping_vocabulary)(k)
    tokenizer = kmer_tokenizer(words, longest=512)
    ids, sites = tokenised(tokenizer, CODES)
    for row, text in enumerate(to_letters(CODES)):
        count = sites.counts[row]
        expected = slowly(text, words, k, single=single)
        first, last = ("<cls>", []) if single else ("[CLS]", [("[SEP]", 0, 0)])
        answer = [
            (words[number], *span)
            for number, span in zip(
                ids[row, :count], sites.spans[row, :count].tolist(), strict=True
            )
        ]
        assert answer == [(first, 0, 0), *expected, *last]
        assert [words[number] for number in ids[row, count:]] == [words[tokenizer.padding]] * (
            ids.shape[1] - count
        )
    assert (tokenizer.before, tokenizer.after) == (1, 0 if single else 1)
    assert ids.max() < tokenizer.size <= len(words)


def test_vocabularies_have_the_size_and_order_of_the_public_ones():
    assert len(overlapping_vocabulary(6)) == 4101
    assert overlapping_vocabulary(3)[4:8] == ["[MASK]", "AAA", "AAT", "AAC"]
    public = stepping_vocabulary(6)
    assert len(public) == 4107
    assert public[:5] == ["<unk>", "<pad>", "<mask>", "<cls>", "AAAAAA"]
    # the last two are no tokens of DNA, and the network of 500 million has no embeddings of them
    assert kmer_tokenizer(public, longest=512).size == 4105


def test_a_special_token_is_known_by_the_name_that_either_family_has_for_it():
    for vocabulary in (overlapping_vocabulary(3), stepping_vocabulary(3)):
        tokenizer = kmer_tokenizer(vocabulary, longest=512)
        assert vocabulary[tokenizer.identifier("[MASK]")] in ("[MASK]", "<mask>")
        with pytest.raises(NotApplicable, match=r"has no token \[GAP\]"):
            tokenizer.identifier("[GAP]")


def test_what_is_too_long_is_truncated():
    for words in (overlapping_vocabulary(3), stepping_vocabulary(3)):
        tokenizer = kmer_tokenizer(words, longest=4, too_long="truncate")
        _, sites = tokenised(tokenizer, CODES)
        assert sites.counts.max() == 4
        assert sites.spans[0, 1].tolist() == [0, 3]
        assert sites.counts[1] == (2 if "[CLS]" in words else 3)


def test_a_folder_says_whether_a_sequence_has_an_end(tmp_path):
    (tmp_path / "vocab.txt").write_text("\n".join(stepping_vocabulary(3)) + "\n")
    (tmp_path / "special_tokens_map.json").write_text(json.dumps({"eos_token": "<eos>"}))
    tokenizer = read_vocabulary(tmp_path, longest=512)
    ids, sites = tokenised(tokenizer, CODES[:1])
    assert (ids[0, -1], sites.spans[0, -1].tolist()) == (
        stepping_vocabulary(3).index("<eos>"),
        [0, 0],
    )
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"eos_token": None}))
    assert read_vocabulary(tmp_path, longest=512).after == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["[CLS]", "AAA"], "expected all k-mers of one k, .* got 1 of A, .* among 2 tokens"),
        (overlapping_vocabulary(2)[:-1], "got 15 of A, C, G and T among 20 tokens"),
        (["A" * 400], "got 1 of A, C, G and T among 1 tokens"),
        ([], "got 0 of A"),
        ([*overlapping_vocabulary(2), "A"], "got 17 of A"),
        (["[CLS]", *overlapping_vocabulary(2)[5:]], r"has no token \[SEP\]; is it that of the mod"),
        (["<cls>", "<pad>", *overlapping_vocabulary(2)[5:]], "has no token <unk>"),
    ],
)
def test_what_is_no_vocabulary_of_words_is_one_line(words, message, tmp_path):
    (tmp_path / "vocab.txt").write_text("\n".join(words))
    with pytest.raises(UsageError, match=f"^vocab.txt: .*{message}") as raised:
        read_vocabulary(tmp_path, longest=512)
    assert "\n" not in str(raised.value)


def test_a_file_that_is_no_text_is_one_line(tmp_path):
    (tmp_path / "vocab.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match=r"vocab.txt: cannot be read \(.*utf-8"):
        read_vocabulary(tmp_path, longest=512)


def test_a_sequence_without_a_whole_word_has_special_tokens_alone():
    empty = np.zeros((2, 0), np.uint8)
    for words in (overlapping_vocabulary(3), stepping_vocabulary(3)):
        tokenizer = kmer_tokenizer(words, longest=512)
        assert set(tokenised(tokenizer, empty)[1].counts) == {tokenizer.before + tokenizer.after}
