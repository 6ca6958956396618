"""Durations and sizes in words."""

SHORT = 10
"""Seconds below which no number is given."""

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
