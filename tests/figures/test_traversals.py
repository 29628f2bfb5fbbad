"""Traversals stay in the space of the latents; latents on a plane."""

import math

import pytest
import torch

import genmod
from genmod.figures import codes, interpolation, random_decodings, traversal, variables
from genmod.figures.plane import hammer, on_plane

SPACES = [
    ("free", "vae", 3, {}),
    ("free", "autoencoder", [2, 2], {}),
    ("sphere", "s-vae", 4, {}),
    ("ball", "pvae", 2, {}),
    ("choice", "categorical-vae", [3, 4], {}),
    ("interval", "vae", 3, {"posterior": "gamma", "prior": "gamma"}),
    ("simplex", "vae", 3, {"posterior": "logistic-normal", "prior": "logistic-normal"}),
    ("mixed", "joint-vae", None, {}),
]
CODED = {"posterior": {"name": "vq", "codes": 5}, "prior": "categorical"}
EVERY = [
    *SPACES,
    ("code", "vae", [3, 4], CODED),
    ("bits", "vae", 3, {"posterior": "lfq", "prior": "categorical"}),
]


def built(recipe, latent, parts):
    return genmod.build(recipe, encoder="mlp", latent=latent, **parts)


@pytest.mark.parametrize(("space", "recipe", "latent", "parts"), SPACES)
def test_spaces(space, recipe, latent, parts):
    assert built(recipe, latent, parts).space.kind == space


@pytest.mark.parametrize(("space", "recipe", "latent", "parts"), SPACES)
def test_traversals_stay_in_the_space(space, recipe, latent, parts):
    model = built(recipe, latent, parts)
    with torch.no_grad():
        z = model.posterior(model.encoder(torch.rand(1, 1, 8, 8))).sample()[0]
    rows = [1, 0] if variables(model) > 1 else [0, 0]
    picture = traversal(
        model, z, rows, torch.linspace(-3, 3, 5), scale=(torch.zeros_like(z), torch.ones_like(z))
    )
    points = picture.latents.flatten(0, 1)
    assert model.space.contains(points).all()
    assert picture.images.shape == (2, picture.latents.shape[1], 1, 8, 8)
    assert picture.images.isfinite().all()
    counts = {"choice": math.prod(z.shape[:-1]), "simplex": math.prod(z.shape[:-1]), "mixed": 11}
    assert variables(model) == counts.get(space, z.numel())
    if space in ("free", "sphere", "ball", "interval", "choice"):
        assert not torch.equal(picture.latents[0, 0], picture.latents[0, -1])


def test_classes_are_gone_through_one_by_one():
    model = built("categorical-vae", [3, 4], {})
    z = torch.eye(4)[torch.tensor([3, 3, 3])]
    picture = traversal(model, z, [1], torch.linspace(-3, 3, 9))
    assert picture.latents.shape == (1, 4, 3, 4)
    assert picture.latents[0, :, 1].argmax(-1).tolist() == [0, 1, 2, 3]
    assert (picture.latents[0, :, [0, 2]].argmax(-1) == 3).all()
    assert picture.column_labels == ("0", "1", "2", "3")


def test_each_piece_is_moved_in_its_own_way():
    model = built("joint-vae", None, {})
    z = torch.cat([torch.zeros(10), torch.eye(10)[3]])
    scale = torch.zeros(20), torch.full((20,), 2.0)
    points = traversal(model, z, [10, 4], torch.linspace(-3, 3, 7), scale=scale).latents
    assert points[0, :, 10:].argmax(-1).tolist() == [0, 2, 3, 4, 6, 8, 9]
    assert model.space.contains(points[0]).all()
    assert points[0, :, :10].eq(0).all()
    assert points[1, :, 4].tolist() == [-6.0, -4.0, -2.0, 0.0, 2.0, 4.0, 6.0]
    assert points[1, :, 10:].argmax(-1).eq(3).all()


def test_codes_of_classes_are_classes():
    model = built("joint-vae", None, {})
    found = codes(model, torch.randint(0, 17, (5, 1, 8, 8), dtype=torch.uint8))
    assert found[:, 10:].sum(-1).eq(1).all()
    assert found[:, 10:].max(-1).values.eq(1).all()


def test_over_the_sphere_a_coordinate_goes_from_pole_to_pole():
    model = built("s-vae", 3, {})
    z = torch.nn.functional.normalize(torch.tensor([1.0, 2.0, -0.5]), dim=0)
    points = traversal(model, z, [1], torch.linspace(-3, 3, 7)).latents[0]
    torch.testing.assert_close(points.norm(dim=-1), torch.ones(7))
    torch.testing.assert_close(points[[0, -1], 1], torch.tensor([-1.0, 1.0]))
    # All others keep their proportions.
    torch.testing.assert_close(points[1:-1, 2] / points[1:-1, 0], torch.full((5,), -0.5))


def test_the_map_of_the_sphere_keeps_areas():
    """Uniform directions are uniform on the map: each quarter of the ellipse has a quarter, its inner half a half."""
    z = torch.nn.functional.normalize(torch.randn(20000, 3, dtype=torch.float64), dim=-1)
    x, y = hammer(z).T
    inner = (x / (2 * math.sqrt(2))) ** 2 + (y / math.sqrt(2)) ** 2
    assert inner.max() <= 1 + 1e-9
    assert abs((inner < 0.5).double().mean() - 0.5) < 0.02
    assert abs(((x > 0) & (y > 0)).double().mean() - 0.25) < 0.02


def test_projections():
    direct = on_plane([torch.randn(9, 2)], space="free")
    assert (direct.direct, direct.method) == (True, "")
    flat = torch.randn(300, 1) * torch.tensor([[3.0, 0.0, 4.0]]) + 0.01 * torch.randn(300, 3)
    pca = on_plane([flat, flat[:4]], space="free")
    assert pca.method == "two principal components, 100 % of the variance"
    torch.testing.assert_close(pca.points[0].norm(dim=1), (flat - flat.mean(0)).norm(dim=1), atol=0.1, rtol=0)
    torch.testing.assert_close(pca.points[1], pca.points[0][:4])
    torch.testing.assert_close(pca.lifted(pca.points[0]).float(), flat, atol=0.1, rtol=0)
    assert direct.lifted(direct.points[0]) is direct.points[0]
    assert "Hammer" in on_plane([torch.randn(9, 3)], space="sphere").method
    with pytest.raises(genmod.UndefinedError, match="not a number"):
        on_plane([torch.full((9, 2), math.nan)], space="free")


def test_where_two_components_say_little_neighbours_stay_neighbours():
    generator = torch.Generator().manual_seed(0)
    groups = torch.arange(60) % 6
    codes = 20 * torch.eye(6)[groups] + torch.randn(60, 6, generator=generator)
    drawn = on_plane([codes, codes[:5]], space="free")
    assert drawn.method.startswith("t-SNE, since two principal components have 4")
    # No line is straight there, and no distance is one.
    assert [len(each) for each in drawn.points] == [60, 0]
    assert drawn.lifted(drawn.points[0]) is None
    # Of two components, some groups would lie on each other.
    near = torch.cdist(drawn.points[0], drawn.points[0]).fill_diagonal_(math.inf).argmin(1)
    assert (groups[near] == groups).all()
    assert on_plane([codes], space="free", projection="pca").method.startswith("two principal components")


@pytest.mark.parametrize(("recipe", "latent", "parts"), [case[1:] for case in EVERY])
def test_what_is_decoded_between_and_around_latents_is_a_latent(recipe, latent, parts):
    model = built(recipe, latent, parts).eval()
    with torch.no_grad():
        z = model.posterior(model.encoder(torch.rand(12, 1, 8, 8))).sample()
    walk = interpolation(model, z[:6], z[6:], steps=7)
    assert model.space.contains(walk.latents.flatten(0, 1)).all()
    torch.testing.assert_close(walk.latents[:, 0], z[:6])
    torch.testing.assert_close(walk.latents[:, -1], z[6:])
    for box in (False, True):
        # Latents of one place, drawn far around them.
        picture = random_decodings(model, z.repeat(2, *[1] * (z.dim() - 1)), 200, box=box)
        assert model.space.contains(picture.latents).all()
        torch.testing.assert_close(
            model.space.settled(picture.latents.flatten(1)), picture.latents.flatten(1)
        )
