"""A distance of reconstructions from examples by features."""

from functools import partial
from typing import Annotated, Self, final

import torch
from torch import Tensor, nn

from genmod import Batch, DataInfo, Doc, Features, UndefinedError, UsageError
from genmod.evaluation import named_features
from genmod.plugins.critics._distance import ByLayers, Distance, Weight
from genmod.plugins.encoders._backbone import without_parameters
from genmod.system import seeded

__all__ = ["PerceptualCritic"]

_FITTED = 2000
_SMALLEST = 0.01


@final
class PerceptualCritic(Distance):
    """Adds the distance of reconstructions from examples, as features see them, to the model's loss; it learns nothing.

    ``perceptual = mean_l mean_p ‖Φ_lp(x)/‖Φ_lp(x)‖ - Φ_lp(x̃)/‖Φ_lp(x̃)‖‖²``, ``x̃ = E[x|z]``, ``z ~ q(z|x)``, ``Φ_lp``
    what layer l of the features puts out at place p, a vector over channels; between 0 and 4, without a unit.

    ``x (B, *data.shape), x̃ (K, B, *data.shape) → (B,)``. The model's loss has ``weight · D`` times that, D the number of
    values of an example: as much for each value as a likelihood counts. 0.01 is added to the norms. Features are any
    component of that kind: ``randconv`` needs no file, ``vgg`` one of weights, ``classifier`` and ``pca`` are fitted to
    training examples before the first step. Features that do not change with the training data are not saved with the
    model; of a file, its checksum is.

    Reference:
        The Unreasonable Effectiveness of Deep Features as a Perceptual Metric (Zhang et al., 2018), arXiv:1801.03924;
        Perceptual Losses for Real-Time Style Transfer and Super-Resolution (Johnson et al., 2016), arXiv:1603.08155

    Raises:
        UsageError: there are no such features, a file that they need was not given, or no gradient passes through them.
        UndefinedError: the data have no such features.
        FileError: a file is missing, damaged, or of another network.

    Example:
        >>> import genmod
        >>> model = genmod.build(encoder="mlp", latent=2, critic="perceptual")
        >>> sorted(model.terms(torch.zeros(3, 1, 8, 8)).values), sorted(model.groups())
        (['distortion', 'elbo', 'perceptual', 'rate'], ['model'])
    """

    name = "perceptual"

    def __init__(
        self,
        data: DataInfo,
        latent_shape: tuple[int, ...],
        *,
        features: Annotated[
            str, Doc("what examples are compared by, NAME or NAME:OPTION=VALUE,…")
        ] = "randconv",
        weight: Weight = 1.0,
    ) -> None:
        super().__init__(data, latent_shape, weight)
        # Brackets keep its options from those of a critic among several.
        self.features = features.removeprefix("[").removesuffix("]")
        cls, options = named_features(self.features)
        self._features = partial(cls, data, **options)
        self.fitted: nn.Module | None = None
        if cls.wants_fit:
            self.examples_wanted = _FITTED
            with seeded(0):
                self.fitted = without_parameters(self.make()).eval()
        else:
            self.begin()

    def make(self) -> nn.Module:
        return ByLayers(_Layers(self._features()), smallest=_SMALLEST)

    def begin(self) -> None:
        super().begin()
        if self._made:
            self._check(self._made[0])

    def prepare_batch(self, batch: Batch) -> None:
        assert self.fitted is not None
        x, device = self.data.values(batch.x, torch.float32), next(self.fitted.buffers()).device
        with seeded(0), torch.enable_grad():
            made = self._features().to(device)
            if made.wants_labels and batch.labels is None:
                raise UndefinedError(
                    f"features {self.features!r} are those of a classifier, and the data have no classes",
                    hint="use other features, such as pca",
                )
            made.fit(x, batch.labels, seed=0)
        self.fitted.load_state_dict(ByLayers(_Layers(made)).state_dict())
        self._check(self.fitted)

    def network(self, like: Tensor) -> nn.Module:
        return super().network(like) if self.fitted is None else self.fitted

    def train(self, mode: bool = True) -> Self:
        """The features stay in evaluation mode."""
        super().train(mode)
        if self.fitted is not None:
            self.fitted.eval()
        return self

    def _check(self, net: nn.Module) -> None:
        """Refuse features through which no gradient passes."""
        like = next(net.buffers(), torch.empty(0, device="cpu"))
        with torch.enable_grad(), seeded(0):
            x, y = torch.rand(2, 2, *self.data.shape, dtype=like.dtype, device=like.device)
            distance = net(x, y.requires_grad_()).sum()
            reached = distance.requires_grad and bool(torch.autograd.grad(distance, y)[0].any())
        if not reached:
            raise UsageError(
                f"critic 'perceptual' moves a model by the gradient of its features, and {self.features!r} have none",
                hint="use other features, such as randconv",
            )


class _Layers(nn.Module):
    """The layers of features, as a network."""

    def __init__(self, features: Features) -> None:
        super().__init__()
        self.features = features

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return dict(self.features.layers(x))
