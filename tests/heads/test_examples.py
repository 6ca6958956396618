"""What a head attends to on one sequence, and what the tokens of a model are."""

import numpy as np
import pandas as pd
import pytest
import torch
from small_tokenizer import write_tokenizer

from xaibench.heads.attention import head_scores, kind_of_tokens
from xaibench.heads.examples import head_examples
from xaibench.heads.tracks import Track
from xaibench.models.dnabert2 import DNABert2
from xaibench.models.transformer import Transformer
from xaibench.values import Sequences

LENGTH = 30


@pytest.fixture(scope="module")
def sequences():
    codes = np.random.default_rng(0).integers(0, 4, (5, LENGTH)).astype(np.uint8)
    return Sequences(codes, np.arange(5) % 2, tuple("abcde"), ("x", "y"))


@pytest.fixture(scope="module")
def model():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Transformer(classes=2, length=LENGTH, width=12, kernel=5, heads=3, hidden=8).eval()


def test_an_example_is_the_first_sequence_in_which_the_track_varies(model, sequences):
    values = np.zeros((5, LENGTH))
    values[2, 4:9] = 1
    values[2, 0] = np.nan
    tracks = [Track("flat", np.ones((5, LENGTH))), Track("sites", values)]
    rows = [(0, 1, "sites", 0.3, True), (0, 1, "flat", 0.2, True), (1, 2, "sites", 0.9, False)]
    associated = pd.DataFrame(rows, columns=["layer", "head", "track", "mean", "associated"])
    (example,) = head_examples(model, sequences, tracks, associated).to_dict("records")
    assert (example["layer"], example["head"], example["track"]) == (0, 1, "sites")
    assert example["sequence"] == "c"
    assert example["values"][:6] == [None, 0, 0, 0, 1, 1]
    assert len(example["letters"]) == LENGTH
    (expected,) = (each for each in head_scores(model, sequences) if each.row == 2)
    np.testing.assert_allclose(example["scores"], expected.scores[0, 1], atol=1e-6)  # float32
    assert example["ends"][-1] == LENGTH


def test_no_association_is_no_example(model, sequences):
    associated = pd.DataFrame(columns=["layer", "head", "track", "mean", "associated"])
    associated = associated.astype({"mean": float, "associated": bool})
    assert not len(head_examples(model, sequences, [], associated))


def test_the_kind_of_tokens(model, sequences, tmp_path):
    assert kind_of_tokens(model, sequences) == "positions"
    tokenizer = write_tokenizer(tmp_path / "tokenizer.json")
    reader = DNABert2(classes=2, tokenizer=tokenizer, width=8, layers=1, heads=2, hidden=8)
    assert kind_of_tokens(reader, sequences) == "of several lengths"


@pytest.mark.parametrize(("step", "kind"), [(1, "6 positions, step 1"), (6, "6 positions, step 6")])
def test_the_kind_of_k_mers(step, kind, monkeypatch, sequences):
    starts = np.arange(0, LENGTH - 7, step)
    spans = np.stack([starts, starts + 6], axis=1)
    special, left_over = np.array([[0, 0]]), np.array([[LENGTH - 2, LENGTH - 1]])
    row = np.concatenate([special, spans, left_over, special])
    whole = np.broadcast_to(row, (5, *row.shape))
    sites = type("Sites", (), {"spans": whole})
    monkeypatch.setattr("xaibench.heads.attention.token_sites", lambda *_: sites)
    monkeypatch.setattr("xaibench.heads.attention.has_tokens", lambda _: True)
    assert kind_of_tokens(None, sequences) == kind
