"""The contract of an attribution method, checked on small models with known answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from xaibench.errors import NotApplicable, UsageError, described, message_of
from xaibench.explanation.method_call import Explanation, explain, method_name
from xaibench.metrics.localisation import auprc, chance_auprc
from xaibench.plan.changes import assigned
from xaibench.plugins.options import resolve
from xaibench.plugins.registry import load
from xaibench.plugins.signatures import typed
from xaibench.protocols import method_facts
from xaibench.shapes import Codes, Labels, Mask, Scores
from xaibench.terminal import aligned_rows
from xaibench.values import NO_CLASS, Explained, Sequences

from .toy_models import MODELS, MOTIF, TOKEN_MODELS, random_references, sequences

if TYPE_CHECKING:
    import pandas as pd

SCORE_TOLERANCE = 1e-5
"""How much batch and order may change a score, as a share of the largest of its model."""


_MODELS = {**MODELS, **TOKEN_MODELS}

_FOUND = 0.9
"""A method with an AUPRC above this on a motif of nucleotides is to find a token too."""


_OF_TOKENS = (
    "; its sites are tokens, and its channels no bases: raise NotApplicable where the method has "
    "no meaning for them"
)


class Check(NamedTuple):
    """One line of the contract; ``held`` is None where it states no requirement."""

    name: str
    held: bool | None
    detail: str


class Checks(tuple[Check, ...]):
    """The lines of the contract, and as a table."""

    __slots__ = ()

    @property
    def held(self) -> bool:
        """Whether nothing that is required is broken."""
        return all(each.held is not False for each in self)

    def to_frame(self) -> pd.DataFrame:
        """A row per line: ``name``, ``held`` (None where nothing is required), ``detail``."""
        import pandas as pd

        return pd.DataFrame([*self], columns=list(Check._fields)).astype({"held": object})

    def __repr__(self) -> str:
        return "\n".join(describe_checks(self))

    def _repr_html_(self) -> str:
        table: str = self.to_frame().replace({"held": _HELD}).to_html(index=False)
        return table


def check_attribution(
    method: Callable[..., Any], *, options: Mapping[str, Any] | None = None
) -> Checks:
    """The contract of every attribution method, checked on models with known answers.

    It runs; a second call gives the same scores; neither the size of a batch nor the order of the
    sequences matters; positions have different scores; the promised completeness holds. The model
    must be the same afterwards. Two lines describe the method without a requirement: whether it
    depends on the target, and how well it finds a motif. One that finds it is to find a token too,
    on a model that reads such.

    >>> from torch import linspace
    >>> def centre(model, inputs, target):
    ...     return -linspace(-1, 1, inputs.shape[2]).abs().expand(len(inputs), -1)
    >>> check_attribution(centre).held
    True
    """
    subject = _Subject(method, dict(options or {}))
    explained, ran = _ran(subject)
    if not explained:
        return Checks([ran])
    lines = [
        ran,
        _same_scores("the same again is the same", explained, lambda name: subject(name).scores, 0),
        _same_scores("one at a time", explained, lambda name: subject(name, size=1).scores),
        _same_scores("three at a time", explained, lambda name: subject(name, size=3).scores),
        _same_scores(
            "in another order", explained, lambda name: subject(name, order=-1).scores[::-1]
        ),
        _tells_positions_apart(explained),
        _check_completeness(method, explained),
        _depends_on_the_target(subject, explained),
        *_finds_the_motif(subject, explained),
    ]
    return Checks(lines)


def check_by_name(name: str, *, changes: Iterable[str], plugins: tuple[str, ...]) -> Checks:
    """``check_attribution`` of a method by its name; ``changes`` are ``key=value``, its options."""
    plugin = load("attribution", name, plugins)
    if method_facts(plugin.call).fixed:
        raise UsageError(
            f"{name}: its scores were made elsewhere, of sequences and a model that check does not "
            "have; name it in a plan, which checks the file"
        )
    options = resolve(plugin, dict(map(assigned, changes)), where=name)
    return check_attribution(plugin.call, options=typed(plugin, options))


_HELD = {True: "held", False: "BROKEN", None: "-"}


def describe_checks(checks: Iterable[Check]) -> list[str]:
    """One line per check: whether it held, its name, the detail."""
    return aligned_rows([(_HELD[each.held], each.name, each.detail) for each in checks], "<<<")


class _Subject(NamedTuple):
    """A method with its options, ready for any of the models."""

    method: Callable[..., Any]
    options: Mapping[str, Any]

    def __call__(
        self, name: str, *, size: int = 64, order: int = 1, target: int | None = None
    ) -> Explanation:
        codes = sequences(7)
        targets = np.arange(len(codes)) % 2 if target is None else np.full(len(codes), target)
        return self.explain(_MODELS[name](), codes, targets.astype(np.int64), size, order)

    def explain(
        self, model: Any, codes: Codes, targets: Labels, size: int = 64, order: int = 1
    ) -> Explanation:
        return explain(
            self.method,
            model.double(),
            codes[::order],
            targets[::order],
            options=self.options,
            seed=0,
            component=method_name(self.method),
            references=random_references(codes)[::order],
            batch_size=size,
        )


def _ran(subject: _Subject) -> tuple[dict[str, Explanation], Check]:
    """The explanations of the models that the method applies to; none where it failed on one."""
    explained = {}
    absent: dict[str, list[str]] = {}
    for name in _MODELS:
        try:
            explained[name] = subject(name)
        except NotApplicable as reason:
            absent.setdefault(message_of(reason), []).append(name)
        except Exception as error:  # whatever a stranger's method raises
            advice = _OF_TOKENS if name in TOKEN_MODELS else ""
            return {}, Check("runs", False, f"{name}: {described(error)}{advice}")
    reasons = [f"not on {'; '.join(names)} ({reason})" for reason, names in absent.items()]
    ran = [f"on {len(explained)} of {len(_MODELS)} models, which it leaves as found"]
    return explained, Check("runs", True if explained else None, "; ".join(ran + reasons))


def _same_scores(
    name: str,
    explained: Mapping[str, Explanation],
    again: Callable[[str], Scores],
    tolerance: float = SCORE_TOLERANCE,
) -> Check:
    """Whether scores computed in another way are those of the first call."""
    worst, where = 0.0, ""
    for model, first in explained.items():
        scale = float(np.abs(first.scores).max()) or 1.0
        difference = float(np.abs(again(model) - first.scores).max()) / scale
        if difference > worst:
            worst, where = difference, model
    largest = f"{worst:.1e} of the largest score, {where}" if where else "none"
    held = worst <= tolerance
    hint = "" if held else "; it depends on the batch, or on chance that is not its generators'"
    detail = f"largest difference: {largest}{hint}"
    return Check(name, held, detail)


def _tells_positions_apart(explained: Mapping[str, Explanation]) -> Check:
    known = sequences(7) < 4
    # of tokens, those of other lengths have other shares
    nucleotides = {model: explained[model] for model in explained if model not in TOKEN_MODELS}
    explained = nucleotides or explained
    flat = [
        model
        for model, each in explained.items()
        if all(np.ptp(row[valid]) == 0 for row, valid in zip(each.scores, known, strict=True))
    ]
    detail = f"not on {'; '.join(flat)}, where all score the same" if flat else ""
    return Check("tells positions apart", len(flat) < len(explained), detail)


def _check_completeness(method: Callable[..., Any], explained: Mapping[str, Explanation]) -> Check:
    """``explain`` has rejected what breaks the promise; this says how large the error was."""
    promised = method_facts(method).completeness
    if promised is None:
        return Check("completeness", None, "promises none")
    errors = [each.completeness_error for each in explained.values()]
    measured = [error for error in errors if not np.isnan(error)]
    if not measured:
        return Check("completeness", False, f"promises {promised:g} and measures none")
    return Check("completeness", True, f"largest error {max(measured):.1e}, promised {promised:g}")


def _depends_on_the_target(subject: _Subject, explained: Mapping[str, Explanation]) -> Check:
    model = "linear" if "linear" in explained else next(iter(explained))
    one, other = (subject(model, target=target).scores for target in (0, 1))
    depends = "no" if np.array_equal(one, other) else "yes"
    return Check("depends on the target", None, depends)


def _finds_the_motif(subject: _Subject, explained: Mapping[str, Explanation]) -> Iterable[Check]:
    """Of a motif of nucleotides and of a token, of which no method must find the first."""
    names = {"finds the motif": "motif count", "finds the token": "token count"}
    precisions = {
        line: _precision(subject, model) for line, model in names.items() if model in explained
    }
    for line, model in names.items():
        if line not in precisions:
            yield Check(line, None, f"not applicable to {model}")
            continue
        precision, chance = precisions[line]
        yield Check(
            line,
            None if line == "finds the motif" else _held_of_token(precisions),
            f"AUPRC {precision:.2f}, chance {chance:.2f}",
        )


def _held_of_token(precisions: Mapping[str, tuple[float, float]]) -> bool | None:
    """Whether a method that finds what nucleotides make up finds it where a token is it: one that
    puts the score of a token beside its nucleotides does not."""
    precision, chance = precisions["finds the token"]
    finds_motif = precisions.get("finds the motif", (0.0, 0.0))[0] > _FOUND
    return precision > (1 + chance) / 2 if finds_motif else None


def _precision(subject: _Subject, model: str) -> tuple[float, float]:
    """The mean AUPRC on sequences with what the model counts, and that of a random order."""
    of_token = model == "token count"
    codes = np.where(sequences(9) == 4, 3, sequences(9)).astype(np.uint8)
    planted = _TOKEN if of_token else MOTIF
    for row in range(len(codes)):
        codes[row, 2 * row : 2 * row + len(planted)] = planted
    inside = _token_inside(codes) if of_token else _motif_inside(codes)
    evidence = np.where(inside, 1, NO_CLASS).astype(np.int8)
    labels: Labels = np.ones(len(codes), np.int64)
    scores = subject.explain(_MODELS[model](), codes, labels).scores
    names = tuple(map(str, range(len(codes))))
    known = Sequences(codes, labels, names, ("no motif", "motif"), evidence=evidence)
    value = auprc(Explained(known, scores, labels, method_facts(subject.method).signed))
    planted_alone = 2 if of_token else len(MOTIF)
    return float(np.mean(value)), float(chance_auprc(planted_alone, codes.shape[1]))


_TOKEN = (0, 1, 1, 0)
"""A run of two C, which is a token, between A."""


def _motif_inside(codes: Codes) -> Mask:
    inside = np.zeros(codes.shape, bool)
    windows = np.lib.stride_tricks.sliding_window_view(codes, len(MOTIF), axis=1)
    for row, start in np.argwhere((windows == MOTIF).all(axis=2)):
        inside[row, start : start + len(MOTIF)] = True
    return inside


def _token_inside(codes: Codes) -> Mask:
    """Where runs of exactly two C are."""
    is_c = np.pad(codes == 1, ((0, 0), (2, 2)))
    begins = is_c[:, 2:-2] & ~is_c[:, 1:-3]
    whole = begins & is_c[:, 3:-1] & ~is_c[:, 4:]
    inside: Mask = whole.copy()
    inside[:, 1:] |= whole[:, :-1]
    return inside
