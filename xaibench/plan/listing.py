"""What can be named in a plan, with one line each."""

import inspect
import re
from importlib.resources import files

from xaibench.errors import UsageError
from xaibench.plugins.registry import PLUGIN_KINDS, available, load, members, nearest
from xaibench.plugins.signatures import fits

from .paths import presets

LISTED = (*PLUGIN_KINDS, "presets")
"""What can be listed."""


def described_plugins(kind: str, plugins: tuple[str, ...] = ()) -> dict[str, str]:
    """By the name of each plug-in (or preset) the first sentence of its docstring.

    A given file does not say what its functions are: those are listed that could be of the kind.
    UsageError for a kind that there is not.
    """
    if kind not in LISTED:
        raise UsageError(f"no list of {kind!r}; {nearest(kind, [*LISTED])}")
    if kind == "presets":
        return {name: _comment(name) for name in presets()}
    given = [
        name for source in plugins for name, plugin in members(kind, source).items() if fits(plugin)
    ]
    return {name: _described(kind, name, plugins) for name in [*available(kind), *given]}


def _described(kind: str, name: str, plugins: tuple[str, ...]) -> str:
    """A broken plug-in is listed with its reason."""
    try:
        text = inspect.getdoc(load(kind, name, plugins).call) or ""
    except UsageError as error:
        return f"broken: {error}"
    return first_sentence(text)


def first_sentence(text: str) -> str:
    """Of a docstring, on one line.

    >>> first_sentence("The gradient, as\\ncontributions (Doe et al. 2016); signed. Zero at N.")
    'The gradient, as contributions (Doe et al. 2016); signed.'
    """
    paragraph = " ".join(text.partition("\n\n")[0].split())
    return re.split(r"(?<=\.) (?=[A-Z`])", paragraph)[0].replace("``", "").replace("*", "")


def _comment(preset: str) -> str:
    """The comment that a preset begins with."""
    text = (files("xaibench.plan") / "presets" / f"{preset}.yaml").read_text()
    return text.partition("\n")[0].removeprefix("#").strip()
