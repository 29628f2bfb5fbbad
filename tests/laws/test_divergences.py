"""Laws of divergences."""

import pytest
import torch
from torch.distributions import Cauchy, Independent, Laplace

from genmod import UndefinedError, diagonal_normal


def test_without_a_prior_it_is_zero(divergence):
    part = divergence.build()
    if part.needs_prior:
        pytest.skip("it compares with the prior")
    q = diagonal_normal(torch.randn(3, 2), torch.randn(3, 2), 1)
    assert not part(q, q, q.sample((2,))).any()


def test_a_pair_that_it_does_not_know_is_named(divergence):
    """An error that says which pair, and what to choose instead; or a value."""
    part = divergence.build()
    q = Independent(Laplace(torch.zeros(5, 2), torch.ones(5, 2)), 1)
    p = Independent(Cauchy(torch.zeros(2), torch.ones(2)), 1)
    try:
        part.check(q, p)
    except UndefinedError:
        with pytest.raises(UndefinedError, match=r"Laplace|Cauchy") as caught:
            part.check(q, p)
        assert "--" in caught.value.hint
    else:
        value = part(q, p, q.sample((2,)))
        assert value.shape == (5,)
        assert value.isfinite().all()
