"""Metrics of the lines that replacing positions gives."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from xaibench.artefacts.curve_keys import Course, orders
from xaibench.artefacts.curves import followed
from xaibench.artefacts.job import Work
from xaibench.artefacts.retraining import retrainings_of
from xaibench.explanation.controls import ORACLE, RANDOM
from xaibench.protocols import MetricFacts, Quantity
from xaibench.values import Curves

from .apply import measured, without_map
from .quantities import Line, lines_of, retrained_line
from .records import Block
from .source import Source


def of_curves(source: Source, here: Block, label: str, facts: MetricFacts) -> Iterator[Block]:
    work = source.work
    operators = [""] if facts.curve == "imputed" else list(work.plan.operators)
    if facts.curve == "retrained":
        operators = [work.plan.metrics[label].options["operator"]]
    for operator in operators:
        for which in facts.quantities:
            name = label if len(facts.quantities) == 1 else f"{label}_{which}"
            block = replace(here, metric=name, operator=operator)
            pairs, why = _pairs(work, block, label, facts, which)
            if why:
                yield why
            for repeat, pair in enumerate(pairs):
                yield _of_pair(work, replace(block, repeat=repeat), label, facts, pair)


Pair = tuple[tuple[float, ...], Line, Line | None]
"""Fractions, and the lines of replacing the most and the least relevant first."""


def _of_pair(work: Work, here: Block, label: str, facts: MetricFacts, pair: Pair) -> Block:
    fractions, most, least = pair
    course = Course(here.method, here.operator, control=here.control, kind=facts.curve)
    has_map = followed(work, here.model, here.seed, course)[: most.shape[1]]
    if not has_map.any():
        return without_map(here)
    left = None if least is None else least[:, has_map]
    value = Curves(np.asarray(fractions), most[:, has_map], left)
    return measured(work, here, label, work.chosen.names[: len(has_map)], has_map, value)


def _pairs(
    work: Work, here: Block, label: str, facts: MetricFacts, which: Quantity
) -> tuple[list[Pair], Block | None]:
    """The most and the least relevant first lines of a source, one pair a draw; or the block that
    says why there are none. A random order is its own reverse."""
    if facts.curve == "retrained":
        wanted = retrainings_of(work, label)
        line, why = retrained_line(work, here, wanted, which)
        return ([] if line is None else [(tuple(w.fraction for w in wanted), line, None)]), why
    sets = []
    orders_wanted = orders(work, facts.curve)
    if here.method == RANDOM or (here.control and here.method != ORACLE):
        orders_wanted = orders_wanted[:1]
    for order in orders_wanted:
        course = Course(here.method, here.operator, order, here.control, facts.curve)
        lines, why = lines_of(work, here, course, which)
        if why:
            return [], why
        sets.append(lines)
    fractions = work.plan.fractions
    if here.method == RANDOM:
        return [(fractions, line, line) for line in sets[0]], None
    least = sets[1][0] if len(sets) > 1 else None
    return [(fractions, sets[0][0], least)], None
