"""KLs that fall apart, registered by the pair of types."""

import pytest
import torch
from torch.distributions import Independent, MultivariateNormal, Normal, kl_divergence

from genmod import UndefinedError
from genmod.distributions import kl
from genmod.distributions.kl import (
    by_part,
    by_variable,
    known_kl,
    parts_of,
    register_kl_by_part,
    register_kl_by_variable,
    variables_of,
)
from genmod.plugins.posteriors._simplex import OneHot, RelaxedOneHot


@pytest.fixture(autouse=True)
def tables(monkeypatch):
    """What a test registers is gone after it."""
    monkeypatch.setattr(kl, "_VARIABLES", dict(kl._VARIABLES))
    monkeypatch.setattr(kl, "_PARTS", dict(kl._PARTS))


def pair():
    q = Independent(Normal(torch.randn(4, 3).double(), torch.rand(4, 3).double() + 0.5), 1)
    return q, Independent(Normal(torch.zeros(3).double(), torch.ones(3).double()), 1)


def test_independent_latents_fall_apart_into_values():
    q, p = pair()
    loc, scale = q.base_dist.loc, q.base_dist.scale
    expected = 0.5 * (loc**2 + scale**2 - 1) - scale.log()
    torch.testing.assert_close(by_variable(known_kl, q, p, q.sample((1,))), expected)


@pytest.mark.parametrize("cls", [OneHot, RelaxedOneHot])
def test_classes_fall_apart_into_variables(cls):
    logits = torch.randn(4, 2, 3).double()
    q, p = cls(logits, 0.5, 2), cls(torch.zeros(2, 3).double(), 0.5, 2)
    z = q.sample((5,))
    found = by_variable(lambda a, b, draws: (a.log_prob(draws) - b.log_prob(draws)).mean(0), q, p, z)
    each = [
        (
            cls(logits[:, i], 0.5, 1).log_prob(z[:, :, i]) - cls(torch.zeros(3), 0.5, 1).log_prob(z[:, :, i])
        ).mean(0)
        for i in range(2)
    ]
    torch.testing.assert_close(found, torch.stack(each, 1))


class Mine(MultivariateNormal):
    """Somebody's own: a normal whose latents are independent in pairs."""


class Nearer(Mine):
    pass


def mine(cls=Mine, batch=(4,)):
    covariance = torch.block_diag(torch.eye(2), 2 * torch.eye(2)).double()
    return cls(torch.randn(*batch, 4).double(), covariance.expand(*batch, 4, 4))


def halves(q, p):
    def pairs(d):
        covariances = torch.stack([d.covariance_matrix[..., :2, :2], d.covariance_matrix[..., 2:, 2:]], -3)
        return MultivariateNormal(d.loc.unflatten(-1, (2, 2)), covariances)

    return pairs(q), pairs(p)


def test_a_pair_that_nobody_registered_is_named_with_the_line_to_write():
    q, p = mine(), mine(batch=())
    with pytest.raises(UndefinedError, match=r"Mine and Mine.*independent") as caught:
        by_variable(known_kl, q, p, q.sample((1,)))
    assert "@register_kl_by_variable(Mine, Mine)" in caught.value.hint


def test_third_parties_register_theirs():
    register_kl_by_variable(Mine, Mine)(halves)
    q, p = mine(Nearer), mine(batch=())
    found = by_variable(known_kl, q, p, q.sample((1,)))
    assert found.shape == (4, 2)
    torch.testing.assert_close(found.sum(1), kl_divergence(q, p))


def test_the_nearest_types_are_taken():
    register_kl_by_variable(MultivariateNormal, MultivariateNormal)(lambda q, p: ("far", q))
    register_kl_by_variable(Mine, MultivariateNormal)(lambda q, p: ("q", q))
    register_kl_by_variable(MultivariateNormal, Nearer)(lambda q, p: ("p", q))
    full = mine(MultivariateNormal)
    assert variables_of(full, full)[0] == "far"
    assert variables_of(mine(Nearer), full)[0] == "q"
    assert variables_of(full, mine(Nearer))[0] == "p"
    # As with torch's register_kl, q decides where neither is nearer in both.
    assert variables_of(mine(), mine(Nearer))[0] == "q"


def test_parts():
    q, p = pair()
    z = q.sample((2,))
    assert parts_of(q, p, z) == [(q, p, z)]
    torch.testing.assert_close(by_part(known_kl, q, p, z), kl_divergence(q, p)[:, None])

    @register_kl_by_part(Mine, Mine)
    def _(q, p, z):
        (a, b), draws = halves(q, p), z.unflatten(-1, (2, 2))
        parts = [
            MultivariateNormal(d.loc[..., i, :], d.covariance_matrix[..., i, :, :])
            for i in (0, 1)
            for d in (a, b)
        ]
        return [(*parts[:2], draws[..., 0, :]), (*parts[2:], draws[..., 1, :])]

    q, p = mine(), mine(batch=())
    z = q.sample((2,))
    register_kl_by_variable(Mine, Mine)(halves)
    of_parts = by_part(known_kl, q, p, z)
    torch.testing.assert_close(of_parts, kl_divergence(*halves(q, p)))
    # Each part depends on itself: it is one variable.
    torch.testing.assert_close(by_variable(known_kl, q, p, z), of_parts)
