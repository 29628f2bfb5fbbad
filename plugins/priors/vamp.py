"""Mixture of the posteriors of pseudo-inputs as a prior."""

import math
from typing import Annotated, Any, ClassVar, Literal, final

import torch
from annotated_types import Ge
from torch import Tensor, nn
from torch.distributions import Categorical, Distribution
from torch.distributions.constraints import Constraint

from genmod import Doc, GivenModel, Prior, UndefinedError, UsageError
from genmod.system import are_all_rows_at_once, in_pieces

__all__ = ["DistributionMixture", "VampPrior"]


@final
class DistributionMixture(Distribution):
    """A weighted mixture over the batch of any distribution that has log-densities.

    ``log p(z) = log Σ_c w_c q_c(z)``

    Args:
        logits: of the weights, ``(C,)``.
        parts: ``batch_shape (C,)``.
        made_by: what made them; where it is in evaluation mode and no gradient is wanted, densities are computed of as many
            values at a time as fit into memory, since each takes as much as ``C`` of a part.

    Example:
        >>> from genmod import diagonal_normal
        >>> parts = diagonal_normal(torch.zeros(3, 2), torch.zeros(3, 2), 1)
        >>> DistributionMixture(torch.zeros(3), parts).log_prob(torch.zeros(2))
        tensor(-1.8379)
    """

    arg_constraints: ClassVar[dict[str, Any]] = {}

    def __init__(self, logits: Tensor, parts: Distribution, made_by: nn.Module | None = None) -> None:
        self.log_weights = logits.log_softmax(0)
        self.parts, self._made_by = parts, made_by
        super().__init__(torch.Size(), parts.event_shape, validate_args=False)

    @property
    def support(self) -> Constraint:
        support: Constraint = self.parts.support  # type: ignore[assignment]
        return support

    def expand(self, batch_shape: Any, _instance: object = None) -> "DistributionMixture":
        mixture = DistributionMixture(self.log_weights, self.parts, self._made_by)
        mixture._batch_shape = torch.Size(batch_shape)
        return mixture

    @property
    def mean(self) -> Tensor:
        weights = self.log_weights.exp()
        mean = (weights.reshape(-1, *[1] * len(self.event_shape)) * self.parts.mean).sum(0)
        return mean.expand(self._extended_shape())

    @property
    def variance(self) -> Tensor:
        weights = self.log_weights.exp().reshape(-1, *[1] * len(self.event_shape))
        middle = (weights * self.parts.mean).sum(0)
        spread = (weights * (self.parts.variance + (self.parts.mean - middle).square())).sum(0)
        return spread.expand(self._extended_shape())

    def log_prob(self, value: Tensor) -> Tensor:
        if self._made_by is None or self._made_by.training or torch.is_grad_enabled():
            found = self._log_prob(value)
        else:
            batch = value.shape[: value.dim() - len(self.event_shape)]
            rows = value.reshape(-1, *self.event_shape)
            found = in_pieces(self._made_by, rows, compute=self._log_prob).reshape(batch)
        return found.expand(torch.broadcast_shapes(found.shape, self._batch_shape))

    def _log_prob(self, value: Tensor) -> Tensor:
        each = self.parts.log_prob(value.unsqueeze(value.dim() - len(self.event_shape)))
        return (self.log_weights + each).logsumexp(-1)

    @torch.no_grad()
    def sample(self, sample_shape: Any = ()) -> Tensor:
        shape = torch.Size((*sample_shape, *self._batch_shape))
        if are_all_rows_at_once():  # a count that is not known yet; so every part is drawn for each
            count = math.prod(shape)
            logits = self.log_weights.expand(count, -1)
            chosen = Categorical(logits=logits, validate_args=False).sample()
            draws = self.parts.sample(torch.Size((count,)))
            picked = draws[torch.arange(count, device=chosen.device), chosen]
            return picked.reshape(*shape, *self.event_shape)
        chosen = Categorical(logits=self.log_weights, validate_args=False).sample((shape.numel(),))
        # Only as many draws of each part as the most chosen one needs.
        counts = torch.bincount(chosen, minlength=len(self.log_weights))
        draws = self.parts.sample((int(counts.max()) if len(chosen) else 0,))
        order = chosen.argsort()
        first = counts.cumsum(0) - counts
        place = torch.arange(len(chosen), device=chosen.device) - first[chosen[order]]
        picked = draws[place, chosen[order]][order.argsort()]
        return picked.reshape(*shape, *self.event_shape)


@final
class VampPrior(Prior):
    """The mixture of the posteriors of pseudo-inputs, which are trained with the model.

    ``p(z) = Σ_c w_c q(z | u_c)``, ``u`` pseudo-inputs, ``batch_shape ()``, ``event_shape latent_shape``

    The density is that of the posterior, whatever its support. It has no closed-form KL; use ``kl-mc``. Pseudo-inputs
    start as noise, or as training examples (``inputs=data``), or are fixed training examples (``inputs=examples``). In
    the last case the mixture holds the posterior of an example that is one of them, so choose few of the data.

    Reference:
        VAE with a VampPrior (Tomczak and Welling, 2018), arXiv:1705.07120;
        Exemplar VAE: Linking Generative Models, Nearest Neighbor Retrieval, and Data Augmentation
        (Norouzi et al., 2020), arXiv:2004.04795, for pseudo-inputs that are examples

    Raises:
        UsageError: the posterior is a point mass, or there are fewer examples than pseudo-inputs.

    Example:
        >>> import genmod
        >>> model = genmod.build(encoder="mlp", prior="vamp", divergence="kl-mc", latent=2)
        >>> model.prior().sample((5,)).shape
        torch.Size([5, 2])
    """

    support = None
    components: int
    exemplars: Tensor
    prepared: Tensor

    def __init__(
        self,
        latent_shape: tuple[int, ...],
        *,
        components: Annotated[int, Ge(1), Doc("number of pseudo-inputs")] = 100,
        weights: Annotated[bool, Doc("train the weights of the pseudo-inputs too")] = False,
        inputs: Annotated[
            Literal["noise", "data", "examples"],
            Doc(
                "pseudo-inputs: trained from noise, trained from examples of the data, or such examples themselves"
            ),
        ] = "noise",
    ) -> None:
        super().__init__(latent_shape)
        self.components = components
        self.kind = inputs
        self.examples_wanted = 0 if inputs == "noise" else components
        if self.examples_wanted:
            self.register_buffer("prepared", torch.zeros((), dtype=torch.bool))
        self.logits = nn.Parameter(torch.zeros(components)) if weights else None
        self.pseudo = nn.ParameterList()
        self._model: tuple[Any, ...] = ()

    def bind(self, model: GivenModel) -> None:
        if not model.posterior.has_density:
            raise UsageError(
                "prior 'vamp' is a mixture of posteriors, and this model's has no density",
                hint="choose one that has: --posterior normal",
            )
        if model.conditions is not None:
            raise UsageError(
                "prior 'vamp' is a mixture over encoded pseudo-inputs, which have no label",
                hint="choose one that depends on labels (--prior conditional), or --prior normal",
            )
        data = model.data
        if self.examples_wanted and data.missing:
            raise UsageError(
                f"prior 'vamp' with inputs = {self.kind} takes examples, and values of these data are missing",
                hint="leave it out: -s prior.inputs=noise",
            )
        self.low, self.high = data.low, data.high
        self.bounded = math.isfinite(data.high - data.low)
        # Around the middle of the data, apart enough to differ.
        start = torch.randn(self.components, *data.shape)
        if self.kind == "examples":
            self.register_buffer("exemplars", self._bounded(start))
        else:
            self.pseudo = nn.ParameterList([nn.Parameter(start)])
        self.support = model.posterior.support
        # In a tuple, so that the model is not a part of its own part.
        self._model = (model,)

    @property
    def inputs(self) -> Tensor:
        """The pseudo-inputs, ``(components, *data.shape)``, within the range of the data.

        Raises:
            UndefinedError: the prior is not yet part of a model.
        """
        if not self._model:
            raise UndefinedError(
                "prior 'vamp' uses the encoder and posterior of a model, and is not part of a model",
                hint="build one: genmod build --prior vamp --divergence kl-mc",
            )
        return self.exemplars if self.kind == "examples" else self._bounded(self.pseudo[0])

    def _bounded(self, raw: Tensor) -> Tensor:
        return self.low + (self.high - self.low) * raw.sigmoid() if self.bounded else raw

    @torch.no_grad()
    def prepare(self, examples: Tensor) -> None:
        # A model that is trained further keeps the pseudo-inputs that it has.
        if self.prepared:
            return
        if len(examples) < self.components:
            raise UsageError(
                f"prior 'vamp' has {self.components} pseudo-inputs, to be taken from {len(examples)} training examples",
                hint=f"choose fewer: -s prior.components={len(examples)}",
            )
        held = self.exemplars if self.kind == "examples" else self.pseudo[0]
        x = self._model[0].data.values(examples.to(held.device), held.dtype)
        if self.kind == "data" and self.bounded:
            # The ends of the range are infinitely far out, and those near them learn slowly.
            x = ((x - self.low) / (self.high - self.low)).clamp(0.02, 0.98).logit()
        held.copy_(x)
        self.prepared.fill_(True)

    def forward(self, context: Tensor | None = None) -> DistributionMixture:
        inputs = self.inputs
        logits = inputs.new_zeros(self.components) if self.logits is None else self.logits
        return DistributionMixture(logits, self._model[0].encode(inputs), self)
