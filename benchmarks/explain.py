"""What `xaibench explain` costs beside the bare passes, and how its memory grows.

    python benchmarks/explain.py [--sequences 10000] [--length 200] [--format parquet]

A convolutional network (64 filters of 19 bases, two layers more) explains random sequences of a
FASTA file by input x gradient, for one output and for the predicted one. The bare passes are the
same network's, on one-hot sequences that are there already, 64 at a time: forward, backward of one
output, and nothing else. Processor seconds, all threads together (one); the command in a process of
its own, of which an empty call (one sequence) is taken off, so that imports do not count.
Then the peak memory (MiB) of the command for a tenth of the sequences, for all, and for ten times
as many. Linux.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sequences", type=int, default=10_000)
    parser.add_argument("--length", type=int, default=200)
    parser.add_argument("--format", default="parquet")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--without-memory", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        _prepare()
        codes = _sequences(given.sequences, given.length, "some.fa")
        _sequences(1, given.length, "one.fa")
        ratios: dict[str, list[float]] = {"1": [], "predicted": []}
        for _ in range(given.rounds):
            bare = _bare(codes)
            for target, known in ratios.items():
                nothing, _ = _command("one.fa", target, given.format)
                seconds, _ = _command("some.fa", target, given.format)
                known.append((seconds - nothing) / bare)
                print(f"bare {bare:.2f} s, target {target}: {seconds - nothing:.2f} s", flush=True)
        for target, known in ratios.items():
            print(f"target {target}: {np.median(known):.2f} x the bare passes (median)")
        if given.without_memory:
            return
        for count in (given.sequences // 10, given.sequences, 10 * given.sequences):
            _sequences(count, given.length, "many.fa")
            _, peak = _command("many.fa", "1", given.format)
            print(f"{count:>9,} sequences: {peak:,} MiB at most", flush=True)


def _prepare() -> None:
    import torch
    from safetensors.torch import save_file

    Path("own.py").write_text(MODULE)
    sys.path.insert(0, "")
    torch.manual_seed(0)
    save_file(_network().state_dict(), "weights.safetensors")


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


def _bare(codes: np.ndarray) -> float:
    import torch
    from safetensors.torch import load_file

    torch.set_num_threads(1)
    network = _network()
    network.load_state_dict(load_file("weights.safetensors"))
    inputs = torch.from_numpy(np.eye(4, dtype=np.float32)[codes]).transpose(1, 2).contiguous()
    started = time.process_time()
    for part in inputs.split(64):
        part = part.clone().requires_grad_()
        torch.autograd.grad(network(part)[:, 1].sum(), part)
    return time.process_time() - started


def _command(sequences: str, target: str, format: str) -> tuple[float, int]:
    """Processor seconds and peak memory of one call."""
    words = [
        "explain",
        "network",
        sequences,
        "--plugin",
        "own.py",
        "--weights",
        "weights.safetensors",
    ]
    words += ["--method", "input_x_gradient", "--target", target, "--format", format, "-o", "out"]
    process = subprocess.Popen(
        [sys.executable, "-m", "xaibench", *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, used = os.wait4(process.pid, 0)
    assert status == 0, "the command failed"
    return used.ru_utime + used.ru_stime, used.ru_maxrss // 1024


if __name__ == "__main__":
    main()
