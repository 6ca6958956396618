"""The one training loop: every model, the same data, the same schedule."""

import copy
from collections.abc import Callable
from time import perf_counter
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from xaibench.predict import evaluating, logits
from xaibench.randomness import stream
from xaibench.shapes import Codes
from xaibench.values import N, Sequences, Splits

from .masking import Masking, lowest


def supervised(
    model: Any,
    splits: Splits,
    *,
    seed: int,
    progress: Callable[[int, int, dict[str, float]], None],
    epochs: Annotated[int, Field(ge=1)] = 8,
    batch_size: Annotated[int, Field(ge=2)] = 128,
    learning_rate: Annotated[float, Field(gt=0)] = 2e-3,
    weight_decay: Annotated[float, Field(ge=0)] = 1e-2,
) -> list[dict[str, float]]:
    """Train in place with cross-entropy; keep the weights with the lowest validation loss.

    AdamW under one cosine cycle with a short warm-up. A model with ``masking`` is trained on
    sequences whose least attended positions are unknown bases. Returns the history, a row an epoch:
    ``epoch`` (from 1), ``train_loss``, ``validation_loss``, ``validation_accuracy``,
    ``mask_ratio``, ``seconds``.
    """
    train, validation = splits.train, splits.validation
    if validation is None:
        raise ValueError("splits: wanted a validation split, got None")
    # the schedule cannot divide 10 steps into a tenth and the rest
    steps = max(epochs * _batches(len(train), batch_size), 11)
    optimiser = torch.optim.AdamW(model.parameters(), learning_rate, weight_decay=weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, learning_rate, steps, pct_start=0.1)
    masking: Masking = getattr(model, "masking", Masking(0.0, 0, 1))
    history: list[dict[str, float]] = []
    best: dict[str, Tensor] = {}
    for epoch in range(epochs):
        began = perf_counter()
        ratio = masking.ratio_at(epoch)
        generator = stream(seed, "training", epoch)
        losses = []
        for rows in _shuffled(len(train), batch_size, generator):
            codes = _masked(model, train.codes[rows], ratio, generator)
            loss = _loss(model, codes, train.labels[rows])
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
            optimiser.step()
            schedule.step()
            losses.append(loss.item())
        row = {
            "epoch": epoch + 1,
            "train_loss": float(np.mean(losses)),
            **_validate(model, validation),
            "mask_ratio": ratio,
            "seconds": perf_counter() - began,
        }
        if not history or row["validation_loss"] < min(r["validation_loss"] for r in history):
            best = copy.deepcopy(model.state_dict())
        history.append(row)
        progress(epoch + 1, epochs, row)
    model.load_state_dict(best)
    return history


def _batches(sequences: int, batch_size: int) -> int:
    return max(sequences // batch_size, 1)


def _shuffled(
    sequences: int, batch_size: int, generator: np.random.Generator
) -> list[np.ndarray[Any, np.dtype[np.intp]]]:
    """Rows of each batch; the few that fill no batch sit this epoch out."""
    batches = _batches(sequences, batch_size)
    return np.array_split(generator.permutation(sequences)[: batches * batch_size], batches)


def _masked(model: Any, codes: Codes, ratio: float, generator: np.random.Generator) -> Codes:
    """The codes with the least attended positions unknown; attention is read in evaluation mode."""
    if ratio == 0:
        return codes
    with evaluating(model):
        weights = model.attention(model.encode(torch.from_numpy(codes))).numpy()
    masked: Codes = np.where(lowest(weights, codes < N, ratio, generator), np.uint8(N), codes)
    return masked


def _loss(model: Any, codes: Codes, labels: np.ndarray[Any, np.dtype[np.int64]]) -> Tensor:
    model.train()
    outputs = model(model.encode(torch.from_numpy(codes)))
    return nn.functional.cross_entropy(outputs, torch.from_numpy(labels))


def _validate(model: Any, validation: Sequences) -> dict[str, float]:
    outputs = torch.from_numpy(logits(model, validation.codes))
    labels = torch.from_numpy(validation.labels)
    return {
        "validation_loss": nn.functional.cross_entropy(outputs, labels).item(),
        "validation_accuracy": (outputs.argmax(1) == labels).double().mean().item(),
    }
