"""Sequences whose right answer is known: motifs planted in a background, by a rule."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from xaibench.data.meme import Motif
from xaibench.data.motifs import decoy, find_motif
from xaibench.dna.encoding import reverse_complement
from xaibench.errors import UsageError
from xaibench.randomness import stream
from xaibench.shapes import Codes, Evidence, Labels, Mask
from xaibench.values import NO_CLASS, Sequences, Splits

from . import bayes_classifier
from .backgrounds import (
    HIGHEST_ORDER,
    UNIFORM,
    VERTEBRATE,
    MarkovChain,
    fit_markov_chain,
    require_possible,
    sampled_bases,
    shuffled,
    unlabelled_sequences,
    walks,
)
from .bayes_classifier import SimulatedFacts
from .contents import Carried, Decoys, Design, can_be_misplaced, carried
from .placement import Grammar, Placed, misplace, place
from .rules import Rule, parse, speaks_for

_COST = 2e9
"""The largest number of bases times sums over positions (``bayes.cost``) to take for them: about
five seconds of one core."""

Backgrounds = Literal["chain", "uniform", "markov", "shuffled"]


class Background(NamedTuple):
    """The bases between motifs: drawn by a function, and the chain that describes it best."""

    draw: Callable[[Mask, np.random.Generator], Codes]
    chain: MarkovChain
    is_chain: bool
    description: str


class Generated(NamedTuple):
    """Codes, labels and evidence, as in ``Sequences``."""

    codes: Codes
    labels: Labels
    evidence: Evidence


def planted(
    *,
    data_seed: int,
    train: Annotated[int, Field(ge=10, le=10_000_000)] = 8000,
    test: Annotated[int, Field(ge=10, le=10_000_000)] = 2000,
    length: Annotated[int, Field(ge=1, le=1_000_000)] = 200,
    rule: str = "CTCF",
    strands: Literal["forward", "both"] = "forward",
    ordered: bool = False,
    spacing: tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(ge=0)]] | None = None,
    decoys: list[Decoys] | None = None,
    background: Backgrounds = "chain",
    order: Annotated[int, Field(ge=0, le=HIGHEST_ORDER)] = 1,
    sequences: Path | None = None,
    release: str | None = None,
    matrices: Path | None = None,
) -> Splits:
    """Half the sequences fulfil a rule about the motifs they carry, half do not.

    ``rule`` is said in motifs, ``and or xor not``, parentheses and counts, as in "CTCF and not
    (2 SPI1 or GATA1)" (see ``rules.parse``). A motif is a JASPAR name or identifier, looked up in
    the MEME file ``matrices``, in the ``release`` of JASPAR, or else among five that come along
    and then in JASPAR2024. Instances are drawn from their matrix, do not overlap, and stand
    anywhere; with ``ordered`` in the order of the rule, with ``spacing`` (low, high) with so many
    bases between neighbours. With ``strands`` "both" each is on either strand by chance.

    ``decoys`` say what negatives, and positives that do not need all motifs, have in the place of
    a motif that is missing: "shuffled" its decoy, the same for the whole dataset, with its columns
    in another order, so that composition does not tell the classes apart; "absent" nothing. Of
    both, one by chance for each sequence. "misplaced" negatives have motifs as positives have, in
    another order or at another distance. Each name has an equal share of the negatives. Without
    ``decoys`` they are shuffled, and misplaced where an order or spacing can be broken.

    ``background`` is a first-order "chain" with the dinucleotides of vertebrates, "uniform", or
    made from the file ``sequences`` (FASTA, or a table with a column ``sequence``): "markov", a
    chain of that ``order`` fitted to them, or "shuffled", dinucleotide shuffles of windows of them.

    ``evidence`` is the class that a motif speaks for in its sequence, by the sign of its Shapley
    value (see ``rules.speaks_for``): a CTCF that makes ``CTCF and not SPI1`` true speaks for
    class 1 and the SPI1 beside it for class 0. Decoys, misplaced motifs, and fewer instances than
    a count wants speak for none. Our choice. ``facts`` hold the accuracy of the best possible
    classifier, which sees through everything but chance, by simulation.

    Raises ``UsageError`` for options that contradict each other and motifs that do not fit.
    """
    require_possible(train + test, length)
    parsed = parse(rule)
    motifs = _rule_motifs(parsed, release, matrices)
    grammar = _grammar(parsed, ordered, spacing)
    bare = Design(parsed, tuple(m.matrix for m in motifs), grammar, (), length, strands == "both")
    _require_room(bare, motifs)
    design = _with_decoys(bare, decoys, motifs, data_seed)
    between = _background(background, order, sequences)

    def split(which: str, count: int) -> Sequences:
        made = generated(design, between, count, stream(data_seed, "planted", which))
        names = tuple(f"{which} {row}" for row in range(count))
        classes = ("negative", str(design.rule))
        return Sequences(made.codes, made.labels, names, classes, evidence=made.evidence)

    return Splits(
        split("train", train),
        split("test", test),
        note=f"Sequences of {length} nt from {between.description}; half of them fulfil "
        f"{design.rule}.",
        facts=simulated_facts(design, between, data_seed),
    )


def generated(
    design: Design, background: Background, count: int, generator: np.random.Generator
) -> Generated:
    """So many sequences, half of each class."""
    labels = generator.permutation(np.arange(count) % 2)
    what = carried(design, labels, generator)
    where = _arranged(design, what, generator)
    places = [_places(where, kind, width) for kind, width in enumerate(design.widths)]
    inside = np.zeros((count, design.length), bool)
    for rows, positions in places:
        inside[rows, positions] = True
    codes = background.draw(inside, generator)
    evidence = np.full(inside.shape, NO_CLASS, np.int8)
    says = speaks_for(design.rule)[what.combinations]
    says[what.misplaced] = NO_CLASS
    for kind, (rows, positions) in enumerate(places):
        codes[rows, positions] = _instances(design, kind, len(rows), generator)
        if kind < design.grammar.motifs:
            evidence[rows, positions] = says[rows, kind]
    return Generated(codes, labels, evidence)


def _arranged(design: Design, what: Carried, generator: np.random.Generator) -> Placed:
    """The instances of all sequences from left to right; the kind is -1 where there are no more."""
    most = int(what.contents.sum(axis=1).max())
    kinds, starts = np.full((2, len(what.contents), most), -1, np.intp)
    groups, group_of = np.unique(
        np.column_stack([what.contents, what.misplaced]), axis=0, return_inverse=True
    )
    for group, (*content, is_misplaced) in enumerate(groups.tolist()):
        rows = np.flatnonzero(group_of == group)
        put = misplace if is_misplaced else place
        placed = put(
            tuple(content),
            len(rows),
            design.grammar,
            widths=design.widths,
            length=design.length,
            generator=generator,
        )
        kinds[rows, : sum(content)] = placed.kinds
        starts[rows, : sum(content)] = placed.starts
    return Placed(kinds, starts)


def _places(where: Placed, kind: int, width: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """``(instance, 1)`` the rows and ``(instance, column)`` the positions of a kind's instances."""
    rows, instances = np.nonzero(where.kinds == kind)
    return rows[:, None], where.starts[rows, instances][:, None] + np.arange(width)


def _instances(design: Design, kind: int, count: int, generator: np.random.Generator) -> Codes:
    """``(instance, column)``: sampled from the matrix of their kind."""
    matrix = design.matrices[kind]
    codes = sampled_bases(matrix, generator.random((count, len(matrix))))
    if design.both_strands:
        reversed_rows = generator.random(count) < 0.5
        codes[reversed_rows] = reverse_complement(codes[reversed_rows])
    return codes


def simulated_facts(design: Design, background: Background, data_seed: int) -> SimulatedFacts:
    """The rule, and how well the best possible classifier does."""
    what = "Bayes-optimal accuracy"
    if not background.is_chain:
        what = f"accuracy of the best chain-background classifier (a lower bound of the {what})"
    rule = {"rule": str(design.rule)}
    return SimulatedFacts(rule, what, partial(_best_possible, design, background, data_seed))


def _best_possible(design: Design, background: Background, data_seed: int) -> str:
    cost = bayes_classifier.position_sums(design) * design.length * bayes_classifier.SIMULATED
    if cost > _COST:
        return (
            "not simulated: the rule allows so many arrangements that it would take about "
            f"{cost / _COST * 5:,.0f} s"
        )
    return bayes_classifier.describe_accuracy(
        *simulated_planted_accuracy(design, background, data_seed)
    )


def simulated_planted_accuracy(
    design: Design, background: Background, data_seed: int
) -> tuple[float, float]:
    """The accuracy of the best possible classifier and its standard error.

    On fresh sequences, by the posterior of the model that made them. Shuffles have no such model:
    the chain fitted to the same sequences takes its place, and the best classifier may do better.
    """
    generator = stream(data_seed, "planted", "simulated")
    codes, labels, _ = generated(design, background, bayes_classifier.SIMULATED, generator)
    return bayes_classifier.bayes_accuracy(
        bayes_classifier.posterior(codes, design, background.chain), labels
    )


def _rule_motifs(rule: Rule, release: str | None, matrices: Path | None) -> list[Motif]:
    motifs = [find_motif(atom.motif, release=release, path=matrices) for atom in rule.atoms]
    for second, motif in enumerate(motifs):
        first = next(n for n, other in enumerate(motifs) if other.identifier == motif.identifier)
        if first < second:
            raise UsageError(
                f"planted: rule: expected each motif under one name, got {motif.identifier} as "
                f"{rule.atoms[first].motif} and as {rule.atoms[second].motif}"
            )
    return motifs


def _grammar(rule: Rule, ordered: bool, spacing: tuple[int, int] | None) -> Grammar:
    low, high = spacing or (0, None)
    if high is not None and low > high:
        raise UsageError(f"planted: spacing: expected (low, high), got {low} above {high}")
    if (ordered or spacing) and sum(atom.count for atom in rule.atoms) < 2:
        raise UsageError(
            f"planted: {'ordered' if ordered else 'spacing'}: expected a rule with two instances "
            f"or more, got {rule}"
        )
    return Grammar(len(rule.atoms), ordered, low, high)


def _require_room(design: Design, motifs: list[Motif]) -> None:
    """All instances of the rule must fit, each or its decoy in its place."""
    counts = design.counts.tolist()
    bases = sum(count * width for count, width in zip(counts, design.widths, strict=True))
    least = bases + (sum(counts) - 1) * design.grammar.low
    if design.length < least:
        named = ", ".join(
            f"{count} {motif.name}" if count > 1 else motif.name
            for count, motif in zip(counts, motifs, strict=True)
        )
        spaced = f" at {design.grammar.low} bases from each other" if least > bases else ""
        raise UsageError(
            f"planted: length: expected at least the {least} positions of {named}{spaced}, "
            f"got {design.length}"
        )


def _with_decoys(
    design: Design, decoys: list[Decoys] | None, motifs: list[Motif], data_seed: int
) -> Design:
    breakable = can_be_misplaced(design)
    if decoys is None:
        decoys = ["shuffled", "misplaced"] if breakable else ["shuffled"]
    if not decoys or len(set(decoys)) < len(decoys):
        raise UsageError(f"planted: decoys: expected each name once, one at least, got {decoys}")
    if "misplaced" in decoys and not breakable:
        raise UsageError(
            "planted: decoys: expected 'misplaced' where positives have two motifs in an order "
            f"(ordered) or at a distance (spacing) that can be broken, got the rule {design.rule}"
        )
    matrices = design.matrices
    if "shuffled" in decoys:
        streams = (stream(data_seed, "decoy", motif.name) for motif in motifs)
        matrices += tuple(map(decoy, design.matrices, streams))
    return replace(design, matrices=matrices, decoys=tuple(decoys))


def _background(kind: Backgrounds, order: int, sequences: Path | None) -> Background:
    """The background that the options name."""
    needs_sequences = kind in {"markov", "shuffled"}
    if needs_sequences != (sequences is not None):
        expected = "a file" if needs_sequences else "no file (background: markov or shuffled)"
        raise UsageError(
            f"planted: sequences: expected {expected} for the background {kind}, got {sequences}"
        )
    if order != 1 and kind != "markov":
        raise UsageError(f"planted: order: expected 1 but for the background markov, got {order}")
    if sequences is None:
        chain, text = (UNIFORM, "uniform bases") if kind == "uniform" else (VERTEBRATE, "")
        return _of_chain(chain, text or "a first-order Markov chain")
    codes = unlabelled_sequences(sequences)
    if kind == "markov":
        text = f"a Markov chain of order {order} fitted to {sequences.name}"
        return _of_chain(fit_markov_chain(codes, order), text)

    def draw(inside: Mask, generator: np.random.Generator) -> Codes:
        count, length = inside.shape
        return shuffled(codes, count, length, generator)

    text = f"dinucleotide shuffles of {sequences.name}"
    return Background(draw, fit_markov_chain(codes, 1), is_chain=False, description=text)


def _of_chain(chain: MarkovChain, text: str) -> Background:
    def draw(inside: Mask, generator: np.random.Generator) -> Codes:
        return walks(chain, inside, generator)

    return Background(draw, chain, is_chain=True, description=text)
