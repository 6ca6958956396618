"""Gradient checkpointing: less memory for a second forward pass (Chen et al. 2016)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

from torch import nn
from torch.utils.checkpoint import checkpoint

from xaibench.errors import ModelError


@contextmanager
def recomputed(model: nn.Module) -> Iterator[None]:
    """Within, every module of the model's outermost lists of layers (``nn.ModuleList``) keeps its
    inputs alone, and is computed again for its gradients: the same numbers, dropout too.

    ModelError where the model has no such list.
    """
    layers = _layers(model)
    if not layers:
        raise ModelError(
            "training.recompute: expected a list of layers (nn.ModuleList) in the model, got none; "
            "train this model without it, in a plan of its own"
        )
    with ExitStack() as patched:
        for layer in layers:
            # an attribute hides the method of the class, as in speed.py
            layer.forward = partial(checkpoint, layer.forward, use_reentrant=False)
            patched.callback(delattr, layer, "forward")
        yield


def _layers(model: nn.Module) -> list[nn.Module]:
    """The modules of the lists that are in no other list."""
    lists = {name: each for name, each in model.named_modules() if isinstance(each, nn.ModuleList)}
    outermost = [
        each
        for name, each in lists.items()
        if not any(name.startswith(f"{other}.") for other in lists)
    ]
    return [layer for each in outermost for layer in each]
