"""Explanations for tools that find motifs in them: TF-MoDISco, Fi-NeMo, and what reads the HDF5
files of ChromBPNet.

All three take one-hot sequences and hypothetical contributions ``(sequence, base, position)``, the
bases in the order A C G T. The column of an N or of padding is 0 in both.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from xaibench.errors import UsageError
from xaibench.storage.files import replacing, replacing_path
from xaibench.values import N

from .npz import growing_npz
from .values import Blocks, Explanations, Written, on_forward_strand, spans

if TYPE_CHECKING:
    import h5py

PROJECTED = (
    "the method gives no hypothetical contributions: the scores stand at the bases of the "
    "sequences, and 0 at the other three"
)
REVERSED = (
    "sequences of the strand - are reverse-complemented, so that positions rise with the genome's"
)

_LARGEST = float(np.finfo(np.float16).max)


def modisco(blocks: Blocks, folder: Path) -> Written:
    """``ohe.npz`` and ``shap.npz``, as ``modisco motifs -s ohe.npz -a shap.npz`` reads them.

    The array ``arr_0`` of either is ``(N, 4, L)``: one-hot int8, and hypothetical contributions
    float32, those of bases that are not there too. Of a method without hypothetical contributions
    it is the scores at the sequence's own bases (gradient x input as it is).
    """
    one_hot, contributions = folder / "ohe.npz", folder / "shap.npz"
    notes = _Notes()
    with growing_npz(one_hot) as append_bases, growing_npz(contributions) as append_scores:
        for block in notes.about(blocks):
            append_bases("arr_0", block.one_hot)
            append_scores("arr_0", block.of_bases)
    return Written((one_hot, contributions), notes.lines)


def finemo(blocks: Blocks, folder: Path) -> Written:
    """``regions.npz``, as ``finemo call-hits --regions`` reads it: what Fi-NeMo's extract-regions
    commands write.

    ``sequences`` ``(N, 4, L)`` int8 and ``contributions`` ``(N, 4, L)`` float16, as
    ``modisco`` has them. Where all intervals are known, ``chr``, ``chr_id``, ``start``, ``peak_id``
    and ``peak_name`` too; sequences of the strand - are reverse-complemented then, since hits are
    given as distances from ``start``.
    """
    path = folder / "regions.npz"
    notes = _Notes()
    placed = _all_placed(blocks)
    chromosomes: dict[str, int] = {}
    peaks = 0
    with growing_npz(path) as append:
        for block in notes.about(blocks, forward=placed):
            append("sequences", block.one_hot)
            append("contributions", half_precision(block.of_bases, "finemo"))
            regions = _regions(block, chromosomes, peaks) if placed else {}
            for name, rows in regions.items():
                append(name, rows)
            peaks += len(block)
    return Written((path,), notes.lines)


def _regions(
    block: Explanations, chromosomes: dict[str, int], peaks: int
) -> dict[str, NDArray[Any]]:
    """Where the sequences of a block are; its chromosomes are numbered on in ``chromosomes``, its
    peaks from ``peaks`` on."""
    where = block.sequences.intervals
    assert where is not None  # all have been looked at
    ids = [chromosomes.setdefault(name, len(chromosomes)) for name in where.chromosomes]
    return {
        "chr": np.array(where.chromosomes),
        "chr_id": np.array(ids, np.uint32),
        "start": where.starts.astype(np.int32),
        "peak_id": np.arange(peaks, peaks + len(block), dtype=np.uint32),
        "peak_name": np.array(block.sequences.names),
    }


def chrombpnet(blocks: Blocks, folder: Path) -> Written:
    """``scores.h5`` with the datasets that ``chrombpnet contribs_bw`` gives: ``raw/seq`` int8,
    ``shap/seq`` (hypothetical) and ``projected_shap/seq`` float16, all ``(N, 4, L)``.

    Where every sequence has an interval as long as itself, ``regions.bed`` has them in the ten
    columns of narrowPeak, the summit in the middle, and sequences of the strand - are
    reverse-complemented. Compressed by gzip, which every HDF5 library reads. Needs h5py.
    """
    h5py = _h5py()
    path = folder / "scores.h5"
    notes = _Notes()
    placed = _all_placed(blocks, whole=True)
    with replacing_path(path) as making:
        with h5py.File(making, "w", track_order=True) as file:
            for block in notes.about(blocks, forward=placed):
                contributions = half_precision(block.of_bases, "chrombpnet")
                _append(file, "raw/seq", block.one_hot)
                _append(file, "shap/seq", contributions)
                _append(file, "projected_shap/seq", contributions * block.one_hot)
    if not placed:
        return Written((path,), notes.lines)
    regions = folder / "regions.bed"
    with replacing(regions) as bed:
        for block in blocks:
            bed.writelines(line.encode() for line in _peaks(block))
    return Written((path, regions), notes.lines)


def _h5py() -> Any:
    try:
        import h5py
    except ImportError:
        raise UsageError(
            "the format chrombpnet needs h5py: pip install 'xaibench[export]'"
        ) from None
    return h5py


def _append(file: h5py.File, name: str, rows: NDArray[Any]) -> None:
    if name not in file:
        chunk = (max(1, min(len(rows), 2**20 // max(1, rows[0].nbytes))), *rows.shape[1:])
        file.create_dataset(
            name,
            data=rows,
            maxshape=(None, *rows.shape[1:]),
            chunks=chunk,
            compression="gzip",
            compression_opts=1,
            track_times=False,
        )
        return
    dataset = file[name]
    count = len(dataset)
    dataset.resize(count + len(rows), axis=0)
    dataset[count:] = rows


def _peaks(block: Explanations) -> Iterator[str]:
    where = block.sequences.intervals
    assert where is not None  # for the type checker
    for row, name in enumerate(block.sequences.names):
        start, end = int(where.starts[row]), int(where.ends[row])
        place = (where.chromosomes[row], start, end, name, 0, "+", 0, -1, -1, (end - start) // 2)
        yield "\t".join(map(str, place)) + "\n"


def half_precision(contributions: NDArray[np.float32], name: str) -> NDArray[np.float16]:
    """Contributions as float16; UsageError where one is too large for it."""
    largest = float(np.abs(contributions).max(initial=0.0))
    if largest > _LARGEST:
        raise UsageError(
            f"the format {name} holds float16, up to {_LARGEST:,.0f}, got a contribution of "
            f"{largest:.3g}; scale the output of the model, or take the format modisco"
        )
    half: NDArray[np.float16] = contributions.astype(np.float16)
    return half


def _all_placed(blocks: Blocks, *, whole: bool = False) -> bool:
    """Whether the interval of every sequence is known; ``whole``: and spans all positions."""
    for block in blocks:
        where, known = block.sequences.intervals, spans(block)
        if where is None or not known.all():
            return False
        if whole and (where.ends - where.starts < block.scores.shape[1]).any():
            return False
    return True


class _Notes:
    """What a reader of the files must know, collected while blocks are written."""

    def __init__(self) -> None:
        self._projected = self._reversed = False
        self._unknown = 0

    def about(self, blocks: Blocks, *, forward: bool = False) -> Iterator[Explanations]:
        for block in blocks:
            where = block.sequences.intervals
            self._projected |= block.hypothetical is None
            self._unknown += int((block.sequences.codes == N).any(axis=1).sum())
            if forward and where is not None:
                self._reversed |= bool((where.strands < 0).any())
                yield on_forward_strand(block)
            else:
                yield block

    @property
    def lines(self) -> tuple[str, ...]:
        unknown = f"{self._unknown:,} sequences have N or padding: columns of 0"
        notes = ((self._projected, PROJECTED), (self._reversed, REVERSED), (self._unknown, unknown))
        return tuple(note for holds, note in notes if holds)
