"""The style and the scripts of the page, and the policy that lets nothing else run."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files

from markupsafe import Markup


@dataclass(frozen=True, slots=True)
class Assets:
    """What the page holds within itself: one style sheet, and its scripts in their order."""

    style: Markup
    scripts: tuple[Markup, ...]

    @property
    def policy(self) -> Markup:
        """The Content-Security-Policy: no address but ``data:`` images, and nothing runs or styles
        that is not exactly what is written here."""
        scripts = " ".join(f"'{_fingerprint(script)}'" for script in self.scripts) or "'none'"
        return Markup(
            "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; "
            f"style-src '{_fingerprint(self.style)}'; script-src {scripts}"
        )


def assets() -> Assets:
    """Every file of ``static/``, in the order of their names."""
    return Assets(Markup("\n".join(_texts(".css"))), tuple(map(Markup, _texts(".js"))))


def unscripted(*names: str) -> Assets:
    """The style of a page without scripts, of these files of ``static/``; of tables alone by
    default."""
    folder = files("xaibench.reports").joinpath("static")
    styles = [folder.joinpath(name).read_text("utf-8") for name in names or ("report.css",)]
    return Assets(Markup("\n".join(styles)), ())


def _fingerprint(text: str) -> str:
    """What a policy calls an element with this text between its tags."""
    return "sha256-" + b64encode(sha256(text.encode()).digest()).decode()


def _texts(suffix: str) -> Sequence[str]:
    folder = files("xaibench.reports").joinpath("static")
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(suffix))
    return [folder.joinpath(name).read_text("utf-8") for name in names]
