"""What a dataset, a model, a method, an operator and a metric must look like.

Every plug-in is a plain function (a model may be a class). Facts about a method or a metric are
data beside the function, attached by ``@method(...)`` and ``@metric(...)``; a function without them
has the defaults.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import MISSING, dataclass, fields
from typing import (
    TYPE_CHECKING,
    Any,
    ClassVar,
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
    from xaibench.values import Attribution, Splits, TokenSites

# fmt: off
ChangeKind = Literal[
    "seed", "substitutions", "hamming_ball", "shift", "reverse_complement", "settings",
    "cascading", "independent", "random_labels",
]
# fmt: on
"""What made the second explanation that a metric of a change looks at."""

PROTOCOL = "0.2"
"""The version of what plug-ins are given and give: that of xaibench without the last number. A
plug-in may say which one it was written for, ``XAIBENCH_PROTOCOL = "0.2"`` in its module."""

PROTOCOLS = (PROTOCOL,)
"""Those that work; from 0.3 on also the one before, with warnings."""

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
class HasTokens(Protocol):
    """A classifier whose sites are tokens: stretches of nucleotides, and tokens of none such as
    ``[CLS]``. Methods see its sites, everything that looks at scores sees nucleotides.

    The harness gives it batches of sequences that have equally many sites, but for training, where
    ``valid`` says which sites of a batch are no padding. Where its output jumps on the way from one
    embedding to another, an attribute ``jumps`` says why, in a few words: a path of gradients does
    not add up there.
    """

    def token_sites(self, codes: Tensor) -> TokenSites:
        """``(N, L)`` uint8 codes -> the sites of each sequence and what they cover, in the order of
        those of ``encode``."""

    def reference(self, inputs: Tensor) -> Tensor:
        """``(N, C, S)`` -> the same, where every token of nucleotides is one that says nothing,
        such as the mean of all; what methods that compare with a reference begin from."""

    def __call__(self, inputs: Tensor, valid: Tensor | None = None) -> Tensor:
        """``(N, C, S)``, and perhaps ``(N, S)`` bool -> logits ``(N, class)``."""


@runtime_checkable
class HasSpecialTokens(Protocol):
    """A classifier that has tokens, of which some stand for what is hidden or unknown."""

    def filled(self, inputs: Tensor, token: str) -> Tensor:
        """``(N, C, S)`` -> the same, where every token of nucleotides is ``token``, ``[MASK]`` or
        ``[UNK]``; NotApplicable where the tokenizer has no such token."""


@runtime_checkable
class HasAttention(Protocol):
    """A classifier that weighs its sites."""

    def attention(self, inputs: Tensor) -> Tensor:
        """``(N, C, S)`` -> weights ``(N, S)``, not negative, one per site, sum 1 over sites."""


@runtime_checkable
class HasAttentions(Protocol):
    """A classifier with layers of self-attention; ``pooled_site`` is an attribute of one that reads
    its logits from a single site, the number of that."""

    def attentions(self, inputs: Tensor) -> Tensor:
        """``(N, C, S)`` -> ``(N, layer, head, site, site)``; what a site pays to each; sum 1."""


@runtime_checkable
class HasHeads(HasAttentions, Protocol):
    """A classifier whose heads can be taken out one by one."""

    def output_projections(self) -> list[Any]:
        """The module of each layer whose input ``(N, site, head x width)`` is what its heads put
        out, side by side, in the order of those of ``attentions``."""


@runtime_checkable
class HasValues(HasHeads, Protocol):
    """A classifier that shows what its heads mix."""

    def values(self, inputs: Tensor) -> Tensor:
        """``(N, C, S)`` -> ``(N, layer, head, site, width)``: of these each head puts out the mean
        by its ``attentions``."""


class Method(Protocol):
    """``(model, inputs, target, *, options) -> scores (N, S) or contributions (N, C, S)``.

    ``model(inputs)`` gives ``(N, class)``: in column c what is explained for class c, its logit
    minus the mean of the other logits. ``inputs`` ``(N, C, S)`` requires grad;
    ``target`` is int64 ``(N,)``. Keyword-only parameters of these names are supplied: ``codes``
    ``(N, L)``, ``valid`` ``(N, L)`` bool, ``references`` ``(N, K, C, S)``, ``generators`` (a NumPy
    one per sequence), ``test_split`` (all test sequences, with their names, labels and intervals).
    All other keywords are options. Models that have tokens have no ``references``: a method that
    gives them a default is called without, any other does not apply. Raise ``NotApplicable`` where
    the method has no meaning for the model.
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


class TokenOperator(Protocol):
    """``(model, inputs) -> inputs`` of the same shape ``(N, C, S)``: what replaced tokens take, of
    a model that has tokens. Marked by ``@operator(of_tokens=True)``.

    Tokens of no known nucleotide, such as ``[CLS]``, are never replaced, whatever it gives there.
    """

    def __call__(self, model: Any, inputs: Tensor) -> Tensor: ...


@dataclass(frozen=True, slots=True)
class OperatorFacts:
    """``of_tokens``: it replaces the tokens of a model (``TokenOperator``), not nucleotides."""

    of_tokens: bool = False


@dataclass(frozen=True, slots=True)
class MethodFacts:
    """``signed``: negative scores mean evidence against the target. ``completeness``: the largest
    completeness error, over the RMS change of the output, that the method may have; None promises
    none. ``fixed``: the scores were made elsewhere, and follow no change of the model, of its
    weights or of the sequences. Of a fixed method a plan may say ``signed`` by an option of that
    name, and of an option that is several files each is of one replicate. ``single_pass``: the
    method calls the model once, with the very inputs that it was given and no hooks of its own, so
    that the pass which predicts the target may serve it. ``of_nucleotides``: the scores are of
    nucleotides ``(N, L)``, also where the sites of the model are tokens."""

    signed: bool = True
    completeness: float | None = None
    fixed: bool = False
    single_pass: bool = False
    of_nucleotides: bool = False


Quantity = Literal["logit_difference", "probability", "accuracy", "kept"]
"""What a curve is of: ``nn.outputs.quantity`` says what each means."""

QUANTITIES: tuple[Quantity, ...] = ("logit_difference", "probability", "accuracy")

Precision = Literal["float32", "bfloat16", "tf32"]
"""What convolutions and matrix products take and give; they add up in float32 either way."""

CurveKind = Literal["replaced", "imputed", "retrained", "other_models"]
"""How a curve is made: positions ``replaced`` by an operator; ``imputed`` from the positions that
are left; by models ``retrained`` on what is left; or ``replaced``, and it is the ``other_models``
that predict."""

EffectKind = Literal["substitutions", "subsets"]
"""The drops of every single substitution (``values.Substitutions``), or of random sets of them
(``values.Subsets``)."""

Direction = Literal["lower", "higher", "neither"]


@dataclass(frozen=True, slots=True)
class OfExplanation:
    """A metric of one map, called ``(explained)``.

    With ``needs_motif`` it is measured on the sequences that carry a motif of their class. With
    ``needs_sign`` it reads the sign of the scores, so random maps get one.
    """

    of: ClassVar[str] = "explanation"
    arguments: ClassVar[int] = 1
    needs_motif: bool = False
    needs_sign: bool = False


@dataclass(frozen=True, slots=True)
class OfCurves:
    """A metric of replacement curves, called ``(curves)`` once per quantity."""

    of: ClassVar[str] = "curves"
    arguments: ClassVar[int] = 1
    curve: CurveKind = "replaced"
    quantities: tuple[Quantity, ...] = QUANTITIES
    needs_least_relevant_first: bool = False

    def __post_init__(self) -> None:
        _require_known("curve", self.curve, get_args(CurveKind))
        for quantity in self.quantities:
            _require_known("quantities", quantity, get_args(Quantity))
        if not self.quantities:
            raise ValueError("quantities: expected at least one, got none")
        if self.needs_least_relevant_first and self.curve == "retrained":
            raise ValueError("needs_least_relevant_first: models are retrained in one order only")

    def recorded_as(self, label: str) -> dict[str, Quantity]:
        """The quantities by the names of their records: the label, an underscore and the quantity;
        of a single quantity the label.

        >>> OfCurves(quantities=("probability", "accuracy")).recorded_as("aopc")
        {'aopc_probability': 'probability', 'aopc_accuracy': 'accuracy'}
        """
        if len(self.quantities) == 1:
            return {label: self.quantities[0]}
        return {f"{label}_{quantity}": quantity for quantity in self.quantities}


@dataclass(frozen=True, slots=True)
class OfChange:
    """A metric of a map and of those that a change made of the same sequences, called
    ``(explained, changed)``.

    The change is one of the sequence (``substitutions``, ``hamming_ball``, ``shift``,
    ``reverse_complement``), of the method (``settings``) or of the model (``seed``, ``cascading``
    and ``independent`` randomisation of its weights, ``random_labels``).
    """

    of: ClassVar[str] = "change"
    arguments: ClassVar[int] = 2
    change: ChangeKind

    def __post_init__(self) -> None:
        _require_known("change", self.change, get_args(ChangeKind))


@dataclass(frozen=True, slots=True)
class OfEffects:
    """A metric of a map and of what the model loses by edits that are the same for every map,
    called ``(explained, effects)``."""

    of: ClassVar[str] = "effects"
    arguments: ClassVar[int] = 2
    effects: EffectKind

    def __post_init__(self) -> None:
        _require_known("effects", self.effects, get_args(EffectKind))


MetricKind = OfExplanation | OfCurves | OfChange | OfEffects
"""What a metric looks at, with the facts that only metrics of this kind have."""

METRIC_KINDS: dict[str, type[MetricKind]] = {
    kind.of: kind for kind in (OfExplanation, OfCurves, OfChange, OfEffects)
}
"""By the word ``of`` of ``@metric``."""


@dataclass(frozen=True, slots=True)
class MetricFacts:
    """How to read the number of a metric, and what it looks at.

    ``better`` is ``neither`` where a number is no merit. ``target``: whose map is measured.
    ``signs_apart``: signed and unsigned methods are asked different things and not compared.
    ``invariant`` names what the number does not depend on: the ``scale`` of the scores (a positive
    factor), or any strictly rising (``monotone``) change of them.
    """

    family: str
    better: Direction
    range: tuple[float, float]
    kind: MetricKind
    target: Literal["predicted", "label"] = "predicted"
    signs_apart: bool = False
    invariant: tuple[Literal["scale", "monotone"], ...] = ()

    def __post_init__(self) -> None:
        _require_known("better", self.better, get_args(Direction))
        _require_known("target", self.target, ("predicted", "label"))
        for change in self.invariant:
            _require_known("invariant", change, ("scale", "monotone"))

    @property
    def needs_least_relevant_first(self) -> bool:
        """Whether the least relevant positions are replaced first too."""
        return isinstance(self.kind, OfCurves) and self.kind.needs_least_relevant_first


def _require_known(name: str, value: object, known: tuple[object, ...]) -> None:
    if value not in known:
        raise ValueError(f"{name}: expected one of {known}, got {value!r}")


def method(
    *,
    signed: bool = True,
    completeness: float | None = None,
    fixed: bool = False,
    single_pass: bool = False,
    of_nucleotides: bool = False,
) -> Callable[[Function], Function]:
    """Attach facts to an attribution method."""
    return _attach(MethodFacts(signed, completeness, fixed, single_pass, of_nucleotides))


def operator(*, of_tokens: bool = False) -> Callable[[Function], Function]:
    """Attach facts to an operator."""
    return _attach(OperatorFacts(of_tokens))


def metric(
    *,
    family: str,
    better: Direction,
    range: tuple[float, float],
    of: str,
    target: Literal["predicted", "label"] = "predicted",
    signs_apart: bool = False,
    invariant: tuple[Literal["scale", "monotone"], ...] = (),
    **of_kind: Any,
) -> Callable[[Function], Function]:
    """Attach facts to a metric.

    ``of`` says what it looks at, and which facts there are beside those of ``MetricFacts``:
    ``explanation`` (``OfExplanation``: ``needs_motif``, ``needs_sign``), ``curves`` (``OfCurves``:
    ``curve``, ``quantities``, ``needs_least_relevant_first``), ``change`` (``OfChange``:
    ``change``) or ``effects`` (``OfEffects``: ``effects``). ValueError where they do not fit
    together.
    """
    kind = metric_kind(of, **of_kind)
    return _attach(MetricFacts(family, better, range, kind, target, signs_apart, invariant))


def metric_kind(of: str, **facts: Any) -> MetricKind:
    """What a metric looks at, by its word, with the facts of that kind.

    >>> metric_kind("effects", effects="subsets")
    OfEffects(effects='subsets')
    """
    _require_known("of", of, tuple(METRIC_KINDS))
    kind = METRIC_KINDS[of]
    own = {field.name: field for field in fields(kind)}
    for name in facts:
        if name not in own:
            raise ValueError(f"{name} is no fact of a metric of={of!r}, which has {[*own]}")
    for name, field in own.items():
        if field.default is MISSING and facts.get(name) is None:
            raise ValueError(f"expected {name}= for a metric of={of!r}")
    return kind(**facts)


def _attach(facts: object) -> Callable[[Function], Function]:
    def attach(function: Function) -> Function:
        function.facts = facts  # type: ignore[attr-defined]  # functions carry attributes
        return function

    return attach


def method_facts(function: Any) -> MethodFacts:
    """The facts of a method; the defaults where its author gave none."""
    return getattr(function, "facts", MethodFacts())


def operator_facts(function: Any) -> OperatorFacts:
    """The facts of an operator; the defaults where its author gave none."""
    return getattr(function, "facts", OperatorFacts())


def metric_facts(function: Any) -> MetricFacts:
    """The facts of a metric; without any it is a metric of the explanation, higher is better."""
    default = MetricFacts("own", "higher", (float("-inf"), float("inf")), OfExplanation())
    return getattr(function, "facts", default)


def layers_without_rule(function: Any, model: Any) -> list[str]:
    """Path and class of each layer of a model that a method with rules for layers has none for.

    A method says so by an attribute of that name, ``(model) -> list``; one without it has no rules,
    and needs none. NotApplicable where it cannot look into the model.
    """
    listed = getattr(function, "layers_without_rule", None)
    return [] if listed is None else list(listed(model))


def entering(
    function: Any, model: Any, inputs: Tensor, target: Tensor, modules: Sequence[Any]
) -> list[tuple[Tensor, Tensor]]:
    """What enters each of these modules, and its gradient under the rules of a method: their
    product is its relevance. A method with rules says so by an attribute of that name."""
    entered: list[tuple[Tensor, Tensor]] = function.entering(model, inputs, target, modules)
    return entered
