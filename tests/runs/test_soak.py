"""Faults at random moments, again and again (``make soak``): whatever happens to a run, the same
command ends with the tables of one that nothing happened to, to the bit.

A call is a copy of this process, which has imported everything, with processes that are copies of
it: a run takes seconds, and a hundred of them minutes. It leads a group of its own, as in a shell.
"""

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from xaibench.artefacts.job import Job
from xaibench.cli import main
from xaibench.plan.schema import read_plan
from xaibench.runs import processes
from xaibench.runs.pipeline import begin, run
from xaibench.storage import files
from xaibench.storage.artefacts import Spec, Store
from xaibench.terminal import silent

pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif(sys.platform != "linux", reason="copies of a process with torch"),
]

PLAN = """
dataset: {name: planted, train: 64, test: 20, length: 40}
seeds: [0, 3]
training: {epochs: 3, batch_size: 32}
models:
  cnn: {filters: [4], kernels: [19]}
attribution: [saliency]
sequences: 5
metrics:
  deletion: {}
  auprc: {}
  substitution_agreement: {sequences: 3}
  substitution_sensitivity: {sequences: 3, draws: 2}
  random_label_similarity: {}
  roar: {fractions: [0.5], train: 32}
operators: [uniform]
fractions: [0, 0.5, 1]
random_draws: 2
controlled: 3
controls: [rotated]
reports: [markdown]
"""
"""The least that has tasks and artefacts of every kind, trainings of several epochs among them."""

SAME = ("results.parquet", "estimates.csv")
KILLS = int(os.environ.get("SOAK_KILLS", "100"))
TIMES = max(KILLS // 20, 2)
"""How often each other fault happens."""

DRAWS = random.Random(20)
PATIENCE = 600
NOBODY = 65534


@dataclass(slots=True)
class Call:
    """``xaibench run`` in a group of processes of its own."""

    place: Path
    pid: int
    began: float = field(default_factory=time.monotonic)
    code: int | None = None

    @property
    def group(self) -> list[int]:
        """Its processes, as long as they live."""
        found = []
        for path in Path("/proc").glob("[0-9]*/stat"):
            try:
                _, _, rest = path.read_text().rpartition(") ")
            except OSError:
                continue
            state, _, group = rest.split()[:3]
            if int(group) == self.pid and state != "Z":
                found.append(int(path.parent.name))
        return found

    def send(self, number: int) -> None:
        os.killpg(self.pid, number)

    def has_ended(self) -> bool:
        if self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.code = os.waitstatus_to_exitcode(status) if pid else None
        return self.code is not None

    def lasts(self, seconds: float) -> bool:
        """Whether it goes on for so long from its beginning."""
        while not self.has_ended() and time.monotonic() < self.began + seconds:
            time.sleep(0.002)
        return self.code is None

    def ended(self) -> tuple[int, str]:
        """Its exit code and what it said, once nothing of it is left."""
        assert not self.lasts(PATIENCE), "it does not end"
        until = time.monotonic() + PATIENCE
        while self.group:
            assert time.monotonic() < until, f"{self.group} are left"
            time.sleep(0.01)
        assert self.code is not None
        return self.code, _said(self.place).read_text()


def _said(place: Path) -> Path:
    """What a call wrote to the terminal, beside its folder: on a disk that is not the full one."""
    return place.with_name(f"{place.name}.said")


def call(place: Path, before: Callable[[], Any] = lambda: None, jobs: int = 2) -> Call:
    """Begin the command in a folder, or go on there."""
    sys.stdout.flush()  # or it is written by the copy, too
    pid = os.fork()
    if pid:
        return Call(place, pid)
    code = 99
    try:
        os.setsid()
        os.chdir(place)
        with _said(place).open("w") as said:
            os.dup2(said.fileno(), 1)
            os.dup2(said.fileno(), 2)
        sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", closefd=False)
        # copies hold the ends of the pipes of others, so none of them ends by itself
        processes.METHOD, processes.PATIENCE = "fork", 0.5
        sys.argv = ["xaibench", "run", "tiny.yaml", "-o", "run", "--jobs", str(jobs)]
        before()
        main()
    except SystemExit as ended:
        code = int(ended.code or 0)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The folder of a run that nothing happens to, and its seconds."""
    place = made(tmp_path_factory.mktemp("undisturbed"))
    plan = str(place / "tiny.yaml")
    first = Job(read_plan(plan), plan, (), place / "first")
    with silent():  # what is slow to import is then in every copy
        run(begin(first), jobs=0, threads=1, command="")
    for name in ("forkserver", "popen_fork", "popen_forkserver"):  # another user cannot read them
        import_module(f"multiprocessing.{name}")
    running = call(place)
    code, said = running.ended()
    assert code == 0, said
    seconds = time.monotonic() - running.began
    say(f"undisturbed: {seconds:.1f} s, {describe(place / 'run')}")
    return place / "run", seconds


def made(place: Path) -> Path:
    place.mkdir(exist_ok=True)
    (place / "tiny.yaml").write_text(PLAN)
    return place


def say(line: str) -> None:
    print(line, flush=True)


def describe(folder: Path) -> str:
    """What a run has come to, by what lies in its folder."""
    store = [path.name for path in folder.glob("store/*") if path.is_dir()]
    store += [path.name for path in folder.glob("store/.*") if path.is_dir()]
    kinds = Counter(re.split(r"-(?=[0-9a-f]+$)", name)[0].partition("-")[0] for name in store)
    notes = [name for name in ("begun.json", "rendered.json") if (folder / "store" / name).exists()]
    tables = [path for path in folder.glob("*.*") if not path.name.startswith(".")]
    counted = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    return f"{counted or 'nothing'}; {len(tables)} files; {', '.join(notes) or 'no mark'}"


def same(place: Path, undisturbed: tuple[Path, float]) -> None:
    for name in SAME:
        assert (place / "run" / name).read_bytes() == (undisturbed[0] / name).read_bytes(), name


def ends_well(place: Path, undisturbed: tuple[Path, float]) -> None:
    """The same command comes to its end, and to the same bits."""
    code, said = call(place).ended()
    assert code == 0, said
    same(place, undisturbed)


def disturbed(
    tmp_path: Path, seconds: float, times: int, **options: Any
) -> Iterator[tuple[int, Path, Call]]:
    """Runs at random moments, each in a folder of its own: number, place and call."""
    number = 0
    while number < times:
        place = made(tmp_path / f"{number}")
        running, moment = call(place, **options), DRAWS.uniform(0, seconds)
        if running.lasts(moment):
            say(f"{number + 1}: after {moment:.2f} s: {describe(place / 'run')}")
            number += 1
            yield number, place, running
        else:
            running.ended()
        shutil.rmtree(place)


def test_a_group_that_is_killed_at_random_moments_goes_on_to_the_same_bits(tmp_path, undisturbed):
    _, seconds = undisturbed
    kills = runs = 0
    while kills < KILLS:
        place, runs = made(tmp_path / f"{runs}"), runs + 1
        for _ in range(4):
            running, moment = call(place), DRAWS.uniform(0, seconds)
            if running.lasts(moment):
                kills += 1
                say(f"kill {kills}, run {runs}: after {moment:.2f} s: {describe(place / 'run')}")
                running.send(signal.SIGKILL)
            assert running.ended()[0] in (0, -signal.SIGKILL)
        ends_well(place, undisturbed)
        shutil.rmtree(place)
    say(f"{kills} kills of the group in {runs} runs: {runs} of {runs} the same bits")


def test_a_worker_that_is_killed_is_replaced(tmp_path, undisturbed):
    killed = 0
    for _, place, running in disturbed(tmp_path, undisturbed[1], TIMES):
        workers: list[int] = []
        while not workers and not running.has_ended():
            workers = [pid for pid in running.group if pid != running.pid]
        for pid in workers[:1]:
            os.kill(pid, signal.SIGKILL)
        code, said = running.ended()
        assert code == 0, said
        killed += len(workers[:1])
        same(place, undisturbed)
    say(f"{killed} workers killed in {TIMES} runs: the same bits, exit code 0")


PRESSES = {"once": (), "twice at once": (0.02,), "twice": (1.5,)}
"""Seconds after which the key is pressed again."""


@pytest.mark.parametrize("again", PRESSES.values(), ids=PRESSES)
def test_a_key_stops_it_in_one_line_and_it_goes_on(tmp_path, undisturbed, again):
    for _, place, running in disturbed(tmp_path, undisturbed[1], max(TIMES // 2, 2)):
        running.send(signal.SIGINT)
        for seconds in again:
            time.sleep(seconds)
            if not running.has_ended():
                running.send(signal.SIGINT)
        code, said = running.ended()
        stopped = "xaibench: stopped; the same command goes on where it was"
        assert (code, said.splitlines()[-1]) == (130, stopped) or code == 0, said
        assert "Traceback" not in said
        ends_well(place, undisturbed)
    say(f"Ctrl-C pressed {1 + len(again)} times: one line, the same bits")


def test_a_group_that_is_held_goes_on(tmp_path, undisturbed):
    for _, place, running in disturbed(tmp_path, undisturbed[1], TIMES):
        running.send(signal.SIGSTOP)
        time.sleep(0.5)
        running.send(signal.SIGCONT)
        code, said = running.ended()
        assert code == 0, said
        same(place, undisturbed)
    say(f"SIGSTOP and SIGCONT {TIMES} times: the same bits, exit code 0")


def test_a_clock_that_is_set_back_changes_nothing(tmp_path, undisturbed):
    """By a day in the middle of a run; and files of a run that was killed are from the future."""
    for _, place, running in disturbed(tmp_path, undisturbed[1], TIMES, before=_set_clock_back):
        running.send(signal.SIGKILL)
        running.ended()
        later = time.time() + 86_400
        for path in (place / "run").rglob("*"):
            os.utime(path, (later, later))
        ends_well(place, undisturbed)
    say(f"the clock set back {TIMES} times, in a run and between two: the same bits")


def _set_clock_back() -> None:
    clock, asked = time.time, []

    def earlier() -> float:
        asked.append(1)
        return clock() - (86_400 if len(asked) > 20 else 0)

    time.time = earlier


def test_of_two_in_one_folder_one_works_and_the_other_says_so(tmp_path, undisturbed):
    for number in range(TIMES):
        place = made(tmp_path / f"{number}")
        other = made(tmp_path / f"{number}b")
        (other / "run").symlink_to(place / "run")  # a folder of its own for what it says
        (place / "run").mkdir()
        ended = [each.ended() for each in [call(place), call(other)]]
        codes = sorted(code for code, _ in ended)
        assert codes in ([0, 0], [0, 2]), ended
        if codes == [0, 2]:
            (said,) = [said for code, said in ended if code == 2]
            assert "another run is under way in this folder" in said
        same(place, undisturbed)
        say(f"two at once: exit codes {codes}")


@pytest.fixture
def small_disk(tmp_path):
    """A disk of so many bytes, which can be made larger."""
    place = tmp_path / "disk"
    place.mkdir()

    def mount(options: str) -> None:
        words = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)]
        if subprocess.run(words, capture_output=True, check=False).returncode:
            pytest.skip("no right to mount a disk")

    mount("size=100m")
    yield place, mount
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_wherever_the_disk_is_full_it_is_one_line_and_it_goes_on(small_disk, undisturbed):
    place, mount = small_disk
    taken = sum(-(-path.stat().st_size // 4096) * 4096 for path in undisturbed[0].rglob("*"))
    refused = Counter()
    for number in range(1, TIMES + 1):
        mount(f"remount,size={8192 + taken * number // TIMES}")
        made(place)
        code, said = call(place, jobs=1 + number % 2).ended()
        assert code in (0, 1, 2), said
        if code:
            last = said.splitlines()[-1]
            assert "No space left on device" in last, said
            refused[_kind(last)] += 1
        mount("remount,size=100m")
        ends_well(place, undisturbed)
        for path in place.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    say(f"disk full at {TIMES} sizes, refused: {dict(refused)}: one line, the same bits")


WRITES = {
    **dict.fromkeys(
        ["predictions", "behaviour", "explained", "curve", "oracle", "effects"], "{}-*"
    ),
    **dict.fromkeys(["retrained", "floor"], "{}-*"),
    **dict.fromkeys(["model", "state.safetensors"], "model-*"),
    **dict.fromkeys(["data.json", "begun.json", "seconds.json", "tasks.jsonl"], "*.json*"),
    **dict.fromkeys(["rendered.json", "results.parquet", "estimates.csv"], "rendered.json"),
    **dict.fromkeys(["environment.json", "plan.yaml", "report.md"], "rendered.json"),
}
"""By artefact or file that is the first to find no room, what is gone of a whole run before."""


def test_whatever_finds_no_room_it_is_one_line_and_it_goes_on(small_disk, undisturbed):
    """On a disk that is filled right before."""
    place, mount = small_disk
    refused = []
    for name, gone in WRITES.items():
        mount("remount,size=20m")
        store = Path(shutil.copytree(undisturbed[0], made(place) / "run")) / "store"
        for path in [store / "rendered.json", *store.glob(gone.format(name))]:
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        code, said = call(place, jobs=1, before=lambda name=name: _fill_before(name)).ended()
        last = said.splitlines()[-1]
        assert code in (1, 2), (name, said)
        assert "No space left on device" in last, (name, said)
        assert "Traceback" not in said
        refused.append(f"{name} ({_kind(last)})")
        (place / "filler").unlink()
        ends_well(place, undisturbed)
        shutil.rmtree(place / "run")
    say(f"disk full before a write of, and refused: {', '.join(refused)}: one line, the same bits")


def _fill_before(name: str) -> None:
    """Fill the disk when an artefact of a kind, or a file, is going to be written."""
    filler, keep, replacing = Path("filler").absolute(), Store.keep, files.replacing_path

    def fill() -> None:
        with suppress(OSError), filler.open("ab", buffering=0) as file:
            while True:
                file.write(bytes(4096))

    def keep_if_room(store: Store, spec: Spec, *given: Any, **options: Any) -> Path:
        if spec["kind"] == name:
            fill()
        return keep(store, spec, *given, **options)

    def replacing_if_room(path: Path, **options: Any) -> Any:
        if path.name == name:
            fill()
        return replacing(path, **options)

    Store.keep, files.replacing_path = keep_if_room, replacing_if_room


def _kind(line: str) -> str:
    """Of the file or artefact that a line names."""
    name = line.split(": ")[1 + line.startswith("failed: ")].rpartition("/")[2]
    return name.partition("-")[0]


@pytest.fixture
def open_to_all():
    """A folder that other users get to; that of pytest is for one alone."""
    with TemporaryDirectory() as name:
        os.chmod(name, 0o777)
        yield Path(name)


def test_a_folder_that_turns_read_only_is_one_line_and_it_goes_on(open_to_all, undisturbed):
    if os.geteuid():
        pytest.skip("only root can be another user")
    refused = Counter()
    for _, place, running in disturbed(open_to_all, undisturbed[1], TIMES, before=_be_nobody):
        folders = [path for path in (place / "run").rglob("*") if path.is_dir()]
        for path in [place / "run", *folders]:
            if path.exists():
                path.chmod(0o555)
        code, said = running.ended()
        assert code in (0, 1, 2), said
        if code:
            last = said.splitlines()[-1]
            assert "Permission denied" in last, said
            refused[_kind(last)] += 1
        for path in [place / "run", *folders]:
            if path.exists():
                path.chmod(0o755)
        ends_well(place, undisturbed)
    say(f"read-only {TIMES} times, refused: {dict(refused)}: one line, the same bits")


def _be_nobody() -> None:
    os.chmod(".", 0o777)
    os.setgid(NOBODY)
    os.setuid(NOBODY)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_so_does_the_command_as_it_is_typed(tmp_path, undisturbed, number):
    """In a process that imports everything itself, with processes as users have them."""
    place = made(tmp_path / "typed")
    words = [sys.executable, "-m", "xaibench", "run", "tiny.yaml", "-o", "run", "--jobs", "2"]
    with subprocess.Popen(
        words, cwd=place, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, process_group=0
    ) as typed:
        while not [*place.glob("run/store/explained-*")] and typed.poll() is None:
            time.sleep(0.01)
        os.killpg(typed.pid, number)
    assert typed.returncode in (-signal.SIGKILL, 130)
    subprocess.run(words, cwd=place, check=True, capture_output=True)
    same(place, undisturbed)
    say(f"the command as it is typed, {signal.Signals(number).name}: the same bits")
