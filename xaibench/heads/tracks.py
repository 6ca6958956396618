"""What is known of the nucleotides of sequences, that a head may follow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from xaibench.data.files.bigwig import (
    bigwig_values,
    inside_bigbed,
    is_bigbed,
    is_bigwig,
    require_genome,
)
from xaibench.data.motifs import motifs_of_family
from xaibench.data.truth import annotated, scanned
from xaibench.dna.encoding import lengths
from xaibench.dna.tokens import TokenSpans, to_tokens
from xaibench.errors import UsageError, message_of
from xaibench.plan.paths import locate
from xaibench.shapes import Codes, Float
from xaibench.values import NO_CLASS, UNLABELLED, N, Sequences, Splits

_C, _G = 1, 2

TRUTH_TRACK = "truth"
"""The track of the motifs that the dataset says it has."""


class Track(NamedTuple):
    """``values`` ``(sequence, position)``; NaN where nothing is known, as at N and padding."""

    name: str
    values: Float


def track_named(text: str, sequences: Sequences, *, source: str = "") -> Track:
    """The track of this name.

    ``gc``, ``cpg`` (1 at both bases of a CG), ``position`` (from the first base), ``centre`` (the
    distance to it, in bases), ``truth`` (1 in the motifs that the dataset says it has); a motif by
    its name or identifier, or letters with IUPAC codes (1 in a hit, either strand, at p < 1e-4), or
    ``family:NAME``, all matrices of a family; a file of intervals, ``.bed`` or ``.bigBed`` (1
    inside), or of values, ``.bigWig``. ``NAME=...`` gives it another name.

    UsageError, one line, where it is none of these, or the sequences do not have what it needs.
    """
    name, separator, named = text.partition("=")
    if not separator:
        name = named = text
    values = _values(named, sequences, source)
    unknown = sequences.codes == N
    return Track(name, np.where(unknown, np.nan, values))


def track_along_tokens(track: Track, spans: TokenSpans) -> Float:
    """``(N, S)``: the mean of a track over the nucleotides of each token that it knows; NaN where
    it knows none."""
    known = ~np.isnan(track.values)
    total = to_tokens(np.where(known, track.values, 0), spans)
    count = to_tokens(known.astype(np.float64), spans)
    mean: Float = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
    return mean


def _values(named: str, sequences: Sequences, source: str) -> Float:
    if named in _COMPUTED:
        return _COMPUTED[named](sequences.codes)
    if named == TRUTH_TRACK:
        return _of_dataset(sequences)
    path = Path(named)
    if is_bigwig(path) or is_bigbed(path):
        return _along_genome(locate(named, source), sequences)
    if ".bed" in path.suffixes:
        return _inside(annotated(_unlabelled(sequences), locate(named, source)))
    try:
        kind, _, family = named.partition(":")
        motifs = motifs_of_family(family) if kind == "family" else (named,)
        return _inside(scanned(_unlabelled(sequences), dict.fromkeys(motifs, UNLABELLED[0])))
    except UsageError as error:
        known = ", ".join((*_COMPUTED, TRUTH_TRACK))
        raise UsageError(
            f"--track {named}: expected {known}, a motif, family:NAME, or a .bed, .bigBed "
            f"or .bigWig file: {error}"
        ) from None


def _gc(codes: Codes) -> Float:
    either: Float = np.isin(codes, (_C, _G)).astype(np.float64)
    return either


def _cpg(codes: Codes) -> Float:
    inside = np.zeros(codes.shape)
    pairs = (codes[:, :-1] == _C) & (codes[:, 1:] == _G)
    inside[:, :-1] += pairs
    inside[:, 1:] += pairs
    return inside


def _position(codes: Codes) -> Float:
    return np.broadcast_to(np.arange(codes.shape[1], dtype=np.float64), codes.shape)


def _distance_to_centre(codes: Codes) -> Float:
    centres = (lengths(codes)[:, None] - 1) / 2
    distances: Float = np.abs(_position(codes) - centres)
    return distances


_COMPUTED: dict[str, Callable[[Codes], Float]] = {
    "gc": _gc,
    "cpg": _cpg,
    "position": _position,
    "centre": _distance_to_centre,
}


def _of_dataset(sequences: Sequences) -> Float:
    if sequences.evidence is None:
        raise UsageError(f"--track {TRUTH_TRACK}: the dataset does not say where its motifs are")
    inside: Float = (sequences.evidence != NO_CLASS).astype(np.float64)
    return inside


def _along_genome(path: Path, sequences: Sequences) -> Float:
    """Of a bigWig the values, of a bigBed 1 inside its intervals."""
    intervals, length = sequences.intervals, sequences.codes.shape[1]
    if intervals is None:
        raise UsageError(
            f"--track {path.name}: expected sequences with their intervals in a genome, as a "
            "dataset of name: intervals has them"
        )
    try:
        require_genome(path, intervals)
        if is_bigbed(path):
            return inside_bigbed(path, intervals, length).astype(np.float64)
        rows = np.arange(len(sequences))
        values: Float = bigwig_values(path, intervals, rows, length).astype(np.float64)
    except UsageError as error:
        raise UsageError(f"--track {error}") from None
    except Exception as error:  # pybigtools has a type of error for each thing that is broken
        raise UsageError(
            f"--track {path.name}: cannot be read as bigWig or bigBed ({message_of(error)[:120]})"
        ) from None
    if np.isnan(values).all():
        raise UsageError(
            f"--track {path.name}: has no value at any of the {len(sequences):,} intervals; is it "
            "of another genome build?"
        )
    return values


def _unlabelled(sequences: Sequences) -> Splits:
    """The sequences as data that do not know their motifs, without classes."""
    plain = replace(
        sequences,
        labels=np.zeros_like(sequences.labels),
        class_names=UNLABELLED,
        evidence=None,
        responses=None,
    )
    return Splits(plain.take(np.arange(0)), plain)


def _inside(splits: Splits) -> Float:
    evidence = splits.test.evidence
    assert evidence is not None  # for the type checker
    inside: Float = (evidence != NO_CLASS).astype(np.float64)
    return inside


def require_different(tracks: Sequence[Track]) -> None:
    """UsageError where two tracks have one name."""
    names = [track.name for track in tracks]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise UsageError(f"--track {twice[0]}: expected each name once; NAME=... gives another")
