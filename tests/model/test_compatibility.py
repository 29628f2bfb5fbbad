"""What the grid says is what a build says, and what it allows trains, saves, loads and draws."""

import math
import random
from functools import cache

import pytest
import torch

from genmod import Batch, DataInfo, Dataset, TensorSplit, load, save, train
from genmod.errors import GenmodError, UndefinedError, UsageError
from genmod.model.assembly import assemble, blueprint
from genmod.model.compatibility import AXES, Cell, combinations, grid_spec
from genmod.registry.lookup import Registry

INFO = DataInfo((1, 8, 8), levels=17)
DECODERS = (None, "gaussian", "discretized-logistic")


FEW = {
    "posterior": ["normal", "delta", "vq", "relaxed-bernoulli"],
    "prior": ["normal", "none", "uniform-sphere", "mixture", "autoregressive", "categorical"],
}
"""Enough to meet every kind of refusal; all of them take a minute."""


@cache
def cells(every=False):
    return tuple(combinations(INFO, chosen=None if every else FEW, registry=Registry(third_party=False)))


def spec_of(cell, decoder=None):
    return grid_spec([getattr(cell, kind) for kind in AXES], cell.latent, decoder=decoder)


def some(pool, count):
    return random.Random(0).sample(sorted(pool, key=repr), count)


@pytest.mark.parametrize("every", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_every_combination_is_there_once(every):
    registry, found = Registry(third_party=False), cells(every)
    names = {kind: registry.names(kind) if every else FEW.get(kind, registry.names(kind)) for kind in AXES}
    expected = math.prod(map(len, names.values()))
    assert len({(c.posterior, c.prior, c.divergence, c.objective) for c in found}) == len(found) == expected


def test_known_combinations():
    by_name = {(c.posterior, c.prior, c.divergence, c.objective): c for c in cells()}
    assert by_name["normal", "normal", "kl", "elbo"].allowed
    assert by_name["delta", "none", "none", "reconstruction"].allowed
    assert "would ignore divergence 'kl'" in by_name["normal", "normal", "kl", "reconstruction"].reason
    assert "has its density on" in by_name["normal", "uniform-sphere", "none", "elbo"].reason
    assert "kl-mc" in by_name["normal", "mixture", "kl", "elbo"].hint
    assert "would ignore divergence 'kl'" in by_name["normal", "normal", "kl", "iwae"].reason
    assert by_name["delta", "autoregressive", "none", "reconstruction"].latent == (3, 4)


@pytest.mark.parametrize("posterior", ["hmc", "rhvae", "semi-amortised"])
def test_a_posterior_that_follows_the_prior_needs_its_density(posterior):
    with pytest.raises(
        UsageError, match="follows the density of the prior, and prior 'none' has none"
    ) as refused:
        blueprint(grid_spec((posterior, "none", "none", "reconstruction"), 2), INFO)
    assert "--prior normal" in refused.value.hint
    blueprint(grid_spec((posterior, "normal", "none", "reconstruction"), 2), INFO)


@pytest.mark.slow
def test_every_part_is_used_in_something_allowed():
    """A part that fits nothing would be of no use, or the shapes that are tried are too few."""
    used = {(kind, getattr(cell, kind)) for cell in cells(every=True) if cell.allowed for kind in AXES}
    registry = Registry(third_party=False)
    every = {(kind, name) for kind in AXES for name in registry.names(kind)}
    # One wants a condition, the other a map of features.
    assert every - used <= {("prior", "conditional"), ("posterior", "normal-map")}


@pytest.mark.parametrize("every", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_every_refusal_says_what_to_choose(every):
    assert [cell for cell in cells(every) if not cell.allowed and not cell.hint] == []


@pytest.mark.parametrize(("every", "count"), [(False, 10), pytest.param(True, 50, marks=pytest.mark.slow)])
@pytest.mark.parametrize("allowed", [True, False])
def test_it_says_what_a_build_says(allowed, every, count):
    for cell in some([c for c in cells(every) if c.allowed is allowed], count):
        try:
            blueprint(spec_of(cell), INFO)
            found = ("", "")
        except GenmodError as error:
            found = (error.message, error.hint)
        assert found == (cell.reason, cell.hint), cell


def test_chosen_names():
    chosen = {
        "posterior": ["normal"],
        "prior": ["normal"],
        "divergence": ["kl"],
        "objective": ["elbo", "iwae"],
    }
    found = list(combinations(INFO, chosen=chosen))
    assert [(c.objective, c.allowed) for c in found] == [("elbo", True), ("iwae", False)]
    with pytest.raises(UsageError, match="nrmal"):
        list(combinations(INFO, chosen={**chosen, "prior": ["nrmal"]}))
    assert Cell("a", "b", "c", "d", (4,), "why", "how").to_json()["allowed"] is False


class _Digits(Dataset):
    """A few random pictures; 100 are what a metric of examples takes at least."""

    info = INFO

    def split(self, name):
        fixed = torch.Generator().manual_seed(len(name))
        return TensorSplit(Batch(torch.randint(17, (100, 1, 8, 8), generator=fixed).to(torch.uint8)))


LESS = {
    # For gradients, the densities of 64 draws under 100 flows would keep gigabytes,
    "vamp": {"prior.components": 4},
    # and so would those of all that a chain of draws passes, integrated in ten steps each.
    "flow-matching": {"prior.solver_steps": 2},
}


def smaller(spec):
    return spec.with_options(LESS.get(spec.components["prior"].name, {}))


def without_gradient(model, x):
    """Names of the parameters that no gradient reaches; each group is moved by its own loss."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    unused = set(names.values())
    for _ in range(2):
        loss = model.terms(x).loss
        for group, parameters in model.groups().items():
            own = [p for p in parameters if p.requires_grad]
            value = loss if isinstance(loss, torch.Tensor) else loss[group]
            found = torch.autograd.grad(value, own, retain_graph=True, allow_unused=True)
            for parameter, gradient in zip(own, found, strict=True):
                if gradient is not None:
                    assert gradient.isfinite().all(), names[id(parameter)]
                    if gradient.any():
                        unused.discard(names[id(parameter)])
    return unused


def check_that_it_works(cell, decoder, folder):
    """Three steps of training with finite losses, a gradient for each parameter, saved, loaded and drawn from."""
    model = assemble(smaller(spec_of(cell, decoder)), INFO)
    data = _Digits(folder)
    result = train(model, data, steps=3, batch_size=12, device="cpu", log_every=1)
    assert all(torch.isfinite(torch.tensor(row["loss"])) for row in result.rows), cell
    # Of few examples, since a prior that is integrated keeps each of its steps.
    unused = without_gradient(model.train(), data.split("train").batch.x[:24])
    if not (model.divergence.needs_prior or model.objective.needs_densities):
        # Where no divergence is measured, nothing teaches the prior, nor the width of a posterior.
        unused = {name for name in unused if not name.startswith(("prior.", "posterior."))}
    assert unused == set(), cell
    model.eval()
    other = load(save(model, folder / "model", overwrite=True))
    try:
        assert torch.equal(other.sample(2, seed=1), model.sample(2, seed=1)), cell
        assert model.sample(2, seed=1).isfinite().all()
    except UndefinedError:
        assert not model.prior.has_density, cell


@pytest.mark.parametrize(("every", "count"), [(False, 8), pytest.param(True, 20, marks=pytest.mark.slow)])
def test_some_that_are_allowed_work(every, count, tmp_path):
    allowed = [(c, d) for c in cells(every) if c.allowed for d in DECODERS]
    for cell, decoder in some(allowed, count):
        check_that_it_works(cell, decoder, tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("decoder", DECODERS)
def test_all_that_are_allowed_work(decoder, tmp_path):
    failed = []
    for cell in cells(every=True):
        if cell.allowed:
            try:
                check_that_it_works(cell, decoder, tmp_path)
            except Exception as error:
                failed.append((cell, repr(error)[:300]))
    assert failed == []
