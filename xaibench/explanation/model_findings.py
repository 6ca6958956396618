"""What is looked at in a model, one function per finding or two, each sentence with its remedy."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from xaibench.dna.encoding import lengths
from xaibench.errors import ModelError, NotFinite, described, message_of
from xaibench.nn.adapted import LAYOUTS, AdaptedModel, adapted
from xaibench.nn.checks.arrangements import running_arrangement
from xaibench.nn.checks.changes import by_channel_order, by_n, by_strand
from xaibench.nn.checks.choices import choice_hint, output_text
from xaibench.nn.checks.gradients import input_gradient
from xaibench.nn.checks.inputs import explainable_inputs, taken
from xaibench.nn.checks.padding import padding_of
from xaibench.nn.checks.raised import remedy_of
from xaibench.nn.checks.steadiness import (
    Answers,
    answering,
    first_answers,
    require_same_again,
    require_same_in_other_batches,
)
from xaibench.nn.checks.units import caution_of
from xaibench.nn.inference import logits
from xaibench.nn.outputs import explained_outputs
from xaibench.nn.restore import narrow_of
from xaibench.nn.sites import commonest, has_tokens
from xaibench.plugins.harness_options import Explain
from xaibench.shapes import Codes, Labels
from xaibench.values import N, evenly_spaced_rows

from .findings import ModelFinding

Options = Mapping[str, Any]
"""Of ``nn.adapted.adapted``: ``classes``, ``layout``, ``alphabet``, ``explained``, ``function``."""

DIFFERENCE = "the second output less the first"
UNLABELLED_NEED = "; a run on data without labels needs one chosen, as explain.output=0"
"""What check-model adds of outputs that are classes because nobody says otherwise."""

LABELLED = 500
"""So many labelled sequences, at most, are predicted for each order of the channels."""


@dataclass(frozen=True, slots=True)
class Usable:
    """A model that gives finite outputs: as a classifier, on ``codes`` ``(N, L)``, with the classes
    that it predicts, and whether outputs are the same in every batch and call."""

    model: nn.Module
    codes: Codes
    targets: Labels
    steady: bool


def model_findings(
    network: nn.Module, codes: Codes, options: Options
) -> Generator[ModelFinding, None, Usable | None]:
    """The findings about a network; returns the model where methods can be tried on it."""
    try:
        model = adapted(network, length=codes.shape[1], **options)
    except ModelError as error:
        yield ModelFinding("input", False, message_of(error))
        return None
    with answering(model):
        inputs, raw, taken_well = _input(model, codes, options)
    yield taken_well
    if taken_well.held is False:
        return None
    with answering(model):
        answers, findings = _output(model, codes, raw, options)
    yield from findings
    if answers is None:
        return None
    steady = [*_steadiness(model, codes, answers)]
    yield from steady
    is_steady = all(each.held for each in steady)
    targets = answers.logits.argmax(1).astype(np.int64)
    if is_steady:  # else chance and the batch would change outputs besides
        yield from _changes(model, codes)
    yield ModelFinding("precision", None, _precision_text(model, inputs))
    yield _gradient(model, codes, targets)
    yield _units(answers, raw, options)
    yield _explained(answers, targets, raw, options)
    return Usable(model, codes, targets, is_steady)


def _input(model: nn.Module, codes: Codes, options: Options) -> tuple[Any, Any, ModelFinding]:
    """The inputs, what the network makes of them, and whether it takes them."""
    adapts, given, outputs = isinstance(model, AdaptedModel), None, None
    try:
        if has_tokens(model):  # a batch has one number of them
            codes = codes[commonest(model, codes)]
        inputs = explainable_inputs(taken(model, codes), codes, model)
        given = model.arranged(inputs) if isinstance(model, AdaptedModel) else inputs
        network = model.network if isinstance(model, AdaptedModel) else model
    except ModelError as error:
        return None, None, ModelFinding("input", False, message_of(error))
    shape = f"{_dtype_text(given)} {output_text(given)}"
    try:
        outputs = network(given)
    except Exception as error:
        raised = f"{described(error)} (raised by forward, given {shape})"
        remedy = remedy_of(error)
        if not remedy:
            remedy = _arrangement_text(network, codes, options) if adapts else _OTHER_INPUT
        return None, None, ModelFinding("input", False, f"{raised}; {remedy}")
    how = "one-hot, " if adapts else "by its own encode, "
    letters = f"channels {options['alphabet'] or 'ACGT'}, " if adapts else ""
    return inputs, outputs, ModelFinding("input", True, f"{how}{letters}{shape}")


_OTHER_INPUT = "is it made for sequences of another length, or with other options?"


def _arrangement_text(network: nn.Module, codes: Codes, options: Options) -> str:
    runs = running_arrangement(network, codes, options["layout"])
    if runs is None:
        return (
            f"{_OTHER_INPUT} Say layout={' or '.join(LAYOUTS[1:])}, alphabet=ACGTN "
            "where it takes that"
        )
    return f"it runs with {runs}: is that what it takes?"


def _output(
    model: nn.Module, codes: Codes, raw: Any, options: Options
) -> tuple[Answers | None, list[ModelFinding]]:
    """The outputs that are explained, or why there are none."""
    try:
        classes = options["classes"] or None
        answers = first_answers(model, codes, classes=classes, explained=False)
    except NotFinite as error:
        where = _not_finite_weights(model)
        sentence = f"{message_of(error)} {where} is not finite" if where else message_of(error)
        fit = ModelFinding("output", True, output_text(raw))
        return None, [fit, ModelFinding("finite", False, sentence)]
    except ModelError as error:
        chooses = options["explained"] is not None or options["function"] is not None
        hint = "" if chooses else choice_hint(raw, len(codes), options["classes"])
        sentence = "; ".join(filter(None, [message_of(error), hint]))
        return None, [ModelFinding("output", False, sentence)]
    count = answers.logits.shape[1]
    fit = ModelFinding("output", True, f"{output_text(raw)}: {_meaning(raw, count, options)}")
    return answers, [fit, ModelFinding("finite", True, "all outputs are")]


def _meaning(raw: Any, count: int, options: Options) -> str:
    """What is made of what a network returns, ``count`` numbers per sequence."""
    chosen = _choice_text(options["explained"], options["function"])
    of = f" of {chosen}" if chosen else ""
    if count > 1 and isinstance(raw, Tensor) and raw[0].numel() == 1:
        return "one logit z for two classes, as (0, z)"
    if count > 1:
        alone = "" if options["classes"] else UNLABELLED_NEED
        return f"logits of {count} classes{of}{alone}"
    if not chosen and _is_difference(raw, count):
        return f"one number per sequence, {DIFFERENCE}"
    return f"one number per sequence{of}, which has no classes"


def _not_finite_weights(model: nn.Module) -> str:
    for name, tensor in model.state_dict().items():
        if isinstance(tensor, Tensor) and tensor.is_floating_point():
            if not torch.isfinite(tensor).all():
                return name
    return ""


def _steadiness(model: nn.Module, codes: Codes, answers: Answers) -> Iterator[ModelFinding]:
    with answering(model):
        training = [
            f"{name or 'the model'} ({type(module).__name__})"
            for name, module in model.named_modules()
            if module.training
        ]
        left = f"{training[0]} stays in training mode after eval()" if training else ""
        yield _finding("evaluation mode", left, "let train(mode) reach all parts", "honoured")
        again = _refusal(require_same_again, model, codes, answers)
        yield _finding("repeated call", again, "", "the same outputs")
        if again:
            yield ModelFinding(
                "other batches", None, "not known, since each call has other outputs"
            )
            return
        batch = _refusal(require_same_in_other_batches, model, codes, answers)
        yield _finding("other batches", batch, "", "the same in reverse order, by three and alone")


def _refusal(require: Any, model: nn.Module, codes: Codes, answers: Answers) -> str:
    """Why a requirement is not met; empty where it is."""
    try:
        require(model, codes, answers)
    except ModelError as error:
        return message_of(error)
    return ""


def _finding(name: str, problem: str, remedy: str, well: str) -> ModelFinding:
    return ModelFinding(
        name, not problem, "; ".join(filter(None, [problem, problem and remedy])) or well
    )


def _changes(model: nn.Module, codes: Codes) -> Iterator[ModelFinding]:
    """An N, padding, the other strand: nothing is required but that outputs stay finite."""
    try:
        n = by_n(model, codes)
    except ModelError as error:
        yield ModelFinding(
            "N", False, f"in the middle: {message_of(error)}; let N be a column of zeros in forward"
        )
    else:
        yield ModelFinding(
            "N", None, f"in the middle, {_change_text(n.change, n.span, n.is_rounding)}"
        )
    yield _padding(model, codes)
    strand = by_strand(model, codes)
    text = _change_text(strand.change, strand.span, strand.is_rounding)
    yield ModelFinding("reverse complement", None, text)


def _change_text(change: float, span: float, is_rounding: bool) -> str:
    if is_rounding:
        return "changes nothing"
    return f"changes what is explained by up to {change:.2g}, where all outputs span {span:.2g}"


def _padding(model: nn.Module, codes: Codes) -> ModelFinding:
    """With the last tenth cut off and padded, where no sequence is shorter than the others."""
    length = codes.shape[1]
    short = length - max(1, length // 10)
    try:
        logits(model, codes[:2, :short])
    except (ModelError, RuntimeError, ValueError):
        fixed = f"takes {length} nt alone: shorter sequences are padded with N at the end"
        return ModelFinding("padding", None, fixed)
    padded = codes.copy()
    if (lengths(codes) == length).all():
        padded[:, short:] = N
    padding = padding_of(model, padded)
    return ModelFinding("padding", None, "changes nothing" if padding is None else str(padding))


def _precision_text(model: nn.Module, inputs: Tensor) -> str:
    narrow = narrow_of(model)
    if narrow:
        return f"{narrow}; explained in float32, by the same weights"
    return _dtype_text(inputs)


def _dtype_text(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _gradient(model: nn.Module, codes: Codes, targets: Labels) -> ModelFinding:
    try:
        gradient = input_gradient(model, codes, targets)
    except ModelError as error:
        return ModelFinding("gradient", False, message_of(error))
    if gradient.kind != "some":
        why = f" ({gradient.reason})" if gradient.reason else ""
        return ModelFinding("gradient", False, _GRADIENTS[gradient.kind].format(why))
    zeros = round(gradient.zeros * len(codes))
    of_some = f"; all 0 for {zeros} of {len(codes)} sequences" if zeros else ""
    return ModelFinding(
        "gradient", True, f"reaches the input, at most {gradient.largest:.2g} in size{of_some}"
    )


_GRADIENTS = {
    "none": "none reaches the input{}; take no_grad, detach, argmax or rounding out of forward, or "
    "use in_silico_mutagenesis and occlusion, which need none",
    "zero": "is 0 at every base of every sequence{}, so maps would be flat; is a unit saturated or "
    "dead, or are these sequences too unlike those of its training?",
    "not finite": "is NaN or infinite{}; is there a root or a logarithm of 0 in forward?",
}


def _units(answers: Answers, raw: Any, options: Options) -> ModelFinding:
    units, count = answers.units, answers.logits.shape[1]
    caution = caution_of(units, count)
    if caution is None:
        known = "not probabilities" if units == "logits" else f"log-probabilities (a {units})"
        return ModelFinding("units", True, known)
    if count == 1:
        return ModelFinding("units", False if units == "softmax" else None, caution)
    if isinstance(raw, Tensor) and raw[0].numel() == 1:
        return ModelFinding(
            "units",
            False,
            f"one probability p (a {units}) is read as the logit (0, p), so that the "
            f"second class is always predicted; return the input of the {units}, or explain by a "
            "function with torch.logit",
        )
    return ModelFinding("units", False, caution)


def _is_difference(raw: Any, count: int) -> bool:
    """Whether the number is that of two outputs without classes."""
    return count == 1 and isinstance(raw, Tensor) and raw[0].numel() == 2


def _explained(answers: Answers, targets: Labels, raw: Any, options: Options) -> ModelFinding:
    explained = explained_outputs(torch.from_numpy(answers.logits)).numpy()
    values = np.take_along_axis(explained, targets[:, None], 1)[:, 0]
    count = answers.logits.shape[1]
    what = _choice_text(options["explained"], options["function"])
    if count == 1:
        what = what or (DIFFERENCE if _is_difference(raw, count) else "the output itself")
    else:
        others = "that of the other" if count == 2 else "the mean of the others"
        what = f"the logit of the predicted class minus {others}{what and f', of {what}'}"
    span = f"{values.min():.3g} to {values.max():.3g} on these sequences"
    if np.ptp(values) == 0:
        span = f"{values[0]:.3g} on each of these sequences, which tells nothing apart"
    return ModelFinding("explained", None, f"{what}: {span}{_classes_text(targets, count)}")


def _choice_text(explained: Explain | None, function: Any) -> str:
    if function is not None:
        written = None if explained is None else explained.function
        name = written or getattr(function, "__name__", "a function")
        return f"what {name} makes of the outputs"
    if explained is None:
        return ""
    given = explained.model_dump(exclude_defaults=True)
    return ", ".join(f"{name} {value}" for name, value in given.items())


def _classes_text(targets: Labels, count: int) -> str:
    """How often each class is predicted."""
    if count == 1:
        return ""
    counts = np.bincount(targets, minlength=count)
    each = [f"{number} x class {index}" for index, number in enumerate(counts) if number]
    return f"; predicted {', '.join(each)}"


def labelled_findings(usable: Usable, codes: Codes, labels: Labels) -> Iterator[ModelFinding]:
    """The accuracy on labelled sequences, and whether another order of the channels has more."""
    rows = evenly_spaced_rows(len(codes), LABELLED)
    if logits(usable.model, codes[:1]).shape[1] <= labels.max():
        return
    order = by_channel_order(usable.model, codes[rows], labels[rows])
    text = (
        f"accuracy {order.accuracy:.3g} on {order.sequences} labelled sequences, of which "
        f"{order.majority:.3g} are of the largest class"
    )
    if order.is_wrong:
        text += (
            f"; with alphabet={order.best_alphabet} it would be {order.best_accuracy:.3g}: are the "
            "channels in that order?"
        )
        yield ModelFinding("channels", False, text)
    elif order.is_above_majority:
        yield ModelFinding("channels", True, text)
    else:
        yield ModelFinding(
            "channels", None, f"{text}; no other order of the channels is clearly better"
        )
