"""What a report says and in which order, whatever it is rendered to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations
from pathlib import PurePath
from typing import Any

import yaml

from xaibench.results import Results

from . import tables
from .measures import curve_of, metrics_of, parts_signed_from_unsigned
from .tables import Cell, Table, models_of

MARKS = (
    "↑ higher is better, ↓ lower. ▲ better than random, ▼ worse, "
    "≈ the interval of the paired difference to random holds 0. "
    "Figures in brackets are 95 % intervals; with one seed they are over sequences only."
)


@dataclass(frozen=True, slots=True)
class Section:
    """A heading, a few words on how to read what follows, and the tables."""

    slug: str
    title: str
    lead: str
    tables: tuple[Table, ...]


def sections(results: Results) -> list[Section]:
    """Every section that this run has something to say in; ``what was run`` stands last."""
    models = models_of(results)
    every = (
        _leaderboard(results, models),
        Section(
            "accuracy",
            "How good are the models?",
            "An explanation is worth as much as the model it explains, and a model that does no "
            "better than the floor may have learnt no more than it. k-mers: logistic regression on "
            "how often each word of k bases occurs.",
            _present(
                [
                    tables.accuracy(results),
                    tables.floor(results),
                    tables.accuracy_differences(results),
                ]
            ),
        ),
        _curves(results, models),
        _localisation(results, models),
        _stability(results, models),
        _between(results, models),
        _other(results, models),
        Section(
            "unmeasured",
            "What did not apply or failed",
            "A method that has no meaning for a model is no failure; one that raised is.",
            _present([tables.unmeasured(results)]),
        ),
        Section(
            "cost",
            "What it costs, and what the guards saw",
            "Passes of one sequence through the model; the completeness error is the largest, as "
            "a share of the change of the output (RMS). Made again: how far the scores of a few "
            "sequences move, as a share of the largest, when they are explained in other company; "
            "flat maps score every position the same.",
            _present([tables.cost(results)]),
        ),
        Section(
            "run",
            "What was run",
            "",
            (about(results), models_table(results)),
        ),
    )
    return [section for section in every if section.tables]


def _leaderboard(results: Results, models: list[str]) -> Section:
    return Section(
        "leaderboard",
        "Which method finds what the model uses?",
        "Positions are replaced from the highest score down, and the area under the falling logit "
        "difference is compared with that of random positions, sequence by sequence. The gap is "
        "random minus method: 0 is no better than chance, larger is better. d_z is the mean of "
        "the paired differences over their standard deviation; p values are two-sided and "
        "corrected after Holm over the methods of a model.",
        _present(tables.leaderboard(results, model) for model in models),
    )


def _curves(results: Results, models: list[str]) -> Section:
    return Section(
        "deletion",
        "What happens while positions are replaced",
        "Replaced positions take the bases of one donor, the same for all methods. Deletion starts "
        "with the most relevant position and should fall fast; insertion is the area while the "
        "least relevant go first and should stay high. " + _apart(results) + MARKS,
        tuple(table for model in models for table in tables.gaps(results, model)),
    )


def _apart(results: Results) -> str:
    """What keeps signed and unsigned methods apart, where a metric does."""
    families = {curve_of(metric)[0] for metric in metrics_of(results, "curves")}
    named = sorted(name for name in families if parts_signed_from_unsigned(results, name))
    if not named:
        return ""
    return (
        f"Signed and unsigned methods are not to be compared on {', '.join(named)}, and are ranked "
        "and corrected apart: a signed method puts evidence against the class last, where an "
        "unsigned one puts what does not matter. "
    )


def _localisation(results: Results, models: list[str]) -> Section:
    return Section(
        "localisation",
        "Do the scores lie on the known motif?",
        "AUPRC: average precision of the scores against the motif's positions. Relevance mass: the "
        "share of the positive score on the motif. Both for the true label. A random order's AUPRC "
        "lies above the share of motif positions, which is the chance of relevance mass. " + MARKS,
        _present(tables.measures(results, model, "localisation") for model in models),
    )


def _stability(results: Results, models: list[str]) -> Section:
    return Section(
        "stability",
        "Are the explanations stable?",
        "A map that never changes is perfectly stable and says nothing: read this beside the "
        "leaderboard. Agreement and consistency are Spearman correlations, agreement for the true "
        "label; sensitivity is the "
        "largest relative change under single substitutions. " + MARKS,
        _present(tables.measures(results, model, "stability") for model in models),
    )


def _between(results: Results, models: list[str]) -> Section:
    return Section(
        "between",
        "The same method on two models",
        "Paired differences; for deletion, of the gap to random. ▲ better on the first model, ▼ on "
        "the second, ≈ the interval holds 0.",
        _present(tables.between(results, *pair) for pair in combinations(models, 2)),
    )


def _other(results: Results, models: list[str]) -> Section:
    return Section(
        "other",
        "Other measures",
        "Metrics that came with the run. " + MARKS,
        _present(tables.measures(results, model, "other") for model in models),
    )


def about(results: Results) -> Table:
    """The run in a few lines: the data, the software, the machine, the command."""
    told = results.environment
    data = told.get("dataset") or {}
    lines = {
        "Dataset": data.get("name"),
        "Where the data come from": data.get("note"),
        **(data.get("facts") or {}),
        "Sequences": _pairs(data.get("sizes")),
        "Classes": _list(data.get("classes") or data.get("class_names")),
        "Fingerprint of the data": told.get("data"),
        "Methods": _list(tables.methods_of(results)),
        "Operators": _list(results.plan.get("operators")),
        "Seeds": _list(tables.seeds_of(results)),
        "Versions": _pairs(told.get("versions")),
        "Processor": told.get("processor"),
        "Threads": told.get("threads"),
        "Date": told.get("date"),
        "Seconds": told.get("seconds"),
        "Command": told.get("command"),
    }
    rows = tuple((Cell(name), Cell(str(said))) for name, said in lines.items() if said)
    return Table("The run", ("What", "Value"), rows, words=frozenset({0, 1}))


def models_table(results: Results) -> Table:
    """Each model with its options and its size."""
    planned = results.plan.get("models")
    options = planned if isinstance(planned, dict) else {}
    sizes = results.environment.get("parameters") or {}
    rows = []
    for model in models_of(results):
        size = f"{sizes[model]:,}" if model in sizes else tables.ABSENT
        rows.append((Cell(model), Cell(_pairs(options.get(model)) or "as they are"), Cell(size)))
    header = ("Model", "Options", "Parameters")
    return Table("The models", header, tuple(rows), words=frozenset({0, 1}))


def plan_text(results: Results) -> str:
    """The resolved plan as YAML."""
    return yaml.safe_dump(results.plan, sort_keys=False, allow_unicode=True)


def title(results: Results) -> str:
    planned = results.plan.get("dataset")
    options = planned if isinstance(planned, dict) else {}
    path = PurePath(str(options.get("path") or "")).name
    data = results.environment.get("dataset") or {}
    name = options.get("dataset") or path or data.get("name", "a DNA classifier")
    return f"Which explanation to trust: {name}"


def _present(found: Iterable[Table | None]) -> tuple[Table, ...]:
    return tuple(table for table in found if table is not None)


def _list(words: Any) -> str:
    return ", ".join(str(word) for word in words or ())


def _pairs(named: Any) -> str:
    """A mapping in one line."""
    if not isinstance(named, dict):
        return "" if named is None else str(named)
    return ", ".join(f"{name} {said}" for name, said in named.items())
