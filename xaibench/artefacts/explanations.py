"""What methods say of the explained sequences, and of what a change makes of them or the model."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xaibench.dna import encoding, shuffling
from xaibench.dna.variants import in_hamming_ball, offset_of, shifted, substituted, unshifted
from xaibench.errors import NotApplicable
from xaibench.explanation.guards import GUARDED, guarded
from xaibench.explanation.method_call import (
    Explanation,
    asks_for,
    explain,
    on_both_strands,
    other_strands,
)
from xaibench.nn.inference import logits
from xaibench.nn.reinitialise import layers, reinitialised
from xaibench.plugins.registry import Plugin
from xaibench.protocols import OfChange
from xaibench.randomness import stream
from xaibench.shapes import Codes, Labels, Logits, Scores
from xaibench.storage.artefacts import Spec, key

from .artefact import (
    Arrays,
    Artefact,
    Cost,
    Memory,
    Sizes,
    arrays_of,
    first,
    identified,
    looked_at,
    of_arrays,
    packed,
    print_of,
    save_files,
)
from .job import Work, facts_of, found, remembered
from .models import RANDOM_LABELS, build, model_artefact, model_spec

REFERENCES = 20

OF_WEIGHTS = ("cascading", "independent", "random_labels")
"""Changes of the model: maps are compared without multiplying by the input."""

SETTINGS = ("steps", "samples", "draws", "window")
"""Options of methods that say how finely they look: halved to see what hangs on them."""

INTACT = "intact"
"""No change; kept beside those of the weights for its hypothetical scores."""


@dataclass(frozen=True, slots=True)
class Change:
    """What is done to the first ``sequences`` of the chosen (None: all), ``draws`` times.

    ``extent`` is the radius of a ball or the offset of a shift; ``layer`` where weights are drawn
    anew.
    """

    kind: str | None = None
    draws: int = 1
    sequences: int | None = None
    extent: int = 0
    layer: str = ""


UNCHANGED = Change()


def changes_of(work: Work, metric: str, model: str) -> list[Change]:
    """The changes that a metric of the plan compares, one but for those of layers; none for one
    of seeds."""
    of = facts_of(work, metric).kind
    if not isinstance(of, OfChange) or of.change == "seed":
        return []
    kind = of.change
    options = work.plan.metrics[metric].options
    draws, extent = options.get("draws", 1), options.get("radius", options.get("offset", 0))
    change = Change(kind, draws, options["sequences"], extent)
    if kind not in ("cascading", "independent"):
        return [change]
    names = layers(build(work, model))
    return [Change(kind, draws, options["sequences"], layer=name) for name in names]


def intact(change: Change) -> Change:
    """What a change of weights is compared with."""
    return Change(INTACT, 1, change.sequences)


def changes(work: Work, model: str) -> list[Change]:
    """The different changes that the plan's metrics ask for."""
    asked = [each for metric in work.plan.metrics for each in changes_of(work, metric, model)]
    beside = [intact(change) for change in asked if change.kind in OF_WEIGHTS]
    return list(dict.fromkeys([*asked, *beside]))


@remembered
def explained_spec(
    work: Work, model: str, seed: int, method: str, change: Change = UNCHANGED
) -> Spec:
    plan, here = work.plan, looked_at(work, model, method)
    spec = {
        "kind": "explained",
        "model": key(model_spec(work, model, seed)),
        "method": identified(work, "attribution", plan.attribution[method]),
        "sequences": print_of(first(here, change.sequences).chosen.codes),
        "target": plan.target,
        "data_seed": plan.data_seed,
        "change": change.kind,
        "draws": change.draws,
    }
    extents = {"extent": change.extent, "layer": change.layer}
    return {**spec, **{name: extent for name, extent in extents.items() if extent}}


def explained_artefacts(work: Work, model: str, seed: int, method: str) -> Iterator[Artefact]:
    """The scores of one method for the intact sequences and for every change."""
    for change in (UNCHANGED, *changes(work, model)):
        yield explained_artefact(work, model, seed, method, change)


def explained_artefact(
    work: Work, model: str, seed: int, method: str, change: Change = UNCHANGED
) -> Artefact:
    """The scores of one method and what they cost, or why it fails or does not apply."""
    subset = first(looked_at(work, model, method), change.sequences)

    def make(memory: Memory) -> Arrays:
        classifier = memory.value(model_artefact(work, model, seed))
        here = Explaining(subset, classifier, seed, method)
        return _unchanged(here) if change == UNCHANGED else _changed(here, model, change)

    def cost(sizes: Sizes) -> Cost:
        count, intact = len(subset.chosen), change == UNCHANGED
        maps = 2 if intact else change.draws  # for the explained target and for the label
        of_weights = change.kind in (INTACT, *OF_WEIGHTS)
        bases = 5 if of_weights and method in sizes.hypothetical else 1
        return Cost(
            explained=count + GUARDED if intact else change.draws * count,
            stored=maps * bases * subset.chosen.codes.size * 4,
        )

    return of_arrays(explained_spec(work, model, seed, method, change), make, cost)


@dataclass(frozen=True, slots=True)
class Explaining:
    """One method on one trained model."""

    work: Work
    classifier: Any
    seed: int
    method: str

    @property
    def plugin(self) -> tuple[Plugin, dict[str, Any]]:
        return found(self.work, "attribution", self.work.plan.attribution[self.method])


def _unchanged(here: Explaining) -> Arrays:
    """Scores for the explained target and for the label, the cost, and what the guards found."""
    chosen = here.work.chosen
    targets = explained_targets(here.work, logits(here.classifier, chosen.codes))
    every = np.arange(len(chosen))
    explanation = _of_rows(here, every, targets)
    few = every[:GUARDED][::-1]
    again = _in_other_batches(here, few, targets[few])
    guards = guarded(explanation.scores, again, few, chosen.valid, name=here.method)
    by_label = explanation.scores.copy()
    other = np.flatnonzero(targets != chosen.labels)
    if len(other):
        by_label[other] = _of_rows(here, other, chosen.labels[other]).scores
    scores: Arrays = {"scores": explanation.scores, "scores_of_label": by_label, "targets": targets}
    return {**scores, "cost": sum_costs([explanation]), "guards": np.array(guards)}


def _of_rows(
    here: Explaining, rows: NDArray[np.intp], targets: Labels, together: int | None = None
) -> Explanation:
    plugin, options = here.plugin
    references = _references_for(here.work, plugin)
    theirs = None if references is None else references[rows]
    codes = here.work.chosen.codes[rows]
    return explained_by(here, codes, targets, options, theirs, together=together)


def _in_other_batches(here: Explaining, rows: NDArray[np.intp], targets: Labels) -> Scores:
    """Three at a time, and the last one alone: a call of one row rounds in another way."""
    parts = [
        _of_rows(here, rows[part], targets[part], together=3).scores
        for part in (slice(0, -1), slice(-1, None))
        if len(rows[part])
    ]
    return np.concatenate(parts) if parts else _of_rows(here, rows, targets).scores


def scores_of_rows(here: Explaining, targets: Labels) -> Scores:
    """The scores of all sequences that are looked at, for these targets."""
    return _of_rows(here, np.arange(len(targets)), targets).scores


def _changed(here: Explaining, model: str, change: Change) -> Arrays:
    """Scores ``(draw, sequence, position)`` on the positions of the intact sequences, the cost, and
    the hypothetical scores where weights are changed and the method gives them."""
    targets = explained_targets(here.work, logits(here.classifier, here.work.chosen.codes))
    explanations = list(_each_draw(here, model, change, targets))
    arrays: Arrays = {
        "scores": np.stack([each.scores for each in explanations]),
        "cost": sum_costs(explanations),
    }
    if change.kind in (INTACT, *OF_WEIGHTS):
        hypothetical = [each.hypothetical for each in explanations if each.hypothetical is not None]
        if len(hypothetical) == len(explanations):
            arrays["hypothetical"] = np.stack(hypothetical)
    return arrays


def _each_draw(
    here: Explaining, model: str, change: Change, targets: Labels
) -> Iterator[Explanation]:
    work = here.work
    plugin, options = here.plugin
    codes, references = work.chosen.codes, _references_for(work, plugin)
    if change.kind in (INTACT, *OF_WEIGHTS):
        for classifier in _other_models(here, model, change):
            other = Explaining(work, classifier, here.seed, here.method)
            yield explained_by(other, codes, targets, options, references)
    elif change.kind == "settings":
        options, references = _other_settings(work, plugin, options, references)
        yield explained_by(here, codes, targets, options, references)
    else:
        for draw in range(change.draws):
            theirs = changed_codes(codes, change, draw, work.plan.data_seed)
            turned = _changed_references(references, codes, change, draw, work.plan.data_seed)
            explanation = explained_by(here, theirs, targets, options, turned)
            seed = work.plan.data_seed
            yield explanation.with_scores(
                mapped_back(explanation.scores, codes, change, draw, seed)
            )


def _other_models(here: Explaining, model: str, change: Change) -> Iterator[Any]:
    """The model itself, or one that learnt from random labels, or with weights drawn anew."""
    if change.kind == INTACT:
        yield here.classifier
        return
    if change.kind == "random_labels":
        spec = model_spec(here.work, model, here.seed, learnt_from=RANDOM_LABELS)
        status, reason = here.work.store.outcome(spec)
        if reason:
            raise RuntimeError(f"the model of random labels: {status}, {reason}")
        yield model_artefact(here.work, model, here.seed, learnt_from=RANDOM_LABELS).load(
            here.work.store
        )
        return
    names = layers(here.classifier)
    place = names.index(change.layer)
    anew = names[: place + 1] if change.kind == "cascading" else names[place : place + 1]
    for draw in range(change.draws):
        generator = stream(here.seed, "weights drawn anew", draw)
        yield reinitialised(here.classifier, anew, generator)


def _other_settings(
    work: Work, plugin: Plugin, options: dict[str, Any], references: Codes | None
) -> tuple[dict[str, Any], Codes | None]:
    """Half of the steps, and other references: what a person might as well have chosen."""
    halved = {
        name: max(options[name] // 2, 1)
        for name in SETTINGS
        if isinstance(options.get(name), int) and options[name] > 1
    }
    if references is not None:
        seed = int(stream(work.plan.data_seed, "other references").integers(2**31))
        references = shuffling.references(work.chosen.codes, references.shape[1], seed)
    elif not halved:
        raise NotApplicable("the method has no steps, samples, window or references to change")
    return {**options, **halved}, references


def explained_by(
    here: Explaining,
    codes: Codes,
    targets: Labels,
    options: dict[str, Any],
    references: Codes | None,
    *,
    together: int | None = None,
) -> Explanation:
    """One method on one model, on one strand or both as the plan says."""
    plugin, _ = here.plugin

    def explained(codes: Codes, references: Codes | None) -> Explanation:
        return explain(
            plugin.call,
            here.classifier,
            codes,
            targets,
            options=options,
            seed=here.seed,
            component=plugin.name,
            references=references,
            batch_size=together,
        )

    if here.work.plan.attribution[here.method].options["strands"] == "both":
        return on_both_strands(explained, codes, references)
    return explained(codes, references)


def sum_costs(explanations: list[Explanation]) -> NDArray[np.float64]:
    """Forwards, backwards and seconds in all, and the largest completeness error."""
    costs = np.array(
        [(e.forwards, e.backwards, e.seconds, e.completeness_error) for e in explanations]
    )
    return np.append(costs[:, :3].sum(axis=0), np.fmax.reduce(costs[:, 3]))


def changed_codes(codes: Codes, change: Change, draw: int, data_seed: int) -> Codes:
    """The sequences as a draw of a change leaves them."""
    if change.kind == "reverse_complement":
        return encoding.reverse_complement(codes)
    if change.kind == "shift":
        offsets = _offsets(codes, change, draw, data_seed)
        rows = zip(codes, offsets, strict=True)
        return np.stack([shifted(row, offset, data_seed) for row, offset in rows])
    if change.kind == "hamming_ball":
        radius = change.extent
        return np.stack([in_hamming_ball(row, draw, data_seed, radius=radius) for row in codes])
    return np.stack([substituted(row, draw, data_seed) for row in codes])


def mapped_back(scores: Scores, codes: Codes, change: Change, draw: int, data_seed: int) -> Scores:
    """The scores of changed sequences on the positions of the intact ones, NaN where a shift has
    pushed a position out."""
    if change.kind == "reverse_complement":
        return encoding.unreverse(scores, codes)
    if change.kind == "shift":
        offsets = _offsets(codes, change, draw, data_seed)
        rows = zip(scores, codes, offsets, strict=True)
        return np.stack([unshifted(each, row, offset) for each, row, offset in rows])
    return scores


def _offsets(codes: Codes, change: Change, draw: int, data_seed: int) -> list[int]:
    """By how many positions each sequence moves."""
    return [offset_of(row, draw, data_seed, largest=change.extent) for row in codes]


def _changed_references(
    references: Codes | None, codes: Codes, change: Change, draw: int, data_seed: int
) -> Codes | None:
    """References changed as their sequence is; left alone by substitutions."""
    if references is None or change.kind in ("substitutions", "hamming_ball"):
        return references
    if change.kind == "reverse_complement":
        return other_strands(references)
    offsets = _offsets(codes, change, draw, data_seed)
    moved = [
        [shifted(one, offset, data_seed) for one in theirs]
        for theirs, offset in zip(references, offsets, strict=True)
    ]
    return np.array(moved)


def explained_targets(work: Work, outputs: Logits) -> Labels:
    """The class that is explained for each of the first chosen sequences, whose logits these are,
    by the plan's ``target``."""
    if work.plan.target == "label":
        return work.chosen.labels[: len(outputs)]
    predicted: Labels = outputs.argmax(axis=1).astype(np.int64)
    return predicted


# References


def _references_spec(work: Work) -> Spec:
    return {
        "kind": "references",
        "sequences": print_of(work.chosen.codes),
        "count": REFERENCES,
        "data_seed": work.plan.data_seed,
    }


def _references_for(work: Work, plugin: Plugin) -> Codes | None:
    return references_of(work) if asks_for(plugin.call, "references") else None


def references_of(work: Work) -> Codes:
    """Dinucleotide shuffles ``(sequence, reference, position)``, kept with the run."""
    spec = _references_spec(work)
    if not work.store.holds(spec):
        shuffles = shuffling.references(work.chosen.codes, REFERENCES, work.plan.data_seed)
        save_files(work, spec, packed({"codes": shuffles}))
    codes: Codes = arrays_of(work, spec)["codes"]
    return codes


def kept_references(work: Work) -> Codes | None:
    """The references of the explained sequences, where a method asked for them."""
    return references_of(work) if work.store.holds(_references_spec(work)) else None
