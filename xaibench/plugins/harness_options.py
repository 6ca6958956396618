"""The options that the harness itself understands, beside a plug-in's own."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    model_validator,
)

from xaibench.protocols import (
    MetricKind,
    OfChange,
    OfCurves,
    OfEffects,
    method_facts,
    metric_facts,
    operator_facts,
)

from .registry import Plugin
from .signatures import Fields, schema_of
from .validation import validate


def _as_text(value: object) -> str:
    if not isinstance(value, str | int | float):
        raise ValueError(f"expected a name, got {json.dumps(value)}; a name may be put in quotes")
    return str(value)


Word = Annotated[str, BeforeValidator(_as_text)]
"""Of a column or a chromosome; the number 7 of a YAML file is the word "7"."""

ClassName = Word
"""The name of a class."""


class Truth(BaseModel):
    """Where the motifs of a dataset are, for every dataset that does not say so itself.

    ``motifs`` are scanned for: a JASPAR name or identifier and the class that it speaks for, below
    ``p_value``, from ``release`` or from the MEME file ``matrices``; or a string of five letters or
    more, as CGACCGAACTCC or TGASTCA, that is searched for as it stands. ``sites`` is a BED instead,
    whose fourth column, or ``speaks_for``, names the class.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, extra="forbid", strict=True)
    motifs: dict[str, ClassName] = {}
    p_value: Annotated[float, Field(gt=0, lt=1)] = 1e-4
    release: str | None = None
    matrices: Path | None = None
    sites: Path | None = None
    speaks_for: ClassName | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        """Motifs or sites, and only what belongs to the one that is given."""
        if bool(self.motifs) == bool(self.sites):
            raise ValueError("expected either motifs or sites")
        of_the_other = ("speaks_for",) if self.motifs else ("p_value", "release", "matrices")
        for name in of_the_other:
            if getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(f"{name} says nothing of {'motifs' if self.motifs else 'sites'}")
        return self


class Explain(BaseModel):
    """Which number of what a network returns is explained.

    ``output`` is a name in a dict or a field, a number in a tuple, or the column of a tensor
    ``(N, output, ...)``; several lead one after the other: ``[counts, 0]``. ``position`` is one, or
    ``[start, end]``, of the last axis. ``reduce`` makes one number of what is left: ``sum``,
    ``mean``, ``max``, or of the logits of a profile ``profile`` (the centred logits weighted by
    their probabilities). ``log`` takes its natural logarithm. ``function`` of a plug-in file takes
    what the network returns and gives ``(N,)``, in place of all these.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, extra="forbid", strict=True)
    output: int | str | tuple[int | str, ...] | None = None
    position: int | tuple[int, int] | None = None
    reduce: Literal["sum", "mean", "max", "profile"] | None = None
    log: bool = False
    function: str | None = None

    @model_validator(mode="after")
    def _function_alone(self) -> Self:
        """A function says all that the others would."""
        if self.function is not None and self._chooses() - {"function"}:
            raise ValueError("expected function: alone, got it with another choice")
        return self

    def path(self) -> tuple[int | str, ...]:
        """The parts that lead to the output, one after the other."""
        if self.output is None:
            return ()
        return self.output if isinstance(self.output, tuple) else (self.output,)

    def span(self) -> tuple[int, int]:
        """The positions as ``start, end``, of which there must be some."""
        assert self.position is not None  # for the type checker
        if isinstance(self.position, tuple):
            return self.position
        return self.position, self.position + 1

    def chooses_part_alone(self) -> bool:
        """Whether nothing is said but which part of the outputs it is."""
        return self._chooses() <= {"output"}

    def _chooses(self) -> set[str]:
        """The names of what is not as it is by default."""
        fields = type(self).model_fields
        return {name for name in fields if getattr(self, name) != fields[name].default}


TRANSFER = "transfer"
"""The option of a method that says how the score of a token is given to its nucleotides:
``dna.tokens``."""

LIMITS: dict[str, tuple[str, ...]] = {
    "attribution": ("sequences",),
    "models": ("sequences", "seeds", "weights"),
    "operators": ("sequences",),
}
"""The options of the harness that say how much is looked at, not what anything is."""


def identifying_options(plugin: Plugin, options: Mapping[str, Any]) -> dict[str, Any]:
    """The resolved options that make a difference to what the plug-in does."""
    limits = LIMITS.get(plugin.kind, ())
    return {name: value for name, value in options.items() if name not in limits}


def of_harness(plugin: Plugin, options: Mapping[str, Any]) -> dict[str, Any]:
    """The resolved options that the harness itself understands, in their types."""
    fields = harness_fields(plugin)
    given = {name: value for name, value in options.items() if name in fields}
    checked = validate(schema_of(plugin, fields), given, where=plugin.name)
    return {name: getattr(checked, name) for name in fields}


def harness_fields(plugin: Plugin) -> Fields:
    """The options that the harness itself understands, of every dataset, method and metric."""
    if plugin.kind == "attribution":
        fixed = {"of": (str, "")} if method_facts(plugin.call).fixed else {}
        return {
            "strands": (Literal["forward", "both"], "forward"),
            TRANSFER: (Literal["equal", "broadcast", "proportional"], "equal"),
            "sequences": _AT_MOST,
            **fixed,
        }
    if plugin.kind == "operators":
        of_tokens = operator_facts(plugin.call).of_tokens
        return {"sequences": _AT_MOST, **(_TOKEN_ORDER if of_tokens else {})}
    if plugin.kind == "models":
        return _MODEL_OPTIONS
    if plugin.kind == "datasets":
        return {
            "deduplicated": (bool, False),
            "truth": (Truth | None, None),
            "fallback": (dict[str, Any] | None, None),
        }
    if plugin.kind != "metrics":
        return {}
    return {"sequences": _AT_MOST, **_of_kind(metric_facts(plugin.call).kind)}


def _of_kind(kind: MetricKind) -> Fields:
    """How the harness makes what a metric of this kind looks at."""
    if isinstance(kind, OfChange):
        return _CHANGE_OPTIONS.get(kind.change, {})
    if isinstance(kind, OfEffects):
        return _EFFECT_OPTIONS.get(kind.effects, {})
    return _CURVE_OPTIONS.get(kind.curve, {}) if isinstance(kind, OfCurves) else {}


Layout = Literal["N4L", "NL4", "N41L", "N4L1", "N14L", "N1L4"]
"""The axes of what a module takes: sequences, channels of bases, positions; or positions before
channels; or an axis of size 1 between them, as convolutions in two dimensions have it."""

_COUNT = Annotated[int, Field(ge=1)]

_DRAW_COUNT = Annotated[int, Field(ge=1, le=10_000)]

_AT_MOST = (_COUNT | None, None)
"""At most so many; None is all that the plan has."""

_TOKEN_ORDER: Fields = {"order_by": (Literal["mean", "sum", "signed_maximum"], "mean")}
"""Of an operator that replaces tokens: how the scores of its nucleotides become the one by which a
token is replaced earlier or later (``dna.tokens``)."""

_MODEL_OPTIONS: Fields = {
    "sequences": (Annotated[int, Field(ge=0)] | None, None),
    "seeds": _AT_MOST,
    "weights": (Path | tuple[Path, ...] | None, None),
    "strip_prefix": (str, ""),
    "layout": (Literal["", Layout], ""),
    "alphabet": (str, ""),
    "explain": (Explain | None, None),
}
"""How much is looked at; where weights come from that are there already, one file per replicate;
what a network takes; and which of its numbers is explained."""

UNWRITTEN: dict[str, dict[str, Any]] = {
    "models": {
        name: default
        for name, (_, default) in _MODEL_OPTIONS.items()
        if name not in ("sequences", "seeds")
    },
    "attribution": {TRANSFER: "equal"},
}
"""Options of the harness, with their defaults, that a resolved plan holds only where they were
given: of a network that xaibench trains, and of a model without tokens, they say nothing."""

_CHANGE_OPTIONS: dict[str, Fields] = {
    "substitutions": {"draws": (_DRAW_COUNT, 5)},
    "hamming_ball": {"draws": (_DRAW_COUNT, 5), "radius": (_COUNT, 3)},
    "shift": {"draws": (_DRAW_COUNT, 2), "offset": (_COUNT, 10)},
    "cascading": {"draws": (_DRAW_COUNT, 3)},
    "independent": {"draws": (_DRAW_COUNT, 3)},
}
"""How often and how far the harness changes what a metric looks at."""

_SHARE = Annotated[float, Field(gt=0, lt=1)]

_EFFECT_OPTIONS: dict[str, Fields] = {
    "subsets": {
        "draws": (_DRAW_COUNT, 20),
        "fractions": (tuple[_SHARE, ...], (0.05, 0.1, 0.2, 0.3, 0.5)),
    },
}
"""How many random sets of which size are replaced."""

_CURVE_OPTIONS: dict[str, Fields] = {"retrained": {"train": (_COUNT | None, None)}}
"""On how many sequences models are trained again."""
