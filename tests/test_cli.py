"""The words that a person types, and what comes back: text, exit code, no traceback."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest
from elsewhere import Elsewhere

from xaibench.cli.application import app, data
from xaibench.errors import UsageError
from xaibench.storage.lock import alone

PLAN = """
dataset: {name: planted, train: 120, test: 40, length: 40}
seeds: [0, 1, 2]
training: {epochs: 1}
models: {cnn: {filters: [4], kernels: [7]}}
attribution: [saliency, random]
metrics: [deletion, auprc]
sequences: 7
"""
FEW = "fractions: [0, 0.5, 1]\nrandom_draws: 2\ncontrolled: 3\ncontrols: [rotated]\n"
"""In place of what a plan says that says nothing of them."""


@pytest.fixture
def plan(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.yaml").write_text(PLAN + FEW)
    return "small.yaml"


def test_a_plan_runs_from_end_to_end_and_the_second_time_computes_nothing(call, plan, tmp_path):
    (tmp_path / plan).write_text(PLAN)
    code, out, err = call("run", plan, "--jobs", 1)
    assert (code, out.splitlines()[-1]) == (0, "runs/small/report.html")
    assert "[3/15] cnn, seed 2, training" in err
    assert (tmp_path / "runs" / "small" / "report.md").is_file()
    code, out, _ = call("run", plan, "--jobs", 1)
    assert (code, out.splitlines()[0]) == (0, "nothing to compute: all 15 tasks were there")
    code, out, _ = call("report", "runs/small")
    assert code == 0
    assert "runs/small/report.html" in out.split()


def test_a_dry_run_computes_nothing(call, plan, tmp_path):
    code, out, _ = call("run", plan, "--dry-run", "--limit", 5, "-o", "elsewhere")
    assert code == 0
    assert "5 sequences explained" in out
    assert "15 of 15 tasks to compute: 3 trainings" in out
    assert not (tmp_path / "elsewhere").exists()


def test_a_method_that_raises_fails_alone(call, plan, tmp_path):
    (tmp_path / "own.py").write_text("def careless(model, inputs, target):\n    return 1 / 0\n")
    changes = ("--set", "attribution={saliency: {}, careless: {}}", "--plugin", "own.py")
    code, out, err = call("run", plan, "--jobs", 1, *changes)
    assert code == 1
    assert out.splitlines()[-1] == "runs/small/report.html"
    assert "failed: cnn, 0, careless, deletion_logit_difference, ZeroDivisionError" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("run", "nothing.yaml"), "no plan or preset 'nothing.yaml'; known: .*demo"),
        (("run", "small.yaml", "--set", "sequence=3"), "unknown key 'sequence'; did you mean"),
        (("run", "small.yaml", "--set", "models.cnn.dropout=2"), "models.cnn.dropout: .* got 2"),
        (("run", "small.yaml", "--plugin", "no.py"), "--plugin no.py: cannot be imported"),
        (("run", "small.yaml", "--set", "dataset.length=12"), "expected at least the 19 positions"),
        (("run", "small.yaml", "--set", "models.cnn.kernels=[41]"), "the widest of .* is longer"),
        (("run", "small.yaml", "-o", "."), r"\.: expected a new folder or one of a run"),
        (("run", "small.yaml", "--set", "sequences=many", "--limit", 5), "sequences: .* 'many'"),
        (
            ("run", "small.yaml", "--set", "models.cnn.filters=[]"),
            "models.cnn.filters: .*at least 1",
        ),
        (("run", "small.yaml", "--plugin", "sys"), "--plugin sys: cannot be imported: ImportError"),
        (("report", "."), r"\.: no run of xaibench here"),
        (("report", "nowhere"), "nowhere: expected the folder of a run, got no folder"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(call, plan, words, message):
    code, out, err = call(*words)
    assert code == 2
    assert out == ""
    assert len(err.splitlines()) == 1
    assert err.startswith("xaibench: ")
    assert re.search(message, err), err


def test_an_unknown_command_or_option_is_exit_code_2(call):
    for words in (("rum",), ("run", "--limit", 0), ("run", "a", "b"), ("list", "method")):
        code, out, err = call(*words)
        assert (code, out, len(err.splitlines())) == (2, "", 1), words
        assert err.startswith("xaibench: ")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("report",), "(?i)missing argument 'folder'"),
        (("run", "--limit", "x"), "'--limit': .*valid integer"),
        (("run", "--limit", 0), "'--limit': "),
        (("run", "--lmit", 3), "[Nn]o such option.* --lmit"),
    ],
)
def test_a_wrong_word_is_named(call, words, message):
    code, out, err = call(*words)
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert re.search(message, err), err


@pytest.mark.parametrize(
    ("kind", "mend"),
    [
        ("atribution", "did you mean 'attribution'?"),
        (
            "nonsense",
            "known: datasets, models, training, attribution, metrics, operators, reports, presets",
        ),
    ],
)
def test_a_list_of_what_there_is_none_of_is_one_line_as_other_mistakes(call, kind, mend):
    assert call("list", kind) == (2, "", f"xaibench: no list of {kind!r}; {mend}\n")


@pytest.mark.parametrize("words", [(), ("data",)])
def test_help_ends_every_sentence(call, words):
    _, out, _ = call(*words, "--help")
    assert "list " in out
    assert "..." not in out.partition("Options:")[2]


def test_a_request_to_end_says_what_an_interrupt_does(call, plan, monkeypatch):
    def terminated(*arguments, **options):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(60)

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr("xaibench.runs.pipeline.run", terminated)
    code, out, err = call("run", plan)
    assert (code, out) == (143, "")
    assert err.splitlines() == ["xaibench: stopped; the same command goes on where it was"]
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_second_run_in_a_folder_is_one_line_and_exit_code_2(call, plan, tmp_path):
    with alone(tmp_path / "runs" / "small" / "store"):
        code, out, err = call("run", plan, "--jobs", 1)
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert err.startswith("xaibench: runs/small: another run is under way in this folder")


def test_a_message_of_many_lines_is_one_line(call, plan, tmp_path):
    (tmp_path / "own.py").write_text("raise RuntimeError('one\\n  two')\n")
    code, _, err = call("run", plan, "--plugin", "own.py")
    assert (code, len(err.splitlines())) == (2, 1)
    assert err.endswith("RuntimeError: one two\n")


def test_a_run_that_is_stopped_says_how_it_goes_on(call, plan, monkeypatch):
    def stopped(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("xaibench.runs.pipeline.run", stopped)
    code, out, err = call("run", plan)
    assert (code, out) == (130, "")
    assert err.strip().splitlines() == ["xaibench: stopped; the same command goes on where it was"]


@pytest.mark.parametrize(("cores", "jobs"), [(3, 3), (64, 8), (None, 1)])
def test_without_words_there_is_a_process_a_core_up_to_eight_and_one_thread(
    call, plan, monkeypatch, cores, jobs
):
    def run(work, **options):
        raise UsageError(f"jobs {options['engine'].jobs}, threads {options['threads']}")

    monkeypatch.setattr("xaibench.runs.pipeline.run", run)
    monkeypatch.setattr("os.cpu_count", lambda: cores)
    assert call("run", plan)[2] == f"xaibench: jobs {jobs}, threads 1\n"


def test_functions_of_a_file_are_listed_under_the_kinds_that_they_fit(call, plan, tmp_path):
    text = "def centre(model, inputs, target):\n    'Nearer the middle.'\n"
    (tmp_path / "own.py").write_text(text)
    _, out, _ = call("list", "--plugin", "own.py")
    assert [line.split() for line in out.splitlines() if "centre " in line] == [
        ["centre", "Nearer", "the", "middle."]
    ]


def test_no_words_at_all_are_a_call_for_help(call):
    code, out, _ = call()
    assert code == 0
    assert "Usage: " in out


def test_a_report_that_raises_is_exit_code_1(call, plan, tmp_path):
    (tmp_path / "own.py").write_text("def bad(results):\n    raise RuntimeError('boom')\n")
    own = ("--plugin", "own.py", "--jobs", 1)
    code, out, err = call("run", plan, "--set", "reports=[bad, markdown]", *own)
    assert (code, out.splitlines()[-1]) == (1, "runs/small/report.md")
    assert "failed: report bad: runs/small: RuntimeError: boom" in err
    assert call("report", "runs/small", "--plugin", "own.py")[0] == 1


def test_everything_that_can_be_named_is_listed_with_a_line(call):
    code, out, _ = call("list")
    assert code == 0
    for name in ("planted", "attngen", "deeplift", "seed_agreement", "uniform", "html", "demo"):
        line = next(line for line in out.splitlines() if line.split()[:1] == [name])
        assert len(line.split()) > 3, line
    code, out, _ = call("list", "operators")
    listed = [line.split()[0] for line in out.splitlines()]
    assert {"n", "uniform", "dinucleotide", "window"} <= set(listed)
    assert listed == sorted(listed)
    assert "broken: the plug-in 'broken'" in call("list", "attribution")[1]


def test_help_imports_nothing_heavy():
    heavy = "{'torch', 'pandas', 'captum', 'matplotlib', 'numpy', 'pydantic'}"
    code = f"import sys, xaibench.cli; sys.exit(bool({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_module_runs_as_the_command_does():
    words = [sys.executable, "-m", "xaibench", "--version"]
    finished = subprocess.run(words, capture_output=True, text=True, check=True)
    assert finished.stdout.startswith("xaibench ")


def test_the_nine_sets_are_listed_with_what_is_here(call, tmp_path):
    code, out, err = call("data", "list", "--root", tmp_path)
    assert (code, err) == (0, "")
    assert len(out.splitlines()) == 1 + 2 * 9
    assert "negative, positive" in out


def test_a_dataset_is_audited_on_the_command_line(call):
    code, out, err = call("data", "audit", "planted", "--set", "train=40", "--set", "test=20")
    assert (code, err) == (0, "")
    assert out.startswith("AUDIT: 60 sequences of 2 classes.")
    assert max(map(len, out.splitlines())) <= 100


def test_a_set_that_does_not_come_is_one_line_and_exit_code_2(call, tmp_path, monkeypatch):
    def offline(*_, **__):
        raise OSError("no network " * 60)

    monkeypatch.setattr("genomic_benchmarks.loc2seq.download_dataset", offline)
    code, out, err = call("data", "fetch", "human_enhancers_cohn", "--root", tmp_path)
    assert (code, out) == (2, "")
    said = err.splitlines()[-1]
    assert "the package's download failed (OSError: no network" in said
    assert "run `xaibench data fetch human_enhancers_cohn` where there is a network" in said
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["data", "audit", "none.csv"], "no file 'none.csv' (looked beside the plan"),
        (["data", "audit", "plantd"], "the nearest name is 'planted'"),
        (["data", "audit", "planted", "--set", "trian=9"], "dataset: unknown key 'trian'"),
        (["data", "audit", "planted", "--set", "rule=CTCF and"], "rule"),
        (["data", "fetch", "human_enhancer_cohn"], "'human_enhancers_cohn'"),
        (["check", "salience"], "'saliency'"),
        (["check", "saliency", "--set", "corect=true"], "'correct'"),
    ],
)
def test_a_mistake_about_data_or_methods_is_one_line(call, words, message):
    code, out, err = call(*words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert message in err


def test_a_device_is_where_all_is_computed(call, plan, tmp_path):
    code, _, err = call("run", plan, "--jobs", 1, "--device", "nowhere")
    assert code == 2
    assert "torch has no 'nowhere' on this machine" in err
    with Elsewhere():
        code, out, _ = call("run", plan, "--device", "cuda", "--limit", 2, "--dry-run")
    assert code == 0
    assert "on 1 process;" in out
    code, _, _ = call("run", plan, "--jobs", 1, "--device", "cpu", "--limit", 2)
    assert code == 0
    environment = (tmp_path / "runs" / "small" / "environment.json").read_text()
    assert '"device": "cpu"' in environment


# What comes before a run and after it


@pytest.mark.parametrize("page", ["index.html", "report.html", "explanations.html"])
def test_open_prints_the_page_and_opens_it_where_there_is_a_display(
    call, tmp_path, monkeypatch, page
):
    opened = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    for name in ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / page).write_text("<p>a page</p>")
    monkeypatch.setattr(sys, "platform", "linux")
    assert call("open", tmp_path) == (0, f"{tmp_path / page}\n", "")
    assert opened == []
    monkeypatch.setenv("DISPLAY", ":0")
    assert call("open", tmp_path)[0] == 0
    assert opened == [(tmp_path / page).as_uri()]


def test_of_a_series_the_page_over_all_runs_is_opened(call, tmp_path, monkeypatch):
    monkeypatch.setattr("webbrowser.open", lambda _: None)
    for page in ("report.html", "index.html"):
        (tmp_path / page).touch()
    assert call("open", tmp_path)[1] == f"{tmp_path / 'index.html'}\n"


def test_where_there_is_no_page_the_command_that_writes_one_is_named(call, tmp_path):
    code, _, err = call("open", tmp_path)
    assert code == 2
    assert f"`xaibench report {tmp_path}` writes it" in err


def test_a_list_as_json_holds_what_the_text_does(call):
    listed = json.loads(call("list", "operators", "--json")[1])["operators"]
    text = call("list", "operators")[1]
    assert listed["n"] in text
    assert len(listed) == len(text.splitlines())
    assert "metrics" in json.loads(call("list", "--json")[1])


def test_the_contract_as_json_holds_what_the_text_does(call, tmp_path):
    source = tmp_path / "flat.py"
    source.write_text("def flat(model, inputs, target):\n    return inputs[:, 0] * 0\n")
    code, out, err = call("check", "flat", "--plugin", source, "--json")
    assert code == 1
    broken = [each["name"] for each in json.loads(out) if each["held"] is False]
    assert err == "".join(f"failed: {name}\n" for name in broken)


COMMANDS = [
    *(each.name or each.callback.__name__ for each in app.registered_commands),
    *(f"data {each.name or each.callback.__name__}" for each in data.registered_commands),
]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_an_example_and_takes_quiet_and_verbose(call, name):
    name = name.replace("_", "-")
    out = call(*name.split(), "--help")[1]
    assert f"Example: xaibench {name}" in " ".join(out.split())
    assert "-q, --quiet" in out
    assert "-v, --verbose" in out


def test_quiet_leaves_results_and_failures_and_verbose_adds_epochs(call, plan, tmp_path):
    (tmp_path / "own.py").write_text("def careless(model, inputs, target):\n    return 1 / 0\n")
    changes = ("--set", "attribution={careless: {}}", "--set", "seeds=[0]", "--plugin", "own.py")
    for where in (("--jobs", 2), ("--engine", "here")):
        seeds = ("--set", "seeds=[0, 1]", "-o", where[0][2:])
        code, out, err = call("run", plan, *where, "--verbose", *changes, *seeds)
        assert code == 1
        for seed in (0, 1):
            assert f", seed {seed}, training, epoch 1 of 1: steps 1, train_loss" in err
    code, out, err = call("run", plan, "--jobs", 1, "--quiet", "-o", "again", *changes)
    assert (code, out.splitlines()[-1]) == (1, "again/report.html")
    assert {line.partition(":")[0] for line in err.splitlines()} == {"failed"}


@pytest.mark.parametrize(
    ("words", "place", "completed"),
    [("xaibench com", 1, ["compare"]), ("xaibench run --lim", 2, ["--limit"])],
)
def test_a_shell_completes_commands_and_options(call, monkeypatch, words, place, completed):
    asked = {"_XAIBENCH_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(place)}
    for name, value in asked.items():
        monkeypatch.setenv(name, value)
    code, out, err = call()
    assert (code, out.split(), err) == (0, completed, "")
