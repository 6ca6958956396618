"""Published families of language models of DNA: small ones from nothing, or their checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field
from torch import nn

from xaibench.errors import UsageError
from xaibench.nn.weights import read_weights

from .checkpoint_folders import (
    configured,
    fresh_network,
    loaded_network,
    network_class,
    read_config,
)
from .esm import gated_esm, is_gated
from .hub import from_hub
from .huggingface import tokenizer_of, tokens_at_most
from .kmer_tokens import kmer_tokenizer, overlapping_vocabulary, stepping_vocabulary
from .language_model import LanguageModel
from .tokenizer import DNATokenizer, TooLong, read_tokenizer

Width = Annotated[int, Field(ge=1, le=10_000)]
Layers = Annotated[int, Field(ge=1, le=100)]
Heads = Annotated[int, Field(ge=1, le=1000)]
Hidden = Annotated[int, Field(ge=1, le=100_000)]
Longest = Annotated[int, Field(ge=3, le=1_000_000)]

MakesTokenizer = Callable[[int], DNATokenizer]
"""From the largest number of tokens."""


def dnabert(
    *,
    classes: int,
    kmer: Annotated[int, Field(ge=3, le=6)] | None = None,
    width: Width | None = None,
    layers: Layers | None = None,
    heads: Heads | None = None,
    hidden: Hidden | None = None,
    longest: Longest | None = None,
    too_long: TooLong = "refuse",
    pretrained: Path | None = None,
) -> nn.Module:
    """DNABERT (*Ji et al. 2021*): BERT that reads the k-mers at every position, which overlap.

    ``pretrained`` is a folder with its checkpoint, or ``hub:owner/name``, which says k and the
    sizes; of one from nothing they are 6 and those of the public one (width 768, 12 layers, 12
    heads, hidden 3072, 512 tokens) unless others are given.
    """
    sizes = _sizes(width=width, layers=layers, heads=heads, hidden=hidden)
    if pretrained is not None:
        given = {**sizes, "kmer": kmer}
        how: dict[str, Any] = {"classes": classes, "longest": longest, "too_long": too_long}
        return _from_checkpoint(pretrained, "bert", given, **how)
    vocabulary = overlapping_vocabulary(kmer or 6)

    def tokenizer(most: int) -> DNATokenizer:
        return kmer_tokenizer(vocabulary, longest=most, too_long=too_long)

    config = {
        **{"model_type": "bert", "hidden_size": 768, "num_hidden_layers": 12},
        **{"num_attention_heads": 12, "intermediate_size": 3072, "max_position_embeddings": 512},
    }
    return _from_nothing(config, sizes, tokenizer, classes=classes, longest=longest)


def nucleotide_transformer(
    *,
    classes: int,
    kmer: Annotated[int, Field(ge=3, le=6)] | None = None,
    rotary: bool | None = None,
    width: Width | None = None,
    layers: Layers | None = None,
    heads: Heads | None = None,
    hidden: Hidden | None = None,
    longest: Longest | None = None,
    too_long: TooLong = "refuse",
    pretrained: Path | None = None,
) -> nn.Module:
    """The Nucleotide Transformer (*Dalla-Torre et al. 2025*): ESM that reads k-mers one after the
    other, and base by base what is left over.

    The second version is ``rotary``, with gated networks (SiLU), the first has learnt positions.
    ``pretrained`` is a folder with a checkpoint of either, or ``hub:owner/name``, which says the
    sizes; of one from nothing they are those of the second of 50 million parameters (6-mers, width
    512, 12 layers, 16 heads, hidden 2048, 2050 tokens) unless others are given. The code that the
    Hub has for the second is not run: its gated network is written here.
    """
    sizes = _sizes(width=width, layers=layers, heads=heads, hidden=hidden)
    if pretrained is not None:
        given = {**sizes, "kmer": kmer, "rotary": rotary}
        how: dict[str, Any] = {"classes": classes, "longest": longest, "too_long": too_long}
        return _from_checkpoint(pretrained, "esm", given, **how)
    vocabulary = stepping_vocabulary(kmer or 6)

    def tokenizer(most: int) -> DNATokenizer:
        return kmer_tokenizer(vocabulary, longest=most, too_long=too_long)

    second = rotary is not False
    config = {
        **{"model_type": "esm", "hidden_size": 512, "num_hidden_layers": 12},
        **{"num_attention_heads": 16, "intermediate_size": 2048, "mask_token_id": 2},
        **{"max_position_embeddings": 2050, "token_dropout": not second, "layer_norm_eps": 1e-12},
        **{"position_embedding_type": "rotary" if second else "absolute"},
        **dict.fromkeys(("hidden_dropout_prob", "attention_probs_dropout_prob"), 0.0),
        **({"add_bias_fnn": False} if second else {}),
    }
    return _from_nothing(config, sizes, tokenizer, classes=classes, longest=longest)


def mistral_dna(
    *,
    classes: int,
    tokenizer: Path | None = None,
    width: Width | None = None,
    layers: Layers | None = None,
    heads: Heads | None = None,
    hidden: Hidden | None = None,
    experts: Annotated[int, Field(ge=2, le=1000)] | None = None,
    longest: Longest | None = None,
    too_long: TooLong = "refuse",
    pretrained: Path | None = None,
) -> nn.Module:
    """Mistral-DNA (*Mourad 2024*): Mixtral, a causal mixture of experts, that reads byte-pair
    tokens; the class is read from the last token.

    ``tokenizer`` is a ``tokenizer.json`` or a folder with one. ``pretrained`` is a folder with a
    checkpoint, or ``hub:owner/name``, which says the sizes and has a tokenizer; of one from nothing
    they are those of the public one of 17 million parameters (width 256, 8 layers, 8 heads, 8
    experts of hidden 256, of which a token goes to 2) unless others are given.
    """
    sizes = _sizes(width=width, layers=layers, heads=heads, hidden=hidden, experts=experts)
    if pretrained is not None:
        given = {**sizes, "tokenizer": tokenizer}
        how: dict[str, Any] = {"classes": classes, "longest": longest, "too_long": too_long}
        return _from_checkpoint(pretrained, "mixtral", given, **how)
    if tokenizer is None:
        raise UsageError("tokenizer: expected a tokenizer.json, such as that of the public models")
    file = tokenizer

    def made(most: int) -> DNATokenizer:
        return read_tokenizer(file, longest=most, too_long=too_long)

    config = {
        **{"model_type": "mixtral", "hidden_size": 256, "num_hidden_layers": 8},
        **{"num_attention_heads": 8, "num_key_value_heads": heads or 8, "intermediate_size": 256},
        **{"num_local_experts": 8, "num_experts_per_tok": 2, "max_position_embeddings": 512},
        **dict.fromkeys(("bos_token_id", "eos_token_id")),
    }
    return _from_nothing(config, sizes, made, classes=classes, longest=longest)


_families: tuple[Any, ...] = (dnabert, nucleotide_transformer, mistral_dna)
for _family in _families:
    _family.fetched = {"pretrained": from_hub}


def _sizes(**given: int | None) -> dict[str, int | None]:
    """Sizes by the names that configurations have for them."""
    return {_NAMES[name]: size for name, size in given.items()}


_NAMES = {
    "width": "hidden_size",
    "layers": "num_hidden_layers",
    "heads": "num_attention_heads",
    "hidden": "intermediate_size",
    "experts": "num_local_experts",
}


def _from_nothing(
    config: dict[str, Any],
    sizes: Mapping[str, int | None],
    tokenizer: MakesTokenizer,
    *,
    classes: int,
    longest: int | None,
) -> nn.Module:
    """A network with random weights; UsageError where its sizes do not go together."""
    config |= {name: size for name, size in sizes.items() if size is not None}
    width, heads = config["hidden_size"], config["num_attention_heads"]
    step = 1 if config["model_type"] == "bert" else 2
    if width % (step * heads):
        twice = "twice " if step == 2 else ""
        raise UsageError(f"heads: expected {twice}them to divide the width {width}, got {heads}")
    made = tokenizer(longest or config["max_position_embeddings"])
    config |= {"vocab_size": made.size, "pad_token_id": made.padding}
    if longest is not None:
        reserved = made.padding + 1 if config["model_type"] == "esm" else 0
        config["max_position_embeddings"] = longest + reserved
    whole = configured(config, classes=classes)
    network = fresh_network(
        gated_esm() if "add_bias_fnn" in config else network_class(whole), whole
    )
    return LanguageModel(network, tokenizer(tokens_at_most(network, longest)))


def _from_checkpoint(
    folder: Path,
    family: str,
    given: Mapping[str, Any],
    *,
    classes: int,
    longest: int | None,
    too_long: TooLong,
) -> nn.Module:
    """A network that begins from the checkpoint in a folder; UsageError where sizes are given
    besides, or where it is of another family."""
    options = {size: name for name, size in _NAMES.items()}
    for name, value in given.items():
        if value is not None:
            option = options.get(name, name)
            raise UsageError(f"{option}: is said by the checkpoint; leave it or pretrained out")
    written = read_config(folder)
    if written["model_type"] != family:
        raise UsageError(
            f"{folder.name}: expected a checkpoint of the type {family}, got "
            f"{written['model_type']!r}; use: huggingface takes any that needs no code of its own"
        )
    # its code is not run: the network that it describes is here
    config = configured({k: v for k, v in written.items() if k != "auto_map"}, classes=classes)
    state = read_weights(folder)
    kind = gated_esm() if is_gated(state, config) else network_class(config)
    network = loaded_network(kind, config, state, folder.name)
    most = tokens_at_most(network, longest)
    return LanguageModel(network, tokenizer_of(folder, longest=most, too_long=too_long))
