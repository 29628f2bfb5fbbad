"""Laws of encoders and of the networks below decoders."""

import torch

IMAGES = [(1, 8, 8), (3, 33, 20), (2, 9, 16), (12,)]
# The last is for networks that take maps alone.
LATENTS = [(5,), (2, 3), (5, 2, 2)]


def test_gradient_reaches_every_latent(network):
    for part, (latent, _) in network.accepted(LATENTS, [(1, 8, 8)]):
        z = torch.randn(4, *latent, requires_grad=True)
        parameters = part(z)
        (parameters * torch.randn_like(parameters)).sum().backward()
        assert (z.grad != 0).any(0).all()


def test_gradient_reaches_every_pixel(encoder):
    """No border is left out, in odd and oblong images neither."""
    for part, (shape,) in encoder.accepted(IMAGES):
        x = torch.randn(4, *shape, requires_grad=True)
        features = part(x)
        (features * torch.randn_like(features)).sum().backward()
        assert (x.grad != 0).any(0).all()


def test_every_pixel_depends_on_the_latents(network):
    for part, (latent, _) in network.accepted([(5,), (5, 2, 2)], [*IMAGES, (2, 3, 9, 16)]):
        assert (part.eval()(torch.randn(8, *latent)).std(0) > 0).all()


@torch.no_grad()
def test_output_of_a_network_is_unbounded(network):
    """A likelihood, and nothing above it, decides what its parameters mean."""
    part, (latent, _) = next(network.accepted([(5,), (5, 2, 2)], [(1, 8, 8)]))
    part.eval()
    for parameter in part.parameters():
        parameter.mul_(10)
    # Weights that are normalised do not grow with their parameters; their outputs grow with the latents.
    parameters = part(1000 * torch.randn(64, *latent))
    assert parameters.min() < -2
    assert parameters.max() > 2


def test_strided_images_give_the_same(encoder):
    part = encoder.build((1, 8, 8)).eval().double()
    x = torch.randn(3, 8, 8, 1, dtype=torch.float64).permute(0, 3, 1, 2)
    torch.testing.assert_close(part(x), part(x.contiguous()))
