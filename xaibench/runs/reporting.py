"""The reports of a run folder again: of a finished run from its tables, without torch."""

from __future__ import annotations

from pathlib import Path

from xaibench.errors import UsageError
from xaibench.results.manifest import RunContinued, begun_in, stage_of
from xaibench.results.rendering import render_reports
from xaibench.storage.files import with_rights
from xaibench.storage.lock import busy


def report(
    folder: Path, plugins: tuple[str, ...] = (), formats: tuple[str, ...] = ()
) -> tuple[list[Path], list[str]]:
    """The reports of a run folder again; of a run that was stopped, what there is so far.

    No model is trained, nothing is explained, and no plug-in is imported but ``plugins``. Returns
    what ``render`` does.
    """
    for _ in range(2):
        try:
            with with_rights(folder):
                return _report(folder, plugins, formats)
        except RunContinued as error:  # most likely to its end; then all of it is reported
            went_on = error
        except OSError as error:
            raise UsageError(f"{error.filename or folder}: {error.strerror}") from error
    raise went_on


def _report(
    folder: Path, plugins: tuple[str, ...], formats: tuple[str, ...]
) -> tuple[list[Path], list[str]]:
    """The reports of a run so far; RunContinued where it continues while they are being made."""
    stage, begun, damaged = stage_of(folder), begun_in(folder), []

    def check() -> None:
        if stage_of(folder) != stage:
            raise RunContinued(f"{folder}: its run has gone on meanwhile; ask for the report again")

    if begun is not None:
        if begun.ending and busy(folder / "store"):
            raise UsageError(f"{folder}: its run is writing its reports; wait until it has ended")
        # torch is slow to import, and a finished run is rendered from its tables alone
        from .pipeline import write_so_far

        damaged = write_so_far(begun, folder, plugins, check)
    written, failures = render_reports(folder, plugins, formats, check=check)
    return written, damaged + failures
