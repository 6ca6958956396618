"""The one training loop: every model, the same data, the same schedule."""

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from xaibench.dna.encoding import reverse_complement as turned
from xaibench.dna.encoding import unreverse
from xaibench.errors import ModelError, NotFinite, UsageError
from xaibench.nn.checks.outputs import called, checked
from xaibench.nn.inference import keep_freed_memory, logits
from xaibench.randomness import stream
from xaibench.shapes import Codes, Labels, Mask
from xaibench.values import N, Sequences, Splits

from . import checkpoints, masks
from .checkpoints import History, Row, State
from .masking import NONE, Masking, masked_positions, replaced
from .speed import faster

Keep = Literal["best", "best_masked", "last"]


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
    schedule: Literal["one_cycle", "constant"] = "one_cycle",
    keep: Literal["best", "best_masked", "last"] = "best",
    patience: Annotated[int, Field(ge=1)] | None = None,
    reverse_complement: bool = False,
    precision: Literal["float32", "bfloat16"] = "float32",
    device: str = "cpu",
) -> History:
    """Train in place with AdamW; a model with ``masking`` sees what that leaves of a sequence.

    The rate follows one cosine cycle over all epochs with a short warm-up, or is ``constant``. The
    weights kept are those of the lowest validation loss (``best``), of the lowest among the epochs
    with the whole mask ratio (``best_masked``; where none has it, among those with the highest), or
    the ``last``. With ``patience`` training stops after so many epochs in which the weights to be
    kept did not change. With ``reverse_complement`` each sequence is turned half of the time.

    ``bfloat16`` computes layers by autocast; weights, losses, validation and all that comes after
    are in float32. Masks then go by attention or gradients computed in bfloat16. On a CPU the same
    seed gives the same weights, to the bit, for one number of threads; other devices do not promise
    it.

    The state is written into the folder ``checkpoint`` after every epoch, and read from there: a
    training that was killed gives the weights of one that was not, and one that was done gives them
    at once. It is left there at the end: whoever keeps the weights removes it.

    Returns the history, a row an epoch: ``epoch`` (from 1), ``steps`` so far, ``train_loss`` and
    ``train_accuracy`` (on what the model was shown), ``validation_loss``, ``validation_accuracy``,
    ``mask_ratio`` (wanted), ``masked`` (the share of valid positions), ``masked_in_motif`` (of the
    masked ones, the share inside motifs; NaN where none is masked or known), ``seconds``,
    ``masks`` (of the first sequences, a text for ``masks.read``; absent where nothing is masked),
    and ``kept``, 1 for the epoch whose weights the model has in the end.
    ``progress`` hears of each row but its masks, and of the ``seconds_left``. Batches and draws of
    an epoch come from ``stream(seed, "training", epoch from 0)`` and masks from these, the weights
    and ``masked_positions``: an epoch repeated from its checkpoint repeats its masks.
    """
    if splits.validation is None:
        raise ValueError("splits: wanted a validation split, got None")
    keep_freed_memory()
    masking = getattr(model, "masking", NONE)
    setting = Setting(
        masking, seed, batch_size, reverse_complement, precision == "bfloat16", _known(device)
    )
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise ModelError(
            "expected parameters to train, got none that wants a gradient; a plug-in `training` "
            "that does nothing and returns [] leaves a model as it is made"
        )
    model.to(device)
    steps = epochs * _batches(len(splits.train), batch_size)
    state = State(model, *_optimiser(model, steps, learning_rate, weight_decay, schedule))
    if checkpoint is not None:
        checkpoints.read(state, checkpoint)
    while len(state.history) < epochs and not _stuck(state.history, patience, keep):
        row = _epoch(state, splits.train, splits.validation, setting)
        state.history.append(row)
        if keep == "last" or _is_best(state.history, keep):
            state.kept = {name: each.clone() for name, each in model.state_dict().items()}
        if checkpoint is not None:
            checkpoints.write(state, checkpoint)
        progress(len(state.history), epochs, _told(state.history, epochs))
    model.load_state_dict(state.kept)
    model.cpu()
    kept = _kept(state.history, keep)
    for place, row in enumerate(state.history):
        row["kept"] = float(place == kept)
    return state.history


@dataclass(frozen=True, slots=True)
class Setting:
    """How every epoch of one training is made."""

    masking: Masking
    seed: int
    batch_size: int
    both_strands: bool
    in_bfloat16: bool
    device: torch.device

    def computing(self) -> Any:
        """In here layers compute in the wanted precision."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.in_bfloat16)


class Batch(NamedTuple):
    """What a model is shown of some sequences: as they are, and masked, or None where nothing is.

    ``rows`` of train they are; ``turned`` ``(sequence,)`` is True where one reads as its other
    strand. ``masked`` ``(sequence, position)`` is True where something is hidden; ``inside_motif``
    as in ``Sequences``.
    """

    rows: NDArray[np.intp]
    turned: NDArray[np.bool_]
    intact: Codes
    shown: Codes | None
    labels: Labels
    masked: Mask
    inside_motif: Mask | None


def _known(device: str) -> torch.device:
    try:
        return torch.empty(0, device=device).device
    except (RuntimeError, AssertionError) as error:
        reason = str(error).partition("\n")[0]
        raise UsageError(f"device: torch has no {device!r} here: {reason}") from None


def _optimiser(
    model: Any, steps: int, rate: float, weight_decay: float, schedule: str
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    optimiser = torch.optim.AdamW(model.parameters(), rate, weight_decay=weight_decay)
    if schedule == "constant":
        return optimiser, torch.optim.lr_scheduler.ConstantLR(optimiser, 1.0)
    # the schedule cannot divide 10 steps into a tenth and the rest
    cycle = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, max(steps, 11), pct_start=0.1)
    return optimiser, cycle


def _stuck(history: History, patience: int | None, keep: Keep) -> bool:
    """Whether none of the last epochs, as many as there is patience, was the best so far."""
    if patience is None or len(history) <= patience:
        return False
    ends = range(len(history) - patience + 1, len(history) + 1)
    return not any(_is_best(history[:end], keep) for end in ends)


def _is_best(history: History, keep: Keep) -> bool:
    """Whether the last epoch has the lowest validation loss, of all or of the most masked."""
    *before, last = history
    if keep == "best_masked":
        most = max(row["mask_ratio"] for row in history)
        if last["mask_ratio"] < most:
            return False
        before = [row for row in before if row["mask_ratio"] == most]
    return all(last["validation_loss"] < row["validation_loss"] for row in before)


def _kept(history: History, keep: Keep) -> int:
    """The place of the epoch whose weights are kept."""
    places = range(len(history))
    return max(p for p in places if keep == "last" or _is_best(history[: p + 1], keep))


def _told(history: History, epochs: int) -> dict[str, float]:
    """What progress hears: the numbers of the last epoch, and how long the others will take."""
    numbers = {name: value for name, value in history[-1].items() if name != masks.KEY}
    return {**numbers, "seconds_left": _left(history, epochs)}


def _left(history: History, epochs: int) -> float:
    return float(np.mean([row["seconds"] for row in history])) * (epochs - len(history))


def _epoch(state: State, train: Sequences, validation: Sequences, setting: Setting) -> Row:
    """One pass over train; its row of the history."""
    began = perf_counter()
    epoch, model = len(state.history), state.model
    ratio = setting.masking.ratio_at(epoch, state.history)
    tallies, hidden = [], np.zeros_like(train.codes[: masks.SEQUENCES], np.bool_)
    with faster(model) if setting.device.type == "cpu" else nullcontext():
        for batch in _shown(model, train, epoch, ratio, setting):
            tallies.append(_step(state, batch, setting))
            _note_masked(hidden, batch, train.codes)
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
        **masks.written(hidden),
    }


def _require_finite(model: Any, loss: float, epoch: int) -> None:
    """ModelError where the mean loss of an epoch, or what it left of the weights, is no number."""
    if not np.isfinite(loss):
        raise _diverged(epoch, f"loss {loss}")
    for name, parameter in model.named_parameters():
        if not torch.isfinite(parameter).all():
            raise _diverged(epoch, f"{name} is not finite")


def _diverged(epoch: int, what: str) -> ModelError:
    return ModelError(
        f"training diverged in epoch {epoch + 1} ({what}); a lower training.learning_rate may help"
    )


def _shown(
    model: Any, train: Sequences, epoch: int, ratio: float, setting: Setting
) -> Iterator[Batch]:
    """The batches of an epoch, each masked by the weights of its moment."""
    generator = stream(setting.seed, "training", epoch)
    inside = train.inside_motif
    for rows in _shuffled(len(train), setting.batch_size, generator):
        codes, labels = train.codes[rows], train.labels[rows]
        motif = None if inside is None else inside[rows]
        here = np.zeros(len(rows), np.bool_)
        if setting.both_strands:
            here = generator.random(len(rows)) < 0.5
            codes, motif = _some_turned(codes, motif, here)
        batch = Batch(rows, here, codes, None, labels, np.zeros(codes.shape, np.bool_), motif)
        if not ratio:
            yield batch
            continue
        with setting.computing():
            masked = masked_positions(
                setting.masking,
                model,
                codes,
                labels,
                epoch=epoch,
                ratio=ratio,
                generator=generator,
            )
        shown = replaced(setting.masking, codes, masked, generator)
        yield batch._replace(shown=shown, masked=masked)


def _batches(sequences: int, batch_size: int) -> int:
    return max(sequences // batch_size, 1)


def _shuffled(
    sequences: int, batch_size: int, generator: np.random.Generator
) -> list[NDArray[np.intp]]:
    """Rows of each batch; the few that fill no batch sit this epoch out."""
    batches = _batches(sequences, batch_size)
    return np.array_split(generator.permutation(sequences)[: batches * batch_size], batches)


def _some_turned(
    codes: Codes, motif: Mask | None, here: NDArray[np.bool_]
) -> tuple[Codes, Mask | None]:
    """Sequences, those ``here`` ``(sequence,)`` as their other strand reads."""
    other = np.where(here[:, None], turned(codes), codes)
    return other, None if motif is None else _turned_mask(motif, codes, here)


def _turned_mask(mask: Mask, codes: Codes, here: NDArray[np.bool_]) -> Mask:
    """A mask of ``codes`` where these are turned, or that of what was turned back again."""
    return np.where(here[:, None], unreverse(mask.astype(np.float32), codes) > 0, mask)


def _note_masked(hidden: Mask, batch: Batch, codes: Codes) -> None:
    """Write into ``hidden``, of the first sequences of ``codes``, what a batch masks of them, in
    their own direction."""
    first = batch.rows < len(hidden)
    rows = batch.rows[first]
    hidden[rows] = _turned_mask(batch.masked[first], codes[rows], batch.turned[first])


def _step(state: State, batch: Batch, setting: Setting) -> tuple[float, float, int, int, float]:
    """Learn from one batch. The loss and accuracy before that; how many positions are valid, how
    many of them masked, and how many of these inside motifs."""
    state.model.train()
    labels = torch.from_numpy(batch.labels).to(setting.device)
    with setting.computing():
        loss, outputs = _loss(state.model, batch, labels, setting)
    state.optimiser.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
    _require_gradients(state.model)
    state.optimiser.step()
    state.schedule.step()
    right = (outputs.detach().argmax(1) == labels).float().mean().item()
    motif = batch.inside_motif
    in_motif = float("nan") if motif is None else float((batch.masked & motif).sum())
    valid, masked = int((batch.intact < N).sum()), int(batch.masked.sum())
    return loss.item(), right, valid, masked, in_motif


def _require_gradients(model: Any) -> None:
    """ModelError where no parameter has a gradient, as where ``forward`` wraps its output anew."""
    if all(parameter.grad is None for parameter in model.parameters()):
        raise ModelError(
            "expected logits that depend on the weights, got none with a gradient: is a tensor "
            "detached in forward, or made anew (nn.Parameter, torch.tensor, requires_grad_)?"
        )


def _loss(model: Any, batch: Batch, labels: Tensor, setting: Setting) -> tuple[Tensor, Tensor]:
    """What ``Masking`` says, and the logits of what the model was shown."""
    masking = setting.masking
    if batch.shown is None:
        intact = _heads(model, batch.intact, setting)
        return _cross_entropy(intact, labels), intact[0]
    shown = _heads(model, batch.shown, setting)
    loss = masking.masked_loss * _cross_entropy(shown, labels)
    if masking.intact_loss or masking.consistency_loss:
        intact = _heads(model, batch.intact, setting)
        loss = loss + masking.intact_loss * _cross_entropy(intact, labels)
        kept = intact[0].detach() if masking.detach else intact[0]
        loss = loss + masking.consistency_loss * _divergence(kept, shown[0])
    return loss, shown[0]


def _heads(model: Any, codes: Codes, setting: Setting) -> list[Tensor]:
    """Logits in float32: those of the model, and of what else it trains, where it has
    ``training_logits``."""
    inputs = model.encode(torch.from_numpy(codes).to(setting.device))
    rows = len(codes)
    if hasattr(model, "training_logits"):
        heads = [checked(each, rows) for each in model.training_logits(inputs)]
    else:
        heads = [called(model, inputs, rows)]
    if not heads[0].requires_grad:
        raise ModelError(
            "expected logits that depend on the weights, got a tensor without a gradient: "
            "is it detached, computed under no_grad, or rounded in forward?"
        )
    return [each.float() for each in heads]


def _cross_entropy(heads: list[Tensor], labels: Tensor) -> Tensor:
    return torch.stack([functional.cross_entropy(each, labels) for each in heads]).sum()


def _divergence(intact: Tensor, masked: Tensor) -> Tensor:
    """KL(intact || masked) in nats, the mean over sequences."""
    approximate, true = (functional.log_softmax(each, dim=1) for each in (masked, intact))
    return functional.kl_div(approximate, true, reduction="batchmean", log_target=True)


def _validate(model: Any, validation: Sequences) -> dict[str, float]:
    try:
        outputs = torch.from_numpy(logits(model, validation.codes))
    except NotFinite:
        return {"validation_loss": float("nan"), "validation_accuracy": float("nan")}
    labels = torch.from_numpy(validation.labels)
    return {
        "validation_loss": functional.cross_entropy(outputs, labels).item(),
        "validation_accuracy": (outputs.argmax(1) == labels).double().mean().item(),
    }
