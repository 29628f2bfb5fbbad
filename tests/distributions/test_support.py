"""What a latent is made of, asked of the supports themselves."""

import pytest
import torch
from torch.distributions import constraints

import genmod
from genmod import Batch, TensorSplit
from genmod.distributions.support import Piece, by_value, pieces, settled
from genmod.explorer.scene import scene
from genmod.figures import activity
from genmod.registry.lookup import current_registry


def support_of(posterior, latent, **options):
    cls = current_registry().find("posterior", posterior).load()
    return cls((16,), latent, **options).support


@pytest.mark.parametrize(
    ("posterior", "latent", "options", "kinds"),
    [
        ("normal", (5,), {}, [("free", 0, 5)]),
        ("normal", (2, 3, 3), {}, [("free", 0, 18)]),
        ("delta", (5,), {}, [("free", 0, 5)]),
        ("gamma", (5,), {}, [("interval", 0, 5)]),
        ("power-spherical", (5,), {}, [("sphere", 0, 5)]),
        ("vmf", (3,), {}, [("sphere", 0, 3)]),
        ("relaxed-categorical", (2, 3), {}, [("simplex", 0, 3), ("simplex", 3, 3)]),
        ("relaxed-categorical", (2, 3), {"straight_through": True}, [("choice", 0, 3), ("choice", 3, 3)]),
        ("logistic-normal", (4,), {}, [("simplex", 0, 4)]),
        ("relaxed-bernoulli", (5,), {}, [("interval", 0, 5)]),
        ("relaxed-bernoulli", (5,), {"straight_through": True}, [("bits", 0, 5)]),
        ("wrapped-normal", (2,), {}, [("ball", 0, 2)]),
        (
            "product",
            (9,),
            {"parts": ["normal:4", "relaxed-categorical:3", "power-spherical:2"]},
            [("free", 0, 4), ("simplex", 4, 3), ("sphere", 7, 2)],
        ),
    ],
)
def test_the_latents_of_every_posterior(posterior, latent, options, kinds):
    found = pieces(support_of(posterior, latent, **options), latent)
    assert [(piece.kind, piece.start, piece.size) for piece in found] == kinds


def test_bounds():
    (gamma,) = pieces(support_of("gamma", (2,)), (2,))
    assert (gamma.low, gamma.high) == (0.0, None)
    (unit,) = pieces(support_of("relaxed-bernoulli", (2,)), (2,))
    assert (unit.low, unit.high) == (0.0, 1.0)
    (ball,) = pieces(support_of("wrapped-normal", (3,), curvature=4.0), (3,))
    assert ball.high == pytest.approx(0.5)


def test_what_nobody_knows_is_free():
    assert pieces(constraints.lower_cholesky, (3, 3)) == (Piece("free", 0, 9),)


def test_codes_are_put_where_draws_lie():
    z = torch.tensor([[3.0, 4.0, 0.2, 0.7, 0.1, 0.9]])
    parts = [Piece("sphere", 0, 2), Piece("choice", 2, 3), Piece("bits", 5, 1)]
    torch.testing.assert_close(settled(z, parts), torch.tensor([[0.6, 0.8, 0, 1, 0, 1]]))


def test_every_built_in_posterior_has_pieces():
    for component in current_registry().components("posterior"):
        assert component.name in {
            "normal", "delta", "normal-full", "normal-lowrank", "laplace", "gamma", "power-spherical", "vmf",
            "relaxed-categorical", "logistic-normal", "relaxed-bernoulli", "wrapped-normal", "flow", "product",
        }, f"say above what the latents of {component.name} are made of"  # fmt: skip


@pytest.mark.parametrize(
    ("posterior", "prior", "latent", "several"),
    [
        ("normal", "normal", 3, [1, 1, 1]),
        ("relaxed-categorical", "relaxed-categorical", (3, 4), [4, 4, 4]),
        ("vmf", "uniform-sphere", 4, [1, 1, 1, 1]),
        ({"parts": ["normal:2", "vmf:3"]}, {"parts": ["normal:2", "uniform-sphere:3"]}, 5, [1, 1, 1, 1, 1]),
        (
            {"parts": ["relaxed-categorical:4", "normal:2"]},
            {"parts": ["relaxed-categorical:4", "normal:2"]},
            6,
            [4, 1, 1],
        ),
    ],
)
def test_there_is_an_activity_for_each_variable_and_a_slider_for_each_value(
    posterior, prior, latent, several
):
    parts = {
        kind: chosen if isinstance(chosen, str) else {"name": "product", **chosen}
        for kind, chosen in (("posterior", posterior), ("prior", prior))
    }
    # The KL of directions is known, but of all their coordinates together.
    divergence = "kl" if "vmf" in str(posterior) else "kl-mc"
    model = genmod.build(encoder="mlp", latent=latent, divergence=divergence, **parts)
    x = torch.rand(20, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    amounts, _ = activity(model, x)
    assert len(amounts) == len(several)
    of_values = by_value(amounts, pieces(model.posterior.support, model.latent_shape))
    torch.testing.assert_close(of_values, amounts.repeat_interleave(torch.tensor(several)))
    made = scene(model, TensorSplit(Batch(x)), name="m")
    assert sorted(slider["dimension"] for slider in made["latent"]["sliders"]) == list(range(sum(several)))
