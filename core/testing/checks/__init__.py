"""The checks, by what they are about; importing this package registers all of them."""

# What is built for one size alone is told so before other checks stumble over it.
from genmod.testing.checks import shapes  # isort: skip  # noqa: F401
from genmod.testing.checks import (  # noqa: F401 - each registers its checks, in this order
    batches,
    contract,
    critics,
    datasets,
    densities,
    dependence,
    descent,
    devices,
    divergences,
    features,
    formats,
    given,
    gradients,
    metric_errors,
    metrics,
    models,
    modules,
    numbers,
    objectives,
    programs,
    randomness,
    rates,
    readings,
    recipes,
    registered,
    reproductions,
    revisions,
    samplers,
    settings,
    statements,
    tables,
    trackers,
)

# A process of its own takes longer than all of the others: it comes last.
from genmod.testing.checks import processes  # isort: skip  # noqa: F401
