"""Right samplers."""

import torch
from torch.distributions import (
    Categorical,
    Distribution,
    Independent,
    Laplace,
    LowRankMultivariateNormal,
    MixtureSameFamily,
    MultivariateNormal,
    constraints,
)

from correct import right
from genmod import Sampler, UsageError


class _Rows(Distribution):
    """One of several rows, each as often as the others."""

    arg_constraints = {}  # noqa: RUF012

    def __init__(self, rows):
        self.rows = rows
        super().__init__(torch.Size(), rows.shape[1:], validate_args=False)

    @property
    def support(self):
        return constraints.independent(constraints.real, self.rows.dim() - 1)

    @property
    def mean(self):
        return self.rows.mean(0)

    def sample(self, sample_shape=()):
        return self.rows[torch.randint(len(self.rows), torch.Size(sample_shape), device=self.rows.device)]


@right(always=True)
class CodesAgain(Sampler):
    """A code of those that it was given, which it keeps: it has no density."""

    has_density = False

    def __init__(self, latent_shape):
        super().__init__(latent_shape)
        self.register_buffer("codes", torch.zeros(1, *latent_shape))

    def reserve(self, count):
        self.codes = self.codes.new_zeros(count, *self.latent_shape)

    def fit(self, codes, *, seed=0, on_step=None):
        self.codes = codes.detach().clone()

    def forward(self):
        return _Rows(self.codes)


@right()
class IndependentLaplace(Sampler):
    """Heavier tails, without correlations, and it says so."""

    independent = True

    def __init__(self, latent_shape):
        super().__init__(latent_shape)
        self.register_buffer("loc", torch.zeros(latent_shape))
        self.register_buffer("scale", torch.ones(latent_shape))

    def fit(self, codes, *, seed=0, on_step=None):
        self.loc = codes.mean(0)
        self.scale = codes.std(0, correction=0).clamp(min=1e-6) / 2**0.5

    def forward(self):
        return Independent(Laplace(self.loc, self.scale, validate_args=False), len(self.latent_shape))


@right()
class AllCorrelations(Sampler):
    """A normal with all correlations, for vectors; UsageError for maps."""

    def __init__(self, latent_shape):
        super().__init__(latent_shape)
        if len(latent_shape) != 1:
            raise UsageError(f"latents {latent_shape} are no vectors", hint="choose --sampler gaussian")
        self.register_buffer("loc", torch.zeros(latent_shape))
        self.register_buffer("root", torch.eye(latent_shape[0]))

    def fit(self, codes, *, seed=0, on_step=None):
        self.loc = codes.mean(0)
        off = codes - self.loc
        floor = 1e-6 * codes.var(0, correction=0).mean() + 1e-12
        covariance = off.T @ off / len(codes) + floor * torch.eye(len(self.loc)).to(codes)
        self.root = torch.linalg.cholesky(covariance)

    def forward(self):
        return MultivariateNormal(self.loc, scale_tril=self.root, validate_args=False)


@right()
class TwoNormals(Sampler):
    """Two normals with weights, left and right of the widest gap; UsageError for maps."""

    def __init__(self, latent_shape):
        super().__init__(latent_shape)
        if len(latent_shape) != 1:
            raise UsageError(f"latents {latent_shape} are no vectors", hint="choose --sampler gaussian")
        self.register_buffer("logits", torch.zeros(2))
        self.register_buffer("loc", torch.zeros(2, *latent_shape))
        self.register_buffer("root", torch.eye(latent_shape[0]).repeat(2, 1, 1))

    def fit(self, codes, *, seed=0, on_step=None):
        order = codes[:, 0].argsort(stable=True)
        gap = codes[order, 0].diff()[1:-1]
        cut = int(gap.argmax()) + 2 if len(gap) else len(codes) // 2
        groups = codes[order[:cut]], codes[order[cut:]]
        floor = 1e-6 * codes.var(0, correction=0).mean() + 1e-12
        eye = torch.eye(codes.shape[1]).to(codes)
        self.logits = codes.new_tensor([float(len(group)) for group in groups]).log()
        self.loc = torch.stack([group.mean(0) for group in groups])
        offs = [group - group.mean(0) for group in groups]
        self.root = torch.stack(
            [torch.linalg.cholesky(off.T @ off / max(len(off), 1) + floor * eye) for off in offs]
        )

    def forward(self):
        parts = MultivariateNormal(self.loc, scale_tril=self.root, validate_args=False)
        return MixtureSameFamily(
            Categorical(logits=self.logits, validate_args=False), parts, validate_args=False
        )


@right()
class FewDirections(Sampler):
    """Correlations along the first direction alone, and the rest by the diagonal; UsageError for maps."""

    def __init__(self, latent_shape):
        super().__init__(latent_shape)
        if len(latent_shape) != 1:
            raise UsageError(f"latents {latent_shape} are no vectors", hint="choose --sampler gaussian")
        self.loc = torch.nn.Parameter(torch.zeros(latent_shape), requires_grad=False)
        self.register_buffer("factor", torch.zeros(*latent_shape, 1))
        self.register_buffer("rest", torch.ones(latent_shape))

    def fit(self, codes, *, seed=0, on_step=None):
        self.loc.data = codes.mean(0)
        off = codes - self.loc
        covariance = off.T @ off / len(codes)
        values, vectors = torch.linalg.eigh(covariance)
        self.factor = vectors[:, -1:] * values[-1].clamp(min=0).sqrt()
        floor = 1e-6 * covariance.diagonal().mean() + 1e-12
        self.rest = (covariance.diagonal() - self.factor[:, 0].square()).clamp(min=0) + floor

    def forward(self):
        return LowRankMultivariateNormal(self.loc, self.factor, self.rest, validate_args=False)
