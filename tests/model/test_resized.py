"""The same weights for pictures of another size."""

import pytest
import torch

import genmod
from genmod import UsageError, resized

KINDS = {
    "normal": {"posterior": "normal-map"},
    "vq": {"posterior": {"name": "vq", "codes": 8}, "prior": {"name": "pixelcnn", "channels": 8}},
}


def _model(kind, **more):
    options = {"encoder": {"name": "conv-map", "width": 8}, "latent": 4, **KINDS[kind], **more}
    return genmod.build(**options).double()


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_size_gives_the_same_numbers(kind):
    model = _model(kind).eval()
    other = resized(model, (1, 8, 8))
    x = torch.rand(3, 1, 8, 8, dtype=torch.float64)
    assert not other.training
    assert torch.equal(other.encode(x).mean, model.encode(x).mean)
    assert torch.equal(other.sample(3, seed=1), model.sample(3, seed=1))


def test_what_lies_far_from_the_edges_is_decoded_as_before():
    """Convolutions see as far as their kernels reach: two large pictures that differ in a corner agree in the other."""
    model = _model(
        "normal", settings={"encoder.norm": "none", "encoder.blocks": 0, "encoder.halve": 1}
    ).eval()
    large = resized(model, (1, 40, 40))
    x = torch.rand(1, 1, 40, 40, dtype=torch.float64)
    changed = x.clone()
    changed[..., :8, :8] = 0.0
    a, b = (large.decode(large.encode(each).mean).mean for each in (x, changed))
    assert large.latent_shape == (4, 20, 20)
    assert torch.equal(a[..., 28:, 28:], b[..., 28:, 28:])
    assert not torch.equal(a[..., :8, :8], b[..., :8, :8])
    # The weights are the same, and a map of one value everywhere is decoded to one value far from the edges.
    z = torch.full((1, 4, 20, 20), 0.3, dtype=torch.float64)
    middle = large.decode(z).mean[..., 16:24, 16:24]
    assert torch.allclose(middle, middle[..., :2, :2].repeat(1, 1, 4, 4), atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_it_trains_is_saved_and_leaves_the_other_alone(kind, tmp_path):
    model = _model(kind).float()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    other = resized(model, (1, 16, 12))
    assert other.sample(2, seed=0).shape == (2, 1, 16, 12)
    terms = other.terms(torch.rand(4, 1, 16, 12).round())
    terms.loss.backward()
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(1.0)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    loaded = genmod.load(genmod.save(other, tmp_path / "model"))
    assert torch.equal(loaded.sample(2, seed=0), other.eval().sample(2, seed=0))


def test_refused_where_the_size_is_in_the_weights():
    with pytest.raises(
        UsageError, match=r"encoder 'mlp' depend on the size of the pictures, 8×8 before"
    ) as caught:
        resized(genmod.build(encoder="mlp"), (1, 16, 16))
    assert "conv-map" in caught.value.hint


@pytest.mark.parametrize("shape", [(3, 8, 8), (8, 8), (64,)])
def test_refused_where_they_are_no_such_pictures(shape):
    with pytest.raises(UsageError, match="cannot be resized to the shape"):
        resized(_model("normal"), shape)
