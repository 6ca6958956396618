"""A small run, finished and stopped halfway, and the place where a hostile copy of it lies."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hostile_place import Place
from stopped_run import lean, lean_halfway


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return lean(tmp_path_factory)


@pytest.fixture(scope="module")
def halfway(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return lean_halfway(tmp_path_factory)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """Checked after every test."""
    signal.alarm(600)  # a pipe that is waited for ends the tests
    there = Place(tmp_path / "place")
    yield there
    signal.alarm(0)
    there.check()
