"""``xaibench report DIR``: which forms it writes, and what it refuses in one line."""

import json
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest
import yaml

from xaibench import __version__
from xaibench.cli import main
from xaibench.errors import UsageError
from xaibench.results.rendering import render_reports
from xaibench.results.schema import COLUMNS

OWN = '''
def words(results, *, shout: bool = False):
    """What there is."""
    return {"own/words.txt": "HERE" if shout else "here", "own/bytes.bin": b"\\x00\\xff"}

def broken(results):
    raise RuntimeError("no such luck")
'''


@pytest.fixture(scope="module")
def small(written, tmp_path_factory) -> Path:
    about = {"models": ("cnn",), "quality": (("one", 0.9), ("two", 0.2)), "seeds": (0, 4)}
    return written(tmp_path_factory.mktemp("small") / "run", operators=("uniform",), **about)


@pytest.fixture
def folder(small, tmp_path, monkeypatch) -> Path:
    """A run in the current folder, called by a name without its path."""
    shutil.copytree(small, tmp_path / "run")
    (tmp_path / "own.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    return Path("run")


@pytest.fixture
def call(monkeypatch, capsys):
    """``call("report", ...)``: exit code, standard output and standard error."""

    def called(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["xaibench", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code, *capsys.readouterr()

    return called


def tell(folder: Path, **more: object) -> None:
    """Write into what the run says of itself."""
    path = folder / "environment.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **more}))


def test_the_formats_named_are_written_and_no_other(folder, call):
    code, out, err = call("report", "run", "--format", "latex", "--format", "markdown")
    assert (code, err) == (0, "")
    assert "run/tables/leaderboard.tex" in out.split()
    assert "run/report.md" in out.split()
    assert all((Path.cwd() / name).is_file() for name in out.split())
    assert not (folder / "report.html").exists()


def test_without_a_format_those_of_the_plan_are_written(folder, call):
    code, out, _ = call("report", "run")
    assert (code, out.split()) == (0, ["run/report.html"])


def test_the_plan_says_with_which_options(folder):
    plan = yaml.safe_load((folder / "plan.yaml").read_text())
    plan["reports"] = {"loud": {"use": "words", "shout": True}}
    (folder / "plan.yaml").write_text(yaml.safe_dump(plan))
    for formats in ((), ("loud",), ("words",)):
        render_reports(folder, ("own.py",), formats)
        assert (folder / "own" / "words.txt").read_text() == "HERE"
    assert (folder / "own" / "bytes.bin").read_bytes() == b"\x00\xff"


def test_an_option_that_the_report_has_not_is_shown(folder):
    plan = yaml.safe_load((folder / "plan.yaml").read_text())
    plan["reports"] = {"loud": {"use": "words", "shuot": True}}
    (folder / "plan.yaml").write_text(yaml.safe_dump(plan))
    with pytest.raises(
        UsageError, match=r"reports\.loud: unknown key 'shuot'; did you mean 'shout'"
    ):
        render_reports(folder, ("own.py",))


def test_an_unknown_format_is_refused_before_anything_is_written(folder, call):
    before = sorted(folder.iterdir())
    code, out, err = call("report", "run", "--format", "markdown", "--format", "latx")
    assert (code, out) == (2, "")
    assert err == "xaibench: no reports named 'latx'; did you mean 'latex'?\n"
    assert sorted(folder.iterdir()) == before


def test_a_format_that_fails_does_not_keep_the_others(folder, call):
    words = ("--plugin", "own.py", "--format", "broken", "--format", "words")
    code, out, err = call("report", "run", *words)
    assert (code, out.split()) == (1, ["run/own/words.txt", "run/own/bytes.bin"])
    assert err == "failed: report broken: run: RuntimeError: no such luck\n"


# What is no run, or none that this version can read


def emptied(folder: Path) -> str:
    for path in folder.iterdir():
        path.unlink()
    return "no run of xaibench here, the folder is empty"


def a_file(folder: Path) -> str:
    shutil.rmtree(folder)
    folder.touch()
    return "expected the folder of a run, got a file"


def other_files(folder: Path) -> str:
    emptied(folder)
    (folder / "notes.txt").touch()
    return "no run of xaibench here, plan.yaml is missing"


def nothing(folder: Path) -> str:
    shutil.rmtree(folder)
    return "expected the folder of a run, got no folder"


def broken_csv(folder: Path) -> str:
    (folder / "estimates.csv").write_text('"a,b\n1')
    return r"estimates\.csv: unreadable"


def broken_parquet(folder: Path) -> str:
    (folder / "results.parquet").write_bytes(b"PAR1 and no more")
    return r"results\.parquet: unreadable"


def broken_json(folder: Path) -> str:
    (folder / "examples.json").write_text("[{")
    return r"examples\.json: unreadable"


def of_an_older_version(folder: Path) -> str:
    tell(folder, versions={"xaibench": "0.0.7"})
    path = folder / "cost.csv"
    pd.read_csv(path).drop(columns="flat").to_csv(path, index=False)
    return rf"expected the column flat, got .*; made by xaibench 0\.0\.7, this is {__version__}: "


def of_one_without_a_table(folder: Path) -> str:
    tell(folder, versions={"xaibench": "0.0.5"})
    (folder / "rankings.csv").unlink()
    return r"rankings\.csv is missing; made by xaibench 0\.0\.5, .*or run its command again"


def of_a_newer_version(folder: Path) -> str:
    tell(folder, versions={"xaibench": "9.1"}, tables=[*COLUMNS, "causes.csv"])
    return r"holds causes\.csv, which is not known here; made by xaibench 9\.1, this is "


def spoilt(folder: Path) -> str:
    tell(folder, versions={"xaibench": __version__})
    (folder / "curves.csv").unlink()
    return f"curves.csv is missing; made by xaibench {__version__}, as this is: run its command"


def without_a_plan(folder: Path) -> str:
    emptied(folder)
    (folder / "store").mkdir()
    (folder / "store" / "data.json").write_text("{}")
    return "an unfinished run without a plan; run its command again"


REFUSED = (
    *(emptied, a_file, other_files, nothing, broken_csv, broken_parquet, broken_json),
    *(of_an_older_version, of_one_without_a_table, of_a_newer_version, spoilt, without_a_plan),
)


@pytest.mark.parametrize("spoil", REFUSED, ids=lambda spoil: spoil.__name__)
def test_what_cannot_be_read_is_one_line_and_exit_code_2(folder, call, spoil):
    told = spoil(folder)
    code, out, err = call("report", "run")
    assert (code, out) == (2, "")
    assert err.startswith("xaibench: run")
    assert err.count("\n") == 1
    assert re.search(told, err), err
