"""A training that is killed and goes on gives the weights of one that was left in peace."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from xaibench.data.splitting import cut_validation
from xaibench.data.synthetic.planted import planted
from xaibench.models import checkpoints, training
from xaibench.models.attngen import AttnGen
from xaibench.models.checkpoints import STATE_FILE
from xaibench.models.cnn import CNN
from xaibench.models.masking import Masking
from xaibench.models.training import supervised
from xaibench.values import Splits

EPOCHS = 4


class Killed(BaseException):
    """No Exception, as a kill is none."""


@pytest.fixture(scope="module")
def splits():
    return data()


def data():
    whole = planted(data_seed=0, train=100, test=20, length=30)
    train, validation = cut_validation(whole.train, 0.2, 0)
    return Splits(train, whole.test, validation)


def fresh(architecture=AttnGen, **masking):
    torch.manual_seed(3)
    masking = {"ratio": 0.4, "warm_up": 1, "ramp": 2, **masking}
    sizes = {"classes": 2, "length": 30, "filters": (5,), "kernels": (19,)}
    return architecture(**sizes, masking=Masking(**masking))


def train(network, splits, folder, *, progress=lambda *_: None, **options):
    options = {"epochs": EPOCHS, "batch_size": 16, **options}
    return supervised(network, splits, seed=7, progress=progress, checkpoint=folder, **options)


def without_seconds(history):
    rows = [{name: row[name] for name in row if name != "seconds"} for row in history]
    return str(rows)  # NaN is NaN


ARMS = {
    "attngen": (lambda: fresh(), {}),
    "adaptive": (lambda: fresh(shape="adaptive"), {"keep": "best_masked"}),
    "saliency guided": (lambda: fresh(CNN, policy="low_gradient"), {"precision": "bfloat16"}),
    "turned": (lambda: fresh(CNN, policy="random"), {"reverse_complement": True, "keep": "last"}),
    "patient": (lambda: fresh(), {"patience": 1, "schedule": "constant", "learning_rate": 0.5}),
}


@pytest.mark.parametrize(("network", "options"), ARMS.values(), ids=ARMS)
@pytest.mark.parametrize("at", range(1, EPOCHS + 1))
def test_killed_after_any_epoch_it_gives_the_same_weights_to_the_bit(
    at, network, options, splits, tmp_path
):
    undisturbed = network()
    history = train(undisturbed, splits, None, **options)

    def kill(epoch, epochs, row):
        if epoch == at:
            raise Killed

    if at > len(history):
        pytest.skip("it stops before")
    with pytest.raises(Killed):
        train(network(), splits, tmp_path / "here", progress=kill, **options)
    resumed = network()
    torch.manual_seed(99)  # another process is in another state
    again = train(resumed, splits, tmp_path / "here", **options)
    state = resumed.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in undisturbed.state_dict().items())
    assert without_seconds(again) == without_seconds(history)


@pytest.mark.parametrize("step", [1, 4, 7, 16, 19])
def test_killed_within_an_epoch_it_repeats_that_epoch(step, splits, tmp_path):
    undisturbed = fresh()
    train(undisturbed, splits, None)
    cut, passes = fresh(), 0

    def kill(module, arguments):
        nonlocal passes
        passes += module.training
        if passes == step:
            raise Killed

    handle = cut.classify.register_forward_pre_hook(kill)
    with pytest.raises(Killed):
        train(cut, splits, tmp_path / "here")
    handle.remove()
    resumed = fresh()
    told = []
    train(resumed, splits, tmp_path / "here", progress=lambda epoch, *_: told.append(epoch))
    assert told == list(range((step - 1) // 5 + 1, EPOCHS + 1))
    assert all(
        torch.equal(value, resumed.state_dict()[name])
        for name, value in undisturbed.state_dict().items()
    )


def test_a_process_that_is_really_killed_loses_nothing_but_its_epoch(splits, tmp_path):
    """SIGKILL from within, at the second epoch; the rest is done here."""
    code = f"""
import os, signal, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
import test_checkpoints as here
from pathlib import Path

def kill(epoch, epochs, row):
    if epoch == 2:
        os.kill(os.getpid(), signal.SIGKILL)

here.train(here.fresh(), here.data(), Path({str(tmp_path / "here")!r}), progress=kill)
"""
    ended = subprocess.run([sys.executable, "-c", code], env=os.environ, check=False)
    assert ended.returncode == -signal.SIGKILL
    undisturbed, resumed = fresh(), fresh()
    history = train(undisturbed, splits, None)
    told = []
    again = train(resumed, splits, tmp_path / "here", progress=lambda e, *_: told.append(e))
    assert told == [3, 4]
    assert without_seconds(again) == without_seconds(history)
    assert all(
        torch.equal(value, resumed.state_dict()[name])
        for name, value in undisturbed.state_dict().items()
    )


def test_half_a_file_beside_the_whole_one_does_no_harm(splits, tmp_path):
    def kill(epoch, epochs, row):
        if epoch == 2:
            raise Killed

    with pytest.raises(Killed):
        train(fresh(), splits, tmp_path, progress=kill)
    whole = (tmp_path / STATE_FILE).read_bytes()
    (tmp_path / f".making-{STATE_FILE}").write_bytes(whole[: len(whole) // 2])
    undisturbed, resumed = fresh(), fresh()
    train(undisturbed, splits, None)
    train(resumed, splits, tmp_path)
    assert torch.equal(resumed.classify.weight, undisturbed.classify.weight)


@pytest.mark.parametrize(("network", "options"), ARMS.values(), ids=ARMS)
def test_a_training_that_is_done_is_there_at_once(network, options, splits, tmp_path):
    first, again, told = network(), network(), []
    history = train(first, splits, tmp_path, **options)
    assert sum(row["kept"] for row in history) == 1
    assert "masks" in history[-1]
    same = train(again, splits, tmp_path, progress=lambda *row: told.append(row), **options)
    assert told == []
    assert str(same) == str(history)  # NaN is NaN, and the seconds are those of the first
    state = again.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in first.state_dict().items())


def test_the_state_of_a_device_that_this_machine_does_not_have_is_left_out(
    splits, tmp_path, monkeypatch
):
    """Written where there are two GPUs; read where there are one, three and none."""
    undisturbed, restored = fresh(), {}
    train(undisturbed, splits, None)

    def kill(epoch, epochs, row):
        if epoch == 2:
            raise Killed

    with monkeypatch.context() as there:
        states = [torch.tensor([device], dtype=torch.uint8) for device in (5, 6)]
        there.setattr(torch.cuda, "is_available", lambda: True)
        there.setattr(torch.cuda, "get_rng_state_all", lambda: states)
        with pytest.raises(Killed):
            train(fresh(), splits, tmp_path, progress=kill)
    for devices, expected in ((1, {0: [5]}), (3, {0: [5], 1: [6]}), (0, {})):
        restored.clear()
        monkeypatch.setattr(torch.cuda, "device_count", lambda devices=devices: devices)
        monkeypatch.setattr(
            torch.cuda,
            "set_rng_state",
            lambda state, device: restored.update({device: state.tolist()}),
        )
        network = fresh()
        optimiser = training._optimiser(network, 20, 2e-3, 1e-2, "one_cycle")
        checkpoints.restore(checkpoints.State(network, *optimiser), tmp_path)
        assert restored == expected
    resumed = fresh()
    train(resumed, splits, tmp_path)
    assert torch.equal(resumed.classify.weight, undisturbed.classify.weight)


def test_a_checkpoint_costs_no_randomness(splits, tmp_path):
    kept = fresh()
    train(kept, splits, tmp_path / "here")
    unkept = fresh()
    train(unkept, splits, None)
    assert np.array_equal(kept.classify.weight.detach(), unkept.classify.weight.detach())


def flipped(path):
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    "damage",
    [
        flipped,
        lambda path: path.write_bytes(path.read_bytes()[:-100]),
        lambda path: path.write_bytes(b"garbage"),
        lambda path: path.write_bytes(b""),
        lambda path: (path.unlink(), path.mkdir()),
        lambda path: (path.rename(path.with_name("moved")), path.symlink_to("moved")),
    ],
)
def test_a_damaged_checkpoint_is_none_and_is_set_aside(splits, tmp_path, capsys, damage):
    undisturbed = fresh()
    history = train(undisturbed, splits, None)

    def kill(epoch, epochs, row):
        if epoch == 2:
            raise Killed

    with pytest.raises(Killed):
        train(fresh(), splits, tmp_path, progress=kill)
    damage(tmp_path / STATE_FILE)
    again = fresh()
    assert without_seconds(train(again, splits, tmp_path)) == without_seconds(history)
    for name, tensor in undisturbed.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name]), name
    assert f"{STATE_FILE}: is damaged; set aside as damaged-" in capsys.readouterr().err
    assert len(list(tmp_path.glob("damaged-*"))) == 1


def test_a_checkpoint_that_fits_another_model_changes_nothing(splits, tmp_path):
    """One of version 0.1.0 has no digest: then loading it fails in the middle."""
    network = fresh()
    state = checkpoints.State(network, *training._optimiser(network, 20, 2e-3, 1e-2, "one_cycle"))
    checkpoints.save(state, tmp_path)
    content = (tmp_path / STATE_FILE).read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:start])
    del header["__metadata__"]["digest"]
    header["__metadata__"]["numbers"] = "{}"
    text = json.dumps(header).encode()
    (tmp_path / STATE_FILE).write_bytes(len(text).to_bytes(8, "little") + text + content[start:])
    other = fresh()
    with torch.no_grad():
        next(other.parameters()).add_(1)
    before = {name: tensor.clone() for name, tensor in other.state_dict().items()}
    parts = training._optimiser(other, 20, 2e-3, 1e-2, "one_cycle")
    checkpoints.restore(checkpoints.State(other, *parts), tmp_path)
    assert all(torch.equal(tensor, before[name]) for name, tensor in other.state_dict().items())


def test_a_checkpoint_is_not_written_where_its_run_is_gone(splits, tmp_path):
    with pytest.raises(FileNotFoundError):
        train(fresh(), splits, tmp_path / "run" / "store" / "training")
    assert not (tmp_path / "run").exists()
