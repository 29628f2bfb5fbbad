"""What this package contributes; it is imported by every ``genmod list``, so it imports no torch."""

from collections.abc import Iterator

from genmod import Component, hookimpl

__all__ = ["genmod_components"]


@hookimpl
def genmod_components() -> Iterator[Component]:
    yield Component(
        "dataset",
        "series",
        "genmod_series.dataset:Series",
        summary="windows of a time series in your own CSV file, with gaps",
        goes_with="--encoder mlp --decoder gaussian",
    )
