"""One sentence per head by a language model, through any OpenAI-compatible endpoint.

What is sent is the layer and the number of a head, and of its associated tracks the names and
numbers; no sequence, and no name of a model or a file.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import pandas as pd

from xaibench.errors import UsageError, message_of

from .options import SummaryOptions
from .summary import heads_of, sentence, strongest

if TYPE_CHECKING:
    from openai import OpenAI

KEY_VARIABLE = "OPENAI_API_KEY"
"""The variable of the environment with the key of the endpoint; local servers ask for none."""

RETRIES = 2
"""Of a request that timed out or that the endpoint could not serve, with waits that grow."""

MOST_TRACKS = 20
"""That a prompt names, the strongest."""

MOST_WORDS = 60
MOST_ANSWER_TOKENS = 2000
"""Of an answer; a model that reasons takes most of them for that."""

LETTERS_PER_TOKEN = 4
"""Where an endpoint does not say how many tokens it used."""

INSTRUCTIONS = (
    "You describe attention heads of models of DNA. You are given the tracks that the attention "
    "which sites receive from one head goes with: mean rank correlation within sequences, its 95 % "
    "interval, and the false discovery rate q. Answer with one sentence of at most 40 words that "
    "says what this head attends to and what it avoids. Name tracks exactly as they are written, "
    "and none that is not in the list. Write no numbers, no markup and nothing else."
)


@dataclass(frozen=True, slots=True)
class HeadSummary:
    """What a language model said of the head ``about``, its coordinates.

    ``sentence`` is that of the template, the numbers. It stands alone where there is a ``reason``
    why the ``answer`` is not used.
    """

    about: dict[str, Any]
    sentence: str
    prompt: str = ""
    answer: str = ""
    reason: str = ""
    tokens: int = 0

    @property
    def text(self) -> str:
        """The answer, if it is used, and the numbers beside it."""
        return self.sentence if self.reason else f"{self.answer} ({self.sentence})"


class Reply(NamedTuple):
    """An ``answer``, or the reason why there is none; after so many ``calls`` and ``tokens``."""

    answer: str
    failure: str
    calls: int
    tokens: int


class Endpoint(NamedTuple):
    """A language model that can be endpoint."""

    client: OpenAI
    options: SummaryOptions


def endpoint_of(options: SummaryOptions) -> Endpoint | None:
    """Where these options name one; it is asked nothing yet. UsageError, one line, where it cannot
    be."""
    if options.url is None and options.model is None:
        return None
    if options.url is None or options.model is None:
        raise UsageError("expected --summarise URL and --summarise-model NAME together")
    parts = urlsplit(options.url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query:
        raise UsageError(
            "--summarise: expected the address of an OpenAI-compatible endpoint, with no key in "
            f"it, as http://localhost:8000/v1; the key is read from {KEY_VARIABLE}"
        )
    try:
        from openai import OpenAI
    except ImportError:
        raise UsageError(
            "--summarise needs the library openai: pip install 'xaibench[summaries]'"
        ) from None
    # the client wants a key, also where the server does not
    key = os.environ.get(KEY_VARIABLE) or "none"
    return Endpoint(OpenAI(base_url=options.url, api_key=key, timeout=options.timeout), options)


def head_summaries(associations: pd.DataFrame, endpoint: Endpoint) -> Iterator[HeadSummary]:
    """Of each head with an associated track. Once the endpoint fails in spite of its retries, or
    the budget is used, no more is asked, and the sentences of the template stand."""
    calls, tokens, failure = endpoint.options.calls, endpoint.options.tokens, ""
    for about, rows in heads_of(associations):
        if not rows["associated"].any():
            continue
        text = sentence(rows)
        stopped = failure or _spent(calls, tokens)
        if stopped:
            yield HeadSummary(about, text, reason=f"not asked: {stopped}")
            continue
        prompt = prompt_of(about, rows)
        reply = _ask(endpoint, prompt, most=calls)
        calls, tokens, failure = calls - reply.calls, tokens - reply.tokens, reply.failure
        reason = failure or why_not_used(reply.answer, rows, prompt)
        yield HeadSummary(about, text, prompt, reply.answer, reason, reply.tokens)


def unanswered(summaries: Sequence[HeadSummary]) -> list[str]:
    """A line where heads have no answer: of how many, and why not the first."""
    lacking = [each.reason for each in summaries if not each.answer]
    if not lacking:
        return []
    return [f"{len(lacking)} of {len(summaries)} summaries, the numbers stand alone: {lacking[0]}"]


def prompt_of(about: dict[str, Any], rows: pd.DataFrame) -> str:
    """What is asked about a head: a line per associated track."""
    lines = [f"layer {about['layer']}, head {about['head']}", "track\tcorrelation\tinterval\tq"]
    for _, row in strongest(rows).head(MOST_TRACKS).iterrows():
        q = max(row["q_shift"], row["q_exchange"])
        interval = f"[{row['low']:.2f}, {row['high']:.2f}]"
        lines.append(f"{row['track']}\t{row['mean']:.2f}\t{interval}\t{q:.1g}")
    return "\n".join(lines)


def why_not_used(answer: str, rows: pd.DataFrame, prompt: str) -> str:
    """Why an answer is not used; empty where it is one sentence that names associated tracks, and
    no track, name or number besides."""
    length = len(answer.split())
    if not length:
        return "the answer is empty"
    if length > MOST_WORDS or re.search(r"[.!?]\s+\S", answer):
        return f"the answer is not one sentence, it has {length} words"
    if not answer.isprintable() or re.search(r"[<>`|\[\]*]|://", answer):
        return "the answer has markup or control characters"
    named = _named(answer, list(rows["track"].astype(str)))
    known = {str(track).lower() for track in rows.loc[rows["associated"], "track"]}
    unknown = [name for name in named if name.lower() not in known]
    if unknown:
        return f"the answer names {unknown[0]}, which has no significant association"
    if not named:
        return "the answer names no track"
    given = set(re.findall(r"\w+", prompt.lower())) | {"dna"}
    strange = [word for word in re.findall(_NAME_OR_NUMBER, answer) if word.lower() not in given]
    return f"the answer has {strange[0]}, which it was not given" if strange else ""


_NAME_OR_NUMBER = r"\b(?=\w*(?:\d|[A-Z]\w*[A-Z]))\w+"
"""A word with a digit or two capitals, as those of genes and factors."""


def _named(answer: str, tracks: list[str]) -> list[str]:
    """The tracks in an answer, whatever their case; of two of which one holds the other, the
    longer."""
    longest = sorted(map(re.escape, tracks), key=len, reverse=True)
    return re.findall(rf"(?<!\w)(?:{'|'.join(longest)})(?!\w)", answer, flags=re.IGNORECASE)


def _spent(calls: int, tokens: int) -> str:
    if calls < 1:
        return "the budget of calls is used (--summarise-calls)"
    return "the budget of tokens is used (--summarise-tokens)" if tokens < 1 else ""


def _ask(endpoint: Endpoint, prompt: str, *, most: int) -> Reply:
    """One answer, by at most so many requests."""
    from openai import OpenAIError

    patient = endpoint.client.with_options(max_retries=min(RETRIES, most - 1))
    try:
        response = patient.chat.completions.with_raw_response.create(
            model=str(endpoint.options.model),
            messages=messages(prompt),
            max_completion_tokens=MOST_ANSWER_TOKENS,
        )
        content = json.loads(response.text)
        answer = " ".join(_without_key(str(content["choices"][0]["message"]["content"])).split())
    except OpenAIError as error:
        why = f"the endpoint failed: {type(error).__name__}: {_without_key(message_of(error))}"
        return Reply("", why, patient.max_retries + 1, 0)
    except (ValueError, LookupError, TypeError):
        return Reply("", "the endpoint failed: expected a chat completion, got none", 1, 0)
    used = content.get("usage") or {}
    guess = (len(INSTRUCTIONS) + len(prompt) + len(answer)) // LETTERS_PER_TOKEN
    return Reply(answer, "", 1 + response.retries_taken, used.get("total_tokens") or guess)


def messages(prompt: str) -> list[Any]:
    """What is sent about one head."""
    return [
        {"role": "system", "content": INSTRUCTIONS},
        {"role": "user", "content": prompt},
    ]


def _without_key(text: str) -> str:
    key = os.environ.get(KEY_VARIABLE)
    return text.replace(key, "...") if key else text
