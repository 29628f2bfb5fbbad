"""A critic of pictures."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Annotated, Literal, final

import torch
from annotated_types import Ge, Gt, MinLen
from torch import Tensor, nn

from genmod import DataInfo, Doc, Draw, Loss, Schedule, UsageError
from genmod.nn import default_channels, halvings, image_shape, norm_layer
from genmod.plugins.critics._adversary import (
    R1,
    Adversary,
    Betas,
    Every,
    Penalty,
    Rate,
    Spectral,
    Start,
)
from genmod.plugins.critics._rules import Rule
from genmod.system import batch_mean

__all__ = ["PatchCritic"]

_SMALL, _MOST = 1e-4, 1e4


@final
class PatchCritic(Adversary):
    """Tells reconstructions from the pictures themselves, each patch by itself; the model is to be taken for pictures.

    ``critic_loss = mean_p[max(0, 1 - D_p(x)) + max(0, 1 + D_p(x̃))]``, ``fooling_loss = -mean_p[D_p(x̃)]``,
    ``x̃ = E[x|z]``, ``z ~ q(z|x)``, p all patches, as the ``loss`` hinge has it; the others are as of critic
    ``adversarial``.

    ``x (B, *data.shape), x̃ (K, B, *data.shape) → (B,)`` each. D is made of convolutions that halve the picture, and one
    that scores what is left, place by place; with the ``layout`` pix2pix one that doubles the channels lies between, and
    scores of three stages see 70×70 pixels each. The model's loss has λ times ``fooling_loss``, with ``weight`` for λ, and
    ``feature_matching`` times ``feature_distortion = ½ ‖Φ(x) - Φ(x̃)‖²``, Φ the layer below the scores: the negative
    log-density of the features as a normal of variance 1, without its constant. With ``adaptive`` it is
    ``λ = weight · ‖∂distortion/∂parameters‖ / (‖∂fooling_loss/∂parameters‖ + 10⁻⁴)``, at most ``weight`` · 10⁴, where
    parameters are what the network puts out, and norms are roots of mean squares over the examples. Missing values
    are taken to be reconstructed exactly.

    Reference:
        Image-to-Image Translation with Conditional Adversarial Networks (Isola et al., 2017), arXiv:1611.07004;
        Autoencoding beyond pixels using a learned similarity metric (Larsen et al., 2016), arXiv:1512.09300, for the
        features;
        Taming Transformers for High-Resolution Image Synthesis (Esser et al., 2021), arXiv:2012.09841, for the
        adaptive weight

    Raises:
        UsageError: the data are no images of at least 8×8, or too small for so many stages or that layout.

    Example:
        >>> PatchCritic(DataInfo((1, 28, 28)), (2,)).score(torch.zeros(3, 1, 28, 28)).shape
        torch.Size([3, 49])
    """

    def __init__(
        self,
        data: DataInfo,
        latent_shape: tuple[int, ...],
        *,
        loss: Annotated[Rule, Doc("what critic and model minimise")] = "hinge",
        channels: Annotated[
            Annotated[Sequence[Annotated[int, Gt(0)]], MinLen(1)] | None,
            Doc("channels of each stage; by default 32, 64, 128, …, as many as encoder conv has"),
        ] = None,
        layout: Annotated[
            Literal["halving", "pix2pix"],
            Doc("layers after the halving ones: that of the scores, or one more before it, 4×4 both"),
        ] = "halving",
        norm: Annotated[
            Literal["none", "group"],
            Doc("group norm after each layer between the first and the last, or none"),
        ] = "none",
        weight: Annotated[
            Schedule | float, Ge(0), Doc("weight in the loss of the model, may change during training")
        ] = 1.0,
        adaptive: Annotated[
            bool, Doc("let the model's own loss and the critic's pull equally at what the network puts out")
        ] = True,
        feature_matching: Annotated[
            float, Ge(0), Doc("weight of the squared difference of the critic's features")
        ] = 0.0,
        gradient_penalty: Penalty = None,
        r1: R1 = 0.0,
        spectral_norm: Spectral = False,
        start: Start = 0,
        every: Every = 1,
        lr: Rate = 1.0,
        betas: Betas = (0.5, 0.999),
    ) -> None:
        super().__init__(
            data,
            latent_shape,
            loss=loss,
            gradient_penalty=gradient_penalty,
            r1=r1,
            weight=weight,
            start=start,
            every=every,
            lr=lr,
            betas=betas,
        )
        self.adaptive, self.feature_matching = adaptive, feature_matching
        self.image = image_shape(data.shape, "critic patch")
        widths = tuple(channels) if channels is not None else default_channels(*self.image[1:])
        left = halvings(*self.image[1:], len(widths))[-1]
        strides, kernel = [2] * len(widths), 3
        if layout == "pix2pix":
            if min(left) < 3:
                raise UsageError(
                    f"{len(widths)} stages leave {left[0]}×{left[1]} places of the picture, and the layout pix2pix needs 3×3",
                    hint="give fewer channels, or choose the other layout, halving",
                )
            widths, strides, kernel = (*widths, 2 * widths[-1]), [*strides, 1], 4
        stages: list[nn.Module] = []
        for i, (a, b) in enumerate(pairwise((self.image[0], *widths))):
            stages += [nn.Conv2d(a, b, 4, stride=strides[i], padding=1)]
            stages += [norm_layer(norm, b)] if norm != "none" and i else []
            stages += [nn.LeakyReLU(0.2)]
        self.stages, self.last = nn.Sequential(*stages), nn.Conv2d(widths[-1], 1, kernel, padding=1)
        self.finish(self, spectral_norm)

    def features(self, pictures: Tensor) -> Tensor:
        """The layer below the scores, ``(N, *data.shape) → (N, channels, height, width)``."""
        return self.stages(pictures.reshape(-1, *self.image))  # type: ignore[no-any-return]

    def score(self, points: Tensor) -> Tensor:
        return self.last(self.features(points)).flatten(1)  # type: ignore[no-any-return]

    def losses(self, draw: Draw) -> Mapping[str, Loss]:
        mean = draw.likelihood.mean
        made = mean.reshape(-1, *self.data.shape)
        real = draw.x.expand(len(made) // len(draw.x), *draw.x.shape).reshape(made.shape)
        if self.data.missing:
            real = torch.where(real.isnan(), made.detach(), real)
        features = self.features(torch.cat([real, made]))
        of_real, of_made = self.last(features).flatten(1).chunk(2)
        found = self.judged(real, made, of_real, of_made, len(draw.x))
        if self.adaptive and draw.parameters.requires_grad:
            fooling = found["fooling_loss"]
            factor = adaptive_factor(draw.distortion, fooling.values, draw.parameters)
            found["fooling_loss"] = Loss(fooling.values, weight=fooling.weight * factor)
        if self.feature_matching > 0:
            seen, remade = features.flatten(1).chunk(2)
            squares = (seen - remade).square().sum(1).view(-1, len(draw.x)).mean(0)
            weight = self.feature_matching * (self.steps >= self.start)
            found["feature_distortion"] = Loss(0.5 * squares, weight=weight)
        return found


def adaptive_factor(distortion: Tensor, fooling: Tensor, parameters: Tensor) -> Tensor:
    """``‖∂distortion/∂parameters‖ / (‖∂fooling/∂parameters‖ + 10⁻⁴)``, at most 10⁴, ``()``, without a gradient.

    Norms are roots of mean squares over the examples of all processes, which do not depend on how many these are.

    Args:
        distortion: of each example, ``(B,)``.
        fooling: likewise.
        parameters: what both are computed from.

    Example:
        >>> at = torch.tensor([[3.0], [4.0]], requires_grad=True)
        >>> float(adaptive_factor(4 * at.sum(1), 2 * at.sum(1), at)) < 2
        True
    """
    norms = []
    for values in (distortion, fooling):
        (gradient,) = torch.autograd.grad(values.sum(), parameters, retain_graph=True)
        norms.append(batch_mean(gradient.square().sum()[None] / len(values)).sqrt())
    return (norms[0] / (norms[1] + _SMALL)).clamp(max=_MOST)
