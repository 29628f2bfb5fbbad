"""Groups of parameters in a run: which are trained, and which loss moves which of them."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from torch import nn

from genmod.errors import PluginError
from genmod.interfaces.part import ParameterGroup

__all__ = ["moved_by", "trained"]


def trained(groups: Mapping[str, ParameterGroup | Iterable[nn.Parameter]]) -> dict[str, ParameterGroup]:
    """The groups with those of their parameters that are trained.

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
    """The parameters that each loss moves in a step: those of its group, and the first loss those of groups without one.

    Args:
        losses: their names, the first before the others.
        groups: with trained parameters.
        step: counted from 0; groups whose turn it is not are left out.

    Raises:
        PluginError: a loss of no group.
    """
    names = list(losses)
    if unknown := set(names) - set(groups):
        raise PluginError(
            f"there are losses for {', '.join(sorted(unknown))}, and parameters in {', '.join(groups)} alone"
        )
    moved: dict[str, list[nn.Parameter]] = {}
    for name, group in groups.items():
        if group.moves(step) and group.parameters:
            moved.setdefault(name if name in names else names[0], []).extend(group.parameters)
    return {name: moved[name] for name in names if name in moved}
