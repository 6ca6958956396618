"""Rules of a user's own for DeepLIFT and LRP: known answers, from Python and from plug-in files,
and what is rejected, with the names of rule and layer."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import toy
from torch import Tensor, nn

from xaibench.attribution import deeplift_rules, lrp_rules
from xaibench.attribution.deeplift import deeplift
from xaibench.attribution.lrp import lrp
from xaibench.cli import main as command_line
from xaibench.errors import NotApplicable, RuleError, UsageError
from xaibench.explanation.method_call import Explanation, explain
from xaibench.plugins.options import resolve
from xaibench.plugins.registry import load

CODES = toy.sequences()
REFERENCES = toy.random_references(CODES)
TARGETS = np.array([0, 1, 1])
PAGE = (Path(__file__).parents[2] / "docs" / "attribution.md").read_text()
FILES = dict(re.findall(r"^```python\n# (\w+\.py)\n(.*?)^```$", PAGE, flags=re.M | re.S))


class Square(nn.Module):
    def forward(self, values: Tensor) -> Tensor:
        return values * values


class Doubled(nn.ReLU):
    """A subclass that computes something else."""

    def forward(self, values: Tensor) -> Tensor:
        return 2 * super().forward(values)


class Gated(nn.Module):
    """A module with parts, of which one has no rule of ours."""

    def __init__(self) -> None:
        super().__init__()
        self.relu, self.square = nn.ReLU(), Square()
        self.scale = nn.Parameter(torch.tensor(0.5))

    def forward(self, values: Tensor, power: int = 1) -> Tensor:
        squared: Tensor = self.scale * self.square(self.relu(values))
        return squared**power


def slope(call: Any) -> Any:
    (values,) = call.inputs
    return lambda multipliers: (multipliers * (values[:, :1] + values),)


def surrogate(propagation: Any, call: Any) -> Tensor:
    (values,) = call.inputs
    held: Tensor = values.detach()
    return values * held


def model(layer: nn.Module) -> Any:
    return toy.network(nn.Conv1d(4, 6, 5), nn.Tanh(), layer).double()


def explained(method: Any, layer: nn.Module, rules: Any, **options: Any) -> Explanation:
    return explain(
        method,
        model(layer),
        CODES,
        TARGETS,
        options={"rules": rules, **options},
        seed=0,
        component="attribution",
        references=REFERENCES if method is deeplift else None,
    )


class Functional(toy.Toy):
    """The same square as a product of two tensors, which has its rule outside of modules."""

    def forward(self, inputs: Tensor) -> Tensor:
        features = self.body[1](self.body[0](inputs))
        logits: Tensor = self.body[3:](features * features)
        return logits


@pytest.mark.parametrize("layer", [Square, "Square"])
def test_the_slope_of_a_square_is_the_product_rule(layer: Any) -> None:
    answer = explained(deeplift, Square(), {layer: slope})
    assert answer.completeness_error <= 1e-10
    expected = explain(
        deeplift,
        Functional(model(Square()).body).double(),
        CODES,
        TARGETS,
        options={},
        seed=0,
        component="attribution",
        references=REFERENCES,
    )
    np.testing.assert_allclose(answer.scores, expected.scores, rtol=1e-6, atol=1e-9)
    by_secant = explained(deeplift, Square(), {layer: deeplift_rules.secant})
    np.testing.assert_allclose(answer.scores, by_secant.scores, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("rule", ["epsilon", "gamma", "z_plus"])
@pytest.mark.parametrize("layer", [Square, "Square"])
def test_the_relevance_of_a_square_is_handed_on_whole(layer: Any, rule: str) -> None:
    """As by the rule of activations, for a square is 0 at 0."""
    answer = explained(lrp, Square(), {layer: surrogate}, rule=rule)
    assert answer.completeness_error <= 1e-10
    expected = explained(lrp, Square(), {layer: lrp_rules.activation}, rule=rule)
    np.testing.assert_allclose(answer.scores, expected.scores, rtol=1e-6, atol=1e-9)
    assert np.abs(answer.scores).max() > 1e-3


def test_a_users_rule_goes_before_ours() -> None:
    calls = []

    def relu(call: Any) -> Any:
        calls.append(type(call.module))
        return deeplift_rules.secant(call)

    answer = explained(deeplift, nn.ReLU(), {nn.ReLU: relu})
    np.testing.assert_array_equal(answer.scores, explained(deeplift, nn.ReLU(), {}).scores)
    assert calls == [nn.ReLU]

    def proportional(propagation: Any, call: Any) -> Tensor:
        calls.append(type(call.module))
        return lrp_rules.activation(propagation, call)

    answer = explained(lrp, nn.ReLU(), {"ReLU": proportional})
    np.testing.assert_allclose(answer.scores, explained(lrp, nn.ReLU(), {}).scores, rtol=1e-12)
    assert calls == [nn.ReLU, nn.ReLU]


@pytest.mark.parametrize(
    ("method", "rule"), [(deeplift, deeplift_rules.secant), (lrp, lrp_rules.activation)]
)
def test_a_subclass_of_a_layer_that_we_know_has_no_rule_until_it_is_given_one(
    method: Any, rule: Any
) -> None:
    with pytest.raises(
        NotApplicable, match=rf"{method.__name__} has no rule for body\.2 \(Doubled\)"
    ):
        explained(method, Doubled(), {nn.ReLU: rule})
    assert explained(method, Doubled(), {Doubled: rule}).completeness_error <= 1e-10


@pytest.mark.parametrize(
    ("method", "rule"), [(deeplift, deeplift_rules.secant), (lrp, lrp_rules.activation)]
)
def test_parts_of_a_module_with_a_rule_run_as_they_are(method: Any, rule: Any) -> None:
    with pytest.raises(NotApplicable, match=r"no rule for body\.2"):
        explained(method, Gated(), {})
    layer = Gated()
    handles = [len(module._forward_hooks) for module in layer.modules()]
    assert explained(method, layer, {Gated: rule}).completeness_error <= 1e-10
    assert [len(module._forward_hooks) for module in layer.modules()] == handles


@pytest.mark.parametrize("method", [deeplift, lrp])
def test_the_refusal_says_how_to_give_a_rule(method: Any) -> None:
    name = method.__name__
    message = rf"{name} has no rule for body\.2 \(Square\); .* {name}\(\.\.\., rules=\{{'Square': "
    with pytest.raises(NotApplicable, match=message):
        explained(method, Square(), {})


def _raises(*arguments: Any) -> Any:
    raise RuntimeError("no such thing")


def _too_few(call: Any) -> Any:
    return lambda multipliers: (multipliers[:, :, :, :3],)


def _no_tuple(call: Any) -> Any:
    return lambda multipliers: multipliers


def _gradient(call: Any) -> Any:
    """Of the input alone, which keeps no sum."""
    return lambda multipliers: (multipliers * 2 * call.inputs[0][:, :1],)


def _not_a_number(call: Any) -> Any:
    return lambda multipliers: (multipliers * float("nan"),)


def _late(call: Any) -> Any:
    return _raises


def _no_function(call: Any) -> Any:
    return call.output


SAYS = r"deeplift: the rule {} for body\.2 \(Square\){}"


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (_raises, " failed: RuntimeError: no such thing"),
        (_late, " failed: RuntimeError: no such thing"),
        (_no_function, " failed: TypeError: 'Tensor' object is not callable"),
        (_too_few, r": expected a tuple of tensors \[\(3, 6, 1, 6, 19\)\], got \[\(3, 6, 1, 3, 19"),
        (_no_tuple, r": expected a tuple of tensors .*, got no tuple: \(3, 6, 1, 6, 19\)"),
        (_gradient, " does not keep the sum: expected contributions of the inputs of "),
        (_not_a_number, " does not keep the sum: .* got nan"),
    ],
)
def test_a_wrong_rule_of_deeplift_is_rejected_by_name(rule: Any, message: str) -> None:
    with pytest.raises(RuleError, match=SAYS.format(rule.__name__, message)):
        explained(deeplift, Square(), {Square: rule})


def _too_short(propagation: Any, call: Any) -> Tensor:
    return surrogate(propagation, call)[:, :3]


def _constant(propagation: Any, call: Any) -> Tensor:
    return surrogate(propagation, call).detach()


def _plain_gradient(propagation: Any, call: Any) -> Tensor:
    """Twice the relevance."""
    return call.inputs[0] ** 2


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (_raises, " failed: RuntimeError: no such thing"),
        (_too_short, r": expected a tuple of tensors \[\(3, 6, 19\)\], got \[\(3, 3, 19\)\]"),
        (_constant, ": expected a surrogate that depends on the inputs"),
        (_plain_gradient, " does not keep the sum: expected contributions of the inputs of "),
    ],
)
def test_a_wrong_rule_of_lrp_is_rejected_by_name(rule: Any, message: str) -> None:
    with pytest.raises(
        ValueError, match=SAYS.replace("deeplift", "lrp").format(rule.__name__, message)
    ):
        explained(lrp, Square(), {Square: rule})


@pytest.mark.parametrize("method", [deeplift, lrp])
def test_a_rule_may_say_that_it_does_not_apply(method: Any) -> None:
    def picky(*arguments: Any) -> Any:
        raise NotApplicable("squares of negative features")

    with pytest.raises(NotApplicable, match=r"^squares of negative features$"):
        explained(method, Square(), {Square: picky})


@pytest.mark.parametrize("method", [deeplift, lrp])
@pytest.mark.parametrize("rules", [{Square: "secant"}, {3: slope}, {Tensor: slope}, [slope]])
def test_what_is_no_rule_for_a_class_is_rejected(method: Any, rules: Any) -> None:
    with pytest.raises(TypeError, match=rf"{method.__name__}: expected rules of the form \{{class"):
        explained(method, Square(), rules)


@pytest.mark.parametrize("method", [deeplift, lrp])
def test_a_rule_is_for_a_module_that_gives_one_tensor(method: Any) -> None:
    class Pair(nn.Module):
        def forward(self, values: Tensor) -> tuple[Tensor, Tensor]:
            return values * 2, values * 3

    class Added(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.pair = Pair()

        def forward(self, values: Tensor) -> Tensor:
            one, other = self.pair(values)
            return one + other

    with pytest.raises(
        NotApplicable, match=r"body\.2\.pair \(Pair\) gives more than the one tensor"
    ):
        explained(method, Added(), {Pair: slope})


def test_rules_are_no_option_of_a_plan() -> None:
    for name in ("deeplift", "lrp"):
        plugin = load("attribution", name)
        assert "rules" not in resolve(plugin, {}, where=name)
        with pytest.raises(UsageError, match=f"{name}: unknown key 'rules'"):
            resolve(plugin, {"rules": {}}, where=name)


def test_an_edited_rule_is_another_method(tmp_path: Path) -> None:
    versions = []
    for number, text in enumerate(("x^2 as x times a constant", "x^2 as a constant times x")):
        (tmp_path / str(number)).mkdir()
        file = tmp_path / str(number) / "my_rules.py"
        file.write_text(FILES["my_rules.py"].replace("x^2 as x times a constant", text))
        versions.append(load("attribution", "deeplift_of_squares", (str(file),)).code)
    assert versions[0] != versions[1]


def test_the_rules_of_the_page_explain_its_model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, text in FILES.items():
        Path(name).write_text(text)
    Path("plan.yaml").write_text(
        "dataset: {name: planted, train: 64, test: 20, length: 40}\nseeds: [0]\n"
        "training: {epochs: 1}\nmodels: [Squares]\nsequences: 6\nmetrics: [auprc]\n"
        "attribution:\n  ours: {use: deeplift}\n  deeplift: {use: deeplift_of_squares}\n"
        "  lrp: {use: lrp_of_squares, rule: z_plus}\n"
        "controlled: 6\nreports: [markdown]\n"
    )
    plugins = [word for name in FILES for word in ("--plugin", name)]
    monkeypatch.setattr("sys.argv", ["xaibench", "run", "plan.yaml", "-o", "run", *plugins])
    with pytest.raises(SystemExit, match="0"):
        command_line()
    records = pd.read_parquet("run/results.parquet")
    made = records[records.metric == "auprc"].groupby("method").status.unique()
    assert made["deeplift"].tolist() == made["lrp"].tolist() == ["ok"]
    (reason,) = records[records.method == "ours"].reason.unique()
    assert "deeplift has no rule for features.2 (Square)" in reason
    errors = pd.read_csv("run/cost.csv").set_index("method").completeness_error
    assert errors["deeplift"] < 1e-5
    assert errors["lrp"] < 1e-5
