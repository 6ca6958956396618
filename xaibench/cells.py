"""The expensive artefacts of a run: trained weights, predictions, explanations and curves.

Each has a spec that says what it is and what it came from; whoever holds the spec finds the
artefact or makes it.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import blake2b
from math import isnan
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file
from safetensors.torch import load_file as load_weights
from safetensors.torch import save_file as save_weights

from xaibench import curves, dna
from xaibench.controls import RANDOM, random_maps
from xaibench.data.audit.floor import floor
from xaibench.errors import NotApplicable, UsageError
from xaibench.explain import Explanation, asks_for, explain, on_both_strands, other_strands
from xaibench.guards import GUARDED, guarded
from xaibench.options import supplied
from xaibench.plan import Use
from xaibench.predict import logits
from xaibench.randomness import identity, stream, streams
from xaibench.registry import load
from xaibench.shapes import Codes, Labels, Logits, Scores
from xaibench.store import FAILED, NOT_APPLICABLE, OK, Spec, key
from xaibench.values import N
from xaibench.work import Work, facts_of, found

REFERENCES = 20

Progress = Callable[[int, int, dict[str, float]], None]
Arrays = dict[str, NDArray[Any]]


def _identified(work: Work, kind: str, use: Use) -> dict[str, Any]:
    """What a plug-in is, for a spec."""
    return {"code": load(kind, use.use, work.job.plugins).code, "options": use.options}


# Models


def model_spec(work: Work, model: str, seed: int) -> Spec:
    plan = work.plan
    return {
        "kind": "model",
        "model": _identified(work, "models", plan.models[model]),
        "training": _identified(work, "training", plan.training),
        "seed": seed,
        "data": work.data,
        "data_seed": plan.data_seed,
    }


def build(work: Work, model: str) -> Any:
    """One model of the plan with fresh weights; UsageError where the data do not suit it."""
    plugin, options = found(work, "models", work.plan.models[model])
    train = work.splits.train
    known = {
        "classes": len(train.class_names),
        "length": train.codes.shape[1],
        "shortest": min(int(dna.lengths(s.codes).min()) for s in (train, work.splits.test)),
    }
    try:
        return plugin.call(**options, **supplied(plugin.call, known))
    except UsageError as error:
        raise UsageError(f"models.{model}: {error}") from None


def train(work: Work, model: str, seed: int, progress: Progress) -> None:
    """Train one model under one seed and keep its weights and history."""
    plugin, options = found(work, "training", work.plan.training)
    # Initialisation and dropout draw from torch's global generator: give them their own.
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(stream(seed, "model").integers(2**62)))
            classifier = build(work, model)
            history = plugin.call(classifier, work.splits, seed=seed, progress=progress, **options)
        work.store.keep(
            model_spec(work, model, seed), lambda folder: _save(classifier, history, folder)
        )
    except UsageError:
        raise
    except Exception as error:
        _keep_failure(work, model_spec(work, model, seed), error)


def _save(classifier: Any, history: list[dict[str, float]], folder: Path) -> None:
    weights = {name: tensor.contiguous() for name, tensor in classifier.state_dict().items()}
    save_weights(weights, folder / "weights.safetensors")
    parameters = sum(parameter.numel() for parameter in classifier.parameters())
    card = {"parameters": parameters, "history": history}
    (folder / "card.json").write_text(json.dumps(card, indent=1))


def card(work: Work, model: str, seed: int) -> dict[str, Any]:
    """Parameter count and history of a trained model."""
    path = work.store.path(model_spec(work, model, seed)) / "card.json"
    return dict(json.loads(path.read_text()))


def trained(work: Work, model: str, seed: int) -> Any:
    """A trained model, in evaluation mode."""
    classifier = build(work, model)
    path = work.store.path(model_spec(work, model, seed))
    classifier.load_state_dict(load_weights(path / "weights.safetensors"))
    return classifier.eval()


def predictions_spec(work: Work, model: str, seed: int) -> Spec:
    return {
        "kind": "predictions",
        "model": key(model_spec(work, model, seed)),
        "data": work.data,
    }


def predict(work: Work, model: str, seed: int) -> None:
    """Keep the logits of the whole test split."""
    outputs = logits(trained(work, model, seed), work.splits.test.codes)
    _keep_arrays(work, predictions_spec(work, model, seed), {"logits": outputs})


def floor_of(work: Work) -> list[dict[str, Any]]:
    """What trivial models reach on the test split: name, accuracy, AUROC (None: undefined)."""
    spec = {"kind": "floor", "data": work.data, "data_seed": work.plan.data_seed}

    def make(folder: Path) -> None:
        rows = [
            {**trivial._asdict(), "auroc": None if isnan(trivial.auroc) else trivial.auroc}
            for trivial in floor(work.splits, work.plan.data_seed)
        ]
        (folder / "floor.json").write_text(json.dumps(rows, indent=1))

    return list(json.loads((work.store.keep(spec, make) / "floor.json").read_text()))


# Explanations


@dataclass(frozen=True, slots=True)
class Change:
    """What is done to the first ``sequences`` of the chosen (None: all), ``draws`` times."""

    kind: str | None = None
    draws: int = 1
    sequences: int | None = None


UNCHANGED = Change()


def change_of(work: Work, metric: str) -> Change:
    """The change of sequences that a metric of the plan compares; none for one of seeds."""
    kind = facts_of(work, metric).change
    if kind in (None, "seed"):
        return UNCHANGED
    options = work.plan.metrics[metric].options
    return Change(kind, options.get("draws", 1), options["sequences"])


def changes(work: Work) -> list[Change]:
    """The different changes that the plan's metrics ask for."""
    asked = [change_of(work, metric) for metric in work.plan.metrics]
    return [change for change in dict.fromkeys(asked) if change != UNCHANGED]


def explained_spec(
    work: Work, model: str, seed: int, method: str, change: Change = UNCHANGED
) -> Spec:
    plan = work.plan
    return {
        "kind": "explained",
        "model": key(model_spec(work, model, seed)),
        "method": _identified(work, "attribution", plan.attribution[method]),
        "sequences": _print(_first(work, change).chosen.codes),
        "target": plan.target,
        "data_seed": plan.data_seed,
        "change": change.kind,
        "draws": change.draws,
    }


def explain_cell(work: Work, model: str, seed: int, method: str) -> None:
    """Keep the scores of one method for the intact and for every changed set of sequences.

    Where the method fails or does not apply, the artefact says why.
    """
    classifier = trained(work, model, seed)
    for change in (UNCHANGED, *changes(work)):
        spec = explained_spec(work, model, seed, method, change)
        if work.store.holds(spec):
            continue
        try:
            arrays = _explanations(_first(work, change), classifier, seed, method, change)
        except UsageError:
            raise
        except Exception as error:
            _keep_failure(work, spec, error)
        else:
            _keep_arrays(work, spec, arrays)


def _explanations(work: Work, classifier: Any, seed: int, method: str, change: Change) -> Arrays:
    """Scores for the explained target and the cost; where nothing is changed, also the scores for
    the label, and what the guards found."""
    targets = explained_targets(work, logits(classifier, work.chosen.codes))
    if change.kind is not None:
        parts = [
            _explained(work, classifier, seed, method, targets, change=change.kind, draw=draw)
            for draw in range(change.draws)
        ]
        return {"scores": np.stack([scores for scores, _ in parts]), "cost": sum_costs(parts)}
    scores, cost = _explained(work, classifier, seed, method, targets)
    few = np.arange(len(scores))[:GUARDED][::-1]
    again, _ = _explained(work, classifier, seed, method, targets[few], rows=few, together=3)
    guards = guarded(scores, again, few, work.chosen.valid, name=method)
    by_label = scores.copy()
    other = np.flatnonzero(targets != work.chosen.labels)
    if len(other):
        labels = work.chosen.labels[other]
        by_label[other], _ = _explained(work, classifier, seed, method, labels, rows=other)
    kept: Arrays = {"scores": scores, "scores_of_label": by_label, "targets": targets}
    return {**kept, "cost": cost, "guards": np.array(guards)}


def sum_costs(parts: list[tuple[Scores, NDArray[np.float64]]]) -> NDArray[np.float64]:
    """The cost of several explanations: sums, and the largest completeness error."""
    costs = np.stack([cost for _, cost in parts])
    return np.append(costs[:, :3].sum(axis=0), np.fmax.reduce(costs[:, 3]))


def _explained(
    work: Work,
    classifier: Any,
    seed: int,
    method: str,
    targets: Labels,
    *,
    rows: NDArray[np.intp] | None = None,
    change: str | None = None,
    draw: int = 0,
    together: int | None = None,
) -> tuple[Scores, NDArray[np.float64]]:
    """Scores on the positions of the intact sequences, and forwards, backwards, seconds, error."""
    plugin, options = found(work, "attribution", work.plan.attribution[method])
    rows = np.arange(len(work.chosen)) if rows is None else rows
    codes = work.chosen.codes[rows]
    references = _references(work)[rows] if asks_for(plugin.call, "references") else None
    if change is not None:
        codes, references = changed(codes, references, change, draw, work.plan.data_seed)

    def explained(codes: Codes, references: Codes | None) -> Explanation:
        return explain(
            plugin.call,
            classifier,
            codes,
            targets,
            options=options,
            seed=seed,
            component=plugin.name,
            references=references,
            batch_size=together,
        )

    if work.plan.attribution[method].options["strands"] == "both":
        explanation = on_both_strands(explained, codes, references)
    else:
        explanation = explained(codes, references)
    scores = explanation.scores
    if change == "reverse_complement":
        scores = dna.unreverse(scores, work.chosen.codes[rows])
    cost = (explanation.forwards, explanation.backwards, explanation.seconds)
    return scores, np.array([*cost, explanation.completeness_error])


def changed(
    codes: Codes, references: Codes | None, change: str, draw: int, data_seed: int
) -> tuple[Codes, Codes | None]:
    """Changed sequences, and references changed the same way (left alone by a substitution)."""
    if change == "substitutions":
        return np.stack([_substituted(row, draw, data_seed) for row in codes]), references
    turned = None if references is None else other_strands(references)
    return dna.reverse_complement(codes), turned


def _substituted(codes: Codes, draw: int, data_seed: int) -> Codes:
    """One sequence with another base at one valid position."""
    generator = stream(data_seed, "substitution", identity(codes), draw)
    position = generator.choice(np.flatnonzero(codes < 4))
    substituted = codes.copy()
    substituted[position] = (codes[position] + generator.integers(1, 4)) % 4
    return substituted


def explained_targets(work: Work, outputs: Logits) -> Labels:
    """The class that is explained for each chosen sequence, by the plan's ``target``."""
    if work.plan.target == "label":
        return work.chosen.labels
    predicted: Labels = outputs.argmax(axis=1).astype(np.int64)
    return predicted


def _references_spec(work: Work) -> Spec:
    return {
        "kind": "references",
        "sequences": _print(work.chosen.codes),
        "count": REFERENCES,
        "data_seed": work.plan.data_seed,
    }


def _references(work: Work) -> Codes:
    """Dinucleotide shuffles ``(sequence, reference, position)``, kept with the run."""
    spec = _references_spec(work)
    if not work.store.holds(spec):
        shuffles = dna.references(work.chosen.codes, REFERENCES, work.plan.data_seed)
        _keep_arrays(work, spec, {"codes": shuffles})
    codes: Codes = arrays_of(work, spec)["codes"]
    return codes


def kept_references(work: Work) -> Codes | None:
    """The references of the explained sequences, where a method asked for them."""
    return _references(work) if work.store.holds(_references_spec(work)) else None


# Curves


def orders(work: Work) -> list[str]:
    """The orders that the plan's metrics ask for."""
    facts = [facts_of(work, label) for label in work.plan.metrics]
    curved = [fact for fact in facts if fact.of == "curves"]
    least = any(fact.needs_least_relevant_first for fact in curved)
    return [curves.MOST] * bool(curved) + [curves.LEAST] * least


def curve_spec(work: Work, model: str, seed: int, source: str, operator: str, order: str) -> Spec:
    """``source`` is a method of the plan, or the random control (whose order is ``random``)."""
    plan = work.plan
    control = source == RANDOM
    return {
        "kind": "curve",
        "model": key(model_spec(work, model, seed)),
        "scores": None if control else key(explained_spec(work, model, seed, source)),
        "draws": plan.random_draws if control else None,
        "sequences": _print(work.chosen.codes),
        "operator": _identified(work, "operators", plan.operators[operator]),
        "order": order,
        "fractions": plan.fractions,
        "data_seed": plan.data_seed,
    }


def curve_cell(work: Work, model: str, seed: int, source: str) -> None:
    """Keep the curves of a method, or of the random control, under every operator."""
    specs = curve_specs(work, model, seed, source)
    missing = [(*which, spec) for which, spec in specs if not work.store.holds(spec)]
    if not missing:
        return
    classifier = trained(work, model, seed)
    intact = logits(classifier, work.chosen.codes)
    maps = None if source == RANDOM else scores_of(work, model, seed, source)
    for operator, order, spec in missing:
        try:
            arrays = _curves(work, classifier, intact, maps, operator, order)
        except Exception as error:
            _keep_failure(work, spec, error)
        else:
            _keep_arrays(work, spec, arrays)


def curve_specs(
    work: Work, model: str, seed: int, source: str
) -> list[tuple[tuple[str, str], Spec]]:
    """The specs of all curves of one source, by operator and order; none for a method that has
    no scores."""
    wanted = orders(work)
    if source == RANDOM:
        wanted = ["random"] * bool(wanted)
    elif work.store.outcome(explained_spec(work, model, seed, source))[0] != OK:
        wanted = []
    return [
        ((operator, order), curve_spec(work, model, seed, source, operator, order))
        for operator in work.plan.operators
        for order in wanted
    ]


def _curves(
    work: Work, classifier: Any, intact: Logits, maps: Scores | None, operator: str, order: str
) -> Arrays:
    """Logits ``(step, sequence, class)``, with a leading draw axis for the random control."""
    plan, codes, valid = work.plan, work.chosen.codes, work.chosen.valid
    donor = _donor(work, operator)
    ends = (intact, logits(classifier, np.where(valid, donor, codes)))
    steps = curves.counts(plan.fractions, valid)

    def along(scores: Scores, direction: str) -> Logits:
        ties = streams(plan.data_seed, "ties", codes)
        ranked = curves.ranks(scores, valid, ties, order=direction)
        return curves.curve(classifier, codes, donor, ranked, steps, ends)

    if maps is not None:
        return {"logits": along(maps, order)}
    draws = random_maps(work.chosen, plan.random_draws, plan.data_seed)
    return {"logits": np.stack([along(scores, curves.MOST) for scores in draws])}


def _donor(work: Work, operator: str) -> Codes:
    """What replaced positions take: one draw a sequence, the same for all models and methods."""
    use, codes = work.plan.operators[operator], work.chosen.codes
    plugin, options = found(work, "operators", use)
    generators = streams(work.plan.data_seed, f"donor {use.use}", codes)
    donor = np.stack(
        [plugin.call(row, each, **options) for row, each in zip(codes, generators, strict=True)]
    )
    if donor.shape != codes.shape or donor.dtype != np.uint8 or donor.max(initial=0) > N:
        raise ValueError(
            f"{plugin.name}: wanted a donor of codes 0 to 4, uint8 {codes.shape[1:]}, got "
            f"{donor.dtype} {donor.shape[1:]} up to {donor.max(initial=0)}"
        )
    return donor


# Reading and writing


def scores_of(work: Work, model: str, seed: int, method: str, *, target: str = "") -> Scores:
    """The kept scores ``(sequence, position)`` of a method, for the label where asked."""
    name = "scores_of_label" if target == "label" else "scores"
    scores: Scores = arrays_of(work, explained_spec(work, model, seed, method))[name]
    return scores


def arrays_of(work: Work, spec: Spec) -> Arrays:
    """The arrays of an artefact that is there."""
    return dict(load_file(work.store.path(spec) / "arrays.safetensors"))


def _keep_arrays(work: Work, spec: Spec, arrays: Arrays) -> None:
    contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    work.store.keep(spec, lambda folder: save_file(contiguous, folder / "arrays.safetensors"))


def _first(work: Work, change: Change) -> Work:
    """The same work on the sequences that a change looks at."""
    if change.sequences is None or change.sequences >= len(work.chosen):
        return work
    return replace(work, chosen=work.chosen.take(np.arange(change.sequences)))


def _print(codes: Codes) -> str:
    return blake2b(codes.tobytes(), digest_size=10).hexdigest()


def _keep_failure(work: Work, spec: Spec, error: Exception) -> None:
    """Keep the reason why there is no artefact; the next run tries a failure again."""
    status = NOT_APPLICABLE if isinstance(error, NotApplicable) else FAILED
    reason = str(error) if status == NOT_APPLICABLE else f"{type(error).__name__}: {error}"
    work.store.keep(spec, lambda _: None, status=status, reason=" ".join(reason.split()))
