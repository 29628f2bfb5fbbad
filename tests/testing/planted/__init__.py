"""Components that are wrong in one thing, by kind, each with the check that is meant for it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """A wrong component.

    Args:
        target: what is checked.
        check: the check that is meant to catch it.
        others: checks of laws that the same fault breaks too.
        slow: whether it takes long to be caught; of those, another one of the same check is not.
    """

    target: object
    check: str
    others: tuple[str, ...] = ()
    slow: bool = False


FAULTS: list[Fault] = []


def caught_by(check, *others, slow=False):
    """Plant a class as a fault."""

    def plant(cls):
        cls.__doc__ = cls.__doc__ or "Something; raises UsageError."
        FAULTS.append(Fault(cls, check, others, slow))
        return cls

    return plant
