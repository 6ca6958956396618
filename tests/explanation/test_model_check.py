"""Every kind of model that people brought, and what the check says of it."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests import outside_models as outside
from xaibench.errors import UsageError
from xaibench.explanation import method_trials
from xaibench.explanation.model_check import ModelCheck, ModelFinding, check_model
from xaibench.models.programs import exported_program, torchscript
from xaibench.nn.layers import one_hot
from xaibench.values import Sequences

METHODS = ("saliency", "in_silico_mutagenesis", "deeplift")
LENGTH = 50


def seeded(make: Callable[[], nn.Module]) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        return make()


class Net(nn.Module):
    """``outputs`` numbers of a convolution, a ReLU and a maximum, all modules."""

    def __init__(self, outputs: int = 2, channels: int = 4) -> None:
        super().__init__()
        self.conv, self.relu = nn.Conv1d(channels, 6, 7), nn.ReLU()
        self.pool, self.out = nn.AdaptiveMaxPool1d(1), nn.Linear(6, outputs)

    def features(self, x: Tensor) -> Tensor:
        return self.pool(self.relu(self.conv(x))).squeeze(2)

    def forward(self, x: Tensor) -> Any:
        return self.out(self.features(x))


class Flat(Net):
    """(N,)."""

    def __init__(self) -> None:
        super().__init__(1)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x)[:, 0]


class Joined(Flat):
    """(0, logit)."""

    def forward(self, x: Tensor) -> Tensor:
        z = super().forward(x)
        return torch.stack([torch.zeros_like(z), z], 1)


class Probabilities(Net):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).softmax(1)


class OneProbability(Flat):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).sigmoid()


class Functional(Net):
    def features(self, x: Tensor) -> Tensor:
        return F.max_pool1d(F.relu(self.conv(x)), 4).mean(2)


class EncodesPositionsFirst(Net):
    def encode(self, codes: Tensor) -> Tensor:
        return one_hot(codes).transpose(1, 2)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.transpose(1, 2))


class InDict(Net):
    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"logits": super().forward(x)}


class InTuple(Net):
    def forward(self, x: Tensor) -> tuple[Tensor, None]:
        return super().forward(x), None


class Encoding(Net):
    def encode(self, codes: Tensor) -> Tensor:
        return one_hot(codes)


class StaysInTraining(Net):
    """Batch normalisation that no call of eval() reaches."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(6)

    def train(self, mode: bool = True) -> nn.Module:
        return super().train(True)

    def features(self, x: Tensor) -> Tensor:
        return super().features(self.norm_of(x))

    def norm_of(self, x: Tensor) -> Tensor:
        self.norm(self.conv(x))
        return x


class OfTheBatch(Net):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(6, track_running_stats=False)

    def features(self, x: Tensor) -> Tensor:
        return self.relu(self.norm(self.conv(x))).mean(2)


class FilledUp(Net):
    """The mean of the batch is taken off."""

    def features(self, x: Tensor) -> Tensor:
        features = super().features(x)
        return features - features.mean(0)


class Dropping(Net):
    def features(self, x: Tensor) -> Tensor:
        return F.dropout(super().features(x), 0.5)


class WithoutGradient(Net):
    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x)


class Tied(Net):
    """Two layers share a weight."""

    def __init__(self) -> None:
        super().__init__()
        self.again = nn.Linear(6, 6)
        self.more = nn.Linear(6, 6)
        self.more.weight = self.again.weight

    def features(self, x: Tensor) -> Tensor:
        return self.more(self.again(super().features(x)))


class OfLength(Net):
    """A dense layer over all positions of one length."""

    def __init__(self, length: int) -> None:
        super().__init__()
        self.out = nn.Linear(6 * (length - 6), 2)

    def features(self, x: Tensor) -> Tensor:
        return self.relu(self.conv(x)).flatten(1)


class Viewing(nn.Module):
    """Flattens its input by ``view``, which takes contiguous tensors alone."""

    def __init__(self) -> None:
        super().__init__()
        self.flatten_size, self.out = 4 * LENGTH, nn.Linear(4 * LENGTH, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(x.view(x.size(0), self.flatten_size))


class Squeezing(Net):
    """All axes of size 1 go, the batch among them."""

    def __init__(self) -> None:
        super().__init__(1)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).squeeze()


class Raising(Net):
    def forward(self, x: Tensor) -> Tensor:
        raise KeyError("no {key}\nin {}")


class Exploding(Net):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) / 0 * 0


class Constant(Net):
    """A dead unit: no gradient is other than 0."""

    def features(self, x: Tensor) -> Tensor:
        return super().features(x) * 0


class NotOfN(Net):
    """NaN where a base is unknown."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) / x.sum(1).amin(1)[:, None].clamp(max=1).log().add(1).log1p()


class KerasLike(Flat):
    """(N, L, 4), a sigmoid, and tied weights."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.transpose(1, 2)).sigmoid()[:, None]


def scripted() -> nn.Module:
    return _as_program(torch.jit.script)


def traced() -> nn.Module:
    return _as_program(lambda network: torch.jit.trace(network, torch.zeros(2, 4, LENGTH)))


def _as_program(make: Callable[[nn.Module], Any]) -> nn.Module:
    content = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(make(Net().eval()), content)
    return torchscript(program=content.getvalue())


def exported() -> nn.Module:
    content, batch = io.BytesIO(), torch.export.Dim("batch", max=4096)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        shapes = {"x": {0: batch}}
        program = torch.export.export(
            Net().eval(), (torch.zeros(3, 4, LENGTH),), dynamic_shapes=shapes
        )
        torch.export.save(program, content)
        return exported_program(program=content.getvalue())


class Kind(NamedTuple):
    """A kind of model, the options that it is checked with, and what is found: per finding whether
    it held, and what its sentence says."""

    make: Callable[[], nn.Module]
    options: Mapping[str, Any]
    found: Mapping[str, tuple[bool | None, str]]


SOUND = {
    "output": (True, "logits of 2 classes"),
    "units": (True, "not probabilities"),
    "saliency": (True, "per sequence"),
    "in_silico_mutagenesis": (True, "per sequence"),
}
EVERY = {**SOUND, "deeplift": (True, "per sequence")}
ONE = {**EVERY, "output": (True, "one number per sequence")}
ONE_LOGIT = {**EVERY, "output": (True, r"one logit z for two classes, as \(0, z\)")}

KINDS: dict[str, Kind] = {
    "two logits": Kind(Net, {}, EVERY),
    "one logit (N, 1)": Kind(lambda: Net(1), {}, ONE_LOGIT),
    "one logit (N,)": Kind(Flat, {}, ONE_LOGIT),
    "0 and a logit": Kind(Joined, {}, EVERY),
    "regression": Kind(lambda: Net(1), {"classes": 1}, ONE),
    "five outputs, two classes": Kind(
        lambda: Net(5), {}, {"output": (False, r"expected logits \(N, 2\).*explain.output=0")}
    ),
    "one of five outputs": Kind(lambda: Net(5), {"explain": {"output": 3}}, ONE),
    "softmax inside": Kind(
        Probabilities, {}, {"units": (False, "softmax.*return the input of the softmax")}
    ),
    "sigmoid inside": Kind(OneProbability, {}, {"units": (False, "second class is always")}),
    "sigmoid of a number": Kind(
        OneProbability, {"classes": 1}, {"units": (None, "ends in a sigmoid")}
    ),
    "functions for modules": Kind(Functional, {}, EVERY),
    "encodes (N, L, 4)": Kind(EncodesPositionsFirst, {}, EVERY),
    "dict": Kind(InDict, {}, {"output": (False, "a dict of.*say explain.output=logits")}),
    "part of a dict": Kind(InDict, {"explain": {"output": "logits"}}, EVERY),
    "tuple": Kind(InTuple, {}, {"output": (False, r"a tuple of.*explain.output=0")}),
    "part of a tuple": Kind(InTuple, {"explain": {"output": 0}}, EVERY),
    "encodes (N, 4, L)": Kind(Encoding, {}, {**EVERY, "input": (True, "by its own encode")}),
    "scripted": Kind(scripted, {}, {**SOUND, "deeplift": (None, "it is scripted")}),
    "traced": Kind(traced, {}, {**SOUND, "deeplift": (None, "it is scripted")}),
    "exported": Kind(exported, {}, SOUND),
    "half precision": Kind(
        lambda: Net().half(), {}, {**EVERY, "precision": (None, "float16; explained in float32")}
    ),
    "stays in training mode": Kind(
        StaysInTraining,
        {},
        {
            "evaluation mode": (False, "stays in training mode after eval.*let train"),
            "repeated call": (False, "changes '.*norm.*' when it is called"),
            "methods": (None, "not tried"),
        },
    ),
    "statistics of the batch": Kind(
        OfTheBatch, {}, {"other batches": (False, "depends on what else is in the batch")}
    ),
    "mean of the batch": Kind(
        FilledUp, {}, {"other batches": (False, "normalisation.*over the batch")}
    ),
    "dropout while explaining": Kind(
        Dropping,
        {},
        {
            "repeated call": (False, "is random.*dropout"),
            "other batches": (None, "not known"),
            "methods": (None, "not tried"),
        },
    ),
    "no gradient": Kind(
        WithoutGradient,
        {},
        {
            "gradient": (False, "none reaches the input.*no_grad.*in_silico_mutagenesis"),
            "saliency": (None, "does not apply"),
            "in_silico_mutagenesis": (True, "per sequence"),
        },
    ),
    "tied weights": Kind(Tied, {}, EVERY),
    "for 60 nt": Kind(lambda: OfLength(60), {}, {"input": (False, "runs with length=60")}),
    "for 40 nt": Kind(lambda: OfLength(40), {}, {"input": (False, "runs with length=40")}),
    "at its own length": Kind(
        lambda: OfLength(LENGTH), {}, {**EVERY, "padding": (None, "takes 50 nt alone")}
    ),
    "N as a fifth channel": Kind(
        lambda: Net(2, 5), {}, {"input": (False, "runs with alphabet=ACGTN")}
    ),
    "N as a fifth channel, said": Kind(lambda: Net(2, 5), {"alphabet": "ACGTN"}, EVERY),
    "Keras-like": Kind(KerasLike, {}, {"input": (False, "runs with layout=NL4")}),
    "Keras-like, said": Kind(KerasLike, {"layout": "NL4"}, {"units": (False, "sigmoid")}),
    "flattened by view": Kind(Viewing, {}, EVERY),
    "flattened by view, (N, L, 4)": Kind(Viewing, {"layout": "NL4"}, EVERY),
    "squeezed": Kind(
        Squeezing, {}, {"other batches": (False, r"cannot be called alone: .*one row per sequence")}
    ),
    "raises": Kind(Raising, {}, {"input": (False, "KeyError: .no {key}.*another length")}),
    "NaN": Kind(Exploding, {}, {"finite": (False, "expected finite logits, got nan.*division")}),
    "gradient of zeros": Kind(
        Constant, {}, {"gradient": (False, "0 at every base"), "saliency": (None, "same")}
    ),
    "NaN at N": Kind(NotOfN, {}, {"N": (False, "expected finite logits.*column of zeros")}),
    "no such output": Kind(
        InDict, {"explain": {"output": "logit"}}, {"output": (False, "no output 'logit'.*'logits'")}
    ),
    "no such position": Kind(
        Net, {"explain": {"position": 60}}, {"output": (False, "no position 60.*0 to 2")}
    ),
}


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_a_model_is_found_to_be_what_it_is(kind):
    check = checked(kind)
    for name, (held, sentence) in kind.found.items():
        assert check[name].held is held, check
        assert re.search(sentence, check[name].sentence), check[name]
    assert check.sound == all(held is not False for held, _ in kind.found.values()), check


def checked(kind: Kind, **more: Any) -> ModelCheck:
    options = {"classes": 2, "length": LENGTH, "methods": METHODS, **kind.options, **more}
    return check_model(seeded(kind.make), **options)


@pytest.mark.parametrize(
    ("make", "output", "units"),
    [
        (lambda: Net(1), r"\(N, 1\): one number per sequence, which has no classes", True),
        (Net, r"\(N, 2\): one number per sequence, the second output less the first", True),
        (lambda: Net(3), r"logits of 3 classes; a run on data without labels.*output=0", True),
        (Probabilities, "the second output less the first", False),
    ],
)
def test_without_labels_one_output_is_a_number_and_two_are_their_difference(make, output, units):
    check = check_model(seeded(make), length=LENGTH, methods=["saliency"])
    assert re.search(output, check["output"].sentence), check
    assert check["units"].held is units, check
    labelled = check_model(seeded(make), ["ACGTTGCA" * 4] * 2, labels=[0, 1], methods=[])
    assert "logit" in labelled["output"].sentence


TASKS = {"length": 600}
PROFILE = {"output": "profile", "reduce": "profile"}
AT = {"output": ["profile", 1], "position": [20, 30], "reduce": "sum"}
NUMBER = {**SOUND, "output": (True, "one number per sequence")}

OUTSIDE: dict[str, Kind] = {
    "heads in a dict": Kind(
        outside.ProfileAndCountsByName,
        {},
        {"output": (False, r"explain.output=profile \(or counts")},
    ),
    "counts by name": Kind(
        outside.ProfileAndCountsByName, {"explain": {"output": "counts"}, "classes": 1}, NUMBER
    ),
    "counts by number": Kind(
        outside.ProfileAndCounts, {"explain": {"output": 1}, "classes": 1}, NUMBER
    ),
    "counts by field": Kind(
        outside.ProfileAndCountsInFields, {"explain": {"output": "counts"}, "classes": 1}, NUMBER
    ),
    "profile": Kind(outside.ProfileAndCountsByName, {"explain": PROFILE}, NUMBER),
    "profile of a strand": Kind(outside.ProfileAndCountsByName, {"explain": AT}, NUMBER),
    "profile without a reduction": Kind(
        outside.ProfileAndCounts, {"explain": {"output": 0}}, {"output": (False, "say reduce: sum")}
    ),
    "batch norm and functions": Kind(outside.Normalised, {}, EVERY),
    "logits in a dict": Kind(outside.InDict, {"explain": {"output": "logits"}}, EVERY),
    "five tasks": Kind(outside.FiveTasks, {**TASKS, "explain": {"output": 3}}, NUMBER),
    "five tasks as classes": Kind(
        outside.FiveTasks,
        {**TASKS, "classes": 5},
        {
            **SOUND,
            "output": (True, "logits of 5 classes"),
            "explained": (None, "mean of the others"),
        },
    ),
    "five tasks, another length": Kind(
        outside.FiveTasks, {"classes": 5}, {"input": (False, "length=600")}
    ),
    "one logit": Kind(outside.OneLogit, {}, ONE_LOGIT),
    "regression": Kind(outside.Regression, {"classes": 1}, NUMBER),
    "lstm": Kind(
        outside.Recurrent,
        {},
        {
            **SOUND,
            "deeplift": (None, "no rule for"),
            "deeplift rules": (None, r"lstm \(LSTM\).*rules=\{CLASS: function\}"),
        },
    ),
    "self-attention": Kind(outside.Attending, {}, EVERY),
    "positions first": Kind(outside.PositionsFirst, {"layout": "NL4"}, EVERY),
    "positions first, not said": Kind(
        outside.PositionsFirst, {}, {"input": (False, "runs with layout=NL4")}
    ),
}


@pytest.mark.parametrize("kind", OUTSIDE.values(), ids=OUTSIDE)
def test_an_outside_model_is_explained_or_refused_by_name(kind):
    test_a_model_is_found_to_be_what_it_is(kind)


# Further claims

MOTIF_CODES = [2, 0, 1, 2, 0, 1]


def with_exchanged_channels(letters: str) -> tuple[nn.Module, Sequences]:
    """A network that looks for GACGAC by channels in this order, and labelled sequences."""
    codes = np.random.default_rng(0).integers(0, 4, (60, LENGTH)).astype(np.uint8)
    codes[::2, 20:26] = MOTIF_CODES
    channel = [letters.index(base) for base in "ACGT"]
    network = Net(1)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        for position, base in enumerate(MOTIF_CODES):
            network.conv.weight[0, channel[base], position] = 1.0
        network.conv.bias[0] = -5.0
        network.out.weight[0, 0], network.out.bias[0] = 4.0, -2.0
    labels = (np.arange(60) % 2 == 0).astype(np.int64)
    names = tuple(map(str, range(60)))
    return network, Sequences(codes, labels, names, ("no", "yes"))


def test_channels_in_another_order_are_named_where_labels_tell():
    network, sequences = with_exchanged_channels("GACT")
    channels = check_model(network, sequences, methods=())["channels"]
    assert channels.held is False
    mended = re.search("alphabet=([ACGT]+)", channels.sentence)[1]
    again = check_model(network, sequences, alphabet=mended, methods=())["channels"]
    assert (again.held, again.sentence[:10]) == (True, "accuracy 1")


def test_channels_in_order_are_left_alone():
    network, sequences = with_exchanged_channels("ACGT")
    assert check_model(network, sequences, methods=())["channels"].held is True


def test_a_model_is_left_as_it_was():
    network = seeded(StaysInTraining)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    network.conv.eval()
    network.out.weight.requires_grad_(False)
    check_model(network, length=LENGTH, methods=METHODS)
    assert not network.conv.training
    assert network.training
    assert not network.out.weight.requires_grad
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_a_slow_method_is_broken_off():
    check = check_model(seeded(Net), length=LENGTH, methods=["occlusion"], seconds=-1)
    assert check["occlusion"].held is None
    assert "not tried to its end" in check["occlusion"].sentence
    assert check["methods"].held is False


def test_a_method_that_needs_an_option_is_not_tried(tmp_path):
    own = tmp_path / "needing.py"
    own.write_text("def needing(model, inputs, target, *, width: int):\n    raise SystemExit\n")
    check = check_model(seeded(Net), length=30, methods=["needing"], plugins=(str(own),))
    assert check["needing"].held is None
    assert check["needing"].sentence == "not tried: it needs the option width"


def test_a_method_that_raises_is_not_the_model_s_problem(tmp_path):
    own = tmp_path / "raising.py"
    own.write_text("def raising(model, inputs, target):\n    return 1 / 0\n")
    methods, plugins = ["raising", "saliency"], (str(own),)
    check = check_model(seeded(Net), length=30, methods=methods, plugins=plugins)
    assert check["raising"].sentence == "fails: ZeroDivisionError: division by zero"
    assert check.sound
    assert check["methods"].sentence == "1 that call the model apply"


def test_all_installed_methods_are_tried_by_default():
    check = check_model(seeded(Net), length=30)
    tried = {each.name for each in check.findings if each.of == "method"}
    assert {"lrp", "integrated_gradients", "attention", "random", "grad_cam"} <= tried
    assert check["integrated_gradients"].held is True
    assert "no attention" in check["attention"].sentence


def test_the_page_has_a_line_per_finding_and_the_frame_a_row():
    check = check_model(seeded(Probabilities), classes=2, length=LENGTH, methods=["saliency"])
    first, *lines = str(check).splitlines()
    assert first == "on 8 random sequences of 50 nt"
    assert len(lines) == len(check.findings) == len(check.to_frame())
    assert [line.split()[1] for line in lines if line.startswith("PROBLEM")] == ["units"]
    assert [each.name for each in check.problems] == ["units"]
    frame = check.to_frame().set_index("name")
    assert frame.loc["units", "held"] is False
    assert frame.loc["explained", "held"] is None
    assert repr(check) == str(check)
    assert check._repr_html_().count("<tr") == len(check.findings) + 1


def test_findings_are_looked_up_by_name():
    check = ModelCheck((ModelFinding("input", True, "fine"),), "none")
    assert check["input"].sentence == "fine"
    with pytest.raises(KeyError, match="output"):
        check["output"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"layout": "NLC"}, "layout: expected one of N4L, NL4, N41L, N4L1, N14L, N1L4, got 'NLC'"),
        ({"length": 0}, "length: expected 1 or more"),
        ({"explain": {"outputs": 1}}, "explain: unknown key 'outputs'; did you mean 'output'"),
        ({"sequences": ["ACGT", "AXGT"]}, "expected the letters"),
        ({"sequences": np.zeros((2, 4, 30))}, r"sequences: expected letters, or codes \(N, L\)"),
        ({"sequences": []}, "sequences: expected one or more"),
        ({"labels": [1]}, "labels: expected 8 numbers of classes"),
    ],
)
def test_arguments_that_cannot_be_meant_are_one_line(arguments, message):
    with pytest.raises(UsageError, match=message):
        check_model(seeded(Net), **arguments, methods=())


def test_what_is_no_module_is_named():
    with pytest.raises(UsageError, match=r"expected a torch.nn.Module, got a function"):
        check_model(seeded)  # as a model of another library is


def test_an_alphabet_that_is_none_is_a_finding():
    check = check_model(seeded(Net), length=LENGTH, alphabet="ACGG")
    assert (check["input"].held, len(check.findings)) == (False, 1)
    assert "expected the letters A, C, G and T" in check["input"].sentence


def test_scores_made_elsewhere_are_not_tried():
    loaded, _ = method_trials._loaded(None, ())
    names = {plugin.name for plugin in loaded}
    assert "saliency" in names
    assert "scores" not in names
