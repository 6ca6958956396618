"""Methods that edit the sequence and compare what the model gives for both."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from xaibench.errors import NotApplicable
from xaibench.nn.inference import batch_rows
from xaibench.nn.layers import one_hot
from xaibench.protocols import method
from xaibench.shapes import Codes
from xaibench.values import Attribution, N

from .gradient import of_tokens


@method(of_nucleotides=True)
def in_silico_mutagenesis(
    model: Any, inputs: Tensor, target: Tensor, *, codes: Tensor | None = None
) -> Attribution:
    """Every single substitution and what it does to the output (*Alipanahi et al. 2015*; *Zhou and
    Troyanskaya 2015*).

    With ``d_b = f(sequence with base b at the position) - f(sequence)``, 0 for the observed base,
    ``hypothetical`` ``(N, 4, S)`` is ``d_b - mean(d)`` over the four bases. ``contributions`` are
    that at the observed base, ``-mean(d)``: a fourth of what its three substitutions lose together,
    positive where they lower the output. Unknown positions are left alone and have 0.

    tangermeme's ``saturation_mutagenesis`` has the same sign and centre, but also writes the four
    bases into an unknown position; CREsted's ``mutagenesis`` is not centred: ours minus ours at
    the observed base. Where sites are tokens the edited ``codes`` ``(N, L)`` are tokenised again,
    which changes tokens beside the substitution too. NotApplicable to any other sites.
    """
    if of_tokens(model):
        return _of_edited_codes(model, target, codes)
    inputs = _nucleotides(inputs)
    hypothetical = torch.stack(
        [_of_substitutions(model, *each) for each in zip(inputs, target, strict=True)]
    )
    return Attribution(contributions=hypothetical * inputs, hypothetical=hypothetical)


def _of_substitutions(model: Any, sequence: Tensor, target: Tensor) -> Tensor:
    """Of one sequence ``(4, S)``, the hypothetical scores ``(4, S)``."""
    bases, positions = torch.nonzero((sequence == 0) & sequence.any(0), as_tuple=True)
    columns = torch.eye(4).to(sequence)[bases]
    effects = torch.zeros_like(sequence)
    effects[bases, positions] = _effects(model, sequence, target, positions, columns.unsqueeze(2))
    return effects - effects.mean(0)


def _of_edited_codes(model: Any, target: Tensor, codes: Tensor | None) -> Attribution:
    """Substitutions in sequences ``(N, L)`` that are tokenised again."""
    assert codes is not None  # supplied by the harness
    each = zip(codes.cpu().numpy(), target.tolist(), strict=True)
    scores = torch.stack([_of_substituted_codes(model, *one) for one in each]).to(codes.device)
    return Attribution(contributions=scores * one_hot(codes), hypothetical=scores)


def _of_substituted_codes(model: Any, sequence: Codes, target: int) -> Tensor:
    """Of one sequence ``(L,)``, the hypothetical scores ``(4, L)``."""
    bases = np.arange(4)[:, None]
    at, positions = np.nonzero((sequence < N) & (sequence != bases))
    edited = np.tile(sequence, (len(at) + 1, 1))
    edited[np.arange(1, len(edited)), positions] = at
    effects = torch.zeros(4, len(sequence))
    effects[at, positions] = _effects_of_codes(model, edited, target)
    return effects - effects.mean(0)


def _effects_of_codes(model: Any, edited: Codes, target: int) -> Tensor:
    """``f(edited) - f(first)`` ``(E - 1,)`` of sequences ``(E, L)``, the first of which is not
    edited, on the CPU."""
    rows = batch_rows(edited.shape[1])
    parts = [model.of_codes(edited[start : start + rows]) for start in range(0, len(edited), rows)]
    explained = torch.cat(parts)[:, target].float().cpu()
    return explained[1:] - explained[0]


@method(of_nucleotides=True)
def occlusion(
    model: Any,
    inputs: Tensor,
    target: Tensor,
    *,
    codes: Tensor | None = None,
    window: Annotated[int, Field(ge=1)] = 7,
    stride: Annotated[int, Field(ge=1)] = 1,
    fill: Literal["mean", "zero"] = "mean",
) -> Tensor:
    """What the output loses where a window of the sequence is occluded, as scores ``(N, S)``
    (*Zeiler and Fergus 2014*); positive where that lowers the output.

    A window's loss is ``f(sequence) - f(occluded)``, shared equally by the known positions in it;
    the score of a position is the mean of its shares over the windows that cover it. Windows start
    at the first known position and at every ``stride`` after it, and one more ends at the last
    known position where the others do not reach it: padding changes nothing. Where fewer positions
    than ``window`` are between those two, one window holds them all.

    ``fill`` is what known positions take: a fourth of every base (``mean``) or of none (``zero``,
    which is N). Unknown positions stay unknown and have 0. With ``window`` 1 a linear model gets
    the corrected ``input_x_gradient`` from ``mean``, the uncorrected one from ``zero``.

    Where sites are tokens the window of ``codes`` ``(N, L)`` becomes N and is tokenised again
    (``zero``); there are no tokens of a fourth of every base, so ``mean`` is not applicable.

    ValueError where ``stride`` leaves positions between windows, which have no score. NotApplicable
    to any other sites, and to fewer than ``window``: longer sequences may suit the plan.
    """
    if stride > window:
        raise ValueError(
            f"stride: expected at most the window of {window}, got {stride}, "
            "which leaves positions that no window covers"
        )
    if of_tokens(model):
        assert codes is not None  # supplied by the harness
        _require_window(window, codes.shape[1])
        return _occluded_codes(model, codes, target, window, stride, fill)
    inputs = _nucleotides(inputs)
    _require_window(window, inputs.shape[2])
    column = torch.full((4, 1), 0.25 if fill == "mean" else 0.0).to(inputs)
    each = zip(inputs, target, strict=True)
    return torch.stack([_occluded(model, *one, window, stride, column) for one in each])


def _occluded(
    model: Any, sequence: Tensor, target: Tensor, window: int, stride: int, column: Tensor
) -> Tensor:
    """``(S,)`` of one sequence ``(4, S)``; ``column`` ``(4, 1)`` is what known positions take."""
    known = sequence.any(0)
    starts, width = _windows_with_bases(known, window, stride)
    occluded = known.unfold(0, width, 1)[starts].to(sequence)
    losses = -_effects(model, sequence, target, starts, column * occluded.unsqueeze(1))
    shares = losses / occluded.sum(1)
    sites = starts.unsqueeze(1) + torch.arange(width, device=starts.device)
    # (window, position): 1 where a window covers a known position; its mean is over these.
    covers = sequence.new_zeros(len(starts), len(known)).scatter(1, sites, occluded)
    return shares @ covers / covers.sum(0).clamp(min=1)


def _require_window(window: int, length: int) -> None:
    if window > length:
        raise NotApplicable(
            f"expected a window of at most the {length} positions of a sequence, got {window}"
        )


def _occluded_codes(
    model: Any, codes: Tensor, target: Tensor, window: int, stride: int, fill: str
) -> Tensor:
    """``(N, L)``: each window of a sequence becomes N, and the sequence is tokenised again."""
    if fill != "zero":
        raise NotApplicable(
            "tokens have no fourth of every base; occlude by N, of every model alike: fill: zero"
        )
    scores = []
    for sequence, each in zip(codes.cpu(), target.tolist(), strict=True):
        known = sequence < N
        starts, width = _windows_with_bases(known, window, stride)
        covered = torch.zeros(len(starts), len(sequence), dtype=torch.bool)
        covered.scatter_(1, starts[:, None] + torch.arange(width), True)
        covered &= known
        edited = torch.cat([sequence[None], sequence.masked_fill(covered, N)])
        losses = -_effects_of_codes(model, edited.numpy(), each)
        covers = covered.float()
        shares = losses / covers.sum(1)
        scores.append(shares @ covers / covers.sum(0).clamp(min=1))
    return torch.stack(scores)


def _windows_with_bases(known: Tensor, window: int, stride: int) -> tuple[Tensor, int]:
    """The starts of those windows that hold a known position, and how wide they are."""
    positions = torch.nonzero(known).flatten()
    if not len(positions):
        return positions, window
    first, end = int(positions[0]), int(positions[-1]) + 1
    width = min(window, end - first)
    last = end - width
    # Windows without a known base (a stretch of N in the middle) have nothing to share a loss.
    starts = torch.tensor(sorted({*range(first, last, stride), last}), device=known.device)
    return starts[known.unfold(0, width, 1)[starts].any(1)], width


def _effects(
    model: Any, sequence: Tensor, target: Tensor, starts: Tensor, patches: Tensor
) -> Tensor:
    """``f(edited) - f(sequence)`` for every edit ``(E,)`` of one sequence ``(4, S)``: from
    ``starts`` ``(E,)`` on it has the ``patches`` ``(E, 4, width)``."""
    width = patches.shape[2]
    # The first edit leaves the sequence as it is: it is run beside the others, not in a call of its
    # own, so that differences are free of the rounding of different batch sizes.
    starts = functional.pad(starts, (1, 0))
    patches = torch.cat([sequence[None, :, :width], patches])
    # Calls are of one sequence and of like size: other sequences of a batch change no rounding.
    calls = -(-len(starts) // batch_rows(sequence.shape[1], sequence.device))
    outputs = []
    with torch.no_grad():  # inference mode is no faster, and what it makes can never meet gradients
        for edits in torch.arange(len(starts), device=starts.device).tensor_split(calls):
            edited = sequence.repeat(len(edits), 1, 1)
            sites = starts[edits, None, None] + torch.arange(width, device=starts.device)
            edited.scatter_(2, sites.expand(-1, 4, -1), patches[edits])
            outputs.append(model(edited)[:, target])
    explained = torch.cat(outputs)
    return explained[1:] - explained[0]


def _nucleotides(inputs: Tensor) -> Tensor:
    """The inputs off the graph; NotApplicable unless each site is one base of four, or unknown."""
    inputs = inputs.detach()
    binary = ((inputs == 0) | (inputs == 1)).all()
    if inputs.shape[1] != 4 or not binary or (inputs.sum(1) > 1).any():
        raise NotApplicable("expected a model whose input is the one-hot of four bases")
    return inputs
