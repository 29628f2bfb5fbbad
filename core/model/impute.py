"""Missing values of any number of examples, filled in block by block by draws of ``p(x_missing|x_observed)``."""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace

import torch
from torch import Tensor
from torch.distributions import Distribution, Independent

from genmod.data.dataset import DataInfo, Split
from genmod.data.missing import stand_in
from genmod.data.suited import suited
from genmod.defaults import NORMAL_LATENTS
from genmod.distributions.marginal import Marginal
from genmod.distributions.point import PointMass
from genmod.errors import UndefinedError, UsageError
from genmod.interfaces.given import GivenModel, WholeModel
from genmod.model.evaluating import evaluating
from genmod.model.pieces import examples_at_once
from genmod.system.noise import drawn_on_cpu
from genmod.system.random import seed_for, seeded

__all__ = ["impute_blocks", "with_gaps"]

_PROPOSALS = 200
"""Draws of the latents from which those of the posterior are chosen by their weights."""
_STEPS = 100
"""Steps of a chain before its state counts as a draw."""
_VOTES = 101
"""Draws of which the most frequent category is taken where a mean is asked for."""
_AT_ONCE = 2**24
"""Parameters of likelihoods that are held at a time."""


Chains = Callable[[int], GivenModel]
"""The model, given the context of all examples so many times over."""


def with_gaps(info: DataInfo) -> DataInfo:
    """The description of data such as a model's in which values may be missing."""
    return replace(info, missing=True)


def impute_blocks(
    model: WholeModel, split: Split, *, draws: int = 1, mean: bool = False, seed: int = 0
) -> Iterator[dict[str, Tensor]]:
    """The examples of a split in their order with missing values filled in, block by block, on the CPU.

    ``x_missing ~ p(x_missing|x_observed) = ∫ p(x_missing|z) p(z|x_observed) dz``

    A model that was built for missing values encodes what is there: of 200 draws ``z ~ q(z|x_observed)`` some are chosen by
    their weights ``p(x_observed|z) p(z) / q(z|x_observed)``. For any other, a chain of 100 steps is run for each draw. A step
    proposes latents from ``q(z|x)`` of the filled example, accepts them as Metropolis and Hastings do, and draws the missing
    values from ``p(x_missing|z)``. What was observed is unchanged. The mode of the model and the global random state are
    left as they were.

    Args:
        model: one with densities, whose decoder has independent values.
        split: the examples, NaN where a value is missing.
        draws: of each example.
        mean: fill in ``E[x_missing|x_observed]`` in place of draws, and of categories the most frequent of about 100 draws.
        seed: of the draws.

    Yields:
        ``x (B, *data.shape)``, or ``(B, K, *data.shape)`` of several draws, float.

    Raises:
        UsageError: there are no examples.
        UndefinedError: a part of the model has no density, the posterior has one point, or values of the decoder depend on
            each other.
        DataError: the examples do not suit the model.

    Reference:
        MIWAE: Deep Generative Modelling and Imputation of Incomplete Data Sets (Mattei and Frellsen, 2019),
        arXiv:1812.02633, for choosing by weight; Leveraging the Exact Likelihood of Deep Latent Variable Models (Mattei and
        Frellsen, 2018), arXiv:1802.04826, for the chain

    Example:
        >>> import genmod
        >>> model = genmod.build(encoder="mlp", latent=2)
        >>> x = torch.tensor([1.0, float("nan")]).repeat(3, 1, 8, 4)
        >>> [block["x"].isnan().any().item() for block in impute_blocks(model, genmod.TensorSplit(genmod.Batch(x)))]
        [False]
    """
    model.require_densities("distribution of missing values")
    if model.decoder.exposure:
        raise UndefinedError(f"the {model.decoder.exposure} of an example with missing values is not known")
    split, size = suited(split, with_gaps(model.data), model.spec.condition), examples_at_once(model)
    if not len(split):
        raise UsageError("there are no examples to fill in", hint="choose data that have some")
    count = 1 if mean else draws
    for start in range(0, len(split), size):
        batch = split.__getitems__(range(start, min(start + size, len(split))))
        values = model.data.values(batch.x.to(model.device), model.dtype)
        filled = values[:, None].repeat(1, count, *[1] * (values.dim() - 1))
        some = values.isnan().flatten(1).any(1)
        if some.any():
            context = model.context(batch)
            given = _for_chains(model, None if context is None else context[some.cpu()])
            with evaluating(model), seeded(seed_for(seed, "impute", start)), drawn_on_cpu(model.device):
                found = _filled_in(model, given, values[some], count, mean=mean)
            gone = values[some].isnan()[:, None]
            filled[some] = torch.where(gone, _allowed(found.transpose(0, 1), model.data), filled[some])
        yield {"x": (filled if count > 1 else filled[:, 0]).cpu()}


def _for_chains(model: WholeModel, context: Tensor | None) -> Chains:
    return lambda count: model.given(None if context is None else context.repeat(count, 1))


def _filled_in(model: WholeModel, given: Chains, x: Tensor, draws: int, *, mean: bool) -> Tensor:
    """Draws or the mean of all values, given those of ``x (B, *data.shape)`` that are not NaN; ``(K, B, *data.shape)``."""
    x = _observed(model, x)
    coded = [i for i, column in enumerate(model.data.modelled) if column.coded]
    fill = _by_weight if model.data.missing else _by_chain
    drawn, average = fill(given, x, draws, coded)
    return average[None] if mean else drawn


def _observed(model: WholeModel, x: Tensor) -> Tensor:
    """Values as the decoder observes them, NaN where they are missing."""
    seen = ~x.isnan()
    whole = model.decoder.observe(torch.where(seen, x, stand_in(with_gaps(model.data))))
    return torch.where(seen, whole, torch.nan)


def _by_weight(given_for: Chains, x: Tensor, draws: int, coded: list[int]) -> tuple[Tensor, Tensor]:
    """Draws by importance resampling, ``(K, B, *data.shape)``, and the mean by importance sampling, ``(B, *data.shape)``.

    In place of the mean of coded columns stands the most frequent of some draws.
    """
    given = given_for(1)
    q, p = _spread(given.encode(x), given), given.prior()
    sizes = _sizes(given, len(x), _PROPOSALS)
    z = torch.cat([q.sample((size,)) for size in sizes])
    parts = [given.decode(part).log_prob(x) for part in z.split(sizes)]
    log_weights = (torch.cat(parts) + p.log_prob(z) - q.log_prob(z)).double().nan_to_num(nan=-math.inf)
    # Where nothing has any weight, everything has the same.
    log_weights[:, log_weights.amax(0) == -math.inf] = 0.0
    weights = log_weights.softmax(0)
    average = torch.zeros_like(x)
    for part, share in zip(z.split(sizes), weights.split(sizes), strict=True):
        average += (share.to(x).reshape(*share.shape, *[1] * (x.dim() - 1)) * given.decode(part).mean).sum(0)

    def resampled(count: int) -> Tensor:
        chosen = torch.multinomial(weights.T, count, replacement=True).T
        kept = z[chosen, torch.arange(len(x), device=x.device)].split(_sizes(given, len(x), count))
        return torch.cat([_values(given.decode(part)).sample() for part in kept])

    if coded:
        average[:, coded] = resampled(_VOTES)[..., coded].mode(0).values
    return resampled(draws), average


def _by_chain(given: Chains, x: Tensor, draws: int, coded: list[int]) -> tuple[Tensor, Tensor]:
    """The ends of chains, ``(K, B, *data.shape)``, and of the first one the mean as :func:`_chains` has it."""
    ends, averages = [], []
    for count in _sizes(given(1), len(x), draws):
        end, average = _chains(given(count), x.repeat(count, *[1] * (x.dim() - 1)), coded)
        ends.append(end.unflatten(0, (count, len(x))))
        averages.append(average[: len(x)])
    return torch.cat(ends), averages[0]


def _chains(given: GivenModel, x: Tensor, coded: list[int]) -> tuple[Tensor, Tensor]:
    """The end of a chain for each example, and the mean of ``E[x|z]`` over its second half, ``(B, *data.shape)``.

    In place of the mean of coded columns stands the most frequent of the draws of that half.
    """
    gone, p = x.isnan(), given.prior()
    z = p.sample() if p.batch_shape else p.sample((len(x),))
    filled = torch.where(gone, _values(given.decode(z)).sample(), x)
    z = _spread(given.encode(filled), given).sample()
    likelihood, total, votes = given.decode(z), torch.zeros_like(x), list[Tensor]()
    filled = torch.where(gone, likelihood.sample(), x)
    for step in range(_STEPS):
        q = given.encode(filled)
        proposed = q.sample()
        other = given.decode(proposed)
        log_ratio = (other.log_prob(filled) + p.log_prob(proposed) - q.log_prob(proposed)) - (
            likelihood.log_prob(filled) + p.log_prob(z) - q.log_prob(z)
        )
        accepted = torch.rand_like(log_ratio).log() < log_ratio
        z = torch.where(accepted.reshape(-1, *[1] * (z.dim() - 1)), proposed, z)
        likelihood = given.decode(z)
        filled = torch.where(gone, likelihood.sample(), x)
        if step >= _STEPS // 2:
            total += likelihood.mean / (_STEPS - _STEPS // 2)
            votes.append(filled[:, coded] if coded else filled[:0])
    if coded:
        total[:, coded] = torch.stack(votes).mode(0).values
    return filled, total


def _sizes(given: GivenModel, examples: int, draws: int) -> list[int]:
    """Draws of each example that are decoded at a time."""
    most = max(1, _AT_ONCE // (examples * math.prod(given.decoder.parameter_shape)))
    return [min(most, draws - start) for start in range(0, draws, most)]


def _spread(q: Distribution, given: GivenModel) -> Distribution:
    if isinstance(q, PointMass):
        raise UndefinedError(
            f"posterior {given.spec.components['posterior'].name!r} has one point for each example, and no other latents "
            "to fill values in by",
            hint=f"build another: genmod build {NORMAL_LATENTS}",
        )
    return q


def _values(likelihood: Distribution) -> Distribution:
    inner = likelihood.likelihood if isinstance(likelihood, Marginal) else likelihood
    if not isinstance(inner, Independent) or inner.base_dist.event_shape:
        raise UndefinedError(
            f"the values of a {type(inner).__name__} depend on each other, so that some cannot be drawn given the others",
            hint="build a model whose decoder has independent values: genmod list decoder",
        )
    return likelihood


def _allowed(x: Tensor, data: DataInfo) -> Tensor:
    """Values that the data can have: whole counts, levels, inside of the range."""
    if data.counts:
        return x.round().clamp(min=0)
    if data.levels is not None:
        step = (data.high - data.low) / (data.levels - 1)
        x = data.low + ((x - data.low) / step).round() * step
    return x.clamp(data.low, data.high)
