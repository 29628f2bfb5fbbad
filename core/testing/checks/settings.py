"""What every component leaves alone: the settings of torch, NumPy and the process."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch.distributions import Distribution

from genmod.errors import UsageError
from genmod.testing.case import Case, NotApplicable
from genmod.testing.check import check_for, expect
from genmod.testing.fits import known_codes, new

__all__ = ["settings_kept", "settings_untouched"]

_PARTS = ("encoder", "posterior", "prior", "decoder", "network", "divergence")


def _settings() -> dict[str, Any]:
    return {
        "torch's default type": torch.get_default_dtype(),
        "torch's default device": torch.empty(0).device,
        "whether torch computes gradients": torch.is_grad_enabled(),
        "the number of torch's threads": torch.get_num_threads(),
        "whether torch is deterministic": torch.are_deterministic_algorithms_enabled(),
        "the precision of torch's matrix products": torch.get_float32_matmul_precision(),
        "whether torch looks for anomalies": torch.is_anomaly_enabled(),
        "whether cuDNN measures which algorithm is fastest": torch.backends.cudnn.benchmark,
        "whether distributions validate their arguments": Distribution._validate_args,
        "what NumPy does with errors": np.geterr(),
        "the environment": dict(os.environ),
        "the working folder": os.getcwd(),
        "the filters of warnings": list(warnings.filters),
    }


def _restore(kept: dict[str, Any]) -> None:
    torch.set_default_dtype(kept["torch's default type"])
    torch.set_default_device(None)
    torch.set_grad_enabled(kept["whether torch computes gradients"])
    torch.set_num_threads(kept["the number of torch's threads"])
    torch.use_deterministic_algorithms(kept["whether torch is deterministic"])
    torch.set_float32_matmul_precision(kept["the precision of torch's matrix products"])
    torch.autograd.set_detect_anomaly(kept["whether torch looks for anomalies"])
    torch.backends.cudnn.benchmark = kept["whether cuDNN measures which algorithm is fastest"]
    Distribution.set_default_validate_args(kept["whether distributions validate their arguments"])
    np.seterr(**kept["what NumPy does with errors"])
    os.environ.clear()
    os.environ.update(kept["the environment"])
    os.chdir(kept["the working folder"])
    warnings.filters[:] = kept["the filters of warnings"]  # type: ignore[index]


@contextmanager
def settings_kept() -> Iterator[None]:
    """Put global settings back that change inside, so that they do not reach the next check."""
    before = _settings()
    try:
        yield
    finally:
        if _settings() != before:
            _restore(before)


@contextmanager
def settings_untouched(what: str) -> Iterator[None]:
    """Fail if a global setting changes inside.

    Raises:
        CheckFailed: one changes; says which.
    """
    before = _settings()
    yield
    changed = [name for name, value in _settings().items() if value != before[name]]
    expect(not changed, f"{what} changes {', '.join(changed)}")


@check_for(
    *_PARTS,
    *("objective", "critic", "sampler", "features", "metric", "model"),
    remedy="change no global setting: give types and devices to the call that needs them, or put the setting back",
    once=True,
)
def check_settings(case: Case) -> None:
    """Building and asking it changes no setting of torch, NumPy or the process."""
    case.cls  # noqa: B018 - what its imports do is not up to it alone
    with settings_untouched("building it"):
        try:
            _ = case.build() if case.kind in ("objective", "metric", "divergence") else next(case.accepted())
        except UsageError as error:
            raise NotApplicable(f"it cannot be built: {error.message}") from None
    if case.kind in _PARTS:
        try:
            trial = case.trial()
        except NotApplicable:
            return
        with settings_untouched("asking it"):
            trial()
    elif case.kind == "sampler":
        made = new(case, (2,))
        with settings_untouched("fitting it"):
            made.fit(known_codes((2,), 64), seed=1)
