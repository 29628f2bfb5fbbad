"""ELBO, rate, distortion and bits per dimension."""

from collections.abc import Iterator, Sequence
from typing import Annotated, final

import torch
from annotated_types import Ge
from torch import Tensor
from torch.distributions import Distribution, kl_divergence

from genmod import Batch, Doc, GivenModel, Metric, Row, Subject, Undefined, bits_per_dim, mean_row
from genmod.evaluation import draws_at_once, given_exposure, log_likelihood, no_bits, spread

__all__ = ["Elbo", "distortion_of", "rate_of"]

_DEFINITIONS = {
    "elbo": ("E_q[log p(x|z)] - KL(q(z|x) ‖ p(z)), a lower bound on log p(x)", "higher"),
    "rate": ("KL(q(z|x) ‖ p(z))", ""),
    "distortion": ("-E_q[log p(x|z)]", "lower"),
    "bits_per_dim": ("-ELBO in bits for each value of an example, a bound on its code length", "lower"),
}


@final
class Elbo(Metric):
    """The evidence lower bound and its parts.

    ``ELBO = E_q[log p(x|z)] - KL(q(z|x) ‖ p(z)) ≤ log p(x)``, the negative sum of distortion and rate, in nats

    The rate is exact where a closed form is known, else estimated from the same draws. Bits per dimension of a
    continuous likelihood on discrete data are those of the data spread evenly over their cells, which bound the code
    length from above. Models without densities have a distortion alone.

    Reference:
        Auto-Encoding Variational Bayes (Kingma and Welling, 2013), arXiv:1312.6114

    Example:
        >>> from genmod import Batch, TensorSplit, build, evaluate
        >>> result = evaluate(build("autoencoder", encoder="mlp"), TensorSplit(Batch(torch.zeros(8, 1, 8, 8))), "elbo")
        >>> [row.name for row in result.rows], result.undefined["rate"]
        (['distortion'], "its posterior 'delta' has no density")
    """

    main = "samples"

    def __init__(
        self, *, samples: Annotated[int, Doc("draws of the latents for each example"), Ge(1)] = 10
    ) -> None:
        self.samples = samples

    def measure(self, subject: Subject) -> Iterator[Row | Undefined]:
        model = subject.model
        reason, without_bits = model.missing_densities(), no_bits(model)
        without_latents = "" if model.has_latents else "this model has no latents"

        def of_batch(start: int, given: GivenModel, x: Tensor, batch: Batch) -> dict[str, Tensor]:
            values = self._terms(given, x, bound=not reason)
            if not without_bits:
                bound, y = values["elbo"], spread(model, batch.x, x)
                if y is not x:
                    bound = self._terms(given, y, bound=True)["elbo"]
                values["bits_per_dim"] = bits_per_dim(bound, model.data.size, model.observations.cell or 1.0)
            return {name: value.cpu().double() for name, value in values.items()}

        parts: dict[str, list[Tensor]] = {}
        for values in subject.over_batches("likelihood", of_batch):
            for name, value in values.items():
                parts.setdefault(name, []).append(value)
        given_too, given_detail = given_exposure(model)
        for name, (definition, better) in _DEFINITIONS.items():
            if name in parts:
                unit = "bits" if name == "bits_per_dim" else "nats"
                # The rate is a divergence of latents, and given nothing.
                also, detail = ("", {}) if name == "rate" else (given_too, given_detail)
                details = {"samples": self.samples, **detail}
                if name == "elbo" and model.exact:
                    definition = "log p(x), of which the ELBO of other models is a lower bound"
                yield mean_row(name, torch.cat(parts[name]), unit, definition + also, better, details)
            else:
                yield Undefined(name, reason or without_latents or without_bits)

    def _terms(self, model: GivenModel, x: Tensor, *, bound: bool) -> dict[str, Tensor]:
        """``(B,)`` each: distortion, and rate and ELBO where all parts have densities."""
        if not model.has_latents:
            return {"elbo": model.log_weights(x, self.samples).mean(0)} if bound else {}
        q = model.encode(x)
        draws = [q.rsample() for _ in range(self.samples)]
        distortion = distortion_of(model, x, draws)
        if not bound:
            return {"distortion": distortion}
        rate = rate_of(model, q, draws)
        return {"elbo": -(distortion + rate), "rate": rate, "distortion": distortion}


def distortion_of(model: GivenModel, x: Tensor, draws: Sequence[Tensor]) -> Tensor:
    """``-E_q[log p(x|z)]`` from draws, :func:`draws_at_once` to keep memory at that of a training step; ``(B,)``, nats."""
    together = draws_at_once(model, x)
    if together == 1:
        return -torch.stack([log_likelihood(model, z, x) for z in draws]).mean(0)
    parts = [torch.stack(list(draws[i : i + together])) for i in range(0, len(draws), together)]
    return -torch.cat([model.decode(part).log_prob(x) for part in parts]).mean(0)


def rate_of(model: GivenModel, q: Distribution, draws: Sequence[Tensor]) -> Tensor:
    """``KL(q(z|x) ‖ p(z))`` in closed form where one is known, else from the draws; ``(B,)``, nats."""
    p = model.prior()
    try:
        return kl_divergence(q, p)
    except NotImplementedError:
        return torch.stack([q.log_prob(z) - p.log_prob(z) for z in draws]).mean(0)
