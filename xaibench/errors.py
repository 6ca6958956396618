"""The errors with a meaning of their own; everything else is a bug or a plug-in's."""


class UsageError(Exception):
    """What a user can mend: shown as one line, without a traceback, exit code 2."""


class Unknown(UsageError):
    """A plug-in of a name that nothing here has."""


class Absent(UsageError):
    """Data that are not here and do not come; where a dataset has a ``fallback``, it stands in."""


class NotApplicable(Exception):
    """Raised by a method, metric or operator that has no meaning here; the message says why.

    The harness turns it into a record with status ``not applicable``; the run goes on.
    """
