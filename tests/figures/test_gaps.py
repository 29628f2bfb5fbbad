"""Gaps as a number: of models where it is known."""

import math

import pytest
import torch
from torch import nn

import genmod
from genmod import DataInfo, UndefinedError, UsageError, compose
from genmod.figures import emptiest_path, gap, gaps
from genmod.figures.gaps import roaming, yardstick
from genmod.model.assembly import assemble

PLAIN = {"posterior": "delta", "prior": "none", "divergence": "none", "objective": "reconstruction"}


class Holes(nn.Module):
    """Gives latents back as they are, and what no example is like where the first of them lies in a hole."""

    def __init__(self, low=math.inf, high=math.inf):
        super().__init__()
        self.low, self.high = low, high

    def forward(self, z):
        hole = (z[..., :1] > self.low) & (z[..., :1] < self.high)
        return torch.where(hole, torch.full_like(z, 1000.0), z)


def model_of(network=None, **parts):
    """A model with ``E[x|z] = z`` but for the holes of the network, of tables with two columns."""
    components = {
        "encoder": {"name": "mlp", "hidden": []},
        "network": {"name": "mlp", "hidden": []},
        "decoder": {"name": "gaussian", "scale": 1.0},
        **parts,
    }
    model = assemble(compose(components=components, latent=2), DataInfo((2,), low=-math.inf, high=math.inf))
    model.network = network or Holes()
    return model


def normal(n, seed):
    return torch.randn(n, 2, generator=torch.Generator().manual_seed(seed))


def clusters(n, apart, seed):
    generator = torch.Generator().manual_seed(seed)
    side = torch.randint(2, (n, 1), generator=generator) * torch.tensor([[apart, 0.0]])
    return side + torch.rand(n, 2, generator=generator)


def phi(x):
    return (1 + math.erf(x / math.sqrt(2))) / 2


def test_a_model_whose_prior_is_its_data_has_none():
    found = gap(model_of(), normal(400, 1), normal(4000, 2))
    assert found.share < 0.01 + 4 * found.error
    assert (found.draws, found.reference, found.origin) == (1000, 4000, "draws from the prior, normal")


@pytest.mark.parametrize(("low", "high"), [(0.0, 0.5), (1.0, 9.0), (-9.0, 9.0)])
def test_a_hole_in_the_decoder_has_the_share_that_the_prior_gives_it(low, high):
    # The codes lie beside the hole, so that reconstructions do not fall into it.
    codes = normal(400, 1)
    found = gap(model_of(Holes(low, high)), torch.where(codes[:, :1] > low, 10.0, codes), normal(4000, 2))
    expected = phi(high) - phi(low)
    assert abs(found.share - expected) < 0.01 + 4 * math.sqrt(expected * (1 - expected) / 1000)


def test_draws_where_no_data_are_count_too():
    # The data are a ring: draws of the prior within it are a gap, and those far outside.
    angle, radius = torch.linspace(0, 2 * math.pi, 4001)[:-1], 2.0
    ring = radius * torch.stack([angle.cos(), angle.sin()], 1)
    model, reference = model_of(), ring[::2]
    # Codes a little off the ring set the limit: their reconstructions are 0.5 away from it.
    codes = ring[1::40] * (1 + 0.5 / radius)
    limit = yardstick(model, codes, reference).limit
    assert abs(limit - 0.5) < 0.01
    inside = math.exp(-((radius - limit) ** 2) / 2) - math.exp(-((radius + limit) ** 2) / 2)
    found = gap(model, codes, reference)
    assert abs(found.share - (1 - inside)) < 0.01 + 4 * found.error


@pytest.mark.parametrize("apart", [1.0, 5.0, 20.0])
def test_an_autoencoder_whose_codes_are_in_two_places(apart):
    # Two unit squares in a box apart + 1 wide: what lies between them is like no example.
    model = model_of(**PLAIN)
    found = gap(model, clusters(400, apart, 1), clusters(4000, apart, 2))
    expected = (apart - 1 - 2 * found.limit) / (apart + 1)
    assert abs(found.share - max(0, expected)) < 0.015 + 4 * found.error
    assert str(found).endswith("% of points anywhere in the box around the codes")


def test_blurred_and_broken_reconstructions_are_no_gaps():
    # A decoder that gives everything the same picture, far from all data, has no gaps: it is bad everywhere.
    found = gap(model_of(Holes(-math.inf, math.inf)), normal(400, 1), normal(4000, 2))
    assert found.share == 0.0
    assert 0 < found.error < 0.002


def test_the_limit_is_that_of_examples_or_of_reconstructions_whichever_is_farther():
    line = torch.stack([torch.arange(200.0), torch.zeros(200)], 1)
    near, far = line + 0.25, line + torch.tensor([[0.0, 7.0]])
    assert yardstick(model_of(), near, line).limit == 1.0
    measure = yardstick(model_of(), far, line)
    assert measure.limit == 7.0
    assert measure.far(torch.tensor([[3.0, 14.0], [3.0, 3.5]])).tolist() == [2.0, 0.5]


def test_of_many_numbers_points_are_normal_with_mean_and_spread_of_the_codes():
    model = genmod.build("autoencoder", encoder="mlp", latent=3)
    codes = torch.randn(500, 3) * torch.tensor([1.0, 5.0, 0.1]) + 4
    points, origin = roaming(model, codes)
    torch.testing.assert_close(points.std(0), codes.std(0), rtol=0.15, atol=0)
    assert origin == "points with mean and spread of the codes"


@pytest.mark.parametrize(("recipe", "latent"), [("categorical-vae", [2, 3]), ("s-vae", 3), ("cvae", 3)])
def test_every_kind_of_latent_has_a_number(recipe, latent):
    model = genmod.build(recipe, encoder="mlp", latent=latent)
    given = None if model.conditions is None else torch.eye(10).repeat(2, 1)
    codes = model.space.settled(torch.randn(20, 12)[:, : math.prod(model.latent_shape)])
    found = gap(model, codes.reshape(-1, *model.latent_shape), torch.rand(30, 1, 8, 8), context=given)
    assert 0 <= found.share <= 1


def test_the_emptiest_path_crosses_the_gap():
    model = model_of()
    path = emptiest_path(model, clusters(200, 30.0, 3), steps=9)
    assert path.shape == (9, 2)
    assert (path[:, 0].max() - path[:, 0].min()) > 20
    assert torch.equal(path, emptiest_path(model, clusters(200, 30.0, 3), steps=9))
    assert not torch.equal(path, emptiest_path(model, clusters(200, 30.0, 3), steps=9, seed=1))


def test_large_latents_are_compared_some_lines_at_a_time(monkeypatch):
    codes = clusters(200, 30.0, 3)
    whole = emptiest_path(model_of(), codes, steps=9)
    sizes, found = [], gaps.nearest
    monkeypatch.setattr(gaps, "nearest", lambda x, *more: sizes.append(len(x)) or found(x, *more))
    monkeypatch.setattr(gaps, "_VALUES", 7 * 9 * 2)
    assert torch.equal(whole, emptiest_path(model_of(), codes, steps=9))
    assert max(sizes[1:]) == 7 * 9


def test_too_few_codes_and_missing_values():
    with pytest.raises(UsageError, match="4 or more codes"):
        gap(model_of(), torch.zeros(3, 2), torch.zeros(5, 2))
    with pytest.raises(UndefinedError, match="missing"):
        gap(model_of(), torch.randn(8, 2), torch.full((5, 2), math.nan))


def test_what_is_not_a_number_is_a_gap_and_no_limit():
    measure = yardstick(model_of(), normal(20, 1), normal(30, 2))
    far = measure.far(torch.tensor([[math.nan, 0.0], [math.inf, 0.0], [0.0, 0.0]]))
    assert (far > 1).tolist() == [True, True, False]
    broken = model_of()
    broken.network = nn.Linear(2, 2)
    nn.init.constant_(broken.network.bias, math.nan)
    with pytest.raises(UndefinedError, match="not a number"):
        gap(broken, normal(20, 1), normal(30, 2))


def test_the_random_state_stays():
    state = torch.get_rng_state()
    gap(model_of(**PLAIN), clusters(20, 1.0, 1), clusters(20, 1.0, 2))
    emptiest_path(model_of(), clusters(20, 1.0, 1))
    assert torch.equal(state, torch.get_rng_state())
