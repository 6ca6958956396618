"""The batches of an epoch: which sequences, on which strand, and what of them is masked."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from xaibench.dna.encoding import reverse_complement, unreverse
from xaibench.randomness import stream
from xaibench.shapes import Codes, Labels, Mask
from xaibench.values import Sequences

from .masking import Masking, masked_codes, masked_positions


@dataclass(frozen=True, slots=True)
class Setting:
    """How every epoch of one training is made."""

    masking: Masking
    seed: int
    batch_size: int
    both_strands: bool
    in_bfloat16: bool
    device: torch.device
    gradient_norm: float | None = None
    recompute: bool = False

    def autocast(self) -> Any:
        """A context in which layers compute in the precision that the plan asks for."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.in_bfloat16)


class Batch(NamedTuple):
    """What a model is shown of some sequences: as they are (``intact``), and masked (``shown``), or
    None where nothing is.

    ``rows`` are their places in train; ``reverse_complemented`` ``(sequence,)`` is True where a
    sequence is read on its other strand. ``masked`` ``(sequence, position)`` is True where
    something is hidden; ``inside_motif`` as in ``Sequences``.
    """

    rows: NDArray[np.intp]
    reverse_complemented: NDArray[np.bool_]
    intact: Codes
    shown: Codes | None
    labels: Labels
    masked: Mask
    inside_motif: Mask | None


def batches_of_epoch(
    model: Any, train: Sequences, epoch: int, ratio: float, setting: Setting
) -> Iterator[Batch]:
    """The batches of an epoch, counted from 0, each masked by the weights that the model has when
    its turn comes: a batch must be learnt from before the next is drawn.

    One stream, ``stream(seed, "training", epoch)``, draws in this order: the permutation; then of
    each batch the strands, the ties between positions, and the bases that replace them.
    """
    generator = stream(setting.seed, "training", epoch)
    inside = train.inside_motif
    for rows in _shuffled_rows(len(train), setting.batch_size, generator):
        codes, labels = train.codes[rows], train.labels[rows]
        motif = None if inside is None else inside[rows]
        other_strand = np.zeros(len(rows), np.bool_)
        if setting.both_strands:
            other_strand = generator.random(len(rows)) < 0.5
            motif = None if motif is None else mask_on_strands(motif, codes, other_strand)
            codes = np.where(other_strand[:, None], reverse_complement(codes), codes)
        nothing = np.zeros(codes.shape, np.bool_)
        batch = Batch(rows, other_strand, codes, None, labels, nothing, motif)
        yield _masked_batch(model, batch, epoch, ratio, setting, generator) if ratio else batch


def _masked_batch(
    model: Any,
    batch: Batch,
    epoch: int,
    ratio: float,
    setting: Setting,
    generator: np.random.Generator,
) -> Batch:
    """The batch with what its policy masks."""
    with setting.autocast():
        masked = masked_positions(
            setting.masking,
            model,
            batch.intact,
            batch.labels,
            epoch=epoch,
            ratio=ratio,
            generator=generator,
        )
    shown = masked_codes(setting.masking, batch.intact, masked, generator)
    return batch._replace(shown=shown, masked=masked)


def batches_per_epoch(sequences: int, batch_size: int) -> int:
    """At least one, of fewer sequences than a batch has."""
    return max(sequences // batch_size, 1)


def _shuffled_rows(
    sequences: int, batch_size: int, generator: np.random.Generator
) -> list[NDArray[np.intp]]:
    """Rows of each batch; the few that fill no batch are dropped this epoch."""
    count = batches_per_epoch(sequences, batch_size)
    return np.array_split(generator.permutation(sequences)[: count * batch_size], count)


def mask_on_strands(mask: Mask, codes: Codes, other_strand: NDArray[np.bool_]) -> Mask:
    """A mask ``(sequence, position)`` of ``codes`` where those on the ``other_strand``
    ``(sequence,)`` are reverse-complemented; twice is the mask itself."""
    reversed_mask = unreverse(mask.astype(np.float32), codes) > 0
    return np.where(other_strand[:, None], reversed_mask, mask)
