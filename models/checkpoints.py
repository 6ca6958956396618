"""A training that can be killed after any epoch and goes on as if nothing had happened."""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

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
    """Put the state into a folder, in one file that is the old one or the new, never half."""
    folder.mkdir(parents=True, exist_ok=True)
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
    numbers = {
        "groups": moments["param_groups"],
        "schedule": state.schedule.state_dict(),
        "history": state.history,
    }
    making = folder / f".making-{FILE}"
    # clones: weights that share memory are no error
    apart = {name: tensor.detach().clone().contiguous() for name, tensor in tensors.items()}
    save_file(apart, making, metadata={"numbers": json.dumps(numbers)})
    with making.open("rb") as handle:
        os.fsync(handle.fileno())
    making.replace(folder / FILE)


def read(state: State, folder: Path) -> None:
    """Bring a fresh state, of the same model and options, to where the one in a folder was; where
    there is none, it stays as it is."""
    if not (folder / FILE).is_file():
        return
    with safe_open(folder / FILE, "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}
        numbers = json.loads(file.metadata()["numbers"])
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
