"""The one training loop: every model, the same data, the same schedule."""

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from time import perf_counter
from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from xaibench.errors import ModelError, NotFinite
from xaibench.nn.checks.outputs import forward_logits, valid_logits
from xaibench.nn.devices import device_named, moved, multiplying
from xaibench.nn.inference import keep_freed_memory, logits
from xaibench.nn.sites import padded_sites
from xaibench.shapes import Codes, Mask
from xaibench.values import N, Sequences, Splits

from . import checkpoints, masks
from .batches import Batch, Setting, batches_of_epoch, batches_per_epoch, mask_on_strands
from .checkpoints import EpochRow, State, TrainingHistory
from .low_rank import LowRank, low_rank_adapted
from .masking import NONE
from .recompute import recomputed
from .schedules import Schedule, scheduled
from .speed import faster

Selection = Literal["best", "best_masked", "last"]


def supervised(
    model: Any,
    splits: Splits,
    *,
    seed: int,
    progress: Callable[[int, int, dict[str, float]], None],
    checkpoint: Path | None = None,
    epochs: Annotated[int, Field(ge=1, le=100_000)] = 8,
    batch_size: Annotated[int, Field(ge=2)] = 128,
    learning_rate: Annotated[float, Field(gt=0)] = 2e-3,
    weight_decay: Annotated[float, Field(ge=0)] = 1e-2,
    schedule: Literal["one_cycle", "linear", "constant"] = "one_cycle",
    warm_up: Annotated[float, Field(ge=0, lt=1)] | None = None,
    gradient_norm: Annotated[float, Field(gt=0)] | None = None,
    lora: LowRank | None = None,
    recompute: bool = False,
    keep: Literal["best", "best_masked", "last"] = "best",
    patience: Annotated[int, Field(ge=1)] | None = None,
    reverse_complement: bool = False,
    precision: Literal["float32", "bfloat16", "tf32"] = "float32",
    device: str = "cpu",
) -> TrainingHistory:
    """Train in place with AdamW; a model with ``masking`` sees what that leaves of a sequence.

    The rate rises in the share ``warm_up`` of all steps (a tenth, but none where it is
    ``constant``) and then follows one cosine cycle, falls to 0 linearly, or stays. Gradients of a
    norm above ``gradient_norm`` are scaled to it. With ``lora`` few numbers are learnt beside
    weights that stay (``LowRank``); they end up in plain weights. ``recompute`` keeps less in
    memory, and computes every layer once more (``recomputed``).

    The weights that the model has in the end, its selected ones, are those of the lowest validation
    loss (``best``), of the lowest among the epochs with the whole mask ratio (``best_masked``;
    where none has it, among those with the highest), or the ``last``. With ``patience`` training
    stops after so many epochs without another selection. With ``reverse_complement`` each sequence
    is reverse-complemented half of the time.

    ``bfloat16`` computes layers by autocast, ``tf32`` products on a CUDA device in TensorFloat-32;
    weights, losses, validation and all that comes after are in float32. Masks then go by attention
    or gradients computed in bfloat16. On a CPU the same seed gives the same weights, to the bit,
    for one number of threads; other devices do not promise it.

    The state is written into the folder ``checkpoint`` after every epoch, and read from there: a
    training that was killed gives the weights of one that was not, and one that was done gives them
    at once. It is left there at the end: whoever saves the weights removes it.

    Returns the history, one row per epoch: ``epoch`` (from 1), ``steps`` so far, ``train_loss`` and
    ``train_accuracy`` (on what the model was shown), ``validation_loss``, ``validation_accuracy``,
    ``mask_ratio`` (by the schedule), ``masked`` (the share of valid positions),
    ``masked_in_motif`` (of the masked ones, the share inside motifs; NaN where none is masked or
    known), ``seconds``, ``masks`` (of the first sequences, a text for ``masks.read``; absent where
    nothing is masked), ``learnt`` with ``lora`` (how many parameters are learnt), and ``kept``, 1
    for the epoch whose weights are selected.
    ``progress`` is called with each row but its masks, and the ``seconds_left``. Batches and draws
    of an epoch come from ``stream(seed, "training", epoch from 0)``, and masks from these, the
    weights and ``masked_positions``: an epoch repeated from its checkpoint repeats its masks.
    """
    if splits.validation is None:
        raise ValueError("splits: expected a validation split, got None")
    keep_freed_memory()
    masking = getattr(model, "masking", NONE)
    place = device_named(device)
    setting = Setting(
        masking,
        seed,
        batch_size,
        reverse_complement,
        precision == "bfloat16",
        place,
        gradient_norm,
        recompute,
    )
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise ModelError(
            "expected parameters to train, got none that wants a gradient; a plug-in `training` "
            "that does nothing and returns [] leaves a model as it is made"
        )
    model.to(device)
    steps = epochs * batches_per_epoch(len(splits.train), batch_size)
    with low_rank_adapted(model, lora):
        state = State(
            model, *_optimiser(model, steps, learning_rate, weight_decay, schedule, warm_up)
        )
        if checkpoint is not None:
            checkpoints.restore(state, checkpoint)
        while len(state.history) < epochs and not _out_of_patience(state.history, patience, keep):
            with multiplying(place, tf32=precision == "tf32"):
                row = _epoch(state, splits.train, splits.validation, setting)
            state.history.append(row if lora is None else {**row, "learnt": _learnt(model)})
            if keep == "last" or _is_best(state.history, keep):
                # clones: training goes on in place
                state.selected = {name: each.clone() for name, each in model.state_dict().items()}
            if checkpoint is not None:
                checkpoints.save(state, checkpoint)
            progress(len(state.history), epochs, _for_progress(state.history, epochs))
        model.load_state_dict(state.selected)
    model.cpu()
    return _with_selected(state.history, keep)


def _optimiser(
    model: Any,
    steps: int,
    rate: float,
    weight_decay: float,
    schedule: Schedule,
    warm_up: float | None = None,
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    """AdamW, and the schedule of its rate, a step per batch."""
    parameters = [each for each in model.parameters() if each.requires_grad]
    optimiser = torch.optim.AdamW(parameters, rate, weight_decay=weight_decay)
    return optimiser, scheduled(optimiser, schedule, steps, warm_up)


def _learnt(model: Any) -> int:
    """How many parameters are learnt."""
    return sum(each.numel() for each in model.parameters() if each.requires_grad)


def _out_of_patience(history: TrainingHistory, patience: int | None, keep: Selection) -> bool:
    """Whether none of the last ``patience`` epochs was the best when it ended."""
    if patience is None or len(history) <= patience:
        return False
    ends = range(len(history) - patience + 1, len(history) + 1)
    return not any(_is_best(history[:end], keep) for end in ends)


def _is_best(history: TrainingHistory, keep: Selection) -> bool:
    """Whether the last epoch has the lowest validation loss, of all or of the most masked."""
    *before, last = history
    if keep == "best_masked":
        most = max(row["mask_ratio"] for row in history)
        if last["mask_ratio"] < most:
            return False
        before = [row for row in before if row["mask_ratio"] == most]
    return all(last["validation_loss"] < row["validation_loss"] for row in before)


def _with_selected(history: TrainingHistory, keep: Selection) -> TrainingHistory:
    """The history with its last column, ``kept``."""
    selected = _selected_epoch(history, keep)
    return [{**row, "kept": float(epoch == selected)} for epoch, row in enumerate(history)]


def _selected_epoch(history: TrainingHistory, keep: Selection) -> int:
    """The epoch, counted from 0, whose weights are selected."""
    epochs = range(len(history))
    return max(e for e in epochs if keep == "last" or _is_best(history[: e + 1], keep))


def _for_progress(history: TrainingHistory, epochs: int) -> dict[str, float]:
    """The numbers of the last epoch, and how long the others will take."""
    numbers = {name: value for name, value in history[-1].items() if name != masks.COLUMN}
    return {**numbers, "seconds_left": _seconds_left(history, epochs)}


def _seconds_left(history: TrainingHistory, epochs: int) -> float:
    return float(np.mean([row["seconds"] for row in history])) * (epochs - len(history))


def _epoch(state: State, train: Sequences, validation: Sequences, setting: Setting) -> EpochRow:
    """One pass over train; its row of the history."""
    began = perf_counter()
    epoch, model = len(state.history), state.model
    ratio = setting.masking.ratio_at(epoch, state.history)
    tallies, recorded = [], np.zeros_like(train.codes[: masks.RECORDED], np.bool_)
    # What is faster was measured on CPUs: on other devices layers are as they are.
    with (
        faster(model) if setting.device.type == "cpu" else nullcontext(),
        recomputed(model) if setting.recompute else nullcontext(),
    ):
        for batch in batches_of_epoch(model, train, epoch, ratio, setting):
            tallies.append(_step(state, batch, setting))
            _record_masks(recorded, batch, train.codes)
    train_loss, train_accuracy = np.mean([tally[:2] for tally in tallies], axis=0)
    _require_finite(model, float(train_loss), epoch)
    validated = _validate(model, validation)
    if not np.isfinite(validated["validation_loss"]):
        raise _diverged(epoch, f"validation loss {validated['validation_loss']}")
    valid, masked, in_motif = np.sum([tally[2:] for tally in tallies], axis=0)
    before = state.history[-1]["steps"] if state.history else 0
    return {
        "epoch": epoch + 1,
        "steps": before + len(tallies),
        "train_loss": float(train_loss),
        "train_accuracy": float(train_accuracy),
        **validated,
        "mask_ratio": ratio,
        "masked": float(masked / valid) if valid else float("nan"),
        "masked_in_motif": float(in_motif / masked) if masked else float("nan"),
        "seconds": perf_counter() - began,
        **masks.as_columns(recorded),
    }


def _require_finite(model: Any, loss: float, epoch: int) -> None:
    """ModelError where the mean loss of an epoch, or a weight after it, is not finite."""
    if not np.isfinite(loss):
        raise _diverged(epoch, f"loss {loss}")
    for name, parameter in model.named_parameters():
        if not torch.isfinite(parameter).all():
            raise _diverged(epoch, f"{name} is not finite")


def _diverged(epoch: int, what: str) -> ModelError:
    return ModelError(
        f"training diverged in epoch {epoch + 1} ({what}); a lower training.learning_rate may help"
    )


def _record_masks(recorded: Mask, batch: Batch, codes: Codes) -> None:
    """Write into ``recorded``, of the first sequences of ``codes``, what a batch masks of them, in
    their own direction."""
    first = batch.rows < len(recorded)
    rows = batch.rows[first]
    recorded[rows] = mask_on_strands(
        batch.masked[first], codes[rows], batch.reverse_complemented[first]
    )


def _step(state: State, batch: Batch, setting: Setting) -> tuple[float, float, int, int, float]:
    """Learn from one batch; returns the loss and accuracy before that, how many positions are
    valid, how many of them masked, and how many of these inside motifs."""
    state.model.train()  # masks are made in evaluation mode
    labels = torch.from_numpy(batch.labels).to(setting.device)
    with setting.autocast():
        loss, outputs = _loss(state.model, batch, labels, setting)
    state.optimiser.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
    _require_gradients(state.model)
    if setting.gradient_norm is not None:
        torch.nn.utils.clip_grad_norm_(state.model.parameters(), setting.gradient_norm)
    state.optimiser.step()
    state.schedule.step()
    accuracy = (outputs.detach().argmax(1) == labels).float().mean().item()
    motif = batch.inside_motif
    in_motif = float("nan") if motif is None else float((batch.masked & motif).sum())
    valid, masked = int((batch.intact < N).sum()), int(batch.masked.sum())
    return loss.item(), accuracy, valid, masked, in_motif


def _require_gradients(model: Any) -> None:
    """ModelError where no parameter has a gradient, as where ``forward`` wraps its output anew."""
    if all(parameter.grad is None for parameter in model.parameters()):
        raise ModelError(
            "expected logits that depend on the weights, got none with a gradient: is a tensor "
            "detached in forward, or made anew (nn.Parameter, torch.tensor, requires_grad_)?"
        )


def _loss(model: Any, batch: Batch, labels: Tensor, setting: Setting) -> tuple[Tensor, Tensor]:
    """``intact_loss CE(intact) + masked_loss CE(masked) + consistency_loss KL(intact || masked)``,
    as ``Masking`` says, and the logits of what the model was shown.

    Each CE is summed over heads; the consistency is of the model's own logits alone.
    """
    masking = setting.masking
    if batch.shown is None:
        intact = _logits_of_heads(model, batch.intact, setting)
        return _cross_entropy(intact, labels), intact[0]
    shown = _logits_of_heads(model, batch.shown, setting)
    loss = masking.masked_loss * _cross_entropy(shown, labels)
    if masking.intact_loss or masking.consistency_loss:
        intact = _logits_of_heads(model, batch.intact, setting)
        loss = loss + masking.intact_loss * _cross_entropy(intact, labels)
        reference = intact[0].detach() if masking.detach else intact[0]
        loss = loss + masking.consistency_loss * _kl_divergence(reference, shown[0])
    return loss, shown[0]


def _logits_of_heads(model: Any, codes: Codes, setting: Setting) -> list[Tensor]:
    """Logits in float32: those of the model, and of what else it trains, where it has
    ``training_logits``."""
    inputs = model.encode(moved(codes, setting.device))
    rows = len(codes)
    if hasattr(model, "training_logits"):
        heads = [valid_logits(each, rows) for each in model.training_logits(inputs)]
    else:
        # a pass per number of tokens would be of a few sequences each
        valid = padded_sites(model, codes)
        valid = None if valid is None else valid.to(setting.device)
        heads = [forward_logits(model, inputs, rows, valid=valid)]
    if not heads[0].requires_grad:
        raise ModelError(
            "expected logits that depend on the weights, got a tensor without a gradient: "
            "is it detached, computed under no_grad, or rounded in forward?"
        )
    return [each.float() for each in heads]


def _cross_entropy(heads: list[Tensor], labels: Tensor) -> Tensor:
    """In nats, the mean over sequences, summed over heads."""
    return torch.stack([functional.cross_entropy(each, labels) for each in heads]).sum()


def _kl_divergence(intact: Tensor, masked: Tensor) -> Tensor:
    """``sum_c p_c (log p_c - log q_c)``, ``p`` of the intact and ``q`` of the masked sequence, in
    nats, the mean over sequences."""
    approximate, true = (functional.log_softmax(each, dim=1) for each in (masked, intact))
    return functional.kl_div(approximate, true, reduction="batchmean", log_target=True)


def _validate(model: Any, validation: Sequences) -> dict[str, float]:
    """Loss and accuracy on the intact validation split, in float32; NaN where logits are not
    finite, which ends the training as diverged."""
    try:
        outputs = torch.from_numpy(logits(model, validation.codes))
    except NotFinite:
        return {"validation_loss": float("nan"), "validation_accuracy": float("nan")}
    labels = torch.from_numpy(validation.labels)
    return {
        "validation_loss": functional.cross_entropy(outputs, labels).item(),
        "validation_accuracy": (outputs.argmax(1) == labels).double().mean().item(),
    }
