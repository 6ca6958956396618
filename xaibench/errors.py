"""The errors with a meaning of their own; everything else is a bug or a plug-in's."""

import signal
from threading import current_thread, main_thread

_LONGEST_LINE = 2000
_LONGEST = 200
"""Letters of a message, and of a value in one."""


class UsageError(Exception):
    """What a user can fix: shown as one line, without a traceback, exit code 2.

    Of a line that is long beyond reading, as one with a whole sequence in it, the middle is left
    out.
    """

    def __str__(self) -> str:
        return readable(super().__str__())

    code = 2


class Halted(UsageError):
    """What ends a run in the middle, such as a full disk: one line, exit code 1. The same command
    goes on."""

    code = 1


class Unknown(UsageError):
    """A plug-in by a name that is not known."""


class Absent(UsageError):
    """Data that do not exist here and cannot be fetched; a dataset's ``fallback`` takes their
    place."""


class NotApplicable(Exception):
    """Raised by a method, metric or operator that has no meaning here; the message says why.

    The harness turns it into a record with status ``not applicable``; the run goes on.
    """


class Missing(Exception):
    """What a number is made from does not exist; ``status`` is that of its artefact, ``reason``
    says why.

    The harness turns it into a record with that status; the run goes on.
    """

    def __init__(self, status: str, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


class RuleError(ValueError):
    """A rule of a user's own, for DeepLIFT or LRP, that fails or does not keep the sum; the message
    names the rule and the layer.

    The harness turns it into a failed record of the method; the run goes on.
    """


class ModelError(Exception):
    """A model that is no classifier of these data; the message says what was expected, what came
    and how to fix it.

    The harness turns it into one failed record of the model; the rest of the run goes on.
    """


class NotFinite(ModelError):
    """Logits that are NaN or infinite."""


def shortened(text: str) -> str:
    """A value for a message: of a long one its beginning and its length.

    >>> shortened("A" * 1000)[-30:]
    'AAAAAAAA... (1,000 characters)'
    """
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}... ({len(text):,} characters)"


class Interrupted(KeyboardInterrupt):
    """The user pressed Ctrl-C; a plain KeyboardInterrupt may be a plug-in's."""


class Terminated(SystemExit):
    """A request to end (SIGTERM); a plain SystemExit is a plug-in's."""


class Escaped(Exception):
    """A plug-in raised what is no Exception, such as SystemExit; the message names it."""


class Died(Exception):
    """The process that computed a task ended without an answer; the message says how."""


def is_of_the_user(error: BaseException) -> bool:
    """Whether the user ended the process, which no fence around a plug-in may hold up.

    Where the command line runs, its handler raises Interrupted; elsewhere Python's own raises
    KeyboardInterrupt, and a plug-in that raises it looks the same as a key. In another thread than
    the main one no key is heard.
    """
    if isinstance(error, Interrupted | Terminated):
        return True
    ours = signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    may_be_a_key = not ours and current_thread() is main_thread()
    return isinstance(error, KeyboardInterrupt) and may_be_a_key


def described(error: BaseException) -> str:
    """``Type: message`` on one line, also where the message cannot be made or is very long.

    >>> described(ValueError("expected  one\\nline"))
    'ValueError: expected one line'
    """
    text = message_of(error)
    named = type(error).__name__
    return (
        text
        if isinstance(error, Escaped | Died | ModelError)
        else f"{named}: {text}"
        if text
        else named
    )


def message_of(error: BaseException) -> str:
    """The message of an error on one line.

    >>> message_of(ValueError("two\\nlines"))
    'two lines'
    """
    try:
        text = str(error)
    except BaseException as another:  # the class is a plug-in's
        if is_of_the_user(another):
            raise
        return f"its message cannot be made ({type(another).__name__})"
    return " ".join(readable(text).split())


def readable(line: str) -> str:
    """A line without its middle where it is long beyond reading.

    >>> readable("A" * 9000)[995:1012]
    'AAAAA [...] AAAAA'
    """
    if len(line) <= _LONGEST_LINE:
        return line
    return f"{line[: _LONGEST_LINE // 2]} [...] {line[-_LONGEST_LINE // 4 :]}"
