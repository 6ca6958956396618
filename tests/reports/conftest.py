"""Run folders with made-up numbers, written through the documented columns."""

import json
from dataclasses import dataclass
from itertools import combinations, combinations_with_replacement
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from shared import made_once

from xaibench.plugins.registry import load
from xaibench.results.reading import Results, read_results
from xaibench.results.schema import COLUMNS

CONTROL = "random control"
FRACTIONS = [0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 1]
LOCALISATION = ["auprc", "relevance_mass"]
STABILITY = ["seed_agreement", "substitution_sensitivity", "reverse_complement_consistency"]
LAYERS = ["output", "blocks.2", "blocks.0"]
CONTROLS = ["rotated", "another sequence", "mean map", "negated", "blurred"]
PRIORS = ["distance to centre", "GC content"]
CONTROLLED = 11
"""How many of the sequences controls and the oracle see."""

FACTS = {
    "deletion": ("faithfulness", "lower"),
    "insertion": ("faithfulness", "higher"),
    "flip_rate": ("faithfulness", "higher"),
    "infidelity": ("faithfulness", "lower"),
    **dict.fromkeys(LOCALISATION, ("localisation", "higher")),
    "seed_agreement": ("stability", "higher"),
    "substitution_sensitivity": ("stability", "lower"),
    "reverse_complement_consistency": ("stability", "higher"),
    "cascading_randomisation": ("randomisation", "lower"),
    "gini": ("complexity", "neither"),
}
"""Metric -> its family and which way is good, as the environment of a run tells them."""

QUALITY = {
    "deeplift": 0.95,
    "integrated_gradients": 0.93,
    "attention": 0.6,
    "input_x_gradient": 0.7,
    "saliency": 0.5,
    "random": 0.0,
}


@dataclass(frozen=True, slots=True)
class Made:
    """What a made-up run is about; ``quality`` of a method: 0 is random, 1 perfect."""

    models: tuple[str, ...] = ("cnn", "attngen", "attention only")
    quality: tuple[tuple[str, float], ...] = tuple(QUALITY.items())
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    operators: tuple[str, ...] = ("n", "uniform")
    motifs: bool = True
    floor: float = 0.815
    failures: bool = True
    sequences: int = 23
    length: int = 97
    classes: tuple[str, str] = ("decoy", "CTCF")
    controls: bool = True
    counts: tuple[int, int] = (1000, 1000)
    """Of the classes in test."""
    auroc: float = 0.97
    classified: bool = True
    """Whether there is ``classification.csv``."""
    blind: tuple[tuple[str, str], ...] = ()
    """Model and metric of self-tests that fail."""

    @property
    def methods(self) -> list[str]:
        return [name for name, _ in self.quality]

    def rank(self, model: str, quality: float) -> float:
        present = [other for name, other in self.quality if not self.absent(model, name)]
        return 1.0 + sum(other > quality for other in present)

    def place(self, model: str, metric: str, quality: float) -> float:
        """The rank that a method has by a metric: none by one that failed its self-test."""
        return np.nan if (model, metric) in self.blind else self.rank(model, quality)

    def absent(self, model: str, method: str) -> bool:
        return self.failures and model == "cnn" and method == "attention"


def interval(mean: float, width: float, made: Made) -> dict[str, float | str]:
    one = len(made.seeds) == 1
    return {
        "mean": mean,
        "low": np.nan if one else mean - width,
        "high": np.nan if one else mean + width,
        "sequences_low": mean - width / 2,
        "sequences_high": mean + width / 2,
        "effect": np.nan,
        "p": np.nan,
        "p_sequences": np.nan,
        "p_seeds": np.nan,
        "sequences": made.sequences,
        "seeds": len(made.seeds),
        "undefined": 0,
        "reason": "one seed: nothing is known of retraining" if one else "",
        "p_holm": np.nan,
        "p_sequences_holm": np.nan,
        "p_seeds_holm": np.nan,
        "rank": np.nan,
    }


def tested(mean: float, width: float, made: Made) -> dict[str, float | str]:
    p = 0.0001 if abs(mean) > width else 0.3114
    seeds = np.nan if len(made.seeds) == 1 else 2 * p
    more = {"effect": mean / width / 2, "p_sequences": p, "p_sequences_holm": min(3 * p, 1.0)}
    return (
        interval(mean, width, made)
        | more
        | {"p": seeds, "p_holm": seeds, "p_seeds": p, "p_seeds_holm": p}
    )


def undefined(reason: str, made: Made) -> dict[str, float | str]:
    nothing = dict.fromkeys(["mean", "low", "high", "sequences_low", "sequences_high"], np.nan)
    return interval(0.0, 0.0, made) | nothing | {"sequences": 0, "seeds": 0, "reason": reason}


def curve_metrics(made: Made) -> list[tuple[str, str, float]]:
    scale = {"logit_difference": 4.0, "probability": 0.4, "accuracy": 0.35}
    return [
        (f"{family}_{quantity}", operator, size)
        for family in ("deletion", "insertion")
        for quantity, size in scale.items()
        for operator in made.operators
    ]


def estimate_rows(made: Made, model: str) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []

    def add(question: str, method: str, metric: str, operator: str, other: str, values) -> None:
        what = {"question": question, "dataset": "planted", "model": model, "other": other}
        rows.append({**what, "method": method, "metric": metric, "operator": operator, **values})

    add("value", "", "accuracy", "", "", interval(0.95 + 0.01 * len(model) / 14, 0.012, made))
    for method, quality in made.quality:
        absent = undefined("not applicable: the model has no attention", made)
        gone = made.absent(model, method)
        for metric, operator, size in curve_metrics(made):
            gap = tested(size * quality * 0.5, 0.08 * size, made)
            ranked = gap | {"rank": np.nan if gone else made.place(model, metric, quality)}
            value = interval(size * (1 - quality * 0.5), 0.05 * size, made)
            add("value", method, metric, operator, "", absent if gone else value)
            add("against random", method, metric, operator, CONTROL, absent if gone else ranked)
        for metric in LOCALISATION if made.motifs else []:
            value = interval(0.1 + 0.8 * quality, 0.04, made)
            add("value", method, metric, "", "", absent if gone else value)
            gap = tested(0.8 * quality, 0.05, made)
            add("against random", method, metric, "", CONTROL, absent if gone else gap)
        for metric in STABILITY:
            value = interval(0.3 + 0.6 * quality, 0.05, made)
            add("value", method, metric, "", "", absent if gone else value)
            gap = tested(0.6 * quality, 0.06, made)
            add("against random", method, metric, "", "random", absent if gone else gap)
        for other in made.models[made.models.index(model) + 1 :]:
            for metric, operator in [("deletion_logit_difference", "uniform"), ("auprc", "")]:
                either = gone or made.absent(other, method)
                difference = tested(0.3 - quality * 0.5, 0.2, made)
                values = absent if either else difference
                add("between models", method, metric, operator, other, values)
    for other in made.models[made.models.index(model) + 1 :]:
        add("between models", "", "accuracy", "", other, tested(-0.008, 0.01, made))
    rows += behind_rows(made, model)
    if made.controls:
        rows += controlled_rows(made, model)
    return rows


def behind_rows(made: Made, model: str) -> list[dict[str, object]]:
    """How far each method is behind the best one: equal to it where qualities differ by little."""
    present = [(name, quality) for name, quality in made.quality if not made.absent(model, name)]
    best, most = max(present, key=lambda one: one[1])
    measures = [(metric, operator, size / 2) for metric, operator, size in curve_metrics(made)]
    measures += [(metric, "", 0.8) for metric in LOCALISATION if made.motifs]
    what = {"question": "against best", "dataset": "planted", "model": model, "other": best}
    return [
        {**what, "method": name, "metric": metric, "operator": operator}
        | tested(size * (quality - most), 0.1 * size, made)
        for metric, operator, size in measures
        if (model, metric) not in made.blind
        for name, quality in present
        if name != best
    ]


def rank_rows(made: Made) -> pd.DataFrame:
    """How often each method is the best: more often than all that are worse together."""
    rows = []
    for model in made.models:
        present = [
            (name, quality) for name, quality in made.quality if not made.absent(model, name)
        ]
        for operator in made.operators:
            for name, quality in present:
                place = made.rank(model, quality)
                told = (place, 0.4, 0.001, made.sequences, 0.5**place, "")
                rows.append((model, "deletion_logit_difference", operator, name, *told))
    return pd.DataFrame(rows, columns=list(COLUMNS["ranks.csv"]))


def controlled_rows(made: Made, model: str) -> list[dict[str, object]]:
    """What a run adds that has controls: over fewer sequences than the rest."""
    rows: list[dict[str, object]] = []
    few = {"sequences": CONTROLLED}

    def add(question: str, method: str, metric: str, operator: str, other: str, values) -> None:
        what = {"question": question, "dataset": "planted", "model": model, "other": other}
        rows.append({**what, "method": method, "metric": metric, "operator": operator, **values})

    metrics = [("deletion_logit_difference", operator) for operator in made.operators]
    metrics += [(metric, "") for metric in LOCALISATION if made.motifs]
    for metric, operator in metrics:
        sign = -1 if (model, metric) in made.blind else 1
        for method, other in (("oracle", CONTROL), (CONTROL, "oracle, negated")):
            add("self-test", method, metric, operator, other, tested(sign, 0.3, made) | few)
        blurred = tested(0.1, 0.3, made) | few
        add("self-test", "oracle", metric, operator, "oracle, blurred", blurred)
    for method, quality in made.quality:
        gone = made.absent(model, method)
        absent = undefined("not applicable: the model has no attention", made)
        for metric, operator in metrics:
            share = interval(quality, 0.07, made) | few
            add("normalised", method, metric, operator, "oracle", absent if gone else share)
            for k, control in enumerate([*CONTROLS, *(PRIORS if not operator else [])]):
                better = tested(quality - 0.1 * k, 0.15, made) | few
                add(
                    "against control", method, metric, operator, control, absent if gone else better
                )
        steady = tested(quality - 0.8, 0.1, made) | few
        add("against control", method, "seed_agreement", "", "mean map", absent if gone else steady)
        for k, layer in enumerate(LAYERS):
            alike = interval(0.8 - 0.3 * k, 0.1, made)
            add("value", method, "cascading_randomisation", layer, "", absent if gone else alike)
        add("value", method, "gini", "", "", absent if gone else interval(0.6, 0.02, made))
        for operator in made.operators:
            flips = tested(0.4 * quality, 0.1, made)
            add("against random", method, "flip_rate", operator, CONTROL, absent if gone else flips)
        fits = tested(0.3 * quality, 0.1, made)
        add("against random", method, "infidelity", "", CONTROL, absent if gone else fits)
    for prior in PRIORS if made.motifs else []:
        add("value", prior, "auprc", "", "", interval(0.2, 0.05, made) | few)
    return rows


def selftest_rows(made: Made) -> pd.DataFrame:
    rows = []
    metrics = [("deletion_logit_difference", operator) for operator in made.operators]
    metrics += [(metric, "") for metric in LOCALISATION if made.motifs]
    for model in made.models if made.controls else ():
        for metric, operator in metrics:
            failed = (model, metric) in made.blind
            said = ("no", "no", "yes", "no") if failed else ("yes", "yes", "yes", "yes")
            reason = "cannot discriminate here: the oracle is not above random" if failed else ""
            rows.append((model, metric, operator, *said, reason))
    return pd.DataFrame(rows, columns=list(COLUMNS["selftest.csv"]))


def operator_rows(made: Made) -> pd.DataFrame:
    rows = []
    size = (made.sequences, len(made.seeds))
    for k, operator in enumerate(made.operators if made.controls else ()):
        for fraction in (0.1, 0.5):
            drop = -(k + 1) * fraction / 10
            ends = (drop, drop - 0.01, drop + 0.01)
            rows.append(("", operator, "log_likelihood", fraction, *ends, made.sequences, 1))
            for model in made.models:
                rows.append((model, operator, "confidence", fraction, *ends, *size))
    return pd.DataFrame(rows, columns=list(COLUMNS["operators.csv"]))


def ranking_rows(made: Made) -> pd.DataFrame:
    rows = [
        (model, metric, *pair, tau, len(made.quality))
        for model in (made.models if made.controls else ())
        for metric, tau in (("deletion_logit_difference", 0.8), ("flip_rate", -0.2))
        for pair in combinations(made.operators, 2)
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS["rankings.csv"]))


def agreement_rows(made: Made) -> pd.DataFrame:
    rows = []
    size = (CONTROLLED, len(made.seeds))
    for model in made.models if made.controls else ():
        present = [name for name in made.methods if not made.absent(model, name)]
        for measure, most in (("spearman", 0.9), ("overlap", 0.6)):
            for method, other in combinations_with_replacement(present, 2):
                mean = most if method == other else most / 2
                rows.append((model, method, other, measure, mean, mean - 0.05, mean + 0.05, *size))
    return pd.DataFrame(rows, columns=list(COLUMNS["agreement.csv"]))


def record_rows(made: Made) -> pd.DataFrame:
    random = np.random.default_rng(0)
    rows: list[tuple[object, ...]] = []

    def add(model, seed, method, metric, operator, values) -> None:
        rows.extend(
            ("planted", model, seed, method, "", metric, operator, 0, f"s{k}", value, "ok", "")
            for k, value in enumerate(values)
        )

    easy = random.normal(size=made.sequences)
    for model in made.models:
        for seed in made.seeds:
            add(model, seed, "", "accuracy", "", 1.0 * (random.random(made.sequences) < 0.95))
            for method, quality in made.quality:
                if made.absent(model, method):
                    reason = "the model has no attention"
                    status = "not applicable"
                    rows.append(
                        ("planted", model, seed, method, "", "", "", 0, "", np.nan, status, reason)
                    )
                    continue
                noise = random.normal(scale=0.1, size=made.sequences)
                values = 4 - 2 * quality + easy + noise
                add(model, seed, method, "deletion_logit_difference", "uniform", values)
                if made.motifs:
                    add(model, seed, method, "auprc", "", 0.1 + 0.8 * quality + noise / 4)
        if made.failures:
            reason = "RuntimeError: /home/somebody/methods/broken.py: shapes (7,) and (4,) disagree"
            where = ("planted", model, made.seeds[0], "broken", "", "", "", 0, "")
            rows.append((*where, np.nan, "failed", reason))
    return pd.DataFrame(rows, columns=list(COLUMNS["results.parquet"]))


def curve_rows(made: Made) -> pd.DataFrame:
    rows = []
    ends = {"logit_difference": (6.0, -1.0), "probability": (0.97, 0.4), "accuracy": (0.97, 0.5)}
    at = np.array(FRACTIONS)
    for model in made.models:
        drawn = [(CONTROL, 0.0), *(one for one in made.quality if not made.absent(model, one[0]))]
        for method, quality in drawn:
            for order, sign in (("most relevant first", 1), ("least relevant first", -1)):
                steep = np.exp(sign * 2.2 * quality)
                for operator in made.operators:
                    for quantity, (start, end) in ends.items():
                        mean = end + (start - end) * (1 - at) ** steep
                        width = 0.03 * (start - end) * np.ones_like(at)
                        for x, y, w in zip(at, mean, width, strict=True):
                            name = "random" if method == CONTROL else order
                            what = (model, method, operator, quantity, name, x)
                            size = (made.sequences, len(made.seeds))
                            rows.append((*what, y, y - w, y + w, *size))
    return pd.DataFrame(rows, columns=list(COLUMNS["curves.csv"]))


def training_rows(made: Made) -> pd.DataFrame:
    rows = []
    for model in made.models:
        for seed in made.seeds:
            for epoch in range(9):
                fall = np.exp(-0.5 * epoch - 0.05 * seed)
                ratio = 0.15 * min(epoch / 4, 1) if model == "attngen" else 0.0
                losses = (0.1 + 0.6 * fall, 0.15 + 0.55 * fall)
                rows.append((model, seed, epoch, *losses, 0.96 - 0.4 * fall, ratio, 3.2))
    history = ["train_loss", "validation_loss", "validation_accuracy", "mask_ratio", "seconds"]
    return pd.DataFrame(rows, columns=["model", "seed", "epoch", *history])


def example_values(made: Made) -> list[dict[str, object]]:
    random = np.random.default_rng(1)
    examples = []
    for index in range(3):
        start = 20 + 13 * index
        scores: dict[str, dict[str, list[float]]] = {}
        for model in made.models:
            scores[model] = {}
            for method, quality in made.quality:
                if made.absent(model, method):
                    continue
                row = random.normal(scale=0.2 * (1.1 - quality), size=made.length)
                row[start : start + 19] += quality * random.random(19)
                signed = method not in ("saliency", "attention", "random")
                scores[model][method] = [float(x) for x in (row if signed else abs(row))]
        examples.append(
            {
                "name": f"test_{index}",
                "letters": "".join(random.choice(list("ACGT"), size=made.length)),
                "label": made.classes[1],
                "models": {m: {"predicted": made.classes[1], "probability": 0.98} for m in scores},
                "motif": [[start, start + 19]] if made.motifs else [],
                "scores": scores,
                "signed": {m: m not in ("saliency", "attention", "random") for m in made.methods},
            }
        )
    return examples


def environment(made: Made) -> dict[str, object]:
    return {
        "versions": {"xaibench": "0.1.0", "python": "3.11.7", "torch": "2.13.0", "captum": "0.9.0"},
        "command": "xaibench run /home/somebody/plans/demo.yaml -o /home/somebody/runs/demo",
        "date": "2026-01-31T10:20:30+00:00",
        "seconds": 143.2,
        "threads": 2,
        "processor": "x86_64",
        "data": "9f2c41d0a7",
        "dataset": {
            "name": "planted",
            "note": "Sequences from a Markov chain; positives carry one CTCF motif (JASPAR).",
            "facts": {"rule": "CTCF", "Bayes-optimal accuracy": "0.998"},
            "sizes": {"train": 8000, "validation": 800, "test": 2000},
            "class_names": list(made.classes),
            "test_counts": list(made.counts),
        },
        "floor": [
            {"name": "GC alone", "accuracy": 0.51, "auroc": 0.53, "auprc": 0.52, "mcc": 0.02},
            {"name": "5-mers", "accuracy": made.floor, "auroc": None, "auprc": None, "mcc": 0.63},
        ],
        "parameters": {model: 61234 + 1024 * k for k, model in enumerate(made.models)},
        "signed": {m: m not in ("saliency", "attention", "random") for m in made.methods},
        "metrics": {
            metric: {"family": family, "better": better, "definition": f"What {metric} is."}
            for metric, (family, better) in FACTS.items()
        },
        "operators": {operator: f"What {operator} does." for operator in made.operators},
        "chance": {"auprc": 0.118, "relevance_mass": 0.095} if made.motifs else {},
    }


def classification_rows(made: Made) -> pd.DataFrame:
    """Every model has the same AUROC; AUPRC is less by 0.01, the MCC by 0.1."""
    rows = [
        ("value", model, "", measure, made.auroc - less, made)
        for model in made.models
        for measure, less in (("auroc", 0), ("auprc", 0.01), ("mcc", 0.1))
    ]
    rows += [
        ("between models", model, other, measure, -0.02, made)
        for model, other in combinations(made.models, 2)
        for measure in ("auroc", "auprc", "mcc")
    ]
    names = ("mean", "low", "high", "sequences_low", "sequences_high", "sequences", "seeds")
    figures = [[interval(mean, 0.01, made)[name] for name in names] for *_, mean, made in rows]
    table = [(*row[:4], *each, "") for row, each in zip(rows, figures, strict=True)]
    return pd.DataFrame(table, columns=list(COLUMNS["classification.csv"]))


def write(folder: Path, made: Made) -> Path:
    folder.mkdir(exist_ok=True)
    plan = {
        "dataset": {"name": "planted", "path": "/home/somebody/data/x.csv"},
        "seeds": list(made.seeds),
        "models": {model: {} for model in made.models},
        "attribution": {method: {} for method in made.methods},
        "operators": list(made.operators),
        "controls": CONTROLS if made.controls else [],
        "reports": {"html": {"use": "html"}},
    }
    costs = [
        (model, seed, method, 4600 * place, 2300, 1.75, np.nan, 3e-7, 0.125, made.sequences)
        for model in made.models
        for seed in made.seeds
        for place, method in enumerate(made.methods)
        if not made.absent(model, method)
    ]
    estimates = [row for model in made.models for row in estimate_rows(made, model)]
    (folder / "plan.yaml").write_text(yaml.safe_dump(plan, sort_keys=False))
    (folder / "environment.json").write_text(json.dumps(environment(made)))
    (folder / "examples.json").write_text(json.dumps(example_values(made)))
    record_rows(made).to_parquet(folder / "results.parquet")
    curve_rows(made).to_csv(folder / "curves.csv", index=False)
    training_rows(made).to_csv(folder / "training.csv", index=False)
    pd.DataFrame(costs, columns=list(COLUMNS["cost.csv"])).to_csv(folder / "cost.csv", index=False)
    selftest_rows(made).to_csv(folder / "selftest.csv", index=False)
    operator_rows(made).to_csv(folder / "operators.csv", index=False)
    ranking_rows(made).to_csv(folder / "rankings.csv", index=False)
    agreement_rows(made).to_csv(folder / "agreement.csv", index=False)
    rank_rows(made).to_csv(folder / "ranks.csv", index=False)
    (folder / "classification.csv").unlink(missing_ok=True)
    if made.classified:
        classification_rows(made).to_csv(folder / "classification.csv", index=False)
    table = pd.DataFrame(estimates, columns=list(COLUMNS["estimates.csv"]))
    table.to_csv(folder / "estimates.csv", index=False)
    return folder


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("run"), Made())


@pytest.fixture(scope="session")
def run(run_folder: Path) -> Results:
    return read_results(run_folder)


@pytest.fixture(scope="session")
def run_page(run: Results, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The HTML report of ``run``, rendered once for all files of tests."""

    def make(place: Path) -> None:
        (place / "report.html").write_text(load("reports", "html").call(run)["report.html"])

    return (made_once(tmp_path_factory, "page", make) / "report.html").read_text()


@pytest.fixture
def make(tmp_path: Path):
    """``make(models=..., ...)``: the results of another made-up run."""

    def results(**changes: object) -> Results:
        return read_results(write(tmp_path / "run", Made(**changes)))

    return results


@pytest.fixture(scope="session")
def written():
    """``written(folder, models=..., ...)``: the folder of another made-up run."""

    def folder_of(folder: Path, **changes: object) -> Path:
        return write(folder, Made(**changes))

    return folder_of
