"""Measure explanations of a model that Python code has at hand, as a run would."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from xaibench.artefacts.job import Job, Work
from xaibench.artefacts.networks import saved_weights
from xaibench.errors import NotApplicable, UsageError
from xaibench.nn.explained_output import classes_of
from xaibench.nn.inference import device_of, logits
from xaibench.plan.schema import Plan, read_mapping
from xaibench.plan.sources import MAPPING
from xaibench.plugins.registry import Plugin, held
from xaibench.protocols import MethodFacts
from xaibench.results import reading
from xaibench.results.reading import Results
from xaibench.runs import pipeline
from xaibench.shapes import Labels, Logits, Scores
from xaibench.terminal import silent
from xaibench.values import Sequences, Splits

from .adapting import Takes, as_usage
from .explanations import Explanations
from .functions import section_of
from .inputs import as_sequences, with_classes
from .tables import Tables

SEQUENCES, NETWORK, NUMBER = "given_sequences", "given_network", "given_number"
"""What data, the network and the function that chooses its number are called in the plan."""


@dataclass(frozen=True, eq=False, repr=False)
class Evaluation(Tables):
    """How faithful, well localised, stable ... explanations of one model are."""


def evaluate(
    model: nn.Module | Sequence[nn.Module],
    sequences: Any,
    explanations: Any,
    *,
    labels: Any = None,
    metrics: Any = None,
    operators: Any = None,
    controls: Sequence[str] | None = None,
    seed: int = 0,
    layout: str = "",
    alphabet: str = "",
    explain: Mapping[str, Any] | Callable[[Any], Any] | None = None,
    classes: int | None = None,
    threads: int = 1,
    plugins: tuple[str, ...] = (),
    **options: Any,
) -> Evaluation:
    """Measure explanations of a model beside random maps, an oracle and controls.

    It is a run of a plan with this model, these sequences and these explanations: the same code
    gives the same numbers.

    Parameters
    ----------
    model
        Any ``torch.nn.Module``, or several of one architecture (folds): replicates, over which
        intervals are. They are left as found; all is computed where the first is.
    sequences
        As for ``explain``; ``values.Sequences`` may hold the truth about motifs too.
    explanations
        By name: an ``Explanations``, an array ``(N, L)`` of scores for the class that the (first)
        model predicts (for the number, where there are no classes), a function, or the name of a
        method; or a list of names and functions.
        Scores that are given follow no change of the sequences or of the model.
    labels
        The classes ``(N,)``, or fractional numbers that were measured. Without them
        and without ``classes`` one output is a number, and so is the second of two less the first;
        of more the class that the model predicts stands for the label, and there is no accuracy.
    metrics, operators
        Names, functions, or both by label with options, ``{"top": {"use": "top_k", "k": 10}}``;
        those of a plan by default.
    controls
        Of the maps: ``rotated``, ``another sequence``, ``mean map``; all by default.
    seed
        The ``data_seed`` of the plan: references, donors, random maps.
    layout, alphabet, explain, classes
        As for ``explain``.
    options
        Other keys of a plan, such as ``fractions``, ``random_draws``, ``controlled`` or ``target``.

    Notes
    -----
    UsageError (one line) for what the caller can mend. What fails of one method or metric is in
    ``missing``.

    Examples
    --------
    >>> network = nn.Sequential(nn.Conv1d(4, 3, 5), nn.Flatten(), nn.Linear(3 * 6, 2))
    >>> measured = evaluate(network, ["ACGTTGCAGT", "TTTACGCATC"], ["saliency"],
    ...                     metrics=["effective_positions"], controlled=0)
    >>> frame = measured.to_frame()
    >>> sorted(frame["method"]), frame["sequences"].tolist()
    (['random control', 'saliency'], [2, 2])
    """
    takes = Takes(layout, alphabet, explain)
    models = [*model] if isinstance(model, list | tuple) else [model]
    given = as_sequences(sequences, labels=labels, layout=layout, alphabet=alphabet)
    given, outputs, labelled = _labelled(takes, models[0], given, classes)
    written: dict[str, Any] = {"attribution": explanations, "metrics": metrics}
    written |= {"operators": operators, "controls": controls, "data_seed": seed}
    written = {name: value for name, value in {**written, **options}.items() if value is not None}
    with TemporaryDirectory() as folder, _network(takes, models) as network:
        held_functions = [_data(given), *network]
        plan = _written(written, given, outputs, held_functions)
        plan["dataset"] = {"name": SEQUENCES}
        files = _weights(models, Path(folder))
        plan["models"] = {type(models[0]).__name__: {**_options_of(takes), "weights": files}}
        plan |= {"sequences": len(given), "reports": ["markdown"]}
        plan = {"device": str(device_of(models[0])), **plan}
        with held(held_functions) as source, silent():
            known = (*plugins, source)
            work = _begun(read_mapping(plan, plugins=known), known, Path(folder) / "run")
            pipeline.run(work, jobs=0, threads=threads, command="xaibench.evaluate")
            results = reading.read_results(work.job.folder)
    return Evaluation(results if labelled else _without_accuracy(results))


def _begun(plan: Plan | dict[str, Plan], plugins: tuple[str, ...], folder: Path) -> Work:
    assert isinstance(plan, Plan)  # it has one dataset
    return pipeline.begin(Job(plan, MAPPING, plugins, folder))


# The data


def _labelled(
    takes: Takes, model: Any, given: Sequences, classes: int | None
) -> tuple[Sequences, Logits, bool]:
    """The sequences with a class for each output, the outputs of the model, and whether the
    labels are more than what it predicts; a single output needs no classes."""
    classifier = takes.adapt(model, classes=classes_of(given, classes), length=given.codes.shape[1])
    with as_usage():
        outputs = logits(classifier, given.codes)
    count = outputs.shape[1]
    if given.has_classes or count == 1:
        return with_classes(given, count), outputs, True
    names = tuple(map(str, range(count)))
    return replace(given, labels=_predicted(outputs), class_names=names), outputs, False


def _predicted(outputs: Logits) -> Labels:
    classes: Labels = outputs.argmax(axis=1).astype(np.int64)
    return classes


def _data(given: Sequences) -> Plugin:
    def given_sequences() -> Splits:
        return Splits(train=given.take(np.empty(0, np.intp)), test=given)

    return Plugin("datasets", SEQUENCES, given_sequences, SEQUENCES)


# The model


@contextmanager
def _network(takes: Takes, models: list[Any]) -> Iterator[list[Plugin]]:
    """The network and the function that makes one number of what it returns, as plug-ins; what is
    remembered of them afterwards holds no model."""
    known = {NETWORK: models[0], NUMBER: takes.function}

    def given_network() -> nn.Module:
        try:
            copied: nn.Module = deepcopy(known[NETWORK])
        except Exception as error:
            raise UsageError(f"model: expected one that can be copied, {error}") from error
        return copied

    def given_number(outputs: Any) -> Any:
        return known[NUMBER](outputs)

    plugins = [Plugin("models", NETWORK, given_network, NETWORK)]
    if takes.function is not None:
        plugins.append(Plugin("models", NUMBER, given_number, NUMBER))
    try:
        yield plugins
    finally:
        known.clear()


def _options_of(takes: Takes) -> dict[str, Any]:
    explain = takes.options if takes.function is None else {"function": NUMBER}
    named = {"layout": takes.layout, "alphabet": takes.alphabet, "explain": explain}
    return {"use": NETWORK, **{name: value for name, value in named.items() if value}}


def _weights(models: list[Any], folder: Path) -> list[str]:
    """A file of weights per replicate."""
    files = []
    for number, each in enumerate(models):
        if not isinstance(each, nn.Module):
            raise UsageError(f"model: expected a torch.nn.Module, got a {type(each).__name__}")
        file = folder / f"model{number}.safetensors"
        file.write_bytes(saved_weights(each))
        files.append(str(file))
    return files


# The explanations


def _written(
    written: dict[str, Any], given: Sequences, outputs: Logits, functions: list[Plugin]
) -> dict[str, Any]:
    """The sections of a plan, with the scores and functions that stand in them as plug-ins."""
    plan = dict(written)
    methods = plan["attribution"]
    if isinstance(methods, Mapping):
        methods = {
            label: _method_of(label, each, given, outputs) for label, each in methods.items()
        }
    plan["attribution"] = section_of("attribution", methods, functions)
    for kind in ("metrics", "operators"):
        if kind in plan:
            plan[kind] = section_of(kind, plan[kind], functions)
    return plan


def _method_of(label: str, given_as: Any, given: Sequences, outputs: Logits) -> Any:
    """A name, a function or options as they are; scores as a function that looks them up."""
    where = f"explanations[{label!r}]"
    if isinstance(given_as, str | Mapping) or given_as is None:
        return given_as
    if isinstance(given_as, Explanations):
        if not np.array_equal(given_as.sequences.codes, given.codes):
            raise UsageError(
                f"{where}: expected scores of these sequences in their order, got others"
            )
        signed = given_as.origin.signed
        scores, targets = _of_outputs(given_as, outputs.shape[1])
    elif callable(given_as):
        return given_as
    else:
        array = given_as.detach().cpu().numpy() if isinstance(given_as, Tensor) else given_as
        scores, targets = np.asarray(array, np.float32), _predicted(outputs)
        if scores.shape != given.codes.shape:
            raise UsageError(f"{where}: expected scores {given.codes.shape}, got {scores.shape}")
        signed = bool((scores < 0).any())
    both = signed and len(given.class_names) == 2
    look_up = _looked_up(scores, targets, given, both=both)
    look_up.__name__ = f"given_scores_{blake2b(label.encode(), digest_size=4).hexdigest()}"
    look_up.facts = MethodFacts(signed=signed, fixed=True)  # type: ignore[attr-defined]
    return look_up


def _of_outputs(explained: Explanations, count: int) -> tuple[Scores, Labels]:
    """Scores, and the outputs that they are of, of a model that is measured by so many: where it
    is explained as a number (without labels), that is the second of two classes."""
    scores, targets = explained.scores, explained.targets
    known = len(explained.origin.target_names)
    if (known, count) == (1, 2):
        return scores, np.ones_like(targets)
    if (known, count) != (2, 1):
        return scores, targets
    if explained.origin.signed:
        scores = scores * np.where(targets == 1, np.float32(1), np.float32(-1))[:, None]
    return scores, np.zeros_like(targets)


def _looked_up(
    scores: Scores, targets: Labels, given: Sequences, *, both: bool
) -> Callable[..., Tensor]:
    """A method that gives every sequence the scores that it was given with; with ``both`` they are
    those of either of two classes, with the other sign."""
    row_of = {codes.tobytes(): row for row, codes in enumerate(given.codes)}

    def look_up(model: Any, inputs: Tensor, target: Tensor, *, codes: Tensor) -> Tensor:
        rows = [row_of.get(each.tobytes(), -1) for each in codes.cpu().numpy()]
        if -1 in rows:
            raise NotApplicable("scores that were given cannot follow changed sequences")
        other = targets[rows] != target.cpu().numpy()
        if other.any() and not both:
            raise NotApplicable("the scores that were given are for another class")
        sign = np.where(other, np.float32(-1), np.float32(1))[:, None]
        return torch.from_numpy(scores[rows] * sign).to(inputs.device)

    return look_up


def _without_accuracy(results: Results) -> Results:
    """Without what compares the model with labels that are its own predictions."""
    records, estimates = results.records, results.estimates
    names = ["accuracy", *(f"{label}_accuracy" for label in results.plan["metrics"])]
    return results.with_tables(
        records=records[~records["metric"].isin(names)].reset_index(drop=True),
        estimates=estimates[~estimates["metric"].isin(names)].reset_index(drop=True),
        classification=results.classification.iloc[:0],
    )
