"""Critics, beside a linear-Gaussian model: what their losses are and which parameters each of them moves."""

import torch
from torch import Tensor

from genmod.interfaces.part import MAIN, Draw
from genmod.model.latent_variable import LatentVariableModel
from genmod.testing.case import Case, NotApplicable
from genmod.testing.check import check_for, expect
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
    x, found = _x(model).requires_grad_(), []
    q = model.encode(x.detach())
    z = q.rsample()
    likelihood, parameters = model.decoded(z)
    draw = Draw(x, q, z[None], model.prior, likelihood, parameters, -likelihood.log_prob(x))
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
