"""Words that do not come back: names and text use those of the field, and one public name has one
meaning."""

import ast
import re
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("xaibench", "models", "attribution", "reports")
SOURCES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")])
TEMPLATES = sorted([*(ROOT / "reports").rglob("*.j2"), *(ROOT / "reports").rglob("*.js")])

NAMES = {
    *("here", "told", "said", "found", "kept", "seen", "turned", "asked", "wanted", "looked_at"),
    *("course", "courses", "spoilt", "smeared", "words", "mend", "anew", "judges", "followed"),
}
"""As a whole name, with or without underscores around it: name the thing itself."""

PHRASES = {
    "in other company": "in a different batch",
    "turned round": "reverse-complemented, negated or rotated",
    "told apart": "distinguished",
    "holds 0": "includes 0",
    "hold 0": "include 0",
    "spoilt": "control map",
    "smeared": "blurred",
    "dealt out anew": "permuted",
    "drawn anew": "re-initialised",
    "sit this epoch out": "are dropped this epoch",
    "sat the epoch out": "was dropped this epoch",
    "nats a base": "nats per base",
    "number a sequence": "number per sequence",
    "row a metric": "row per metric",
    "row a sequence": "row per sequence",
    "generator a sequence": "generator per sequence",
    "wanted": "expected",
}

STREAMS = {"weights drawn anew"}
"""Parts of the key of a random stream: another would draw other numbers."""

SEVERAL = {
    "run": "the command, what Python code calls, a run and a series",
    "explain": "the command, what Python code calls, and the call of a method behind both",
    "compare": "the command, and the comparison behind it",
    "check_model": "the command, what Python code calls, and the check behind both",
    "report": "the command, and the reports behind it",
    "pretrain": "the command, and the plug-in behind it",
    "main": "the console script, and the command line that it imports once it can be interrupted",
    "Explanations": "as they are exported, and the same with what Python code does with them",
    "scores": "a plug-in that reads scores as a method, and one that exports them",
    "html": "the plug-ins that write a run and a comparison as HTML",
    "layer_norm": "the rule of DeepLIFT and that of LRP for one layer",
    "rms_norm": "the rule of DeepLIFT and that of LRP for one layer",
}
"""Public names that may be defined more than once, and why: a command's own name, plug-ins that are
found by it, and one idea in two tables."""


def nodes(path):
    return ast.walk(ast.parse(path.read_text(encoding="utf-8")))


def names_of(path):
    """Of modules, functions, classes, parameters and variables."""
    yield path.stem
    for node in nodes(path):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


def texts_of(path):
    """Strings and docstrings, and the comments."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        return [text]
    strings = [
        node.value
        for node in nodes(path)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    return [*strings, *re.findall(r"(?<!\S)# .*", text)]


def phrases_in(text):
    if text in STREAMS:
        return []
    return [phrase for phrase in PHRASES if re.search(rf"\b{phrase}\b", " ".join(text.split()))]


def where(path):
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else path.name


def banned_names(paths):
    return sorted(
        {
            f"{where(path)}: {name}"
            for path in paths
            for name in names_of(path)
            if name.strip("_") in NAMES
        }
    )


def banned_phrases(paths):
    return sorted(
        {
            f"{where(path)}: {phrase!r}, say {PHRASES[phrase]!r}"
            for path in paths
            for text in texts_of(path)
            for phrase in phrases_in(text)
        }
    )


def test_names_are_those_of_the_thing():
    assert banned_names(SOURCES) == []


def test_text_uses_the_words_of_the_field():
    assert banned_phrases([*SOURCES, *PAGES, *TEMPLATES]) == []


def public_names():
    """The modules that define each public function, class, constant and alias."""
    modules = defaultdict(set)
    for path in SOURCES:
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            targets = getattr(node, "targets", [getattr(node, "target", None)])
            named = [target.id for target in targets if isinstance(target, ast.Name)]
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                named = [node.name]
            for name in named:
                if not name.startswith("_"):
                    modules[name].add(where(path))
    return modules


def test_a_public_name_has_one_meaning():
    several = {name: sorted(at) for name, at in public_names().items() if len(at) > 1}
    assert {name: at for name, at in several.items() if name not in SEVERAL} == {}
    assert set(SEVERAL) <= set(several)


@pytest.mark.parametrize(
    ("code", "names", "phrases"),
    [
        ("def f(found, *, size): ...", ["found"], []),
        ("class _Told: ...\ndef _told(): ...", ["_told"], []),
        ("for kept, value in f(): pass", ["kept"], []),
        ('"""One generator\n    a sequence."""', [], ["generator a sequence"]),
        ("x = 1  # drawn anew", [], ["drawn anew"]),
        ('raise E(f"wanted {x}, got {y}")', [], ["wanted"]),
        ("def found_motifs(kept_rows): ...", [], []),
    ],
)
def test_what_comes_back_is_noticed(tmp_path, code, names, phrases):
    path = tmp_path / "module.py"
    path.write_text(code)
    assert banned_names([path]) == [f"module.py: {name}" for name in names]
    assert [line.split("'")[1] for line in banned_phrases([path])] == phrases
