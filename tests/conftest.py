"""What every test needs before torch or matplotlib is imported; passed on to child processes."""

import os
import signal
import sys

import pytest

# Small models gain nothing from a second thread, and waiting threads hold up everything else.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["MPLBACKEND"] = "Agg"

# A shell ignores the key for what it starts in the background, and a run would be told so.
signal.signal(signal.SIGINT, signal.default_int_handler)


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
