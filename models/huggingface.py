"""Any folder of a classifier of sequences that the library transformers has the code of."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field
from torch import nn

from xaibench.errors import UsageError
from xaibench.nn.weights import read_weights

from .checkpoint_folders import configured, loaded_network, network_class, read_config
from .hub import from_hub
from .kmer_tokens import VOCABULARY_FILE, read_vocabulary
from .language_model import LanguageModel
from .tokenizer import TOKENIZER_FILE, DNATokenizer, TooLong, read_tokenizer

_ENDLESS = 1_000_000
"""Tokens, where a configuration names no limit."""


def huggingface(
    *,
    classes: int,
    path: Path,
    longest: Annotated[int, Field(ge=3, le=_ENDLESS)] | None = None,
    too_long: TooLong = "refuse",
) -> nn.Module:
    """The network of a folder with ``config.json``, weights and a tokenizer, as ``save_pretrained``
    writes it, or of the Hugging Face Hub, named ``hub:owner/name``.

    Weights are ``model.safetensors`` or ``pytorch_model.bin``, whole or in parts; tokens those of
    ``tokenizer.json``, or of a ``vocab.txt`` of all k-mers. A head for classes that is
    not there begins at random. At most ``longest`` tokens are read, and no more than the network
    takes; of more, ``too_long`` says what is done. No code that comes with a checkpoint is run.
    """
    written = read_config(path)
    config = configured(written, classes=classes if classes > 1 else _own_classes(written))
    network = loaded_network(network_class(config), config, read_weights(path), path.name)
    most = tokens_at_most(network, longest)
    return LanguageModel(network, tokenizer_of(path, longest=most, too_long=too_long))


def _own_classes(written: dict[str, Any]) -> int:
    """How many a configuration has, for data that have no labels to say it."""
    labels = written.get("id2label")
    return len(labels) if isinstance(labels, dict) and labels else 2


huggingface.fetched = {"path": from_hub}  # type: ignore[attr-defined]  # functions carry attributes
huggingface.begins_from = "path"  # type: ignore[attr-defined]


def tokenizer_of(folder: Path, *, longest: int, too_long: TooLong) -> DNATokenizer:
    """The tokenizer of a folder; UsageError where it holds none that can be read without running
    code."""
    if (folder / TOKENIZER_FILE).is_file():
        return read_tokenizer(folder, longest=longest, too_long=too_long)
    if (folder / VOCABULARY_FILE).is_file():
        return read_vocabulary(folder, longest=longest, too_long=too_long)
    raise UsageError(
        f"{folder.name}: has no tokenizer; expected {TOKENIZER_FILE}, or {VOCABULARY_FILE} with "
        "all k-mers of one k"
    )


def tokens_at_most(network: Any, longest: int | None) -> int:
    """How many tokens a network takes: the rows of its table of positions, but for those that stand
    for padding, or what its configuration says; no more than ``longest``, if that is given."""
    limit = getattr(network.config, "max_position_embeddings", None) or 0
    limit = limit if limit > 0 else _ENDLESS
    for name, module in network.named_modules():
        if isinstance(module, nn.Embedding) and name.endswith("position_embeddings"):
            reserved = 0 if module.padding_idx is None else module.padding_idx + 1
            limit = min(limit, module.num_embeddings - reserved)
    if longest is not None and longest > limit:
        raise UsageError(f"longest: expected at most {limit}, as the network takes, got {longest}")
    return longest or limit
