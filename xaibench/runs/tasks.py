"""The tasks of a plan, and the artefacts that each of them consists of."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import product

from xaibench.artefacts.artefact import Artefact, Epoch, Memory, ensure
from xaibench.artefacts.curves import curve_artefacts
from xaibench.artefacts.effects import effects_artefacts
from xaibench.artefacts.explanations import explained_artefacts
from xaibench.artefacts.given_weights import described_model
from xaibench.artefacts.job import Work, is_explained, is_trained
from xaibench.artefacts.model_checks import behaviour_artefact, usable
from xaibench.artefacts.models import model_artefacts, predictions_artefact
from xaibench.artefacts.oracle import oracle_artefacts
from xaibench.artefacts.retraining import NOTHING_REMOVED, retrained_artefacts
from xaibench.artefacts.trained_models import TrainedModel, replicates_of
from xaibench.explanation.controls import ORACLE, RANDOM
from xaibench.plan.schema import Plan
from xaibench.progress import announce_if_slow
from xaibench.storage.artefacts import FAILED, NOT_COMPUTED, key


class TaskKind(StrEnum):
    """What a task is about: a model, or one source of maps on it."""

    TRAINING = "training"
    WEIGHTS = "weights"
    CONTROL = RANDOM
    ORACLE = ORACLE
    METHOD = "method"


@dataclass(frozen=True, slots=True)
class Task:
    """The artefacts that one process makes together, of one model under one seed.

    ``method`` is the plan's label where the kind is ``METHOD``.
    """

    trained: TrainedModel
    kind: TaskKind = TaskKind.TRAINING
    method: str = ""

    def __str__(self) -> str:
        return f"{self.trained}, {self.method or self.kind}"

    @property
    def like(self) -> str:
        """What it takes as long as: the same of the same model, under whatever seed."""
        return f"{self.trained.name}, {self.method or self.kind}"

    def described(self, plan: Plan) -> str:
        """The task in words, with the file of weights that it is about."""
        model = described_model(plan, self.trained)
        return model if self.kind == TaskKind.WEIGHTS else f"{model}, {self.method or self.kind}"

    @property
    def trains(self) -> bool:
        """Whether it makes the model that all others of the model are about: it is trained, or its
        weights are read."""
        return self.kind in (TaskKind.TRAINING, TaskKind.WEIGHTS)


def tasks(plan: Plan) -> Iterator[Task]:
    """Every task of a plan: the nested loop. Training comes before what it makes possible."""
    methods = ((TaskKind.METHOD, label) for label in plan.attribution)
    sources = [(TaskKind.TRAINING, ""), (TaskKind.CONTROL, ""), (TaskKind.ORACLE, ""), *methods]
    for (kind, method), model in product(sources, plan.models):
        if kind == TaskKind.TRAINING and not is_trained(plan, model):
            kind = TaskKind.WEIGHTS
        if kind in (TaskKind.TRAINING, TaskKind.WEIGHTS) or is_explained(plan, model):
            yield from (Task(trained, kind, method) for trained in replicates_of(plan, model))


def artefacts_of(work: Work, task: Task) -> Iterator[Artefact]:
    """What a task consists of, in the order in which it is made."""
    trained = task.trained
    match task.kind:
        case TaskKind.TRAINING | TaskKind.WEIGHTS:
            yield from model_artefacts(work, trained)
            yield (behaviour := behaviour_artefact(work, trained))
            usable_model = (*behaviour.needs, behaviour.spec)
            yield predictions_artefact(work, trained, *usable_model)
            if is_explained(work.plan, trained.name):
                yield from retrained_artefacts(work, trained, NOTHING_REMOVED, *usable_model)
        case TaskKind.CONTROL:
            yield from curve_artefacts(work, trained, RANDOM)
            yield from retrained_artefacts(work, trained, RANDOM)
        case TaskKind.ORACLE:
            yield from oracle_artefacts(work, trained)
            yield from effects_artefacts(work, trained)
            yield from curve_artefacts(work, trained, ORACLE)
        case TaskKind.METHOD:
            yield from explained_artefacts(work, trained, task.method)
            yield from curve_artefacts(work, trained, task.method)
            yield from retrained_artefacts(work, trained, task.method)


def lacking(work: Work, task: Task) -> Iterator[Artefact]:
    """The artefacts of a task that can be made and do not exist yet; a failure is tried again."""
    for artefact in artefacts_of(work, task):
        if not artefact.exists(work.store) and artefact.possible(work.store):
            yield artefact


def missing(work: Work, task: Task) -> bool:
    """Whether a task is to be computed: where anything of it, or its model, does not exist."""
    return _lacks_model(work, task) or any(True for _ in lacking(work, task))


def unseen(work: Work, task: Task) -> bool:
    """Whether anything of a task that was computed is not to be seen: neither made nor failed."""
    if _lacks_model(work, task):
        return False
    return any(
        artefact.possible(work.store)
        and work.store.outcome(artefact.spec) == (FAILED, NOT_COMPUTED)
        for artefact in artefacts_of(work, task)
    )


def planned(work: Work) -> tuple[list[Task], list[Task]]:
    """All tasks, and those of them that are still to be computed."""
    every = list(tasks(work.plan))
    with announce_if_slow(f"looking up which of {len(every):,} tasks are done"):
        return every, [task for task in every if missing(work, task)]


def compute(work: Work, task: Task, epoch: Epoch = lambda *_: None) -> None:
    """Make what a task lacks; nothing of a model that was not trained or cannot be used."""
    if _lacks_model(work, task):
        return
    artefacts = list(artefacts_of(work, task))
    needed = {key(spec) for artefact in artefacts for spec in artefact.needs}
    memory = Memory(work, epoch)
    for artefact in artefacts:
        ensure(artefact, memory, hand_on=key(artefact.spec) in needed)


def _lacks_model(work: Work, task: Task) -> bool:
    """Whether the model of a task does not exist or cannot be used."""
    return not task.trains and not usable(work, task.trained)
