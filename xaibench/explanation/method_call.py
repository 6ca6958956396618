"""The call of a method, and what it must keep to."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xaibench.dna import tokens
from xaibench.dna.encoding import lengths, reverse_complement, unreverse, unreverse_bases
from xaibench.errors import ModelError, NotApplicable, message_of
from xaibench.nn.blocks import halved, in_blocks
from xaibench.nn.checks.outputs import forward_logits
from xaibench.nn.devices import clock_of, moved, multiplying, seeded
from xaibench.nn.inference import device_of, explained_rows, logits
from xaibench.nn.restore import (
    explainable,
    in_single_precision,
    is_narrow,
    narrow_of,
    unchanged,
)
from xaibench.nn.sites import Buckets, buckets, has_tokens, token_sites
from xaibench.nn.trace import parts_of
from xaibench.nn.view import ExplainedView, encoded
from xaibench.plugins.fence import fenced
from xaibench.plugins.registry import load
from xaibench.protocols import MethodFacts, method_facts
from xaibench.randomness import identity, stream, streams
from xaibench.shapes import Codes, Labels, Logits, Scores
from xaibench.values import Attribution, N, Sequences

_SUPPLIED = ("codes", "valid", "references", "generators", "test_split")
"""Keywords that a method's signature may ask for."""

BATCHES_LENT = 16
"""For so many batches the model is lent and looked over together; a block of them is computed again
where the device runs out of memory."""

_ALLOWED_ROUNDINGS = 32
"""Errors up to so many roundings of an output break no promise of completeness."""


RULE_MEND = (
    "call it by a module: torch's own, as nn.ReLU for relu, or one that you give a rule "
    "(docs/attribution.md, Rules of your own)"
)
"""What helps where a method has no rule for a function."""


class WithoutRule(NotApplicable, ValueError):
    """Contributions are less complete than promised, and the model calls functions that the method
    has no rule for, ``functions`` by their names."""

    def __init__(self, message: str, functions: tuple[str, ...]) -> None:
        super().__init__(message)
        self.functions = functions


@dataclass(frozen=True, slots=True)
class Explanation:
    """The scores of a method for some sequences, and what they cost.

    ``forwards`` and ``backwards`` are rows, ``seconds`` those of the processor, all threads
    together, or of another device by the clock. ``completeness_error`` is the largest over
    (sequence, reference) of ``|sum of contributions - (f(input) - f(reference))|``, divided by the
    root mean square of ``f(input) - f(reference)`` over them; NaN where the method measures none,
    or where nothing changes. ``hypothetical`` is ``(sequence, base, position)`` where the method
    gives it, ``outputs`` ``(sequence, class)`` are the model's where its only pass is of the
    sequences. ``at_limit`` is of how many sequences a limit of passes ended what is computed until
    it is exact. ``token_shares``, of a model that has tokens, are by name ``(sequence,)``:
    ``unread``, of the nucleotides, and where sites are scored those of ``tokens.relevance_shares``.
    """

    scores: Scores
    forwards: int
    backwards: int
    seconds: float
    completeness_error: float
    hypothetical: NDArray[np.float32] | None = None
    outputs: Logits | None = None
    token_shares: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    at_limit: int = 0

    def with_scores(self, scores: Scores) -> Explanation:
        """The same with other scores, as of other positions; the hypothetical ones are left out."""
        return replace(self, scores=scores, hypothetical=None)


class _Batch(NamedTuple):
    scores: NDArray[np.float32]
    errors: NDArray[np.float64]
    changes: NDArray[np.float64]
    hypothetical: NDArray[np.float32] | None
    outputs: Logits | None = None
    token_shares: Mapping[str, NDArray[np.float64]] = MappingProxyType({})


def explain(
    method: Callable[..., Any],
    model: Any,
    codes: Codes,
    targets: Labels | None,
    *,
    options: Mapping[str, Any],
    seed: int,
    component: str,
    references: Codes | None = None,
    test_split: Sequences | None = None,
    batch_size: int | None = None,
    transfer: tokens.ToNucleotides = "equal",
) -> Explanation:
    """Explain every sequence of ``codes`` ``(N, L)`` for its target with one method.
    ``targets`` may be None for a method of a single pass: then what the model predicts.

    ``references`` ``(N, K, L)`` are codes too; ``test_split`` is what the sequences are from, for
    methods that ask for it; ``seed`` and ``component`` name the random streams. Scores of tokens
    become scores of nucleotides by ``transfer`` (``dna.tokens``), ``proportional`` to those of in
    silico mutagenesis of the same model for the same targets, which costs as much again.
    All is computed where the model is, which is left as found. One in half precision is explained
    in single precision, by the same weights. ValueError where the scores have another shape, are
    not finite, or are less complete than the method promises (WithoutRule where a function explains
    it), unless the model says by ``adds_up`` that its gradient leaves a part out; NotApplicable
    where half precision leaves nothing to promise.
    """
    name, facts = method_name(method), method_facts(method)
    keywords = frozenset(each for each in _SUPPLIED if asks_for(method, each))
    if "references" in keywords:
        keywords = _with_references(method, model, keywords, references)
    if targets is None and not facts.single_pass:
        raise ValueError(f"targets: {name} makes other passes than that of the inputs, got None")
    promised = facts.completeness
    adds_up = promised is None or getattr(model, "adds_up", True)
    if not adds_up:
        promised = None  # a gradient that leaves a part out sums to no change
    if promised is not None or narrow_of(model):
        _reject_half_precision(model, codes[:1], name, promises=promised is not None)
    by_sites = buckets(model, codes)
    within = None
    if transfer == "proportional" and has_tokens(model) and not _scores_nucleotides(facts):
        within = _mutagenesis(model, codes, targets, seed, batch_size)
    call = _Call(
        method,
        options,
        keywords,
        ExplainedView(model),
        by_sites.sorted(codes),
        None if targets is None else by_sites.sorted(targets),
        None if references is None else by_sites.sorted(references),
        test_split,
        (seed, component),
        transfer,
        None if within is None else by_sites.sorted(within.scores),
    )
    rows = batch_size or explained_rows(codes.shape[1], device_of(model))
    batches, seconds = _timed_batches(call, by_sites, rows)
    if not adds_up and call.view.without_rule:
        raise _less_complete(
            f"{name}: no sum can show here whether its contributions are right.",
            call.view.without_rule,
        )
    none = np.empty((0, codes.shape[1]), np.float32)
    made = Explanation(
        by_sites.restored(np.concatenate([none, *(batch.scores for batch in batches)])),
        call.view.forwards,
        call.view.backwards,
        seconds,
        _required_completeness(call, batches, promised),
        _joined([batch.hypothetical for batch in batches], by_sites),
        _joined([batch.outputs for batch in batches], by_sites),
        _shares_of(batches, by_sites),
        call.view.at_limit,
    )
    return made if within is None else _with_costs(made, within)


def _with_references(
    method: Callable[..., Any], model: Any, keywords: frozenset[str], references: Codes | None
) -> frozenset[str]:
    """What is supplied to a method that takes references. Of a model that has tokens there are
    none: NotApplicable where the method has no default for them."""
    name = method_name(method)
    if references is None:
        raise ValueError(f"references: {name} asks for them, got None")
    if not has_tokens(model):
        return keywords
    if inspect.signature(method).parameters["references"].default is inspect.Parameter.empty:
        raise NotApplicable(
            f"{name} compares with other sequences site by site, and these have other tokens at "
            "other places"
        )
    return keywords - {"references"}


@dataclass(frozen=True, slots=True)
class _Call:
    """What ``explain`` is called with, sequences in the order in which they are batched;
    ``keywords`` are what the method's signature asks for, ``random`` the seed and the component
    that name its streams."""

    method: Callable[..., Any]
    options: Mapping[str, Any]
    keywords: frozenset[str]
    view: ExplainedView
    codes: Codes
    targets: Labels | None
    references: Codes | None
    test_split: Sequences | None
    random: tuple[int, str]
    transfer: tokens.ToNucleotides
    within: Scores | None

    @property
    def name(self) -> str:
        return method_name(self.method)


def _timed_batches(call: _Call, by_sites: Buckets, batch_size: int) -> tuple[list[_Batch], float]:
    """Every sequence explained, by batches of at most so many rows, and the seconds it took."""
    model = call.view.classifier
    device = device_of(model)

    def explained_together(block: slice) -> list[_Batch]:
        with _lent(model, call.name):
            return [_batch_of(call, rows) for rows in by_sites.batches(block, halved(batch_size))]

    clock = clock_of(device)
    started = clock()
    with multiplying(device):
        many = batch_size * BATCHES_LENT
        blocks = in_blocks(model, len(call.codes), many, explained_together, device=device)
        batches = [batch for block in blocks for batch in block]
    return batches, clock() - started


def _batch_of(call: _Call, rows: slice) -> _Batch:
    """The explanations of some of the sequences, together."""
    view, codes, facts = call.view, call.codes[rows], method_facts(call.method)
    model = view.classifier
    own = None if call.references is None else call.references[rows]
    with (
        _without_gradient(call.name),
        _seeded_batch(*call.random, call.codes[rows.start]),
        view.counting(),
    ):
        inputs = encoded(model, codes).requires_grad_()
        supplied = _supplied(call.keywords, model, codes, own, *call.random)
        if "test_split" in call.keywords:
            supplied["test_split"] = _required_split(call.test_split, call.name)
        passed = _float32(view.first_pass(inputs)) if facts.single_pass else None
        classes = _targets_of_batch(call.targets, rows, passed)
        target = torch.from_numpy(classes).to(inputs.device, torch.int64)
        answer = call.method(view, inputs, target, **supplied, **call.options)
        if not view.has_tokens:
            batch = _checked(answer, codes.shape, call.name)
        else:
            batch = _of_token_model(call, answer, rows)
        return batch._replace(outputs=passed)


def _required_completeness(call: _Call, batches: list[_Batch], promised: float | None) -> float:
    """The completeness error; ValueError where it is larger than the method promises."""
    error, change = _completeness_of(batches)
    view = call.view
    if promised is not None and error > promised * change + _ALLOWED_ROUNDINGS * view.rounding:
        raise _less_complete(
            f"{call.name} promises contributions that sum to the change of the output within "
            f"{promised:g} of its root mean square; the largest error is {error:.3g}, the root "
            f"mean square {change:.3g}. {parts_of(view.classifier, call.codes[:1])}",
            view.without_rule,
        )
    return error / change if change else float("nan")


def _of_token_model(call: _Call, answer: Any, rows: slice) -> _Batch:
    """Scores of sites as scores of nucleotides; what a method says of each channel of an embedding
    is nothing of bases."""
    codes = call.codes[rows]
    sites = token_sites(call.view.classifier, codes)
    present = np.arange(codes.shape[1]) < lengths(codes)[:, None]
    shares = {"unread": tokens.unread_share(sites.spans, present)}
    if _scores_nucleotides(method_facts(call.method)):
        return _checked(answer, codes.shape, call.name)._replace(token_shares=shares)
    batch = _checked(answer, sites.valid.shape, call.name)
    within = None if call.within is None else call.within[rows]
    scores = tokens.to_nucleotides(
        batch.scores, sites.spans, codes.shape[1], rule=call.transfer, within=within
    )
    shares |= tokens.relevance_shares(batch.scores, sites.spans, codes < N)
    return batch._replace(scores=scores.astype(np.float32), hypothetical=None, token_shares=shares)


def _scores_nucleotides(facts: MethodFacts) -> bool:
    """Whether the scores are of nucleotides, also where sites are tokens."""
    return facts.of_nucleotides or facts.fixed


def _mutagenesis(
    model: Any, codes: Codes, targets: Labels | None, seed: int, batch_size: int | None
) -> Explanation:
    """What each nucleotide of a token is worth to the model, for ``proportional``."""
    if targets is None:
        targets = logits(model, codes).argmax(axis=1).astype(np.int64)
    name = "in_silico_mutagenesis"
    method = load("attribution", name).call
    return explain(
        *(method, model, codes, targets),
        options={},
        seed=seed,
        component=name,
        batch_size=batch_size,
    )


def _with_costs(made: Explanation, other: Explanation) -> Explanation:
    return replace(
        made,
        forwards=made.forwards + other.forwards,
        backwards=made.backwards + other.backwards,
        seconds=made.seconds + other.seconds,
    )


def _shares_of(batches: list[_Batch], by_sites: Buckets) -> dict[str, NDArray[np.float64]]:
    names = batches[0].token_shares if batches else ()
    return {
        name: by_sites.restored(np.concatenate([each.token_shares[name] for each in batches]))
        for name in names
    }


def _joined(parts: list[NDArray[Any] | None], by_sites: Buckets) -> NDArray[Any] | None:
    """What all batches have, in the order of the sequences; None where one has none."""
    known = [part for part in parts if part is not None]
    if not known or len(known) < len(parts):
        return None
    return by_sites.restored(np.concatenate(known))


def _targets_of_batch(targets: Labels | None, rows: slice, outputs: Logits | None) -> Labels:
    """Those given, else what the outputs predict."""
    if targets is not None:
        return targets[rows].copy()
    assert outputs is not None  # for the type checker
    predicted: Labels = outputs.argmax(axis=1).astype(np.int64)
    return predicted


def _less_complete(message: str, without_rule: set[str]) -> ValueError:
    """The error of contributions that do not add up, blamed on functions without a rule if any."""
    if not without_rule:
        return ValueError(message)
    functions = tuple(sorted(without_rule))
    return WithoutRule(
        f"{message} It has no rule for {', '.join(functions)} there; {RULE_MEND}", functions
    )


def on_both_strands(
    explained: Callable[[Codes, Codes | None], Explanation],
    codes: Codes,
    references: Codes | None,
) -> Explanation:
    """The mean explanation of each sequence and of its reverse complement, on the positions of the
    sequence; ``explained`` makes one, of codes and their references. Costs add up."""
    one = explained(codes, references)
    reversed_references = None if references is None else other_strands(references)
    other = explained(reverse_complement(codes), reversed_references)
    bases = None
    if one.hypothetical is not None and other.hypothetical is not None:
        both = one.hypothetical + unreverse_bases(other.hypothetical, codes)
        bases = (both / 2).astype(np.float32, copy=False)
    return Explanation(
        ((one.scores + unreverse(other.scores, codes)) / 2).astype(np.float32, copy=False),
        one.forwards + other.forwards,
        one.backwards + other.backwards,
        one.seconds + other.seconds,
        float(np.fmax(one.completeness_error, other.completeness_error)),
        bases,
        token_shares={
            name: (share + other.token_shares[name]) / 2 for name, share in one.token_shares.items()
        },
        at_limit=one.at_limit + other.at_limit,
    )


def other_strands(references: Codes) -> Codes:
    """``(N, K, L)``: the reverse complement of every reference."""
    flat = reverse_complement(references.reshape(-1, references.shape[-1]))
    return flat.reshape(references.shape)


def asks_for(method: Callable[..., Any], name: str) -> bool:
    """Whether a method takes ``codes``, ``valid``, ``references``, ``generators`` or
    ``test_split``.

    >>> def centre(model, inputs, target, *, valid): ...
    >>> asks_for(centre, "valid"), asks_for(centre, "references")
    (True, False)
    """
    parameter = inspect.signature(method).parameters.get(name)
    return parameter is not None and parameter.kind is parameter.KEYWORD_ONLY


def method_name(method: Callable[..., Any]) -> str:
    """What a method is called in messages."""
    return str(getattr(method, "__name__", type(method).__name__))


def _reject_half_precision(model: Any, codes: Codes, name: str, *, promises: bool) -> None:
    """NotApplicable where a model of half precision only takes what is as narrow, or where logits
    are, which keep 8 or 11 bits, too narrow for a method that promises sums."""
    if not len(codes):
        return
    try:
        with fenced(), explainable(model), in_single_precision(model), torch.no_grad():
            dtype = forward_logits(model, encoded(model, codes), 1).dtype
    except ModelError as error:
        if not narrow_of(model):
            raise
        raise NotApplicable(
            f"{name}: the weights are {narrow_of(model)}, and in float32, as they would be "
            f"explained, the model does not run: {message_of(error).splitlines()[0]}"
        ) from error
    if promises and is_narrow(dtype):
        raise NotApplicable(
            f"{name} promises contributions that sum to the change of the output; logits in "
            f"{str(dtype).removeprefix('torch.')} are too coarse to show it; have the model give "
            "float32"
        )


@contextmanager
def _lent(model: Any, name: str) -> Iterator[None]:
    """Within, a method may explain the model; ValueError where it is not left as found."""
    with (
        explainable(model),
        in_single_precision(model),
        torch.enable_grad(),
        fenced(),
        unchanged(model, name),
    ):
        yield


@contextmanager
def _without_gradient(name: str) -> Iterator[None]:
    """NotApplicable in place of torch's errors where a model passes no gradient to its input,
    overwrites in place what a gradient needs, or computes parts of it a second time."""
    try:
        yield
    except RuntimeError as error:
        if "modified by an inplace operation" in message_of(error):
            raise NotApplicable(
                f"{name} needs a gradient, and the model overwrites in place what that is made of"
            ) from error
        if "torch.utils.checkpoint" in message_of(error):
            raise NotApplicable(
                f"{name} needs a gradient that torch.utils.checkpoint does not give here; have the "
                "model call it in training alone"
            ) from error
        if not re.search("does(n't| not) require grad", message_of(error)):
            raise
        raise NotApplicable(f"{name} needs a gradient, and the model gives none") from error


@contextmanager
def _seeded_batch(seed: int, component: str, codes: Codes) -> Iterator[None]:
    """Torch's global generator, for methods that draw from it: the same again, batch by batch.

    ``generators`` are the better way: they do not depend on the batch.
    """
    with seeded(int(stream(seed, component, identity(codes)).integers(2**62))):
        yield


def _supplied(
    keywords: frozenset[str],
    model: Any,
    codes: Codes,
    references: Codes | None,
    seed: int,
    component: str,
) -> dict[str, Any]:
    """The keywords of this batch that the method's signature asks for, on the model's device."""
    supplied: dict[str, Any] = {}
    if "codes" in keywords:
        supplied["codes"] = moved(codes, device_of(model))
    if "valid" in keywords:
        supplied["valid"] = moved(codes, device_of(model)) < N
    if "generators" in keywords:
        supplied["generators"] = list(streams(seed, component, codes))
    if "references" in keywords and references is not None:
        sequences, count, length = references.shape
        given = encoded(model, references.reshape(sequences * count, length))
        supplied["references"] = given.reshape(sequences, count, *given.shape[1:])
    return supplied


def _required_split(test_split: Sequences | None, name: str) -> Sequences:
    if test_split is None:
        raise ValueError(f"test_split: {name} asks for it, got None")
    return test_split


def _checked(answer: Any, shape: tuple[int, ...], name: str) -> _Batch:
    """The scores of one batch: summed over channels, of this shape, finite, detached."""
    known = answer if isinstance(answer, Attribution) else Attribution(answer)
    given = known.contributions
    if not isinstance(given, Tensor):
        raise TypeError(f"{name}: expected a tensor or an Attribution, got {type(given).__name__}")
    scores = given.sum(1) if given.ndim == 3 else given
    if tuple(scores.shape) != shape:
        raise ValueError(
            f"{name}: expected scores {shape} or contributions ({shape[0]}, channel, {shape[1]}), "
            f"got {tuple(given.shape)}"
        )
    lost = int((~torch.isfinite(scores)).sum())
    if lost:
        raise ValueError(f"{name}: {lost} of {scores.numel()} scores are not finite")
    return _Batch(
        _float32(scores),
        _per_sequence(known.completeness_error),
        _per_sequence(known.output_change),
        None if known.hypothetical is None else _float32(known.hypothetical),
    )


def _float32(values: Tensor) -> NDArray[np.float32]:
    single: NDArray[np.float32] = values.detach().to("cpu", torch.float32).numpy()
    return single


def _per_sequence(values: Tensor | None) -> NDArray[np.float64]:
    if values is None:
        return np.empty(0)
    measured: NDArray[np.float64] = values.detach().cpu().double().numpy()
    return measured


def _completeness_of(batches: list[_Batch]) -> tuple[float, float]:
    """The largest error, and the root mean square of the changes; 0 where nothing was measured."""
    errors = np.concatenate([np.zeros(1), *(batch.errors for batch in batches)])
    changes = np.concatenate([np.zeros(0), *(batch.changes for batch in batches)])
    return float(errors.max()), float(np.sqrt(np.mean(changes**2))) if len(changes) else 0.0
