"""What the replicates of a run are called: seeds of a training, or files of weights."""

from __future__ import annotations

from dataclasses import dataclass

from xaibench.results.reading import Results
from xaibench.results.replicates import given_weights

from .numbers import TIMES
from .select import models_of


@dataclass(frozen=True, slots=True)
class ReplicateTerms:
    """``noun`` is what one replicate is called, ``over`` what an interval is whose replicates could
    have been others, and ``test`` heads its tests."""

    noun: str
    over: str
    test: str

    @property
    def nouns(self) -> str:
        """Several of them."""
        return f"{self.noun}s"

    @property
    def others(self) -> str:
        """What one alone says nothing of."""
        return self.test if self == SEEDS else f"other {self.nouns}"

    @property
    def counted(self) -> str:
        """Heads a column that says what the numbers beside it are made of."""
        return f"Sequences {TIMES} {self.nouns}"

    @property
    def counts(self) -> str:
        """Heads the row that says what the numbers above are made of."""
        return self.counted.lower().replace(" ", "\N{NO-BREAK SPACE}")


SEEDS = ReplicateTerms("seed", "for retraining", "retraining")
FILES = ReplicateTerms("replicate", "over replicates (weight files)", "replicates")
BOTH = ReplicateTerms("replicate", "over replicates (seeds or weight files)", "replicates")


def replicate_terms(results: Results) -> ReplicateTerms:
    """Those of a run: by whether its models were trained in it, or given with their weights."""
    given = given_weights(results)
    if not given:
        return SEEDS
    return FILES if {*models_of(results)} <= {*given} else BOTH


def shared_terms(first: Results, second: Results) -> ReplicateTerms:
    """Those of two runs side by side."""
    one, other = replicate_terms(first), replicate_terms(second)
    return one if one == other else BOTH
