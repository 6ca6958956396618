"""What was done, in prose that can be pasted into a paper, with the works it cites."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from xaibench.results import Results

from .citations import CORRECTED, METHODS, METRICS, SHUFFLED, WORKS, cited
from .grid import Cell, Table
from .measures import label
from .selection import PRIMARY, estimates_of, models_of, operator_of, seeds_of


def account(results: Results) -> str:
    """The methods paragraph."""
    parts = (_models(results), _explained(results), _measured(results), _compared(results))
    return " ".join(part for part in (*parts, _statistics(results), _software(results)) if part)


def works(text: str) -> Table | None:
    """The works that a text cites, in full; None where it cites none."""
    found = [work for work in WORKS if work in text]
    rows = tuple((Cell(work), Cell(f"{WORKS[work]} ({_year(work)}).")) for work in found)
    head = ("Cited as", "Work")
    words = frozenset({0, 1})
    return Table("The works cited", head, rows, words, folded=True) if rows else None


def _year(work: str) -> str:
    return work.rsplit(" ", 1)[-1]


def _models(results: Results) -> str:
    data = results.environment.get("dataset") or {}
    sizes, seeds = data.get("sizes") or {}, len(seeds_of(results))
    names = _and([name.replace("_", " ") for name in models_of(results)])
    trained = f" on {sizes['train']:,} sequences" if "train" in sizes else ""
    tested = f" and tested on {sizes['test']:,}" if "test" in sizes else ""
    every = f"{seeds} seeds each" if seeds > 1 else "one seed each"
    plural = len(models_of(results)) > 1
    word = "The models" if plural else "The model"
    verb = "were" if plural else "was"
    note = f" ({str(data['note']).rstrip('.')})" if data.get("note") else ""
    return f"{word} {names} {verb} trained under {every}{trained}{tested}{note}."


def _explained(results: Results) -> str:
    used = _used(results, "attribution")
    named = [cited(_plain(name), METHODS.get(plug_in, ())) for name, plug_in in used.items()]
    sizes = (results.environment.get("dataset") or {}).get("sizes") or {}
    many = f" of {sizes['explained']:,} test sequences" if "explained" in sizes else ""
    target = "true" if results.plan.get("target") == "label" else "predicted"
    what = f"The logit of the {target} class, less that of the other where there are two,"
    told = f"{what}{many} was explained by {_and(named)}." if named else ""
    if CORRECTED & set(used.values()):
        told += " Gradients were corrected for the simplex (Majdandzic et al. 2023)."
    if SHUFFLED & set(used.values()):
        told += " References were 20 dinucleotide shuffles (Altschul and Erickson 1985)."
    return told


def _measured(results: Results) -> str:
    used = _used(results, "metrics")
    named = [cited(label(name), METRICS.get(plug_in, ())) for name, plug_in in used.items()]
    return f"Explanations were measured by {_and(named)}." if named else ""


def _compared(results: Results) -> str:
    if estimates_of(results, question="against random", metric=PRIMARY).empty:
        return ""
    draws = results.plan.get("random_draws", 10)
    told = (
        f"Methods were ranked by the area under the deletion curve of the logit difference "
        f"(operator {operator_of(results)}), as the paired difference to {draws} random orders of "
        "the same positions and bases."
    )
    if len(results.selftest):
        told += (
            " A metric ranked nothing on a model on which it did not put the oracle above random "
            "and random above the negated oracle."
        )
    return told


def _statistics(results: Results) -> str:
    if len(seeds_of(results)) < 2:
        return (
            "Intervals (95 %) are percentiles of a bootstrap over sequences and hold for these "
            "trained models; p values are of sign flips, corrected after Holm 1979."
        )
    return (
        "Intervals (95 %) are the wider of a bootstrap that draws seeds and sequences crosswise "
        "(Owen 2007) and of t over seed means; p values are of a paired t test over seed means and "
        "of sign flips over sequences, corrected over the methods of a model (Holm 1979)."
    )


def _software(results: Results) -> str:
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
    beside = f" with {_and(others)}" if others else ""
    python = f" under Python {versions['python']}" if "python" in versions else ""
    return f"All was computed by xaibench {own}{beside}{python}."


def _used(results: Results, section: str) -> dict[str, str]:
    """What the plan names in a section -> the plug-in behind it."""
    planned = results.plan.get(section)
    options: dict[str, Any] = planned if isinstance(planned, dict) else {}
    return {name: str((own or {}).get("use", name)) for name, own in options.items()}


def _plain(name: str) -> str:
    return re.sub(r"_+", " ", name).strip()


def _and(words: Sequence[str]) -> str:
    """``a, b and c``."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
