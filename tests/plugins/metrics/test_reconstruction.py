"""Errors and similarities of reconstructions: by hand, and against other implementations."""

import math

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from genmod import Batch, DataInfo, FileError, TensorSplit, UsageError, compose, evaluate
from genmod.model.assembly import assemble
from genmod.plugins.encoders._backbone import torchvision_model
from genmod.plugins.metrics.ssim import ssim
from genmod.system.random import seed_for, seeded


def model_of(info, recipe="vae", **components):
    components = {"encoder": {"name": "mlp", "hidden": [6]}, "decoder": "gaussian", **components}
    return assemble(compose(recipe, components=components, latent=2), info, seed=1)


def reconstructed(model, x):
    """The mean of p(x|z) at the mean of q(z|x)."""
    model.eval()
    with torch.no_grad():
        return model.decode(model.encode(model.observe(x)).mean).mean


def pictures(n=20, shape=(1, 28, 28), **info):
    return DataInfo(shape, **info), TensorSplit(Batch(torch.rand(n, *shape)))


def test_by_hand():
    info, split = pictures(shape=(2, 5, 6))
    model = model_of(info)
    x = split.batch.x.double()
    errors = (x - reconstructed(model, split.batch.x).double()).square().flatten(1).mean(1)
    result = evaluate(model, split, ["mse", "psnr"])
    assert result["mse"].value == pytest.approx(errors.mean().item(), rel=1e-6)
    torch.testing.assert_close(result["mse"].examples, errors, rtol=1e-6, atol=0)
    torch.testing.assert_close(result["psnr"].examples, -10 * errors.log10(), rtol=1e-6, atol=0)
    assert (result["psnr"].unit, result["mse"].better, result["psnr"].better) == ("dB", "lower", "higher")


def test_on_a_sphere_the_code_is_the_direction_of_the_mean():
    """The mean itself lies within the sphere, where no decoder was trained; pictures are of directions too."""
    info, split = pictures()
    model = model_of(info, "s-vae").eval()
    with torch.no_grad():
        mean = model.encode(model.observe(split.batch.x)).mean
        made = model.decode(nn.functional.normalize(mean, dim=1)).mean
    assert float(mean.norm(dim=1).max()) < 0.99
    errors = (split.batch.x - made).double().square().flatten(1).mean(1)
    torch.testing.assert_close(evaluate(model, split, ["mse"])["mse"].examples, errors, rtol=1e-5, atol=0)


def test_units_of_the_data():
    """Scores that are relative to the range do not depend on it, an error does by its square."""
    info, split = pictures()
    model = model_of(info)
    made = reconstructed(model, split.batch.x)
    wide, far = DataInfo(info.shape, low=-10.0, high=90.0), 100 * split.batch.x - 10
    found = evaluate(model, split, ["mse", "psnr", "ssim"])
    other = model_of(wide)
    other.decode = lambda z, context=None: torch.distributions.Normal(100 * made - 10, 1.0)
    moved = evaluate(other, TensorSplit(Batch(far)), ["mse", "psnr", "ssim"])
    assert moved["mse"].value == pytest.approx(1e4 * found["mse"].value, rel=1e-4)
    assert moved["psnr"].value == pytest.approx(found["psnr"].value, rel=1e-4)
    assert moved["ssim"].value == pytest.approx(found["ssim"].value, rel=1e-4)
    assert moved["psnr"].details["range"] == 100


@pytest.mark.slow
def test_against_torchmetrics():
    image = pytest.importorskip("torchmetrics.functional.image", reason="torchmetrics is not installed")
    info, split = pictures(shape=(3, 20, 28))
    model = model_of(info)
    x, y = split.batch.x, reconstructed(model, split.batch.x)
    result = evaluate(model, split, ["psnr", "ssim"])
    _, places = image.structural_similarity_index_measure(
        y.double(), x.double(), data_range=1.0, reduction="none", return_full_image=True
    )
    # It reflects pictures at their border, where the window does not lie within them.
    similar = places[..., 5:-5, 5:-5].mean((1, 2, 3))
    torch.testing.assert_close(result["ssim"].examples, similar, rtol=1e-4, atol=1e-6)
    noise = image.peak_signal_noise_ratio(y, x, data_range=1.0, dim=(1, 2, 3), reduction="elementwise_mean")
    assert result["psnr"].value == pytest.approx(float(noise), rel=1e-5)


def test_similarity_of_small_pictures_by_a_plain_loop():
    """Windows as wide as the picture, one place: means, variances and covariance with Gaussian weights."""
    x, y = torch.rand(2, 1, 1, 8, 8, dtype=torch.float64)
    place = torch.arange(8.0, dtype=torch.float64) - 3.5
    row = (-0.5 * (place / 1.5) ** 2).exp()
    weights = row[:, None] * row / row.sum() ** 2

    def mean(z):
        return (weights * z).sum()

    a, b = mean(x), mean(y)
    together = mean(x * y) - a * b
    top = (2 * a * b + 0.01**2) * (2 * together + 0.03**2)
    bottom = (a**2 + b**2 + 0.01**2) * (mean(x * x) - a**2 + mean(y * y) - b**2 + 0.03**2)
    assert ssim(x, y, 1.0).item() == pytest.approx((top / bottom).item(), rel=1e-10)


def test_similarity_of_equal_far_and_noisier_pictures():
    x = 1e4 + torch.rand(4, 3, 16, 16)
    torch.testing.assert_close(ssim(x, x, 1.0), torch.ones(4))
    x = torch.rand(4, 3, 16, 16, dtype=torch.float64)
    noise = torch.randn_like(x)
    values = [ssim(x, x + width * noise, 1.0).mean().item() for width in (0, 0.1, 0.3, 1)]
    assert values == sorted(values, reverse=True)


def test_what_is_undefined():
    table = DataInfo((5,), low=-math.inf, high=math.inf)
    result = evaluate(model_of(table), TensorSplit(Batch(torch.randn(9, 5))), ["mse", "psnr", "ssim"])
    assert [row.name for row in result.rows] == ["mse"]
    assert "no bounds" in result.undefined["psnr"]
    assert "needs images" in result.undefined["ssim"]


def test_exact_reconstructions_have_no_ratio():
    info, split = pictures()
    model = model_of(info)
    model.decode = lambda z, context=None: torch.distributions.Normal(split.batch.x, 1.0)
    result = evaluate(model, split, ["mse", "psnr", "ssim"])
    assert (result["mse"].value, result["ssim"].value) == (0, pytest.approx(1))
    assert "20 of 20 reconstructions are exact" in result.undefined["psnr"]


def test_missing_values_are_left_out():
    info = DataInfo((5,), missing=True)
    x = torch.rand(30, 5)
    x[::2, 1] = torch.nan
    model = model_of(info, decoder={"name": "gaussian", "scale": 0.5})
    row = evaluate(model, TensorSplit(Batch(x)), ["mse", "psnr"])["mse"]
    made = reconstructed(model, x).double()
    wanted = (x.double() - made).square().nanmean(1)
    torch.testing.assert_close(row.examples, wanted, rtol=1e-6, atol=1e-9)


def test_binary_pictures_are_compared_as_they_were_seen():
    """And drawn alike for all of these metrics."""
    info = DataInfo((1, 8, 8), levels=17)
    model = model_of(info, decoder={"name": "bernoulli", "binarize": "dynamic"})
    split = TensorSplit(Batch(torch.randint(17, (30, 1, 8, 8), dtype=torch.uint8)))
    result = evaluate(model, split, ["mse", "psnr"], seed=3)
    torch.testing.assert_close(result["psnr"].examples, -10 * result["mse"].examples.log10())
    assert evaluate(model, split, "mse", seed=4)["mse"].value != result["mse"].value
    # Their random numbers are those of every version, so that results can be compared.
    with seeded(seed_for(3, "evaluation/reconstruction", 0)):
        seen = model.observe(split.batch.x)
    wanted = (seen - reconstructed(model, seen)).double().square().flatten(1).mean(1)
    torch.testing.assert_close(result["mse"].examples, wanted)


def test_plain_autoencoder():
    info, split = pictures(shape=(1, 8, 8))
    assert evaluate(model_of(info, "autoencoder"), split, ["mse", "psnr", "ssim"]).undefined == {}


# ---------------------------------------------------------------- perceptual distance


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A network with random weights, and linear weights: as the published files are."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("lpips")
    # Its last layers, most of it, are not looked at.
    state = torchvision_model("alexnet").features.state_dict(prefix="features.")
    save_file(state, folder / "alexnet.safetensors")
    linear = {
        f"lin{i}.model.1.weight": torch.rand(1, n, 1, 1) for i, n in enumerate((64, 192, 384, 256, 256))
    }
    save_file(linear, folder / "linear.safetensors")
    return folder


def table_of(files):
    return {"name": "lpips", "weights": files / "alexnet.safetensors", "linear": files / "linear.safetensors"}


@pytest.mark.slow
def test_perceptual_distance_against_torchmetrics(files):
    module = pytest.importorskip(
        "torchmetrics.functional.image.lpips", reason="torchmetrics is not installed"
    )
    from safetensors.torch import load_file

    oracle = module._LPIPS(pretrained=False, net="alex", pnet_rand=True, use_dropout=True)
    whole = load_file(files / "alexnet.safetensors")
    theirs = oracle.net.state_dict()
    ours = [(name, value) for name, value in whole.items() if name.startswith("features.")]
    for name, value in ours:
        (match,) = [key for key in theirs if key.endswith(name.removeprefix("features"))]
        theirs[match] = value
    oracle.net.load_state_dict(theirs)
    for name, value in load_file(files / "linear.safetensors").items():
        getattr(oracle, name.split(".")[0]).model[1].weight = nn.Parameter(value)
    info, split = pictures(4, (3, 48, 40))
    model = model_of(info)
    x, y = split.batch.x, reconstructed(model, split.batch.x)
    row = evaluate(model, split, table_of(files)).rows[0]
    with torch.no_grad():
        wanted = oracle.eval()(2 * x - 1, 2 * y - 1).flatten().double()
    assert row.name.startswith("lpips[alex-")
    torch.testing.assert_close(row.examples, wanted, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_perceptual_distance_of_small_grey_pictures(files):
    info, split = pictures(3, (1, 8, 12))
    row = evaluate(model_of(info), split, table_of(files)).rows[0]
    assert row.details["size"] == "32×48"
    assert row.value > 0


def test_perceptual_distance_needs_its_files():
    info, split = pictures(3)
    with pytest.raises(UsageError, match="lpips needs two files") as raised:
        evaluate(model_of(info), split, "lpips")
    assert "save_file" in raised.value.hint


@pytest.mark.slow
def test_perceptual_distance_with_other_files(files, tmp_path):
    info, split = pictures(3)
    model = model_of(info)
    with pytest.raises(FileError, match="does not hold the linear weights"):
        evaluate(model, split, table_of(files) | {"linear": files / "alexnet.safetensors"})
    with pytest.raises(FileError, match="does not belong to this network"):
        evaluate(model, split, table_of(files) | {"weights": files / "linear.safetensors"})
    with pytest.raises(FileError, match="no file of weights"):
        evaluate(model, split, table_of(files) | {"linear": tmp_path / "none.safetensors"})


def test_perceptual_distance_of_a_table():
    """Known before a file is read."""
    table = {"name": "lpips", "weights": "none.safetensors", "linear": "none.safetensors"}
    result = evaluate(model_of(DataInfo((5,))), TensorSplit(Batch(torch.rand(4, 5))), table)
    assert "grey and colour images" in result.undefined["lpips"]
