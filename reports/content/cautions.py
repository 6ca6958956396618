"""Sentences that qualify every interval and test of a run."""

from __future__ import annotations

from xaibench.results.reading import Results

from ..format.numbers import number
from ..format.replicates import replicate_terms
from ..format.select import seeds_with_records
from ..tables.discrimination import largest_class, uneven

FEW_SEEDS = 5
"""With fewer replicates a report says that little is known of others."""

FEW_SEQUENCES = 30
"""With fewer explained sequences a report says that its intervals are too narrow."""

DRAWS = 10
"""The random orders of a run that names no number; with fewer a report says so."""


def cautions(results: Results) -> list[str]:
    """Sentences that qualify every interval and test of the run."""
    draws = results.plan.get("random_draws", DRAWS)
    noisy = (
        f"Only {draws} random orders per sequence: the random control is itself noisy, and so is "
        "every gap to it."
    )
    own = [str(caution) for caution in results.environment.get("cautions") or ()]
    noise = [noisy] if draws < DRAWS else []
    few = [*_few_seeds(results), *_few_sequences(results)]
    return [*few, *noise, *_uneven_classes(results), *_undefined(results), *own]


def unfinished(results: Results) -> list[str]:
    """The first thing on the page: why something below is missing."""
    progress = results.environment.get("unfinished")
    if not progress:
        return []
    return [
        f"Unfinished: {progress['done']} of {progress['tasks']} tasks done. The tables hold what "
        "is known; the rest is absent or marked as not computed. The command of the run resumes it."
    ]


def _few_sequences(results: Results) -> list[str]:
    """A caution where few sequences were explained."""
    sizes = (results.environment.get("dataset") or {}).get("sizes") or {}
    explained = sizes.get("explained", FEW_SEQUENCES)
    if explained >= FEW_SEQUENCES:
        return []
    return [
        f"Only {explained} explained sequences: intervals over so few are too narrow, and what is "
        "called distinguishable may be chance."
    ]


def _uneven_classes(results: Results) -> list[str]:
    """A caution where the largest class makes accuracy misleading."""
    share = uneven(results)
    if share is None:
        return []
    return [
        f"Uneven classes: {number(100 * share, 1)} % of test is of class "
        f"{largest_class(results)!r}, and always predicting it is right as often. Accuracy says "
        "little of a model then; read its AUROC, AUPRC and MCC beside those of the trivial "
        "baselines."
    ]


def _few_seeds(results: Results) -> list[str]:
    """A caution where there are fewer replicates than ``FEW_SEEDS``."""
    seeds, terms = len(seeds_with_records(results)), replicate_terms(results)
    if seeds == 1:
        return [
            f"One {terms.noun}: nothing is known of {terms.others}. Every interval is over "
            "sequences and holds for these trained models only."
        ]
    few = (
        f"Only {seeds} {terms.nouns}: what would change with {terms.others} is hardly known, so "
        "the intervals are wide."
    )
    return [few] if seeds < FEW_SEEDS else []


def _undefined(results: Results) -> list[str]:
    undefined = results.estimates["undefined"].fillna(0) > 0
    sentence = (
        f"{int(undefined.sum())} of {len(undefined)} estimates leave out sequences whose value is "
        "undefined; the tables count them as used + undefined."
    )
    return [sentence] if undefined.any() else []
