"""The KL of the posterior from the prior, unit by unit of the latents."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import Distribution

from genmod import Subject, UndefinedError
from genmod.distributions import Space, by_variable, known_kl, parts_of

__all__ = ["Rates", "rates_by_unit"]


@dataclass(frozen=True)
class Rates:
    """KLs of the units of latents.

    Args:
        labels: of the units.
        values: of each example and unit, ``(N, units)`` float64, nats.
        reason: why some units have no KL of their own; empty where each has.
    """

    labels: list[str]
    values: Tensor
    reason: str


def rates_by_unit(subject: Subject, stream: str, samples: int) -> Rates:
    """The KL of the posterior from the prior, unit by unit; exact where a closed form is known, else estimated.

    Args:
        subject: what is measured.
        stream: of random numbers.
        samples: draws for the estimates.

    Raises:
        UndefinedError: posterior or prior have no density.
    """
    model = subject.model
    for kind, part in (("posterior", model.posterior), ("prior", model.prior)):
        if not part.has_density:
            raise UndefinedError(f"its {kind} {model.spec.components[kind].name!r} has no density")
    labels: list[str] = []
    pieces, reason = [], ""
    for given, x, _ in subject.batches(stream):
        with torch.no_grad():
            q, p = given.encode(x), given.prior()
            labels, found, reason = _split(q, p, q.sample((samples,)))
        pieces.append(found.cpu().double())
    return Rates(labels, torch.cat(pieces), reason)


def _split(q: Distribution, p: Distribution, z: Tensor) -> tuple[list[str], Tensor, str]:
    """Labels, KLs ``(B, units)``, and the reason why latents do not factorise; ``z (K, B, *event_shape)``."""
    labels, found, reason = [], [], ""
    parts = parts_of(q, p, z)
    for i, (a, b, draws) in enumerate(parts):
        try:
            values = by_variable(known_kl, a, b, draws).flatten(1)
            names = [unit.label for unit in Space(a.support, tuple(a.event_shape)).units]
        except UndefinedError as error:
            names, values, reason = ["all"], known_kl(a, b, draws)[:, None], reason or error.message
        labels += [f"{i}.{name}" for name in names] if len(parts) > 1 else names
        found.append(values)
    return labels, torch.cat(found, 1), reason
