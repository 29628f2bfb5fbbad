"""The KL in three parts: mutual information, total correlation and the rest, each with a weight."""

from typing import Annotated, Literal, final

import torch
from annotated_types import Ge
from torch import Tensor
from torch.distributions import Distribution, Independent

from genmod import Divergence, Doc, Schedule, UndefinedError
from genmod.distributions import changed, name_of
from genmod.system import gather_batch

__all__ = ["TotalCorrelation", "log_sampling_weights"]

Sampling = Literal["exact", "weighted", "stratified"]


@final
class TotalCorrelation(Divergence):
    """``α I(x; z) + β TC(z) + γ Σ_d KL(q(z_d) ‖ p(z_d))``, nats: the KL in three parts, as in β-TCVAE.

    ``q (B,), p (), z (K, B, *latent_shape) → (B,)``. With ``q(z) = 1/N Σ_n q(z|x_n)`` over the dataset, and for every draw:

    - mutual information ``log q(z|x) - log q(z)``;
    - total correlation ``log q(z) - Σ_d log q(z_d)``;
    - dimension-wise KL ``Σ_d log q(z_d) - log p(z_d)``.

    Their plain sum is ``log q(z|x) - log p(z)``, so that α = β = γ = 1 gives the KL. The mean over the dataset is
    estimated from the batch of all processes, ``q(z_i) ≈ Σ_j W_ij q(z_i|x_j)``, with the weights W

    - ``exact``: 1/N for the example itself, (N-1)/(N(B-1)) for each other one: unbiased, and exact where the batch is
      the dataset;
    - ``stratified``, the paper's, unbiased too: 1/N for the example itself, (N-M)/(NM) for one of the M = B-1 others,
      1/M for the rest;
    - ``weighted``, that of the paper's experiments: 1/(NB) for all, which makes q(z) too small by a factor of about N.

    N is the number of training examples; until training begins it is taken to be that of the batch.

    Reference:
        Isolating Sources of Disentanglement in Variational Autoencoders (Chen et al., 2018), arXiv:1802.04942

    Raises:
        UndefinedError: the latents of posterior or prior are not independent of each other.

    Example:
        >>> from genmod import diagonal_normal
        >>> q = diagonal_normal(torch.ones(3, 2), torch.zeros(3, 2), 1)
        >>> TotalCorrelation()(q, diagonal_normal(torch.zeros(2), torch.zeros(2), 1), q.sample((5,))).shape
        torch.Size([3])
    """

    batch_statistics = "global"
    dataset_size: Tensor

    def __init__(
        self,
        *,
        alpha: Annotated[
            Schedule | float, Ge(0), Doc("weight of the mutual information, may change during training")
        ] = 1.0,
        beta: Annotated[
            Schedule | float, Ge(0), Doc("weight of the total correlation, may change during training")
        ] = 6.0,
        gamma: Annotated[
            Schedule | float, Ge(0), Doc("weight of the dimension-wise KL, may change during training")
        ] = 1.0,
        sampling: Annotated[
            Sampling, Doc("how the batch stands for the dataset: the weights of its examples")
        ] = "exact",
    ) -> None:
        super().__init__()
        self.alpha = Schedule.parse(alpha)
        self.beta = Schedule.parse(beta)
        self.gamma = Schedule.parse(gamma)
        self.sampling: Sampling = sampling
        self.zero_at_prior = sampling != "weighted"
        self.register_buffer("dataset_size", torch.tensor(0))

    def set_dataset_size(self, dataset_size: int) -> None:
        self.dataset_size.fill_(dataset_size)

    def check(self, q: Distribution, p: Distribution) -> None:
        for distribution in (q, p):
            if not isinstance(distribution, Independent) or distribution.base_dist.event_shape:
                raise UndefinedError(
                    f"the latents of {name_of(distribution)} are not known to be independent of each other, as total "
                    f"correlation needs of posterior and prior; given are {name_of(q)} and {name_of(p)}",
                    hint="choose --posterior normal --prior normal, or another divergence: --divergence hsic",
                )

    def forward(self, q: Distribution, p: Distribution, z: Tensor) -> Tensor:
        information, correlation, dimensions = self.terms(q, p, z)
        value = float(self.alpha) * information + float(self.beta) * correlation
        return value + float(self.gamma) * dimensions

    def terms(self, q: Distribution, p: Distribution, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Mutual information, total correlation and dimension-wise KL of each example, ``(B,)`` each, nats."""
        self.check(q, p)
        batch = z.shape[1]
        # Processes exchange q of every draw under every example: (x, draws of z, dimension).
        draws = changed(z.transpose(0, 1), gather_batch).flatten(0, 1).unsqueeze(1)
        parts = q.base_dist.log_prob(draws).flatten(2).transpose(0, 1)  # type: ignore[attr-defined]
        parts = gather_batch(parts)
        n = len(parts)
        parts = parts.unflatten(1, (n, -1))
        weights = log_sampling_weights(n, self.dataset_size, self.sampling, z)
        joint = (weights.mT[:, :, None] + parts.sum(3)).logsumexp(0)
        each = (weights.mT[:, :, None, None] + parts).logsumexp(0).sum(2)
        mine = _mine(n, batch)
        joint, each = joint[mine].mT, each[mine].mT
        log_q, log_p = q.log_prob(z), p.log_prob(z)
        return (log_q - joint).mean(0), (joint - each).mean(0), (each - log_p).mean(0)


def log_sampling_weights(n: int, dataset_size: Tensor | int, sampling: Sampling, like: Tensor) -> Tensor:
    """``log W_ij``: how much example j of a batch counts in the estimate of q at the draws of example i, ``(n, n)``.

    Args:
        n: examples in the batch.
        dataset_size: ``N``; the batch is taken to be the dataset where it is not larger.
        sampling: see :class:`TotalCorrelation`.
        like: a tensor of the wanted type and device.

    Example:
        >>> log_sampling_weights(3, 4, "exact", torch.zeros(())).exp()
        tensor([[0.2500, 0.3750, 0.3750],
                [0.3750, 0.2500, 0.3750],
                [0.3750, 0.3750, 0.2500]])
    """
    size = torch.as_tensor(dataset_size, device=like.device).clamp(min=n).to(like.dtype)
    itself = torch.eye(n, dtype=torch.bool, device=like.device)
    if sampling == "weighted":
        return (-(size * n).log()).expand(n, n)
    others = max(n - 1, 1)
    if sampling == "exact":
        rest = ((size - 1) / (size * others)).log()
        return torch.where(itself, -size.log(), rest)
    last = ((size - others).clamp(min=1) / (size * others)).log()
    rest = torch.where(itself.roll(1, 1), last, -like.new_full((), others).log())
    return torch.where(itself, -size.log(), rest)


def _mine(n: int, batch: int) -> slice:
    """Where the examples of this process are among those of all."""
    rank = torch.distributed.get_rank() if n > batch else 0
    return slice(rank * batch, (rank + 1) * batch)
