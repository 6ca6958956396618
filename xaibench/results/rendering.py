"""Reports of a run folder, from its tables alone."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from xaibench.errors import Unknown, UsageError, described
from xaibench.plugins.fence import fenced
from xaibench.plugins.options import resolve
from xaibench.plugins.registry import Plugin, load
from xaibench.plugins.signatures import typed
from xaibench.storage.files import write_below

from . import reading
from .manifest import RunContinued, plugin_hint


def render_reports(
    folder: Path,
    plugins: tuple[str, ...] = (),
    formats: tuple[str, ...] = (),
    *,
    check: Callable[[], None] = lambda: None,
) -> tuple[list[Path], list[str]]:
    """Write the reports of a run folder: those of its plan, or the ``formats`` that are named.
    ``check`` is called before each file is replaced.

    Returns the files, and a line for each report that failed; the others are written. Raises
    UsageError before anything is written where a report is unknown.
    """
    results = reading.read_results(folder)
    uses = _reports_to_write(results.plan["reports"], formats)
    try:
        called = {label: _plugin_and_options(label, use, plugins) for label, use in uses.items()}
    except Unknown as error:
        raise UsageError(
            f"{error}{plugin_hint(folder, results.environment.get('plugins'))}"
        ) from None
    written, failures = [], []
    for label, (plugin, options) in called.items():
        try:
            with fenced():
                texts = dict(plugin.call(results, **options))
        except Exception as error:
            failures.append(f"report {label}: {folder}: {described(error)}")
            continue
        try:
            for name, text in texts.items():
                written.append(write_below(folder, name, text, check=check))
        except RunContinued:
            raise
        except UsageError as error:
            failures.append(f"report {label}: {error}")
        except OSError as error:
            failures.append(f"report {label}: {error.filename}: {error.strerror}")
    return written, failures


def _reports_to_write(planned: dict[str, Any], formats: tuple[str, ...]) -> dict[str, Any]:
    """The reports to write, with the options of the plan where it names them."""
    if not formats:
        return planned
    by_use = {use["use"]: use for use in planned.values()}
    return {name: planned.get(name) or by_use.get(name) or {"use": name} for name in formats}


def _plugin_and_options(
    label: str, use: Mapping[str, Any], plugins: tuple[str, ...]
) -> tuple[Plugin, dict[str, Any]]:
    """A report's plug-in and its options, as its signature types them."""
    plugin = load("reports", use["use"], plugins)
    options = {name: value for name, value in use.items() if name != "use"}
    return plugin, typed(plugin, resolve(plugin, options, where=f"reports.{label}"))
