"""Laws of the networks below decoders."""

import torch


def test_shapes(network, latent_shapes, data_shapes):
    for part, latent, shape in network.each(latent_shapes, data_shapes):
        for batch in (1, 3):
            parameters = part(torch.randn(batch, *latent))
            assert parameters.shape == (batch, *shape)
            assert parameters.isfinite().all()


def test_several_numbers_for_each_value(network):
    """Likelihoods with two parameters for each value ask for ``(2, *data_shape)``."""
    part = network.build((5,), (2, 3, 9, 16))
    assert part(torch.randn(2, 5)).shape == (2, 2, 3, 9, 16)


def test_every_output_depends_on_the_latents(network, data_shapes):
    for part, *_ in network.each([(5,)], data_shapes):
        parameters = part.eval()(torch.randn(8, 5))
        assert (parameters.std(0) > 0).all()


def test_gradient_reaches_every_latent(network, latent_shapes):
    for part, latent, _ in network.each(latent_shapes, [(1, 8, 8)]):
        z = torch.randn(4, *latent, requires_grad=True)
        parameters = part(z)
        (parameters * torch.randn_like(parameters)).sum().backward()
        assert (z.grad != 0).any(0).all()


@torch.no_grad()
def test_output_is_unbounded(network):
    """A likelihood, and nothing above it, decides what its parameters mean."""
    part = network.usual().eval()
    for parameter in part.parameters():
        parameter.mul_(10)
    parameters = part(torch.randn(64, 5))
    assert parameters.min() < -2
    assert parameters.max() > 2


def test_draws_nothing(network):
    part, state = network.usual().eval(), torch.get_rng_state()
    network.output(part)
    assert torch.equal(torch.get_rng_state(), state)
