"""What a model makes of sequences before it is explained: a site for each position."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from xaibench.errors import ModelError, described
from xaibench.nn.devices import moved
from xaibench.nn.inference import device_of
from xaibench.nn.sites import has_tokens, token_sites
from xaibench.shapes import Codes


def taken(model: Any, codes: Codes) -> Any:
    """What ``encode`` makes of codes ``(N, L)``; ModelError where it cannot."""
    if not isinstance(model, nn.Module):
        raise ModelError(f"expected a torch.nn.Module, got a {type(model).__name__}")
    encode: Any = getattr(model, "encode", None)
    if not callable(encode):
        raise ModelError(
            "expected a method encode(codes) that makes the input of forward, got none: "
            "xaibench.nn.layers.one_hot(codes) is one-hot DNA (N, 4, L)"
        )
    given = moved(codes, device_of(model))
    try:
        return encode(given)
    except Exception as error:
        raise ModelError(
            f"{described(error)} (raised by encode, given uint8 {tuple(codes.shape)})"
        ) from error


def explainable_inputs(inputs: Any, codes: Codes, model: Any = None) -> Tensor:
    """The same inputs, if scores of their sites are scores of positions, or of the tokens that the
    model says it has; else ModelError."""
    rows, length = codes.shape
    if has_tokens(model):
        length = token_sites(model, codes).valid.shape[1]
    expected = f"expected inputs (N, channels, {length}) in floating point from encode"
    hint = (
        "methods score positions of a continuous input, so embed tokens in forward, from "
        "one-hot DNA (xaibench.nn.layers.one_hot), or say by token_sites which nucleotides each "
        "covers; with `sequences: 0` the model is trained and tested alone"
    )
    if not isinstance(inputs, Tensor):
        raise ModelError(f"{expected}, got a {type(inputs).__name__}: {hint}")
    fits = inputs.ndim == 3 and (inputs.shape[0], inputs.shape[2]) == (rows, length)
    if not fits or not inputs.is_floating_point():
        dtype = str(inputs.dtype).removeprefix("torch.")
        sizes = ", ".join(["N", *map(str, inputs.shape[1:])])
        raise ModelError(f"{expected}, got {dtype} ({sizes}): {hint}")
    return inputs
