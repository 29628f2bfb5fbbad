"""Parameter groups in a run: the trained parameters, and the loss that each is updated by."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TypeGuard

from torch import nn

from genmod.errors import PluginError
from genmod.interfaces.part import ParameterGroup, Part

__all__ = ["moved_by", "moves_with_steps", "trained"]


def trained(groups: Mapping[str, ParameterGroup | Iterable[nn.Parameter]]) -> dict[str, ParameterGroup]:
    """The parameter groups, restricted to parameters with ``requires_grad``.

    Example:
        >>> import torch
        >>> fixed = nn.Parameter(torch.zeros(2), requires_grad=False)
        >>> trained({"model": ParameterGroup((fixed,))})["model"].parameters
        ()
    """
    found = {}
    for name, group in groups.items():
        parameters = tuple(p for p in group if p.requires_grad)
        known = group if isinstance(group, ParameterGroup) else ParameterGroup(())
        found[name] = replace(known, parameters=parameters)
    return found


def moved_by(
    losses: Iterable[str], groups: Mapping[str, ParameterGroup], step: int
) -> dict[str, list[nn.Parameter]]:
    """The parameters that each loss updates in a step.

    A loss updates the group of its name. Groups without a loss are updated by the first one.

    Args:
        losses: names of the losses, in order.
        groups: parameter groups by name, with trained parameters only.
        step: counted from 0; groups that are not updated in this step are left out.

    Raises:
        PluginError: a loss has no group of its name.
    """
    names = list(losses)
    if unknown := set(names) - set(groups):
        raise PluginError(
            f"losses are given for the parameter groups {', '.join(sorted(unknown))}; there are: {', '.join(groups)}"
        )
    moved: dict[str, list[nn.Parameter]] = {}
    for name, group in groups.items():
        if group.moves(step) and group.parameters:
            moved.setdefault(name if name in names else names[0], []).extend(group.parameters)
    return {name: moved[name] for name in names if name in moved}


def moves_with_steps(part: nn.Module) -> TypeGuard[Part]:
    """Whether a part of a model has something of its own that changes after each step."""
    return isinstance(part, Part) and type(part).after_step is not Part.after_step
