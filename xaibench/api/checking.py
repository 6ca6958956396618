"""Check a model that Python code has at hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import nn

from xaibench.explanation import model_check
from xaibench.explanation.model_check import ModelCheck

from .adapting import Takes
from .inputs import as_sequences


def check_model(
    model: nn.Module,
    sequences: Any = None,
    *,
    labels: Any = None,
    classes: int | None = None,
    length: int = 200,
    layout: str = "",
    alphabet: str = "",
    explain: Mapping[str, Any] | Callable[[Any], Any] | None = None,
    methods: Sequence[str] | None = None,
) -> ModelCheck:
    """What a network does to a few sequences, before any of its explanations is trusted.

    ``sequences``, ``labels``, ``layout``, ``alphabet`` and ``explain`` are as for ``explain``;
    without sequences they are random DNA of ``length``. ``classes`` are those of the labels, by
    default; 1 where the output is a number. ``methods`` are tried on it, by default all. The
    model is left as found; what is wrong with it is a finding with the mend in its sentence.

    >>> network = nn.Sequential(nn.Conv1d(4, 6, 5), nn.ReLU(), nn.AdaptiveMaxPool1d(1),
    ...                         nn.Flatten(), nn.Linear(6, 2))
    >>> check_model(network, ["ACGTTGCAGT", "TTTACGCATC"], methods=["saliency"]).sound
    True
    """
    takes = Takes(layout, alphabet, explain)
    given = None
    if sequences is not None:
        given = as_sequences(sequences, labels=labels, layout=layout, alphabet=alphabet)
    return model_check.check_model(
        model,
        given,
        classes=classes,
        length=length,
        layout=layout,
        alphabet=alphabet,
        explain=takes.options,
        function=takes.function,
        methods=methods,
    )
