"""What ``xaibench.explain`` adds to the method itself, on 64 sequences of 200 nt.

    python benchmarks/api.py

CPU milliseconds, one thread; the bound is 20. The method itself is what a run calls,
``explanation.method_call.explain``, on the same adapted model, codes and targets, with the
references (20 shuffles of each sequence) that DeepLIFT asks for. What is added is reading letters,
adapting the model, predicting the targets and the checks. Both are measured in turn, and the
medians of the differences are printed.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from statistics import median
from time import process_time
from typing import Any

import numpy as np
import torch
from torch import nn

import xaibench
from xaibench.dna.encoding import to_letters
from xaibench.dna.shuffling import shuffled_references
from xaibench.explanation.method_call import asks_for
from xaibench.explanation.method_call import explain as call_method
from xaibench.nn.adapted import adapted
from xaibench.plugins.registry import load

METHODS = ("saliency", "input_x_gradient", "deeplift")
ROUNDS = 15
BOUND = 20.0


def network() -> nn.Module:
    """Small, so that overheads show."""
    torch.manual_seed(0)
    return nn.Sequential(
        *(nn.Conv1d(4, 32, 11), nn.ReLU(), nn.MaxPool1d(4), nn.Conv1d(32, 32, 7), nn.ReLU()),
        *(nn.AdaptiveMaxPool1d(1), nn.Flatten(), nn.Linear(32, 2)),
    ).eval()


def alone(name: str, classifier: Any, codes: Any) -> None:
    """The method, with its references."""
    method = load("attribution", name).call
    own = shuffled_references(codes, 20, 0) if asks_for(method, "references") else None
    targets = np.ones(len(codes), np.int64)
    call_method(
        method, classifier, codes, targets, options={}, seed=0, component=name, references=own
    )


def milliseconds(call: Callable[[], object]) -> float:
    began = process_time()
    call()
    return 1000 * (process_time() - began)


def main() -> None:
    torch.set_num_threads(1)
    codes = np.random.default_rng(0).integers(0, 4, (64, 200)).astype(np.uint8)
    letters, model = to_letters(codes), network()
    classifier = adapted(model, classes=2, length=200)
    for name in METHODS:
        method = partial(alone, name, classifier, codes)
        whole = partial(xaibench.explain, model, letters, method=name)
        pairs = [(milliseconds(method), milliseconds(whole)) for _ in range(ROUNDS + 2)]
        measured = pairs[2:]  # the first calls import what they need
        bare = median(own for own, _ in measured)
        added = median(all_of_it - own for own, all_of_it in measured)
        print(f"{name}: {bare:.1f} ms alone, {added:+.1f} ms added (bound {BOUND:g})")


if __name__ == "__main__":
    main()
