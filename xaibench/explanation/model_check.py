"""A model is checked before anything of it is explained: one page, a line per finding."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from xaibench.dna.encoding import to_codes
from xaibench.errors import ModelError, UsageError
from xaibench.nn.adapted import LAYOUTS, require_weights
from xaibench.nn.checks.steadiness import CHECKED_SEQUENCES
from xaibench.nn.explained_output import UNSAID, classes_of
from xaibench.nn.restore import left_as_found
from xaibench.plugins.fence import fenced
from xaibench.plugins.harness_options import Explain
from xaibench.plugins.registry import nearest
from xaibench.plugins.validation import validate
from xaibench.randomness import stream
from xaibench.shapes import Codes, Labels
from xaibench.values import Sequences, evenly_spaced_rows

from .findings import ModelCheck, ModelFinding
from .method_trials import SECONDS, tried_methods
from .model_findings import Usable, labelled_findings, model_findings

__all__ = ["ModelCheck", "ModelFinding", "check_model"]

RANDOM_SEQUENCES = 8
"""So many sequences of random DNA, where none are given."""


def check_model(
    model: nn.Module,
    sequences: Sequences | Codes | Sequence[str] | None = None,
    *,
    labels: Sequence[int] | None = None,
    classes: int | None = None,
    length: int = 200,
    layout: str = "",
    alphabet: str = "",
    explain: Explain | Mapping[str, Any] | None = None,
    function: Callable[[Any], Tensor] | None = None,
    methods: Sequence[str] | None = None,
    plugins: tuple[str, ...] = (),
    seconds: float = SECONDS,
) -> ModelCheck:
    """What a network does to a few sequences, before any of its explanations is trusted.

    ``sequences`` are letters, codes ``(N, L)`` or labelled ``Sequences``; without any they are
    random DNA of ``length``. ``classes`` are those of the labels, by default; 1 where the output is
    a number (regression). Where nobody says, ``nn.explained_output`` has the rule. ``layout``,
    ``alphabet``, ``explain`` and ``function`` are the options of a model in a plan. Each of
    ``methods``, by default all that are installed, is tried on two sequences for at most
    ``seconds``. The model is left as it was.

    UsageError where the arguments themselves are wrong; what is wrong with the model is a finding
    whose ``held`` is False, with the mend in its sentence.

    >>> from torch import nn
    >>> network = nn.Sequential(nn.Conv1d(4, 6, 5), nn.ReLU(), nn.AdaptiveMaxPool1d(1),
    ...                         nn.Flatten(), nn.Linear(6, 2))
    >>> check = check_model(network, length=40, methods=["saliency"])
    >>> check.sound, check["output"].sentence
    (True, '(N, 2): one number per sequence, the second output less the first')
    """
    if not isinstance(model, nn.Module):
        raise UsageError(f"model: expected a torch.nn.Module, got a {type(model).__name__}")
    data = _data(sequences, labels, length)
    options = {
        "classes": data.classes if classes is None else classes,
        "layout": _known_layout(layout),
        "alphabet": alphabet,
        "explained": _choice(explain),
        "function": function,
    }
    try:
        require_weights(model)
    except ModelError as error:
        return ModelCheck((ModelFinding("input", False, str(error)),), data.description)
    with _left_as_it_was(model), fenced():
        findings = tuple(_findings(model, data, options, (methods, plugins, seconds)))
    return ModelCheck(findings, data.description)


def _findings(
    network: nn.Module, data: _Data, options: Mapping[str, Any], trial: Any
) -> Iterator[ModelFinding]:
    """In the order of the page, up to the first after which nothing else can be looked at."""
    usable: Usable | None = yield from model_findings(network, data.few, options)
    if usable is None:
        return
    if data.labels is not None:
        yield from labelled_findings(usable, data.codes, data.labels)
    methods, plugins, seconds = trial
    yield from _methods(usable, methods, plugins, seconds)


def _methods(
    usable: Usable, methods: Sequence[str] | None, plugins: tuple[str, ...], seconds: float
) -> Iterator[ModelFinding]:
    if not usable.steady:
        yield ModelFinding(
            "methods", None, "not tried while outputs depend on the mode, the batch or chance"
        )
        return
    trials = tried_methods(
        usable.model,
        usable.codes,
        usable.targets,
        methods=methods,
        plugins=plugins,
        seconds=seconds,
    )
    yield trials.summary()
    yield from trials.findings


@dataclass(frozen=True, slots=True)
class _Data:
    """Sequences ``(N, L)``, ``few`` of them, their labels where there are classes, and a
    ``description``."""

    codes: Codes
    few: Codes
    labels: Labels | None
    classes: int
    description: str


def _data(
    given: Sequences | Codes | Sequence[str] | None, labels: Sequence[int] | None, length: int
) -> _Data:
    classes = UNSAID
    if given is None:
        if length < 1:
            raise UsageError(f"length: expected 1 or more, got {length}")
        drawn = stream(0, "check-model").integers(0, 4, (RANDOM_SEQUENCES, length))
        codes = drawn.astype(np.uint8)
    elif isinstance(given, Sequences):
        codes = given.codes
        classes = classes_of(given)
        labels = given.labels.tolist() if given.has_classes else None
    else:
        codes = _as_codes(given)
    if not codes.size:
        raise UsageError(f"sequences: expected one or more, got {len(codes)}")
    known = None if labels is None else _as_labels(labels, len(codes))
    rows = evenly_spaced_rows(len(codes), CHECKED_SEQUENCES)
    kind = "random sequences" if given is None else f"of {len(codes):,} sequences"
    description = f"{len(rows)} {kind} of {codes.shape[1]:,} nt"
    classes = max(classes, 0 if known is None else max(2, int(known.max()) + 1))
    return _Data(codes, codes[rows], known, classes, description)


def _as_codes(given: Codes | Sequence[str]) -> Codes:
    if not isinstance(given, np.ndarray):
        return to_codes(list(given))
    if given.ndim != 2 or given.dtype != np.uint8:
        raise UsageError(
            f"sequences: expected letters, or codes (N, L) in uint8 with A C G T N = 0 1 2 3 4, "
            f"got {given.dtype} {given.shape}"
        )
    return given


def _as_labels(labels: Sequence[int], count: int) -> Labels:
    known = np.asarray(labels)
    if known.shape != (count,) or known.dtype.kind not in "iu" or known.min() < 0:
        raise UsageError(
            f"labels: expected {count} numbers of classes from 0, got {known.dtype} {known.shape}"
        )
    return known.astype(np.int64)


def _known_layout(layout: str) -> str:
    if layout and layout not in LAYOUTS:
        raise UsageError(
            f"layout: expected one of {', '.join(LAYOUTS)}, got {layout!r}; "
            f"{nearest(layout, list(LAYOUTS))}"
        )
    return layout


def _choice(explain: Explain | Mapping[str, Any] | None) -> Explain | None:
    if explain is None or isinstance(explain, Explain):
        return explain
    checked = validate(Explain, dict(explain), where="explain")
    assert isinstance(checked, Explain)  # for the type checker
    return checked


@contextmanager
def _left_as_it_was(model: nn.Module) -> Iterator[None]:
    """Modes, hooks and gradients are put back, and buffers that the model itself writes to."""
    buffers = [(buffer, buffer.detach().clone()) for buffer in model.buffers()]
    try:
        with left_as_found(model):
            yield
    finally:
        _restore(buffers)


@torch.no_grad()
def _restore(buffers: list[tuple[Tensor, Tensor]]) -> None:
    """Into each of the buffers what it was before, where it has the shape for it."""
    for buffer, before in buffers:
        if buffer.shape == before.shape:
            buffer.copy_(before)
