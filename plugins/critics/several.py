"""Several critics of one model."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, final

from annotated_types import MinLen
from torch import nn

from genmod import Critic, DataInfo, Doc, Draw, GivenModel, Loss, UsageError
from genmod.options import Text, parse_call, same_options, validate
from genmod.registry import current_registry

__all__ = ["SeveralCritics"]


@final
class SeveralCritics(Critic):
    """Critics that judge the same draws, each with parameters, an optimizer, steps and losses of its own.

    ``loss = objective + Σ_i what critic i adds``

    A critic is written ``name:option=value:option=value``, a value with colons of its own in brackets. Its losses are
    reported as ``name_loss``, of a second one of the same name as ``name_2_loss``; those of ``perceptual`` and ``lpips`` by
    that name alone. What such critics add, which learn nothing, is distortion for the adaptive weights of the others.

    Reference:
        Autoencoding beyond pixels using a learned similarity metric (Larsen et al., 2016), arXiv:1512.09300, for one of
        pictures; Adversarial Autoencoders (Makhzani et al., 2015), arXiv:1511.05644, for one of latents beside it; Taming
        Transformers for High-Resolution Image Synthesis (Esser et al., 2021), arXiv:2012.09841, for one of pictures beside a
        perceptual distance

    Raises:
        UsageError: a critic that is unknown, has wrong options, or does not fit the data; or one within another.

    Example:
        >>> import genmod
        >>> parts = {"name": "several", "critics": ["adversarial:loss=hinge", "tc:gamma=2"]}
        >>> sorted(genmod.build(encoder="mlp", critic=parts).groups())
        ['adversarial', 'model', 'tc']
    """

    migrate = staticmethod(same_options)

    def __init__(
        self,
        data: DataInfo,
        latent_shape: tuple[int, ...],
        *,
        critics: Annotated[
            Sequence[str], MinLen(1), Doc("critics with options, each as name:option=value")
        ] = ("adversarial", "tc"),
    ) -> None:
        super().__init__(data, latent_shape)
        self.critics = nn.ModuleDict()
        for text in critics:
            name, values, options = parse_call(text, ":")
            if values or name == "several":
                raise UsageError(
                    f"critic 'several' has the critic {text!r}, which is none with options by their names",
                    hint="write name:option=value, as in -s critic.critics=adversarial:loss=hinge,patch",
                )
            given = {option: Text(value) for option, value in options.items()}
            cls = current_registry().find("critic", name).load()
            key = name = name.replace("/", "-").replace(".", "-")
            count = 1
            while key in self.critics:
                count += 1
                key = f"{name}_{count}"
            made: Any = cls(
                data, latent_shape, **validate(cls, given, f"critic.critics.{name}", label=f"critic {name}")
            )
            made.group = key
            self.critics[key] = made

    def bind(self, model: GivenModel) -> None:
        for _, critic in self._each():
            critic.bind(model)

    def _each(self) -> Iterator[tuple[str, Critic]]:
        for key, critic in self.critics.items():
            assert isinstance(critic, Critic)
            yield key, critic

    def losses(self, draw: Draw) -> Mapping[str, Loss]:
        found: dict[str, Loss] = {}
        # Those that learn nothing first: the others are weighed against them too.
        for key, critic in sorted(self._each(), key=lambda each: _learns(each[1])):
            losses = critic.losses(draw)
            found |= {key if key == name else f"{key}_{name}": loss for name, loss in losses.items()}
            if not _learns(critic):
                added = [loss.weight * loss.values for loss in losses.values()]
                draw = replace(draw, distortion=sum(added, draw.distortion))
        return found


def _learns(critic: Critic) -> bool:
    return next(critic.parameters(), None) is not None
