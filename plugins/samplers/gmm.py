"""Sampler that is a mixture of normals."""

import warnings
from collections.abc import Callable
from typing import Annotated, Literal, final

import torch
from annotated_types import Ge
from torch import Tensor
from torch.distributions import Categorical, Distribution, MixtureSameFamily, MultivariateNormal

from genmod import Doc, Sampler, UsageError
from genmod.plugins.samplers._standard import shaped, spread
from genmod.system import seed_for

__all__ = ["GmmSampler"]


@final
class GmmSampler(Sampler):
    """A mixture of normals, fitted by expectation maximisation (scikit-learn).

    ``p(z) = Σ_c w_c N(z; μ_c, Σ_c)``, ``batch_shape ()``, ``event_shape latent_shape``

    The codes are first standardised in each dimension, so that their units do not matter.

    Reference:
        From Variational to Deterministic Autoencoders (Ghosh et al., 2019), arXiv:1903.12436

    Raises:
        UsageError: there are fewer codes than components, by :meth:`fit`.

    Example:
        >>> sampler = GmmSampler((1,), components=2)
        >>> sampler.fit(torch.tensor([[0.0], [0.1], [7.0], [7.1]]))
        >>> sampler.loc.flatten().sort().values
        tensor([0.0500, 7.0500])
    """

    logits: Tensor
    loc: Tensor
    scale_tril: Tensor

    def __init__(
        self,
        latent_shape: tuple[int, ...],
        *,
        components: Annotated[int, Ge(1), Doc("number of normals")] = 10,
        covariance: Annotated[
            Literal["full", "diagonal"], Doc("whether dimensions are correlated within a component")
        ] = "full",
    ) -> None:
        super().__init__(latent_shape)
        size = torch.Size(latent_shape).numel()
        self.components = components
        self.covariance = covariance
        self.register_buffer("logits", torch.zeros(components))
        self.register_buffer("loc", torch.zeros(components, size))
        self.register_buffer("scale_tril", torch.eye(size).repeat(components, 1, 1))

    def fit(self, codes: Tensor, *, seed: int = 0, on_step: Callable[[int, int], None] | None = None) -> None:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.mixture import GaussianMixture

        if len(codes) < self.components:
            raise UsageError(
                f"sampler 'gmm' has {self.components} components, and there are {len(codes)} codes",
                hint=f"give it fewer: -s sampler.components={max(1, len(codes) // 10)}",
            )
        flat = codes.detach().flatten(1).double().cpu()
        loc, scale = spread(flat)
        mixture = GaussianMixture(
            self.components,
            covariance_type="full" if self.covariance == "full" else "diag",
            max_iter=1000,
            random_state=seed_for(seed, "gmm") % 2**32,
        )
        with warnings.catch_warnings():
            # Equal codes leave components empty; after so many steps the fit no longer improves.
            warnings.simplefilter("ignore", ConvergenceWarning)
            mixture.fit(((flat - loc) / scale).numpy())
        variances = torch.from_numpy(mixture.covariances_)
        covariances = variances if self.covariance == "full" else torch.diag_embed(variances)
        self.logits = torch.from_numpy(mixture.weights_).log().to(codes)
        self.loc = (loc + scale * torch.from_numpy(mixture.means_)).to(codes)
        self.scale_tril = (scale[:, None] * torch.linalg.cholesky(covariances)).to(codes).contiguous()

    def forward(self) -> Distribution:
        weights = Categorical(logits=self.logits, validate_args=False)
        normals = MultivariateNormal(self.loc, scale_tril=self.scale_tril, validate_args=False)
        mixture = MixtureSameFamily(weights, normals, validate_args=False)
        return shaped(mixture, self.latent_shape)
