"""What a network returns, in words, and how to name one number of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import is_dataclass
from typing import Any

from torch import Tensor


def output_text(outputs: Any) -> str:
    """The shape of a tensor, or the parts of anything else with theirs.

    >>> import torch
    >>> output_text((torch.zeros(3, 2, 50), torch.zeros(3, 1)))
    'a tuple of 0 (N, 2, 50) and 1 (N, 1)'
    """
    if isinstance(outputs, Tensor):
        sizes = ["N", *map(str, outputs.shape[1:])] if outputs.ndim else []
        return f"({', '.join(sizes)}{',' if len(sizes) == 1 else ''})"
    kind, parts = type(outputs).__name__, _parts(outputs)
    texts = [
        f"{name} {output_text(part) if isinstance(part, Tensor) else type(part).__name__}"
        for name, part in parts
    ]
    listed = " and ".join(filter(None, [", ".join(texts[:-1]), *texts[-1:]]))
    return f"a {kind} of {listed}" if parts else f"a {kind}"


def choice_hint(outputs: Any, rows: int, classes: int) -> str:
    """The options that choose a number of the outputs of ``rows`` sequences; empty where none does.

    >>> import torch
    >>> choice_hint({"logits": torch.zeros(3, 2), "counts": torch.zeros(3, 1)}, 3, 2)
    'say explain.output=logits (or counts)'
    >>> choice_hint(torch.zeros(3, 5), 3, 2)
    'say explain.output=0 (to 4) for one of them, or classes 5 where they are logits of 5 classes'
    """
    names = [name for name, part in _parts(outputs) if isinstance(part, Tensor) or _parts(part)]
    if names:
        others = f" (or {', '.join(names[1:])})" if names[1:] else ""
        return f"say explain.output={names[0]}{others}"
    if not isinstance(outputs, Tensor) or outputs.ndim < 2 or len(outputs) != rows:
        return ""
    count = outputs.shape[1]
    if outputs.ndim > 2:
        return (
            f"say explain.output=0 (to {count - 1}), explain.position=0 (to "
            f"{outputs.shape[-1] - 1}) or [start, end], and explain.reduce=sum, mean, max or "
            "profile for what is left"
        )
    if count == 1:
        return ""
    as_logits = f", or classes {count} where they are logits of {count} classes"
    return f"say explain.output=0 (to {count - 1}) for one of them{as_logits}"


def _parts(outputs: Any) -> list[tuple[str, Any]]:
    """The parts of a dict, a dataclass or a tuple, by name or number."""
    if isinstance(outputs, Mapping):
        return [(str(name), part) for name, part in outputs.items()]
    fields = [*outputs.__dataclass_fields__] if is_dataclass(outputs) else []
    fields = fields or [*getattr(outputs, "_fields", ())]
    if fields:
        return [(name, getattr(outputs, name)) for name in fields]
    if isinstance(outputs, Sequence) and not isinstance(outputs, str):
        return [(str(number), part) for number, part in enumerate(outputs)]
    return []
