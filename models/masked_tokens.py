"""A language model that predicts masked tokens, and what it is shown (Devlin et al. 2019)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from xaibench.errors import UsageError

from .dnabert2 import EPSILON, Bert, initialise
from .tokenizer import DNATokenizer

_MASK = "[MASK]"

_SHOWN_AS_MASK, _SHOWN_AS_RANDOM = 0.8, 0.1
"""Shares of the tokens to predict; the rest are shown as they are."""

Ids = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """``mask`` is the identifier of ``[MASK]``, ``ordinary`` ``(token,)`` are those of tokens that
    are not special, in increasing order."""

    mask: int
    ordinary: Ids


def vocabulary_of(tokenizer: DNATokenizer) -> Vocabulary:
    """UsageError where the tokenizer has no ``[MASK]``."""
    library = tokenizer.library
    mask = library.token_to_id(_MASK)
    if mask is None:
        raise UsageError(
            f"tokenizer: has no token {_MASK}, which a model that predicts masked tokens is shown; "
            "is it that of a language model?"
        )
    added = library.get_added_tokens_decoder()
    special = {number for number, token in added.items() if token.special}
    ordinary = sorted({*library.get_vocab().values()} - special)
    return Vocabulary(mask, np.array(ordinary, np.int64))


def is_ordinary(ids: Ids, vocabulary: Vocabulary) -> NDArray[np.bool_]:
    """``(N, S)`` -> where a token is not special: no ``[CLS]``, ``[SEP]``, ``[PAD]`` or
    ``[UNK]``."""
    return np.isin(ids, vocabulary.ordinary)


def masked_tokens(
    ids: Ids, vocabulary: Vocabulary, rate: float, generator: np.random.Generator
) -> tuple[Ids, NDArray[np.bool_]]:
    """What a model is shown ``(N, S)``, and True at the tokens that it must predict.

    Of the ordinary tokens of each sequence the share ``rate``, at least one, is to be predicted. Of
    these 80 % are shown as ``[MASK]``, 10 % as a random ordinary token, 10 % as they are.
    """
    ordinary = is_ordinary(ids, vocabulary)
    order = np.where(ordinary, generator.random(ids.shape), 2.0)  # after all ordinary ones
    ranks = order.argsort(axis=1).argsort(axis=1)
    counts = np.maximum(np.round(rate * ordinary.sum(axis=1)), 1)
    predicted = (ranks < counts[:, None]) & ordinary
    kind = generator.random(ids.shape)
    shown = np.where(predicted & (kind < _SHOWN_AS_MASK), vocabulary.mask, ids)
    random = predicted & (kind >= 1 - _SHOWN_AS_RANDOM)
    shown[random] = generator.choice(vocabulary.ordinary, int(random.sum()))
    return shown, predicted


class MaskedLanguageModel(nn.Module):
    """DNABERT-2 with its head for masked tokens: ``(N, S)`` identifiers -> logits over the
    vocabulary of the tokens to predict.

    Tensors have the names of the public checkpoint. The head is a layer of the model's width, GELU
    and LayerNorm, then the embeddings themselves as output weights, with a bias per token.
    """

    def __init__(
        self, tokens: int, width: int, layers: int, heads: int, hidden: int, dropout: float
    ) -> None:
        super().__init__()
        self.bert = Bert(tokens, width, layers, heads, hidden, dropout)
        del self.bert.pooler  # no masked token is predicted from it
        predictions = TokenPredictions(tokens, width)
        self.cls = nn.ModuleDict({"predictions": predictions})
        self.apply(initialise)
        predictions.decoder.weight = self.bert.embeddings.word_embeddings.weight

    def begin_at(self, log_probabilities: NDArray[np.float64], vocabulary: Vocabulary) -> None:
        """Give the bias of each token its ``unigram`` log-probability, which is else learnt first;
        that of special tokens is the lowest of these."""
        bias = self.state_dict()["cls.predictions.decoder.bias"]  # shares memory
        bias.fill_(float(log_probabilities.min()))
        bias[torch.from_numpy(vocabulary.ordinary)] = torch.from_numpy(log_probabilities).to(bias)

    def forward(self, ids: Tensor, predicted: Tensor, valid: Tensor | None = None) -> Tensor:
        """Logits ``(K, token)`` of the K places where ``predicted`` ``(N, S)`` is True, row by row;
        ``valid`` ``(N, S)`` is False at padding."""
        embedded = self.bert.embeddings(self.bert.embeddings.word_embeddings(ids))
        # the logits of all places would take longer than the layers
        logits: Tensor = self.cls["predictions"](self.bert.encoder(embedded, valid)[predicted])
        return logits


class TokenPredictions(nn.Module):
    """``decoder(transform(x))``, ``(K, width)`` -> ``(K, token)``."""

    def __init__(self, tokens: int, width: int) -> None:
        super().__init__()
        self.transform = Transform(width)
        self.decoder = nn.Linear(width, tokens)

    def forward(self, sites: Tensor) -> Tensor:
        logits: Tensor = self.decoder(self.transform(sites))
        return logits


class Transform(nn.Module):
    """``LayerNorm(GELU(dense(x)))``."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.dense = nn.Linear(width, width)
        self.LayerNorm = nn.LayerNorm(width, eps=EPSILON)

    def forward(self, sites: Tensor) -> Tensor:
        normalised: Tensor = self.LayerNorm(functional.gelu(self.dense(sites)))
        return normalised


def unigram(ids: Ids, vocabulary: Vocabulary) -> NDArray[np.float64]:
    """Log-probabilities in nats of the ordinary tokens, in the order of ``vocabulary``: their
    shares of ``ids``, with one more of each so that none is impossible (Laplace)."""
    highest = int(vocabulary.ordinary.max()) + 1
    counts = np.bincount(ids.ravel(), minlength=highest)[vocabulary.ordinary] + 1
    shares: NDArray[np.float64] = counts / counts.sum()
    return np.log(shares)


def unigram_figures(
    log_probabilities: NDArray[np.float64], vocabulary: Vocabulary, targets: Ids
) -> tuple[float, float]:
    """Loss in nats per token, and accuracy, of who knows nothing but how frequent tokens are; of
    ``targets`` ``(K,)``."""
    places = np.searchsorted(vocabulary.ordinary, targets)
    return (
        float(-log_probabilities[places].mean()),
        float((places == log_probabilities.argmax()).mean()),
    )


def loss_and_accuracy(logits: Tensor, targets: Tensor) -> tuple[Tensor, float]:
    """The cross-entropy in nats per predicted token, and the share whose highest logit is right."""
    loss = functional.cross_entropy(logits.float(), targets)
    return loss, float((logits.detach().argmax(1) == targets).double().mean())


def from_ids(ids: Ids) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(ids))
