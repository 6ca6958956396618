"""Weights that are there already: every way in which they are saved, and what is no such file."""

import io
import pickle
import warnings
import zipfile

import pytest
import torch
from safetensors.torch import load as load_safetensors
from safetensors.torch import save
from torch import nn

from tests import unusual_models as unusual
from xaibench.artefacts.networks import saved_weights
from xaibench.errors import UsageError
from xaibench.nn.weights import load_into, program_kind, read_state, without_prefix


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(4, 6, 3)
        self.head = nn.Linear(6, 2)

    def forward(self, inputs):
        return self.head(self.conv(inputs).amax(2))


STATE = Net().state_dict()


def saved(value, **options) -> bytes:
    file = io.BytesIO()
    torch.save(value, file, **options)
    return file.getvalue()


def archive(*names: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as opened:
        for name in names:
            opened.writestr(name, "")
    return file.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        save(STATE),
        saved(STATE),
        saved(STATE, _use_new_zipfile_serialization=False),
        saved({"epoch": 7, "state_dict": STATE, "optimizer": {"lr": 0.1}}),
        saved({"model_state_dict": STATE}),
        saved({"model": STATE, "step": 3}),
        saved({"epoch": 2, "generator": STATE, "optimizer": {"state": {}, "param_groups": []}}),
        saved({"ema": {"mean": torch.zeros(3)}, "state_dict": STATE}),
    ],
)
def test_a_state_dict_is_read_from_every_file_that_holds_one(content):
    state = read_state(content, "fold0.pt")
    assert state.keys() == STATE.keys()
    assert all(torch.equal(state[name], STATE[name]) for name in STATE)


class Mark:
    """Unpickling it would leave a mark."""

    def __reduce__(self):
        return (pytest.fail, ("code of the file was run",))


def test_a_safetensors_file_may_begin_as_a_pickle_does():
    """Its first bytes are the length of its header: 640 is 80 02."""
    content = save({"a": torch.zeros(1)}, metadata={"m": "x" * 1000})
    length = 0x280 - (int.from_bytes(content[:8], "little") - 1000)
    content = save({"a": torch.zeros(1)}, metadata={"m": "x" * length})
    assert content.startswith(b"\x80\x02")
    assert read_state(content, "fold0.safetensors").keys() == {"a"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (saved(Net()), "holds a pickled .*Net, which runs code when it is read; load it where"),
        (saved({"state_dict": STATE, "hook": Mark()}), "which runs code when it is read"),
        (pickle.dumps(Mark(), protocol=2), "which runs code when it is read"),
        (
            saved({"epoch": 3, "lr": 0.1}),
            "expected a state dict, got a checkpoint of 'epoch', 'lr'",
        ),
        (saved(STATE)[:-200], "cannot be read as torch.save writes it; is it cut short"),
        (save(STATE)[:-5], "got neither, or a file cut short"),
        (b"", "got neither, or a file cut short"),
        (
            b"\x89HDF\r\n\x1a\n" + bytes(9),
            "is a file of Keras, .* KERAS_BACKEND=torch",
        ),
        (archive("config.json", "model.weights.h5"), "is a file of Keras"),
        (saved(torch.ones(3)), "expected a state dict, got a Tensor: save model.state_dict"),
    ],
)
def test_what_is_no_state_dict_is_said_with_the_mend(content, message):
    with pytest.raises(UsageError, match=message):
        read_state(content, "fold0.pt")


def scripted() -> bytes:
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # people have such files all the same
        torch.jit.save(torch.jit.trace(Net(), torch.zeros(3, 4, 7)), file)
    return file.getvalue()


def exported() -> bytes:
    file = io.BytesIO()
    rows = {"inputs": {0: torch.export.Dim("rows")}}
    torch.export.save(
        torch.export.export(Net(), (torch.zeros(3, 4, 7),), dynamic_shapes=rows), file
    )
    return file.getvalue()


def test_a_program_is_told_from_weights():
    assert program_kind(scripted()) == "torchscript"
    assert program_kind(exported()) == "exported_program"
    assert program_kind(saved(STATE)) == ""
    with pytest.raises(
        UsageError, match="is a whole program, not weights; name it with use: torch"
    ):
        read_state(scripted(), "net.pt")


def test_weights_go_into_a_network():
    network = Net()
    load_into(network, STATE, "fold0.pt")
    assert torch.equal(network.head.weight, STATE["head.weight"])


def test_a_prefix_is_taken_off():
    wrapped = {f"module.{name}": value for name, value in STATE.items()}
    assert list(without_prefix(wrapped, "module.", "fold0.pt")) == list(STATE)
    with pytest.raises(UsageError, match=r"no weight begins with 'model.'; the first is 'module"):
        without_prefix(wrapped, "model.", "fold0.pt")


def test_what_a_trainer_keeps_beside_the_network_is_left_out_with_its_prefix():
    trained = {f"model.{name}": value for name, value in STATE.items()}
    kept = {"n_averaged": torch.tensor(3), **trained, "loss.pos_weight": torch.ones(2)}
    with pytest.raises(UsageError, match=r"missing 'conv.weight'.*say strip_prefix: 'model.'"):
        load_into(Net(), kept, "last.ckpt")
    assert list(without_prefix(kept, "model.", "last.ckpt")) == list(STATE)
    del kept["model.head.weight"]
    with pytest.raises(UsageError, match=r"2 more$"):
        load_into(Net(), kept, "last.ckpt")


def test_names_that_do_not_fit_are_listed_with_the_prefix_that_mends_them():
    wrapped = {f"module.{name}": value for name, value in STATE.items()}
    with pytest.raises(
        UsageError,
        match=r"missing 'conv.weight', 'conv.bias', 'head.weight' and 1 more; "
        r"unexpected 'module.conv.weight'.* and 1 more; say strip_prefix: 'module.'",
    ):
        load_into(Net(), wrapped, "fold0.pt")


def test_shapes_that_do_not_fit_are_said():
    other = {**STATE, "head.weight": torch.zeros(5, 6)}
    with pytest.raises(UsageError, match=r"'head.weight' is \(5, 6\) in the file and \(2, 6\) in"):
        load_into(Net(), other, "fold0.pt")


def test_of_several_unknown_state_dicts_none_is_chosen():
    content = saved({"generator": STATE, "critic": STATE})
    with pytest.raises(UsageError, match="a checkpoint of 'generator', 'critic', several state"):
        read_state(content, "fold0.pt")


@pytest.mark.parametrize("prefix", ["module.", "model.", "_orig_mod.", "net.encoder."])
def test_the_prefix_of_a_wrapper_is_named_and_taken_off(prefix):
    wrapped = {prefix + name: tensor for name, tensor in STATE.items()}
    with pytest.raises(UsageError, match=f"strip_prefix: '{prefix}'"):
        load_into(Net(), wrapped, "fold0.pt")
    load_into(network := Net(), without_prefix(wrapped, prefix, "fold0.pt"), "fold0.pt")
    assert torch.equal(network.conv.weight, STATE["conv.weight"])


@pytest.mark.parametrize(
    "make",
    [
        unusual.Lazy,
        unusual.TiedLayers,
        unusual.Parametrised,
        unusual.HookedNorms,
        unusual.NonPersistentBuffer,
        unusual.InTrainingMode,
        lambda: unusual.Plain().double(),
        lambda: unusual.Plain().half(),
    ],
)
def test_unusual_networks_are_the_same_after_their_weights_went_through_files(make):
    network, inputs = make(), torch.eye(4)[torch.arange(2 * unusual.LENGTH).view(2, -1) % 4]
    inputs = inputs.transpose(1, 2).to(next(iter(network.state_dict().values())).dtype)
    network(inputs)  # a lazy one has its weights from here on
    expected = network.eval()(inputs)
    read = make()
    load_into(read, read_state(saved(network.state_dict()), "fold0.pt"), "fold0.pt")
    stored = make()  # as a run keeps and restores it
    stored.load_state_dict(load_safetensors(saved_weights(read)))
    assert torch.equal(stored.eval()(inputs), expected)
