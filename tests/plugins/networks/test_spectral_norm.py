"""Spectral normalisation of decoder bodies: its mathematics, and that its state is kept."""

import copy
import os
import signal

import pytest
import torch
from torch import nn

import genmod
from genmod.plugins.networks.conv import ConvNetwork
from genmod.plugins.networks.mlp import MlpNetwork
from genmod.system.tensors import read_any_tensors
from genmod.training.signals import Interrupted

LAYERS = (nn.Linear, nn.ConvTranspose2d)


def norms(net):
    """The largest singular value of each layer's weights, one row for each output."""
    found = []
    for module in net.modules():
        if isinstance(module, LAYERS):
            rows = module.weight if isinstance(module, nn.Linear) else module.weight.transpose(0, 1)
            found.append(torch.linalg.matrix_norm(rows.flatten(1), 2))
    return torch.stack(found)


@pytest.mark.parametrize(("cls", "layers"), [(MlpNetwork, 3), (ConvNetwork, 3)])
def test_largest_singular_value_of_every_layer_is_one(cls, layers):
    plain, net = cls((5,), (1, 8, 8)), cls((5,), (1, 8, 8), spectral_norm=True)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.mul_(3)
        for _ in range(50):
            net(torch.randn(2, 5))
        assert len(norms(net)) == layers
        torch.testing.assert_close(norms(net), torch.ones(layers), rtol=0.02, atol=0.0)
        assert (norms(plain) - 1).abs().max() > 0.1


@torch.no_grad()
def test_an_mlp_enlarges_no_difference():
    net = MlpNetwork((5,), (1, 8, 8), activation="relu", spectral_norm=True)
    for _ in range(50):
        net(torch.randn(2, 5))
    a, b = torch.randn(2, 200, 5)
    net.eval()
    ratio = (net(a) - net(b)).flatten(1).norm(dim=1) / (a - b).norm(dim=1)
    assert ratio.max() <= 1.01


@pytest.mark.parametrize("cls", [MlpNetwork, ConvNetwork])
def test_a_copy_is_its_own(cls):
    net = cls((5,), (1, 8, 8), spectral_norm=True)
    other = copy.deepcopy(net)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    other(torch.randn(3, 5)).sum().backward()
    torch.optim.SGD(other.parameters(), 1.0).step()
    other(torch.randn(3, 5))
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())
    assert any(not torch.equal(tensor, before[name]) for name, tensor in other.state_dict().items())


def _built():
    torch.manual_seed(0)
    return genmod.build(
        "rae-sn", network={"name": "conv", "spectral_norm": True, "channels": [8, 8]}, latent=2
    )


def _train(model, directory, *, stop=None, resume=False):
    calls = 0

    def count(module, inputs, output):
        nonlocal calls
        calls += module.training
        if calls == stop:
            os.kill(os.getpid(), signal.SIGTERM)

    model.network.register_forward_hook(count)
    return genmod.train(model, directory=directory, steps=9, batch_size=16, device="cpu", resume=resume)


@pytest.mark.slow
def test_a_run_that_was_stopped_goes_on_bit_for_bit(tmp_path):
    _train(_built(), tmp_path / "whole")
    with pytest.raises(Interrupted):
        _train(_built(), tmp_path / "stopped", stop=4)
    _train(_built(), tmp_path / "stopped", resume=True)
    whole, stopped = (read_any_tensors(tmp_path / name / "last.safetensors") for name in ("whole", "stopped"))
    assert any(name.endswith("._u") for name in whole)
    assert [name for name in whole if not torch.equal(whole[name], stopped[name])] == []
    model = genmod.load(tmp_path / "whole", weights="last")
    assert torch.equal(
        model.state_dict()["network.stages.0.parametrizations.weight.0._u"],
        whole["network.stages.0.parametrizations.weight.0._u"],
    )
