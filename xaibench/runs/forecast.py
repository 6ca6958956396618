"""What a run would do and take, counted from its plan and from how long one of everything takes."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from time import perf_counter, process_time

from xaibench.artefacts.artefact import Cost, ModelSizes, total
from xaibench.artefacts.job import Work, is_trained, seeds_of

from .amounts import SHORT, duration, size
from .engines import local, processes_for
from .processes import Do
from .tasks import Task, artefacts_of, planned
from .timing import ModelTiming, timings

FOLDER_BYTES = 10_000
"""Bytes on disk of a folder with a small file in it, beside the arrays of an artefact."""

BUSY = 2
"""A factor of the clock over the processor time that is worth a sentence."""

NOT_COUNTED = "reading the data, trivial baselines, tables and reports"


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a run would do: ``tasks`` in all, those ``todo`` with what each takes, and the seconds
    of one process on each kind of work. ``seconds`` is the whole on several processes that have the
    processor to themselves; ``tried`` is what the trial took of it, and by the ``clock``."""

    tasks: int
    todo: dict[Task, Cost]
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
    models = timings(work, threads=threads) if todo else {}
    trial = process_time() - began, perf_counter() - clock
    amounts = {task: _amount(work, task, models[task.trained.name]) for task in todo}
    taken = {task: _seconds(task, amount, models) for task, amount in amounts.items()}
    jobs = processes_for(work.plan.device, jobs)
    stages = [
        [sum(kinds.values()) for task, kinds in taken.items() if task.trains == trains]
        for trains in (True, False)
    ]
    by_kind = {kind: sum(each[kind] for each in taken.values()) for kind in TIME_KINDS}
    seconds = sum(_side_by_side(stage, jobs) for stage in stages)
    return Forecast(len(every), amounts, by_kind, seconds, *trial)


def _side_by_side(seconds: Sequence[float], jobs: int) -> float:
    """Of tasks on several processes: no less than the longest."""
    return max(sum(seconds) / jobs, max(seconds, default=0.0))


TIME_KINDS = ("training", "explaining", "passes")


def _seconds(task: Task, amount: Cost, models: dict[str, ModelTiming]) -> dict[str, float]:
    model = models[task.trained.name]
    passes = sum(count * models[label].passing for (label, _), count in amount.passes.items())
    each = model.explaining.get(task.method, 0.0)
    taken = (amount.trained * model.training, amount.explained * each, passes)
    return dict(zip(TIME_KINDS, taken, strict=True))


def foreseen_apart(work: Work, *, threads: int) -> dict[str, float]:
    """Seconds of a task that is still to be computed, by what it is like, found in a process of its
    own: a plug-in may end it. Empty where it did."""
    with closing(local(1).answers(_begin, work, ["forecast"], threads=threads)) as answers:
        for _, seconds in answers:
            return seconds if isinstance(seconds, dict) else {}
    return {}


def _begin(work: Work, threads: int) -> Do:
    return lambda *_: _foreseen(work, threads)


def _foreseen(work: Work, threads: int) -> dict[str, float]:
    try:
        models, (_, todo) = timings(work, threads=threads), planned(work)
    except Exception:  # the run says what is wrong
        return {}
    taken = defaultdict(list)
    for task in todo:
        amount = _amount(work, task, models[task.trained.name])
        taken[task.like].append(sum(_seconds(task, amount, models).values()))
    return {like: sum(each) / len(each) for like, each in taken.items()}


def _amount(work: Work, task: Task, model: ModelTiming) -> Cost:
    """What a task lacks; a method that does not apply is nothing to do."""
    if task.method in model.refused:
        return Cost()
    sizes = ModelSizes(model.weights, model.hypothetical)
    todo = [each for each in artefacts_of(work, task) if not each.exists(work.store)]
    cost = total(each.cost(sizes) for each in todo)
    return replace(cost, stored=cost.stored + FOLDER_BYTES * len(todo))


# As text


def forecast_text(work: Work, *, jobs: int = 1, threads: int = 1) -> str:
    """What a run would do and take, without doing it."""
    foreseen = forecast(work, jobs=jobs, threads=threads)
    return describe(work, foreseen, jobs=processes_for(work.plan.device, jobs))


def describe(work: Work, foreseen: Forecast, *, jobs: int) -> str:
    """A forecast for people."""
    return "\n".join(
        [*_what(work, foreseen), *_how_long([foreseen], jobs), f"into {work.job.folder}"]
    )


def in_all(forecasts: list[Forecast], *, jobs: int) -> str:
    """What several runs one after the other would take."""
    first, *rest = [*_how_long(forecasts, jobs)] or ["nothing to compute"]
    return "\n".join([f"all {len(forecasts)} together: {first}", *rest])


def _what(work: Work, foreseen: Forecast) -> Iterator[str]:
    """The plan, the tasks and the passes."""
    plan, todo = work.plan, foreseen.todo
    seeds = {len(seeds_of(plan, model)) for model in plan.models}
    replicates = "seeds" if all(is_trained(plan, model) for model in plan.models) else "replicates"
    yield (
        f"{len(plan.models)} models x {max(seeds)} {replicates}, {len(plan.attribution)} methods, "
        f"{len(work.chosen)} sequences explained"
    )
    trainings = sum(amount.trainings for amount in todo.values())
    retrainings = sum(amount.retrainings for amount in todo.values())
    again = f" and {retrainings} retrainings" if retrainings else ""
    explanations = sum(not task.trains for task in todo)
    each = f" ({len(work.splits.train)} sequences each)" if trainings or retrainings else ""
    yield (
        f"{len(todo)} of {foreseen.tasks} tasks to compute: {trainings} trainings{again}{each}, "
        f"{explanations} explanations with their curves"
    )
    passes: Counter[str] = Counter()
    for amount in todo.values():
        for (_, purpose), count in amount.passes.items():
            passes[purpose] += count
    counts = ", ".join(f"{count:,} for {purpose}" for purpose, count in passes.items() if count)
    yield f"forward passes: {counts or 'none'}"


def _how_long(forecasts: list[Forecast], jobs: int) -> Iterator[str]:
    """Time and disk, and what they are made of."""
    kinds = {kind: sum(each.by_kind[kind] for each in forecasts) for kind in TIME_KINDS}
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
