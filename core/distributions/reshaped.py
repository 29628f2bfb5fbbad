"""A distribution with the batch of another one in several dimensions, and a distribution with other tensors."""

import copy
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.distributions import Distribution
from torch.distributions.constraints import Constraint
from torch.distributions.transforms import Transform

__all__ = ["Reshaped", "tensors_of", "with_tensors"]


_NONE = torch.Size()


class Reshaped(Distribution):
    """A distribution whose first batch dimension becomes several.

    ``batch_shape (N, *rest) → (*batch, *rest)``, ``N = Π batch``

    Args:
        base: the distribution.
        batch: what its first batch dimension becomes.

    Example:
        >>> from torch.distributions import Normal
        >>> made = Reshaped(Normal(torch.zeros(6, 4), torch.ones(6, 4)), torch.Size((2, 3)))
        >>> made.batch_shape, made.log_prob(torch.zeros(4)).shape, made.sample((5,)).shape
        (torch.Size([2, 3, 4]), torch.Size([2, 3, 4]), torch.Size([5, 2, 3, 4]))
    """

    arg_constraints: ClassVar[dict[str, Constraint]] = {}

    def __init__(self, base: Distribution, batch: torch.Size, lead: torch.Size = _NONE) -> None:
        self.base, self._batch, self._lead = base, batch, lead
        rest = base.batch_shape[len(lead) + 1 :]
        super().__init__(lead + batch + rest, base.event_shape, validate_args=False)

    @property
    def has_rsample(self) -> bool:  # type: ignore[override]
        return self.base.has_rsample

    @property
    def support(self) -> Constraint:  # type: ignore[override]
        return self.base.support  # type: ignore[return-value]

    @property
    def mean(self) -> Tensor:
        return self.base.mean.reshape(self.batch_shape + self.event_shape)

    @property
    def variance(self) -> Tensor:
        return self.base.variance.reshape(self.batch_shape + self.event_shape)

    def entropy(self) -> Tensor:
        return self.base.entropy().reshape(self.batch_shape)

    def expand(self, batch_shape: Any, _instance: object = None) -> "Reshaped":
        extra = torch.Size(batch_shape)[: len(batch_shape) - len(self._batch_shape) + len(self._lead)]
        rest = self.base.batch_shape[len(self._lead) :]
        return Reshaped(self.base.expand(extra + rest), self._batch, extra)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        made = self.base.sample(torch.Size(sample_shape))
        return made.reshape(self._extended_shape(torch.Size(sample_shape)))

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        made = self.base.rsample(torch.Size(sample_shape))
        return made.reshape(self._extended_shape(torch.Size(sample_shape)))

    def log_prob(self, value: Tensor) -> Tensor:
        event = len(self.event_shape)
        shape = torch.broadcast_shapes(value.shape[: value.dim() - event], self.batch_shape)
        beyond = shape[: len(shape) - len(self.batch_shape)]
        whole = value.expand(shape + self.event_shape)
        return self.base.log_prob(whole.reshape(beyond + self.base.batch_shape + self.event_shape)).reshape(
            shape
        )


def tensors_of(thing: Any, path: str = "") -> Iterator[tuple[str, Tensor]]:
    """The tensors that a distribution is made of, with where they are in it.

    Example:
        >>> from torch.distributions import Independent, Normal
        >>> [path for path, _ in tensors_of(Independent(Normal(torch.zeros(2), torch.ones(2)), 1))]
        ['base_dist.loc', 'base_dist.scale']
    """
    for name, part in _parts(thing):
        where = f"{path}.{name}" if path else name
        if isinstance(part, Tensor):
            yield where, part
        else:
            yield from tensors_of(part, where)


def with_tensors(thing: Any, tensor: Callable[[str], Tensor], path: str = "") -> Any:
    """A copy of a distribution with other tensors, by where they are in it."""
    found = {}
    for name, part in _parts(thing):
        where = f"{path}.{name}" if path else name
        found[name] = tensor(where) if isinstance(part, Tensor) else with_tensors(part, tensor, where)
    if not found:
        return thing
    if isinstance(thing, list | tuple):
        return type(thing)(found.get(str(i), part) for i, part in enumerate(thing))
    if isinstance(thing, dict):
        return {key: found.get(str(key), part) for key, part in thing.items()}
    made = copy.copy(thing)
    vars(made).update(found)
    return made


def _parts(thing: Any) -> Iterator[tuple[str, Any]]:
    """What may hold tensors in a distribution or a transform; what a transform keeps of its last call does not count."""
    if isinstance(thing, list | tuple):
        items = [(str(i), part) for i, part in enumerate(thing)]
    elif isinstance(thing, dict):
        items = [(str(key), part) for key, part in thing.items()]
    elif isinstance(thing, Distribution | Transform):
        items = [(name, part) for name, part in vars(thing).items() if name not in ("_inv", "_cached_x_y")]
    else:
        return
    for name, part in items:
        if isinstance(part, Tensor | Distribution | Transform | list | tuple | dict):
            yield name, part
