"""Several critics of one model: each with its own group, losses, optimizer and steps."""

import pytest
import torch

import genmod
from genmod import UsageError

SMALL = {"encoder": {"name": "mlp", "hidden": [16]}, "latent": 3}
HOW = {"steps": 7, "batch_size": 24, "device": "cpu", "log_every": 1}
LATENTS = "adversarial:hidden=16:every=2"
PICTURES = "patch:channels=4:adaptive=false:feature_matching=0.5:betas=[0.1,0.2]"


def build(*critics, **more):
    return genmod.build(**SMALL, critic={"name": "several", "critics": list(critics)}, **more)


def test_each_has_its_group_optimizer_and_losses():
    model = build(LATENTS, PICTURES)
    groups = model.groups()
    assert set(groups) == {"model", "adversarial", "patch"}
    assert (groups["adversarial"].every, groups["patch"].every) == (2, 1)
    assert groups["patch"].optimizer["betas"] == (0.1, 0.2)
    own = {
        name: {id(p) for p in model.critic.critics[name].parameters()} for name in ("adversarial", "patch")
    }
    assert all({id(p) for p in groups[name]} == own[name] for name in own)
    terms = model.terms(torch.rand(4, 1, 8, 8).round())
    assert set(terms.loss) == set(groups)
    names = {"adversarial_critic_loss", "adversarial_fooling_loss", "patch_critic_loss", "patch_fooling_loss"}
    assert names | {"patch_feature_distortion", "elbo", "distortion", "rate"} == set(terms.values)


def test_what_they_add_is_the_sum_of_what_each_adds():
    """Of the same parameters and the same draws, with the loss of each alone."""
    model = build("adversarial:hidden=16", "adversarial:hidden=16:weight=3:loss=hinge").eval()
    assert set(model.critic.critics) == {"adversarial", "adversarial_2"}
    x = torch.rand(4, 1, 8, 8).round()

    def gradients(critic):
        model.critic = critic
        torch.manual_seed(0)
        loss = model.terms(x).loss
        loss = loss if isinstance(loss, torch.Tensor) else loss["model"]
        return torch.autograd.grad(loss, tuple(model.encoder.parameters()))

    several = model.critic
    whole, plain = gradients(several), gradients(None)
    one, two = (gradients(each) for each in several.critics.values())
    for all_, none, first, second in zip(whole, plain, one, two, strict=True):
        torch.testing.assert_close(all_ - none, (first - none) + (second - none), rtol=1e-4, atol=1e-5)


def test_each_moves_in_its_own_steps_and_a_run_goes_on_bit_for_bit(tmp_path):
    whole, first, again = (build(LATENTS, PICTURES) for _ in range(3))
    genmod.train(whole, directory=tmp_path / "whole", **HOW)

    class Stop(Exception):
        pass

    def stop(event):
        if event.kind == "train" and event.step == 4:
            raise Stop

    with pytest.raises(Stop):
        genmod.train(first, directory=tmp_path / "part", **HOW, checkpoint_every=1, on_event=stop)
    genmod.train(again, directory=tmp_path / "part", **HOW, checkpoint_every=1, resume=True)
    state, other = whole.state_dict(), again.state_dict()
    assert all(torch.equal(state[name], other[name]) for name in state)
    assert genmod.load(tmp_path / "whole").sample(2).shape == (2, 1, 8, 8)


@pytest.mark.parametrize(
    ("critic", "match"),
    [
        ("several", "which is none"),
        ("adversarial:3", "which is none"),
        ("adversarial:loos=hinge", "no such option"),
        ("advers", "advers"),
    ],
)
def test_what_is_refused(critic, match):
    with pytest.raises(UsageError, match=match) as raised:
        build(critic)
    assert raised.value.hint
