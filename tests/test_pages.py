"""What the pages from the demo to a paper say must work as it is typed, and lead somewhere."""

import re
from pathlib import Path

import pytest
import typer
import yaml
from shown import blocks

from xaibench.cli import app
from xaibench.data.drafting import drafted_plan
from xaibench.plugins.registry import available

DOCS = Path(__file__).parent.parent / "docs"
PAGES = ("first-steps.md", "reading-a-report.md", "methods-paragraph.md", "faq.md", "peers.md")
COMMANDS = typer.main.get_command(app).commands


@pytest.mark.parametrize("page", PAGES)
def test_a_command_that_a_page_speaks_of_is_there_with_its_options(page):
    for call in re.findall(r"`xaibench ([^`]+)`", (DOCS / page).read_text()):
        name, *words = call.split()
        command = COMMANDS[name]
        if words and words[0] in getattr(command, "commands", {}):
            command = command.commands[words[0]]
        known = {spelling for option in command.params for spelling in option.opts}
        assert {word for word in words if word.startswith("-")} <= known, call


def test_the_draft_of_the_page_is_what_init_writes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    drawn = [
        f"{'ACGT'[row % 4]}{row:05b}".translate(str.maketrans("01", "GA")) for row in range(32)
    ]
    letters = [
        (each * 5 + each[::-1])[:30] for each in [*drawn, *("CCGTA" + each for each in drawn)]
    ]
    table = letters[:36] + letters[:4]
    rows = [
        f"{each},{'ab'[row % 2]},{'test' if row >= 30 else 'train'}"
        for row, each in enumerate(table)
    ]
    Path("peaks.csv").write_text("\n".join(["seq,class,fold", *rows]))
    written = drafted_plan("peaks.csv", Path("peaks.yaml")).text
    (shown,) = blocks("yaml", "docs/first-steps.md")
    place = 0
    for line in filter(None, shown.splitlines()):
        place = written.find(f"{line}\n", place)
        assert place >= 0, line
    assert yaml.safe_load(written) == yaml.safe_load(shown)


@pytest.mark.parametrize("page", sorted((DOCS / "theory").glob("*.md")), ids=lambda path: path.stem)
def test_a_page_of_theory_names_no_metric_that_there_is_not(page):
    text = page.read_text()
    names = set(re.findall(r"`([a-z]+_[a-z_]+)`", text))
    assert names <= {*available("metrics"), "reset_parameters"}
    assert "(../metrics.md#" in text
