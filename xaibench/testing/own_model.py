"""The check of a model by its name, with weights from files, as a plan would have it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from torch import nn

from xaibench.artefacts.networks import adapting_options, built
from xaibench.artefacts.option_files import located
from xaibench.data.resolving import splits_named
from xaibench.dna.encoding import lengths
from xaibench.errors import ModelError, UsageError
from xaibench.explanation.model_check import ModelCheck, check_model
from xaibench.nn.devices import device_named
from xaibench.nn.explained_output import classes_of
from xaibench.nn.weights import load_into, read_weights, without_prefix
from xaibench.plan.changes import assign
from xaibench.plan.paths import locate
from xaibench.plan.weight_files import weight_files
from xaibench.plugins.harness_options import of_harness
from xaibench.plugins.options import resolve
from xaibench.plugins.registry import Plugin, load
from xaibench.plugins.signatures import takes, typed
from xaibench.values import Sequences


@dataclass(frozen=True, slots=True)
class _OwnModel:
    """A model by its name: its plug-in, its resolved options, and what it is told of the data."""

    plugin: Plugin
    options: Mapping[str, Any]
    about: Mapping[str, int]

    @property
    def is_program(self) -> bool:
        return "program" in takes(self.plugin.call)

    def with_weights(self, file: str | None) -> nn.Module:
        """The network with the weights of a file, or with fresh ones."""
        if file is None:
            if self.is_program:
                raise UsageError(f"{self.plugin.name}: expects --weights FILE, the program itself")
            return self._built(None)
        path = locate(file, "")
        if self.is_program:
            return self._built(path.read_bytes())
        network = self._built(None)
        prefix = of_harness(self.plugin, self.options)["strip_prefix"]
        load_into(network, without_prefix(read_weights(path), prefix, path.name), path.name)
        return network

    def _built(self, program: bytes | None) -> nn.Module:
        options = typed(self.plugin, located(self.plugin, self.options, ""))
        try:
            network = built(self.plugin, options, self.about, program=program)
        except UsageError as error:
            raise UsageError(f"{self.plugin.name}: {error}") from None
        except ModelError as error:
            raise UsageError(f"{error} They are given by --set") from error
        if not isinstance(network, nn.Module):
            kind = type(network).__name__
            raise UsageError(
                f"{self.plugin.name}: expected it to return a torch.nn.Module, got a {kind}"
            )
        return network


def check_models_by_name(
    name: str,
    *,
    weights: Sequence[str] = (),
    sequences: str | None = None,
    length: int = 200,
    classes: int | None = None,
    changes: Iterable[str] = (),
    plugins: tuple[str, ...] = (),
    methods: Sequence[str] | None = None,
    device: str = "cpu",
) -> Iterator[tuple[str, ModelCheck]]:
    """``check_model`` of a model of a plan, for each file of ``weights``, with what it is called.

    ``sequences`` is a file or whatever else names a dataset; its test split is taken. ``changes``
    are ``key=value``, options of the model. UsageError where the model cannot be built or weights
    do not fit it.
    """
    plugin, place = load("models", name, plugins), device_named(device)
    given: dict[str, Any] = {}
    for change in changes:
        assign(given, change)
    options = resolve(plugin, given, where=name)
    data = None if sequences is None else splits_named(sequences, plugins=plugins)[0].test
    about = _about(data, length, classes)
    # a network that takes the number of classes has as many outputs
    takes_classes = "classes" in takes(plugin.call)
    read_as = about["classes"] if takes_classes else classes_of(data, classes)
    model = _OwnModel(plugin, options, about)
    for file in _files(weights, options):
        network = model.with_weights(file).to(place)
        heading = f"{name} with {'fresh weights' if file is None else PurePath(file).name}"
        choices = adapting_options(plugin, options, plugins)
        yield (
            heading,
            check_model(
                network,
                data,
                classes=read_as,
                length=length,
                layout=choices["layout"],
                alphabet=choices["alphabet"],
                explain=choices["explained"],
                function=choices["function"],
                methods=methods,
                plugins=plugins,
            ),
        )


def _files(weights: Sequence[str], options: Mapping[str, Any]) -> list[str | None]:
    """The files of the command line, else those of the option ``weights``, else none."""
    files = weight_files(weights or options.get("weights") or (), "", where="weights")
    return [files] if isinstance(files, str) else [*files] or [None]


def _about(data: Sequences | None, length: int, classes: int | None) -> dict[str, int]:
    """What a network is told of the data; that there are two classes where nobody says."""
    if data is None:
        return {"classes": classes or 2, "length": length, "shortest": length}
    return {
        "classes": classes_of(data, classes) or 2,
        "length": data.codes.shape[1],
        "shortest": int(lengths(data.codes).min()),
    }
