"""How artefacts are named, kept and read."""

from dataclasses import replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load, save

from xaibench.errors import NotApplicable, described, message_of
from xaibench.plan.schema import Use
from xaibench.plugins.options import identity
from xaibench.plugins.registry import load as plugin_of
from xaibench.shapes import Codes
from xaibench.storage.artefacts import FAILED, NOT_APPLICABLE, OK, Spec

from .job import Work, remembered

Arrays = dict[str, NDArray[Any]]


def identified(work: Work, kind: str, use: Use) -> dict[str, Any]:
    """What a plug-in is, for a spec."""
    plugin = plugin_of(kind, use.use, work.job.plugins)
    return {"code": plugin.code, "options": identity(plugin, use.options)}


def print_of(codes: Codes) -> str:
    """What names a set of sequences in a spec."""
    return blake2b(codes.tobytes(), digest_size=10).hexdigest()


@remembered
def first(work: Work, sequences: int | None) -> Work:
    """The same work on the first of the explained sequences; None is all of them."""
    if sequences is None or sequences >= len(work.chosen):
        return work
    return replace(work, chosen=work.chosen.take(np.arange(sequences)))


@remembered
def looked_at(work: Work, model: str, method: str = "", operator: str = "") -> Work:
    """The same work on the sequences that the plan wants looked at by all of these."""
    plan = work.plan
    uses = (plan.models.get(model), plan.attribution.get(method), plan.operators.get(operator))
    asked = [use.options.get("sequences") for use in uses if use is not None]
    return first(work, min((count for count in asked if count is not None), default=None))


def is_there(work: Work, spec: Spec) -> bool:
    """Whether an artefact was made and holds something."""
    return work.store.outcome(spec)[0] == OK


def arrays_of(work: Work, spec: Spec) -> Arrays:
    """The arrays of an artefact that is there."""
    return dict(load(work.store.content(spec, "arrays.safetensors")))


def keep_arrays(work: Work, spec: Spec, arrays: Arrays) -> None:
    contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}

    def make(folder: Path) -> None:
        # not save_file, whose error on a full disk names no file and is no OSError
        (folder / "arrays.safetensors").write_bytes(save(contiguous))

    work.store.keep(spec, make)


def keep_failure(work: Work, spec: Spec, error: Exception) -> None:
    """Keep the reason why there is no artefact; the next run tries a failure again."""
    status = NOT_APPLICABLE if isinstance(error, NotApplicable) else FAILED
    reason = message_of(error) if status == NOT_APPLICABLE else described(error)
    work.store.keep(spec, lambda _: None, status=status, reason=reason)
