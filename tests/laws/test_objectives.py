"""Laws of objectives, with the divergences that they can be combined with."""

import copy
from functools import cache
from itertools import product

import torch

from genmod import DataInfo, UsageError, compose
from genmod.model.assembly import assemble
from genmod.options.schedule import Schedule
from genmod.registry.lookup import Registry

DATA = DataInfo((6,), low=-1.0, high=1.0)
REGISTRY = Registry(third_party=False)


@cache
def models(name, options):
    """A model for each divergence, with the first parts that are not refused; for the first, given options."""
    built = []
    for divergence in REGISTRY.names("divergence"):
        for posterior, prior in product(("normal", "delta"), ("normal", "none")):
            components = {
                "encoder": {"name": "mlp", "hidden": [8]},
                "decoder": {"name": "gaussian", "scale": 0.5},
                "posterior": posterior,
                "prior": prior,
                "divergence": divergence,
                "objective": {"name": name, **dict(options)},
            }
            try:
                built.append(assemble(compose(components=components, latent=3), DATA).double())
            except UsageError:
                continue
            break
        if built and options:
            break
    return built


def models_of(objective):
    found = models(objective.provided.name, tuple(objective.options.items()))
    assert found, "it can be combined with nothing"
    return found


def total(terms):
    """The loss, or the sum of those of all groups of parameters."""
    return terms.loss if isinstance(terms.loss, torch.Tensor) else sum(terms.loss.values())


def batch(n=4):
    return torch.rand(n, *DATA.shape, dtype=torch.float64) * 2 - 1


def test_a_batch_may_have_one_example(objective):
    for model in models_of(objective):
        model.zero_grad()
        terms = model.train().terms(batch(1))
        total(terms).backward()
        assert total(terms).isfinite()
        assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())
        assert all(value.shape == (1,) for value in terms.values.values())


def test_reported_terms_are_those_of_the_parts(objective):
    """Never weighted: the distortion is ``-E_q[log p(x|z)]``, the ELBO their negative sum, whatever is minimised."""
    x = batch()
    for model in models_of(objective):
        with torch.no_grad():
            values = model.eval().terms(x).values
            # As close to deterministic as it gets: a posterior that is a point.
            model = copy.deepcopy(model)
            head = getattr(model.posterior, "head", None)
            if head is not None and head.out_features == 6:
                head.weight[3:], head.bias[3:] = 0.0, -1e9
            values = model.terms(x).values
            z = model.encode(x).mean
            distortion = -model.decode(z).log_prob(x)
        torch.testing.assert_close(values["distortion"], distortion, rtol=1e-2, atol=1e-2)
        if "elbo" in values:
            torch.testing.assert_close(values["elbo"], -(values["distortion"] + values["rate"]))


def test_two_models_share_no_schedule(objective):
    for model in models_of(objective):
        other = copy.deepcopy(model)
        for name, value in vars(model.objective).items():
            if isinstance(value, Schedule):
                assert vars(other.objective)[name] is not value


def test_same_seed_same_loss(objective):
    x = batch()
    for model in models_of(objective):
        losses = []
        for _ in range(2):
            torch.manual_seed(7)
            losses.append(total(model.eval().terms(x)))
        assert torch.equal(*losses)


def test_repr_names_the_class(objective):
    assert type(models_of(objective)[0].objective).__name__ in repr(models_of(objective)[0])
