"""Pre-training: what is masked, what is learnt, and a folder that a kill does not harm."""

import inspect
import json
import re
import shlex
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from xaibench.data.files.unlabelled import unlabelled_codes
from xaibench.dna.encoding import reverse_complement, to_codes, to_letters
from xaibench.errors import UsageError
from xaibench.models import pretraining
from xaibench.models.dnabert2 import DNABert2
from xaibench.models.masked_tokens import (
    MaskedLanguageModel,
    masked_tokens,
    unigram,
    unigram_figures,
    vocabulary_of,
)
from xaibench.models.pretraining import Corpus, pretrain
from xaibench.models.tokenizer import read_tokenizer, tokenised
from xaibench.models.training import supervised
from xaibench.nn.weights import read_state
from xaibench.plan.schema import read_plan
from xaibench.plugins.registry import load
from xaibench.plugins.signatures import typed

pytest.importorskip("tokenizers")

from small_tokenizer import SPECIAL, write_tokenizer

SIZES = {"width": 12, "layers": 1, "heads": 3, "hidden": 10}
OPTIONS = {**SIZES, "epochs": 3, "batch_size": 5, "held_out": 0.2, "learning_rate": 0.01}


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    return write_tokenizer(tmp_path_factory.mktemp("tokenizer") / "tokenizer.json")


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Repeats of one unit each, which a token says of its neighbours; two rows are of test."""
    units = ["ACGT", "TTT", "GC"]
    letters = [units[row % 3] * (3 + row // 3) for row in range(29)]
    splits = ["test", "validation", *["train"] * 27]
    path = tmp_path_factory.mktemp("table") / "sequences.csv"
    pd.DataFrame({"sequence": letters, "Split": splits}).to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def done(table, tokenizer, tmp_path_factory):
    folder = tmp_path_factory.mktemp("done") / "folder"
    pretrain([table], folder, tokenizer=tokenizer, **OPTIONS)
    return folder


def test_the_tensors_are_those_of_the_public_checkpoint_and_a_classifier_begins_from_them(
    done, tokenizer
):
    state = load_file(done / "model.safetensors")
    head = {name: tuple(each.shape) for name, each in state.items() if name.startswith("cls.")}
    assert head == {
        "cls.predictions.transform.dense.weight": (12, 12),
        "cls.predictions.transform.dense.bias": (12,),
        "cls.predictions.transform.LayerNorm.weight": (12,),
        "cls.predictions.transform.LayerNorm.bias": (12,),
        "cls.predictions.decoder.weight": (16, 12),
        "cls.predictions.decoder.bias": (16,),
    }
    words = state["bert.embeddings.word_embeddings.weight"]
    assert torch.equal(state["cls.predictions.decoder.weight"], words)
    model = DNABert2(
        classes=2, tokenizer=done, **SIZES, pretrained=done / "model.safetensors"
    ).state_dict()
    inside = {name for name in state if name.startswith("bert.")}
    assert {name for name in model if name not in inside} == {
        *("bert.pooler.dense.weight", "bert.pooler.dense.bias"),
        *("classifier.weight", "classifier.bias"),
    }
    assert all(torch.equal(model[name], state[name]) for name in inside)


def test_what_repeats_is_predicted_better_than_by_frequency(table, tokenizer, tmp_path):
    options = {**OPTIONS, "epochs": 30, "dropout": 0.0, "learning_rate": 0.03, "mask_rate": 0.3}
    pretrain([table], tmp_path / "folder", tokenizer=tokenizer, **options)
    history = pd.read_csv(tmp_path / "folder" / "history.csv")
    best = history[history["kept"] == 1].iloc[0]
    assert best["held_out_loss"] == history["held_out_loss"].min()
    assert best["held_out_loss"] < 0.5 * best["unigram_loss"]
    assert best["held_out_accuracy"] > best["unigram_accuracy"]
    assert history["steps"].tolist() == [5 * epoch for epoch in range(1, 31)]


@contextmanager
def killing_after(epochs):
    class Progress:
        def done(self, task, seconds):
            if f"epoch {epochs} " in task:
                raise KeyboardInterrupt

        def epoch(self, task, epoch, epochs, row):
            pass

    yield Progress()


def test_a_pretraining_that_was_killed_gives_the_bytes_of_one_that_was_not(
    done, table, tokenizer, tmp_path, monkeypatch, capsys
):
    folder = tmp_path / "folder"
    with monkeypatch.context() as patched:
        patched.setattr(pretraining, "progress_of", lambda total: killing_after(2))
        with pytest.raises(KeyboardInterrupt):
            pretrain([table], folder, tokenizer=tokenizer, **OPTIONS)
    assert not (folder / "card.json").exists()
    with pytest.raises(UsageError, match="was pre-trained with epochs 3, not 4; choose another"):
        pretrain([table], folder, tokenizer=tokenizer, **{**OPTIONS, "epochs": 4})
    torch.manual_seed(99)
    pretrain([table], folder, tokenizer=tokenizer, **OPTIONS)
    assert "goes on after epoch 2 of 3" in capsys.readouterr().err
    name = "model.safetensors"
    assert (folder / name).read_bytes() == (done / name).read_bytes()
    pair = [pd.read_csv(each / "history.csv").drop(columns="seconds") for each in (done, folder)]
    pd.testing.assert_frame_equal(*pair)
    assert {path.name for path in folder.iterdir()} == {path.name for path in done.iterdir()}


def test_a_folder_that_is_done_is_left_as_it_is_or_refused(done, table, tokenizer, capsys):
    before = {path: path.stat().st_mtime_ns for path in done.iterdir()}
    pretrain([table], done, tokenizer=tokenizer, **OPTIONS)
    assert "is done with these options; nothing is computed" in capsys.readouterr().err
    assert {path: path.stat().st_mtime_ns for path in done.iterdir()} == before
    with pytest.raises(UsageError, match=r"with learning_rate 0\.01, not 0\.02; choose another"):
        pretrain([table], done, tokenizer=tokenizer, **{**OPTIONS, "learning_rate": 0.02})
    with pytest.raises(UsageError, match="with other data; choose another folder with -o"):
        pretrain([table, table], done, tokenizer=tokenizer, **OPTIONS)


def test_weights_that_are_not_those_of_the_card_are_named(done, table, tokenizer, tmp_path):
    folder = tmp_path / "copy"
    folder.mkdir()
    for path in done.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / "model.safetensors").write_bytes(b"")
    with pytest.raises(UsageError, match=r"is not the file that card\.json speaks of"):
        pretrain([table], folder, tokenizer=tokenizer, **OPTIONS)
    (folder / "card.json").unlink()
    with pytest.raises(UsageError, match="holds something else; choose another folder with -o"):
        pretrain([table], folder, tokenizer=tokenizer, **OPTIONS)


def test_the_card_says_what_was_learnt_from(done):
    card = json.loads((done / "card.json").read_text())
    (data,) = card["request"]["data"]
    assert (data["file"], data["sequences"]) == ("sequences.csv", 27)  # of train alone
    counts = card["sequences"]
    assert counts["held_out"] == 5
    assert counts["train"] + counts["held_out"] + counts["equal to a held-out one"] == 27
    assert {"torch", "xaibench"} <= {*card["versions"]}


def test_no_sequence_of_train_equals_a_held_out_one_on_either_strand(tokenizer):
    tokens = read_tokenizer(tokenizer, longest=50)
    letters = ["ACGTTTTGCAC", "GTGCAAAACGT", "ACGTTTTGCAC", "GGGGG", "CCCCC", "TTTTTTACG", "NNN"]
    setting = pretraining._Setting(0, 2, 0.15, False, vocabulary_of(tokens))
    for seed in range(6):
        parts = pretraining._parts(
            [to_codes(letters)], tokens, pretraining.replace(setting, seed=seed), 0.3
        )
        *corpora, counts = parts
        train, held = (letters_of(each, tokens) for each in corpora)
        assert not {*held} & {*train, *to_letters(reverse_complement(to_codes(train)))}
        assert counts["train"] + counts["held_out"] + counts["equal to a held-out one"] == 6
        assert counts["without a known base"] == 1


def letters_of(corpus, tokens):
    pairs = zip(corpus.ids, corpus.valid, strict=True)
    texts = [[tokens.library.id_to_token(each) for each in ids[valid]] for ids, valid in pairs]
    return ["".join(words[1:-1]) for words in texts]


def test_of_the_tokens_to_predict_eighty_per_cent_are_masked_and_none_is_special(tokenizer):
    vocabulary = vocabulary_of(read_tokenizer(tokenizer, longest=50))
    assert vocabulary.mask == SPECIAL.index("[MASK]")
    assert vocabulary.ordinary.tolist() == [*range(5, 16)]
    generator = np.random.default_rng(0)
    ids = generator.integers(5, 16, (3000, 23))
    ids[:, 0], ids[:, 21], ids[:, 22], ids[:, 4] = 1, 2, 3, 0
    shown, predicted = masked_tokens(ids, vocabulary, 0.15, generator)
    assert (predicted.sum(axis=1) == 3).all()  # 15 % of 19
    assert not predicted[ids < 5].any()
    assert np.array_equal(shown[~predicted], ids[~predicted])
    assert np.abs(predicted[:, 1:4].mean(axis=0) - 3 / 19).max() < 0.02
    of_predicted, before = shown[predicted], ids[predicted]
    masked = of_predicted == vocabulary.mask
    assert masked.mean() == pytest.approx(0.8, abs=0.01)  # 9,000 draws: three standard errors
    # of the random 10 % one in eleven is what it was
    assert (of_predicted == before).mean() == pytest.approx(0.1 + 0.1 / 11, abs=0.01)
    replaced = of_predicted[~masked & (of_predicted != before)]
    assert {*replaced.tolist()} == {*range(5, 16)}


def test_a_short_sequence_has_one_token_to_predict(tokenizer):
    vocabulary = vocabulary_of(read_tokenizer(tokenizer, longest=50))
    _, predicted = masked_tokens(
        np.array([[1, 7, 2], [1, 0, 2]]), vocabulary, 0.15, np.random.default_rng(0)
    )
    assert predicted.tolist() == [[False, True, False], [False, False, False]]


def test_the_unigram_figures_are_those_of_counts_and_one():
    vocabulary = pretraining.Vocabulary(1, np.array([3, 5, 8]))
    shares = np.array([3, 1, 2]) / 6
    known = unigram(np.array([3, 3, 8]), vocabulary)
    assert np.exp(known) == pytest.approx(shares)
    loss, accuracy = unigram_figures(known, vocabulary, np.array([5, 3, 3, 8]))
    assert loss == pytest.approx(-np.log([1 / 6, 1 / 2, 1 / 2, 1 / 3]).mean())
    assert accuracy == 0.5


def test_logits_at_the_tokens_to_predict_are_those_of_all_and_padding_changes_none(tokenizer):
    tokens = read_tokenizer(tokenizer, longest=50)
    ids, sites = tokenised(tokens, to_codes(["ACGTTTTGCAC", "GCTTT"]))
    torch.manual_seed(0)
    model = MaskedLanguageModel(16, *SIZES.values(), 0.0).eval()
    predicted = np.zeros(ids.shape, np.bool_)
    predicted[[0, 0, 1], [1, 3, 2]] = True
    logits = model(
        torch.from_numpy(ids), torch.from_numpy(predicted), torch.from_numpy(sites.valid)
    )
    for row in range(2):
        alone = ids[row : row + 1, : sites.valid[row].sum()]
        encoder, words = model.bert.encoder, model.bert.embeddings.word_embeddings.weight
        hidden = encoder(model.bert.embeddings(words[torch.from_numpy(alone)]))
        head = model.cls["predictions"]
        changed = torch.nn.functional.gelu(head.transform.dense(hidden))
        every = head.transform.LayerNorm(changed) @ words.T + head.decoder.bias
        expected = every[0, predicted[row, : alone.shape[1]]]
        assert torch.allclose(logits[predicted.nonzero()[0] == row], expected, atol=1e-5)


def test_learning_begins_at_the_unigram_distribution(tokenizer):
    vocabulary = vocabulary_of(read_tokenizer(tokenizer, longest=50))
    torch.manual_seed(0)
    model = MaskedLanguageModel(16, *SIZES.values(), 0.0).eval()
    known = unigram(np.array([5, 5, 5, 5, 9, 9, 15]), vocabulary)
    model.begin_at(known, vocabulary)
    predicted = torch.tensor([[False, True, False]])
    shares = model(torch.tensor([[1, 4, 2]]), predicted).log_softmax(1)[0, 5:]
    # weights of a standard deviation of 0.02 move logits by about 0.02 times the root of 12
    assert (shares.exp() / shares.exp().sum()).detach().numpy() == pytest.approx(
        np.exp(known), rel=0.3
    )


def test_batches_have_every_sequence_once_and_little_padding():
    lengths = np.random.default_rng(0).integers(3, 7, 103)
    valid = np.arange(6) < lengths[:, None]
    corpus = Corpus(np.where(valid, np.arange(103)[:, None], -1), valid)
    orders = []
    for seed in (0, 1):
        batches = [*pretraining._batches(corpus, 10, np.random.default_rng(seed))]
        assert sorted(int(row[0]) for batch in batches for row in batch.ids) == [*range(103)]
        assert sum(not batch.valid.all() for batch in batches) <= 3  # where lengths change
        assert all(batch.valid.any(axis=0).all() for batch in batches)
        orders.append([batch.ids[0, 0] for batch in batches])
    assert orders[0] != orders[1]


def test_sequences_of_a_fasta_file_are_read_too(tmp_path):
    path = tmp_path / "sequences.fa"
    path.write_text(">a\nACGT\nTT\n>b\nGGN\n")
    assert to_letters(unlabelled_codes(path)) == ["ACGTTT", "GG"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("letters\nACGT\n", "expected the column 'sequence', got 'letters'"),
        ("sequence,split\nACGT,test\n", "expected sequences of train to learn from, got none"),
        ("sequence,split\nACGT,one\n", "column 'split': expected train, test or validation, got"),
        ("sequence\nACGT\nAXGT\n", "row 1: expected the letters A C G T N"),
        ("sequence\nACGT\n", "expected sequences to learn from beside 1 held-out ones, got 1"),
        ("sequence\nACGT\nACGT\n", "expected sequences that differ, got the same ones again"),
        (f"sequence\n{'ACGT' * 60}\nA\n", r"expected at most 50 tokens .*raise --longest"),
    ],
)
def test_sequences_that_cannot_be_learnt_from_are_one_line(
    content, message, tmp_path, tokenizer, call
):
    path = tmp_path / "sequences.csv"
    path.write_text(content)
    words = ["--tokenizer", tokenizer, "--longest", 50, "-o", tmp_path / "folder"]
    code, out, err = call("pretrain", path, *words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert re.search(message, err)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--epochs", "0"), "pretrain.epochs: input should be greater than or equal to 1, got 0"),
        (("--heads", "5"), "heads: expected a divisor of the width 192, got 5"),
        (("--precision", "half"), "precision: input should be 'float32' or 'bfloat16', got 'half'"),
        (("--learning-rate", "1e30"), "pre-training diverged in epoch 1; a lower --learning-rate"),
    ],
)
def test_options_that_cannot_be_are_one_line(words, message, table, tokenizer, tmp_path, call):
    small = ("--width", 4, "--layers", 1, "--heads", 2, "--hidden", 3, "--epochs", 1)
    given = words if words[0] == "--heads" else (*small, *words)
    code, out, err = call(
        "pretrain", table, "--tokenizer", tokenizer, "-o", tmp_path / "folder", *given
    )
    assert (code, out) == (2, "")
    assert message in err.splitlines()[-1]


def test_a_tokenizer_without_a_mask_is_one_line(tmp_path, table):
    special = [word for word in SPECIAL if word != "[MASK]"]
    path = write_tokenizer(tmp_path / "tokenizer.json", special=special)
    with pytest.raises(UsageError, match=r"tokenizer: has no token \[MASK\]"):
        pretrain([table], tmp_path / "folder", tokenizer=path)


def test_the_command_writes_a_folder_and_its_help_says_the_defaults(
    table, tokenizer, tmp_path, call
):
    small = ("--width", 4, "--layers", 1, "--heads", 2, "--hidden", 3, "--epochs", 1)
    folder = tmp_path / "folder"
    code, out, err = call("pretrain", table, "--tokenizer", tokenizer, "-o", folder, *small)
    assert (code, out) == (0, f"{folder}\n")
    assert re.search(r"\[1/1\] epoch 1 of 1, loss .*unigram .*0 min left: ", err)
    assert read_state((folder / "model.safetensors").read_bytes(), "w")
    _, out, _ = call("pretrain", "--help")
    text = " ".join(out.split())
    for parameter in inspect.signature(pretrain).parameters.values():
        if parameter.default is not parameter.empty:
            option = f"--{parameter.name.replace('_', '-')}"
            assert f"[{parameter.default}]" in text.partition(option)[2].partition(" --")[0]


PAGE = Path(__file__).parents[2] / "docs" / "language-models.md"


def test_the_commands_of_the_page_give_weights_that_its_plan_begins_from(
    table, tokenizer, tmp_path, call, monkeypatch
):
    text = PAGE.read_text().partition("## Pre-training")
    plan = re.findall(r"^```yaml\n(.*?)^```$", text[0], re.MULTILINE | re.DOTALL)[0]
    first, second = re.findall(r"^xaibench (.*)$", text[2].partition("\n## ")[0], re.MULTILINE)
    monkeypatch.chdir(tmp_path)
    pd.read_csv(table).to_csv("sequences.csv.gz", index=False)
    Path("tokenizer.json").write_bytes(tokenizer.read_bytes())
    Path("plan.yaml").write_text(plan)
    assert call(*shlex.split(first), "--epochs", 1)[:2] == (0, "pretrained\n")
    command, name, option, change = shlex.split(second)
    assert (command, option) == ("run", "--set")
    options = read_plan(name, changes=[change]).models["dnabert2"].options
    model = typed(load("models", "dnabert2"), options)
    words = DNABert2(classes=2, **model).bert.embeddings.word_embeddings.weight
    state = load_file("pretrained/model.safetensors")
    assert torch.equal(words, state["bert.embeddings.word_embeddings.weight"])


def test_the_page_names_the_options_of_fine_tuning_and_the_files_of_the_folder(done):
    text = PAGE.read_text()
    section = text.partition("## Fine-tuning")[2].partition("\n## ")[0]
    named = {
        name
        for row in re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)
        for name in re.findall(r"`(\w+):", row)
    }
    assert named <= {*inspect.signature(supervised).parameters}
    assert {"lora", "warm_up", "gradient_norm", "recompute"} <= named
    folder = text.partition("## Pre-training")[2].partition("## Fine-tuning")[0]
    assert all(f"`{path.name}`" in folder for path in done.iterdir())
