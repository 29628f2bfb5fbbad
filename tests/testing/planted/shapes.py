"""Faults: shapes."""

import torch
from torch.distributions import (
    Independent,
    Laplace,
    kl_divergence,
)

from genmod import (
    ComponentSpec,
    Divergence,
    UsageError,
    diagonal_normal,
)
from genmod.scaffold.templates.decoder import TemplateDecoder
from genmod.scaffold.templates.divergence import TemplateDivergence
from genmod.scaffold.templates.encoder import TemplateEncoder
from genmod.scaffold.templates.posterior import TemplatePosterior
from genmod.scaffold.templates.prior import TemplatePrior
from planted import caught_by


@caught_by("check_shapes")
class HardCodedImageSize(TemplateEncoder):
    def forward(self, x):
        return super().forward(x.flatten(1)[:, :64])


@caught_by("check_shapes")
class WrongFeatureShape(TemplateEncoder):
    def __init__(self, data_shape):
        super().__init__(data_shape)
        self.feature_shape = (64,)


@caught_by("check_mirror")
class MirrorThatIsNot(TemplateEncoder):
    def mirror(self):
        return ComponentSpec("no-such-network")


@caught_by("check_mirror")
class MirrorOfLargePicturesAlone(TemplateEncoder):
    """Its mirror halves four times whatever the size."""

    def mirror(self):
        pictures = len(self.data_shape) == 3
        return ComponentSpec("conv", {"channels": [4] * 5}) if pictures else ComponentSpec("mlp")


@caught_by("check_every_value")
class SequencesOfOneLength(TemplateEncoder):
    """It reads the first ten steps of a sequence; UsageError for all else."""

    def __init__(self, data_shape):
        if len(data_shape) != 2:
            raise UsageError(f"no sequence: {data_shape}", hint="choose --encoder mlp")
        super().__init__((data_shape[0], 10))

    def forward(self, x):
        return super().forward(x[..., :10])


@caught_by("check_posterior_shapes", "check_gradient")
class PosteriorWithoutEvent(TemplatePosterior):
    """The latents are batch dimensions; UsageError."""

    has_density = False

    def forward(self, features):
        return super().forward(features).base_dist


def shifted(q, shift):
    return diagonal_normal(q.mean + shift, q.base_dist.log_scale, len(q.event_shape))


@caught_by("check_joint")
class MovesWithoutGradients(TemplatePosterior):
    """Raises where gradients are off, as in evaluation."""

    wants_joint = True

    def forward(self, features, joint=None):
        q = super().forward(features)
        loc = q.mean
        return q if joint is None else shifted(q, 0.1 * torch.autograd.grad(joint(loc).sum(), loc)[0])


@caught_by("check_joint")
class MovesAllAlike(TemplatePosterior):
    wants_joint = True

    def forward(self, features, joint=None):
        q = super().forward(features)
        loc = q.mean.detach().requires_grad_()
        if joint is None:
            return q
        with torch.enable_grad():
            (slope,) = torch.autograd.grad(joint(loc).sum(), loc)
        return shifted(q, 0.1 * slope.mean(0))


@caught_by("check_joint")
class MovesNowhere(TemplatePosterior):
    wants_joint = True

    def forward(self, features, joint=None):
        return super().forward(features)


@caught_by("check_prior_shapes")
class NoneThatIsOne(TemplatePrior):
    has_density = False


@caught_by("check_decoder_shapes")
class FlattensTheBatch(TemplateDecoder):
    def forward(self, parameters):
        return super().forward(parameters.reshape(-1, *self.data.shape))


class _NoMean(Laplace):
    @property
    def mean(self):
        raise NotImplementedError


@caught_by("check_decoder_shapes")
class HasNoMean(TemplateDecoder):
    def forward(self, parameters):
        return Independent(_NoMean(parameters, self.scale, validate_args=False), len(self.data.shape))


class ClosedForm(Divergence):
    """Refuses what has no closed form in either direction."""

    def check(self, q, p):
        TemplateDivergence().check(q, p)


@caught_by("check_divergence_shapes", "check_batch_size", "check_batch_independence", "check_processes")
class SumsOverTheBatch(ClosedForm):
    def forward(self, q, p, z):
        return kl_divergence(q, p).sum(0, keepdim=True)


@caught_by("check_columns")
class CentresTheValues(TemplateDecoder):
    def forward(self, parameters):
        dims = tuple(range(-len(self.data.shape), 0))
        return super().forward(parameters - 0.5 * parameters.mean(dims, keepdim=True))
