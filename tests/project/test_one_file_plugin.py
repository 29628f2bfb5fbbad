"""The example of a paper in one file: short, right, and usable as the file says."""

from pathlib import Path

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from genmod import diagonal_normal
from genmod.registry.lookup import Registry
from genmod.testing import run_checks

FILE = Path(__file__).parents[2] / "examples" / "one-file-plugin" / "geometric_js.py"


@pytest.fixture(scope="module")
def component():
    return Registry(files=[FILE]).find("divergence", "geometric-js")


def test_it_takes_no_more_than_forty_lines():
    assert len(FILE.read_text().splitlines()) <= 40


@pytest.mark.parametrize("alpha", [0.0, 0.2, 0.5, 0.9])
def test_against_quadrature(component, alpha):
    """``m`` is the normalised geometric mean of the two densities, and the divergence an integral over it."""
    q, p = (Normal(*torch.tensor(each).double()) for each in ((0.7, 0.6), (-0.4, 1.3)))
    x = torch.linspace(-15, 15, 200_001, dtype=torch.float64)
    log_m = (1 - alpha) * q.log_prob(x) + alpha * p.log_prob(x)
    log_m = log_m - torch.trapezoid(log_m.exp(), x).log()
    terms = [torch.trapezoid(each.log_prob(x).exp() * (each.log_prob(x) - log_m), x) for each in (q, p)]
    expected = (1 - alpha) * terms[0] + alpha * terms[1]
    parts = [diagonal_normal(each.loc[None, None], each.scale.log()[None, None], 1) for each in (q, p)]
    found = component.load()(alpha=alpha)(*parts, None)
    torch.testing.assert_close(found[0], expected, rtol=1e-7, atol=1e-9)


def test_without_the_prior_it_is_zero_and_half_way_it_is_symmetric(component):
    q, p = (diagonal_normal(torch.randn(5, 3), torch.randn(5, 3), 1) for _ in range(2))
    torch.testing.assert_close(component.load()(alpha=0.0)(q, p, None), torch.zeros(5), atol=1e-5, rtol=0)
    half = component.load()(alpha=0.5)
    torch.testing.assert_close(half(q, p, None), half(p, q, None))
    assert (half(q, p, None) <= 0.5 * (kl_divergence(q, p) + kl_divergence(p, q))).all()


@pytest.mark.slow
def test_it_passes_the_kit():
    registry = Registry(files=[FILE])
    report = run_checks(registry.find("divergence", "geometric-js"), registry=registry)
    assert report.ok, report.failed
