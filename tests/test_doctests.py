"""The examples in docstrings. pytest's own collection would import ``models/cnn.py`` of a checkout
a second time, as ``models.cnn``, and would find no example in an installed copy."""

import doctest
from importlib import import_module
from pkgutil import iter_modules

import pytest

PACKAGES = [
    "",
    ".analysis",
    ".analysis.certainty",
    ".analysis.claims",
    ".api",
    ".artefacts",
    ".board",
    ".cli",
    ".comparison",
    ".data",
    ".data.audit",
    ".data.files",
    ".data.genomic_benchmarks",
    ".data.synthetic",
    ".dna",
    ".evaluation",
    ".explanation",
    ".export",
    ".heads",
    ".metrics",
    ".nn",
    ".nn.checks",
    ".plan",
    ".plugins",
    ".results",
    ".runs",
    ".statistics",
    ".storage",
    ".testing",
    ".models",
    ".attribution",
    ".reports",
    ".reports.content",
    ".reports.figures",
    ".reports.format",
    ".reports.rendering",
    ".reports.tables",
    ".reports.web",
]


def modules() -> list[str]:
    """Every module of the package by its own name, wherever its folder lies."""
    packages = [f"xaibench{package}" for package in PACKAGES]
    inside = [
        f"{package}.{module.name}"
        for package in packages
        for module in iter_modules(import_module(package).__path__[:1])
        if not module.ispkg and module.name != "__main__"
    ]
    return packages + inside


@pytest.mark.parametrize("module", modules())
def test_the_examples_of_a_module_hold(module):
    failed, _ = doctest.testmod(import_module(module))
    assert not failed, "the examples that failed are printed above"


def test_modules_of_every_folder_are_looked_at():
    assert {"xaibench.dna.encoding", "xaibench.data.files.file", "xaibench.models.cnn"} <= set(
        modules()
    )
    assert {"xaibench.attribution.random", "xaibench.reports.html"} <= set(modules())
