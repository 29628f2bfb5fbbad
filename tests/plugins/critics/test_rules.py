"""Losses and penalties of critics by hand: scores of known points, critics whose gradient is known."""

import math

import pytest
import torch

from genmod import DataInfo
from genmod.plugins.critics._rules import gradient_penalty, r1_penalty, rule
from genmod.plugins.critics.adversarial import AdversarialCritic

DATA = DataInfo((3,), low=-math.inf, high=math.inf)


@pytest.mark.parametrize(
    ("name", "real", "made", "own", "fooling"),
    [
        ("hinge", 0.25, -0.5, 0.75 + 0.5, 0.5),
        ("hinge", 3.0, 2.0, 0.0 + 3.0, -2.0),
        ("hinge", -1.0, -4.0, 2.0 + 0.0, 4.0),
        ("wasserstein", 3.0, 2.0, -1.0, -2.0),
        ("wasserstein", -1.0, 2.5, 3.5, -2.5),
        # -log sigmoid(real) - log(1 - sigmoid(made)), and -log sigmoid(made): log-odds of 3/4 and of 1/5.
        ("non-saturating", math.log(3), math.log(0.25), -math.log(0.75) - math.log(0.8), -math.log(0.2)),
        ("non-saturating", -200.0, 150.0, 350.0, 0.0),
    ],
)
def test_values(name, real, made, own, fooling):
    found = rule(name, torch.tensor(real, dtype=torch.float64), torch.tensor(made, dtype=torch.float64))
    assert [float(each) for each in found] == pytest.approx([own, fooling], abs=1e-12)


def linear(**options):
    """``D(z) = w·z``."""
    critic = AdversarialCritic(DATA, (4,), hidden=(), **options).double()
    with torch.no_grad():
        critic.net[-1].weight.copy_(torch.tensor([[1.0, -2.0, 0.5, 3.0]]))
    return critic


def test_penalties_of_a_linear_critic():
    """Its gradient is w everywhere."""
    norm = math.sqrt(1 + 4 + 0.25 + 9)
    critic, real, made = linear(), torch.randn(6, 4).double(), torch.randn(6, 4).double()
    score = critic._mean_score
    torch.testing.assert_close(
        gradient_penalty(score, real, made, len(real)), torch.full((6,), (norm - 1) ** 2).double()
    )
    torch.testing.assert_close(r1_penalty(score, real), torch.full((6,), norm**2 / 2).double())
    # And by w: 2 (‖w‖ - 1) w/‖w‖, and w.
    weight = critic.net[-1].weight
    (of_gp,) = torch.autograd.grad(gradient_penalty(score, real, made, len(real)).mean(), weight)
    (of_r1,) = torch.autograd.grad(r1_penalty(score, real).mean(), weight)
    torch.testing.assert_close(of_gp, 2 * (norm - 1) / norm * weight)
    torch.testing.assert_close(of_r1, weight)


def test_penalties_are_taken_where_they_belong():
    """Of ``D(z) = ½ |z|²`` the gradient is z: R1 is ½ |real|², and the other lies between both sides."""

    def score(z):
        return 0.5 * z.square().sum(1)

    real, made = torch.tensor([[3.0, 4.0]]).expand(500, 2), torch.tensor([[0.6, 0.8]]).expand(500, 2)
    torch.testing.assert_close(r1_penalty(score, real), torch.full((500,), 12.5))
    with torch.no_grad():
        norms = (
            gradient_penalty(score, real, made, 250).sqrt() + 1
        )  # from 1 to 5, on a line through the origin
    assert norms.min() < 1.1
    assert 4.9 < norms.max() <= 5.0
    assert float(norms.mean()) == pytest.approx(3.0, abs=0.2)


def test_penalties_have_values_without_gradients():
    with torch.no_grad():
        found = gradient_penalty(
            linear()._mean_score, torch.ones(2, 4).double(), torch.zeros(2, 4).double(), 2
        )
    assert not found.requires_grad
    assert found[0] == pytest.approx((math.sqrt(14.25) - 1) ** 2)


@pytest.mark.parametrize(
    ("options", "expected"),
    [({}, 0.0), ({"loss": "wasserstein"}, 10.0), ({"loss": "wasserstein", "gradient_penalty": 0.5}, 0.5)],
)
def test_wasserstein_has_a_gradient_penalty(options, expected):
    assert linear(**options).gradient_penalty == expected
