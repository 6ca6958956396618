"""Training: ours against a plain loop, bfloat16 against float32, masking against none.

    python benchmarks/training.py [--steps 20] [--batch 128] [--length 200] [--filters 32 64 64]
        [--rounds 9] [--seeds 3] [--train 6000]

Speed: `supervised` for one epoch of ``--steps`` batches, with all that it does (batches, masks,
set-up, the validation of one batch), over a plain loop: the same network in float32, the same
sequences, one-hot by batch, AdamW, one cycle, nothing else. Of attngen, the epoch with masking over
that of the same network without. CPU seconds, one thread, all interleaved in one process; ratios
are medians over rounds. bfloat16 pays where the processor has it (avx512_bf16 or amx_bf16).

Accuracy: `cnn` on planted motifs under ``--seeds`` seeds in either precision, on 10,000 test
sequences that both see, and the difference of the means. ``--seeds 0`` leaves it out.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import nn

from xaibench.data.splitting import cut_validation
from xaibench.data.synthetic.planted import planted
from xaibench.models.attngen import AttnGen
from xaibench.models.cnn import CNN
from xaibench.models.masking import Masking
from xaibench.models.training import supervised
from xaibench.nn.inference import logits
from xaibench.nn.layers import one_hot
from xaibench.values import Splits

NOT = Masking(policy="none")
ALWAYS = Masking(policy="low_attention", warm_up=0, ramp=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--length", type=int, default=200)
    parser.add_argument("--filters", type=int, nargs="+", default=[32, 64, 64])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--train", type=int, default=6000)
    given = parser.parse_args()
    torch.set_num_threads(1)
    _speed(given)
    if given.seeds:
        _accuracy(given)


def _speed(given: argparse.Namespace) -> None:
    splits = _splits(given.steps * given.batch + given.batch, given.batch, given.length)
    sizes = {"classes": 2, "length": given.length, "filters": tuple(given.filters)}
    epochs = _contenders(splits, sizes, given.batch)
    rounds = [[_seconds(epoch) for epoch in epochs.values()] for _ in range(1 + given.rounds)][1:]
    seconds = dict(zip(epochs, zip(*rounds, strict=True), strict=True))
    print(f"filters {given.filters}, {given.length} nt, {given.rounds} rounds of {given.steps}")
    for name, taken in seconds.items():
        each = statistics.median(taken) / given.steps
        print(f"{name:<26} {1e3 * each:6.1f} ms a step, {given.batch / each:6.0f} sequences/s")
    plain = seconds["plain loop, float32"]
    _print_ratio("throughput of cnn, float32, over plain", plain, seconds["cnn, float32"])
    _print_ratio("throughput of cnn, bfloat16, over plain", plain, seconds["cnn, bfloat16"])
    for precision in ("float32", "bfloat16"):
        masked, bare = (seconds[f"{name}, {precision}"] for name in ("attngen masked", "attngen"))
        _print_ratio(f"step of attngen with masking over without, {precision}", masked, bare)


def _print_ratio(name: str, above: Sequence[float], below: Sequence[float]) -> None:
    ratios = [one / other for one, other in zip(above, below, strict=True)]
    median = statistics.median(ratios)
    print(f"{name}: {median:.2f} (median; {min(ratios):.2f} to {max(ratios):.2f})")


def _seconds(work: Callable[[], None]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def _contenders(splits: Splits, sizes: dict, batch: int) -> dict[str, Callable[[], None]]:
    def ours(make: Callable[[], nn.Module], precision: str) -> Callable[[], None]:
        def run() -> None:
            _trained(make, splits, 0, epochs=1, batch_size=batch, precision=precision)

        return run

    models = {
        "cnn": lambda: CNN(**sizes),
        "attngen": lambda: AttnGen(**sizes, masking=NOT),
        "attngen masked": lambda: AttnGen(**sizes, masking=ALWAYS),
    }
    return {
        "plain loop, float32": lambda: _plain(CNN(**sizes), splits, batch),
        **{
            f"{name}, {precision}": ours(make, precision)
            for name, make in models.items()
            for precision in ("float32", "bfloat16")
        },
    }


def _plain(model: nn.Module, splits: Splits, batch: int) -> None:
    """What one would write by hand."""
    codes, labels = torch.from_numpy(splits.train.codes), torch.from_numpy(splits.train.labels)
    steps = len(codes) // batch
    optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=1e-2)
    # the schedule cannot divide 10 steps into a tenth and the rest
    cycle = max(steps, 11)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, cycle, pct_start=0.1)
    model.train()
    for rows in torch.randperm(len(codes))[: steps * batch].split(batch):
        loss = nn.functional.cross_entropy(model(one_hot(codes[rows])), labels[rows])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()


def _accuracy(given: argparse.Namespace) -> None:
    splits = _splits(given.train, given.train // 10, given.length, test=10_000)
    sizes = {"classes": 2, "length": given.length, "filters": tuple(given.filters)}
    found: dict[str, list[float]] = {}
    for seed in range(given.seeds):
        for precision in ("float32", "bfloat16"):
            model = _trained(lambda: CNN(**sizes), splits, seed, precision=precision)
            right = logits(model, splits.test.codes).argmax(1) == splits.test.labels
            found.setdefault(precision, []).append(100 * float(right.mean()))
    for precision, shares in found.items():
        print(f"accuracy in {precision}: {', '.join(f'{share:.2f}' for share in shares)} %")
    exact, rough = (statistics.mean(shares) for shares in found.values())
    print(f"bfloat16 minus float32: {rough - exact:+.2f} points (means of {given.seeds} seeds)")


def _trained(
    make: Callable[[], nn.Module], splits: Splits, seed: int, **options: object
) -> nn.Module:
    torch.manual_seed(seed)
    model = make()
    supervised(model, splits, seed=seed, progress=lambda *_: None, **options)
    return model


def _splits(train: int, validation: int, length: int, *, test: int = 10) -> Splits:
    whole = planted(data_seed=0, train=train, test=test, length=length)
    learnt, held_out = cut_validation(whole.train, validation / train, 0)
    order = np.arange(len(learnt))
    return Splits(learnt.take(order), whole.test, held_out)


if __name__ == "__main__":
    main()
