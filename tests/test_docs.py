"""What docs/plugins.md says must work as it is typed."""

import re
from pathlib import Path

import pytest

from xaibench.cli import main as command_line
from xaibench.registry import load
from xaibench.testing import check_attribution

PLUGINS = (Path(__file__).parent.parent / "docs" / "plugins.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PLUGINS, flags=re.MULTILINE | re.DOTALL)


def test_the_five_lines_are_checked_as_shown(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("centre.py").write_text(blocks("python")[0])
    command = next(line for line in blocks("sh") if line.startswith("xaibench check"))
    monkeypatch.setattr("sys.argv", command.split())
    with pytest.raises(SystemExit, match="0"):
        command_line()
    assert capsys.readouterr().out == blocks("text")[0]


def test_the_method_with_an_option_is_sound(tmp_path):
    source = tmp_path / "noisy.py"
    source.write_text(blocks("python")[1])
    method = load("attribution", "noisy_gradient", (str(source),)).call
    assert all(check.held is not False for check in check_attribution(method))


def test_a_broken_method_is_named_and_ends_with_exit_code_one(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("flat.py").write_text("def flat(model, inputs, target):\n    return inputs[:, 0] * 0\n")
    monkeypatch.setattr("sys.argv", ["xaibench", "check", "flat", "--plugin", "flat.py"])
    with pytest.raises(SystemExit, match="1"):
        command_line()
    out, err = capsys.readouterr()
    assert "BROKEN  tells positions apart" in out
    assert err == "failed: tells positions apart\n"
