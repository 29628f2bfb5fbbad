"""Prior of groups of maps, from coarse to fine, on a path of residual blocks."""

import math
from typing import Annotated, final

import torch
from annotated_types import Ge, Gt
from torch import Tensor, nn
from torch.distributions import constraints
from torch.nn.functional import interpolate

from genmod import Activation, Doc, Prior, UndefinedError, UsageError, bounded_log_scale
from genmod.distributions import kept_beside
from genmod.nn import Maps
from genmod.plugins.posteriors._top_down import Bottleneck, Choose, TopDown

__all__ = ["TopDownPrior"]


@final
class TopDownPrior(Prior):
    """Groups of normals on maps, the coarsest first, on a path of residual blocks from coarse to fine.

    ``p(z) = Π_g N(z_g; loc_g(h_g), scale_g(h_g)²)``, ``h_g+1 = r_g(h_g + f_g(h_g) + W_g z_g)``, enlarged where the next group
    is finer; ``batch_shape ()``, ``event_shape (n,)``

    The groups are those of posterior ``top-down``, which shares the path; other latents are one group. The network below the
    decoder is given the features that the path ends with, ``feature_shape``; ``conv-up`` makes an image of these. It starts
    as the standard normal. In a conditional model the condition is added to the features at each resolution, and there is
    one distribution for each, ``batch_shape (B,)``.

    Reference:
        Very Deep VAEs Generalize Autoregressive Models and Can Outperform Them on Images (Child, 2021), arXiv:2011.10650

    Raises:
        UsageError: the latents are no vector.

    Example:
        >>> prior = TopDownPrior(Maps.of([(3, 2, 2), (3, 4, 4)]), 0, width=8)
        >>> prior().sample((5,)).shape, prior.features(torch.zeros(5, 60)).shape
        (torch.Size([5, 60]), torch.Size([5, 8, 4, 4]))
    """

    wants_context = True
    zeros: Tensor

    def __init__(
        self,
        latent_shape: tuple[int, ...],
        context_size: int,
        *,
        width: Annotated[int, Gt(0), Doc("channels of the path")] = 64,
        blocks: Annotated[int, Ge(0), Doc("residual blocks after each group")] = 1,
        activation: Annotated[Activation, Doc("function before each convolution")] = "silu",
        checkpointed: Annotated[
            bool, Doc("compute activations again on the way back, to save memory")
        ] = False,
    ) -> None:
        super().__init__(latent_shape)
        if len(latent_shape) != 1:
            raise UsageError(
                f"prior 'top-down' has groups in a vector, and the latents have shape {latent_shape}",
                hint="choose --posterior top-down, whose groups it takes over",
            )
        self.support = constraints.real_vector
        self.maps, self.width, self.context_size = Maps.in_shape(latent_shape), width, context_size
        self.group_sizes = tuple(map(math.prod, self.maps.parts))
        sizes = [part[1:] for part in self.maps.parts]
        self.values_of_a_row = width * max(map(math.prod, sizes))
        gain = 1 / math.sqrt(len(sizes) * max(blocks, 1))

        def block(outputs: int, size: list[int], gain: float, added: bool) -> Bottleneck:
            return Bottleneck(
                width, outputs, size, activation, gain=gain, added=added, checkpointed=checkpointed
            )

        # At the first group of each resolution.
        self.starts = nn.ParameterDict()
        self.given = nn.ModuleDict()
        heads: list[nn.Module] = []
        values: list[nn.Module] = []
        after: list[nn.Module] = []
        for i, (channels, *size) in enumerate(self.maps.parts):
            if not i or size != list(sizes[i - 1]):
                self.starts[str(i)] = nn.Parameter(torch.zeros(width, *size))
                if context_size:
                    self.given[str(i)] = nn.Linear(context_size, width)
            heads.append(block(2 * channels + width, size, 0.0, False))
            values.append(nn.Conv2d(channels, width, 1))
            after.append(nn.Sequential(*(block(width, size, gain, True) for _ in range(blocks))))
        self.heads, self.values, self.after = (nn.ModuleList(each) for each in (heads, values, after))
        self.register_buffer("zeros", torch.zeros(1, self.maps[0]), persistent=False)

    @property
    def feature_shape(self) -> tuple[int, ...]:
        return (self.width, *self.maps.parts[-1][1:])

    def forward(self, context: Tensor | None = None) -> TopDown:
        if context is None and self.context_size:
            raise UndefinedError(
                "prior 'top-down' of a conditional model has no distribution until it is given a condition"
            )
        given = context if self.context_size else None
        # Whatever moves the weights writes to them.
        versions = 0 if torch.compiler.is_compiling() else sum(p._version for p in self.parameters())
        return TopDown(self, self.zeros, context=given, key=(self, versions))

    def features(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        p = self(context)
        known = kept_beside(z, p)
        if known is not None:
            return known
        values = z.flatten(1).split([math.prod(part) for part in self.maps.parts], 1)
        return self.descend(p.context, lambda i, *_: values[i], z)

    def descend(self, context: Tensor | None, choose: Choose, like: Tensor) -> Tensor:
        """The path: contexts ``(N, size)`` and choices to features ``(N, *feature_shape)``; ``like`` has N rows."""
        h = like.new_zeros(like.shape[0], self.width, 1, 1)
        for i, (channels, *size) in enumerate(self.maps.parts):
            if str(i) in self.starts:
                h = interpolate(h, size=size) + self.starts[str(i)]
                if context is not None:
                    h = h + self.given[str(i)](context)[:, :, None, None]
            loc, log_scale, more = self.heads[i](h).split([channels, channels, self.width], 1)
            z = choose(i, loc.flatten(1), bounded_log_scale(log_scale.flatten(1)), h)
            h = self.after[i](h + more + self.values[i](z.unflatten(1, (channels, *size))))
        return h
