"""What a latent is made of, asked of the supports themselves."""

import pytest
import torch
from torch.distributions import constraints

import genmod
from genmod import Batch, TensorSplit
from genmod.distributions.support import Piece, Space
from genmod.explorer.scene import scene
from genmod.figures import activity
from genmod.plugins.posteriors._side_by_side import Beside
from genmod.plugins.posteriors._sphere import unit_sphere
from genmod.registry.lookup import current_registry


def space_of(posterior, latent, **options):
    cls = current_registry().find("posterior", posterior).load()
    return Space(cls((16,), latent, **options).support, latent)


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
    found = space_of(posterior, latent, **options).pieces
    assert [(piece.kind, piece.start, piece.size) for piece in found] == kinds


def test_bounds():
    (gamma,) = space_of("gamma", (2,)).pieces
    assert (gamma.low, gamma.high) == (0.0, None)
    (unit,) = space_of("relaxed-bernoulli", (2,)).pieces
    assert (unit.low, unit.high) == (0.0, 1.0)
    (ball,) = space_of("wrapped-normal", (3,), curvature=4.0).pieces
    assert ball.high == pytest.approx(0.5)


def test_what_nobody_knows_is_free():
    assert Space(constraints.lower_cholesky, (3, 3)).pieces == (Piece("free", 0, 9),)


def test_codes_are_put_where_draws_lie():
    z = torch.tensor([[3.0, 4.0, 0.2, 0.7, 0.1, 0.9]])
    parts = [
        (unit_sphere, (2,)),
        (constraints.one_hot, (3,)),
        (constraints.independent(constraints.boolean, 1), (1,)),
    ]
    torch.testing.assert_close(Space(Beside(parts), (6,)).settled(z), torch.tensor([[0.6, 0.8, 0, 1, 0, 1]]))


def test_every_built_in_posterior_has_pieces():
    for component in current_registry().components("posterior"):
        assert component.name in {
            "normal", "delta", "normal-full", "normal-lowrank", "laplace", "gamma", "power-spherical", "vmf",
            "relaxed-categorical", "logistic-normal", "relaxed-bernoulli", "wrapped-normal", "flow", "product",
            "vq", "residual-vq", "fsq", "lfq", "normal-map", "hierarchical", "hmc", "semi-amortised",
            "rhvae", "top-down",
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
    of_values = model.space.by_value(amounts)
    torch.testing.assert_close(of_values, amounts.repeat_interleave(torch.tensor(several)))
    made = scene(model, TensorSplit(Batch(x)), name="m")
    assert sorted(slider["dimension"] for slider in made["latent"]["sliders"]) == list(range(sum(several)))
