"""Every file and folder of a run folder in turn is something else than it should be, under every
command that reads the folder: one line, or healed to the same bits; nothing outside is touched."""

import csv
import io
import json
import os
import re
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from hostile_place import emptied, line_of
from stopped_run import COMMAND, LEAN, finished, moved, own, work_of

from xaibench.comparison.side_by_side import compare
from xaibench.runs.pipeline import OUTPUTS, run
from xaibench.runs.reporting import report

Damage = Callable[[Path, Path], object]
"""Of a path, with a folder beside the run."""

BITS = [name for name in OUTPUTS if name not in ("environment.json", "cost.csv", "training.csv")]
"""The files that say nothing of time."""

NOTES = ("begun.json", "data.json", "lock", "plugins.json", "rendered.json", "seconds.json")
STORED_NOTES = [f"store/{name}" for name in NOTES]
READ = ("plan.yaml", "environment.json", "results.parquet", "estimates.csv", "examples.json")
HTML = "<script>alert(1)</script>\x1b[2J\u202e"


def link_to_file(path: Path, outside: Path) -> None:
    emptied(path).symlink_to(outside / "victim")


def link_to_itself_elsewhere(path: Path, outside: Path) -> None:
    """The true content, but outside."""
    if os.path.lexists(path):
        path.rename(outside / "moved")
    else:
        (outside / "moved").write_text("{}")
    path.symlink_to(outside / "moved")


def link_to_folder(path: Path, outside: Path) -> None:
    emptied(path).symlink_to(outside / "folder")


def folder_with_files(path: Path, _: Path) -> None:
    emptied(path).mkdir()
    (path / "inside").touch()


def content(written: bytes) -> Damage:
    return lambda path, _: emptied(path).write_bytes(written)


LINKS: dict[str, Damage] = {
    "link to a file": link_to_file,
    "link to the true one": link_to_itself_elsewhere,
    "link to a folder": link_to_folder,
    "dangling link": lambda path, _: emptied(path).symlink_to("absent"),
    "link loop": lambda path, _: emptied(path).symlink_to(path.name),
}
IN_THE_WAY: dict[str, Damage] = {
    "folder": folder_with_files,
    "empty folder": lambda path, _: emptied(path).mkdir(),
}
NO_FILES = {**LINKS, **IN_THE_WAY, "pipe": lambda path, _: os.mkfifo(emptied(path))}
CONTENTS: dict[str, Damage] = {
    "empty": content(b""),
    "null bytes": content(bytes(5000)),
    "random": content(bytes(37 * k % 251 for k in range(3000))),
    "other encoding": content('{"a": "é"}'.encode("latin-1")),
    "deep lists": content(b"[" * 100_000 + b"]" * 100_000),
    "deep objects": content(b'{"a":' * 100_000),
    "NaN": content(b"NaN"),
    "null": content(b"null"),
    "list": content(b"[]"),
    "text": content(b'"\\ud800"'),
    "long number": content(b"1" * 6000),
}
DAMAGES = {**NO_FILES, **CONTENTS}


def with_values(value: object) -> Damage:
    """A file of JSON or YAML whose every leaf is this."""

    def replaced(inner: object) -> object:
        if isinstance(inner, dict):
            return {name: replaced(each) for name, each in inner.items()}
        return [replaced(each) for each in inner] if isinstance(inner, list) else value

    return lambda path, _: path.write_text(json.dumps(replaced(yaml.safe_load(path.read_text()))))


VALUES: dict[str, Damage] = {
    repr(value): with_values(value)
    for value in (None, -1, 10**30, float("nan"), "", HTML, "../victim", [], {"a": {}})
}


def cells(value: str) -> Damage:
    """A table of these alone, with three rows."""

    def damage(path: Path, _: Path) -> None:
        names = next(csv.reader(path.read_text().splitlines()))
        text = io.StringIO()
        csv.writer(text).writerows([names, *[[value] * len(names)] * 3])
        path.write_text(text.getvalue())

    return damage


TABLES: dict[str, Damage] = {
    **{f"cells {value[:9]}": cells(value) for value in ("", "nan", "inf", "-1", "1" * 400, HTML)},
    "other columns": content(b"a,b,a\n1,2,3\n"),
    "very many columns": content(b"c" + b",c" * 100_000 + b"\n"),
    "an open quote": content(b'"' + b"x" * 10**6),
}


def bomb(path: Path, _: Path) -> None:
    """A hundred million values in some kilobytes."""
    block = pa.table({"value": pa.repeat(pa.scalar(1.0), 10**6)})
    with pq.ParquetWriter(path, block.schema, compression="zstd") as writer:
        for _ in range(100):
            writer.write_table(block)


PARQUET: dict[str, Damage] = {
    "other columns": lambda path, _: pq.write_table(pa.table({"a": [1]}), path),
    "other types": lambda path, _: pq.write_table(
        pa.table({name: ["x"] * 3 for name in pq.read_schema(path).names}), path
    ),
    "bomb": bomb,
}


@pytest.fixture(scope="module")
def unchecked(whole, tmp_path_factory):
    """A finished run without the digests of its tables, so that changed ones are read."""
    folder = moved(whole, tmp_path_factory.mktemp("unchecked"))
    (folder / "store" / "rendered.json").unlink()
    return folder


def _artefact_files(run: Path) -> list[str]:
    """A file of one artefact of each kind, in turn the specification and what it holds."""
    by_kind = {path.name.rpartition("-")[0]: path for path in sorted((run / "store").glob("*-*"))}
    files = [sorted(folder.iterdir())[-k % 2] for k, folder in enumerate(by_kind.values())]
    return [str(path.relative_to(run)) for path in files]


BOTH = {
    "report": lambda copy, _: report(copy),
    "compare": lambda copy, whole: compare([copy, whole]),
}
"""The commands that read the tables; the damaged ones first, for the others are whole."""


@pytest.mark.parametrize("damage", NO_FILES.values(), ids=NO_FILES)
def test_a_table_that_is_no_file_is_one_line(whole, place, damage):
    for name in (*READ, "predictions.parquet"):
        copy = place.damaged(whole, name, damage)
        for command in BOTH.values():
            line = line_of(partial(command, copy, whole))
            assert re.match(rf"{copy / name}: .*(is a link|is a folder|is no regular)", line)
        place.check()


@pytest.mark.parametrize("damage", CONTENTS.values(), ids=CONTENTS)
def test_a_table_with_other_content_is_one_line(whole, place, damage):
    for name in READ:
        copy = place.damaged(whole, name, damage)
        for command in BOTH.values():
            assert line_of(partial(command, copy, whole)).startswith(f"{copy / name}: ")
        place.check()


@pytest.mark.parametrize("damage", PARQUET.values(), ids=PARQUET)
def test_records_of_another_table_or_of_a_hundred_million_rows_are_one_line(whole, place, damage):
    copy = place.damaged(whole, "results.parquet", damage)
    assert re.match(rf"{copy}/results.parquet: .*expected ", line_of(lambda: report(copy)))


@pytest.mark.parametrize("damage", TABLES.values(), ids=TABLES)
def test_a_csv_table_of_anything_is_one_line_or_text(unchecked, place, damage):
    for name in ("estimates.csv", "curves.csv"):
        copy = place.damaged(unchecked, name, damage)
        line = line_of(lambda: report(copy, formats=("html",)))  # noqa: B023
        assert not line or line.startswith(f"{copy / name}: ")
        if not line:
            assert "<script>alert(1)" not in (copy / "report.html").read_text()
        place.check()


@pytest.mark.parametrize("name", ["environment.json", "examples.json"])
@pytest.mark.parametrize("damage", VALUES.values(), ids=VALUES)
def test_values_of_any_kind_are_one_line_or_text(unchecked, whole, place, name, damage):
    copy = place.damaged(unchecked, name, damage)
    for command in BOTH.values():
        assert "\n" not in line_of(partial(command, copy, whole))
    place.check()


@pytest.mark.parametrize("change", [{"training": 7}, {"models": {"cnn": 7}}])
def test_what_only_a_comparison_trips_over_is_one_line_that_names_the_runs(
    unchecked, whole, place, change
):
    def damage(path: Path, _: Path) -> None:
        path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **change}))

    copy = place.damaged(unchecked, "plan.yaml", damage)
    line = line_of(lambda: compare([whole, copy]))
    assert line.startswith(f"{whole}, {copy}: cannot be compared, for one of them is not as")
    assert line.endswith("; run their commands again")


@pytest.mark.parametrize("damage", NO_FILES.values(), ids=NO_FILES)
def test_a_store_that_is_no_folder_is_refused_and_not_written_through(whole, place, damage):
    if damage in IN_THE_WAY.values():
        pytest.skip("a store is a folder")
    copy = place.damaged(whole, "store", damage)
    for command in (*BOTH.values(), lambda copy, _: finished(copy, LEAN)):
        line = line_of(partial(command, copy, whole))
        assert re.match(rf"{copy}/store: is (a link|no folder), expected .*; move ", line)
    place.check()


def test_a_folder_that_is_a_link_to_itself_is_no_run(whole, tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    for command in BOTH.values():
        line = line_of(partial(command, tmp_path / "loop", whole))
        assert line.endswith("expected the folder of a run, got no folder")


# A run goes on in the folder


HEALED = [
    *("link to the true one", "link to a folder", "link loop", "folder", "pipe"),
    *("empty", "random", "deep lists", "null"),
]
"""One of each kind that a run meets, for each computes again."""


@pytest.mark.parametrize("damage", [DAMAGES[name] for name in HEALED], ids=HEALED)
def test_a_run_makes_again_what_is_damaged(whole, place, damage):
    """All at once: every table, every note of the store, and a file of every artefact."""

    def everything(copy: Path, outside: Path) -> None:
        in_the_way = damage in IN_THE_WAY.values()
        notes = (
            [] if in_the_way else [*READ, *(name for name in STORED_NOTES if "lock" not in name)]
        )
        for number, name in enumerate((*notes, *_artefact_files(copy))):
            (outside / str(number)).mkdir()
            shutil.copy(outside / "victim", outside / str(number))
            damage(copy / name, outside / str(number))

    copy = place.damaged(whole, ".", everything)
    (copy / "report.md").unlink()
    assert finished(copy, LEAN).failures == []
    for name in BITS:
        assert (copy / name).read_bytes() == (whole / name).read_bytes(), name
    place.check()


def test_processes_neither_follow_links_nor_wait_for_pipes(halfway, whole, place):
    """A stranger's folder goes on in two of them: artefacts, and trainings that were cut."""

    def everything(copy: Path, _: Path) -> None:
        for number, name in enumerate(_artefact_files(copy)):
            (NO_FILES["pipe"] if number % 2 else link_to_file)(copy / name, place.outside)
        one, other = sorted((copy / "store").glob("model-*"))
        training = copy / "store" / f".training-{one.name}"
        training.mkdir()
        os.mkfifo(training / "state.safetensors")
        (copy / "store" / f".training-{other.name}").symlink_to(place.elsewhere)
        shutil.rmtree(one)
        shutil.rmtree(other)

    copy = place.damaged(halfway, ".", everything)
    outcome = run(work_of(copy, LEAN), jobs=2, threads=1, command=COMMAND)
    assert outcome.failures == []
    for name in BITS:
        assert (copy / name).read_bytes() == (whole / name).read_bytes(), name


TO_MOVE_AWAY = ("plan.yaml", "estimates.csv", *STORED_NOTES)


@pytest.mark.parametrize("name", TO_MOVE_AWAY)
def test_a_folder_in_the_place_of_a_file_says_what_to_move_away(whole, place, name):
    copy = place.damaged(whole, name, folder_with_files)
    (copy / "report.md").unlink()
    line = line_of(lambda: finished(copy, LEAN))
    assert f"{copy / name}: " in line
    assert "is a folder, expected a file; move it away" in line


def test_where_they_are_moved_away_the_run_goes_on(whole, place):
    def everything(copy: Path, _: Path) -> None:
        for name in TO_MOVE_AWAY:
            (copy / name).unlink(missing_ok=True)

    copy = place.damaged(whole, ".", everything)
    (copy / "report.md").unlink()
    assert finished(copy, LEAN).failures == []
    for name in BITS:
        assert (copy / name).read_bytes() == (whole / name).read_bytes(), name


# A report of an unfinished run


@pytest.mark.parametrize("damage", NO_FILES.values(), ids=NO_FILES)
def test_a_report_of_an_unfinished_run_names_what_is_damaged(halfway, place, damage):
    def everything(copy: Path, outside: Path) -> None:
        for number, name in enumerate(_artefact_files(copy)):
            (outside / str(number)).mkdir()
            damage(copy / name, outside / str(number))

    copy = place.damaged(halfway, ".", everything)
    _, failures = report(copy, own(copy), formats=("large",))
    assert len(failures) == len(_artefact_files(copy))
    assert all("is damaged" in failure for failure in failures)
    place.check()


@pytest.mark.parametrize("name", ["plan.yaml", "store/begun.json"])
@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_an_unfinished_run_without_its_plan_or_call_is_one_line(halfway, place, name, damage):
    copy = place.damaged(halfway, name, damage)
    assert str(copy / name) in line_of(lambda: report(copy, own(copy)))
    place.check()
