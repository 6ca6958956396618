"""What a run costs by sequences, length, classes, methods and metrics, and what a large one takes.

    python benchmarks/scaling.py costs
    python benchmarks/scaling.py memory [--sequences 20000 200000] [--length 200] [--draws 2]

``costs`` times a CNN with fresh weights, in processor seconds of one core (other work on the
machine does not count): a training, a pass and each method at two lengths, and at the first with
three classes. The passes of each metric are counted as `run --dry-run` counts them. From these it
foretells the nine sets of genomic-benchmarks under five seeds with twelve methods: at another
length L, each takes (L / 200) to the power that the two lengths give.

``memory`` runs `xaibench run` on random sequences with saliency, the random control and deletion on
a network with given weights, each size in processes of its own: the peak of the largest process
(MiB), and processor seconds. Linux.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np

METHODS = (
    *("saliency", "input_x_gradient", "smooth_grad", "integrated_gradients", "gradient_shap"),
    *("deeplift", "lrp", "grad_cam", "occlusion", "in_silico_mutagenesis"),
    *("random", "position_prior"),
)
METRICS = (
    *("deletion", "insertion", "flip_rate", "comprehensiveness", "seed_agreement"),
    *("reverse_complement_consistency", "effective_positions"),
    *("substitution_agreement: {sequences: 50}", "infidelity: {sequences: 50}"),
    "substitution_sensitivity: {sequences: 100}",
)
SEEDS, EXPLAINED, EPOCHS, TRAIN = 5, 300, 8, 300
FIRST, SECOND = 200, 400
GPU = 30
"""How many times as fast as one core a GPU is assumed to be: none was measured."""

NETWORK = """
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.convolution, self.out = nn.Conv1d(4, 16, 11, padding=5), nn.Linear(16, 2)

    def forward(self, inputs):
        return self.out(self.convolution(inputs).relu().amax(2))
"""

MEMORY_PLAN = """
dataset: {{name: file, path: sequences.csv}}
models: {{net: {{use: Net, weights: [net.safetensors]}}}}
attribution: [saliency]
metrics: [deletion]
operators: [n]
fractions: [0, 0.1, 0.5, 1]
controls: []
random_draws: {draws}
sequences: {sequences}
reports: [markdown]
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("what", choices=("costs", "memory"))
    parser.add_argument("--sequences", type=int, nargs="+", default=[20_000, 200_000])
    parser.add_argument("--length", type=int, default=200)
    parser.add_argument("--draws", type=int, default=2)
    given = parser.parse_args()
    if given.what == "costs":
        _costs()
        return
    for sequences in given.sequences:
        _memory(sequences, given.length, given.draws)


# Memory


def _memory(sequences: int, length: int, draws: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        _write_sequences(here / "sequences.csv", sequences, length, classes=2, test=sequences)
        (here / "net.py").write_text(NETWORK)
        save = "from net import Net; from safetensors.torch import save_file; "
        save += "save_file(Net().state_dict(), 'net.safetensors')"
        subprocess.run([sys.executable, "-c", save], cwd=here, check=True)
        (here / "plan.yaml").write_text(MEMORY_PLAN.format(draws=draws, sequences=sequences))
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        words = ["-m", "xaibench", "run", "plan.yaml", "--plugin", "net.py", "--jobs", "1"]
        environment = {**os.environ, "XAIBENCH_CACHE": str(here / "cache")}
        subprocess.run(
            [sys.executable, *words, "-o", "run"],
            cwd=here,
            check=True,
            capture_output=True,
            env=environment,
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        stored = sum(path.stat().st_size for path in (here / "run").rglob("*") if path.is_file())
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(
        f"{sequences:>9,} sequences of {length} nt, {draws} random orders: "
        f"{after.ru_maxrss // 1024:,} MiB, {seconds:,.0f} s, {stored / 1e6:,.0f} MB on disk",
        flush=True,
    )


def _write_sequences(path: Path, count: int, length: int, *, classes: int, test: int) -> None:
    """Random sequences, the last ``test`` of them to be explained."""
    generator = np.random.default_rng(0)
    letters = np.frombuffer(b"ACGT", np.uint8)
    with path.open("wb") as file:
        file.write(b"sequence,label,split\n")
        for start in range(0, count, 10_000):
            rows = letters[generator.integers(4, size=(min(10_000, count - start), length))]
            for place, row in enumerate(rows, start=start):
                split = b"test" if place >= count - test else b"train"
                file.write(row.tobytes() + b",%d,%s\n" % (place % classes, split))


# Costs


class Seconds(NamedTuple):
    """Of one sequence: learning from it once, a pass, and its explanation by each method."""

    training: float
    passing: float
    explaining: Mapping[str, float]


def _costs() -> None:
    first, second, three = (_timed(FIRST), _timed(SECOND), _timed(FIRST, classes=3))
    print("ms of one core a sequence".ljust(32), f"{FIRST} nt  {SECOND} nt  power  three classes")
    for name in ("learnt from, an epoch", "a pass", *METHODS):
        one, two, other = (_named(each, name) for each in (first, second, three))
        power = _power(one, two)
        print(f"{name:30} {1e3 * one:8.3f} {1e3 * two:8.3f} {power:6.2f} {1e3 * other:10.3f}")
    print(f"\npasses for a sequence of {FIRST} nt      shared by all methods   a method")
    for metric in METRICS:
        shared, own = _passes_of(metric)
        print(f"{metric.partition(':')[0]:36} {shared:12,.0f} {own:18,.0f}")
    _foretell(first, second)


def _named(seconds: Seconds, name: str) -> float:
    single = {"learnt from, an epoch": seconds.training, "a pass": seconds.passing}
    return single[name] if name in single else seconds.explaining[name]


def _power(one: float, two: float) -> float:
    return float(np.log(two / one) / np.log(SECOND / FIRST)) if one and two else 0.0


def _timed(length: int, classes: int = 2) -> Seconds:
    from xaibench.runs.timing import timings

    with _work(length, classes=classes) as work:
        known = timings(work, threads=1)["cnn"]
    return Seconds(known.training / (TRAIN * EPOCHS), known.passing, known.explaining)


def _passes_of(metric: str) -> tuple[float, float]:
    """Of one sequence, those that all methods share, and those of one method."""
    shared = own = 0.0
    with _work(FIRST, metrics=(metric,), methods=("saliency",)) as work:
        for task, cost in _counted(work):
            passes = sum(cost.passes.values()) / EXPLAINED
            if task.method == "saliency":
                own += passes
            elif not task.trains:
                shared += passes
    return shared, own


def _counted(work):
    """What each task takes, in passes and explanations."""
    from xaibench.artefacts.artefact import ModelSizes, total
    from xaibench.runs.pipeline import planned
    from xaibench.runs.tasks import artefacts_of

    for task in planned(work)[0]:
        yield task, total(each.cost(ModelSizes()) for each in artefacts_of(work, task))


class _work:
    """A plan on random sequences, begun."""

    def __init__(self, length, *, classes=2, metrics=METRICS, methods=METHODS):
        listed = "".join(f"  {each if ':' in each else each + ': {}'}\n" for each in metrics)
        self._length, self._classes = length, classes
        self._plan = f"""
dataset: {{name: file, path: sequences.csv}}
seeds: [0]
training: {{epochs: {EPOCHS}}}
models: [cnn]
attribution: [{", ".join(methods)}]
sequences: {EXPLAINED}
operators: [n, uniform, dinucleotide]
metrics:
{listed}"""

    def __enter__(self):
        from xaibench.artefacts.job import Job
        from xaibench.plan.schema import read_plan
        from xaibench.runs.pipeline import begin

        self._folder = tempfile.TemporaryDirectory()
        here = Path(self._folder.name)
        count = TRAIN + EXPLAINED
        data = here / "sequences.csv"
        _write_sequences(data, count, self._length, classes=self._classes, test=EXPLAINED)
        path = here / "plan.yaml"
        path.write_text(self._plan)
        return begin(Job(read_plan(str(path)), str(path), (), here / "run"))

    def __exit__(self, *_):
        self._folder.cleanup()


# The nine sets


def _foretell(first: Seconds, second: Seconds) -> None:
    from xaibench.data.genomic_benchmarks.benchmark_sets import SETS

    print(f"\nhours of one core, {SEEDS} seeds, {len(METHODS)} methods".ljust(44), "train   rest")
    stages: list[tuple[list[float], list[float]]] = []
    for each in SETS.values():
        trainings, rest = _tasks_of(each, first, second)
        stages.append((trainings * SEEDS, rest * SEEDS))
        hours = [sum(stage) / 3600 for stage in stages[-1]]
        print(f"{each.name:36} {each.longest:>6} nt {hours[0]:7.1f} {hours[1]:7.1f}")
    alone = sum(sum(stage) for both in stages for stage in both)
    for workers in (1, 2, 100):
        taken = sum(
            max(sum(stage) / workers, max(stage)) for both in stages for stage in both if stage
        )
        print(f"on {workers} cores: {taken / 3600:,.1f} hours")
    print(f"on a GPU of {GPU} cores' speed (assumed): {alone / 3600 / GPU:,.1f} hours")


def _tasks_of(each, first: Seconds, second: Seconds) -> tuple[list[float], list[float]]:
    """Seconds of every task of one seed: of its training, and of all others."""

    def at(one: float, two: float) -> float:
        return one * (each.longest / FIRST) ** _power(one, two)

    trainings, rest = [], []
    passing = at(first.passing, second.passing)
    with _work(each.longest, classes=len(each.classes)) as work:
        for task, cost in _counted(work):
            taken = sum(cost.passes.values()) * passing
            if task.method in METHODS:
                pair = first.explaining[task.method], second.explaining[task.method]
                taken += cost.explained * at(*pair)
            if task.trains:
                epoch = at(first.training, second.training) * sum(each.train)
                trainings.append(EPOCHS * epoch + sum(each.test) * passing)
            else:
                rest.append(taken)
    return trainings, rest


if __name__ == "__main__":
    main()
