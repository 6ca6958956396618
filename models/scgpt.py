"""scGPT: a transformer whose tokens are the genes of a cell (Cui et al. 2024)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from xaibench.errors import NotApplicable, UsageError, message_of
from xaibench.nn.weights import StateDict, load_into, read_state
from xaibench.randomness import stream
from xaibench.shapes import Float
from xaibench.values import TokenSites

from .dnabert2 import SelfAttention

ARGS_FILE, VOCABULARY_FILE, WEIGHTS_FILE = "args.json", "vocab.json", "best_model.pt"

_CELL = "<cls>"

_LARGEST_VALUE = 512.0
"""Larger values are taken for this one, as published."""

_OTHER_TASKS = (
    *("decoder.", "mvc_decoder.", "flag_encoder.", "batch_encoder.", "sim."),
    *("grad_reverse_discriminator.", "creterion_cce."),
)
"""How names of tensors begin that neither attention nor the class of a cell depends on."""

_RENAMED = {
    ".self_attn._impl.": ".self_attn.",
    ".self_attn.in_proj_weight": ".self_attn.Wqkv.weight",
    ".self_attn.in_proj_bias": ".self_attn.Wqkv.bias",
}
"""Names that versions of attention have for the same tensors."""

_SIZES = ("embsize", "nheads", "d_hid", "nlayers")


class ScGPT(nn.Module):
    """A token per gene that a cell has counts of, layers of self-attention without positions, and a
    classification of the token ``<cls>`` where the checkpoint has one (``cls_decoder``).

    ``path`` is the published folder: ``args.json``, ``vocab.json`` and ``best_model.pt``; no code
    in it is run. ``genes`` are those of the cells; what the vocabulary does not have is no token.
    Counts are binned in each cell by the quantiles of those that are not 0, as published; that
    depends on their order alone, so raw and normalised counts give the same. A value on the edge of
    several bins takes the last, where the published code draws one of them, and of more genes than
    ``max_seq_len`` those stay that come first in one random order of all genes, where it draws in
    each cell: our choices, so that a cell has one answer.

    Written from the paper, the names of the tensors and the published defaults.
    """

    pooled_site = 0

    def __init__(self, *, path: Path, genes: tuple[str, ...] = ()) -> None:
        super().__init__()
        if not genes:
            raise UsageError("reads cells, not DNA: xaibench heads FOLDER CELLS.h5ad")
        sizes = _read_sizes(path)
        state = _state_of(path)
        rows, width = state["encoder.embedding.weight"].shape
        vocabulary = _read_vocabulary(path, rows, sizes.padding)
        self.numbers, self.cell = _numbers_of(genes, vocabulary, path), vocabulary[_CELL]
        self.bins, self.longest = sizes.bins, sizes.longest
        self.cell_value = 0.0 if _has_classifier(state) else sizes.padding_value
        self.encoder = GeneEncoder(rows, width)
        self.value_encoder = ValueEncoder(width)
        self.transformer_encoder = GeneLayers(sizes)
        self.cls_decoder = _decoder_of(state, width) if _has_classifier(state) else None
        self.bn = nn.BatchNorm1d(width, eps=6.1e-5) if "bn.weight" in state else None
        load_into(self, state, WEIGHTS_FILE)

    @property
    def classes(self) -> int | None:
        """How many the checkpoint tells apart; None of one that classifies no cells."""
        return None if self.cls_decoder is None else self.cls_decoder.out_layer.out_features

    def token_sites(self, codes: Tensor) -> TokenSites:
        """``(cell, gene)`` counts -> ``<cls>``, which covers none, and a token per gene."""
        return self._tokens(codes).sites

    def encode(self, codes: Tensor) -> Tensor:
        """``(cell, gene)`` counts -> embeddings of genes and values, summed ``(N, width, S)``."""
        tokens, device = self._tokens(codes), self.encoder.embedding.weight.device
        numbers, values = (torch.from_numpy(each).to(device) for each in tokens[:2])
        embedded = self.encoder(numbers) + self.value_encoder(values)
        summed: Tensor = embedded.transpose(1, 2)
        return summed if self.bn is None else self.bn(summed)

    def attentions(self, inputs: Tensor) -> Tensor:
        """Of each token to each, ``(N, layer, head, S, S)``; sums over the last axis are 1."""
        return torch.stack(self.transformer_encoder.weights(inputs.transpose(1, 2)), dim=1)

    def output_projections(self) -> list[nn.Module]:
        """What the outputs of the heads of each layer enter."""
        return [layer.self_attn.out_proj for layer in self.transformer_encoder.each()]

    def forward(self, inputs: Tensor, valid: Tensor | None = None) -> Tensor:
        """Embeddings ``(N, width, S)`` -> logits ``(N, class)``; ``valid`` ``(N, S)`` is False at
        tokens that are padding. NotApplicable where the checkpoint classifies no cells."""
        if self.cls_decoder is None:
            raise NotApplicable(
                f"{WEIGHTS_FILE} has no cls_decoder and so no logits; give one that was fine-tuned "
                "on cell types"
            )
        logits: Tensor = self.cls_decoder(
            self.transformer_encoder(inputs.transpose(1, 2), valid)[:, 0]
        )
        return logits

    def _tokens(self, codes: Tensor) -> _Tokens:
        counts = codes.cpu().numpy()
        there = (counts > 0) & (self.numbers >= 0)
        order = stream(0, "order of genes").permutation(counts.shape[1])
        within = np.cumsum(there[:, order], axis=1) < self.longest  # one more is <cls>
        there[:, order] &= within
        sizes = 1 + there.sum(axis=1)
        valid = np.arange(sizes.max(initial=1)) < sizes[:, None]
        numbers = np.zeros(valid.shape, np.int64)
        values = np.zeros(valid.shape, np.float32)
        spans = np.zeros((*valid.shape, 2), np.int64)
        numbers[:, 0], values[:, 0] = self.cell, self.cell_value
        for row, inside in enumerate(there):
            genes, sites = np.flatnonzero(inside), slice(1, sizes[row])
            numbers[row, sites] = self.numbers[genes]
            values[row, sites] = binned(counts[row, genes], self.bins)
            spans[row, sites] = np.stack([genes, genes + 1], axis=1)
        return _Tokens(numbers, values, TokenSites(spans, valid))


class _Tokens(NamedTuple):
    """Of cells: which genes ``(N, S)``, their binned values ``(N, S)``, and what they cover."""

    numbers: NDArray[np.int64]
    values: NDArray[np.float32]
    sites: TokenSites


def binned(counts: NDArray[np.float32], bins: int) -> NDArray[np.float32]:
    """The bin of each count, from 1 to ``bins - 1``: edges are quantiles of all of them.

    >>> binned(np.array([1.0, 5.0, 2.0, 9.0], np.float32), 5).tolist()
    [1.0, 3.0, 2.0, 4.0]
    """
    if not len(counts):
        return counts
    edges: Float = np.quantile(counts.astype(np.float64), np.linspace(0, 1, bins - 1))
    return np.digitize(counts, edges).astype(np.float32)


# The folder


class _Sizes(NamedTuple):
    width: int
    heads: int
    hidden: int
    layers: int
    dropout: float
    bins: int
    longest: int
    padding: str
    padding_value: float


def _read_json(path: Path, name: str) -> Mapping[str, Any]:
    try:
        read = json.loads((path / name).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise UsageError(
            f"{path.name}: expected the folder of an scGPT, with {ARGS_FILE}, {VOCABULARY_FILE} "
            f"and {WEIGHTS_FILE}; has no {name}"
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{name}: cannot be read ({message_of(error)[:120]})") from None
    if not isinstance(read, dict):
        raise UsageError(f"{name}: expected a mapping, got a {type(read).__name__}")
    return read


def _read_sizes(path: Path) -> _Sizes:
    args = _read_json(path, ARGS_FILE)
    wrong = [key for key in _SIZES if type(args.get(key)) is not int or args[key] < 1]
    if wrong:
        raise UsageError(f"{ARGS_FILE}: expected a count under {wrong[0]!r}")
    if args["embsize"] % args["nheads"]:
        raise UsageError(f"{ARGS_FILE}: expected nheads that divide embsize {args['embsize']}")
    style = args.get("input_emb_style", "continuous")
    if style != "continuous" or args.get("pre_norm"):
        raise UsageError(
            f"{ARGS_FILE}: expected values that are continuous and normalisation after attention, "
            f"as published, got input_emb_style {style!r}, pre_norm {args.get('pre_norm', False)!r}"
        )
    width, heads, hidden, layers = (int(args[key]) for key in _SIZES)
    return _Sizes(
        width,
        heads,
        hidden,
        layers,
        dropout=float(args.get("dropout", 0.2)),
        bins=int(args.get("n_bins", 51)),
        longest=int(args.get("max_seq_len", 1200)),
        padding=str(args.get("pad_token", "<pad>")),
        padding_value=float(args.get("pad_value", -2)),
    )


def _read_vocabulary(path: Path, rows: int, padding: str) -> dict[str, int]:
    """The number of each gene; special tokens that are not there follow, as published."""
    vocabulary = dict(_read_json(path, VOCABULARY_FILE))
    for special in (padding, _CELL, "<eoc>"):
        vocabulary.setdefault(special, len(vocabulary))
    known = vocabulary.values()
    if any(type(number) is not int or not 0 <= number < rows for number in known):
        raise UsageError(
            f"{VOCABULARY_FILE}: expected numbers below the {rows} embeddings of {WEIGHTS_FILE}; "
            "are both of the same model?"
        )
    return vocabulary


def _numbers_of(genes: tuple[str, ...], vocabulary: Mapping[str, int], path: Path) -> Any:
    """``(gene,)``; -1 where the vocabulary does not have it."""
    numbers = np.array([vocabulary.get(gene, -1) for gene in genes], np.int64)
    if (numbers < 0).all():
        known = next(iter(vocabulary))
        raise UsageError(
            f"{path.name}: has none of the {len(genes):,} genes of the cells in its vocabulary, "
            f"which are such as {genes[0]!r}, of such as {known!r}; name the column of var that "
            "has such names: --set dataset.genes=feature_name"
        )
    return numbers


def _state_of(path: Path) -> StateDict:
    """The tensors that are used, under the names that they have here."""
    try:
        content = (path / WEIGHTS_FILE).read_bytes()
    except OSError as error:
        raise UsageError(f"{path.name}: cannot read {WEIGHTS_FILE} ({error.strerror})") from None
    state = {}
    for name, tensor in read_state(content, WEIGHTS_FILE).items():
        for old, new in _RENAMED.items():
            name = name.replace(old, new)
        if not name.startswith(_OTHER_TASKS):
            state[name] = tensor
    if any(name.startswith("dsbn.") for name in state):
        raise UsageError(
            f"{WEIGHTS_FILE}: is normalised apart for each batch of cells (dsbn), which is not read"
        )
    if state.get("encoder.embedding.weight", torch.empty(0)).ndim != 2:
        raise UsageError(f"{WEIGHTS_FILE}: expected encoder.embedding.weight (gene, embsize)")
    return state


def _has_classifier(state: StateDict) -> bool:
    return "cls_decoder.out_layer.weight" in state


def _decoder_of(state: StateDict, width: int) -> CellDecoder:
    """As deep and as wide as the tensors say."""
    names = [name for name in state if name.startswith("cls_decoder._decoder.")]
    modules = {int(name.split(".")[2]) for name in names if name.split(".")[2].isdecimal()}
    return CellDecoder(width, len(modules) // 2, len(state["cls_decoder.out_layer.weight"]))


# Modules and their attributes from here on are named as the tensors of the checkpoint are.


class GeneEncoder(nn.Module):
    """Numbers of genes ``(N, S)`` -> ``(N, S, width)``."""

    def __init__(self, genes: int, width: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(genes, width)
        self.enc_norm = nn.LayerNorm(width)

    def forward(self, numbers: Tensor) -> Tensor:
        embedded: Tensor = self.enc_norm(self.embedding(numbers))
        return embedded


class ValueEncoder(nn.Module):
    """Binned values ``(N, S)`` -> ``(N, S, width)``."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear1 = nn.Linear(1, width)
        self.linear2 = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)

    def forward(self, values: Tensor) -> Tensor:
        hidden = torch.relu(self.linear1(values.clamp(max=_LARGEST_VALUE).unsqueeze(-1)))
        encoded: Tensor = self.norm(self.linear2(hidden))
        return encoded


class GeneLayers(nn.Module):
    def __init__(self, sizes: _Sizes) -> None:
        super().__init__()
        self.layers = nn.ModuleList(GeneLayer(sizes) for _ in range(sizes.layers))

    def each(self) -> list[GeneLayer]:
        return [layer for layer in self.layers if isinstance(layer, GeneLayer)]

    def forward(self, sites: Tensor, valid: Tensor | None = None) -> Tensor:
        hidden = sites.new_zeros(()) if valid is None else _hiding(valid, sites)
        for layer in self.layers:
            sites = layer(sites, hidden)
        return sites

    def weights(self, sites: Tensor) -> list[Tensor]:
        """Of every layer, ``(N, head, S, S)``."""
        weights, nothing = [], sites.new_zeros(())
        for layer in self.each():
            weights.append(layer.self_attn.weights(sites, nothing))
            sites = layer(sites, nothing)
        return weights


def _hiding(valid: Tensor, sites: Tensor) -> Tensor:
    """``(N, 1, 1, S)``: so low at padding that nothing attends to it."""
    return (~valid).to(sites)[:, None, None] * torch.finfo(sites.dtype).min


class GeneLayer(nn.Module):
    """Attention between genes, then a network for each by itself, each normalised afterwards."""

    def __init__(self, sizes: _Sizes) -> None:
        super().__init__()
        self.self_attn = ProjectedAttention(sizes.width, sizes.heads)
        self.linear1 = nn.Linear(sizes.width, sizes.hidden)
        self.linear2 = nn.Linear(sizes.hidden, sizes.width)
        self.norm1, self.norm2 = nn.LayerNorm(sizes.width), nn.LayerNorm(sizes.width)
        self.dropout = nn.Dropout(sizes.dropout)

    def forward(self, sites: Tensor, bias: Tensor) -> Tensor:
        sites = self.norm1(sites + self.dropout(self.self_attn(sites, bias)))
        changed = self.linear2(self.dropout(torch.relu(self.linear1(sites))))
        normalised: Tensor = self.norm2(sites + self.dropout(changed))
        return normalised


class ProjectedAttention(SelfAttention):
    """Self-attention with its output projection."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__(width, heads)
        self.out_proj = nn.Linear(width, width)

    def forward(self, sites: Tensor, bias: Tensor) -> Tensor:
        projected: Tensor = self.out_proj(super().forward(sites, bias))
        return projected


class CellDecoder(nn.Module):
    """What ``<cls>`` has become ``(N, width)`` -> logits ``(N, class)``."""

    def __init__(self, width: int, layers: int, classes: int) -> None:
        super().__init__()
        hidden = [(nn.Linear(width, width), nn.ReLU(), nn.LayerNorm(width)) for _ in range(layers)]
        self._decoder = nn.Sequential(*(module for parts in hidden for module in parts))
        self.out_layer = nn.Linear(width, classes)

    def forward(self, cell: Tensor) -> Tensor:
        logits: Tensor = self.out_layer(self._decoder(cell))
        return logits
