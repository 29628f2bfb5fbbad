"""Right encoders and networks."""

import math
from typing import Annotated, Literal

import torch
from annotated_types import Gt
from torch import nn

from correct import right
from genmod import ComponentSpec, Doc, Encoder, Network, UsageError
from genmod.scaffold.templates.encoder import TemplateEncoder
from genmod.scaffold.templates.network import TemplateNetwork


@right(always=True)
class OfSequences(Encoder):
    """A recurrent encoder of sequences ``(channels, length)``; UsageError for all else."""

    def __init__(self, data_shape):
        super().__init__(data_shape)
        if len(data_shape) != 2:
            raise UsageError(f"these are no sequences: {data_shape}", hint="choose --encoder mlp")
        self.feature_shape = (16,)
        self.cell = nn.GRU(data_shape[0], 16, batch_first=True, bidirectional=False)

    def forward(self, x):
        return self.cell(x.transpose(1, 2))[1][0]


@right()
class OfSequencesByConvolution(Encoder):
    """Convolutions along a sequence that keep a map of features; UsageError for all else."""

    def __init__(self, data_shape):
        super().__init__(data_shape)
        if len(data_shape) != 2:
            raise UsageError(f"these are no sequences: {data_shape}", hint="choose --encoder mlp")
        self.feature_shape = (8, data_shape[1])
        self.layers = nn.Sequential(
            nn.Conv1d(data_shape[0], 8, 3, padding=1), nn.GELU(), nn.Conv1d(8, 8, 3, padding=1)
        )

    def forward(self, x):
        return self.layers(x)

    def mirror(self):
        return ComponentSpec("mlp", {"hidden": [16]})


@right()
class WithoutParameters(Encoder):
    """Sums over rows and over columns; UsageError for tables."""

    def __init__(self, data_shape):
        super().__init__(data_shape)
        if len(data_shape) != 3:
            raise UsageError(f"these are no pictures: {data_shape}", hint="choose --encoder mlp")
        self.feature_shape = (data_shape[0] * (data_shape[1] + data_shape[2]),)

    def forward(self, x):
        return torch.cat([x.sum(-1), x.sum(-2)], -1).flatten(1)


@right()
class WithDropoutAndBatchNorm(TemplateEncoder):
    """Both are of training alone."""

    def __init__(self, data_shape):
        super().__init__(data_shape)
        self.rest = nn.Sequential(nn.BatchNorm1d(self.feature_shape[0]), nn.Dropout(0.3))

    def forward(self, x):
        return self.rest(super().forward(x))


@right()
class WithRunningMean(TemplateEncoder):
    """It centres by a running mean in a buffer, which moves in training alone."""

    def __init__(self, data_shape):
        super().__init__(data_shape)
        self.register_buffer("mean", torch.zeros(data_shape))

    def forward(self, x):
        if self.training:
            self.mean = 0.9 * self.mean + 0.1 * x.detach().mean(0)
        return super().forward(x - self.mean)


@right()
class FrozenFirstLayer(TemplateEncoder):
    """Random features: the first layer is drawn and never trained."""

    def __init__(self, data_shape):
        super().__init__(data_shape)
        self.layer.requires_grad_(False)
        self.last = nn.Linear(self.feature_shape[0], 5)
        self.feature_shape = (5,)

    def forward(self, x):
        return self.last(super().forward(x))


@right()
class ChoosesItsPadding(TemplateEncoder):
    """Pictures of odd sizes are padded before they are halved; UsageError for tables."""

    def __init__(
        self,
        data_shape,
        *,
        how: Annotated[Literal["zeros", "replicate"], Doc("what is put at the edges")] = "zeros",
    ):
        if len(data_shape) != 3:
            raise UsageError(f"these are no pictures: {data_shape}", hint="choose --encoder mlp")
        channels, height, width = data_shape
        super().__init__((channels, -(-height // 2), -(-width // 2)))
        self.data_shape, self.odd, self.how = data_shape, (0, width % 2, 0, height % 2), how

    def forward(self, x):
        how = {"zeros": "constant"}.get(self.how, self.how)
        return super().forward(nn.functional.avg_pool2d(nn.functional.pad(x, self.odd, mode=how), 2))


@right()
class NoiseInTraining(TemplateEncoder):
    """Noise is added in training, as denoising autoencoders do."""

    def forward(self, x):
        return super().forward(x + 0.1 * torch.randn_like(x) if self.training else x)


@right()
class ConstantsOfAnyDevice(TemplateNetwork):
    """Numbers that come from the CPU are single, or are made like what is given."""

    def forward(self, z):
        z = z * torch.tensor(0.5, dtype=z.dtype) + z.new_tensor([0.1])
        order = torch.arange(math.prod(self.out_shape), device=z.device).flip(0)
        return super().forward(z).flatten(1)[:, order].unflatten(1, self.out_shape)


@right()
class ScalesThatDependOnNoLatent(TemplateNetwork):
    """A learned constant is the last half of its parameters, as a scale that is the same for all latents."""

    def __init__(self, in_shape, out_shape):
        super().__init__(in_shape, out_shape)
        size = math.prod(out_shape)
        self.own = nn.Parameter(torch.zeros(size - size // 2))

    def forward(self, z):
        flat = super().forward(z).flatten(1)
        flat = (
            flat + 0
            if flat.shape[1] == 1
            else torch.cat(
                [
                    flat[:, : flat.shape[1] // 2],
                    self.own.expand(z.shape[0], -1) + 0 * flat[:, flat.shape[1] // 2 :],
                ],
                1,
            )
        )
        return flat.unflatten(1, self.out_shape)


@right()
class BoundedInside(TemplateNetwork):
    """Hidden layers are bounded, its output is not: a linear layer is the last."""

    def forward(self, z):
        first, _, last = self.layers
        return last(first(z.flatten(1)).tanh()).unflatten(1, self.out_shape)


@right(always=True)
class BoundedAndSaysSo(TemplateNetwork):
    """Its parameters are angles, and it declares their range."""

    output_range = (-math.pi, math.pi)

    def forward(self, z):
        return math.pi * super().forward(z).tanh()


@right()
class PositiveAndSaysSo(TemplateNetwork):
    """Its parameters are rates, and it declares their range."""

    output_range = (0.0, math.inf)

    def forward(self, z):
        return nn.functional.softplus(super().forward(z))


@right()
class TiesItsWeights(Network):
    """One layer is used three times."""

    def __init__(self, in_shape, out_shape, *, width: Annotated[int, Gt(0), Doc("size of the layer")] = 24):
        super().__init__(in_shape, out_shape)
        self.first = nn.Linear(math.prod(in_shape), width)
        self.again = nn.Linear(width, width)
        self.last = nn.Linear(width, math.prod(out_shape))

    def forward(self, z):
        hidden = self.first(z.flatten(1))
        for _ in range(3):
            hidden = hidden + self.again(hidden.relu())
        return self.last(hidden).unflatten(1, self.out_shape)


@right()
class GainTimesTanh(TemplateNetwork):
    """Its outputs are bounded by a gain that is learned, so they can be any number."""

    def __init__(self, in_shape, out_shape):
        super().__init__(in_shape, out_shape)
        self.gain = nn.Parameter(torch.ones(out_shape))

    def forward(self, z):
        return super().forward(z).tanh() * self.gain


@right()
class KeepsItsInput(TemplateNetwork):
    """It keeps what it was given last, detached, for pictures of it; copies are free of it."""

    def forward(self, z):
        self.seen = z.detach()
        return super().forward(z)


@right()
class GradientsWithin(TemplateNetwork):
    """It makes a step along a gradient of its own at a place that is made for it."""

    @staticmethod
    def check_cases():
        return {"expected_failures": {"check_export": "torch.export takes no derivatives"}}

    def __init__(self, in_shape, out_shape):
        super().__init__(in_shape, out_shape)
        self.energy = nn.Linear(math.prod(in_shape), 8)

    def forward(self, z):
        with torch.enable_grad():
            at = z.detach().requires_grad_()
            (slope,) = torch.autograd.grad(self.energy(at.flatten(1)).tanh().sum(), at, create_graph=True)
        return super().forward(z - slope)
