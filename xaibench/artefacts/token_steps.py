"""Curves and the oracle of an operator that replaces tokens, for maps of nucleotides."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xaibench.dna import tokens
from xaibench.dna.replacement import replacement_ranks
from xaibench.dna.token_replacement import token_counts, token_sizes
from xaibench.explanation.controls import RANDOM
from xaibench.nn import outputs
from xaibench.nn.sites import token_sites
from xaibench.nn.token_replacement import require_tokens, token_logits
from xaibench.plugins.harness_options import of_harness
from xaibench.plugins.registry import load
from xaibench.protocols import Precision
from xaibench.randomness import streams
from xaibench.shapes import Float, Labels, Logits, Mask, Scores
from xaibench.values import Sequences, TokenSites

from .curve_keys import CurveKey
from .donors import token_operator
from .job import Work


class TokenSteps:
    """A model whose tokens one of the plan's operators replaces in some sequences; NotApplicable
    where its sites are nucleotides. ``intact`` ``(sequence, class)`` are the logits before."""

    def __init__(
        self, work: Work, operator: str, classifier: Any, sequences: Sequences, intact: Logits
    ) -> None:
        require_tokens(classifier, operator)
        self.work, self.operator, self.classifier = work, operator, classifier
        self.sequences, self.intact = sequences, intact

    @cached_property
    def sites(self) -> TokenSites:
        return token_sites(self.classifier, self.sequences.codes)

    @cached_property
    def replaceable(self) -> Mask:
        """``(sequence, token)``: those that cover a known nucleotide."""
        return token_sizes(self.sites.spans, self.sequences.valid) > 0

    def along(self, scores: Scores, curve: CurveKey) -> Logits:
        """Logits ``(step, sequence, class)`` in the order of one map of nucleotides.

        A random map orders tokens by that of their first nucleotide: by a mean, short tokens would
        come first and last.
        """
        plan, spans = self.work.plan, self.sites.spans
        rule = "first" if curve.method == RANDOM else self._rule
        of_tokens = tokens.to_tokens(scores, spans, rule=rule)
        ties = streams(plan.data_seed, "ties", self.sequences.codes)
        ranked = replacement_ranks(
            of_tokens.astype(np.float32), self.replaceable, ties, order=curve.order
        )
        counts = token_counts(plan.fractions, ranked, spans, self.sequences.valid)

        def taken(step: int, rows: NDArray[np.intp]) -> Mask:
            first: Mask = ranked[rows] < counts[step, rows, None]
            return first

        return self._logits(taken, len(counts), plan.precision)

    def drops(self, targets: Labels) -> Float:
        """``(sequence, position)``: what is lost where a token alone is replaced, in equal parts to
        its nucleotides."""

        def taken(step: int, rows: NDArray[np.intp]) -> Mask:
            alone = np.arange(self.replaceable.shape[1]) == step
            one: Mask = alone & self.replaceable[rows]
            return one

        edited = self._logits(taken, self.replaceable.shape[1], "float32")
        intact, after = (
            outputs.quantity("logit_difference", each, targets, targets)
            for each in (self.intact, edited)
        )
        lost = (intact - after).T * self.replaceable
        return tokens.to_nucleotides(lost, self.sites.spans, self.sequences.codes.shape[1])

    @property
    def _rule(self) -> tokens.ToTokens:
        use = self.work.plan.operators[self.operator]
        plugin = load("operators", use.use, self.work.job.plugins)
        rule: tokens.ToTokens = of_harness(plugin, use.options)["order_by"]
        return rule

    def _logits(self, taken: Any, steps: int, precision: Precision) -> Logits:
        return token_logits(
            self.classifier,
            self.sequences.codes,
            token_operator(self.work, self.operator),
            taken,
            steps,
            self.intact,
            precision=precision,
        )
