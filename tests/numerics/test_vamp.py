"""The VampPrior: a mixture of posteriors that follows the model it is part of."""

import copy

import pytest
import torch
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from genmod import UndefinedError, UsageError, build, load, save
from genmod.plugins.priors.vamp import VampPrior

X = torch.rand(6, 1, 8, 8)


def vamp(**components):
    prior = {"name": "vamp", "components": 7, "weights": True}
    parts = {"encoder": "mlp", "prior": prior, "divergence": "kl-mc", "latent": 3, **components}
    return build("vae", **parts).double()


def test_density_against_torch():
    model = vamp()
    with torch.no_grad():
        model.prior.logits.normal_()
    q = model.encode(model.prior.inputs)
    parts = Independent(Normal(q.mean, q.stddev), 1)
    theirs = MixtureSameFamily(Categorical(logits=model.prior.logits), parts)
    z = torch.randn(50, 4, 3, dtype=torch.float64)
    torch.testing.assert_close(model.prior().log_prob(z), theirs.log_prob(z), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(model.prior().mean, theirs.mean)
    torch.testing.assert_close(model.prior().variance, theirs.variance)


def test_draws_come_from_all_parts_by_their_weights():
    model = vamp()
    with torch.no_grad():
        model.prior.logits.normal_()
        p = model.prior()
        z = p.sample((100_000,))
    assert ((z.mean(0) - p.mean).abs() <= 4.5 * z.std(0) / 1e5**0.5).all()
    torch.testing.assert_close(z.var(0), p.variance, rtol=0.03, atol=0)
    # Neighbours in the batch are independent.
    a, b = z[:-1, 0] - z[:, 0].mean(), z[1:, 0] - z[:, 0].mean()
    assert abs((a * b).mean() / z[:, 0].var()) < 4.5 / 1e5**0.5


def test_gradient_reaches_pseudo_inputs_and_encoder_through_the_prior():
    model = vamp()
    model.prior().log_prob(torch.randn(5, 3).double()).sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.prior.parameters())
    assert all(p.grad is not None for p in model.encoder.parameters())


def test_it_owns_its_pseudo_inputs_alone():
    """The encoder is not a part of the prior: it would be saved, and moved, twice."""
    assert {name for name, _ in vamp().prior.named_parameters()} == {"logits", "pseudo.0"}


def test_a_copied_model_has_a_prior_of_its_own_encoder():
    model = vamp()
    other = copy.deepcopy(model)
    with torch.no_grad():
        for parameter in other.encoder.parameters():
            parameter.add_(1.0)
    z = torch.randn(5, 3, dtype=torch.float64)
    assert not torch.equal(model.prior().log_prob(z), other.prior().log_prob(z))
    assert other.prior._model[0] is other


def test_saved_and_loaded(tmp_path):
    model = vamp().float().eval()
    save(model, tmp_path / "model")
    again = load(tmp_path / "model", weights="last")
    z = torch.randn(5, 3)
    assert torch.equal(model.prior().log_prob(z), again.prior().log_prob(z))


@pytest.mark.parametrize("posterior", ["normal-full", "laplace", "power-spherical", "gamma"])
def test_any_posterior_with_a_density(posterior):
    model = vamp(posterior=posterior)
    loss = model.terms(X.double()).total
    loss.backward()
    assert loss.isfinite()
    assert model.sample(4).shape == (4, 1, 8, 8)
    assert model.posterior.support.check(model.prior().sample((9,))).all()


def test_a_point_mass_is_refused():
    with pytest.raises(UsageError, match="no density"):
        vamp(posterior="delta")


def test_by_itself_it_says_what_it_needs():
    with pytest.raises(UndefinedError, match="encoder"):
        VampPrior((3,))()
