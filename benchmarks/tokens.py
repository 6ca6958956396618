"""What tokens cost beside the passes of a model that reads them.

    pip install 'xaibench[glm]'
    python benchmarks/tokens.py TOKENIZER.json [--sequences 100000] [--passed 64] [--length 200]

CPU seconds on one thread, random sequences, random weights of the public size (117 million
parameters) unless sizes are given: tokenising; the share of tokenising in a deletion curve,
which edits the sequences and tokenises them again; and passes of one number of tokens each beside
one padded pass.
"""

import argparse
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch

from xaibench.dna.replacement import replacement_counts, with_replaced
from xaibench.models.dnabert2 import DNABert2
from xaibench.nn.devices import CPU, moved
from xaibench.nn.inference import batch_rows, logits
from xaibench.nn.outputs import curve
from xaibench.nn.sites import buckets, padded_sites, token_sites

FRACTIONS = (0, 0.01, 0.02, 0.05, *(k / 10 for k in range(1, 10)), 0.95, 0.98, 0.99, 1)
"""Those of a plan by default."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("tokenizer", type=Path)
    parser.add_argument("--sequences", type=int, default=100_000)
    parser.add_argument("--passed", type=int, default=64)
    parser.add_argument("--length", type=int, default=200)
    for name, size in {"width": 768, "layers": 12, "heads": 12, "hidden": 3072}.items():
        parser.add_argument(f"--{name}", type=int, default=size)
    given = parser.parse_args()
    torch.set_num_threads(1)
    sizes = {name: getattr(given, name) for name in ("width", "layers", "heads", "hidden")}
    model = DNABert2(classes=2, tokenizer=given.tokenizer, **sizes).eval()
    shape = (given.sequences, given.length)
    codes = np.random.default_rng(0).integers(4, size=shape).astype(np.uint8)

    seconds = _seconds(lambda: [token_sites(model, part) for part in np.array_split(codes, 25)])
    print(f"tokenising {given.sequences} sequences of {given.length} nt: {seconds:.1f} CPU-s")

    few = codes[: given.passed]
    logits(model, few[:8])
    whole = min(_seconds(partial(_curve, model, few, _Edits(few, seed))) for seed in (1, 2))
    tokens = min(_seconds(partial(_tokenised, model, few, _Edits(few, seed))) for seed in (3, 4))
    share = 100 * tokens / (whole - tokens)
    print(f"a deletion curve of {len(few)} sequences: {whole:.2f} CPU-s")
    print(f"tokenising is {share:.1f} % of its passes ({100 * tokens / whole:.1f} % of all)")
    passes = min(_seconds(lambda: logits(model, few)) for _ in range(2))
    padded = min(_seconds(lambda: _padded(model, few)) for _ in range(2))
    print(f"passes of one number of tokens take {passes / padded:.2f} x a padded pass")


class _Edits:
    """The donor, random order and steps of a deletion curve, which no other curve has."""

    def __init__(self, codes: np.ndarray, seed: int) -> None:
        draw = np.random.default_rng(seed)
        self.donor = draw.integers(4, size=codes.shape).astype(np.uint8)
        self.ranks = draw.permuted(np.tile(np.arange(codes.shape[1]), (len(codes), 1)), axis=1)
        self.counts = replacement_counts(FRACTIONS, np.ones(codes.shape, bool))


def _curve(model: DNABert2, codes: np.ndarray, edits: _Edits) -> None:
    ends = np.zeros((len(codes), 2), np.float32)
    curve(model, codes, edits.donor, edits.ranks, edits.counts, (ends, ends))


def _tokenised(model: DNABert2, codes: np.ndarray, edits: _Edits) -> None:
    """As its passes do, step by step."""
    rows = batch_rows(codes.shape[1])
    for start in range(0, len(codes), rows):
        part = slice(start, start + rows)
        for count in edits.counts[1:-1, part]:
            edited = with_replaced(codes[part], edits.donor[part], edits.ranks[part], count)
            buckets(model, edited)


@torch.inference_mode()
def _padded(model: DNABert2, codes: np.ndarray) -> None:
    model(model.encode(moved(codes, CPU)), padded_sites(model, codes))


def _seconds(call: Callable[[], object]) -> float:
    began = time.process_time()
    call()
    return time.process_time() - began


if __name__ == "__main__":
    main()
