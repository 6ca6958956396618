"""A network of the library transformers as a classifier whose sites are tokens."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from xaibench.errors import NotApplicable, UsageError, message_of
from xaibench.nn.weights import StateDict
from xaibench.values import TokenSites

from .checkpoint_folders import loaded_network
from .esm import with_one_activation
from .masking import NONE
from .tokenizer import DNATokenizer, tokenised
from .windows import over_windows, require_one_window

_PROBE = np.array([[0, 1, 2, 3, 3, 2, 0, 1, 1, 3, 0, 2, 2, 1, 3, 0]], np.uint8)

_PROJECTIONS = (
    *("attention.output.dense", "self_attn.o_proj", "attn.c_proj", "attention.out_lin", "attn.Wo"),
)
"""How names end of what maps the heads of a layer to its output."""

_VALUES = ("attention.self.value", "self_attn.v_proj", "attention.v_lin")
"""How names end of what makes the values of a layer."""

_CLOSE = 1e-4
"""Over the largest logit: rounding, where embeddings do what the numbers of tokens do."""


class LanguageModel(nn.Module):
    """A network for classes of sequences of tokens, which it is given as embeddings.

    ``network`` is a ``...ForSequenceClassification`` of transformers with eager attention, under
    the names of whose tensors public checkpoints stand. It runs on the numbers of some tokens, and
    embeddings take the place of what its table makes of them: given as ``inputs_embeds``, some
    architectures leave out what they add to embeddings (ESM its positions).

    UsageError where logits are not made of embeddings alone, and where the tokenizer has more
    tokens than the network has embeddings.
    """

    masking = NONE

    def __init__(self, network: Any, tokenizer: DNATokenizer) -> None:
        super().__init__()
        for module in network.modules():
            if type(module).__name__ == "EsmLayer":
                module.intermediate = with_one_activation(module.intermediate)
        self.network = network
        self.tokenizer = tokenizer
        table = network.get_input_embeddings()
        if tokenizer.size > table.num_embeddings:
            raise UsageError(
                f"the tokenizer has {tokenizer.size} tokens and the network embeddings of "
                f"{table.num_embeddings}: are both of the same model?"
            )
        config = network.config
        if config.pad_token_id is None:  # causal networks look for the last token that is none
            config.pad_token_id = tokenizer.padding
        special = {value for name, value in config.to_dict().items() if name.endswith("_token_id")}
        self._padding = config.pad_token_id
        self._any_token = next(i for i in range(table.num_embeddings) if i not in special)
        self.jumps = _jumps(config)
        self.head = _head(network)
        for module in network.modules():
            if [*module.parameters(recurse=False)] and not hasattr(module, "reset_parameters"):
                module.reset_parameters = partial(_reset, network, module)
        self.pooled_site = None if table.weight.is_meta else _pooled_site(self)

    def token_sites(self, codes: Tensor) -> TokenSites:
        """``(N, L)`` codes -> the tokens of each sequence and the nucleotides that each covers."""
        return tokenised(self.tokenizer, codes.cpu().numpy())[1]

    def encode(self, codes: Tensor) -> Tensor:
        """``(N, L)`` codes -> the embeddings of the tokens ``(N, width, S)``."""
        ids, _ = tokenised(self.tokenizer, codes.cpu().numpy())
        table = self.network.get_input_embeddings()
        embedded: Tensor = table(torch.from_numpy(ids).to(table.weight.device))
        return embedded.transpose(1, 2)

    def reference(self, inputs: Tensor) -> Tensor:
        """The mean embedding of all tokens in place of all but the special ones around them."""
        table: Tensor = self.network.get_input_embeddings().weight
        return self._between_special(inputs, table[: self.tokenizer.size].mean(0))

    def filled(self, inputs: Tensor, token: str) -> Tensor:
        """The embedding of a special token in place of all but those around; NotApplicable where
        the tokenizer has no such token, or the network does more than embed it."""
        if getattr(self.network.config, "token_dropout", False):
            raise NotApplicable("the network rescales all embeddings where tokens are masked")
        table: Tensor = self.network.get_input_embeddings().weight
        return self._between_special(inputs, table[self.tokenizer.identifier(token)])

    def _between_special(self, inputs: Tensor, embedding: Tensor) -> Tensor:
        start, end = self.tokenizer.before, inputs.shape[2] - self.tokenizer.after
        changed = inputs.detach().clone()
        changed[:, :, start:end] = embedding.detach()[:, None]
        return changed

    def attentions(self, inputs: Tensor) -> Tensor:
        """Of each token to each, ``(N, layer, head, S, S)``; sums over the last axis are 1.

        NotApplicable where the network has none, or not of every token in every layer.
        """
        require_one_window(inputs, self.tokenizer)
        outputs = self._passed(self.network.base_model, inputs, None, output_attentions=True)
        weights, shape = getattr(outputs, "attentions", None), (inputs.shape[2],) * 2
        if not weights or any(each is None or each.shape[2:] != shape for each in weights):
            kind = self.network.config.model_type
            raise NotApplicable(f"{kind} gives no attention of every token to every token")
        return torch.stack(weights, dim=1)

    def output_projections(self) -> list[nn.Module]:
        """What maps the heads of each layer, side by side, to its output; NotApplicable where it
        has a name that is not known."""
        return self._of_layers(_PROJECTIONS, "its heads enter")

    def values(self, inputs: Tensor) -> Tensor:
        """What each token gives to each head, ``(N, layer, head, S, width / head)``; NotApplicable
        where what makes them has a name that is not known."""
        require_one_window(inputs, self.tokenizer)
        config, given = self.network.config, []
        with ExitStack() as hooks:
            for module in self._of_layers(_VALUES, "make its values"):
                record = module.register_forward_hook(lambda m, a, output: given.append(output))
                hooks.enter_context(record)
            self._passed(self.network.base_model, inputs, None)
        heads = config.num_attention_heads
        groups = getattr(config, "num_key_value_heads", None) or heads
        apart = torch.stack(given, dim=1).unflatten(3, (groups, -1))  # type: ignore[no-untyped-call]
        values: Tensor = apart.transpose(2, 3).repeat_interleave(heads // groups, dim=2)
        return values

    def _of_layers(self, ends: tuple[str, ...], what: str) -> list[nn.Module]:
        """The module of each layer whose name ends so; NotApplicable where there is not one."""
        named = [each for name, each in self.network.named_modules() if name.endswith(ends)]
        if len(named) != self.network.config.num_hidden_layers:
            kind = self.network.config.model_type
            raise NotApplicable(f"{kind}: it is not known which modules {what}")
        return named

    def as_named(self, state: StateDict, name: str) -> StateDict:
        """Weights of a file as transformers or this class writes them, under the names of this
        class; UsageError where they do not fit or have no head for classes."""
        if state.keys() == self.state_dict().keys():
            return state
        kind, config = type(self.network), self.network.config
        loaded = loaded_network(kind, config, state, name, whole=True)
        return {f"network.{key}": each for key, each in loaded.state_dict().items()}

    def forward(self, inputs: Tensor, valid: Tensor | None = None) -> Tensor:
        """Embeddings ``(N, width, S)`` -> logits ``(N, class)``; ``valid`` ``(N, S)`` is False at
        tokens that are padding, which stand at the end."""
        return over_windows(self._classified, inputs, valid, self.tokenizer)

    def _classified(self, inputs: Tensor, valid: Tensor | None) -> Tensor:
        logits: Tensor = self._passed(self.network, inputs, valid).logits
        return logits

    def _passed(self, network: Any, inputs: Tensor, valid: Tensor | None, **options: Any) -> Any:
        """What the network, or its part without the head, makes of embeddings."""
        embedded = inputs.transpose(1, 2).contiguous()  # what a table makes of numbers is
        numbers = torch.full(embedded.shape[:2], self._any_token, device=inputs.device)
        if valid is not None:
            numbers = numbers.masked_fill(~valid, self._padding)
            options["attention_mask"] = valid.to(torch.long)
        table = self.network.get_input_embeddings()
        handle = table.register_forward_hook(lambda *call: embedded)
        try:
            return network(input_ids=numbers, return_dict=True, **options)
        finally:
            handle.remove()


def _head(network: Any) -> tuple[str, ...]:
    """The modules that a checkpoint of a model of tokens does not have: what classifies, and the
    pooler before it."""
    base = network.base_model_prefix
    parts = [
        name for name, each in network.named_children() if name != base and [*each.parameters()]
    ]
    pooler = getattr(network.base_model, "pooler", None)
    pooled = [f"{base}.pooler"] if isinstance(pooler, nn.Module) else []
    return tuple(f"network.{name}" for name in [*pooled, *parts])


def _reset(network: Any, module: nn.Module) -> None:
    """Draw the parameters of a module of transformers anew, as the network's own rule does."""
    for parameter in module.parameters(recurse=False):
        parameter._is_hf_initialized = False  # type: ignore[attr-defined]  # else it is left alone
    network._init_weights(module)


def _jumps(config: Any) -> str:
    """Why the output of a network is no continuous function of its inputs; empty where it is."""
    experts = getattr(config, "num_local_experts", None) or getattr(config, "num_experts", None)
    chosen = getattr(config, "num_experts_per_tok", None)
    if not experts or not chosen or chosen >= experts:
        return ""
    return f"each token goes to {chosen} of {experts} experts"


def _pooled_site(model: LanguageModel) -> int | None:
    """The site that the logits are read from, -1 the last; None where there are several.

    UsageError unless embeddings give the logits that the numbers of tokens give.
    """
    network, training = model.network, model.network.training
    kind, table = network.config.model_type, network.get_input_embeddings()
    hidden: list[Tensor] = []
    handle = network.base_model.register_forward_hook(
        lambda module, arguments, outputs: hidden.append(outputs[0])
    )
    network.eval()
    try:
        ids, _ = tokenised(model.tokenizer, _PROBE[:, : _few(model)])
        numbers = torch.from_numpy(ids).to(table.weight.device)
        # asked for attention here, it has the hooks for that before a method sees it
        passed = network(input_ids=numbers, return_dict=True, output_attentions=True)
        by_number = passed.logits.detach()
        logits = model(table(numbers).transpose(1, 2))
        (gradient,) = torch.autograd.grad(logits[0, 0], hidden[-1])
    except Exception as error:  # whatever an architecture raises that reads numbers alone
        raise UsageError(
            f"{kind}: does not classify sequences of tokens by their embeddings "
            f"({message_of(error)[:120]})"
        ) from None
    finally:
        handle.remove()
        network.train(training)
    if (logits - by_number).abs().max() > _CLOSE * by_number.abs().max():
        raise UsageError(
            f"{kind}: does more with a token than look up its embedding, so relevance of the "
            "embeddings would not be all of what it sees"
        )
    sites: list[int] = gradient[0].abs().sum(-1).nonzero().flatten().tolist()
    if len(sites) != 1:
        return None
    last: int = gradient.shape[1] - 1
    only: int = sites[0]
    return -1 if only == last else only


def _few(model: LanguageModel) -> int:
    """Bases that surely fit: none has more tokens than bases and special ones."""
    around = model.tokenizer.before + model.tokenizer.after
    return max(1, min(_PROBE.size, model.tokenizer.longest - around))
