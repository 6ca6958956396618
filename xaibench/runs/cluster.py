"""Tasks on a Dask cluster: their workers read the data and write the artefacts of the shared run
folder themselves; nothing but jobs, tasks, seconds and reasons passes the scheduler."""

from __future__ import annotations

import os
import pickle
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from importlib.metadata import version
from logging import CRITICAL, getLogger
from pathlib import Path
from secrets import token_hex
from threading import Lock
from typing import TYPE_CHECKING, Any

from xaibench.artefacts.job import Work
from xaibench.errors import Died, Halted, UsageError, described
from xaibench.nn.devices import device_named
from xaibench.plan.schema import DEFAULT_DEVICE
from xaibench.progress import announce, repeatedly
from xaibench.storage.artefacts import MARK_FILE
from xaibench.storage.files import TEMPORARY, read_file, write_file

from .engines import DASK, Begin, Engine, Outcomes, answer_of, imports, loaded, packed
from .processes import METHOD, Do, begin_imports, hearing_no_key, without_script

if TYPE_CHECKING:
    from distributed import Client, Future

GPU = "GPU"
"""The resource of a worker that has a device; a task of a plan with one takes one."""

LARGEST_ANSWER = 2**14
"""Bytes of an answer; a larger one is left in the run folder, and its name passes the scheduler."""

SECONDS_TO_CONNECT = 10
"""Seconds in which a scheduler must answer."""

SECONDS_TO_MISS, LONGEST_TO_MISS = 5.0, 600.0
"""Seconds between two looks at whether there are workers: the first ones, and the most, since each
time that there are none the next look is twice as far."""

SAME_PACKAGES = ("xaibench", "torch", "numpy")
"""Packages whose versions decide what an artefact is."""


@contextmanager
def on_dask(scheduler: str) -> Iterator[Engine]:
    """An engine on the cluster of a scheduler, by its address or the file that it wrote.

    UsageError where Dask is not installed, or nothing answers.
    """
    _require_dask()
    where = {"scheduler_file" if Path(scheduler).is_file() else "address": scheduler}
    with _connected(scheduler, **where) as client:
        jobs = max(1, len(_workers(client)))
        yield Engine(DASK, jobs, partial(_answers, client))


@contextmanager
def on_local_workers(count: int) -> Iterator[Engine]:
    """An engine on a Dask cluster of this machine, made for one run: so many processes of a thread
    each, which are replaced where they die. One of them has the device.

    UsageError where Dask is not installed, or the cluster cannot be made.
    """
    _require_dask()
    with _local_cluster(count) as cluster, _connected("--workers", address=cluster) as client:
        yield Engine(DASK, count, partial(_answers, client))


@contextmanager
def _local_cluster(count: int) -> Iterator[Any]:
    from dask import config
    from distributed import Nanny, Scheduler, Security, SpecCluster

    begin_imports([*imports(trains=True), __name__, "distributed"])
    security = Security.temporary()  # the port is open to all users of the machine
    common = {"host": "127.0.0.1", "security": security}
    ours = {**common, "nthreads": 1, "memory_limit": 0, "dashboard": False, "preload": __name__}
    workers = {
        number: {"cls": Nanny, "options": {**ours, "resources": {} if number else {GPU: 1}}}
        for number in range(count)
    }
    options = {**common, "port": 0, "dashboard": False, "dashboard_address": "127.0.0.1:0"}
    scheduler = {"cls": Scheduler, "options": options}
    method = {"distributed.worker.multiprocessing-method": METHOD}
    with config.set(method), without_script():  # for a worker may be replaced at any time
        with hearing_no_key():  # nor does the thread that replaces them
            made = SpecCluster(
                workers=workers, scheduler=scheduler, security=security, silence_logs=CRITICAL
            )
        with made:
            yield made


def _require_dask() -> None:
    # read where Dask is imported first; what ends a run is said by us, in a line
    os.environ.setdefault("DASK_LOGGING__DISTRIBUTED", "critical")
    try:
        import distributed  # noqa: F401
    except ImportError:
        raise UsageError(
            "--engine dask: expected Dask to be installed; pip install 'xaibench[dask]'"
        ) from None
    getLogger("distributed.client").setLevel(CRITICAL)  # it has a level of its own


@contextmanager
def _connected(scheduler: str, **where: Any) -> Iterator[Client]:
    from distributed import Client

    try:
        client = Client(**where, timeout=SECONDS_TO_CONNECT, set_as_default=False)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"--scheduler: expected the address of a Dask scheduler, as tcp://HOST:8786, or its "
            f"scheduler file; {scheduler}: {described(error)}"
        ) from None
    with client:
        yield client


def _workers(client: Client) -> dict[str, Any]:
    """What the scheduler knows of each worker that it has now."""
    return dict(client.scheduler_info(n_workers=-1)["workers"])


# In the process of the command


def _answers(
    client: Client,
    begin: Begin,
    work: Work,
    tasks: Sequence[Any],
    *,
    threads: int,
    device: str = DEFAULT_DEVICE,
    **_: Any,
) -> Outcomes:
    """As ``Answering``; a task dies with as many workers as the scheduler allows."""
    from distributed import as_completed

    store, token = work.store.root.absolute(), token_hex(8)
    resources = {} if device == DEFAULT_DEVICE else {GPU: 1}
    job = _Job(token, begin, packed(work), threads, device, work.data, _versions())
    waiting = {
        client.submit(answer, job, task, key=f"xaibench-{token}-{n}", resources=resources): task
        for n, task in enumerate(tasks)
    }
    try:
        with _saying_who_is_missing(client, device):
            for future in as_completed([*waiting], loop=client.loop):
                yield waiting.pop(future), _outcome(future, store)
    finally:
        client.cancel([*waiting])


@contextmanager
def _saying_who_is_missing(client: Client, device: str) -> Iterator[None]:
    """In here it is said, again and again, what a run waits for where no worker can take a task."""

    def look(seconds: float) -> float:
        missing = _missing(client, device)
        if missing:
            announce(missing)
        return min(2 * seconds, LONGEST_TO_MISS) if missing else SECONDS_TO_MISS

    look(SECONDS_TO_MISS)
    with repeatedly(look, SECONDS_TO_MISS):
        yield


def _missing(client: Client, device: str) -> str:
    """What a run waits for, where no worker can take its tasks; empty where one can."""
    workers = _workers(client).values()
    if not workers:
        return "the scheduler has no worker; waiting for one"
    if device != DEFAULT_DEVICE and not any(GPU in each["resources"] for each in workers):
        return (
            f"no worker has the resource {GPU}, for {device}; waiting for one "
            f"(dask worker ... --resources '{GPU}=1')"
        )
    return ""


def _outcome(future: Future, store: Path) -> Any:
    """What a task came to; Halted where the scheduler is lost."""
    from distributed import CancelledError, KilledWorker

    try:
        given = future.result()
    except KilledWorker:
        return Died("the worker died (killed, out of memory, or a crash; its log may say)")
    except (CancelledError, OSError):
        raise Halted(
            "the scheduler is lost; what is computed is saved, and the same command goes on where "
            "there is one"
        ) from None
    except Exception as error:
        raise UsageError(
            f"a worker cannot begin a task ({described(error)}); does it have the xaibench of this "
            "command?"
        ) from None
    return _read(given, store) if isinstance(given, _InFile) else given


def _versions() -> tuple[str, ...]:
    return tuple(f"{name} {version(name)}" for name in SAME_PACKAGES)


# In the process of a worker


def dask_setup(_: Any) -> None:
    """Called by Dask where a worker of ``on_local_workers`` begins: a key that is pressed ends the
    run, and with it its workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@dataclass(frozen=True, slots=True)
class _Job:
    """What all tasks of one call need; ``token`` is its own, so that a worker that lives for weeks
    reads data and plug-ins again."""

    token: str
    begin: Begin
    job: bytes
    threads: int
    device: str
    data: str
    versions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _InFile:
    """A large answer, by the name of its file in the store and its digest."""

    name: str
    digest: str


_ONE_TASK = Lock()
"""Of a process: what a plug-in sets for all of it is put back after each task."""

_begun: dict[str, tuple[Do, Path]] = {}
"""By token, what the last job began, whose data are loaded once."""


def answer(job: _Job, task: Any) -> Any:
    """What a task comes to, on a worker; as a file where it is large."""
    with _ONE_TASK:
        try:
            do, store = _ready(job)
        except Exception as error:
            return UsageError(f"the worker {_name()}: {described(error)}")
        given = answer_of(do, task, lambda *_: None)
        content = pickle.dumps(given)
        return given if len(content) <= LARGEST_ANSWER else _left(content, store)


def _ready(job: _Job) -> tuple[Do, Path]:
    if job.token not in _begun:
        _begun.clear()
        _require_same(job)
        work = loaded(job.job, job.threads)
        _require_store(work, job)
        _begun[job.token] = job.begin(work, job.threads), work.store.root
    return _begun[job.token]


def _require_same(job: _Job) -> None:
    if job.versions != _versions():
        raise UsageError(
            f"expected {', '.join(job.versions)}, as where the command runs, got "
            f"{', '.join(_versions())}; install the same"
        )
    if job.device != DEFAULT_DEVICE:
        device_named(job.device)


def _require_store(work: Work, job: _Job) -> None:
    if not (work.store.root / MARK_FILE).is_file():
        raise UsageError(
            f"does not see the run folder {work.job.folder}; expected one on storage that all "
            "workers share, name it with -o"
        )
    if work.data != job.data:
        raise UsageError("reads other data than the command; expected the same files on both")


def _name() -> str:
    from distributed import get_worker

    return str(get_worker().address)


def _left(content: bytes, store: Path) -> _InFile:
    name = f"{TEMPORARY}{token_hex(16)}"
    write_file(store / name, content)
    return _InFile(name, _digest(content))


def _read(answer: _InFile, store: Path) -> Any:
    """A large answer, from its file, which is removed; Halted where it is not what was left."""
    path = store / answer.name
    try:
        content = read_file(path)
    except OSError as error:
        raise Halted(f"{path}: {error.strerror}; is the folder one that workers share?") from None
    path.unlink()
    if _digest(content) != answer.digest:
        raise Halted(f"{path}: is not what the worker wrote; the same command goes on")
    return pickle.loads(content)  # a worker's own bytes, by the digest that came from it


def _digest(content: bytes) -> str:
    return blake2b(content, digest_size=16).hexdigest()
