"""What a run writes when it begins, so that a report of it can be made before it ends."""

import json
import os
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from secrets import token_hex
from typing import Any

from xaibench.artefacts.job import Job, Work
from xaibench.errors import Unknown, UsageError, described
from xaibench.plan.paths import presets
from xaibench.plan.schema import Plan, Use, dump, read_back, trains
from xaibench.plan.sections import PLUGIN_SECTIONS
from xaibench.plugins.registry import FILE_MODULE_PREFIX, load
from xaibench.storage.files import (
    digest_of_file,
    read_file,
    remove_file,
    sync,
    with_rights,
    write_file,
)

from .compatibility import BEGUN, RENDERED, check_store

SOURCES = "plugins.json"
"""In the store: what the plug-ins of the last call were made of."""


class RunContinued(UsageError):
    """The run in a folder has continued while a report of it was being made."""


@dataclass(frozen=True, slots=True)
class Begun:
    """How a run was called: the plan's ``source`` and the ``plugins``, relative to its folder, and
    what the environment says of the ``call``. ``ending`` where the run writes its tables.
    """

    source: str
    plugins: tuple[str, ...]
    call: dict[str, Any]
    ending: bool = False

    def job(self, folder: Path, plugins: tuple[str, ...] = ()) -> Job:
        """The job of the run, its files found again. ``plugins`` are given again: those that
        the folder names would run its code, and it may be a stranger's."""
        source = _path_of(self.source, folder) or str(folder / "plan.yaml")
        try:
            plan = read_back(str(folder / "plan.yaml"), source=source, plugins=plugins)
        except Unknown as error:
            raise UsageError(f"{error}{plugin_hint(folder, self.plugins)}") from None
        return Job(plan, source, plugins, folder)


def mark(work: Work, call: dict[str, Any], *, ending: bool = False) -> None:
    """Write the plan, and beside the artefacts what else is needed to continue.

    ``call`` is what the environment will say of it; with ``ending`` tables follow, and reports that
    have begun before write nothing any more.
    """
    job = work.job
    begun = {
        "source": job.source
        if job.source in presets()
        else relative_to_run(job.folder, job.source),
        "plugins": [relative_to_run(job.folder, plugin) for plugin in job.plugins],
        "told": call,
        "ending": ending,
        "mark": token_hex(8),
    }
    write_file(job.folder / "plan.yaml", dump(job.plan))
    write_file(job.folder / BEGUN, json.dumps(begun, indent=1), durable=True)


def edited_since(work: Work) -> list[str]:
    """A sentence for each plug-in whose files differ from those of the last call that computed
    something; those of this call are saved for the next one."""
    path, now = work.store.root / SOURCES, _plugin_sources(work)
    before = _read_sources(path)
    sentences = [
        f"{label}: {', '.join(changed)} changed since the last run; what it made is made again"
        for label, files in now.items()
        if label in before
        for changed in [_changed_names(before[label], files)]
        if changed
    ]
    if now != before:
        write_file(path, json.dumps({**before, **now}, indent=1))
    return sentences


def _plugin_sources(work: Work) -> dict[str, dict[str, str]]:
    """By label, the digests of the modules that each edited plug-in of the plan is made of."""
    plan, by_label = work.plan, {}
    uses = {"training": ("training", plan.training)} if trains(plan) else {}
    for section in PLUGIN_SECTIONS:
        parts = getattr(plan, section).items()
        uses |= {f"{section}.{label}": (section, use) for label, use in parts}
    for label, (kind, use) in uses.items():
        sources = load(kind, use.use, work.job.plugins).sources
        if sources:
            by_label[label] = {
                name.removeprefix(FILE_MODULE_PREFIX): digest for name, digest in sources
            }
    return by_label


def _read_sources(path: Path) -> dict[str, dict[str, str]]:
    """Empty where there are none, or damaged ones: what has changed is computed again all the same,
    and only the sentence is missing."""
    try:
        return {str(label): dict(files) for label, files in json.loads(read_file(path)).items()}
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return {}


def _changed_names(before: dict[str, str], now: dict[str, str]) -> list[str]:
    return sorted(name for name in {*before, *now} if before.get(name) != now.get(name))


def unmark(work: Work) -> None:
    """The tables of the whole run are written."""
    remove_file(work.job.folder / BEGUN)
    sync(work.store.root)


def stage_of(folder: Path) -> tuple[str, str]:
    """A name for the state of the run in a folder, which changes once it begins, writes its tables,
    or has ended."""
    return digest_of_file(folder / BEGUN), digest_of_file(folder / RENDERED)


def begun_in(folder: Path) -> Begun | None:
    """How the run in a folder was called that has not come to its end; None where it has."""
    path = folder / BEGUN
    check_store(folder)
    if not os.path.lexists(path):
        return None
    try:
        content = json.loads(read_file(path))
        plugins, call = tuple(map(str, content["plugins"])), dict(content["told"])
        return Begun(str(content["source"]), plugins, call, bool(content.get("ending")))
    except FileNotFoundError:
        return None  # the run has just come to its end
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else described(error)
        raise UsageError(
            f"{path}: unreadable, {reason}; run the command of the run again"
        ) from None


def job_of_folder(
    folder: Path, plugins: tuple[str, ...] = (), methods: tuple[str, ...] = ()
) -> Job:
    """The job of the run in a folder, finished or not, with the ``plugins`` given again; those of
    other methods than ``methods``, where some are named, need not be."""
    with with_rights(folder):
        if not (folder / "plan.yaml").is_file():
            raise UsageError(f"{folder}: expected the folder of a run, got one without plan.yaml")
        begun, own = begun_in(folder), str(folder / "plan.yaml")
    source = (_path_of(begun.source, folder) if begun else None) or own
    try:
        plan = read_back(own, source=source, plugins=plugins, methods=methods)
    except Unknown as error:
        of_run = begun.plugins if begun else _plugins_of_ended(folder)
        flags = shlex.join(_plugin_flags(folder, of_run)) or "with --plugin"
        raise UsageError(f"{error}; give the plug-ins of the run again: {flags}") from None
    return Job(plan, source, plugins, folder)


def _plugins_of_ended(folder: Path) -> list[str]:
    """The plug-ins that a finished run says it had; none where it cannot be read."""
    try:
        return list(map(str, json.loads(read_file(folder / "environment.json"))["plugins"]))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return []


def offline(plan: Plan, plugins: tuple[str, ...]) -> Plan:
    """The plan with data of this machine: for a report nothing is fetched."""

    def without_download(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
        known = signature(load("datasets", name, plugins).call).parameters
        return {**options, "download": False} if "download" in known else dict(options)

    options = without_download(plan.dataset.use, plan.dataset.options)
    if isinstance(other := options.get("fallback"), dict):
        options["fallback"] = without_download(str(other.get("name")), other)
    return plan.model_copy(update={"dataset": Use(use=plan.dataset.use, options=options)})


def plugin_hint(folder: Path, plugins: Any) -> str:
    """The end of a message where a plug-in is missing: how a report is given those of its run.

    Nothing where the run had none, or the folder does not name them.
    """
    if not plugins or not isinstance(plugins, list | tuple):
        return ""
    command = shlex.join(["xaibench", "report", str(folder), *_plugin_flags(folder, plugins)])
    return f"; its run had plug-ins, whose code a report runs only where it is told to: {command}"


def _plugin_flags(folder: Path, plugins: Iterable[object]) -> list[str]:
    """How a command is given the plug-ins of a run."""
    paths = [_path_of(str(part), folder) or str(part) for part in plugins]
    return [part for plugin in paths for part in ("--plugin", plugin)]


def relative_to_run(folder: Path, name: str) -> str:
    """A file relative to the run folder; its name alone where they share no folder of a project.

    A name of no file, such as a module, stays.
    """
    if not Path(name).exists():
        return name
    file, run_folder = Path(name).resolve(), folder.resolve()
    shared = Path(os.path.commonpath([file, run_folder]))
    # the path between them would name people and places
    far = shared in (Path(run_folder.anchor), Path.home().parent)
    return file.name if far else os.path.relpath(file, run_folder)


def relative_to_current(name: str) -> str:
    """A file relative to the current folder, for a command to run again; the name alone of one
    outside, whose folders would name people and places. A module stays.
    """
    if not Path(name).exists():
        return name
    file = Path(os.path.abspath(name))  # where a link leads is of this machine too
    return str(file.relative_to(Path.cwd())) if file.is_relative_to(Path.cwd()) else file.name


def _path_of(name: str, folder: Path) -> str | None:
    """A preset, or an existing file relative to the run folder or to the current one."""
    if name in presets():
        return name
    existing = [path for path in (folder / name, Path(name)) if path.is_file()]
    return str(existing[0]) if existing else None
