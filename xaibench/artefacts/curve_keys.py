"""Which ways of replacing positions a plan asks for, and of which sequences."""

from collections.abc import Iterator
from typing import NamedTuple

from xaibench.dna import replacement
from xaibench.explanation.controls import ORACLE, RANDOM
from xaibench.protocols import OfCurves

from .artefact import first, looked_at
from .job import Work, facts_of


class Course(NamedTuple):
    """One way of replacing: in the order of whose map, by which operator, judged by whom.

    ``method`` is a label of the plan, the random control or the oracle; ``control`` what is made of
    its map. ``kind`` is a curve's way to be made (``protocols.CurveKind``), but for
    ``retrained``, which has cells of its own.
    """

    method: str
    operator: str = ""
    order: str = replacement.MORF
    control: str = ""
    kind: str = "replaced"

    @property
    def made_as(self) -> "Course":
        """A negated map's order is the reverse of its own: nothing is computed for it."""
        if self.control != "negated":
            return self
        other = replacement.LERF if self.order == replacement.MORF else replacement.MORF
        return self._replace(control="", order=other)


def orders(work: Work, kind: str = "replaced") -> list[str]:
    """The orders that the plan's metrics ask for of one kind of curve."""
    kinds = [facts_of(work, label).kind for label in work.plan.metrics]
    curved = [each for each in kinds if isinstance(each, OfCurves) and each.curve == kind]
    least = any(each.needs_least_relevant_first for each in curved)
    return [replacement.MORF] * bool(curved) + [replacement.LERF] * least


def courses(work: Work, source: str) -> list[Course]:
    """Every course that the plan asks for of a method, of the random control or of the oracle."""
    wanted = list(_plain(work, source))
    if source == ORACLE and work.plan.controlled:
        wanted += [course._replace(control="blurred") for course in wanted]
        wanted += [course._replace(control="negated") for course in wanted if not course.control]
    elif source != RANDOM and work.plan.controlled:
        wanted += [
            Course(source, operator, control=control)
            for operator in work.plan.operators
            for control in work.plan.controls
            if orders(work)
        ]
    return list(dict.fromkeys(course.made_as for course in wanted))


def _plain(work: Work, source: str) -> Iterator[Course]:
    """The courses of a source's own map."""
    if source == ORACLE and not work.plan.controlled:
        return
    for kind in ("replaced", "imputed", "other_models"):
        wanted = _of_random(work, kind) if source == RANDOM else orders(work, kind)
        operators = [""] if kind == "imputed" else work.plan.operators
        for operator in operators:
            yield from (Course(source, operator, order, kind=kind) for order in wanted)


def _of_random(work: Work, kind: str) -> list[str]:
    """A random order is its own reverse; what other models say along it is theirs already."""
    if kind == "other_models":
        return []
    asked = orders(work, kind) or (orders(work, "other_models") if kind == "replaced" else [])
    return asked[:1]


def seen(work: Work, model: str, course: Course) -> Work:
    """The work on the sequences that a course looks at: oracle and controls on the first few."""
    here = looked_at(work, model, course.method, course.operator)
    if course.method == ORACLE or course.control:
        return first(here, work.plan.controlled)
    return here


def judges(work: Work, model: str) -> list[str]:
    """The other models of the plan."""
    return [other for other in work.plan.models if other != model]
