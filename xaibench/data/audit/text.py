"""The audit of a dataset as text: findings, and a table for each kind of count."""

import textwrap
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

from xaibench.data.genomic_benchmarks.reading import PART
from xaibench.terminal import aligned_rows

from .baselines import MOST_TRAIN_SEQUENCES
from .leakage import KMER_LENGTH, NEAR
from .summary import Audit, Copies, Near, Overlapping, audit_intervals

LINE_WIDTH = 100
"""The columns of a line."""

CUE = 0.7
"""From this AUROC on, GC or length alone are reported as a cue of their own. Our choice."""

UNEVEN_SHARE = 0.6
"""From this share of test on, the largest class makes accuracy misleading. Our choice."""

REDUNDANT = 0.01
"""From this share of train on, near repeats within train are reported. Our choice."""


def describe_intervals(folder: Path) -> list[str]:
    """``audit_intervals`` as lines of text."""
    rows = audit_intervals(folder)
    total = sum(row.intervals for row in rows)
    return [
        f"AUDIT OF INTERVALS: {total:,} test intervals of {len(rows)} classes in {folder.name}.",
        *section("FINDINGS", wrapped(_interval_findings(rows) or ["Test overlaps train nowhere."])),
        *_interval_section(rows),
    ]


def describe_audit(audit: Audit) -> list[str]:
    """An audit as lines of text, at most 100 columns wide."""
    total = sum(split.sequences for split in audit.splits)
    known = [f"{key}: {value}" for key, value in audit.facts.items()]
    return [
        f"AUDIT: {total:,} sequences {_classes_text(audit)}.",
        *wrapped([audit.note, *known] if audit.note else known),
        *section("FINDINGS", wrapped(_findings(audit) or ["No problem found."])),
        *section(
            "CLASSES" if audit.has_classes else "SEQUENCES",
            _class_table(audit),
            _validation_note(audit),
        ),
        *section("LENGTHS AND UNKNOWN BASES", _length_table(audit), _LENGTH_NOTE),
        *section("THE SAME LETTERS, ON EITHER STRAND", _copies_table(audit), _COPIES_NOTE),
        *section("NEAR REPEATS", _near_table(audit), _NEAR_NOTE),
        *(section("GROUPS", _group_table(audit)) if audit.groups else []),
        *(_interval_section(audit.intervals) if audit.intervals else []),
        *section(
            "TRIVIAL BASELINES: WHAT NEEDS NO NETWORK",
            _baseline_table(audit) if audit.baselines else wrapped([_no_baselines(audit)]),
            _BASELINE_NOTE if audit.baselines else "",
        ),
    ]


def _classes_text(audit: Audit) -> str:
    return f"of {len(audit.class_names)} classes" if audit.has_classes else "without classes"


def _no_baselines(audit: Audit) -> str:
    return f"Not known: no {'train split' if audit.has_classes else 'classes to tell apart'}."


_LENGTH_NOTE = (
    "Lengths are in bases, up to the last known one: N at the end count as padding, N elsewhere as "
    "unknown bases."
)
_COPIES_NOTE = (
    "Counted is every sequence that has a twin, itself or its reverse complement; the label "
    "conflicts where a twin is of another class."
)
_NEAR_NOTE = (
    f"Of each sequence the distinct stretches of {KMER_LENGTH} known bases are looked up in the "
    f"other sequences, on either strand. 'Any' shares one at least, as common repeats do; 'near' "
    f"shares {NEAR:.0%} of them or more. Short: without such a stretch, judged by its "
    f"letters alone."
)
_INTERVAL_NOTE = (
    "Of each test interval the overlap with train intervals of the same class, strand ignored: a "
    "base or more; half of both intervals or more; the same start and end."
)
_BASELINE_NOTE = (
    "A model is worth explaining where it is above these. Logistic regressions learnt from train "
    f"({MOST_TRAIN_SEQUENCES:,} sequences at most), tried on all of test; nothing is tuned."
)


_HINT = (
    "To fix: the option `deduplicated: true` of the dataset leaves out of test and validation "
    "what repeats, nearly repeats or overlaps train by half."
)


def _part_findings(audit: Audit) -> Iterator[str]:
    present = audit.facts.get(PART)
    if present is not None:
        yield f"PART: only {present} sequences of the published set are here."


def _findings(audit: Audit) -> list[str]:
    findings = [
        *_part_findings(audit),
        *_comparison_findings(audit),
        *_copy_findings(audit),
        *_near_findings(audit),
        *_interval_findings(audit.intervals),
        *_group_findings(audit),
        *_cue_findings(audit),
        *audit.cautions,
    ]
    leaks = [finding for finding in findings if finding.startswith("LEAK")]
    hint = [_HINT] if leaks else []
    return [*leaks, *hint, *(finding for finding in findings if finding not in leaks)]


def _comparison_findings(audit: Audit) -> Iterator[str]:
    """What an audit is for, where there is nothing to compare."""
    absent = [
        *([] if audit.has_train else ["no train split"]),
        *([] if audit.has_classes else ["no classes"]),
    ]
    if absent:
        yield (
            f"NOTHING TO COMPARE: {' and '.join(absent)}. These are sequences to explain, by "
            "models that are trained already (option weights of a model)."
        )


def _copy_findings(audit: Audit) -> Iterator[str]:
    for row in audit.copies:
        if row.repeated and row.split != row.among:
            share = _share_text(row.repeated, row.sequences, f"{row.split} sequences")
            yield f"LEAK: {share} have the same letters as a {row.among} sequence."
    for row in audit.copies:
        if row.conflicting:
            share = _share_text(row.conflicting, row.sequences, f"{row.split} sequences")
            twin = f"{'another' if row.split == row.among else 'a'} {row.among} sequence"
            yield f"LABELS: {share} have the letters of {twin} of another class."
    for split in audit.splits:
        if split.empty:
            share = _share_text(split.empty, split.sequences, f"{split.name} sequences")
            yield f"EMPTY: {share} have no known base."


def _near_findings(audit: Audit) -> Iterator[str]:
    for (name, among), rows in _by_pair(audit.near).items():
        near, count = sum(row.near for row in rows), sum(row.sequences for row in rows)
        share = _share_text(near, count, f"{name} sequences")
        if name != among and near:
            yield (
                f"LEAK: {share} nearly repeat {among}: half of their stretches of "
                f"{KMER_LENGTH} bases or more occur there."
            )
        elif name == among and near >= REDUNDANT * count:
            cut = "; only groups keep them on one side of a cut" if name == "train" else ""
            yield f"REDUNDANT: {share} nearly repeat others of {among}{cut}."


def _by_pair(near: Sequence[Near]) -> dict[tuple[str, str], list[Near]]:
    pairs: dict[tuple[str, str], list[Near]] = {}
    for row in near:
        pairs.setdefault((row.split, row.among), []).append(row)
    return pairs


def _group_findings(audit: Audit) -> Iterator[str]:
    for row in audit.groups:
        if row.shared:
            share = _share_text(row.inside, row.sequences, f"{row.split} sequences")
            yield (
                f"GROUPS: {share} are of a group that {row.among} has too: the split was not made "
                f"by group."
            )


def _interval_findings(rows: Sequence[Overlapping]) -> list[str]:
    return [
        f"LEAK: {_share_text(row.any, row.intervals, f'{row.split} intervals')} of "
        f"{row.class_name!r} overlap one of {row.among}, {percent(row.half, row.intervals)} by "
        f"half or more{f', {percent(row.exact, row.intervals)} equal one' if row.exact else ''}."
        for row in rows
        if row.any
    ]


def _cue_findings(audit: Audit) -> Iterator[str]:
    if not audit.baselines:
        return
    guess = audit.baselines[0].accuracy
    for row in audit.baselines:
        if row.name in ("GC alone", "length") and row.auroc >= CUE:
            yield (
                f"CUE: {row.name.removesuffix(' alone')} alone reaches an AUROC of {row.auroc:.3f} "
                f"on test and an accuracy of {row.accuracy:.3f} (the majority class {guess:.3f})."
            )
    if guess >= UNEVEN_SHARE:
        yield f"UNEVEN: always the majority class is right for {guess:.1%} of test: read AUROC."


def _class_table(audit: Audit) -> list[str]:
    rows: list[tuple[str, ...]] = [("split", "class", "sequences", "share")]
    for split in audit.splits:
        for class_name, count in zip(audit.class_names, split.classes, strict=True):
            share = percent(count, split.sequences)
            rows.append((split.name, _short_name(class_name), f"{count:,}", share))
    return table(rows, texts=2)


def _validation_note(audit: Audit) -> str:
    if not audit.has_train or any(split.name == "validation" for split in audit.splits):
        return ""
    groups = audit.splits[0].groups
    if groups < 2:
        return "No validation split: a run cuts one from train, the same share of each class."
    return (
        f"No validation split: a run cuts one from train by group (there are {groups:,}), the best "
        f"of some random cuts by size and class balance."
    )


def _length_table(audit: Audit) -> list[str]:
    rows: list[tuple[str, ...]] = [
        ("split", "shortest", "median", "longest", "unknown bases", "sequences with any")
    ]
    for split in audit.splits:
        rows.append(
            (
                split.name,
                f"{split.shortest:,}",
                f"{split.median:,.1f}".removesuffix(".0"),
                f"{split.longest:,}",
                _count_text(split.unknown, split.bases),
                _count_text(split.with_unknown, split.sequences),
            )
        )
    return table(rows, texts=1)


def _copies_table(audit: Audit) -> list[str]:
    rows: list[tuple[str, ...]] = [
        ("split", "against", "sequences", "with a twin", "label conflicts")
    ]
    for row in audit.copies:
        counts = (_count_text(count, row.sequences) for count in (row.repeated, row.conflicting))
        rows.append((row.split, _among(row), f"{row.sequences:,}", *counts))
    return table(rows, texts=2)


def _near_table(audit: Audit) -> list[str]:
    head = ("split", "against", "class", "sequences", "any", "near", "short")
    rows: list[tuple[str, ...]] = [head]
    for row in audit.near:
        counts = (_count_text(count, row.sequences) for count in (row.sharing, row.near))
        own = (row.split, _among(row), _short_name(row.class_name), f"{row.sequences:,}")
        rows.append((*own, *counts, f"{row.short:,}"))
    return table(rows, texts=3)


def _group_table(audit: Audit) -> list[str]:
    rows: list[tuple[str, ...]] = [("split", "against", "groups", "in both", "sequences in these")]
    for row in audit.groups:
        counts = (_count_text(row.shared, row.groups), _count_text(row.inside, row.sequences))
        rows.append((row.split, row.among, f"{row.groups:,}", *counts))
    return table(rows, texts=2)


def _interval_section(intervals: Sequence[Overlapping]) -> list[str]:
    rows: list[tuple[str, ...]] = [
        ("split", "against", "class", "intervals", "a base", "half", "equal")
    ]
    for row in intervals:
        counts = (_count_text(count, row.intervals) for count in (row.any, row.half, row.exact))
        rows.append(
            (row.split, row.among, _short_name(row.class_name), f"{row.intervals:,}", *counts)
        )
    return section("OVERLAP IN THE GENOME", table(rows, texts=3), _INTERVAL_NOTE)


def _baseline_table(audit: Audit) -> list[str]:
    tested = next(split.sequences for split in audit.splits if split.name == "test")
    rows: list[tuple[str, ...]] = [("baseline", "accuracy", "AUROC", "learnt from", "tried on", "")]
    for row in audit.baselines:
        figures = (f"{row.accuracy:.3f}", f"{row.auroc:.3f}", f"{row.learnt:,}", f"{tested:,}")
        rows.append((row.name, *figures, "" if row.converged else "stopped early"))
    return table(rows, texts=1)


def _short_name(class_name: str) -> str:
    """At most 17 letters, the longest name in genomic-benchmarks, so that tables fit."""
    return class_name if len(class_name) <= 17 else f"{class_name[:16]}…"


def _among(row: Copies | Near) -> str:
    return "itself" if row.split == row.among else row.among


def _count_text(count: int, whole: int) -> str:
    return f"{count:,} ({percent(count, whole)})"


def _share_text(count: int, whole: int, what: str) -> str:
    return f"{percent(count, whole)} of {what} ({count:,} of {whole:,})"


def percent(count: int, whole: int) -> str:
    return f"{100 * count / whole:.2f} %" if whole else "undefined"


def table(rows: Sequence[Sequence[str]], *, texts: int) -> list[str]:
    """Rows as indented lines: the first ``texts`` columns left, the numbers right."""
    justify = "<" * texts + ">" * (len(rows[0]) - texts)
    return [f"  {line}".rstrip() for line in aligned_rows(rows, justify)]


def section(title: str, body: list[str], note: str = "") -> list[str]:
    return ["", title, *body, *wrapped([note] if note else [])]


def wrapped(paragraphs: Sequence[str]) -> list[str]:
    folded = (
        textwrap.wrap(paragraph, LINE_WIDTH, initial_indent="  ", subsequent_indent="    ")
        for paragraph in paragraphs
    )
    return list(chain.from_iterable(folded))
