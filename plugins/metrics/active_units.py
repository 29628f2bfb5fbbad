"""Active units: the latents that depend on the example."""

from collections.abc import Iterator
from typing import Annotated, final

import torch
from annotated_types import Gt
from torch import Tensor

from genmod import Doc, Metric, Row, Subject, Undefined, UndefinedError
from genmod.distributions import Unit
from genmod.plugins.metrics._resampling import resamples

__all__ = ["ActiveUnits", "Spread", "spread_of_means"]

_DRAWS = 50


@final
class ActiveUnits(Metric):
    """The number of latents whose posterior mean varies with the example.

    ``Σ_d [Var_x(E_q(z|x)[z_d]) > threshold]``

    The threshold is meant for latents of variance 1 under the prior. Of categorical latents each variable is one unit, and
    the variances of its probabilities are added up. Where the mean of a posterior has no formula, it is estimated from 50
    draws, and their sampling variance is subtracted. The standard error is by resampling the examples.

    Reference:
        Importance Weighted Autoencoders (Burda et al., 2015), arXiv:1509.00519, section 5.2

    Example:
        >>> from genmod import Batch, TensorSplit, build, evaluate
        >>> split = TensorSplit(Batch(torch.zeros(8, 1, 8, 8)))
        >>> evaluate(build(encoder="mlp"), split, {"name": "active-units"})["active_units"].value
        0.0
    """

    main = "threshold"

    def __init__(
        self, *, threshold: Annotated[float, Gt(0), Doc("variance from which a unit counts as active")] = 0.01
    ) -> None:
        self.threshold = threshold

    def measure(self, subject: Subject) -> Iterator[Row | Undefined]:
        model = subject.model
        if not model.prior.has_density:
            name = model.spec.components["prior"].name
            raise UndefinedError(
                f"its prior {name!r} gives the latents no scale by which a variance is small"
            )
        found = spread_of_means(subject, "active units")
        active = found.variances > self.threshold
        labels = [
            unit.label for unit, is_active in zip(found.units, active.tolist(), strict=True) if is_active
        ]
        yield Row(
            "active_units",
            float(active.sum()),
            found.resampled(subject, "active units").gt(self.threshold).sum(1).double().std().item(),
            found.n,
            "",
            f"latents with Var_x(E_q[z]) > {self.threshold:g}",
            details={
                "of": len(found.units),
                "threshold": self.threshold,
                **({"units": labels} if labels else {}),
                "variances": found.variances.tolist(),
            },
        )


class Spread:
    """How much the posterior means of units vary with the example.

    Args:
        units: of the latents.
        means: posterior means of flattened latents, ``(N, L)`` float64.
        squares: their squares, less their bias where means are estimated, ``(N, L)``.
    """

    def __init__(self, units: list[Unit], means: Tensor, squares: Tensor) -> None:
        self.units, self.means, self.squares = units, means, squares
        self.n = len(means)
        self._places = torch.tensor([i for i, unit in enumerate(units) for _ in range(unit.size)])
        self.variances = self._variances(torch.full((1, self.n), 1 / self.n, dtype=torch.float64))[0]

    def resampled(self, subject: Subject, stream: str) -> Tensor:
        """Variances of examples that are drawn again with replacement, ``(200, units)``."""
        return self._variances(resamples(subject, stream, self.n) / self.n)

    def _variances(self, weights: Tensor) -> Tensor:
        """``weights (R, N) → (R, units)``."""
        # Moments around the mean of all, so that a far mean costs no digits.
        centre = self.means.mean(0)
        first = weights @ (self.means - centre)
        second = weights @ (self.squares - 2 * self.means * centre + centre.square())
        each = (second - first.square()) * (self.n / (self.n - 1))
        found = each.new_zeros(len(weights), len(self.units))
        return found.index_add_(1, self._places, each)


def spread_of_means(subject: Subject, stream: str) -> Spread:
    """Posterior means of the examples, estimated where they have no formula.

    Raises:
        UndefinedError: there are fewer than two examples.
    """
    model = subject.model
    if len(subject.split) < 2:
        raise UndefinedError("it needs two examples or more")
    means, squares = [], []
    for given, x, _ in subject.batches(stream):
        with torch.no_grad():
            q = given.encode(x)
            try:
                mean = q.mean.flatten(1).double()
                square = mean.square()
            except NotImplementedError:
                draws = torch.stack([q.sample().flatten(1).double() for _ in range(_DRAWS)])
                mean = draws.mean(0)
                square = mean.square() - draws.var(0) / _DRAWS
        means.append(mean.cpu())
        squares.append(square.cpu())
    found = model.space.units
    return Spread(found, torch.cat(means), torch.cat(squares))
