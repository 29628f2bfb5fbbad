"""Prior of several independent parts, each of a kind of its own."""

from collections.abc import Sequence
from typing import Annotated, Any, final

from annotated_types import MinLen
from torch import Tensor, nn

from genmod import Doc, Prior, UsageError
from genmod.options import same_options
from genmod.plugins.posteriors._side_by_side import Beside, Product, make_parts

__all__ = ["ProductPrior"]


@final
class ProductPrior(Prior):
    """Independent parts side by side, each another prior.

    ``p(z) = Π_i p_i(z_i)``, ``z`` the parts one after the other, ``batch_shape ()``, ``event_shape (n,)``

    A part is written ``name:size:option=value``, as for posterior ``product``; the one part that may go without a
    size takes the latents that are left.

    Reference:
        Learning Disentangled Joint Continuous and Discrete Representations (Dupont, 2018), arXiv:1804.00104

    Raises:
        UsageError: the latents are no vector, or the parts do not add up to it, have no density, or depend on other
            parts of the model.

    Example:
        >>> ProductPrior((5,), parts=["normal", "relaxed-categorical:3"])().sample()[2:].sum().round()
        tensor(1.)
    """

    migrate = staticmethod(same_options)

    def __init__(
        self,
        latent_shape: tuple[int, ...],
        *,
        parts: Annotated[
            Sequence[str], MinLen(1), Doc("priors with sizes and options, each as name:size:option=value")
        ] = ("normal", "relaxed-categorical:3"),
    ) -> None:
        super().__init__(latent_shape)
        made = make_parts("prior", parts, latent_shape, _alone)
        self.parts = nn.ModuleList(made)
        self.support = Beside([(part.support, part.latent_shape) for part in made])

    def forward(self, context: Tensor | None = None) -> Product:
        return Product([part() for part in self.parts])


def _alone(cls: type[Prior], shape: tuple[int, ...], options: Any) -> Prior:
    if cls.bind is not Prior.bind or cls.wants_context:
        raise UsageError(
            f"{cls.__name__} is made for the latents of a whole model, and cannot be a part of prior 'product'",
            hint="name one that stands alone, such as normal or categorical",
        )
    return cls(shape, **options)
