"""Pre-training of a small DNABERT-2: masked tokens, one folder, which a kill does not harm."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path
from time import perf_counter
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from pydantic import Field
from safetensors.torch import save as saved_tensors

from xaibench.data.files.unlabelled import unlabelled_codes
from xaibench.dna.encoding import reverse_complement
from xaibench.errors import ModelError, UsageError, message_of
from xaibench.nn.devices import seeded
from xaibench.nn.inference import keep_freed_memory
from xaibench.nn.machine import kernels, machine
from xaibench.progress import Progress, announce, progress_of
from xaibench.randomness import stream
from xaibench.shapes import Codes
from xaibench.storage import files
from xaibench.storage.lock import alone
from xaibench.values import N

from . import checkpoints
from .checkpoints import EpochRow, State, TrainingHistory
from .dnabert2 import EPSILON
from .masked_tokens import (
    Ids,
    MaskedLanguageModel,
    Vocabulary,
    from_ids,
    is_ordinary,
    loss_and_accuracy,
    masked_tokens,
    unigram,
    unigram_figures,
    vocabulary_of,
)
from .schedules import scheduled
from .tokenizer import TOKENIZER_FILE, DNATokenizer, read_tokenizer, tokenised

WEIGHTS, CONFIG, HISTORY, CARD = "model.safetensors", "config.json", "history.csv", "card.json"

_UNDER_WAY = ".pretraining"
"""In the folder of a pre-training that has not ended: the request, and the checkpoint."""

_REQUEST = "request.json"

_SHOWN_EVERY = 20
"""Steps between two messages to a bar."""


class Corpus(NamedTuple):
    """Tokens ``(N, S)``, padded behind those that are ``valid`` ``(N, S)``."""

    ids: Ids
    valid: NDArray[np.bool_]

    def take(self, rows: NDArray[np.intp]) -> Corpus:
        """These rows, cut to the longest of them."""
        longest = int(self.valid[rows].sum(axis=1).max(initial=0))
        return Corpus(self.ids[rows, :longest], self.valid[rows, :longest])


@dataclass(frozen=True, slots=True)
class _Setting:
    """How every epoch of one pre-training is made."""

    seed: int
    batch_size: int
    mask_rate: float
    in_bfloat16: bool
    vocabulary: Vocabulary


def pretrain(
    sequences: Sequence[Path],
    folder: Path,
    *,
    tokenizer: Path,
    width: Annotated[int, Field(ge=1, le=10_000)] = 192,
    layers: Annotated[int, Field(ge=1, le=100)] = 4,
    heads: Annotated[int, Field(ge=1, le=1000)] = 4,
    hidden: Annotated[int, Field(ge=1, le=100_000)] = 384,
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1,
    longest: Annotated[int, Field(ge=3, le=1_000_000)] = 512,
    epochs: Annotated[int, Field(ge=1, le=100_000)] = 30,
    batch_size: Annotated[int, Field(ge=1)] = 64,
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3,
    warm_up: Annotated[float, Field(ge=0, lt=1)] = 0.06,
    weight_decay: Annotated[float, Field(ge=0)] = 1e-2,
    mask_rate: Annotated[float, Field(gt=0, lt=1)] = 0.15,
    held_out: Annotated[float, Field(gt=0, lt=1)] = 0.05,
    precision: Literal["float32", "bfloat16"] = "float32",
    seed: Annotated[int, Field(ge=0)] = 0,
) -> None:
    """Train a DNABERT-2 on masked tokens of sequences without labels, into a folder.

    ``sequences`` are files as ``unlabelled_codes`` reads them. AdamW; the rate rises in the share
    ``warm_up`` of all steps and falls to 0, both linearly. The share ``held_out`` of the sequences
    is not learnt from, nor is one that equals a held-out sequence on either strand; whole
    sequences are drawn, so windows that overlap may lie on both sides. Its masks are the same in
    every epoch. The weights that are kept are those of its lowest loss.

    The folder has ``model.safetensors`` under the names of the public checkpoint (``pretrained`` of
    ``dnabert2`` takes it), ``tokenizer.json``, ``config.json``, ``history.csv`` and ``card.json``.
    A pre-training that was killed goes on after its last whole epoch; on a CPU it gives the bytes
    of one that was not, for one number of threads. A folder that is done, with the same options,
    is left as it is.

    Columns of the history: ``epoch`` (from 1), ``steps`` so far, ``tokens`` of the epoch,
    ``train_loss``, ``held_out_loss`` and ``unigram_loss`` in nats per predicted token, the last of
    who knows only how frequent each token is in train; ``held_out_accuracy``,
    ``unigram_accuracy``; ``seconds``; ``kept``, 1 for the epoch whose weights are in the file.

    UsageError, in one line, for options that do not fit together, sequences that cannot be read or
    have too many tokens, a folder of something else, and a loss that is not finite.
    """
    options = dict(locals())
    del options["sequences"], options["folder"]
    if width % heads:
        raise UsageError(f"heads: expected a divisor of the width {width}, got {heads}")
    tokens = read_tokenizer(tokenizer, longest=longest)
    setting = _Setting(seed, batch_size, mask_rate, precision == "bfloat16", vocabulary_of(tokens))
    data = [unlabelled_codes(path) for path in sequences]
    request = {
        "options": {name: value for name, value in options.items() if name != "tokenizer"},
        "data": [
            {"file": path.name, "sequences": len(codes), "digest": _digest(codes)}
            for path, codes in zip(sequences, data, strict=True)
        ],
        "tokenizer": blake2b(tokens.library.to_str().encode(), digest_size=16).hexdigest(),
    }
    if _is_done(folder, request):
        announce(f"{folder}: is done with these options; nothing is computed")
        return
    _require_own_folder(folder)
    with alone(folder / _UNDER_WAY):
        _begin(folder, request)
        train, held_out_part, counts = _parts(data, tokens, setting, held_out)
        with seeded(int(stream(seed, "pretraining").integers(2**62))):
            model = MaskedLanguageModel(tokens.size, width, layers, heads, hidden, dropout)
            ordinary = train.ids[is_ordinary(train.ids, setting.vocabulary)]
            frequencies = unigram(ordinary, setting.vocabulary)
            model.begin_at(frequencies, setting.vocabulary)
            steps = epochs * _batches_per_epoch(len(train.ids), batch_size)
            optimiser = torch.optim.AdamW(
                model.parameters(), learning_rate, weight_decay=weight_decay
            )
            state = State(model, optimiser, scheduled(optimiser, "linear", steps, warm_up))
            checkpoint = folder / _UNDER_WAY / "state"
            _train(state, (train, held_out_part), frequencies, setting, checkpoint, epochs)
        _write(folder, state, tokens, {"request": request, "sequences": counts}, options)
    shutil.rmtree(folder / _UNDER_WAY, ignore_errors=True)


def _digest(codes: Codes) -> str:
    """Of the letters as they are read, however a file is compressed."""
    shape = str(codes.shape).encode()
    return blake2b(shape + codes.tobytes(), digest_size=16).hexdigest()


def _is_done(folder: Path, request: dict[str, Any]) -> bool:
    """Whether a folder holds what is requested; UsageError where it holds something else."""
    if not (folder / CARD).is_file():
        return False
    card = _read_json(folder / CARD)
    _require_same(folder, card.get("request"), request)
    if files.digest_of_file(folder / WEIGHTS) != card.get("weights"):
        raise UsageError(
            f"{folder / WEIGHTS}: is not the file that {CARD} speaks of; restore it, or remove the "
            "folder"
        )
    return True


def _begin(folder: Path, request: dict[str, Any]) -> None:
    """Say in the folder what is under way there; UsageError where it is something else."""
    path = folder / _UNDER_WAY / _REQUEST
    if path.is_file():
        _require_same(folder, _read_json(path), request)
    else:
        files.write_file(path, json.dumps(request, indent=1), durable=True)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(files.read_file(path)))
    except (ValueError, TypeError) as error:
        raise UsageError(f"{path}: is damaged ({message_of(error)}); remove the folder") from None


def _require_same(folder: Path, before: Any, request: dict[str, Any]) -> None:
    """UsageError that names the first thing that differs."""
    before = before or {}
    options = before.get("options", {})
    changed = [name for name, now in request["options"].items() if options.get(name) != now]
    how = [f"{name} {options.get(name)}, not {request['options'][name]}" for name in changed]
    how += [f"other {name}" for name in ("data", "tokenizer") if before.get(name) != request[name]]
    if how:
        raise UsageError(f"{folder}: was pre-trained with {how[0]}; choose another folder with -o")


def _require_own_folder(folder: Path) -> None:
    """That nothing but a pre-training is in it."""
    if folder.is_dir() and not (folder / _UNDER_WAY).is_dir() and any(folder.iterdir()):
        raise UsageError(f"{folder}: holds something else; choose another folder with -o")


def _parts(
    data: list[Codes], tokens: DNATokenizer, setting: _Setting, share: float
) -> tuple[Corpus, Corpus, dict[str, int]]:
    """Train, what is held out, and how many sequences each has, and how many are in neither."""
    longest = max(codes.shape[1] for codes in data)
    codes = np.concatenate(
        [np.pad(each, ((0, 0), (0, longest - each.shape[1])), constant_values=N) for each in data]
    )
    try:
        ids, sites = tokenised(tokens, codes)
    except ModelError as error:
        reason = message_of(error).partition("or say")[0] + "or raise --longest"
        raise UsageError(reason) from None
    corpus, ordinary = Corpus(ids, sites.valid), is_ordinary(ids, setting.vocabulary)
    known = np.flatnonzero(ordinary.any(axis=1))
    rows = stream(setting.seed, "pretraining", "held out").permutation(known)
    count = max(round(share * len(rows)), 1)
    if count >= len(rows):
        raise UsageError(
            f"expected sequences to learn from beside {count} held-out ones, got {len(rows)} in all"
        )
    held, others = rows[:count], rows[count:]
    names = _on_either_strand(codes)
    known_names = {names[row] for row in held}
    train = np.array([row for row in others if names[row] not in known_names], np.intp)
    if not len(train):
        raise UsageError("expected sequences that differ, got the same ones again and again")
    counts = {
        "train": len(train),
        "held_out": len(held),
        "equal to a held-out one": len(others) - len(train),
        "without a known base": len(codes) - len(known),
    }
    return corpus.take(np.sort(train)), corpus.take(np.sort(held)), counts


def _on_either_strand(codes: Codes) -> list[bytes]:
    """Of each sequence the same, whichever strand it is read on."""
    pairs = zip(codes, reverse_complement(codes), strict=True)
    return [min(forward.tobytes(), backward.tobytes()) for forward, backward in pairs]


def _train(
    state: State,
    parts: tuple[Corpus, Corpus],
    frequencies: NDArray[np.float64],
    setting: _Setting,
    checkpoint: Path,
    epochs: int,
) -> None:
    """All epochs that the checkpoint has not, on train and what is held out; the weights of the
    best are then the model's."""
    train, held_out = parts
    keep_freed_memory()
    checkpoints.restore(state, checkpoint)
    done = len(state.history)
    if done:
        announce(f"goes on after epoch {done} of {epochs}")
    with progress_of(epochs - done) as progress:
        for epoch in range(done, epochs):
            began = perf_counter()
            learnt = _epoch(state, train, epoch, setting, progress)
            tested = _held_out_figures(state.model, held_out, frequencies, setting)
            row = {
                "epoch": epoch + 1,
                "steps": len(learnt) + (state.history[-1]["steps"] if epoch else 0),
                "tokens": int(train.valid.sum()),
                "train_loss": float(np.mean(learnt)),
                **tested,
                "seconds": perf_counter() - began,
            }
            _require_finite(row)
            state.history.append(row)
            if _best(state.history) == epoch:
                state.selected = {
                    name: each.clone() for name, each in state.model.state_dict().items()
                }
            checkpoints.save(state, checkpoint)
            progress.done(_described(state.history, epochs), row["seconds"])
    state.model.load_state_dict(state.selected)


def _require_finite(row: EpochRow) -> None:
    if not np.isfinite([row["train_loss"], row["held_out_loss"]]).all():
        raise UsageError(
            f"pre-training diverged in epoch {row['epoch']}; a lower --learning-rate may help"
        )


def _best(history: TrainingHistory) -> int:
    """The epoch, counted from 0, of the lowest held-out loss."""
    return int(np.argmin([row["held_out_loss"] for row in history]))


def _described(history: TrainingHistory, epochs: int) -> str:
    """The last epoch, for the progress."""
    row, left = history[-1], epochs - len(history)
    minutes = np.mean([each["seconds"] for each in history]) * left / 60
    return (
        f"epoch {row['epoch']} of {epochs}, loss {row['train_loss']:.3f}, held out "
        f"{row['held_out_loss']:.3f} (unigram {row['unigram_loss']:.3f}), accuracy "
        f"{row['held_out_accuracy']:.3f}, {minutes:.0f} min left"
    )


def _batches_per_epoch(sequences: int, batch_size: int) -> int:
    return -(-sequences // batch_size)


def _batches(corpus: Corpus, batch_size: int, generator: np.random.Generator) -> Iterator[Corpus]:
    """All sequences in random batches of neighbours in length: nearly all batches have sequences of
    one number of tokens, which need no padding and no mask of attention."""
    rows = generator.permutation(len(corpus.ids))
    lengths = corpus.valid.sum(axis=1)
    rows = rows[np.argsort(lengths[rows], kind="stable")]
    starts = batch_size * np.arange(_batches_per_epoch(len(rows), batch_size))
    for start in generator.permutation(starts):
        yield corpus.take(rows[start : start + batch_size])


def _epoch(
    state: State, train: Corpus, epoch: int, setting: _Setting, progress: Progress
) -> list[float]:
    """One pass over train; the loss of each step before it was learnt from."""
    generator = stream(setting.seed, "pretraining", epoch)
    count = _batches_per_epoch(len(train.ids), setting.batch_size)
    losses: list[float] = []
    state.model.train()
    for batch in _batches(train, setting.batch_size, generator):
        loss, _, _ = _loss(state.model, batch, setting, generator)
        state.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        torch.nn.utils.clip_grad_norm_(state.model.parameters(), 1.0)
        state.optimiser.step()
        state.schedule.step()
        losses.append(loss.item())
        if len(losses) % _SHOWN_EVERY == 0:
            loss_so_far = float(np.mean(losses[-_SHOWN_EVERY:]))
            progress.epoch("pre-training", len(losses), count, {"loss": loss_so_far})
    return losses


def _loss(
    model: MaskedLanguageModel, batch: Corpus, setting: _Setting, generator: np.random.Generator
) -> tuple[torch.Tensor, float, Ids]:
    """The loss, the accuracy, and the tokens that were to be predicted."""
    shown, predicted = masked_tokens(batch.ids, setting.vocabulary, setting.mask_rate, generator)
    targets = batch.ids[predicted]
    valid = None if batch.valid.all() else torch.from_numpy(batch.valid)
    with torch.autocast("cpu", torch.bfloat16, enabled=setting.in_bfloat16):
        logits = model(from_ids(shown), torch.from_numpy(predicted), valid)
    return *loss_and_accuracy(logits, from_ids(targets)), targets


def _held_out_figures(
    model: MaskedLanguageModel,
    held_out: Corpus,
    frequencies: NDArray[np.float64],
    setting: _Setting,
) -> dict[str, float]:
    """Of the same masked tokens in every epoch, each counting once."""
    generator = stream(setting.seed, "pretraining", "masks held out")
    exact = replace(setting, in_bfloat16=False)
    model.eval()
    sums = np.zeros(4)
    predicted = 0
    with torch.inference_mode():
        for batch in _batches(held_out, setting.batch_size, generator):
            loss, accuracy, targets = _loss(model, batch, exact, generator)
            floor = unigram_figures(frequencies, setting.vocabulary, targets)
            sums += np.array([loss.item(), accuracy, *floor]) * len(targets)
            predicted += len(targets)
    names = ("held_out_loss", "held_out_accuracy", "unigram_loss", "unigram_accuracy")
    return dict(zip(names, (sums / predicted).tolist(), strict=True))


def _write(
    folder: Path, state: State, tokens: DNATokenizer, facts: dict[str, Any], options: dict[str, Any]
) -> None:
    """The files of a pre-training that is done; the card, which says so, comes last."""
    # clones: safetensors refuses tensors that share memory, as tied weights do
    tensors = {name: each.clone().contiguous() for name, each in state.model.state_dict().items()}
    files.write_file(folder / WEIGHTS, saved_tensors(tensors), durable=True)
    files.write_file(folder / TOKENIZER_FILE, tokens.library.to_str(pretty=True))
    files.write_file(folder / CONFIG, json.dumps(_config(options, tokens), indent=1))
    best = _best(state.history)
    rows = [{**row, "kept": int(place == best)} for place, row in enumerate(state.history)]
    files.write_file(folder / HISTORY, pd.DataFrame(rows).to_csv(index=False, lineterminator="\n"))
    card = {
        **facts,
        "kept": rows[best],
        "parameters": sum(each.numel() for each in state.model.parameters()),
        "weights": files.digest_of_file(folder / WEIGHTS),
        **machine(),
        "computed_with": kernels(),
    }
    files.write_file(folder / CARD, json.dumps(card, indent=1), durable=True)


def _config(options: dict[str, Any], tokens: DNATokenizer) -> dict[str, Any]:
    """As the public checkpoint has it."""
    return {
        "architectures": ["BertForMaskedLM"],
        "vocab_size": tokens.size,
        "hidden_size": options["width"],
        "num_hidden_layers": options["layers"],
        "num_attention_heads": options["heads"],
        "intermediate_size": options["hidden"],
        "hidden_act": "gelu",
        "hidden_dropout_prob": options["dropout"],
        "attention_probs_dropout_prob": 0.0,
        "max_position_embeddings": options["longest"],
        "alibi_starting_size": options["longest"],
        "type_vocab_size": 2,
        "layer_norm_eps": EPSILON,
        "pad_token_id": tokens.padding,
        "torch_dtype": "float32",
    }
