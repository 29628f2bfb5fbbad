"""Names that several components have: which one a bare name means, and how the others are written."""

from collections.abc import Iterable
from dataclasses import dataclass

from genmod.registry.provided import Provided

__all__ = ["Clash", "clashes"]


@dataclass(frozen=True)
class Clash:
    """A name or alias of a plugin's component that others of its kind have, too.

    Args:
        kind: of component.
        name: what several are called.
        distribution: of the plugin's component.
        others: the qualified names of the others.
        means: the qualified name of the component that the bare name means; empty where it means none of several.
        write: how the plugin's component is written.
    """

    kind: str
    name: str
    distribution: str
    others: tuple[str, ...]
    means: str
    write: str

    def __str__(self) -> str:
        also = f"{self.kind} {self.name!r} of {self.distribution} is also a name of {', '.join(self.others)}"
        return f"{also}, which it means" if self.means else also


def clashes(components: Iterable[Provided]) -> list[Clash]:
    """The names of plugins' components that do not mean them; of built-in ones each name means what it says.

    Example:
        >>> from genmod.registry.component import Component
        >>> own = Provided(Component("encoder", "conv", "a:B", aliases=("cnn",)), "genmod-torch", "1.0", builtin=True)
        >>> str(clashes([own, Provided(Component("encoder", "cnn", "c:D"), "genmod-cnn", "1.0")])[0])
        "encoder 'cnn' of genmod-cnn is also a name of genmod-torch/conv, which it means"
    """
    users: dict[tuple[str, str], list[Provided]] = {}
    for provided in components:
        for name in provided.names:
            users.setdefault((provided.kind, name), []).append(provided)
    found = []
    for (kind, name), several in users.items():
        for provided in several:
            others = tuple(each.qualified for each in several if each is not provided)
            if others and not provided.builtin:
                means = next((each.qualified for each in several if each.builtin), "")
                write = f"{provided.distribution}/{name}"
                found.append(Clash(kind, name, provided.distribution, others, means, write))
    return found
