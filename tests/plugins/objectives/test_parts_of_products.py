"""Latents of several kinds: free bits of each variable and capacities of each part."""

import pytest
import torch
from torch.distributions import kl_divergence

import genmod
from genmod import UsageError
from genmod.model.assembly import assemble
from genmod.registry.lookup import current_registry

PARTS = {
    "posterior": {
        "name": "product",
        "parts": ["normal:3", "relaxed-categorical:2x4:straight_through=true", "normal-full:2"],
    },
    "prior": {"name": "product", "parts": ["normal:3", "categorical:2x4", "normal:2"]},
}


def model_of(**objective):
    components = {
        **PARTS,
        "encoder": {"name": "mlp", "hidden": [8]},
        "decoder": {"name": "gaussian"},
        "objective": {"name": "elbo", **objective},
    }
    made = assemble(genmod.compose("vae", components=components, latent=13), genmod.DataInfo((5,)), seed=2)
    return made.double()


@pytest.fixture
def x():
    return torch.rand(6, 5, dtype=torch.float64)


def rates(model, x):
    """By variable: three latents, two classes, and two correlated latents, which are one."""
    q, p = model.encode(x), model.prior()
    normal, classes, full = (kl_divergence(a, b) for a, b in zip(q.parts, p.parts, strict=True))
    each = kl_divergence(q.parts[0].base_dist, p.parts[0].base_dist)
    log_q, log_p = q.parts[1].logits, p.parts[1].logits
    of_class = (log_q.exp() * (log_q - log_p)).sum(-1)
    assert torch.allclose(each.sum(1), normal)
    assert torch.allclose(of_class.sum(1), classes)
    return torch.cat([each, of_class, full[:, None]], 1), torch.stack([normal, classes, full], 1)


@pytest.mark.parametrize("group", ["latent", "part", "all"])
@pytest.mark.parametrize("free_bits", [0.01, 0.05, 1.0])
def test_free_bits(x, group, free_bits):
    model = model_of(free_bits=free_bits, free_bits_group=group)
    by_variable, by_part = rates(model, x)
    assert by_variable.shape == (6, 6)
    groups = {"latent": by_variable, "part": by_part, "all": by_part.sum(1, keepdim=True)}[group]
    terms = model.terms(x)
    expected = groups.mean(0).clamp(min=free_bits).sum()
    assert torch.allclose(terms.loss - terms.values["distortion"].mean(), expected)
    assert torch.allclose(terms.values["rate"], by_part.sum(1))


def test_capacity_of_each_part(x):
    model = model_of(beta=3.0, capacity=0.2, capacity_group="part")
    _, by_part = rates(model, x)
    terms = model.terms(x)
    expected = 3 * (by_part.mean(0) - 0.2).abs().sum()
    assert torch.allclose(terms.loss - terms.values["distortion"].mean(), expected)
    together = model_of(beta=3.0, capacity=0.2).terms(x)
    assert not torch.allclose(together.loss, terms.loss)
    assert torch.allclose(together.values["rate"], terms.values["rate"])


def test_latents_of_one_kind_are_one_part(x):
    made = assemble(
        genmod.compose(
            "vae",
            components={
                "encoder": {"name": "mlp", "hidden": [8]},
                "decoder": "gaussian",
                "objective": {"name": "elbo", "capacity": 0.3, "capacity_group": "part"},
            },
            latent=2,
        ),
        genmod.DataInfo((5,)),
    ).double()
    terms = made.terms(x)
    assert torch.allclose(
        terms.loss - terms.values["distortion"].mean(), (terms.values["rate"].mean() - 0.3).abs()
    )


@pytest.mark.parametrize("group", ["latent", "part"])
def test_an_estimate_falls_apart_as_the_closed_form_does(x, group):
    model = model_of(free_bits=0.1, free_bits_group=group)
    closed = model.divergence
    estimate = current_registry().find("divergence", "kl-mc").load()(samples=20_000)
    with torch.no_grad():
        q, p = model.encode(x), model.prior()
        measure = "by_dimension" if group == "latent" else "by_part"
        z = q.sample((1,))
        torch.testing.assert_close(
            getattr(estimate, measure)(q, p, z), getattr(closed, measure)(q, p, z), rtol=0, atol=0.02
        )


def test_a_divergence_without_dimensions_is_refused():
    components = {
        **PARTS,
        "encoder": {"name": "mlp", "hidden": [8]},
        "decoder": "gaussian",
        "divergence": "mmd",
        "objective": {"name": "elbo", "free_bits": 0.1},
    }
    with pytest.raises(UsageError, match="does not decompose"):
        assemble(genmod.compose("vae", components=components, latent=13), genmod.DataInfo((5,)))
