"""Faults that ``genmod check --mutate`` plants in the component of an author, to see which of their tests notice.

Each is generic: it makes a wrong class of any correct one of its kinds. They are registered in the files beside this
one, by what they are about.
"""

from typing import Any

from genmod.testing.mutation import densities, losses, measures, modules, stores  # noqa: F401 - each registers its faults
from genmod.testing.mutation.mutator import MUTATORS, Mutator, NoChange, Seen, planted
from genmod.testing.mutation.options import without_options

__all__ = ["MUTATORS", "Mutator", "NoChange", "Seen", "mutators_of", "planted"]


def mutators_of(cls: Any, kind: str) -> list[Mutator]:
    """The faults that can be planted in a class: those of its kind, and one for each of its options.

    Example:
        >>> from genmod.scaffold.templates.prior import TemplatePrior
        >>> [each.name for each in mutators_of(TemplatePrior, "prior")][:2]
        ['log_prob is doubled', 'a constant is missing from log_prob']
    """
    return [*(each for each in MUTATORS if kind in each.kinds), *without_options(cls, kind)]
