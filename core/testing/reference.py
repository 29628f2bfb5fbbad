"""A linear-Gaussian model with known densities, on which objectives and divergences are checked.

``z ~ N(0, I)``, ``x|z ~ N(W z + b, σ² I)``, so ``x ~ N(b, W Wᵀ + σ² I)``. The columns of ``W`` are orthogonal, so
that the exact posterior is a diagonal normal too, which ``q`` can equal. With ``shared_noise``, draws of ``q`` use the
same noise for every example and in every call of the same number of draws, so that losses of different batches can be
compared digit by digit.
"""

import math
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Independent, MultivariateNormal, constraints, kl_divergence
from torch.distributions.constraints import Constraint

from genmod.data.dataset import DataInfo
from genmod.defaults import BOUNDS
from genmod.distributions.kl import by_variable
from genmod.distributions.normal import LogScaleNormal, diagonal_normal
from genmod.interfaces.decoder import Decoder
from genmod.interfaces.divergence import Divergence
from genmod.interfaces.encoder import Encoder
from genmod.interfaces.given import GivenModel
from genmod.interfaces.model import GenerativeModel
from genmod.interfaces.network import Network
from genmod.interfaces.objective import Objective, Terms
from genmod.interfaces.observations import Observations
from genmod.interfaces.part import Draw
from genmod.interfaces.posterior import Posterior
from genmod.interfaces.prior import Prior
from genmod.model.latent_variable import LatentVariableModel
from genmod.spec import ModelSpec

__all__ = [
    "DATA",
    "LATENT",
    "ReferenceBound",
    "ReferenceKL",
    "ReferenceNormals",
    "ReferenceNothing",
    "ReferencePosterior",
    "ReferencePrior",
    "exact_distortion",
    "exact_log_density",
    "reference_model",
    "set_exact_posterior",
]

DATA = DataInfo((3,), low=-math.inf, high=math.inf)
LATENT = (2,)
_SCALE = 0.5


@final
class _Identity(Encoder):
    def __init__(self, data_shape: tuple[int, ...]) -> None:
        super().__init__(data_shape)
        self.feature_shape = data_shape

    def forward(self, x: Tensor) -> Tensor:
        return x


class _SharedNoise(LogScaleNormal):
    """Normals whose draws are the same for each row of the batch, and the same each time."""

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        shape = torch.Size(sample_shape)
        fixed = torch.Generator().manual_seed(11)
        noise = torch.randn((*shape, *self.loc.shape[1:]), generator=fixed, dtype=torch.float64)
        return self.loc + noise.to(self.loc).unsqueeze(len(shape)) * self.log_scale.exp()

    @torch.no_grad()
    def sample(self, sample_shape: Any = ()) -> Tensor:
        return self.rsample(sample_shape)


@final
class ReferencePosterior(Posterior):
    """Diagonal normals, linear in the features.

    Args:
        feature_shape: shape of one example's features.
        latent_shape: shape of one latent.
        shared_noise: draw the same noise for every example and in every call.
    """

    def __init__(
        self, feature_shape: tuple[int, ...], latent_shape: tuple[int, ...], *, shared_noise: bool = False
    ) -> None:
        super().__init__(feature_shape, latent_shape)
        self.support: Constraint = constraints.independent(constraints.real, len(latent_shape))
        self.loc = nn.Linear(math.prod(feature_shape), math.prod(latent_shape))
        self.log_scale = nn.Linear(math.prod(feature_shape), math.prod(latent_shape))
        self.shared_noise = shared_noise

    def forward(self, features: Tensor) -> Distribution:
        flat = features.flatten(1)
        loc = self.loc(flat).unflatten(1, self.latent_shape)
        log_scale = self.log_scale(flat).unflatten(1, self.latent_shape)
        normal = (_SharedNoise if self.shared_noise else LogScaleNormal)(loc, log_scale, validate_args=False)
        return Independent(normal, len(self.latent_shape), validate_args=False)


@final
class ReferencePrior(Prior):
    """Standard normals."""

    zeros: Tensor

    def __init__(self, latent_shape: tuple[int, ...]) -> None:
        super().__init__(latent_shape)
        self.support: Constraint = constraints.independent(constraints.real, len(latent_shape))
        self.register_buffer("zeros", torch.zeros(latent_shape), persistent=False)

    def forward(self, context: Tensor | None = None) -> Distribution:
        return diagonal_normal(self.zeros, self.zeros, len(self.latent_shape))


@final
class _Linear(Network):
    def __init__(self, in_shape: tuple[int, ...], out_shape: tuple[int, ...]) -> None:
        super().__init__(in_shape, out_shape)
        self.layer = nn.Linear(math.prod(in_shape), math.prod(out_shape))

    def forward(self, z: Tensor) -> Tensor:
        out: Tensor = self.layer(z.flatten(1))
        return out.unflatten(1, self.out_shape)


@final
class _Gaussian(Decoder):
    def __init__(self, data: DataInfo) -> None:
        super().__init__(data)
        self.support = constraints.independent(constraints.real, len(data.shape))
        self.parameter_shape = data.shape

    def forward(self, parameters: Tensor) -> Distribution:
        scale = parameters.new_tensor(math.log(_SCALE))
        return diagonal_normal(parameters, scale, len(self.data.shape))


@final
class ReferenceKL(Divergence):
    """The KL in closed form."""

    is_kl = True

    def forward(self, q: Distribution, p: Distribution, z: Tensor) -> Tensor:
        return kl_divergence(q, p)

    def by_dimension(self, q: Distribution, p: Distribution, z: Tensor) -> Tensor:
        return by_variable(self, q, p, z)


@final
class ReferenceNothing(Divergence):
    """No divergence."""

    needs_prior = False
    needs_densities = False

    def forward(self, q: Distribution, p: Distribution, z: Tensor) -> Tensor:
        return z.new_zeros(z.shape[1])


@final
class ReferenceBound(Objective):
    """The negative ELBO of one draw, which is handed out."""

    hands_out_draws = True

    def forward(self, model: GivenModel, x: Tensor) -> Terms:
        q, p = model.encode(x), model.prior()
        z = q.rsample()
        likelihood, parameters = model.decoded(z)
        distortion, rate = -likelihood.log_prob(x), model.divergence(q, p, z[None])
        draw = Draw(x, q, z[None], model.prior, likelihood, parameters, distortion)
        return Terms((distortion + rate).mean(), {"distortion": distortion, "rate": rate}, draw=draw)


@final
class _Unused(Objective):
    def forward(self, model: GivenModel, x: Tensor) -> Terms:
        raise NotImplementedError("this model is not trained")


def reference_model(
    objective: Objective | None = None,
    divergence: Divergence | None = None,
    *,
    data: DataInfo = DATA,
    latent: tuple[int, ...] = LATENT,
    posterior: Posterior | None = None,
    prior: Prior | None = None,
    shared_noise: bool = False,
) -> LatentVariableModel:
    """The model, in double precision, with weights from the global random state.

    Args:
        objective: by default one that cannot be trained.
        divergence: the KL in closed form by default.
        data: shape and range of the data, real values by default.
        latent: shape of the latents.
        posterior: the reference by default.
        prior: the reference by default.
        shared_noise: see :class:`ReferencePosterior`.
    """
    network = _Linear(latent, data.shape)
    with torch.no_grad():
        if not network.layer.weight.is_meta and math.prod(latent) <= data.size:
            columns = torch.linalg.qr(network.layer.weight)[0]
            network.layer.weight.copy_(columns * torch.linspace(0.7, 1.3, math.prod(latent)))
    return LatentVariableModel(
        ModelSpec(latent=latent),
        data,
        encoder=_Identity(data.shape),
        posterior=posterior or ReferencePosterior(data.shape, latent, shared_noise=shared_noise),
        prior=prior or ReferencePrior(latent),
        network=network,
        decoder=_Gaussian(data),
        divergence=divergence or ReferenceKL(),
        objective=objective or _Unused(),
    ).double()


@final
class ReferenceNormals(GenerativeModel):
    """A model without latents: independent normals, ``x_i ~ N(b_i, s_i²)``."""

    def __init__(self, spec: ModelSpec, data: DataInfo) -> None:
        super().__init__(spec, data)
        self.loc = nn.Parameter(0.1 * torch.randn(data.size))
        self.log_scale = nn.Parameter(0.1 * torch.randn(data.size))

    @property
    def observations(self) -> Observations:
        return Observations(self.data, constraints.independent(constraints.real, len(self.data.shape)))

    def distribution(self) -> Distribution:
        """``p(x)``, of the values of an example in a row."""
        return diagonal_normal(self.loc, self.log_scale, 1)

    def terms(self, x: Tensor, context: Tensor | None = None) -> Terms:
        bound = self.log_weights(self.observe(x))[0]
        return Terms(-bound.mean(), {BOUNDS[0]: bound})

    def log_weights(self, x: Tensor, samples: int = 1, context: Tensor | None = None) -> Tensor:
        found: Tensor = self.distribution().log_prob(x.flatten(1))
        return found.expand(samples, -1)

    def draws(self, n: int, context: Tensor | None = None, *, noise: bool = False) -> Tensor:
        return self.distribution().sample((n,)).reshape(n, *self.data.shape)


def exact_log_density(model: LatentVariableModel, x: Tensor) -> Tensor:
    """``log p(x)`` of the reference model, ``x (B, 3) → (B,)``, nats."""
    layer: Any = model.network.layer
    covariance = layer.weight @ layer.weight.T + _SCALE**2 * torch.eye(len(layer.bias), dtype=x.dtype)
    density: Tensor = MultivariateNormal(layer.bias, covariance).log_prob(x)
    return density


def exact_distortion(model: LatentVariableModel, q: Distribution, x: Tensor) -> Tensor:
    """``-E_q[log p(x|z)]`` of the reference model, ``x (B, 3) → (B,)``, nats."""
    layer: Any = model.network.layer
    squares = (x - q.mean @ layer.weight.T - layer.bias).square().sum(1)
    squares = squares + q.variance @ layer.weight.square().sum(0)
    constant: Tensor = 0.5 * len(layer.bias) * torch.tensor(2 * math.pi * _SCALE**2, dtype=x.dtype).log()
    return constant + squares / (2 * _SCALE**2)


@torch.no_grad()
def set_exact_posterior(model: LatentVariableModel) -> None:
    """Make ``q(z|x)`` the exact posterior ``N(Σ Wᵀ (x - b) / σ², Σ)``, ``Σ = (I + Wᵀ W / σ²)⁻¹``."""
    layer: Any = model.network.layer
    weight, bias = layer.weight, layer.bias
    precision = 1 + weight.square().sum(0) / _SCALE**2
    posterior: Any = model.posterior
    posterior.loc.weight.copy_((weight / _SCALE**2 / precision).T)
    posterior.loc.bias.copy_(-posterior.loc.weight @ bias)
    posterior.log_scale.weight.zero_()
    posterior.log_scale.bias.copy_(-0.5 * precision.log())
