"""The networks of a plan, built and made classifiers of one-hot DNA."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import torch
from safetensors.torch import load as load_weights
from safetensors.torch import save as save_weights

from xaibench.dna import encoding
from xaibench.errors import ModelError, UsageError, described
from xaibench.nn.adapted import adapted
from xaibench.nn.checks.steadiness import CHECKED_SEQUENCES
from xaibench.nn.devices import moved, seeded
from xaibench.nn.explained_output import classes_of
from xaibench.nn.inference import device_of
from xaibench.nn.machine import kernels
from xaibench.plan.paths import locate
from xaibench.plugins.fence import fenced
from xaibench.plugins.harness_options import Explain, of_harness
from xaibench.plugins.registry import Plugin, load
from xaibench.plugins.signatures import supplied, takes
from xaibench.shapes import Codes
from xaibench.storage.arrays import release
from xaibench.storage.artefacts import Spec
from xaibench.storage.files import FileContent
from xaibench.values import Sequences, evenly_spaced_rows

from .artefact import identified
from .job import Work, plugin_and_options, weights_of

WEIGHTS, PROGRAM, CARD = "weights.safetensors", "program.pt", "card.json"


def network_spec(work: Work, model: str) -> Spec:
    """What a network is, without its weights: its code and options, and the code of the function
    that chooses what is explained."""
    spec = identified(work, "models", work.plan.models[model])
    function = _function_of(work.plan.models[model].options, work.job.plugins)
    return spec if function is None else {**spec, "function": function.code}


def is_program(work: Work, model: str) -> bool:
    """Whether a model comes whole out of a file, code and all."""
    plugin = load("models", work.plan.models[model].use, work.job.plugins)
    return "program" in takes(plugin.call)


def build(work: Work, model: str, *, program: bytes | None = None) -> Any:
    """One network of the plan with fresh weights, as a classifier of one-hot DNA; one that is a
    program with the weights in its file. UsageError where the data do not suit it."""
    use = work.plan.models[model]
    plugin, options = plugin_and_options(work, "models", use)
    if program is None and is_program(work, model):
        program = _first_program(work, model)
    about = data_of_network(work)
    try:
        network = built(plugin, options, about, program=program)
    except UsageError as error:
        raise UsageError(f"models.{model}: {error}") from None
    choices = adapting_options(plugin, use.options, work.job.plugins)
    with fenced():
        return adapted(network, classes=about["classes"], length=about["length"], **choices)


def built(
    plugin: Plugin,
    options: Mapping[str, Any],
    about: Mapping[str, int],
    *,
    program: bytes | None = None,
) -> Any:
    """A network of a plug-in as it is, with fresh weights; ``options`` are typed, ``about`` is what
    ``data_of_network`` says. ModelError where the plug-in raises anything but UsageError."""
    known = {**about, "program": program}
    try:
        with fenced():
            return plugin.call(**options, **supplied(plugin.call, known))
    except UsageError:
        raise
    except Exception as error:  # whatever a stranger's function raises
        given = ", ".join(f"{name}={value!r}" for name, value in options.items())
        raise ModelError(
            f"{plugin.name}({given}) raises {described(error)}, expected a torch.nn.Module; are "
            "these the options that it takes?"
        ) from error


def adapting_options(
    plugin: Plugin, options: Mapping[str, Any], plugins: tuple[str, ...]
) -> dict[str, Any]:
    """The keywords of ``nn.adapted.adapted`` among the resolved options of a model."""
    ours = of_harness(plugin, options)
    choice: Explain | None = ours["explain"]
    function = _function_of(options, plugins)
    return {
        "layout": ours["layout"],
        "alphabet": ours["alphabet"],
        "explained": choice,
        "function": None if function is None else _as_function(function),
    }


def data_of_network(work: Work) -> dict[str, int]:
    """What a network is told of the data: the number of classes, and of positions in the longest
    and in the shortest sequence."""
    splits = [each for each in (work.splits.train, work.splits.test) if len(each)]
    shortest = min(int(encoding.lengths(each.codes).min()) for each in splits)
    release(*(each.codes for each in splits))
    length = splits[0].codes.shape[1]
    return {"classes": classes_of(splits[0]) or 1, "length": length, "shortest": shortest}


def _first_program(work: Work, model: str) -> bytes:
    files = weights_of(work.plan, model)
    if not files:
        use = work.plan.models[model].use
        raise UsageError(f"models.{model}: {use} expects weights: FILE, the program itself")
    return locate(files[0], work.job.source).read_bytes()


def _function_of(options: Mapping[str, Any], plugins: tuple[str, ...]) -> Plugin | None:
    """The function of a plug-in file that makes one number of what a network returns."""
    choice = options.get("explain")
    name = None if choice is None else choice["function"]
    return None if name is None else load("models", name, plugins)


def _as_function(plugin: Plugin) -> Callable[[Any], Any]:
    return lambda outputs: plugin.call(outputs)


def fresh(work: Work, model: str) -> Any:
    """A model with weights that nothing else depends on, on the device of the plan; torch's
    generators stay as they are."""
    with seeded(0):
        return placed(work, build(work, model))


def placed(work: Work, classifier: Any) -> Any:
    """A model on the device of the plan."""
    return classifier.to(work.plan.device)


def few(sequences: Sequences) -> Codes:
    """A few of the sequences, evenly over all of them."""
    return sequences.codes[evenly_spaced_rows(len(sequences), CHECKED_SEQUENCES)]


# Stored, and read back


def saved_weights(classifier: Any) -> bytes:
    """The weights as safetensors."""
    # clones: modules that share a weight are no error
    state = classifier.state_dict().items()
    return save_weights({name: value.detach().clone().contiguous() for name, value in state})


def card_of(
    classifier: Any, made_from: Mapping[str, Any], *, history: list[dict[str, Any]]
) -> dict[str, Any]:
    """What weights are, and how they came about."""
    return {
        "parameters": sum(parameter.numel() for parameter in classifier.parameters()),
        "architecture": str(classifier),
        "made_from": dict(made_from),
        "computed_with": kernels(),
        "history": history,
    }


def restored(work: Work, model: str, file: Callable[[str], FileContent]) -> Any:
    """The model with the weights, or of the program, that an artefact holds; in evaluation mode, on
    the device of the plan."""
    if is_program(work, model):
        classifier = build(work, model, program=file(PROGRAM)[:])
    else:
        classifier = build(work, model)
        classifier.load_state_dict(load_weights(file(WEIGHTS)[:]))
    classifier = placed(work, classifier)
    classifier.eval()
    _remember(classifier, work.splits.test.codes[:1])
    return classifier


def _remember(classifier: Any, codes: Codes) -> None:
    """Let a model make what it remembers from its first pass (tables of positions) outside of
    inference mode: what is made there can have no gradient later."""
    with suppress(Exception), torch.no_grad():  # whoever uses it next meets the error and stores it
        classifier(classifier.encode(moved(codes, device_of(classifier))))
