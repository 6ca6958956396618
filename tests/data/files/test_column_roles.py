"""Columns are known by their names and by what they hold."""

import pandas as pd
import pytest

from xaibench.data.files.column_roles import column_roles

SEQUENCES = ["ACGTACGTAC", "TTGACNNGTA", "GGGTTTAAAC", "ACGTTTGACA"]
SPLITS = ["train", "test", "train", "test"]


def table(**columns):
    return pd.DataFrame({name: list(map(str, each)) for name, each in columns.items()})


@pytest.mark.parametrize(
    ("columns", "roles"),
    [
        (dict(sequence=SEQUENCES, label=[0, 1, 0, 1]), {}),
        (dict(seq=SEQUENCES, Class="abab"), {"sequence": "seq", "label": "Class"}),
        (dict(dna=SEQUENCES, kind="abab"), {"sequence": "dna", "label": "kind"}),
        (dict(dna=SEQUENCES, kind="abab", other="aabb"), {"sequence": "dna"}),
        (dict(sequence=SEQUENCES, mate=SEQUENCES, label="abab"), {}),
        (dict(one=SEQUENCES, two=SEQUENCES, label="abab"), {}),
        (dict(sequence=SEQUENCES, label="abab", fold=SPLITS), {"split": "fold"}),
        (dict(sequence=SEQUENCES, label="abab", chr=[1, 2, 1, 2]), {"group": "chr"}),
        (dict(sequence=SEQUENCES, label="abab", chr=[1, 2, 1, 2], group="aabb"), {}),
        (dict(sequence=SEQUENCES * 6, y=range(24)), {"response": "y"}),
        (dict(sequence=SEQUENCES * 6, label=range(24)), {"response": "label"}),
        (dict(sequence=SEQUENCES * 6, label=[f"c{n}" for n in range(24)]), {}),
    ],
)
def test_a_column_is_known_by_its_name_or_by_what_it_holds(columns, roles):
    assert column_roles(table(**columns), known=frozenset()) == roles


def test_an_option_that_somebody_gave_stays():
    columns = table(seq=SEQUENCES, y="abab")
    assert column_roles(columns, known=frozenset({"label"})) == {"sequence": "seq"}
