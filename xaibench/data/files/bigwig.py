"""Values and intervals along a genome, as bigWig and bigBed files hold them."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xaibench.errors import UsageError
from xaibench.shapes import Scores
from xaibench.values import Intervals


def is_bigwig(path: Path) -> bool:
    """Whether a file holds values by their place in a genome, by its name."""
    return path.suffix.lower() in (".bw", ".bigwig")


def is_bigbed(path: Path) -> bool:
    """Whether a file holds intervals of a genome with an index, by its name."""
    return path.suffix.lower() in (".bb", ".bigbed")


def require_genome(path: Path, intervals: Intervals) -> None:
    """UsageError where a bigWig or bigBed is of another genome than intervals: it has none of their
    chromosomes, or one is shorter than they need."""
    sizes = _pybigtools().open(str(path)).chroms()
    if not set(sizes) & set(intervals.chromosomes):
        raise UsageError(
            f"{path.name}: has no chromosome of the sequences, which are on such as "
            f"{intervals.chromosomes[0]!r}, but such as {next(iter(sizes), '')!r}: other names, or "
            "another genome build?"
        )
    for chromosome, end in zip(intervals.chromosomes, intervals.ends.tolist(), strict=True):
        if end > sizes.get(chromosome, end):
            raise UsageError(
                f"{path.name}: {chromosome} has {sizes[chromosome]:,} bases, and a sequence ends "
                f"at {end:,}: is it of another genome build?"
            )


def inside_bigbed(path: Path, intervals: Intervals, length: int) -> NDArray[np.bool_]:
    """``(interval, position)``: True inside the intervals of a bigBed, in the direction of the
    strands of ours."""
    file = _pybigtools().open(str(path))
    sizes, inside = file.chroms(), np.zeros((len(intervals), length), np.bool_)
    for row, chromosome in enumerate(intervals.chromosomes):
        first, last = int(intervals.starts[row]), int(intervals.ends[row])
        along = np.zeros(last - first, np.bool_)
        for start, end, *_ in file.records(chromosome, first, last) if chromosome in sizes else ():
            along[max(start - first, 0) : end - first] = True
        inside[row, : last - first] = along[:: int(intervals.strands[row])]
    return inside


def bigwig_values(path: Path, intervals: Intervals, rows: NDArray[np.intp], length: int) -> Scores:
    """``(interval, position)``: the values at these rows of the intervals, in the direction of
    their strands; NaN where the file has none, and behind the end of an interval.

    UsageError where pybigtools is not installed; what it raises of a file that is broken is left to
    the caller.
    """
    open_bigwig = _pybigtools().open
    values = np.full((len(intervals), length), np.nan, np.float32)
    with warnings.catch_warnings():
        # pybigtools warns that positions without a value are NaN since 0.3, which is what we want
        warnings.simplefilter("ignore", DeprecationWarning)
        file = open_bigwig(str(path))
        sizes = file.chroms()
        for row in rows.tolist():
            chromosome = intervals.chromosomes[row]
            start, end = int(intervals.starts[row]), int(intervals.ends[row])
            if chromosome in sizes and end <= sizes[chromosome]:
                read = np.asarray(file.values(chromosome, start, end), np.float32)
                values[row, : end - start] = read[:: int(intervals.strands[row])]
    return values


def _pybigtools() -> Any:
    try:
        import pybigtools
    except ImportError:
        raise UsageError(
            "reading bigWig needs pybigtools: pip install 'xaibench[export]'"
        ) from None
    return pybigtools
