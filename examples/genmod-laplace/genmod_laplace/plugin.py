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
        "asymmetric-laplace",
        "genmod_laplace.prior:AsymmetricLaplacePrior",
        summary="most latents near zero, the far ones mostly on one side",
    )
