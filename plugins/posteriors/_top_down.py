"""A chain of normals over maps of several resolutions, drawn on one path from coarse to fine."""

import math
from collections.abc import Callable, Sequence
from typing import Any, Protocol, final

import torch
from torch import Tensor, nn
from torch.nn.functional import linear
from torch.utils.checkpoint import checkpoint

from genmod import Activation
from genmod.distributions import beside
from genmod.nn import Maps, activation
from genmod.plugins.posteriors._hierarchy import Levels, Value, Walked

__all__ = ["Bottleneck", "Choose", "Estimate", "Path", "TopDown"]

Choose = Callable[[int, Tensor, Tensor, Tensor], Tensor]
"""Number of a group, mean and log-scale of its prior ``(N, n_g)``, features before it ``(N, C, H, W)`` → its values."""

Estimate = Callable[[int, Tensor, Tensor, Tensor, Tensor | None], tuple[Tensor, Tensor]]
"""The same, and which example each row is of, ``(N,)``, None where it is the same → mean and log-scale of q, ``(N, n_g)``."""

_VALUES = 2**23
"""Values of the largest map that are worked on at a time where no gradient is wanted: 32 MiB."""


class Path(Protocol):
    """What goes down from coarse to fine, and chooses the values of each group on its way."""

    maps: Maps
    """Shapes of the groups."""

    values_of_a_row: int
    """Values of the largest map of one example."""

    def descend(self, context: Tensor | None, choose: Choose, like: Tensor) -> Tensor:
        """From contexts ``(N, size)`` and choices to features ``(N, C, H, W)`` after the last group; ``like`` has N rows."""


@final
class TopDown(Levels):
    """Normals whose means and scales come from a path of residual blocks that the groups above have been added to.

    ``p(z) = Π_g N(z_g; loc_g(h_g), scale_g(h_g)²)``, ``h_g+1 = f_g(h_g, z_g)``; a posterior estimates means and scales from
    ``h_g``, those of the prior, and the features of an example.

    A draw of a posterior keeps means and scales of the prior too, and the features that the path ends with: prior, KL and
    decoder cost no second way down. Where no gradient is wanted, a part of the draws goes down at a time.

    Args:
        path: of the prior.
        like: whose device and type draws have.
        context: what the path is given of each example, ``(B, size)``.
        key: what the path depends on; two hierarchies of equal keys are the same one.
        examples: how many, of a posterior.
        estimate: makes means and log-scales of a posterior; a prior has none.

    Reference:
        Very Deep VAEs Generalize Autoregressive Models and Can Outperform Them on Images (Child, 2021), arXiv:2011.10650
    """

    def __init__(
        self,
        path: Path,
        like: Tensor,
        *,
        context: Tensor | None = None,
        key: object = None,
        examples: int | None = None,
        estimate: Estimate | None = None,
    ) -> None:
        self.path, self._like, self.context, self.key, self.estimate = path, like, context, key, estimate
        batch = (
            context.shape[:-1] if context is not None else torch.Size([] if examples is None else [examples])
        )
        super().__init__(batch, list(map(math.prod, path.maps.parts)))

    @property
    def _known(self) -> object:
        """What tells it from others: of a prior what its path depends on, of a posterior itself alone."""
        return id(self) if self.estimate is not None or self.key is None else (self.key, id(self.context))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TopDown) and self._known == other._known

    def __hash__(self) -> int:
        return hash(self._known)

    @property
    def like(self) -> Tensor:
        return self._like

    def expand(self, batch_shape: Any, _instance: object = None) -> "TopDown":
        # What is different for each example belongs to it; only a prior of all examples is that of any number.
        if len(batch_shape) != 1 or self.batch_shape or self.estimate is not None:
            raise NotImplementedError
        context = None if self.context is None else self.context.expand(*batch_shape, -1)
        return TopDown(self.path, self._like, context=context, key=self.key, examples=batch_shape[0])

    def walk(self, given: Sequence[Tensor], value: Value) -> Walked:
        shape = given[0].shape[:-1]
        flat = [each.reshape(-1, each.shape[-1]) for each in given]
        # Which example each row is of, where they are not those of the batch.
        rows = None
        if self.batch_shape and len(shape) > 1:
            rows = torch.arange(self.batch_shape[0], device=self._like.device).expand(shape).reshape(-1)
        if torch.is_grad_enabled() or torch.compiler.is_compiling():
            end: Tensor | None
            whole, end = self._down(flat, rows, value)
        else:
            every = max(1, _VALUES // self.path.values_of_a_row)
            if rows is None and self.batch_shape:
                rows = torch.arange(len(flat[0]), device=self._like.device)
            parts = [None] * -(-len(flat[0]) // every) if rows is None else rows.split(every)
            pieces = zip(*(each.split(every) for each in flat), strict=True)
            made = [self._down(*each, value) for each in zip(pieces, parts, strict=True)]
            whole = [torch.cat(each) for each in zip(*(found for found, _ in made), strict=True)]
            end = made[0][1] if len(made) == 1 else None
        z, loc, log_scale, of_p, scale_of_p = (each.reshape(*shape, each.shape[-1]) for each in whole)
        more: dict[Any, Tensor] = {}
        if self.key is not None:
            p = TopDown(self.path, self._like, context=self.context, key=self.key)
            more = {(p, "loc"): of_p, (p, "log_scale"): scale_of_p}
            if end is not None:
                more[beside(p)] = end
        return z, loc, log_scale, more

    def _down(self, own: Sequence[Tensor], rows: Tensor | None, value: Value) -> tuple[list[Tensor], Tensor]:
        """Some rows: values, means, log-scales, and those of the prior; and the features at the end."""
        found: list[tuple[Tensor, ...]] = []
        context = self.context
        if context is not None:
            context = context.expand(own[0].shape[0], -1) if rows is None else context[rows]

        def choose(i: int, loc: Tensor, log_scale: Tensor, h: Tensor) -> Tensor:
            estimate = (loc, log_scale)
            if self.estimate is not None:
                estimate = self.estimate(i, loc, log_scale, h, rows)
            z = value(i, own[i], *estimate)
            found.append((z, *estimate, loc, log_scale))
            return z

        end = self.path.descend(context, choose, own[0])
        return [torch.cat(each, 1) for each in zip(*found, strict=True)], end


@final
class _Convolution(nn.Conv2d):
    """A convolution, which on maps of one pixel is a linear layer and as fast as one."""

    def forward(self, maps: Tensor) -> Tensor:
        if self.kernel_size != (1, 1) or maps.shape[2:] != (1, 1):
            return super().forward(maps)
        return linear(maps.flatten(1), self.weight.flatten(1), self.bias)[:, :, None, None]


class Bottleneck(nn.Module):
    """Function and convolution four times, with fewer channels between.

    ``maps (N, inputs, H, W) → (N, outputs, H, W)``; kernels of 3 where there are as many places, else of 1.

    Args:
        inputs: channels that come in.
        outputs: channels that go out.
        size: height and width.
        name: of the function.
        inner: channels between, a quarter of those that come in by default.
        gain: factor of the initial weights of the last convolution, whose biases start at zero.
        added: to what is given.
        checkpointed: compute activations again on the way back, to save memory.

    Reference:
        Very Deep VAEs Generalize Autoregressive Models and Can Outperform Them on Images (Child, 2021), arXiv:2011.10650,
        figure 3

    Example:
        >>> Bottleneck(8, 4, (5, 3), "gelu")(torch.zeros(2, 8, 5, 3)).shape
        torch.Size([2, 4, 5, 3])
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        size: Sequence[int],
        name: Activation,
        *,
        inner: int | None = None,
        gain: float = 1.0,
        added: bool = False,
        checkpointed: bool = False,
    ) -> None:
        super().__init__()
        self.added, self.checkpointed = added, checkpointed
        inner, wide = inner or max(inputs // 4, 1), 3 if min(size) >= 3 else 1
        widths, layers = (inputs, inner, inner, inner, outputs), []
        for i, kernel in enumerate((1, wide, wide, 1)):
            last = _Convolution(widths[i], widths[i + 1], kernel, padding=kernel // 2)
            # By the usual initial weights four layers would let hardly anything through.
            nn.init.kaiming_normal_(last.weight, nonlinearity="relu")
            nn.init.zeros_(last.bias)  # type: ignore[arg-type]
            layers += [activation(name), last]
        with torch.no_grad():
            last.weight.mul_(gain)
        self.layers = nn.Sequential(*layers)

    def forward(self, maps: Tensor) -> Tensor:
        # Few channels side by side take half the time of few pixels.
        maps = maps.contiguous(memory_format=torch.channels_last)
        # Without values nothing is kept, and torch cannot import what computes it again.
        again = self.checkpointed and torch.is_grad_enabled() and not maps.is_meta
        made: Tensor = (
            checkpoint(self.layers, maps, use_reentrant=False, preserve_rng_state=False)
            if again
            else self.layers(maps)
        )
        return maps + made if self.added else made
