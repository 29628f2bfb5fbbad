"""Critics, beside a linear-Gaussian model: what their losses are and which parameters each of them moves."""

from dataclasses import replace

import torch
from torch import Tensor

from genmod.interfaces.critic import Critic
from genmod.interfaces.part import MAIN, Draw
from genmod.model.latent_variable import LatentVariableModel
from genmod.system.random import reseed, seeded
from genmod.testing.case import Case, NotApplicable
from genmod.testing.check import check_for, expect, expect_close
from genmod.testing.inputs import jostle
from genmod.testing.reference import ReferenceBound, ReferencePosterior, reference_model

__all__ = ["beside_model"]

_BATCH = 4


def beside_model(case: Case) -> LatentVariableModel:
    """A model with this critic, for the first data and latents that it accepts."""
    critic, (data, latent) = next(case.accepted())
    posterior = ReferencePosterior(data.shape, latent)
    posterior.feature_shape = data.shape
    model = reference_model(ReferenceBound(), data=data, latent=latent, posterior=posterior)
    model.critic = critic.double()
    critic.bind(model)
    jostle(critic)
    return model


def _learns(model: LatentVariableModel) -> bool:
    """Whether its critic has parameters."""
    assert model.critic is not None
    return next(model.critic.parameters(), None) is not None


def _x(model: LatentVariableModel, batch: int = _BATCH) -> Tensor:
    return torch.rand(batch, *model.data.shape, dtype=torch.float64)


def _gradients(loss: Tensor, model: LatentVariableModel) -> dict[str, Tensor]:
    names, parameters = zip(*model.named_parameters(), strict=True)
    found = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
    return {name: g for name, g in zip(names, found, strict=True) if g is not None and bool(g.any())}


@check_for(
    "critic", remedy="return Loss(values, group, weight) with values of shape (B,), one for each example"
)
def check_critic_losses(case: Case) -> None:
    """Its losses have finite values of each example; one is of the model, another of its own group if it has parameters."""
    model = beside_model(case)
    for batch in (_BATCH, 2):
        terms = model.terms(_x(model, batch))
        for name, value in terms.values.items():
            expect(value.shape == (batch,), f"value {name!r} has shape {tuple(value.shape)}, not {(batch,)}")
            expect(value.isfinite().all(), f"value {name!r} is not finite")
        losses = {MAIN: terms.loss} if isinstance(terms.loss, Tensor) else terms.loss
        groups = set(model.groups())
        if _learns(model):
            expect(len(losses) > 1, "it has parameters, and no loss of its own group")
        else:
            expect(len(losses) == 1, "it has a loss of its own, and no parameters")
        expect(set(losses) <= groups, f"losses {sorted(losses)} do not match groups {sorted(groups)}")


@check_for("critic", remedy="return all of its parameters in parameter_groups, under a name of its own")
def check_critic_groups(case: Case) -> None:
    """Its parameters are in groups of its own, and nobody else's are."""
    model = beside_model(case)
    assert model.critic is not None
    own = {id(p) for p in model.critic.parameters()}
    grouped = {id(p) for name, group in model.groups().items() if name != MAIN for p in group}
    expect(own <= grouped, f"{len(own - grouped)} of its parameters are in no group of its own")
    expect(grouped <= own, f"{len(grouped - own)} parameters are in its groups, and not its own")


@check_for(
    "critic",
    remedy="detach nothing that a loss is to move; each loss moves the parameters of its group alone",
)
def check_critic_gradient(case: Case) -> None:
    """Its own loss reaches all of its parameters, and what it adds to the model's reaches the model."""
    model = beside_model(case)
    x = _x(model)
    loss = model.terms(x).loss
    losses = {MAIN: loss} if isinstance(loss, Tensor) else loss
    reached: set[str] = set()
    for name, loss in losses.items():
        if name != MAIN:
            reached |= set(_gradients(loss, model))
    missing = [
        name for name, _ in model.named_parameters() if name.startswith("critic.") and name not in reached
    ]
    expect(not missing, f"no gradient of its own loss reaches {', '.join(missing[:3])}")
    torch.manual_seed(0)
    with_critic = _gradients(_main(model, x), model)
    critic, model.critic = model.critic, None
    torch.manual_seed(0)
    without = _gradients(_main(model, x), model)
    model.critic = critic
    moved = [name for name, g in without.items() if not torch.equal(g, with_critic.get(name, g))]
    expect(bool(moved), "it adds nothing to the gradient of the model")


@check_for(
    "critic",
    remedy="keep a network that learns nothing in evaluation mode, and detach what it sees of observations",
)
def check_critic_fixed(case: Case) -> None:
    """If it has no parameters, what it adds is the same in training and in evaluation, and is no function of observations."""
    model = beside_model(case)
    if _learns(model):
        raise NotApplicable("it has parameters")
    assert model.critic is not None
    found = list[float]()
    draw = _drawn(model)
    x = draw.x.clone().requires_grad_()
    draw = replace(draw, x=x)
    for mode in (True, False):
        model.train(mode)
        losses = [loss.weight * loss.values.sum() for loss in model.critic.losses(draw).values()]
        added = torch.stack(losses).sum()
        found.append(float(added.detach()))
    expect(found[0] == found[1], f"it adds {found[0]} in training, and {found[1]} in evaluation")
    (gradient,) = torch.autograd.grad(added, x, allow_unused=True)
    expect(gradient is None or not gradient.any(), "it has a gradient at observations")


def _main(model: LatentVariableModel, x: Tensor) -> Tensor:
    loss = model.terms(x).loss
    return loss if isinstance(loss, Tensor) else loss[MAIN]


def _drawn(model: LatentVariableModel) -> Draw:
    """What an objective hands out of a batch."""
    x = _x(model)
    q = model.encode(x)
    z = q.rsample()
    likelihood, parameters = model.decoded(z)
    return Draw(x, q, z[None], model.prior, likelihood, parameters, -likelihood.log_prob(x))


def _asked(critic: Critic, draw: Draw, seed: int = 2) -> dict[str, Tensor]:
    with seeded(seed):
        return {name: loss.values for name, loss in critic.losses(draw).items()}


@check_for(
    "critic",
    remedy="keep all state in parameters and buffers, and change none of it where nothing is trained",
)
def check_critic_state(case: Case) -> None:
    """Its saved state, restored into another one, gives the same losses; asking it in evaluation mode changes nothing."""
    model = beside_model(case)
    critic = model.critic
    assert critic is not None
    draw = _drawn(model)
    critic.train()
    _asked(critic, draw)
    critic.eval()
    state, x, z = {name: t.clone() for name, t in critic.state_dict().items()}, draw.x.clone(), draw.z.clone()
    first, again = _asked(critic, draw), _asked(critic, draw)
    for name, values in first.items():
        expect(torch.equal(values, again[name]), f"asked twice with one seed, {name} differs")
    changed = [name for name, t in critic.state_dict().items() if not torch.equal(t, state[name])]
    expect(not changed, f"asking it in evaluation mode changes {', '.join(changed[:3])}")
    expect(torch.equal(draw.x, x) and torch.equal(draw.z, z), "it changes what it is given in place")
    reseed(99)
    other = beside_model(case).critic
    assert other is not None
    apart = set(other.state_dict()) ^ set(state)
    expect(not apart, f"after use its state has other names than before: {', '.join(sorted(apart)[:3])}")
    other.load_state_dict(state)
    restored = _asked(other.eval(), draw)
    for name, values in first.items():
        expect(
            torch.equal(values, restored[name]),
            f"restored into another critic, its state gives another {name}",
        )


@check_for("critic", remedy="average nothing over the batch: values are of each example, by itself")
def check_critic_batch(case: Case) -> None:
    """In evaluation mode, what it says of examples has the same mean for the batch twice, where it draws nothing itself."""
    model = beside_model(case)
    critic = model.critic
    assert critic is not None
    model.eval()
    x = _x(model)
    found = []
    for given in (x, torch.cat([x, x])):
        q = model.encode(given)
        z = q.mean
        likelihood, parameters = model.decoded(z)
        draw = Draw(given, q, z[None], model.prior, likelihood, parameters, -likelihood.log_prob(given))
        found.append((_asked(critic, draw), _asked(critic, draw, seed=3)))
    (once, reseeded), (twice, _) = found
    for name, values in once.items():
        if torch.equal(values, reseeded[name]):
            expect_close(twice[name].mean(), values.mean(), f"the mean of {name} for a batch twice, and once")
