"""What rendering a large run takes: ``xaibench report`` on a made-up folder, in its own process.

    python benchmarks/report.py [--sequences 1000] [--seeds 5] [--models 2] [--methods 10]
                                [--operators 4] [--rounds 3] [--keep DIR]

All tables of a run with made-up numbers, as many rows as such a run has: curve metrics under every
operator with ten random orders and five controls, localisation, stability, randomisation by layer.
Measured: the command as a person would give it, from the start of Python to the last file, wall and
CPU seconds and the peak of memory; then the size of ``report.html``. Exit code 1 where the median
is above 10 s of CPU or the page above 5 MB, the bars of the project: one thread renders, so that on
a machine with nothing else to do wall is CPU, and on a busy one it tells of the neighbours.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import combinations, combinations_with_replacement, product
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import yaml

from xaibench.evaluation.records import RecordGroup, frame
from xaibench.explanation.controls import ORACLE, RANDOM
from xaibench.protocols import QUANTITIES
from xaibench.results.schema import COLUMNS

SECONDS, SIZE = 10.0, 5_000_000
"""The bars: seconds, and bytes of the page."""

AREAS = [f"{area}_{quantity}" for area in ("deletion", "insertion") for quantity in QUANTITIES]
CURVED = [*AREAS, "flip_rate"]
LOCALISATION = ("auprc", "relevance_mass", "pointing_game")
STABILITY = ("seed_agreement", "substitution_sensitivity", "reverse_complement_consistency")
LAYERS = tuple(f"blocks.{k}" for k in range(8))
CONTROLS = ("rotated", "another sequence", "mean map", "negated", "blurred")
FRACTIONS = [0, 0.01, 0.02, 0.05, *(k / 10 for k in range(1, 10)), 0.95, 0.98, 0.99, 1]
ORDERS = ("most relevant first", "least relevant first")
CLASSES = ("decoy", "CTCF")
LENGTH, DRAWS, CONTROLLED = 200, 10, 100


class Size(NamedTuple):
    models: list[str]
    methods: list[str]
    operators: list[str]
    seeds: int
    sequences: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    for name, default in (("sequences", 1000), ("seeds", 5), ("models", 2), ("methods", 10)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--operators", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--keep", type=Path)
    given = parser.parse_args()
    names = (
        [f"{word}_{k}" for k in range(count)]
        for word, count in (("model", given.models), ("gradient_method", given.methods))
    )
    operators = ["uniform", *(f"operator_{k}" for k in range(1, given.operators))]
    size = Size(*names, operators, given.seeds, given.sequences)
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.keep or Path(temporary)
        folder.mkdir(exist_ok=True)
        rows = _write(folder, size)
        print(", ".join(f"{name} {count:,}" for name, count in rows.items()))
        sys.exit(_measure(folder, given.rounds))


def _measure(folder: Path, rounds: int) -> int:
    command = [sys.executable, "-m", "xaibench", "report", str(folder)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    costs = []
    for _ in range(rounds):
        began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        costs.append((time.perf_counter() - began, cpu))
    wall, cpu = (statistics.median(column) for column in zip(*costs, strict=True))
    bytes_of_page = (folder / "report.html").stat().st_size
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6
    print(f"xaibench report: {wall:.1f} s wall, {cpu:.1f} s CPU (medians of {rounds} rounds)")
    print(f"peak memory {memory:.2f} GB; report.html {bytes_of_page / 1e6:.2f} MB")
    return int(cpu > SECONDS or bytes_of_page > SIZE)


def _write(folder: Path, size: Size) -> dict[str, int]:
    """The folder; table -> its rows."""
    random = np.random.default_rng(0)
    records = frame(_blocks(size, random), "planted")
    records.to_parquet(folder / "results.parquet", index=False)
    tables = {
        "estimates.csv": _estimates(size, random),
        "selftest.csv": _selftest(size),
        "curves.csv": _curves(size, random),
        "operators.csv": _operators(size),
        "rankings.csv": _rankings(size),
        "agreement.csv": _agreement(size),
        "training.csv": _training(size),
        "cost.csv": _cost(size),
        "ranks.csv": _ranks(size),
    }
    for name, table in tables.items():
        table.to_csv(folder / name, index=False)
    told = {"examples.json": _examples(size, random), "environment.json": _environment(size)}
    for name, content in told.items():
        (folder / name).write_text(json.dumps(content))
    (folder / "plan.yaml").write_text(yaml.safe_dump(_plan(size), sort_keys=False))
    return {"results.parquet": len(records)} | {name: len(rows) for name, rows in tables.items()}


def _plan(size: Size) -> dict[str, object]:
    return {
        "dataset": {"use": "planted"},
        "seeds": list(range(size.seeds)),
        "models": {model: {"use": "cnn"} for model in size.models},
        "attribution": {method: {"use": "saliency"} for method in size.methods},
        "operators": {operator: {"use": "uniform"} for operator in size.operators},
        "controls": list(CONTROLS),
        "random_draws": DRAWS,
        "reports": {"html": {"use": "html"}, "markdown": {"use": "markdown"}},
    }


def _environment(size: Size) -> dict[str, object]:
    families = {
        **dict.fromkeys(("deletion", "insertion", "flip_rate"), "faithfulness"),
        **dict.fromkeys(LOCALISATION, "localisation"),
        **dict.fromkeys(STABILITY, "stability"),
        "cascading_randomisation": "randomisation",
    }
    lower = ("deletion", "substitution_sensitivity", "cascading_randomisation")
    facts = {
        name: {"family": family, "better": "lower" if name in lower else "higher"}
        for name, family in families.items()
    }
    sizes = {"train": 8000, "test": 2000, "explained": size.sequences}
    return {
        "command": "xaibench run large.yaml -o runs/large",
        "versions": {"python": "3.11"},
        "dataset": {"name": "planted", "sizes": sizes, "class_names": list(CLASSES)},
        "signed": dict.fromkeys(size.methods, True),
        "metrics": {
            name: {**told, "definition": f"What {name} is."} for name, told in facts.items()
        },
        "operators": dict.fromkeys(size.operators, "What it does."),
        "chance": {"auprc": 0.12, "relevance_mass": 0.1},
    }


def _asked(size: Size) -> list[tuple[str, str]]:
    """Every metric with its operator, of those that compare methods with random."""
    return [*product(CURVED, size.operators), *product(LOCALISATION, [""])]


def _blocks(size: Size, random: np.random.Generator) -> Iterator[RecordGroup]:
    names = tuple(f"test {k}" for k in range(size.sequences))

    def block(
        model: str, seed: int, method: str, metric: str, operator: str, **more: object
    ) -> RecordGroup:
        own = names[:CONTROLLED] if more.get("control") or method == ORACLE else names
        values = random.normal(size=len(own)) + 0.1 * hash_of(method)
        where = {"metric": metric, "operator": operator, "sequences": own, "values": values}
        return RecordGroup(model, seed, method, **where, **more)

    for model, seed in product(size.models, range(size.seeds)):
        yield block(model, seed, "", "accuracy", "")
        for metric, operator in _asked(size):
            for repeat in range(DRAWS):
                yield block(model, seed, RANDOM, metric, operator, repeat=repeat)
            for method in size.methods:
                yield block(model, seed, method, metric, operator)
                for control in CONTROLS:
                    yield block(model, seed, method, metric, operator, control=control)
            yield block(model, seed, ORACLE, metric, operator)
        for method, metric in product(size.methods, STABILITY):
            yield block(model, seed, method, metric, "")
        for method, layer in product(size.methods, LAYERS):
            yield block(model, seed, method, "cascading_randomisation", layer)


def hash_of(method: str) -> int:
    """How good a made-up method is: its number."""
    return int(method.rpartition("_")[2]) if method[-1:].isdigit() else 0


def _estimates(size: Size, random: np.random.Generator) -> pd.DataFrame:
    keys = [("value", model, "", "", "accuracy", "") for model in size.models]
    for model, method in product(size.models, size.methods):
        for metric, operator in _asked(size):
            keys.append(("value", model, "", method, metric, operator))
            keys.append(("against random", model, RANDOM, method, metric, operator))
            keys.append(("normalised", model, ORACLE, method, metric, operator))
            keys += [("against control", model, one, method, metric, operator) for one in CONTROLS]
        for metric in STABILITY:
            keys.append(("value", model, "", method, metric, ""))
            keys.append(("against control", model, "mean map", method, metric, ""))
        keys += [("value", model, "", method, "cascading_randomisation", layer) for layer in LAYERS]
    keys += [
        ("between models", *pair, method, metric, operator)
        for pair, method in product(combinations(size.models, 2), size.methods)
        for metric, operator in _asked(size)
    ]
    others = ((ORACLE, RANDOM), (RANDOM, "oracle, negated"), (ORACLE, "oracle, blurred"))
    keys += [
        ("self-test", model, other, method, metric, operator)
        for model, (method, other) in product(size.models, others)
        for metric, operator in _asked(size)
    ]
    columns = ["question", "model", "other", "method", "metric", "operator"]
    table = pd.DataFrame(keys, columns=columns).assign(dataset="planted")
    mean = 0.1 * table["method"].map(hash_of) + random.normal(scale=0.05, size=len(table))
    for name, by in (
        ("low", -0.2),
        ("high", 0.2),
        ("sequences_low", -0.1),
        ("sequences_high", 0.1),
    ):
        table[name] = mean + by
    facts = {"effect": 0.7, "undefined": 0, "reason": "", "seeds": size.seeds}
    tests = ("p", "p_sequences", "p_seeds")
    facts |= dict.fromkeys((*tests, *(f"{name}_holm" for name in tests)), 0.01)
    ranked = table["question"] == "against random"
    by = table[ranked].assign(mean=mean).groupby(["model", "metric", "operator"])["mean"]
    rank = by.rank(ascending=False).reindex(table.index)
    table = table.assign(mean=mean, rank=rank, sequences=size.sequences, **facts)
    return table[list(COLUMNS["estimates.csv"])]


def _selftest(size: Size) -> pd.DataFrame:
    said = ("yes", "yes", "yes", "yes", "")
    rows = [(model, *asked, *said) for model, asked in product(size.models, _asked(size))]
    return pd.DataFrame(rows, columns=list(COLUMNS["selftest.csv"]))


def _curves(size: Size, random: np.random.Generator) -> pd.DataFrame:
    rows = []
    for model, method, operator, quantity in product(
        size.models, [RANDOM, *size.methods], size.operators, QUANTITIES
    ):
        for order in ["random"] if method == RANDOM else ORDERS:
            steep = 1 + random.random() * 4
            for at in FRACTIONS:
                mean = 6 * (1 - at) ** steep
                ends = (mean, mean - 0.3, mean + 0.3, size.sequences, size.seeds)
                rows.append((model, method, operator, quantity, order, at, *ends))
    return pd.DataFrame(rows, columns=list(COLUMNS["curves.csv"]))


def _operators(size: Size) -> pd.DataFrame:
    rows = [
        (model, operator, quantity, at, -at, -at - 0.1, -at + 0.1, size.sequences, size.seeds)
        for quantity, models in (("log_likelihood", [""]), ("confidence", size.models))
        for model, operator, at in product(models, size.operators, FRACTIONS[1:])
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS["operators.csv"]))


def _rankings(size: Size) -> pd.DataFrame:
    rows = [
        (model, metric, *pair, 0.8, len(size.methods))
        for model, metric, pair in product(size.models, CURVED, combinations(size.operators, 2))
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS["rankings.csv"]))


def _agreement(size: Size) -> pd.DataFrame:
    rows = [
        (model, *pair, measure, 0.5, 0.4, 0.6, size.sequences, size.seeds)
        for model, measure in product(size.models, ("spearman", "overlap"))
        for pair in combinations_with_replacement(size.methods, 2)
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS["agreement.csv"]))


def _training(size: Size) -> pd.DataFrame:
    history = ["train_loss", "validation_loss", "train_accuracy", "validation_accuracy"]
    rows = [
        (model, seed, epoch, *(0.5 + 0.4 / (epoch + 1 + k) for k in range(4)))
        for model, seed, epoch in product(size.models, range(size.seeds), range(1, 31))
    ]
    return pd.DataFrame(rows, columns=["model", "seed", "epoch", *history])


def _cost(size: Size) -> pd.DataFrame:
    rows = [
        (model, seed, method, 1000.0, 1000.0, 2.5, np.nan, 1e-7, 0.0, size.sequences)
        for model, seed, method in product(size.models, range(size.seeds), size.methods)
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS["cost.csv"]))


def _ranks(size: Size) -> pd.DataFrame:
    count = len(size.methods)
    rows = [
        (model, *asked, method, count - hash_of(method), 0.4, 1e-9, size.sequences, 1 / count, "")
        for model, asked, method in product(size.models, _asked(size), size.methods)
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS["ranks.csv"]))


def _examples(size: Size, random: np.random.Generator) -> list[dict[str, object]]:
    """Maps with most of their height in a tenth of the positions, as real ones have."""

    def scores() -> list[float]:
        drawn = random.normal(size=LENGTH) * random.gamma(0.3, size=LENGTH)
        return [float(f"{score:.4g}") for score in drawn]

    falling = [6.0 * (1 - at) for at in FRACTIONS]
    curves = {
        "operator": "uniform",
        "quantity": "logit_difference",
        "fractions": FRACTIONS,
        "methods": dict.fromkeys(size.methods, falling),
        "random": dict.fromkeys(("mean", "low", "high"), falling),
    }
    told = {"predicted": CLASSES[1], "probability": 0.98}
    return [
        {
            "name": f"test {k}",
            "chosen": "next in the order of the run",
            "letters": "".join(random.choice(list("ACGT"), size=LENGTH)),
            "label": CLASSES[1],
            "models": dict.fromkeys(size.models, told),
            "motif": [[90, 109]],
            "evidence": [[90, 109, CLASSES[1]]],
            "scores": {m: {method: scores() for method in size.methods} for m in size.models},
            "curves": dict.fromkeys(size.models, curves),
            "signed": dict.fromkeys(size.methods, True),
        }
        for k in range(8)
    ]


if __name__ == "__main__":
    main()
