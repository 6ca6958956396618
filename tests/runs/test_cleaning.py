"""What of a run folder goes, and what never does."""

import io
import os
import shutil
from pathlib import Path

import pytest
from stopped_run import BRIEF, finished, moved

from xaibench.errors import UsageError
from xaibench.runs.cleaning import delete, leftovers, runs_in
from xaibench.storage.lock import alone


@pytest.fixture
def copy(whole, tmp_path):
    return moved(whole, tmp_path)


@pytest.fixture(autouse=True)
def nobody_to_ask(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO())


@pytest.fixture
def own(copy):
    return (str(copy.parent / "own.py"),)


def names(found):
    return {each.path.name for each in found.items}


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_what_a_plan_refers_to_stays(copy, own, call):
    before = files(copy)
    assert leftovers(copy, own).items == []
    code, said, _ = call("clean", copy, "--yes", "--plugin", *own)
    assert (code, said) == (0, f"{copy}: the plan refers to all that is there\n")
    assert files(copy) == before


def test_artefacts_that_a_plan_refers_to_no_longer_go_and_nothing_else(copy, own, call):
    saliency = BRIEF.replace("saliency, own", "own")
    kinds = ("explained-*", "curve-*")
    before = {path.name for kind in kinds for path in (copy / "store").glob(kind)}
    finished(copy, saliency)
    needed = files(copy)
    found = leftovers(copy, own)
    assert len(names(found)) == 4  # an explanation and a curve under each of two seeds
    assert names(found) < before
    assert all(each.size > 500 and each.why == "nothing refers to it" for each in found.items)
    assert call("clean", copy, "--plugin", *own)[0] == 0
    assert files(copy) == needed
    code, said, _ = call("clean", copy, "--plugin", *own, "--yes")
    assert code == 0
    assert "nothing refers to it" in said
    gone = {name.split("/")[1] for name in needed - files(copy)}
    assert gone == names(found)
    assert leftovers(copy, own).items == []
    assert finished(copy, saliency).computed == 0


@pytest.mark.parametrize(("answer", "left"), [("y\n", 0), ("n\n", 1)])
def test_it_asks_first(copy, own, call, monkeypatch, answer, left):
    (copy / "store" / ".damaged").mkdir()
    (copy / "store" / ".damaged" / "curve-1").touch()
    monkeypatch.setattr("sys.stdin", io.StringIO(answer))
    call("clean", copy, "--plugin", *own)
    assert len(leftovers(copy, own).items) == left


def test_what_was_set_aside_was_never_finished_or_is_a_stale_checkpoint_goes(copy, own):
    store = copy / "store"
    model = next(store.glob("model-*")).name
    for name in (".damaged/curve-1-2", ".making-a", f".training-{model}", ".training-model-x"):
        (store / name).mkdir(parents=True)
        (store / name / "b").write_text("x" * 7)
    (copy / ".making-old").touch()
    (copy / ".making-new").touch()
    os.utime(copy / ".making-old", (1, 1))
    found = {each.path.name: (each.why, each.size) for each in leftovers(copy, own).items}
    checkpoint = "a checkpoint of no training to go on with"
    assert found == {
        "curve-1-2": ("set aside as damaged", 7),
        ".making-a": ("never finished", 7),
        ".making-old": ("never finished", 0),
        f".training-{model}": (checkpoint, 7),
        ".training-model-x": (checkpoint, 7),
    }
    assert list(delete(copy, leftovers(copy, own))) == []
    assert leftovers(copy, own).items == []
    assert (copy / ".making-new").exists()


def test_the_checkpoint_of_a_training_that_goes_on_stays(copy, own):
    model = next((copy / "store").glob("model-*"))
    shutil.rmtree(model)
    (copy / "store" / f".training-{model.name}").mkdir()
    assert leftovers(copy, own).items == []


def test_an_unfinished_run_keeps_what_it_has(halfway, tmp_path):
    folder = moved(halfway, tmp_path)
    assert leftovers(folder, (str(tmp_path / "own.py"),)).items == []


def test_no_link_is_followed_and_nothing_outside_is_deleted(whole, place):
    """Of a stranger's folder; the place looks at what is outside."""
    folder = place.copy(whole)
    store = folder / "store"
    links = [store / f"curve-{'0' * 20}", store / ".training-x", store / ".making-x"]
    for link in links:
        link.symlink_to(place.elsewhere)
    (store / f"curve-{'1' * 20}").mkdir()
    (store / f"curve-{'1' * 20}" / "inside").symlink_to(place.elsewhere)
    (store / ".damaged").symlink_to(place.elsewhere)
    (place.elsewhere / ".making-theirs").touch()
    os.utime(place.elsewhere / ".making-theirs", (1, 1))
    (folder / "figures").symlink_to(place.elsewhere)
    found = leftovers(folder, (str(place.folder / "own.py"),))
    assert len(found.items) == 5
    assert list(delete(folder, found)) == []
    assert not any(os.path.lexists(link) for link in links)
    assert (place.elsewhere / ".making-theirs").exists()
    (place.elsewhere / ".making-theirs").unlink()


def test_a_store_that_is_a_link_is_refused(copy, own, tmp_path):
    (copy / "store").rename(tmp_path / "elsewhere")
    (copy / "store").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="store: is a link"):
        leftovers(copy, own)


def test_where_the_plan_refers_to_nothing_of_it_nothing_is_deleted(copy, own):
    """As after an upgrade that made every artefact another one."""
    plan = copy / "plan.yaml"
    plan.write_text(plan.read_text().replace("epochs: 1", "epochs: 2"))
    with pytest.raises(UsageError, match=r"refers to none of its \d+ artefacts, so plug-ins or"):
        leftovers(copy, own)


def test_data_that_are_others_now_are_refused(copy, own):
    plan = copy / "plan.yaml"
    plan.write_text(plan.read_text().replace("length: 40", "length: 44"))
    with pytest.raises(UsageError, match="holds a run on other data"):
        leftovers(copy, own)


def test_a_plug_in_that_the_folder_names_is_not_imported(copy):
    with pytest.raises(
        UsageError, match=r"give the plug-ins of the run again: --plugin \S*own\.py"
    ):
        leftovers(copy)


def test_beside_a_run_nothing_is_deleted(copy, own):
    found = leftovers(copy, own)
    with alone(copy / "store"):
        with pytest.raises(UsageError, match="a run is under way in this folder"):
            leftovers(copy, own)
        with pytest.raises(UsageError, match="another run is under way"):
            list(delete(copy, found))


def test_after_a_run_that_came_between_nothing_is_deleted(copy, own):
    found = leftovers(copy, own)
    (copy / "store" / "rendered.json").write_text("{}")
    with pytest.raises(UsageError, match="its run has gone on meanwhile"):
        list(delete(copy, found))


def test_what_cannot_be_deleted_is_a_line(copy, own, monkeypatch):
    (copy / "store" / ".damaged" / "a").mkdir(parents=True)

    def refuse(path):
        raise OSError(13, "Permission denied", str(path))

    monkeypatch.setattr("xaibench.runs.cleaning.remove_tree", refuse)
    (line,) = delete(copy, leftovers(copy, own))
    assert line.endswith(".damaged/a: Permission denied")


def test_a_series_is_its_runs_and_none_that_is_a_link(whole, tmp_path):
    shutil.copytree(whole, tmp_path / "one")
    (tmp_path / "two").symlink_to(whole)
    text = '{"name": "s", "datasets": {"one": "", "two": "", "three": "no data"}}'
    (tmp_path / "series.json").write_text(text)
    assert runs_in(tmp_path) == [tmp_path / "one"]
