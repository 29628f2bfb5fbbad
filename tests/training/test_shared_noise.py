"""Noise in several processes: that of one process for the whole batch, whatever sizes coincide and whoever draws it."""

import itertools

import pytest
import torch
from torch import nn

from genmod import UsageError
from genmod.plugins.encoders.mlp import MlpEncoder
from genmod.registry.lookup import Registry
from genmod.system.random import reseed
from genmod.training.sharding import TermsModule
from genmod.training.shared_noise import SharedNoise, Unrehearsed

from .several_processes import trained

WHOLE = 8


class _Noisy(nn.Module):
    """A model whose terms are what a function draws for a batch."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def terms(self, x, context=None):
        return self.function(x)


def shared(function, x, size):
    """What each of some processes draws, one after the other."""
    model, found = TermsModule(_Noisy(function)), []
    for rank in range(size):
        mine = slice(rank * len(x) // size, (rank + 1) * len(x) // size)
        noise = SharedNoise(mine, len(x), torch.device("cpu"), gather=lambda part: None)
        with noise.rehearsing(model) as count:
            model(x[torch.arange(count) % len(x)])
        reseed(3)
        with noise:
            found.append(model(x[mine]))
    return found


def alone(function, x):
    reseed(3)
    return TermsModule(_Noisy(function))(x)


DRAWS = {
    # What is drawn, and the dimension of the examples; None of what belongs to none.
    "importance samples": (lambda x: torch.randn(4, len(x), 3), 1),
    "as many samples as examples": (lambda x: torch.randn(WHOLE, len(x), 3), 1),
    "all sizes alike": (lambda x: torch.empty(4, 4, len(x), 4).exponential_(), 2),
    "two of a kind in front": (lambda x: torch.empty(2, 2, len(x), 2).uniform_(), 2),
    "like the data": (torch.rand_like, 0),
    "last": (lambda x: torch.rand(4, len(x)), 1),
    "projections": (lambda x: torch.randn(4, 4), None),
    "projections of the batch's size": (lambda x: torch.randn(WHOLE, 2), None),
    "bits": (lambda x: torch.bernoulli(x.sigmoid()), 0),
    "whole numbers": (lambda x: torch.randint(9, (4, len(x))), 1),
    "dropped out": (lambda x: nn.functional.dropout(x, 0.4), 0),
    "in another order in memory": (lambda x: torch.empty(4, len(x), 3).permute(2, 1, 0).normal_(), 1),
    "torch's normal": (lambda x: torch.distributions.Normal(x, 1.0).rsample((4,)), 1),
    "gumbel": (lambda x: nn.functional.gumbel_softmax(x, hard=True), 0),
    "one after the other": (lambda x: torch.randn(2, 4) @ torch.rand(4, len(x), 1).squeeze(-1), 1),
    "in a loop": (lambda x: torch.stack([torch.randn(len(x), n).sum(1) for n in (4, 2, 4)]), 1),
}


@pytest.mark.parametrize("size", [2, 4, 8])
@pytest.mark.parametrize("name", DRAWS)
def test_every_process_takes_its_part_of_the_noise_of_one(name, size):
    function, dim = DRAWS[name]
    x = torch.randn(WHOLE, 4)
    parts, whole = shared(function, x, size), alone(function, x)
    if dim is None:
        assert all(torch.equal(part, whole) for part in parts)
    else:
        torch.testing.assert_close(torch.cat(parts, dim), whole, rtol=0, atol=1e-6)


@pytest.mark.parametrize("rows", [1, 3, 4])
def test_rows_of_an_example_lie_in_front_or_behind(rows):
    """What a network is given has the first draw of all examples before the second; attention has heads behind them."""

    class Dropping(MlpEncoder.__base__):
        def forward(self, x):
            heads = nn.functional.dropout(x.repeat_interleave(2, 0).exp(), 0.4)
            return nn.functional.dropout(x.exp(), 0.3) + heads.unflatten(0, (-1, 2)).sum(1)

        def mirror(self):
            return None

    encoder = Dropping((4,))

    def function(x):
        z = x.expand(rows, *x.shape)
        return encoder(z.reshape(-1, 4)).reshape(z.shape)

    class Model(_Noisy):
        def __init__(self):
            super().__init__(function)
            self.encoder = encoder

    x, parts = torch.randn(WHOLE, 4), []
    for first in (0, 4):
        noise = SharedNoise(slice(first, first + 4), WHOLE, torch.device("cpu"))
        model = TermsModule(Model())
        with noise.rehearsing(model) as count:
            model(x[:count])
        reseed(3)
        with noise:
            parts.append(model(x[first : first + 4]))
    torch.testing.assert_close(torch.cat(parts, 1), alone(function, x))


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: x[torch.randperm(len(x))], "given a number of examples"),
        (lambda x: torch.randn(4 * len(x)), "4 numbers of each example lie in one dimension"),
        (lambda x: torch.randn(len(x), len(x)), "its shape is"),
        (lambda x: torch.randn(len(x) - 1), "its shape is"),
    ],
)
def test_what_cannot_be_shared_out_is_refused_by_its_place(function, message):
    with pytest.raises(UsageError, match=message) as caught:
        shared(function, torch.randn(WHOLE, 4), 2)
    assert f"{__file__}:" in caught.value.message
    assert "one process" in caught.value.hint


def test_what_was_not_rehearsed_is_not_drawn_by_chance():
    more = []

    def function(x):
        first = torch.randn(len(x), 2)
        if more:
            return first + torch.randn(len(x), 2)
        return first

    x, model = torch.randn(WHOLE, 4), TermsModule(_Noisy(function))
    noise = SharedNoise(slice(0, 4), WHOLE, torch.device("cpu"))
    with pytest.raises(Unrehearsed), noise:
        model(x[:4])
    with noise.rehearsing(model) as count:
        model(x[:count])
    more.append(True)
    with pytest.raises(Unrehearsed), noise:
        model(x[:4])


N = 12
OF_ONE = {
    "iwae": {"objective": {"name": "iwae", "samples": N}, "divergence": "none"},
    "latents": {"latent": N},
    "vmf": {"posterior": "vmf", "prior": "uniform-sphere", "latent": N},
    "power-spherical": {"posterior": "power-spherical", "prior": "uniform-sphere", "latent": N},
    "gamma": {"posterior": "gamma", "prior": "gamma", "latent": N},
    "projections": {
        "posterior": "delta",
        "divergence": {"name": "sliced-wasserstein", "projections": N},
        "latent": N,
    },
    "draws of the prior": {"posterior": "gamma", "prior": "gamma", "divergence": "mmd", "latent": N},
    "data that are drawn": {
        "decoder": {"name": "bernoulli", "binarize": "dynamic"},
        "data": {"levels": 5},
        "columns": N,
    },
    "codes": {
        "posterior": {"name": "vq", "codes": N, "revive": 0.3},
        "prior": "autoregressive",
        "divergence": "kl",
        "latent": [4, 3],
    },
    "codes of levels": {
        "posterior": {"name": "residual-vq", "codes": N, "levels": 2},
        "prior": "autoregressive",
        "divergence": "kl",
        "latent": [3, 4],
        # Some biases have no gradient but rounding, which Adam would make as large as any other.
        "train": {"optimizer_options": {"eps": 1e-4}},
    },
    "groups of latents": {
        "posterior": {"name": "hierarchical", "ladder": True, "groups": [N, N], "hidden": [N]},
        "prior": {"name": "hierarchical", "groups": [N, N], "hidden": [N]},
        "latent": 2 * N,
    },
    "groups of maps": {
        "shape": [1, 8, 8],
        "encoder": {"name": "pyramid", "width": N},
        "posterior": {"name": "top-down", "width": N},
        "prior": {"name": "top-down", "width": N},
        "network": "conv-up",
        "objective": {"name": "elbo", "balance": True, "beta": "0.1->1 over 100%"},
        "train": {"skip": 1e4},
        "latent": N,
    },
    "parts of a batch": {"train": {"accumulate": 2}, "latent": 6},
}


def largest_differences(weights):
    one = weights.pop(1)
    for size, found in weights.items():
        for name, given in found.items():
            assert not isinstance(given, str), (name, given)
            yield (
                f"{name} in {size} processes",
                max(abs(a - b) for a, b in zip(one[name], given, strict=True)),
            )


@pytest.mark.slow
def test_two_and_three_processes_train_the_weights_of_one(tmp_path):
    """As many draws, latents and projections as examples in a process."""
    for name, difference in largest_differences(trained(tmp_path, OF_ONE, (1, 2, 3))):
        assert difference < 1e-5, name


PLUGIN = '''
import torch
from torch import nn
from torch.distributions import Independent, constraints
from genmod import Component, Encoder, Network, Objective, Posterior, Terms, diagonal_normal, hookimpl
from genmod.distributions import LogScaleNormal
from genmod.system import any_process

@hookimpl
def genmod_components():
    yield Component("encoder", "dropping", "strangers:Dropping", "drops out")
    yield Component("network", "attending", "strangers:Attending", "drops out attention")
    yield Component("posterior", "rejecting", "strangers:Rejecting", "draws until it is accepted")
    yield Component("posterior", "unaware", "strangers:Unaware", "the same, alone")
    yield Component("objective", "blurred", "strangers:Blurred", "noise of its own")

class Dropping(Encoder):
    def __init__(self, data_shape):
        super().__init__(data_shape)
        self.feature_shape = (12,)
        self.layers = nn.Sequential(nn.Linear(data_shape[0], 12), nn.Dropout(0.3), nn.ReLU(), nn.Linear(12, 12))

    def forward(self, x):
        return self.layers(x)

    def mirror(self):
        return None

class Attending(Network):
    def __init__(self, in_shape, out_shape):
        super().__init__(in_shape, out_shape)
        self.wide = nn.Linear(in_shape[0], 24)
        self.attention = nn.MultiheadAttention(6, 2, dropout=0.2, batch_first=True)
        self.out = nn.Linear(24, out_shape[0])

    def forward(self, z):
        tokens = torch.tanh(self.wide(z)).unflatten(1, (4, 6))
        mixed, _ = self.attention(tokens, tokens, tokens)
        return self.out(mixed.flatten(1))

class Cut(LogScaleNormal):
    """Its draws lie within two standard deviations."""

    together = True

    def rsample(self, sample_shape=()):
        shape = self._extended_shape(torch.Size(sample_shape))
        noise, left = torch.zeros(shape), torch.ones(shape, dtype=torch.bool)
        while any_process(left.any()) if self.together else bool(left.any()):
            new = torch.randn(shape)
            good = left & (new.abs() < 1.0)
            noise, left = torch.where(good, new, noise), left & ~good
        return self.loc + self.log_scale.exp() * noise

class CutAlone(Cut):
    together = False

class Rejecting(Posterior):
    cut = Cut

    def __init__(self, feature_shape, latent_shape):
        super().__init__(feature_shape, latent_shape)
        self.support = constraints.independent(constraints.real, 1)
        self.head = nn.Linear(feature_shape[0], 2 * latent_shape[0])

    def forward(self, features):
        loc, log_scale = self.head(features).chunk(2, 1)
        return Independent(self.cut(loc, 0.1 * log_scale, validate_args=False), 1, validate_args=False)

class Unaware(Rejecting):
    cut = CutAlone

class Blurred(Objective):
    def forward(self, model, x):
        q = model.encode(x + 0.1 * torch.randn_like(x))
        z = q.rsample((12,))
        z = z + 0.1 * torch.randn(12, len(x), z.shape[-1])
        distortion = -model.decode(z).log_prob(x).mean(0)
        return Terms(distortion.mean(), {"distortion": distortion})
'''
STRANGERS = {
    "dropout": {"encoder": "dropping", "latent": 12},
    # The biases of keys have no gradient but rounding, which Adam would make as large as any other.
    "attention": {
        "network": "attending",
        "objective": {"name": "elbo", "samples": 12},
        "train": {"optimizer_options": {"eps": 1e-4}},
    },
    "rejection": {"posterior": "rejecting", "latent": 12},
    "noise of an objective": {"objective": "blurred", "divergence": "none", "latent": 12},
}


@pytest.mark.slow
def test_what_strangers_draw_is_shared_out_too(tmp_path):
    plugin = tmp_path / "strangers.py"
    plugin.write_text(PLUGIN)
    unaware = {"alone": {"posterior": "unaware", "latent": 12}}
    weights = trained(tmp_path, {**STRANGERS, **unaware}, (1, 2), steps=20, plugins=[plugin])
    # A loop that ends in each process by itself is found out.
    assert "drawn different amounts" in weights[2].pop("alone")
    assert "any_process" not in weights[1].pop("alone")
    for name, difference in largest_differences(weights):
        assert difference < 1e-5, name


def everything():
    """Each posterior with each objective and each divergence that takes it, with as many draws as examples in a process."""
    from genmod import DataInfo, compose
    from genmod.model.assembly import assemble

    registry = Registry(third_party=False)
    on = {"laplace": "laplace", "gamma": "gamma", "logistic-normal": "logistic-normal", "product": "product"}
    on |= {"power-spherical": "uniform-sphere", "vmf": "uniform-sphere", "wrapped-normal": "wrapped-normal"}
    on |= {"relaxed-bernoulli": "relaxed-bernoulli", "relaxed-categorical": "relaxed-categorical"}
    many = {name: {"samples": N} for name in ("iwae", "dreg", "ciwae", "vr", "elbo", "geco")}
    many |= {"miwae": {"estimates": 2, "samples": N}, "piwae": {"estimates": N, "samples": 2}}
    options = {"sliced-wasserstein": {"projections": N}, "kl-mc": {"samples": 3}}
    options |= {"jeffreys": {"samples": N}, "reverse-kl": {"samples": N}}
    small = {"encoder": {"name": "mlp", "hidden": [16]}, "network": {"name": "mlp", "hidden": [16]}}
    pairs = itertools.product(
        registry.names("posterior"),
        [
            *[(name, None) for name in registry.names("objective")],
            *[("elbo", name) for name in registry.names("divergence")],
        ],
    )
    for posterior, (objective, divergence) in pairs:
        for name in [divergence] if divergence else ["kl", "kl-mc", "mmd", "none"]:
            parts = {
                "posterior": posterior,
                "prior": on.get(posterior, "normal"),
                "objective": {"name": objective, **many.get(objective, {})},
                "divergence": {"name": name, **options.get(name, {})},
            }
            try:
                assemble(compose(components={**small, **parts}, latent=N), DataInfo((8,), levels=2))
            except UsageError:
                continue
            # Some biases have no gradient but rounding, which Adam would make as large as any other.
            settings = {"optimizer_options": {"eps": 1e-4}}
            yield f"{posterior} {objective} {divergence or ''}", {**parts, "latent": N, "train": settings}
            break


@pytest.mark.slow
def test_any_number_of_processes_trains_the_weights_of_one_whatever_is_combined(tmp_path):
    models = dict(everything())
    assert len(models) > 150
    found = list(largest_differences(trained(tmp_path, models, (1, 2, 3))))
    assert len(found) == 2 * len(models)
    assert [pair for pair in found if not pair[1] < 1e-5] == []
