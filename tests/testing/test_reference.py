"""The linear-Gaussian model that objectives are measured by."""

import torch
from torch.distributions import kl_divergence

from genmod.testing.reference import DATA, exact_log_density, reference_model, set_exact_posterior


def test_exact_density_is_the_average_over_the_prior():
    model, x = reference_model(), torch.randn(5, 3, dtype=torch.float64)
    with torch.no_grad():
        z = model.prior().sample((400_000,))
        seen = model.decode(z[:, None].expand(-1, 5, 2)).log_prob(x).logsumexp(0) - torch.log(
            torch.tensor(4e5)
        )
    torch.testing.assert_close(seen, exact_log_density(model, x).detach(), rtol=0.01, atol=0.03)


def test_exact_posterior_has_constant_weights():
    model, x = reference_model(), torch.randn(5, 3, dtype=torch.float64)
    assert model.log_weights(x, 10).std(0).min() > 0.1
    set_exact_posterior(model)
    weights = model.log_weights(x, 10)
    torch.testing.assert_close(weights, exact_log_density(model, x).expand(10, 5), rtol=1e-5, atol=1e-5)


def test_shared_noise():
    model = reference_model(shared_noise=True)
    x = torch.randn(1, 3, dtype=torch.float64).repeat(4, 1)
    q = model.encode(x)
    z = q.rsample((3,))
    assert torch.equal(z, q.rsample((3,)))
    assert torch.equal(z[:, 0], z[:, 3])
    assert not torch.equal(z[0], z[1])
    assert kl_divergence(q, model.prior()).shape == (4,)
    assert DATA.shape == (3,)
