"""Faults in divergences, objectives, critics and whole models."""

import random
from dataclasses import replace
from typing import Any

from torch import Tensor

from genmod.defaults import BOUNDS
from genmod.interfaces.objective import Terms
from genmod.testing.mutation.mutator import (
    Attributes,
    NoChange,
    Seen,
    after,
    before,
    mutates,
    replaced,
    reseeding,
)

__all__: list[str] = []

_by_chance = random.SystemRandom()


@mutates("it is doubled", "divergence", check="check_kl")
def _doubled(cls: Any, seen: Seen) -> Attributes:
    if not cls.is_kl:
        raise NoChange("a divergence that is no KL may have any scale")
    return after(cls, "forward", lambda self, found, *args: 2 * found, seen)


@mutates("its sign is wrong", "divergence", check="check_not_negative")
def _negative(cls: Any, seen: Seen) -> Attributes:
    return after(cls, "forward", lambda self, found, *args: -found, seen)


@mutates("posterior and prior are swapped", "divergence", check="check_kl")
def _swapped(cls: Any, seen: Seen) -> Attributes:
    def swapped(self: Any, original: Any, q: Any, p: Any, z: Any) -> Any:
        return original(p if p.batch_shape else p.expand(q.batch_shape), q, z)

    return replaced(cls, "forward", swapped, seen)


@mutates("draws are summed, not averaged", "divergence", check="check_number_of_draws")
def _summed(cls: Any, seen: Seen) -> Attributes:
    return after(cls, "forward", lambda self, found, q, p, z: found * len(z), seen)


@mutates("a constant is added", "divergence", check="check_zero_at_equality")
def _shifted(cls: Any, seen: Seen) -> Attributes:
    return after(cls, "forward", lambda self, found, *args: found + 1, seen)


@mutates("it is averaged over the batch", "divergence", check="check_batch_independence")
def _mean(cls: Any, seen: Seen) -> Attributes:
    return after(cls, "forward", lambda self, found, *args: found.mean().expand(found.shape), seen)


@mutates("it has no gradient", "divergence", check=("check_gradient", "check_divergence_gradient"))
def _flat(cls: Any, seen: Seen) -> Attributes:
    return after(cls, "forward", lambda self, found, *args: found.detach(), seen)


@mutates("its parts by dimension are halves", "divergence", check="check_by_dimension")
def _halves(cls: Any, seen: Seen) -> Attributes:
    return after(cls, "by_dimension", lambda self, found, *args: found / 2, seen)


def _of_loss(terms: Terms, change: Any) -> Terms:
    """Terms with another loss; each of several."""
    loss = terms.loss
    changed = (
        change(loss) if isinstance(loss, Tensor) else {name: change(each) for name, each in loss.items()}
    )
    return replace(terms, loss=changed, watch=None if terms.watch is None else change(terms.watch))


def _of_values(terms: Terms, **changed: Tensor) -> Terms:
    return replace(terms, values={**terms.values, **changed})


def _terms(name: str, check: str, change: Any) -> None:
    """A fault in what an objective returns: ``change(self, terms, x)``."""

    @mutates(name, "objective", check=check)
    def _(cls: Any, seen: Seen) -> Attributes:
        return after(cls, "forward", lambda self, terms, model, x: change(self, terms, x), seen)


_terms("the loss is maximised", "check_descent", lambda self, terms, x: _of_loss(terms, lambda loss: -loss))
_terms(
    "the loss is summed over the batch",
    "check_objective_batch",
    lambda self, terms, x: _of_loss(terms, lambda loss: loss * len(x)),
)
_terms(
    "the loss has no gradient",
    "check_objective_gradient",
    lambda self, terms, x: _of_loss(terms, lambda loss: loss.detach()),
)
_terms(
    "the loss is another one in training",
    "check_train_and_evaluation",
    lambda self, terms, x: _of_loss(terms, lambda loss: 2 * loss) if self.training else terms,
)
_terms(
    "values are averaged over the batch",
    "check_objective_values",
    lambda self, terms, x: _of_values(
        terms, **{name: each.mean().expand(each.shape) for name, each in terms.values.items()}
    ),
)


def _swapped_values(self: Any, terms: Terms, x: Tensor) -> Terms:
    if not {"distortion", "rate"} <= set(terms.values):
        return terms
    return _of_values(terms, distortion=terms.values["rate"], rate=terms.values["distortion"])


_terms("distortion and rate are swapped", "check_reported", _swapped_values)


def _half_a_loss(self: Any, terms: Terms, x: Tensor) -> Terms:
    if "rate" not in terms.values or not isinstance(terms.loss, Tensor):
        return terms
    rate = terms.values["rate"].mean()
    return replace(terms, loss=terms.loss - rate + rate.detach())


_terms("the rate has no gradient", "check_descent", _half_a_loss)


def _too_high(self: Any, terms: Terms, x: Tensor) -> Terms:
    return _of_values(terms, **{name: terms.values[name] + 5 for name in BOUNDS if name in terms.values})


_terms("the bound is reported too high", "check_bound", _too_high)


@mutates("its draws are the same each time", "objective", check=("check_randomness", "check_random_state"))
def _seeded(cls: Any, seen: Seen) -> Attributes:
    return reseeding(cls, "forward", seen)


def _losses(name: str, check: str, change: Any) -> None:
    """A fault in each loss of a critic: ``change(self, loss)``."""

    @mutates(name, "critic", check=check)
    def _(cls: Any, seen: Seen) -> Attributes:
        def changed(self: Any, found: Any, draw: Any) -> Any:
            return {name: change(self, loss) for name, loss in found.items()}

        return after(cls, "losses", changed, seen)


_losses(
    "its losses have no gradient",
    "check_critic_gradient",
    lambda self, loss: replace(loss, values=loss.values.detach()),
)
_losses(
    "its losses are those of the batch",
    "check_critic_losses",
    lambda self, loss: replace(loss, values=loss.values.mean()),
)
_losses(
    "all of its losses are for one group",
    "check_critic_gradient",
    lambda self, loss: replace(loss, group=self.group),
)


@mutates("the loss is summed over the batch", "model", check="check_model_mean")
def _model_loss(cls: Any, seen: Seen) -> Attributes:
    return after(cls, "terms", lambda self, terms, x, *c: _of_loss(terms, lambda loss: loss * len(x)), seen)


@mutates("the loss has no gradient", "model", check="check_model_gradient")
def _model_gradient(cls: Any, seen: Seen) -> Attributes:
    return after(cls, "terms", lambda self, terms, *args: _of_loss(terms, lambda loss: loss.detach()), seen)


@mutates("log-densities are too high", "model", check="check_normalised")
def _model_density(cls: Any, seen: Seen) -> Attributes:
    return after(cls, "log_weights", lambda self, found, *args: found + 0.5, seen)


@mutates("densities are those of the batch", "model", check="check_model_batch")
def _model_weights(cls: Any, seen: Seen) -> Attributes:
    mean = lambda self, found, *args: found.mean(1, keepdim=True).expand(found.shape)  # noqa: E731
    return after(cls, "log_weights", mean, seen)


@mutates("draws are the same each time", "model", check="check_model_samples")
def _model_draws(cls: Any, seen: Seen) -> Attributes:
    return reseeding(cls, "draws", seen)


@mutates("draws leave the range of the data", "model", check=("check_model_samples", "check_draws"))
def _model_range(cls: Any, seen: Seen) -> Attributes:
    return after(cls, "draws", lambda self, found, *args: 3 * found + 1, seen)


@mutates("part of its state is not saved", "model", check="check_model_state")
def _model_state(cls: Any, seen: Seen) -> Attributes:
    def other(self: Any, x: Tensor, *others: Any) -> tuple[Any, ...]:
        # Not by torch, whose seed a check sets before it compares two models.
        scale = self.__dict__.setdefault("_own_scale", 1 + 0.1 * _by_chance.random())
        return (x * scale, *others)

    return before(cls, "log_weights", other, seen)
