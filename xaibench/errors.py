"""The errors with a meaning of their own; everything else is a bug or a plug-in's."""

_LONGEST_LINE = 2000
_LONGEST = 200
"""Letters of a message, and of a value in one."""


class UsageError(Exception):
    """What a user can mend: shown as one line, without a traceback, exit code 2.

    Of a line that is long beyond reading, as one with a whole sequence in it, the middle is left
    out.
    """

    def __str__(self) -> str:
        line = super().__str__()
        if len(line) <= _LONGEST_LINE:
            return line
        return f"{line[: _LONGEST_LINE // 2]} [...] {line[-_LONGEST_LINE // 4 :]}"


class Unknown(UsageError):
    """A plug-in of a name that nothing here has."""


class Absent(UsageError):
    """Data that are not here and do not come; where a dataset has a ``fallback``, it stands in."""


class NotApplicable(Exception):
    """Raised by a method, metric or operator that has no meaning here; the message says why.

    The harness turns it into a record with status ``not applicable``; the run goes on.
    """


def shortened(text: str) -> str:
    """A value for a message: of a long one its beginning and its length.

    >>> shortened("A" * 1000)[-30:]
    'AAAAAAAA... (1,000 characters)'
    """
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}... ({len(text):,} characters)"
