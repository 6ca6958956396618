"""Terms explained where they stand: a word of the glossary carries its meaning."""

from __future__ import annotations

import re
from collections.abc import Mapping

from markupsafe import Markup, escape

from ..format.paths import without_folders

ALSO = {
    "normalised": "Normalised score",
    "p": "p retraining",
    "resamplings": "P(best)",
}
"""What a sentence calls a term of the glossary by another name."""


def with_terms(text: str, terms: Mapping[str, str]) -> Markup:
    """The text as markup, the first mention of each term with its meaning to point at and to print;
    absolute paths are cut.

    >>> with_terms("the gap to random, < 1", {"Gap to random": "How far above."})
    Markup('the <abbr title="How far above.">gap to random</abbr>, &lt; 1')
    """
    text = without_folders(text)
    known = {term.lower(): meaning for term, meaning in terms.items() if term[:1].isalpha()}
    known |= {word: terms[term] for word, term in ALSO.items() if term in terms}
    if not known:
        return escape(text)
    longest_first = sorted(map(re.escape, known), key=len, reverse=True)
    parts, end = [], 0
    for match in re.finditer(rf"(?<!\w)(?:{'|'.join(longest_first)})(?!\w)", text, re.IGNORECASE):
        meaning = known.pop(match[0].lower(), "")
        if meaning:
            parts += [escape(text[end : match.start()]), _explained(match[0], meaning)]
            end = match.end()
    return Markup("").join([*parts, escape(text[end:])])


def _explained(word: str, meaning: str) -> Markup:
    return Markup('<abbr title="{}">{}</abbr>').format(without_folders(meaning), word)
