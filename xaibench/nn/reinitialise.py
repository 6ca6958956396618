"""A trained model with some layers re-initialised: what it had learnt there is gone.

The randomisation tests of *Adebayo et al. (2018)*: a map that stays the same when the weights from
the output down are re-initialised one layer after the other (cascading), or one layer alone
(independent), does not depend on what those layers learnt.
"""

from collections.abc import Sequence
from copy import deepcopy
from itertools import chain

import numpy as np
import torch
from torch import Tensor, nn

from xaibench.errors import NotApplicable

from .devices import seeded
from .inference import device_of


def layers(model: nn.Module) -> list[str]:
    """The names of all modules with parameters of their own, the output's first.

    That is the reverse of the order in which the model defines them. The model itself, where it has
    parameters outside its modules, is the last, with an empty name.

    >>> layers(nn.Sequential(nn.Conv1d(4, 7, 3), nn.ReLU(), nn.Sequential(nn.Linear(7, 2))))
    ['2.0', '0']
    """
    return [name for name, module in model.named_modules() if _own_tensors(module)][::-1]


def reinitialised(
    model: nn.Module, names: Sequence[str], generator: np.random.Generator
) -> nn.Module:
    """A copy of the model in which the modules of these names have new parameters.

    They are drawn by each module's ``reset_parameters``, one after the other: with an equal
    generator, the first of more names get equal parameters. Buffers such as the statistics of batch
    normalisation start again too; everything else is as it was. NotApplicable, naming the module,
    where one cannot be re-initialised.
    """
    device = device_of(model)
    fresh = deepcopy(model).to("cpu")  # where the same is drawn whatever the device
    modules = {name: fresh.get_submodule(name) for name in names}
    changed = {
        id(tensor) for module in modules.values() for tensor in _own_tensors(module, buffers=True)
    }
    others = {name: tensor for name, tensor in _tensors(fresh).items() if id(tensor) not in changed}
    before = _tensors(model)
    with seeded(int(generator.integers(2**62))), torch.no_grad():
        for name, module in modules.items():
            _reset(module, name)
        # a module may reset its children too, or share some of them
        for name, tensor in others.items():
            tensor.copy_(before[name])
    return fresh.to(device)


def _reset(module: nn.Module, name: str) -> None:
    """Re-initialise the module's own parameters, and make sure that all of them were.

    They are NaN before: one that still is afterwards was left out by ``reset_parameters``.
    """
    what = f"{name or 'the model itself'} ({type(module).__name__})"
    # torch's own module of attention has only this one
    reset = getattr(module, "reset_parameters", getattr(module, "_reset_parameters", None))
    if reset is None:
        raise NotApplicable(f"{what} cannot be re-initialised: it has no reset_parameters")
    for parameter in _own_tensors(module):
        parameter.fill_(torch.nan)
    reset()
    left = [own for own, tensor in module.named_parameters(recurse=False) if tensor.isnan().any()]
    if left:
        raise NotApplicable(
            f"{what} cannot be re-initialised: its reset_parameters leaves {left[0]}"
        )


def _own_tensors(module: nn.Module, *, buffers: bool = False) -> list[Tensor]:
    """The parameters, and perhaps the buffers, of a module itself, without those inside it."""
    own = module.parameters(recurse=False)
    return [*own, *module.buffers(recurse=False)] if buffers else [*own]


def _tensors(model: nn.Module) -> dict[str, Tensor]:
    return dict(chain(model.named_parameters(), model.named_buffers()))
