"""Runs with critics: what they move and when, resuming, accumulation, several processes."""

import math
from dataclasses import replace
from itertools import pairwise

import pytest
import torch

import genmod
from genmod import UndefinedError
from genmod.plugins.critics._adversary import Adversary
from genmod.plugins.critics.adversarial import AdversarialCritic
from genmod.training import trainer

from ...training.several_processes import BATCH, trained

HOW = {"steps": 7, "batch_size": 24, "device": "cpu", "log_every": 1}
SMALL = {"encoder": {"name": "mlp", "hidden": [16]}, "latent": 3}
RECIPES = ["aae", "wae-gan", "factor-vae", "vae-gan"]


def build(recipe, **options):
    settings = {f"critic.{name}": value for name, value in options.items()}
    if recipe != "vae-gan":
        settings = {"critic.hidden": [16], **settings}
    return genmod.build(recipe, **SMALL, settings=settings)


def of_the_model(model):
    return {name: t for name, t in model.state_dict().items() if not name.startswith("critic.")}


def equal(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_a_large_loss_of_a_critic_changes_no_bit_of_the_encoders_step(monkeypatch):
    once = build("aae")
    before = {name: t.clone() for name, t in once.critic.state_dict().items()}
    genmod.train(once, **{**HOW, "steps": 1}, clip=0.1)
    own = AdversarialCritic.losses

    def losses(self, draw):
        return {
            name: replace(loss, weight=1000 * loss.weight) if loss.group == "critic" else loss
            for name, loss in own(self, draw).items()
        }

    monkeypatch.setattr(AdversarialCritic, "losses", losses)
    large = build("aae")
    genmod.train(large, **{**HOW, "steps": 1}, clip=0.1)
    assert equal(of_the_model(once), of_the_model(large))
    assert not torch.equal(large.critic.net[0].weight, before["net.0.weight"])


@pytest.mark.parametrize("recipe", ["aae", "vae-gan"])
def test_before_its_start_a_critic_does_nothing(recipe):
    options = {"feature_matching": 0.0} if recipe == "vae-gan" else {}
    plain, late, soon = build(recipe), build(recipe, start=7, **options), build(recipe, start=6, **options)
    plain.critic = None
    before = {name: t.clone() for name, t in late.critic.named_parameters()}
    for model in (plain, late, soon):
        genmod.train(model, **HOW)
    assert equal(of_the_model(plain), of_the_model(late))
    assert not equal(of_the_model(plain), of_the_model(soon))
    assert all(torch.equal(p, before[name]) for name, p in late.critic.named_parameters())
    assert not all(torch.equal(p, before[name]) for name, p in soon.critic.named_parameters())
    assert int(late.critic.steps) == 7


def test_weights_from_before_the_start_of_a_critic_are_not_kept(monkeypatch):
    """Losses of validation as they are when a critic makes reconstructions worse first."""
    losses = [4.0, 3.0, 2.0, 9.0, 7.0, 8.0, 7.5]
    for start, step, loss in ((3, 5, 7.0), (0, 3, 2.0)):
        found = iter(losses)
        monkeypatch.setattr(trainer, "validation_means", lambda *_, found=found, **__: {"loss": next(found)})
        result = genmod.train(build("aae", start=start), **{**HOW, "batch_size": 10_000})
        assert (result.best_step, result.best_loss) == (step, loss)


def test_a_critic_moves_in_its_own_steps_with_its_own_adam():
    model = build("aae", every=3, lr=0.5, betas=[0.25, 0.75])
    seen = [model.critic.net[0].weight.detach().clone()]

    def look(event):
        if event.kind == "train":
            seen.append(model.critic.net[0].weight.detach().clone())

    genmod.train(model, **HOW, lr=1e-2, on_event=look)
    moved = [i for i, (a, b) in enumerate(pairwise(seen)) if not torch.equal(a, b)]
    assert moved == [0, 3, 6]
    # The first step of Adam is the rate wherever there is a gradient, whatever its betas.
    first = (seen[1] - seen[0]).abs()
    assert float(first.max()) == pytest.approx(0.5e-2, rel=1e-3)
    group = model.groups()["critic"]
    assert group.optimizer == {"name": "adam", "betas": (0.25, 0.75)}


@pytest.mark.parametrize(
    "recipe",
    ["factor-vae", *(pytest.param(name, marks=pytest.mark.slow) for name in ("aae", "vae-gan", "wae-gan"))],
)
def test_resumed_in_mid_epoch_bit_for_bit(recipe, tmp_path):
    more = {"start": 2, "every": 2} if recipe != "factor-vae" else {"every": 2}
    whole, first, again = (build(recipe, **more) for _ in range(3))
    genmod.train(whole, directory=tmp_path / "whole", **HOW)

    class Stop(Exception):
        pass

    def stop(event):
        if event.kind == "train" and event.step == 4:
            raise Stop

    with pytest.raises(Stop):
        genmod.train(first, directory=tmp_path / "part", **HOW, checkpoint_every=1, on_event=stop)
    genmod.train(again, directory=tmp_path / "part", **HOW, checkpoint_every=1, resume=True)
    assert equal(whole.state_dict(), again.state_dict())


def test_accumulated_steps_are_those_of_the_whole_batch():
    """Nothing is drawn at random: a deterministic encoder, no penalty between real and made."""
    found = []
    for parts in (1, 3):
        options = {"critic.feature_matching": 0.5, "critic.r1": 0.1, "critic.start": 2}
        model = genmod.build("vae-gan", posterior="delta", prior="none", divergence="none",
                             objective="reconstruction", **SMALL, settings=options).double()  # fmt: skip
        genmod.train(model, **HOW, accumulate=parts)
        assert int(model.critic.steps) == 7
        found.append(model.state_dict())
    for name, tensor in found[0].items():
        torch.testing.assert_close(found[1][name], tensor, rtol=0, atol=1e-9, msg=name)


def test_what_is_reported():
    model = build("vae-gan", gradient_penalty=0.1, r1=0.1)
    result = genmod.train(model, **HOW)
    terms = {"critic_loss", "fooling_loss", "gradient_penalty", "r1_penalty", "feature_distortion"}
    for row in result.rows:
        assert terms <= row.keys()
        assert all(math.isfinite(row[name]) for name in terms)
    assert result.rows[-1]["loss"] == pytest.approx(-result.rows[-1]["elbo"], rel=1e-6)


def test_conditional_models_have_critics_too():
    for name in RECIPES:
        model = genmod.build(name, condition="label", prior="conditional", posterior="normal", **SMALL)
        result = genmod.train(model, **{**HOW, "steps": 2})
        assert math.isfinite(result.rows[-1]["critic_loss"])


def test_a_model_without_prior_has_nothing_to_compare_latents_with():
    with pytest.raises(UndefinedError, match="no prior"):
        genmod.build("aae", prior="none")


@pytest.mark.slow
def test_critics_that_tell_latents_apart_match_the_prior():
    """Codes of an autoencoder have another mean and spread than the prior; with a critic they come close to it."""
    x = genmod.open_dataset(build("aae").spec).split("test").in_memory().x
    distances = []
    for weight in (0.0, 10.0):
        model = build("aae", weight=weight, hidden=[64, 64])
        genmod.train(model, steps=120, batch_size=64, device="cpu", lr=3e-3, seed=1)
        with torch.no_grad():
            z = model.encode(model.observe(x)).mean
        distances.append(float(z.mean(0).norm() + (torch.cov(z.T) - torch.eye(3)).norm()))
    assert distances[0] > 8
    assert distances[1] < 3


SHARE = BATCH // 2
PROCESSES = {
    # As many latents, draws, layers and channels as examples in a process.
    "adversarial": {
        "latent": SHARE,
        "objective": {"name": "elbo", "samples": SHARE},
        "critic": {"name": "adversarial", "hidden": [SHARE], "gradient_penalty": 1.0, "r1": 0.5, "start": 3},
    },
    "hinge": {
        "latent": SHARE,
        "critic": {"name": "adversarial", "loss": "hinge", "hidden": [SHARE], "spectral_norm": True},
    },
    "tc": {"latent": SHARE, "critic": {"name": "tc", "hidden": [SHARE], "every": 2}},
    "tc of several draws": {
        "latent": SHARE,
        "objective": {"name": "elbo", "samples": SHARE},
        "critic": {"name": "tc", "hidden": [SHARE]},
    },
    "patch": {
        "latent": SHARE,
        "shape": [1, SHARE, SHARE],
        "critic": {
            "name": "patch",
            "loss": "wasserstein",
            "channels": [SHARE],
            "feature_matching": 0.5,
            "start": 4,
        },
    },
    "pictures": {
        "latent": SHARE,
        "shape": [1, SHARE, SHARE],
        "critic": {"name": "several", "critics": ["perceptual", "patch:channels=12:start=4:norm=group"]},
    },
}


@pytest.mark.parametrize(
    "names",
    [
        ["adversarial", "tc of several draws", "patch"],
        pytest.param(["hinge", "tc"], marks=pytest.mark.slow),
        ["pictures"],
    ],
    ids=["some", "others", "of pictures"],
)
@pytest.mark.slow
def test_two_processes_train_the_weights_of_one(tmp_path, names):
    how = {"optimizer_options": {"eps": 1e-4}}
    models = {name: {**PROCESSES[name], "train": how} for name in names}
    found = trained(tmp_path, models, (1, 2), steps=20)
    for name in models:
        one, two = (torch.tensor(found[size][name], dtype=torch.float64) for size in (1, 2))
        assert float((one - two).abs().max()) < 1e-6, name


def test_every_rule_moves_both_sides():
    """One step down the critic's loss raises real scores above made ones; one down the model's raises made ones."""
    for loss in ("non-saturating", "hinge", "wasserstein"):
        critic = build("aae", loss=loss).critic
        assert isinstance(critic, Adversary)
        real, made = torch.randn(64, 3) + 2, (torch.randn(64, 3) - 2).requires_grad_()
        optimizer = torch.optim.Adam(critic.parameters(), 1e-2)
        for _ in range(30):
            found = critic.judged(real, made, critic.score(real), critic.score(made), 64)
            own = sum(each.weight * each.values.mean() for each in found.values() if each.group == "critic")
            optimizer.zero_grad()
            own.backward()
            optimizer.step()
        assert critic.score(real).mean() > critic.score(made).mean() + 0.5
        fooling = critic.judged(real, made, critic.score(real), critic.score(made), 64)["fooling_loss"]
        (gradient,) = torch.autograd.grad(fooling.values.sum(), made)
        assert critic.score(made - 0.1 * gradient).mean() > critic.score(made).mean()
