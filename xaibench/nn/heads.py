"""A model without some of its attention heads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor

from xaibench.errors import ModelError, NotApplicable
from xaibench.plugins.fence import fenced
from xaibench.protocols import HasHeads
from xaibench.shapes import Codes

from .inference import logits
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
    with _before_projections(_projections(model), hooks):
        yield


def head_means(model: Any, codes: Codes) -> list[Tensor]:
    """``(head x width,)`` of each layer: the mean of what its heads put out, over all sites of the
    sequences but tokens that are padding."""
    sums: dict[int, Tensor] = {}

    def adding(layer: int) -> Any:
        def add(module: Any, arguments: tuple[Tensor, ...]) -> None:
            summed = arguments[0].detach().double().sum(dim=(0, 1)).cpu()
            sums[layer] = sums.get(layer, torch.zeros_like(summed)) + summed

        return add

    projections = _projections(model)
    with _before_projections(projections, {each: adding(each) for each in range(len(projections))}):
        logits(model, codes)
    sites = int(token_sites(model, codes).valid.sum()) if has_tokens(model) else codes.size
    return [(sums[layer] / sites).float() for layer in sorted(sums)]


@contextmanager
def _before_projections(projections: list[Any], hooks: Mapping[int, Any]) -> Iterator[None]:
    """Hooks before the output projections of some layers, until the end."""
    with ExitStack() as stack:
        for layer, hook in hooks.items():
            stack.enter_context(projections[layer].register_forward_pre_hook(hook))
        yield


def _projections(model: Any) -> list[Any]:
    if not isinstance(model, HasHeads):
        raise NotApplicable(
            "the model does not say what its heads put out: expected output_projections() -> the "
            "module of each layer that they enter"
        )
    with fenced():
        return list(model.output_projections())


def _replacing(numbers: list[int], count: int, mean: Tensor | None) -> Any:
    def replace(module: Any, arguments: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        given, *others = arguments
        if given.shape[-1] % count:
            raise ModelError(
                f"output_projections: expected inputs of {count} heads side by side, got "
                f"{given.shape[-1]} channels"
            )
        apart = given.clone().reshape(*given.shape[:-1], count, -1)
        apart[..., numbers, :] = 0 if mean is None else mean.to(given).reshape(count, -1)[numbers]
        return (apart.flatten(-2), *others)

    return replace
