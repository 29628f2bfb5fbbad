"""The evidence lower bound and its weighted forms."""

import math
from typing import Annotated, Literal, final

import torch
from annotated_types import Ge
from torch import Tensor
from torch.distributions import Distribution

from genmod import Divergence, Doc, Draw, GivenModel, Objective, Schedule, Terms, UsageError
from genmod.distributions import parts_of
from genmod.system import batch_mean

__all__ = ["ELBO"]


@final
class ELBO(Objective):
    """Distortion plus weighted divergence, minimised.

    ``loss = mean_b[distortion_b] + penalty``, with ``distortion_b = -E_q[log p(x_b|z)]`` and the penalty one of

    - ``β mean_b[rate_b]``, the default (β-VAE; β = 1 gives the negative ELBO);
    - ``β Σ_p γ_p mean_b[rate_bp]`` with ``balance``, as long as β is not at its end; p are the parts of latents of several
      kinds or levels, γ_p what each of their latents holds, ``(mean_b[rate_bp] + 0.01) / size_p``, divided by the mean of
      these over the parts, and a constant to the gradient: levels that hold little pay little;
    - ``β Σ_p |mean_b[rate_bp] - capacity|`` where ``capacity`` is given; p are all latents as one, or the parts of
      latents of several kinds, each with that capacity;
    - ``β Σ_g max(λ, mean_b[rate_bg])`` where ``free_bits`` is λ > 0, counted for the batch, or
      ``β mean_b[Σ_g max(λ, rate_bg)]``, counted for each example; g are single latents, channels (indices of the
      first dimension of the latents, as of maps), parts of latents of several kinds, or all latents as one.

    All in nats. Reported as ``elbo`` is always ``-(distortion + rate)``, without weights.

    Reference:
        Auto-Encoding Variational Bayes (Kingma and Welling, 2013), arXiv:1312.6114;
        beta-VAE (Higgins et al., 2017), openreview Sy2fzU9gl;
        Understanding disentangling in β-VAE (Burgess et al., 2018), arXiv:1804.03599, for the capacity;
        Improved Variational Inference with Inverse Autoregressive Flow (Kingma et al., 2016),
        arXiv:1606.04934, for free bits;
        Learning Disentangled Joint Continuous and Discrete Representations (Dupont, 2018), arXiv:1804.00104, for
        capacities of parts;
        NVAE: A Deep Hierarchical Variational Autoencoder (Vahdat and Kautz, 2020), arXiv:2007.03898, appendix A, for the
        balance of parts

    Raises:
        UsageError: two of capacity, free bits and balance at once, or no divergence.

    Example:
        >>> ELBO(beta=Schedule.parse("0->1 over 10 epochs")).samples
        1
    """

    hands_out_draws = True

    def __init__(
        self,
        *,
        beta: Annotated[
            Schedule | float, Ge(0), Doc("weight of the divergence, may change during training")
        ] = 1.0,
        capacity: Annotated[
            Schedule | None, Doc("nats of divergence to aim at instead of zero, may change during training")
        ] = None,
        capacity_group: Annotated[
            Literal["all", "part"],
            Doc("what is held to that capacity: all latents together, or each part of a product"),
        ] = "all",
        free_bits: Annotated[float, Ge(0), Doc("nats of each group of latents that cost nothing")] = 0.0,
        free_bits_by: Annotated[
            Literal["batch", "example"],
            Doc("whether free bits are counted for the mean of the batch or each example"),
        ] = "batch",
        free_bits_group: Annotated[
            Literal["latent", "channel", "part", "all"],
            Doc(
                "what free bits are given to: each latent, each channel of latents, each part of a product, or all"
            ),
        ] = "latent",
        balance: Annotated[
            bool,
            Doc("weigh the rate of each part of latents by what it holds, until beta has come to its end"),
        ] = False,
        samples: Annotated[int, Ge(1), Doc("draws of the latents for each example")] = 1,
    ) -> None:
        super().__init__()
        if (capacity is not None) + (free_bits > 0) + balance > 1:
            both = " and ".join(
                ["capacity"] * (capacity is not None)
                + ["free_bits"] * (free_bits > 0)
                + ["balance"] * balance
            )
            raise UsageError(
                f"objective 'elbo' was given {both}, which are several ways to keep information in the latents",
                hint="set one of them: -s objective.capacity=… or -s objective.free_bits=… or -s objective.balance=true",
            )
        self.beta = Schedule.parse(beta)
        self.capacity = None if capacity is None else Schedule.parse(capacity)
        self.capacity_group = capacity_group
        self.free_bits = free_bits
        self.free_bits_by = free_bits_by
        self.free_bits_group = free_bits_group
        self.balance = balance
        self.samples = samples

    def check(self, model: GivenModel) -> None:
        if not model.divergence.needs_prior:
            raise UsageError(
                "objective 'elbo' needs a divergence, and this model has none",
                hint="choose one (--divergence kl), or train without: --objective reconstruction",
            )
        with model.device:
            p = model.prior()
            if self.free_bits > 0:
                q = model.posterior(torch.zeros(1, *model.encoder.feature_shape, dtype=model.dtype))
                self._groups(
                    model.divergence, q, p, torch.zeros(1, 1, *model.latent_shape, dtype=model.dtype)
                )

    def forward(self, model: GivenModel, x: Tensor) -> Terms:
        q, p = model.encode(x), model.prior()
        if self.samples == 1:
            # The common case without a dimension of one, which costs a pass over the pictures.
            one = q.rsample()
            likelihood, parameters = model.decoded(one)
            z, distortion = one[None], -likelihood.log_prob(x)
        else:
            z = q.rsample((self.samples,))
            likelihood, parameters = model.decoded(z)
            distortion = -likelihood.log_prob(x).mean(0)
        if self.free_bits > 0:
            parts = self._groups(model.divergence, q, p, z)
            rate = parts.sum(1)
            counted = batch_mean(parts)[None] if self.free_bits_by == "batch" else parts
            penalty = counted.clamp(min=self.free_bits).sum(1).mean()
        elif self.capacity is not None and self.capacity_group == "part":
            parts = model.divergence.by_part(q, p, z)
            rate = parts.sum(1)
            penalty = (batch_mean(parts) - float(self.capacity)).abs().sum()
        elif self.balance and float(self.beta) != self.beta.final:
            parts = model.divergence.by_part(q, p, z)
            rate = parts.sum(1)
            penalty = (parts.mean(0) * _shares(parts, q, p, z)).sum()
        else:
            rate = model.divergence(q, p, z)
            penalty = rate.mean()
            if self.capacity is not None:
                penalty = (batch_mean(rate) - float(self.capacity)).abs()
        values = {"distortion": distortion, "rate": rate}
        if model.divergence.is_kl and model.decoder.is_density:
            values = {"elbo": -(distortion + rate), **values}
        draw = Draw(x, q, z, model.prior, likelihood, parameters, distortion)
        beta = float(self.beta)
        # Two operations less in each step of an unweighted bound.
        weighted = penalty if beta == 1 else beta * penalty
        return Terms(distortion.mean() + weighted, values, draw=draw)

    def _groups(self, divergence: Divergence, q: Distribution, p: Distribution, z: Tensor) -> Tensor:
        """Rates of the groups that have free bits of their own, ``(B, groups)``."""
        if self.free_bits_group == "part":
            return divergence.by_part(q, p, z)
        if self.free_bits_group == "all":
            return divergence(q, p, z)[:, None]  # type: ignore[no-any-return]
        parts = divergence.by_dimension(q, p, z)
        if self.free_bits_group == "channel" and parts.dim() > 2:
            return parts.flatten(2).sum(2)
        return parts.flatten(1)


def _shares(parts: Tensor, q: Distribution, p: Distribution, z: Tensor) -> Tensor:
    """Weights of rates ``(B, parts)``, of mean 1, ``(parts,)``."""
    sizes = [math.prod(own.event_shape) for own, _, _ in parts_of(q, p, z)]
    # The device is not waited for.
    counts = torch.tensor(sizes, dtype=parts.dtype).to(parts.device, non_blocking=True)
    each = (batch_mean(parts.detach()) + 0.01) / counts
    return each / each.mean()
