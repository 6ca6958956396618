"""What a run leaves when it begins, so that its folder can tell of it before it ends."""

import json
import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from secrets import token_hex
from typing import Any

from xaibench.artefacts.job import Job, Work
from xaibench.errors import Unknown, UsageError
from xaibench.plan.paths import presets
from xaibench.plan.schema import Plan, Use, dump, read_back
from xaibench.plan.sections import PLUGIN_SECTIONS
from xaibench.plugins.registry import FILE_MODULE_PREFIX, load
from xaibench.storage.files import digest_of_file, read_file, write_file

from .compatibility import BEGUN, RENDERED

SOURCES = "plugins.json"
"""In the store: what the plug-ins of the last call were made of."""


class WentOn(UsageError):
    """The run in a folder has gone on while a report of it was being made."""


@dataclass(frozen=True, slots=True)
class Begun:
    """How a run was called: the plan's ``source`` and the ``plugins`` as seen from its folder.
    ``ending`` where all is computed and the run writes its tables.
    """

    source: str
    plugins: tuple[str, ...]
    told: dict[str, Any]
    ending: bool = False

    def job(self, folder: Path, plugins: tuple[str, ...] = ()) -> Job:
        """The job of the run, its files found again. ``plugins`` are given anew: those that the
        folder names would run its code, and it may be a stranger's."""
        source = _found(self.source, folder) or str(folder / "plan.yaml")
        try:
            plan = read_back(str(folder / "plan.yaml"), source=source, plugins=plugins)
        except Unknown as error:
            raise UsageError(f"{error}{needs(folder, self.plugins)}") from None
        return Job(plan, source, plugins, folder)


def mark(work: Work, told: dict[str, Any], *, ending: bool = False) -> None:
    """Write the plan, and beside the artefacts what else is needed to go on.

    ``told`` is what the environment will say of the call; with ``ending`` tables follow, and
    reports that have begun before write nothing any more.
    """
    job = work.job
    begun = {
        "source": job.source if job.source in presets() else seen_from(job.folder, job.source),
        "plugins": [seen_from(job.folder, plugin) for plugin in job.plugins],
        "told": told,
        "ending": ending,
        "mark": token_hex(8),
    }
    write_file(job.folder / "plan.yaml", dump(job.plan))
    write_file(job.folder / BEGUN, json.dumps(begun, indent=1), durable=True)


def edited_since(work: Work) -> list[str]:
    """A sentence for each plug-in whose files are others than those of the last call that computed
    something; those of this call are kept for the next one."""
    path, now = work.store.root / SOURCES, _sources(work)
    before = _read_sources(path)
    sentences = [
        f"{label}: {', '.join(changed)} changed since the last run; what it made is made again"
        for label, files in now.items()
        if label in before
        for changed in [_differing(before[label], files)]
        if changed
    ]
    if now != before:
        write_file(path, json.dumps({**before, **now}, indent=1))
    return sentences


def _sources(work: Work) -> dict[str, dict[str, str]]:
    """By label, the digests of the modules that each edited plug-in of the plan is made of."""
    plan, found = work.plan, {}
    uses = {"training": ("training", plan.training)}
    for section in PLUGIN_SECTIONS:
        parts = getattr(plan, section).items()
        uses |= {f"{section}.{label}": (section, use) for label, use in parts}
    for label, (kind, use) in uses.items():
        sources = load(kind, use.use, work.job.plugins).sources
        if sources:
            found[label] = {
                name.removeprefix(FILE_MODULE_PREFIX): digest for name, digest in sources
            }
    return found


def _read_sources(path: Path) -> dict[str, dict[str, str]]:
    """None where there are none, or damaged ones: what has changed is computed again all the same,
    and only not said."""
    try:
        return {str(label): dict(files) for label, files in json.loads(read_file(path)).items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _differing(before: dict[str, str], now: dict[str, str]) -> list[str]:
    return sorted(name for name in {*before, *now} if before.get(name) != now.get(name))


def unmark(work: Work) -> None:
    """The tables of the whole run are written."""
    (work.job.folder / BEGUN).unlink(missing_ok=True)


def stage_of(folder: Path) -> tuple[str, str]:
    """Names where the run in a folder has got to: another one once it begins, writes its tables, or
    has ended."""
    return digest_of_file(folder / BEGUN), digest_of_file(folder / RENDERED)


def begun_in(folder: Path) -> Begun | None:
    """How the run in a folder was called that has not come to its end; None where it has."""
    path = folder / BEGUN
    if not os.path.lexists(path):
        return None
    try:
        kept = json.loads(read_file(path))
        plugins, told = tuple(map(str, kept["plugins"])), dict(kept["told"])
        return Begun(str(kept["source"]), plugins, told, bool(kept.get("ending")))
    except FileNotFoundError:
        return None  # the run has just come to its end
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise UsageError(f"{path}: unreadable, run the command of the run again: {error}") from None


def offline(plan: Plan, plugins: tuple[str, ...]) -> Plan:
    """The plan with data that are here: for a report nothing is fetched."""

    def kept(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
        known = signature(load("datasets", name, plugins).call).parameters
        return {**options, "download": False} if "download" in known else dict(options)

    options = kept(plan.dataset.use, plan.dataset.options)
    if isinstance(other := options.get("fallback"), dict):
        options["fallback"] = kept(str(other.get("name")), other)
    return plan.model_copy(update={"dataset": Use(use=plan.dataset.use, options=options)})


def needs(folder: Path, plugins: Any) -> str:
    """The end of a message where a plug-in is missing: how a report is given those of its run.

    Nothing where the run had none, or the folder does not name them.
    """
    if not plugins or not isinstance(plugins, list | tuple):
        return ""
    found = [_found(str(word), folder) or str(word) for word in plugins]
    words = [word for plugin in found for word in ("--plugin", plugin)]
    command = shlex.join(["xaibench", "report", str(folder), *words])
    return f"; its run had plug-ins, whose code a report runs only where it is told to: {command}"


def seen_from(folder: Path, word: str) -> str:
    """A file as seen from the run folder; its name alone where they lie far apart.

    A word that names no file, such as a module, stays.
    """
    if not Path(word).exists():
        return word
    file, here = Path(word).resolve(), folder.resolve()
    shared = Path(os.path.commonpath([file, here]))
    # the way between them would tell of people and places
    far = shared in (Path(here.anchor), Path.home().parent)
    return file.name if far else os.path.relpath(file, here)


def named_from_here(word: str) -> str:
    """A file as seen from the current folder, for a command to run again; the name alone of one
    outside, whose folders would tell of people and places. A module stays.
    """
    if not Path(word).exists():
        return word
    file = Path(os.path.abspath(word))  # where a link leads is of this machine too
    return str(file.relative_to(Path.cwd())) if file.is_relative_to(Path.cwd()) else file.name


def _found(word: str, folder: Path) -> str | None:
    """A file as seen from the run folder or from here, or a preset."""
    if word in presets():
        return word
    here = [path for path in (folder / word, Path(word)) if path.is_file()]
    return str(here[0]) if here else None
