"""Which methods apply to a model, and why the others do not: each is tried on a few sequences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic
from typing import Any

import numpy as np
from torch import nn

from xaibench.dna import shuffling
from xaibench.errors import NotApplicable, UsageError, described, message_of
from xaibench.plugins.options import resolve
from xaibench.plugins.registry import Plugin, available, load
from xaibench.plugins.signatures import own_fields, typed
from xaibench.protocols import layers_without_rule, method_facts
from xaibench.shapes import Codes, Labels

from .findings import ModelFinding
from .guards import guarded
from .method_call import RULE_MEND, Explanation, WithoutRule, asks_for, explain

TRIED = 2
"""So many sequences."""

TRIAL_REFERENCES = 3
"""So many shuffles of each; a run takes 20."""

QUICK = {"steps": 12, "draws": 5}
"""Options of a trial, where a method has them."""

SECONDS = 20.0
"""A trial that takes longer is broken off."""


_BRIEF = 1.0
"""Seconds: what takes no longer is timed a second time."""

_LISTED = 4
"""Layers in a sentence."""


class _OutOfTime(NotApplicable):
    """A trial that is broken off, which says nothing against the method."""


@dataclass(frozen=True, slots=True)
class Trials:
    """What became of every method; ``working`` names those that applied and call the model."""

    findings: tuple[ModelFinding, ...]
    working: tuple[str, ...]

    def summary(self) -> ModelFinding:
        """How many apply; a problem where none does that calls the model."""
        names = [each for each in self.findings if not each.name.endswith(" rules")]
        held = bool(self.working) or not names
        sentence = f"{len(self.working)} that call the model apply"
        if not held:
            sentence = "none that calls the model applies; the lines below say why"
        return ModelFinding("methods", held, sentence)


def tried_methods(
    model: Any,
    codes: Codes,
    targets: Labels,
    *,
    methods: Sequence[str] | None = None,
    plugins: tuple[str, ...] = (),
    seconds: float = SECONDS,
) -> Trials:
    """Try methods by their names, of the installed ones all, on the first of ``codes`` ``(N, L)``,
    each for at most so many seconds."""
    loaded, broken = _loaded(methods, plugins)
    tried = [_tried(plugin, model, codes[:TRIED], targets[:TRIED], seconds) for plugin in loaded]
    rules = [finding for plugin in loaded for finding in _rules(plugin, model)]
    working = tuple(finding.name for finding, calls in tried if finding.held and calls)
    return Trials((*(finding for finding, _ in tried), *broken, *rules), working)


def _loaded(
    methods: Sequence[str] | None, plugins: tuple[str, ...]
) -> tuple[list[Plugin], list[ModelFinding]]:
    """The methods that compute; an installed one that cannot be imported is a finding, one that
    was named an error."""
    if methods is not None:
        return [load("attribution", name, plugins) for name in methods], []
    loaded, broken = [], []
    for name in available("attribution"):
        try:
            loaded.append(load("attribution", name, plugins))
        except UsageError as error:
            broken.append(ModelFinding(name, None, f"fails: {message_of(error)}", "method"))
    return [plugin for plugin in loaded if not method_facts(plugin.call).fixed], broken


def _tried(
    plugin: Plugin, model: Any, codes: Codes, targets: Labels, seconds: float
) -> tuple[ModelFinding, bool]:
    """What becomes of one method, and whether it calls the model."""
    name = plugin.name
    missing = [key for key, (_, default) in own_fields(plugin).items() if default is ...]
    if missing:
        sentence = f"not tried: it needs the option {missing[0]}"
        return ModelFinding(name, None, sentence, "method"), False
    try:
        with _limited(model, seconds):
            explained = _explained(plugin, model, codes, targets)
            if explained.seconds < _BRIEF:  # the first call imports and allocates besides
                explained = _explained(plugin, model, codes, targets)
        guarded(explained.scores, explained.scores, np.arange(len(codes)), codes, name=name)
    except _OutOfTime:
        sentence = f"not tried to its end: {len(codes)} sequences take more than {seconds:g} s"
        return ModelFinding(name, None, sentence, "method"), True
    except NotApplicable as reason:
        return ModelFinding(name, None, f"does not apply: {_plain(reason, name)}", "method"), False
    except Exception as error:  # of a model or a method that are a stranger's
        return ModelFinding(name, None, f"fails: {_plain(error, name)}", "method"), False
    return ModelFinding(
        name, True, _cost_text(explained, len(codes)), "method"
    ), explained.forwards > 0


def _explained(plugin: Plugin, model: Any, codes: Codes, targets: Labels) -> Explanation:
    quick = {name: value for name, value in QUICK.items() if name in own_fields(plugin)}
    shuffled = shuffling.shuffled_references(codes, TRIAL_REFERENCES, 0)
    return explain(
        plugin.call,
        model,
        codes,
        targets,
        options=typed(plugin, resolve(plugin, quick, where=plugin.name)),
        seed=0,
        component=plugin.name,
        references=shuffled if asks_for(plugin.call, "references") else None,
    )


@contextmanager
def _limited(model: nn.Module, seconds: float) -> Iterator[None]:
    """Within, a model that is called after so many seconds raises in place of computing."""
    until = monotonic() + seconds

    def check(*_: object) -> None:
        if monotonic() > until:
            raise _OutOfTime

    handle = model.register_forward_pre_hook(check)
    try:
        yield
    finally:
        handle.remove()


def _plain(error: Exception, name: str) -> str:
    """The reason, without the name of the method that stands before it already."""
    if isinstance(error, WithoutRule):
        names = ", ".join(error.functions)
        return f"has no rule for {names}, called outside of modules; {RULE_MEND}"
    known = isinstance(error, NotApplicable) or type(error) is ValueError
    text = message_of(error) if known else described(error)
    return text.removeprefix(f"{name}: ").removeprefix(f"{name} ")


def _cost_text(explained: Explanation, sequences: int) -> str:
    milliseconds = 1000 * explained.seconds / sequences
    passes = (explained.forwards / sequences, explained.backwards / sequences)
    forwards, backwards = (f"{each:,.0f}" for each in passes)
    limited = f", {explained.at_limit} of {sequences} at the limit" if explained.at_limit else ""
    return (
        f"{milliseconds:,.3g} ms per sequence ({forwards} rows forward, {backwards} rows backward"
        f"{limited})"
    )


def _rules(plugin: Plugin, model: Any) -> Iterator[ModelFinding]:
    """Of a method with rules, which layers have none, and how to give them one."""
    try:
        layers = layers_without_rule(plugin.call, model)
    except NotApplicable:  # its trial says why
        return
    if layers:
        more = f" and {len(layers) - _LISTED} more" if len(layers) > _LISTED else ""
        sentence = (
            f"none for {', '.join(layers[:_LISTED])}{more}: a method of your own gives them one, "
            f"{plugin.name}(..., rules={{CLASS: function}}); docs/attribution.md, Rules of your own"
        )
        yield ModelFinding(f"{plugin.name} rules", None, sentence, "method")
