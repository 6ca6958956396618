"""Sequences of more tokens than a network takes: what it gives for windows of them, averaged."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from xaibench.errors import NotApplicable

from .tokenizer import DNATokenizer

Network = Callable[[Tensor, Tensor | None], Tensor]
"""Embeddings ``(N, C, S)`` and which sites are no padding -> logits ``(N, class)``."""


def window_starts(tokens: int, room: int) -> list[int]:
    """Where windows of ``room`` tokens begin: each half a window behind the one before it, and the
    last so that it ends with the sequence.

    >>> window_starts(11, 4)
    [0, 2, 4, 6, 7]
    """
    last = max(tokens - room, 0)
    return [*range(0, last, max(room // 2, 1)), last]


def over_windows(
    network: Network, inputs: Tensor, valid: Tensor | None, tokenizer: DNATokenizer
) -> Tensor:
    """Logits ``(N, class)`` of embeddings ``(N, C, S)``: the mean over windows of at most
    ``longest`` tokens, each with the special tokens of the sequence around it.

    One pass of the network where a single window suffices. The mean is linear and windows share
    the embeddings of the sequence, so its gradient, and whatever propagates like one, is the sum
    over the windows of a token divided by their number.
    """
    longest = tokenizer.longest
    if inputs.shape[2] <= longest:
        return network(inputs, valid)
    if valid is None:
        return _mean_over_windows(network, inputs, tokenizer)
    counts = valid.sum(1).clamp(min=longest)
    rows, parts = [], []
    for count in sorted(set(counts.tolist())):
        rows.append(torch.nonzero(counts == count)[:, 0])
        own = inputs[rows[-1], :, :count]
        if count > longest:
            parts.append(_mean_over_windows(network, own, tokenizer))
        else:
            parts.append(network(own, valid[rows[-1], :count]))
    return torch.cat(parts)[torch.cat(rows).argsort()]


def _mean_over_windows(network: Network, inputs: Tensor, tokenizer: DNATokenizer) -> Tensor:
    """Of sequences that have equally many tokens and no padding."""
    before, end = tokenizer.before, inputs.shape[2] - tokenizer.after
    room = tokenizer.longest - before - tokenizer.after
    around = inputs[:, :, :before], inputs[:, :, end:]
    windows = [
        torch.cat([around[0], inputs[:, :, before + start : before + start + room], around[1]], 2)
        for start in window_starts(end - before, room)
    ]
    # windows of a sequence side by side: methods that pass inputs and references together take
    # the halves of the batch apart
    logits = network(torch.stack(windows, 1).flatten(0, 1), None)
    return logits.reshape(len(inputs), len(windows), -1).mean(1)


def require_one_window(inputs: Tensor, tokenizer: DNATokenizer) -> None:
    """NotApplicable where no pass of the network sees all tokens of ``(N, C, S)``."""
    if inputs.shape[2] > tokenizer.longest:
        raise NotApplicable(
            f"sequences of {inputs.shape[2]} tokens are read in windows of {tokenizer.longest}, "
            "and no attention is of every token to every token"
        )
