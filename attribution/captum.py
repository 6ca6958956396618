"""Captum's own classes as methods: ``use: "captum.attr:GuidedBackprop"`` in a plan."""

from __future__ import annotations

import inspect
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import captum.attr
import numpy as np
import torch
from captum.attr import GradientAttribution
from torch import Tensor

from xaibench.errors import NotApplicable, UsageError
from xaibench.nn.devices import seeded
from xaibench.nn.inference import batch_rows
from xaibench.plugins.registry import nearest
from xaibench.protocols import method

from .captum_hooks import HOOKED, refuse_what_hooks_miss
from .gradient import corrected_gradient, of_tokens

_REFUSED = {
    "DeepLift": "it is wrong where nonlinear modules adjoin; the method deeplift is exact",
    "FeaturePermutation": "its scores depend on the other sequences of a batch",
    "ShapleyValues": "it runs through every order of all bases and never ends",
}

_RANDOM_CLASSES = frozenset({"KernelShap", "Lime", "ShapleyValueSampling"})
"""They draw from torch's global stream: each sequence has a call and a seed of its own, so that its
scores do not depend on the others of a batch."""

_WITHHELD = frozenset(
    {
        *("self", "inputs", "target", "kwargs", "model", "forward_func", "device_ids"),
        *("additional_forward_args", "feature_mask", "custom_attribution_func"),
        *("interpretable_model", "similarity_func", "perturb_func"),
        *("return_convergence_delta", "return_input_shape", "show_progress", "verbose"),
        "abs",  # absolute gradients cannot be corrected; ``saliency`` is the unsigned map
    }
)
"""Parameters of Captum that are no options of a plan."""

_FILLED_IN = frozenset({"self", "inputs", "model", "forward_func", "sliding_window_shapes"})
"""Parameters without a default that we supply, or that a plan can."""

_PLAIN = (int, float, bool, str)


def adapt(name: str) -> Callable[..., Tensor]:
    """The method of a class of ``captum.attr`` whose ``attribute(inputs, target=)`` suffices.

    Its options are those of the constructor and of ``attribute``; a list stands for a tuple. Raw
    gradients (classes that do not multiply by the input) are corrected and taken at the observed
    base. UsageError for a name that is no such class. Where a class works on modules alone, the
    method is NotApplicable to a model with functions that it cannot see.

    >>> list(inspect.signature(adapt("IntegratedGradients")).parameters)[3:]
    ['multiply_by_inputs', 'baselines', 'n_steps', 'method', 'internal_batch_size']
    """
    algorithm = _algorithm(name)
    of_constructor, of_attribute = _parameters(algorithm.__init__), _parameters(algorithm.attribute)

    def attribute(model: Any, inputs: Tensor, target: Tensor, **options: Any) -> Tensor:
        generators = options.pop("generators", None)
        values = {key: tuple(v) if isinstance(v, list) else v for key, v in options.items()}
        explainer = algorithm(model, **{k: values[k] for k in of_constructor if k in values})
        keywords = {key: values[key] for key in of_attribute if key in values}
        # Captum would otherwise run all steps of all sequences at once.
        if "internal_batch_size" in of_attribute and keywords.get("internal_batch_size") is None:
            keywords["internal_batch_size"] = batch_rows(inputs.shape[-1], inputs.device)
        if "abs" in inspect.signature(explainer.attribute).parameters:
            keywords["abs"] = False  # absolute gradients cannot be corrected
        if name in HOOKED:
            refuse_what_hooks_miss(name, model, inputs)
        if generators is None:
            return _captum_contributions(explainer, inputs, target, keywords)
        return _one_by_one(explainer, inputs, target, keywords, generators)

    # What the plan reads of a plug-in: its name, its options with types and defaults.
    attribute.__name__ = attribute.__qualname__ = name
    attribute.__doc__ = f"``captum.attr.{name}``."
    signature = _signature({**of_constructor, **of_attribute}, draws=name in _RANDOM_CLASSES)
    attribute.__signature__ = signature  # type: ignore[attr-defined]  # read by inspect
    attribute.__annotations__ = {key: p.annotation for key, p in signature.parameters.items()}
    return method()(attribute)


def _algorithm(name: str) -> Any:
    """The class of that name; UsageError for one that is rejected or that does not exist."""
    if name in _REFUSED:
        raise UsageError(f"captum.attr:{name} cannot be used: {_REFUSED[name]}")
    usable = [
        each
        for each in dir(captum.attr)
        if each not in _REFUSED and _suffices(getattr(captum.attr, each))
    ]
    if name not in usable:
        raise UsageError(
            f"captum.attr:{name} is no class whose attribute(inputs, target=) suffices; "
            f"{nearest(name, usable)}"
        )
    return getattr(captum.attr, name)


def _suffices(candidate: Any) -> bool:
    """Whether it is a class whose ``attribute`` needs nothing but what we fill in."""
    if not inspect.isclass(candidate) or not hasattr(candidate, "attribute"):
        return False
    constructor = inspect.signature(candidate.__init__).parameters
    attribute = inspect.signature(candidate.attribute).parameters
    parameters = *constructor.values(), *attribute.values()
    needed = {each.name for each in parameters if each.default is each.empty}
    return {"inputs", "target"} <= attribute.keys() and needed - {"kwargs"} <= _FILLED_IN


def _parameters(function: Any) -> dict[str, inspect.Parameter]:
    parameters = inspect.signature(function).parameters
    return {name: each for name, each in parameters.items() if name not in _WITHHELD}


def _signature(options: dict[str, inspect.Parameter], *, draws: bool) -> inspect.Signature:
    """``(model, inputs, target, *, options)``, with ``generators`` for a class that draws."""
    subjects = [
        inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=Any)
        for name in ("model", "inputs", "target")
    ]
    keywords = [_keyword(each) for each in options.values()]
    if draws:
        keyword_only = inspect.Parameter.KEYWORD_ONLY
        keywords.append(inspect.Parameter("generators", keyword_only, annotation=Any))
    return inspect.Signature([*subjects, *keywords])


def _keyword(parameter: inspect.Parameter) -> inspect.Parameter:
    """Plain annotations are kept; Captum's unions of tensors cannot be checked against a plan."""
    annotation = parameter.annotation if parameter.annotation in _PLAIN else Any
    return parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=annotation)


def _captum_contributions(
    explainer: Any, inputs: Tensor, target: Tensor, options: dict[str, Any]
) -> Tensor:
    """Contributions ``(N, C, S)``; raw gradients are corrected and taken at the observed base."""
    with warnings.catch_warnings(), _without_a_rule(type(explainer).__name__):
        warnings.simplefilter("ignore")  # that it sets hooks; what it misses, the guards see
        answer: Tensor = explainer.attribute(inputs, target=target, **options)
    raw = isinstance(explainer, GradientAttribution) and not explainer.multiplies_by_inputs
    if raw and of_tokens(explainer.forward_func):
        return answer * inputs
    return corrected_gradient(answer) * inputs if raw else answer


@contextmanager
def _without_a_rule(name: str) -> Iterator[None]:
    """Captum's TypeError for a module that its LRP has no rule for becomes NotApplicable."""
    try:
        yield
    except TypeError as error:
        named = re.search(r"Module of type <class '([\w.]+)'> has no rule", str(error))
        if not named:
            raise
        raise NotApplicable(f"Captum's {name} has no rule for {named[1]}") from error


def _one_by_one(
    explainer: Any,
    inputs: Tensor,
    target: Tensor,
    options: dict[str, Any],
    generators: list[np.random.Generator],
) -> Tensor:
    """Every sequence in a call of its own, with torch seeded from its own generator."""
    answers = []
    for row, generator in enumerate(generators):
        one = slice(row, row + 1)
        with seeded(int(generator.integers(2**32))):
            answer = _captum_contributions(explainer, inputs[one], target[one], options)
        answers.append(answer.detach())
    return torch.cat(answers)
