"""Rates: the KL of the posterior from the prior, latent by latent."""

from collections.abc import Iterator
from typing import Annotated, final

import torch
from annotated_types import Ge

from genmod import Doc, Metric, Row, Subject, Undefined, mean_row
from genmod.plugins.metrics._units import rates_by_unit

__all__ = ["RatesMetric"]

_ROWS = 64


@final
class RatesMetric(Metric):
    """How many nats of an example each latent holds, on average.

    ``rate_d = E_x KL(q(z_d|x) ‖ p(z_d))``, the sum over d is the rate of the ELBO

    Of categorical latents each variable has a rate. Latents of several kinds or levels have a rate for each of these parts
    too. Of maps of latents there is a row for each channel, their first index,
    and the rest in the details. Rates are exact where a closed form is known, else estimated from draws. Where posterior
    or prior do not factorise, the sum alone is given, with the reason.

    Reference:
        Fixing a Broken ELBO (Alemi et al., 2017), arXiv:1711.00464

    Example:
        >>> from genmod import Batch, TensorSplit, build, evaluate
        >>> split = TensorSplit(Batch(torch.zeros(8, 1, 8, 8)))
        >>> [row.name for row in evaluate(build(encoder="mlp", latent=2), split, "rates").rows]
        ['rate[total]', 'rate[0]', 'rate[1]']
    """

    main = "samples"

    def __init__(
        self,
        *,
        samples: Annotated[int, Ge(1), Doc("draws for each example, where no closed form is known")] = 10,
    ) -> None:
        self.samples = samples

    def measure(self, subject: Subject) -> Iterator[Row | Undefined]:
        rates = rates_by_unit(subject, "rates", self.samples)
        details = {}
        if len(rates.labels) > 1:
            means, errors = rates.values.mean(0), rates.values.std(0, correction=0) / len(rates.values) ** 0.5
            details = {
                "largest": means.max().item(),
                "latents": rates.labels,
                "rates": means.tolist(),
                "standard_errors": errors.tolist(),
            }
        definition = "KL(q(z|x) ‖ p(z)), the sum over the latents"
        yield mean_row("rate[total]", rates.values.sum(1), "nats", definition, details=details)
        parts = [label.partition(".")[0] for label in rates.labels if "." in label]
        for part in dict.fromkeys(parts):
            own = rates.values[:, [i for i, each in enumerate(parts) if each == part]].sum(1)
            yield mean_row(f"rate[part {part}]", own, "nats", "KL(q(z|x) ‖ p(z)) of one part of the latents")
        if rates.reason:
            yield Undefined("rate of each latent", rates.reason)
            if not details:
                return
        channels = list(dict.fromkeys(label.split(",")[0] for label in rates.labels))
        if len(channels) > _ROWS:
            yield Undefined(
                "rate of each latent",
                f"{len(channels)} are too many rows: they are in the details of the total",
            )
            return
        places = torch.tensor([channels.index(label.split(",")[0]) for label in rates.labels])
        by_channel = torch.zeros(len(rates.values), len(channels), dtype=torch.float64)
        by_channel.index_add_(1, places, rates.values)
        for i, channel in enumerate(channels):
            yield mean_row(
                f"rate[{channel}]", by_channel[:, i], "nats", "KL(q(z_d|x) ‖ p(z_d)) of one latent or channel"
            )
