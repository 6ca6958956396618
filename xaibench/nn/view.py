"""A model as a method of explanation sees it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from xaibench.errors import NotApplicable
from xaibench.nn.checks.outputs import finite, forward_logits
from xaibench.shapes import Codes

from .devices import moved
from .inference import device_of, forward_codes
from .outputs import explained_outputs
from .restore import is_narrow
from .sites import has_tokens


class ExplainedView(nn.Module):
    """A classifier seen by a method: its output is what is explained for each class.

    ``forwards`` and ``backwards`` count rows: of inputs that went through the model, and of outputs
    that a gradient came back to. ``rounding`` is the spacing of numbers at the largest logit seen:
    no change of the output can be known better. ``has_tokens``: its sites are tokens and its inputs
    embeddings, not bases. ``jumps``, of the classifier, says why its output is no continuous
    function of its inputs; ``adds_up``, of it too, is False where its gradient leaves a part out,
    so that no contributions sum to the change of the output. ``without_rule`` is for methods that
    have rules: the operations outside of modules that may keep contributions from adding up.
    ``at_limit`` is for methods that compute until they are exact: of how many sequences a limit was
    the end.
    """

    def __init__(self, classifier: Any) -> None:
        super().__init__()
        self.classifier = classifier
        self.has_tokens = has_tokens(classifier)
        self.pooled_site: int | None = getattr(classifier, "pooled_site", None)
        self.jumps: str = getattr(classifier, "jumps", "")
        self.adds_up: bool = getattr(classifier, "adds_up", True)
        self.forwards = 0
        self.backwards = 0
        self.rounding = 0.0
        self.without_rule: set[str] = set()
        self.at_limit = 0
        self._passed: tuple[Tensor, Tensor] | None = None

    def forward(self, inputs: Tensor) -> Tensor:
        """``(N, C, S)`` -> ``(N, class)``: the logit minus the mean of the others
        (``outputs.explained_outputs``), in single precision or better. The step from logits is
        linear."""
        self.forwards += len(inputs)
        logits = self._logits_of(inputs)
        self._note_rounding(logits.detach())
        logits = logits.float() if is_narrow(logits.dtype) else logits
        explained = explained_outputs(logits)
        if explained.requires_grad:
            explained.register_hook(self._count_backward)  # type: ignore[no-untyped-call]
        return explained

    def of_codes(self, codes: Codes) -> Tensor:
        """``(N, L)`` -> what ``forward`` gives for these sequences, ``(N, class)``, without a
        gradient: for methods that edit the nucleotides of a model that has tokens."""
        self.forwards += len(codes)
        with torch.no_grad():
            logits = finite(forward_codes(self.classifier, codes))
        self._note_rounding(logits)
        return explained_outputs(logits.float() if is_narrow(logits.dtype) else logits)

    def reference(self, inputs: Tensor) -> Tensor:
        """``(N, C, S)`` -> the same without what tokens of nucleotides say, of a model that has
        tokens."""
        with torch.no_grad():
            start: Tensor = self.classifier.reference(inputs)
        return start

    @contextmanager
    def counting(self) -> Iterator[None]:
        """In here rows count, unless an error ends it: what is computed again counts once."""
        before = self.forwards, self.backwards, self.at_limit
        try:
            yield
        except BaseException:
            self.forwards, self.backwards, self.at_limit = before
            raise

    def first_pass(self, inputs: Tensor) -> Tensor:
        """The model's outputs ``(N, class)``; the next ``forward`` of the same tensor makes no
        other pass."""
        self._passed = None  # the graph of an earlier pass takes memory
        logits = finite(forward_logits(self.classifier, inputs, len(inputs)))
        self._passed = inputs, logits
        return logits.detach()

    def _logits_of(self, inputs: Tensor) -> Tensor:
        passed, self._passed = self._passed, None
        if passed is not None and passed[0] is inputs:
            return passed[1]
        return finite(forward_logits(self.classifier, inputs, len(inputs)))

    def attention(self, inputs: Tensor) -> Tensor:
        """``(N, C, S)`` -> the model's weights ``(N, S)``; NotApplicable where it has none."""
        if not hasattr(self.classifier, "attention"):
            raise NotApplicable("the model has no attention")
        self.forwards += len(inputs)
        weights: Tensor = self.classifier.attention(inputs)
        return weights

    def attentions(self, inputs: Tensor) -> Tensor:
        """``(N, C, S)`` -> the weights of every layer of self-attention ``(N, layer, head, site,
        site)``; NotApplicable where there is none."""
        if not hasattr(self.classifier, "attentions"):
            raise NotApplicable("the model has no layers of self-attention")
        self.forwards += len(inputs)
        layers: Tensor = self.classifier.attentions(inputs)
        return layers

    def _note_rounding(self, logits: Tensor) -> None:
        if logits.numel():
            largest = logits.abs().max().item()
            self.rounding = max(self.rounding, largest * torch.finfo(logits.dtype).eps)

    def _count_backward(self, gradient: Tensor) -> None:
        self.backwards += len(gradient)


def encoded(model: Any, codes: Codes) -> Tensor:
    """Codes ``(N, L)`` as the model takes them, on its device, in single precision or better."""
    with torch.no_grad():
        inputs: Tensor = model.encode(moved(codes, device_of(model)))
    return inputs.detach().float() if is_narrow(inputs.dtype) else inputs.detach()
