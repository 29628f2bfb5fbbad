"""Independent latents of several kinds side by side in one vector: support, distribution, and how they are named."""

import math
import re
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, final

import torch
from torch import Tensor
from torch.distributions import Distribution, kl_divergence, register_kl
from torch.distributions.constraints import Constraint

from genmod import UsageError
from genmod.distributions import register_kl_by_part
from genmod.options import Text, parse_call, validate
from genmod.registry import current_registry

__all__ = ["Beside", "Product", "make_parts"]

_SIZE = re.compile("0*[1-9][0-9]*(x0*[1-9][0-9]*)*")


@final
class Beside(Constraint):
    """Vectors whose pieces, each given a shape, lie in supports of their own.

    Args:
        parts: support and shape of each piece.

    Example:
        >>> from torch.distributions import constraints
        >>> support = Beside([(constraints.simplex, (2,)), (constraints.real_vector, (1,))])
        >>> support.check(torch.tensor([[0.4, 0.6, -3.0], [0.4, 0.7, -3.0]]))
        tensor([ True, False])
    """

    event_dim = 1

    def __init__(self, parts: Sequence[tuple[Constraint, tuple[int, ...]]]) -> None:
        self.shapes = tuple(shape for _, shape in parts)
        self.is_discrete = any(support.is_discrete for support, _ in parts)
        self.supports = tuple(support for support, _ in parts)

    def check(self, value: Tensor) -> Tensor:
        inside = torch.ones(value.shape[:-1], dtype=torch.bool, device=value.device)
        if value.shape[-1] != sum(map(math.prod, self.shapes)):
            return ~inside
        for support, piece in zip(self.supports, _split(value, self.shapes), strict=True):
            inside = inside & support.check(piece)
        return inside

    def __repr__(self) -> str:
        return f"Beside({', '.join(f'{s} of shape {n}' for s, n in zip(self.supports, self.shapes, strict=True))})"


@final
class Product(Distribution):
    """Independent distributions, their values flattened and put one after the other.

    ``log p(z) = Σ_i log p_i(z_i)``

    Args:
        parts: all of one batch shape.

    Example:
        >>> from genmod import diagonal_normal
        >>> parts = [diagonal_normal(torch.zeros(3, n), torch.zeros(3, n), 1) for n in (2, 4)]
        >>> Product(parts).sample((5,)).shape
        torch.Size([5, 3, 6])
    """

    arg_constraints: ClassVar[dict[str, Any]] = {}

    def __init__(self, parts: Sequence[Distribution]) -> None:
        self.parts = list(parts)
        self.shapes = [tuple(part.event_shape) for part in parts]
        event = torch.Size([sum(map(math.prod, self.shapes))])
        super().__init__(parts[0].batch_shape, event, validate_args=False)

    @property
    def has_rsample(self) -> bool:  # type: ignore[override]
        return all(part.has_rsample for part in self.parts)

    @property
    def support(self) -> Beside:
        supports = [part.support for part in self.parts]
        return Beside(list(zip(supports, self.shapes, strict=True)))  # type: ignore[arg-type]

    def expand(self, batch_shape: Any, _instance: object = None) -> "Product":
        return Product([part.expand(torch.Size(batch_shape)) for part in self.parts])

    @property
    def mean(self) -> Tensor:
        return self._beside([part.mean for part in self.parts])

    @property
    def variance(self) -> Tensor:
        return self._beside([part.variance for part in self.parts])

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        return self._beside([part.rsample(torch.Size(sample_shape)) for part in self.parts])

    @torch.no_grad()
    def sample(self, sample_shape: Any = ()) -> Tensor:
        return self._beside([part.sample(torch.Size(sample_shape)) for part in self.parts])

    def log_prob(self, value: Tensor) -> Tensor:
        pieces = _split(value, self.shapes)
        densities = [part.log_prob(piece) for part, piece in zip(self.parts, pieces, strict=True)]
        return torch.stack(densities).sum(0)

    def entropy(self) -> Tensor:
        return torch.stack([part.entropy() for part in self.parts]).sum(0)

    def _beside(self, values: Sequence[Tensor]) -> Tensor:
        flat = [
            v.flatten(v.dim() - len(s)) if s else v[..., None]
            for v, s in zip(values, self.shapes, strict=True)
        ]
        return torch.cat(flat, -1)


def _split(value: Tensor, shapes: Sequence[tuple[int, ...]]) -> list[Tensor]:
    # Not split, which is written in Python, and which torch.compile cannot call on a draw that keeps more than its values.
    pieces = value.split_with_sizes([math.prod(shape) for shape in shapes], -1)
    return [piece.reshape(*value.shape[:-1], *shape) for piece, shape in zip(pieces, shapes, strict=True)]


@register_kl(Product, Product)
def _kl(q: Product, p: Product) -> Tensor:
    """The sum of those of the parts, where all of them are known."""
    if q.shapes != p.shapes:
        raise NotImplementedError
    return torch.stack([kl_divergence(a, b) for a, b in zip(q.parts, p.parts, strict=True)]).sum(0)


@register_kl_by_part(Product, Product)
def _parts(q: Product, p: Product, z: Tensor) -> list[tuple[Distribution, Distribution, Tensor]]:
    return (
        list(zip(q.parts, p.parts, _split(z, q.shapes), strict=True)) if q.shapes == p.shapes else [(q, p, z)]
    )


def make_parts(
    kind: str, texts: Sequence[str], latent_shape: tuple[int, ...], make: Callable[..., Any]
) -> list[Any]:
    """The parts that ``name:size:option=value`` name, which together fill a vector of latents.

    Args:
        kind: posterior or prior.
        texts: one for each part; one of them may go without a size.
        latent_shape: of the whole.
        make: ``(class, shape, options)`` → the part.

    Raises:
        UsageError: the latents are no vector, the sizes do not add up, or a part is unknown or has no density.
    """
    named = [_parsed(kind, text) for text in texts]
    open_ = [name for name, shape, _ in named if shape is None]
    taken = sum(math.prod(shape) for _, shape, _ in named if shape)
    left = (latent_shape[0] if len(latent_shape) == 1 else 0) - taken
    fits = left >= 1 if open_ else left == 0
    if len(latent_shape) != 1 or len(open_) > 1 or not fits:
        raise UsageError(
            f"{kind} 'product' has parts {', '.join(texts)}, which do not fill latents of shape {latent_shape}",
            hint=f"give all sizes but one, and as many latents as there are in all: --latent {taken + (8 if open_ else 0)}",
        )
    found = []
    for name, shape, options in named:
        cls = current_registry().find(kind, name).load()
        part = make(
            cls, shape or (left,), validate(cls, options, f"{kind}.parts.{name}", label=f"{kind} {name}")
        )
        if not part.has_density or part.support is None:
            raise UsageError(
                f"{kind} {name!r} has no density of its own, and cannot be a part of {kind} 'product'",
                hint="name one that has, such as normal",
            )
        if getattr(part, "wants_joint", False) or getattr(part, "wants_prior", False):
            raise UsageError(
                f"posterior {name!r} follows the density of all latents together, and cannot be a part of "
                "posterior 'product'",
                hint="name another, such as normal",
            )
        found.append(part)
    return found


def _parsed(kind: str, text: str) -> tuple[str, tuple[int, ...] | None, dict[str, Text]]:
    """``normal:2x3:scale=1`` → name, shape and options."""
    name, sizes, options = parse_call(text, ":")
    if sizes and not (len(sizes) == 1 and _SIZE.fullmatch(sizes[0])):
        raise UsageError(
            f"part {text!r} of {kind} 'product' is not NAME:SIZE:OPTION=VALUE:…",
            hint=f"write the size after the name, as in {name}:8 or {name}:4x3, and each option with its value",
        )
    shape = tuple(map(int, sizes[0].split("x"))) if sizes else None
    return name, shape, {option: Text(value) for option, value in options.items()}
