"""DNABERT-2: a language model of DNA that reads byte-pair tokens (Zhou et al. 2024)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from xaibench.errors import UsageError
from xaibench.nn.layers import MatrixProduct
from xaibench.nn.weights import load_into, read_weights, without_prefix
from xaibench.values import TokenSites

from .hub import from_hub
from .masking import NONE
from .tokenizer import TooLong, read_tokenizer, tokenised
from .windows import over_windows, require_one_window

_TOKEN_TYPES = 2  # of two sentences, of which DNA is always the first

EPSILON = 1e-12  # of LayerNorm, as in BERT

_HIDDEN_BY_PADDING = -10_000.0


class DNABert2(nn.Module):
    """Byte-pair tokens, layers of self-attention, and a classification of the first token.

    Tensors have the names and, with the sizes that are the defaults, the shapes of the public
    checkpoint of 117 million parameters with a head for classes, so weights that were fine-tuned
    elsewhere are ``weights:`` of a plan. Layers are normalised after attention and after the gated
    network (post-norm); position enters by a penalty on the distance between tokens (ALiBi, Press
    et al. 2022). ``hidden`` is the width of the gated network. At most ``longest`` tokens are read,
    of which two are ``[CLS]`` and ``[SEP]``; of more, ``too_long`` says what is done.

    ``tokenizer`` is a ``tokenizer.json`` or a folder with one. ``pretrained`` is a file of weights
    to begin from, or a folder with one, such as the public checkpoint, which predicts masked
    tokens: what it has for that is left out, and the head for classes begins at random, as does the
    pooler where it has none. Either may be ``hub:owner/name``.

    Written from the description of the architecture and the names of its tensors; no code is run
    that comes with a checkpoint.
    """

    masking = NONE
    pooled_site = 0
    head = ("bert.pooler", "classifier")
    fetched: ClassVar = {"tokenizer": from_hub, "pretrained": from_hub}

    def __init__(
        self,
        *,
        classes: int,
        tokenizer: Annotated[
            Path, Field(description="a tokenizer.json, or a folder that holds one")
        ],
        width: Annotated[int, Field(ge=1, le=10_000)] = 768,
        layers: Annotated[int, Field(ge=1, le=100)] = 12,
        heads: Annotated[int, Field(ge=1, le=1000)] = 12,
        hidden: Annotated[int, Field(ge=1, le=100_000)] = 3072,
        dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1,
        longest: Annotated[int, Field(ge=3, le=1_000_000)] = 512,
        too_long: TooLong = "refuse",
        pretrained: Path | None = None,
    ) -> None:
        super().__init__()
        if width % heads:
            raise UsageError(f"heads: expected a divisor of the width {width}, got {heads}")
        self.tokenizer = read_tokenizer(tokenizer, longest=longest, too_long=too_long)
        if (self.tokenizer.before, self.tokenizer.after) != (1, 1):
            raise UsageError(
                f"tokenizer: expected one special token before those of nucleotides and one after "
                f"them, as [CLS] and [SEP], got {self.tokenizer.before} and {self.tokenizer.after}"
            )
        self.bert = Bert(self.tokenizer.size, width, layers, heads, hidden, dropout)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(width, classes)
        self.apply(initialise)
        if pretrained is not None:
            _begin_from(self.bert, pretrained)

    def token_sites(self, codes: Tensor) -> TokenSites:
        """``(N, L)`` codes -> the tokens of each sequence and the nucleotides that each covers."""
        return tokenised(self.tokenizer, codes.cpu().numpy())[1]

    def encode(self, codes: Tensor) -> Tensor:
        """``(N, L)`` codes -> the embeddings of the tokens ``(N, width, S)``."""
        ids, _ = tokenised(self.tokenizer, codes.cpu().numpy())
        table = self.bert.embeddings.word_embeddings
        embedded: Tensor = table(torch.from_numpy(ids).to(table.weight.device))
        return embedded.transpose(1, 2)

    def reference(self, inputs: Tensor) -> Tensor:
        """The mean embedding of all tokens in place of all but ``[CLS]`` and ``[SEP]``."""
        return self._between_marks(inputs, self.bert.embeddings.word_embeddings.weight.mean(0))

    def filled(self, inputs: Tensor, token: str) -> Tensor:
        """The embedding of a special token in place of all but ``[CLS]`` and ``[SEP]``;
        NotApplicable where the tokenizer has no such token."""
        table = self.bert.embeddings.word_embeddings.weight
        return self._between_marks(inputs, table[self.tokenizer.identifier(token)])

    def _between_marks(self, inputs: Tensor, embedding: Tensor) -> Tensor:
        start = inputs.detach().clone()
        start[:, :, 1:-1] = embedding.detach()[:, None]
        return start

    def attentions(self, inputs: Tensor) -> Tensor:
        """Of each token to each, ``(N, layer, head, S, S)``; sums over the last axis are 1."""
        entered = self._entered(inputs)
        return torch.stack([layer.weights(sites, bias) for layer, sites, bias in entered], dim=1)

    def values(self, inputs: Tensor) -> Tensor:
        """What each token gives to each head, ``(N, layer, head, S, width / head)``."""
        entered = self._entered(inputs)
        return torch.stack([layer.project(sites)[2] for layer, sites, _ in entered], dim=1)

    def _entered(self, inputs: Tensor) -> Iterator[tuple[SelfAttention, Tensor, Tensor]]:
        """The attention of each layer, what enters it ``(N, S, width)``, and the penalty on
        distance."""
        require_one_window(inputs, self.tokenizer)
        sites = self.bert.embeddings(inputs.transpose(1, 2))
        bias = self.bert.encoder.bias(sites.shape[1], None)
        for layer in self.bert.encoder.layer:
            assert isinstance(layer, Layer)  # for the type checker
            yield layer.attention.self, sites, bias
            sites = layer(sites, bias)

    def output_projections(self) -> list[nn.Module]:
        """What the outputs of the heads of each layer enter."""
        layers = (layer for layer in self.bert.encoder.layer if isinstance(layer, Layer))
        return [layer.attention.output.dense for layer in layers]

    def forward(self, inputs: Tensor, valid: Tensor | None = None) -> Tensor:
        """Embeddings ``(N, width, S)`` -> logits ``(N, class)``; ``valid`` ``(N, S)`` is False at
        tokens that are padding, which stand at the end."""
        return over_windows(self._classified, inputs, valid, self.tokenizer)

    def _classified(self, inputs: Tensor, valid: Tensor | None) -> Tensor:
        logits: Tensor = self.classifier(self.dropout(self.bert(inputs.transpose(1, 2), valid)))
        return logits


# Modules and their attributes from here on are named as the tensors of the checkpoint are.


class Bert(nn.Module):
    """Embeddings ``(N, S, width)`` -> what the first token has become, ``(N, width)``."""

    def __init__(
        self, vocabulary: int, width: int, layers: int, heads: int, hidden: int, dropout: float
    ) -> None:
        super().__init__()
        self.embeddings = Embeddings(vocabulary, width, dropout)
        self.encoder = Encoder(width, layers, heads, hidden, dropout)
        self.pooler = Pooler(width)

    def forward(self, embedded: Tensor, valid: Tensor | None = None) -> Tensor:
        pooled: Tensor = self.pooler(self.encoder(self.embeddings(embedded), valid))
        return pooled


class Embeddings(nn.Module):
    """That of the word, which the model is given, and that of the first type, normalised."""

    def __init__(self, vocabulary: int, width: int, dropout: float) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(vocabulary, width)
        self.token_type_embeddings = nn.Embedding(_TOKEN_TYPES, width)
        self.LayerNorm = nn.LayerNorm(width, eps=EPSILON)
        self.dropout = nn.Dropout(dropout)

    def forward(self, embedded: Tensor) -> Tensor:
        typed = embedded + self.token_type_embeddings.weight[0]
        normalised: Tensor = self.dropout(self.LayerNorm(typed))
        return normalised


class Encoder(nn.Module):
    """The layers, and the penalty on distance that all of them share."""

    slopes: Tensor

    def __init__(self, width: int, layers: int, heads: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.layer = nn.ModuleList(Layer(width, heads, hidden, dropout) for _ in range(layers))
        slopes = torch.tensor(alibi_slopes(heads)).reshape(heads, 1, 1)
        self.register_buffer("slopes", slopes, persistent=False)

    def forward(self, sites: Tensor, valid: Tensor | None = None) -> Tensor:
        bias = self.bias(sites.shape[1], valid)
        for layer in self.layer:
            sites = layer(sites, bias)
        return sites

    def bias(self, count: int, valid: Tensor | None) -> Tensor:
        """``(head, S, S)``, or ``(N, head, S, S)`` where tokens are padding: minus the slope of the
        head times the distance, and so low at padding that nothing attends to it."""
        place = torch.arange(count, device=self.slopes.device)
        bias = -self.slopes * (place - place.unsqueeze(1)).abs()
        if valid is None:
            return bias
        hidden = (~valid).to(bias) * _HIDDEN_BY_PADDING
        return bias + hidden[:, None, None, :]


class Layer(nn.Module):
    """Attention between tokens, then a network for each token by itself."""

    def __init__(self, width: int, heads: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.attention = Attention(width, heads, dropout)
        self.mlp = GatedNetwork(width, hidden, dropout)

    def forward(self, sites: Tensor, bias: Tensor) -> Tensor:
        changed: Tensor = self.mlp(self.attention(sites, bias))
        return changed


class Attention(nn.Module):
    """``LayerNorm(x + dense(attention(x)))``."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.self = SelfAttention(width, heads)
        self.output = AttentionOutput(width, dropout)

    def forward(self, sites: Tensor, bias: Tensor) -> Tensor:
        added: Tensor = self.output(self.self(sites, bias), sites)
        return added


class SelfAttention(nn.Module):
    """``softmax(q k / sqrt(width / head) + bias) v``, ``(N, S, width)`` -> the same."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.Wqkv = nn.Linear(width, 3 * width)
        self.match, self.softmax, self.mix = MatrixProduct(), nn.Softmax(dim=-1), MatrixProduct()

    def forward(self, sites: Tensor, bias: Tensor) -> Tensor:
        queries, keys, values = self.project(sites)
        mixed: Tensor = self.mix(self._weights(queries, keys, bias), values)
        return mixed.transpose(1, 2).flatten(2)

    def weights(self, sites: Tensor, bias: Tensor) -> Tensor:
        """``(N, head, S, S)``; sums over the last axis are 1."""
        queries, keys, _ = self.project(sites)
        return self._weights(queries, keys, bias)

    def project(self, sites: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values, each ``(N, head, S, width / head)``."""
        parts = self.Wqkv(sites).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return parts[0], parts[1], parts[2]

    def _weights(self, queries: Tensor, keys: Tensor, bias: Tensor) -> Tensor:
        match = self.match(queries, keys.transpose(2, 3)) * queries.shape[3] ** -0.5
        weights: Tensor = self.softmax(match + bias)
        return weights


class AttentionOutput(nn.Module):
    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.dense = nn.Linear(width, width)
        self.LayerNorm = nn.LayerNorm(width, eps=EPSILON)
        self.dropout = nn.Dropout(dropout)

    def forward(self, attended: Tensor, sites: Tensor) -> Tensor:
        added: Tensor = self.LayerNorm(self.dropout(self.dense(attended)) + sites)
        return added


class GatedNetwork(nn.Module):
    """``LayerNorm(x + wo(GELU(g) * h))``, where ``g, h`` are the halves of a linear layer of ``x``
    without a bias (gated linear unit, Shazeer 2020)."""

    def __init__(self, width: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.gated_layers = nn.Linear(width, 2 * hidden, bias=False)
        self.act = nn.GELU()
        self.wo = nn.Linear(hidden, width)
        self.dropout = nn.Dropout(dropout)
        self.layernorm = nn.LayerNorm(width, eps=EPSILON)

    def forward(self, sites: Tensor) -> Tensor:
        gate, plain = self.gated_layers(sites).chunk(2, dim=-1)
        changed: Tensor = self.wo(self.dropout(self.act(gate) * plain))
        added: Tensor = self.layernorm(changed + sites)
        return added


class Pooler(nn.Module):
    """``tanh(dense(x))`` of the first token."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.dense = nn.Linear(width, width)
        self.activation = nn.Tanh()

    def forward(self, sites: Tensor) -> Tensor:
        pooled: Tensor = self.activation(self.dense(sites[:, 0]))
        return pooled


def alibi_slopes(heads: int) -> list[float]:
    """A geometric series that ends in 2^-8; for a number that is no power of two, that of the next
    lower power, then every second of the next higher one.

    >>> alibi_slopes(3)
    [0.0625, 0.00390625, 0.25]
    """
    lower = 2 ** (heads.bit_length() - 1)
    series = [2.0 ** (-8 * place / lower) for place in range(1, lower + 1)]
    if lower == heads:
        return series
    return series + alibi_slopes(2 * lower)[::2][: heads - lower]


def _begin_from(bert: Bert, file: Path) -> None:
    """Give the layers the weights of a checkpoint; UsageError where they do not fit."""
    state = read_weights(file)
    inside = {name: each for name, each in state.items() if name.startswith("bert.")}
    given = without_prefix(inside, "bert.", file.name) if inside else state
    known = bert.state_dict()
    pooler = {name: each for name, each in known.items() if name.startswith("pooler.")}
    load_into(bert, {**pooler, **given}, file.name)


def initialise(module: nn.Module) -> None:
    """As BERT begins: normal with standard deviation 0.02, biases 0."""
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=0.02)
    if isinstance(module, nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)
