"""Log-likelihoods of any number of examples, block by block."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from genmod.data.dataset import DataInfo, Split
from genmod.data.frames import log_jacobian
from genmod.distributions.marginal import log_prob_by_value
from genmod.errors import UsageError
from genmod.interfaces.given import WholeModel
from genmod.model.evaluating import evaluating
from genmod.model.importance import importance_bounds, latents_that_fit
from genmod.model.pieces import examples_at_once
from genmod.system.noise import drawn_on_cpu
from genmod.system.random import seed_for, seeded

__all__ = ["log_units", "score_blocks", "score_meaning"]

_MEMORY, _MEMORY_ELSEWHERE = 2**24, 2**30
"""Bytes in which latents are decoded: what a cache of a processor holds, and on other devices."""
_AT_ONCE = 2**24
"""Parameters of likelihoods that are evaluated value by value at a time."""


def score_blocks(
    model: WholeModel,
    split: Split,
    *,
    draws: int = 100,
    columns: bool = False,
    seed: int = 0,
) -> Iterator[dict[str, Tensor]]:
    """A lower bound on ``log p(x)`` of each example of a split, in its order, block by block, on the CPU.

    ``log 1/K Σ_k p(x|z_k) p(z_k) / q(z_k|x) ≤ log p(x)`` on average, ``z_k ~ q(z|x)``, nats. It rises with K towards
    ``log p(x)``; with ``K = 1`` it is the ELBO, estimated by one draw. Densities are per unit of the data before they were
    standardised. Of an example with missing values it is that of the others. The mode of the model and the global random
    state are left as they were.

    Args:
        model: one with densities.
        split: the examples.
        draws: of the latents for each example, K.
        columns: by value too.
        seed: of the draws.

    Yields:
        ``log_likelihood (B,)`` float64; ``effective_draws (B,)``, how many draws of the exact posterior the draws are worth:
        few of many say that the bound is loose; with ``columns`` also ``by_column (B, *data.shape)``, which is
        ``E_q(z|x)[log p(x_i|z)]`` of each value, NaN where it is missing.

    Raises:
        UsageError: there are no examples.
        UndefinedError: a part of the model has no density, or values of the decoder depend on each other.
        DataError: the examples do not suit the model.

    Reference:
        Importance Weighted Autoencoders (Burda et al., 2015), arXiv:1509.00519

    Example:
        >>> import genmod
        >>> model = genmod.build(encoder="mlp", latent=2)
        >>> split = genmod.TensorSplit(genmod.Batch(torch.zeros(5, 1, 8, 8)))
        >>> [block["log_likelihood"].shape for block in score_blocks(model, split, draws=3)]
        [torch.Size([5])]
    """
    model.require_densities("log-likelihood")
    split, size, rows = model.suited(split), examples_at_once(model), 0
    if not len(split):
        raise UsageError("there are no examples to score", hint="choose data that have some")
    for start in range(0, len(split), size):
        batch = split.__getitems__(range(start, min(start + size, len(split))))
        with evaluating(model), seeded(seed_for(seed, "score", start)):
            with drawn_on_cpu(model.device):
                x = model.observe(batch.x.to(model.device))
            context = model.context(batch)
            if not rows:
                with seeded(0):
                    memory = _MEMORY if model.device.type == "cpu" else _MEMORY_ELSEWHERE
                    rows = latents_that_fit(model, x, context, memory)
            found = importance_bounds(model, x, context, [draws], rows=rows)
            block = {"log_likelihood": found.values[0], "effective_draws": found.effective[0]}
            each = log_units(model.data, batch.x)
            if each is not None:
                block["log_likelihood"] = block["log_likelihood"] + each.flatten(1).nansum(1)
            if columns:
                by_column = _by_column(model, x, context, draws)
                block["by_column"] = by_column if each is None else by_column + each
        yield block


def score_meaning(model: WholeModel, draws: int) -> str:
    """What the scores of a model are, in one line."""
    what, given, of = "log p(x)", "", model.observations
    if of is not None and of.exposure:
        what, given = "log p(x|l)", f" given its {of.exposure} l"
    kind = "probability" if of is not None and of.support.is_discrete else "density"
    if model.exact:
        return f"{what} of each row{given}, nats: the log-{kind}"
    bound = "the ELBO by one draw" if draws == 1 else f"importance-weighted with {draws:,} draws of q(z|x)"
    return f"{what} of each row{given}, nats: a lower bound on the log-{kind}, {bound}"


def log_units(info: DataInfo, x: Tensor) -> Tensor | None:
    """What turns log-densities of stored values into ones per unit of the data before they were standardised.

    ``x (B, *shape) → (B, *shape)`` float64, NaN where a value is missing; None of data that were never standardised

    Example:
        >>> info = DataInfo((2,), -math.inf, math.inf, shift=(0.0, 5.0), scale=(1.0, 10.0))
        >>> log_units(info, torch.zeros(1, 2))
        tensor([[-0.0000, -2.3026]], dtype=torch.float64)
    """
    if info.columns:
        return log_jacobian(info, x)
    if not info.scale:
        return None
    each = -info.beside(info.scale).log()
    return torch.where(x.isnan(), torch.nan, each)


def _by_column(model: WholeModel, x: Tensor, context: Tensor | None, draws: int) -> Tensor:
    """``E_q(z|x)[log p(x_i|z)]`` of each value of ``x (B, *data.shape)``, by the mean over draws, of the same shape."""
    given = model.given(context)
    q = given.encode(x)
    total = torch.zeros(x.shape, dtype=torch.float64)
    most = max(1, _AT_ONCE // (len(x) * math.prod(model.decoder.parameter_shape)))
    for start in range(0, draws, most):
        with drawn_on_cpu(x.device):
            z = q.rsample((min(most, draws - start),))
        total += log_prob_by_value(given.decode(z), x.expand(len(z), *x.shape)).double().sum(0).cpu()
    return total / draws
