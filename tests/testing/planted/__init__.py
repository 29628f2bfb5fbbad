"""Components that are wrong in one thing, by kind, each with the check that is meant for it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """A wrong component.

    Args:
        target: what is checked.
        check: the check that is meant to catch it.
        others: checks of laws that the same fault breaks too.
    """

    target: object
    check: str
    others: tuple[str, ...] = ()


FAULTS: list[Fault] = []


def caught_by(check, *others):
    """Plant a class as a fault."""

    def plant(cls):
        cls.__doc__ = cls.__doc__ or "Something; raises UsageError."
        FAULTS.append(Fault(cls, check, others))
        return cls

    return plant
