"""Numbers that no model can have: a rate below zero, and data with probabilities above one."""

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from genmod.defaults import BOUNDS
from genmod.errors import GenmodError
from genmod.interfaces.model import GenerativeModel
from genmod.model.latent_variable import LatentVariableModel

__all__ = ["ImpossibleError", "impossible", "impossible_rate", "limits_of"]


class ImpossibleError(GenmodError):
    """A model reports numbers that no model can have, so that a component computes them wrongly."""


_LOG_ODDS = 40.0
"""Nats: an event of probability e⁻⁴⁰ does not happen."""
_ROUNDING = 0.01
"""Nats: largest rounding error of an example."""

Limits = Mapping[str, tuple[int, str]]
"""Name of a number → the sign with which its mean is at most zero, see :func:`impossible`, and its components."""


def limits_of(model: GenerativeModel) -> Limits:
    """The values of an objective that have a limit, and the components that compute them.

    A rate is not below 0, where it is a KL; log-probabilities of discrete data, and bounds on them, are not above.
    """
    if not isinstance(model, LatentVariableModel):
        of, named = model.observations, model.spec.components.get("model")
        if of is None or not of.support.is_discrete:
            return {}
        return dict.fromkeys(BOUNDS, (1, f"model {named.name if named else type(model).__name__!r}"))
    names = {kind: f"{kind} {part.name!r}" for kind, part in model.spec.components.items()}
    q, p, likelihood = (names.get(kind, kind) for kind in ("posterior", "prior", "decoder"))
    found: dict[str, tuple[int, str]] = {}
    objective = model.objective
    if model.divergence.is_kl if objective.uses_divergence else objective.needs_densities:
        found["rate"] = (-1, f"{q} or {p}")
    if model.decoder.is_density and model.decoder.support.is_discrete:
        found["distortion"] = (-1, likelihood)
        found |= dict.fromkeys(BOUNDS, (1, f"{q}, {p} or {likelihood}"))
    return found


def impossible(limits: Limits, name: str, values: npt.NDArray[np.floating]) -> str:
    """Why values of examples are impossible; empty where they are not.

    Estimates may be on the wrong side of their limit, but not far. Where ``E[exp(v)] ≤ 1``, as of ``v = log p(z) - log q(z)``
    for a draw of ``q``, and of the log of any unbiased estimate of a probability, ``P(Σ v ≥ t) ≤ exp(-t)``.

    Args:
        limits: as :func:`limits_of` has them.
        name: of the values.
        values: of examples, drawn independently, ``(n,)``, nats.

    Example:
        >>> impossible({"rate": (-1, "posterior 'x'")}, "rate", np.full(100, -2.0))
        "the rate of posterior 'x' is -2 ± 0 nats over 100 examples, and cannot be negative"
        >>> impossible({"rate": (-1, "posterior 'x'")}, "rate", np.array([-2.0, 3.0]))
        ''
    """
    if name not in limits:
        return ""
    sign, who = limits[name]
    if not impossible_rate(-sign * values):
        return ""
    mean, error = float(values.mean()), float(values.std() / math.sqrt(len(values)))
    what = f"the {name} of {who} is {mean:.4g} ± {error:.2g} nats over {len(values):,} examples"
    return f"{what}, and cannot be {'negative' if sign < 0 else 'positive: these are probabilities'}"


def impossible_rate(rates: npt.NDArray[np.floating]) -> bool:
    """Whether estimates of a KL, one for each example, are impossibly far below zero.

    Example:
        >>> impossible_rate(np.full(1000, -0.5)), impossible_rate(np.linspace(-1, 1, 1000))
        (True, False)
    """
    if not len(rates) or rates.sum() >= -_LOG_ODDS:
        return False
    error = rates.std() / math.sqrt(len(rates))
    return bool(rates.mean() < -4 * error - _ROUNDING)
