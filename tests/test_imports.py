"""What a process does not wait for: slow libraries that its work does not need."""

import gc
import subprocess
import sys
from pathlib import Path

import pytest
from small_run import LEAN, finished

from xaibench.cli.run import loading

SLOW = (
    *("captum", "matplotlib", "pandas", "rich", "scipy.special", "scipy.stats", "sklearn"),
    *("tokenizers", "transformers"),
)


def answered(code: str) -> list[str]:
    """The words that a process of its own prints."""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return done.stdout.split()


def test_what_is_slow_to_import_is_imported_where_it_is_used() -> None:
    """Neither by the command, nor by the plug-ins of the demo and the models of tokens."""
    words = (
        "import xaibench.cli, xaibench.runs.pipeline, xaibench.runs.series, xaibench.runs.forecast"
        ", xaibench.models.dnabert2, xaibench.models.families"
        "; from xaibench.plan.schema import read_any as read"
        "; read('demo', changes=(), plugins=(), limit=None)"
    )
    ask = f"{words}; import sys; print(*sorted({{*{SLOW}}} & {{*sys.modules}}))"
    assert answered(ask) == []


def test_garbage_is_looked_for_again_after_loading_also_after_an_error():
    with loading():
        assert not gc.isenabled()
    assert gc.isenabled()
    with pytest.raises(ImportError), loading():
        raise ImportError
    assert gc.isenabled()


def test_importing_xaibench_waits_for_nothing_slow_and_offers_its_functions() -> None:
    ask = (
        "import sys, xaibench; slow = {'torch', 'numpy', 'matplotlib', 'pandas'} & {*sys.modules}; "
        "print(sorted(slow), all(hasattr(xaibench, name) for name in xaibench.__all__), "
        "set(xaibench.__all__) <= set(dir(xaibench)), 'matplotlib' in sys.modules)"
    )
    assert answered(ask) == ["[]", "True", "True", "False"]


def test_what_xaibench_does_not_offer_is_an_error_of_python() -> None:
    import xaibench

    with pytest.raises(AttributeError, match="module 'xaibench' has no attribute 'explian'"):
        _ = xaibench.explian


def test_metrics_and_statistics_are_made_without_torch() -> None:
    ask = (
        "import importlib, pkgutil, sys, xaibench.metrics, xaibench.statistics; "
        "rooms = (xaibench.metrics, xaibench.statistics); "
        "names = [[m.name for m in pkgutil.walk_packages(room.__path__, room.__name__ + '.')] "
        "for room in rooms]; [*map(importlib.import_module, sum(names, []))]; "
        "print(*(len(each) > 3 for each in names), 'torch' in sys.modules)"
    )
    assert answered(ask) == ["True", "True", "False"]


def test_the_report_of_a_finished_run_imports_no_torch(tmp_path: Path) -> None:
    changes = ("seeds=[0]", "models={cnn: {filters: [6], kernels: [19]}}", "training.epochs=1")
    finished(tmp_path / "run", text=LEAN, changes=(*changes, "reports=[html]"))
    ask = (
        "import atexit, sys; from xaibench.cli import main; "
        "atexit.register(lambda: print('torch' in sys.modules)); main()"
    )
    words = [sys.executable, "-c", ask, "report", str(tmp_path / "run")]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    *written, imports_torch = done.stdout.splitlines()
    assert str(tmp_path / "run" / "report.html") in written
    assert imports_torch == "False"


def test_a_model_is_traced_without_the_compiler_of_torch() -> None:
    ask = (
        "import sys, torch; from xaibench.nn.checks.operations import traced; "
        "_, trace = traced(lambda: torch.ones(2).sigmoid()); "
        "print(trace.last, 'torch._dynamo' in sys.modules)"
    )
    assert answered(ask) == ["sigmoid", "False"]
