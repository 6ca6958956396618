"""Weights that a person already has: read without running anything that is in the file."""

from __future__ import annotations

import io
import json
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from torch import Tensor
from torch.nn.parameter import is_lazy

from xaibench.errors import UsageError, message_of

StateDict = dict[str, Tensor]

_ZIP, _PICKLE, _HDF5 = b"PK\x03\x04", b"\x80", b"\x89HDF"
"""How files of ``torch.save`` begin; safetensors begin with a number, which may be any."""

_HOLDERS = ("state_dict", "model_state_dict", "model", "weights", "net", "ema")
"""Where training loops put a state dict in a checkpoint, the most usual first."""

_LISTED = 3
"""Names of weights in a message."""

_MODULE_MEND = (
    "load it where you made it, and save its weights: model = torch.load(FILE, "
    "weights_only=False); torch.save(model.state_dict(), 'weights.pt'); of a checkpoint "
    "model['state_dict'] in place of model.state_dict()"
)


_WHOLE = ("model.safetensors", "pytorch_model.bin")
"""Files of all weights in a folder, the first that is there; with ``.index.json`` behind it the
list of their parts."""


def read_weights(path: Path) -> StateDict:
    """The weights of a file, or of a folder as the library transformers writes it, in one file or
    in parts. UsageError as of ``read_state``, and where a part is not there."""
    if not path.is_dir():
        return read_state(path.read_bytes(), path.name)
    for name in _WHOLE:
        if (path / name).is_file():
            return read_state((path / name).read_bytes(), name)
        if (path / f"{name}.index.json").is_file():
            return _parts(path, f"{name}.index.json")
    raise UsageError(f"{path.name}: holds no weights; expected {' or '.join(_WHOLE)}")


def _parts(folder: Path, index: str) -> StateDict:
    try:
        listed = json.loads((folder / index).read_text(encoding="utf-8"))["weight_map"]
        files = sorted({str(file) for file in listed.values()})
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UsageError(f"{index}: expected a weight_map ({message_of(error)[:120]})") from None
    state: StateDict = {}
    for file in files:
        if PurePath(file).name != file or not (folder / file).is_file():
            raise UsageError(f"{index}: lists {file!r}, which is not in the folder; copy it there")
        state |= read_state((folder / file).read_bytes(), file)
    return state


_KERAS_MEND = (
    "is a file of Keras, whose models are torch modules where the environment says "
    "KERAS_BACKEND=torch (Keras 3): model = keras.saving.load_model(FILE); "
    "torch.save(model.state_dict(), 'weights.pt'); let the plug-in build that model there too"
)


def read_state(content: bytes, name: str) -> StateDict:
    """The weights in a file, by their names, on the CPU: safetensors, or what ``torch.save`` made
    of a state dict or of a checkpoint that holds one.

    UsageError, one line with the mend, of anything else: a pickled module, which would run code, a
    TorchScript or exported program, a file cut short.
    """
    if _is_of_keras(content):
        raise UsageError(f"{name}: {_KERAS_MEND}")
    if content.startswith(_ZIP):
        return _state_in(_read_torch(content, name), name)
    try:
        return dict(load_safetensors(content))
    except SafetensorError as error:
        if content.startswith(_PICKLE):  # as torch.save wrote until version 1.6
            return _state_in(_read_torch(content, name), name)
        raise UsageError(
            f"{name}: expected weights as safetensors or as torch.save writes a state dict, got "
            f"neither, or a file cut short ({message_of(error)})"
        ) from None


def _is_of_keras(content: bytes) -> bool:
    """HDF5, or the zip archive of ``.keras``, which holds such a file."""
    return content.startswith(_HDF5) or any(
        name.endswith(".weights.h5") for name in _archive_names(content)
    )


def _archive_names(content: bytes) -> list[str]:
    return [member.filename for member in _members(content)]


def _members(content: bytes) -> list[zipfile.ZipInfo]:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        return []


def _is_compressed(content: bytes) -> bool:
    """Whether an archive may unpack to any size."""
    return any(member.compress_type != zipfile.ZIP_STORED for member in _members(content))


def _read_torch(content: bytes, name: str) -> Any:
    kind = program_kind(content)
    if kind:
        raise UsageError(f"{name}: is a whole program, not weights; name it with use: {kind}")
    if _is_compressed(content):
        raise UsageError(
            f"{name}: is a compressed archive, which torch.save never makes; unpack it, and save "
            "the weights again"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of protocols, of what is refused afterwards
            return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:
        text = message_of(error)
        if "Unsupported" in text or "WeightsUnpickler" in text or "weights_only" in text:
            what = _global_in(text)
            raise UsageError(
                f"{name}: holds {what}, which runs code when it is read; {_MODULE_MEND}"
            ) from None
        raise UsageError(
            f"{name}: cannot be read as torch.save writes it; is it cut short? ({text[:120]})"
        ) from None


def _global_in(text: str) -> str:
    """What a refused pickle names, such as a class of somebody's module."""
    named = text.partition("GLOBAL ")[2].split()
    name = named[0] if named else ""
    return f"a pickled {name}" if name else "a pickled object that is no tensor"


def program_kind(content: bytes) -> str:
    """``torchscript`` or ``exported_program`` where a file is one; else empty."""
    parts = [name.split("/", 1)[-1] for name in _archive_names(content)]
    if any(part.startswith("code/") for part in parts):
        return "torchscript"
    exported = ("serialized_exported_program.json", "models/model.json")
    return "exported_program" if any(part.endswith(exported) for part in parts) else ""


def _state_in(read: Any, name: str) -> StateDict:
    """The state dict itself, or in a checkpoint the one where training loops put it."""
    state = _tensors(read)
    if state is not None:
        return state
    if isinstance(read, Mapping):
        held = {key: state for key, each in read.items() if (state := _tensors(each)) is not None}
        named = [holder for holder in _HOLDERS if holder in held]
        if named or len(held) == 1:
            return held[named[0] if named else next(iter(held))]
        listed = ", ".join(map(repr, list(read)[:8]))
        what = "several state dicts" if held else "without one"
        raise UsageError(f"{name}: expected a state dict, got a checkpoint of {listed}, {what}")
    kind = type(read).__name__
    raise UsageError(f"{name}: expected a state dict, got a {kind}: save model.state_dict()")


def _tensors(read: Any) -> StateDict | None:
    """A mapping whose values are all tensors."""
    if not isinstance(read, Mapping) or not read:
        return None
    if not all(isinstance(value, Tensor) for value in read.values()):
        return None
    return {str(key): value for key, value in read.items()}


def without_prefix(state: StateDict, prefix: str, name: str) -> StateDict:
    """The weights whose names begin with ``prefix``, without it, such as the ``module.`` of
    data-parallel training; what else a trainer keeps (a weighted loss, a count of averages) is left
    out. UsageError where no name begins so."""
    if not prefix:
        return state
    if not any(key.startswith(prefix) for key in state):
        first = next(iter(state))
        raise UsageError(f"{name}: no weight begins with {prefix!r}; the first is {first!r}")
    return {key.removeprefix(prefix): state[key] for key in state if key.startswith(prefix)}


def load_into(network: Any, state: StateDict, name: str) -> None:
    """Give a network these weights; UsageError where names or shapes do not fit, with the first of
    them. A network with a method ``as_named(state, name)`` says there what it calls the weights of
    a file that others wrote."""
    if callable(named := getattr(network, "as_named", None)):
        state = named(state, name)
    own: Mapping[str, Any] = network.state_dict()
    missing = [key for key in own if key not in state]
    unexpected = [key for key in state if key not in own]
    if missing or unexpected:
        lists = [_listed("missing", missing), _listed("unexpected", unexpected)]
        hint = _prefix_hint(own, state) or _head_hint(unexpected)
        raise UsageError(f"{name}: does not fit the model: {'; '.join(filter(None, lists))}{hint}")
    for key, tensor in own.items():
        if is_lazy(tensor):  # it takes the shape of the file
            continue
        if isinstance(tensor, Tensor) and tensor.shape != state[key].shape:
            raise UsageError(
                f"{name}: does not fit the model: {key!r} is {tuple(state[key].shape)} in the file "
                f"and {tuple(tensor.shape)} in the model; are its options those of the training?"
            )
    network.load_state_dict(state)


def _listed(what: str, names: list[str]) -> str:
    if not names:
        return ""
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return f"{what} {', '.join(map(repr, names[:_LISTED]))}{more}"


_OF_TOKENS = ("cls.", "lm_head.")
"""How names of a head that predicts tokens begin."""


def _head_hint(unexpected: list[str]) -> str:
    """What to do with weights that were trained on tokens, not on classes."""
    if any(each.startswith(_OF_TOKENS) for each in unexpected):
        return "; it predicts tokens and no classes, so begin a training from it: pretrained: FILE"
    return ""


def _prefix_hint(own: Mapping[str, Any], state: StateDict) -> str:
    """How to mend names that differ by what all those of the network begin with."""
    first = next(iter(own), "")
    for key in state:
        prefix = key.removesuffix(first)
        if first and prefix not in ("", key) and all(prefix + each in state for each in own):
            return f"; say strip_prefix: {prefix!r}"
    return ""
