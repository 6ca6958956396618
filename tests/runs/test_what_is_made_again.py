"""Changing an option of a plan makes again what depends on it, and nothing else; what is added to a
plan is computed alone. Seen by what artefacts are named by, so nothing is computed here."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from xaibench.artefacts.job import Job, prepare
from xaibench.plan.schema import Plan, Use, read_plan
from xaibench.plugins.harness_options import harness_fields
from xaibench.plugins.registry import load
from xaibench.plugins.signatures import own_fields
from xaibench.runs.tasks import artefacts_of, tasks
from xaibench.storage.artefacts import key

PLAN = """
dataset: {name: planted, train: 60, test: 24, length: 40}
seeds: [0, 3]
training: {epochs: 2, batch_size: 32}
models:
  cnn: {filters: [4], kernels: [19]}
  attngen: {filters: [5], kernels: [19]}
attribution: [saliency, integrated_gradients]
sequences: 7
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
operators: [uniform, n]
fractions: [0, 0.25, 1]
random_draws: 2
controlled: 3
controls: [rotated]
reports: [markdown]
"""


class Made(NamedTuple):
    """What a change makes that was not there: kinds of artefacts, of which models, in the tasks of
    which sources."""

    kinds: str = ""
    models: str = ""
    sources: str = ""

    def words(self) -> list[set[str]]:
        return [{*each.split()} for each in self]


BOTH = "attngen cnn"
METHODS = "integrated_gradients saliency"
MAPS = f"{METHODS} oracle"
CURVED = f"{MAPS} random-control"
EVERY = f"{CURVED} training"

NOTHING = Made()
EVERYTHING = Made(
    "behaviour curve effects explained model oracle predictions retrained", BOTH, EVERY
)
"""Of another model too the curves, where one judges the maps of the other."""


def of_method(label: str) -> Made:
    return Made("curve explained retrained", BOTH, label)


EXPLAINED = Made("explained", BOTH, METHODS)
EFFECTS = Made("effects", BOTH, "oracle")
RETRAINED = Made("retrained", BOTH, f"{METHODS} random-control")

ROWS: dict[str, tuple[str, Made]] = {
    "dataset": ("{name: planted, train: 60, test: 24, length: 44}", EVERYTHING),
    "data_seed": ("1", EVERYTHING),
    "seeds": ("[0, 3, 5]", EVERYTHING),
    # the oracle of the label is that of cross_model_deletion
    "target": ("label", Made("curve effects explained retrained", BOTH, MAPS)),
    "sequences": (
        "6",
        Made(
            "curve explained retrained",
            BOTH,
            f"{METHODS} random-control training",  # the oracle and the effects look at fewer
        ),
    ),
    "fractions": ("[0, 0.5, 1]", Made("curve", BOTH, CURVED)),
    "random_draws": ("3", Made("curve", BOTH, "random-control")),
    "precision": ("bfloat16", Made("curve", BOTH, CURVED)),
    "device": ("cuda", EVERYTHING),  # trained there, a model is another one
    "controls": ("[rotated, mean map]", Made("curve", BOTH, METHODS)),
    "controlled": ("2", Made("curve oracle", BOTH, MAPS)),
    "claims": ("attngen", NOTHING),
    "clusters": ("true", NOTHING),
    "reference": ("saliency", NOTHING),
    "reports": ("[html]", NOTHING),
    # what is added
    "models.kmer": (
        "{}",
        EVERYTHING._replace(models=f"{BOTH} kmer"),  # which judges the maps of the others
    ),
    "attribution.occlusion": ("{}", of_method("occlusion")),
    "operators.different": ("{}", Made("curve oracle", BOTH, CURVED)),
    "metrics.aopc": ("{}", NOTHING),
    "metrics.gini": ("{}", NOTHING),
    "metrics.lipschitz": ("{}", EXPLAINED),
    # how a model is trained
    **{
        f"training.{option}": (value, EVERYTHING)
        for option, value in {
            **{"epochs": "3", "batch_size": "16", "learning_rate": "0.01", "weight_decay": "0.1"},
            **{"schedule": "constant", "warm_up": "0.1", "gradient_norm": "1.0"},
            **{"lora": "{rank: 2}", "recompute": "true", "keep": "last", "patience": "1"},
            **{"reverse_complement": "true", "precision": "bfloat16", "device": "cuda"},
        }.items()
    },
    # what a model is: of the other one the curves that it judges
    **{
        f"models.cnn.{option}": (value, EVERYTHING)
        for option, value in {
            **{"filters": "[6]", "kernels": "[17]", "dropout": "0.1", "masking": "random"},
        }.items()
    },
    **{
        f"models.attngen.{option}": (value, EVERYTHING)
        for option, value in {
            **{"filters": "[6]", "kernels": "[17]", "dropout": "0.1", "masking": "random"},
            **{"attention_units": "8", "attention_as": "scorer"},
        }.items()
    },
    # how much of it is looked at
    **{
        f"models.{model}.{option}": (value, made)
        for model, other in [("cnn", "attngen"), ("attngen", "cnn")]
        for option, value, made in [
            ("sequences", "3", Made("curve effects explained", model, CURVED)),
            ("seeds", "1", Made("curve", other, MAPS)),  # without one that judges them
        ]
    },
    # what a method is
    "attribution.saliency.correct": ("false", of_method("saliency")),
    "attribution.integrated_gradients.steps": ("9", of_method("integrated_gradients")),
    "attribution.integrated_gradients.most_added": ("99", of_method("integrated_gradients")),
    "attribution.integrated_gradients.reference": ("zero", of_method("integrated_gradients")),
    **{
        f"attribution.{method}.{option}": (value, made)
        for method in METHODS.split()
        for option, value, made in [
            ("strands", "both", of_method(method)),
            ("transfer", "broadcast", NOTHING),  # no model has tokens
            ("sequences", "3", Made("curve explained", BOTH, method)),
        ]
    },
    **{
        f"operators.{operator}.sequences": (
            "3",
            Made("curve", BOTH, f"{METHODS} random-control"),
        )
        for operator in ("uniform", "n")
    },
    # what a metric looks at
    **{
        f"metrics.{metric}.sequences": ("2", NOTHING)
        for metric in ("deletion", "insertion", "road", "roar", "cross_model_deletion", "auprc")
    },
    "metrics.roar.train": ("20", RETRAINED._replace(sources=f"{METHODS} random-control training")),
    "metrics.roar.operator": ("n", RETRAINED),
    "metrics.roar.fractions": ("[0.2]", RETRAINED),
    "metrics.substitution_agreement.sequences": ("5", EFFECTS),
    "metrics.infidelity.sequences": ("2", EFFECTS),
    "metrics.infidelity.draws": ("3", EFFECTS),
    "metrics.infidelity.fractions": ("[0.2]", EFFECTS),
    "metrics.substitution_sensitivity.sequences": ("3", EXPLAINED),
    "metrics.substitution_sensitivity.draws": ("1", EXPLAINED),
    "metrics.substitution_sensitivity.of": ("7", NOTHING),
    "metrics.cascading_randomisation.sequences": ("2", EXPLAINED),
    "metrics.cascading_randomisation.draws": ("3", EXPLAINED),
    "metrics.cascading_randomisation.absolute": ("true", NOTHING),
    "metrics.random_label_similarity.sequences": ("2", EXPLAINED),
    "metrics.random_label_similarity.absolute": ("true", NOTHING),
}

ELSEWHERE = {
    "models": ("weights", "strip_prefix", "layout", "alphabet", "explain"),
}
"""Options of weights that a model has already: tests/artefacts/test_given_weights.py."""


@cache
def stored(change: str = "") -> dict[str, tuple[str, str, str]]:
    """By the name of each artefact of the plan after a change, its kind, model and source."""
    place = Path(__file__).parent / "there is no such folder"
    plan = read_plan(str(written()), changes=(change,) if change else ())
    work = prepare(Job(plan, "", (), place))
    found = {}
    for task in tasks(plan):
        source = (task.method or str(task.kind)).replace(" ", "-")
        for artefact in artefacts_of(work, task):
            kind = str(artefact.spec["kind"])
            found[key(artefact.spec)] = (kind, task.trained.name, source)
    return found


@pytest.fixture(scope="module", autouse=True)
def plan_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("plan") / "plan.yaml"
    path.write_text(PLAN)
    FILE.append(path)
    yield
    FILE.clear()
    stored.cache_clear()


FILE: list[Path] = []


def written() -> Path:
    return FILE[0]


def made_by(change: str) -> Made:
    new = [what for name, what in stored(change).items() if name not in stored()]
    return Made(*(" ".join(sorted({*each})) for each in zip(*new, strict=True)))


@pytest.mark.parametrize("option", ROWS)
def test_what_depends_on_an_option_is_made_again_and_nothing_else(option):
    value, made = ROWS[option]
    assert made_by(f"{option}={value}").words() == made.words()


def options_of_the_plan() -> Iterator[str]:
    """Every option of the schema, and of every plug-in of the plan."""
    plan = read_plan(str(written()))
    sections = ("models", "attribution", "metrics", "operators", "reports")
    yield from ({*Plan.model_fields} - {*sections, "training"}) | {"reports"}
    uses = {f"{s}.{label}": (s, use) for s in sections for label, use in getattr(plan, s).items()}
    for where, (kind, use) in {**uses, "training": ("training", plan.training)}.items():
        yield from (f"{where}.{name}" for name in _names(kind, use))


def _names(kind: str, use: Use) -> list[str]:
    plugin = load(kind, use.use, ())
    names = [*harness_fields(plugin), *own_fields(plugin)]
    return [name for name in names if name not in ELSEWHERE.get(kind, ())]


def test_every_option_of_the_plan_has_a_row():
    assert {*options_of_the_plan()} - {*ROWS} == set()


def test_a_seed_that_is_added_is_trained_and_explained_alone():
    assert len(stored("seeds=[0, 3, 5]")) == len(stored()) * 3 // 2
    assert {*stored()} < {*stored("seeds=[0, 3, 5]")}


@pytest.mark.parametrize(
    "change",
    [
        *("attribution.occlusion={}", "operators.different={}", "metrics.lipschitz={}"),
        "controls=[rotated, mean map]",
    ],
)
def test_what_is_added_leaves_all_else_as_it_is(change):
    assert {*stored()} < {*stored(change)}


def test_an_option_of_the_dataset_that_leaves_the_data_alone_makes_nothing_again():
    """Data are known by what they hold, not by what they are called."""
    assert made_by("dataset.fallback={name: planted, train: 60}") == NOTHING
