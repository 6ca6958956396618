"""Attention heads as a document, whatever it is rendered to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from xaibench.heads.options import RELEVANCE

from ..format.heads import by_trained, by_trained_model
from ..format.numbers import listed, number
from ..tables.claims import claims_tables, rules
from ..tables.heads import ablated_heads, changed_heads, every_head, followed_tracks, relevant_heads
from .document import Answer, Document, Section, Sentence, Verdict

if TYPE_CHECKING:
    from xaibench.heads.analysis import HeadTables


def heads_document(name: str, tables: HeadTables, claims: pd.DataFrame) -> Document:
    """The heads of a run for a reader; ``claims`` are those of ``heads.claims``."""
    associations = tables.associations
    shown = associations.drop_duplicates(["layer", "head"])
    facts = (
        _counted(associations["model"].nunique(), "model"),
        _counted(len(list(by_trained(associations))), "trained model"),
        _counted(len(shown), "head"),
        _counted(associations["track"].nunique(), "track"),
        f"up to {associations['sequences'].max():,} sequences",
    )
    return Document(
        f"Attention heads: {name}",
        facts,
        tuple(_verdict(model, rows, tables) for model, rows in by_trained_model(associations)),
        tuple(_sections(tables, claims)),
        tables.failures,
    )


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _verdict(model: str, rows: pd.DataFrame, tables: HeadTables) -> Verdict:
    """How many heads follow a track, in which replicates, and whether their loss hurts."""
    sentences: list[Sentence] = []
    by_replicate = rows.groupby(["replicate", "layer", "head"], sort=False)["associated"].any()
    counts = by_replicate.groupby("replicate", sort=False).sum()
    heads = len(by_replicate) // len(counts)
    listing = listed(f"{count} (replicate {name})" for name, count in counts.items())
    sentences.append((f"Heads that follow a track, of {heads}: {listing}.",))
    tracks = rows[rows["associated"]]["track"].value_counts()
    if len(tracks):
        named = listed(f"{track} ({count})" for track, count in tracks.head(5).items())
        sentences.append((f"Most followed, over all replicates: {named}.",))
    answer = Answer("", (*sentences, *_of_loss(model, tables.ablation_tests)))
    return Verdict(model, (answer,))


def _of_loss(model: str, tests: pd.DataFrame) -> tuple[Sentence, ...]:
    """Of the heads by strength: in how many comparisons accuracy is below that of random sets."""
    if not len(tests):
        return (("What their loss does was not asked (--ablate).",),)
    rows = pd.concat([own for name, own in by_trained_model(tests) if name == model] or [tests[:0]])
    rows = rows[(rows["by"] == "strength") & (rows["measure"] == "accuracy")]
    rows = rows[rows["track"] != RELEVANCE]
    if not len(rows):
        return (("What their loss does is not known: no track has a correlation.",),)
    worse = int((rows["high"] < 0).sum())
    largest = number(float(np.nanmin(rows["difference"])), 3) if rows["difference"].any() else "0"
    return (
        (
            f"Without the heads that follow a track, accuracy is below that without random heads "
            f"of the same layers in {worse} of {len(rows)} comparisons (95 % intervals over "
            f"replicates below 0); the largest difference is {largest}.",
        ),
    )


def _sections(tables: HeadTables, claims: pd.DataFrame) -> list[Section]:
    associations = tables.associations
    ablated = ablated_heads(tables.ablation_tests)
    changed = changed_heads(tables.changes)
    by_relevance = relevant_heads(tables.relevance_tests)
    return [
        Section(
            "claims",
            "Do the claims hold?",
            (
                "The rules of the verdicts were fixed before the run; anything between them is "
                "undecided at this n. p values are corrected after Holm over all claims. "
                + rules(claims),
            ),
            tuple(claims_tables(claims)),
            short="Claims",
        ),
        Section(
            "maps",
            "Which heads follow which track?",
            (
                "Layers down, heads across, counted from 0: the mean over sequences of Spearman's "
                "correlation within the sequence between what a head attends to and the track; "
                "framed where it survives both nulls at a false discovery rate of 5 %.",
            ),
            (followed_tracks(associations),),
            ("maps",),
            short="Maps",
        ),
        Section("volcano", "How strong and how sure?", figures=("volcano",), short="Volcano"),
        Section(
            "change",
            "How does it change?",
            (
                "States of a model side by side, as random weights, pre-trained and trained, and "
                "features in their own context and in a shuffled one.",
            ),
            (changed,) if changed else (),
            ("change",),
            short="Change",
        ),
        *(
            [
                Section(
                    "ablation",
                    "Does it hurt to lose them?",
                    (
                        "Heads are taken out, those that go with a track most first. Below the "
                        "grey band, their loss hurts more than that of random heads of the same "
                        "layers.",
                    ),
                    tuple(table for table in (ablated, by_relevance) if table),
                    ("ablation",),
                    short="Ablation",
                )
            ]
            if ablated
            else []
        ),
        Section(
            "heads",
            "Head by head",
            (
                "The heads that follow a track, the strongest association first. Letters are as "
                "high as what the head gives to the site that they are in; shaded: the track. The "
                "sequence is the first in which the track varies.",
            ),
            (every_head(associations),),
            ("heads",),
            short="Heads",
        ),
    ]
