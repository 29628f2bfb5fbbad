"""Blocks of networks, such as residual blocks: found by how modules are composed, so that nothing is asked of components."""

from collections.abc import Iterator

from torch import nn

__all__ = ["LISTS", "blocks_of", "is_block", "segments"]

LISTS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)
"""Modules that are lists of others."""


def blocks_of(module: nn.Module) -> Iterator[tuple[nn.Module, ...]]:
    """The blocks with weights within a module, none within another: one module, or layers that follow each other.

    A block is a member of a list of modules, as a residual block, or a layer of a sequence with the norm after it.

    Example:
        >>> net = nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2), nn.Tanh(), nn.Sequential(nn.Linear(2, 1), nn.Tanh()))
        >>> [[type(layer).__name__ for layer in block] for block in blocks_of(net)]
        [['Linear', 'LayerNorm'], ['Linear']]
    """
    in_turn = type(module) is nn.Sequential
    if in_turn:
        for segment in segments(module):  # type: ignore[arg-type]
            layers = tuple(layer for layer in segment if any(True for _ in layer.parameters()))
            if layers and not _is_composed(segment[0]):
                yield layers
    for member in module.children():
        if not isinstance(module, LISTS):
            yield from blocks_of(member)
        elif is_block(member) or not (in_turn or _is_composed(member)):
            if any(True for _ in member.parameters()):
                yield (member,)
        else:
            yield from blocks_of(member)


def is_block(member: nn.Module) -> bool:
    """Whether a member of a list is composed of layers, and of no blocks in lists of its own."""
    if isinstance(member, LISTS) or not _is_composed(member):
        return False
    return not any(
        is_block(inner) for each in member.modules() if isinstance(each, LISTS) for inner in each.children()
    )


def segments(layers: nn.Sequential) -> list[tuple[nn.Module, ...]]:
    """The layers of a sequence, each that has weights with those after it that have none to speak of; blocks alone.

    Example:
        >>> [len(part) for part in segments(nn.Sequential(nn.Linear(2, 2), nn.Tanh(), nn.Linear(2, 2)))]
        [2, 1]
    """
    found: list[tuple[nn.Module, ...]] = []
    closed = True
    for layer in layers:
        composed = _is_composed(layer)
        begins = composed or any(p.dim() > 1 for p in layer.parameters(recurse=False))
        if closed or begins:
            found.append((layer,))
        else:
            found[-1] = (*found[-1], layer)
        closed = composed
    return found


def _is_composed(module: nn.Module) -> bool:
    return any(True for _ in module.children())
