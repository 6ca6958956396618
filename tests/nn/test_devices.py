"""Devices by name, their randomness, precision and memory."""

from collections import Counter
from contextlib import suppress

import numpy as np
import pytest
import torch
from elsewhere import DEVICE, FREE, Elsewhere

from xaibench.errors import UsageError
from xaibench.nn import devices
from xaibench.nn.devices import (
    BYTES_PER_POSITION,
    CPU,
    device_named,
    moved,
    multiplying,
    positions_of,
    seeded,
)
from xaibench.nn.inference import (
    EXPLAINED_ROWS,
    ROWS,
    ROWS_ON_DEVICE,
    batch_rows,
    explained_rows,
)


@pytest.fixture(autouse=True)
def unknown_memory():
    yield
    positions_of.cache_clear()


@pytest.mark.parametrize("name", ["abacus", "cuda:x", "cuda:0", "meta", "", "mps:3"])
def test_a_device_that_is_not_there_is_rejected_with_those_that_are(name):
    with pytest.raises(UsageError, match=r"device: torch has no .* machine, which has cpu;"):
        device_named(name)


def test_a_device_is_known_by_its_name():
    assert device_named("cpu") == CPU
    with Elsewhere():
        assert devices.described_device("cuda") == "cuda (Pretended)"
        assert device_named("cuda").type == "cuda"


# Randomness


def draws():
    """Of the CPU and of the device."""
    there = torch.Generator()
    there.set_state(torch.cuda.get_rng_state(DEVICE))
    return torch.rand(3).tolist(), torch.rand(3, generator=there).tolist()


def test_generators_of_the_cpu_and_of_the_device_are_seeded_and_restored():
    with Elsewhere():
        torch.manual_seed(5)
        before = torch.get_rng_state(), torch.cuda.get_rng_state(DEVICE)
        with seeded(3):
            within = draws()
        with suppress(KeyError), seeded(3):
            assert draws() == within
            raise KeyError
        after = torch.get_rng_state(), torch.cuda.get_rng_state(DEVICE)
        with seeded(4):
            assert draws() != within
    for one, other in zip(before, after, strict=True):
        assert torch.equal(one, other)


def test_a_device_that_nobody_uses_is_not_woken(monkeypatch):
    """Starting CUDA takes seconds and memory."""
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda device: pytest.fail("CUDA was started"))
    with seeded(3):
        one = torch.rand(3)
    with seeded(3):
        assert torch.equal(torch.rand(3), one)


# Precision


def tf32():
    return [getattr(module, name) for module, name in devices._settings()]


@pytest.mark.parametrize(("wanted", "within"), [(False, {"ieee"}), (True, {"tf32"})])
def test_tf32_is_off_unless_it_is_wanted_and_restored(wanted, within):
    before = tf32()
    assert before != ["ieee"] * 3  # torch's default is TF32 in convolutions
    with suppress(KeyError), multiplying(DEVICE, tf32=wanted):
        assert set(tf32()) == within
        raise KeyError
    assert tf32() == before


def test_nothing_is_set_on_the_cpu():
    before = tf32()
    with multiplying(CPU, tf32=True):
        assert tf32() == before


def test_versions_of_torch_before_its_new_names_have_the_old_ones(monkeypatch):
    class Old:
        allow_tf32 = True

    class Backends:
        cudnn = Old()

        class cuda:  # torch's name
            matmul = Old()

    monkeypatch.setattr(torch, "backends", Backends)
    with multiplying(DEVICE):
        assert (Backends.cudnn.allow_tf32, Backends.cuda.matmul.allow_tf32) == (False, False)
    assert (Backends.cudnn.allow_tf32, Backends.cuda.matmul.allow_tf32) == (True, True)


# Memory and data


def test_blocks_on_the_cpu_do_not_depend_on_its_memory():
    assert [batch_rows(length) for length in (1, 50, 200, 1000, 10**6)] == [ROWS, 512, 163, 32, 8]
    assert [explained_rows(length, CPU) for length in (50, 1000)] == [EXPLAINED_ROWS, 32]


@pytest.mark.parametrize("length", [1, 200, 10**6])
def test_blocks_on_a_device_fill_half_of_its_memory(length):
    with Elsewhere():
        rows = batch_rows(length, DEVICE)
        assert explained_rows(length, DEVICE) == rows
    expected = FREE / 2 / BYTES_PER_POSITION / length
    assert rows == min(max(8, int(expected)), ROWS_ON_DEVICE)


def test_codes_get_to_a_device_as_bytes_from_pinned_memory():
    codes = np.arange(6, dtype=np.uint8).reshape(2, 3)[:, ::-1]
    with Elsewhere() as device:
        there = moved(codes, DEVICE)
        assert there.device == DEVICE
    assert device.sent == Counter(uint8=1, pinned=1)
    assert moved(codes, CPU).tolist() == codes.tolist()
