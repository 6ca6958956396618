"""Whatever a plan or a file of sequences is made of, it is read or refused in a line.

Examples are the same in every run; ``pytest -m soak tests/test_any_input.py`` tries others.
"""

import gzip

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from xaibench.data.files.reading import read_bed, read_sequence_file, read_table
from xaibench.errors import UsageError
from xaibench.plan.changes import assigned
from xaibench.plan.schema import Plan, read_any

FEW, MANY = (
    settings(
        max_examples=examples,
        derandomize=derandomised,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
    for examples, derandomised in ((60, True), (3000, False))
)

KEYS = st.sampled_from([*Plan.model_fields, "extends", "datasets", "use", "name", "x"])
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=9)
    | st.binary(max_size=4)
    | st.dates()
    | st.sampled_from(["planted", "cnn", "saliency", "deletion", "n", "../x", "quick"])
)

VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS | SCALARS, inner, max_size=3),
    max_leaves=8,
)
PLANS = st.dictionaries(KEYS, VALUES, max_size=5)

ROWS = st.lists(st.lists(st.sampled_from("ACGTN") | st.text(max_size=5), max_size=4), max_size=5)
TABLES = st.builds(
    lambda start, mark, end, rows: start + end.join(mark.join(row) for row in rows),
    st.sampled_from(["sequence,label\n", ">a b\n", "chr1\t0\t9\n", "", "sep=;\n"]),
    st.sampled_from(",\t; |\n>"),
    st.sampled_from(["\n", "\r\n", "\r"]),
    ROWS,
)
CODED = st.builds(
    lambda text, coding, mark: mark + text.encode(coding, "replace"),
    TABLES,
    st.sampled_from(["utf-8", "utf-16", "latin-1", "utf-16-le", "utf-32"]),
    st.sampled_from([b"", b"\xef\xbb\xbf", b"\x1f\x8b", b"BZh", b"PAR1", b"\0"]),
)
CONTENTS = CODED | CODED.map(gzip.compress) | st.binary(max_size=200)


def require_read_or_refused(read, *given, **how):
    line = "read"
    try:
        read(*given, **how)
    except UsageError as error:
        line = str(error)
    assert 0 < len(line) < 3000


def check_plan(folder, plan):
    path = folder / "plan.yaml"
    path.write_text(yaml.dump(plan, allow_unicode=True), encoding="utf-8", errors="surrogateescape")
    require_read_or_refused(read_any, str(path))


def check_change(word):
    require_read_or_refused(assigned, word)


def check_file(folder, content):
    path = folder / "x.csv"
    path.write_bytes(content)
    require_read_or_refused(read_sequence_file, path, sequence="sequence", label="label")
    require_read_or_refused(read_table, path)
    require_read_or_refused(read_bed, path)


@FEW
@given(plan=PLANS)
def test_any_plan_is_read_or_refused(tmp_path, plan):
    check_plan(tmp_path, plan)


@FEW
@given(word=st.text(max_size=30) | st.builds("{}={}".format, KEYS, st.text(max_size=20)))
def test_any_change_is_read_or_refused(word):
    check_change(word)


@FEW
@given(content=CONTENTS)
def test_any_file_is_read_or_refused(tmp_path, content):
    check_file(tmp_path, content)


@pytest.mark.soak
@MANY
@given(plan=PLANS, word=st.text(max_size=60), content=CONTENTS)
def test_very_many_of_each_are_read_or_refused(tmp_path, plan, word, content):
    check_plan(tmp_path, plan)
    check_change(word)
    check_file(tmp_path, content)
