"""What a run would do and take, counted from its plan and from how long one of everything takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from time import perf_counter, process_time

from xaibench.artefacts import (
    curve_keys,
    curves,
    effects,
    oracle,
    retraining,
)
from xaibench.artefacts import (
    explanations as explaining,
)
from xaibench.artefacts import (
    models as training,
)
from xaibench.artefacts.artefact import first, looked_at
from xaibench.artefacts.job import Work, is_explained, seeds_of
from xaibench.explanation.controls import ORACLE, RANDOM
from xaibench.explanation.guards import GUARDED
from xaibench.storage.artefacts import Spec

from .pipeline import planned
from .tasks import Task
from .timing import Tried, tried

FOLDER = 10_000
"""Bytes on disk of a folder with a small file in it, beside the arrays of an artefact."""

BUSY = 2
"""So many times longer by the clock than of the processor is said."""

SHORT = 10
"""So many seconds are not told apart."""

NOT_COUNTED = "reading the data, the floor, tables and reports"


@dataclass(slots=True)
class Amount:
    """What a task still has to do: passes of a sequence by the model that is asked and what for,
    sequences explained, trainings and retrainings, what these learn from as a share of all of train
    (``trained``), and the bytes that it keeps."""

    passes: Counter[tuple[str, str]] = field(default_factory=Counter)
    explained: int = 0
    trainings: int = 0
    retrainings: int = 0
    trained: float = 0.0
    stored: int = 0


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a run would do: ``tasks`` in all, those ``todo`` with what each takes, and the seconds
    of one process on each kind of work. ``seconds`` is the whole on several processes that have the
    processor to themselves; ``tried`` is what the trial took of it, and by the ``clock``."""

    tasks: int
    todo: dict[Task, Amount]
    by_kind: dict[str, float]
    seconds: float
    tried: float
    clock: float

    @property
    def stored(self) -> int:
        return sum(amount.stored for amount in self.todo.values())


def forecast(work: Work, *, jobs: int = 1, threads: int = 1) -> Forecast:
    """What a run would take, without running it; every model is tried for a moment."""
    every, todo = planned(work)
    began, clock = process_time(), perf_counter()
    models = tried(work, threads=threads) if todo else {}
    trial = process_time() - began, perf_counter() - clock
    amounts = {task: _amount(work, task, models[task.model]) for task in todo}
    taken = {task: _seconds(task, amount, models) for task, amount in amounts.items()}
    stages = [
        [sum(kinds.values()) for task, kinds in taken.items() if (task.source is None) == trains]
        for trains in (True, False)
    ]
    by_kind = {kind: sum(each[kind] for each in taken.values()) for kind in KINDS}
    seconds = sum(_side_by_side(stage, jobs) for stage in stages)
    return Forecast(len(every), amounts, by_kind, seconds, *trial)


def _side_by_side(seconds: Sequence[float], jobs: int) -> float:
    """Of tasks on several processes: no less than the longest."""
    return max(sum(seconds) / jobs, max(seconds, default=0.0))


KINDS = ("training", "explaining", "passes")


def _seconds(task: Task, amount: Amount, models: dict[str, Tried]) -> dict[str, float]:
    model = models[task.model]
    passes = sum(count * models[asked].passing for (asked, _), count in amount.passes.items())
    each = model.explaining.get(str(task.source), 0.0)
    taken = (amount.trained * model.training, amount.explained * each, passes)
    return dict(zip(KINDS, taken, strict=True))


# Counting


def _amount(work: Work, task: Task, model: Tried) -> Amount:
    """What a task lacks; a method that does not apply is nothing to do."""
    amount = Amount()
    if task.source in model.refused:
        return amount
    counted = [_count_trainings, _count_predictions]
    if is_explained(work.plan, task.model):
        counted += [_count_oracle, _count_effects, _count_explanations, _count_curves]
    for count in counted:
        count(work, task, model, amount)
    return amount


def _classes(work: Work) -> int:
    return len(work.splits.train.class_names)


def _lacks(work: Work, spec: Spec, amount: Amount, arrays: int) -> bool:
    """Whether an artefact is to be made; then its bytes are counted."""
    if work.store.holds(spec):
        return False
    amount.stored += FOLDER + arrays
    return True


def _count_trainings(work: Work, task: Task, model: Tried, amount: Amount) -> None:
    """Of the model itself, and without what a source finds most relevant in all of train."""
    where = (task.model, task.seed)
    if task.source is None:
        for spec in training.model_specs(work, *where).values():
            amount.trainings += _lacks(work, spec, amount, model.weights)
        amount.trained += amount.trainings
    if task.source == ORACLE:
        return
    maps = set()
    every = len(work.splits.train)
    for wanted, spec in retraining.retrained_specs(work, *where, task.source):
        if _lacks(work, spec, amount, len(work.chosen) * _classes(work) * 4):
            learnt = min(wanted.train or every, every)
            amount.trained += learnt / every
            amount.retrainings += 1
            maps.add(learnt)
    if task.source not in (None, RANDOM):
        beside = len(work.splits.validation or ()) + len(work.chosen)
        amount.explained += sum(maps) + len(maps) * beside


def _count_predictions(work: Work, task: Task, model: Tried, amount: Amount) -> None:
    if task.source != RANDOM:
        return
    count, spec = len(work.splits.test), training.predictions_spec(work, task.model, task.seed)
    if _lacks(work, spec, amount, count * _classes(work) * 4):
        amount.passes[task.model, "the test split"] += count


def _count_oracle(work: Work, task: Task, model: Tried, amount: Amount) -> None:
    if task.source != ORACLE:
        return
    for each in oracle.oracles(work):
        here = looked_at(work, task.model, operator=each.operator)
        positions = int(first(here, work.plan.controlled).chosen.valid.sum())
        spec = oracle.oracle_spec(work, task.model, task.seed, each)
        if _lacks(work, spec, amount, positions * 4):
            amount.passes[task.model, "the oracle and true effects"] += positions


def _count_effects(work: Work, task: Task, model: Tried, amount: Amount) -> None:
    """Three substitutions a position, or sets of positions and each position once."""
    if task.source != ORACLE:
        return
    for wanted in effects.asked(work):
        chosen = first(looked_at(work, task.model), wanted.sequences).chosen
        positions, sets = int(chosen.valid.sum()), len(wanted.fractions) * wanted.draws
        passes = len(chosen) * sets + positions if sets else 3 * positions
        stored = chosen.codes.size * (4 + (sets or 4 * 8))
        spec = effects.effects_spec(work, task.model, task.seed, wanted)
        if _lacks(work, spec, amount, stored):
            amount.passes[task.model, "the oracle and true effects"] += passes


def _count_explanations(work: Work, task: Task, model: Tried, amount: Amount) -> None:
    if task.source in (None, RANDOM, ORACLE):
        return
    where, method = (task.model, task.seed), str(task.source)
    here = looked_at(work, task.model, method)
    for change in (explaining.UNCHANGED, *explaining.changes(work, task.model)):
        chosen = first(here, change.sequences).chosen
        maps = 2 if change == explaining.UNCHANGED else change.draws
        of_weights = change.kind in (explaining.INTACT, *explaining.OF_WEIGHTS)
        bases = 5 if of_weights and method in model.hypothetical else 1
        spec = explaining.explained_spec(work, *where, method, change)
        if _lacks(work, spec, amount, maps * bases * chosen.codes.size * 4):
            again = GUARDED if change == explaining.UNCHANGED else (change.draws - 1) * len(chosen)
            amount.explained += len(chosen) + again


def _count_curves(work: Work, task: Task, model: Tried, amount: Amount) -> None:
    """Passes for the steps between the ends; these are shared."""
    if task.source is None:
        return
    steps = len(work.plan.fractions)
    for course in curve_keys.courses(work, task.source):
        others = course.kind == "other_models"
        asked = curve_keys.judges(work, task.model) if others else [task.model]
        draws = work.plan.random_draws if course.method == RANDOM else 1
        count = len(curve_keys.seen(work, task.model, course).chosen) * draws
        spec = curves.curve_spec(work, task.model, task.seed, course)
        if _lacks(work, spec, amount, len(asked) * steps * count * _classes(work) * 4):
            for each in asked:
                amount.passes[each, "curves"] += count * (steps - 2)


# Words


def summary(work: Work, *, jobs: int = 1, threads: int = 1) -> str:
    """What a run would do and take, without doing it."""
    return words(work, forecast(work, jobs=jobs, threads=threads), jobs=jobs)


def words(work: Work, told: Forecast, *, jobs: int) -> str:
    """A forecast for people."""
    return "\n".join([*_what(work, told), *_how_long([told], jobs), f"into {work.job.folder}"])


def total(forecasts: list[Forecast], *, jobs: int) -> str:
    """What several runs one after the other would take."""
    said = list(_how_long(forecasts, jobs)) or ["nothing to compute"]
    return "\n".join([f"all {len(forecasts)} together: {said[0]}", *said[1:]])


def _what(work: Work, told: Forecast) -> Iterator[str]:
    """The plan, the tasks and the passes."""
    plan, todo = work.plan, told.todo
    seeds = {len(seeds_of(plan, model)) for model in plan.models}
    yield (
        f"{len(plan.models)} models x {max(seeds)} seeds, {len(plan.attribution)} methods, "
        f"{len(work.chosen)} sequences explained"
    )
    trainings = sum(amount.trainings for amount in todo.values())
    retrainings = sum(amount.retrainings for amount in todo.values())
    again = f" and {retrainings} retrainings" if retrainings else ""
    explanations = sum(task.source is not None for task in todo)
    yield (
        f"{len(todo)} of {told.tasks} tasks to compute: {trainings} trainings{again} "
        f"({len(work.splits.train)} sequences each), {explanations} explanations "
        "with their curves"
    )
    passes: Counter[str] = Counter()
    for amount in todo.values():
        for (_, purpose), count in amount.passes.items():
            passes[purpose] += count
    said = ", ".join(f"{count:,} for {purpose}" for purpose, count in passes.items() if count)
    yield f"forward passes: {said or 'none'}"


def _how_long(forecasts: list[Forecast], jobs: int) -> Iterator[str]:
    """Time and disk, and what they are made of."""
    kinds = {kind: sum(each.by_kind[kind] for each in forecasts) for kind in KINDS}
    if not any(each.todo for each in forecasts):
        return
    seconds, stored = sum(e.seconds for e in forecasts), sum(e.stored for e in forecasts)
    on = f"{jobs} process{'' if jobs == 1 else 'es'}"
    yield f"{_about(seconds)} on {on}; {size(stored)} on disk"
    parts = ", ".join(f"{kind} {duration(taken)}" for kind, taken in kinds.items() if taken)
    tried, clock = sum(each.tried for each in forecasts), sum(each.clock for each in forecasts)
    yield f"of one process: {parts} (tried here for {tried:.1f} s); without {NOT_COUNTED}"
    if clock > BUSY * tried:
        times = round(clock / tried)
        yield f"other work has the processor now: by the clock it may take {times} times as long"


def _about(seconds: float) -> str:
    if seconds < SHORT:
        return f"less than {SHORT} seconds"
    within = f"{duration(seconds / 2)} to {duration(seconds * 2)}"
    return f"about {duration(seconds)}, perhaps {within},"


_UNITS = ((86_400, "days"), (3600, "hours"), (60, "minutes"), (1, "seconds"))


def duration(seconds: float) -> str:
    """Two digits at most, in the largest unit that there are two of.

    >>> duration(0.2), duration(100), duration(200), duration(100_000)
    ('1 second', '100 seconds', '3 minutes', '28 hours')
    """
    unit, name = next(((u, n) for u, n in _UNITS if seconds >= 2 * u), _UNITS[-1])
    count = max(round(seconds / unit), 1)
    return f"{count} {name if count > 1 else name.removesuffix('s')}"


def size(stored: int) -> str:
    """Bytes in the unit that a disk is measured in.

    >>> size(31_000_000), size(2_400_000_000)
    ('31 MB', '2.4 GB')
    """
    return f"{stored / 1e9:.1f} GB" if stored >= 1e9 else f"{stored / 1e6:.0f} MB"
