"""Models of the Hugging Face Hub, fetched once and kept where its library keeps them."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from xaibench.errors import UsageError, message_of
from xaibench.progress import announce

_NAME = re.compile(r"hub:(?P<name>[\w.-]+/[\w.-]+)(@(?P<revision>[\w./-]+))?")

_DESCRIPTION = ["config.json", "tokenizer*.json", "special_tokens_map.json", "vocab.txt"]
_SAFE = ["model*.safetensors", "model.safetensors.index.json"]
_PICKLED = ["pytorch_model*.bin", "pytorch_model.bin.index.json"]
"""The files of a model that are read; those with code are not among them."""


@cache
def from_hub(name: str) -> Path | None:
    """The folder of a model that is named ``hub:owner/name``, or ``hub:owner/name@revision``; None
    for any other name. UsageError, one line, where it can neither be fetched nor was before."""
    named = _NAME.fullmatch(name)
    if named is None:
        return None
    try:
        from huggingface_hub import snapshot_download
    except ImportError:
        raise UsageError(
            f"{name}: needs the library huggingface_hub: pip install 'xaibench[glm]'"
        ) from None
    announce(f"{name}: looking on the Hugging Face Hub")
    repository, revision = named["name"], named["revision"]
    try:
        folder = Path(
            snapshot_download(repository, revision=revision, allow_patterns=_DESCRIPTION + _SAFE)
        )
        if not any(folder.glob("model*.safetensors")):
            snapshot_download(repository, revision=revision, allow_patterns=_PICKLED)
    except Exception as error:  # no network, no such name, no leave to read it
        raise UsageError(
            f"{name}: cannot be fetched ({message_of(error)[:160]}); where there is no network, "
            "copy the folder here and name that"
        ) from None
    return folder
