"""What this package contributes; it is imported by every ``genmod list``, so it imports no torch."""

from collections.abc import Iterator

from genmod import Component, hookimpl

__all__ = ["genmod_components"]


@hookimpl
def genmod_components() -> Iterator[Component]:
    yield Component(
        "decoder",
        "asymmetric-laplace",
        "genmod_laplace.decoder:AsymmetricLaplaceDecoder",
        summary="real values, of which the network learns a quantile",
    )
    yield Component(
        "prior",
        "laplace",
        "genmod_laplace.prior:LaplacePrior",
        summary="Laplace: most latents near zero, a few far out",
    )
