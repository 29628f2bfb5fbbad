"""Critics that learn nothing: distances by features and by LPIPS, what is saved of them, and what they move."""

import math

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn
from torch.nn.functional import conv2d

import genmod
from genmod import DataInfo, Draw, FileError, UndefinedError, UsageError, diagonal_normal
from genmod.model.assembly import assemble, open_dataset
from genmod.plugins.critics.lpips import LpipsCritic
from genmod.plugins.critics.perceptual import PerceptualCritic
from genmod.plugins.encoders._backbone import torchvision_model
from genmod.plugins.features._perceptual import heads
from genmod.plugins.features.randconv import RandconvFeatures

SMALL = {"encoder": {"name": "mlp", "hidden": [16]}, "latent": 3}
HOW = {"steps": 4, "batch_size": 24, "device": "cpu"}
PICTURES = DataInfo((3, 16, 8), low=-1, high=1)


def draw(x, pictures):
    z = torch.zeros(pictures.shape[0] if pictures.dim() > 4 else 1, len(x), 2)
    likelihood = diagonal_normal(pictures, torch.tensor(0.0), 3)
    distortion = 0.5 * (pictures - x).square().sum((-3, -2, -1)).view(-1, len(x)).mean(0)
    return Draw(x, likelihood, z, lambda: likelihood, likelihood, pictures, distortion)


def unit(maps):
    """Vectors over the channels of a place, divided by their length plus 0.01, one place after the other."""
    places = maps.double().flatten(2).transpose(1, 2)
    return places / (places.square().sum(-1, keepdim=True).sqrt() + 0.01)


def test_distance_by_the_layers_of_a_network():
    """Three convolutions with a stride of two, of pictures from -1 to 1; several draws for each example."""
    x, pictures = 2 * torch.rand(5, 3, 16, 8) - 1, 2 * torch.rand(2, 5, 3, 16, 8) - 1
    found = PerceptualCritic(PICTURES, (2,), weight=0.5).losses(draw(x, pictures))["perceptual"]
    weights = [t.double() for name, t in RandconvFeatures(PICTURES).state_dict().items() if "weight" in name]
    expected, a, b = 0.0, x.double(), pictures.flatten(0, 1).double()
    for weight in weights:
        a, b = (conv2d(each, weight, stride=2, padding=1).clamp(min=0) for each in (a, b))
        differences = unit(a).repeat(2, 1, 1) - unit(b)
        expected = expected + differences.square().sum(2).mean(1).view(2, 5).mean(0) / 3
    torch.testing.assert_close(found.values.double(), expected, rtol=1e-5, atol=1e-6)
    assert (found.group, found.weight) == ("model", 0.5 * 3 * 16 * 8)


def test_distance_of_vectors_is_that_of_their_directions():
    """``2 - 2 cos``, up to what is added to the norms."""
    x, y = 100 * torch.rand(5, 7), 100 * torch.rand(5, 7)
    info = DataInfo((7,), low=-math.inf, high=math.inf)
    critic = PerceptualCritic(info, (2,), features="pixel")
    likelihood = diagonal_normal(y, torch.tensor(0.0), 1)
    given = Draw(x, likelihood, x[None, :, :2], lambda: likelihood, likelihood, y, x.sum(1))
    expected = 2 - 2 * nn.functional.cosine_similarity(x, y)
    torch.testing.assert_close(critic.losses(given)["perceptual"].values, expected, rtol=1e-3, atol=1e-4)


def test_it_is_not_trained_nor_saved():
    model = genmod.build(**SMALL, critic="perceptual")
    assert list(model.critic.parameters()) == []
    assert set(model.groups()) == {"model"}
    assert [name for name in model.state_dict() if name.startswith("critic")] == ["critic.sha256"]
    (net,) = model.critic._made
    before = {name: t.clone() for name, t in net.state_dict().items()}
    genmod.train(model, **HOW)
    assert not any(module.training for module in net.modules())
    assert all(torch.equal(t, before[name]) for name, t in net.state_dict().items())


def test_it_moves_the_model_and_is_reported():
    plain, moved = (genmod.build(**SMALL, **each) for each in ({}, {"critic": "perceptual"}))
    for model in (plain, moved):
        result = genmod.train(model, **HOW)
    assert not torch.equal(next(plain.encoder.parameters()), next(moved.encoder.parameters()))
    assert all(0 < row["perceptual"] < 4 for row in result.rows)
    for row in result.rows:
        # It measures the model, so that it counts in the loss by which weights are kept.
        assert row["loss"] == pytest.approx(64 * row["perceptual"] - row["elbo"], rel=1e-5)


@pytest.mark.parametrize(
    "features", ["pca:components=5", pytest.param("classifier:steps=20", marks=pytest.mark.slow)]
)
def test_fitted_features_are_saved(features, tmp_path):
    critic = {"name": "perceptual", "features": features}
    model = genmod.build(**SMALL, critic=critic)
    before = {name: t.clone() for name, t in model.critic.fitted.state_dict().items()}
    genmod.train(model, directory=tmp_path / "model", **HOW)
    fitted = model.critic.fitted.state_dict()
    assert not all(torch.equal(t, before[name]) for name, t in fitted.items())
    again = genmod.load(tmp_path / "model").critic.fitted.state_dict()
    assert all(torch.equal(t, again[name]) for name, t in fitted.items())


def test_features_are_fitted_to_training_examples():
    """Principal components are directions of most variance: those of the examples themselves."""
    data = DataInfo((1, 8, 8))
    critic = PerceptualCritic(data, (2,), features="pca:components=2")
    x = torch.rand(300, 1, 8, 8)
    critic.prepare_batch(genmod.Batch(x))
    centred = x.flatten(1) - x.flatten(1).mean(0)
    expected = torch.linalg.svd(centred.double(), full_matrices=False).Vh[:2]
    found = critic.fitted.net.features.directions.double()
    torch.testing.assert_close((found @ expected.T).abs(), torch.eye(2).double(), rtol=0, atol=1e-3)


def test_fitted_features_stay_in_evaluation_mode():
    """Else what drops units would measure other distances in training than in evaluation."""
    critic = PerceptualCritic(DataInfo((1, 8, 8)), (2,), features="pca:components=2")
    assert not any(module.training for module in critic.fitted.modules())
    assert not any(module.training for module in critic.train().fitted.modules())


def shapes_of(name):
    """The tensors of the convolutions of a network, without values."""
    with torch.device("meta"):
        return torchvision_model(name).features.state_dict(prefix="features.")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Networks with random weights, and random weights of their layers, as the published files are."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("lpips")
    for name, channels in (("alexnet", (64, 192, 384, 256, 256)), ("vgg16", (64, 128, 256, 512, 512))):
        # As torchvision draws them, but larger, so that the deep maps are not all but zero.
        state = {
            key: torch.randn(t.shape) * (2 / t[0].numel()) ** 0.5 if t.dim() > 1 else torch.zeros(t.shape)
            for key, t in shapes_of(name).items()
        }
        save_file(state, folder / f"{name}.safetensors")
        linear = {f"lin{i}.model.1.weight": torch.rand(1, n, 1, 1) for i, n in enumerate(channels)}
        save_file(linear, folder / f"{name}-linear.safetensors")
    return folder


def published(network, folder, **more):
    """The package's own network with the weights of a file."""
    package = pytest.importorskip("lpips", reason="lpips is not installed")
    from safetensors.torch import load_file

    made = package.LPIPS(net=network, pnet_rand=True, verbose=False, **more)
    theirs = made.net.state_dict()
    for name, value in load_file(folder).items():
        (match,) = [key for key in theirs if key.endswith(name.removeprefix("features"))]
        theirs[match] = value
    made.net.load_state_dict(theirs)
    return made.eval()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(("network", "file"), [("alex", "alexnet"), ("vgg", "vgg16")])
def test_lpips_is_that_of_the_package(network, file, files):
    """With its published weights of the layers, on pictures from -1 to 1."""
    data = DataInfo((3, 48, 40), low=-1, high=1)
    weights = files / f"{file}.safetensors"
    oracle = published(network, weights)
    x, y = 2 * torch.rand(4, *data.shape) - 1, 2 * torch.rand(4, *data.shape) - 1
    found = LpipsCritic(data, (2,), network=network, weights=weights).losses(draw(x, y))["lpips"]
    with torch.no_grad():
        torch.testing.assert_close(found.values, oracle(x, y).flatten(), rtol=1e-5, atol=1e-7)
    plain = PerceptualCritic(data, (2,), features=f"vgg:weights={weights}") if network == "vgg" else None
    if plain is not None:
        baseline = published(network, weights, lpips=False)
        with torch.no_grad():
            expected = baseline(x, y).flatten() / 5
        found = plain.losses(draw(x, y))["perceptual"].values
        torch.testing.assert_close(found, expected, rtol=2e-2, atol=1e-6)


def test_linear_weights_of_another_network_are_refused(files):
    with pytest.raises(FileError, match="does not hold the linear weights of LPIPS for network 'alex'"):
        heads("alex", files / "vgg16-linear.safetensors")


def test_data_that_lpips_cannot_compare_are_refused():
    with pytest.raises(UndefinedError, match="critic 'lpips' needs images") as error:
        LpipsCritic(DataInfo((7,)), (2,))
    assert "--critic perceptual" in error.value.hint


@pytest.mark.slow
def test_lpips_in_the_loss_is_the_metric(files):
    info = DataInfo((3, 32, 32))
    split = genmod.TensorSplit(genmod.Batch(torch.rand(6, *info.shape)))
    names = {"weights": files / "alexnet.safetensors", "linear": files / "alexnet-linear.safetensors"}
    critic = {"name": "lpips", "network": "alex", **{name: str(path) for name, path in names.items()}}
    spec = genmod.compose(
        "autoencoder",
        components={"encoder": SMALL["encoder"], "critic": critic, "decoder": "gaussian"},
        latent=3,
    )
    model, x = assemble(spec, info).eval(), split.batch.x
    with torch.no_grad():
        terms = model.terms(x)
    row = genmod.evaluate(model, split, [{"name": "lpips", **names}]).rows[0]
    torch.testing.assert_close(terms.values["lpips"].double(), row.examples, rtol=1e-5, atol=1e-7)


@pytest.mark.slow
def test_a_file_is_needed_where_training_goes_on(files, tmp_path):
    where, own = tmp_path / "net.safetensors", (files / "alexnet.safetensors").read_bytes()
    where.write_bytes(own)
    critic = {
        "name": "lpips",
        "network": "alex",
        "weights": str(where),
        "linear": str(files / "alexnet-linear.safetensors"),
    }
    genmod.train(genmod.build(**SMALL, critic=critic), directory=tmp_path / "model", **HOW)
    assert (tmp_path / "model" / "model.safetensors").stat().st_size < 10**6
    where.unlink()
    loaded = genmod.load(tmp_path / "model")
    assert loaded.sample(2).shape == (2, 1, 8, 8)
    with pytest.raises(FileError, match="no file of weights"):
        genmod.train(loaded, **HOW)
    save_file({name: torch.ones(t.shape) for name, t in shapes_of("alexnet").items()}, where)
    with pytest.raises(FileError, match="not the one"):
        genmod.train(genmod.load(tmp_path / "model"), **HOW)
    where.write_bytes(own)
    genmod.train(genmod.load(tmp_path / "model"), **HOW)


@pytest.mark.slow
def test_a_tokenizer_goes_on_bit_for_bit(tmp_path):
    """In mid-epoch, with critics, adaptive weight, running means of the weights, and crops and flips in workers."""
    (tmp_path / "pictures").mkdir()
    for i in range(40):
        levels = torch.randint(256, (20 + i % 5, 18, 3), dtype=torch.uint8)
        Image.fromarray(levels.numpy()).save(tmp_path / "pictures" / f"{i}.png")
    dataset = {"name": "image-folder", "path": str(tmp_path / "pictures"), "crop": 16}
    encoder = {"name": "autoencoder-2d", "channels": [8, 16]}
    parts = {"name": "several", "critics": ["perceptual", "patch:channels=8:start=2"]}
    spec = genmod.compose(
        "autoencoder-kl-small", components={"dataset": dataset, "encoder": encoder, "critic": parts}
    )
    data = open_dataset(spec)
    whole, first, again = (assemble(spec, data.info) for _ in range(3))
    how = {
        "steps": 9,
        "batch_size": 6,
        "device": "cpu",
        "ema": 0.9,
        "workers": 2,
        "augment": ["random-horizontal-flip"],
    }
    genmod.train(whole, data, directory=tmp_path / "whole", **how)

    class Stop(Exception):
        pass

    def stop(event):
        if event.kind == "train" and event.step == 7:
            raise Stop

    more = {"log_every": 1, "checkpoint_every": 1}
    with pytest.raises(Stop):
        genmod.train(first, data, directory=tmp_path / "part", **how, **more, on_event=stop)
    genmod.train(again, data, directory=tmp_path / "part", **how, checkpoint_every=1, resume=True)
    state, other = whole.state_dict(), again.state_dict()
    assert all(torch.equal(state[name], other[name]) for name in state)


def test_the_adaptive_weight_is_of_distortion_and_distance():
    """``w ‖∂(distortion + D · distance)/∂x̃‖ / (‖∂fooling/∂x̃‖ + 10⁻⁴)``; the reports are not changed."""
    parts = {"name": "several", "critics": ["patch:weight=0.5:channels=4", "perceptual:weight=2"]}
    model = genmod.build(**SMALL, critic=parts, decoder={"name": "gaussian", "scale": 0.5})
    x = torch.rand(5, 1, 8, 8)
    q = model.encode(x)
    z = q.rsample()
    likelihood, parameters = model.decoded(z)
    given = Draw(x, q, z[None], model.prior, likelihood, parameters, -likelihood.log_prob(x))
    found = model.critic.losses(given)
    assert {"perceptual", "patch_critic_loss", "patch_fooling_loss"} == set(found)
    whole = (-likelihood.log_prob(x)).sum() + 2 * 64 * found["perceptual"].values.sum()
    fooling = found["patch_fooling_loss"].values.sum()
    norms = [
        float(torch.autograd.grad(each, parameters, retain_graph=True)[0].norm()) for each in (whole, fooling)
    ]
    expected = 0.5 * norms[0] / (norms[1] + 1e-4 * 5**0.5)
    assert float(found["patch_fooling_loss"].weight) == pytest.approx(expected, rel=1e-4)


def test_features_without_a_gradient_are_refused(monkeypatch):
    monkeypatch.setattr(RandconvFeatures, "layers", lambda self, x: {"features": self(x.round()).detach()})
    with pytest.raises(UsageError, match="have none"):
        PerceptualCritic(PICTURES, (2,))


@pytest.mark.parametrize(
    ("features", "error", "match"),
    [
        ("randcon", UsageError, "randcon"),
        ("pca:components=0", UsageError, "components"),
        ("inception", UsageError, "need a file"),
        ("digits-cnn", UndefinedError, "8×8"),
    ],
)
def test_what_is_refused(features, error, match):
    with pytest.raises(error, match=match):
        PerceptualCritic(PICTURES, (2,), features=features)


def test_missing_values_are_refused():
    with pytest.raises(UndefinedError, match="whole examples"):
        PerceptualCritic(DataInfo((1, 8, 8), missing=True), (2,))


def test_options_of_features_in_brackets():
    parts = {"name": "several", "critics": ["perceptual:features=[pca:components=3]:weight=2", "perceptual"]}
    found = genmod.build(**SMALL, critic=parts).critic.critics
    assert (found["perceptual"].features, float(found["perceptual"].weight)) == ("pca:components=3", 2)
    assert found["perceptual_2"].features == "randconv"


def test_the_rate_is_in_nats_whatever_its_weight():
    """Against torch's formula for normals."""
    x = torch.rand(5, 1, 8, 8)
    model = genmod.build(**SMALL, objective={"name": "elbo", "beta": 1e-6}, decoder="gaussian")
    q = model.encode(model.observe(x))
    p = torch.distributions.Normal(0.0, 1.0)
    expected = torch.distributions.kl_divergence(torch.distributions.Normal(q.mean, q.stddev), p).sum(1)
    terms = model.terms(x)
    torch.testing.assert_close(terms.values["rate"], expected, rtol=1e-5, atol=1e-6)
    loss = (terms.values["distortion"] + 1e-6 * expected).mean()
    torch.testing.assert_close(terms.loss, loss, rtol=1e-6, atol=0)
