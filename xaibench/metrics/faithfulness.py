"""Does what a method calls relevant carry the prediction? One number of a replacement curve.

All of them come from the same two passes, most and least relevant positions first, and look at a
map through its order alone. A mean over fractions is the area under the curve (trapezoid) over the
range that the curve covers, so it does not depend on the number of steps. The value at a fraction
that is no step is interpolated on a straight line.
"""

from __future__ import annotations

from functools import partial
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from xaibench.protocols import metric
from xaibench.shapes import Values
from xaibench.values import Curves

Share = Annotated[float, Field(gt=0, le=1)]
"""Of the valid positions of a sequence."""

Shares = Annotated[tuple[Share, ...], Field(min_length=1)]

_UNBOUNDED = (-np.inf, np.inf)
"""A logit difference has no bounds. Of a probability or an accuracy, areas are in [0, 1] and drops
in [-1, 1]."""

_curve_metric = partial(
    metric, family="faithfulness", of="curves", range=_UNBOUNDED, invariant=("scale", "monotone")
)


@_curve_metric(better="lower")
def deletion(curves: Curves) -> Values:
    """Area under the curve of replacing the most relevant positions first; lower is better.

    In the unit of the curve, over fractions of the valid positions (trapezoid), one number
    per sequence. After the deletion curve of *Petsiuk 2018* (RISE).

    >>> fractions = np.array([0.0, 0.5, 1.0])
    >>> deletion(Curves(fractions, np.array([[1.0], [0.0], [0.0]]))).tolist()
    [0.25]
    """
    return _mean_height(curves.most_relevant_first, curves.fractions)


@_curve_metric(better="higher", needs_least_relevant_first=True)
def insertion(curves: Curves) -> Values:
    """Area under the curve of putting the most relevant positions back; higher is better.

    Keeping the most relevant g of the positions is replacing the least relevant 1 - g, so this is
    the area under ``least_relevant_first``, in the unit of the curve. ``ValueError`` where that
    curve was not made. After the insertion curve of *Petsiuk 2018* (RISE).
    """
    return _mean_height(_least_relevant_first(curves), curves.fractions)


@_curve_metric(better="higher", needs_least_relevant_first=True)
def area_between(curves: Curves) -> Values:
    """Area from the most up to the least relevant first curve; higher is better.

    0 for an order that says nothing; the negated map has the negative of it. ``ValueError``
    without ``least_relevant_first``. The degradation score of *Schulz 2020*, the symmetric
    relevance gain of *Bluecher 2024*.
    """
    return insertion(curves) - deletion(curves)


@_curve_metric(better="higher")
def aopc(curves: Curves) -> Values:
    """Mean drop while the most relevant positions are replaced first; higher is better.

    The intact value minus the area under the curve. The area over the perturbation curve of
    *Samek 2017* is a mean over steps, and so depends on where they are; this does not.
    """
    return _drop(curves.most_relevant_first, deletion(curves))


@_curve_metric(better="higher")
def comprehensiveness(curves: Curves, *, bins: Shares = (0.01, 0.05, 0.1, 0.2, 0.5)) -> Values:
    """Drop when only the most relevant positions are replaced; higher is better.

    The mean over ``bins``, the shares that are replaced. *DeYoung 2020* (ERASER), of the
    probability there.
    """
    curve = curves.most_relevant_first
    return _drop(curve, _mean_height_at(np.asarray(bins), curve, curves.fractions))


@_curve_metric(better="lower", needs_least_relevant_first=True)
def sufficiency(curves: Curves, *, bins: Shares = (0.01, 0.05, 0.1, 0.2, 0.5)) -> Values:
    """Drop when only the most relevant positions are kept; lower is better.

    The mean over ``bins``, the shares that are kept; below 0 where they say more than the whole
    sequence. ``ValueError`` without ``least_relevant_first``. *DeYoung 2020* (ERASER), of the
    probability there.
    """
    curve = _least_relevant_first(curves)
    return _drop(curve, _mean_height_at(1 - np.asarray(bins), curve, curves.fractions))


@_curve_metric(better="higher", quantities=("logit_difference",))
def logit_drop(curves: Curves, *, fraction: Share = 0.1) -> Values:
    """Drop of the logit difference at one fraction of replaced positions; higher is better.

    ``fraction`` are the most relevant ones. For three and more classes the drop of the target's
    logit.
    """
    return comprehensiveness(curves, bins=(fraction,))


@_curve_metric(better="higher", range=(0.0, 1.0), quantities=("kept",))
def flip_rate(curves: Curves) -> Values:
    """Share of the fractions at which the decision is another one; in [0, 1], higher is better.

    1 minus the area under "the predicted class is that of the intact sequence", most relevant
    positions replaced first: how early the decision falls, and how long it stays away.
    """
    return 1 - deletion(curves)


@_curve_metric(better="lower", range=(0.0, 1.0), quantities=("kept",))
def flip_fraction(curves: Curves) -> Values:
    """Smallest fraction of replaced positions at which the decision flips; lower is better.

    Of the steps of the curve; in (0, 1]. NaN where the decision stays when every position is
    replaced: those are the same sequences for every order, so no method hides its failures among
    them (our choice). After the decision flips of *Serrano and Smith 2019*.
    """
    flipped = curves.most_relevant_first == 0
    return np.where(flipped[-1], curves.fractions[flipped.argmax(axis=0)], np.nan)


@_curve_metric(better="lower", curve="imputed")
def road(curves: Curves) -> Values:
    """Area under the curve of imputing the most relevant positions first; lower is better.

    Replaced positions are drawn given those that are kept, so that the holes are not what the
    model reads (*Rong 2022*, remove and debias).
    """
    return deletion(curves)


@_curve_metric(better="lower", curve="other_models", target="label")
def cross_model_deletion(curves: Curves) -> Values:
    """Area under the deletion curve that other models see; lower is better.

    One model's explanation says which positions are replaced, the others predict from what is left.
    A method whose maps fit only the model that they explain does no better than a random order. Of
    the label: models may predict different classes.
    """
    return deletion(curves)


@_curve_metric(better="lower", range=(0.0, 1.0), curve="retrained", quantities=("accuracy",))
def roar(
    curves: Curves,
    *,
    operator: str = "uniform",  # both options are for whoever makes the curve
    fractions: Shares = (0.1, 0.3, 0.5),
) -> Values:
    """Mean accuracy of models retrained without the most relevant positions; lower is better.

    In train and test alike ``fractions`` of the positions are replaced by ``operator``, and a new
    model learns from what is left. Area under the accuracy over its range, from 0 (the model
    itself) to the largest fraction. *Hooker 2019* (remove and retrain).
    """
    return deletion(curves)


def _least_relevant_first(curves: Curves) -> NDArray[np.float64]:
    """``(step, sequence)``; ``ValueError`` where the curve was not made."""
    if curves.least_relevant_first is None:
        raise ValueError("expected curves with least_relevant_first, got None")
    return curves.least_relevant_first


def _mean_height(curve: NDArray[np.float64], fractions: NDArray[np.float64]) -> Values:
    """The mean height of ``(step, sequence)`` over ``(step,)``: its area where they span [0, 1]."""
    area = np.trapezoid(np.asarray(curve, np.float64), fractions, axis=0)
    mean: Values = area / (fractions[-1] - fractions[0])
    return mean


def _mean_height_at(
    points: NDArray[np.float64], curve: NDArray[np.float64], fractions: NDArray[np.float64]
) -> Values:
    """The mean height of a curve ``(step, sequence)`` at some fractions ``(point,)``."""
    steps = np.interp(points, fractions, np.arange(len(fractions)))
    before = np.floor(steps).astype(np.intp)
    after = np.ceil(steps).astype(np.intp)
    share = (steps - before)[:, None]
    mean: Values = ((1 - share) * curve[before] + share * curve[after]).mean(axis=0)
    return mean


def _drop(curve: NDArray[np.float64], left: Values) -> Values:
    """From the intact value of a curve ``(step, sequence)`` to what is left ``(sequence,)``."""
    drop: Values = curve[0] - left
    return drop
