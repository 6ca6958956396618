"""What is known of a model before anything is explained: findings, and their page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

from xaibench.terminal import aligned_rows

if TYPE_CHECKING:
    import pandas as pd

_MARKS = {True: "ok", False: "PROBLEM", None: "-"}


class ModelFinding(NamedTuple):
    """One line: what was looked at, whether it is as explanations require it (None where nothing is
    required), and what came out, with the mend where there is something to mend. ``of`` is what it
    is about: the model, or what a method makes of it."""

    name: str
    held: bool | None
    sentence: str
    of: Literal["model", "method"] = "model"


@dataclass(frozen=True, slots=True, repr=False)
class ModelCheck:
    """The findings about a model; ``sequences`` says in words on which sequences."""

    findings: tuple[ModelFinding, ...]
    sequences: str

    @property
    def sound(self) -> bool:
        """Whether no finding is a problem."""
        return not self.problems

    @property
    def problems(self) -> tuple[ModelFinding, ...]:
        return tuple(each for each in self.findings if each.held is False)

    def __getitem__(self, name: str) -> ModelFinding:
        """The finding of that name; KeyError where nobody looked."""
        for finding in self.findings:
            if finding.name == name:
                return finding
        raise KeyError(name)

    def to_frame(self) -> pd.DataFrame:
        """A row per finding: ``of``, ``name``, ``held``, ``sentence``."""
        import pandas as pd  # slow to import, and the page needs none

        columns = ("of", "name", "held", "sentence")
        rows = [[getattr(each, column) for column in columns] for each in self.findings]
        return pd.DataFrame(rows, columns=list(columns)).astype({"held": object})

    def lines(self) -> list[str]:
        """One line per finding: ok, PROBLEM, or - where nothing is required; its name; the
        sentence."""
        rows = [(_MARKS[each.held], each.name, each.sentence) for each in self.findings]
        return [f"on {self.sequences}", *aligned_rows(rows, "<<<")]

    def __str__(self) -> str:
        return "\n".join(self.lines())

    __repr__ = __str__  # the page, at a prompt too

    def _repr_html_(self) -> str:
        from html import escape

        table = self.to_frame().replace({"held": _MARKS})
        return f"<p>on {escape(self.sequences)}</p>{table.to_html(index=False)}"
