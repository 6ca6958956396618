"""Values along a genome, as a bigWig file holds them."""

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
