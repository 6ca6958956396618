"""Runs that went wrong, or whose names were meant to: every form of the report tells them."""

import hashlib
import html
import json
import re
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

from xaibench.plugins.registry import load
from xaibench.results.reading import read_results

FORMATS = ("html", "markdown", "latex")
LONG = "a_method_whose_name_has_eighty_letters_".ljust(80, "x")
SCRIPT = "<script>alert(1)</script>"
NASTY = (
    SCRIPT,
    '"><img src=x onerror=alert(1)>',
    "a|b *c* `d` [e](f) _g_",
    "50% & $x^2$ ~#{\\}",
    LONG,
)
AGAIN = """
import runpy, sys
from pathlib import Path
test = runpy.run_path(sys.argv[1])
print(test["digest"](test["files_of"](Path(sys.argv[2]), tuple(sys.argv[3:]))))
"""
VOID = {"meta", "link", "br", "hr", "img", "input", "col", "wbr"}

Writer = Callable[..., Path]
Folder = Callable[[Writer, Path], Path]


def made(**changes: object) -> Folder:
    return lambda write, folder: write(folder, operators=("uniform",), **changes)


def few(count: int, name: str = "method ") -> tuple[tuple[str, float], ...]:
    return tuple((f"{name}{k}", 1 - k / count) for k in range(count))


def nasty(write: Writer, folder: Path) -> Path:
    names = tuple((name, 0.9 - k / 10) for k, name in enumerate(NASTY))
    models = (SCRIPT, LONG.replace("method", "model"))
    about = {"operators": ("uniform",), "classes": (SCRIPT, "a&b"), "seeds": (0, 4)}
    return write(folder, models=models, quality=names, **about)


def changed(name: str, change: Callable[[pd.DataFrame], pd.DataFrame], **about: object) -> Folder:
    def make(write: Writer, folder: Path) -> Path:
        path = write(folder, operators=("uniform",), **about) / name
        if path.suffix == ".parquet":
            change(pd.read_parquet(path)).to_parquet(path)
        else:
            change(pd.read_csv(path, keep_default_na=False, na_values=[""])).to_csv(
                path, index=False
            )
        return folder

    return make


def one_curve(curves: pd.DataFrame) -> pd.DataFrame:
    """Per model: each takes a while to draw."""
    return curves[
        (curves["quantity"] == "logit_difference") & (curves["order"] == "most relevant first")
    ]


def all_undefined(estimates: pd.DataFrame) -> pd.DataFrame:
    """One metric came out NaN everywhere."""
    gone = estimates["metric"] == "auprc"
    numbers = ["mean", "low", "high", "sequences_low", "sequences_high", "effect", "rank"]
    filled = estimates.assign(sequences=estimates["sequences"].mask(gone, 0))
    filled[numbers] = filled[numbers].mask(gone)
    return filled.assign(undefined=filled["undefined"].mask(gone, 23))


def without_model(write: Writer, folder: Path) -> Path:
    """A model of the plan failed to train: it has one record and nothing else."""
    write(folder, models=("cnn", "attngen"), quality=few(3), seeds=(0, 4))
    reason = "RuntimeError: /home/somebody/models/own.py: 5% of a_b & <c> is not finite"
    records = pd.read_parquet(folder / "results.parquet")
    lost = records[records["model"] == "attngen"].iloc[:1]
    failed = lost.assign(metric="training", method="", status="failed", reason=reason, value=None)
    pd.concat([records[records["model"] != "attngen"], failed]).to_parquet(
        folder / "results.parquet"
    )
    for name in ("estimates", "curves", "training", "cost", "selftest", "agreement", "ranks"):
        path = folder / f"{name}.csv"
        table = pd.read_csv(path, keep_default_na=False, na_values=[""])
        kept = table[(table["model"] != "attngen")]
        kept = kept[kept["other"] != "attngen"] if "other" in kept else kept
        kept.to_csv(path, index=False)
    return folder


def unfinished(write: Writer, folder: Path) -> Path:
    write(folder, models=("cnn",), quality=few(2), seeds=(0,))
    told = json.loads((folder / "environment.json").read_text())
    told["unfinished"] = {"done": 3, "tasks": 8}
    (folder / "environment.json").write_text(json.dumps(told))
    return folder


STRANGE: dict[str, Folder] = {
    "names that are code": nasty,
    "one of everything": changed(
        "curves.csv",
        one_curve,
        models=("cnn",),
        quality=(("one", 0.9),),
        seeds=(3,),
        sequences=1,
        motifs=False,
    ),
    "forty methods": made(models=("cnn",), quality=few(40, LONG), seeds=(0, 4), sequences=7),
    "nine models": changed(  # more than there are colours
        "curves.csv",
        one_curve,
        models=tuple(f"model {k}" for k in range(9)),
        quality=few(2),
        seeds=(0,),
        sequences=7,
    ),
    "no controls": made(models=("cnn",), quality=few(3), controls=False, seeds=(0, 4)),
    "a metric without a value": changed(
        "estimates.csv", all_undefined, models=("cnn",), quality=few(3), seeds=(0, 4)
    ),
    "a model that was not trained": without_model,
    "a run that was stopped": unfinished,
    "no estimates": changed("estimates.csv", lambda rows: rows[:0], models=("cnn",), seeds=(0,)),
}


@pytest.fixture(scope="module", params=STRANGE, ids=list(STRANGE))
def strange(request, written, tmp_path_factory) -> tuple[str, Path, dict[str, str | bytes]]:
    """The name of a strange run, its folder, and every file of every form."""
    folder = STRANGE[request.param](written, tmp_path_factory.mktemp("strange") / "run")
    return request.param, folder, files_of(folder)


def files_of(folder: Path, formats: tuple[str, ...] = FORMATS) -> dict[str, str | bytes]:
    results = read_results(folder)
    return {
        name: content
        for form in formats
        for name, content in load("reports", form).call(results).items()
    }


def digest(files: dict[str, str | bytes]) -> str:
    found = hashlib.sha256()
    for name, content in files.items():
        found.update(name.encode() + (content.encode() if isinstance(content, str) else content))
    return found.hexdigest()


class Page(HTMLParser):
    """An HTML page whose every tag is closed where it belongs."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.handlers: list[str] = []
        self.identities: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.handlers += [name for name, _ in attrs if name.startswith("on")]
        self.identities += [value for name, value in attrs if name == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing, line {self.getpos()[0]}"
        assert self.open[-1] == tag, f"</{tag}> inside <{self.open[-1]}>, line {self.getpos()[0]}"
        self.open.pop()


@pytest.fixture(scope="module")
def plain(run_page) -> Page:
    """The page of a run without anything strange."""
    return Page(run_page)


def test_the_page_is_well_formed_and_runs_nothing_of_a_name(strange, plain):
    _, _, files = strange
    page = Page(str(files["report.html"]))
    assert page.open == []
    assert page.handlers == []
    assert page.tags.count("script") <= plain.tags.count("script")
    assert len(page.identities) == len(set(page.identities))
    assert SCRIPT not in str(files["report.html"])
    assert "<img src=x" not in str(files["report.html"])


def test_no_file_shows_a_folder_and_no_table_a_nan(strange):
    _, folder, files = strange
    for name, content in files.items():
        text = content if isinstance(content, str) else content.decode("latin-1")
        assert "/home/" not in text, name
        assert str(folder.parent) not in text, name
    told = re.sub(r"^    .*$", "", str(files["report.md"]), flags=re.MULTILINE)
    assert not re.search(r"\b(nan|inf|None)\b", told)


def test_every_row_of_a_markdown_table_has_the_cells_of_its_header(strange):
    _, _, files = strange
    bar = re.compile(r"(?<!\\)\|")
    blocks = [block for block in str(files["report.md"]).split("\n\n") if block.startswith("| ")]
    assert blocks
    for block in blocks:
        assert len({len(bar.findall(line)) for line in block.splitlines()}) == 1


def test_names_are_escaped_in_markdown(strange):
    _, _, files = strange
    told = re.sub(r"^    .*$", "", str(files["report.md"]), flags=re.MULTILINE)
    assert "<script" not in told
    assert "<img" not in told
    assert "[e](f)" not in told


def of(*names: str) -> pytest.MarkDecorator:
    """For these strange runs alone."""
    return pytest.mark.parametrize("strange", names, indirect=True)


def of_another_process(folder: Path, *formats: str) -> str:
    """The digest of a run's files in these formats, made where hashes have another seed."""
    command = [sys.executable, "-c", AGAIN, __file__, str(folder), *formats]
    known = {"OMP_NUM_THREADS": "1", "MPLBACKEND": "Agg", "PATH": "/usr/bin:/bin"}
    known["PYTHONHASHSEED"] = "11"
    again = subprocess.run(command, capture_output=True, text=True, check=True, env=known)
    return again.stdout.strip()


@of("names that are code", "one of everything")
def test_another_process_gives_the_same_bytes_in_every_form(strange):
    """Figures as files of the run with the fewest of them."""
    name, folder, files = strange
    if name == "one of everything":
        assert of_another_process(folder, "figures") == digest(files_of(folder, ("figures",)))
    else:
        assert of_another_process(folder, *FORMATS) == digest(files)


@of("forty methods")
def test_forty_methods_with_long_names_are_all_on_the_page(strange):
    text = html.unescape(re.sub(r"<[^>]+>", "", str(strange[2]["report.html"])))
    assert all(name in text for name, _ in few(40, LONG))


@of("a run that was stopped")
def test_a_stopped_run_says_so_in_every_form(strange):
    _, _, files = strange
    assert "Unfinished: 3 of 8 tasks done" in str(files["report.html"])
    assert "Unfinished: 3 of 8 tasks done" in str(files["report.md"])
    assert "The run is unfinished." in str(files["tables/leaderboard.tex"])


@of("a model that was not trained")
def test_a_model_that_was_not_trained_is_shown_with_its_reason(strange):
    _, _, files = strange
    for name in ("report.html", "report.md"):
        assert "own.py: 5% of a_b &amp; &lt;c&gt; is not finite" in str(files[name])
