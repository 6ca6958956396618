"""What the pages show: blocks of code, and lines that are typed."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
FIRST = ("README.md", "docs/commands.md", "docs/first-steps.md", "CONTRIBUTING.md")
"""Read first, and in this order."""

OTHERS = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md"))
PAGES = [*dict.fromkeys(each for each in (*FIRST, *OTHERS) if (ROOT / each).is_file())]


def blocks(language: str, page: str) -> list[str]:
    """The fenced blocks of one language; of "" those that name none."""
    fenced = re.findall(
        r"^```(\w*)\n(.*?)^```$", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL
    )
    return [block for name, block in fenced if name == language]


def typed(page: str) -> list[str]:
    """The lines of its shell blocks; one that goes on after a backslash is one."""
    text = "".join([*blocks("sh", page), *blocks("", page)])
    return text.replace("\\\n", " ").splitlines()
