"""Whole programs: what comes of a file is the network that was saved, and it can be explained."""

import io
import warnings

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from xaibench.errors import UsageError
from xaibench.explanation.method_call import explain
from xaibench.models.programs import exported_program, torchscript
from xaibench.nn.adapted import adapted
from xaibench.nn.checks.operations import traced
from xaibench.plugins.registry import load


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(4, 6, 3)
        self.head = nn.Linear(6, 1)

    def forward(self, inputs):
        return self.head(functional.relu(self.conv(inputs)).amax(2))


CODES = np.random.default_rng(0).integers(0, 4, (5, 11)).astype(np.uint8)
TARGETS = np.ones(5, np.int64)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return Net().eval()


def scripted(network) -> bytes:
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # people have such files all the same
        torch.jit.save(torch.jit.script(network), file)
    return file.getvalue()


def exported(network) -> bytes:
    file = io.BytesIO()
    rows = ({0: torch.export.Dim("rows")},)
    torch.export.save(
        torch.export.export(network, (torch.zeros(3, 4, 11),), dynamic_shapes=rows), file
    )
    return file.getvalue()


@pytest.mark.parametrize(
    ("load_program", "save"), [(torchscript, scripted), (exported_program, exported)]
)
@pytest.mark.parametrize("method", ["saliency", "integrated_gradients", "in_silico_mutagenesis"])
def test_a_program_is_explained_as_the_network_that_was_saved(network, load_program, save, method):
    program = load_program(program=save(network))
    of_both = [
        explain(
            load("attribution", method).call,
            adapted(each, classes=2, length=11),
            CODES,
            TARGETS,
            options={},
            seed=0,
            component=method,
        ).scores
        for each in (network, program)
    ]
    np.testing.assert_allclose(*of_both, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("load_program", [torchscript, exported_program])
@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut short"])
def test_a_file_that_is_no_program_is_said(load_program, content):
    with pytest.raises(UsageError, match=r"expected a program as torch\.(jit|export)\.save writes"):
        load_program(program=content)


def test_the_pass_of_a_compiled_network_is_recorded_and_the_recording_is_not_compiled():
    network = nn.Sequential(Net(), nn.Softmax(1)).eval()
    compiled = torch.compile(network, backend="eager")
    inputs = torch.randn(3, 4, 11)
    with torch.no_grad():
        compiled(inputs)
        before = dict(torch._dynamo.utils.counters["frames"])
        outputs, trace = traced(lambda: compiled(inputs))
        assert torch.equal(outputs, network(inputs))
    assert trace.last == "_softmax"
    assert dict(torch._dynamo.utils.counters["frames"]) == before
