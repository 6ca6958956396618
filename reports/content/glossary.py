"""The terms of a report, with their meanings in this run."""

from __future__ import annotations

from xaibench.results.reading import Results
from xaibench.results.schema import Question

from ..format.names import first_upper, label
from ..format.numbers import ABSENT, listed, number
from ..format.replicates import SEEDS, replicate_terms
from ..format.select import single_output, without_classes
from ..tables.certainty import VERDICTS
from .cautions import DRAWS

OPERATOR_BASES = {"n": "n is an unknown base", "uniform": "uniform a random one"}

GAP_TERM = "How much better the method's area is than that of random orders."
INTERVAL = "{Over}: both the {nouns} and the {units} could have been others."
GROUP = (
    "Sequences that are not independent, such as those of a chromosome. Whole groups count as one; "
    "of those explained there are {groups}."
)
P_REPLICATES = (
    "Two-sided, by the same statistic as the 95 % interval: below .05 where that excludes 0. Few "
    "{nouns} can show little."
)
ALWAYS = (
    ("Undefined", "A value that has no meaning for a sequence; it is left out and counted."),
    (ABSENT, "Not known; the letter beside it gives the reason."),
)


ORACLE_TERM = (
    "The map that knows the answer: for faithfulness what the model loses when one position takes "
    "the replacing base, for localisation the motif itself."
)
NORMALISED_TERM = (
    "(random \N{MINUS SIGN} method) / (random \N{MINUS SIGN} oracle), a ratio of means over the "
    "sequences that all three share. It can exceed 1, for an oracle knows single positions only."
)
SELF_TEST = (
    "Whether a metric puts the oracle above random, random above the negated oracle, and the "
    "blurred oracle not above the oracle, on this model."
)
CONTROL_TERM = (
    "A map made from a method's own, or from the sequence alone, that a method must beat."
)


MEAN_RANK = (
    "Each {unit} ranks the methods by its values averaged over {nouns}, 1 is best; two means "
    "differ where they are further apart than the critical difference (Friedman, Nemenyi)."
)
BEST_TERM = (
    "The share of bootstrap draws of {units} and {nouns} in which a method has the best mean: a "
    "description of this run, no test."
)
POWER = (
    "By the test of the interval, two-sided at .05, with as many {nouns} and {units} and "
    "differences that spread as much as these."
)
EFFECTS = (
    ("d_z", "The mean of paired differences over their standard deviation."),
    (
        "Cliff's delta",
        "The share of pairs of values, one of each side, in which the first is better, less that "
        "in which it is worse.",
    ),
)


def glossary(results: Results) -> list[tuple[str, str]]:
    """The terms a reader needs, each with its meaning in this run."""
    draws = results.plan.get("random_draws", DRAWS)
    return [
        ("Explained class", _explained_class(results)),
        ("What is explained", _what_is_explained(results)),
        ("Logit difference", "The same quantity, read while positions are replaced."),
        *_curve_points(results),
        ("Operator", _operator_term(results)),
        *_operator_terms(results),
        ("Random control", f"{draws} random orders per sequence with the same replaced bases."),
        *_control_terms(results),
        *_chance_level(results),
        *_metric_terms(results),
        ("Gap to random", GAP_TERM),
        *_resampling_terms(results),
        *ALWAYS,
        *(_certainty_terms(results) if len(results.ranks) else ()),
    ]


def _resampling_terms(results: Results) -> list[tuple[str, str]]:
    """Intervals and tests, of sequences or of the groups that are resampled whole."""
    groups = (results.environment.get("clusters") or {}).get("explained")
    units = "groups of sequences" if groups else "sequences"
    terms = replicate_terms(results)
    over = "For retraining on other sequences" if terms == SEEDS else first_upper(terms.over)
    fixed = f"The trained models held fixed: only the {units} could have been others."
    group = [("Group", GROUP.format(groups=groups))] if groups else []
    return [
        ("95 % interval", INTERVAL.format(Over=over, nouns=terms.nouns, units=units)),
        *group,
        ("These models", fixed),
        ("p these models", f"Two-sided t of the paired differences over {units}."),
        (f"p {terms.test}", P_REPLICATES.format(nouns=terms.nouns)),
    ]


def _certainty_terms(results: Results) -> list[tuple[str, str]]:
    """The terms of the section on how sure the order is."""
    unit, units = "sequence", "sequences"
    nouns = replicate_terms(results).nouns
    if results.environment.get("clusters"):
        unit, units = "group of sequences", "groups of sequences"
    return [
        ("Mean rank", MEAN_RANK.format(unit=unit, nouns=nouns)),
        ("P(best)", BEST_TERM.format(units=units, nouns=nouns)),
        ("Verdict of a method", VERDICTS),
        *EFFECTS,
        ("Detected with a power of 80 %", POWER.format(units=units, nouns=nouns)),
    ]


def _what_is_explained(results: Results) -> str:
    classes = len((results.environment.get("dataset") or {}).get("class_names") or ())
    if classes > 2 and "explained" not in results.environment:
        return "Its logit, which is known only up to what is added to all logits."
    other = "the other's" if classes == 2 else "the mean of the other logits"
    logit = f"The logit of that class minus {other}: what is added to all logits cancels."
    single = single_output(results)
    output = "the single output itself, which is of no class."
    if without_classes(results):
        return f"Of each model {output}"
    return f"{logit} Of {listed(single)} {output}" if single else logit


def _explained_class(results: Results) -> str:
    if without_classes(results):
        return "There are no classes."
    if results.plan.get("target") == "label":
        return "The true class of the sequence, everywhere."
    return (
        "The class the model predicts for the intact sequence; for localisation and agreement "
        f"between {replicate_terms(results).nouns} the true one."
    )


def _curve_points(results: Results) -> list[tuple[str, str]]:
    """At which shares of replaced positions curves are read; nothing where the plan has none."""
    fractions = results.plan.get("fractions") or ()
    shares = ", ".join(f"{100 * fraction:g}" for fraction in fractions)
    meaning = (
        f"What is read at {len(fractions)} points, where {shares} % of the known positions are "
        "replaced; its area is that over the whole way."
    )
    return [("Curve", meaning)] if fractions else []


def _operator_term(results: Results) -> str:
    planned = [name for name in OPERATOR_BASES if name in (results.plan.get("operators") or ())]
    bases = ", ".join(OPERATOR_BASES[name] for name in planned)
    return f"What a replaced position becomes{': ' if bases else ''}{bases}."


def _operator_terms(results: Results) -> list[tuple[str, str]]:
    """What each operator does, where the run states it."""
    known = results.environment.get("operators") or {}
    return [(f"Operator {name}", text) for name, text in known.items() if isinstance(text, str)]


def _metric_terms(results: Results) -> list[tuple[str, str]]:
    """What each metric is, where the run states it."""
    known = results.environment.get("metrics") or {}
    texts = {name: str(facts.get("definition") or "") for name, facts in known.items()}
    return [(first_upper(label(name)), text) for name, text in texts.items() if text]


def _control_terms(results: Results) -> list[tuple[str, str]]:
    """What normalised scores and the self-test are made of, where the run made them."""
    questions = set(results.estimates["question"])
    terms = {
        Question.NORMALISED: ("Normalised score", NORMALISED_TERM),
        Question.SELF_TEST: ("Self-test", SELF_TEST),
        Question.AGAINST_CONTROL: ("Control map", CONTROL_TERM),
    }
    oracle = (
        [("Oracle", ORACLE_TERM)] if questions & {Question.NORMALISED, Question.SELF_TEST} else []
    )
    return [*oracle, *(term for question, term in terms.items() if question in questions)]


def _chance_level(results: Results) -> list[tuple[str, str]]:
    """What a random map reaches on the known motif, where the run knows it."""
    chance = results.environment.get("chance") or {}
    expected = {
        "auprc": (
            "A random order's average precision is expected above the share R/N of motif "
            "positions: H/N + (R \N{MINUS SIGN} 1)/(N \N{MINUS SIGN} 1) \N{MULTIPLICATION SIGN} "
            "(1 \N{MINUS SIGN} H/N) for R of N positions, H = 1 + 1/2 + ... + 1/N"
        ),
        "relevance_mass": (
            "The relevance mass of a random map is expected at R/N, the share of motif positions"
        ),
    }
    sentences = [
        f"{text} (in this run {number(float(chance[metric]), 3)})."
        for metric, text in expected.items()
        if metric in chance
    ]
    return [("Chance level", " ".join(sentences))] if sentences else []
