"""Which class the rows of a file of scores are of, and what they say of another."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xaibench.errors import NotApplicable
from xaibench.shapes import Labels
from xaibench.values import Sequences

from .score_files import ScoresError
from .score_rows import MatchedFile

PREDICTED, LABEL, ANY = "predicted", "label", "any"
_ANY_CLASS, _UNKNOWN = -1, -2


@dataclass(frozen=True, slots=True)
class ClassesOfRows:
    """Of which class the rows of a file are: what the file says, or ``target`` in its place."""

    matched: MatchedFile
    split: Sequences
    target: str
    path: Path

    def chosen(
        self, rows: NDArray[np.intp], explained: Labels, model: Any, inputs: Tensor
    ) -> tuple[NDArray[np.intp], Labels]:
        """The row of the file for each sequence, and the class that it is of; of several rows that
        of the class that is ``explained``."""
        of_file = None if self.target else self._of_file()
        picks = np.array([self.matched.rows[row][0] for row in rows], np.intp)
        if of_file is None:
            return picks, self._of_option(rows, model, inputs)
        for at, row in enumerate(rows):
            right = [each for each in self.matched.rows[row] if of_file[each] == explained[at]]
            picks[at] = right[0] if right else picks[at]
        return picks, of_file[picks]

    def _of_file(self) -> Labels | None:
        names = self.matched.table.targets
        if names is None:
            return None
        if len(set(names)) == 1 and not self.split.has_classes:
            return np.full(len(names), _ANY_CLASS)
        index = {name: number for number, name in enumerate(self.split.class_names)}
        unknown = sorted(set(names) - set(index))
        if unknown and len(self.split.class_names) > 1 and len(set(names)) > 1:
            raise ScoresError(
                f"{self.path.name}: has scores of the class {unknown[0]!r}, and the classes are "
                f"{', '.join(self.split.class_names)}; say which it is by target:"
            )
        return np.array([index.get(name, _UNKNOWN) for name in names], np.int64)

    def _of_option(self, rows: NDArray[np.intp], model: Any, inputs: Tensor) -> Labels:
        names = self.split.class_names
        if self.target == ANY or (not self.target and len(names) < 2):
            return np.full(len(rows), _ANY_CLASS)
        if self.target == LABEL:
            return self.split.labels[rows]
        if self.target == PREDICTED:
            with torch.no_grad():
                return model(inputs).argmax(1).cpu().numpy()  # type: ignore[no-any-return]
        if self.target in names:
            return np.full(len(rows), names.index(self.target))
        require_known_target(self.target, self.split, self.path)
        return np.full(len(rows), _UNKNOWN)


def require_known_target(target: str, split: Sequences, path: Path) -> None:
    """ScoresError where a target is neither a class, a rule, nor left out."""
    if target not in ("", PREDICTED, LABEL, ANY, *split.class_names):
        raise ScoresError(
            f"{path.name}: expected target: {PREDICTED}, {LABEL}, {ANY} or one of the classes "
            f"{', '.join(split.class_names)}, got {target!r}"
        )


def signs_for_explained(
    of: Labels,
    explained: Labels,
    model: Any,
    inputs: Tensor,
    *,
    signed: bool,
    names: tuple[str, ...],
) -> NDArray[np.float32]:
    """1 where the scores are of the class that is explained, -1 where of the other one of two."""
    signs = np.ones(len(of), np.float32)
    other = (of != explained) & (of != _ANY_CLASS)
    if not other.any():
        return signs
    with torch.no_grad():
        outputs = model(inputs[:1]).shape[1]
    if outputs == 1:
        return signs
    if (of == _UNKNOWN).any():
        raise ScoresError(
            f"the file does not say which of the classes {', '.join(names)} its scores are of; say "
            f"it by target: a class, {PREDICTED}, {LABEL} or {ANY}"
        )
    if outputs > 2 or not signed:
        why = "scores without a sign" if outputs == 2 else f"{outputs} classes"
        raise NotApplicable(
            f"the scores of {int(other.sum())} of {len(of)} sequences are of another class than is "
            f"explained, and with {why} those of one do not say those of another; write scores of "
            "the class that the plan explains (its key target)"
        )
    signs[other] = -1
    return signs
