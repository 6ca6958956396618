"""What may be asked of heads; without torch, for the command line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Received = Literal["maximum", "mean", "pooled", "value_norm", "relevance"]
"""What makes one number of what a head takes from a site: of attention the maximum over the sites
that pay it (*Consens et al. 2025*), the mean, or what the site pays from which the logits are read;
the mean times the length of what the site gives (``nn.heads.value_norms``); or the part of the
head's relevance that comes from the site, signed (``relevance.relevance_of_sites``)."""

Fill = Literal["zero", "mean"]
"""What stands in for the output of a head."""

RANDOM_SETS = 20

RELEVANCE = "AttnLRP"
"""In the column ``track`` of ablations: heads are chosen by their relevance, beside those that go
with a track."""


TRAINED = "trained"
"""The state of a model that a run has trained, or was given."""

AS_BUILT = "as built"
"""That of a model outside of runs whose weights are those that its options say."""

STATES = ("random", "pretrained", TRAINED, "epoch:N")
"""Of a model: without pre-trained weights, with them, and after so many epochs; as a run has it."""


@dataclass(frozen=True, slots=True)
class HeadOptions:
    """``tracks`` (none: what is known without a file) and ``nuisance`` as ``track_named`` reads
    them; ``shares`` of heads that are taken out, none for no ablation; of at most ``sequences``
    test sequences. ``states`` are compared one with the next, ``trained`` also with those before
    any training, and the tracks ``around`` also where all else is shuffled."""

    tracks: tuple[str, ...] = ()
    nuisance: tuple[str, ...] = ()
    received: Received = "maximum"
    shares: tuple[float, ...] = ()
    fill: Fill = "zero"
    draws: int = RANDOM_SETS
    sequences: int = 1000
    models: tuple[str, ...] = ()
    states: tuple[str, ...] = (TRAINED,)
    around: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SummaryOptions:
    """A language model at an OpenAI-compatible endpoint: ``url`` with its version
    (``http://localhost:8000/v1``), and the ``model`` that it has by that name; none without either.

    At most so many ``calls``, which are requests, retries among them, and no more once so many
    ``tokens`` were used; ``timeout`` in seconds, of each.
    """

    url: str | None = None
    model: str | None = None
    calls: int = 200
    tokens: int = 200_000
    timeout: float = 60.0
