"""The default to validate distributions, while several threads turn it off."""

import pytest
import torch
from torch.distributions import Distribution, Normal

from genmod.distributions.unvalidated import unvalidated


@pytest.fixture(autouse=True)
def _validating(monkeypatch):
    """The default of torch, which the compiler of torch 2.6 turns off."""
    monkeypatch.setattr(Distribution, "_validate_args", True)


def test_the_default_is_put_back_when_the_last_is_outside():
    first, second = unvalidated(), unvalidated()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    Normal(0.0, torch.tensor(-1.0))
    second.__exit__(None, None, None)
    assert Distribution._validate_args is True
    with pytest.raises(ValueError, match="scale"):
        Normal(0.0, torch.tensor(-1.0))


def test_another_default_stays():
    Distribution.set_default_validate_args(False)
    with unvalidated(), unvalidated():
        pass
    assert Distribution._validate_args is False
