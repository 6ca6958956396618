"""Which explanation of a DNA network to trust: a benchmark of attribution methods.

``run``, ``explain``, ``evaluate``, ``pretrain``, ``check_model`` and ``check_attribution`` are for
Python code and notebooks; each is imported when it is used, so that ``import xaibench`` waits for
nothing slow.
"""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .api.checking import check_model
    from .api.evaluating import Evaluation, evaluate
    from .api.explaining import explain
    from .api.explanations import Explanations
    from .api.pretraining import Pretraining, pretrain
    from .api.running import Run, run
    from .testing.contract import check_attribution

__version__ = "0.2.0"

__all__ = [
    "Evaluation",
    "Explanations",
    "Pretraining",
    "Run",
    "check_attribution",
    "check_model",
    "evaluate",
    "explain",
    "pretrain",
    "run",
]

_MODULES = {
    "Evaluation": "api.evaluating",
    "Explanations": "api.explanations",
    "Pretraining": "api.pretraining",
    "Run": "api.running",
    "check_attribution": "testing.contract",
    "check_model": "api.checking",
    "evaluate": "api.evaluating",
    "explain": "api.explaining",
    "pretrain": "api.pretraining",
    "run": "api.running",
}
"""Where what is offered here is defined."""

# A source checkout keeps models/, attribution/ and reports/ beside this folder,
# an installed copy inside it ([tool.setuptools.package-dir] in pyproject.toml).
_PACKAGE = Path(__file__).resolve().parent
if not (_PACKAGE / "models").is_dir():
    __path__.append(str(_PACKAGE.parent))


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
