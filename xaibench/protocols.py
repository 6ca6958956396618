"""What a dataset, a model, a method, an operator and a metric must look like.

Every plug-in is a plain function (a model may be a class). Facts about a method or a metric are
data beside the function, attached by ``@method(...)`` and ``@metric(...)``; a function without them
has the defaults.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from xaibench.shapes import Codes
    from xaibench.values import Attribution, Splits

Function = TypeVar("Function", bound=Callable[..., Any])


class Dataset(Protocol):
    """``(*, data_seed, options) -> Splits``; ``data_seed`` is supplied where it is asked for."""

    def __call__(self, **options: Any) -> Splits: ...


class Classifier(Protocol):
    """A ``torch.nn.Module`` in two steps, so that the input of the second can be explained."""

    def encode(self, codes: Tensor) -> Tensor:
        """``(N, L)`` uint8 codes -> the differentiable input ``(N, C, S)``."""

    def __call__(self, inputs: Tensor) -> Tensor:
        """``(N, C, S)`` -> logits ``(N, class)``."""


@runtime_checkable
class HasAttention(Protocol):
    """A classifier that weighs its sites."""

    def attention(self, inputs: Tensor) -> Tensor:
        """``(N, C, S)`` -> weights ``(N, S)``, not negative, one a site, sum 1 over sites."""


@runtime_checkable
class HasAttentions(Protocol):
    """A classifier with layers of self-attention."""

    def attentions(self, inputs: Tensor) -> Tensor:
        """``(N, C, S)`` -> ``(N, layer, head, site, site)``; what a site pays to each sums to 1."""


class Method(Protocol):
    """``(model, inputs, target, *, options) -> scores (N, S) or contributions (N, C, S)``.

    ``model(inputs)`` gives ``(N, class)``: in column c what is explained for class c (the logit
    minus the other's for two classes, else the logit). ``inputs`` ``(N, C, S)`` requires grad;
    ``target`` is int64 ``(N,)``. Keyword-only parameters of these names are supplied: ``codes``
    ``(N, L)``, ``valid`` ``(N, L)`` bool, ``references`` ``(N, K, C, S)``, ``generators`` (a NumPy
    one a sequence). All other keywords are options. Raise ``NotApplicable`` where the method has no
    meaning for the model.
    """

    def __call__(
        self, model: Any, inputs: Tensor, target: Tensor, **options: Any
    ) -> Tensor | Attribution: ...


class Operator(Protocol):
    """``(codes, generator) -> donor``: for one sequence ``(L,)``, what replaced positions take."""

    def __call__(self, codes: Codes, generator: np.random.Generator) -> Codes: ...


@dataclass(frozen=True, slots=True)
class MethodFacts:
    """``signed``: negative scores mean evidence against the target. ``completeness``: the largest
    completeness error, over the RMS change of the output, that the method may have; None promises
    none."""

    signed: bool = True
    completeness: float | None = None


@dataclass(frozen=True, slots=True)
class MetricFacts:
    """Which values a metric compares, and how to read its number.

    ``of``: ``explanation`` is called ``(explained)``; ``curves`` is called ``(curves)`` once a
    quantity; ``change`` is called ``(explained, changed)`` with the explanations that a change
    (``seed``, ``substitutions``, ``reverse_complement``) made of the same sequences.
    """

    family: str
    better: Literal["lower", "higher"]
    range: tuple[float, float]
    of: Literal["explanation", "curves", "change"]
    target: Literal["predicted", "label"] = "predicted"
    needs_motif: bool = False
    needs_least_relevant_first: bool = False
    change: Literal["seed", "substitutions", "reverse_complement"] | None = None


def method(
    *, signed: bool = True, completeness: float | None = None
) -> Callable[[Function], Function]:
    """Attach facts to an attribution method."""
    return _attach(MethodFacts(signed, completeness))


def metric(**facts: Any) -> Callable[[Function], Function]:
    """Attach facts to a metric; the names are those of ``MetricFacts``."""
    return _attach(MetricFacts(**facts))


def _attach(facts: object) -> Callable[[Function], Function]:
    def attach(function: Function) -> Function:
        function.facts = facts  # type: ignore[attr-defined]  # functions carry attributes
        return function

    return attach


def method_facts(function: Any) -> MethodFacts:
    """The facts of a method; the defaults where its author gave none."""
    return getattr(function, "facts", MethodFacts())


def metric_facts(function: Any) -> MetricFacts:
    """The facts of a metric; without any it is a metric of the explanation, higher is better."""
    default = MetricFacts("own", "higher", (float("-inf"), float("inf")), "explanation")
    return getattr(function, "facts", default)
