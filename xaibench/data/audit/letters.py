"""The letters of a dataset as its files have them: case, N at the ends and letters of ambiguity."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from xaibench.data.files import file, intervals
from xaibench.data.genomic_benchmarks.fetching import sets_root
from xaibench.data.genomic_benchmarks.reading import letters_of_file
from xaibench.dna.encoding import to_codes, to_letters
from xaibench.errors import UsageError
from xaibench.shapes import Codes
from xaibench.values import N, Sequences

Named = Mapping[str, Sequences]
"""The splits of a dataset by their names."""

Letters = dict[str, list[str]]
"""By split, the letters of each sequence."""


def as_read(splits: Named) -> Letters:
    """As models see them: upper case, A, C, G, T and N, without N at the end."""
    return {name: to_letters(split.codes) for name, split in splits.items()}


def as_written(splits: Named, dataset: str, options: Mapping[str, Any]) -> Letters | None:
    """As the files have them that a dataset plug-in reads under these options.

    None where it reads none, or where what they hold now is not what the splits hold: every
    sequence is compared.
    """
    if dataset not in _READERS:
        return None
    try:
        written = _READERS[dataset](splits, options)
    except (UsageError, LookupError):  # the splits of a fallback have other names
        return None
    same = all(_is_read_as(written[name], split.codes) for name, split in splits.items())
    return written if same else None


def _is_read_as(letters: Sequence[str], codes: Codes) -> bool:
    read = to_codes(letters)
    padding = codes.shape[1] - read.shape[1]
    if padding < 0:
        return False
    return np.array_equal(np.pad(read, ((0, 0), (0, padding)), constant_values=N), codes)


def _of_file(splits: Named, options: Mapping[str, Any]) -> Letters:
    columns = {name: options[name] for name in ("sequence", "label", "id") if options.get(name)}
    written = file.letters_of_rows(Path(options["path"]), **columns)
    return {name: [written[row] for row in split.names] for name, split in splits.items()}


def _of_genome(splits: Named, options: Mapping[str, Any]) -> Letters:
    letters = {}
    for name, split in splits.items():
        if split.intervals is None:
            raise LookupError(name)
        letters[name] = intervals.letters_of_intervals(split.intervals, Path(options["genome"]))
    return letters


def _of_set(splits: Named, options: Mapping[str, Any]) -> Letters:
    root = sets_root(Path(options["root"]) if options.get("root") else None) / options["dataset"]
    folders = {"train": "train", "validation": "train", "test": "test"}
    return {
        name: [letters_of_file(str(root / folders[name] / f"{row}.txt")) for row in split.names]
        for name, split in splits.items()
    }


_READERS: dict[str, Callable[[Named, Mapping[str, Any]], Letters]] = {
    "file": _of_file,
    "intervals": _of_genome,
    "genomic_benchmarks": _of_set,
}
