"""The deletion family against the bare forward passes that it needs, side by side in one run.

    python benchmarks/deletion.py [--sequences 500] [--length 200] [--rounds 9]

Family: ranking the scores of one method, most and least relevant first curves under one operator,
the three quantities, and both areas. Bare: the same number of forward passes of the same module on
inputs that are already encoded, in the same batches. CPU seconds, one thread, the two interleaved.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch

from xaibench import curves
from xaibench.metrics.faithfulness import deletion, insertion
from xaibench.models.cnn import CNN
from xaibench.operators import uniform
from xaibench.plan import FRACTIONS
from xaibench.predict import in_calls, logits
from xaibench.randomness import streams
from xaibench.values import Curves


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sequences", type=int, default=500)
    parser.add_argument("--length", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=9)
    given = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    generator = np.random.default_rng(0)
    codes = generator.integers(4, size=(given.sequences, given.length)).astype(np.uint8)
    scores = generator.random(codes.shape, dtype=np.float32)
    model = CNN(classes=2, length=given.length).eval()
    passes = 2 + 2 * (len(FRACTIONS) - 2)

    family, bare = _family(model, codes, scores), _bare(model, codes, passes)
    family(), bare()
    pairs = [(_seconds(family), _seconds(bare)) for _ in range(given.rounds)]
    ratios = sorted(one / other for one, other in pairs)
    print(f"{passes} x {given.sequences} sequences of {given.length} nt, {given.rounds} rounds")
    print(f"family {statistics.median(p[0] for p in pairs):.2f} CPU-s (median)")
    print(f"bare   {statistics.median(p[1] for p in pairs):.2f} CPU-s (median)")
    print(f"ratio  {statistics.median(ratios):.3f} (median; {ratios[0]:.3f} to {ratios[-1]:.3f})")


def _family(model: CNN, codes: np.ndarray, scores: np.ndarray) -> Callable[[], None]:
    def run() -> None:
        valid = codes < 4
        donors = zip(codes, streams(0, "donor", codes), strict=True)
        donor = np.stack([uniform(row, each) for row, each in donors])
        intact = logits(model, codes)
        ends = (intact, logits(model, donor))
        steps = curves.counts(FRACTIONS, valid)
        targets = intact.argmax(1)
        lines = []
        for order in (curves.MOST, curves.LEAST):
            ranked = curves.ranks(scores, valid, streams(0, "ties", codes), order=order)
            lines.append(curves.curve(model, codes, donor, ranked, steps, ends))
        for name in curves.QUANTITIES:
            most, least = (curves.quantity(name, line, targets, targets) for line in lines)
            pair = Curves(np.asarray(FRACTIONS), most, least)
            deletion(pair), insertion(pair)

    return run


def _bare(model: CNN, codes: np.ndarray, passes: int) -> Callable[[], None]:
    inputs = list(in_calls(model.encode(torch.from_numpy(codes))))

    @torch.inference_mode()
    def run() -> None:
        for _ in range(passes):
            for (batch,) in inputs:
                model(batch)

    return run


def _seconds(work: Callable[[], None]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


if __name__ == "__main__":
    main()
