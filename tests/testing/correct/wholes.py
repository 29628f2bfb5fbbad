"""Right critics, models and features."""

from typing import Annotated

import torch
from annotated_types import Ge
from torch import nn
from torch.nn.functional import softplus

from correct import right
from genmod import Critic, Doc, Features, Loss, ParameterGroup, Terms
from genmod.scaffold.templates.critic import TemplateCritic
from genmod.scaffold.templates.features import TemplateFeatures
from genmod.scaffold.templates.model import TemplateModel


@right()
class WithSpectralNorm(TemplateCritic):
    """Its layers are normalised by buffers that move in training alone."""

    def __init__(self, data, latent_shape):
        super().__init__(data, latent_shape)
        self.judge = nn.Sequential(
            *(
                nn.utils.parametrizations.spectral_norm(each) if isinstance(each, nn.Linear) else each
                for each in self.judge
            )
        )


@right(always=True)
class DistanceByFixedFeatures(Critic):
    """A random projection that is never trained: it only adds a loss, of the means of the likelihood."""

    def __init__(self, data, latent_shape):
        super().__init__(data, latent_shape)
        fixed = torch.Generator().manual_seed(1)
        self.register_buffer("directions", torch.randn(data.size, 8, generator=fixed, device="cpu"))
        if torch.empty(0).is_meta:
            self.directions = self.directions.to("meta")

    def losses(self, draw):
        made = draw.likelihood.mean.reshape(-1, *draw.x.shape).flatten(2) @ self.directions.to(draw.x)
        seen = draw.x.detach().flatten(1) @ self.directions.to(draw.x)
        return {"distance": Loss((made - seen).square().sum(2).mean(0), measures=True)}


@right()
class JudgesPairs(Critic):
    """It tells a code with its example from a code with another one, of a batch that is turned round."""

    def __init__(self, data, latent_shape):
        super().__init__(data, latent_shape)
        size = torch.Size(latent_shape).numel() + data.size
        self.judge = nn.Sequential(nn.Linear(size, 16), nn.Tanh(), nn.Linear(16, 1))

    def parameter_groups(self):
        return {self.group: ParameterGroup(self.parameters(), every=2)}

    def losses(self, draw):
        z, x = draw.z[0].flatten(1), draw.x.flatten(1)
        true = self.judge(torch.cat([z, x], 1))[:, 0]
        other = self.judge(torch.cat([z, x.roll(1, 0)], 1))[:, 0]
        return {
            "critic": Loss(softplus(-true) + softplus(other), self.group),
            "known": Loss(softplus(-true), weight=0.1),
        }


@right()
class Laplaces(TemplateModel):
    """Laplace distributions in place of normals, whose least scale is an option."""

    def density(self):
        return torch.distributions.Laplace(
            self.loc, self.log_scale.exp() + self.narrowest, validate_args=False
        )


@right()
class WithAPenalty(TemplateModel):
    """Its loss has a penalty of the weights, which is no part of the bound."""

    def __init__(self, spec, data, *, decay: Annotated[float, Ge(0), Doc("weight of the penalty")] = 1e-4):
        super().__init__(spec, data)
        self.decay = decay

    def terms(self, x, context=None):
        terms = super().terms(x, context)
        return Terms(terms.loss + self.decay * self.loc.square().sum(), terms.values)


@right(always=True)
class WithDropoutInTraining(TemplateModel):
    """Noise in training alone; the score is exact."""

    def terms(self, x, context=None):
        x = self.observe(x)
        noisy = x + 0.1 * torch.randn_like(x) if self.training else x
        log_prob = self.log_weights(noisy)[0]
        return Terms(-log_prob.mean(), {"elbo": log_prob})


@right()
class RandomWaves(Features):
    """Cosines along directions that are fixed by a seed of their own, as random Fourier features are."""

    version = "1"

    def __init__(self, data):
        super().__init__(data)
        fixed = torch.Generator().manual_seed(5)
        self.register_buffer("waves", torch.randn(data.size, 32, generator=fixed))

    def forward(self, x):
        return (x.flatten(1) @ self.waves.to(x.dtype) / x[0].numel() ** 0.5).cos()


@right()
class WithLayers(TemplateFeatures):
    """Its layers are the examples themselves, as maps."""

    def layers(self, x):
        return {"values": x if x.dim() > 2 else x[:, None], "features": self(x)}


@right(always=True)
class WithoutAFit(Features):
    """Values and their squares."""

    def forward(self, x):
        return torch.cat([x.flatten(1), x.flatten(1).square()], 1)
