"""What an artefact is: where it came from, whether it exists, how it is made and read, its cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

from numpy.typing import NDArray

from xaibench.errors import NotApplicable, UsageError, described, message_of
from xaibench.plan.schema import Use
from xaibench.plugins.harness_options import identifying_options
from xaibench.plugins.registry import load as plugin_of
from xaibench.progress import announce_traceback
from xaibench.shapes import Codes
from xaibench.storage.arrays import as_safetensors, bytes_of, unpacked
from xaibench.storage.artefacts import FAILED, NOT_APPLICABLE, OK, Spec, Store, key
from xaibench.storage.files import FileContent

from .job import Work
from .option_files import by_content

Arrays = dict[str, NDArray[Any]]

Files = Mapping[str, bytes | Iterator[memoryview]]
"""The content of an artefact's files by name, of large ones piece by piece."""

Epoch = Callable[[int, int, dict[str, float]], None]
"""Called with each epoch of a training."""

ARRAYS = "arrays.safetensors"


# What making it costs


class ModelSizes(NamedTuple):
    """What only a trial shows of a model: the bytes of its weights, and the methods that score all
    bases of a position."""

    weights: int = 0
    hypothetical: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Cost:
    """What making artefacts takes.

    ``passes`` of one sequence by model and by purpose; sequences ``explained``;
    ``trained`` is what trainings and retrainings learn from, in units of the train split;
    ``stored`` is in bytes. ``shared`` counts sequences that are explained once for all artefacts
    of a task, by what they are explained for.
    """

    passes: Mapping[tuple[str, str], int] = field(default_factory=Counter)
    explained: int = 0
    trainings: int = 0
    retrainings: int = 0
    trained: float = 0.0
    stored: int = 0
    shared: Mapping[Hashable, int] = field(default_factory=dict)


def total(costs: Iterable[Cost]) -> Cost:
    """The cost of the artefacts of one task, what they share counted once."""
    listed = list(costs)
    passes: Counter[tuple[str, str]] = Counter()
    shared: dict[Hashable, int] = {}
    for cost in listed:
        passes.update(cost.passes)
        shared |= cost.shared
    return Cost(
        passes,
        sum(cost.explained for cost in listed) + sum(shared.values()),
        sum(cost.trainings for cost in listed),
        sum(cost.retrainings for cost in listed),
        sum(cost.trained for cost in listed),
        sum(cost.stored for cost in listed),
    )


# What it is


@dataclass(frozen=True, slots=True)
class Artefact:
    """One thing that a run stores under ``spec``, which says what it is and what it came from.

    ``make`` gives its files, ``read`` the value that a function from names to files holds, and
    ``cost`` what making it takes. It is made only where all that it ``needs`` exists; ``stored``
    is called once its files are in the store.
    """

    spec: Spec
    make: Callable[[Memory], Files]
    read: Callable[[Callable[[str], FileContent]], Any]
    cost: Callable[[ModelSizes], Cost]
    needs: tuple[Spec, ...] = ()
    stored: Callable[[], None] = lambda: None

    def exists(self, store: Store) -> bool:
        """Whether it was made, or does not apply; a failure is tried again."""
        return store.holds(self.spec)

    def possible(self, store: Store) -> bool:
        """Whether all that it is made from exists and holds something."""
        return all(store.outcome(spec)[0] == OK for spec in self.needs)

    def load(self, store: Store) -> Any:
        """Its value, from the store; UsageError where a file is damaged."""
        return self.read(lambda name: store.content(self.spec, name))


def of_arrays(
    spec: Spec,
    make: Callable[[Memory], Arrays],
    cost: Callable[[ModelSizes], Cost],
    needs: tuple[Spec, ...] = (),
) -> Artefact:
    """An artefact whose value is arrays by name."""
    return Artefact(spec, lambda memory: as_files(make(memory)), arrays_in, cost, needs)


def as_files(arrays: Arrays) -> Files:
    """Arrays as the file that holds them."""
    return {ARRAYS: as_safetensors(arrays)}


def arrays_in(file: Callable[[str], FileContent]) -> Arrays:
    """The arrays of an artefact, which nobody may write into; those of a large file are mapped."""
    return unpacked(file(ARRAYS))


# Making and loading


@dataclass(frozen=True, slots=True)
class Memory:
    """What one task has loaded or made so far, for the artefacts that come next; gone with it."""

    work: Work
    epoch: Epoch = lambda *_: None
    values: dict[Hashable, Any] = field(default_factory=dict)

    def once(self, name: Hashable, make: Callable[[], Any]) -> Any:
        """What ``make`` gives, made at the first call of this name."""
        if name not in self.values:
            self.values[name] = make()
        return self.values[name]

    def value(self, artefact: Artefact) -> Any:
        """The value of an artefact that exists: handed on where this task made it, else loaded."""
        return self.once(key(artefact.spec), lambda: artefact.load(self.work.store))


def ensure(artefact: Artefact, memory: Memory, *, hand_on: bool = False) -> None:
    """Make and store an artefact, or the reason why there is none, unless it exists.

    ``hand_on`` its value in memory, as it is read from the store, so that nothing depends on
    whether a run was resumed.
    """
    store = memory.work.store
    if artefact.exists(store) or not artefact.possible(store):
        return
    try:
        files = artefact.make(memory)
    except UsageError:
        raise
    except Exception as error:
        save_failure(memory.work, artefact.spec, error)
        return
    save_files(memory.work, artefact.spec, files)
    artefact.stored()
    if hand_on:
        memory.value(artefact)


def save_files(work: Work, spec: Spec, files: Files) -> None:
    """Store the files of an artefact, all or none."""

    work.store.keep(spec, lambda folder: write_artefact(folder, files))


def write_artefact(folder: Path, files: Files) -> None:
    """Write the files of an artefact into its folder."""
    for name, content in files.items():
        with (folder / name).open("xb") as file:
            file.writelines(pieces_of(content))


def pieces_of(content: bytes | Iterator[memoryview]) -> Iterable[bytes | memoryview]:
    """What the content of a file is put together from."""
    return [content] if isinstance(content, bytes) else content


def save_failure(work: Work, spec: Spec, error: Exception) -> None:
    """Store the reason why there is no artefact; the next run tries a failure again."""
    status = NOT_APPLICABLE if isinstance(error, NotApplicable) else FAILED
    if status == FAILED:
        announce_traceback(error)
    reason = message_of(error) if status == NOT_APPLICABLE else described(error)
    work.store.keep(spec, lambda _: None, status=status, reason=reason)


def is_stored(work: Work, spec: Spec) -> bool:
    """Whether an artefact was made and holds something."""
    return work.store.outcome(spec)[0] == OK


def arrays_of(work: Work, spec: Spec) -> Arrays:
    """The arrays of a stored artefact."""
    return arrays_in(lambda name: work.store.content(spec, name))


# What a spec is made of


def identified(work: Work, kind: str, use: Use) -> dict[str, Any]:
    """What a plug-in is, for a spec: its code, and its options with the content of files."""
    plugin = plugin_of(kind, use.use, work.job.plugins)
    options = identifying_options(plugin, use.options)
    return {"code": plugin.code, "options": by_content(plugin, options, work.job.source)}


def print_of(codes: Codes) -> str:
    """What names a set of sequences in a spec."""
    digest = blake2b(digest_size=10)
    for piece in bytes_of(codes):
        digest.update(piece)
    return digest.hexdigest()
