"""Whatever a plug-in, a key, a reader or the system does, the command line says one line."""

import io
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from xaibench.artefacts.artefact import save_failure
from xaibench.cli import main
from xaibench.cli.ending import _ends_in_order
from xaibench.errors import Interrupted, NotApplicable
from xaibench.progress import QUIET, VERBOSE, progress_of, verbosity
from xaibench.terminal import echo, lasting, silent, visible

COMMAND = [sys.executable, "-m", "xaibench"]

ENDS = {
    "sys.exit(0)": "SystemExit: 0",
    "os._exit(0)": "os._exit(0)",
    "raise KeyboardInterrupt": "KeyboardInterrupt",
    "raise GeneratorExit": "GeneratorExit",
    "raise type('Bad', (Exception,), {'__str__': lambda self: 1 / 0})": "cannot be made",
}


def called(capsys, *words):
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sys, "argv", ["xaibench", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
    out, err = capsys.readouterr()
    return ended.value.code, out, err


@pytest.mark.parametrize("ending", ENDS)
@pytest.mark.parametrize(
    "words",
    [
        ["run", "demo", "--dry-run"],
        ["check", "saliency"],
        ["list"],
        ["list", "models"],
        ["data", "audit", "planted"],
    ],
)
def test_a_plug_in_that_ends_the_process_is_a_line_and_exit_code_2(
    capsys, tmp_path, monkeypatch, words, ending
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ends.py").write_text(f"import os, sys\n{ending}\n")
    code, out, err = called(capsys, *words, "--plugin", "ends.py")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert ENDS[ending] in err
    assert "ends.py" in err


def test_a_plug_in_that_cannot_be_imported_is_not_half_there_afterwards(
    capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "half.py").write_text("def mine(model, inputs, target): ...\nraise SystemExit\n")
    for _ in range(2):
        code, _, err = called(capsys, "check", "mine", "--plugin", "half.py")
        assert (code, "SystemExit" in err) == (2, True)


@pytest.mark.parametrize("method", ["sys.exit(0)", "os._exit(0)", "raise KeyboardInterrupt"])
def test_a_method_that_ends_the_process_breaks_its_contract(capsys, tmp_path, monkeypatch, method):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.py").write_text(
        f"import os, sys\ndef mine(model, inputs, target):\n    {method}\n"
    )
    code, out, err = called(capsys, "check", "mine", "--plugin", "own.py")
    assert (code, err) == (1, "failed: runs\n")
    assert "BROKEN" in out


def test_what_strangers_write_moves_no_cursor():
    assert visible("a\x1b]0;owned\a\tb\n\u2066c\x9b2J\udcff\u00a0é") == (
        "a\\x1b]0;owned\\x07\tb\n\\u2066c\\x9b2J\\udcff\u00a0é"
    )


def test_a_message_with_control_characters_is_shown_without(capsys):
    code, _, err = called(capsys, "run", "\x1b[2Jdemo\u202e")
    assert (code, "\x1b" in err, "\u202e" in err) == (2, False, False)
    assert "\\x1b[2Jdemo\\u202e" in err


def test_nothing_is_written_within_silence_and_again_after_it(capsys):
    def stopped():
        with silent(), silent():
            echo("one")
            echo("two", err=True)
            raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        stopped()
    echo("three")
    assert capsys.readouterr() == ("three\n", "")


@pytest.mark.parametrize(
    "words",
    [
        ["run", "{}"],
        ["run", "demo", "-o", "{}"],
        ["report", "{}"],
        ["compare", "{}", "other"],
        ["data", "audit", "{}"],
        ["data", "fetch", "human_enhancers_cohn", "--root", "{}"],
        ["check", "{}"],
        ["list", "{}"],
        ["list", "--plugin", "{}.py"],
    ],
)
@pytest.mark.parametrize("name", ["a" * 5000, "~nosuchuser/x", "\udcff\udcfe"])
def test_a_name_that_no_disk_has_is_a_line(capsys, tmp_path, monkeypatch, words, name):
    monkeypatch.chdir(tmp_path)
    if name == "~nosuchuser/x" and "-o" in words:
        pytest.skip("a shell has replaced it where it could; here it is a folder like any other")
    monkeypatch.setattr("genomic_benchmarks.loc2seq.download_dataset", no_network)
    code, out, err = called(capsys, *(word.format(name) for word in words))
    assert (code, out, err.splitlines()[-1:]) == (2, "", [err.splitlines()[-1]])
    assert len(err) < 5000


def no_network(*_, **__):
    raise OSError("no network")


def test_a_reader_who_goes_away_ends_nothing():
    command = f"{sys.executable} -m xaibench list | head -1; exit ${{PIPESTATUS[0]}}"
    ended = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "datasets\n", "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is full")
def test_a_full_disk_behind_standard_output_is_a_line():
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            [*COMMAND, "list", "presets"], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert ended.returncode == 2
    assert ended.stderr == "xaibench: standard output cannot be written: No space left on device\n"


def test_streams_take_everything_where_nobody_reads(monkeypatch):
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as gone, monkeypatch.context() as patched:
        patched.setattr(sys, "stderr", gone)
        with lasting() as failures:
            for line in range(3):
                echo(f"line {line}", err=True)
        assert failures == []


def test_an_output_that_is_closed_is_written_to_nowhere(monkeypatch):
    """As ``>&-`` of a shell: Python has no such stream then."""
    monkeypatch.setattr(sys, "stdout", None)
    with lasting() as failures:
        echo("x")
    assert failures == []
    assert sys.stdout is None


PRESSING = """
import os, signal, sys, threading, time
from xaibench.__main__ import main

def press():
    time.sleep({after})
    for _ in range(5):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.02)

threading.Thread(target=press, daemon=True).start()
sys.argv = ["xaibench", "run", "demo"]
main()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no signals")
@pytest.mark.parametrize("after", [0.02, 0.1, 0.5, 2, 8])
def test_keys_pressed_again_and_again_are_one_line(after, tmp_path):
    words = [sys.executable, "-c", PRESSING.format(after=after)]
    ended = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 130
    said = [line for line in ended.stderr.splitlines() if "reading the data" not in line]
    assert len(said) == 1
    assert said[0].startswith("xaibench: stopped")


def test_another_key_does_not_interrupt_what_the_first_one_ends():
    ended, before = [], signal.getsignal(signal.SIGINT)

    def run():
        with _ends_in_order():
            try:
                os.kill(os.getpid(), signal.SIGINT)
            finally:
                os.kill(os.getpid(), signal.SIGINT)  # while processes are being ended
                ended.append("processes")

    try:
        with pytest.raises(Interrupted):
            run()
        os.kill(os.getpid(), signal.SIGINT)  # and while the line is written
    finally:
        signal.signal(signal.SIGINT, before)
    assert ended == ["processes"]


@pytest.mark.parametrize("level", [QUIET, VERBOSE])
def test_a_failure_shows_where_it_came_from_to_who_asks_for_it(capsys, level):
    stored = []
    store = SimpleNamespace(keep=lambda spec, write, **outcome: stored.append(outcome))
    with verbosity(level):
        try:
            _ = 1 / 0
        except ZeroDivisionError as error:
            save_failure(SimpleNamespace(store=store), {}, error)
        save_failure(SimpleNamespace(store=store), {}, NotApplicable("no layers"))
    err = capsys.readouterr().err
    assert ("test_terminal.py" in err) == (level == VERBOSE)
    assert "no layers" not in err
    assert [outcome["status"] for outcome in stored] == ["failed", "not applicable"]


def test_a_bar_has_no_colour_where_none_is_asked_for(monkeypatch):
    written = []
    for colour in ("", "1"):
        screen = io.StringIO()
        monkeypatch.setattr(screen, "isatty", lambda: True, raising=False)
        monkeypatch.setattr(sys, "stderr", screen)
        monkeypatch.setenv("TERM", "xterm-256color")
        monkeypatch.setenv("NO_COLOR", colour)
        with progress_of(1) as progress:
            progress.done("a task", 0.1)
        written.append(screen.getvalue())
    coloured = re.compile(r"\x1b\[[0-9;]*3[0-8]")
    assert [bool(coloured.search(text)) for text in written] == [True, False]
    assert "a task" in written[1]
