"""The heads of models, against tracks: from a run's folder to tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from xaibench.artefacts.given_weights import described_model, replicate_name
from xaibench.artefacts.job import Work, prepare
from xaibench.artefacts.models import model_artefact, stored_classifier
from xaibench.artefacts.trained_models import TrainedModel, trained_models
from xaibench.errors import Missing, ModelError, NotApplicable, UsageError, message_of
from xaibench.nn.devices import device_named
from xaibench.progress import announce, announce_if_slow
from xaibench.results.manifest import job_of_folder
from xaibench.shapes import Float
from xaibench.storage.artefacts import OK
from xaibench.values import CellCounts, Sequences, evenly_spaced_rows

from .ablation import RELEVANCE, ablation_tests, ablations, relevance_against_association
from .association import associations_of
from .attention import Examples, head_scores
from .options import HeadOptions
from .relevance import relevance_of_heads
from .tracks import TRUTH_TRACK, Track, require_different, track_named


@dataclass(frozen=True, slots=True)
class HeadTables:
    """What the functions of these names make, with the columns ``model`` and ``replicate`` (the
    seed, or the file of weights); ``failures`` are a line each."""

    associations: pd.DataFrame
    ablations: pd.DataFrame
    ablation_tests: pd.DataFrame
    relevance_tests: pd.DataFrame
    failures: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HeadModel:
    """A model to ask, as tables name it and as a person would; ``load`` gives it, in evaluation
    mode."""

    name: str
    replicate: str
    described: str
    load: Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of the examples; ``nuisance`` is taken out of heads and tracks."""

    examples: Examples
    tracks: Sequence[Track]
    nuisance: Sequence[Track]


def heads_of_run(
    folder: Path, options: HeadOptions, *, plugins: tuple[str, ...] = ()
) -> HeadTables:
    """The tables of every trained model of a run that gives its attention.

    UsageError, one line, before anything is computed, where the folder, a track or a model is none.
    """
    job = job_of_folder(folder, plugins)
    device_named(job.plan.device)
    with announce_if_slow("reading the data"):
        work = prepare(job)
    known = known_of_sequences(work.splits.test, options, source=job.source)
    models = [
        HeadModel(
            trained.name,
            replicate_name(job.plan, trained),
            described_model(job.plan, trained),
            partial(_classifier, work, trained),
        )
        for trained in _chosen_models(work, options.models)
    ]
    return head_tables(models, known, options)


def known_of_sequences(sequences: Sequences, options: HeadOptions, *, source: str = "") -> Known:
    """At most as many of the sequences as the options say, and the tracks that they name.

    UsageError where a track is none.
    """
    some = sequences.take(evenly_spaced_rows(len(sequences), options.sequences))
    tracks, nuisance = (
        [track_named(each, some, source=source) for each in named]
        for named in (options.tracks or _known_tracks(some), options.nuisance)
    )
    require_different(tracks)
    return Known(some, tracks, nuisance)


def _known_tracks(sequences: Sequences) -> tuple[str, ...]:
    return ("gc", "cpg") if sequences.evidence is None else ("gc", "cpg", TRUTH_TRACK)


def head_tables(models: Iterable[HeadModel], known: Known, options: HeadOptions) -> HeadTables:
    """The tables of these models; what one of them cannot give is a failure, and the rest is
    there."""
    tables: dict[str, list[pd.DataFrame]] = {"associations": [], "ablations": []}
    failures = []
    for each in models:
        about = {"model": each.name, "replicate": each.replicate}
        try:
            for name, table in _tables(each.load(), known, options):
                tables[name].append(table.assign(**about))
        except (Missing, ModelError, NotApplicable) as error:
            failures.append(f"{each.described}: {message_of(error)}")
    whole = {name: _joined(parts) for name, parts in tables.items()}
    ablated = whole["ablations"]
    tests, of_relevance = (
        _joined([test(part).assign(model=model) for model, part in ablated.groupby("model")])
        if len(ablated)
        else ablated
        for test in (ablation_tests, relevance_against_association)
    )
    return HeadTables(whole["associations"], ablated, tests, of_relevance, tuple(failures))


def _tables(
    classifier: Any, known: Known, options: HeadOptions
) -> Iterator[tuple[str, pd.DataFrame]]:
    """Of one trained model."""
    examples = known.examples
    scores = head_scores(classifier, examples, received=options.received)
    of_genes = isinstance(examples, CellCounts)
    associated = associations_of(scores, known.tracks, known.nuisance, of_genes=of_genes)
    yield "associations", associated
    if options.shares:
        of_relevance = _of_relevance(classifier, examples, associated)
        ablated = ablations(
            classifier,
            examples,
            {**strengths(associated), **of_relevance},
            options.shares,
            fill=options.fill,
            draws=options.draws,
        )
        yield "ablations", ablated


def strengths(associated: pd.DataFrame) -> dict[str, Float]:
    """By track the mean correlation of each head ``(layer, head)``; a track that is known of no
    head is left out."""
    tables = {
        str(track): part.pivot(index="layer", columns="head", values="mean").to_numpy(float)
        for track, part in associated.groupby("track", sort=False)
    }
    return {track: table for track, table in tables.items() if np.isfinite(table).any()}


def _of_relevance(
    classifier: Any, examples: Examples, associated: pd.DataFrame
) -> dict[str, Float]:
    """The mean relevance of each head ``(layer, head)``; nothing, with a line that says why, where
    AttnLRP does not apply."""
    heads = int(associated["head"].max()) + 1
    try:
        relevance = relevance_of_heads(classifier, examples.codes, heads=heads)
    except NotApplicable as error:
        announce(f"no heads are chosen by relevance: {message_of(error)}")
        return {}
    return {RELEVANCE: relevance.mean(axis=0)}


def _classifier(work: Work, trained: TrainedModel) -> Any:
    status, reason = work.store.outcome(model_artefact(work, trained).spec)
    if status != OK:
        raise Missing(status, f"it is not in the run ({reason}); run its command again")
    return stored_classifier(work, trained)


def _chosen_models(work: Work, models: tuple[str, ...]) -> Iterator[TrainedModel]:
    for name in models:
        if name not in work.plan.models:
            known = ", ".join(work.plan.models)
            raise UsageError(f"--model {name}: not in the run, which has {known}")
    for trained in trained_models(work.plan):
        if not models or trained.name in models:
            yield trained


def _joined(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """One table, which model and replicate in front."""
    if not parts:
        return pd.DataFrame()
    whole = pd.concat(parts, ignore_index=True)
    front = [name for name in ("model", "replicate") if name in whole]
    return whole[[*front, *(name for name in whole if name not in front)]]
