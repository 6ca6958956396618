"""Whether a model loses more without the heads that follow a track than without others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from xaibench.nn.heads import AttentionHead, head_means, without_heads
from xaibench.nn.inference import logits
from xaibench.nn.outputs import quantity
from xaibench.shapes import Float, Logits
from xaibench.statistics.classification_measures import MEASURE
from xaibench.statistics.corrections import benjamini_hochberg
from xaibench.statistics.paired import of_t, paired_t

from .attention import Examples
from .options import RANDOM_SETS, RELEVANCE, Fill

ABLATION_MEASURES = ("accuracy", "auroc", "logit_difference")
"""Of the model without heads; the last is the mean of the logit of the label minus that of the
others."""


class HeadSet(NamedTuple):
    """Heads to take out. ``which`` is ``chosen``, or one of its controls, ``least associated`` and
    ``random``, of which ``draw`` counts several; ``by`` is ``strength``, ``positive`` or
    ``negative``."""

    by: str
    which: str
    draw: int
    heads: tuple[AttentionHead, ...]


def head_sets(
    strength: Float, share: float, *, draws: int = RANDOM_SETS, seed: int = 0
) -> Iterator[HeadSet]:
    """The sets to take out: of the ``share`` of all heads, one at the least.

    ``strength`` ``(layer, head)`` is how each goes with a track, signed; NaN, where that is not
    known, comes last. Chosen are the largest by absolute value, the largest, and the smallest;
    positive and negative ones where there are so many. The controls have as many heads in each
    layer: the ``least associated`` of the layer, and ``draws`` sets drawn at random from all of its
    heads, so that the chosen set is one of those that might have been drawn.
    """
    count = max(1, round(share * strength.size))
    size = np.nan_to_num(np.abs(strength), nan=-1.0)
    generator = np.random.default_rng(seed)
    for by, order in (("strength", size), ("positive", strength), ("negative", -strength)):
        if by != "strength" and (order > 0).sum() < count:
            continue
        chosen = _largest(np.nan_to_num(order, nan=-1.0), count)
        taken = np.bincount([head.layer for head in chosen], minlength=len(strength))
        yield HeadSet(by, "chosen", 0, chosen)
        least = [np.argsort(each, kind="stable") for each in size]
        yield HeadSet(by, "least associated", 0, _first(least, taken))
        for draw in range(draws):
            drawn = [generator.permutation(strength.shape[1]) for _ in strength]
            yield HeadSet(by, "random", draw, _first(drawn, taken))


def _largest(values: Float, count: int) -> tuple[AttentionHead, ...]:
    order = np.argsort(-values, axis=None, kind="stable")[:count]
    return tuple(AttentionHead(*map(int, np.unravel_index(place, values.shape))) for place in order)


def _first(orders: Sequence[Any], taken: Any) -> tuple[AttentionHead, ...]:
    """So many heads of each layer, the first of its order."""
    return tuple(
        AttentionHead(layer, int(head))
        for layer, (order, count) in enumerate(zip(orders, taken, strict=True))
        for head in order[:count]
    )


def ablations(
    model: Any,
    examples: Examples,
    strengths: Mapping[str, Float],
    shares: Sequence[float],
    *,
    fill: Fill = "zero",
    draws: int = RANDOM_SETS,
) -> pd.DataFrame:
    """A row per track, share and set: ``track``, ``share``, ``by``, ``set``, ``draw``, ``heads``
    (their number), and ``ABLATION_MEASURES`` without them. The first row is of the intact model.

    ``strengths`` are by track, each ``(layer, head)``.
    """
    means = head_means(model, examples.codes) if fill == "mean" else None
    intact = _measured(logits(model, examples.codes), examples)
    rows: list[dict[str, Any]] = [
        {"track": "", "share": 0.0, "by": "", "set": "intact", "draw": 0, "heads": 0, **intact}
    ]
    measured: dict[frozenset[AttentionHead], dict[str, float]] = {}
    for track, strength in strengths.items():
        for share in shares:
            for each in head_sets(strength, share, draws=draws):
                lost = frozenset(each.heads)
                if lost not in measured:
                    with without_heads(model, each.heads, count=strength.shape[1], means=means):
                        outputs = logits(model, examples.codes)
                    measured[lost] = _measured(outputs, examples)
                about = {"track": track, "share": share, "by": each.by, "set": each.which}
                rows.append({**about, "draw": each.draw, "heads": len(lost), **measured[lost]})
    return pd.DataFrame(rows)


def _measured(outputs: Logits, examples: Examples) -> dict[str, float]:
    """NaN where there are no classes."""
    if not examples.has_classes or outputs.shape[1] == 1:
        return dict.fromkeys(ABLATION_MEASURES, np.nan)
    labels = examples.labels
    every = np.ones((1, len(labels)))
    return {
        "accuracy": float(quantity("accuracy", outputs, labels, labels).mean()),
        "auroc": MEASURE["auroc"](outputs.astype(np.float64), labels, every).item(),
        "logit_difference": float(quantity("logit_difference", outputs, labels, labels).mean()),
    }


def ablation_tests(table: pd.DataFrame) -> pd.DataFrame:
    """A row per track, share, ``by`` and measure, from the rows of ``ablations`` of one model under
    one replicate or several (column ``replicate``).

    ``chosen``, ``least_associated`` and ``random`` are means over replicates, ``difference`` is
    chosen minus the mean of the random sets, negative where the chosen heads matter more.
    ``low, high`` and ``p`` are t over replicates, NaN of one; ``p_random`` is the share of random
    sets, the chosen among them, that lose as much as the chosen, the largest over replicates.
    ``q`` is Benjamini and Hochberg's of ``p``, over all rows.
    """
    rows = []
    ablated = table[table["set"] != "intact"]
    for (track, share, by), part in ablated.groupby(["track", "share", "by"], sort=False):
        for measure in ABLATION_MEASURES:
            of_set: dict[Any, Float] = {
                which: each.pivot(index="replicate", columns="draw", values=measure).to_numpy()
                for which, each in part.groupby("set")
            }
            rows.append(
                {
                    **{"track": track, "share": share, "by": by, "measure": measure},
                    "heads": int(part["heads"].iloc[0]),
                    **_compared(of_set),
                }
            )
    tests = pd.DataFrame(rows)
    return tests.assign(q=benjamini_hochberg(tests["p"]))


def relevance_against_association(table: pd.DataFrame) -> pd.DataFrame:
    """Whether AttnLRP names heads that matter more than those that go with a track, from the rows
    of ``ablations``: a row per track, share, ``by``, measure and ``minus``.

    ``relevance`` and ``association`` are what the model reaches without the heads that each
    chooses, and ``difference`` is the first minus the second, negative where relevance names heads
    that matter more; with ``minus`` ``random`` each is first compared with its own random sets, so
    that it does not count from which layers they are. Means over replicates, with t over these;
    ``q`` is Benjamini and Hochberg's, over all rows.
    """
    ablated = table[table["set"] != "intact"]
    means: dict[Any, pd.DataFrame] = {
        key: part.groupby("replicate")[[*ABLATION_MEASURES]].mean()
        for key, part in ablated.groupby(["track", "share", "by", "set"], sort=False)
    }
    rows = []
    for (track, share, by, which), chosen in means.items():
        own = means.get((RELEVANCE, share, by, "chosen"))
        if which != "chosen" or track == RELEVANCE or own is None:
            continue
        random, own_random = (means[each, share, by, "random"] for each in (track, RELEVANCE))
        compared = {"nothing": own - chosen, "random": (own - own_random) - (chosen - random)}
        about = {"track": track, "share": share, "by": by}
        for minus, differences in compared.items():
            for measure in ABLATION_MEASURES:
                reached = {"relevance": own[measure].mean(), "association": chosen[measure].mean()}
                tested = _tested(differences[measure].dropna().to_numpy(np.float64))
                rows.append({**about, "measure": measure, "minus": minus, **reached, **tested})
    tests = pd.DataFrame(rows)
    return tests.assign(q=benjamini_hochberg(tests["p"])) if rows else tests


def _tested(differences: Float) -> dict[str, float]:
    """Of differences ``(replicate,)``."""
    low, high = of_t(differences)
    return {
        "difference": differences.mean() if len(differences) else np.nan,
        "low": low,
        "high": high,
        "p": paired_t(differences).p,
        "replicates": len(differences),
    }


def _compared(of_set: Mapping[Any, Float]) -> dict[str, float]:
    """Of values ``(replicate, draw)``."""
    chosen, random = of_set["chosen"][:, 0], of_set["random"]
    differences = chosen - random.mean(axis=1)
    beaten = (random <= chosen[:, None]).sum(axis=1)
    p_random = ((1 + beaten) / (1 + random.shape[1])).max()
    return {
        "chosen": chosen.mean(),
        "least_associated": of_set["least associated"].mean(),
        "random": random.mean(),
        **_tested(differences),
        "p_random": np.nan if np.isnan(chosen).any() else p_random,
    }
