"""Whether the parts of a model fit each other, tried on a batch of two."""

import torch
from torch.distributions import Distribution

from genmod.distributions.marginal import Marginal
from genmod.errors import PluginError
from genmod.model.latent_variable import LatentVariableModel
from genmod.model.traits import check_traits

__all__ = ["check_fits"]


def check_fits(model: LatentVariableModel) -> None:
    """Whether what the parts declare, and the shapes that they make, fit each other; also on the ``meta`` device.

    Raises:
        UsageError: they do not; the hint says what to choose instead.
        PluginError: a part makes another shape than it declares.
    """
    check_traits(model)
    _check_shapes(model)
    model.objective.check(model.given(_some_context(model)))


def _check_shapes(model: LatentVariableModel) -> None:
    """Run a batch of two through the model."""
    model.eval()
    names = {kind: part.name for kind, part in model.spec.components.items()}
    latent = model.posterior.latent_shape
    features = model.encoder(torch.zeros(2, *model.encoder.data_shape, dtype=model.dtype))
    _expect(f"encoder {names['encoder']!r} makes features", features.shape, (2, *model.encoder.feature_shape))
    q = model.posterior(features)
    _expect(
        f"posterior {names['posterior']!r} has batch and event",
        (*q.batch_shape, *q.event_shape),
        (2, *latent),
    )
    z, context = torch.zeros(2, *latent, dtype=model.dtype), _some_context(model)
    _expect(
        f"prior {names['prior']!r} makes features",
        model.prior.features(z, model.conditions_in(context)).shape,
        (2, *model.prior.feature_shape),
    )
    parameters = model.network(torch.zeros(2, *model.network.in_shape, dtype=model.dtype))
    _expect(
        f"network {names['network']!r} makes parameters",
        parameters.shape,
        (2, *model.decoder.parameter_shape),
    )
    likelihood = model.decoder(parameters, **model.given_to_decoder(context, torch.Size((2,))))
    shape = (*likelihood.batch_shape, *likelihood.event_shape)
    _expect(f"decoder {names['decoder']!r} has batch and event", shape, (2, *model.data.shape))
    if model.data.missing:
        Marginal(likelihood, 0.0)
    if model.prior.has_density:
        p: Distribution = model.given(context).prior()
        _expect(f"prior {names['prior']!r} has event", p.event_shape, latent)
        model.divergence.check(q, p)
    model.train()


def _some_context(model: LatentVariableModel) -> torch.Tensor | None:
    conditions = (
        None if model.conditions is None else torch.zeros(2, model.conditions.size, dtype=model.dtype)
    )
    return model.with_exposure(conditions, 2)


def _expect(what: str, given: tuple[int, ...], wanted: tuple[int, ...]) -> None:
    if tuple(given) != tuple(wanted):
        raise PluginError(f"{what} of shape {tuple(given)}, where {tuple(wanted)} was declared")
