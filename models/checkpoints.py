"""A training that can be killed after any epoch and goes on as if nothing had happened."""

import json
import os
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from secrets import token_hex
from typing import Any

import torch
from safetensors.torch import load, save
from torch import Tensor
from torch.utils._pytree import tree_map_only

from xaibench.progress import said
from xaibench.storage import files

FILE = "state.safetensors"

Row = dict[str, Any]
"""Of an epoch: numbers, and as text the ``masks`` (``masks.py``)."""

History = list[Row]


@dataclass(slots=True)
class State:
    """All that the next epoch depends on, beside the data: the weights, the optimiser and its
    schedule, torch's generators, the history, and the weights to be kept (none yet: empty)."""

    model: Any
    optimiser: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler
    history: History = field(default_factory=list)
    kept: dict[str, Tensor] = field(default_factory=dict)


def write(state: State, folder: Path) -> None:
    """Put the state into a folder, in one file that is the old one or the new, never half.

    What the folder lies in must be there: where a run's folder is gone, nobody makes it again.
    """
    folder.mkdir(exist_ok=True)
    moments = state.optimiser.state_dict()
    tensors = {
        **_named("model", state.model.state_dict()),
        **_named("kept", state.kept),
        **_named("generator", _generators()),
        **{
            f"moment {parameter} {name}": tensor
            for parameter, held in moments["state"].items()
            for name, tensor in held.items()
        },
    }
    numbers = json.dumps(
        {
            "groups": moments["param_groups"],
            "schedule": state.schedule.state_dict(),
            "history": state.history,
        }
    )
    # clones: weights that share memory are no error
    apart = {name: tensor.detach().clone().contiguous() for name, tensor in tensors.items()}
    content = save(apart, metadata={"numbers": numbers, "digest": _digest(apart, numbers)})
    files.write(folder / FILE, content, durable=True)


def read(state: State, folder: Path) -> None:
    """Bring a fresh state, of the same model and options, to where the one in a folder was.

    Where there is none, or a damaged one, which is set aside, the state stays as it is.
    """
    path = folder / FILE
    if not os.path.lexists(path):
        return
    parts = (state.model, state.optimiser, state.schedule)
    # clones: a tensor on a device may know how to be cloned, and not how to be deep-copied
    before = [tree_map_only(Tensor, Tensor.clone, part.state_dict()) for part in parts]
    generators = _generators()
    try:
        _apply(state, *_content(path))
    except Exception:  # what a damaged file may lead to has no end, and the mend is the same
        for part, held in zip(parts, before, strict=True):
            part.load_state_dict(held)
        state.history, state.kept = [], {}
        _set_generators(generators)
        aside = path.rename(path.with_name(f"damaged-{token_hex(4)}"))
        said(f"{path}: is damaged; set aside as {aside.name}, and the training starts again")


def _content(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and the numbers of a checkpoint; ValueError where they are not as written."""
    content = files.read(path)
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    tensors, told = load(content), header["__metadata__"]
    # one of version 0.1.0 has no digest
    if told.get("digest") not in (None, _digest(tensors, told["numbers"])):
        raise ValueError("another digest")
    return tensors, json.loads(told["numbers"])


def _apply(state: State, tensors: dict[str, Tensor], numbers: dict[str, Any]) -> None:
    state.model.load_state_dict(_of("model", tensors))
    state.kept = _of("kept", tensors)
    moments: dict[int, dict[str, Tensor]] = {}
    for name, tensor in _of("moment", tensors).items():
        parameter, _, what = name.partition(" ")
        moments.setdefault(int(parameter), {})[what] = tensor
    state.optimiser.load_state_dict({"state": moments, "param_groups": numbers["groups"]})
    state.schedule.load_state_dict(numbers["schedule"])
    state.history = numbers["history"]
    _set_generators(_of("generator", tensors))


def _digest(tensors: dict[str, Tensor], numbers: str) -> str:
    found = blake2b(numbers.encode(), digest_size=16)
    for name in sorted(tensors):
        tensor = tensors[name].cpu().contiguous()
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        found.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return found.hexdigest()


def _named(what: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"{what} {name}": tensor for name, tensor in tensors.items()}


def _of(what: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    begins = f"{what} "
    return {name[len(begins) :]: t for name, t in tensors.items() if name.startswith(begins)}


def _generators() -> dict[str, Tensor]:
    """The states of torch's generators: dropout draws from them."""
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return {"cpu": torch.get_rng_state(), **{str(device): s for device, s in enumerate(cuda)}}


def _set_generators(states: dict[str, Tensor]) -> None:
    """Those of devices that are not here wait for nobody."""
    torch.set_rng_state(states["cpu"])
    for device in range(torch.cuda.device_count()):
        if str(device) in states:
            torch.cuda.set_rng_state(states[str(device)], device)
