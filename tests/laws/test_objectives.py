"""Laws of objectives, with every divergence that they can be combined with."""

import copy
from itertools import product

import pytest
import torch
from torch.distributions import normal

from genmod import DataInfo, UsageError, compose
from genmod.assembly import assemble
from genmod.training.schedule import Clock, Schedule

DATA = DataInfo((12,), low=-1.0, high=1.0)


@pytest.fixture
def models(objective, registry):
    """A model for each divergence, with the first parts that are not refused; at least one."""
    built = []
    for divergence in registry.names("divergence"):
        for posterior, prior in product(registry.names("posterior"), registry.names("prior")):
            components = {
                "encoder": {"name": "mlp", "hidden": [8]},
                "decoder": {"name": "gaussian", "scale": 0.5},
                "posterior": posterior,
                "prior": prior,
                "divergence": divergence,
                "objective": {"name": objective.provided.name, **objective.options},
            }
            try:
                built.append(assemble(compose(components=components, latent=3), DATA).double())
            except UsageError:
                continue
            break
    assert built
    return built


@pytest.fixture
def same_noise(monkeypatch):
    """Every example of a batch gets the same noise, drawn anew for each call but the same each time."""

    def draw(shape, dtype, device):
        noise = torch.randn(shape[:-2] + shape[-1:], generator=torch.Generator().manual_seed(4), dtype=dtype)
        return noise.unsqueeze(-2).expand(shape)

    monkeypatch.setattr(normal, "_standard_normal", draw)


def total(terms):
    """The loss, or the sum of those of all groups of parameters."""
    return terms.loss if isinstance(terms.loss, torch.Tensor) else sum(terms.loss.values())


def batch(n=4):
    return torch.rand(n, *DATA.shape, dtype=torch.float64) * 2 - 1


def test_values_are_of_each_example(models):
    for model in models:
        terms = model.terms(batch())
        assert terms.total.shape == ()
        assert terms.total.isfinite()
        assert terms.values
        assert all(value.shape == (4,) for value in terms.values.values())
        assert all(value.isfinite().all() for value in terms.values.values())


def test_gradient_reaches_every_parameter(models):
    for model in models:
        total(model.terms(batch())).backward()
        missing = [
            name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0
        ]
        assert missing == []


@pytest.mark.usefixtures("same_noise")
def test_repeating_the_batch_leaves_loss_and_gradient_as_they_are(models):
    x = batch()
    for model in models:
        losses, gradients = [], []
        for copies in (1, 2, 8):
            model.zero_grad()
            loss = total(model.terms(x.repeat(copies, 1)))
            loss.backward()
            losses.append(loss.detach())
            gradients.append(torch.cat([p.grad.flatten() for p in model.parameters()]))
        torch.testing.assert_close(losses[0].expand(3), torch.stack(losses))
        torch.testing.assert_close(gradients[0].expand(3, -1), torch.stack(gradients))


@pytest.mark.usefixtures("same_noise")
def test_training_and_evaluation_use_the_same_objective(models):
    x = batch()
    for model in models:
        torch.testing.assert_close(total(model.train().terms(x)), total(model.eval().terms(x)))


@pytest.mark.usefixtures("same_noise")
def test_values_do_not_depend_on_the_neighbours(models):
    x = batch()
    for model in models:
        whole, alone = model.terms(x).values, model.terms(x[:1]).values
        for name in whole:
            torch.testing.assert_close(whole[name][:1], alone[name])


def test_works_for_a_batch_of_one(models):
    for model in models:
        loss = total(model.terms(batch(1)))
        loss.backward()
        assert loss.isfinite()
        assert all(p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.usefixtures("same_noise")
def test_reported_elbo_is_the_bound_itself(models):
    """Never the weighted loss: ``E_q[log p(x|z)] - KL``, whatever is minimised."""
    x = batch()
    for model in models:
        values = model.terms(x).values
        if "elbo" not in values:
            continue
        with torch.no_grad():
            q = model.encode(x)
            z = q.rsample((model.objective.samples,))
            expected = model.decode(z).log_prob(x).mean(0) - model.divergence(q, model.prior(), z)
        torch.testing.assert_close(values["elbo"].detach(), expected)
        torch.testing.assert_close(values["elbo"], -(values["distortion"] + values["rate"]))


def test_calling_it_moves_no_schedule(models):
    for model in models:
        schedules = [value for value in vars(model.objective).values() if isinstance(value, Schedule)]
        for schedule in schedules:
            schedule.advance(Clock(0, 10, 100))
        before = [float(schedule) for schedule in schedules]
        for mode in (True, False):
            model.train(mode).terms(batch())
        assert [float(schedule) for schedule in schedules] == before


def test_two_models_share_no_schedule(models):
    for model in models:
        other = copy.deepcopy(model)
        for name, value in vars(model.objective).items():
            if isinstance(value, Schedule):
                assert vars(other.objective)[name] is not value


def test_same_seed_same_loss(models):
    x = batch()
    for model in models:
        losses = []
        for _ in range(2):
            torch.manual_seed(7)
            losses.append(total(model.terms(x)))
        assert torch.equal(*losses)


def test_repr(objective):
    assert objective.cls.__name__ in repr(objective.build())
