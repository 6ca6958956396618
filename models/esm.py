"""The networks for each token in ESM, of which the Nucleotide Transformer has two kinds; attributes
are named as the tensors of checkpoints are."""

from __future__ import annotations

from functools import cache
from typing import Any

from torch import Tensor, nn

from xaibench.nn.weights import StateDict

from .checkpoint_folders import transformers


class Intermediate(nn.Module):
    """``GELU(W x + b)``."""

    def __init__(self, dense: nn.Linear) -> None:
        super().__init__()
        self.dense = dense
        self.activation = nn.GELU()

    def forward(self, hidden_states: Tensor) -> Tensor:
        activated: Tensor = self.activation(self.dense(hidden_states))
        return activated


def with_one_activation(module: Any) -> nn.Module:
    """That of transformers with GELU as one function: written out in products and sums, each of
    these would have a rule of relevance of its own. Any other as it is."""
    plain = type(module).__name__ == "EsmIntermediate"
    changed: nn.Module = Intermediate(module.dense) if plain else module
    return changed


class GatedIntermediate(nn.Module):
    """``SiLU(g) * h``, where ``g, h`` are the halves of a linear layer of ``x`` (gated linear unit,
    *Shazeer 2020*)."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.dense = nn.Linear(
            config.hidden_size, 2 * config.intermediate_size, bias=_has_bias(config)
        )
        self.activation_fn = nn.SiLU()

    def forward(self, hidden_states: Tensor) -> Tensor:
        gate, plain = self.dense(hidden_states).chunk(2, dim=-1)
        product: Tensor = self.activation_fn(gate) * plain
        return product


def _has_bias(config: Any) -> bool:
    return bool(getattr(config, "add_bias_fnn", True))


@cache
def gated_esm() -> Any:
    """The class of ESM for sequences, with gated networks: the second Nucleotide Transformer."""
    library = transformers()

    class GatedEsmForSequenceClassification(library.EsmForSequenceClassification):  # type: ignore[misc,name-defined]
        def __init__(self, config: Any) -> None:
            super().__init__(config)
            for layer in self.esm.encoder.layer:
                layer.intermediate = GatedIntermediate(config)
                layer.output.dense = nn.Linear(
                    config.intermediate_size, config.hidden_size, bias=_has_bias(config)
                )
            self.post_init()

    return GatedEsmForSequenceClassification


def is_gated(state: StateDict, config: Any) -> bool:
    """Whether the first map of the networks in a checkpoint of ESM gives gates and values."""
    name = "encoder.layer.0.intermediate.dense.weight"
    first = next((each for key, each in state.items() if key.endswith(name)), None)
    twice = 2 * getattr(config, "intermediate_size", 0)
    return config.model_type == "esm" and first is not None and len(first) == twice
