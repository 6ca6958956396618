"""What every test needs before torch or matplotlib is imported; passed on to child processes."""

import os
import signal
import sys

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
    *("plugins/test_source_files", "test_nasty_names", "test_notebooks", "runs/test_forecast"),
    *("attribution/test_every_method", "runs/test_single_sequence_classes", "test_imports"),
)
"""The files of tests that take longest. They begin first, so that in the end no process waits for
another that has just begun one of them (with --no-loadscope-reorder)."""

# Small models gain nothing from a second thread, and waiting threads hold up everything else.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["MPLBACKEND"] = "Agg"

# A shell ignores the key for what it starts in the background, and a run would be told so.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items):
    places = {f"tests/{name}.py": place for place, name in enumerate(SLOWEST)}
    items.sort(key=lambda item: places.get(item.nodeid.partition("::")[0], len(places)))


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
