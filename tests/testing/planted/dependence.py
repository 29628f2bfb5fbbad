"""Faults: what an answer depends on."""

import torch
from torch import nn

from genmod.scaffold.templates.decoder import TemplateDecoder
from genmod.scaffold.templates.encoder import TemplateEncoder
from genmod.scaffold.templates.network import TemplateNetwork
from genmod.scaffold.templates.posterior import TemplatePosterior
from planted import caught_by


@caught_by("check_every_value")
class CropsTheLastColumn(TemplateEncoder):
    def forward(self, x):
        return super().forward(torch.cat([x[..., :-1], torch.zeros_like(x[..., :1])], -1))


@caught_by("check_every_value")
class LeavesOutWhatAStrideDoes(TemplateEncoder):
    """A kernel of 2 with stride 2 drops the last row and column of odd pictures; UsageError for tables."""

    def __init__(self, data_shape):
        super().__init__(data_shape)
        self.halve = nn.AvgPool2d(2) if len(data_shape) == 3 else nn.Identity()
        if len(data_shape) == 3:
            channels, height, width = data_shape
            self.layer = nn.Linear(channels * (height // 2) * (width // 2), self.feature_shape[0])

    def forward(self, x):
        return self.layer(self.halve(x).flatten(1)).relu()


@caught_by("check_every_value")
class ReadsOneChannel(TemplateEncoder):
    def forward(self, x):
        return super().forward(x[:, :1].expand_as(x) if x.dim() == 4 else x)


@caught_by("check_every_value")
class ReadsTheFirstColumn(TemplateEncoder):
    def forward(self, x):
        return super().forward(torch.cat([x[..., :1], 0 * x[..., 1:]], -1)) + 0 * x.sum()


@caught_by("check_every_latent")
class IgnoresALatent(TemplateNetwork):
    def forward(self, z):
        return super().forward(torch.cat([z[:, :1], 0 * z[:, 1:]], 1))


@caught_by("check_every_latent")
class ReadsTheFirstChannelOfAMap(TemplateNetwork):
    def forward(self, z):
        return super().forward(z[:, :1].expand_as(z)) if z.dim() > 2 else super().forward(z)


@caught_by("check_every_latent", "check_output_range")
class LeavesTheLastRowEmpty(TemplateNetwork):
    def forward(self, z):
        made = super().forward(z)
        return torch.cat([made[..., :-1], torch.zeros_like(made[..., :1])], -1)


@caught_by("check_output_range")
class EndsWithSigmoid(TemplateNetwork):
    def forward(self, z):
        return super().forward(z).sigmoid()


@caught_by("check_output_range")
class EndsWithTanh(TemplateNetwork):
    def forward(self, z):
        return 5 * super().forward(z).tanh()


@caught_by("check_output_range")
class EndsWithReLU(TemplateNetwork):
    def forward(self, z):
        return super().forward(z).relu() + 1e-3 * super().forward(z).sigmoid()


@caught_by("check_output_range")
class EndsWithSoftplus(TemplateNetwork):
    def forward(self, z):
        return nn.functional.softplus(super().forward(z))


@caught_by("check_output_range")
class ClampsItsOutput(TemplateNetwork):
    def forward(self, z):
        return super().forward(z).clamp(-10, 10)


@caught_by("check_output_range")
class BoundsTheSecondHalf(TemplateNetwork):
    def forward(self, z):
        first, second = super().forward(z).flatten(1).tensor_split(2, 1)
        return torch.cat([first, second.tanh()], 1).unflatten(1, self.out_shape)


@caught_by("check_output_range")
class DeclaresTooNarrowARange(TemplateNetwork):
    output_range = (0.0, 1.0)


@caught_by("check_input_gradient")
class DetachesItsLatents(TemplateNetwork):
    def forward(self, z):
        return super().forward(z.detach())


@caught_by("check_input_gradient", "check_rsample_gradient", "check_extremes", "check_density_gradient")
class DetachesItsFeatures(TemplatePosterior):
    def forward(self, features):
        return super().forward(features.detach())


@caught_by("check_input_gradient", "check_dtype", "check_device", "check_extremes", "check_density_gradient")
class CopiesItsParameters(TemplateDecoder):
    def forward(self, parameters):
        return super().forward(torch.as_tensor(parameters.tolist()).to(parameters))


@caught_by("check_every_parameter")
class IgnoresAFeature(TemplatePosterior):
    def forward(self, features):
        flat = features.flatten(1)
        return super().forward(torch.cat([flat[:, :-1], 0 * flat[:, -1:]], 1).view_as(features))


@caught_by("check_every_parameter")
class DeclaresTwiceTheParameters(TemplateDecoder):
    """It looks at the first half of what it asks for; UsageError."""

    def __init__(self, data):
        super().__init__(data)
        self.parameter_shape = (2, *data.shape)

    def forward(self, parameters):
        return super().forward(parameters.select(-len(self.parameter_shape), 0))
