"""What the associations of heads with tracks cost: CPU-seconds of 144 heads by 40 tracks.

python benchmarks/heads.py [--sequences 1000] [--sites 38 48]
"""

from __future__ import annotations

import argparse
from resource import RUSAGE_SELF, getrusage
from time import perf_counter, process_time

import numpy as np

from xaibench.statistics.association import Along, associations


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sequences", type=int, default=1000)
    parser.add_argument("--sites", type=int, nargs=2, default=(38, 48))
    parser.add_argument("--heads", type=int, default=144)
    parser.add_argument("--tracks", type=int, default=40)
    options = parser.parse_args()
    generator = np.random.default_rng(0)
    sequences = [
        Along(generator.random((options.heads, sites)), generator.random((options.tracks, sites)))
        for sites in generator.integers(*options.sites, options.sequences)
    ]
    began, used = perf_counter(), process_time()
    associations(sequences)
    print(
        f"{options.heads} heads x {options.tracks} tracks x {options.sequences:,} sequences: "
        f"{process_time() - used:.1f} CPU-s, {perf_counter() - began:.1f} s, at most "
        f"{getrusage(RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB"
    )


if __name__ == "__main__":
    main()
