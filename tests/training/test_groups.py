"""Groups of parameters: each is moved by its own loss, clipped alone, with its own optimizer and in its own steps."""

import math

import pytest
import torch
from torch import nn
from torch.nn.functional import softplus

import genmod
from genmod import Critic, Loss, ParameterGroup, PluginError, UsageError
from genmod.interfaces.part import MAIN, Part
from genmod.model.losses import grouped
from genmod.plugins.posteriors.normal import NormalPosterior
from genmod.training.groups import moved_by, trained

HOW = {"steps": 12, "batch_size": 24, "device": "cpu", "log_every": 4}


class Judge(Critic):
    """Tells latents from draws of the prior; what it adds to the model has weight 0 unless one is given."""

    def __init__(self, data, latent_shape, *, scale=1.0, weight=0.0, **group):
        super().__init__(data, latent_shape)
        self.scale, self.weight, self.group = scale, weight, group
        self.judge = nn.Linear(math.prod(latent_shape), 1)
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))

    def parameter_groups(self):
        return {"critic": ParameterGroup(self.parameters(), **self.group)}

    def losses(self, draw):
        own = self.judge(draw.z[0]).squeeze(-1)
        other = self.judge(draw.prior().sample((len(own),))).squeeze(-1)
        return {
            "critic": Loss(self.scale * (softplus(own) + softplus(-other)), "critic"),
            "fooled": Loss(softplus(-own), weight=self.weight),
        }

    def after_step(self):
        self.steps += 1


class Committed(NormalPosterior):
    """A posterior with a loss of its own, that of the objective's group."""

    def losses(self, draw):
        return {"size": Loss(draw.z[0].square().sum(-1), weight=0.5)}


def build(critic=None, **options):
    model = genmod.build(encoder={"name": "mlp", "hidden": [16]}, latent=3)
    if critic is not None:
        torch.manual_seed(5)
        model.critic = critic(model.data, model.latent_shape, **options)
    return model


def weights(model, prefix=""):
    return {name: t for name, t in model.state_dict().items() if name.startswith(prefix) and name}


def of_the_model(model):
    return {name: t for name, t in model.state_dict().items() if not name.startswith("critic.")}


def equal(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("clip", [0.0, 0.5])
def test_a_loss_moves_its_group_alone(clip):
    """A critic, whatever the size of its loss, changes no bit of a model to whose loss it adds nothing."""
    plain = build()
    genmod.train(plain, **HOW, clip=clip)
    for scale in (1.0, 1000.0):
        model = build(Judge, scale=scale)
        before = {name: t.clone() for name, t in weights(model, "critic.judge").items()}
        # The critic draws from the prior after everything else has been drawn.
        genmod.train(model, **HOW, clip=clip)
        assert equal(of_the_model(model), of_the_model(plain))
        assert not equal(weights(model, "critic.judge"), before)
        assert int(model.critic.steps) == 12


def test_what_is_added_moves_the_model():
    plain, model = build(Judge), build(Judge, weight=1.0)
    for each in (plain, model):
        genmod.train(each, **HOW)
    assert not equal(of_the_model(model), of_the_model(plain))


def test_the_first_step_has_the_gradient_of_its_own_loss():
    """By hand: softplus' derivative at the judge's output, times latents and draws."""
    model = build(Judge)
    x = torch.randint(17, (6, 1, 8, 8), dtype=torch.uint8)
    torch.manual_seed(3)
    losses = model.terms(x).loss
    assert list(losses) == [MAIN, "critic"]
    (gradient,) = torch.autograd.grad(losses["critic"], [model.critic.judge.weight])
    torch.manual_seed(3)
    q = model.encode(model.observe(x))
    z = q.rsample()
    other = model.prior().sample((6,))
    judge = model.critic.judge
    expected = judge(z).sigmoid() * z - (-judge(other)).sigmoid() * other
    torch.testing.assert_close(gradient, expected.mean(0, keepdim=True))


def test_groups_start_later_and_move_less_often():
    model = build(Judge, start=4, every=3)
    seen = []

    def look(event):
        if event.kind == "train":
            seen.append((event.step, model.critic.judge.weight.detach().clone()))

    before = model.critic.judge.weight.detach().clone()
    genmod.train(model, **{**HOW, "log_every": 1}, on_event=look)
    moved, last = [], before
    for step, weight in seen:
        if not torch.equal(weight, last):
            moved.append(step - 1)
        last = weight
    assert moved == [4, 7, 10]


def test_a_group_has_its_own_optimizer_and_rate():
    """One step of plain gradient descent by a tenth of the rate, computed by hand."""
    model = build(Judge, lr=0.1, optimizer={"name": "sgd"})
    before = model.critic.judge.weight.detach().clone()
    kept = {}
    own = Judge.losses

    def losses(self, draw):
        found = own(self, draw)
        if self.training:
            loss = found["critic"].values.mean()
            (kept["gradient"],) = torch.autograd.grad(loss, [self.judge.weight], retain_graph=True)
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Judge, "losses", losses)
        genmod.train(model, steps=1, batch_size=24, device="cpu", lr=0.5)
    torch.testing.assert_close(model.critic.judge.weight, before - 0.05 * kept["gradient"])


def test_what_is_watched_is_the_loss_of_the_objective():
    model = build(Judge, weight=3.0, scale=1e6)
    result = genmod.train(model, **HOW)
    for row in result.rows:
        assert row["loss"] == pytest.approx(-row["elbo"], rel=1e-6)
        assert row["critic"] > 1e3


def test_a_loss_of_the_main_group_is_added_to_the_objective():
    model = build()
    posterior = Committed(model.posterior.feature_shape, model.latent_shape)
    posterior.load_state_dict(model.posterior.state_dict())
    model.posterior = posterior
    x = torch.randint(17, (6, 1, 8, 8), dtype=torch.uint8)
    terms = model.terms(x)
    assert isinstance(terms.loss, torch.Tensor)
    assert terms.draw is None
    torch.testing.assert_close(terms.loss, terms.total + 0.5 * terms.values["size"].mean())
    torch.testing.assert_close(terms.total, -terms.values["elbo"].mean())


def test_a_run_with_a_critic_is_resumed_bit_for_bit(tmp_path):
    def model():
        critic = build(Judge, weight=0.3, every=2, optimizer={"betas": (0.5, 0.9)}).critic
        return genmod.build(encoder={"name": "mlp", "hidden": [16]}, latent=3, critic=critic)

    whole, first = model(), model()
    genmod.train(whole, directory=tmp_path / "whole", **HOW)

    class Stop(Exception):
        pass

    def stop(event):
        if event.kind == "train" and event.step == 8:
            raise Stop

    with pytest.raises(Stop):
        genmod.train(first, directory=tmp_path / "part", **HOW, checkpoint_every=1, on_event=stop)
    again = model()
    genmod.train(again, directory=tmp_path / "part", **HOW, checkpoint_every=1, resume=True)
    assert equal(whole.state_dict(), again.state_dict())


def test_a_group_without_trained_parameters_is_left_alone():
    model = build(Judge, weight=0.1)
    model.critic.requires_grad_(False)
    before = model.critic.judge.weight.clone()
    genmod.train(model, **HOW)
    assert torch.equal(model.critic.judge.weight, before)


def test_which_loss_moves_what():
    a, b, c = (nn.Parameter(torch.zeros(1)) for _ in range(3))
    groups = {
        "model": ParameterGroup((a,)),
        "slow": ParameterGroup((b,), every=2),
        "critic": ParameterGroup((c,)),
    }
    assert moved_by(["model", "critic"], groups, 0) == {"model": [a, b], "critic": [c]}
    assert moved_by(["model", "critic"], groups, 1) == {"model": [a], "critic": [c]}
    with pytest.raises(PluginError, match="losses are given for the parameter groups other"):
        moved_by(["model", "other"], groups, 0)
    b.requires_grad_(False)
    assert moved_by(["model", "critic"], trained(groups), 0) == {"model": [a], "critic": [c]}


def test_parameters_are_in_one_group():
    model = build(Judge)
    groups = model.groups()
    assert set(groups) == {MAIN, "critic"}
    every = [id(p) for group in groups.values() for p in group]
    assert sorted(every) == sorted(id(p) for p in model.parameters())

    class Twice(Part):
        def parameter_groups(self):
            return {"critic": ParameterGroup(())}

    with pytest.raises(UsageError, match="a parameter group 'critic'"):
        grouped({MAIN: model.parameters()}, [model.critic, Twice()])
