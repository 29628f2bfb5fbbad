"""Latents of several kinds side by side."""

import pytest
import torch
from torch.distributions import Categorical, Normal, constraints, kl_divergence

from genmod import UsageError, build, diagonal_normal, load, save
from genmod.options.schema import Text
from genmod.plugins.posteriors._neural_maps import _ZukoMap
from genmod.plugins.posteriors._side_by_side import Beside, Product
from genmod.plugins.posteriors.flow import FlowPosterior
from genmod.plugins.posteriors.product import ProductPosterior
from genmod.plugins.posteriors.relaxed_categorical import OneHot
from genmod.plugins.priors.product import ProductPrior

B = 5
PARTS = ["normal:4", "relaxed-categorical:2x3:straight_through=true"]
PRIORS = ["normal:4", "categorical:2x3"]
X = torch.rand(4, 1, 8, 8)


def product():
    loc, log_scale, logits = (torch.randn(B, *s, dtype=torch.float64) for s in [(4,), (4,), (2, 3)])
    log_scale = 0.3 * log_scale
    return Product([diagonal_normal(loc, log_scale, 1), OneHot(logits, 0.5, 2)]), loc, log_scale, logits


def test_density_is_that_of_the_parts():
    q, loc, log_scale, logits = product()
    z = q.sample((7,))
    expected = Normal(loc, log_scale.exp()).log_prob(z[..., :4]).sum(-1)
    chosen = z[..., 4:].unflatten(-1, (2, 3)).argmax(-1)
    expected = expected + Categorical(logits=logits).log_prob(chosen).sum(-1)
    torch.testing.assert_close(q.log_prob(z), expected)
    torch.testing.assert_close(q.log_prob(q.rsample((7,))).shape, expected.shape)


def test_kl_is_the_sum_and_agrees_with_draws():
    q, *_ = product()
    p, *_ = product()
    closed = kl_divergence(q, p)
    torch.testing.assert_close(
        closed, sum(kl_divergence(a, b) for a, b in zip(q.parts, p.parts, strict=True))
    )
    z = q.sample((20_000,))
    ratio = q.log_prob(z) - p.log_prob(z)
    assert ((ratio.mean(0) - closed).abs() < 4.5 * ratio.std(0) / 20_000**0.5).all()


def test_moments_and_entropy():
    q, loc, _, logits = product()
    torch.testing.assert_close(q.mean, torch.cat([loc, logits.softmax(-1).flatten(1)], 1))
    z = q.sample((40_000,))
    assert ((z.var(0) - q.variance).abs() < 0.05 * (1 + q.variance)).all()
    density = q.log_prob(z)
    assert ((density.mean(0) + q.entropy()).abs() < 4.5 * density.std(0) / 200).all()


def test_parts_of_other_shapes_have_no_kl():
    q, *_ = product()
    with pytest.raises(NotImplementedError):
        kl_divergence(q, Product(q.parts[::-1]))


def test_support():
    support = Beside([(constraints.positive, ()), (constraints.one_hot, (2,))])
    z = torch.tensor([[1.0, 0.0, 1.0], [-1.0, 0.0, 1.0], [1.0, 1.0, 1.0]])
    assert support.check(z).tolist() == [True, False, False]
    assert not support.check(torch.zeros(4)).any()
    assert support.is_discrete


def test_a_part_knows_its_own_draw(monkeypatch):
    part = ProductPosterior((7,), (5,), parts=["flow:3", "normal"])
    q = part(torch.randn(B, 7))
    z = q.rsample((2,))
    slow = q.log_prob(z.clone())
    monkeypatch.setattr(_ZukoMap, "inverse", None)
    torch.testing.assert_close(q.log_prob(z), slow)
    torch.testing.assert_close(q.log_prob(z[None])[0], slow)


def test_sizes_and_options():
    part = ProductPosterior(
        (7,), (11,), parts=["relaxed-categorical:2x3:temperature=1->0.5 over 10 steps", "flow:kind=planar"]
    )
    classes, flow = part.parts
    assert classes.latent_shape == (2, 3)
    assert classes.temperature.final == 0.5
    assert isinstance(flow, FlowPosterior)
    assert (flow.kind, flow.latent_shape) == ("planar", (5,))


@pytest.mark.parametrize(
    ("parts", "latent", "says"),
    [
        (["normal:4", "laplace:4"], 9, "do not fill"),
        (["normal", "laplace"], 9, "do not fill"),
        (["normal", "laplace:9"], 9, "do not fill"),
        (["normal:4", "laplace:5"], (3, 3), "do not fill"),
        (["normal:a"], 9, "is not NAME:SIZE"),
        (["normal:0", "laplace"], 9, "is not NAME:SIZE"),
        (["normal:9:width"], 9, "is not NAME:SIZE"),
        (["norma:9"], 9, "norma"),
        (["delta:9"], 9, "no density"),
        (["relaxed-categorical:9:temperatur=1"], 9, "posterior.parts.relaxed-categorical.temperatur"),
    ],
)
def test_what_is_refused(parts, latent, says):
    with pytest.raises(UsageError, match=says) as caught:
        build("vae", posterior={"name": "product", "parts": parts}, prior="product", latent=latent)
    assert caught.value.hint


def test_priors_of_the_whole_model_are_refused():
    with pytest.raises(UsageError, match="whole model"):
        ProductPrior((9,), parts=["vamp:4", "normal"])


@pytest.mark.parametrize("divergence", ["kl", "kl-mc"])
def test_model(divergence, tmp_path):
    model = build(
        "vae",
        encoder="mlp",
        posterior={"name": "product", "parts": PARTS},
        prior={"name": "product", "parts": PRIORS},
        divergence=divergence,
        latent=10,
    )
    model.terms(X).total.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    assert model.sample(3).shape == (3, 1, 8, 8)
    save(model.eval(), tmp_path / "model")
    again = load(tmp_path / "model", weights="last")
    torch.testing.assert_close(again.encode(X).mean, model.encode(X).mean)
    assert again.posterior.parts[1].straight_through


def test_other_parts_in_the_prior_are_refused():
    for prior in (
        ["normal:4", "relaxed-categorical:2x3"],
        ["normal:7", "categorical:3"],
        ["laplace:4", "categorical:6"],
    ):
        with pytest.raises(UsageError, match="genmod list prior"):
            build(
                "vae",
                posterior={"name": "product", "parts": PARTS},
                prior={"name": "product", "parts": prior},
                latent=10,
            )


def test_from_the_command_line():
    settings = {
        "posterior.parts": Text("normal:4,relaxed-categorical:6:straight_through=true"),
        "prior.parts": Text("normal:4,categorical:6"),
    }
    model = build("vae", encoder="mlp", posterior="product", prior="product", latent=10, settings=settings)
    assert model.latent_shape == (10,)
