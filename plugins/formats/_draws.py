"""Random draws that are taken from given numbers, so that a program without random numbers draws as a model does."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from genmod import UsageError

__all__ = ["Draw", "Kind", "Replaced", "Watched", "planned"]

Kind = Literal["noise", "uniform"]
"""Standard normal numbers, or numbers from 0 to 1, of which 1 is none."""

_HINT = "export another part, such as --part encode, --part decode"

Take = Callable[[Kind, Sequence[Any], torch.dtype], Tensor]


@dataclass(frozen=True)
class Draw:
    """One draw of a computation, as it depends on the size of the batch.

    Args:
        kind: of the numbers.
        each: how many each example takes.
        axis: the dimension of the draw that runs over the examples; None where it does so beside others.
    """

    kind: Kind
    each: int
    axis: int | None


class Replaced(TorchFunctionMode):
    """Context in which functions of torch are replaced by others: those that draw, and those that a format lacks.

    Args:
        take: gives the numbers of a draw, from its kind, shape and type.
        others: function → what is called in its place.
    """

    def __init__(self, take: Take, others: Mapping[Any, Callable[..., Any]] | None = None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._take, self._others = take, others or {}

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in self._others:
            return self._others[func](*args, **kwargs)
        if func is torch._C._set_grad_enabled:
            return None  # a program computes no gradients, and need not say so
        if kwargs.get("generator") is not None:
            return func(*args, **kwargs)  # the same numbers each time
        if func in _REFUSED:
            raise UsageError(f"this part {_REFUSED[func]}", hint=_HINT)
        if func in _DRAWN:
            return _DRAWN[func](self._take, *args, **kwargs)
        return func(*args, **kwargs)


class Watched(Replaced):
    """Context in which draws are those of torch, and are written down in :attr:`seen`: kind and shape of each."""

    def __init__(self) -> None:
        self.seen: list[tuple[Kind, tuple[int, ...]]] = []
        super().__init__(self._drawn)

    def _drawn(self, kind: Kind, shape: Sequence[Any], dtype: torch.dtype) -> Tensor:
        self.seen.append((kind, tuple(shape)))
        return (torch.randn if kind == "noise" else torch.rand)(tuple(shape), dtype=dtype)


def planned(compute: Callable[[Any, int], Any], inputs: Callable[[int], Any]) -> tuple[Draw, ...]:
    """The draws of a computation, from how it draws for batches of different sizes.

    Args:
        compute: does it with inputs of so many examples.
        inputs: makes them.

    Raises:
        UsageError: how many numbers it draws depends on what they are, or examples share some.
    """
    runs = []
    for size in (3, 3, 5):
        given = inputs(size)
        with Watched() as watched:
            compute(given, size)
        runs.append(watched.seen)
    first, again, larger = runs
    if first != again or [kind for kind, _ in first] != [kind for kind, _ in larger]:
        raise UsageError(
            "this part draws by rejection, which takes a number of random numbers that is not fixed",
            hint=_HINT,
        )
    return tuple(_draw(kind, a, b) for (kind, a), (_, b) in zip(first, larger, strict=True))


def _draw(kind: Kind, of_three: tuple[int, ...], of_five: tuple[int, ...]) -> Draw:
    each = torch.Size(of_three).numel() // 3
    differ = [i for i, (a, b) in enumerate(zip(of_three, of_five, strict=True)) if a != b]
    if 3 * each != torch.Size(of_three).numel() or 5 * each != torch.Size(of_five).numel():
        raise UsageError(
            "this part draws random numbers that all examples of a batch share",
            hint=_HINT,
        )
    whole = len(differ) == 1 and (of_three[differ[0]], of_five[differ[0]]) == (3, 5)
    return Draw(kind, each, differ[0] if whole else None)


def _size(args: Sequence[Any]) -> Sequence[Any]:
    return args[0] if len(args) == 1 and isinstance(args[0], Sequence) else args


def _made(kind: Kind) -> Callable[..., Tensor]:
    def made(take: Take, *size: Any, dtype: torch.dtype | None = None, **more: Any) -> Tensor:
        return take(kind, more.get("size") or _size(size), dtype or torch.get_default_dtype())

    return made


def _like(kind: Kind) -> Callable[..., Tensor]:
    def made(take: Take, x: Tensor, *, dtype: torch.dtype | None = None, **_: Any) -> Tensor:
        return take(kind, x.shape, dtype or x.dtype)

    return made


def _integers(
    take: Take, low: int, high: Any = None, size: Any = None, *, dtype: Any = None, **_: Any
) -> Tensor:
    if size is None:
        low, high, size = 0, low, high
    drawn = take("uniform", size, torch.get_default_dtype())
    return (low + (drawn * (high - low)).floor().clamp(max=high - low - 1)).to(dtype or torch.int64)


def _normal(take: Take, mean: Any, std: Any = 1.0, size: Any = None, **_: Any) -> Tensor:
    tensors = [each for each in (mean, std) if isinstance(each, Tensor)]
    shape = torch.broadcast_shapes(*(each.shape for each in tensors)) if size is None else size
    return mean + std * take("noise", shape, tensors[0].dtype if tensors else torch.get_default_dtype())


def _set_normal(take: Take, x: Tensor, mean: float = 0.0, std: float = 1.0, **_: Any) -> Tensor:
    return x.copy_(mean + std * take("noise", x.shape, x.dtype))


def _set_uniform(take: Take, x: Tensor, low: float = 0.0, high: float = 1.0, **_: Any) -> Tensor:
    return x.copy_(low + (high - low) * take("uniform", x.shape, x.dtype))


def _set_exponential(take: Take, x: Tensor, lambd: float = 1.0, **_: Any) -> Tensor:
    return x.copy_(-(-take("uniform", x.shape, x.dtype)).log1p() / lambd)


def _set_cauchy(take: Take, x: Tensor, median: float = 0.0, sigma: float = 1.0, **_: Any) -> Tensor:
    return x.copy_(median + sigma * (torch.pi * (take("uniform", x.shape, x.dtype) - 0.5)).tan())


def _bernoulli(take: Take, p: Tensor, **_: Any) -> Tensor:
    return (take("uniform", p.shape, p.dtype) < p).to(p.dtype)


def _multinomial(take: Take, p: Tensor, count: Any, replacement: bool = False, **_: Any) -> Tensor:
    if not replacement and not (isinstance(count, int) and count == 1):
        raise UsageError(
            "this part draws several categories without putting them back",
            hint=_HINT,
        )
    ends = p.cumsum(-1)
    u = take("uniform", (*p.shape[:-1], count), p.dtype) * ends[..., -1:]
    # The last end is left out: rounding may put a draw on it, behind which there is no category.
    return (ends[..., None, :-1] <= u[..., None]).sum(-1)


_DRAWN: Mapping[Any, Callable[..., Tensor]] = {
    torch.randn: _made("noise"),
    torch.rand: _made("uniform"),
    torch.randn_like: _like("noise"),
    torch.rand_like: _like("uniform"),
    torch.randint: _integers,
    torch.normal: _normal,
    Tensor.normal_: _set_normal,
    Tensor.uniform_: _set_uniform,
    Tensor.exponential_: _set_exponential,
    Tensor.cauchy_: _set_cauchy,
    torch.bernoulli: _bernoulli,
    Tensor.bernoulli: _bernoulli,
    torch.multinomial: _multinomial,
    Tensor.multinomial: _multinomial,
}
"""Functions that draw → the same draw by given numbers."""

_NOT_FIXED = "which takes a number of random numbers that is not fixed"
_REFUSED: Mapping[Any, str] = {
    torch._standard_gamma: f"draws from a gamma distribution, {_NOT_FIXED}",
    torch._sample_dirichlet: f"draws from a Dirichlet distribution, {_NOT_FIXED}",
    torch.poisson: f"draws from a Poisson distribution, {_NOT_FIXED}",
    torch.binomial: f"draws from a binomial distribution, {_NOT_FIXED}",
    torch.autograd.grad: "moves draws along gradients, which an exported file does not compute",
    torch.randperm: "draws a permutation",
    Tensor.bernoulli_: "draws truth values in place",
    Tensor.geometric_: "draws from a geometric distribution in place",
    Tensor.log_normal_: "draws from a log-normal distribution in place",
    Tensor.random_: "draws integers in place",
}
"""Functions that cannot be replaced → what a part does by them."""
