"""Which explanation of a DNA network to trust: a benchmark of attribution methods."""

from pathlib import Path

__version__ = "0.2.0"

# A source checkout keeps models/, attribution/ and reports/ beside this folder,
# an installed copy inside it ([tool.setuptools.package-dir] in pyproject.toml).
_PACKAGE = Path(__file__).resolve().parent
if not (_PACKAGE / "models").is_dir():
    __path__.append(str(_PACKAGE.parent))
