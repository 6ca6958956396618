"""A linter's checks in sentences and beside the audit's own figures, for a person."""

from collections.abc import Callable
from typing import Any

from .deep import Linted, LinterCheck
from .summary import Audit
from .text import percent, section, table, wrapped

_FEATURES = {
    "length": "length",
    "n_N": "the number of N",
    "frac_N": "the share of N",
    "lead_N": "the number of N at the start",
    "trail_N": "the number of N at the end, padding,",
    "maxrun_N": "the longest run of N",
    "n_other": "the number of letters of ambiguity other than N",
    "frac_lower": "the share of lower-case letters, as soft-masked repeats have,",
    "gc": "GC content",
    "cpg_oe": "the observed over expected CpG ratio",
    "cpg_dens": "the density of CpG",
    "natural": "the likelihood under a Markov chain of the human genome",
}

_NOTE = (
    "Thresholds and verdicts are seqleak's: FAIL is a leak or an artefact of how the classes were "
    "made, WARN less of the same or a rule that may be biology and that a model has to beat. A "
    "rule without a model is fitted to train, and scored on test by Matthews' correlation (MCC). "
    "In brackets 95 % intervals. Left out is what needs more than the sequences: homology, other "
    "benchmarks, genomes, distances."
)


def deep_lines(linted: Linted, audit: Audit) -> list[str]:
    """The linter's verdict, a sentence for each finding, and every check beside our figures."""
    letters = (
        "as the files have them"
        if linted.as_written
        else "as they are read: upper case, without N at the end"
    )
    about = f"seqleak {linted.version}, rules {linted.rules}. Letters {letters}."
    verdict = f"Verdict: {linted.verdict}, the worst of its checks."
    return [
        *section("DEEP AUDIT: THE LEAK LINTER SEQLEAK", wrapped([about, verdict])),
        *wrapped(deep_findings(linted)),
        *section("SEQLEAK BESIDE THIS AUDIT", _check_table(linted, audit), _NOTE),
    ]


def deep_findings(linted: Linted) -> list[str]:
    """A sentence for each check that warns or fails, failures first."""
    findings = [check for check in linted.checks if check.verdict in ("FAIL", "WARN")]
    findings.sort(key=lambda check: check.verdict)
    return [f"{check.verdict}: {_sentence(check, linted)}." for check in findings]


def _sentence(check: LinterCheck, linted: Linted) -> str:
    return _SENTENCES[check.name](check, linted) if check.name in _SENTENCES else check.reason


def _of_test(check: LinterCheck) -> str:
    share, sequences = check.value or 0.0, check.sequences
    count = "" if sequences is None else f" ({round(share * sequences):,} of {sequences:,})"
    return f"{100 * share:.2f} % of test sequences{count}"


def _share_sentence(sentence: str) -> Callable[[LinterCheck, Linted], str]:
    return lambda check, _: f"{_of_test(check)} {sentence}"


def _score(check: LinterCheck) -> str:
    auroc = check.evidence.get("test_auroc")
    if check.evidence.get("status_from") == "auroc":
        return f"an AUROC of {auroc:.3f} on test (the MCC, {check.value:.3f}, says little here)"
    also = "" if auroc is None else f" and an AUROC of {auroc:.3f}"
    return f"an MCC of {check.value:.3f}{also} on test"


def _one_feature(check: LinterCheck, _: Linted) -> str:
    feature = str(check.evidence["selected_feature"])
    return f"{_FEATURES.get(feature, feature)} alone reaches {_score(check)}"


def _at_positions(check: LinterCheck, _: Linted) -> str:
    bases = ", ".join(_base_at_position(feature) for feature in check.evidence["features"])
    return f"a few bases at fixed positions ({bases}) reach {_score(check)}"


def _base_at_position(feature: dict[str, Any]) -> str:
    """Positions from 0; ``start+3`` or ``end-3`` where lengths differ."""
    return f"{feature['kmer']} at {feature.get('anchored', feature['pos'])}"


def _near_sentence(check: LinterCheck, _: Linted) -> str:
    if check.evidence["not_assessable"] >= 0.5:
        return check.reason
    return (
        f"{_of_test(check)} share half of their 21-mers or more with one sequence of train or "
        "validation"
    )


def _windows_sentence(check: LinterCheck, _: Linted) -> str:
    if "coordinates" in check.evidence:
        return f"{_of_test(check)} overlap an interval of train or validation"
    return (
        f"{_of_test(check)} have a stretch in common with a sequence of train or validation, a "
        "fifth of their 21-mers or more in one run, as overlapping windows have"
    )


def _twins(made: str) -> Callable[[LinterCheck, Linted], str]:
    def sentence(check: LinterCheck, _: Linted) -> str:
        evidence = check.evidence
        agree = evidence.get("label_determined_share_covered")
        if evidence.get("label_relation_on_test") == "flip" and agree is not None:
            return (
                f"{_of_test(check)} have {made} in train or validation, of another class for "
                f"{agree:.1%} of them: one class was made from the other"
            )
        if agree is not None and evidence.get("within_flip_kappa") is None:
            return (
                f"{_of_test(check)} have {made} in train or validation, of the same class for "
                f"{agree:.1%} of them: related sequences, aligned, on both sides of the split"
            )
        share = f"{evidence['share_items_in_twin_pairs']:.1%}"
        return f"{share} of all sequences have {made} among the others, mostly of another class"

    return sentence


def _site(check: LinterCheck, linted: Linted) -> str:
    evidence = check.evidence
    own = linted.class_names[int(evidence["cls_label"])]
    return (
        f"{evidence['eval_rate_class']:.1%} of test sequences of class {own!r} have "
        f"{evidence['kmer']} at position {evidence['pos']} (from 0), {_percent(check)} of the "
        "others lack it: these can be told without the rest of the sequence"
    )


def _percent(check: LinterCheck) -> str:
    return f"{100 * (check.value or 0):.2f} %"


def _library(check: LinterCheck, _: Linted) -> str:
    count = check.evidence["n_backbones"]
    what = "a constant segment" if count == 1 else f"{count} constant segments"
    return (
        f"{what} at a fixed position, in some sequences and not in others, predict"
        f"{'s' if count == 1 else ''} the class with {_score(check)}: the classes come from "
        "different libraries"
    )


_SENTENCES: dict[str, Callable[[LinterCheck, Linted], str]] = {
    "overlap.exact": _share_sentence(
        "have the letters of a sequence of train or validation, on either strand"
    ),
    "overlap.near": _near_sentence,
    "overlap.windows": _windows_sentence,
    "shortcut.length": _one_feature,
    "shortcut.ambiguous": _one_feature,
    "shortcut.case": _one_feature,
    "shortcut.composition": _one_feature,
    "shortcut.kmer": lambda check, _: (
        f"a third-order Markov chain for each class, 4-mers, reaches {_score(check)}"
    ),
    "shortcut.position_motif": _at_positions,
    "shortcut.anchored_motif": _at_positions,
    "shortcut.lowinfo": _share_sentence("have fewer known bases than unknown ones"),
    "construction.shuffle": _twins(
        "a dinucleotide shuffle of theirs (same length, same dinucleotides, other order)"
    ),
    "construction.segment": _twins("a copy with some segments replaced and the others in place"),
    "construction.synthetic_negatives": _share_sentence(
        "are dinucleotide shuffles or partly replaced copies of sequences of another class, "
        "anywhere in the data: one class was made from the other"
    ),
    "construction.unmatched_site": _site,
    "construction.library": _library,
}


def _check_table(linted: Linted, audit: Audit) -> list[str]:
    rows: list[tuple[str, ...]] = [("check", "verdict", "seqleak, on test", "this audit, on test")]
    for check in linted.checks:
        verdict = {"INFO": "-", "SKIP": "-"}.get(check.verdict, check.verdict)
        rows.append((check.name, verdict, _linter_figure(check), _audit_figure(check.name, audit)))
    return table(rows, texts=4)


def _linter_figure(check: LinterCheck) -> str:
    if check.value is None:
        return "does not apply"
    if check.name in _SCORES:
        interval = "" if check.low is None else f" [{check.low:.3f}, {check.high:.3f}]"
        return f"MCC {check.value:.3f}{interval}"
    interval = (
        ""
        if check.low is None or check.high is None
        else (f" [{100 * check.low:.2f}, {100 * check.high:.2f}]")
    )
    return f"{100 * check.value:.2f} %{interval}"


_SCORES = {
    *(f"shortcut.{name}" for name in ("length", "ambiguous", "case", "composition", "kmer")),
    *("shortcut.position_motif", "shortcut.anchored_motif"),
    *("construction.library", "baseline.lookup"),
}
"""Checks whose value is an MCC; of the others it is a share of test sequences."""


def _audit_figure(name: str, audit: Audit) -> str:
    """What the audit has of the same thing, in test against train."""
    baselines = {row.name: f"AUROC {row.auroc:.3f} ({row.name})" for row in audit.baselines}
    named = {"shortcut.composition": "GC alone", "shortcut.kmer": "5-mers"}
    if name in named:
        return baselines[named[name]]
    if name == "shortcut.length":
        return baselines.get("length", "one length")
    counts = _audit_counts(name, audit)
    return "not looked for" if counts is None else percent(*counts)


def _audit_counts(name: str, audit: Audit) -> tuple[int, int] | None:
    """Sequences of test that the audit counts, and those that it looks at."""
    if name == "overlap.exact":
        row = next(row for row in audit.copies if (row.split, row.among) == ("test", "train"))
        return row.repeated, row.sequences
    if name == "overlap.near":
        near = [row for row in audit.near if (row.split, row.among) == ("test", "train")]
        return sum(row.near for row in near), sum(row.sequences for row in near)
    places = [row for row in audit.intervals if (row.split, row.among) == ("test", "train")]
    if name == "overlap.windows" and places:
        return sum(row.any for row in places), sum(row.intervals for row in places)
    return None
