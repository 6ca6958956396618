"""Whatever is damaged in a run folder is named, set aside and made again, to the same bits."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from stopped_run import BRIEF, COMMAND, LEAN, brief, finished, lean, lean_halfway, own, work_of

from xaibench.comparison.side_by_side import compare
from xaibench.errors import UsageError
from xaibench.results.manifest import mark
from xaibench.runs import pipeline as running
from xaibench.runs.elapsed import seconds_of
from xaibench.runs.folder import is_rendered
from xaibench.runs.pipeline import OUTPUTS
from xaibench.runs.reporting import report
from xaibench.storage.artefacts import DAMAGED

Damage = Callable[[Path], object]
BITS = [name for name in OUTPUTS if name not in ("environment.json", "cost.csv", "training.csv")]
"""The files that say nothing of time."""


def flip(path: Path) -> None:
    """One bit in the middle, with size and times kept; of a digit, so that a table stays one."""
    times = path.stat()
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    digits = (k for k in range(middle, len(content)) if content[k] in b"0123456789")
    content[next(digits, middle)] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def cut_at_the_top(path: Path) -> None:
    path.write_bytes(path.read_bytes().partition(b"\n")[2])


def to_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def to_link(path: Path) -> None:
    path.rename(path.with_name("moved"))
    path.symlink_to(path.with_name("moved"))


def to_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


DAMAGES: dict[str, Damage] = {
    "flipped": flip,
    "truncated": truncate,
    "emptied": lambda path: path.write_bytes(b""),
    "deleted": lambda path: path.unlink(),
    "garbage": lambda path: path.write_bytes(b"\x80\x04garbage." * 9),
    "longer": lambda path: path.write_bytes(path.read_bytes() + b"\0"),
    "a folder": to_folder,
    "a link": to_link,
    "a pipe": to_pipe,
}

ARTEFACTS = {
    "curve": "curve-*/arrays.safetensors",
    "explanation": "explained-*/arrays.safetensors",
    "weights": "model-*/weights.safetensors",
    "card": "model-*/card.json",
    "floor": "floor-*/floor.json",
    "spec": "curve-*/spec.json",
    "predictions": "predictions-*/spec.json",
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return brief(tmp_path_factory)


@pytest.fixture(scope="module")
def halfway(tmp_path_factory):
    return lean_halfway(tmp_path_factory)


@pytest.fixture
def copy(whole, tmp_path):
    return Path(shutil.copytree(whole, tmp_path / "run"))


def again(folder: Path, plan_text: str = BRIEF):
    outcome = finished(folder, plan_text)
    assert outcome.failures == []
    return outcome


def same(folder: Path, whole: Path) -> None:
    for name in BITS:
        assert (folder / name).read_bytes() == (whole / name).read_bytes(), name
    weights = sorted(path.read_bytes() for path in folder.glob("store/model-*/weights*"))
    assert weights == sorted(path.read_bytes() for path in whole.glob("store/model-*/weights*"))


def damaged(folder: Path, damage: Damage) -> list[Path]:
    """One file of each kind in an artefact of its own, damaged."""
    paths: dict[Path, Path] = {}
    for name in ARTEFACTS.values():
        found = sorted((folder / "store").glob(name))
        path = next(path for path in found if path.parent not in paths)
        paths[path.parent] = path
    for path in paths.values():
        damage(path)
    return [*paths.values()]


def unrendered(folder: Path) -> None:
    """So that a run reads its artefacts, as after a change of the plan."""
    (folder / "estimates.csv").unlink()


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_damaged_artefacts_are_named_and_made_again(copy, whole, capsys, damage):
    paths = damaged(copy, damage)
    unrendered(copy)
    again(copy)
    same(copy, whole)
    told = capsys.readouterr().err
    assert len(list((copy / "store" / DAMAGED).iterdir())) == len(paths)
    for path in paths:
        assert f"{path.parent}: {path.name} is damaged; set aside in {copy / 'store'}" in told


@pytest.mark.parametrize("name", ARTEFACTS.values(), ids=ARTEFACTS)
def test_one_flipped_bit_is_enough(copy, whole, name):
    flip(next((copy / "store").glob(name)))
    unrendered(copy)
    again(copy)
    same(copy, whole)


@pytest.mark.parametrize("kind", ["a file", "an empty folder", "a link"])
def test_what_takes_the_place_of_an_artefact_is_put_aside(copy, whole, kind):
    path = next((copy / "store").glob("explained-*"))
    path.rename(copy / "moved")
    if kind == "a file":
        path.touch()
    elif kind == "a link":
        path.symlink_to(copy / "moved")
    else:
        path.mkdir()
    assert again(copy).computed == 1
    same(copy, whole)
    assert path.is_dir()
    assert not path.is_symlink()


def test_artefacts_that_changed_places_are_known(copy, whole):
    one, other = sorted((copy / "store").glob("curve-*"))[:2]
    one.rename(copy / "moved")
    other.rename(one)
    (copy / "moved").rename(other)
    assert again(copy).computed > 0
    same(copy, whole)


@pytest.mark.parametrize("name", [DAMAGED, ".training-{}"])
def test_what_a_link_in_the_store_leads_to_is_not_written(copy, whole, tmp_path, name):
    (tmp_path / "elsewhere").mkdir()
    path = next((copy / "store").glob("model-*"))
    truncate(path / "weights.safetensors")
    (copy / "store" / name.format(path.name)).symlink_to(tmp_path / "elsewhere")
    again(copy)
    same(copy, whole)
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_wrong_fingerprint_is_outvoted_by_the_artefacts(copy, whole):
    (copy / "store" / "data.json").write_text('{"data": "ffff"}')
    assert again(copy).computed == 0
    same(copy, whole)


def test_a_size_that_changed_is_seen_without_reading_anything(copy, whole):
    truncate(next((copy / "store").glob(ARTEFACTS["curve"])))
    assert again(copy).computed == 1
    same(copy, whole)


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        *(("estimates.csv", damage) for damage in (flip, *list(DAMAGES.values())[2:5])),
        *((name, truncate) for name in ("results.parquet", "plan.yaml", "report.md")),
        *(("estimates.csv", cut_at_the_top), ("environment.json", truncate)),
    ],
)
def test_a_damaged_table_or_report_is_made_again(copy, whole, name, damage):
    damage(copy / name)
    assert again(copy).computed == 0
    same(copy, whole)
    assert is_rendered(work_of(copy, BRIEF), OUTPUTS)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"digests": {"a": 1}}', None])
def test_damaged_notes_of_a_store_are_written_again(copy, whole, content):
    for name in ("rendered.json", "seconds.json", "data.json"):
        path = copy / "store" / name
        path.unlink() if content is None else path.write_text(content)
    assert again(copy).computed == 0
    same(copy, whole)


@pytest.mark.parametrize("seconds", ["1" + "0" * 400, "1e999", "NaN"])
def test_a_time_that_no_number_holds_is_none(copy, seconds):
    (copy / "store" / "seconds.json").write_text(f'{{"seconds": {seconds}}}')
    (copy / "environment.json").unlink()
    assert seconds_of(copy) is None


def test_a_store_that_is_gone_is_made_again(copy, whole):
    shutil.rmtree(copy / "store")
    outcome = again(copy)
    assert outcome.computed == outcome.tasks
    same(copy, whole)


def test_other_files_are_named_with_the_way_on(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "plan.yaml").touch()
    with pytest.raises(UsageError, match=r"got other files \(plan\.yaml\); choose .* -o, or move"):
        work_of(tmp_path / "run")


def test_a_finished_run_is_not_read_again(copy, monkeypatch):
    monkeypatch.setattr(running, "set_damaged_aside", pytest.fail)
    monkeypatch.setattr("xaibench.storage.artefacts._verified_content", pytest.fail)
    assert again(copy).computed == 0


def test_a_report_names_what_is_damaged_and_tells_the_rest(halfway, tmp_path):
    folder = Path(shutil.copytree(halfway, tmp_path / "run"))
    path = next((folder / "store").glob(ARTEFACTS["curve"]))
    flip(path)
    _, failures = report(folder, own(halfway))
    assert len(failures) == 1
    assert failures[0].startswith(f"{path.parent}: arrays.safetensors is damaged; ")
    assert "the command of the run makes it again" in failures[0]
    assert path.exists()
    assert "not computed" in (folder / "report.md").read_text()


@pytest.mark.parametrize("name", ["estimates.csv", "results.parquet", "examples.json"])
@pytest.mark.parametrize("damage", [flip, truncate, cut_at_the_top])
def test_a_table_that_is_not_as_its_run_wrote_it_is_not_read(copy, whole, name, damage):
    damage(copy / name)
    for use in (report, lambda folder: compare([folder, whole])):
        with pytest.raises(UsageError, match=rf"{copy / name}: .*(makes it|run its command) again"):
            use(copy)
    (copy / "store" / "rendered.json").unlink()
    if name == "estimates.csv" and damage == flip:
        compare([whole, copy])


def test_damaged_weights_are_no_witness_that_a_model_was_trained_anew(copy, whole):
    first, second = whole, copy
    (pair,) = compare([first, second]).pairs
    assert pair.same_models["cnn"].shown == "saved weights"
    for path in (copy / "store").glob(ARTEFACTS["weights"]):
        flip(path)
    (pair,) = compare([first, second]).pairs
    assert pair.same_models["cnn"].verdict == "same"
    assert pair.same_models["cnn"].shown != "saved weights"


# Folders of version 0.1.0, which kept no digests


def of_first_version(folder: Path) -> None:
    for path in (folder / "store").glob("*-*/spec.json"):
        record = json.loads(path.read_text())
        kept = {name: record[name] for name in ("status", "reason", "spec")}
        path.write_text(json.dumps(kept, indent=1))
    path = folder / "store" / "rendered.json"
    path.write_text(json.dumps({"stamp": "x", "files": ["report.html"]}))


def test_a_folder_of_the_first_version_goes_on(copy, whole):
    of_first_version(copy)
    assert again(copy).computed == 0
    same(copy, whole)


@pytest.mark.parametrize("damage", list(DAMAGES.values())[1:5], ids=list(DAMAGES)[1:5])
def test_what_cannot_be_read_in_a_folder_of_the_first_version_is_made_again(copy, whole, damage):
    of_first_version(copy)
    paths = damaged(copy, damage)
    again(copy)
    same(copy, whole)
    assert len(list((copy / "store" / DAMAGED).iterdir())) == len(paths)


# A report beside a run


def test_a_report_that_a_run_overtakes_leaves_its_tables(
    halfway, tmp_path, tmp_path_factory, monkeypatch
):
    """The run comes to its end between the records and the first table of a report of it."""
    folder = Path(shutil.copytree(halfway, tmp_path / "run"))
    written, done = running.write_file, []

    def late(path, content, **options):
        if not done and "check" in options:
            done.append(1)
            assert again(folder, LEAN).computed > 0
        written(path, content, **options)

    monkeypatch.setattr(running, "write_file", late)
    _, failures = report(folder, own(halfway))
    assert failures == []
    same(folder, lean(tmp_path_factory))
    assert "unfinished" not in json.loads((folder / "environment.json").read_text())
    assert "Unfinished" not in (folder / "report.md").read_text()
    assert again(folder, LEAN).computed == 0


def test_tables_of_an_unfinished_report_are_not_believed(copy, whole):
    work = work_of(copy, BRIEF)
    mark(work, {"command": COMMAND})
    shutil.rmtree(next((copy / "store").glob("curve-*")))
    rendered = (copy / "store" / "rendered.json").read_bytes()
    assert report(copy, own(whole))[1] == []
    (copy / "store" / "rendered.json").write_bytes(rendered)
    (copy / "store" / "begun.json").unlink()
    again(copy)
    same(copy, whole)


# The disk


def test_artefacts_are_readable_as_the_umask_says(tmp_path):
    before = os.umask(0o002)
    try:
        work = work_of(tmp_path / "run")
        work.store.keep({"kind": "a"}, lambda folder: (folder / "b").write_text("x") and None)
    finally:
        os.umask(before)
    path = work.store.path({"kind": "a"})
    assert path.stat().st_mode & 0o777 == 0o775
    assert {file.stat().st_mode & 0o777 for file in path.iterdir()} == {0o664}
