"""What docs/ten-things.md shows is what is printed: ours, and a peer's where it is installed."""

import re
import warnings
from contextlib import redirect_stdout
from importlib.metadata import PackageNotFoundError, version
from io import StringIO
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

PAGE = (Path(__file__).parent.parent / "docs" / "ten-things.md").read_text()
PEERS = ("Quantus 0.6.0", "Captum 0.9.0", "time_interpret 0.3.0")
LATEC = "NumPy, as LATEC calls it"


class Snippet(NamedTuple):
    """A block of Python: whose it is by its first line, the section, and what is said it prints."""

    whose: str
    section: int
    code: str
    shown: str


def snippets() -> list[Snippet]:
    found = []
    for number, section in enumerate(re.split(r"^## ", PAGE, flags=re.MULTILINE)):
        blocks = r"^```python\n# (.*?)\n(.*?)^```\n(?:\n```text\n(.*?)^```$)?"
        for match in re.finditer(blocks, section, flags=re.MULTILINE | re.DOTALL):
            whose, code, shown = match.groups(default="")
            found.append(Snippet(whose, number, code, shown))
    return found


def printed(whose: str, folder: Path, monkeypatch) -> dict[Snippet, str]:
    """What the snippets of one party print, one after the other in one session."""
    monkeypatch.chdir(folder)
    (settings,) = re.findall(r"^```yaml\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)
    (folder / "tiny.yaml").write_text(settings)
    names: dict[str, object] = {}
    outputs = {}
    with torch.random.fork_rng(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for snippet in snippets():
            if snippet.whose == "broken.py":
                (folder / "broken.py").write_text(snippet.code)
            elif snippet.whose in ("setting", whose):
                with redirect_stdout(StringIO()) as output:
                    exec(snippet.code, names)
                outputs[snippet] = output.getvalue()
    return outputs


def installed(peer: str) -> bool:
    name, wanted = peer.split()
    try:
        return version(name) == wanted
    except PackageNotFoundError:
        return False


def test_there_are_ten_and_each_shows_a_peer_and_us():
    parties = {number: set() for number in range(1, 11)}
    for snippet in snippets():
        if snippet.section:
            parties[snippet.section].add(snippet.whose)
    assert all("xaibench" in found for found in parties.values())
    assert all(found & {*PEERS, LATEC} for found in parties.values())


def test_every_snippet_names_whose_it_is():
    known = {"setting", "broken.py", "xaibench", LATEC, *PEERS}
    assert {snippet.whose for snippet in snippets()} == known
    assert PAGE.count("```python") == len(snippets())


def test_ours_prints_what_the_page_says(tmp_path, monkeypatch):
    outputs = printed("xaibench", tmp_path, monkeypatch)
    assert list(outputs.values()) == [snippet.shown for snippet in outputs]
    assert sum(bool(snippet.shown) for snippet in outputs) == 10


@pytest.mark.parametrize("peer", [*PEERS, LATEC])
def test_the_peer_prints_what_the_page_says(peer, tmp_path, monkeypatch):
    if peer != LATEC and not installed(peer):
        pytest.skip(f"{peer} is not installed")
    outputs = printed(peer, tmp_path, monkeypatch)
    assert list(outputs.values()) == [snippet.shown for snippet in outputs]
