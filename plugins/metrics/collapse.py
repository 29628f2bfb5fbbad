"""A diagnosis of the latents, with options to try."""

import inspect
import math
from collections.abc import Iterator
from typing import Annotated, final

import torch
from annotated_types import Gt
from torch import Tensor
from torch.distributions import Distribution

from genmod import Doc, LatentVariableModel, Metric, Row, Schedule, Subject, Undefined, UndefinedError
from genmod.evaluation import impossible_rate
from genmod.plugins.metrics._resampling import resamples
from genmod.plugins.metrics._units import rates_by_unit
from genmod.plugins.metrics.active_units import spread_of_means
from genmod.plugins.metrics.codebook import uses
from genmod.system import seeded

__all__ = ["Collapse"]

_SHARP = 5.0
"""Nats of one latent number from which its posterior is almost a point: a hundredth as wide as the prior or less."""
_ACTIVE = 0.01
_DEAD = 0.01
_NAMES = 8


@final
class Collapse(Metric):
    """Which latents hold no information about the example, and a diagnosis of the latents in words.

    ``Σ_d [E_x KL(q(z_d|x) ‖ p(z_d)) < rate]``, the number of units whose posterior is the prior

    It warns of the following, each with options to try:

    - posterior collapse: all units are collapsed, or most of them, or all of them together hold less than a bit;
    - rate without information: units that cost nats, but have the same posterior for every example;
    - collapse of the variance: posteriors that are almost points, a hundredth as wide as the prior;
    - codes that lie elsewhere than the prior, whose draws then are latents that the decoder was not trained on;
    - dead codes of discrete latents.

    Where rates are negative, which no KL is, it warns of that alone: the densities are computed wrongly.

    Reference:
        Don't Blame the ELBO! A Linear VAE Perspective on Posterior Collapse (Lucas et al., 2019), arXiv:1911.02469;
        Generating Sentences from a Continuous Space (Bowman et al., 2015), arXiv:1511.06349, for the warm-up;
        Improved Variational Inference with Inverse Autoregressive Flow (Kingma et al., 2016), arXiv:1606.04934, for
        free bits

    Example:
        >>> from genmod import Batch, TensorSplit, build, evaluate
        >>> split = TensorSplit(Batch(torch.rand(8, 1, 8, 8)))
        >>> evaluate(build(encoder="mlp", latent=4), split, "collapse")["collapsed_units"].details["of"]
        4
    """

    main = "rate"

    def __init__(
        self, *, rate: Annotated[float, Gt(0), Doc("nats below which a unit counts as collapsed")] = 0.01
    ) -> None:
        self.rate = rate

    def measure(self, subject: Subject) -> Iterator[Row | Undefined]:
        if len(subject.split) < 2:
            raise UndefinedError("it needs two examples or more")
        rates = rates_by_unit(subject, "collapse", 10)
        means, n = rates.values.mean(0), len(rates.values)
        wrong = torch.tensor([impossible_rate(unit) for unit in rates.values.T.numpy()])
        collapsed = (means < self.rate) & ~wrong
        gone = int(collapsed.sum())
        again = (resamples(subject, "collapse", n) / n @ rates.values < self.rate).sum(1)
        if wrong.any() or impossible_rate(rates.values.sum(1).numpy()):
            found = {"impossible rates": _impossible(subject, rates.labels, means, wrong)}
        else:
            found = self._diagnosis(subject, rates.labels, means, collapsed)
        for text in found.values():
            subject.warn(text)
        yield Row(
            "collapsed_units",
            float(gone),
            again.double().std().item(),
            n,
            "",
            f"units of the latents with a mean KL(q(z_d|x) ‖ p(z_d)) below {self.rate:g} nats",
            details={
                "of": len(means),
                "rate": means.sum().item(),
                "diagnosis": ", ".join(found) or "healthy",
                "rates": means.tolist(),
                **({"units": _chosen(rates.labels, collapsed)} if gone else {}),
                **({"advice": list(found.values())} if found else {}),
            },
        )

    def _diagnosis(
        self, subject: Subject, labels: list[str], means: Tensor, collapsed: Tensor
    ) -> dict[str, str]:
        """What is wrong, by its name."""
        model, found = subject.model, {}
        total, of, gone = means.sum().item(), len(means), int(collapsed.sum())
        more = _for_more(model)
        if gone == of:
            found["posterior collapse"] = (
                f"posterior collapse: the rate is {total:.3g} nats in all, so the latents hold no information about the"
                f" example and the decoder ignores them; build it again with {more}"
            )
        elif gone > of / 2:
            found["partial collapse"] = (
                f"partial collapse: {gone} of {of} units of the latents hold no information ({_listed(labels, collapsed)}); the"
                f" model may need no more than {of - gone}, otherwise build it again with {more}"
            )
        if gone < of and total < math.log(2):
            found["little information"] = (
                f"little information: the rate is {total:.3g} nats in all, less than a bit, so the decoder hardly uses"
                f" the latents; build it again with {more}"
            )
        spread = spread_of_means(subject, "collapse/means")
        if len(spread.units) == of:
            idle = (spread.variances < _ACTIVE * 0.01) & ~collapsed
            if idle.any():
                found["rate without information"] = (
                    f"rate without information: {_listed(labels, idle)} cost {means[idle].sum().item():.3g} nats, but have"
                    f" the same mean for every example; {_for_less(model)}, or train longer"
                )
            numbers = torch.tensor([unit.size == 1 for unit in spread.units])
            sharp = numbers & (means > _SHARP)
            if sharp.any():
                found["collapse of the variance"] = (
                    f"collapse of the variance: the posterior of {_listed(labels, sharp)} is almost a point, so the model"
                    f" is close to an autoencoder, with gaps between the codes; {_for_less(model)}"
                )
        elsewhere = _elsewhere(subject)
        if elsewhere is not None and elsewhere.any():
            names = [unit.label for unit in model.space.units]
            found["codes far from the prior"] = (
                f"codes far from the prior: in {_listed(names, elsewhere)} they lie elsewhere, or far wider or narrower, so"
                f" that draws of the prior are unlike them; draw from a distribution that is fitted to them (genmod"
                f" fit-sampler --sampler gmm), or {_for_less(model)}"
            )
        try:
            dead = [use.dead(_DEAD) for use in uses(subject, "collapse/codes")]
        except UndefinedError:
            return found
        if any(dead):
            found["dead codes"] = (
                f"dead codes: {sum(map(len, dead))} classes of {sum(map(bool, dead))} of {len(dead)} discrete latents are"
                f" hardly ever used; choose fewer classes (--latent), or build it again with {more}"
            )
        return found


def _impossible(subject: Subject, labels: list[str], means: Tensor, wrong: Tensor) -> str:
    names = {kind: part.name for kind, part in subject.model.spec.components.items()}
    where = f"those of {_listed(labels, wrong)} are" if wrong.any() else "their sum is"
    return (
        f"impossible rates: {where} {means[wrong].sum().item() if wrong.any() else means.sum().item():.3g} nats, and no KL is"
        f" negative; posterior {names.get('posterior')!r} or prior {names.get('prior')!r} computes its density wrongly (genmod"
        f" check posterior/{names.get('posterior')})"
    )


def _elsewhere(subject: Subject) -> Tensor | None:
    """Which single numbers among the latents have another mean or width than under the prior, ``(L,)``.

    None where moments of the prior are not known, or are not those of single numbers in R^n.
    """
    model = subject.model
    if model.conditions is not None or any(unit.size > 1 for unit in model.space.units):
        return None
    p: Distribution = model.prior()
    try:
        mean, variance = p.mean.flatten().cpu().double(), p.variance.flatten().cpu().double()
    except NotImplementedError:
        return None
    draws = subject.codes().draws.flatten(1).double()
    ratio = draws.var(0) / variance
    return ((draws.mean(0) - mean).square() > variance) | (ratio > 4) | (ratio < 0.25)


def _for_more(model: LatentVariableModel) -> str:
    """Options by which a model that is trained again keeps more in its latents."""
    free_bits = getattr(model.objective, "free_bits", 0.0)
    options = inspect.signature(type(model.objective)).parameters
    beta, capacity = (getattr(model.objective, name, None) for name in ("beta", "capacity"))
    ways = []
    if isinstance(capacity, Schedule):
        ways.append(f"-s objective.capacity={2 * capacity.final:g} (more nats to aim at)")
    elif isinstance(beta, Schedule):
        if beta.final > 1:
            ways.append("-s objective.beta=1 (a lower weight of the rate)")
        else:
            ways.append(f"-s 'objective.beta=0->{beta.final:g} over 50%' (warm-up)")
            ways.append(f"-s objective.beta={beta.final / 2:g} (a lower weight of the rate)")
        if "free_bits" in options:
            group = "" if _has_dimensions(model) else " -s objective.free_bits_group=all"
            ways.append(f"-s objective.free_bits={2 * float(free_bits or 0.25):g}{group}")
    else:
        ways.append(f"{_elbo(model)} -s 'objective.beta=0->1 over 50%' (warm-up)")
    decoder = model.spec.components.get("decoder")
    if decoder is not None and isinstance(decoder.options.get("scale"), float | int):
        ways.append("-s decoder.scale=learned (a noise that is not too wide)")
    return ", or ".join(ways)


def _elbo(model: LatentVariableModel) -> str:
    """How to choose an objective whose rate has a weight."""
    return "--objective elbo" + ("" if model.divergence.needs_prior else " --divergence kl-mc")


def _has_dimensions(model: LatentVariableModel) -> bool:
    """Whether the divergence is a sum over single latents."""
    features = torch.zeros(1, *model.encoder.feature_shape, device=model.device, dtype=model.dtype)
    q = model.posterior(features)
    with seeded(0):
        z = q.sample((1,))
    try:
        model.divergence.by_dimension(q, model.prior(), z)
    except UndefinedError:
        return False
    return True


def _for_less(model: LatentVariableModel) -> str:
    """Options by which a model that is trained again stays nearer to its prior."""
    beta, capacity = (getattr(model.objective, name, None) for name in ("beta", "capacity"))
    if isinstance(capacity, Schedule):
        return f"build it again with -s objective.capacity={capacity.final / 2:g}"
    if not isinstance(beta, Schedule):
        return f"build it again with {_elbo(model)} -s objective.beta=4"
    return f"build it again with -s objective.beta={max(4 * beta.final, 1):g}"


def _chosen(labels: list[str], mask: Tensor) -> list[str]:
    return [label for label, is_one in zip(labels, mask.tolist(), strict=True) if is_one]


def _listed(labels: list[str], mask: Tensor) -> str:
    names = _chosen(labels, mask)
    more = f" and {len(names) - _NAMES} more" if len(names) > _NAMES else ""
    return f"unit{'s' * (len(names) > 1)} {'; '.join(names[:_NAMES])}{more}"
