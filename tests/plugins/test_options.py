import functools
from inspect import signature
from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import Field

from xaibench.errors import UsageError
from xaibench.plugins.harness_options import Truth, identifying_options, of_harness
from xaibench.plugins.options import resolve, with_paths
from xaibench.plugins.registry import PLUGIN_KINDS, Plugin, available, load
from xaibench.plugins.signatures import fits, supplied, typed
from xaibench.protocols import method as is_method
from xaibench.protocols import metric


def method(
    model,
    inputs,
    target,
    *,
    references,
    steps: Annotated[int, Field(ge=1)] = 50,
    kind: Literal["zero", "uniform"] = "uniform",
    widths: tuple[int, ...] = (3, 5),
    where: Path | None = None,
):
    """Options of every sort."""


PLUGIN = Plugin("attribution", "method", method, "test")


def test_defaults_are_filled_in_as_plain_values():
    options = resolve(PLUGIN, {"steps": 7}, where="here")
    own = {"steps": 7, "kind": "uniform", "widths": [3, 5], "where": None}
    assert options == {"strands": "forward", "sequences": None, **own}


def test_typed_options_are_those_of_the_signature():
    options = typed(PLUGIN, {"where": "a.csv", "sequences": 4, "widths": [9]})
    assert options["where"] == Path("a.csv")
    assert options["widths"] == (9,)
    assert "sequences" not in options


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"steps": 0}, r"here\.steps: input should be greater than or equal to 1, got 0"),
        ({"steps": "50"}, r"here\.steps: input should be a valid integer, got '50'"),
        ({"kind": "none"}, r"here\.kind: input should be 'zero' or 'uniform', got 'none'"),
        ({"setps": 5}, r"here: unknown key 'setps'; did you mean 'steps'\?"),
        ({"references": 5}, "here: unknown key 'references'"),
    ],
)
def test_a_bad_option_is_one_line_with_its_key(given, message):
    with pytest.raises(UsageError, match=message) as caught:
        resolve(PLUGIN, given, where="here")
    assert "\n" not in str(caught.value)


def test_an_option_without_a_default_must_be_given():
    def needy(*, path: str):
        pass

    with pytest.raises(UsageError, match=r"dataset\.path: field required"):
        resolve(Plugin("datasets", "needy", needy, ""), {}, where="dataset")


def test_a_metric_takes_the_options_that_the_harness_understands():
    metric = load("metrics", "substitution_sensitivity")
    assert resolve(metric, {"draws": 7}, where="") == {"sequences": None, "draws": 7, "of": 5}
    assert typed(metric, {"sequences": 4, "draws": 7, "of": 5}) == {"of": 5}


def limiting(*, sequences: int = 5):
    """How it is called says what of."""


@pytest.mark.parametrize(
    ("kind", "call", "name"),
    [
        ("attribution", lambda model, inputs, target, *, strands="both": None, "strands"),
        ("operators", lambda codes, generator, *, sequences="many": None, "sequences"),
        ("models", limiting, "sequences"),
        ("models", lambda *, seeds=(0, 1): None, "seeds"),
        ("datasets", lambda *, truth=None: None, "truth"),
        ("metrics", lambda explained, *, sequences="all": explained, "sequences"),
    ],
)
def test_an_option_called_as_one_of_the_harness_is_refused(kind, call, name):
    with pytest.raises(UsageError, match=f"^mine: its option '{name}' .*expected another name$"):
        resolve(Plugin(kind, "mine", call, ""), {}, where="")


def test_an_option_called_as_one_of_another_kind_is_its_own():
    assert resolve(Plugin("datasets", "mine", limiting, ""), {}, where="")["sequences"] == 5
    assert identifying_options(Plugin("training", "mine", limiting, ""), {"sequences": 5}) == {
        "sequences": 5
    }


@pytest.mark.parametrize("kind", PLUGIN_KINDS)
def test_no_plugin_of_the_package_has_an_option_called_as_one_of_the_harness(kind):
    own = (name for name, point in available(kind).items() if point.value.startswith("xaibench."))
    for plugin in (load(kind, name) for name in own):
        parameters = signature(plugin.call).parameters
        assert not {*of_harness(plugin, {})} & {*parameters}, plugin.name


def test_a_name_supplied_to_one_kind_is_an_option_of_another():
    def dataset(*, data_seed, length: int = 200):
        pass

    assert resolve(Plugin("datasets", "d", dataset, ""), {}, where="")["length"] == 200
    assert resolve(Plugin("models", "d", dataset, ""), {"data_seed": 1}, where="")["data_seed"] == 1


def test_only_what_a_signature_asks_for_is_supplied():
    assert supplied(method, {"references": 1, "codes": 2}) == {"references": 1}


def test_paths_are_found_by_their_annotation():
    options = resolve(PLUGIN, {"where": "data.csv"}, where="here")
    moved = with_paths(PLUGIN, options, lambda path: f"/there/{path}")
    assert moved == {**options, "where": "/there/data.csv"}
    assert with_paths(PLUGIN, {"where": None}, lambda path: path) == {"where": None}


def test_paths_in_the_truth_of_a_dataset_are_found():
    planted = load("datasets", "planted")
    truth = {"sites": "sites.bed", "matrices": None, "speaks_for": "1"}
    moved = with_paths(planted, {"truth": truth}, lambda path: f"/there/{path}")
    assert moved["truth"] == {**truth, "sites": "/there/sites.bed"}
    wrong = {"truth": {"sites": 5}}
    assert with_paths(planted, wrong, lambda path: f"/there/{path}") == wrong


@pytest.mark.parametrize(
    ("truth", "message"),
    [
        ({}, "dataset.truth: expected either motifs or sites"),
        (
            {"motifs": {"CTCF": 1}, "sites": "a.bed"},
            "dataset.truth: expected either motifs or sites",
        ),
        ({"motifs": {"CTCF": 1}, "speaks_for": 1}, "truth: speaks_for says nothing of motifs"),
        ({"sites": "a.bed", "p_value": 0.1}, "dataset.truth: p_value says nothing of sites"),
        ({"motifs": {"CTCF": 1}, "p_value": 0}, "dataset.truth.p_value: .* greater than 0"),
        ({"motif": {"CTCF": 1}}, "dataset.truth: unknown key 'motif'; .*'motifs'"),
    ],
)
def test_a_mistake_in_the_truth_of_a_dataset_is_one_line(truth, message):
    with pytest.raises(UsageError, match=message):
        resolve(load("datasets", "planted"), {"truth": truth}, where="dataset")


def test_the_harness_reads_its_own_options_of_a_dataset():
    planted = load("datasets", "planted")
    given = {"truth": {"motifs": {"CTCF": 1}}, "deduplicated": True}
    ours = of_harness(planted, resolve(planted, given, where="dataset"))
    truth = Truth(motifs={"CTCF": "1"})
    assert ours == {"deduplicated": True, "truth": truth, "fallback": None}


TYPED = """
from __future__ import annotations
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    from torch import Tensor

Width = int

def careful(model: object, inputs: Tensor, target: Tensor, *, width: Width = 3) -> Tensor:
    return inputs

def careless(model, inputs, target, *, width: Tensor = 3):
    return inputs

def nested(model, inputs, target, *, width: list["Tensor"] = ()):
    return inputs

def fancy(model, inputs, target, *, act=print):
    return inputs

"""


@pytest.fixture
def own(tmp_path):
    path = tmp_path / "typed_methods.py"
    path.write_text(TYPED)
    return lambda name: load("attribution", name, (str(path),))


def test_only_the_types_of_options_are_read(own):
    assert resolve(own("careful"), {}, where="")["width"] == 3
    with pytest.raises(UsageError, match="careless: the type of its option 'width' cannot be read"):
        resolve(own("careless"), {}, where="")
    with pytest.raises(UsageError, match="nested: the type of its option 'width' cannot be read"):
        resolve(own("nested"), {}, where="")


def test_the_types_of_a_wrapped_function_are_those_of_its_own_file(own):
    @functools.wraps(own("careful").call)
    def wrapped(*arguments, **options):
        pass

    assert resolve(Plugin("attribution", "w", wrapped, ""), {}, where="")["width"] == 3


def test_an_option_whose_range_has_no_meaning_is_refused():
    def odd(model, inputs, target, *, width: Annotated[int, Field(discriminator="a")] = 3):
        pass

    with pytest.raises(UsageError, match="odd: its options cannot be checked: ") as caught:
        resolve(Plugin("attribution", "odd", odd, ""), {}, where="")
    assert "\n" not in str(caught.value)


def test_a_default_of_another_type_is_refused_before_anything_runs():
    def sloppy(model, inputs, target, *, steps: int = None):  # noqa: RUF013  # the mistake
        pass

    with pytest.raises(UsageError, match=r"here\.steps: input should be a valid integer, got None"):
        resolve(Plugin("attribution", "sloppy", sloppy, ""), {}, where="here")


@pytest.mark.parametrize("name", ["codes", "valid", "references", "generators"])
def test_what_is_supplied_to_a_method_must_be_keyword_only(name):
    space = {}
    exec(f"def hasty(model, inputs, target, {name}=None): pass", space)
    with pytest.raises(UsageError, match=rf"hasty: expected '{name}' after a \* in its signature"):
        resolve(Plugin("attribution", "hasty", space["hasty"], ""), {}, where="here")


class Net:
    def __init__(self, classes, length, *, units=3):
        pass


@metric(family="own", better="higher", range=(0, 1), of="change", change="seed")
def agreement(explained, changed):
    pass


@is_method(signed=False)
def marked(*arguments):
    pass


@pytest.mark.parametrize(
    ("call", "kinds"),
    [
        (method, {"attribution"}),
        (marked, {"attribution"}),
        (agreement, {"metrics"}),
        (Net, {"models"}),
        (lambda codes, generator: codes, {"operators", "training"}),
        (lambda explained: explained, {"metrics", "reports"}),
        (lambda *, data_seed: data_seed, {"datasets", "models"}),
        (lambda one, two, three, four: one, set()),
    ],
)
def test_a_function_fits_the_kinds_that_its_signature_allows(call, kinds):
    assert {kind for kind in PLUGIN_KINDS if fits(Plugin(kind, "own", call, ""))} == kinds


def test_an_option_that_no_plan_can_hold_is_refused(own):
    with pytest.raises(UsageError, match=r"here\.act: expected a value that YAML can hold, got"):
        resolve(own("fancy"), {}, where="here")


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"of": "nothing"}, "of: expected one of"),
        ({"of": "curves", "better": "sideways"}, "better: expected one of"),
        ({"of": "curves", "target": "other"}, "target: expected one of"),
        ({"of": "curves", "invariant": ("sign",)}, "invariant: expected one of"),
        ({"of": "change"}, "expected change= for a metric of='change'"),
        ({"of": "change", "change": "weather"}, "change: expected one of"),
        ({"of": "effects", "effects": "none"}, "effects: expected one of"),
        ({"of": "curves", "effects": "subsets"}, "effects is no fact of a metric of='curves'"),
        ({"of": "explanation", "curve": "imputed"}, "curve is no fact of a metric of='explanation"),
        ({"of": "curves", "curve": "bent"}, "curve: expected one of"),
        ({"of": "curves", "quantities": ()}, "quantities: expected at least one"),
        ({"of": "curves", "quantities": ("logit",)}, "quantities: expected one of"),
        (
            {"of": "curves", "curve": "retrained", "needs_least_relevant_first": True},
            "models are retrained in one order only",
        ),
    ],
)
def test_facts_that_cannot_be_are_rejected(facts, message):
    given = {"family": "own", "better": "higher", "range": (0, 1), **facts}
    with pytest.raises(ValueError, match=message):
        metric(**given)
