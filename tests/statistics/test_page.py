"""What docs/statistics.md shows and names must be so."""

import doctest
import re
from importlib import import_module
from pathlib import Path

import pytest

from xaibench.results.schema import COLUMNS

PAGE = (Path(__file__).parents[2] / "docs" / "statistics.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS)
def test_the_examples_of_the_page_hold(block) -> None:
    examples = doctest.DocTestParser().get_doctest(block, {}, "statistics.md", None, None)
    assert examples.examples
    assert doctest.DocTestRunner().run(examples).failed == 0


def test_every_file_the_page_names_is_one_of_a_run() -> None:
    named = set(re.findall(r"`(\w+\.csv)`", PAGE))
    assert named >= {"estimates.csv", "tests.csv", "ranks.csv", "variance.csv", "detectable.csv"}
    assert named - {"estimates.csv"} <= set(COLUMNS)


@pytest.mark.parametrize(
    ("file", "columns"),
    [
        ("tests.csv", ("population", "pairs", "smallest", "correction", "p_corrected", "delta")),
        ("ranks.csv", ("critical_difference", "best")),
    ],
)
def test_every_column_the_page_names_is_one_of_its_file(file, columns) -> None:
    assert set(columns) <= set(COLUMNS[file])
    assert all(f"`{column}`" in PAGE for column in columns)


@pytest.mark.parametrize("name", re.findall(r"`((?:corrections|components)\.\w+)`", PAGE))
def test_every_function_the_page_names_is_there(name) -> None:
    module, function = name.split(".")
    assert callable(getattr(import_module(f"xaibench.statistics.{module}"), function))
