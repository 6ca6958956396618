"""Which positions are hidden from a model while it trains: policies as data over one loop."""

from collections.abc import Callable, Mapping, Sequence
from math import cos, pi
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from xaibench.errors import UsageError
from xaibench.nn.devices import moved
from xaibench.nn.inference import device_of, evaluating
from xaibench.nn.restore import explainable
from xaibench.nn.view import ExplainedView
from xaibench.protocols import HasAttention
from xaibench.shapes import Codes, Labels, Mask
from xaibench.values import N


class Policy(NamedTuple):
    """Positions are ordered ``by`` a weight, and those at one end are hidden; ``options`` are the
    defaults of ``Masking`` that differ under this policy."""

    by: Literal["chance", "attention", "gradient"]
    hides: Literal["lowest", "highest", "highest, then lowest"] = "lowest"
    options: Mapping[str, Any] = {}


POLICIES = {
    "none": Policy("chance", options={"ratio": 0.0}),
    "random": Policy("chance"),
    "low_attention": Policy("attention"),
    "high_attention": Policy("attention", "highest"),
    "alternate": Policy("gradient", "highest, then lowest"),
    "low_gradient": Policy(
        "gradient",
        options={
            "replacement": "uniform",
            "intact_loss": 1.0,
            "masked_loss": 0.0,
            "consistency_loss": 1.0,
        },
    ),
}
"""``low_attention`` is AttnGen's (Shabani Nia and Karkehabadi 2026), ``random`` its control at the
same ratio, ``high_attention`` its opposite. ``alternate`` hides the highest gradients in one epoch
and the lowest in the next (after HLGM, ICIST 2024, whose period we could not read).
``low_gradient`` is saliency-guided training (Ismail et al. 2021): cross-entropy on the intact
sequence, and its prediction must survive when what hardly matters becomes random bases."""

LossWeight = Annotated[float, Field(ge=0)]


class Masking(BaseModel):
    """What a model does not see in training: a policy, how much of a sequence, and when.

    No position is masked for ``warm_up`` epochs; then the share of masked positions rises to
    ``ratio`` over ``ramp`` epochs and stays there. It rises in a line, along a cosine, or in one
    ``step`` in the middle; ``adaptive`` (after SMOOT, arXiv 2310.00772, whose formula we could not
    read) goes up by ``ratio / ramp`` after an epoch that did not raise the validation loss, else
    down as much, between 0 and ``ratio``. Masked positions become N or ``uniform`` bases.

    The loss is ``intact_loss`` x cross-entropy of the intact sequence + ``masked_loss`` x that of
    the masked one + ``consistency_loss`` x KL(intact || masked), where ``detach`` holds the intact
    prediction fixed; while nothing is masked it is the cross-entropy alone. The choice of positions
    is hard and carries no gradient.

    AttnGen's paper says "progressively" and "10-20 %" and leaves the rest open: all defaults are
    our choice. A bare name stands for its policy: ``masking: random``.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, extra="forbid", strict=True)
    policy: Literal[
        "none", "random", "low_attention", "high_attention", "alternate", "low_gradient"
    ] = "low_attention"
    ratio: Annotated[float, Field(ge=0, lt=1)] = 0.15
    warm_up: Annotated[int, Field(ge=0)] = 2
    ramp: Annotated[int, Field(ge=1)] = 5
    shape: Literal["linear", "cosine", "step", "adaptive"] = "linear"
    replacement: Literal["n", "uniform"] = "n"
    intact_loss: LossWeight = 0.0
    masked_loss: LossWeight = 1.0
    consistency_loss: LossWeight = 0.0
    detach: bool = False

    @model_validator(mode="before")
    @classmethod
    def _of_policy(cls, given: Any) -> Any:
        """A bare name, and the defaults of a policy."""
        named = {"policy": given} if isinstance(given, str) else given
        policy = POLICIES.get(str(named.get("policy"))) if isinstance(named, Mapping) else None
        return named if policy is None else {**policy.options, **named}

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.policy == "none" and self.ratio:
            raise ValueError(f"expected another policy than none, or ratio 0, got {self.ratio}")
        if not self.intact_loss + self.masked_loss:
            raise ValueError("expected intact_loss or masked_loss above 0: nothing would be learnt")
        return self

    def ratio_at(self, epoch: int, history: Sequence[Mapping[str, float]] = ()) -> float:
        """The share of valid positions masked in an epoch, counted from 0; ``history`` has the
        epochs before it.

        >>> masking = Masking(ratio=0.2, warm_up=2, ramp=4)
        >>> [masking.ratio_at(epoch) for epoch in range(7)]
        [0.0, 0.0, 0.05, 0.1, 0.15, 0.2, 0.2]
        """
        if epoch < self.warm_up or not self.ratio:
            return 0.0
        if self.shape == "adaptive":
            return round(self._adapted(history), 12)
        progress = min((epoch + 1 - self.warm_up) / self.ramp, 1.0)
        return round(self.ratio * _RAMPS[self.shape](progress), 12)  # 0.3, not 0.30000000000000004

    def _adapted(self, history: Sequence[Mapping[str, float]]) -> float:
        """One step up from the last ratio unless the last epoch raised the validation loss."""
        losses = [row["validation_loss"] for row in history[-2:]]
        up = 1 if sorted(losses, reverse=True) == losses else -1  # with fewer than two, up
        before = history[-1]["mask_ratio"] if history else 0.0
        return min(max(before + up * self.ratio / self.ramp, 0.0), self.ratio)


_RAMPS: dict[str, Callable[[float], float]] = {
    "linear": lambda progress: progress,
    "cosine": lambda progress: (1 - cos(pi * progress)) / 2,
    "step": lambda progress: float(progress > 0.5),
}
"""The share of the ratio after a share of the ramp. Each has area 1/2, so that over a ramp all mask
the same number of positions."""

NONE, LOW_ATTENTION = Masking(policy="none"), Masking(policy="low_attention")
"""Defaults of models."""


def checked_masking(masking: Masking, model: Any) -> Masking:
    """The masking itself; UsageError where its policy needs attention that the model has not."""
    if POLICIES[masking.policy].by == "attention" and not isinstance(model, HasAttention):
        others = [name for name, policy in POLICIES.items() if policy.by != "attention"]
        raise UsageError(
            f"masking: {masking.policy} needs a model with attention, "
            f"{type(model).__name__} takes {', '.join(others)}"
        )
    return masking


def masked_positions(
    masking: Masking,
    model: Any,
    codes: Codes,
    labels: Labels,
    *,
    epoch: int,
    ratio: float,
    generator: np.random.Generator,
) -> Mask:
    """``(sequence, position)``: True where the policy hides a valid position of these sequences.

    Weights are those of the intact sequences in evaluation mode. The same model, sequences and
    state of the generator give the same mask.
    """
    policy = POLICIES[masking.policy]
    weights = _WEIGHTS[policy.by](model, codes, labels)
    is_even = (epoch - masking.warm_up) % 2 == 0
    if policy.hides == "highest" or (policy.hides == "highest, then lowest" and is_even):
        weights = -weights
    return lowest(weights, codes < N, ratio, generator)


def masked_codes(
    masking: Masking, codes: Codes, masked: Mask, generator: np.random.Generator
) -> Codes:
    """The codes with N, or bases drawn uniformly, where they are masked."""
    if masking.replacement == "n":
        return np.where(masked, np.uint8(N), codes)
    return np.where(masked, generator.integers(4, size=codes.shape, dtype=np.uint8), codes)


def lowest(
    weights: NDArray[np.float32], valid: Mask, ratio: float, generator: np.random.Generator
) -> Mask:
    """``(sequence, position)``: True on the ``ratio`` of valid positions with the lowest weight.

    Their number is ``floor(ratio x valid + 1/2)`` for each sequence; ties are broken at random, by
    a random number behind each weight in the order.
    """
    counts = np.floor(ratio * valid.sum(axis=1) + 0.5)
    sortable = np.where(valid, weights, np.inf)  # what is not valid comes last
    order = np.lexsort((generator.random(sortable.shape), sortable), axis=1)
    ranks = np.empty_like(order)  # the inverse permutation: the rank of each position
    np.put_along_axis(ranks, order, np.arange(order.shape[1])[None], axis=1)
    masked: Mask = ranks < counts[:, None]
    return masked


PositionWeights = Callable[[Any, Codes, Labels], NDArray[np.float32]]
"""``(model, codes, labels) -> (sequence, position)``, what positions are ordered by."""


def _by_chance(model: Any, codes: Codes, labels: Labels) -> NDArray[np.float32]:
    """All the same: ties are broken at random."""
    return np.zeros(codes.shape, np.float32)


def _by_attention(model: Any, codes: Codes, labels: Labels) -> NDArray[np.float32]:
    """The weights by which the model pools its positions."""
    with evaluating(model):
        weights = model.attention(_encoded_on_device(model, codes))
    return _array(weights)


def _by_gradient(model: Any, codes: Codes, labels: Labels) -> NDArray[np.float32]:
    """``max_b |g_b - mean(g)|`` over the bases of a position, for the label: its saliency."""
    with explainable(model), torch.enable_grad():
        inputs = _encoded_on_device(model, codes).requires_grad_()
        label = torch.from_numpy(labels).to(inputs.device)
        explained = ExplainedView(model)(inputs).gather(1, label.unsqueeze(1))
        (gradient,) = torch.autograd.grad(explained.sum(), inputs)
    return _array((gradient - gradient.mean(1, keepdim=True)).abs().amax(1))


def _encoded_on_device(model: Any, codes: Codes) -> torch.Tensor:
    encoded: torch.Tensor = model.encode(moved(codes, device_of(model)))
    return encoded


def _array(weights: torch.Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = weights.to("cpu", torch.float32).numpy()
    return array


_WEIGHTS: dict[str, PositionWeights] = {
    "chance": _by_chance,
    "attention": _by_attention,
    "gradient": _by_gradient,
}
