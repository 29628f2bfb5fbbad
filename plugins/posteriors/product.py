"""Posterior of several independent parts, each of a kind of its own."""

from collections.abc import Sequence
from typing import Annotated, final

from annotated_types import MinLen
from torch import Tensor, nn

from genmod import Doc, Posterior
from genmod.options import same_options
from genmod.plugins.posteriors._side_by_side import Beside, Product, make_parts

__all__ = ["ProductPosterior"]


@final
class ProductPosterior(Posterior):
    """Independent parts side by side, such as continuous latents and classes, each another posterior.

    ``q(z|x) = Π_i q_i(z_i|x)``, ``z`` the parts one after the other

    ``features (B, *feature_shape) → batch_shape (B,), event_shape (n,)``. A part is written
    ``name:size:option=value``: ``normal:6`` are six latents, ``relaxed-categorical:20x10`` twenty variables of ten
    classes; the one part that may go without a size takes the latents that are left. The prior is ``product`` with
    the matching parts. ``kl`` is the sum of the KLs of the parts, where each of them is closed.

    Reference:
        Learning Disentangled Joint Continuous and Discrete Representations (Dupont, 2018), arXiv:1804.00104

    Raises:
        UsageError: the latents are no vector, or the parts do not add up to it or have no density.

    Example:
        >>> import torch
        >>> part = ProductPosterior((256,), (5,), parts=["normal", "relaxed-categorical:3:temperature=0.7"])
        >>> part(torch.zeros(2, 256)).sample()[:, 2:].sum(1).round()
        tensor([1., 1.])
    """

    migrate = staticmethod(same_options)

    def __init__(
        self,
        feature_shape: tuple[int, ...],
        latent_shape: tuple[int, ...],
        *,
        parts: Annotated[
            Sequence[str], MinLen(1), Doc("posteriors with sizes and options, each as name:size:option=value")
        ] = ("normal", "relaxed-categorical:3"),
    ) -> None:
        super().__init__(feature_shape, latent_shape)
        made = make_parts(
            "posterior", parts, latent_shape, lambda cls, shape, options: cls(feature_shape, shape, **options)
        )
        self.parts = nn.ModuleList(made)
        self.support = Beside([(part.support, part.latent_shape) for part in made])

    def forward(self, features: Tensor) -> Product:
        return Product([part(features) for part in self.parts])
