"""What a network's author can mend where its forward pass raises."""

from __future__ import annotations

import re

_REMEDIES = (
    (
        TypeError,
        "missing .* required",
        "forward is called with the sequences alone: give its other arguments a default, or wrap "
        "it in a module that passes them",
    ),
    (
        Exception,
        "not compiled with CUDA|No CUDA|no NVIDIA driver|Expected all tensors to be on the same",
        "take devices such as .cuda() out of forward; --device moves the network and its input",
    ),
    (
        RuntimeError,
        "argument #1 'indices'|scalar types?:? Long, Int",
        "it looks bases up by number, which have no gradient: in forward multiply the one-hot "
        "input with the table, x.transpose(1, 2) @ self.embedding.weight[:4]",
    ),
    (
        RuntimeError,
        r"\b(Half|BFloat16)\b.*same|same dtype.*\b(Half|BFloat16)\b",
        "take casts such as .half() out of forward; a network of half precision is explained in "
        "single precision",
    ),
    (
        RuntimeError,
        "in-place operation",
        "out of place, y = y + 1 in place of y += 1, it has a gradient",
    ),
)
"""Type and text of an error, and what mends it."""

_SHAPES = "shape|size|channel|dimension|einsum|axis|index out of range"


def remedy_of(error: Exception) -> str:
    """How to mend what a forward pass raised; empty where nobody knows.

    >>> remedy_of(TypeError("forward() missing 1 required positional argument: 'signal'"))[:44]
    'forward is called with the sequences alone: '
    """
    text = str(error)
    for kind, pattern, remedy in _REMEDIES:
        if isinstance(error, kind) and re.search(pattern, text):
            return remedy
    return ""


def is_about_shapes(error: Exception) -> bool:
    """Whether another layout, alphabet or length may remedy an error; what a network asserts of
    its input is mostly of its shape."""
    return isinstance(error, AssertionError) or re.search(_SHAPES, str(error)) is not None
