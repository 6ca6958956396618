"""What a plug-in changes for the whole process is put back, however it ends."""

import os
from collections.abc import Callable

import pytest
import torch

from xaibench.errors import Escaped
from xaibench.plugins.fence import fenced

CHANGES: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
    "working folder": (lambda: os.chdir("/"), os.getcwd),
    "precision": (lambda: torch.set_default_dtype(torch.float64), torch.get_default_dtype),
    "gradients": (lambda: torch.set_grad_enabled(False), torch.is_grad_enabled),
    "os._exit": (lambda: setattr(os, "_exit", print), lambda: os._exit),
}
"""By what it is: a change, and how it stands."""


@pytest.mark.parametrize("ending", [None, ValueError, SystemExit])
@pytest.mark.parametrize(("change", "state"), CHANGES.values(), ids=CHANGES)
def test_what_a_plug_in_changes_is_put_back(tmp_path, monkeypatch, change, state, ending):
    monkeypatch.chdir(tmp_path)
    before = state()

    def plug_in() -> None:
        with fenced():
            change()
            if ending is not None:
                raise ending("x")

    if ending is None:
        plug_in()
    else:
        with pytest.raises(ValueError if ending is ValueError else Escaped, match="x"):
            plug_in()
    assert state() == before
