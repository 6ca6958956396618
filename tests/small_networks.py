"""Folders of networks of the library transformers, with a few tokens and random weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from small_tokenizer import write_tokenizer

SIZES = {
    "vocab_size": 20,
    "hidden_size": 12,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 10,
}
CONFIGS: dict[str, dict[str, Any]] = {
    "bert": {**SIZES, "model_type": "bert"},
    "esm": {
        **SIZES,
        **{"model_type": "esm", "pad_token_id": 3, "mask_token_id": 4, "token_dropout": True},
        "max_position_embeddings": 60,
    },
    "rotary esm": {
        **SIZES,
        **{"model_type": "esm", "pad_token_id": 3, "mask_token_id": 4, "hidden_size": 24},
        "position_embedding_type": "rotary",
    },
    "mixtral": {
        **SIZES,
        **{"model_type": "mixtral", "num_key_value_heads": 1, "num_local_experts": 3},
        **{"head_dim": 4, "max_position_embeddings": 64},
        **dict.fromkeys(("bos_token_id", "eos_token_id")),
    },
    "gpt2": {
        **{"model_type": "gpt2", "vocab_size": 20, "n_embd": 12, "n_layer": 2, "n_head": 3},
        **{"n_positions": 50, "bos_token_id": None, "eos_token_id": None},
    },
}
"""What ``config.json`` says, by a name for it."""


EAGER = {"attn_implementation": "eager", "experts_implementation": "eager"}


def configuration(name: str, **changed: Any) -> Any:
    """That of transformers."""
    import transformers

    config = {**CONFIGS[name], **changed}
    return transformers.CONFIG_MAPPING[config.pop("model_type")].from_dict(config)


def shaken(network: Any, *, by: float = 0.3) -> Any:
    """The network, so that nothing is small beside rounding."""
    generator = torch.Generator().manual_seed(1)
    for parameter in network.parameters():
        parameter.data += by * torch.randn(parameter.shape, generator=generator)
    return network.eval()


def write_network(folder: Path, name: str, *, of: str = "SequenceClassification") -> Any:
    """The network, which the folder then holds with the tokenizer that all of these have; ``of``
    is what it is for, such as ``MaskedLM``."""
    import transformers

    write_tokenizer(folder / "tokenizer.json")
    kind = getattr(transformers, f"AutoModelFor{of}")
    network = shaken(kind.from_config(configuration(name), **EAGER))
    network.save_pretrained(folder)
    return network
