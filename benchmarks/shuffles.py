"""Dinucleotide shuffles against tangermeme's, side by side in one run.

    pip install tangermeme
    python benchmarks/shuffles.py [--sequences 1000] [--shuffles 20] [--length 251] [--rounds 9]

The same random sequences for both, each library's own call on its own input: codes here, one-hot
int8 there (its lightest). CPU seconds, one thread, the two interleaved, the first calls dropped.
Beside it: how many of the 72 shuffles of ACCCACGATGATA each reaches, and whether evenly.
"""

import argparse
import statistics
import time
from collections import Counter
from collections.abc import Callable

import numpy as np
import torch
from scipy.stats import chisquare
from tangermeme.ersatz import dinucleotide_shuffle

from xaibench.dna import encoding, shuffling

EXAMPLE, POSSIBLE, DRAWS = "ACCCACGATGATA", 72, 72 * 400


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sequences", type=int, default=1000)
    parser.add_argument("--shuffles", type=int, default=20)
    parser.add_argument("--length", type=int, default=251)
    parser.add_argument("--rounds", type=int, default=9)
    given = parser.parse_args()
    torch.set_num_threads(1)
    shape = (given.sequences, given.length)
    codes = np.random.default_rng(0).integers(4, size=shape).astype(np.uint8)

    ours, theirs = _ours(codes, given.shuffles), _theirs(codes, given.shuffles)
    ours(), theirs()
    pairs = [(_seconds(ours), _seconds(theirs)) for _ in range(given.rounds)]
    ratios = sorted(one / other for one, other in pairs)
    print(
        f"{given.shuffles} shuffles of {given.sequences} sequences of {given.length} nt, "
        f"{given.rounds} rounds"
    )
    print(f"xaibench   {statistics.median(p[0] for p in pairs):.3f} CPU-s (median)")
    print(f"tangermeme {statistics.median(p[1] for p in pairs):.3f} CPU-s (median)")
    print(
        f"ratio      {statistics.median(ratios):.2f} (median; {ratios[0]:.2f} to {ratios[-1]:.2f})"
    )
    print(f"xaibench   {_evenness(_ours(encoding.to_codes([EXAMPLE]), DRAWS)()[0])}")
    drawn = _theirs(encoding.to_codes([EXAMPLE]), DRAWS)()[0]
    print(f"tangermeme {_evenness(drawn.argmax(dim=1).numpy().astype(np.uint8))}")


def _ours(codes: np.ndarray, count: int) -> Callable[[], np.ndarray]:
    return lambda: shuffling.shuffled_references(codes, count, 0)


def _theirs(codes: np.ndarray, count: int) -> Callable[[], torch.Tensor]:
    inputs = torch.from_numpy(np.eye(4, dtype=np.int8)[codes]).mT.contiguous()
    return lambda: dinucleotide_shuffle(inputs, n=count, random_state=0)


def _evenness(shuffles: np.ndarray) -> str:
    seen = Counter(encoding.to_letters(shuffles))
    counts = [*seen.values(), *[0] * (POSSIBLE - len(seen))]
    p = chisquare(counts).pvalue
    return (
        f"{len(seen)} of the {POSSIBLE} shuffles of {EXAMPLE} in {DRAWS:,} draws, "
        f"{min(counts)} to {max(counts)} times each; chi-square p = {p:.2g}"
    )


def _seconds(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


if __name__ == "__main__":
    main()
