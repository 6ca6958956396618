"""A module of the caller's as the classifier that is explained."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import nn

from xaibench.errors import ModelError, UsageError
from xaibench.nn.adapted import LAYOUTS, adapted, require_weights
from xaibench.plugins.fence import fenced
from xaibench.plugins.harness_options import Explain
from xaibench.plugins.registry import nearest
from xaibench.plugins.validation import validate


@dataclass(frozen=True, slots=True)
class Takes:
    """What a model takes, and which number of what it returns is explained: the options
    ``layout``, ``alphabet`` and ``explain`` of a model in a plan. ``explain`` is a mapping, or a
    function of what the model returns."""

    layout: str = ""
    alphabet: str = ""
    explain: Mapping[str, Any] | Callable[[Any], Any] | None = None

    def __post_init__(self) -> None:
        if self.layout and self.layout not in LAYOUTS:
            raise UsageError(
                f"layout: expected one of {', '.join(LAYOUTS)}, got {self.layout!r}; "
                f"{nearest(self.layout, list(LAYOUTS))}"
            )

    @property
    def function(self) -> Callable[[Any], Any] | None:
        """The function that makes one number of what the model returns."""
        given = self.explain
        if isinstance(given, Mapping):
            given = given.get("function")
        if isinstance(given, str):
            raise UsageError(f"explain: expected the function itself, got its name {given!r}")
        return given

    @property
    def options(self) -> dict[str, Any] | None:
        """The choices of ``explain``, without a function."""
        if self.function is not None or not isinstance(self.explain, Mapping):
            return None
        return dict(self.explain)

    def adapt(self, model: Any, *, classes: int, length: int) -> nn.Module:
        """The model as a classifier of one-hot DNA; UsageError (one line) where it is none."""
        options = self.options
        choice = None if options is None else validate(Explain, options, where="explain")
        if not isinstance(model, nn.Module):
            raise UsageError(f"model: expected a torch.nn.Module, got a {type(model).__name__}")
        assert choice is None or isinstance(choice, Explain)  # for the type checker
        with as_usage(), fenced():
            require_weights(model)
            return adapted(
                model,
                classes=classes,
                length=length,
                layout=self.layout,
                alphabet=self.alphabet,
                explained=choice,
                function=self.function,
            )


@contextmanager
def as_usage() -> Iterator[None]:
    """Within, what a model does wrong is one line for its author."""
    try:
        yield
    except ModelError as error:
        raise UsageError(f"model: {error}") from error
