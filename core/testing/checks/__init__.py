"""The checks, by what they are about; importing this package registers all of them."""

from genmod.testing.checks import (  # noqa: F401 - each registers its checks, in this order
    contract,
    critics,
    datasets,
    densities,
    divergences,
    features,
    formats,
    gradients,
    metrics,
    models,
    modules,
    objectives,
    programs,
    rates,
    recipes,
    reproductions,
    samplers,
    shapes,
    tables,
    trackers,
)
