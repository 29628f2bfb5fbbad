"""What the panels of the figure of the latents share."""

import math
from dataclasses import dataclass, field
from functools import cached_property

from torch import Tensor

from genmod.data.dataset import Batch, Split
from genmod.distributions.support import Space
from genmod.errors import UndefinedError
from genmod.figures.draw import Groups
from genmod.figures.gaps import Gap, emptiest_path
from genmod.figures.names import drawable
from genmod.figures.plane import Plane, Projection, on_plane
from genmod.figures.views import choose_examples, cycled, encode_centres, prior_draws, rows_of
from genmod.model.latent_variable import LatentVariableModel
from genmod.model.pieces import held

__all__ = ["Scene", "encoded_and_compared", "told"]

_STEPS = 12
_PRIOR_DRAWS = 2000
_COMPARED = 5000


def encoded_and_compared(
    model: LatentVariableModel, split: Split, reference: Split | None, number: int, *, seed: int
) -> tuple[Batch, Batch]:
    """Examples to encode, and others to compare decodings with.

    Args:
        model: any model.
        split: suited to it.
        reference: where the others are from; by default those of the split that are not encoded, or its second half.
        number: of examples to encode, at most.
        seed: of the choice.
    """
    most = held(_COMPARED, model.data)
    encoded = len(split) if reference is not None else max(len(split) // 2, len(split) - most)
    encoded = min(held(number, model.data), encoded)
    if reference is not None:
        return choose_examples(split, encoded, seed=seed), choose_examples(
            model.suited(reference), most, seed=seed
        )
    both = choose_examples(split, encoded + most, seed=seed)
    return both[slice(0, encoded)], both[slice(encoded, None)]


def told(model: LatentVariableModel, context: Tensor | None) -> str:
    """The conditions in the first row of a context, to stand in a figure: ``, label=7``; nothing where there are none."""
    conditions = model.conditions_in(context)
    if model.conditions is None or conditions is None:
        return ""
    return f", {drawable(model.conditions.text_of(conditions[0]))}"


@dataclass
class Scene:
    """What the panels share: the model, codes of examples, and the plane they are drawn on."""

    model: LatentVariableModel
    seen: Tensor
    context: Tensor | None
    reference: Tensor
    groups: Groups
    projection: Projection
    seed: int
    batch: Batch | None = None
    arrays: dict[str, Tensor] = field(default_factory=dict)
    gap: Gap | None = None

    @cached_property
    def space(self) -> Space:
        return self.model.space

    @cached_property
    def size(self) -> int:
        return math.prod(self.model.latent_shape)

    @cached_property
    def codes(self) -> Tensor:
        return encode_centres(self.model, self.seen, context=self.context, seed=self.seed)

    @cached_property
    def prior(self) -> Tensor | None:
        """Draws from the prior, where there is one, given the contexts of the examples."""
        try:
            given = cycled(self.context, _PRIOR_DRAWS)
            return prior_draws(self.model, _PRIOR_DRAWS, context=given, seed=self.seed)
        except UndefinedError:
            return None

    @cached_property
    def path(self) -> Tensor | None:
        """The emptiest line between two codes; None where it leaves the latent space."""
        way = emptiest_path(self.model, self.codes, steps=_STEPS, seed=self.seed)
        return way if self.space.contains(way).all() else None

    @cached_property
    def plane(self) -> Plane:
        """Codes, then draws from the prior, then the path; of these none where there are none, or on a map by t-SNE."""
        nothing = self.codes[:0]
        sets = [self.codes, *(nothing if s is None else s for s in (self.prior, self.path))]
        return on_plane(sets, space=self.space.kind, projection=self.projection, seed=self.seed)

    @property
    def given(self) -> Tensor | None:
        """The context of the first example, ``(1, size)``."""
        return rows_of(self.context, slice(1))

    @property
    def told(self) -> str:
        """``, label=7`` or the like, for a note of what is decoded with :attr:`given`; nothing of other models."""
        return told(self.model, self.given)
