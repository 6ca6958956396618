"""What every test needs before torch or matplotlib is imported; passed on to child processes."""

import gc
import os
import signal
import sys
from collections import Counter
from itertools import chain
from pathlib import Path

import pytest

SLOWEST = (
    *("evaluation/test_evaluation", "reports/test_strange_runs", "runs/test_hostile_files"),
    *(
        "runs/test_pipeline",
        "statistics/test_coverage",
        "storage/test_damage",
        "nn/test_odd_models",
    ),
    *("storage/test_disk", "runs/test_unfinished", "reports/figures/test_panels", "test_docs"),
    *("nn/test_machine", "export/test_modisco", "reports/web/test_browser", "runs/test_stopped"),
    *(
        "test_shown_commands",
        "plugins/test_source_files",
        "test_nasty_names",
        "test_notebooks",
        "runs/test_forecast",
    ),
    *("attribution/test_every_method", "runs/test_single_sequence_classes", "test_imports"),
)
"""The files of tests that take longest. They begin first, so that in the end no process waits for
another that has just begun one of them (with --no-loadscope-reorder)."""

# Small models gain nothing from a second thread, and waiting threads hold up everything else.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["MPLBACKEND"] = "Agg"

# A shell ignores the key for what it starts in the background, and a run would be told so.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_configure():
    """No test but that of storage/test_power.py, which has a disk of its own, loses power: none
    waits for the disk."""
    os.fsync = lambda _: None


def pytest_collection_modifyitems(items):
    places = {f"tests/{name}.py": place for place, name in enumerate(SLOWEST)}
    missing = [name for name in places if not (Path(__file__).parents[1] / name).is_file()]
    if missing:
        raise pytest.UsageError(f"SLOWEST of tests/conftest.py: no {', '.join(missing)}")
    items.sort(key=lambda item: places.get(item.nodeid.partition("::")[0], len(places)))


def pytest_collection_finish():
    """What was imported and collected stays; looking through it for cycles again and again took a
    twentieth of the time."""
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)


def pytest_terminal_summary(terminalreporter):
    """Name the files that took longer than one of SLOWEST did: they belong there."""
    seconds = Counter()
    for report in chain(*terminalreporter.stats.values()):
        if isinstance(report, pytest.TestReport):
            seconds[report.nodeid.partition("::")[0]] += report.duration
    listed = {f"tests/{name}.py" for name in SLOWEST}
    if not listed <= {*seconds}:
        return  # not all tests ran
    for name, taken in seconds.most_common(len(listed)):
        if name not in listed:
            terminalreporter.write_line(
                f"{name} took {taken:.0f} s, longer than some of SLOWEST in tests/conftest.py"
            )


@pytest.fixture(autouse=True)
def one_thread():
    """A run in this process leaves its number of threads behind: later tests would take longer, and
    sum in another order."""
    yield
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


@pytest.fixture
def call(monkeypatch, capsys):
    """Calls the command line; gives exit code, standard output and standard error."""

    def called(*words):
        from xaibench.cli import main

        monkeypatch.setattr(sys, "argv", ["xaibench", *map(str, words)])
        with pytest.raises(SystemExit) as stopped:
            main()
        output = capsys.readouterr()
        return stopped.value.code or 0, output.out, output.err

    return called
