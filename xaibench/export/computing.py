"""Explanations computed a block of sequences at a time, and stored until all files are written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch

from xaibench.artefacts.artefact import (
    arrays_in,
    as_files,
    identified,
    print_of,
    write_artefact,
)
from xaibench.artefacts.explanations import (
    REFERENCE_COUNT,
    Explaining,
    explained_by,
    explained_spec,
    say_at_limit,
    what_is_explained,
)
from xaibench.artefacts.given_weights import described_model, given_classifier
from xaibench.artefacts.job import is_trained
from xaibench.artefacts.models import model_artefact, model_spec
from xaibench.artefacts.networks import few
from xaibench.artefacts.trained_models import TrainedModel
from xaibench.dna import shuffling
from xaibench.errors import Missing, UsageError
from xaibench.explanation.guards import GUARDED, guarded
from xaibench.explanation.method_call import Explanation, asks_for
from xaibench.nn.checks.steadiness import steady
from xaibench.nn.checks.units import caution_of
from xaibench.nn.inference import batch_rows, device_of, logits
from xaibench.nn.outputs import OF_OTHERS
from xaibench.progress import announce
from xaibench.protocols import method_facts
from xaibench.shapes import Codes, Labels, Logits
from xaibench.storage.arrays import release
from xaibench.storage.artefacts import OK, Spec, Store, key
from xaibench.values import Sequences

from .request import RULES, Explainable
from .values import Explanations, Origin

BLOCK = 1024
"""Sequences that are explained and stored together."""


@dataclass(frozen=True, slots=True)
class MethodOnModel:
    """One method on one trained model, with the model in evaluation mode."""

    explainable: Explainable
    trained: TrainedModel
    method: str
    classifier: Any

    @property
    def explaining(self) -> Explaining:
        """The method on the model and all sequences."""
        subject = self.explainable
        return Explaining(
            subject.work, subject.sequences, self.classifier, self.trained, self.method
        )


@dataclass(frozen=True, slots=True)
class StoredBlocks:
    """Explanations read back from a store, block by block, as often as they are iterated over."""

    store: Store
    specs: tuple[Spec, ...]
    sequences: Sequences
    origin: Origin

    def __iter__(self) -> Iterator[Explanations]:
        blocks = blocks_of(self.sequences)
        for spec, block in zip(self.specs, blocks, strict=True):
            store, known = self.store, spec
            arrays = arrays_in(lambda name, s=store, k=known: s.content(k, name))  # type: ignore[misc]
            yield Explanations(
                block,
                arrays["scores"],
                arrays["targets"],
                self.origin,
                arrays["outputs"],
                arrays.get("hypothetical"),
            )


def blocks_of(sequences: Sequences) -> Iterator[Sequences]:
    """The sequences, a block at a time; the memory of mapped codes is that of a block."""
    for start in range(0, len(sequences), BLOCK):
        release(sequences.codes)
        yield sequences.take(np.arange(start, min(start + BLOCK, len(sequences))))


def classifier_of(subject: Explainable, trained: TrainedModel) -> Any:
    """A trained model, in evaluation mode: from the store of a run, or its file of weights."""
    work = subject.work
    if not is_trained(work.plan, trained.name):
        return given_classifier(work, trained)
    artefact = model_artefact(work, trained)
    status, reason = work.store.outcome(artefact.spec)
    if status != OK:
        raise Missing(status, f"{trained} is not in the run ({reason}); run its command again")
    return artefact.load(work.store)


def origin_of(pair: MethodOnModel, outputs: int) -> Origin:
    """Where the explanations of a pair come from; the model gives so many ``outputs``."""
    plan = pair.explainable.work.plan
    plugin, _ = pair.explaining.plugin
    explained = {1: "the output", 2: "the logit minus the other"}.get(outputs, OF_OTHERS)
    return Origin(
        described_model(plan, pair.trained),
        pair.method,
        method_facts(plugin.call).signed,
        output_names(pair.explainable.sequences.class_names, outputs),
        explained,
    )


def output_names(class_names: tuple[str, ...], outputs: int) -> tuple[str, ...]:
    """The classes of the sequences where there are as many; else numbers.

    >>> output_names(("unlabelled",), 1), output_names(("a", "b"), 3)
    (('output',), ('0', '1', '2'))
    """
    if outputs == 1:
        return ("output",)
    if outputs == len(class_names):
        return class_names
    return tuple(map(str, range(outputs)))


def target_of(subject: Explainable, outputs: int) -> str | int:
    """``predicted``, ``label``, or the number of the output that is explained of all sequences."""
    names = output_names(subject.sequences.class_names, outputs)
    if outputs == 1 and subject.target in RULES:
        return 0
    if subject.target == "label" and not subject.sequences.has_classes:
        raise UsageError("--target label: the sequences have no labels; take predicted, or a class")
    if subject.target == "label" and outputs != len(subject.sequences.class_names):
        raise UsageError(
            f"--target label: the sequences have {len(subject.sequences.class_names)} classes, the "
            f"model gives {outputs} outputs; take predicted, or the number of an output"
        )
    if subject.target in RULES:
        return subject.target
    if subject.target in names:
        return names.index(subject.target)
    if subject.target.isdecimal() and int(subject.target) < outputs:
        return int(subject.target)
    raise UsageError(
        f"--target {subject.target}: expected predicted, label, or one of {', '.join(names)}"
    )


def targets_of(target: str | int, labels: Labels, outputs: Logits | None) -> Labels:
    """``(sequence,)``: the output that is explained of each sequence; ``outputs`` are needed where
    that is the predicted one."""
    if isinstance(target, int):
        return np.full(len(labels), target, np.int64)
    if target == "label":
        return labels
    assert outputs is not None  # for the type checker
    predicted: Labels = outputs.argmax(axis=1).astype(np.int64)
    return predicted


def computed(
    pair: MethodOnModel, parts: Store, done: Callable[[str], None] = lambda name: None
) -> StoredBlocks:
    """All blocks of a pair, those made that the store lacks; ``done`` is called with each.

    Raises what ``explanation.method_call.explain`` does.
    """
    sequences = pair.explainable.sequences
    outputs = _outputs_of_steady(pair)
    target = target_of(pair.explainable, outputs)
    name = f"{described_model(pair.explainable.work.plan, pair.trained)}, {pair.method}"
    specs = []
    for number, block in enumerate(blocks_of(sequences)):
        spec = _block_spec(pair, block, target)
        if not parts.holds(spec):
            arrays = _block(replace(pair.explaining, sequences=block), target, check=number == 0)
            write = partial(write_artefact, files=as_files(arrays))
            parts.keep(spec, write)
        specs.append(spec)
        reached = number * BLOCK + len(block)
        done(f"{name}: {reached:,} of {len(sequences):,} sequences")
    return StoredBlocks(parts, tuple(specs), sequences, origin_of(pair, outputs))


def _outputs_of_steady(pair: MethodOnModel) -> int:
    """How many outputs a model has; ModelError where it does not answer the same each time."""
    codes = few(pair.explainable.sequences)
    outputs = int(logits(pair.classifier, codes[:1]).shape[1])
    answers = steady(pair.classifier, codes, classes=outputs)
    if caution := caution_of(answers.units, outputs):
        announce(f"{described_model(pair.explainable.work.plan, pair.trained)} {caution}")
    return outputs


def _block_spec(pair: MethodOnModel, block: Sequences, target: str | int) -> Spec:
    work = pair.explainable.work
    spec = {
        "kind": "explainedblock",
        "model": key(model_spec(work, pair.trained)),
        "method": identified(work, "attribution", work.plan.attribution[pair.method]),
        "sequences": print_of(block.codes),
        "target": target,
        "data_seed": work.plan.data_seed,
        **what_is_explained(work),
    }
    return {**spec, "labels": block.labels.tolist()} if target == "label" else spec


def _block(explaining: Explaining, target: str | int, *, check: bool) -> dict[str, Any]:
    """Scores, targets, outputs and where the method gives them hypothetical contributions.

    ``check`` that the scores of a few do not depend on what else is explained with them.
    """
    codes, labels = explaining.sequences.codes, explaining.sequences.labels
    if _is_of_one_pass(explaining):
        # for such a method a pass of its own, to predict, would be a third of all that is computed
        given = None if target == "predicted" else targets_of(target, labels, None)
        together = rows_of_one_pass(codes.shape[1], device_of(explaining.classifier))
        explanation = _explained(explaining, codes, given, together=together)
        outputs = explanation.outputs
        assert outputs is not None  # for the type checker
        targets = targets_of(target, labels, outputs)
    else:
        outputs = logits(explaining.classifier, codes)
        targets = targets_of(target, labels, outputs)
        explanation = _explained(explaining, codes, targets)
    say_at_limit(explaining, [explanation])
    if check:
        few = np.arange(len(codes))[:GUARDED][::-1]
        again = _explained(explaining, codes[few], targets[few], together=3).scores
        guarded(explanation.scores, again, few, codes, name=explaining.method)
    arrays = {"scores": explanation.scores, "targets": targets, "outputs": outputs}
    bases = explanation.hypothetical
    return arrays if bases is None else {**arrays, "hypothetical": bases}


def rows_of_one_pass(length: int, device: torch.device) -> int:
    """How many sequences of a length a method of one pass explains together: as many as go through
    the model together, in equal parts of a block. What is done per batch is done less often.

    >>> rows_of_one_pass(200, torch.device("cpu"))
    147
    """
    most = batch_rows(length, device)
    return -(-BLOCK // -(-BLOCK // most))


def _is_of_one_pass(explaining: Explaining) -> bool:
    plugin, _ = explaining.plugin
    strands = explaining.work.plan.attribution[explaining.method].options["strands"]
    return method_facts(plugin.call).single_pass and strands == "forward"


def _explained(
    explaining: Explaining, codes: Codes, targets: Labels | None, together: int | None = None
) -> Explanation:
    plugin, options = explaining.plugin
    references = None
    if asks_for(plugin.call, "references"):
        seed = explaining.work.plan.data_seed
        references = shuffling.shuffled_references(codes, REFERENCE_COUNT, seed)
    return explained_by(explaining, codes, targets, options, references, together=together)


def stored_in_run(pair: MethodOnModel) -> list[Explanations]:
    """What a run has explained already, as one block, without hypothetical contributions.

    Missing where the run has no such explanation.
    """
    work = pair.explainable.work
    spec = explained_spec(work, pair.trained, pair.method)
    status, reason = work.store.outcome(spec)
    if status != OK:
        raise Missing(status, reason)
    arrays = arrays_in(lambda name: work.store.content(spec, name))
    sequences = pair.explainable.sequences
    outputs = logits(pair.classifier, sequences.codes)
    return [
        Explanations(
            sequences,
            arrays["scores"],
            arrays["targets"],
            origin_of(pair, outputs.shape[1]),
            outputs,
        )
    ]
