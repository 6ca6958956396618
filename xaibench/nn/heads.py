"""A model without some of its attention heads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from xaibench.errors import ModelError, NotApplicable, described
from xaibench.plugins.fence import fenced
from xaibench.protocols import HasHeads, HasValues
from xaibench.shapes import Codes

from .inference import evaluating, logits
from .sites import has_tokens, token_sites


class AttentionHead(NamedTuple):
    """Both counted from 0."""

    layer: int
    head: int


@contextmanager
def without_heads(
    model: Any, heads: Sequence[AttentionHead], *, count: int, means: Sequence[Tensor] | None = None
) -> Iterator[None]:
    """The model while what these heads put out is 0, or its mean over sites and sequences
    (``head_means``), before the output projection mixes it; ``count`` heads stand side by side.

    The residual stream beside it is left alone: a slice of that is no head's. The model is as it
    was afterwards.
    """
    lost: dict[int, list[int]] = {}
    for head in heads:
        lost.setdefault(head.layer, []).append(head.head)
    hooks = {
        layer: _replacing(sorted(numbers), count, None if means is None else means[layer])
        for layer, numbers in lost.items()
    }
    with _before_projections(output_projections(model), hooks):
        yield


def attention_weights(model: Any, inputs: Tensor) -> Tensor:
    """``(N, layer, head, S, S)`` of inputs ``(N, C, S)``; ModelError where ``attentions`` raises or
    gives something else, or where layers have not an output projection each."""
    try:
        with fenced(), evaluating(model):
            weights: Tensor = model.attentions(inputs)
    except (ModelError, NotApplicable):
        raise
    except Exception as error:
        raise ModelError(f"{described(error)} (raised by attentions)") from error
    count, _, sites = inputs.shape
    shape = tuple(getattr(weights, "shape", ()))
    if len(shape) != 5 or (shape[0], *shape[3:]) != (count, sites, sites):
        got = shape or type(weights).__name__
        raise ModelError(
            f"attentions: expected ({count}, layer, head, {sites}, {sites}), got {got}; sites of "
            "several positions need token_sites"
        )
    if not torch.isfinite(weights).all():
        raise ModelError("attentions: expected finite weights, got others")
    if isinstance(model, HasHeads) and len(output_projections(model)) != shape[1]:
        raise ModelError(
            f"output_projections: expected one for each of {shape[1]} layers, got "
            f"{len(output_projections(model))}"
        )
    return weights


def head_means(model: Any, codes: Codes) -> list[Tensor]:
    """``(head x width,)`` of each layer: the mean of what its heads put out, over all sites of the
    sequences but tokens that are padding."""
    sums: dict[int, Tensor] = {}

    def adding(layer: int) -> Any:
        def add(module: Any, arguments: tuple[Tensor, ...]) -> None:
            summed = arguments[0].detach().double().sum(dim=(0, 1)).cpu()
            sums[layer] = sums.get(layer, torch.zeros_like(summed)) + summed

        return add

    projections = output_projections(model)
    with _before_projections(projections, {each: adding(each) for each in range(len(projections))}):
        logits(model, codes)
    sites = int(token_sites(model, codes).valid.sum()) if has_tokens(model) else codes.size
    return [(sums[layer] / sites).float() for layer in sorted(sums)]


def head_values(model: Any, inputs: Tensor) -> Tensor:
    """``(N, layer, head, S, width)``: what the heads mix; NotApplicable where the model does not
    show it."""
    if not isinstance(model, HasValues):
        raise NotApplicable(
            "the model does not show what its heads mix: expected values(inputs) -> (N, layer, "
            "head, site, width)"
        )
    with fenced(), evaluating(model):
        values: Tensor = model.values(inputs)
    return values


def value_norms(model: Any, inputs: Tensor) -> Tensor:
    """``(N, layer, head, S)``: the length of what each site gives to a head, as the output
    projection hands it on, ``|f(x_j)|`` (*Kobayashi et al. 2020*)."""
    layers = zip(head_values(model, inputs).unbind(1), output_projections(model), strict=True)
    with evaluating(model):
        norms = [_norms(values, projection) for values, projection in layers]
    return torch.stack(norms, dim=1)


def _norms(values: Tensor, projection: Any) -> Tensor:
    """``(N, head, S)`` of ``(N, head, S, width)``: the others are 0, and what a bias adds is of no
    head."""
    heads, width = values.shape[1], values.shape[3]
    nothing = projection(values.new_zeros(1, 1, heads * width))
    norms = []
    for head in range(heads):
        before, after = head * width, (heads - head - 1) * width
        alone = functional.pad(values[:, head], (before, after))
        norms.append((projection(alone) - nothing).norm(dim=2))
    return torch.stack(norms, dim=1)


@contextmanager
def _before_projections(projections: list[Any], hooks: Mapping[int, Any]) -> Iterator[None]:
    """Hooks before the output projections of some layers, until the end."""
    with ExitStack() as stack:
        for layer, hook in hooks.items():
            stack.enter_context(projections[layer].register_forward_pre_hook(hook))
        yield


def output_projections(model: Any) -> list[Any]:
    """The module of each layer that its heads enter; NotApplicable where the model does not say
    it."""
    if not isinstance(model, HasHeads):
        raise NotApplicable(
            "the model does not say what its heads put out: expected output_projections() -> the "
            "module of each layer that they enter"
        )
    with fenced():
        return list(model.output_projections())


def heads_apart(side_by_side: Tensor, count: int) -> Tensor:
    """``(N, S, head x width)`` -> ``(N, S, head, width)``, a view; ModelError where they do not
    fit."""
    channels = side_by_side.shape[-1]
    if channels % count:
        raise ModelError(
            f"output_projections: expected inputs of {count} heads side by side, got {channels} "
            "channels"
        )
    return side_by_side.reshape(*side_by_side.shape[:-1], count, -1)


def _replacing(numbers: list[int], count: int, mean: Tensor | None) -> Any:
    def replace(module: Any, arguments: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        given, *others = arguments
        apart = heads_apart(given.clone(), count)
        apart[..., numbers, :] = 0 if mean is None else mean.to(given).reshape(count, -1)[numbers]
        return (apart.flatten(-2), *others)

    return replace
