"""What the site has beside the pages in docs/: the README as its first page, formulas, and a check
that no page asks anything of another server. ``make docs`` builds it."""

import re
from html import unescape
from pathlib import Path

from latex2mathml.converter import convert
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File

ROOT = Path(__file__).parents[1]

PAGES = {
    "index.md": "README.md",
    "contributing.md": "CONTRIBUTING.md",
    "changes.md": "CHANGELOG.md",
}
"""Pages of the site that are files of the repository."""

REQUESTS = re.compile(
    r"""<(?:script|img|iframe|source)\b[^>]*\bsrc=["']?(?:https?:)?//"""
    r"""|<link\b[^>]*\brel=["']?(?:stylesheet|preconnect|preload|icon)[^>]*\bhref=["']?(?:https?:)?//"""
    r"""|@import\s+(?:url\()?["']?(?:https?:)?//""",
    re.IGNORECASE,
)
"""What a browser would fetch from elsewhere; links that a reader follows are none."""


def on_files(files, config):
    """Add the pages that are files of the repository, with links as they are from the site."""
    for page, source in PAGES.items():
        text = _from_the_site((ROOT / source).read_text())
        files.append(File.generated(config, page, content=text))
    return files


def _from_the_site(text):
    """Links into docs/ without it, links to other pages of the site by their names there, and what
    the site does not have as plain text."""
    text = text.replace("](docs/", "](")
    for page, source in PAGES.items():
        text = text.replace(f"]({source})", f"]({page})")
    return re.sub(r"\[([^\]]+)\]\((?:LICENSE|NOTICE|CITATION.cff|notebooks|theory)\)", r"\1", text)


def on_page_content(html, **_):
    """Formulas as MathML, which browsers draw themselves."""

    def drawn(match):
        if match[1] == "span":
            return convert(unescape(match[3]))
        formula = convert(unescape(match[3]), display="block")
        return f'<div style="overflow: auto hidden">{formula}</div>'

    return re.sub(
        r'<(div|span) class="arithmatex">\\([\[(])(.*?)\\[\])]</\1>', drawn, html, flags=re.S
    )


def on_post_build(config):
    """Refuse a site that would ask another server for something."""
    site = Path(config.site_dir)
    asking = [
        str(path.relative_to(site))
        for path in sorted(site.rglob("*"))
        if path.suffix in (".html", ".css") and REQUESTS.search(path.read_text())
    ]
    if asking:
        raise PluginError(f"pages that ask another server for something: {', '.join(asking)}")
