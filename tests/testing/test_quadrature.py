"""Integrals whose values are known, over every support that is known."""

import pytest
import torch
from torch.distributions import (
    Bernoulli,
    Beta,
    Binomial,
    Cauchy,
    Dirichlet,
    Exponential,
    Gamma,
    Independent,
    Laplace,
    Normal,
    Poisson,
    StudentT,
    Uniform,
    constraints,
)

from genmod.testing.quadrature import grid

ONE = torch.ones(1, dtype=torch.float64)

DISTRIBUTIONS = [
    Normal(3 * ONE, 1e-3 * ONE),
    Laplace(-5 * ONE, 2 * ONE),
    StudentT(3 * ONE, ONE, ONE),
    Cauchy(ONE, 0.1 * ONE),
    Exponential(7 * ONE),
    Gamma(0.7 * ONE, 0.01 * ONE),
    Beta(0.6 * ONE, 3 * ONE),
    Beta(200 * ONE, 300 * ONE),
    Uniform(-2 * ONE, 5 * ONE),
    Bernoulli(0.3 * ONE),
    Binomial(20, 0.3 * ONE),
    Poisson(0.2 * ONE),
    Poisson(400 * ONE),
]


def mass(distribution):
    draws = distribution.sample((5000,)).double()
    points, weights = grid(distribution.support, draws)
    return points, distribution.log_prob(points).exp() * weights


@pytest.mark.parametrize("distribution", DISTRIBUTIONS, ids=repr)
@pytest.mark.parametrize("columns", [1, 2])
def test_densities_integrate_to_one(distribution, columns):
    made = Independent(distribution.expand((columns,)), 1)
    points, each = mass(made)
    assert points.shape[1:] == (columns,)
    # Kinks and poles converge slowest, and in two dimensions the points are few.
    assert float(each.sum()) == pytest.approx(1, abs=2e-4 if columns == 1 else 3e-3)
    if made.mean.isfinite().all() and made.variance.isfinite().all():
        mean = (points * each[:, None]).sum(0)
        torch.testing.assert_close(mean, made.mean, rtol=5e-3, atol=5e-3)


def test_simplex_of_two():
    made = Dirichlet(torch.tensor([2.0, 0.8], dtype=torch.float64))
    points, each = mass(made)
    assert float(each.sum()) == pytest.approx(1, abs=1e-4)
    torch.testing.assert_close((points * each[:, None]).sum(0), made.mean, rtol=1e-3, atol=1e-4)


def test_a_wrong_density_is_seen():
    made = Independent(Normal(torch.zeros(1).double(), torch.ones(1).double()), 1)
    points, weights = grid(made.support, made.sample((5000,)))
    assert float(((made.log_prob(points) + 0.01).exp() * weights).sum()) == pytest.approx(1.01005, abs=1e-6)


def test_what_is_not_known():
    draws = torch.randn(100, 3).double()
    assert grid(constraints.real_vector, draws) is None  # three dimensions
    assert grid(constraints.lower_cholesky, torch.randn(100, 1, 1).double()) is None


def test_grids_stay_small():
    counts = constraints.independent(constraints.nonnegative_integer, 1)
    assert grid(counts, torch.tensor([[0.0], [1e12]]).double()) is not None
    assert grid(counts, torch.tensor([[0.0, 0.0], [1e5, 1e5]]).double()) is None
    assert (
        grid(constraints.independent(constraints.integer_interval(0, 10**12), 1), torch.zeros(3, 1).double())
        is None
    )


def test_levels_of_data_that_torch_does_not_list():
    class Levels(constraints.Constraint):
        is_discrete = True

        def check(self, value):
            return (value * 4 == (value * 4).round()) & (value >= 0) & (value <= 1)

    support = constraints.independent(Levels(), 1)
    values = torch.linspace(0, 1, 5, dtype=torch.float64)
    points, weights = grid(support, torch.rand(10, 2).double(), values=values)
    assert points.shape == (25, 2)
    assert bool((weights == 1).all())
    assert grid(support, torch.rand(10, 2).double()) is None


def test_constraint_of_ones_own():
    class Circle(constraints.Constraint):
        event_dim = 1

        def quadrature(self, event_shape, count):
            if event_shape != (2,):
                return None
            angle = torch.arange(count, dtype=torch.float64) * (2 * torch.pi / count)
            return torch.stack([angle.cos(), angle.sin()], 1), torch.full(
                (count,), 2 * torch.pi / count
            ).double()

    points, weights = grid(Circle(), torch.randn(10, 2).double())
    assert points.shape[1] == 2
    assert float(weights.sum()) == pytest.approx(2 * torch.pi)
    assert grid(Circle(), torch.randn(10, 3).double()) is None
