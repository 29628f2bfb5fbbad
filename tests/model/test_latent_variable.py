"""The composed model: encode, decode, sample and weigh, and what none of them may touch."""

import copy
import math
from contextlib import suppress

import pytest
import torch

from genmod import (
    Batch,
    DataInfo,
    TensorSplit,
    UndefinedError,
    UsageError,
    build,
    compose,
    evaluate,
    load,
    save,
    train,
)
from genmod.model.assembly import assemble
from genmod.registry.lookup import Registry
from genmod.system.random import seeded
from genmod.testing.case import mean_of

REGISTRY = Registry(third_party=False)
# Those of the size of papers have a hundred million weights, and no pictures of eight pixels.
RECIPES = [name for name in REGISTRY.names("recipe") if name not in ("autoencoder-kl", "fsq-gan", "vqgan")]
GREY, BINARY = (DataInfo((1, 8, 8), levels=levels, classes=("a", "b")) for levels in (256, 2))


COUNTS = DataInfo((1, 8, 8), 0.0, math.inf, counts=True)


def model_of(recipe="vae", *, data=GREY, latent=4, **components):
    components = {"encoder": {"name": "mlp", "hidden": [16]}, **components}
    return assemble(compose(recipe, components=components, latent=latent), data)


def model_of_recipe(recipe, **more):
    """The recipe for grey pictures, or for binary ones or counts where it refuses those; its own latents at last."""
    own = {"data": GREY, "latent": None}
    maps = {"encoder": {"name": "conv-map", "width": 8}}
    for choice in ({"data": GREY}, {"data": BINARY}, {"data": COUNTS}, own, {**own, **maps}):
        with suppress(UsageError):
            return model_of(recipe, **{**more, **choice})
    return model_of(recipe, **more)


def centre(q):
    """The mean, or a draw where there is none that is known."""
    (mean,) = mean_of(q) or (q.sample(),)
    return mean


def conditioned(model, n=6):
    """The model once it knows the classes of ``n`` examples, if it is conditional."""
    return model.given(model.asked(None, n))


def stored(n=6, data=GREY):
    return torch.randint(data.levels or 9, (n, *data.shape), dtype=torch.uint8)


@pytest.mark.parametrize("latent", [3, pytest.param((2, 2), marks=pytest.mark.slow)], ids=str)
@pytest.mark.parametrize("recipe", RECIPES)
def test_shapes(recipe, latent):
    try:
        model = model_of_recipe(recipe, latent=latent)
    except UsageError as error:
        # A sphere, for one, has vectors only; it says so and what to type.
        pytest.skip(error.message)
    shape, data = model.latent_shape, model.data
    # Maps have these at each place, and codes of several levels for each level.
    assert math.prod(shape) % math.prod(model.spec.latent) == 0
    x = model.observe(stored(data=data))
    assert (x.shape, x.dtype) == ((6, 1, 8, 8), torch.float32)
    q = conditioned(model).encode(x)
    assert (q.batch_shape, q.event_shape) == ((6,), shape)
    for batch in ((), (6,), (3, 6)):
        p = conditioned(model, batch[-1] if batch else 1).decode(torch.randn(*batch, *shape))
        assert (p.batch_shape, p.event_shape) == (batch, data.shape)
        assert p.mean.shape == (*batch, *data.shape)
    terms = model.terms(stored(data=data), model.asked(None, 6))
    assert terms.total.shape == ()
    assert {value.shape for value in terms.values.values()} == {(6,)}


def test_stored_integers_and_their_values_are_encoded_alike():
    model, x = model_of(), stored()
    torch.testing.assert_close(model.encode(x).mean, model.encode(GREY.values(x)).mean)


@pytest.mark.parametrize("recipe", RECIPES)
def test_double_precision_reaches_from_stored_data_to_samples(recipe):
    model = model_of_recipe(recipe).double()
    x = stored(data=model.data)
    assert model.terms(x, model.asked(None, 6)).total.dtype == torch.float64
    assert conditioned(model).encode(x).sample().dtype == torch.float64
    if model.prior.has_density:
        assert model.sample(2, seed=0).dtype == torch.float64


def test_double_precision_sees_the_exact_values():
    """Not those of single precision with zeros behind them."""
    model = model_of(decoder="gaussian").double()
    assert torch.equal(model.observe(stored()) * 255 % 1, torch.zeros(6, 1, 8, 8, dtype=torch.float64))


@pytest.mark.parametrize("seed", [0, 1, 2**62])
def test_same_seed_same_samples(seed):
    model = model_of()
    for noise in (False, True):
        a, b = (model.sample(5, seed=seed, noise=noise) for _ in range(2))
        assert torch.equal(a, b)
    assert not torch.equal(model.sample(5, seed=seed), model.sample(5, seed=seed + 1))


def test_samples_without_a_seed_follow_the_global_state():
    model = model_of()
    torch.manual_seed(1)
    a, b = model.sample(5), model.sample(5)
    torch.manual_seed(1)
    assert torch.equal(model.sample(5), a)
    assert not torch.equal(a, b)


def test_sample_shows_the_mean_or_draws():
    model = model_of()
    means, draws = model.sample(4, seed=0), model.sample(4, seed=0, noise=True)
    assert ((means > 0) & (means < 1)).all()
    assert set(draws.unique().tolist()) == {0.0, 1.0}
    assert not model.sample(0).numel()
    assert not means.requires_grad


@pytest.mark.parametrize(
    "act",
    [
        lambda model, path: model.sample(3, seed=1, noise=True),
        lambda model, path: evaluate(model, TensorSplit(Batch(torch.zeros(6, 1, 8, 8))), "elbo[2]"),
        lambda model, path: train(build(encoder="mlp", latent=2), steps=2, device="cpu"),
        lambda model, path: build(encoder="mlp", seed=3),
        lambda model, path: load(save(model, path / "model")),
        lambda model, path: copy.deepcopy(model),
        lambda model, path: repr(model),
    ],
    ids=["sample", "evaluate", "train", "build", "save and load", "copy", "repr"],
)
def test_global_random_state_is_left_alone(act, tmp_path):
    model = model_of()
    state = torch.get_rng_state()
    act(model, tmp_path)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    "dtype", [torch.float32, pytest.param(torch.float64, marks=pytest.mark.slow)], ids=str
)
@pytest.mark.parametrize("recipe", RECIPES)
def test_saved_and_loaded_bit_by_bit(recipe, dtype, tmp_path):
    model = model_of_recipe(recipe, encoder="conv").to(dtype).eval()
    other = load(save(model, tmp_path / "model"))
    assert not other.training
    assert other.spec == model.spec
    assert other.data == model.data
    assert list(other.state_dict()) == list(model.state_dict())
    x = torch.rand(6, 1, 8, 8)
    with seeded(1):
        first = centre(conditioned(model).encode(x))
    with seeded(1):
        assert torch.equal(first, centre(conditioned(other).encode(x)))
    z = torch.randn(3, *model.latent_shape, dtype=dtype)
    assert torch.equal(conditioned(model, 3).decode(z).mean, conditioned(other, 3).decode(z).mean)
    if model.prior.has_density:
        assert torch.equal(model.sample(3, seed=0), other.sample(3, seed=0))


def test_copy_is_independent():
    model = model_of()
    other = copy.deepcopy(model)
    before = model.sample(2, seed=0)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.zero_()
    assert torch.equal(model.sample(2, seed=0), before)
    assert other.spec == model.spec


def test_an_example_does_not_depend_on_its_neighbours():
    model = model_of(encoder={"name": "conv", "norm": "batch"}).eval()
    x, y = torch.rand(4, 1, 8, 8), torch.rand(4, 1, 8, 8)
    y[0] = x[0]
    assert torch.equal(model.encode(x).mean[0], model.encode(y).mean[0])
    z = torch.randn(2, 4, 4)
    z[1, 0] = z[0, 0]
    assert torch.equal(model.decode(z[0]).mean[0], model.decode(z[1]).mean[0])


@pytest.mark.slow
def test_gradient_reaches_every_parameter():
    for encoder in REGISTRY.names("encoder"):
        model = model_of(encoder=encoder)
        model.terms(stored()).total.backward()
        missing = [
            name
            for name, p in model.named_parameters()
            if p.requires_grad and (p.grad is None or not p.grad.abs().sum() > 0)
        ]
        assert missing == []


def test_log_weights_are_the_elbo_on_average():
    model, x = model_of().double().eval(), torch.randint(2, (4, 1, 8, 8), dtype=torch.float64)
    with torch.no_grad():
        weights = model.log_weights(x, 4000)
        q = model.encode(x)
        exact = model.divergence(q, model.prior(), q.sample((1,)))
        distortion = -model.decode(q.sample((4000,))).log_prob(x)
    error = (weights.var(0) / 4000 + distortion.var(0) / 4000).sqrt()
    assert ((weights.mean(0) + distortion.mean(0) + exact).abs() < 4.5 * error).all()


@pytest.mark.parametrize("shape", [(6, 1, 8, 9), (6, 8, 8), (1, 8, 8), (6, 64)], ids=str)
def test_data_of_another_shape_are_refused(shape):
    with pytest.raises(UsageError, match=r"\(1, 8, 8\)"):
        model_of().encode(torch.zeros(shape))


@pytest.mark.parametrize("shape", [(6, 5), (), (3,), (4, 1)], ids=str)
def test_latents_of_another_shape_are_refused(shape):
    with pytest.raises(UsageError, match=r"\(4,\)"):
        model_of().decode(torch.zeros(shape))


def test_autoencoder_has_no_samples_and_says_what_to_do():
    model = model_of("autoencoder")
    with pytest.raises(UndefinedError, match="prior") as caught:
        model.sample(4)
    assert "genmod" in caught.value.hint
    with pytest.raises(UndefinedError, match="density"):
        model.log_weights(torch.zeros(2, 1, 8, 8))
    assert "posterior" in model.missing_densities()


def test_pseudo_likelihood_has_no_weights():
    model = model_of(decoder={"name": "bernoulli", "binarize": "none"})
    with pytest.raises(UndefinedError, match="decoder 'bernoulli'"):
        model.log_weights(torch.zeros(2, 1, 8, 8))


def test_networks_alone_run_in_low_precision():
    """Densities and divergences of bf16 networks are single precision, and the ELBO is within a thousandth."""
    model = model_of(encoder="conv").eval()
    x = torch.randint(2, (64, 1, 8, 8)).float()
    torch.manual_seed(0)
    single = model.terms(x)
    model.autocast_dtype = torch.bfloat16
    torch.manual_seed(0)
    low = model.terms(x)
    q = model.encode(x)
    assert {q.mean.dtype, model.decode(q.mean).mean.dtype, low.total.dtype} == {torch.float32}
    assert abs(low.total / single.total - 1) < 1e-3
    assert low.total != single.total
    low.total.backward()
    assert all(p.grad.isfinite().all() for p in model.parameters())


def test_model_without_parameters_knows_where_it_is():
    assert model_of().device == torch.device("cpu")
