"""A device that runs behind the program, without one: tensors without values, of which nothing can be asked.

On torch's ``meta`` device operations have shapes and no values. What a program on a GPU would have to wait for, it cannot do
here: read a number, choose by a mask, count. Copies between the processor and the device can be done, and are caught.
"""

import sys
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import genmod
from genmod.model.opening import data_for
from genmod.training import late_check, lr, trainer
from genmod.training.signals import StopSignals

__all__ = ["no_waits", "run_of"]

DEVICE = torch.device("meta")


class WaitsError(AssertionError):
    """A step waits for the device."""


class _Copies(TorchDispatchMode):
    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        made = func(*args, **kwargs)
        if func._schema.name in ("aten::_to_copy", "aten::copy_"):
            places = {each.device.type for each in tree_leaves((args, made)) if isinstance(each, Tensor)}
            if len(places) > 1 and not (kwargs.get("non_blocking") or (len(args) > 2 and args[2])):
                raise WaitsError(f"a copy between {' and '.join(sorted(places))} that is waited for")
        return made


class _Constants(TorchFunctionMode):
    """Numbers of the program become tensors on the device, by a copy that is waited for."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        given = {torch.tensor: 0, torch.as_tensor: 0, Tensor.new_tensor: 1}.get(func)
        if given is not None and made.device.type != "cpu" and not isinstance(args[given], Tensor):
            raise WaitsError(
                f"{func.__name__} makes a tensor of numbers on the device; new_full does not wait"
            )
        return made


@contextmanager
def no_waits():
    with _Copies(), _Constants():
        yield


def run_of(model, monkeypatch, **settings):
    """A run of a model on the device, before its first step."""
    monkeypatch.setattr(trainer, "pick_device", lambda name: DEVICE)
    # What needs values happens once, before the first step.
    monkeypatch.setattr(trainer, "prepare_parts", lambda *args, **kwargs: None)
    monkeypatch.setattr(late_check, "RUNS_BEHIND", {"meta"})
    monkeypatch.setattr(lr, "FUSED_ON", ("meta", "cpu"))
    check = "_device_dtype_check_for_fused"
    monkeypatch.setattr(sys.modules[torch.optim.Adam.__module__], check, lambda *a, **k: None, raising=False)
    data = model.suited(data_for(model.spec, model.data, None, None))
    chosen = genmod.TrainSettings(**{"steps": 10**6, "batch_size": 32, **settings})
    run = trainer.Run(model, data, chosen, None, None, lambda event: None, StopSignals(), {})
    if run.stepper.late is None:
        pytest.skip("this version of torch has no fused optimizer for tensors without values")
    model.train()
    return run
