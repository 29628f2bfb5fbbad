"""What this package contributes; it is imported by every ``genmod list``, so it imports no torch."""

from collections.abc import Iterator

from genmod import Component, hookimpl

__all__ = ["genmod_components"]


@hookimpl
def genmod_components() -> Iterator[Component]:
    yield Component(
        "divergence",
        "energy",
        "genmod_energy.divergence:Energy",
        summary="energy distance of aggregate posterior and prior",
    )
