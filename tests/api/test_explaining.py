"""Explanations of a module at hand."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import xaibench
from xaibench.artefacts.explanations import REFERENCE_COUNT
from xaibench.dna.shuffling import shuffled_references
from xaibench.errors import NotApplicable, UsageError
from xaibench.explanation.method_call import explain as call_method
from xaibench.nn.adapted import adapted
from xaibench.plugins.registry import load

CODES = np.random.default_rng(0).integers(0, 4, (5, 23)).astype(np.uint8)


class Net(nn.Module):
    """Plain: one-hot ``(N, 4, L)`` -> ``outputs``."""

    def __init__(self, outputs: int = 3) -> None:
        super().__init__()
        self.conv, self.relu, self.norm = nn.Conv1d(4, 6, 5), nn.ReLU(), nn.BatchNorm1d(6)
        self.pool, self.head = nn.AdaptiveMaxPool1d(1), nn.Linear(6, outputs)

    def forward(self, inputs):
        return self.head(self.pool(self.norm(self.relu(self.conv(inputs)))).squeeze(2))


@pytest.fixture
def net():
    return made()


def made(outputs: int = 3) -> Net:
    torch.manual_seed(0)
    return Net(outputs)


def test_the_scores_are_those_of_the_method_itself(net):
    explained = xaibench.explain(net, CODES, method="deeplift", target=1)

    expected = call_method(
        load("attribution", "deeplift").call,
        adapted(net, classes=3, length=23),
        CODES,
        np.full(5, 1),
        options={},
        seed=0,
        component="deeplift",
        references=shuffled_references(CODES, REFERENCE_COUNT, 0),
    )
    np.testing.assert_array_equal(explained.scores, expected.scores)
    np.testing.assert_array_equal(explained.hypothetical, expected.hypothetical)
    assert explained.completeness_error == expected.completeness_error < 1e-4


def test_the_predicted_output_is_explained(net):
    explained = xaibench.explain(net, CODES, method="saliency")
    with torch.no_grad():
        outputs = net.eval()(torch.eye(4)[CODES.astype(int)].transpose(1, 2)).numpy()
    np.testing.assert_allclose(explained.outputs, outputs, rtol=1e-5, atol=1e-6)
    assert explained.targets.tolist() == outputs.argmax(1).tolist()


@pytest.mark.parametrize(
    ("target", "targets"),
    [(2, [2] * 5), ([0, 1, 2, 1, 0], [0, 1, 2, 1, 0]), (torch.tensor([1]), [1] * 5)],
)
def test_a_target_may_be_one_for_all_or_one_each(net, target, targets):
    assert (
        xaibench.explain(net, CODES, method="saliency", target=target).targets.tolist() == targets
    )


def test_a_target_may_be_the_name_of_a_class(net):
    table = pd.DataFrame({"sequence": ["ACGTACGTAC"] * 3, "label": ["no", "up", "why"]})
    explained = xaibench.explain(net, table, method="saliency", target="why")
    assert (explained.targets.tolist(), explained.origin.target_names[2]) == ([2] * 3, "why")


def test_a_single_output_is_explained_itself_and_of_two_classes_it_is_the_logit():
    net = made(1)
    alone = xaibench.explain(net, CODES, method="input_x_gradient")
    second = xaibench.explain(net, CODES, method="input_x_gradient", classes=2, target=1)
    first = xaibench.explain(net, CODES, method="input_x_gradient", classes=2, target=0)
    np.testing.assert_array_equal(alone.scores, second.scores)
    np.testing.assert_array_equal(-alone.scores, first.scores)


def test_which_number_is_explained_is_chosen_by_name_or_by_a_function():
    class Named(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = made(1)

        def forward(self, inputs):
            return {"other": inputs.sum((1, 2)), "counts": self.net(inputs)}

    named = Named()
    expected = xaibench.explain(named.net, CODES, method="saliency").scores
    by_name = xaibench.explain(named, CODES, method="saliency", explain={"output": "counts"})
    by_function = xaibench.explain(
        named, CODES, method="saliency", explain=lambda outputs: outputs["counts"]
    )
    np.testing.assert_array_equal(by_name.scores, expected)
    np.testing.assert_array_equal(by_function.scores, expected)


def test_a_model_of_another_layout_has_the_same_scores(net):
    class Turned(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = net

        def forward(self, inputs):
            return self.net(inputs.transpose(1, 2))

    expected = xaibench.explain(net, CODES, method="saliency").scores
    turned = xaibench.explain(Turned(), CODES, method="saliency", layout="NL4").scores
    np.testing.assert_array_equal(turned, expected)


def test_a_method_may_be_a_function_with_options(net):
    def scaled(model, inputs, target, *, factor: float = 1.0):
        return inputs.sum(1) * factor

    explained = xaibench.explain(net, CODES, method=scaled, factor=3)
    assert (explained.scores == 3).all()
    assert explained.method == "scaled"
    with pytest.raises(UsageError, match="scaled: unknown key 'facter'; did you mean 'factor'"):
        xaibench.explain(net, CODES, method=scaled, facter=3)


def test_methods_of_captum_go_by_their_name(net):
    theirs = xaibench.explain(net, CODES, method="captum.attr:InputXGradient", target=0)
    assert theirs.scores.shape == (5, 23)


def test_both_strands_are_the_mean_of_two_explanations(net):
    def position(model, inputs, target):
        return torch.arange(1.0, 24).expand(len(inputs), -1)

    explained = xaibench.explain(net, CODES, method=position, strands="both")
    np.testing.assert_array_equal(explained.scores, np.full((5, 23), 12))


def test_references_may_be_given(net):
    zeros = np.full((5, 1, 23), 4, np.uint8)
    codes = xaibench.explain(net, CODES, target=0, references=zeros)
    letters = xaibench.explain(net, CODES, target=0, references=[["N" * 23]] * 5)
    np.testing.assert_array_equal(codes.scores, letters.scores)
    assert not np.array_equal(codes.scores, xaibench.explain(net, CODES, target=0).scores)
    with pytest.raises(UsageError, match="saliency takes none"):
        xaibench.explain(net, CODES, method="saliency", references=zeros)
    with pytest.raises(UsageError, match=r"expected \(5, K, 23\), got 5 of 7 positions"):
        xaibench.explain(net, CODES, references=zeros[:, :, :7])


def test_the_model_is_left_as_found(net):
    net.train()
    net.norm.eval()
    net.conv.weight.requires_grad_(False)
    net.head.bias.grad = torch.ones(3)
    state = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    for method in ("deeplift", "lrp", "integrated_gradients", "gradient_shap"):
        xaibench.explain(net, CODES, method=method)
    assert torch.rand(1) == expected
    assert net.training
    assert not net.norm.training
    assert not net.conv.weight.requires_grad
    assert net.head.weight.requires_grad
    assert torch.equal(net.head.bias.grad, torch.ones(3))
    assert all(torch.equal(state[name], tensor) for name, tensor in net.state_dict().items())
    assert not any(module._forward_hooks for module in net.modules())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "deeplft"}, "no attribution named 'deeplft'; did you mean 'deeplift'"),
        ({"method": "occlusion", "windw": 3}, "unknown key 'windw'; did you mean 'window'"),
        ({"method": "occlusion", "window": -1}, "occlusion.window: "),
        ({"method": 3}, "attribution: expected a name or a function, got 3"),
        ({"strands": "bth"}, "deeplift.strands: "),
        ({"target": 3}, "target: expected an output below 3, got 3"),
        ({"target": [0, 1]}, "target: expected 1 or 5, got 2"),
        ({"target": "predcted"}, "did you mean 'predicted'"),
        ({"layout": "N4"}, "layout: expected one of N4L, NL4, N41L, N4L1, N14L, N1L4, got 'N4'"),
        ({"alphabet": "ACG"}, "alphabet: expected the letters A, C, G and T"),
        ({"explain": {"outpt": 1}}, "unknown key 'outpt'; did you mean 'output'"),
        ({"explain": {"output": 7}}, "no output 7 in a tensor"),
        ({"explain": {"function": "mine"}}, "expected the function itself, got its name 'mine'"),
    ],
)
def test_a_mistake_is_one_line(net, options, message):
    with pytest.raises(UsageError, match=message) as caught:
        xaibench.explain(net, CODES, **options)
    assert "\n" not in str(caught.value)


def test_what_is_no_module_or_raises_is_one_line(net):
    with pytest.raises(UsageError, match=r"expected a torch.nn.Module, got a function"):
        xaibench.explain(lambda inputs: inputs, CODES)
    with pytest.raises(UsageError, match=r"model: RuntimeError: .* \(raised by forward in eval"):
        xaibench.explain(nn.Sequential(nn.Flatten(), nn.Linear(7, 2)), CODES)
    with pytest.raises(NotApplicable, match="the model has no attention"):
        xaibench.explain(net, CODES, method="attention")


def test_a_table_has_a_row_for_each_position(net):
    explained = xaibench.explain(net, ["ACGTNACG", "TTTTTT"], method="saliency", target=2)
    frame = explained.to_frame()
    assert len(frame) == 14
    assert "".join(frame.loc[frame["sequence"] == "row 0", "base"]) == "ACGTNACG"
    np.testing.assert_array_equal(frame["score"].to_numpy()[:8], explained.scores[0])
    assert set(frame["target"]) == {"2"}


def test_a_notebook_shows_a_table_of_a_few_and_escapes_names(net):
    table = pd.DataFrame({"sequence": ["ACGTACGT"] * 12, "name": [f"<b>{i}" for i in range(12)]})
    page = xaibench.explain(net, table, method="saliency")._repr_html_()
    assert "12 sequences, the first 10" in page
    assert page.count("<tr") == 11
    assert "<b>" not in page
    assert "&lt;b&gt;3" in page


def test_a_logo_is_the_reports(net):
    explained = xaibench.explain(net, CODES, method="saliency")
    figure = explained.plot("row 3")
    assert any("row 3" in text.get_text() for text in figure.texts)
    assert len(figure.axes) == 1
    with pytest.raises(UsageError, match="no sequence named 'row 9'; did you mean"):
        explained.plot("row 9")
    with pytest.raises(UsageError, match="row: expected one below 5, got 5"):
        explained.plot(5)


def test_explanations_are_saved_as_files_of_other_tools(net, tmp_path):
    explained = xaibench.explain(net, CODES)
    explained.save(tmp_path, ["scores", "modisco"])
    with np.load(tmp_path / "shap.npz") as saved:
        np.testing.assert_array_equal(saved["arr_0"], explained.hypothetical)
    with pytest.raises(UsageError, match="did you mean 'modisco'"):
        explained.save(tmp_path, ["modisc"])


def test_rows_can_be_taken(net):
    some = xaibench.explain(net, CODES, method="saliency").take(np.array([3, 0]))
    assert (len(some), some.names, type(some)) == (2, ("row 3", "row 0"), xaibench.Explanations)
