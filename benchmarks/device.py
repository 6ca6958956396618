"""A device beside the CPU: how many times as fast, and how far scores disagree.

    python benchmarks/device.py --device cuda [--sequences 64] [--length 200] [--rounds 1]

The same on both: one network (``--filters``), trained for some epochs on random DNA with a planted
motif, then explained by every method of ``--methods``, each with its curve of deletion. Every step
runs once before it is timed, since a first call chooses kernels. Seconds are by the clock, the CPU
on all its cores; the median of ``--rounds``.

Scores disagree by the largest difference between both, as a share of the range of the CPU's; the
weights are the same, those that the CPU has trained. ReLU and max pooling are not smooth: where two
sites are equal to rounding, a gradient goes to one here and to the other there, and the share of
positions that differ by more than 1 % of the range says how often.

With ``--device cpu`` it compares the CPU with itself: ratios near 1 and no disagreement.
"""

import argparse
import statistics
from collections.abc import Callable
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
import torch

from xaibench.dna.operators import uniform
from xaibench.dna.replacement import replacement_counts, replacement_ranks
from xaibench.dna.shuffling import shuffled_references as shuffled
from xaibench.errors import NotApplicable, UsageError
from xaibench.explanation.method_call import explain
from xaibench.models.cnn import CNN
from xaibench.models.training import supervised
from xaibench.nn.devices import described_device, device_named, seeded
from xaibench.nn.inference import batch_rows, logits
from xaibench.nn.outputs import curve
from xaibench.plugins.options import resolve
from xaibench.plugins.registry import load
from xaibench.plugins.signatures import typed
from xaibench.randomness import streams
from xaibench.shapes import Codes, Scores
from xaibench.values import Sequences, Splits

METHODS = (
    *("saliency", "input_x_gradient", "smooth_grad", "integrated_gradients", "deeplift"),
    *("gradient_shap", "lrp", "grad_cam", "occlusion", "in_silico_mutagenesis"),
)

MOTIF = (0, 2, 0, 3, 0, 0, 1, 2)

FEW = 4
"""Sequences that a step is warmed up on, on the CPU; on the device all."""


class Compared(NamedTuple):
    """Seconds of a step on the CPU and on the device, and how far they disagree: the largest
    difference as a share of the CPU's range, and the share that differs by more than 1 % of it."""

    step: str
    seconds: tuple[float, float]
    largest: float | None = None
    apart: float | None = None

    def __str__(self) -> str:
        cpu, device = self.seconds
        line = f"{self.step:<32}{cpu:>10.3f}{device:>10.3f}{cpu / device:>9.1f}"
        if self.largest is None:
            return line
        return f"{line}{self.largest:>14.1e}{self.apart:>10.2%}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--sequences", type=int, default=64)
    parser.add_argument("--length", type=int, default=200)
    parser.add_argument("--train", type=int, default=4000)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--filters", type=int, nargs="+", default=[64, 128, 128])
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--methods", nargs="+", default=METHODS)
    given = parser.parse_args()
    try:
        device = device_named(given.device)
    except UsageError as error:
        raise SystemExit(str(error)) from None
    cores = f"CPU, {torch.get_num_threads()} threads"
    print(f"{described_device(given.device)} beside the {cores}; torch {torch.__version__}")
    rows = [batch_rows(given.length, each) for each in (torch.device("cpu"), device)]
    print(f"{given.length} nt: passes of {rows[0]:,} sequences on the CPU, of {rows[1]:,} there")
    header = ("step", "CPU s", "there s", "ratio", "largest diff.", "> 1 %")
    print("{:<32}{:>10}{:>10}{:>9}{:>14}{:>10}".format(*header))
    splits = planted(given.train, given.length)
    models, trained = _trained(given, splits, device)
    print(trained, flush=True)
    codes = splits.test.codes[: given.sequences]
    for method in given.methods:
        scores, compared = _explained(method, models, codes, given.rounds)
        print(compared, flush=True)
        if scores is not None:
            print(_curves(method, models, codes, scores, given.rounds), flush=True)


def _timed(step: Callable[[Any], Any], models: list[Any], rounds: int) -> tuple[list[Any], Any]:
    """What a step gives on each model, and the median seconds on each."""
    made, seconds = [], []
    for model in models:
        taken = []
        for _ in range(rounds):
            began = perf_counter()
            result = step(model)
            taken.append(perf_counter() - began)
        made.append(result)
        seconds.append(statistics.median(taken))
    return made, tuple(seconds)


def _compared(name: str, seconds: Any, results: list[np.ndarray]) -> Compared:
    here, there = (np.asarray(each, np.float64) for each in results)
    differences, span = np.abs(here - there), np.ptp(here)
    return Compared(name, seconds, differences.max() / span, (differences > 0.01 * span).mean())


# The steps


def _trained(given: Any, splits: Splits, device: torch.device) -> tuple[list[Any], Compared]:
    """The trained network on the CPU and on the device, with the same weights."""

    def trained(name: str, epochs: int) -> tuple[float, Any]:
        with seeded(0):
            model = network(given)
            began = perf_counter()
            supervised(model, splits, seed=0, progress=lambda *_: None, epochs=epochs, device=name)
        return perf_counter() - began, model

    for name in ("cpu", given.device):
        trained(name, 1)
    (cpu, model), (there, _) = (trained(name, given.epochs) for name in ("cpu", given.device))
    copied = network(given)
    copied.load_state_dict(model.state_dict())
    return [model.eval(), copied.to(device).eval()], Compared("training", (cpu, there))


def network(given: Any) -> CNN:
    kernels = [11, *[7] * (len(given.filters) - 1)]
    return CNN(classes=2, length=given.length, filters=given.filters, kernels=kernels)


def _explained(
    name: str, models: list[Any], codes: Codes, rounds: int
) -> tuple[Scores | None, Compared | str]:
    plugin = load("attribution", name)
    options = typed(plugin, resolve(plugin, {}, where=name))
    options = {key: options[key] for key in options if key not in ("strands", "sequences")}
    targets = logits(models[0], codes).argmax(1).astype(np.int64)
    references = shuffled(codes, 20, 0)

    def step(model: Any, count: int | None = None) -> Scores:
        return explain(
            plugin.call,
            model,
            codes[:count],
            targets[:count],
            options=options,
            seed=0,
            component=name,
            references=references[:count],
        ).scores

    try:
        step(models[0], FEW)
        step(models[1])
    except NotApplicable as reason:
        return None, f"{name:<32}not applicable: {reason}"
    scores, seconds = _timed(step, models, rounds)
    return scores[0], _compared(name, seconds, scores)


def _curves(name: str, models: list[Any], codes: Codes, scores: Scores, rounds: int) -> Compared:
    """Deletion in the order of the CPU's scores."""
    valid = codes < 4
    ranked = replacement_ranks(scores, valid, streams(0, "ties", codes))
    steps = replacement_counts(tuple(np.linspace(0, 1, 17)), valid)
    donor = np.stack(
        [uniform(row, each) for row, each in zip(codes, streams(0, "donor", codes), strict=True)]
    )

    def step(model: Any) -> np.ndarray:
        ends = logits(model, codes), logits(model, donor)
        return curve(model, codes, donor, ranked, steps, ends)

    for model in models:
        step(model)
    curves, seconds = _timed(step, models, rounds)
    return _compared(f"  curve of {name}"[:31], seconds, curves)


# The data


def planted(train: int, length: int) -> Splits:
    """Random DNA, and half of it with a motif."""
    return Splits(
        train=_sequences(train, length, 0),
        validation=_sequences(500, length, 1),
        test=_sequences(500, length, 2),
    )


def _sequences(count: int, length: int, seed: int) -> Sequences:
    generator = np.random.default_rng(seed)
    codes = generator.integers(0, 4, (count, length)).astype(np.uint8)
    labels = np.arange(count) % 2
    for row in np.flatnonzero(labels):
        start = generator.integers(length - len(MOTIF))
        codes[row, start : start + len(MOTIF)] = MOTIF
    names = tuple(map(str, range(count)))
    return Sequences(codes, labels, names, ("no motif", "motif"))


if __name__ == "__main__":
    main()
