"""Where instances stand: their order, the bases between them, and sums over all arrangements.

A *kind* is a number: 0 to A - 1 are the motifs of a rule in its order, A to 2A - 1 their decoys. A
*content* counts the instances of each kind. An arrangement puts them one after the other, without
overlap, anywhere in a sequence; instances of one kind are interchangeable.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xaibench.errors import UsageError

Content = tuple[int, ...]
"""``(kind,)``: how many instances."""

Ways = NDArray[np.float64]
"""``(sequence, position)``: the summed weight of what can follow from there. The position after the
last base counts too."""

Instances = NDArray[np.intp]
"""``(sequence, instance)``, from left to right."""

_ROUNDS = 1000
"""So often is an arrangement drawn again until it breaks the grammar."""


@dataclass(frozen=True, slots=True)
class Grammar:
    """How the instances of ``motifs`` motifs and of their decoys may stand.

    ``ordered``: in the order of the motifs; the instances of one motif and its decoys in any.
    Neighbours have ``low`` to ``high`` bases between them; ``high`` None is any number. Where it is
    ``loose`` both hold for motifs alone: decoys stand anywhere, and only two neighbouring motifs
    keep their distance.
    """

    motifs: int
    ordered: bool = False
    low: int = 0
    high: int | None = None
    loose: bool = False


class Placed(NamedTuple):
    """The kinds of the instances, and where they start."""

    kinds: Instances
    starts: Instances


def place(
    content: Content,
    count: int,
    grammar: Grammar,
    *,
    widths: Sequence[int],
    length: int,
    generator: np.random.Generator,
) -> Placed:
    """Arrangements of a content, uniform over all that the grammar admits.

    ``widths`` are those of the kinds. The orders are uniform, and the starts are uniform given the
    order: both together, since how many starts there are does not depend on the order.
    """
    kinds = _kind_orders(content, count, grammar, generator)
    room = length - _occupied(content, widths)
    gaps = _gaps(kinds.shape, room, grammar, generator)
    return _placed_at(kinds, gaps, widths)


def misplace(
    content: Content,
    count: int,
    grammar: Grammar,
    *,
    widths: Sequence[int],
    length: int,
    generator: np.random.Generator,
) -> Placed:
    """Arrangements of a content, uniform over all whose motifs break the grammar.

    They are drawn among all arrangements until they do: ``UsageError`` where that is too rare.
    """
    free = Grammar(grammar.motifs)
    room = length - _occupied(content, widths)
    kinds = _kind_orders(content, count, free, generator)
    gaps = _gaps(kinds.shape, room, free, generator)
    for _ in range(_ROUNDS):
        again = np.flatnonzero(~_broken(kinds, gaps, grammar))
        if not len(again):
            return _placed_at(kinds, gaps, widths)
        kinds[again] = _kind_orders(content, len(again), free, generator)
        gaps[again] = _gaps(kinds[again].shape, room, free, generator)
    raise UsageError(
        "planted: decoys: expected an order or a spacing that random places break, got one that "
        f"{_ROUNDS:,} of them kept; leave 'misplaced' out or narrow the spacing"
    )


def _kind_orders(
    content: Content, count: int, grammar: Grammar, generator: np.random.Generator
) -> Instances:
    """``(count, instance)``: uniform orders of the kinds."""
    kinds = np.repeat(np.arange(len(content)), content)
    keys = generator.random((count, len(kinds)))
    if grammar.ordered:
        keys += kinds % grammar.motifs
    return kinds[keys.argsort(axis=1)]


def _gaps(
    shape: tuple[int, ...], room: int, grammar: Grammar, generator: np.random.Generator
) -> Instances:
    """``(count, instance)``: the bases before each instance, uniform over all that fit the room."""
    count, instances = shape
    ways = [np.ones(room + 1)]
    for _ in range(instances - 1):
        ways.append(windowed(ways[-1], grammar.low, grammar.high))
    high = room if grammar.high is None else grammar.high
    gaps = np.empty((count, instances), np.intp)
    used = np.zeros(count, np.intp)
    for instance in range(instances):
        low, last = (0, room) if instance == 0 else (grammar.low, high)
        cumulative = np.concatenate([[0], ways[instances - 1 - instance].cumsum()])
        begin, end = used + low, np.minimum(used + last, room)
        below = cumulative[begin]
        target = below + generator.random(count) * (cumulative[end + 1] - below)
        drawn = np.searchsorted(cumulative, target, side="right") - 1
        drawn = np.clip(drawn, begin, end)  # against rounding
        gaps[:, instance], used = drawn - used, drawn
    return gaps


def _occupied(content: Content, widths: Sequence[int]) -> int:
    return sum(count * width for count, width in zip(content, widths, strict=True))


def _placed_at(kinds: Instances, gaps: Instances, widths: Sequence[int]) -> Placed:
    ends = (gaps + np.asarray(widths)[kinds]).cumsum(axis=1)
    return Placed(kinds, ends - np.asarray(widths)[kinds])


def _broken(kinds: Instances, gaps: Instances, grammar: Grammar) -> NDArray[np.bool_]:
    """``(sequence,)``: whether motifs stand out of order, or two neighbours at a wrong distance."""
    is_motif = kinds < grammar.motifs
    high = np.inf if grammar.high is None else grammar.high
    near = (gaps[:, 1:] >= grammar.low) & (gaps[:, 1:] <= high)
    latest = np.maximum.accumulate(np.where(is_motif, kinds, -1), axis=1)
    misordered = is_motif & (kinds < latest) & grammar.ordered
    misspaced = is_motif[:, 1:] & is_motif[:, :-1] & ~near
    return np.asarray(np.hstack([misordered, misspaced]).any(axis=1))


def windowed(ways: Ways, low: int, high: int | None) -> Ways:
    """At each position, the sum over those ``low`` to ``high`` further on; ``(..., position)``.

    Nothing is subtracted: beside a weight of 1e12 a difference of cumulative sums loses what is 1.
    """
    if high is None:
        return _shifted(ways[..., ::-1].cumsum(axis=-1)[..., ::-1], low)
    total = np.zeros_like(ways)
    offset, size, block = low, 1, ways
    width = min(high - low + 1, ways.shape[-1])
    while size <= width:
        if width & size:
            total = total + _shifted(block, offset)
            offset += size
        block = block + _shifted(block, size)  # sums of twice as many
        size *= 2
    return total


def _shifted(ways: Ways, by: int) -> Ways:
    """The weights ``by`` positions further on; 0 beyond the end."""
    moved = np.zeros_like(ways)
    moved[..., : max(ways.shape[-1] - by, 0)] = ways[..., by:]
    return moved


class Weights(NamedTuple):
    """What an arrangement is worth: the product over its instances and over its gaps.

    ``starts[kind]`` ``(sequence, start)`` is the weight of an instance there. ``gaps[bases]``
    ``(sequence, end)`` is that of so many bases between an instance that ends there and the next
    one, or the end of the sequence; the last one is that of any larger gap. ``known`` keeps the
    sums that were taken.
    """

    starts: Sequence[Ways]
    gaps: Sequence[Ways]
    grammar: Grammar
    known: dict[tuple[Content, bool], Ways]


def weighed_by(starts: Sequence[Ways], gaps: Sequence[Ways], grammar: Grammar) -> Weights:
    return Weights(starts, gaps, grammar, {})


def summed(content: Content, weights: Weights) -> NDArray[np.float64]:
    """``(sequence,)``: the sum of the weights of all arrangements of a content.

    What can follow an instance depends on what is left to place, not on the order of what is
    before it. So the sums are shared between contents and grow with their parts, not their orders.
    """
    if not any(content):
        return np.ones(len(weights.gaps[0]))
    beginnings = (_begun(kind, content, weights) for kind in _firsts(content, weights.grammar))
    total: NDArray[np.float64] = np.sum([ways.sum(axis=1) for ways in beginnings], axis=0)
    return total


def _begun(kind: int, content: Content, weights: Weights) -> Ways:
    """The weight from each position on, when it begins with an instance of this kind."""
    rest = (*content[:kind], content[kind] - 1, *content[kind + 1 :])
    follows = _follows(rest, weights, behind_motif=kind < weights.grammar.motifs)
    starts = weights.starts[kind].shape[1]
    ways = np.zeros_like(follows)
    ways[:, :starts] = weights.starts[kind] * follows[:, -starts:]
    return ways


def _follows(rest: Content, weights: Weights, *, behind_motif: bool) -> Ways:
    """The weight from each end of an instance on, its gap included."""
    grammar = weights.grammar
    key = (rest, behind_motif or not grammar.loose)
    if not any(rest):
        return weights.gaps[-1]
    if key not in weights.known:
        near, far = np.zeros_like(weights.gaps[-1]), np.zeros_like(weights.gaps[-1])
        for kind in _firsts(rest, grammar):
            keeps_distance = behind_motif and kind < grammar.motifs
            ways = near if keeps_distance or not grammar.loose else far
            ways += _begun(kind, rest, weights)
        total = _behind_gap(near, grammar.low, grammar.high, weights.gaps)
        if grammar.loose:
            total += _behind_gap(far, 0, None, weights.gaps)
        weights.known[key] = total
    return weights.known[key]


def _firsts(content: Content, grammar: Grammar) -> list[int]:
    """The kinds that may stand first."""
    present = [kind for kind, count in enumerate(content) if count]
    if not grammar.ordered:
        return present
    if grammar.loose:
        motifs = [kind for kind in present if kind < grammar.motifs]
        return motifs[:1] + present[len(motifs) :]
    first = min(kind % grammar.motifs for kind in present)
    return [kind for kind in present if kind % grammar.motifs == first]


def _behind_gap(ways: Ways, low: int, high: int | None, weights: Sequence[Ways]) -> Ways:
    """``windowed``, each gap with its weight."""
    longest = len(weights) - 1
    total = np.zeros_like(ways)
    for gap in range(low, longest if high is None else min(longest, high + 1)):
        total += weights[gap] * _shifted(ways, gap)
    if high is None or high >= longest:
        total += weights[-1] * windowed(ways, max(low, longest), high)
    return total


def arrangements(
    contents: Sequence[Content], grammar: Grammar, *, widths: Sequence[int], length: int
) -> list[float]:
    """How many arrangements each content has."""
    ones = [np.ones((1, length - width + 1)) for width in widths]
    weights = weighed_by(ones, [np.ones((1, length + 1))], grammar)
    return [float(summed(content, weights)[0]) for content in contents]
