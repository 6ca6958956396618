"""The heads of models, against tracks: from a run's folder to tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from xaibench.artefacts.given_weights import described_model, replicate_name
from xaibench.artefacts.job import Work, prepare
from xaibench.artefacts.models import model_artefact, stored_classifier
from xaibench.artefacts.states import BEFORE_TRAINING, after_epoch, keep_epochs
from xaibench.artefacts.trained_models import TrainedModel, trained_models
from xaibench.errors import (
    Missing,
    ModelError,
    NotApplicable,
    UsageError,
    described,
    message_of,
)
from xaibench.nn.devices import device_named
from xaibench.progress import announce, announce_if_slow
from xaibench.results.manifest import job_of_folder
from xaibench.shapes import Float
from xaibench.storage.artefacts import OK
from xaibench.values import CellCounts, Sequences, evenly_spaced_rows

from .ablation import ablation_tests, ablations, relevance_against_association
from .association import associations_of, correlations_of
from .attention import Examples, head_scores, kind_of_tokens
from .changes import changes_between, shuffled_around
from .examples import head_examples
from .options import RELEVANCE, STATES, TRAINED, HeadOptions
from .relevance import relevance_of_heads
from .tracks import TRUTH_TRACK, Track, require_different, track_named


@dataclass(frozen=True, slots=True)
class HeadTables:
    """What the functions of these names make, with the columns ``model``, ``state`` and
    ``replicate`` (the seed, or the file of weights); ``changes`` are of what they have ``before``
    and ``after``. ``failures`` are a line per reason."""

    associations: pd.DataFrame
    ablations: pd.DataFrame
    ablation_tests: pd.DataFrame
    relevance_tests: pd.DataFrame
    changes: pd.DataFrame
    examples: pd.DataFrame
    failures: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HeadModel:
    """A model to ask, as tables name it and as a person would; ``load`` gives it, in evaluation
    mode."""

    name: str
    replicate: str
    described: str
    load: Callable[[], Any]
    state: str = TRAINED


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of the examples; ``nuisance`` is taken out of heads and tracks. ``planted`` are
    the same with one track each, and all else of them shuffled."""

    examples: Examples
    tracks: Sequence[Track]
    nuisance: Sequence[Track]
    planted: Sequence[Known] = ()


def heads_of_run(
    folder: Path, options: HeadOptions, *, plugins: tuple[str, ...] = ()
) -> HeadTables:
    """The tables of every trained model of a run that gives its attention.

    UsageError, one line, before anything is computed, where the folder, a track, a state or a model
    is none.
    """
    epochs = [_epoch(state) for state in options.states]
    job = job_of_folder(folder, plugins)
    device_named(job.plan.device)
    with announce_if_slow("reading the data"):
        work = prepare(job)
    known = known_of_sequences(work.splits.test, options, source=job.source)
    models = [
        HeadModel(
            trained.name,
            replicate_name(job.plan, trained),
            described_model(job.plan, trained) + ("" if state == TRAINED else f", {state}"),
            partial(_in_state, work, trained, state, [each for each in epochs if each]),
            state,
        )
        for trained in _chosen_models(work, options.models)
        for state in options.states
    ]
    return head_tables(models, known, options)


def _epoch(state: str) -> int:
    """The number in ``epoch:N``, 0 of another state; UsageError where it is none."""
    name, _, number = state.partition(":")
    if state in STATES[:-1]:
        return 0
    if name == "epoch" and number.isascii() and number.isdigit() and int(number):
        return int(number)
    raise UsageError(f"--state {state}: expected {', '.join(STATES)} (N from 1)")


def _in_state(work: Work, trained: TrainedModel, state: str, epochs: Sequence[int]) -> Any:
    """A model of the run as it was then; all the ``epochs`` that are asked for are of one
    training."""
    if state == TRAINED:
        return _classifier(work, trained)
    if state in BEFORE_TRAINING:
        return BEFORE_TRAINING[state](work, trained)
    keep_epochs(work, trained, epochs)
    return after_epoch(work, trained, _epoch(state))


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
    by_name = {track.name: track for track in tracks}
    planted = []
    for name in options.around:
        if name not in by_name:
            raise UsageError(f"--shuffle-around {name}: expected a --track, {', '.join(by_name)}")
        moved = replace(some, codes=shuffled_around(some.codes, by_name[name], seed=0))
        again = [track_named(each, moved, source=source) for each in options.nuisance]
        planted.append(Known(moved, [by_name[name]], again))
    return Known(some, tracks, nuisance, planted)


def _known_tracks(sequences: Sequences) -> tuple[str, ...]:
    return ("gc", "cpg") if sequences.evidence is None else ("gc", "cpg", TRUTH_TRACK)


def head_tables(models: Iterable[HeadModel], known: Known, options: HeadOptions) -> HeadTables:
    """The tables of these models; what one of them cannot give is a failure, and the rest is
    there."""
    tables: dict[str, list[pd.DataFrame]] = {
        name: [] for name in ("associations", "ablations", "changes", "examples")
    }
    failures: dict[str, list[str]] = {}
    earlier: dict[tuple[str, str], list[Measured]] = {}
    for each in models:
        try:
            for name, table in _tables(each, known, options, earlier):
                tables[name].append(table)
        except (Missing, ModelError, NotApplicable) as error:
            failures.setdefault(message_of(error), []).append(each.described)
        except UsageError:
            raise
        except Exception as error:  # a stranger's model may raise anything
            failures.setdefault(described(error), []).append(each.described)
    whole = {name: _joined(parts) for name, parts in tables.items()}
    ablated = whole["ablations"]
    tests, of_relevance = (
        _joined([test(part).assign(**_about(part)) for part in _of_states(ablated)])
        for test in (ablation_tests, relevance_against_association)
    )
    return HeadTables(
        whole["associations"],
        ablated,
        tests,
        of_relevance,
        whole["changes"],
        whole["examples"],
        tuple(f"{'; '.join(models)}: {why}" for why, models in failures.items()),
    )


class Measured(NamedTuple):
    """The correlations ``(sequence, layer, head, track)`` of a model in a state."""

    state: str
    correlations: Float


def _changes(
    classifier: Any,
    earlier: Sequence[Measured],
    now: Measured,
    known: Known,
    options: HeadOptions,
) -> Iterator[pd.DataFrame]:
    """Since the state before, of the trained model also since there was no training, and where all
    but one track is shuffled."""
    names = [track.name for track in known.tracks]
    whole = BEFORE_TRAINING if now.state == TRAINED else ()
    for before in [each for each in earlier if each is earlier[-1] or each.state in whole]:
        table = changes_between(before.correlations, now.correlations, names)
        yield table.assign(before=before.state, after=now.state)
    for each in known.planted:
        name = each.tracks[0].name
        scores = head_scores(classifier, each.examples, received=options.received)
        shuffled = correlations_of(scores, each.tracks, each.nuisance)
        real = now.correlations[..., [names.index(name)]]
        after = f"{now.state}, shuffled around {name}"
        yield changes_between(real, shuffled, [name]).assign(before=now.state, after=after)


def _tables(
    model: HeadModel,
    known: Known,
    options: HeadOptions,
    earlier: dict[tuple[str, str], list[Measured]],
) -> Iterator[tuple[str, pd.DataFrame]]:
    """Of one model; ``earlier`` is what was measured of other states of a replicate."""
    classifier, examples = model.load(), known.examples
    scores = list(head_scores(classifier, examples, received=options.received))
    of_genes = isinstance(examples, CellCounts)
    about = {"model": model.name, "state": model.state, "replicate": model.replicate}
    associated = associations_of(scores, known.tracks, known.nuisance, of_genes=of_genes)
    tokens = kind_of_tokens(classifier, examples)
    yield "associations", associated.assign(**about, tokens=tokens)
    if isinstance(examples, Sequences) and associated["associated"].any():
        shown = head_examples(
            classifier, examples, known.tracks, associated, received=options.received
        )
        yield "examples", shown.assign(**about)
    if options.shares and examples.has_classes:
        of_relevance = _of_relevance(classifier, examples, associated)
        ablated = ablations(
            classifier,
            examples,
            {**strengths(associated), **of_relevance},
            options.shares,
            fill=options.fill,
            draws=options.draws,
        )
        yield "ablations", ablated.assign(**about)
    if (len(options.states) > 1 or known.planted) and not of_genes:  # cells share their genes
        now = Measured(model.state, correlations_of(scores, known.tracks, known.nuisance))
        states = earlier.setdefault((model.name, model.replicate), [])
        for table in _changes(classifier, states, now, known, options):
            yield "changes", table.assign(model=model.name, replicate=model.replicate)
        states.append(now)
    if options.shares and not examples.has_classes:
        raise NotApplicable(
            "--ablate: expected labels of two classes or more, for what a loss of heads costs"
        )


def _of_states(table: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """The rows of each model in each state."""
    if len(table):
        for _, part in table.groupby(["model", "state"], sort=False):
            yield part


def _about(table: pd.DataFrame) -> dict[str, str]:
    return {name: str(table[name].iloc[0]) for name in ("model", "state")}


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
    """One table, with what it is of in front."""
    if not parts:
        return pd.DataFrame()
    whole = pd.concat(parts, ignore_index=True)
    first = ("model", "state", "replicate", "before", "after", "tokens")
    front = [name for name in first if name in whole]
    return whole[[*front, *(name for name in whole if name not in front)]]
