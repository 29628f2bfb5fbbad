"""Right encoders and networks of layers that are less usual."""

import math

import torch
from torch import nn

from correct import right
from genmod import Encoder, Network, UsageError
from genmod.scaffold.templates.encoder import TemplateEncoder
from genmod.scaffold.templates.network import TemplateNetwork


@right()
class LearnsTokens(Encoder):
    """Attention of one learned question to the rows of a picture; UsageError for tables."""

    def __init__(self, data_shape):
        super().__init__(data_shape)
        if len(data_shape) != 3:
            raise UsageError(f"these are no pictures: {data_shape}", hint="choose --encoder mlp")
        self.feature_shape = (16,)
        self.into = nn.Linear(data_shape[0] * data_shape[2], 16)
        self.question = nn.Parameter(torch.randn(16))

    def forward(self, x):
        rows = self.into(x.transpose(1, 2).flatten(2))
        weights = (rows @ self.question / 4).softmax(1)
        return (weights[..., None] * rows).sum(1)


@right()
class HalfOfItLinear(TemplateEncoder):
    """Features and a linear map of the data beside them."""

    def __init__(self, data_shape):
        super().__init__(data_shape)
        self.beside = nn.Linear(math.prod(data_shape), 4, bias=False)
        self.feature_shape = (self.feature_shape[0] + 4,)

    def forward(self, x):
        return torch.cat([super().forward(x), self.beside(x.flatten(1))], 1)


@right()
class BoundedFeatures(TemplateEncoder):
    """Features may be bounded: only parameters of likelihoods are not."""

    def forward(self, x):
        return super().forward(x).tanh()


@right()
class UnitLength(TemplateEncoder):
    """Features of length 1."""

    def forward(self, x):
        return nn.functional.normalize(super().forward(x) + 0.1, dim=1)


@right()
class OfMaps(Encoder):
    """A convolution that keeps the place of what it sees; UsageError for tables."""

    def __init__(self, data_shape):
        super().__init__(data_shape)
        if len(data_shape) != 3:
            raise UsageError(f"these are no pictures: {data_shape}", hint="choose --encoder mlp")
        self.feature_shape = (2, *data_shape[1:])
        self.layer = nn.Conv2d(data_shape[0], 2, 3, padding=1, padding_mode="reflect")

    def forward(self, x):
        return self.layer(x)


@right()
class GroupNormed(Encoder):
    """Group norm, which is of each example; UsageError for tables."""

    def __init__(self, data_shape):
        super().__init__(data_shape)
        if len(data_shape) != 3:
            raise UsageError(f"these are no pictures: {data_shape}", hint="choose --encoder mlp")
        self.feature_shape = (8,)
        self.layers = nn.Sequential(
            nn.Conv2d(data_shape[0], 8, 3, padding=1),
            nn.GroupNorm(2, 8),
            nn.SiLU(),
            nn.Conv2d(8, 8, 3, padding=1),
        )

    def forward(self, x):
        return self.layers(x).square().mean((2, 3))


@right()
class ComplexInside(TemplateEncoder):
    """The spectrum of the data, real and imaginary parts one beside the other."""

    def __init__(self, data_shape):
        super().__init__(data_shape)
        size = math.prod(data_shape)
        self.layer = nn.Linear(2 * (size // 2 + 1), self.feature_shape[0])

    def forward(self, x):
        spectrum = torch.fft.rfft(x.flatten(1), norm="ortho")
        return self.layer(torch.cat([spectrum.real, spectrum.imag], 1)).relu()


@right()
class ListOfModules(TemplateNetwork):
    """Several heads in a ModuleList and their weights in a ParameterList."""

    def __init__(self, in_shape, out_shape):
        super().__init__(in_shape, out_shape)
        sizes = math.prod(in_shape), math.prod(out_shape)
        self.heads = nn.ModuleList(nn.Linear(*sizes) for _ in range(2))
        self.weights = nn.ParameterList(nn.Parameter(torch.ones(1)) for _ in range(2))

    def forward(self, z):
        flat = z.flatten(1)
        more = sum(w * head(flat) for w, head in zip(self.weights, self.heads, strict=True))
        return super().forward(z) + more.unflatten(1, self.out_shape)


@right()
class SineLayers(TemplateNetwork):
    """Sines between its layers."""

    def forward(self, z):
        first, _, last = self.layers
        return last((3 * first(z.flatten(1))).sin()).unflatten(1, self.out_shape)


@right()
class WithoutABias(Network):
    """A linear map: its parameters are zero where the latents are."""

    def __init__(self, in_shape, out_shape):
        super().__init__(in_shape, out_shape)
        self.weight = nn.Parameter(torch.randn(math.prod(out_shape), math.prod(in_shape)) / 3)

    def forward(self, z):
        return (z.flatten(1) @ self.weight.T).unflatten(1, self.out_shape)


@right()
class CoordinatesAsWell(Network):
    """The value at each place is a function of the latents and of the place, which is a buffer."""

    def __init__(self, in_shape, out_shape):
        super().__init__(in_shape, out_shape)
        size = math.prod(out_shape)
        self.register_buffer("places", torch.linspace(-1, 1, size)[:, None], persistent=False)
        self.of_latents, self.of_places = nn.Linear(math.prod(in_shape), 16), nn.Linear(1, 16)
        self.last = nn.Linear(16, 1)

    def forward(self, z):
        hidden = self.of_latents(z.flatten(1))[:, None] + self.of_places(self.places)
        return self.last(hidden.relu())[..., 0].unflatten(1, self.out_shape)


@right()
class LayerNormAtTheEnd(TemplateNetwork):
    """A norm of learned scale and shift before the last layer."""

    def __init__(self, in_shape, out_shape):
        super().__init__(in_shape, out_shape)
        self.norm = nn.LayerNorm(self.layers[-1].in_features)

    def forward(self, z):
        first, between, last = self.layers
        return last(self.norm(between(first(z.flatten(1))))).unflatten(1, self.out_shape)


@right()
class WeightNormed(TemplateNetwork):
    """Weights by direction and length."""

    def __init__(self, in_shape, out_shape):
        super().__init__(in_shape, out_shape)
        nn.utils.parametrizations.weight_norm(self.layers[0])


@right()
class LogScalesWithinBounds(TemplateNetwork):
    """Softly bounded from below by a number that is learned."""

    def __init__(self, in_shape, out_shape):
        super().__init__(in_shape, out_shape)
        self.least = nn.Parameter(torch.full(out_shape, -5.0))

    def forward(self, z):
        return self.least + nn.functional.softplus(super().forward(z) - self.least)
