"""The whole faithfulness family against the forward passes it needs, and against Quantus.

    python benchmarks/faithfulness.py [--sequences 1000] [--length 200] [--rounds 3] [--peer 250]
    python benchmarks/faithfulness.py --memory

Family: for six methods the most and the least relevant first curves, for the control ten random
orders, and every metric of those curves. Bare: as many passes of the same module over inputs that
are already encoded, in the same batches. Quantus: `PixelFlipping` on the same maps, for each method
most and least relevant first and ten random orders of its own, on `--peer` of the sequences and
scaled up (needs quantus 0.6.0; `--peer 0` leaves it out). The model is a CNN trained on planted
motifs, all replace 5 % of the positions a step by N, and all curves are checked to be the same.
CPU seconds, one thread, interleaved. bfloat16 where the processor multiplies it.
"""

import argparse
import resource
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from itertools import combinations
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from xaibench.data.synthetic.planted import planted
from xaibench.dna import replacement
from xaibench.explanation.controls import random_maps
from xaibench.explanation.method_call import explain
from xaibench.metrics import faithfulness
from xaibench.models.cnn import CNN
from xaibench.models.training import supervised
from xaibench.nn import outputs
from xaibench.nn.inference import in_calls, logits
from xaibench.plugins.registry import load
from xaibench.protocols import Precision, metric_facts
from xaibench.randomness import streams
from xaibench.values import Curves, N, Sequences, Splits

METHODS = (
    *("saliency", "input_x_gradient", "smooth_grad", "integrated_gradients"),
    *("grad_cam", "lrp"),
)
DRAWS = 10
STEPS = 20
FRACTIONS = tuple(step / STEPS for step in range(STEPS + 1))
METRICS = [
    value
    for name, value in vars(faithfulness).items()
    if hasattr(value, "facts") and metric_facts(value).kind.curve == "replaced"
]
ORDERS = (replacement.MORF, replacement.LERF)

Line = NDArray[np.float32]
"""Logits ``(step, sequence, class)``."""


class Case(NamedTuple):
    """A model, what it looks at, and a map ``(sequence, position)`` of every method."""

    model: CNN
    sequences: Sequences
    targets: NDArray[np.int64]
    maps: dict[str, NDArray[np.float32]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sequences", type=int, default=1000)
    parser.add_argument("--length", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peer", type=int, default=250)
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--alone", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    torch.set_num_threads(1)
    if given.alone is not None:
        print(*_peak(given.alone, given.length))
    elif given.memory:
        _memory(given.length)
    else:
        case = _case(given.sequences, given.length)
        _speed(case, given.peer, given.rounds)
        if _has_bfloat16():
            _decisions(case)


# Speed


def _speed(case: Case, peer: int, rounds: int) -> None:
    passes = 2 + (len(METHODS) * len(ORDERS) + DRAWS) * (STEPS - 1)
    works: dict[str, Callable[[], object]] = {}
    for precision in ("float32", "bfloat16")[: 1 + _has_bfloat16()]:
        works[f"family {precision}"] = lambda p=precision: _values(_family(case, p), case)
        works[f"bare {precision}"] = _bare(case, passes, precision)
    if peer:
        works["Quantus float32"] = lambda: _quantus(case, peer)
        print(f"largest difference to a curve of Quantus: {_same_curves(case):.1g}")
    count, length = case.sequences.codes.shape
    scales = {"Quantus float32": count / peer if peer else 1.0}
    print(f"{passes} passes of {count} sequences of {length} nt; Quantus {peer}; {rounds} rounds")
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            seconds[name].append(_seconds(work) * scales.get(name, 1))
    for name, taken in seconds.items():
        print(f"{name:16} {statistics.median(taken):7.1f} CPU-s (median)")
    for precision in ("float32", "bfloat16")[: 1 + _has_bfloat16()]:
        _print_ratio(seconds, f"family {precision}", f"bare {precision}")
        if peer:
            _print_ratio(seconds, "Quantus float32", f"family {precision}")


def _print_ratio(seconds: dict[str, list[float]], one: str, other: str) -> None:
    """Of the same round: what slows the machine for a while slows both."""
    ratios = sorted(a / b for a, b in zip(seconds[one], seconds[other], strict=True))
    middle = statistics.median(ratios)
    print(f"{one} / {other}: {middle:.2f} (median; {ratios[0]:.2f} to {ratios[-1]:.2f})")


def _seconds(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def _family(
    case: Case, precision: Precision, fractions: tuple[float, ...] = FRACTIONS
) -> dict[str, list[Line]]:
    """The curves of every method, most and least relevant first, and of the random orders."""
    codes, valid = case.sequences.codes, case.sequences.valid
    donor = np.full_like(codes, N)
    ends = (logits(case.model, codes), logits(case.model, donor))  # exact: all orders share them
    steps = replacement.replacement_counts(fractions, valid)

    def along(scores: NDArray[np.float32], order: str) -> Line:
        ranked = replacement.replacement_ranks(
            scores, valid, streams(0, "ties", codes), order=order
        )
        return outputs.curve(case.model, codes, donor, ranked, steps, ends, precision=precision)

    lines = {name: [along(each, order) for order in ORDERS] for name, each in case.maps.items()}
    draws = random_maps(case.sequences, DRAWS, 0)
    return lines | {"random": [along(each, replacement.MORF) for each in draws]}


def _values(
    lines: dict[str, list[Line]], case: Case, fractions: tuple[float, ...] = FRACTIONS
) -> dict[tuple[str, str], NDArray[np.float64]]:
    """Every metric of every quantity, by both and by method: ``(sequence,)``, of the random orders
    the mean over draws."""
    values = {}
    for metric in METRICS:
        for quantity in metric_facts(metric).kind.quantities:
            for name, kept in lines.items():
                shown = [
                    outputs.quantity(quantity, line, case.targets, case.sequences.labels)
                    for line in kept
                ]
                pairs = [shown] if name != "random" else [(line, line) for line in shown]
                found = [metric(Curves(np.asarray(fractions), *pair)) for pair in pairs]
                values[f"{metric.__name__} {quantity}", name] = np.mean(found, axis=0)
    return values


def _bare(case: Case, passes: int, precision: Precision) -> Callable[[], None]:
    inputs = list(in_calls(case.model.encode(torch.from_numpy(case.sequences.codes))))
    half = precision == "bfloat16"

    def run() -> None:
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=half):
            for _ in range(passes):
                for (batch,) in inputs:
                    case.model(batch)

    return run


def _has_bfloat16() -> bool:
    has = torch.cpu.get_capabilities()
    return bool(has.get("avx512_bf16") or has.get("amx_bf16"))


# The peer


def _quantus(case: Case, count: int) -> list[NDArray[np.float64]]:
    """Probabilities ``(sequence, step)`` as its users get them, along all orders.

    A map repeated over the four rows of the one-hot input, and four times as many features in a
    step as positions, replace whole positions.
    """
    warnings.simplefilter("ignore")  # of Quantus and what it imports
    import quantus

    codes, targets = case.sequences.codes[:count], case.targets[:count]
    inputs = case.model.encode(torch.from_numpy(codes)).numpy()
    flipping = quantus.PixelFlipping(
        features_in_step=4 * codes.shape[1] // STEPS,
        perturb_baseline="black",
        normalise=False,
        disable_warnings=True,
    )
    generator = np.random.default_rng(0)
    found = []
    for scores in case.maps.values():
        own = [generator.random(codes.shape, dtype=np.float32) for _ in range(DRAWS)]
        for each in (scores[:count], codes.shape[1] + 1 - scores[:count], *own):
            repeated = np.repeat(each[:, None], 4, axis=1)
            answer = flipping(case.model, inputs, targets, repeated, channel_first=True)
            found.append(np.asarray(answer))
    return found


def _same_curves(case: Case, count: int = 50) -> float:
    """The largest difference of a probability between our curves and those of the peer."""
    few = _first(case, count)
    ours = _family(few, "float32")
    theirs = iter(_quantus(few, count))
    worst = 0.0
    for name in few.maps:
        for line in ours[name]:
            shown = outputs.quantity("probability", line, few.targets, few.targets)[1:]
            worst = max(worst, float(np.abs(shown.T - next(theirs)).max()))
        for _ in range(DRAWS):
            next(theirs)
    return worst


# What bfloat16 changes


def _decisions(case: Case) -> None:
    exact, rounded = _family(case, "float32"), _family(case, "bfloat16")
    same = [
        one.argmax(2) == other.argmax(2)
        for name in exact
        for one, other in zip(exact[name], rounded[name], strict=True)
    ]
    print(f"bfloat16: the same predicted class at {np.mean(same):.3%} of all points of all curves")
    exact_values, rounded_values = _values(exact, case), _values(rounded, case)
    orders, verdicts, moved = [], [], []
    for label in dict.fromkeys(label for label, _ in exact_values):
        one, other = ({n: v[label, n] for n in exact} for v in (exact_values, rounded_values))
        for pair in combinations(exact, 2):
            orders.append(_sign(one, *pair) == _sign(other, *pair))
            verdicts.append(_verdict(one, *pair) == _verdict(other, *pair))
        moved += [_moved(one[name], other[name]) for name in exact]
    print(f"order of the means of two methods: {sum(orders)} of {len(orders)} the same")
    print(f"verdict (95 % interval of their difference): {sum(verdicts)} of {len(verdicts)}")
    print(f"largest change of a mean: {max(moved):.3f} of its standard error")


def _sign(values: dict[str, NDArray[np.float64]], one: str, other: str) -> float:
    return float(np.sign(np.nanmean(values[one] - values[other])))


def _verdict(values: dict[str, NDArray[np.float64]], one: str, other: str) -> float:
    """1 or -1 where the interval of the mean difference leaves 0 out, else 0."""
    difference = values[one] - values[other]
    mean, error = np.nanmean(difference), _error(difference)
    return float(np.sign(mean) * (abs(mean) > 1.96 * error))


def _moved(exact: NDArray[np.float64], rounded: NDArray[np.float64]) -> float:
    difference = abs(np.nanmean(exact) - np.nanmean(rounded))
    return float(difference / _error(exact)) if difference else 0.0


def _error(values: NDArray[np.float64]) -> float:
    return float(np.nanstd(values) / np.sqrt(np.isfinite(values).sum()))


# Memory


def _memory(length: int) -> None:
    """Each number of sequences in a process of its own, with three steps a curve."""
    for count in (0, 250, 1000, 4000):
        words = [sys.executable, __file__, "--alone", str(count), "--length", str(length)]
        answer = subprocess.run(words, check=True, capture_output=True, text=True).stdout.split()
        peak, data = (float(word) for word in answer)
        rest = peak - data
        print(f"{count:5} sequences: peak {peak:.0f} MiB, data {data:.0f}, rest {rest:.0f}")


def _peak(count: int, length: int) -> tuple[float, float]:
    """Peak memory of the process and the size of codes, maps and kept logits, in MiB."""
    case = _untrained(max(count, 1), length)
    kept = _family(case, "float32", (0, 0.5, 1)) if count else {}
    if kept:
        _values(kept, case, (0, 0.5, 1))
    arrays = [case.sequences.codes, case.sequences.codes, *case.maps.values()]  # codes and donor
    arrays += [np.broadcast_to(np.float32(0), (DRAWS, *case.sequences.codes.shape))]
    arrays += [line for lines in kept.values() for line in lines]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    return peak, sum(array.nbytes for array in arrays) / 2**20


# What is measured


def _case(count: int, length: int) -> Case:
    """A CNN trained on planted motifs and the maps of real methods."""
    splits = planted(data_seed=0, train=4000, test=max(count, 10), length=length)
    held, rest = np.arange(500), np.arange(500, 4000)
    splits = Splits(splits.train.take(rest), splits.test, splits.train.take(held))
    torch.manual_seed(0)
    model = CNN(classes=2, length=length)
    history = supervised(model, splits, seed=0, progress=lambda *_: None, epochs=2)
    print(f"validation accuracy {history[-1]['validation_accuracy']:.3f}")
    sequences = splits.test.take(np.arange(count))
    targets = logits(model.eval(), sequences.codes).argmax(1)
    maps = {name: _map(name, model, sequences, targets) for name in METHODS}
    return Case(model, sequences, targets, maps)


def _map(
    name: str, model: CNN, sequences: Sequences, targets: NDArray[np.int64]
) -> NDArray[np.float32]:
    """The order of one method's scores, 1 the least relevant: all above 0, as Quantus wants them,
    and without ties, which it breaks by position."""
    options = {"steps": 20} if name == "integrated_gradients" else {}
    method = load("attribution", name).call
    codes = sequences.codes
    found = explain(method, model, codes, targets, options=options, seed=0, component=name)
    ties = streams(0, "map", codes)
    ranked = replacement.replacement_ranks(
        found.scores, sequences.valid, ties, order=replacement.LERF
    )
    return (1 + ranked).astype(np.float32)


def _untrained(count: int, length: int) -> Case:
    generator = np.random.default_rng(0)
    codes = generator.integers(4, size=(count, length)).astype(np.uint8)
    labels = np.zeros(count, np.int64)
    sequences = Sequences(codes, labels, tuple(map(str, range(count))), ("no", "yes"))
    maps = {name: generator.random(codes.shape, dtype=np.float32) for name in METHODS}
    return Case(CNN(classes=2, length=length).eval(), sequences, labels, maps)


def _first(case: Case, count: int) -> Case:
    rows = np.arange(min(count, len(case.sequences)))
    maps = {name: scores[rows] for name, scores in case.maps.items()}
    return Case(case.model, case.sequences.take(rows), case.targets[rows], maps)


if __name__ == "__main__":
    main()
