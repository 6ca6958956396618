import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from xaibench.results.joining import rows_joined


def piece(names: list[str | None], categories: list[str], start: int) -> pd.DataFrame:
    sequence = pd.Categorical(names, pd.Index(categories, dtype="str"))
    numbers = range(start, start + len(names))
    return pd.DataFrame({"sequence": sequence, "value": [0.5 * k for k in numbers], "seed": 3})


ONE, SAME, OTHER = (
    piece(["b", "a", "b"], ["b", "a"], 0),
    piece(["a"], ["b", "a"], 3),
    piece(["c", None, "a", "d", "c"], ["c", "a", "d"], 4),
)


def test_categories_are_those_of_all_pieces_as_they_appear():
    table = rows_joined([ONE, SAME, OTHER])
    expected = piece(["b", "a", "b", "a", "c", None, "a", "d", "c"], ["b", "a", "c", "d"], 0)
    assert_frame_equal(table, expected)


def test_one_piece_is_the_table():
    assert_frame_equal(rows_joined([OTHER]), OTHER)


@pytest.mark.parametrize("more", [127, 128, 200])
def test_codes_are_wide_enough_for_all_categories(more):
    names = [f"name {k}" for k in range(more)]
    table = rows_joined([ONE, piece([*names], names, 3), OTHER])
    assert table["sequence"].astype("str").tolist()[3:-5] == names
    assert table["sequence"].astype("str").tolist()[-5::2] == ["c", "a", "c"]


def test_text_that_is_in_no_categories_stays_so():
    plain = [each.astype({"sequence": "str"}) for each in (ONE, SAME)]
    assert_frame_equal(rows_joined(plain), pd.concat(plain, ignore_index=True))
