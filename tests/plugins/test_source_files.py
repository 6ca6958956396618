"""What a plug-in is made of: its own file and every edited module that it imports."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

OWN = """
{imported}

def centre(model, inputs, target):
    return inputs.sum(1)
"""

SHOW = """
import json, sys
from xaibench.plugins.registry import load
plugin = load("attribution", "centre", (sys.argv[1],))
print(json.dumps([plugin.code, [name for name, _ in plugin.sources]]))
"""


def shown(source: str, folder: Path) -> tuple[str, list[str]]:
    """The code and the modules of the plug-in ``centre``, told by a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    called = [sys.executable, "-c", SHOW, source]
    told = subprocess.run(called, env=environment, capture_output=True, text=True, check=True)
    code, names = json.loads(told.stdout)
    return code, names


def written(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


NUMBER = "NUMBER = {number}\n"

LAYOUTS = {
    "a module beside": ("import beside", {}, "beside.py"),
    "a name of a module": ("from beside import NUMBER", {}, "beside.py"),
    "in a function": ("def inner():\n    import beside", {}, "beside.py"),
    "by a call": ("import importlib\nother = importlib.import_module('beside')", {}, "beside.py"),
    "by a call, in a function": ("def inner():\n    __import__('beside')", {}, "beside.py"),
    "by a relative call": (
        "import parts.inner",
        {
            "parts/__init__.py": "",
            "parts/inner.py": "from importlib import import_module\n"
            "other = import_module('.other', __package__)\n",
        },
        "parts/other.py",
    ),
    "through another": (
        "import first",
        {"first.py": "from second import NUMBER\n"},
        "second.py",
    ),
    "round about": (
        "import first",
        {"first.py": "import second\n", "third.py": "import first\n"},
        "second.py",
    ),
    "a package": ("from parts.deep import inner", {"parts/__init__.py": ""}, "parts/deep/inner.py"),
    "what a package runs": ("import parts.inner", {"parts/inner.py": ""}, "parts/__init__.py"),
    "relative": (
        "from parts import inner",
        {"parts/__init__.py": "", "parts/inner.py": "from .other import NUMBER\n"},
        "parts/other.py",
    ),
    "relative, one up": (
        "import parts.deep.inner",
        {
            "parts/__init__.py": "",
            "parts/deep/__init__.py": "",
            "parts/deep/inner.py": "from .. import other\n",
        },
        "parts/other.py",
    ),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_edited_module_that_a_file_imports_makes_another_plugin(tmp_path, layout):
    imported, files, edited = LAYOUTS[layout]
    written(tmp_path, {"own.py": OWN.format(imported=imported), **files})
    written(tmp_path, {edited: NUMBER.format(number=1)})
    source = str(tmp_path / "own.py")
    before, names = shown(source, tmp_path)
    assert shown(source, tmp_path)[0] == before
    assert edited.removesuffix(".py").removesuffix("/__init__").replace("/", ".") in names
    written(tmp_path, {edited: NUMBER.format(number=2)})
    assert shown(source, tmp_path)[0] != before


def test_an_edit_within_a_second_that_keeps_the_length_is_what_runs(tmp_path):
    """Python knows what it compiled by the second and the length of its source."""
    source, shows = tmp_path / "own.py", "import sys; from xaibench.plugins.registry import load"
    shows += "\nprint(load('attribution', 'number', (sys.argv[1],)).call())"
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    for number in (1, 2):
        source.write_text(f"def number():\n    return {number}\n")
        os.utime(source, (1_000_000_000, 1_000_000_000))
        called = [sys.executable, "-c", shows, str(source)]
        told = subprocess.run(called, env=environment, capture_output=True, text=True, check=True)
        assert told.stdout == f"{number}\n"


def test_a_module_of_a_package_is_made_of_what_it_imports(tmp_path):
    written(
        tmp_path,
        {
            "mine/__init__.py": "",
            "mine/methods.py": OWN.format(imported="from . import constants"),
            "mine/constants.py": NUMBER.format(number=1),
            "mine/unrelated.py": NUMBER.format(number=1),
        },
    )
    before, names = shown("mine.methods", tmp_path)
    assert names == ["mine.methods", "mine", "mine.constants"]
    written(tmp_path, {"mine/unrelated.py": NUMBER.format(number=2)})
    assert shown("mine.methods", tmp_path)[0] == before
    written(tmp_path, {"mine/constants.py": NUMBER.format(number=2)})
    assert shown("mine.methods", tmp_path)[0] != before


def test_what_is_installed_goes_by_the_file_alone_as_before(tmp_path):
    """So artefacts of plug-ins in one file stay valid."""
    from hashlib import blake2b

    text = OWN.format(imported="import json, torch, numpy as np\nfrom xaibench import dna")
    written(tmp_path, {"own.py": text, "json_.py": "", "unimported.py": ""})
    code, names = shown(str(tmp_path / "own.py"), tmp_path)
    assert names == ["xaibench_plugin_file_own"]
    assert code == f"own.py:centre {blake2b(text.encode(), digest_size=8).hexdigest()}"


EDITABLE = """
import sys
from importlib.metadata import distribution
from xaibench.plugins.registry import available, load
print(load("attribution", "of_editable").code)
"""


@pytest.mark.parametrize("hook", [False, True])
def test_an_editable_package_is_its_sources_and_an_installed_one_its_version(tmp_path, hook):
    """As pip leaves both: metadata among the installed packages, the source elsewhere, found by a
    path or by a hook on imports."""
    source, installed = tmp_path / "src", tmp_path / "site-packages"
    written(
        source,
        {
            "edited/__init__.py": "from edited.inner import NUMBER\n\n"
            "def centre(model, inputs, target):\n    return inputs.sum(1)\n",
            "edited/inner.py": NUMBER.format(number=1),
        },
    )
    written(
        installed,
        {
            "edited-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: edited\nVersion: 1.0\n",
            "edited-1.0.dist-info/entry_points.txt": (
                "[xaibench.attribution]\nof_editable = edited:centre\n"
            ),
        },
    )
    finder = (
        "import importlib.util, sys\n"
        "class Finder:\n"
        "    @staticmethod\n"
        "    def find_spec(name, path=None, target=None):\n"
        f"        file = {str(source / 'edited/__init__.py')!r}\n"
        "        if name == 'edited':\n"
        "            return importlib.util.spec_from_file_location(\n"
        f"                name, file, submodule_search_locations=[{str(source / 'edited')!r}])\n"
        "sys.meta_path.append(Finder)\n"
    )

    def code(*places: Path) -> str:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, places))}
        script = (finder if hook else "") + EDITABLE
        told = subprocess.run(
            [sys.executable, "-c", script], env=environment, capture_output=True, text=True
        )
        assert told.returncode == 0, told.stderr
        return told.stdout.strip()

    places = [installed] if hook else [installed, source]
    before = code(*places)
    assert before.startswith("edited:centre 1.0 ")
    assert code(*places) == before
    written(source, {"edited/inner.py": NUMBER.format(number=2)})
    assert code(*places) != before
    if not hook:
        (source / "edited").rename(installed / "edited")
        assert code(installed) == "edited:centre 1.0"


PLAN = """
dataset: {name: planted, train: 64, test: 20, length: 40}
seeds: [0]
training: {epochs: 1}
models: {cnn: {filters: [4], kernels: [19]}}
attribution: {saliency: {}, centre: {}}
metrics: {auprc: {}}
sequences: 4
controlled: 2
reports: [markdown]
"""


def test_a_run_after_an_edit_of_a_helper_computes_again_and_says_why(tmp_path):
    own = "import beside\n\ndef centre(model, inputs, target):\n    return beside.scored(inputs)\n"
    helper = (
        "def scored(inputs):\n    return inputs.sum(1) * {sign} * inputs.new_ones(40).cumsum(0)\n"
    )
    written(tmp_path, {"own.py": own, "beside.py": helper.format(sign=1), "plan.yaml": PLAN})
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "OMP_NUM_THREADS": "1"}
    called = [*("run", "plan.yaml", "--plugin", "own.py", "-o", "run")]

    def run() -> str:
        told = subprocess.run(
            [sys.executable, "-m", "xaibench", *called],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        assert told.returncode == 0, told.stderr
        return told.stdout + told.stderr

    assert "changed since" not in run()
    (tmp_path / "beside.py").write_text(helper.format(sign=-1))
    told = run()
    assert "attribution.centre: beside changed since the last run; what it made is made" in told
    assert "1 of 5 tasks computed" in told
    assert "nothing to compute" in run()
