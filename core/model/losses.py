"""Losses and parameter groups of a model: those of the objective, and those that other parts add."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TypeGuard

from torch import Tensor, nn

from genmod.errors import UsageError
from genmod.interfaces.objective import Terms
from genmod.interfaces.part import MAIN, ParameterGroup, Part

__all__ = ["adds_losses", "grouped", "with_losses"]


def adds_losses(part: nn.Module) -> TypeGuard[Part]:
    """Whether a part overrides :meth:`Part.losses`; a part that is made of others passes their losses on."""
    return isinstance(part, Part) and type(part).losses is not Part.losses


def with_losses(terms: Terms, parts: Sequence[Part]) -> Terms:
    """The terms of an objective with the losses of other parts added; the draw is removed.

    The watched value stays the loss of the objective, with the losses that measure the model: that of a critic does not.
    """
    if not parts:
        return Terms(terms.loss, terms.values, terms.watch)
    assert terms.draw is not None
    single = isinstance(terms.loss, Tensor)
    losses = {MAIN: terms.loss} if isinstance(terms.loss, Tensor) else dict(terms.loss)
    values, watch = dict(terms.values), terms.total
    for part in parts:
        for name, each in part.losses(terms.draw).items():
            added = each.weight * each.values.mean()
            losses[each.group] = losses[each.group] + added if each.group in losses else added
            values[name] = each.values
            watch = watch + added if each.measures else watch
    single = single and len(losses) == 1
    loss = losses[MAIN] if single else losses
    return replace(terms, loss=loss, values=values, watch=watch, draw=None)


def grouped(
    groups: Mapping[str, Iterable[nn.Parameter] | ParameterGroup], parts: Iterable[nn.Module]
) -> dict[str, ParameterGroup]:
    """Parameter groups by name; parameters in a group of a part are taken out of the objective's groups.

    Raises:
        UsageError: two groups have the same name.
    """
    claimed: dict[str, ParameterGroup] = {}
    for part in parts:
        for name, group in part.parameter_groups().items() if isinstance(part, Part) else ():
            if name in claimed or name in groups:
                raise UsageError(f"two parts of the model have a parameter group {name!r}")
            claimed[name] = replace(group, parameters=tuple(group.parameters))
    seen = {id(parameter) for group in claimed.values() for parameter in group.parameters}
    found = {}
    for name, each in groups.items():
        own = []
        for parameter in each:
            if id(parameter) not in seen:
                seen.add(id(parameter))
                own.append(parameter)
        group = each if isinstance(each, ParameterGroup) else ParameterGroup(())
        found[name] = replace(group, parameters=tuple(own))
    return {**found, **claimed}
