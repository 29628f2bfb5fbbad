"""Activation checkpointing: less memory, and the bits of a run that keeps its activations."""

import pytest
import torch
from torch import nn

import genmod
from genmod.model.opening import data_for
from genmod.model.prepare import prepare_parts
from genmod.plugins.networks._residual import ResidualBlock
from genmod.registry.lookup import Registry
from genmod.system.random import reseed
from genmod.training.activation_checkpointing import activation_checkpointing
from genmod.training.plan import plan
from genmod.training.settings import TrainSettings
from genmod.training.sharding import TermsModule
from genmod.training.shared_noise import SharedNoise

from .several_processes import trained

DEEP = {"encoder": {"name": "resnet", "channels": [8], "blocks": 3, "hidden": 16}, "latent": 2}
PLUGIN = """
from genmod import Component, Encoder, hookimpl
from torch import nn


class Dropping(Encoder):
    def __init__(self, data_shape):
        super().__init__(data_shape)
        self.feature_shape = (16,)
        size = data_shape[0]
        self.layers = nn.Sequential(
            nn.Linear(size, 16), nn.Dropout(0.5), nn.Tanh(), nn.Linear(16, 16), nn.Dropout(0.5), nn.Tanh()
        )

    def forward(self, x):
        return self.layers(x.flatten(1))


@hookimpl
def genmod_components():
    yield Component("encoder", "dropping", "dropping:Dropping", "draws in its layers")
"""


def layers_that_change():
    """Random numbers, running means and power iterations, within blocks."""
    norm = nn.utils.parametrizations.spectral_norm
    return nn.Sequential(
        *(nn.Flatten(), norm(nn.Linear(64, 32)), nn.BatchNorm1d(32), nn.Dropout(0.5), nn.Tanh()),
        *(nn.Linear(32, 16), nn.BatchNorm1d(16), nn.Tanh()),
    )


def weights_after(build, **settings):
    torch.manual_seed(1)
    model = build()
    genmod.train(model, steps=3, batch_size=32, device="cpu", film_every=0, **settings)
    return model.state_dict()


@pytest.mark.parametrize(
    "build",
    [
        lambda: genmod.build(**DEEP),
        lambda: genmod.build(encoder=layers_that_change(), network="mlp", latent=2),
        lambda: genmod.build("rae-gp", data="digits", encoder="mlp", network="mlp"),
    ],
    ids=["residual blocks", "what changes in a forward pass", "gradients of gradients"],
)
def test_the_weights_are_the_same_bits(build):
    kept, again = weights_after(build), weights_after(build, checkpoint_activations=True)
    assert all(torch.equal(kept[name], again[name]) for name in kept)


def test_a_deep_network_keeps_a_third():
    kept, again = (
        plan(genmod.build(**DEEP), None, TrainSettings(device="cpu", steps=1, checkpoint_activations=on))
        for on in (False, True)
    )
    assert again.memory["activations"] < kept.memory["activations"] / 3


def test_a_model_is_left_as_it_was():
    model = genmod.build(**DEEP)
    with activation_checkpointing(model):
        assert sum("forward" in each.__dict__ for each in model.modules()) >= 6
        names = list(model.state_dict())
    assert not any("forward" in each.__dict__ for each in model.modules())
    assert names == list(model.state_dict())


def test_a_block_of_blocks_is_not_one():
    """The innermost blocks keep what they are given; the larger one would compute all of them at once."""
    inner = nn.Sequential(ResidualBlock(4, 4, "none", "silu"), ResidualBlock(4, 4, "none", "silu"))
    outer = nn.ModuleDict({"inner": inner})
    part = nn.ModuleDict({"part": nn.Sequential(nn.Conv2d(1, 4, 3), outer)})
    with activation_checkpointing(part):
        assert all("forward" in block.__dict__ for block in inner)
        assert "forward" not in outer.__dict__


def test_the_part_of_a_process_draws_again_what_it_drew():
    """The gradients of two processes, computed one after the other, are together those of one for the whole batch."""
    net = nn.Sequential(
        nn.Linear(3, 5), nn.Dropout(0.5), nn.Tanh(), nn.Linear(5, 2), nn.Dropout(0.5), nn.Tanh()
    )
    model, x = nn.ModuleDict({"net": net}), torch.randn(8, 3)
    model.terms = lambda x, context=None: net(x)
    root = TermsModule(model)

    def gradients(run):
        reseed(3)
        return torch.autograd.grad(run().sum(), list(net.parameters()))

    whole = gradients(lambda: root(x))
    shares = []
    with activation_checkpointing(model):
        for mine in (slice(0, 4), slice(4, 8)):
            noise = SharedNoise(mine, len(x), torch.device("cpu"), gather=lambda part: None)
            with noise.rehearsing(root) as count:
                root(x[torch.arange(count) % len(x)])
            reseed(3)
            with noise:
                out = root(x[mine]).sum()
                # By a method, for which torch leaves the mode that shares the draws.
                net.zero_grad()
                out.backward()
            shares.append([p.grad.clone() for p in net.parameters()])
    for first, second, both in zip(*shares, whole, strict=True):
        torch.testing.assert_close(first + second, both)


@pytest.mark.slow
def test_two_processes_train_the_weights_of_one(tmp_path):
    plugin = tmp_path / "dropping.py"
    plugin.write_text(PLUGIN)
    models = {
        f"{strategy} {on}": {
            "encoder": "dropping",
            "train": {"strategy": strategy, "checkpoint_activations": on, "accumulate": 2},
        }
        for strategy in ("ddp", "fsdp")
        for on in (False, True)
    }
    found = trained(tmp_path, models, (1, 2), steps=6, plugins=[plugin])
    one = found[1]["ddp False"]
    for name in models:
        assert found[1][name] == one
    for strategy in ("ddp", "fsdp"):
        assert found[2][f"{strategy} True"] == found[2][f"{strategy} False"]
        if strategy == "ddp":
            assert found[2][f"{strategy} True"] == pytest.approx(one, abs=1e-5)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_compiled():
    """With the noise of a run that is not; Adam would make of a rounded gradient near zero a step of its own."""
    import torch._dynamo

    torch._dynamo.reset()
    found = []
    for compiled, on in ((False, False), (True, False), (True, True)):
        warnings = []
        model = genmod.build(**DEEP)
        how = {"compile": compiled, "checkpoint_activations": on, "optimizer": "sgd", "lr": 0.003}
        genmod.train(model, steps=5, device="cpu", film_every=0, on_event=warnings.append, **how)
        assert not [event.text for event in warnings if event.kind == "warning"]
        found.append(model.state_dict())
    for other in found[1:]:
        for name, tensor in found[0].items():
            torch.testing.assert_close(other[name], tensor, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("name", Registry(third_party=False).names("recipe"))
def test_gradients_of_every_recipe_are_the_same_bits(name):
    model = genmod.build(name).train()
    split = model.suited(data_for(model.spec, model.data, None, None)).split("train")
    prepare_parts(model, split, 0, resumed=False)
    batch = split.__getitems__(list(range(4)))
    before, moving = model.state_dict(), [p for p in model.parameters() if p.requires_grad]
    before, found = {name: tensor.clone() for name, tensor in before.items()}, []
    for on in (False, True):
        model.load_state_dict(before)
        reseed(3)
        with activation_checkpointing(model, on):
            loss = model.terms(batch.x, model.context(batch)).loss
            losses = (
                [loss]
                if isinstance(loss, torch.Tensor)
                else [each for each in loss.values() if each.requires_grad]
            )
            gradients = [
                gradient
                for i, each in enumerate(losses)
                for gradient in torch.autograd.grad(
                    each, moving, allow_unused=True, retain_graph=i < len(losses) - 1
                )
                if gradient is not None
            ]
        found.append([*gradients, *(tensor.clone() for tensor in model.state_dict().values())])
    assert len(found[0]) == len(found[1])
    assert all(map(torch.equal, *found))
