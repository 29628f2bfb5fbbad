"""Gaps as a number: of models where it is known."""

import math

import pytest
import torch

import genmod
from genmod import DataInfo, UndefinedError, UsageError, compose
from genmod.figures import emptiest_path, gap
from genmod.figures.gaps import distance_to, region
from genmod.model.assembly import assemble


@pytest.fixture(scope="module")
def identity():
    """A model with ``E[x|z] = z``, of tables with two columns."""
    components = {
        "encoder": {"name": "mlp", "hidden": []},
        "network": {"name": "mlp", "hidden": []},
        "decoder": {"name": "gaussian", "scale": 1.0},
    }
    model = assemble(compose(components=components, latent=2), DataInfo((2,), low=-math.inf, high=math.inf))
    with torch.no_grad():
        for parameter in model.network.parameters():
            parameter.zero_()
        next(p for p in model.network.parameters() if p.dim() == 2).copy_(torch.eye(2))
    return model


def clusters(n, apart, seed):
    generator = torch.Generator().manual_seed(seed)
    side = torch.randint(2, (n, 1), generator=generator) * torch.tensor([[apart, 0.0]])
    return side + torch.randn(n, 2, generator=generator)


def test_data_without_gaps_have_none(identity):
    found = gap(identity, clusters(400, 0.0, 1), clusters(4000, 0.0, 2))
    # The middle of two normal draws lies where there are more examples than at the draws.
    assert 0.4 < found.between < 1.0
    assert abs(found.around - 1) < 4 * found.around_error
    assert (found.pairs, found.reference) == (200, 4000)


def test_gaps_grow_with_the_distance_of_clusters(identity):
    found = [gap(identity, clusters(400, apart, 1), clusters(2000, apart, 2)) for apart in (0.0, 10.0, 40.0)]
    assert found[0].between < found[1].between / 5 < found[2].between / 10
    assert found[0].around < found[1].around < found[2].around
    # Half of all pairs cross; away from the ends by up to 20 minus the width of a cluster, by 10 on average.
    expected = 0.5 * 10 / found[2].at_codes
    assert expected * 0.6 < found[2].between < expected * 1.2
    assert "1: no gaps" in str(found[2])


def test_distances_are_to_the_nearest():
    found = distance_to(torch.tensor([[3.0, 0.0], [0.0, -1.0]]), torch.tensor([[[0.0, 0.0]], [[3.0, 4.0]]]))
    assert found.tolist() == [1.0, 4.0]


def test_the_region_has_mean_and_covariance_of_the_codes(identity):
    codes = torch.randn(500, 2) @ torch.tensor([[2.0, 1.5], [0.0, 0.3]]) + torch.tensor([4.0, -1.0])
    points, kept = region(identity, codes, 20000)
    assert len(kept) == 20000
    torch.testing.assert_close(points.T.cov(), codes.T.cov(), atol=0.1, rtol=0.05)
    torch.testing.assert_close(points.mean(0), codes.mean(0), atol=0.1, rtol=0)


def test_the_emptiest_path_crosses_the_gap(identity):
    path = emptiest_path(identity, clusters(200, 30.0, 3), steps=9)
    assert path.shape == (9, 2)
    assert (path[:, 0].max() - path[:, 0].min()) > 20
    assert torch.equal(path, emptiest_path(identity, clusters(200, 30.0, 3), steps=9))
    assert not torch.equal(path, emptiest_path(identity, clusters(200, 30.0, 3), steps=9, seed=1))


def test_where_there_is_no_way_between_codes():
    model = genmod.build("categorical-vae", encoder="mlp", latent=[2, 3])
    z = torch.eye(3)[torch.randint(3, (20, 2))]
    with pytest.raises(UndefinedError, match="leave the latent space"):
        gap(model, z, torch.rand(20, 1, 8, 8))
    sphere = genmod.build("s-vae", encoder="mlp", latent=3)
    z = torch.nn.functional.normalize(torch.randn(20, 3), dim=-1)
    assert math.isfinite(gap(sphere, z, torch.rand(20, 1, 8, 8)).around)


def test_too_few_codes_and_missing_values(identity):
    with pytest.raises(UsageError, match="4 or more codes"):
        gap(identity, torch.zeros(3, 2), torch.zeros(5, 2))
    with pytest.raises(UndefinedError, match="missing"):
        gap(identity, torch.randn(8, 2), torch.full((5, 2), math.nan))


def test_the_random_state_stays(identity):
    state = torch.get_rng_state()
    gap(identity, clusters(20, 1.0, 1), clusters(20, 1.0, 2))
    emptiest_path(identity, clusters(20, 1.0, 1))
    assert torch.equal(state, torch.get_rng_state())
