"""The critic of total correlation: permutations, and its estimate where the total correlation is known."""

import math

import pytest
import torch
from torch.distributions import MultivariateNormal

import genmod
from genmod import DataInfo, Draw, UsageError, diagonal_normal
from genmod.plugins.critics.tc import TotalCorrelationCritic

DATA = DataInfo((3,), low=-math.inf, high=math.inf)


def draw(z):
    """What is drawn of the latents ``z (K, B, D)``; the rest is not asked for."""
    zeros = torch.zeros(z.shape[1:])
    q = diagonal_normal(zeros, zeros, 1)
    return Draw(zeros, q, z, lambda: q, q, zeros, zeros[:, 0])


def test_each_latent_keeps_its_values():
    critic = TotalCorrelationCritic(DATA, (5,))
    z = torch.randn(3, 40, 5)
    permuted = critic.permuted(z)
    assert permuted.shape == z.shape
    assert torch.equal(permuted.sort(1).values, z.sort(1).values)


def test_no_two_latents_are_permuted_alike():
    critic = TotalCorrelationCritic(DATA, (4,))
    numbers = torch.arange(50.0)[None, :, None].expand(2, 50, 4)
    columns = critic.permuted(numbers).transpose(1, 2).flatten(0, 1)
    same = (columns[:, None] == columns[None]).float().mean(-1) - torch.eye(8)
    assert same.max() < 0.2


def test_dependence_is_destroyed():
    """Latents that are all the same number are permuted to ones without correlation."""
    z = torch.randn(1, 20_000, 1).expand(1, 20_000, 3)
    permuted = TotalCorrelationCritic(DATA, (3,)).permuted(z)[0]
    correlation = torch.corrcoef(permuted.T) - torch.eye(3)
    assert correlation.abs().max() < 5 / math.sqrt(20_000)


def test_every_permutation_is_equally_likely():
    """Of three examples, six: each latent's by itself, and each pair of two latents'."""
    critic = TotalCorrelationCritic(DATA, (2,))
    z = torch.arange(3.0)[None, :, None].expand(7200, 3, 2)
    codes = (critic.permuted(z) * torch.tensor([1.0, 3.0, 9.0])[:, None]).sum(1).long()
    pairs = torch.stack([codes[:, 0], codes[:, 1]], 1).unique(dim=0, return_counts=True)[1]
    assert len(pairs) == 36
    # 200 expected of each; chi-square of 35 degrees has its 99.99 % point at 76.
    assert ((pairs - 200.0) ** 2 / 200).sum() < 76


def test_probabilities_of_one_class_stay_together():
    components = {
        "posterior": "relaxed-categorical",
        "prior": "relaxed-categorical",
        "divergence": "kl-mc",
        "encoder": "mlp",
    }
    critic = genmod.build(**components, critic="tc", latent=(2, 3)).critic
    z = torch.rand(1, 30, 6)
    permuted = critic.permuted(z)[0]
    for part in (slice(0, 3), slice(3, 6)):
        rows = {tuple(row) for row in z[0, :, part].tolist()}
        assert {tuple(row) for row in permuted[:, part].tolist()} == rows
    assert not torch.equal(permuted[:, :3].argsort(0), permuted[:, 3:].argsort(0))


@pytest.mark.parametrize(
    "correlations",
    [
        pytest.param(((1.0, 0.8), (0.8, 1.0)), marks=pytest.mark.slow),
        pytest.param(((1.0, 0.5, 0.3), (0.5, 1.0, -0.4), (0.3, -0.4, 1.0)), marks=pytest.mark.slow),
    ],
    ids=["two latents", "three latents"],
)
def test_estimate_of_a_known_total_correlation(correlations):
    """Of a normal with correlations R it is ``-½ log det R``."""
    r = torch.tensor(correlations)
    known = -0.5 * float(torch.logdet(r.double()))
    critic = TotalCorrelationCritic(DATA, (len(r),), hidden=(64, 64), gamma=2.0)
    source = MultivariateNormal(torch.zeros(len(r)), r)
    (group,) = critic.parameter_groups().values()
    optimizer = torch.optim.Adam(group.parameters, 3e-3, betas=group.optimizer["betas"])
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 500)
    for _ in range(500):
        loss = critic.losses(draw(source.sample((1, 512))))["critic_loss"]
        optimizer.zero_grad()
        (loss.weight * loss.values.mean()).backward()
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        found = critic.losses(draw(source.sample((1, 100_000))))["total_correlation"]
    assert found.weight == 2.0
    assert float(found.values.mean()) == pytest.approx(known, abs=0.03)


def test_latents_that_cannot_be_independent_are_refused():
    with pytest.raises(UsageError, match="can be independent"):
        genmod.build("s-vae", critic="tc", encoder="mlp", latent=3)
    with pytest.raises(UsageError, match="can be independent"):
        genmod.build("vq-vae", critic="tc")
