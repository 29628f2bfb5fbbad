"""Parts that are given in Python: what they compute, how they are saved, and what is refused."""

import copy
import json
import sys

import pytest
import torch
from torch import nn
from torch.distributions import (
    Categorical,
    Independent,
    Laplace,
    MixtureSameFamily,
    MultivariateNormal,
    Normal,
    StudentT,
    TransformedDistribution,
)
from torch.distributions.transforms import AffineTransform

import genmod
from genmod import UsageError
from genmod.cli import main
from genmod.distributions.reshaped import Reshaped, tensors_of, with_tensors

QUICK = {"steps": 3, "device": "cpu", "batch_size": 16}
COLUMNS = 5


@pytest.fixture
def x():
    return torch.randn(60, COLUMNS, generator=torch.Generator().manual_seed(0))


def encoder():
    return nn.Sequential(nn.Linear(COLUMNS, 8), nn.ReLU())


def network(outputs=2 * COLUMNS):
    return nn.Linear(2, outputs)


def student(parameters):
    loc, log_scale = parameters.chunk(2, -1)
    return StudentT(4.0, loc, log_scale.exp())


def given(**more):
    return {"encoder": encoder(), "network": network(), "decoder": student, "prior": Normal(0.5, 2.0), **more}


def built(x, parts, **more):
    return genmod.build(data=x, **parts, latent=2, **more)


def test_the_bound_is_that_of_the_parts(x):
    """Against scipy and torch, with the parts taken out of the model."""
    stats = pytest.importorskip("scipy.stats")
    parts = given()
    model = built(x, parts).eval()
    q = model.encode(x)
    features = parts["encoder"](x)
    loc = model.posterior.head(features)[:, :2]
    torch.testing.assert_close(q.mean, loc)
    z = q.sample((3,))
    loc, log_scale = parts["network"](z).double().detach().chunk(2, -1)
    expected = stats.t.logpdf(x.double(), 4.0, loc, log_scale.exp()).sum(-1)
    torch.testing.assert_close(
        model.decode(z).log_prob(x).double().detach(), torch.tensor(expected), atol=1e-4, rtol=1e-4
    )
    expected = stats.norm.logpdf(z.double(), 0.5, 2.0).sum(-1)
    torch.testing.assert_close(
        model.prior().log_prob(z).double(), torch.tensor(expected), atol=1e-4, rtol=1e-4
    )
    sigma, mu = q.variance.double().sqrt(), q.mean.double()
    kl = (torch.log(2 / sigma) + (sigma**2 + (mu - 0.5) ** 2) / 8 - 0.5).sum(-1)
    found = model.divergence(q, model.prior(), z[:1]).double()
    torch.testing.assert_close(found, kl, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    "changed",
    [
        {},
        pytest.param({"encoder": "mlp", "network": "mlp", "decoder": "gaussian"}, marks=pytest.mark.slow),
        pytest.param({"encoder": lambda x: x * 2.0, "prior": "normal"}, marks=pytest.mark.slow),
        pytest.param({"network": None}, marks=pytest.mark.slow),
        pytest.param({"decoder": "laplace", "network": nn.Linear(2, COLUMNS)}, marks=pytest.mark.slow),
        {
            "encoder": nn.Sequential(nn.LazyLinear(8), nn.BatchNorm1d(8)),
            "network": nn.Sequential(nn.LazyLinear(10)),
        },
        pytest.param(
            {"prior": MultivariateNormal(torch.zeros(2), torch.eye(2) * 3), "divergence": "kl-mc"},
            marks=pytest.mark.slow,
        ),
        {"encoder": encoder().double(), "network": None, "decoder": "gaussian", "prior": "normal"},
    ],
    ids=["all", "prior", "function", "mirror", "native-decoder", "lazy", "multivariate", "double"],
)
def test_any_of_them_trains_is_saved_and_loaded(x, changed, tmp_path, request):
    parts = {kind: part for kind, part in given(**changed).items() if part is not None}
    model = built(x, parts)
    assert model.dtype == (torch.float64 if "double" in request.node.name else torch.float32)
    genmod.train(model, x, **QUICK, directory=tmp_path / "m")
    assert genmod.evaluate(model, x)["elbo"].n == 60
    foreign = {kind: part for kind, part in parts.items() if not isinstance(part, str)}
    fresh = copy.deepcopy(foreign)
    for part in fresh.values():
        for parameter in part.parameters() if isinstance(part, nn.Module) else ():
            nn.init.zeros_(parameter)
    loaded = genmod.load(tmp_path / "m", modules=fresh)
    assert torch.equal(loaded.encode(x).mean, model.encode(x).mean)
    assert torch.equal(loaded.sample(4, seed=0), model.sample(4, seed=0))
    described = json.loads((tmp_path / "m" / "model.json").read_text())["components"]
    assert {kind for kind in described if set(described[kind]) == {"module"}} == {*foreign, "dataset"}
    longer = genmod.train(loaded, x, directory=tmp_path / "m", resume=True, steps=5)
    assert longer.steps == 5


def test_a_run_that_was_stopped_goes_on_as_if_it_had_not(x, tmp_path):
    def fresh():
        torch.manual_seed(1)
        return given()

    whole = built(x, fresh())
    genmod.train(whole, x, **{**QUICK, "steps": 6})
    half = built(x, fresh())
    genmod.train(half, x, **QUICK, directory=tmp_path / "m")
    again = genmod.load(tmp_path / "m", modules=fresh())
    genmod.train(again, x, directory=tmp_path / "m", resume=True, steps=6)
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name]), name


def test_images_of_levels_have_a_density_with_noise():
    """Bits per dimension need it."""
    pictures = torch.randint(0, 256, (40, 1, 4, 4), dtype=torch.uint8)
    model = genmod.build(
        data=pictures,
        encoder=nn.Sequential(nn.Flatten(), nn.Linear(16, 8)),
        network=nn.Linear(2, 16),
        decoder=lambda p: Normal(p.reshape(-1, 1, 4, 4), 0.5),
        latent=2,
    )
    seen = model.observe(pictures)
    assert model.decoder.cell == 1 / 255
    assert 0 < float((seen - pictures / 255).abs().max()) <= 0.5 / 255
    assert genmod.evaluate(model, pictures)["bits_per_dim"].value > 0


def test_instances_of_genmods_own_classes_are_taken_as_they_are(x):
    prior = genmod.build(data=x, decoder="gaussian", encoder="mlp", latent=2).prior
    assert built(x, given(prior=prior)).prior is prior


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"encoder": nn.Linear(4, 8)}, "encoder 'Linear' fails for two examples of shape"),
        ({"encoder": nn.Linear}, "give an instance"),
        ({"encoder": lambda x: (x, x)}, "makes a tuple of two examples"),
        ({"encoder": lambda x: x.mean()}, r"makes torch.float32 \(\)"),
        ({"encoder": encoder().bfloat16()}, "weights of torch.bfloat16"),
        ({"encoder": 3}, "allowed are a name, a table"),
        ({"network": network(7), "decoder": "gaussian"}, "makes parameters of shape"),
        ({"network": None, "decoder": lambda p: p}, "where a distribution is needed"),
        ({"network": network(3)}, "no distribution of data of shape"),
        ({"prior": Normal(torch.zeros(3), 1.0)}, r"latents of shape \(3,\)"),
        ({"prior": Normal(torch.zeros(2, requires_grad=True), 1.0)}, "give a module that returns"),
        ({"prior": torch.distributions.Gamma(1.0, 1.0)}, "has its density on"),
        ({"divergence": lambda q, p, z: z}, "an instance of genmod.Divergence"),
        ({"decoder": lambda p: torch.distributions.Bernoulli(logits=p[:, :COLUMNS])}, "has a density on"),
    ],
)
def test_what_does_not_fit_is_refused(x, changed, message):
    parts = {kind: part for kind, part in given(**changed).items() if part is not None}
    with pytest.raises(UsageError, match=message):
        built(x, parts)


def test_draws_of_a_learned_prior_need_a_gradient_beside_given_parts_too(x):
    with pytest.raises(UsageError, match="cannot be differentiated"):
        built(x, given(prior="vamp"), divergence="mmd")


def test_without_the_parts_it_says_which_are_missing(x, tmp_path, capsys):
    directory = genmod.save(built(x, given()), tmp_path / "m")
    with pytest.raises(
        UsageError, match=r"encoder \(torch.nn.modules.container.Sequential\), prior .*\n.*encoder=…, prior=…"
    ) as caught:
        genmod.load(directory)
    with pytest.raises(SystemExit) as exit:
        main(["sample", str(directory)])
    assert exit.value.code == 2
    assert caught.value.message in " ".join(capsys.readouterr().err.split())
    with pytest.raises(UsageError, match="prior"):
        genmod.load(directory, modules=dict.fromkeys(("encoder", "network", "decoder"), encoder()))
    with pytest.raises(UsageError, match="given for objective"):
        genmod.load(directory, modules=given(objective=3))
    with pytest.raises(UsageError, match=r"encoder.module.0.weight is .* \(9, 5\)|encoder.module.0"):
        genmod.load(directory, modules=given(encoder=nn.Sequential(nn.Linear(COLUMNS, 9), nn.ReLU())))


def test_a_description_is_never_imported(x, tmp_path):
    directory = genmod.save(built(x, given()), tmp_path / "m")
    text = (directory / "model.json").read_text()
    (directory / "model.json").write_text(
        text.replace("torch.nn.modules.container.Sequential", "antigravity.x")
    )
    assert genmod.load(directory, modules=given()).latent_shape == (2,)
    assert "antigravity" not in sys.modules
    (directory / "model.json").write_text(text.replace('"torch.nn.modules.container.Sequential"', "3"))
    with pytest.raises(genmod.FileError, match="component 'encoder'"):
        genmod.load(directory)


@pytest.mark.parametrize(
    "base",
    [
        Laplace(torch.randn(6, 3), torch.rand(6, 3) + 0.5),
        MultivariateNormal(torch.randn(6, 3), torch.eye(3)),
        Categorical(torch.rand(6, 4)),
    ],
)
def test_reshaped_is_the_same_distribution(base):
    made = Reshaped(base, torch.Size((2, 3)))
    rest, event = base.batch_shape[1:], base.event_shape
    with torch.random.fork_rng():
        torch.manual_seed(0)
        drawn = base.sample((4,))
        torch.manual_seed(0)
        again = made.sample((4,))
    assert torch.equal(drawn.reshape(again.shape), again)
    expected = base.log_prob(drawn).reshape(4, 2, 3, *rest)
    torch.testing.assert_close(made.log_prob(again), expected)
    value = again[0, 0, 0]
    torch.testing.assert_close(made.log_prob(value), base.log_prob(value).reshape(2, 3, *rest))
    wide = made.expand((5, 2, 3, *rest))
    assert (wide.batch_shape, wide.event_shape) == ((5, 2, 3, *rest), event)
    torch.testing.assert_close(wide.log_prob(value)[4], made.log_prob(value))
    torch.testing.assert_close(made.entropy(), base.entropy().reshape(2, 3, *rest))


def test_tensors_of_nested_distributions_are_replaced():
    mixture = MixtureSameFamily(
        Categorical(torch.tensor([0.3, 0.7])), Normal(torch.tensor([-1.0, 1.0]), torch.tensor([0.5, 2.0]))
    )
    moved = TransformedDistribution(
        Independent(Normal(torch.zeros(2), torch.ones(2)), 1),
        [AffineTransform(torch.ones(2), torch.tensor(3.0))],
    )
    for made in (mixture, moved):
        value = made.sample((3,))
        found = dict(tensors_of(made))
        double = with_tensors(made, lambda path: found[path].double())  # noqa: B023
        assert double.log_prob(value.double()).dtype == torch.float64
        torch.testing.assert_close(double.log_prob(value.double()).float(), made.log_prob(value))
        assert made.sample().dtype == torch.float32
