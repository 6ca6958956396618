"""What is installed here and whether it works: versions, devices, plug-ins, data, speed."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from importlib.metadata import PackageNotFoundError, entry_points, requires, version
from pathlib import Path
from time import perf_counter
from typing import Any

import torch

from xaibench.data.genomic_benchmarks.fetching import VARIABLE, sets_root
from xaibench.data.packing import cache_folder
from xaibench.data.splitting import with_validation
from xaibench.dna.shuffling import shuffled_references
from xaibench.errors import UsageError
from xaibench.explanation.method_call import explain
from xaibench.nn.devices import devices_here, seeded
from xaibench.nn.machine import machine
from xaibench.plugins.registry import available, load
from xaibench.terminal import aligned_rows

MEASURED_SECONDS = 3.0
"""By the clock, that each of the three speeds is measured for at least."""

_METHODS = ("saliency", "deeplift")
_LEARNT, _EXPLAINED = 512, 16
_GROUP = "xaibench."

Findings = dict[str, Any]
"""What ``installation`` finds, as JSON has it."""


def installation(*, speed: bool = True) -> Findings:
    """Versions, extras, machine, plug-ins (those that are broken with the reason), folders of data
    and their sizes in bytes; with ``speed`` sequences per second of the demo's CNN too, by the
    clock, which takes ten seconds."""
    known = machine()
    findings: Findings = {
        "versions": {**known["versions"], "system": platform.platform()},
        "extras": _extras(),
        "machine": {
            "processor": known["processor"],
            "cores": known["cores"],
            "cores of this process": _cores_here(),
            "threads of torch": torch.get_num_threads(),
            "devices": devices_here(),
        },
        "plugins": list(_plugins()),
        "folders": _folders(),
    }
    return {**findings, "speed": _speed()} if speed else findings


def broken_plugins(findings: Findings) -> list[str]:
    """A line for each plug-in that cannot be loaded."""
    return [
        f"{each['kind']} {each['name']}: {each['broken']}"
        for each in findings["plugins"]
        if each["broken"]
    ]


def describe_installation(findings: Findings) -> Iterator[str]:
    """The findings as lines of text."""
    yield from _heading("versions", findings["versions"])
    extras = {
        name: f"without {', '.join(absent)}: pip install 'xaibench[{name}]'" if absent else "whole"
        for name, absent in findings["extras"].items()
    }
    yield from _heading("extras", extras)
    devices = ", ".join(findings["machine"]["devices"])
    yield from _heading("machine", {**findings["machine"], "devices": devices})
    yield from _heading("plug-ins", _plugin_counts(findings["plugins"]))
    folders = {name: _folder_text(each) for name, each in findings["folders"].items()}
    yield from _heading("data and caches", folders)
    if "speed" in findings:
        each = {
            name: f"{rate:,.0f} sequences per second" for name, rate in findings["speed"].items()
        }
        yield from _heading("speed of the demo's CNN, 200 nt, one thread", each)


def _cores_here() -> int:
    """Those that a batch system or container leaves to this process."""
    usable = getattr(os, "sched_getaffinity", None)  # not on every system
    return len(usable(0)) if usable else os.cpu_count() or 1


def _heading(title: str, rows: Mapping[str, object]) -> Iterator[str]:
    yield title
    texts = [(name, str(value)) for name, value in rows.items()]
    yield from (f"  {line}" for line in aligned_rows(texts, "<<"))


# Packages


def _extras() -> dict[str, list[str]]:
    """By extra, the packages that are not installed."""
    extras: dict[str, list[str]] = {}
    for requirement in requires("xaibench") or []:
        package = re.match(r"[\w.-]+", requirement)
        extra = re.search(r"extra == ['\"](\w+)['\"]", requirement)
        if package is None or extra is None or extra[1] in ("test", "docs"):
            continue
        absent = extras.setdefault(extra[1], [])
        try:
            version(package[0])
        except PackageNotFoundError:
            absent.append(package[0])
    return extras


def _plugins() -> Iterator[dict[str, str]]:
    """Every plug-in by kind, name and package, and why it is broken, if it is."""
    groups = sorted(each for each in entry_points().groups if each.startswith(_GROUP))
    for kind in (group.removeprefix(_GROUP) for group in groups):
        try:
            points = available(kind)
        except UsageError as error:
            yield {"kind": kind, "name": "", "package": "", "broken": str(error)}
            continue
        for name, point in points.items():
            package = point.dist.name if point.dist else ""
            yield {"kind": kind, "name": name, "package": package, "broken": _broken(kind, name)}


def _broken(kind: str, name: str) -> str:
    try:
        load(kind, name)
    except UsageError as error:
        return str(error)
    return ""


def _plugin_counts(plugins: Sequence[Mapping[str, str]]) -> dict[str, str]:
    rows = {}
    for kind in dict.fromkeys(each["kind"] for each in plugins):
        own = [each for each in plugins if each["kind"] == kind]
        strangers = [each for each in own if each["package"] != "xaibench"]
        others = [f"{each['name']} of {each['package']}" for each in strangers]
        broken = [f"{each['name']} is broken: {each['broken']}" for each in own if each["broken"]]
        rows[kind] = "; ".join([str(len(own)), *others, *broken])
    return rows


# Folders


def _folders() -> dict[str, Findings]:
    """By the variable that names it: the folder, whether it is set and there, its size in bytes."""
    data = os.environ.get("XAIBENCH_DATA")
    chosen = {
        "XAIBENCH_DATA": Path(data) if data else None,
        VARIABLE: sets_root(None),
        "XAIBENCH_CACHE": cache_folder(),
    }
    return {name: _folder(folder) for name, folder in chosen.items()}


def _folder(folder: Path | None) -> Findings:
    if folder is None or not folder.is_dir():
        return {"folder": str(folder or ""), "there": False, "bytes": 0}
    files = (Path(place) / name for place, _, names in os.walk(folder) for name in names)
    return {"folder": str(folder), "there": True, "bytes": sum(map(_size, files))}


def _size(file: Path) -> int:
    try:
        return file.lstat().st_size
    except OSError:  # it went away
        return 0


def _folder_text(findings: Findings) -> str:
    if not findings["folder"]:
        return "not set: files of a plan are looked for beside it and here"
    size = f"{findings['bytes'] / 1e6:,.1f} MB" if findings["there"] else "no such folder yet"
    return f"{findings['folder']}, {size}"


# Speed


def _speed() -> dict[str, float]:
    """Sequences per second: learnt from, and explained by each of a few methods."""
    with seeded(0), _one_thread():
        drawn = load("datasets", "planted").call(data_seed=0, train=_LEARNT, test=_EXPLAINED)
        splits = with_validation(drawn, 0)
        codes, labels = splits.test.codes, splits.test.labels
        network = load("models", "cnn").call(classes=2, length=codes.shape[1], filters=(16, 32, 32))
        train = load("training", "supervised").call
        references = shuffled_references(codes, 20, 0)

        def explained(method: str) -> object:
            return explain(
                load("attribution", method).call,
                network,
                codes,
                labels,
                options={},
                seed=0,
                component=method,
                references=references,
            )

        def trained() -> object:
            return train(network, splits, seed=0, progress=lambda *_: None, epochs=1)

        rates = {"training": _rate(trained, len(splits.train))}
        return rates | {
            method: _rate(partial(explained, method), len(codes)) for method in _METHODS
        }


@contextmanager
def _one_thread() -> Iterator[None]:
    """Within, torch computes on one thread, as a run does."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _rate(call: Callable[[], Any], sequences: int) -> float:
    """Sequences per second, after a call that warms up."""
    call()
    began, calls, seconds = perf_counter(), 0, 0.0
    while not calls or seconds < MEASURED_SECONDS:
        call()
        calls, seconds = calls + 1, perf_counter() - began
    return calls * sequences / seconds
