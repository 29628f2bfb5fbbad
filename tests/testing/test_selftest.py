"""The self-test: it holds here, and it would not hold if the mathematics did not."""

import pytest
import torch

from genmod.system.random import seeded
from genmod.testing import selftest


@pytest.fixture
def proofs():
    def run(check):
        with seeded(0):
            return [selftest.Proof(*numbers, 0.0) for numbers in check()]

    return run


QUICK = (selftest._bounds, selftest._gradients, selftest._divergences, selftest._resumed, selftest._saved)


@pytest.mark.parametrize("check", QUICK)
def test_it_holds(proofs, check):
    assert [proof for proof in proofs(check) if not proof.holds] == []


@pytest.mark.slow
def test_all_of_it_holds():
    state = torch.get_rng_state()
    assert all(proof.holds for proof in selftest.selftest())
    assert torch.equal(torch.get_rng_state(), state)


def test_a_wrong_density_is_seen(proofs, monkeypatch):
    from genmod.distributions.normal import LogScaleNormal

    right = LogScaleNormal.log_prob
    monkeypatch.setattr(LogScaleNormal, "log_prob", lambda self, x: right(self, x) + 1e-3)
    assert not all(proof.holds for proof in proofs(selftest._bounds))


def test_a_wrong_divergence_is_seen(proofs, monkeypatch):
    monkeypatch.setattr(selftest, "kl_divergence", lambda q, p: 1.2 * torch.distributions.kl_divergence(q, p))
    assert sum(not proof.holds for proof in proofs(selftest._divergences)) >= 5


def test_a_wrong_gradient_is_seen(proofs, monkeypatch):
    right = torch.autograd.grad
    monkeypatch.setattr(torch.autograd, "grad", lambda *args: [1.001 * g for g in right(*args)])
    assert not any(proof.holds for proof in proofs(selftest._gradients))
