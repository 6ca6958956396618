"""What a report, a comparison and an overview are made of, whatever they are rendered to."""

from __future__ import annotations

from dataclasses import dataclass

from ..tables.table import Table


@dataclass(frozen=True, slots=True)
class Name:
    """A method inside a sentence; ``trusted`` where the sentence recommends it."""

    text: str
    trusted: bool = False


Sentence = tuple[str | Name, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a reader asks first, and the sentences that answer it; ``command`` is to be typed."""

    question: str
    sentences: tuple[Sentence, ...]
    command: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The first thing to read about a model, or about two runs; a question may be empty."""

    title: str
    answers: tuple[Answer, ...]
    cautions: tuple[str, ...] = ()

    @property
    def sentences(self) -> list[Sentence]:
        """Those of all answers."""
        return [sentence for answer in self.answers for sentence in answer.sentences]


@dataclass(frozen=True, slots=True)
class Listing:
    """Text to be printed as it is."""

    title: str
    text: str
    note: str = ""
    folded: bool = False


@dataclass(frozen=True, slots=True)
class Section:
    """A heading, paragraphs on how to read what follows, figures, tables, terms with their
    meanings, and listings.

    ``anchor`` is its address within a page, ``short`` its name in a list of contents. ``figures``
    are names: what is drawn under each is the business of ``figures/``. A section is ``folded``
    where formats without figures may hide its tables behind a click.
    """

    anchor: str
    title: str
    paragraphs: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    figures: tuple[str, ...] = ()
    terms: tuple[tuple[str, str], ...] = ()
    listings: tuple[Listing, ...] = ()
    short: str = ""
    folded: bool = True

    @property
    def figures_alone(self) -> bool:
        """Whether it has figures, where they are drawn, and nothing else to show."""
        return bool(self.figures) and not (self.tables or self.terms or self.listings)


@dataclass(frozen=True, slots=True)
class Document:
    """A title with a few ``facts``, the verdicts, what qualifies them, and the sections.

    ``warnings`` come before all else.
    """

    title: str
    facts: tuple[str, ...]
    verdicts: tuple[Verdict, ...]
    sections: tuple[Section, ...]
    cautions: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
