"""Every table of a run is described once, and another one is an entry and a function."""

import subprocess
import sys
from pkgutil import resolve_name

import pytest

from xaibench.results.columns import ColumnKind
from xaibench.results.schema import OF_FILE, OF_NAME, TABLES, TEXT, Question

ANOTHER = '''
import sys, types
from pathlib import Path
import pandas as pd
from xaibench.results import schema

def paces(records, estimates):
    """Rows of the new table: made of two others."""
    return pd.DataFrame({"method": ["lrp"] * len(estimates), "pace": float(len(records))})

sys.modules["own"] = types.SimpleNamespace(paces=paces)
columns = (
    schema.text_column("method", "label", "the method"),
    schema.number_column("pace", "m/s", "its pace"),
)
entry = schema.TableSchema("paces", "paces.csv", "paces", "one pace", "own:paces", columns)
schema.TABLES += (entry,)
schema.OF_NAME["paces"] = schema.OF_FILE["paces.csv"] = entry

from xaibench.evaluation.records import RecordGroup
from xaibench.results.reading import Results, _table
from xaibench.runs.pipeline import OUTPUTS
from xaibench.runs.tables import Ingredients, contents

dataset = types.SimpleNamespace(use="planted")
plan = types.SimpleNamespace(reference=None, data_seed=0, dataset=dataset)
made = Ingredients(types.SimpleNamespace(plan=plan), {}, [RecordGroup("cnn", 0)] * 3)
made._made |= {table.name: pd.DataFrame(columns=table.names) for table in schema.TABLES[1:-1]}
made._made["estimates"] = pd.DataFrame(columns=schema.columns_of("estimates"), index=range(2))
written = dict(contents(made, Path()))
Path("paces.csv").write_text(written["paces.csv"])
read = _table(Path(), entry)
assert read["pace"].tolist() == [3.0, 3.0] and read["method"].tolist() == ["lrp", "lrp"]
assert "paces.csv" in OUTPUTS and "paces" in Results.__dataclass_fields__
'''


def test_another_table_is_an_entry_and_a_function(tmp_path):
    subprocess.run([sys.executable, "-c", ANOTHER], cwd=tmp_path, check=True, timeout=60)


def test_names_and_files_of_tables_are_their_own():
    assert len(OF_NAME) == len(OF_FILE) == len(TABLES)
    for table in TABLES:
        assert len(set(table.names)) == len(table.names)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_the_function_that_makes_a_table_is_there(table):
    assert callable(resolve_name(table.made_by))


def test_a_column_is_text_in_every_table_or_in_none():
    kinds = {
        (column.name, column.kind == ColumnKind.TEXT) for each in TABLES for column in each.columns
    }
    assert {name for name, is_text in kinds if is_text} == TEXT
    assert not TEXT & {name for name, is_text in kinds if not is_text}


def test_questions_are_those_that_the_columns_allow():
    (question,) = (each for each in OF_NAME["estimates"].columns if each.name == "question")
    assert question.allowed == tuple(map(str, Question))
