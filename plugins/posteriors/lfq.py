"""Posterior that keeps the signs of numbers."""

from collections.abc import Mapping
from typing import Annotated, final

import torch
from annotated_types import Ge, Gt
from torch import Tensor

from genmod import Doc, Draw, Loss, UsageError
from genmod.distributions import Coded
from genmod.plugins.posteriors._quantised import QuantisedPosterior
from genmod.system import batch_mean

__all__ = ["LFQPosterior"]

_MOST = 24


@final
class LFQPosterior(QuantisedPosterior):
    """The sign of each number: a codebook of all corners of a cube, without looking anything up.

    ``z_i = sign(v_i(x))``

    ``features (B, *feature_shape) → batch_shape (B,), event_shape latent_shape``, laid out as by posterior ``vq``; vectors of
    length D have ``2^D`` codes. Beside the commitment ``‖v - z‖²``, an entropy loss makes each choice sure and all choices
    alike often: ``mean_b[Σ_i H(s_bi)] - Σ_i H(mean_b[s_bi])``, ``s = sigmoid(4 v / temperature)`` the probability of a plus,
    nats for each place. Bits are taken to be independent there, for which the entropy of ``2^D`` codes is a sum over D.

    Reference:
        Language Model Beats Diffusion: Tokenizer is Key to Visual Generation (Yu et al., 2023), arXiv:2310.05737

    Raises:
        UsageError: vectors of more than 24 numbers.

    Example:
        >>> posterior = LFQPosterior((256,), (4, 6))
        >>> posterior(torch.zeros(2, 256)).codes.shape, posterior.classes
        (torch.Size([2, 4]), 64)
    """

    def __init__(
        self,
        feature_shape: tuple[int, ...],
        latent_shape: tuple[int, ...],
        *,
        commitment: Annotated[float, Ge(0), Doc("weight of what holds the encoder to its codes")] = 0.25,
        entropy: Annotated[float, Ge(0), Doc("weight of the entropy loss")] = 0.1,
        temperature: Annotated[float, Gt(0), Doc("how soft choices are in the entropy loss")] = 1.0,
    ) -> None:
        super().__init__(feature_shape, latent_shape, commitment=commitment)
        if self.places.length > _MOST:
            raise UsageError(
                f"posterior 'lfq' has 2^{self.places.length} codes for vectors of that length; at most 2^{_MOST} are allowed",
                hint="more places of shorter vectors: --latent 16x8",
            )
        self.entropy, self.temperature = entropy, temperature
        # Not a power of a tensor: without memory that imports the compiler of torch.
        powers = torch.tensor([1 << place for place in range(self.places.length)])
        self.register_buffer("powers", powers, persistent=False)

    powers: Tensor

    @property
    def classes(self) -> int:
        return 1 << self.places.length

    def nearest(self, vectors: Tensor) -> Tensor:
        return ((vectors > 0) * self.powers).sum(-1)

    def vectors(self, codes: Tensor) -> Tensor:
        bits = codes[:, None] // self.powers % 2
        return (2 * bits - 1).to(torch.get_default_dtype())

    def losses(self, draw: Draw) -> Mapping[str, Loss]:
        found = dict(super().losses(draw))
        if self.entropy > 0 and isinstance(draw.q, Coded):
            logits = 4 * self.places.split(draw.q.encoded) / self.temperature
            own = _entropy(logits.sigmoid()).sum((1, 2))
            together = _entropy(batch_mean(logits.sigmoid())).sum()
            found["entropy"] = Loss(own - together, weight=self.entropy)
        return found


def _entropy(p: Tensor) -> Tensor:
    """Of bits that are 1 with probability ``p``, nats, any shape."""
    tiny = torch.finfo(p.dtype).eps
    p = p.clamp(tiny, 1 - tiny)
    return -(p * p.log() + (1 - p) * (-p).log1p())
