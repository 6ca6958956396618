"""What is said of a release beside pyproject.toml says the same."""

import re
import tomllib
from pathlib import Path

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
    asked = [re.sub("(?=>=)", " ", each) for each in PROJECT["dependencies"]]
    on_conda = {
        f"{ON_CONDA.get(name.lower(), name.lower())} {version}"
        for name, version in (each.split() for each in asked)
    }
    assert {*RECIPE["requirements"]["run"]} == on_conda | {f"python {PROJECT['requires-python']}"}
    assert RECIPE["context"]["version"] == xaibench.__version__
    ((name, target),) = PROJECT["scripts"].items()
    assert RECIPE["build"]["python"]["entry_points"] == [f"{name} = {target}"]


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
    assert user != "root"
    extras = re.search(r"/sources\[(.*?)\]", DOCKERFILE)[1].split(",")
    assert {*extras} <= {*PROJECT["optional-dependencies"]}
