"""Sentences about heads by a language model, at an endpoint that these tests serve themselves."""

import json
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread

import pandas as pd
import pytest

from xaibench.errors import UsageError
from xaibench.heads.language_model import (
    KEY_VARIABLE,
    endpoint_of,
    head_summaries,
    prompt_of,
    unanswered,
    why_not_used,
)
from xaibench.heads.options import SummaryOptions
from xaibench.heads.summary import heads_of

pytest.importorskip("openai")

RHO = {"gc": 0.41, "CTCF": -0.3, "TATA box": 0.02, "box": 0.2}
"""By track; the third is not associated."""

SECRET = "sk-only-for-this-test"


def rows_of(head: int, *, associated: bool = True) -> pd.DataFrame:
    rows = [
        {
            **{"model": "mine", "replicate": "0", "layer": 2, "head": head, "track": track},
            **{"mean": rho, "low": rho - 0.1, "high": rho + 0.1},
            **{"q_shift": 1e-5, "q_exchange": 0.004, "associated": associated and abs(rho) > 0.1},
        }
        for track, rho in RHO.items()
    ]
    return pd.DataFrame(rows)


HEADS = pd.concat([rows_of(0), rows_of(1), rows_of(2, associated=False), rows_of(3)])


def completion(answer: str, tokens: int = 90) -> tuple[int, str]:
    content = {"choices": [{"message": {"content": answer}}], "usage": {"total_tokens": tokens}}
    return 200, json.dumps(content)


GOOD = "It attends to gc and avoids CTCF."


@contextmanager
def served(*replies: tuple[int, str] | None):
    """An endpoint that gives these replies, the last for ever; None never answers. Yields its
    options and the requests that it got."""
    requests, over = [], Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            reply = replies[min(len(requests), len(replies) - 1)]
            requests.append({"path": self.path, "key": self.headers["authorization"], **body})
            if reply is None:
                over.wait(10)
                return
            status, text = reply
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("retry-after-ms", "1")
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield SummaryOptions(f"http://127.0.0.1:{server.server_port}/v1", "small", 7, 999), requests
    finally:
        over.set()
        server.shutdown()
        thread.join()
        server.server_close()


def answered(options: SummaryOptions, associations: pd.DataFrame = HEADS):
    endpoint = endpoint_of(options)
    with endpoint.client:
        return list(head_summaries(associations, endpoint))


def test_the_numbers_stand_beside_what_the_language_model_says(monkeypatch):
    monkeypatch.setenv(KEY_VARIABLE, SECRET)
    with served(completion(GOOD)) as (options, requests):
        first, *others = answered(options)
    assert [each.about["head"] for each in (first, *others)] == [0, 1, 3]  # 2 follows nothing
    assert first.text.startswith("It attends to gc and avoids CTCF. (attends to gc (rho 0.41 [")
    assert (first.reason, first.tokens) == ("", 90)
    assert {each["path"] for each in requests} == {"/v1/chat/completions"}
    assert {each["key"] for each in requests} == {f"Bearer {SECRET}"}
    (_, asked) = requests[0]["messages"]
    assert asked["content"] == first.prompt
    assert first.prompt.splitlines()[2] == "gc\t0.41\t[0.31, 0.51]\t0.004"
    assert "TATA box" not in first.prompt
    assert "mine" not in json.dumps(requests)
    assert unanswered([first, *others]) == []


def test_what_fails_once_is_asked_again():
    with served((500, "{}"), completion(GOOD)) as (options, requests):
        assert {each.reason for each in answered(options)} == {""}
    assert len(requests) == 4


def test_an_endpoint_that_never_answers_is_asked_about_one_head():
    with served(None) as (options, requests):
        summaries = answered(replace(options, timeout=0.1))
    assert len(requests) == 3
    assert summaries[0].reason.startswith("the endpoint failed: APITimeoutError")
    assert summaries[2].reason.startswith("not asked: the endpoint failed")
    assert summaries[2].text == summaries[2].sentence
    assert unanswered(summaries)[0].startswith("3 of 3 summaries, the numbers stand alone: the end")


@pytest.mark.parametrize(
    "text", ["it is not json", "[]", '{"choices": []}', '{"choices": [{"message": null}]}']
)
def test_nonsense_is_no_completion(text):
    with served((200, text)) as (options, requests):
        assert answered(options)[0].reason.endswith("expected a chat completion, got none")
    assert len(requests) == 1


def test_the_key_stands_in_no_message_and_no_answer(monkeypatch):
    monkeypatch.setenv(KEY_VARIABLE, SECRET)
    with served((401, json.dumps({"error": {"message": f"wrong: {SECRET}"}}))) as (options, _):
        refused = answered(options)[0]
    assert "AuthenticationError" in refused.reason
    with served(completion(f"gc {SECRET}")) as (options, _):
        echoed = answered(options)[0]
    assert echoed.answer == "gc ..."
    assert SECRET not in repr((refused, echoed))


@pytest.mark.parametrize(
    ("budget", "asked", "reason"),
    [
        ({"calls": 2}, 2, "not asked: the budget of calls is used (--summarise-calls)"),
        ({"tokens": 91}, 2, "not asked: the budget of tokens is used (--summarise-tokens)"),
    ],
)
def test_no_more_is_asked_than_the_budget_allows(budget, asked, reason):
    with served(completion(GOOD)) as (options, requests):
        assert answered(replace(options, **budget))[2].reason == reason
    assert len(requests) == asked


def test_a_retry_is_a_call():
    with served((500, "{}")) as (options, requests):
        answered(replace(options, calls=2))
    assert len(requests) == 2


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (GOOD, ""),
        ("It follows GC-rich stretches of DNA and the box.", ""),
        ("", "empty"),
        ("It attends to gc. It avoids CTCF.", "not one sentence"),
        ("gc " * 61, "has 61 words"),
        ("It attends to gc <b>strongly</b>.", "markup"),
        ("It attends to gc\u202e.", "control characters"),
        ("It attends to gc and the TATA Box.", "names TATA Box, which has no significant"),
        ("It attends to nothing of note.", "names no track"),
        ("It attends to gc and SP1.", "has SP1, which it was not given"),
        ("It attends to gc and NANOG.", "has NANOG, which it was not given"),
        ("It attends to gc (rho 0.9).", "has 9, which it was not given"),
    ],
)
def test_an_answer_says_no_more_than_its_numbers(answer, reason):
    ((about, rows),) = heads_of(rows_of(1))
    found = why_not_used(answer, rows, prompt_of(about, rows))
    assert found == "" if not reason else reason in found


@pytest.mark.parametrize(
    ("url", "model", "message"),
    [
        ("http://localhost/v1", None, "together"),
        (None, "small", "together"),
        ("localhost:8000", "small", "expected the address"),
        ("https://me:secret@host/v1", "small", "with no key in it"),
        ("https://host/v1?key=secret", "small", "with no key in it"),
    ],
)
def test_an_endpoint_is_an_address_without_a_key(url, model, message):
    with pytest.raises(UsageError, match=message) as raised:
        endpoint_of(SummaryOptions(url, model))
    assert "secret" not in str(raised.value)


def test_without_an_address_nothing_is_asked():
    assert endpoint_of(SummaryOptions()) is None


def test_without_the_library_one_line_says_how_to_have_it(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "openai", None)
    with pytest.raises(UsageError, match=r"pip install 'xaibench\[summaries\]'"):
        endpoint_of(SummaryOptions("http://localhost/v1", "small"))
