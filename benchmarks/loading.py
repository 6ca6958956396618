"""The packed cache against the package's own GenomicClfDataset, side by side in one run.

    python benchmarks/loading.py [--sequences 100000] [--length 200] [--rounds 5]

Random sequences in the layout of demo_human_or_worm. The package: its datasets of train and test
made and iterated over, which gives strings. Ours: codes, labels and names of both from the packed
file, and before it the look at every file that notices a change. All files are in the page cache.
A round is everything once, one after the other. Memory (Linux): how far a fresh process that has
imported everything grows at its peak while it loads.
"""

import argparse
import importlib
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from xaibench.data import packing
from xaibench.data.genomic_benchmarks import reading as sets

NAME = "demo_human_or_worm"


class Cost(NamedTuple):
    wall: float
    cpu: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sequences", type=int, default=100_000)
    parser.add_argument("--length", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--grown", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.grown:
        print(_grown(given.grown))
        return
    with tempfile.TemporaryDirectory() as folder:
        _compare(Path(folder), given.sequences, given.length, given.rounds)


def _compare(folder: Path, sequences: int, length: int, rounds: int) -> None:
    root = folder / "sets"
    os.environ["XAIBENCH_CACHE"] = str(folder / "cache")
    _build(root / NAME, sequences, length)
    print(f"{sequences:,} random sequences of {length} nt, {rounds} rounds, medians")
    print(f"packing                          {_line(_cost(lambda: _load(root)))}")
    (packed,) = (folder / "cache").iterdir()
    works = {
        "the package's GenomicClfDataset": _package(root),
        "from the packed file": lambda: packing.cached_splits(*_names(packed), _not_made),
        "noticing that nothing changed": lambda: packing.key_of(*sets.file_listing(root / NAME)),
        "both: genomic_benchmarks()": lambda: _load(root),
        "os.stat of every file, no more": lambda: _stats(root),
    }
    found = [{what: _cost(work) for what, work in works.items()} for _ in range(rounds)]
    costs = {what: _median([each[what] for each in found]) for what in works}
    slow = costs["the package's GenomicClfDataset"]
    for what, cost in costs.items():
        ratio = f"{slow.wall / cost.wall:6.1f} x less wall, {slow.cpu / cost.cpu:6.1f} x less CPU"
        print(f"{what:32} {_line(cost)}  {ratio}")
    _print_memory(root, packed)


def _build(folder: Path, sequences: int, length: int) -> None:
    """Three quarters in train, half of each a class."""
    generator = np.random.default_rng(0)
    letters = np.frombuffer(b"ACGT", np.uint8)
    for split, share in (("train", 3), ("test", 1)):
        for label in ("human", "worm"):
            path = folder / split / label
            path.mkdir(parents=True)
            count = sequences * share // 8
            for row, drawn in enumerate(letters[generator.integers(4, size=(count, length))]):
                (path / f"{row}.txt").write_bytes(drawn.tobytes())


def _load(root: Path) -> object:
    return sets.genomic_benchmarks(dataset=NAME, root=root)


def _names(packed: Path) -> tuple[str, str]:
    name, _, key = packed.stem.rpartition("-")
    return name, key


def _not_made() -> object:
    raise RuntimeError("the packed file was not read")


def _package(root: Path) -> Callable[[], None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its imports warn of things that are not used here
        getters = importlib.import_module("genomic_benchmarks.dataset_getters.pytorch_datasets")
    # where it looks is fixed when it is imported, and whether it is there, it asks the network
    getters.CACHE_PATH, getters.is_downloaded = root, lambda name: True

    def run() -> None:
        for split in ("train", "test"):
            dataset = getters.GenomicClfDataset(NAME, split, version=0)
            for place in range(len(dataset)):
                dataset[place]

    return run


def _stats(root: Path) -> None:
    for path in sorted((root / NAME).glob("*/*")):
        with os.scandir(path) as files:
            for file in files:
                file.stat()


def _print_memory(root: Path, packed: Path) -> None:
    command = [sys.executable, __file__, "--grown", str(root)]
    grown = [int(subprocess.check_output(command, text=True)) for _ in range(3)]
    size = packed.stat().st_size
    print(
        f"peak memory {statistics.median(grown) / size:.2f} x the {size:,} packed bytes "
        f"({min(grown) / size:.2f} to {max(grown) / size:.2f})"
    )


def _grown(root: Path) -> int:
    """Bytes of the process at the peak of loading, above what it has after all imports."""
    Path("/proc/self/clear_refs").write_text("5")  # forgets the peak of the imports
    before = _peak()
    _load(root)
    return _peak() - before


def _peak() -> int:
    """Of this process alone: ru_maxrss would begin with the peak of its parent."""
    status = Path("/proc/self/status").read_text()
    return int(re.findall(r"VmHWM:\s*(\d+) kB", status)[0]) * 1024


def _cost(work: Callable[[], object]) -> Cost:
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return Cost(time.perf_counter() - wall, time.process_time() - cpu)


def _median(costs: list[Cost]) -> Cost:
    return Cost(*(statistics.median(column) for column in zip(*costs, strict=True)))


def _line(cost: Cost) -> str:
    return f"{cost.wall:7.3f} s wall {cost.cpu:7.3f} s CPU"


if __name__ == "__main__":
    main()
