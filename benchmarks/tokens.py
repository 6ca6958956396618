"""What tokens cost beside the passes of a model that reads them.

    pip install 'xaibench[glm]'
    python benchmarks/tokens.py TOKENIZER.json [--sequences 100000] [--passed 64] [--length 200]

CPU seconds on one thread, random sequences, random weights of the public size (117 million
parameters) unless sizes are given: tokenising; the share of tokenising in the passes of a curve,
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

from xaibench.models.dnabert2 import DNABert2
from xaibench.nn.devices import CPU, moved
from xaibench.nn.inference import logits
from xaibench.nn.sites import buckets, padded_sites, token_sites


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

    # sequences that nobody has tokenised before, as edited ones are
    fresh = iter(np.random.default_rng(1).integers(4, size=(5, given.passed, given.length)))
    few = next(fresh).astype(np.uint8)
    logits(model, few[:8])
    passes = min(_seconds(partial(logits, model, next(fresh).astype(np.uint8))) for _ in range(2))
    tokens = min(
        _seconds(partial(_tokenised, model, next(fresh).astype(np.uint8))) for _ in range(2)
    )
    print(f"tokenising is {100 * tokens / passes:.2f} % of the passes of {len(few)} sequences")
    passes = min(_seconds(lambda: logits(model, few)) for _ in range(2))
    padded = min(_seconds(lambda: _padded(model, few)) for _ in range(2))
    print(f"passes of one number of tokens take {passes / padded:.2f} x a padded pass")


def _tokenised(model: DNABert2, codes: np.ndarray) -> None:
    """As passes do: once to count tokens, and once to embed them."""
    buckets(model, codes)
    model.encode(moved(codes, CPU))


@torch.inference_mode()
def _padded(model: DNABert2, codes: np.ndarray) -> None:
    model(model.encode(moved(codes, CPU)), padded_sites(model, codes))


def _seconds(call: Callable[[], object]) -> float:
    began = time.process_time()
    call()
    return time.process_time() - began


if __name__ == "__main__":
    main()
