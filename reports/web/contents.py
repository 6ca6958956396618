"""What the side of the page calls each section."""

from __future__ import annotations

from ..content.sections import Section

SHORT = {
    "claims": "Claims",
    "leaderboard": "Leaderboard",
    "between": "Between models",
    "certainty": "How sure",
    "accuracy": "Models",
    "training": "Training",
    "deletion": "Curves",
    "controls": "Controls",
    "operators": "Operators",
    "stability": "Stability",
    "localisation": "Known motif",
    "randomisation": "Randomised weights",
    "complexity": "Complexity",
    "other": "Other measures",
    "selftest": "Self-test, guards",
    "agreement": "Agreement",
    "cost": "Cost",
    "examples": "Examples",
    "unmeasured": "Failures",
    "methods": "Methods text",
    "run": "The run",
    "reading": "Glossary",
}
"""Slug -> its name in the list of contents."""


def contents(sections: list[Section]) -> list[tuple[str, str]]:
    """The slug and the short name of every section, in the order of the page."""
    return [(section.slug, SHORT.get(section.slug, section.title)) for section in sections]
