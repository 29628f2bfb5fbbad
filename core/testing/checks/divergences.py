"""Laws for divergences, over every pair of a posterior and a prior that they accept."""

from collections.abc import Iterator
from contextlib import suppress

import torch
from torch import Tensor
from torch.distributions import Distribution, kl_divergence

from genmod.distributions.support import Space
from genmod.errors import UndefinedError, UsageError
from genmod.evaluation.significance import reach
from genmod.interfaces.divergence import Divergence
from genmod.testing.case import Case, NotApplicable, whole
from genmod.testing.check import check_for, expect, expect_close, expect_shape, listed

__all__: list[str] = []

_BATCH = 3
_DRAWS = 20_000
_REPEATS = 40
_SIGMAS = 5.0
_EXACT = 1e-6


def _pairs(case: Case, divergence: Divergence | None) -> Iterator[tuple[Distribution, Distribution, str]]:
    """``q (3,)`` and ``p ()`` in double precision, and which classes made them."""
    for latent in ((2,), (1,)):
        try:
            for q_of, p_of in case.pairs(divergence, latent):
                features = torch.randn(_BATCH, 7, dtype=torch.float64)
                for part in (q_of, p_of):
                    whole(part).double().eval()
                made_by = f"{type(q_of).__name__} and {type(p_of).__name__}, latents {latent}"
                yield q_of(features), p_of(), made_by
        except NotApplicable:
            # Some need two dimensions.
            if latent == (2,):
                raise


def _monte_carlo_kl(q: Distribution, p: Distribution) -> tuple[Tensor, Tensor]:
    """``E_q[log q - log p]`` and its standard error, each ``(B,)``."""
    z = q.sample((_DRAWS,))
    ratios = q.log_prob(z) - p.log_prob(z)
    return ratios.mean(0), ratios.std(0) / _DRAWS**0.5


def _expected(part: Divergence, q: Distribution, p: Distribution, draws: int = 100) -> tuple[Tensor, Tensor]:
    """Expected value of a divergence and its standard error, each ``(B,)``; an exact one has none."""
    # In training a prior may stand in for its log-density with a bound, so that the divergence is one, too.
    part.train(not hasattr(p, "log_prob_estimate"))
    first, second = part(q, p, q.sample((draws,))), part(q, p, q.sample((draws,)))
    if torch.equal(first, second):
        return first, torch.zeros_like(first)
    values = torch.stack([part(q, p, q.sample((draws,))) for _ in range(_REPEATS)])
    return values.mean(0), values.std(0) / _REPEATS**0.5


def _of_examples(case: Case) -> Divergence:
    """The divergence, unless it has statistics of a batch, whose laws would need many batches."""
    part: Divergence = case.build().double()
    if part.batch_statistics != "none":
        raise NotApplicable(f"it declares batch_statistics = {part.batch_statistics!r}")
    return part


@check_for(
    "posterior",
    "prior",
    remedy="mind the ½, and sum over event dimensions, never over the batch, in register_kl",
)
@torch.no_grad()
def check_closed_form_kl(case: Case) -> None:
    """Every closed-form KL that torch knows for this component agrees with a Monte-Carlo estimate."""
    compared = 0
    for q, p, made_by in _pairs(case, None):
        try:
            closed = kl_divergence(q, p)
        except NotImplementedError:
            continue
        compared += 1
        estimate, error = _monte_carlo_kl(q, p)
        expect_shape(closed, (_BATCH,), "the closed form")
        off = ((closed - estimate).abs() - _SIGMAS * error - _EXACT).max()
        expect(
            off <= 0,
            f"{made_by}: closed form {listed(closed)}; from {_DRAWS:,} draws {listed(estimate)} ± {listed(error)}",
        )
        with suppress(NotImplementedError):
            own = float(kl_divergence(q, q).abs().max())
            expect(own < _EXACT, f"{made_by}: the closed form of q from itself is {own:.4g}, not 0")
    if not compared:
        raise NotApplicable("torch knows no closed form for it")


@check_for(
    "divergence",
    remedy="take log q - log p, averaged over the draws; set is_kl only where that is the expectation",
)
@torch.no_grad()
def check_kl(case: Case) -> None:
    """A divergence with ``is_kl`` is, in expectation, ``E_q[log q - log p]``."""
    part = case.build().double()
    if not part.is_kl:
        raise NotApplicable("it declares is_kl = False")
    for q, p, made_by in _pairs(case, part):
        mean, error = _expected(part, q, p)
        estimate, spread = _monte_carlo_kl(q, p)
        off = ((mean - estimate).abs() - _SIGMAS * (error**2 + spread**2).sqrt() - _EXACT).max()
        expect(
            off <= 0,
            f"{made_by}: expected value {listed(mean)} ± {listed(error)}; "
            f"the KL is {listed(estimate)} ± {listed(spread)}",
        )


@check_for("divergence", remedy="check signs, and which of q and p comes first")
@torch.no_grad()
def check_not_negative(case: Case) -> None:
    """It is not negative, in expectation."""
    part = _of_examples(case)
    for q, p, made_by in _pairs(case, part):
        mean, error = _expected(part, q, p)
        expect(
            (mean >= -_SIGMAS * error - _EXACT).all(),
            f"{made_by}: expected value {listed(mean)} ± {listed(error)}",
        )


@check_for(
    "divergence",
    remedy="subtract what remains where q = p: a constant, an entropy, or the bias of the estimate",
)
@torch.no_grad()
def check_zero_at_equality(case: Case) -> None:
    """It is zero, in expectation, where both distributions are the same."""
    part = _of_examples(case)
    compared = 0
    for _, p, made_by in _pairs(case, part):
        try:
            q = p.expand(torch.Size((_BATCH,)))
            part.check(q, p)
        except (NotImplementedError, UsageError):
            continue
        try:
            mean, error = _expected(part, q, p)
        except NotImplementedError:
            # It may draw more, with a gradient, which a prior need not offer.
            if q.has_rsample:
                raise
            continue
        compared += 1
        expect(
            (mean.abs() <= _SIGMAS * error + _EXACT).all(),
            f"{made_by}: where q is made equal to p it is {listed(mean)} ± {listed(error)}",
        )
    if not compared:
        raise NotApplicable("no prior that it works for can be expanded to a batch")


@check_for("divergence", remedy="average over the first dimension of z, never sum")
@torch.no_grad()
def check_number_of_draws(case: Case) -> None:
    """More draws change the noise, not the expectation."""
    part = case.build().double()
    for q, p, made_by in _pairs(case, part):
        few, few_error = _expected(part, q, p, 2)
        many, many_error = _expected(part, q, p, 100)
        error = (few_error**2 + many_error**2).sqrt()
        off = ((few - many).abs() - reach(_SIGMAS, _REPEATS - 1) * error - _EXACT).max()
        expect(
            off <= 0,
            f"{made_by}: 2 draws give {listed(few)} ± {listed(few_error)}, 100 give {listed(many)} ± {listed(many_error)}",
        )


@check_for(
    "divergence",
    remedy="return the parts before they are summed, (B, *latent_shape), or leave by_dimension out",
)
@torch.no_grad()
def check_by_dimension(case: Case) -> None:
    """The parts by dimension, where they are defined, add up to the whole."""
    part = case.build().double()
    compared = 0
    for q, p, made_by in _pairs(case, part):
        z = q.sample((5,))
        try:
            parts = part.by_dimension(q, p, z)
        except UndefinedError:
            continue
        compared += 1
        units = Space(q.support, tuple(q.event_shape)).units
        vectors = any(unit.size > 1 for unit in units)
        wanted = (_BATCH, len(units)) if vectors else (_BATCH, *q.event_shape)
        expect_shape(parts, wanted, "by_dimension")
        expect_close(parts.flatten(1).sum(1), part(q, p, z), f"{made_by}: sum of the parts, and the whole")
    if not compared:
        raise NotApplicable("it does not decompose into dimensions")
