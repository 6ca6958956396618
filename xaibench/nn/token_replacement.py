"""What a model that has tokens predicts while tokens are replaced, without tokenising again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xaibench.errors import NotApplicable
from xaibench.protocols import HasSpecialTokens, Precision, operator
from xaibench.shapes import Codes, Logits, Mask

from .blocks import in_blocks
from .checks.outputs import finite, forward_logits
from .devices import moved
from .inference import batch_rows, device_of, predicting
from .sites import buckets, has_tokens

Replacing = Callable[[Any, Tensor], Tensor]
"""``protocols.TokenOperator`` with its options."""

Taken = Callable[[int, NDArray[np.intp]], Mask]
"""``(step, rows)`` -> ``(row, token)``: which tokens of these sequences are replaced at a step."""

_SPECIAL = {"mask": "[MASK]", "unknown": "[UNK]"}


@operator(of_tokens=True)
def mask_tokens(
    model: Any, inputs: Tensor, *, fill: Literal["mask", "unknown", "reference"] = "mask"
) -> Tensor:
    """``[MASK]`` in place of whole tokens, which are not made anew: the others stay as they are.

    With ``fill: unknown`` it is ``[UNK]``, with ``reference`` the model's own reference, such as
    the mean of all tokens. NotApplicable where the model has no such token.
    """
    if fill == "reference":
        reference: Tensor = model.reference(inputs)
        return reference
    if not isinstance(model, HasSpecialTokens):
        raise NotApplicable(
            f"mask_tokens: the model does not say what its {_SPECIAL[fill]} is (it has no "
            "filled); fill: reference asks for none"
        )
    return model.filled(inputs, _SPECIAL[fill])


def require_tokens(model: Any, operator: str) -> None:
    """NotApplicable where the sites of a model are nucleotides."""
    if not has_tokens(model):
        raise NotApplicable(
            f"{operator} replaces tokens, and what this model reads are nucleotides"
        )


def token_logits(
    model: Any,
    codes: Codes,
    replacing: Replacing,
    taken: Taken,
    steps: int,
    intact: Logits,
    *,
    precision: Precision = "float32",
) -> Logits:
    """Logits ``(step, sequence, class)`` while tokens take what ``replacing`` gives.

    ``intact`` ``(sequence, class)`` are those of the sequences as they are. A pass is made of the
    sequences whose replaced tokens are not those of the step before.
    """
    by_sites, device = buckets(model, codes), device_of(model)
    order, codes = by_sites.sorted(np.arange(len(codes))), by_sites.sorted(codes)

    def of_block(block: slice) -> Logits:
        batches = by_sites.batches(block, block.stop - block.start)
        parts = [
            _of_batch(model, codes[rows], replacing, order[rows], taken, steps, intact)
            for rows in batches
        ]
        return np.concatenate(parts)

    rows = batch_rows(codes.shape[1], device)
    with predicting(model, precision):
        blocks = [*in_blocks(model, len(codes), rows, of_block, device=device)]
    none = np.empty((0, steps, intact.shape[1]), np.float32)
    return by_sites.restored(np.concatenate([none, *blocks])).swapaxes(0, 1)


def _of_batch(
    model: Any,
    codes: Codes,
    replacing: Replacing,
    rows: NDArray[np.intp],
    taken: Taken,
    steps: int,
    intact: Logits,
) -> Logits:
    """``(sequence, step, class)`` of sequences that have equally many sites."""
    inputs = model.encode(moved(codes, device_of(model)))
    donor = _checked(replacing(model, inputs), inputs)
    sites = inputs.shape[2]
    outputs = np.empty((len(rows), steps, intact.shape[1]), np.float32)
    current, before = intact[rows].astype(np.float32), np.zeros((len(rows), sites), bool)
    for step in range(steps):
        replaced = taken(step, rows)[:, :sites]
        changed = np.flatnonzero((replaced != before).any(axis=1))
        if len(changed):
            chosen = torch.from_numpy(changed).to(inputs.device)
            where = torch.from_numpy(replaced[changed]).to(inputs.device).unsqueeze(1)
            edited = torch.where(where, donor[chosen], inputs[chosen])
            logits = forward_logits(model, edited, len(changed), classes=intact.shape[1])
            current[changed] = finite(logits).float().cpu().numpy()
        outputs[:, step], before = current, replaced
    return outputs


def _checked(donor: Any, inputs: Tensor) -> Tensor:
    """ValueError unless an operator gave inputs of the same shape, all finite."""
    if not isinstance(donor, Tensor) or donor.shape != inputs.shape:
        got = tuple(donor.shape) if isinstance(donor, Tensor) else type(donor).__name__
        raise ValueError(f"an operator of tokens: expected inputs {tuple(inputs.shape)}, got {got}")
    if not torch.isfinite(donor).all():
        raise ValueError("an operator of tokens: expected finite inputs, got some that are not")
    return donor.to(inputs)
