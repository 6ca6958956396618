"""Every command that a page shows is run: here, by the tests of its page, or it needs what a test
does not have, and fails without."""

import re
import shlex
import shutil
import socket
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import typer
import yaml
from safetensors.torch import save_file
from shown import PAGES, ROOT, blocks, typed
from small_networks import write_network
from small_tokenizer import write_tokenizer

import xaibench
from xaibench.cli import app
from xaibench.plan.schema import read_any
from xaibench.plugins.registry import load

COMMANDS = typer.main.get_command(app).commands

RUN_BY = {
    ("docs/data.md", "xaibench data (?!fetch)"): "test_docs.py",
    ("docs/explain.md", "xaibench explain"): "test_explain_page.py",
    ("docs/explain.md", "(modisco|finemo|cd) "): "export/test_modisco.py",
    ("docs/heads.md", "xaibench heads runs/mine (?!--summarise)"): "heads/test_command.py",
    ("docs/heads.md", "xaibench heads (my_classifier|Net|dnabert2)"): "heads/test_own_model.py",
    ("docs/heads.md", "xaibench heads scGPT_human"): "heads/test_cells.py",
    ("docs/language-models.md", "xaibench pretrain|.*=pretrained/"): "models/test_pretraining.py",
    ("docs/own-model.md", "xaibench"): "test_own_model_page.py",
    ("docs/plugins.md", "xaibench run --plugin (shallow|mine)"): "test_docs.py",
}
"""Lines of a page that the tests of that page run."""

NEEDS = {
    r"pip install|python3 -m venv|\. xai/": "an index of packages, and an environment of its own",
    r".*xaibench .*(hub:|https:| fetch )": "the network",
    r"xaibench .*--device cuda": "a graphics card",
    r"make test": "itself: it is this suite",
    r"python benchmarks/": "minutes, and the checkout",
}
"""Lines that no test runs, and what they need."""

SAYS = {
    "the network": "no network in this test|download failed .ConnectionError|APIConnectionError",
    "a graphics card": "torch has no 'cuda' on this machine",
}
"""What a command says that goes without what it needs."""


def whole_runs(page):
    """Whether a page says how its numbers were made, in hours; its plans are read by test_docs."""
    return page.startswith("docs/results/")


def needs(line):
    return next((need for lines, need in NEEDS.items() if re.match(lines, line)), "")


def run_by(page, line):
    named = (file for (of, lines), file in RUN_BY.items() if of == page and re.match(lines, line))
    return next(named, "")


LINES = [(page, line) for page in PAGES for line in typed(page) if not whole_runs(page)]
HERE = [*dict.fromkeys(line for page, line in LINES if not (run_by(page, line) or needs(line)))]
NOWHERE = [*dict.fromkeys(line for _, line in LINES if needs(line) and "xaibench " in line)]

TINY = {
    "training": {"epochs": 1},
    "seeds": [0],
    "sequences": 3,
    "controlled": 2,
    "controls": [],
    "random_draws": 2,
    "fractions": [0, 0.5, 1],
    "operators": ["uniform"],
    "metrics": ["deletion", "auprc"],
}
"""What presets and plans of these pages are cut down to."""

METHODS = ("attnlrp", "deeplift", "random")
MODELS = ("cnn", "dnabert2")
"""What pages name of presets."""
READER = {"width": 8, "layers": 1, "heads": 2, "hidden": 8}
SIZES = {
    "cnn": {"filters": [3], "kernels": [9]},
    "attngen": {"filters": [4], "kernels": [9]},
    "dnabert2": READER,
}
MOTIF = "TGACGTCATTT"
DATA = {"train": 60, "test": 24, "length": 50}


def tiny(text, *, report="latex"):
    """A plan of the same datasets, and of those models and methods that pages name, each as small
    as can be."""
    plan = yaml.safe_load(text)
    given = plan.get("attribution", ("deeplift", "random"))
    options = given if isinstance(given, dict) else {label: {} for label in given}
    plan["attribution"] = {label: options[label] for label in METHODS if label in options}
    small = plan | {key: TINY[key] for key in TINY if key != "seeds" or key in plan}
    small["reports"] = [report]  # a page takes a second
    small["models"] = {
        label: (options or {}) | SIZES.get((options or {}).get("use", label), {})
        for label, options in plan.get("models", {}).items()
        if label in MODELS or not {*MODELS} & {*plan["models"]}
    }
    for dataset in [*plan.get("datasets", {}).values(), plan.get("dataset", {})]:
        dataset.update(DATA if dataset else {})
    return yaml.safe_dump({key: value for key, value in small.items() if value != {}})


@pytest.fixture
def place(tmp_path, monkeypatch):
    """The folder of somebody who has the files that the pages name, where presets are tiny."""
    presets = tmp_path / "package" / "presets"
    presets.mkdir(parents=True)
    for path in (Path(xaibench.__file__).parent / "plan" / "presets").iterdir():
        text = tiny(path.read_text(), report="html" if path.stem == "demo" else "latex")
        (presets / path.name).write_text(text)
    for module in ("paths", "sources"):
        monkeypatch.setattr(f"xaibench.plan.{module}.files", lambda _: presets.parent)
    for name in ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XAIBENCH_GENOMIC_BENCHMARKS", str(tmp_path / "sets"))
    here = tmp_path / "here"
    (here / "runs").mkdir(parents=True)
    monkeypatch.chdir(here)
    write_files()
    return here


def write_files():
    """What the pages suppose to be there."""
    Path("my_model.py").write_text(blocks("python", "docs/own-model.md")[0])
    Path("centre.py").write_text(blocks("python", "README.md")[0])
    network = load("models", "Net", ("my_model.py",)).call
    for fold in range(3):
        torch.manual_seed(fold)
        state = network().state_dict()
        state["conv.weight"][0] = torch.stack(
            [torch.tensor([b == c for c in MOTIF]) for b in "ACGT"]
        )
        torch.save(state, f"fold{fold}.pt")
    letters = np.array(list("ACGT"))[np.random.default_rng(0).integers(0, 4, (32, 50))]
    letters[1::2, 20:31] = list(MOTIF)
    rows = {"sequence": ["".join(row) for row in letters], "label": [0, 1] * 16}
    pd.DataFrame(rows).to_csv("peaks.csv", index=False)
    Path("new.fa").write_text("".join(f">{n}\n{row}\n" for n, row in enumerate(rows["sequence"])))
    write_tokenizer(Path("tokenizer.json"))
    reader = load("models", "dnabert2").call(classes=2, tokenizer=Path("tokenizer.json"), **READER)
    save_file(reader.state_dict(), "model.safetensors")
    Path("plan.yaml").write_text(tiny(blocks("yaml", "docs/language-models.md")[0]))


def given(line):
    """Runs that a line names and no page makes: those of a colleague, of last week."""
    for name in re.findall(r"runs/(tata|ctcf|before|after)\b", line):
        shutil.copytree("runs/demo", f"runs/{name}", dirs_exist_ok=True)
    if "planted+quick" in line:
        shutil.rmtree(
            "runs/planted+quick", ignore_errors=True
        )  # each line is an example of its own
    if "runs/series" in line:
        shutil.copytree("runs/small", "runs/series/one")
        Path("runs/series/series.json").write_text('{"name": "series", "datasets": {"one": ""}}')


def words_of(line):
    """As typed; a run computes in this process."""
    _, *words = shlex.split(line.partition("xaibench")[1] + line.partition("xaibench")[2])
    return [*words, "--engine", "here"] if words[0] == "run" else words


def test_every_command_that_is_shown_runs(place, call):
    failed = {}
    for line in HERE:
        given(line)
        code, _, err = call(*words_of(line))
        if code:
            failed[line] = (code, err)
    assert failed == {}


OF_HEADS = (
    *("--engine", "here", "-o", "runs/mine", "--set", "attribution={random: {}}"),
    *("--set", f"models={{dnabert2: {READER | {'tokenizer': 'tokenizer.json'}}}}"),
)
"""The run of the page of heads."""


def test_what_no_test_runs_could_not_run(place, call, monkeypatch):
    def unreachable(*_, **__):
        raise OSError("no network in this test")

    monkeypatch.setattr(socket, "getaddrinfo", unreachable)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    assert call("run", "plan.yaml", *OF_HEADS)[0] == 0
    for line in NOWHERE:
        code, _, err = call(*words_of(line))
        assert code, f"{line}: runs, so that it needs no line in NEEDS"
        assert re.search(f"(xaibench|failed): .*({SAYS[needs(line)]})", err), err


@pytest.mark.parametrize("file", [*dict.fromkeys(RUN_BY.values())])
def test_the_tests_of_a_page_read_it(file):
    pages = [Path(page).name for (page, _), own in RUN_BY.items() if own == file]
    text = (ROOT / "tests" / file).read_text()
    assert [page for page in pages if page not in text] == []


@pytest.mark.parametrize(("page", "line"), [each for each in LINES if "xaibench " in each[1]])
def test_a_command_is_understood(page, line):
    name, *words = words_of(line)
    with COMMANDS[name].make_context(name, words):
        pass


def test_every_exception_is_shown_somewhere():
    for lines in NEEDS:
        assert any(re.match(lines, line) for _, line in LINES), lines
    for page, lines in RUN_BY:
        assert any(of == page and re.match(lines, line) for of, line in LINES), (page, lines)


FILES = (
    *("peaks.csv.gz", "peaks.bed", "hg38.fa", "enhancers.fa", "ctcf_vs_pu1.csv.gz", "sites.bed"),
    *("prom_300_tata_annotated.csv.gz", "human_or_worm_standin.csv.gz"),
    *(f"fold{fold}.npz" for fold in range(3)),
)
"""What plans on the pages name, beside what commands do."""


PLANS = [(page, block) for page in PAGES for block in blocks("yaml", page) if not whole_runs(page)]


@pytest.mark.parametrize(
    ("page", "block"),
    [each for each in PLANS if "ten-things" not in each[0] and "hub:" not in each[1]],
)  # of the former test_ten_things runs it; the latter needs the network
def test_a_plan_that_is_shown_can_be_read(page, block, place):
    for name in FILES:
        Path(name).touch()
    for name in ("my_classifier", "my_masked_model"):
        Path(name).mkdir()
        write_network(Path(name), "bert")
    needed = {"dataset": "planted", "models": ["cnn"]}
    shown = yaml.safe_load(block)
    if "datasets" in shown:
        del needed["dataset"]
    if "mine" in str(shown.get("attribution")):
        needed = yaml.safe_load(blocks("yaml", page)[0])
    if "truth" in shown:
        needed, shown = {**needed, "dataset": {"name": "planted", **shown}}, {}
    Path("shown.yaml").write_text(yaml.safe_dump(needed | shown))
    assert read_any("shown.yaml", plugins=("my_model.py",))
