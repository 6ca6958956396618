"""An artefact is made once, read back as it was made, and made again where it is lost."""

import json
import shutil
from itertools import chain

import numpy as np
import pytest
from small_run import finished, work_of

from xaibench.artefacts.artefact import (
    Cost,
    Memory,
    arrays_in,
    arrays_of,
    ensure,
    of_arrays,
    total,
)
from xaibench.artefacts.curve_keys import CurveKey
from xaibench.artefacts.curves import curve_spec
from xaibench.artefacts.trained_models import TrainedModel
from xaibench.dna.replacement import LERF, MORF
from xaibench.errors import NotApplicable, UsageError
from xaibench.explanation.controls import RANDOM
from xaibench.runs.pipeline import planned
from xaibench.runs.tasks import TaskKind, artefacts_of, compute, lacking, missing, tasks

PLAN = """
dataset: {name: planted, train: 60, test: 24, length: 40}
seeds: [0]
training: {epochs: 1, batch_size: 32}
models:
  cnn: {filters: [4], kernels: [19]}
  attngen: {filters: [5], kernels: [19]}
attribution: [saliency]
sequences: 5
metrics:
  deletion: {}
  insertion: {}
  road: {}
  roar: {fractions: [0.5], train: 36}
  cross_model_deletion: {}
  substitution_agreement: {sequences: 4}
  infidelity: {sequences: 3, draws: 2, fractions: [0.1]}
  substitution_sensitivity: {sequences: 4, draws: 2}
  cascading_randomisation: {sequences: 3, draws: 2}
  random_label_similarity: {sequences: 3}
  auprc: {}
operators: [uniform]
fractions: [0, 0.25, 1]
random_draws: 2
controlled: 3
controls: [rotated]
reports: [markdown]
"""

ANY = object()

KINDS = {
    "a model": {"kind": "model", "learnt_from": None},
    "a model of random labels": {"kind": "model", "learnt_from": "random labels"},
    "behaviour": {"kind": "behaviour"},
    "predictions": {"kind": "predictions"},
    "a retraining that removes nothing": {"kind": "retrained", "method": "none"},
    "a retraining by random maps": {"kind": "retrained", "method": "random control"},
    "random curves": {"kind": "curve", "order": "random"},
    "an oracle": {"kind": "oracle"},
    "substitutions": {"kind": "effects", "of": "substitutions"},
    "sets": {"kind": "effects", "of": "subsets"},
    "an explanation": {"kind": "explained", "change": None},
    "explanations of substituted sequences": {"kind": "explained", "change": "substitutions"},
    "explanations of other weights": {"kind": "explained", "change": "cascading"},
    "explanations of random labels": {"kind": "explained", "change": "random_labels"},
    "curves, most relevant first": {"kind": "curve", "order": MORF},
    "curves, least relevant first": {"kind": "curve", "order": LERF},
    "curves by imputation": {"kind": "curve", "operator": "imputed"},
    "curves of a control map": {"kind": "curve", "control": "rotated"},
    "curves that other models predict": {"kind": "curve", "evaluators": ANY},
}
"""What is deleted: the first artefact whose spec says so."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    work, outcome = finished(tmp_path_factory.mktemp("artefacts") / "run", text=PLAN)
    assert outcome.failures == []
    return work


def every(work):
    return chain.from_iterable(artefacts_of(work, task) for task in tasks(work.plan))


def is_like(value, wanted):
    return value is not None if wanted is ANY else value == wanted


def contents(work):
    """The files of all artefacts, without what a clock said."""
    files = {}
    for path in sorted(work.store.root.glob("*-*/*")):
        name = f"{path.parent.name}/{path.name}"
        if path.name == "arrays.safetensors":
            arrays = arrays_in(lambda _, path=path: path.read_bytes())
            if "cost" in arrays:
                arrays["cost"] = np.delete(arrays["cost"], 2)
            files[name] = {key: array.tobytes() for key, array in arrays.items()}
        elif path.name == "card.json":
            files[name] = {**json.loads(path.read_text()), "history": None}
        elif path.name != "spec.json":
            files[name] = path.read_bytes()
    return files


def test_every_task_has_its_artefacts_once(whole):
    keys = [str(artefact.spec) for artefact in every(whole)]
    assert len(keys) == len(set(keys))
    assert all(artefact.exists(whole.store) for artefact in every(whole))
    assert planned(whole)[1] == []


@pytest.mark.parametrize("wanted", KINDS.values(), ids=KINDS)
def test_what_is_lost_is_missing_alone_and_made_again_as_it_was(whole, wanted):
    before = contents(whole)
    task, artefact = next(
        (task, artefact)
        for task in tasks(whole.plan)
        for artefact in artefacts_of(whole, task)
        if all(is_like(artefact.spec.get(name), value) for name, value in wanted.items())
    )
    shutil.rmtree(whole.store.path(artefact.spec))
    lost = [each for other in tasks(whole.plan) for each in lacking(whole, other)]
    assert [each.spec for each in lost] == [artefact.spec]
    hangs_on_it = wanted["kind"] in ("model", "behaviour") and not wanted.get("learnt_from")
    to_do = [other for other in tasks(whole.plan) if missing(whole, other)]
    same_model = [other for other in tasks(whole.plan) if other.trained.name == task.trained.name]
    # without its behaviour a model counts as one of an older folder, which can be asked
    assert to_do == (same_model if hangs_on_it and wanted["kind"] == "model" else [task])
    for other in to_do:
        compute(whole, other)
    assert contents(whole) == before


def test_a_source_without_a_map_has_no_curves_to_make(tmp_path):
    text = PLAN.replace("[saliency]", "[attention]")
    work, _ = finished(tmp_path / "run", text=text)
    (task,) = (
        each
        for each in tasks(work.plan)
        if each.kind == TaskKind.METHOD and each.trained.name == "cnn"
    )
    curves = [each for each in artefacts_of(work, task) if each.spec["kind"] == "curve"]
    assert curves
    assert not any(each.possible(work.store) or each.exists(work.store) for each in curves)
    assert not missing(work, task)


def of(make, needs=()):
    return of_arrays({"kind": "curve", "number": 3}, make, lambda _: Cost(), needs)


def test_a_value_that_is_handed_on_is_what_reading_would_give(tmp_path):
    work = work_of(tmp_path / "new")
    scores = np.arange(6.0).reshape(2, 3).T
    memory, artefact = Memory(work), of(lambda _: {"scores": scores})
    ensure(artefact, memory, hand_on=True)
    (handed,) = memory.values.values()
    read = artefact.load(work.store)["scores"]
    for array in (handed["scores"], read):
        assert (array == scores).all()
        assert array.flags.c_contiguous
    assert memory.value(artefact) is handed


def test_a_value_that_nobody_needs_is_not_held(tmp_path):
    memory = Memory(work_of(tmp_path / "new"))
    ensure(of(lambda _: {"scores": np.zeros(3)}), memory)
    assert memory.values == {}


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (NotApplicable("no meaning"), ("not applicable", "no meaning")),
        (ValueError("no luck"), ("failed", "ValueError: no luck")),
    ],
)
def test_the_reason_why_there_is_none_is_stored(tmp_path, error, outcome):
    work = work_of(tmp_path / "new")

    def fail(_):
        raise error

    artefact = of(fail)
    ensure(artefact, Memory(work))
    assert work.store.outcome(artefact.spec) == outcome
    assert artefact.exists(work.store) == (outcome[0] == "not applicable")
    needing = of_arrays({"kind": "curve"}, fail, lambda _: Cost(), (artefact.spec,))
    ensure(needing, Memory(work))
    assert work.store.outcome(needing.spec) == ("failed", "not computed")


def test_what_the_user_can_mend_is_not_stored(tmp_path):
    work = work_of(tmp_path / "new")

    def refuse(_):
        raise UsageError("no such device")

    with pytest.raises(UsageError, match="no such device"):
        ensure(of(refuse), Memory(work))
    assert not work.store.root.exists()


def test_what_artefacts_of_a_task_share_is_counted_once():
    costs = [Cost({("cnn", "curves"): 3}, explained=2, shared={64: 70}), Cost(shared={64: 70})]
    assert total(costs) == Cost({("cnn", "curves"): 3}, explained=72)


@pytest.mark.parametrize(
    ("curve", "paths"),
    [
        (CurveKey("saliency", "uniform"), 1),
        (CurveKey(RANDOM, "uniform"), 2),
        (CurveKey("saliency", "uniform", kind="other_models"), 1),
        (CurveKey("saliency", kind="imputed"), 1),
    ],
)
def test_the_axes_of_every_curve_are_path_step_sequence_and_class(whole, curve, paths):
    spec = curve_spec(whole, TrainedModel("cnn", 0), curve)
    assert arrays_of(whole, spec)["logits"].shape == (paths, 3, 5, 2)
    assert spec["axes"] == "path, step, sequence, class"
