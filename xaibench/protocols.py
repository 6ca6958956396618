"""What a dataset, a model, a method, an operator and a metric must look like.

Every plug-in is a plain function (a model may be a class). Facts about a method or a metric are
data beside the function, attached by ``@method(...)`` and ``@metric(...)``; a function without them
has the defaults.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import (
    TYPE_CHECKING,
    Any,
    Literal,
    Protocol,
    TypeVar,
    get_args,
    runtime_checkable,
)

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from xaibench.shapes import Codes
    from xaibench.values import Attribution, Splits

# fmt: off
Change = Literal[
    "seed", "substitutions", "hamming_ball", "shift", "reverse_complement", "settings",
    "cascading", "independent", "random_labels",
]
# fmt: on
"""What made the second explanation that a metric of a change looks at."""

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
    """``(codes, generator) -> donor``: for one sequence ``(L,)``, what replaced positions take.

    Keyword-only ``composition`` ``(base,)``, the shares of the bases in train, is supplied where it
    is asked for. An attribute ``together``, ``(codes, generators) -> donors`` of all sequences, is
    used instead where it is there; it gives the same donors.
    """

    def __call__(self, codes: Codes, generator: np.random.Generator) -> Codes: ...


@dataclass(frozen=True, slots=True)
class MethodFacts:
    """``signed``: negative scores mean evidence against the target. ``completeness``: the largest
    completeness error, over the RMS change of the output, that the method may have; None promises
    none."""

    signed: bool = True
    completeness: float | None = None


Quantity = Literal["logit_difference", "probability", "accuracy", "kept"]
"""What a curve is of: ``curves.quantity`` says what each means."""

Precision = Literal["float32", "bfloat16"]
"""What convolutions and matrix products take and give; they add up in float32 either way."""

QUANTITIES: tuple[Quantity, ...] = ("logit_difference", "probability", "accuracy")


@dataclass(frozen=True, slots=True)
class MetricFacts:
    """Which values a metric compares, and how to read its number.

    ``of``: ``explanation`` is called ``(explained)``; ``curves`` is called ``(curves)`` once for
    each of ``quantities``; ``effects`` is called ``(explained, effects)`` with what the model loses
    by every single substitution (``Substitutions``) or by random sets of them (``Subsets``);
    ``change`` is called ``(explained, changed)`` with the explanations that a change made of the
    same sequences: of the sequence (``substitutions``, ``hamming_ball``, ``shift``,
    ``reverse_complement``), of the method (``settings``) or of the model (``seed``, ``cascading``
    and ``independent`` randomisation of its weights, ``random_labels``).

    ``curve`` says how a curve is made: positions ``replaced`` by an operator; ``imputed`` from what
    is kept; by models ``retrained`` on what is left; or the ``other_models`` looking at what this
    one's explanation removed. ``better`` is ``neither`` where a number is no merit. ``invariant``
    names what the number does not depend on: the ``scale`` of the scores (a positive factor), or
    any strictly rising (``monotone``) change of them.
    """

    family: str
    better: Literal["lower", "higher", "neither"]
    range: tuple[float, float]
    of: Literal["explanation", "curves", "change", "effects"]
    target: Literal["predicted", "label"] = "predicted"
    needs_motif: bool = False
    needs_sign: bool = False
    needs_least_relevant_first: bool = False
    signs_apart: bool = False
    change: Change | None = None
    curve: Literal["replaced", "imputed", "retrained", "other_models"] = "replaced"
    quantities: tuple[Quantity, ...] = QUANTITIES
    effects: Literal["substitutions", "subsets"] | None = None
    invariant: tuple[Literal["scale", "monotone"], ...] = ()

    def __post_init__(self) -> None:
        for name, known in _KNOWN.items():
            if getattr(self, name) not in known:
                raise ValueError(f"{name}: wanted one of {known}, got {getattr(self, name)!r}")
        for of, name in (("change", "change"), ("effects", "effects")):
            if (self.of == of) != (getattr(self, name) is not None):
                raise ValueError(f"wanted {name}= of a metric of={of!r}, and of no other")


_KNOWN = {
    "of": ("explanation", "curves", "change", "effects"),
    "better": ("lower", "higher", "neither"),
    "change": (None, *get_args(Change)),
    "curve": ("replaced", "imputed", "retrained", "other_models"),
    "effects": (None, "substitutions", "subsets"),
}


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
