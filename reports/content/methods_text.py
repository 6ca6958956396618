"""What was done, in prose that can be pasted into a paper, with the works it cites."""

from __future__ import annotations

import math
import re
from collections.abc import Collection
from itertools import product
from typing import Any

from xaibench.plan.primary import PRIMARY
from xaibench.results.reading import Results
from xaibench.results.replicates import given_weights
from xaibench.results.schema import Question

from ..format.names import first_upper, label
from ..format.numbers import listed
from ..format.replicates import SEEDS, replicate_terms
from ..format.select import (
    estimates_of,
    has_classes,
    has_train,
    models_of,
    operator_of,
    seed_counts,
    seeds_with_records,
    single_output,
    without_classes,
)
from ..tables.table import Cell, Table, heads
from .citations import (
    BY_LRP_RULE,
    CORRECTED,
    METHODS,
    METRICS,
    SHUFFLED,
    Publication,
    cited,
    works,
)


def account(results: Results) -> str:
    """The methods paragraph."""
    parts = (_models(results), _explained_text(results), _measured_by(results), _ranked(results))
    return " ".join(part for part in (*parts, _statistics(results), _software(results)) if part)


def cited_works(text: str) -> list[Publication]:
    """The works that a text cites."""
    return [work for cited_as, work in works().items() if cited_as in text]


def works_cited(text: str) -> Table | None:
    """The works that a text cites, in full; None where it cites none."""
    rows = tuple((Cell(work.cited_as), Cell(work.reference)) for work in cited_works(text))
    header = heads("Cited as", "Work", prose=(0, 1))
    return Table("The works cited", header, rows, folded=True) if rows else None


def _models(results: Results) -> str:
    """Which models were trained, on how many sequences, under how many seeds, and which were given
    with their weights."""
    given = given_weights(results)
    models = models_of(results)
    trained = [] if not has_train(results) else [name for name in models if name not in given]
    elsewhere = [name for name in models if name not in trained]
    clauses = filter(None, [_trained(results, trained), _trained_elsewhere(results, elsewhere)])
    first, *others = [*clauses, ""]
    sentences = [f"{first}{_note(results)}.", *(f"{clause}." for clause in others if clause)]
    return " ".join(sentences) + _not_explained(results)


def _trained(results: Results, names: list[str]) -> str:
    """The models that the run trained."""
    if not names:
        return ""
    sizes = _sizes_of_data(results)
    on = f" on {sizes['train']:,} sequences" if "train" in sizes else ""
    tested = f" and tested on {sizes['test']:,}" if "test" in sizes else ""
    seeds = _seeds_per_model(results, names)
    return f"{_subject(names)} trained under {seeds}{on}{tested}"


def _trained_elsewhere(results: Results, names: list[str]) -> str:
    """The models that came with their weights."""
    if not names:
        return ""
    given, sizes = given_weights(results), _sizes_of_data(results)
    applied = f" to {sizes['test']:,} sequences" if "test" in sizes else ""
    counts = [len(given[name]) for name in names if name in given]
    several = max(counts, default=1) > 1
    each = f", in {_number_range(counts)} replicates{' each' * (len(names) > 1)}," * several
    return f"{_subject(names)} trained elsewhere{each} and applied{applied}"


def _subject(names: list[str]) -> str:
    """The models as the subject of a sentence, with its verb."""
    readable = listed([_readable(name) for name in names])
    return f"The models {readable} were" if len(names) > 1 else f"The model {readable} was"


def _note(results: Results) -> str:
    """Where the data come from, in parentheses."""
    note = (results.environment.get("dataset") or {}).get("note")
    return f" ({str(note).rstrip('.')})" if note else ""


def _seeds_per_model(results: Results, names: list[str]) -> str:
    by_model = seed_counts(results)
    counts = [by_model[name] for name in names if name in by_model]
    if max(counts, default=1) == 1:
        return "one seed each"
    return f"{_number_range(counts)} seeds{' each' if len({*counts}) == 1 else ''}"


def _not_explained(results: Results) -> str:
    """The models of which nothing is explained by the plan."""
    names = [name for name, most in _limits(results, "models").items() if most == 0]
    return f" Nothing was explained of {listed(map(_readable, names))}." if names else ""


def _explained_text(results: Results) -> str:
    """What was explained, by which methods, with what references."""
    used = _used(results, "attribution")
    named = [cited(_readable(name), _sources(results, name, used[name])) for name in used]
    counts = _explained_counts(results)
    many = f" of {_number_range(counts)} test sequences" if counts else ""
    target = "true" if results.plan.get("target") == "label" else "predicted"
    what = f"The logit of the {target} class{_less_the_others(results)}"
    single = [_readable(name) for name in single_output(results)]
    if not has_classes(results):
        what = "The output"
    elif single:
        of_single = f"the single output of {listed(single)}"
        what = first_upper(of_single) if without_classes(results) else f"{what} or {of_single}"
    text = f"{what}{many} was explained by {listed(named)}." if named else ""
    imported = [_readable(name) for name, plug_in in used.items() if plug_in == "scores"]
    if imported:
        text += f" The scores of {listed(imported)} were computed elsewhere and read from files."
    if CORRECTED & set(used.values()):
        text += " Gradients were corrected for the simplex (Majdandzic et al. 2023)."
    if SHUFFLED & set(used.values()):
        text += " References were 20 dinucleotide shuffles (Altschul and Erickson 1985)."
    return text


def _less_the_others(results: Results) -> str:
    """What is subtracted of the explained logit; nothing in runs of three classes up to 0.1.0."""
    classes = len((results.environment.get("dataset") or {}).get("class_names") or ())
    if classes > 2:
        return ", less the mean of the others," * ("explained" in results.environment)
    return ", less that of the other,"


def _measured_by(results: Results) -> str:
    """The metrics with their sources, and on how many sequences."""
    used = _used(results, "metrics")
    named = [cited(label(name), METRICS.get(plug_in, ())) for name, plug_in in used.items()]
    most = [known for known in _limits(results, "metrics").values() if known is not None]
    each = (
        f", each on at most {_number_range(most)} sequences"
        if _restricted(results, "metrics")
        else ""
    )
    return f"Explanations were measured by {listed(named)}{each}{_replaced(results)}." * bool(named)


def _replaced(results: Results) -> str:
    """On how many sequences bases were replaced, where an operator has fewer than others."""
    fewer = {
        name: _limits(results, "operators")[name] for name in _restricted(results, "operators")
    }
    limits = (f"at most {most:,} under {_readable(name)}" for name, most in fewer.items())
    return f"; bases were replaced in {listed(limits)}" if fewer else ""


def _ranked(results: Results) -> str:
    """How methods were ranked; nothing where no deletion was measured."""
    if estimates_of(results, question=Question.AGAINST_RANDOM, metric=PRIMARY).empty:
        return ""
    draws = results.plan.get("random_draws", 10)
    differing = len({*_limits(results, "attribution").values()}) > 1
    shared = ", over the sequences that all explained" if differing else ""
    quantity = "the logit difference" if has_classes(results) else "the output"
    text = (
        f"Methods were ranked by the area under the deletion curve of {quantity} "
        f"(operator {operator_of(results)}), as the paired difference to {draws} random orders of "
        f"the same positions and bases{shared}."
    )
    if len(results.selftest):
        text += (
            " A metric ranked nothing on a model on which it did not put the oracle above random "
            "and random above the negated oracle, or put the blurred oracle above the oracle."
        )
    return text


def _statistics(results: Results) -> str:
    """Which intervals and tests the numbers have, and of which population."""
    groups = (results.environment.get("clusters") or {}).get("explained", 0)
    units = "whole groups of sequences" if groups else "sequences"
    drawn = f" The explained sequences are of {groups:,} groups (Bell and McCaffrey 2002)."
    more = f" (Holm 1979).{drawn * bool(groups)}"
    if len(seeds_with_records(results)) < 2:
        return (
            f"Intervals (95 %) and p values are of t over {units}, widened for skewness (Hall "
            f"1992), and hold for these trained models; p is corrected over the methods of a model"
            f"{more}"
        )
    one = 1 in seed_counts(results).values()
    terms = replicate_terms(results)
    on_others = " on other sequences" if terms == SEEDS else " and over sequences"
    single = f"; of a model with one {terms.noun} they hold for that model" * one
    return (
        f"Intervals (95 %) and p values are {terms.over}{on_others}: {terms.nouns} and {units} "
        "are crossed, and the half-widths by t of each add as squares (Banerjee 1961), "
        f"that of {units} widened for skewness (Hall 1992){single}. p is corrected over the "
        f"methods of a model{more}"
    )


def _software(results: Results) -> str:
    """The versions of what computed; nothing where the run has none."""
    versions = results.environment.get("versions") or {}
    own = versions.get("xaibench")
    if not own:
        return ""
    sources = {
        "torch": ("PyTorch", "Paszke et al. 2019"),
        "captum": ("Captum", "Kokhlikyan et al. 2020"),
    }
    others = [
        f"{name} {versions[package]} ({work})"
        for package, (name, work) in sources.items()
        if package in versions
    ]
    beside = f" with {listed(others)}" if others else ""
    python = f" under Python {versions['python']}" if "python" in versions else ""
    return f"All was computed by xaibench {own}{beside}{python}."


def _limits(results: Results, section: str) -> dict[str, int | None]:
    """Label -> the largest number of its sequences: those explained, or fewer where the plan says
    so; None where nothing is known."""
    planned = results.plan.get(section)
    options: dict[str, Any] = planned if isinstance(planned, dict) else {}
    every = _sizes_of_data(results).get("explained")
    limits = {name: ((own or {}).get("sequences"), every) for name, own in options.items()}
    return {
        name: min((most for most in each if most is not None), default=None)
        for name, each in limits.items()
    }


def _restricted(results: Results, section: str) -> list[str]:
    """The labels that have fewer sequences than are explained."""
    every, known = _sizes_of_data(results).get("explained", math.inf), _limits(results, section)
    return [name for name, most in known.items() if most is not None and most < every]


def _sizes_of_data(results: Results) -> dict[str, int]:
    """How many sequences the parts of the data have, as far as the run states it."""
    data = results.environment.get("dataset") or {}
    return dict(data.get("sizes") or {})


def _explained_counts(results: Results) -> list[int]:
    """Of how many sequences a method explained a model, for every pair of them."""
    models, methods = (_limits(results, section) for section in ("models", "attribution"))
    pairs = product(models.values(), methods.values())
    counts = [min(known) for pair in pairs if (known := [one for one in pair if one is not None])]
    return [count for count in counts if count]


def _number_range(counts: Collection[int]) -> str:
    """``300`` or ``300 to 3,000``."""
    return " to ".join(f"{count:,}" for count in sorted({min(counts), max(counts)}))


def _used(results: Results, section: str) -> dict[str, str]:
    """What the plan names in a section -> the plug-in behind it."""
    planned = results.plan.get(section)
    options: dict[str, Any] = planned if isinstance(planned, dict) else {}
    return {name: str((own or {}).get("use", name)) for name, own in options.items()}


def _sources(results: Results, name: str, plug_in: str) -> tuple[str, ...]:
    """Where a method comes from, by its plug-in, and of LRP by its rule."""
    planned = results.plan.get("attribution")
    options = (planned.get(name) if isinstance(planned, dict) else None) or {}
    of_rule = BY_LRP_RULE.get(options.get("rule", ""), ()) if plug_in == "lrp" else ()
    return of_rule or METHODS.get(plug_in, ())


def _readable(name: str) -> str:
    return re.sub(r"_+", " ", name).strip()
