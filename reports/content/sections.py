"""What a report says and in which order, whatever it is rendered to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from pathlib import PurePath
from typing import Any

import yaml

from xaibench.results.reading import Results
from xaibench.results.schema import Question

from ..format.names import curve_of, metrics_of, parts_signed_from_unsigned
from ..format.numbers import ABSENT
from ..format.select import methods_of, models_of, seeds_of
from ..tables.accuracy import accuracy, accuracy_differences, floor
from ..tables.agreement import matrices
from ..tables.certainty import can_show, certainty
from ..tables.claims import claims, rules
from ..tables.controls import controls
from ..tables.cost import cost, guards
from ..tables.discrimination import (
    LACKING,
    discrimination,
    discrimination_differences,
)
from ..tables.failures import unmeasured
from ..tables.grid import Cell, Table
from ..tables.leaderboard import by_seed, leaderboard
from ..tables.metrics import between, gaps, measures, randomisation, stability
from ..tables.operators import agreement_of_operators, distances, least_agreement
from ..tables.pareto import score_and_cost
from ..tables.selftest import comparisons, failures, outcomes, summary
from ..tables.training import converged, masked
from .methods_text import account, works

AGAINST_RANDOM = (
    "▲ better than random, ▼ worse, ≈ the interval of the paired difference to random holds 0. "
    "Figures in brackets are 95 % intervals; with one seed they are over sequences only."
)
MARKS = "↑ higher is better, ↓ lower. " + AGAINST_RANDOM
GUARDS = (
    "Guards watch every explanation: the completeness error is the largest, as a share of the "
    "change of the output (RMS); made again is how far the scores of a few sequences move, as a "
    "share of the largest, when they are explained in other company; flat maps score every "
    "position the same."
)
DIFFERENCES = (
    "▲ better, ▼ worse, ≈ the interval of the paired difference holds 0, so it cannot be told."
)


@dataclass(frozen=True, slots=True)
class Section:
    """A heading, a few words on how to read what follows, and the tables."""

    slug: str
    title: str
    lead: str
    tables: tuple[Table, ...]


@lru_cache(maxsize=1)
def sections(results: Results) -> list[Section]:
    """Every section that this run has something to say in; ``what was run`` stands last."""
    models = models_of(results)
    every = (
        _claims(results),
        _leaderboard(results, models),
        _between(results, models),
        _certainty(results),
        _accuracy(results),
        _faithfulness(results, models),
        _controls(results, models),
        _operators(results, models),
        _stability(results, models),
        _localisation(results, models),
        _randomisation(results, models),
        _complexity(results, models),
        _other(results, models),
        _selftest(results, models),
        _agreement(results, models),
        _cost(results, models),
        Section(
            "unmeasured",
            "What did not apply or failed",
            "A method that has no meaning for a model is no failure; one that raised is.",
            _present([unmeasured(results)]),
        ),
        _methods(results),
        Section("run", "What was run", "", (about(results), models_table(results))),
    )
    return [section for section in every if section.tables]


def _leaderboard(results: Results, models: list[str]) -> Section:
    normalised = (
        "Normalised is the gap as a share of the oracle's: 0 is random, 1 an order that knows the "
        "answer; it stands on fewer sequences where its head says so. "
        if (results.estimates["question"] == Question.NORMALISED).any()
        else ""
    )
    return Section(
        "leaderboard",
        "Which method finds what the model uses?",
        "Positions are replaced from the highest score down, and the area under the falling logit "
        "difference is compared with that of random positions, sequence by sequence. The gap is "
        "random minus method: 0 is no better than chance, larger is better. " + normalised + "d_z "
        "is the mean of the paired differences over their standard deviation; p values are "
        "two-sided and corrected after Holm over the methods of a model.",
        _present(of(results, model) for model in models for of in (leaderboard, by_seed)),
    )


def _claims(results: Results) -> Section:
    return Section(
        "claims",
        "Do the claims hold?",
        "The rules of the verdicts were fixed before the run; anything between them cannot be told "
        "at this n. p values are corrected after Holm over all claims. " + rules(results),
        tuple(claims(results)),
    )


def _accuracy(results: Results) -> Section:
    return Section(
        "accuracy",
        "How good are the models?",
        "An explanation is worth as much as the model it explains, and a model that does no "
        "better than the floor may have learnt no more than it. k-mers: logistic regression on "
        "how often each word of k bases occurs. AUROC, AUPRC and MCC do not flatter a model that "
        "knows the largest class alone: by chance they are 0.5, the share of the class, and 0."
        + ("" if len(results.classification) else f" {LACKING}"),
        _present(
            [
                accuracy(results),
                discrimination(results),
                floor(results),
                accuracy_differences(results),
                discrimination_differences(results),
                converged(results),
                masked(results),
            ]
        ),
    )


def _certainty(results: Results) -> Section:
    return Section(
        "certainty",
        "How sure is this?",
        "Each method is compared with the first on the same sequences and seeds, and its verdict "
        "says whether the two can be told apart. P(best) is how often a method has the best mean "
        "when sequences and seeds are drawn anew; it flatters the first, which was found on the "
        f"same data. {can_show(results)}".strip(),
        tuple(certainty(results)),
    )


def _selftest(results: Results, models: list[str]) -> Section:
    lead = (
        "A metric is put to maps whose order is known before it may order methods: the oracle must "
        "come out above random, random above the negated oracle, and the blurred oracle must not "
        "come out above the oracle, by intervals for these trained models. A metric that fails "
        "cannot discriminate here and ranks nothing. " + summary(results) + DIFFERENCES + " "
    )
    return Section(
        "selftest",
        "What was not ranked, and why?",
        (lead if len(results.selftest) else "") + GUARDS,
        _present(
            [
                failures(results),
                guards(results),
                outcomes(results),
                *(comparisons(results, model) for model in models),
            ]
        ),
    )


def _faithfulness(results: Results, models: list[str]) -> Section:
    return Section(
        "deletion",
        "What happens while positions are replaced",
        "Replaced positions take the bases of one donor, the same for all methods. Deletion starts "
        "with the most relevant position and should fall fast; insertion is the area while the "
        "least relevant go first and should stay high. Every number is the gap to random, turned "
        "so that larger is better. " + _apart(results) + AGAINST_RANDOM,
        tuple(table for model in models for table in gaps(results, model)),
    )


def _apart(results: Results) -> str:
    """What keeps signed and unsigned methods apart, where a metric does."""
    families = {curve_of(metric)[0] for metric in metrics_of(results, "faithfulness")}
    named = sorted(name for name in families if parts_signed_from_unsigned(results, name))
    if not named:
        return ""
    return (
        f"Signed and unsigned methods are not to be compared on {', '.join(named)}, and are ranked "
        "and corrected apart: a signed method puts evidence against the class last, where an "
        "unsigned one puts what does not matter. "
    )


def _controls(results: Results, models: list[str]) -> Section:
    priors = (
        "On the known motif also minus maps that never saw the model. "
        if metrics_of(results, "localisation")
        else ""
    )
    return Section(
        "controls",
        "Against controls",
        "A method minus a control made from its own map, on the same sequences: the map moved "
        "along the sequence (rotated), that of another sequence of the class, the mean of all maps "
        "(mean map), turned round (negated) or smeared (blurred). " + priors + "A method that does "
        "not beat its mean map tells where to look, not what stands there. " + DIFFERENCES,
        tuple(table for model in models for table in controls(results, model)),
    )


def _operators(results: Results, models: list[str]) -> Section:
    of_models = (distances, agreement_of_operators)
    every = [table(results, model) for model in models for table in of_models]
    return Section(
        "operators",
        "Does it matter what replaces a base?",
        "An operator that pushes sequences far from the data asks the model about what it never "
        "saw. The first rows tell how much the log-likelihood of a sequence (under words of k "
        "bases, fitted to train) and the largest probability of the model change when this share "
        "of the positions, drawn at random, is replaced. Kendall's tau is 1 where two operators "
        "order the methods alike, and 0 where they have nothing in common. " + DIFFERENCES,
        _present([*every, least_agreement(results)]),
    )


def _localisation(results: Results, models: list[str]) -> Section:
    return Section(
        "localisation",
        "Do the scores lie on the known motif?",
        "AUPRC: average precision of the scores against the motif's positions. Relevance mass: the "
        "share of the positive score on the motif. Both for the true label. A random order's AUPRC "
        "lies above the share of motif positions, which is the chance of relevance mass. "
        + _defined(results)
        + MARKS,
        _present(measures(results, model, "localisation") for model in models),
    )


def _stability(results: Results, models: list[str]) -> Section:
    return Section(
        "stability",
        "Are the explanations stable?",
        "A map that never changes is perfectly stable and says nothing: nothing is ranked here, "
        "and each number stands beside its difference to that of the method's mean map, the same "
        "for every sequence, where controls ran. Agreement and consistency are Spearman "
        "correlations, agreement for the true label; sensitivity is the largest relative change "
        "under single substitutions. " + _defined(results) + MARKS,
        tuple(table for model in models for table in stability(results, model)),
    )


def _randomisation(results: Results, models: list[str]) -> Section:
    return Section(
        "randomisation",
        "Do the explanations depend on what was learnt?",
        "How alike the maps of a model are before and after its weights are drawn anew: from the "
        "output down to the layer that heads a column (cascading), or in that layer alone "
        "(independent). A map that stays the same does not tell of the weights. Nothing is ranked "
        "here. " + _defined(results) + MARKS,
        tuple(table for model in models for table in randomisation(results, model)),
    )


def _complexity(results: Results, models: list[str]) -> Section:
    return Section(
        "complexity",
        "How concentrated are the maps?",
        "A description, no merit: few positions are right where the model uses few. "
        + _defined(results),
        _present(measures(results, model, "complexity") for model in models),
    )


def _agreement(results: Results, models: list[str]) -> Section:
    return Section(
        "agreement",
        "Do the methods agree?",
        "Two methods on the same model and seed, averaged over sequences. The diagonal is there to "
        "compare with: one method on two models that differ by their seed alone. Agreement is no "
        "proof, for methods may share a fault.",
        tuple(table for model in models for table in matrices(results, model)),
    )


def _between(results: Results, models: list[str]) -> Section:
    return Section(
        "between",
        "The same method on two models",
        "Paired differences; for deletion, of the gap to random. ▲ better on the first model, ▼ on "
        "the second, ≈ the interval holds 0.",
        _present(between(results, *pair) for pair in combinations(models, 2)),
    )


def _other(results: Results, models: list[str]) -> Section:
    return Section(
        "other",
        "Other measures",
        "Metrics that came with the run. " + MARKS,
        _present(measures(results, model, "other") for model in models),
    )


def _cost(results: Results, models: list[str]) -> Section:
    return Section(
        "cost",
        "What it costs",
        "● on the front: no other method is at least as good and cheaper; the cheapest is on it "
        "however little it finds. Forwards and backwards are passes of one sequence through the "
        "model.",
        _costs(results, models),
    )


def _costs(results: Results, models: list[str]) -> tuple[Table, ...]:
    """Cost beside the score, and alone only where a method has a cost and no score."""
    scored = _present(score_and_cost(results, model) for model in models)
    weighed = sum(len(table.rows) for table in scored)
    every = results.cost[["model", "method"]].drop_duplicates()
    return scored if weighed == len(every) else _present([*scored, cost(results)])


def _methods(results: Results) -> Section:
    text = account(results)
    title = "What was done, for a methods section"
    return Section("methods", title, text, _present([works(text)]))


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
        "Methods": _list(methods_of(results)),
        "Operators": _list(results.plan.get("operators")),
        "Seeds": _list(seeds_of(results)),
        "Versions": _pairs(told.get("versions")),
        "Processor": told.get("processor"),
        "Threads": told.get("threads"),
        "Date": told.get("date"),
        "Seconds, all calls": told.get("seconds"),
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
        size = f"{sizes[model]:,}" if model in sizes else ABSENT
        rows.append((Cell(model), Cell(_pairs(options.get(model)) or "as they are"), Cell(size)))
    header = ("Model", "Options", "Parameters")
    return Table("The models", header, tuple(rows), words=frozenset({0, 1}))


def plan_text(results: Results) -> str:
    """The resolved plan as YAML."""
    return yaml.safe_dump(
        results.plan, sort_keys=False, allow_unicode=True, default_flow_style=None, width=100
    )


def title(results: Results) -> str:
    planned = results.plan.get("dataset")
    options = planned if isinstance(planned, dict) else {}
    path = PurePath(str(options.get("path") or "")).name
    data = results.environment.get("dataset") or {}
    name = options.get("dataset") or path or data.get("name", "a DNA classifier")
    if "stands in for" in (data.get("facts") or {}):
        name = f"a stand-in for {name}"
    return f"Which explanation to trust: {name}"


def _defined(results: Results) -> str:
    """Where the definitions of the metrics stand, if the run tells them."""
    told = (results.environment.get("metrics") or {}).values()
    return "Every metric is defined at the end. " if any(m.get("definition") for m in told) else ""


def _present(found: Iterable[Table | None]) -> tuple[Table, ...]:
    return tuple(table for table in found if table is not None)


def _list(words: Any) -> str:
    return ", ".join(str(word) for word in words or ())


def _pairs(named: Any) -> str:
    """A mapping in one line, without what is not set."""
    if not isinstance(named, dict):
        return "" if named is None else str(named)
    known = {name: v for name, v in named.items() if v is not None}
    inner = {name: f"({_pairs(v)})" if isinstance(v, dict) else v for name, v in known.items()}
    return ", ".join(f"{name} {said}" for name, said in inner.items())
