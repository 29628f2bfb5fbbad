"""The latent-variable model that is composed of named components."""

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from genmod.data.conditions import Conditions, joined
from genmod.data.dataset import DataInfo
from genmod.data.missing import marked, stand_in
from genmod.defaults import NORMAL_LATENTS, USUAL
from genmod.distributions.marginal import Marginal
from genmod.distributions.support import Space
from genmod.errors import UndefinedError, UsageError
from genmod.interfaces.conditioned import Given, log_weights
from genmod.interfaces.critic import Critic
from genmod.interfaces.decoder import Decoder
from genmod.interfaces.divergence import Divergence
from genmod.interfaces.encoder import Encoder
from genmod.interfaces.given import GivenModel
from genmod.interfaces.network import Network
from genmod.interfaces.objective import Objective, Terms
from genmod.interfaces.part import ParameterGroup
from genmod.interfaces.posterior import Posterior
from genmod.interfaces.prior import Prior
from genmod.interfaces.sampler import Source
from genmod.model.context import WithContext
from genmod.model.losses import adds_losses, grouped, with_losses
from genmod.model.on_data import OnData
from genmod.model.own_loop import InOwnLoop
from genmod.model.sampling import WithSampler
from genmod.model.summary import summarize
from genmod.model.with_pictures import WithPictures
from genmod.spec import ModelSpec
from genmod.system.failures import named_failures
from genmod.system.first import each_parameter
from genmod.system.memory import in_pieces
from genmod.system.random import seeded

__all__ = ["LatentVariableModel"]

_AT_ONCE = 2**27
"""Parameters of likelihoods that are drawn from at a time."""


class LatentVariableModel(WithContext, WithSampler, OnData, WithPictures, InOwnLoop):
    """A latent-variable model composed of named components.

    ``log p(x) = log ∫ p(x|z) p(z) dz ≥ E_q(z|x)[log p(x|z)] - KL(q(z|x) ‖ p(z))``

    Made by :func:`genmod.build`.

    Example:
        >>> import genmod
        >>> model = genmod.build(data="digits", encoder="mlp", latent=2)
        >>> q = model.encode(torch.zeros(3, 1, 8, 8))
        >>> q.batch_shape, q.event_shape
        (torch.Size([3]), torch.Size([2]))
        >>> model.decode(q.mean).mean.shape, model.sample(5, seed=0).shape
        (torch.Size([3, 1, 8, 8]), torch.Size([5, 1, 8, 8]))
    """

    def __init__(
        self,
        spec: ModelSpec,
        data: DataInfo,
        *,
        encoder: Encoder,
        posterior: Posterior,
        prior: Prior,
        network: Network,
        decoder: Decoder,
        divergence: Divergence,
        objective: Objective,
        critic: Critic | None = None,
        conditions: Conditions | None = None,
        inputs: nn.Module | None = None,
    ) -> None:
        super().__init__(spec, data)
        self.conditions = conditions
        self.inputs = inputs
        self._stand_in = stand_in(data)
        self.encoder = encoder
        self.posterior = posterior
        self.prior = prior
        self.network = network
        self.decoder = decoder
        self.divergence = divergence
        self.objective = objective
        self.critic = critic

    exact = False
    has_latents = True

    @property
    def observations(self) -> Decoder:
        """The likelihood, which says what its densities are of."""
        return self.decoder

    @property
    def latent_shape(self) -> tuple[int, ...]:
        """Shape of one latent."""
        return self.posterior.latent_shape

    @property
    def space(self) -> Space:
        """Where latents lie: what one is made of, and which points are none."""
        return Space(self.posterior.support, self.latent_shape)

    def observe(self, x: Tensor) -> Tensor:
        """Stored or float examples → observations, as they are encoded and scored.

        ``x (B, *data.shape)`` → ``(B, *data.shape)`` float; may draw, as dynamic binarisation does. Missing values
        are NaN and stay so.
        """
        values = self.data.values(x, self.dtype)
        if not self.data.missing:
            return self.decoder.observe(values)
        seen = ~values.isnan()
        return torch.where(seen, self.decoder.observe(torch.where(seen, values, self._stand_in)), torch.nan)

    @property
    def latents_need_context(self) -> bool:
        """Whether latents can be drawn only for given conditions: the model is conditional, and its prior depends on them."""
        return self.conditions is not None and self.prior.wants_context

    def given(self, context: Tensor | None) -> GivenModel:
        """The model given ``context (B, size)``, as :meth:`context` or :meth:`asked` make it."""
        return self if context is None else Given(self, context)

    def encode(self, x: Tensor, context: Tensor | None = None) -> Distribution:
        """``q(z|x)`` of observations ``x (B, *data.shape)``; stored integers are scaled first.

        Args:
            x: observations.
            context: of each, ``(B, size)``, see :meth:`context`; a conditional model needs one.

        Returns:
            Distribution, ``batch_shape (B,)``, ``event_shape latent_shape``.

        Raises:
            UsageError: x has another shape, or a conditional model has been given no conditions.
        """
        if tuple(x.shape[1:]) != self.data.shape:
            raise UsageError(
                f"the model encodes examples of shape {self.data.shape}, was given a tensor of shape {tuple(x.shape)}",
                hint=f"give a batch, (B, {', '.join(map(str, self.data.shape))})",
            )
        features = self.features(x, context)
        more: dict[str, Distribution] = {}
        if self.posterior.wants_prior:
            more["prior"] = self.given(context).prior()
        if not self.posterior.wants_joint:
            return self.posterior(features, **more)  # type: ignore[no-any-return]
        seen, model = self.data.values(x, self.dtype), self.given(context)
        return self.posterior(
            features, lambda z: model.decode(z).log_prob(seen) + model.prior().log_prob(z), **more
        )  # type: ignore[no-any-return]

    def features(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """What the encoder makes of observations ``x (B, *data.shape)``, ``(B, *feature_shape)``, for the posterior."""
        values = self.data.values(x, self.dtype)
        if self.inputs is not None:
            values = self.inputs(values)
        elif self.data.missing:
            values = marked(values, self._stand_in)
        if self.conditions is not None:
            values = joined(values, self._conditions_of(context, values.shape[:1]))
        features = self._through(self.encoder, values)
        # That of a model in half precision takes what is; no other has weights of less than the features.
        own = features.dtype
        for parameter in each_parameter(self.posterior):
            own = parameter.dtype
            break
        return features.to(own)

    def decode(self, z: Tensor, context: Tensor | None = None) -> Distribution:
        """``p(x|z)`` of latents ``z (*batch, *latent_shape)``.

        Args:
            z: latents.
            context: ``(B, size)``, see :meth:`context`, where the model has one; B is the last dimension of the batch.

        Returns:
            Distribution, ``batch_shape batch``, ``event_shape data.shape``.

        Raises:
            UsageError: z has another shape, or a model with a context has been given none.
        """
        return self.decoded(z, context)[0]

    def decoded(self, z: Tensor, context: Tensor | None = None) -> tuple[Distribution, Tensor]:
        """``p(x|z)`` as :meth:`decode` makes it, and what the network put out for it, ``(*batch, *parameter_shape)``."""
        batch = z.shape[: z.dim() - len(self.latent_shape)]
        if tuple(z.shape[len(batch) :]) != self.latent_shape:
            raise UsageError(
                f"the model decodes latents of shape {self.latent_shape}, was given a tensor of shape {tuple(z.shape)}"
            )
        given = [z.reshape(-1, *self.latent_shape)]
        if self.conditions is not None:
            given.append(self._conditions_of(context, batch))
        parameters = self._through(self.network, *given, compute=self._body)
        parameters = parameters.reshape(*batch, *self.decoder.parameter_shape)
        likelihood: Distribution = self.decoder(parameters, **self.given_to_decoder(context, batch))
        return (Marginal(likelihood, self._stand_in) if self.data.missing else likelihood), parameters

    def terms(self, x: Tensor, context: Tensor | None = None) -> Terms:
        terms: Terms = self.objective(self.given(context), self.observe(x))
        adding = [
            part for part in dict.fromkeys(self._modules.values()) if part is not None and adds_losses(part)
        ]
        return with_losses(terms, adding) if adding or terms.draw is not None else terms

    def groups(self) -> Mapping[str, ParameterGroup]:
        return grouped(self.objective.groups(self), self.modules())

    @torch.no_grad()
    def sample(
        self,
        n: int,
        *,
        seed: int | None = None,
        noise: bool = False,
        condition: str | None = None,
        context: Tensor | None = None,
        source: Source | None = None,
    ) -> Tensor:
        """``n`` new examples: ``z ~ p(z)``, or from a sampler, then the mean of ``p(x|z)``, or a draw from it.

        Args:
            source: ``prior`` or ``sampler``; by default the sampler where one was fitted.

        Raises:
            UndefinedError: the model has no prior, no sampler; the hint says what to do.
            UsageError: the model is not conditional, or not on that.
        """
        if seed is not None:
            with seeded(seed), named_failures():
                return self.sample(n, noise=noise, condition=condition, context=context, source=source)
        context = self.asked(condition, n, draw=True) if context is None else context
        z = self.latents(n, context, source)
        most = max(1, _AT_ONCE // math.prod(self.decoder.parameter_shape)) if n else 1
        given = [None] * max(1, -(-n // most)) if context is None else context.split(most)
        pictures = (self.decode(part, each) for part, each in zip(z.split(most), given, strict=False))
        made = [each.sample() if noise else each.mean for each in pictures]
        return torch.cat(made) if len(made) != 1 else made[0]

    def latents(self, n: int, context: Tensor | None = None, source: Source | None = None) -> Tensor:
        """``n`` draws ``z ~ p(z)``, or one for each row of ``context (n, size)``; ``(n, *latent_shape)``.

        Args:
            source: ``prior`` or ``sampler``; by default the sampler where one was fitted.

        Raises:
            UndefinedError: the model has no prior, no sampler; the hint says what to do.
        """
        sampler = self.sampler_for(source)
        conditions = self.conditions_in(context)
        p: Distribution = self.prior(conditions) if sampler is None else sampler.given(conditions)
        z = p.sample() if p.batch_shape else p.sample((n,))
        return z if sampler is None else z.to(self.device, self.dtype)

    def log_weights(self, x: Tensor, samples: int = 1, context: Tensor | None = None) -> Tensor:
        """``log p(x|z) + log p(z) - log q(z|x)`` of draws ``z ~ q(z|x)``.

        Their mean estimates the ELBO, ``logsumexp - log K`` over them the importance-weighted bound.

        Args:
            x: observations, ``(B, *data.shape)``.
            samples: number of draws ``K``.
            context: of each, ``(B, size)``, where the model has one.

        Returns:
            ``(K, B)``, nats.

        Raises:
            UndefinedError: a part of the model has no density.
        """
        return log_weights(self.given(context), x, samples)

    def missing_densities(self) -> str:
        """Why this model bounds no ``log p(x)``, or nothing where it does."""
        for kind, part, has in (
            ("posterior", self.posterior, self.posterior.has_density),
            ("prior", self.prior, self.prior.has_density),
            ("decoder", self.decoder, self.decoder.is_density),
        ):
            if not has:
                name = (
                    self.spec.components[kind].name if kind in self.spec.components else type(part).__name__
                )
                return f"its {kind} {name!r} has no density"
        return ""

    def require_densities(self, what: str) -> None:
        """Refuse ``what`` where it is undefined.

        Raises:
            UndefinedError: a part of the model has no density; names it.
        """
        reason = self.missing_densities()
        if reason:
            raise UndefinedError(
                f"this model has no {what}: {reason}",
                hint=f"build one that has, for example: genmod build {NORMAL_LATENTS} --divergence {USUAL['divergence']}",
            )

    def _repr_html_(self) -> str:
        return summarize(self)._repr_html_()

    def _body(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        """What the network makes of latents ``(N, *latent_shape)``, or of what the prior makes of them on its way."""
        features = self.prior.features(z, context)
        return self.network(features if context is None else joined(features, context))  # type: ignore[no-any-return]

    def _through(
        self, network: nn.Module, *given: Tensor, compute: Callable[..., Tensor] | None = None
    ) -> Tensor:
        """What a network makes of ``x``, or what is computed with it, in single precision at least."""
        # Only networks may run in low precision: densities and divergences lose whole nats there.
        if self.autocast_dtype is None:
            found = in_pieces(network, *given, compute=compute)
        else:
            with torch.autocast(self.device.type, self.autocast_dtype):
                found = in_pieces(network, *given, compute=compute)
        return found.float() if found.dtype.itemsize < 4 else found
