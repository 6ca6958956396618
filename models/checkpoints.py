"""A training that can be killed after any epoch and goes on as if nothing had happened."""

import json
import os
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from secrets import token_hex
from typing import Any

import torch
from safetensors import torch as safetensors
from torch import Tensor
from torch.utils._pytree import tree_map_only

from xaibench.progress import announce
from xaibench.storage import files

STATE_FILE = "state.safetensors"

EpochRow = dict[str, Any]
"""Numbers, and as text the ``masks`` (``masks.py``)."""

TrainingHistory = list[EpochRow]


@dataclass(slots=True)
class State:
    """All that the next epoch depends on, beside the data: the weights, the optimiser and its
    schedule, torch's generators, the history, and the weights selected so far (none yet: empty)."""

    model: Any
    optimiser: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler
    history: TrainingHistory = field(default_factory=list)
    selected: dict[str, Tensor] = field(default_factory=dict)


def save(state: State, folder: Path) -> None:
    """Save the state in a folder, in one file that is the old one or the new, never half.

    The folder around it must exist: where a run's folder was deleted, nobody makes it again.
    """
    if not folder.is_dir():
        folder.mkdir()
        files.sync(folder.parent)
    moments = state.optimiser.state_dict()
    tensors = {
        **_with_prefix("model", state.model.state_dict()),
        **_with_prefix(SELECTED, state.selected),
        **_with_prefix("generator", _generator_states()),
        **{
            f"moment {parameter} {name}": tensor
            for parameter, of_parameter in moments["state"].items()
            for name, tensor in of_parameter.items()
        },
    }
    numbers = json.dumps(
        {
            "groups": moments["param_groups"],
            "schedule": state.schedule.state_dict(),
            "history": state.history,
        }
    )
    # clones: safetensors refuses tensors that share memory, as tied weights do
    copies = {name: tensor.detach().clone().contiguous() for name, tensor in tensors.items()}
    metadata = {"numbers": numbers, "digest": _state_digest(copies, numbers)}
    files.write_file(folder / STATE_FILE, safetensors.save(copies, metadata=metadata), durable=True)


SELECTED = "kept"
"""The prefix of the selected weights in the file, that of version 0.1.0."""


def restore(state: State, folder: Path) -> None:
    """Bring a fresh state, of the same model and options, to where the one in a folder was.

    Where there is none, or a damaged one, which is set aside, the state stays as it is.
    """
    path = folder / STATE_FILE
    if not os.path.lexists(path):
        return
    parts = (state.model, state.optimiser, state.schedule)
    # clones: a tensor on a device may know how to be cloned, and not how to be deep-copied
    before = [tree_map_only(Tensor, Tensor.clone, part.state_dict()) for part in parts]
    generators = _generator_states()
    try:
        _set_state(state, *_tensors_and_numbers(path))
    except Exception:  # a damaged file may raise anything, and what to do is the same
        for part, fresh in zip(parts, before, strict=True):
            part.load_state_dict(fresh)
        state.history, state.selected = [], {}
        _set_generators(generators)
        aside = path.rename(path.with_name(f"damaged-{token_hex(4)}"))
        announce(f"{path}: is damaged; set aside as {aside.name}, and the training starts again")


def _tensors_and_numbers(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and the numbers of a checkpoint; ValueError where they are not as written."""
    content = files.read_file(path)
    # A file is the length of its header in 8 bytes, the header in JSON, and the tensors.
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    tensors, metadata = safetensors.load(content), header["__metadata__"]
    # one of version 0.1.0 has no digest
    if metadata.get("digest") not in (None, _state_digest(tensors, metadata["numbers"])):
        raise ValueError("another digest")
    return tensors, json.loads(metadata["numbers"])


def _set_state(state: State, tensors: dict[str, Tensor], numbers: dict[str, Any]) -> None:
    """Set every part of a state, torch's generators included."""
    state.model.load_state_dict(_by_prefix("model", tensors))
    state.selected = _by_prefix(SELECTED, tensors)
    moments: dict[int, dict[str, Tensor]] = {}
    for name, tensor in _by_prefix("moment", tensors).items():
        parameter, _, moment = name.partition(" ")
        moments.setdefault(int(parameter), {})[moment] = tensor
    state.optimiser.load_state_dict({"state": moments, "param_groups": numbers["groups"]})
    state.schedule.load_state_dict(numbers["schedule"])
    state.history = numbers["history"]
    _set_generators(_by_prefix("generator", tensors))


def _state_digest(tensors: dict[str, Tensor], numbers: str) -> str:
    """Of names, types, shapes and bytes, whatever the order: a file cut short or with bits flipped
    has another."""
    digest = blake2b(numbers.encode(), digest_size=16)
    for name in sorted(tensors):
        tensor = tensors[name].cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _with_prefix(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix} {name}": tensor for name, tensor in tensors.items()}


def _by_prefix(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose names have the prefix, by the rest of their names."""
    start = f"{prefix} "
    return {name[len(start) :]: t for name, t in tensors.items() if name.startswith(start)}


def _generator_states() -> dict[str, Tensor]:
    """The states of torch's generators: dropout draws from them."""
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return {"cpu": torch.get_rng_state(), **{str(device): s for device, s in enumerate(cuda)}}


def _set_generators(states: dict[str, Tensor]) -> None:
    """States of devices that this machine does not have are left out."""
    torch.set_rng_state(states["cpu"])
    for device in range(torch.cuda.device_count()):
        if str(device) in states:
            torch.cuda.set_rng_state(states[str(device)], device)
