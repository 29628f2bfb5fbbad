"""Coordinates of supports: determinants against automatic differentiation, and there and back far out."""

import pytest
import torch
from torch.distributions import constraints

from genmod.distributions import contrasts, coordinates, plain
from genmod.plugins.posteriors._ball import PoincareBall

SUPPORTS = {
    "real": (constraints.independent(constraints.real, 1), 3, 3),
    "interval": (constraints.independent(constraints.unit_interval, 1), 3, 3),
    "positive": (constraints.independent(constraints.nonnegative, 1), 3, 3),
    "simplex": (constraints.simplex, 3, 3),
    "wide interval": (constraints.independent(constraints.interval(-2.0, 5.0), 1), 3, 3),
    "ball": (PoincareBall(0.7), 3, 3),
}


@pytest.mark.parametrize("name", SUPPORTS)
def test_determinant(name):
    support, size, used = SUPPORTS[name]
    chart = coordinates(support)
    for _ in range(3):
        u = torch.randn(size, dtype=torch.float64)
        # Densities of a simplex refer to all of its coordinates but one.
        jacobian = torch.autograd.functional.jacobian(lambda v: plain(chart.forward(v)[0])[:used], u)
        z, log_det = chart.forward(u)
        torch.testing.assert_close(log_det, torch.linalg.slogdet(jacobian)[1])
        torch.testing.assert_close(chart.back(z), u)
        torch.testing.assert_close(chart.back(plain(z)), u)
        assert support.check(plain(z))


@pytest.mark.parametrize("name", ["interval", "positive", "simplex", "ball"])
def test_there_and_back_where_values_are_rounded(name):
    support, size, _ = SUPPORTS[name]
    chart = coordinates(support)
    u = torch.tensor([3000.0, -500.0, 40.0])[:size].float()
    z, log_det = chart.forward(u)
    torch.testing.assert_close(chart.back(z), u, rtol=1e-5, atol=1e-3)
    assert log_det.isfinite()
    assert plain(z).isfinite().all()


def test_events_of_several_dimensions():
    chart = coordinates(constraints.independent(constraints.simplex, 1))
    u = torch.randn(5, 4, 2, dtype=torch.float64)
    z, log_det = chart.forward(u)
    assert z.shape == (5, 4, 3)
    single = coordinates(constraints.simplex).forward(u)[1]
    torch.testing.assert_close(log_det, single.sum(-1))


def test_contrasts_are_orthonormal():
    basis = contrasts(7)
    torch.testing.assert_close(basis.T @ basis, torch.eye(6))
    torch.testing.assert_close(basis.sum(0), torch.zeros(6), atol=1e-6, rtol=0)


def test_none_is_known():
    with pytest.raises(NotImplementedError):
        coordinates(constraints.symmetric)
