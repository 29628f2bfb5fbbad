"""Weights that are gathered block by block: which blocks can be, how much is whole at once, and the same weights."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional

import genmod
from genmod.interfaces.network import Network
from genmod.training.blocks import blocks_of
from genmod.training.units import size_of, units_of

from .started import started

PROGRAM = Path(__file__).with_name("gathered_run.py")
DEEP = {"encoder": {"name": "resnet", "channels": [8], "blocks": 3, "hidden": 16}, "latent": 2}


class Odd(Network):
    """Layers of which some are used in other ways than by calling them."""

    def __init__(self):
        nn.Module.__init__(self)
        self.layers = nn.ModuleList(nn.Linear(4, 4) for _ in range(7))
        self.layers[6].weight = self.layers[0].weight
        self.norm = nn.BatchNorm1d(4)

    def forward(self, x):
        plain, other, pair, drawing, tied = (self.layers[i] for i in (1, 2, 3, 4, 0))
        x = functional.linear(plain(x), other.weight, other.bias)
        x = pair(x)["made"]
        return self.norm(tied(functional.dropout(drawing(x))))


def odd():
    net = Odd()
    pair = net.layers[3]
    pair.forward = lambda x: {"made": functional.linear(x, pair.weight), "count": 1}
    return net, nn.ModuleDict({"network": net})


def test_only_blocks_that_compute_alone_are_units():
    net, model = odd()
    *blocks, (component,) = units_of(model, lambda: net(torch.ones(3, 4)), least=1)
    # The others: tied, used by their weight, without tensors alone, or not called.
    assert [list(net.layers).index(module) for block in blocks for module in block] == [1, 4]
    assert component is net


def test_nothing_is_left_behind():
    net, model = odd()
    before, state = net.norm.running_mean.clone(), torch.get_rng_state()
    units_of(model, lambda: net(torch.randn(3, 4)), least=1)
    assert torch.equal(net.norm.running_mean, before)
    assert torch.equal(torch.get_rng_state(), state)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in net.modules())


def test_a_model_that_cannot_compute_has_components_only():
    net, model = odd()

    def fail():
        net(torch.ones(3, 4))
        raise RuntimeError

    assert units_of(model, fail, least=1) == [(net,)]


def test_every_deep_network_has_blocks():
    model = genmod.build(**DEEP)
    x = torch.rand(2, *model.data.shape).round()
    *blocks, encoder, network = units_of(model, lambda: model.terms(x), least=100)
    assert (encoder, network) == ((model.encoder,), (model.network,))
    inside = sum(size_of(block) for block in blocks)
    assert inside > 0.9 * sum(p.numel() for p in model.parameters())
    assert max(map(size_of, blocks)) < inside / 5
    assert units_of(model, lambda: model.terms(x)) == [encoder, network]


def test_no_block_lies_within_another():
    inner = nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2), nn.Tanh())
    block = nn.Sequential(nn.ModuleDict({"a": inner}), nn.TransformerEncoderLayer(2, 1, 4), nn.Linear(2, 2))
    found = [module for group in blocks_of(nn.ModuleDict({"part": block})) for module in group]
    within = [each for module in found for each in module.modules()]
    assert len(within) == len(set(within))
    weights = {id(p) for module in found for p in module.parameters()}
    assert weights == {id(p) for p in block.parameters()}


def run(folder, size):
    started(PROGRAM, size, folder)
    return json.loads((folder / f"found-{size}.json").read_text())


@pytest.mark.slow
def test_a_block_at_a_time(tmp_path):
    """A block and what is in none are whole at once; the weights are those of processes that have all, and of one."""
    one, two = run(tmp_path, 1), run(tmp_path, 2)
    for name in ("layers", "residual blocks"):
        expected = one[f"{name}, ddp"]["weights"]
        assert two[f"{name}, ddp"]["weights"] == pytest.approx(expected, abs=1e-6)
        for case in ("fsdp", "computed again", "in parts", "bf16"):
            found = two[f"{name}, {case}"]
            assert found["gathered"] < found["all"] / 5
            exact = one[f"{name}, in parts"]["weights"] if case == "in parts" else expected
            assert found["weights"] == pytest.approx(exact, abs=1e-2 if case == "bf16" else 1e-6)
    # Steps that are looked at later move the same weights, averages up to rounding, and stop at the same step with them.
    later, at_once = two["later"], two["at once"]
    assert later["said"] == at_once["said"]
    assert later["said"].startswith("step 3 gave a loss")
    for name in ("weights", "left"):
        assert later[name] == pytest.approx(at_once[name], abs=1e-6)
