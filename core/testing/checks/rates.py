"""Laws for rates at extreme features: KLs from draws against closed forms and quadrature."""

from collections.abc import Iterator
from contextlib import suppress
from itertools import islice, product
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Distribution, constraints, kl_divergence

from genmod.distributions.coordinates import coordinates
from genmod.errors import GenmodError
from genmod.options.schedule import Schedule
from genmod.options.schema import options_of
from genmod.testing.case import BATCH, Case, NotApplicable, whole
from genmod.testing.check import check_for, expect, listed
from genmod.testing.inputs import examples
from genmod.testing.quadrature import grid
from genmod.testing.reference import ReferencePosterior

__all__: list[str] = []

_BATCH, _DRAWS = 3, 1000
_SIZES = (1.0, 30.0, 1000.0)
"""Times the usual size of features."""
_LATENTS = ((1,), (2,), (16,))
_PAIRS = 2
"""Counterparts of each setting, at most."""
_FACTOR = 0.2
"""Numbers among the options are also tried with this factor."""
_PARAMETERS = (1.0, 30.0, 1e4)
"""Times the usual size of a network's output."""
_NEAR, _MASS = 1e-3, 5e-3
"""Error that rounding in single precision, and that a quadrature, may have."""


def _settings(case: Case) -> Iterator[Case]:
    """The component with its options, and with each of its positive numbers smaller."""
    yield case
    for option in options_of(case.cls):
        if option.name not in case.options and isinstance(option.default, float | Schedule):
            smaller = _FACTOR * float(option.default)
            if smaller > 0:
                yield case.with_options({**case.options, option.name: smaller})


def _pairs(case: Case) -> Iterator[tuple[Any, Any]]:
    """Posteriors and priors on one support, at several settings, with one latent and with many."""
    found = False
    for setting, latent in product(_settings(case), _LATENTS):
        with suppress(GenmodError, NotApplicable):
            others = (p for p in setting.pairs(None, latent) if not isinstance(p[0], ReferencePosterior))
            for pair in islice(others, _PAIRS):
                found = True
                yield pair
    if not found:
        raise NotApplicable("there is no posterior and prior with densities on one support")


@check_for(
    "posterior",
    "prior",
    remedy="let draws keep their logits or logarithms (genmod.distributions) and evaluate densities there, never at a "
    "clamp; if the KL is your own, mend its formula",
)
@torch.no_grad()
def check_rates(case: Case) -> None:
    """Rates by draws agree with closed forms and quadrature at features of any size, and are not negative."""
    for q_of, p_of in _pairs(case):
        if q_of.support is not None and q_of.support.is_discrete:
            raise NotApplicable("its support is discrete: draws are not rounded")
        for size in _SIZES:
            where = f"{type(q_of).__name__} and {type(p_of).__name__}, latents {q_of.latent_shape}, features × {size:g}"
            features = size * torch.randn(_BATCH, 7)
            _to(torch.float32, q_of, p_of)
            q, p = q_of(features), p_of()
            rate, error = _estimate(q, p, q.sample((_DRAWS,)))
            # The other way round, draws of the prior are looked at.
            draws = p.sample((_DRAWS,)).unsqueeze(1)
            back, back_error = _estimate(p, q, draws.expand(_DRAWS, _BATCH, *draws.shape[2:]))
            for name, mean, spread in (("KL(q‖p)", rate, error), ("KL(p‖q)", back, back_error)):
                # Where a draw has density zero under the other one, the KL is rightly infinite.
                right = (mean >= -4 * spread - _NEAR) | mean.isposinf()
                expect(
                    right.all(),
                    f"{where}: {name} is {listed(mean)} ± {listed(spread)} by {_DRAWS:,} draws",
                )
            _to(torch.float64, q_of, p_of)
            for i in range(_BATCH):
                value = _known(q_of(features[i : i + 1].double()), p_of(), q_of.support, where)
                if value is not None and rate[i].isfinite():
                    right = abs(rate[i] - value) <= 5 * error[i] + _NEAR * (1 + abs(value))
                    given = f"{rate[i]:.5g} ± {error[i]:.2g} by {_DRAWS:,} draws"
                    expect(right, f"{where}: KL(q‖p) is {value:.5g}, and {given}")


def _to(dtype: torch.dtype, *parts: torch.nn.Module) -> None:
    for part in parts:
        whole(part).to(dtype).eval()


def _estimate(q: Distribution, p: Distribution, z: Tensor) -> tuple[Tensor, Tensor]:
    """``E_q[log q - log p]`` and its standard error, ``(B,)`` each."""
    ratios = (q.log_prob(z) - p.log_prob(z)).double()
    return ratios.mean(0), ratios.std(0) / _DRAWS**0.5


def _known(q: Distribution, p: Distribution, support: Any, where: str) -> float | None:
    """``KL(q ‖ p)`` of a batch of one: in closed form, or by quadrature where it is over one number."""
    with suppress(NotImplementedError):
        return float(kl_divergence(q, p))
    points = _points(support, q.sample((_DRAWS,))[:, 0])
    if points is None:
        return None
    z, log_weights = points
    log_q, log_p = q.log_prob(z[:, None])[:, 0], p.log_prob(z)
    mass = (log_q + log_weights).exp()
    total = float(mass.sum())
    # Where half of the points say something else, the density has spikes that lie between them.
    if abs(2 * float(mass[::2].sum()) - total) > _MASS:
        return None
    expect(abs(total - 1) < _MASS, f"{where}: the density of q integrates to {total:.6g}, not 1")
    return float(torch.where(mass > 0, mass * (log_q - log_p), 0.0).sum())


def _points(support: Any, draws: Tensor) -> tuple[Tensor, Tensor] | None:
    """Points and log-weights, in coordinates that cover the support; None in many dimensions."""
    try:
        chart = coordinates(support)
    except NotImplementedError:
        made = grid(support, draws)
        return made and (made[0], made[1].log())
    u = chart.back(draws)
    made = grid(constraints.independent(constraints.real, u.dim() - 1), u) if u[0].numel() == 1 else None
    if made is None:
        return None
    z, log_det = chart.forward(made[0])
    return z, made[1].log() + log_det


@check_for(
    "decoder",
    remedy="compute log-probabilities from logits, so that those of all values add up to one wherever they are",
)
@torch.no_grad()
def check_probabilities(case: Case) -> None:
    """No value of discrete data has a probability above one, whatever the parameters."""
    checked = False
    for part, (info,) in case.accepted():
        if not (part.is_density and part.support.is_discrete):
            continue
        checked = True
        for size in _PARAMETERS:
            likelihood = part(size * torch.randn(BATCH, *part.parameter_shape))
            for x in (part.observe(examples(info, BATCH)), likelihood.sample()):
                highest = float(likelihood.log_prob(x).max())
                expect(
                    highest <= 1e-6 * info.size,
                    f"data {info.shape}, parameters × {size:g}: log p(x|z) is {highest:.4g}, and cannot be above 0",
                )
    if not checked:
        raise NotApplicable("its data are not discrete")
