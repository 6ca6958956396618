"""Low-rank adaptation: few numbers are learnt beside weights that stay (LoRA, Hu et al. 2022)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, ClassVar

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.nn.utils import parametrize

from xaibench.errors import ModelError, shortened


class LowRank(BaseModel):
    """Which weights change, and by how much at most.

    Each linear layer that ``targets`` name (by the end of its name, as ``Wqkv``; none: all) learns
    ``alpha / rank x B A`` on top of its weight, where ``A`` is ``(rank, in)`` and ``B``, at first
    0, ``(out, rank)``. The head is learnt whole: the modules that a model names in its attribute
    ``head``, else the last module with parameters. All other parameters stay as they are.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, extra="forbid", strict=True)
    rank: Annotated[int, Field(ge=1)] = 8
    alpha: Annotated[float, Field(gt=0)] = 16.0
    targets: tuple[str, ...] = ()


@contextmanager
def low_rank_adapted(model: nn.Module, low_rank: LowRank | None) -> Iterator[None]:
    """Within, only the head and what ``low_rank`` adds require gradients; afterwards the additions
    are in plain weights under their own names, and what required gradients does again. None: no
    change.

    ModelError where no linear layer is meant.
    """
    if low_rank is None:
        yield
        return
    head = _head(model)
    layers = _targets(model, low_rank.targets, head)
    before = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    whole = {id(each) for name in head for each in model.get_submodule(name).parameters()}
    for parameter, wants in before:
        parameter.requires_grad_(wants and id(parameter) in whole)
    for layer in layers:
        added = _Addition(layer.weight, low_rank.rank, low_rank.alpha)
        parametrize.register_parametrization(layer, "weight", added)
    try:
        yield
    finally:
        for layer in layers:
            parametrize.remove_parametrizations(layer, "weight", leave_parametrized=True)
        for parameter, wants in before:
            parameter.requires_grad_(wants)


def _head(model: nn.Module) -> tuple[str, ...]:
    """The names of the modules that are learnt whole."""
    if isinstance(named := getattr(model, "head", None), tuple):
        return named
    with_parameters = [
        name for name, each in model.named_modules() if [*each.parameters(recurse=False)]
    ]
    return tuple(with_parameters[-1:])


def _targets(model: nn.Module, targets: tuple[str, ...], head: tuple[str, ...]) -> list[nn.Linear]:
    """The linear layers outside of the head that ``targets`` name; ModelError where one names
    none."""
    layers = {
        name: each
        for name, each in model.named_modules()
        if isinstance(each, nn.Linear) and not _is_within(name, head)
    }
    ends = sorted({name.rpartition(".")[2] for name in layers})
    if not layers:
        raise ModelError(
            f"training.lora: expected linear layers beside the head ({', '.join(head)}), got none; "
            "train this model without lora, in a plan of its own"
        )
    for target in targets:
        if not any(_ends_in(name, target) for name in layers):
            raise ModelError(
                f"training.lora.targets: no linear layer is named {target!r}; there are "
                f"{shortened(', '.join(ends))}"
            )
    return [
        each
        for name, each in layers.items()
        if not targets or any(_ends_in(name, target) for target in targets)
    ]


def _is_within(name: str, modules: tuple[str, ...]) -> bool:
    return any(name == each or name.startswith(f"{each}.") for each in modules)


def _ends_in(name: str, target: str) -> bool:
    return f".{name}".endswith(f".{target}")


class _Addition(nn.Module):
    """``W -> W + alpha / rank x B A``."""

    def __init__(self, weight: Tensor, rank: int, alpha: float) -> None:
        super().__init__()
        out, inside = weight.shape
        self.a = nn.Parameter(torch.empty(rank, inside, device=weight.device, dtype=weight.dtype))
        self.b = nn.Parameter(torch.zeros(out, rank, device=weight.device, dtype=weight.dtype))
        self.scale = alpha / rank
        nn.init.kaiming_uniform_(self.a, a=math.sqrt(5))

    def forward(self, weight: Tensor) -> Tensor:
        return weight + self.scale * (self.b @ self.a)
