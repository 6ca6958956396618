"""Pre-training from Python is that of the command."""

import pytest

pytest.importorskip("tokenizers")

from small_tokenizer import write_tokenizer

import xaibench
from xaibench.errors import UsageError

SMALL = {"width": 4, "layers": 1, "heads": 2, "hidden": 3, "epochs": 2}


def test_it_gives_the_files_of_the_command_and_its_history(tmp_path, call, capsys):
    tokenizer = write_tokenizer(tmp_path / "tokenizer.json")
    table = tmp_path / "sequences.csv"
    table.write_text("sequence\n" + "".join(f"ACGT{'ACG' * n}TTGCA\n" for n in range(1, 23)))
    made = xaibench.pretrain(
        table, tokenizer=tokenizer, folder=tmp_path / "here", quiet=True, **SMALL
    )
    assert capsys.readouterr() == ("", "")
    words = [word for name, size in SMALL.items() for word in (f"--{name}", size)]
    code, *_ = call("pretrain", table, "--tokenizer", tokenizer, "-o", tmp_path / "there", *words)
    assert code == 0
    by_command = xaibench.Pretraining.read(tmp_path / "there")
    assert made.weights.read_bytes() == by_command.weights.read_bytes()
    kept = made.to_frame().drop(columns="seconds")
    assert kept.equals(by_command.to_frame().drop(columns="seconds"))
    assert kept["epoch"].tolist() == [1, 2]
    lines = made.plot().axes[0].lines
    drawn = {tuple(line.get_ydata()) for line in lines}
    assert {tuple(kept[name]) for name in ("train_loss", "held_out_loss", "unigram_loss")} <= drawn


def test_a_mistake_is_one_line(tmp_path):
    with pytest.raises(UsageError, match="holds no pre-training; expected a file history"):
        xaibench.Pretraining.read(tmp_path)
    with pytest.raises(UsageError, match="widht"):
        xaibench.pretrain([], tokenizer="t", folder=tmp_path / "new", widht=3)
    assert not (tmp_path / "new").exists()
