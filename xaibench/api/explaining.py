"""Explain a model that Python code has at hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal

import numpy as np
from torch import nn

from xaibench.artefacts.explanations import REFERENCE_COUNT
from xaibench.dna.shuffling import shuffled_references
from xaibench.errors import UsageError
from xaibench.explanation.method_call import Explanation, asks_for, on_both_strands
from xaibench.explanation.method_call import explain as call_method
from xaibench.export.values import Origin
from xaibench.nn.explained_output import EVERY_OUTPUT, UNSAID, classes_of
from xaibench.nn.inference import logits
from xaibench.plugins.harness_options import TRANSFER, of_harness
from xaibench.plugins.options import resolve
from xaibench.plugins.registry import Plugin, nearest
from xaibench.plugins.signatures import typed
from xaibench.protocols import method_facts
from xaibench.shapes import Codes, Labels, Logits
from xaibench.values import UNLABELLED, Sequences

from .adapting import Takes, as_usage
from .explanations import Explanations
from .functions import plugin_of
from .inputs import as_sequences, with_classes

PREDICTED = "predicted"


def explain(
    model: nn.Module,
    sequences: Any,
    *,
    method: str | Callable[..., Any] = "deeplift",
    target: Any = PREDICTED,
    seed: int = 0,
    strands: Literal["forward", "both"] = "forward",
    layout: str = "",
    alphabet: str = "",
    explain: Mapping[str, Any] | Callable[[Any], Any] | None = None,
    classes: int | None = None,
    references: Any = None,
    batch_size: int | None = None,
    plugins: tuple[str, ...] = (),
    **options: Any,
) -> Explanations:
    """Which positions of each sequence a model's output rests on, by one attribution method.

    Parameters
    ----------
    model
        Any ``torch.nn.Module``. It is left as found: mode, hooks, gradients, weights, device.
    sequences
        Strings, codes ``(N, L)``, one-hot ``(N, 4, L)`` or ``(N, L, 4)``, or a data frame with a
        column ``sequence`` (``as_sequences``).
    method
        A name (``xaibench list attribution``), ``captum.attr:Name``, or a function ``(model,
        inputs, target, *, options) -> scores``.
    target
        The output that is explained: ``predicted``, the largest of each sequence; one for all, by
        number or by class name; or ``(N,)`` of them. Of three and more it is the logit minus the
        mean of the others, of two their difference, of a single one that number itself.
    seed
        Of the references and of methods that draw at random.
    strands
        ``both``: the mean with the explanation of the reverse complement.
    layout, alphabet, explain
        What the model takes (``N4L``, ``NL4``, ``N41L`` ...; the bases in the order of its
        channels) and which number of what it returns is explained: ``{"output": "counts", "reduce":
        "sum"}``, or a function of it to ``(N,)``.
    classes
        How many there are; by default those of the labels. Without labels one output is a number,
        two are explained by the second less the first, more are classes. With 2 a single output is
        the logit of the second class, and the predicted one of two outputs is explained.
    references
        Codes or letters ``(N, K, L)`` that a method such as DeepLIFT compares with; without any, 20
        dinucleotide shuffles of each sequence.
    batch_size
        So many sequences at a time; 64, or fewer long ones.
    options
        Of the method, as in a plan.

    Notes
    -----
    Returns ``Explanations`` with ``scores`` ``(N, L)`` float32. UsageError (one line) for what the
    caller can mend, ``NotApplicable`` where the method has no meaning for the model, ValueError
    where the method breaks its promises.

    Examples
    --------
    >>> from torch import nn
    >>> network = nn.Sequential(nn.Conv1d(4, 3, 2), nn.Flatten(), nn.Linear(9, 2))
    >>> explain(network, ["ACGT", "GGAC"], method="saliency").scores.shape
    (2, 4)
    """
    takes = Takes(layout, alphabet, explain)
    given = as_sequences(sequences, layout=layout, alphabet=alphabet)
    read_as = classes_of(given, classes)
    if read_as == UNSAID and not _is_predicted(target):
        read_as = EVERY_OUTPUT
    classifier = takes.adapt(model, classes=read_as, length=given.codes.shape[1])
    plugin = plugin_of("attribution", method, plugins)
    rules = {"rules": options.pop("rules")} if "rules" in options else {}
    chosen = resolve(plugin, {**options, "strands": strands}, where=plugin.name)
    outputs, targets = _targets(classifier, given, target)
    given = with_classes(given, outputs.shape[1])
    with as_usage():
        made = _explained(
            partial(
                call_method,
                plugin.call,
                classifier,
                options={**typed(plugin, chosen), **rules},
                seed=seed,
                component=plugin.name,
                batch_size=batch_size,
                transfer=of_harness(plugin, chosen)[TRANSFER],
            ),
            given.codes,
            targets,
            references=_references(plugin, given.codes, references, seed),
            both=strands == "both",
        )
    return Explanations(
        given,
        made.scores,
        targets,
        _origin(model, plugin, given, outputs.shape[1]),
        outputs if len(outputs) == len(given) else None,
        made.hypothetical,
        made.completeness_error,
    )


def _explained(
    call: Callable[..., Explanation],
    codes: Codes,
    targets: Labels,
    *,
    references: Codes | None,
    both: bool,
) -> Explanation:
    """On one strand, or on both."""

    def one_strand(codes: Codes, references: Codes | None) -> Explanation:
        return call(codes, targets, references=references)

    return on_both_strands(one_strand, codes, references) if both else one_strand(codes, references)


def _targets(classifier: Any, given: Sequences, target: Any) -> tuple[Logits, Labels]:
    """The outputs of all sequences, or of one where no more need be known, and the output that is
    explained of each."""
    predicted = _is_predicted(target)
    with as_usage():
        outputs = logits(classifier, given.codes if predicted else given.codes[:1])
    if predicted:
        return outputs, outputs.argmax(axis=1).astype(np.int64)
    return outputs, _given_targets(target, with_classes(given, outputs.shape[1]), outputs.shape[1])


def _is_predicted(target: Any) -> bool:
    return isinstance(target, str) and target == PREDICTED


def _given_targets(target: Any, given: Sequences, count: int) -> Labels:
    """``(N,)`` of one target for all, or of one each; by number or by class name."""
    if hasattr(target, "detach"):
        target = target.detach().cpu().numpy()
    named = [target] if isinstance(target, str) else np.atleast_1d(target).tolist()
    numbers = [_number_of(each, given.class_names) for each in named]
    if len(numbers) not in (1, len(given)) or np.ndim(target) > 1:
        raise UsageError(f"target: expected 1 or {len(given)}, got {len(numbers)}")
    wrong = [number for number in numbers if not 0 <= number < count]
    if wrong:
        raise UsageError(f"target: expected an output below {count}, got {wrong[0]}")
    targets: Labels = np.resize(np.array(numbers, np.int64), len(given))
    return targets


def _number_of(target: Any, names: tuple[str, ...]) -> int:
    if isinstance(target, int):
        return target
    if isinstance(target, str) and names != UNLABELLED and target in names:
        return names.index(target)
    known = [PREDICTED, *(names if names != UNLABELLED else ())]
    raise UsageError(
        f"target: expected a number, a class or {PREDICTED!r}, got {target!r}; "
        f"{nearest(str(target), known)}"
    )


def _references(plugin: Plugin, codes: Codes, given: Any, seed: int) -> Codes | None:
    """Codes ``(N, K, L)`` where the method takes references."""
    if not asks_for(plugin.call, "references"):
        if given is not None:
            raise UsageError(f"references: {plugin.name} takes none; leave them out")
        return None
    if given is None:
        return shuffled_references(codes, REFERENCE_COUNT, seed)
    array = given.detach().cpu().numpy() if hasattr(given, "detach") else given
    if isinstance(array, np.ndarray) and array.ndim == 3:
        flat = as_sequences(array.reshape(-1, array.shape[2])).codes
    else:
        flat = as_sequences([letters for row in array for letters in row]).codes
    if len(flat) % len(codes) or flat.shape[1] != codes.shape[1]:
        raise UsageError(
            f"references: expected ({len(codes)}, K, {codes.shape[1]}), got "
            f"{len(flat)} of {flat.shape[1]} positions"
        )
    return flat.reshape(len(codes), -1, codes.shape[1])


def _origin(model: Any, plugin: Plugin, given: Sequences, count: int) -> Origin:
    names = given.class_names if len(given.class_names) == count else tuple(map(str, range(count)))
    return Origin(
        type(model).__name__,
        plugin.name,
        method_facts(plugin.call).signed,
        names if count > 1 else ("output",),
        "the logit minus the mean of the others" if count > 1 else "the output",
    )
