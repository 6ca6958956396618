"""What methods say of the explained sequences, and of what a change makes of them or the model."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from inspect import isclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xaibench.dna import shuffling
from xaibench.errors import NotApplicable
from xaibench.explanation.guards import GUARDED, guarded
from xaibench.explanation.method_call import (
    BATCHES_LENT,
    Explanation,
    asks_for,
    explain,
    on_both_strands,
)
from xaibench.nn.inference import device_of, explained_rows, logits
from xaibench.nn.outputs import OF_OTHERS
from xaibench.nn.sites import has_tokens, token_sites
from xaibench.plugins.harness_options import TRANSFER, of_harness
from xaibench.plugins.registry import Plugin
from xaibench.plugins.registry import load as plugin_of
from xaibench.progress import announce
from xaibench.randomness import stream
from xaibench.shapes import Codes, Labels, Logits, Scores
from xaibench.storage import arrays
from xaibench.storage.artefacts import Spec, key
from xaibench.values import Sequences

from .artefact import (
    Arrays,
    Artefact,
    Cost,
    Memory,
    ModelSizes,
    arrays_of,
    as_files,
    identified,
    of_arrays,
    print_of,
    save_files,
)
from .fixed_scores import is_fixed, require_made_for, require_not_fixed, use_for
from .given_weights import described_model, seed_of_streams
from .job import Work, plugin_and_options, remembered
from .models import model_artefact, model_spec
from .subsets import subset
from .trained_models import TrainedModel
from .variants import (
    SEQUENCE_VARIANTS,
    UNCHANGED,
    WEIGHT_VARIANTS,
    Change,
    Draw,
    changes,
)

REFERENCE_COUNT = 20

OF_LABEL = "scores_of_label"
"""The array of the scores for the label; absent of a fixed method that has none."""

SPANS = "spans"
"""The array ``(sequence, token, 2)`` of what each token covers; absent where sites are
nucleotides."""

TOKEN_SHARES = {
    "outside": "outside",
    "before": "outside_before",
    "after": "outside_after",
    "on_unknown": "on_unknown",
    "unread": "unread",
}
"""The shares of relevance and of nucleotides that a model with tokens has (``method_call``), by the
names of their arrays; absent where a method scores nucleotides, or none is a token."""

FINENESS = ("steps", "samples", "draws", "window")
"""Options of methods that say how finely they sample: halved to see what depends on them."""


@remembered
def explained_spec(
    work: Work, trained: TrainedModel, method: str, change: Change = UNCHANGED
) -> Spec:
    """The spec of what a method says of the intact sequences, or of those of a change."""
    plan = work.plan
    sequences = subset(work, trained.name, method, at_most=change.sequences)
    spec = {
        "kind": "explained",
        "model": key(model_spec(work, trained)),
        "method": identified_method(work, trained, method),
        "sequences": print_of(sequences.codes),
        "target": plan.target,
        "data_seed": plan.data_seed,
        "change": change.kind,
        "draws": change.draws,
    }
    extents = {"extent": change.extent, "layer": change.layer}
    spec |= {name: extent for name, extent in extents.items() if extent}
    return {**spec, **what_is_explained(work)}


def identified_method(work: Work, trained: TrainedModel, method: str) -> dict[str, Any]:
    """What a method is, without the rule from tokens to nucleotides where the model is of a class
    that has no tokens."""
    known = identified(work, "attribution", use_for(work, trained, method))
    made_by = plugin_of("models", work.plan.models[trained.name].use, work.job.plugins).call
    if isclass(made_by) and not has_tokens(made_by):
        options = {name: each for name, each in known["options"].items() if name != TRANSFER}
        return {**known, "options": options}
    return known


def explained_artefacts(work: Work, trained: TrainedModel, method: str) -> Iterator[Artefact]:
    """The scores of one method for the intact sequences and for every change."""
    for change in (UNCHANGED, *changes(work, trained.name)):
        yield explained_artefact(work, trained, method, change)


def explained_artefact(
    work: Work, trained: TrainedModel, method: str, change: Change = UNCHANGED
) -> Artefact:
    """The scores of one method and what they cost, or why it fails or does not apply."""
    sequences = subset(work, trained.name, method, at_most=change.sequences)

    def make(memory: Memory) -> Arrays:
        classifier = memory.value(model_artefact(work, trained))
        explaining = Explaining(work, sequences, classifier, trained, method)
        return _unchanged(explaining) if change == UNCHANGED else _changed(explaining, change)

    def cost(sizes: ModelSizes) -> Cost:
        count, unchanged = len(sequences), change == UNCHANGED
        maps = 2 if unchanged else change.draws  # for the explained target and for the label
        scores_bases = change.kind in WEIGHT_VARIANTS and method in sizes.hypothetical
        return Cost(
            explained=count + GUARDED if unchanged else change.draws * count,
            stored=maps * (5 if scores_bases else 1) * sequences.codes.size * 4,
        )

    return of_arrays(explained_spec(work, trained, method, change), make, cost)


@dataclass(frozen=True, slots=True)
class Explaining:
    """One method on one trained model and some sequences."""

    work: Work
    sequences: Sequences
    classifier: Any
    trained: TrainedModel
    method: str

    @property
    def plugin(self) -> tuple[Plugin, dict[str, Any]]:
        """The method, and its options in the plan."""
        use = use_for(self.work, self.trained, self.method)
        return plugin_and_options(self.work, "attribution", use)

    def targets(self) -> Labels:
        """The class that is explained of each sequence."""
        return self.targets_and_labels()[0]

    def targets_and_labels(self) -> tuple[Labels, Labels]:
        """The class that is explained of each sequence, and the label as one that can be."""
        outputs, labels = logits(self.classifier, self.sequences.codes), self.sequences.labels
        arrays.release(self.sequences.codes)
        targets = explained_targets(self.work.plan.target, labels, outputs)
        return targets, explained_targets("label", labels, outputs)

    def references(self) -> Codes | None:
        """The references of the sequences ``(sequence, reference, position)``, where the method
        takes them."""
        plugin, _ = self.plugin
        wants = asks_for(plugin.call, "references")
        return references_of(self.work, self.sequences) if wants else None


def _unchanged(explaining: Explaining) -> Arrays:
    """Scores for the explained target and for the label, the cost, and the results of the
    guards."""
    sequences = explaining.sequences
    targets, labels = explaining.targets_and_labels()
    every = np.arange(len(sequences))
    scores = _no_scores(explaining)
    made = list(_filled(explaining, scores, every, targets))
    say_at_limit(explaining, made)
    few = every[:GUARDED][::-1]
    again = _in_other_batches(explaining, few, targets[few])
    guards = guarded(scores, again, few, sequences.codes, name=explaining.method)
    held: Arrays = {"scores": scores, "targets": targets}
    by_label = _by_label(explaining, scores, targets, labels)
    if by_label is not None:
        held[OF_LABEL] = by_label
    if has_tokens(explaining.classifier):
        spans = token_sites(explaining.classifier, sequences.codes).spans
        held[SPANS] = spans.astype(np.int32)
    for name in made[0].token_shares:
        held[TOKEN_SHARES[name]] = np.concatenate([each.token_shares[name] for each in made])
    return {**held, "cost": sum_costs(made), "guards": np.array(guards)}


def _no_scores(explaining: Explaining) -> Scores:
    """To be filled with the scores of the sequences."""
    root = explaining.work.store.root
    return arrays.empty(explaining.sequences.codes.shape, np.float32, root)


def _filled(
    explaining: Explaining, scores: Scores, rows: NDArray[np.intp], targets: Labels
) -> Iterator[Explanation]:
    """The explanations of some of the sequences part by part, their scores put into ``scores`` and
    not kept beside."""
    length = scores.shape[1]
    references = explaining.references()
    together = explained_rows(length, device_of(explaining.classifier)) * BATCHES_LENT
    for part in arrays.parts(len(rows), length, together=together):
        made = _of_rows(explaining, rows[part], targets[part], references)
        scores[rows[part]] = made.scores
        mapped = (scores, explaining.sequences.codes, references)
        arrays.release(*(each for each in mapped if each is not None))
        yield made.with_scores(np.empty((0, length), np.float32))  # a view would keep them


def _by_label(
    explaining: Explaining, scores: Scores, targets: Labels, labels: Labels
) -> Scores | None:
    """The scores for the label; None where a fixed method has those of another class alone."""
    by_label = _no_scores(explaining)
    for part in arrays.parts(*scores.shape):
        by_label[part] = scores[part]
        arrays.release(by_label, scores)
    other = np.flatnonzero(targets != labels)
    if not len(other):
        return by_label
    try:
        for _ in _filled(explaining, by_label, other, labels[other]):
            pass
    except NotApplicable:
        if is_fixed(explaining.work, explaining.method):
            return None
        raise
    return by_label


def scores_of_label(held: Arrays) -> Scores:
    """The stored scores for the label. NotApplicable where there are none."""
    if OF_LABEL not in held:
        raise NotApplicable(
            "the file has the scores of one class per sequence, and the label of some is another; "
            "add rows with the scores of the label, which two classes with signed scores need not"
        )
    scores: Scores = held[OF_LABEL]
    return scores


def _of_rows(
    explaining: Explaining,
    rows: NDArray[np.intp],
    targets: Labels,
    references: Codes | None,
    together: int | None = None,
) -> Explanation:
    """The explanation of some of the sequences, ``together`` in a batch."""
    _, options = explaining.plugin
    of_rows = None if references is None else references[rows]
    codes = explaining.sequences.codes[rows]
    return explained_by(explaining, codes, targets, options, of_rows, together=together)


def _in_other_batches(explaining: Explaining, rows: NDArray[np.intp], targets: Labels) -> Scores:
    """Three at a time, and the last one alone: a call of one row rounds in another way."""
    references = explaining.references()
    parts = [
        _of_rows(explaining, rows[part], targets[part], references, together=3).scores
        for part in (slice(0, -1), slice(-1, None))
        if len(rows[part])
    ]
    return (
        np.concatenate(parts) if parts else _of_rows(explaining, rows, targets, references).scores
    )


def scores_of_all(explaining: Explaining) -> Scores:
    """The scores of all sequences, for what is explained of them."""
    targets, references = explaining.targets(), explaining.references()
    return _of_rows(explaining, np.arange(len(targets)), targets, references).scores


def _changed(explaining: Explaining, change: Change) -> Arrays:
    """Scores ``(draw, sequence, position)`` on the positions of the intact sequences, the cost, and
    the hypothetical scores where weights are changed and the method gives them."""
    require_not_fixed(
        explaining.work, explaining.method, FOLLOWED.get(str(change.kind), OTHER_WEIGHTS)
    )
    explanations = list(_each_draw(explaining, change, explaining.targets()))
    held: Arrays = {
        "scores": np.stack([each.scores for each in explanations]),
        "cost": sum_costs(explanations),
    }
    if change.kind in WEIGHT_VARIANTS:
        hypothetical = [each.hypothetical for each in explanations if each.hypothetical is not None]
        if len(hypothetical) == len(explanations):
            held["hypothetical"] = np.stack(hypothetical)
    return held


def _each_draw(explaining: Explaining, change: Change, targets: Labels) -> Iterator[Explanation]:
    """One explanation per draw: of changed sequences, on a changed model or by other settings."""
    work, codes = explaining.work, explaining.sequences.codes
    _, options = explaining.plugin
    references = explaining.references()
    if change.kind in WEIGHT_VARIANTS:
        models_of = WEIGHT_VARIANTS[change.kind]
        for model in models_of(work, explaining.trained, explaining.classifier, change):
            other = replace(explaining, classifier=model)
            yield explained_by(other, codes, targets, options, references)
    elif change.kind in SEQUENCE_VARIANTS:
        variant = SEQUENCE_VARIANTS[change.kind]
        for number in range(change.draws):
            draw = Draw(number, work.plan.data_seed, change.extent)
            beside = references
            if references is not None:
                beside = variant.apply_to_references(references, codes, draw)
            changed = variant.apply(codes, draw)
            explanation = explained_by(explaining, changed, targets, options, beside)
            yield explanation.with_scores(variant.map_back(explanation.scores, codes, draw))
    else:
        options, references = _other_settings(explaining, options, references)
        yield explained_by(explaining, codes, targets, options, references)


def _other_settings(
    explaining: Explaining, options: dict[str, Any], references: Codes | None
) -> tuple[dict[str, Any], Codes | None]:
    """Half of the steps, and other references: what a person might as well have chosen."""
    halved = {
        name: max(options[name] // 2, 1)
        for name in FINENESS
        if isinstance(options.get(name), int) and options[name] > 1
    }
    if references is not None:
        seed = int(stream(explaining.work.plan.data_seed, "other references").integers(2**31))
        references = shuffling.shuffled_references(
            explaining.sequences.codes, references.shape[1], seed
        )
    elif not halved:
        raise NotApplicable("the method has no steps, samples, window or references to change")
    return {**options, **halved}, references


def say_at_limit(explaining: Explaining, made: Iterable[Explanation]) -> None:
    """Say of how many sequences a limit of passes ended what is computed until it is exact."""
    if count := sum(each.at_limit for each in made):
        model = described_model(explaining.work.plan, explaining.trained)
        announce(
            f"{model}, {explaining.method}: {count:,} of {len(explaining.sequences):,} sequences "
            "had all the passes that the method may take, and would have taken more "
            "(docs/attribution.md)"
        )


def explained_by(
    explaining: Explaining,
    codes: Codes,
    targets: Labels | None,
    options: dict[str, Any],
    references: Codes | None,
    *,
    together: int | None = None,
) -> Explanation:
    """One method on one model, on one strand or both as the plan says."""
    require_made_for(explaining.work, explaining.trained, explaining.method)
    plugin, _ = explaining.plugin
    ours = of_harness(plugin, explaining.work.plan.attribution[explaining.method].options)
    both, transfer = ours["strands"] == "both", ours["transfer"]
    if both:
        require_not_fixed(explaining.work, explaining.method, "the other strand (strands: both)")

    def explained(codes: Codes, references: Codes | None) -> Explanation:
        return explain(
            plugin.call,
            explaining.classifier,
            codes,
            targets,
            options=options,
            seed=seed_of_streams(explaining.work, explaining.trained),
            component=plugin.name,
            references=references,
            test_split=explaining.work.splits.test,
            batch_size=together,
            transfer=transfer,
        )

    if both:
        return on_both_strands(explained, codes, references)
    return explained(codes, references)


def sum_costs(explanations: list[Explanation]) -> NDArray[np.float64]:
    """Forwards, backwards and seconds in all, and the largest completeness error."""
    costs = np.array(
        [(e.forwards, e.backwards, e.seconds, e.completeness_error) for e in explanations]
    )
    return np.append(costs[:, :3].sum(axis=0), np.fmax.reduce(costs[:, 3]))


def what_is_explained(work: Work) -> Spec:
    """For specs: with three classes or more up to version 0.1.0 it was the logit."""
    return {"explained": OF_OTHERS} if len(work.splits.test.class_names) > 2 else {}


def explained_targets(target: str, labels: Labels, outputs: Logits) -> Labels:
    """The class that is explained of each sequence, by the plan's ``target``: its label, or the
    one that the logits ``(sequence, class)`` predict; 0 of a single output."""
    if target == "label" and outputs.shape[1] > 1:
        return labels[: len(outputs)]
    predicted: Labels = outputs.argmax(axis=1).astype(np.int64)
    return predicted


OTHER_WEIGHTS = "other weights"
FOLLOWED = {**dict.fromkeys(SEQUENCE_VARIANTS, "changed sequences"), "settings": "other settings"}
"""What a changed explanation follows, by the kind of change, in words."""


# References


def _references_spec(work: Work, sequences: Sequences) -> Spec:
    return {
        "kind": "references",
        "sequences": print_of(sequences.codes),
        "count": REFERENCE_COUNT,
        "data_seed": work.plan.data_seed,
    }


def references_of(work: Work, sequences: Sequences) -> Codes:
    """Dinucleotide shuffles ``(sequence, reference, position)``, stored with the run."""
    spec = _references_spec(work, sequences)
    if not work.store.holds(spec):
        count, length = sequences.codes.shape
        shuffles = arrays.empty((count, REFERENCE_COUNT, length), np.uint8, work.store.root)
        for part in arrays.parts(count, REFERENCE_COUNT * length):
            shuffles[part] = shuffling.shuffled_references(
                sequences.codes[part], REFERENCE_COUNT, work.plan.data_seed
            )
            arrays.release(shuffles)
        save_files(work, spec, as_files({"codes": shuffles}))
    codes: Codes = arrays_of(work, spec)["codes"]
    return codes


def stored_references(work: Work) -> Codes | None:
    """The references of the explained sequences, where a method took them."""
    exists = work.store.holds(_references_spec(work, work.chosen))
    return references_of(work, work.chosen) if exists else None
