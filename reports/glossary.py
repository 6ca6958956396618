"""The words of a report, as the plan of the run makes them true."""

from __future__ import annotations

from xaibench.results import Results

from .tables import ABSENT, DRAWS, number

OPERATORS = {"n": "n is an unknown base", "uniform": "uniform a random one"}

ALWAYS = (
    ("Gap to random", "How far the method's area lies on the good side of that of random orders."),
    (
        "95 % interval",
        "For retraining: the wider of a crossed bootstrap over seeds and sequences "
        "and of t over seed means.",
    ),
    ("These models", "The trained models held fixed: only the sequences could have been others."),
    ("p these models", "Sign flips of the paired differences over sequences."),
    ("p retraining", "Paired t over the means of the seeds: few seeds can show little."),
    ("Undefined", "A value that has no meaning for a sequence; it is left out and counted."),
    (ABSENT, "Not known; the letter beside it gives the reason."),
)


def glossary(results: Results) -> list[tuple[str, str]]:
    """The words a reader needs, each with its meaning in this run."""
    draws = results.plan.get("random_draws", DRAWS)
    return [
        ("Explained class", _explained(results)),
        (
            "What is explained",
            "The logit of that class minus the other's (two classes), else its logit.",
        ),
        ("Logit difference", "The same quantity, read while positions are replaced."),
        *_curve(results),
        ("Operator", _operator(results)),
        ("Random control", f"{draws} random orders a sequence with the same replaced bases."),
        *_chance(results),
        *ALWAYS,
    ]


def _explained(results: Results) -> str:
    if results.plan.get("target") == "label":
        return "The true class of the sequence, everywhere."
    return (
        "The class the model predicts for the intact sequence; for localisation and agreement "
        "between seeds the true one."
    )


def _curve(results: Results) -> list[tuple[str, str]]:
    fractions = results.plan.get("fractions") or ()
    shares = ", ".join(f"{100 * fraction:g}" for fraction in fractions)
    meaning = (
        f"What is read at {len(fractions)} points, where {shares} % of the known positions are "
        "replaced; its area is that over the whole way."
    )
    return [("Curve", meaning)] if fractions else []


def _operator(results: Results) -> str:
    planned = [name for name in OPERATORS if name in (results.plan.get("operators") or ())]
    told = ", ".join(OPERATORS[name] for name in planned)
    return f"What a replaced position becomes{': ' if told else ''}{told}."


def _chance(results: Results) -> list[tuple[str, str]]:
    """What a random map reaches on the known motif, where the run knows it."""
    chance = results.environment.get("chance") or {}
    told = {
        "auprc": (
            "A random order's average precision is expected above the share R/N of motif "
            "positions: H/N + (R \N{MINUS SIGN} 1)/(N \N{MINUS SIGN} 1) \N{MULTIPLICATION SIGN} "
            "(1 \N{MINUS SIGN} H/N) for R of N positions, H = 1 + 1/2 + ... + 1/N"
        ),
        "relevance_mass": (
            "The relevance mass of a random map is expected at R/N, the share of motif positions"
        ),
    }
    said = [
        f"{words} (here {number(float(chance[metric]), 3)})."
        for metric, words in told.items()
        if metric in chance
    ]
    return [("Chance level", " ".join(said))] if said else []
