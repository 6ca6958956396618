"""Tokens that are remembered are those that the library gives, for as many sequences."""

import copy
import itertools

import numpy as np
import pytest

pytest.importorskip("tokenizers")

from small_tokenizer import write_tokenizer

from xaibench.dna.encoding import to_letters
from xaibench.models import token_memory
from xaibench.models.dnabert2 import DNABert2
from xaibench.models.tokenizer import read_tokenizer, tokenised
from xaibench.nn.inference import logits

LENGTH = 25


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return write_tokenizer(tmp_path_factory.mktemp("tokenizer") / "tokenizer.json")


def sequences(count, seed=0):
    """With N inside and padding."""
    draw = np.random.default_rng(seed)
    codes = draw.integers(0, 4, (count, LENGTH)).astype(np.uint8)
    codes[draw.random(codes.shape) < 0.05] = 4
    for row in range(0, count, 3):
        codes[row, LENGTH - row % 11 :] = 4
    return codes


def by_library(tokenizer, codes):
    """Identifiers and spans of each sequence as the library says them."""
    encodings = tokenizer.library.encode_batch(to_letters(codes))
    return [(each.ids, [list(span) for span in each.offsets]) for each in encodings]


def listed(tokenizer, codes):
    ids, sites = tokenised(tokenizer, codes)
    assert (ids[~sites.valid] == tokenizer.padding).all()
    assert ids.shape[1] == sites.counts.max()
    return [
        (own[:count].tolist(), spans[:count].tolist())
        for own, spans, count in zip(ids, sites.spans, sites.counts, strict=True)
    ]


@pytest.mark.parametrize(("longest", "too_long"), [(512, "refuse"), (9, "truncate")])
def test_tokens_are_those_of_the_library(file, longest, too_long):
    tokenizer = read_tokenizer(file, longest=longest, too_long=too_long)
    codes = sequences(60)
    if too_long == "truncate":
        tokenizer.library.enable_truncation(longest)
    assert listed(tokenizer, codes) == by_library(tokenizer, codes)
    # some of them again, others beside them, in another order
    again = np.concatenate([codes[40:], sequences(7, seed=1), codes[:20]])
    assert listed(tokenizer, again) == by_library(tokenizer, again)
    assert listed(tokenizer, codes[::-3]) == by_library(tokenizer, codes[::-3])


def test_what_is_forgotten_is_made_again(file, monkeypatch):
    monkeypatch.setattr(token_memory, "MOST_TOKENS", 300)
    tokenizer, codes = read_tokenizer(file, longest=512), sequences(60)
    for start, stop in itertools.pairwise((0, 12, 24, 60, 70)):
        part = np.concatenate([codes[:3], codes[start:stop]])
        assert listed(tokenizer, part) == by_library(tokenizer, part)


def test_a_pass_tokenises_each_sequence_once_and_a_copy_of_the_model_none(file):
    sizes = {"width": 4, "layers": 1, "heads": 1, "hidden": 4}
    model, codes = DNABert2(classes=2, tokenizer=file, **sizes), sequences(30)
    memory, made = model.tokenizer.split, []
    split = memory._split
    memory._split = lambda given: made.append(len(given)) or split(given)
    first = logits(model, codes)
    assert sum(made) == len(codes)
    again = logits(copy.deepcopy(model), codes[::-1])
    assert sum(made) == len(codes)
    np.testing.assert_allclose(again[::-1], first, atol=1e-6)
