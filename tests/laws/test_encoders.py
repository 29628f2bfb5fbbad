"""Laws of encoders."""

import torch

from genmod.options import validate


def test_shapes(encoder, data_shapes):
    for part, shape in encoder.each(data_shapes):
        for batch in (1, 3):
            features = part(torch.randn(batch, *shape))
            assert features.shape == (batch, *part.feature_shape)
            assert features.isfinite().all()


def test_gradient_reaches_every_input(encoder, data_shapes):
    """No pixel is left out, in odd and oblong images neither."""
    for part, shape in encoder.each(data_shapes):
        x = torch.randn(4, *shape, requires_grad=True)
        features = part(x)
        (features * torch.randn_like(features)).sum().backward()
        assert (x.grad != 0).any(0).all()


def test_draws_nothing(encoder):
    part, state = encoder.usual().eval(), torch.get_rng_state()
    encoder.output(part)
    assert torch.equal(torch.get_rng_state(), state)


def test_strided_input_gives_the_same(encoder):
    part = encoder.usual().eval().double()
    x = torch.randn(3, 8, 8, 1, dtype=torch.float64).permute(0, 3, 1, 2)
    torch.testing.assert_close(part(x), part(x.contiguous()))


def test_mirror_is_a_network_that_fits(encoder, data_shapes, registry):
    for part, shape in encoder.each(data_shapes):
        mirror = part.mirror()
        if mirror is not None:
            cls = registry.find("network", mirror.name).load()
            network = cls((5,), shape, **validate(cls, mirror.options, "network"))
            assert network(torch.randn(2, 5)).shape == (2, *shape)
