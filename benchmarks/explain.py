"""What `xaibench explain` costs beside the bare passes, and how its memory grows.

    python benchmarks/explain.py [--sequences 10000] [--length 200] [--format parquet]

A convolutional network (64 filters of 19 bases, two layers more) explains random sequences of a
FASTA file by input x gradient, for one output and for the predicted one. The bare passes are what
one would write by hand, with the same network and as many sequences at a time as the command takes:
their codes made one-hot, forward, backward of one output, and nothing else. No file is read or
written, nothing is checked.

Counted of the command is all that it does for the sequences: reading the FASTA file, the passes,
checks, storing blocks, the Parquet file. Not counted, and printed apart, is its start-up: the whole
command with one sequence, in a process of its own (imports, the plan, the checks of the model).
So both are measured in this process, in turns, after a first call with one sequence, whose time
when it is made again is taken off. Processor seconds (all threads together, of which there is one)
and seconds of the clock; the latter mean something on a machine that does nothing else. Ratios are
medians over rounds; on a machine that does other work too, that of the least seconds of either says
more, since other work only adds.
Then the peak memory (MiB) of the command, each in a process of its own, for a tenth of the
sequences, for all, and for ten times as many, from FASTA, from CSV, and from BED with a genome;
names and intervals are all that may grow, and the codes of the sequences, a byte per base, must
not. Linux.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np

MODULE = """
from torch import nn


def network() -> nn.Module:
    layers = [nn.Conv1d(4, 64, 19, padding=9), nn.ReLU(), nn.MaxPool1d(4)]
    layers += [nn.Conv1d(64, 64, 7, padding=3), nn.ReLU(), nn.MaxPool1d(4)]
    layers += [nn.Conv1d(64, 64, 3, padding=1), nn.ReLU(), nn.AdaptiveMaxPool1d(1)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(64, 3))
"""

TARGETS = ("1", "predicted")
WEIGHTS = "weights.safetensors"
COMMAND = """
import atexit
from pathlib import Path
from xaibench.__main__ import main

def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    Path("peak").write_text(next(line for line in lines if line.startswith("VmHWM")))

atexit.register(peak)
main()
"""
"""The command, and the peak of its own memory: ``ru_maxrss`` has that of the process it came of."""

GENOME, GENOME_LENGTH = "genome.fa", 5_000_000
SUFFIXES = {"_sequences": ".fa", "_table": ".csv", "_intervals": ".bed"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sequences", type=int, default=10_000)
    parser.add_argument("--length", type=int, default=200)
    parser.add_argument("--format", default="parquet")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--without-memory", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        _prepare()
        codes = _sequences(given.sequences, given.length, "some.fa")
        _sequences(1, given.length, "one.fa")
        start_up, _ = _command("one.fa", given.format)
        print(f"start-up of the command: {_text(start_up)}", flush=True)
        _measure(codes, given.format, given.rounds)
        if given.without_memory:
            return
        for write in (_sequences, _table, _intervals):
            _measure_memory(write, given.sequences, given.length, given.format)


def _measure_memory(write: Callable[[int, int, str], object], count: int, length: int, format: str):
    """The peaks of a kind of file, for a tenth, one and ten times as many sequences."""
    name = f"many{SUFFIXES[write.__name__]}"
    peaks = []
    for many in (count // 10, count, 10 * count):
        write(many, length, name)
        _, peak = _command(name, format)
        peaks.append(peak)
        print(f"{name}, {many:>9,} sequences: {peak:,} MiB at most", flush=True)
    codes = 9 * count * length / 2**20
    more = peaks[2] - peaks[1]
    print(f"{name}: {more} MiB more for ten times as many, whose codes take {codes:.0f} more")


def _measure(codes: np.ndarray, format: str, rounds: int) -> None:
    measured: dict[str, list[np.ndarray]] = {target: [] for target in TARGETS}
    for target in TARGETS:
        _explain("one.fa", target, format)
    _bare(codes[:64])
    for _ in range(rounds):
        for target, known in measured.items():
            bare = _timed(lambda: _bare(codes))
            one = _timed(lambda target=target: _explain("one.fa", target, format))
            whole = _timed(lambda target=target: _explain("some.fa", target, format)) - one
            known.append(np.array([whole, bare]))
            print(f"target {target}: bare {_text(bare)}, command {_text(whole)}", flush=True)
    for target, known in measured.items():
        whole, bare = np.array(known).swapaxes(0, 1)
        cpu, wall = np.median(whole / bare, axis=0)
        least, _ = whole.min(0) / bare.min(0)
        print(
            f"target {target}: {cpu:.2f} x the bare passes (by the clock {wall:.2f} x), the least "
            f"of either {least:.2f} x"
        )


def _prepare() -> None:
    import torch
    from safetensors.torch import save_file

    Path("own.py").write_text(MODULE)
    sys.path.insert(0, "")
    torch.manual_seed(0)
    torch.set_num_threads(1)
    save_file(_network().state_dict(), WEIGHTS)


def _network():
    from own import network

    return network().eval().requires_grad_(False)


def _sequences(count: int, length: int, name: str) -> np.ndarray:
    codes = np.random.default_rng(0).integers(4, size=(count, length)).astype(np.uint8)
    letters = np.frombuffer(b"ACGT", np.uint8)[codes]
    with open(name, "w") as file:
        for row, each in enumerate(letters):
            file.write(f">{row}\n{each.tobytes().decode()}\n")
    return codes


def _table(count: int, length: int, name: str) -> None:
    _sequences(count, length, "rows.fa")
    with open("rows.fa") as records, open(name, "w") as file:
        file.write("name,sequence\n")
        file.writelines(f"{header.strip()[1:]},{next(records)}" for header in records)


def _intervals(count: int, length: int, name: str) -> None:
    """Anywhere in a genome of ``GENOME``, on both strands, each with a name."""
    _sequences(1, GENOME_LENGTH, GENOME)
    starts = np.random.default_rng(1).integers(0, GENOME_LENGTH - length, count)
    with open(name, "w") as file:
        for row, start in enumerate(starts):
            file.write(f"0\t{start}\t{start + length}\tpeak{row}\t0\t{'+-'[row % 2]}\n")


def _timed(work: Callable[[], None]) -> np.ndarray:
    """Seconds of the processor and of the clock."""
    started = np.array([time.process_time(), time.perf_counter()])
    work()
    return np.array([time.process_time(), time.perf_counter()]) - started


def _text(seconds: np.ndarray) -> str:
    cpu, wall = seconds
    return f"{cpu:.2f} s of the processor ({wall:.2f} s)"


def _bare(codes: np.ndarray) -> None:
    import torch
    from safetensors.torch import load_file

    from xaibench.export.computing import rows_of_one_pass

    rows = rows_of_one_pass(codes.shape[1], torch.device("cpu"))
    network = _network()
    network.load_state_dict(load_file(WEIGHTS))
    bases = np.eye(4, dtype=np.float32)
    for start in range(0, len(codes), rows):
        one_hot = torch.from_numpy(bases[codes[start : start + rows]]).transpose(1, 2).contiguous()
        one_hot.requires_grad_()
        torch.autograd.grad(network(one_hot)[:, 1].sum(), one_hot)


def _explain(sequences: str, target: str, format: str) -> None:
    """What the command does, without a process of its own."""
    from xaibench.export.explain import explain_into
    from xaibench.export.request import Request

    request = Request(
        "network",
        sequences,
        ("input_x_gradient",),
        target,
        weights=(WEIGHTS,),
        plugins=("own.py",),
    )
    with redirect_stderr(StringIO()):
        outcomes = list(explain_into(request, Path("out"), formats=(format,)))
    assert not any(isinstance(each, str) for each in outcomes), outcomes


def _command(sequences: str, format: str) -> tuple[np.ndarray, int]:
    """Seconds of the processor and of the clock, and peak memory, of one call."""
    words = f"explain network {sequences} --plugin own.py --weights {WEIGHTS} --target 1".split()
    words += ["--method", "input_x_gradient", "--format", format, "-o", "out"]
    words += ["--genome", GENOME] if sequences.endswith(".bed") else []
    shutil.rmtree("out", ignore_errors=True)  # blocks that are there would not be computed
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND, *words],
        env={**os.environ, "XAIBENCH_CACHE": "cache"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, used = os.wait4(process.pid, 0)
    assert status == 0, "the command failed"
    wall = time.perf_counter() - started
    peak = int(Path("peak").read_text().split()[1]) // 1024
    return np.array([used.ru_utime + used.ru_stime, wall]), peak


if __name__ == "__main__":
    main()
