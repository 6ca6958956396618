"""Folders of a language model as the library transformers writes them and the Hugging Face Hub
serves them, read without running anything that is in them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from xaibench.errors import UsageError, message_of
from xaibench.nn.weights import StateDict
from xaibench.progress import announce

CONFIG_FILE = "config.json"

_HEAD = 10_000_000
"""Numbers of a head or a pooler that may be missing."""

_NAMED = 3
"""Names of weights in a message."""

_NATIVE = {"bert": "dnabert2", "esm": "nucleotide_transformer"}
"""Models of ours for what the Hub serves with code of its own under these types."""


def transformers() -> Any:
    """The library, which is slow to import and no part of a plain installation."""
    try:
        import transformers as library
    except ImportError:
        raise UsageError(
            "a model of this kind needs the library transformers: pip install 'xaibench[glm]'"
        ) from None
    return library


def read_config(folder: Path) -> dict[str, Any]:
    """What is in ``config.json``; UsageError where it is none."""
    file = folder / CONFIG_FILE
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise UsageError(
            f"{folder.name}: expected a folder with {CONFIG_FILE}, weights and a tokenizer, as "
            "save_pretrained writes it"
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{file.name}: cannot be read ({message_of(error)[:120]})") from None
    if not isinstance(config, dict) or not isinstance(config.get("model_type"), str):
        raise UsageError(f"{CONFIG_FILE}: expected a mapping that names its model_type")
    return config


def configured(config: Mapping[str, Any], *, classes: int) -> Any:
    """The configuration of a network for classes, with attention in single operations.

    UsageError where it names code of its own, which is not run, or is of no type that transformers
    classifies sequences with.
    """
    library, kind = transformers(), config["model_type"]
    if "auto_map" in config:
        native = f"; name it with use: {_NATIVE[kind]}" if kind in _NATIVE else ""
        raise UsageError(
            f"{CONFIG_FILE}: names code of its own (auto_map), and no code of a checkpoint is "
            f"run{native}"
        )
    if config.get("quantization_config"):
        raise UsageError(
            f"{CONFIG_FILE}: its weights are quantised, and nothing can be explained through "
            "those; name a checkpoint in 16 or 32 bits"
        )
    if kind not in library.CONFIG_MAPPING:
        raise UsageError(
            f"{CONFIG_FILE}: transformers {library.__version__} has no {kind!r}; install a version "
            "that has it"
        )
    known = library.CONFIG_MAPPING[kind]
    if known not in library.MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING:
        raise UsageError(
            f"{CONFIG_FILE}: {kind!r} of transformers does not classify sequences; name a "
            "checkpoint of a classifier"
        )
    ours = {"num_labels": classes, "use_cache": False, "dtype": "float32"}
    labels = ("id2label", "label2id", "num_labels", "torch_dtype", "problem_type")
    given = {name: value for name, value in config.items() if name not in labels}
    with _quiet():
        try:
            made = known.from_dict({**given, **ours})
        except Exception as error:  # a field of a wrong type, or sizes that do not go together
            raise UsageError(f"{CONFIG_FILE}: {message_of(error)[:200]}") from None
    made._attn_implementation = made._experts_implementation = "eager"
    return made


def network_class(config: Any) -> Any:
    """The class of transformers for sequences of this configuration."""
    return transformers().MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING[type(config)]


def fresh_network(kind: Any, config: Any) -> Any:
    """A network with random weights; UsageError where its sizes do not go together."""
    with _quiet():
        try:
            return kind(config)
        except Exception as error:
            raise UsageError(f"{config.model_type}: {message_of(error)[:200]}") from None


def loaded_network(
    kind: Any, config: Any, state: StateDict, name: str, *, whole: bool = False
) -> Any:
    """A network with the weights of a checkpoint, whose older names transformers knows too.

    A head for classes that is not there begins at random, which is said, as does a pooler, unless
    it is to be ``whole``; what a checkpoint has for other tasks is left out. UsageError where
    anything else is missing, unexpected or of another shape.
    """
    _require_weights_for(kind, config, state, name)
    with _quiet():
        try:
            network, report = kind.from_pretrained(
                None,
                config=config,
                state_dict=dict(state),
                dtype=torch.float32,
                attn_implementation="eager",
                experts_implementation="eager",
                ignore_mismatched_sizes=True,
                output_loading_info=True,
            )
        except Exception as error:
            raise UsageError(f"{name}: {message_of(error)[:200]}") from None
    begins = _begun_at_random(network, report, set(state), name)
    if begins and whole:
        raise UsageError(
            f"{name}: does not fit the model: missing {_listed(begins)}; it is no classifier, so "
            "begin a training from it: pretrained: FOLDER, or path: FOLDER of use: huggingface"
        )
    if begins:
        _say_once(f"{name} has no {_listed(begins)}: these begin at random, and are to be trained")
    return network


def _require_weights_for(kind: Any, config: Any, state: StateDict, name: str) -> None:
    """UsageError where a configuration describes a network much larger than its weights: making it
    would take any time and memory."""
    layers, stored = getattr(config, "num_hidden_layers", 0), sum(map(Tensor.numel, state.values()))
    if isinstance(layers, int) and layers > len(state):
        raise UsageError(f"{name}: {CONFIG_FILE} has {layers:,} layers, and {len(state)} weights")
    with torch.device("meta"):  # nothing is allocated there
        described = sum(each.numel() for each in fresh_network(kind, config).parameters())
    if described > 2 * stored + _HEAD:
        raise UsageError(
            f"{name}: {CONFIG_FILE} describes {described:,} numbers, and there are {stored:,}"
        )


def _begun_at_random(
    network: Any, report: Mapping[str, Any], names: set[str], name: str
) -> set[str]:
    """The tensors of the head and the pooler that a checkpoint with these ``names`` does not have;
    UsageError where it does not fit otherwise."""
    base = f"{network.base_model_prefix}."
    head = {key for key in network.state_dict() if not key.startswith(base)}
    missing, unexpected = set(report["missing_keys"]), set(report["unexpected_keys"])
    for key, given, own in sorted(report["mismatched_keys"]):
        of_head = "; has the data as many classes?" if key in head else ""
        raise UsageError(
            f"{name}: does not fit {CONFIG_FILE}: {key!r} is {tuple(given)} in the file and "
            f"{tuple(own)} by the configuration{of_head}"
        )
    begins = {key for key in missing if key in head or ".pooler." in key}
    of_other_task = any(not key.startswith(base) for key in unexpected)
    if not head <= missing and not of_other_task:  # which may share a part, as in ModernBERT
        begins -= head
    if any(key.startswith(base) for key in names):  # else what was saved is the network alone
        unexpected = {key for key in unexpected if key.startswith(base)}
    lists = {"missing": missing - begins, "unexpected": unexpected}
    listed = [f"{what} {_listed(keys)}" for what, keys in lists.items() if keys]
    if listed:
        raise UsageError(f"{name}: does not fit {CONFIG_FILE}: {'; '.join(listed)}")
    return begins


def _listed(keys: set[str]) -> str:
    more = f" and {len(keys) - _NAMED} more" if len(keys) > _NAMED else ""
    return f"{', '.join(map(repr, sorted(keys)[:_NAMED]))}{more}"


@cache
def _say_once(message: str) -> None:
    """A network is built again for every artefact that it is read from."""
    announce(message)


@contextmanager
def _quiet() -> Iterator[None]:
    """In here transformers prints no report and no bar."""
    logging = transformers().logging
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity(logging.CRITICAL)
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
