"""Explanations of a model of one's own, or of a run, into files."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Any

import numpy as np

from xaibench.artefacts.given_weights import described_model, replicate_name
from xaibench.artefacts.subsets import subset
from xaibench.artefacts.trained_models import TrainedModel
from xaibench.errors import Missing, NotApplicable, UsageError, described, message_of
from xaibench.nn.devices import described_device
from xaibench.plugins.registry import Plugin
from xaibench.progress import Progress, progress_of
from xaibench.storage.arrays import release, scratch
from xaibench.storage.artefacts import Store
from xaibench.storage.files import COPIED

from .computing import (
    BLOCK,
    MethodOnModel,
    classifier_of,
    computed,
    stored_in_run,
)
from .formats import DEFAULT_FORMATS, formats_by_name, write_formats
from .request import Explainable, Request, explainable_of
from .values import Blocks, Explanations, Origin, Written, spans

PARTS = ".parts"
"""In the folder of an export: blocks that are computed, until all files are written."""

OF_BASES = ("modisco", "finemo", "chrombpnet")
"""Formats of hypothetical contributions, which a run does not keep of its own explanations."""


@dataclass(frozen=True, slots=True)
class Exported:
    """The files of one method on one trained model, and what their reader must know."""

    name: str
    folder: Path
    written: dict[str, Written]


@dataclass(frozen=True, slots=True)
class _Export:
    """What is the same for every method and model: what is asked for, and how it is written."""

    subject: Explainable
    folder: Path
    formats: dict[str, Plugin]
    options: dict[str, dict[str, Any]]

    @property
    def pairs(self) -> list[tuple[TrainedModel, str]]:
        """Every method on every trained model."""
        return [
            (trained, method) for trained in self.subject.trained for method in self.subject.methods
        ]


def explain_into(
    request: Request, folder: Path, *, formats: tuple[str, ...] = ()
) -> Iterator[Exported | str]:
    """Explain, and write each format: one ``Exported`` per trained model and method, or a line that
    says why there is none.

    One explanation goes right into ``folder``, several into ``MODEL/REPLICATE/METHOD`` below it.
    Blocks that are computed are stored in ``.parts`` until all files are written: called again, it
    goes on. UsageError before anything is computed where it cannot be done.
    """
    plugins = formats_by_name(formats or DEFAULT_FORMATS, request.plugins)
    export = _Export(explainable_of(request), folder, plugins, _options(plugins, request))
    _try_formats(export)
    if not export.subject.of_run:
        _require_a_model(export.subject)
    export = replace(export, subject=_of_mapped_codes(export.subject))
    blocks = -(-len(export.subject.sequences) // BLOCK) * len(export.pairs)
    failed = False
    with progress_of(blocks) as progress:
        for trained, method in export.pairs:
            outcome = _attempted(export, trained, method, progress)
            failed |= isinstance(outcome, str)
            yield outcome
    if not failed:
        shutil.rmtree(folder / PARTS, ignore_errors=True)


def _of_mapped_codes(subject: Explainable) -> Explainable:
    """The same, with the codes of its sequences in a file: of a million only a block is in memory,
    and the network's own needs come on top of that block alone."""
    read, work = subject.sequences, subject.work
    codes = scratch(read.codes.shape, np.uint8, held=COPIED)
    codes[:] = read.codes
    release(codes)
    sequences = replace(read, codes=codes)
    if work.splits.test is read:
        work = replace(work, splits=replace(work.splits, test=sequences))
    return replace(subject, work=work, sequences=sequences)


def _require_a_model(subject: Explainable) -> None:
    """UsageError where no model can be loaded from any of the files of weights; one of several that
    cannot fails alone."""
    reasons = []
    for trained in subject.trained:
        try:
            classifier_of(subject, trained)
        except (UsageError, OSError):
            raise
        except Exception as error:
            reasons.append(f"{described_model(subject.work.plan, trained)}: {described(error)}")
        else:
            return
    others = f"; nor can the other {len(reasons) - 1} be loaded" if len(reasons) > 1 else ""
    raise UsageError(f"{reasons[0]}{others}")


def _attempted(
    export: _Export, trained: TrainedModel, method: str, progress: Progress
) -> Exported | str:
    """The export of one method on one trained model, or why there is none; what a user can mend at
    the command line, or the disk, ends all."""
    try:
        return _exported(export, trained, method, progress)
    except (UsageError, OSError):
        raise
    except (Missing, NotApplicable) as error:
        why = message_of(error)
    except Exception as error:
        why = described(error)
    return f"{described_model(export.subject.work.plan, trained)}, {method}: {why}"


def _exported(export: _Export, trained: TrainedModel, method: str, progress: Progress) -> Exported:
    pair = MethodOnModel(export.subject, trained, method, classifier_of(export.subject, trained))
    began = monotonic()

    def done(name: str) -> None:
        nonlocal began
        progress.done(name, monotonic() - began)
        began = monotonic()

    blocks, facts = _blocks(export, pair, done)
    name = place_of(export.subject, trained, method)
    folder = export.folder if len(export.pairs) == 1 else export.folder / name
    written = write_formats(blocks, folder, export.formats, options=export.options, facts=facts)
    return Exported(name, folder, written)


def _blocks(
    export: _Export, pair: MethodOnModel, done: Callable[[str], None]
) -> tuple[Blocks, dict[str, Any]]:
    """The explanations, and what ``about.json`` says of them beside their origin."""
    subject, plan = export.subject, export.subject.work.plan
    facts: dict[str, Any] = {
        "target": subject.target,
        "options": plan.attribution[pair.method].options,
        "data_seed": plan.data_seed,
        "device": described_device(plan.device),
    }
    if not subject.of_run:
        return computed(pair, Store(export.folder / PARTS), done), facts
    # a method or a model may look at fewer than the run explains
    own = subset(subject.work, pair.trained.name, pair.method)
    pair = replace(pair, explainable=replace(subject, sequences=own))
    if {*OF_BASES} & {*export.formats}:
        return computed(pair, Store(export.folder / PARTS), done), facts
    stored = stored_in_run(pair)
    done(f"{described_model(plan, pair.trained)}, {pair.method}: {len(own):,} of the run")
    return stored, facts


def place_of(subject: Explainable, trained: TrainedModel, method: str) -> str:
    """The folder of one of several explanations.

    >>> _file_name("LRP (epsilon)/x")
    'LRP-epsilon-x'
    """
    parts = (trained.name, replicate_name(subject.work.plan, trained), method)
    return "/".join(map(_file_name, parts))


def _file_name(name: str) -> str:
    return re.sub(r"[^\w.+-]+", "-", name).strip("-.") or "x"


def _try_formats(export: _Export) -> None:
    """Write every format of two sequences without scores: what cannot be written is known before
    hours are spent on the scores."""
    sequences = export.subject.sequences
    if not len(sequences):
        raise UsageError("expected one sequence or more to explain, got none")
    nothing = Origin("", "", True, sequences.class_names)
    zeros = np.zeros(sequences.codes.shape, np.float32)
    every = Explanations(sequences, zeros, np.zeros(len(sequences), np.int64), nothing)
    rows = [0, *np.flatnonzero(spans(every))[:1].tolist()]
    with TemporaryDirectory() as folder:
        write_formats([every.take(np.array(rows))], Path(folder), export.formats)


def _options(formats: dict[str, Plugin], request: Request) -> dict[str, dict[str, Any]]:
    """The sizes of chromosomes for a bigWig, where the genome has an index beside it."""
    index = Path(f"{request.genome}.fai")
    if request.genome is None or "bigwig" not in formats or not index.is_file():
        return {}
    rows = [line.split("\t") for line in index.read_text().splitlines()]
    sizes = {row[0]: int(row[1]) for row in rows if len(row) > 1 and row[1].isdecimal()}
    return {"bigwig": {"chromosome_sizes": sizes}}
