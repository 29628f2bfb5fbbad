"""Latents of one model that another one draws: a model of its codes."""

from typing import Any, final

from torch import Tensor
from torch.distributions import Distribution

from genmod.distributions.codes import Codebook
from genmod.distributions.implicit import Implicit
from genmod.errors import UsageError
from genmod.interfaces.sampler import Sampler
from genmod.model.evaluating import evaluating
from genmod.model.latent_variable import LatentVariableModel
from genmod.system.tensors import fingerprint

__all__ = ["LatentsFrom"]


@final
class LatentsFrom(Sampler):
    """Draws latents of a model from another that was built for its codes, the data of ``genmod encode``.

    ``z = shift + scale · x``, ``x ~ ∫ p(x|u) p(u) du`` of the model of codes, or its integers as vectors of the codebook;
    ``batch_shape ()``, ``event_shape latent_shape``

    Attach it, and the model generates by it: ``model.attach_sampler(LatentsFrom(codes, model))``.

    Args:
        codes: the model of codes.
        model: whose codes these are.
        condition: what the model of codes is given, where it is conditional; by default all values in turn.

    Raises:
        UsageError: these are no codes of that model with the weights that it has.

    Example:
        >>> import genmod
        >>> model = genmod.build(encoder="mlp", latent=2)
        >>> info = genmod.DataInfo((2,), -1e9, 1e9, coded_by=fingerprint(model))
        >>> codes = genmod.assemble(genmod.compose("vae", components={"encoder": "mlp", "decoder": "gaussian"}), info)
        >>> model.attach_sampler(LatentsFrom(codes, model))
        >>> model.sample(3, seed=0).shape
        torch.Size([3, 1, 8, 8])
    """

    has_density = False

    def __init__(
        self, codes: LatentVariableModel, model: LatentVariableModel, condition: str | None = None
    ) -> None:
        super().__init__(model.latent_shape)
        by = codes.data.coded_by
        if not by:
            raise UsageError(
                f"the latents come from a model of data of shape {codes.data.shape} that are not known to be codes",
                hint="build it for codes: genmod encode MODEL --with scales -o codes/ && genmod build --data codes/ -o latents",
            )
        if by != fingerprint(model):
            raise UsageError(
                f"the latents come from a model of the codes of other weights, {by[:12]}, than the model has now",
                hint="encode the data again, and train that model anew: genmod encode MODEL --with scales -o codes/",
            )
        # In tuples, so that neither is a part of the sampler.
        self._codes, self._model, self.condition = (codes,), (model,), condition
        self.support = model.posterior.support or self.support

    def fit(self, codes: Tensor, *, seed: int = 0, on_step: Any = None) -> None:
        raise UsageError("a model of codes is trained by itself", hint="genmod train")

    def forward(self) -> Distribution:
        return Implicit(self.draw, self.latent_shape, self.support)

    def draw(self, n: int) -> Tensor:
        """``n`` latents, ``(n, *latent_shape)``."""
        (codes,), (model,) = self._codes, self._model
        with evaluating(codes):
            x = codes.sample(n, noise=True, condition=self.condition).cpu()
        if isinstance(model.posterior, Codebook):
            whole = (x * ((codes.data.levels or 2) - 1)).round().long()
            return model.posterior.embed(whole.reshape(n, *model.posterior.shape).to(model.device))
        return codes.data.original(x).to(model.device, model.dtype)
