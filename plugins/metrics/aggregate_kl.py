"""How far the codes of all examples together are from the prior."""

from collections.abc import Iterator
from typing import final

from genmod import Metric, Row, Subject, Undefined, UndefinedError, mean_row
from genmod.plugins.metrics._aggregate import ExampleCount, aggregate

__all__ = ["AggregateKL"]


@final
class AggregateKL(Metric):
    """The marginal KL: the part of the rate that is not information about the example.

    ``KL(q(z) ‖ p(z)) = E_x KL(q(z|x) ‖ p(z)) - I(x; z)``, ``q(z) = 1/N Σ_j q(z|x_j)``

    Where it is large, draws of the prior are not like codes, and decode to something that is not like the data; a learned
    prior, or a sampler, can bring it to zero. With all N posteriors in the mixture it is an upper bound on its value for the
    whole population; ``lower``, without the example's own posterior, is a lower bound. For a prior that depends on the
    condition, the mean over the conditions of the examples is taken.

    Reference:
        ELBO surgery: yet another way to carve up the variational evidence lower bound (Hoffman and Johnson, 2016), NIPS
        workshop

    Example:
        >>> import torch
        >>> from genmod import Batch, TensorSplit, build, evaluate
        >>> split = TensorSplit(Batch(torch.zeros(8, 1, 8, 8)))
        >>> evaluate(build(encoder="mlp"), split, "aggregate-kl")["aggregate_kl"].unit
        'nats'
    """

    main = "examples"

    def __init__(self, *, examples: ExampleCount = None) -> None:
        self.examples = examples

    def measure(self, subject: Subject) -> Iterator[Row | Undefined]:
        model = subject.model
        if not model.prior.has_density:
            raise UndefinedError(f"its prior {model.spec.components['prior'].name!r} has no density")
        found = aggregate(subject, "mutual information", self.examples)
        assert found.prior is not None
        row = mean_row(
            "aggregate_kl",
            found.all - found.prior,
            "nats",
            f"E[log q(z) - log p(z)], q(z) the mean of the posteriors of {len(found.own)} examples",
            "lower",
            {
                "lower": (found.others - found.prior).mean().item(),
                "rate": (found.own - found.prior).mean().item(),
                "mutual_information": (found.own - found.all).mean().item(),
            },
        )
        if row.value - row.details["lower"] > max(0.25, 4 * row.standard_error):
            subject.warn(
                f"{row.n:,} examples are too few to measure aggregate_kl: it is {row.value:.2f} nats or less"
            )
        yield row
