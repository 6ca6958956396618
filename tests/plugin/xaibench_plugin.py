"""A plug-in as somebody else would write and install it."""

from torch import linspace


def centre(model, inputs, target):
    """The closer to the middle, the more relevant."""
    return (1 - linspace(-1, 1, inputs.shape[2]).abs()).expand(len(inputs), -1)
