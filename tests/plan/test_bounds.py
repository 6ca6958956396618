"""A plan that explodes is refused in seconds, with the number that came, before anything starts."""

import json
import os
import time

import pytest

from xaibench.errors import UsageError
from xaibench.plan.changes import assigned
from xaibench.plan.schema import read_any, read_plan

BASE = """
dataset: {name: planted, train: 64, test: 20, length: 40}
models: [cnn]
attribution: [saliency, random]
metrics: [deletion]
"""

SECONDS = 60
"""On a busy machine; an idle one takes five at most, of a million values."""


def nested(first: str, again: str) -> str:
    lines = [f"a0: &a0 {first}"]
    for level in range(1, 10):
        inner = ", ".join(again.format(f"*a{level - 1}", each) for each in range(9))
        lines.append(f"a{level}: &a{level} {first[0]}{inner}{first[-1]}")
    return "\n".join(lines)


LIST, MAPPING = nested("[x, x]", "{0}"), nested("{x: 1}", "k{1}: {0}")

PLANS = {
    "lists": (BASE + LIST, r"expected at most 100,000 values, got [\d,]{13}"),
    "mappings": (BASE + MAPPING, r"expected at most 100,000 values, got [\d,]{13}"),
    "models": (f"{LIST}\nmodels: *a9\ndataset: planted", "expected at most 100,000 values"),
    "merged": (BASE + nested("{x: 1}", "<<: {0}, k{1}: 1"), "100,000 values|twice"),
    "itself": (f"{BASE}b: &b [*b]", r"expected an end, got \*b within itself"),
    "itself in a section": (BASE.replace("[cnn]", "&m {cnn: *m}"), r"got \*m within itself"),
    "brackets": (f"{BASE}b: {'[' * 10_000}{']' * 10_000}", "expected at most 50 levels"),
    "levels": (BASE + "".join(f"{' ' * k}k{k}:\n" for k in range(3000)), "at most 50 levels"),
    "long": (f"{BASE}b: {'a' * 10_000_000}", "expected a plan of at most 10,000,000 characters"),
    "seeds": (f"{BASE}seeds: {[*range(10**6)]}", r"100,000 values, got 1,000,0\d\d"),
    "fewer seeds": (f"{BASE}seeds: {[*range(50_000)]}", "100,000 tasks, got 250,000"),
    "models and methods": (
        "dataset: planted\nmetrics: [deletion]\n"
        + "models: {" + ", ".join(f"m{k}: {{use: cnn}}" for k in range(1000)) + "}\n"
        + "attribution: {" + ", ".join(f"a{k}: {{use: saliency}}" for k in range(1000)) + "}",
        "100,000 tasks, got 3,009,000 .1,000 models, 3 seeds, 1,000 methods",
    ),
    "operators": (
        BASE
        + f"seeds: {[*range(1000)]}\n"
        + "operators: {" + ", ".join(f"o{k}: {{use: n}}" for k in range(500)) + "}",
        "tasks x operators, got 2,500,000",
    ),
    "a seed": (f"{BASE}seeds: [{2**63}]", "seeds: expected an integer below 2.63, got one of 19"),
    "a long seed": (f"{BASE}data_seed: {'9' * 5000}", "4300|integer"),
    "epochs": (f"{BASE}training: {{epochs: 1{'0' * 30}}}", "below 2.63, got one of 31 digits"),
    "fewer epochs": (f"{BASE}training: {{epochs: 1000000000000}}", "100000, got 1000000000000"),
    "draws": (f"{BASE}random_draws: 1000000000", "1000, got 1000000000"),
    "filters": (BASE.replace("[cnn]", "{cnn: {filters: [1000000000]}}"), "10000, got 1000000000"),
    "a null": (f'{BASE}extends: "a\\0"', r"extends: expected text, got 'a\\x00'"),
    "a null in a path": (BASE.replace("64", r'"a\0"'), r"dataset.train: expected text"),
    "half a pair": (BASE.replace("64", r'"\ud800"'), r"train: expected text, got '\\ud800'"),
}  # fmt: skip


@pytest.mark.parametrize("name", PLANS)
def test_what_explodes_is_refused_with_the_number_that_came(name, tmp_path):
    text, message = PLANS[name]
    path = tmp_path / "plan.yaml"
    path.write_text(text)
    began = time.monotonic()
    with pytest.raises(UsageError, match=message) as refused:
        read_any(str(path))
    assert len(str(refused.value)) < 3000
    assert time.monotonic() - began < SECONDS


FILES = {
    **{f"{name}.yaml": PLANS[name][0].encode() for name in ("lists", "itself", "levels", "a seed")},
    "tag.yaml": b"dataset: planted\nx: !!python/object/apply:os.mkdir [PWNED]\n",
    "extends_a_pipe.yaml": b"extends: pipe.yaml\n",
    "data_are_a_pipe.yaml": b"dataset: {name: file, path: pipe.yaml}\nmodels: [cnn]\n",
    "null.yaml": b"a: \0",
    "latin.yaml": b"dataset: caf\xe9",
    "empty.yaml": b"",
    **dict.fromkeys(["pipe.yaml", "folder.yaml", "loop.yaml", "dangling.yaml", "sparse.yaml"], b""),
}
COMMANDS = [("run", "--dry-run"), ("data", "audit"), ("check-model", "cnn", "--sequences")]


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile")
    for name, content in FILES.items():
        (folder / name).write_bytes(content)
    for name in ("pipe", "folder", "loop", "dangling"):
        (folder / f"{name}.yaml").unlink()
    os.mkfifo(folder / "pipe.yaml")
    (folder / "folder.yaml").mkdir()
    (folder / "loop.yaml").symlink_to("loop.yaml")
    (folder / "dangling.yaml").symlink_to("absent.yaml")
    with (folder / "sparse.yaml").open("wb") as file:
        file.truncate(2**40)
    return folder


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("name", FILES)
def test_a_hostile_plan_is_one_line_for_every_command_that_reads_it(
    hostile, call, monkeypatch, name, command
):
    monkeypatch.chdir(hostile)
    code, out, err = call(*command, name)
    assert (code, out) == (2, "")
    assert len([line for line in err.splitlines() if "reading the data" not in line]) == 1
    assert {path.name for path in hostile.iterdir()} == {*FILES}


def test_plans_that_extend_each_other_twice_are_not_read_for_ever(tmp_path):
    for k in range(30):
        (tmp_path / f"p{k}.yaml").write_text(f"extends: [p{k + 1}.yaml, p{k + 1}.yaml]\n")
    (tmp_path / "p30.yaml").write_text(BASE)
    with pytest.raises(UsageError, match="at most 100 plans in all"):
        read_any(str(tmp_path / "p0.yaml"))
    with pytest.raises(UsageError, match="at most 100 plans in all"):
        read_any("demo" + "+quick" * 200)


def test_a_large_file_that_is_no_plan_is_not_read(tmp_path):
    path = tmp_path / "genome.fa"
    with path.open("wb") as file:
        file.truncate(10**9)
    with pytest.raises(UsageError, match="got a file of 1,000,000,000 bytes"):
        read_any(str(path))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("a" + ".a" * 10_000 + "=1", "at most 50 keys"),
        ("x=" + "[" * 10_000, "at most 50 levels"),
        ("x={a: &a [*a]}", "within itself"),
        ("data_seed=" + "9" * 40, "data_seed: expected an integer below 2^63, got one of 40"),
        ("x=\udcff", "expected text in UTF-8"),
        ("\udcff=1", "expected text"),
    ],
)
def test_a_change_explodes_no_more_than_a_plan(change, message):
    with pytest.raises(UsageError) as refused:
        assigned(change)
    assert message in str(refused.value)


LABELS = {
    "=1+1": "spreadsheets",
    "+x": "spreadsheets",
    "-x": "spreadsheets",
    "@x": "spreadsheets",
    "\tx": "control",
    "\rx": "control",
    "a\nb": "line ends",
    "\x1b]0;owned\x07": "control",
    "\u202egnp.exe": "control",
    "a\u200bb": "control",
    r"$\frac{x$ \input{/etc/passwd}": "path",
    "/home/ada/x": "path",
    "~ada/x": "path",
    "C:\\ada": "path",
    "a path:/x": "path",
    " x": "blanks",
    "x ": "blanks",
    "": "1 to 100",
    "a" * 101: "1 to 100",
}


@pytest.mark.parametrize("section", ["models", "attribution", "metrics", "operators", "datasets"])
@pytest.mark.parametrize("label", LABELS)
def test_labels_that_act_where_they_are_shown_are_refused(section, label, tmp_path):
    import yaml

    plan = yaml.safe_load(BASE)
    uses = {"models": "cnn", "attribution": "saliency", "metrics": "deletion", "operators": "n"}
    if section == "datasets":
        del plan["dataset"]
        plan["datasets"] = {label: {"name": "planted"}}
    else:
        plan[section] = {label: {"use": uses[section]}}
    path = tmp_path / "plan.yaml"
    path.write_text(yaml.safe_dump(plan, allow_unicode=False))
    with pytest.raises(UsageError, match=f"{section}: expected (a label|labels)") as refused:
        read_any(str(path))
    assert str(refused.value).isprintable()


@pytest.mark.parametrize(
    "label",
    [
        "<script>alert(1)</script>",
        "broken & 100%",
        "a|b *c* [d](e)",
        "3/4",
        "runs/demo",
        "../x",
        "https://x.org/y",
        r"$\frac{x}$",
        "a = b - c",
        "Größe 漢字",
        "x" * 100,
    ],
)
def test_other_labels_are_what_people_like(label, tmp_path):
    path = tmp_path / "plan.yaml"
    path.write_text(BASE.replace("[cnn]", f"{{{json.dumps(label)}: {{use: cnn}}}}"))
    assert list(read_plan(str(path)).models) == [label]


@pytest.mark.parametrize("label", ["index.html", "overview.csv", "Series.JSON"])
def test_a_dataset_is_not_called_like_a_file_of_the_series(label, tmp_path):
    path = tmp_path / "plan.yaml"
    path.write_text(f"datasets: {{{label}: {{name: planted}}}}\nmodels: [cnn]\n")
    with pytest.raises(UsageError, match="another label than"):
        read_any(str(path))


def test_a_large_plan_that_can_be_run_is_a_plan(tmp_path):
    path = tmp_path / "plan.yaml"
    path.write_text(f"{BASE}seeds: {[*range(2**63 - 10_000, 2**63)]}\n")
    assert len(read_plan(str(path)).seeds) == 10_000
