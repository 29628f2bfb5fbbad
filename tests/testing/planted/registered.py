"""Faults: what is trained, and torch does not know of."""

import torch
from torch import nn

from genmod.scaffold.templates.critic import TemplateCritic
from genmod.scaffold.templates.decoder import TemplateDecoder
from genmod.scaffold.templates.encoder import TemplateEncoder
from genmod.scaffold.templates.model import TemplateModel
from genmod.scaffold.templates.network import TemplateNetwork
from genmod.scaffold.templates.objective import TemplateObjective
from planted import caught_by


@caught_by(
    "check_registered",
    *("check_state_dict", "check_dtype", "check_own_device", "check_batch_size", "check_every_value"),
    *("check_batch_independence", "check_deepcopy"),
)
class KeepsLayersInAList(TemplateEncoder):
    def __init__(self, data_shape):
        super().__init__(data_shape)
        self.more = [nn.Linear(self.feature_shape[0], self.feature_shape[0])]

    def forward(self, x):
        features = super().forward(x)
        for layer in self.more:
            features = features + layer(features)
        return features


@caught_by("check_registered", "check_own_device")
class KeepsAWeightInATuple(TemplateNetwork):
    def __init__(self, in_shape, out_shape):
        super().__init__(in_shape, out_shape)
        self.gain = (torch.ones(1, requires_grad=True),)

    def forward(self, z):
        return super().forward(z) * self.gain[0].to(z.dtype)


@caught_by(
    "check_registered", "check_state_dict", "check_random_state", "check_same_seed", "check_randomness"
)
class MakesItsLayerWhenAsked(TemplateEncoder):
    def forward(self, x):
        features = super().forward(x)
        if not hasattr(self, "last"):
            self.last = nn.Linear(features.shape[1], features.shape[1]).to(features)
        return self.last(features)


@caught_by("check_registered")
class MakesANewWeightEachTime(TemplateDecoder):
    def forward(self, parameters):
        return super().forward(parameters + nn.Parameter(torch.zeros_like(parameters[..., :1])))


@caught_by("check_registered")
class KeepsItsTemperatureToItself(TemplateObjective):
    """It learns a temperature that is no parameter."""

    def __init__(self):
        super().__init__()
        self.temperature = [torch.zeros((), dtype=torch.float64, requires_grad=True)]

    def forward(self, model, x):
        terms = super().forward(model, x)
        return type(terms)(terms.loss * self.temperature[0].exp(), terms.values)


@caught_by("check_registered", "check_own_device", "check_critic_state")
class JudgesByAListOfLayers(TemplateCritic):
    def __init__(self, data, latent_shape):
        super().__init__(data, latent_shape)
        self.judges = [nn.Linear(1, 1, dtype=torch.float64)]
        first = self.judge
        self.judge = nn.Sequential(first, _Through(self.judges))


class _Through(nn.Module):
    def __init__(self, layers):
        super().__init__()
        self.layers = layers

    def forward(self, x):
        return self.layers[0].to(x.dtype)(x)


@caught_by("check_registered")
class ScalesByAListOfWeights(TemplateModel):
    def __init__(self, spec, data):
        super().__init__(spec, data)
        self.more = [torch.zeros(data.size, requires_grad=True)]

    def density(self):
        scale = self.log_scale.exp() + self.narrowest + self.more[0].to(self.loc).exp()
        return torch.distributions.Normal(self.loc, scale, validate_args=False)
