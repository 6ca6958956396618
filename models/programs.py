"""Whole programs that a person already has: their code is in the file, and no class is needed."""

from __future__ import annotations

import io
import logging
import warnings

import torch
from torch import nn

from xaibench.errors import UsageError, message_of


def torchscript(*, program: bytes) -> nn.Module:
    """A scripted or traced module, as ``torch.jit.save`` writes it.

    Rules of DeepLIFT and LRP do not reach its layers; gradients and perturbations do. UsageError
    where the file is none.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # the file is there all the same
            loaded: nn.Module = torch.jit.load(  # type: ignore[no-untyped-call]
                io.BytesIO(program), map_location="cpu"
            )
            return loaded
    except RuntimeError as error:
        raise UsageError(
            f"expected a program as torch.jit.save writes it: {message_of(error)[:120]}"
        ) from None


def exported_program(*, program: bytes) -> nn.Module:
    """A program as ``torch.export.save`` writes it, with a batch of any size.

    Rules of DeepLIFT and LRP do not reach its layers; gradients and perturbations do. UsageError
    where the file is none.
    """
    log = logging.getLogger("torch.export")  # of what is no program it says a traceback
    before, log.disabled = log.disabled, True
    try:
        exported = torch.export.load(io.BytesIO(program))
    except Exception as error:
        raise UsageError(
            f"expected a program as torch.export.save writes it: {message_of(error)[:120]}"
        ) from None
    finally:
        log.disabled = before
    module: nn.Module = exported.module()

    def mark(mode: bool = True) -> nn.Module:
        """A program computes as it was exported, whatever mode its modules are marked with."""
        for part in module.modules():
            part.training = mode
        return module

    # its own raise, since they cannot do what they are asked for
    module.train = mark  # type: ignore[method-assign]
    module.eval = lambda: mark(False)  # type: ignore[method-assign]
    return module
