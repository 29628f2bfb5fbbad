"""What metrics say of tokenizers of pictures: against closed forms, enumeration, simulation, and scipy."""

import math

import numpy as np
import pytest
import torch
from scipy import fft, stats
from torch.distributions import Normal

from genmod import Batch, DataInfo, TensorSplit, compose, evaluate, fit_sampler
from genmod.evaluation import Bands, frequencies, octaves, power_spectrum
from genmod.model.assembly import assemble
from genmod.plugins.metrics._frechet import frechet_distance
from genmod.plugins.metrics.codebook import Use
from genmod.plugins.metrics.spectrum import share_row

UNBOUNDED = {"low": -math.inf, "high": math.inf}


def model_of(info, recipe="vae", latent=2, **components):
    parts = {"encoder": {"name": "mlp", "hidden": [6]}, "decoder": "gaussian", **components}
    return assemble(compose(recipe, components=parts, latent=latent), info, seed=1)


def measured(x, made, *metrics, **info):
    """Numbers of a model whose reconstructions of ``x`` are ``made``."""
    model = model_of(DataInfo(tuple(x.shape[1:]), **info))
    model.decode = lambda z, context=None: Normal(made, 1.0)
    return evaluate(model, TensorSplit(Batch(x)), list(metrics))


def normals(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# Fréchet distance of reconstructions


def test_distance_of_exact_and_of_shifted_reconstructions():
    x = normals(60, 1, 3, 3).float()
    assert measured(x, x, "rfid[pixel]", **UNBOUNDED)["rfid[pixel]"].value == pytest.approx(0, abs=1e-8)
    found = measured(x, x + 0.5, "rfid[pixel]", **UNBOUNDED)["rfid[pixel]"]
    # Whatever the pictures: each moves both sides alike.
    assert found.value == pytest.approx(9 * 0.25, rel=1e-5)
    assert found.standard_error == pytest.approx(0, abs=1e-6)
    assert (found.n, found.details["dimensions"]) == (60, 9)


def test_error_of_pairs_by_hand():
    """Reconstructions that are shrunk, ``(1 - a)² Σ x²`` of each example: of ``N(2, 1)`` the squares have variance 18."""
    found = [
        frechet_distance(x, 0.4 * x, paired=True) for x in (normals(400, 2, seed=s) + 2 for s in range(40))
    ]
    assert np.mean([each.value for each in found]) == pytest.approx(0.36 * (2 * 4 + 2), rel=0.02)
    exact = 0.36 * (2 * 18 / 400) ** 0.5
    assert np.mean([each.standard_error for each in found]) == pytest.approx(exact, rel=0.03)


def test_fewer_examples_are_the_first():
    x = normals(60, 1, 3, 3).float()
    other = torch.cat([x[:20], x[20:] + 7])
    found = measured(x, other[:20], {"name": "rfid", "features": "pixel", "samples": 20}, **UNBOUNDED)
    assert found["rfid[pixel]"].value == pytest.approx(0, abs=1e-8)
    assert any("20 examples are poor" in text for text in found.warnings)


# Spectra


@pytest.mark.parametrize("shape", [(8, 8), (5, 12)])
def test_transform_is_that_of_scipy(shape):
    x = normals(3, 2, *shape)
    wanted = (fft.dctn(x.numpy(), axes=(2, 3), norm="ortho") ** 2).mean(1) / math.prod(shape)
    torch.testing.assert_close(power_spectrum(x), torch.from_numpy(wanted), rtol=1e-11, atol=1e-14)
    torch.testing.assert_close(power_spectrum(x).sum((1, 2)), x.square().mean((1, 2, 3)))


def test_bands_hold_each_frequency_once():
    names = octaves(12, 32)
    assert list(names) == ["mean", "1/64-1/32", "1/32-1/16", "1/16-1/8", "1/8-1/4", "1/4-1/2", "1/2-"]
    bands = Bands(list(names.values()), 12, 32)
    f = frequencies(12, 32)
    assert f[3, 8] == pytest.approx(math.hypot(3 / 24, 8 / 64))
    wanted = [
        int((f == 0).sum()),
        *(int(((f >= 2.0**-k) & (f < 2.0 ** (1 - k))).sum()) for k in range(6, 0, -1)),
    ]
    assert bands.counts.tolist() == wanted
    assert list(octaves(1, 1)) == ["mean"]


def test_powers_of_errors_add_up_to_the_squared_error():
    x, made = normals(20, 3, 8, 12).float(), normals(20, 3, 8, 12, seed=1).float()
    found = measured(x, made, "mse", "spectrum", **UNBOUNDED)
    bands = [row for row in found.rows if row.name.startswith("lost_power[")]
    assert sum(row.details["errors"] for row in bands) == pytest.approx(found["mse"].value, rel=1e-9)
    squares = x.double().square().mean().item()
    assert sum(row.details["pictures"] for row in bands) == pytest.approx(squares, rel=1e-9)
    parts = [sum(row.details[name] for row in bands[1:]) for name in ("errors", "pictures")]
    assert found["lost_power"].value == pytest.approx(parts[0] / parts[1], rel=1e-9)


def test_white_noise_is_lost_alike_at_all_frequencies():
    """Of known power: 4 times that of what is lost of it, at each frequency ``1 / (height · width)`` of it."""
    x = normals(300, 1, 16, 16).float()
    found = measured(x, x + 0.5 * normals(300, 1, 16, 16, seed=1).float(), "spectrum", **UNBOUNDED)
    counts = Bands(list(octaves(16, 16).values()), 16, 16).counts.tolist()
    for row, count in zip(found.rows[1:], counts, strict=True):
        assert abs(row.value - 0.25) < 4 * row.standard_error < 0.2, row.name
        assert row.details["errors"] == pytest.approx(0.25 * count / 256, rel=0.3)


@pytest.mark.parametrize(("waves", "band"), [(1, "1/64-1/32"), (8, "1/8-1/4"), (31, "1/4-1/2")])
def test_a_lost_wave_is_lost_in_its_band(waves, band):
    """``waves`` half periods across 32 pixels are ``waves / 64`` cycles per pixel."""
    wave = torch.cos(math.pi * waves * (torch.arange(32.0) + 0.5) / 32).expand(4, 1, 32, 32)
    rest = normals(4, 1, 32, 32).float()
    found = measured(rest + wave, rest, "spectrum", **UNBOUNDED)
    lost = {row.name: row.details["errors"] for row in found.rows[1:]}
    assert lost.pop(f"lost_power[{band}]") == pytest.approx(0.5, rel=1e-5)
    assert max(lost.values()) < 1e-10


def test_error_of_a_share_is_its_spread_over_other_examples():
    def row(seed):
        pictures = normals(50, 1, seed=seed).square().sum(1)
        errors = 0.3 * pictures + 0.2 * normals(50, seed=seed + 1000).square()
        return share_row("share", errors, pictures, pictures.mean(), "of the power")

    found = [row(seed) for seed in range(300)]
    spread = np.std([row.value for row in found], ddof=1)
    assert 0.85 < np.mean([row.standard_error for row in found]) / spread < 1.15


def test_pictures_without_power_and_tables_have_no_spectrum():
    flat = torch.full((5, 1, 8, 8), 0.3)
    found = measured(flat, flat + torch.rand(5, 1, 8, 8), "spectrum")
    assert [row.name for row in found.rows] == ["lost_power[mean]"]
    assert "no power" in found.undefined["lost_power[1/4-1/2]"]
    table = evaluate(model_of(DataInfo((5,), **UNBOUNDED)), TensorSplit(Batch(torch.randn(9, 5))), "spectrum")
    assert "spectra are of images" in table.undefined["spectrum"]


# Moments of latents


def coder(columns):
    """An autoencoder whose codes are the examples."""
    parts = {"encoder": "identity", "network": "linear", "decoder": "gaussian"}
    model = assemble(
        compose("autoencoder", components=parts, latent=columns), DataInfo((columns,), **UNBOUNDED)
    )
    with torch.no_grad():
        model.posterior.head.weight.copy_(torch.eye(columns))
        model.posterior.head.bias.zero_()
    return model


@pytest.mark.parametrize("far", [0.0, 1e4])
def test_moments_are_those_of_scipy(far):
    x = normals(300, 2).exp() * torch.tensor([1.0, 3.0]) + far
    split = TensorSplit(Batch(x.float()))
    z = split.batch.x.double().numpy()
    found = evaluate(coder(2), split, "latent-statistics")
    for name, wanted in {
        "mean": z.mean(0),
        "std": z.std(0),
        "skewness": stats.skew(z),
        "kurtosis": stats.kurtosis(z),
    }.items():
        values = [found[f"latent_{name}[{i}]"].value for i in range(2)]
        assert values == pytest.approx(wanted, rel=1e-4)
        assert found["scaling_factor"].details[name] == values
    assert found["scaling_factor"].value == pytest.approx(1 / z.std(), rel=1e-5)
    assert found["shift_factor"].value == pytest.approx(z.mean(), rel=1e-6)


def test_errors_of_moments_are_their_spread_over_other_examples():
    model = coder(2)
    draws = [
        evaluate(model, TensorSplit(Batch(normals(400, 2, seed=s).abs().float())), "latent-statistics")
        for s in range(40)
    ]
    for name in (
        "latent_mean[0]",
        "latent_std[1]",
        "latent_skewness[0]",
        "latent_kurtosis[1]",
        "scaling_factor",
    ):
        spread = np.std([each[name].value for each in draws], ddof=1)
        assert 0.7 < np.mean([each[name].standard_error for each in draws]) / spread < 1.3, name


def test_channels_of_maps_are_over_all_places():
    """Places of one example are not independent: errors are over the examples."""
    parts = {
        "encoder": {"name": "conv-map", "width": 8, "blocks": 0},
        "posterior": {"name": "vq", "codes": 5},
        "prior": "categorical",
    }
    model = model_of(DataInfo((1, 8, 8)), latent=3, **parts)
    split = TensorSplit(Batch(torch.rand(20, 1, 8, 8)))
    z = model.encode(split.batch.x).mean.double().detach().numpy()
    found = evaluate(model, split, "latent-statistics")
    for i in range(3):
        assert found[f"latent_std[{i}]"].value == pytest.approx(z[:, i].std(), rel=1e-5)
        error = z[:, i].mean((1, 2)).std(ddof=1) / 20**0.5
        assert found[f"latent_mean[{i}]"].standard_error == pytest.approx(error, rel=1e-4)
    many = evaluate(model_of(DataInfo((1, 8, 8)), latent=17), split, "latent-statistics")
    assert [row.name for row in many.rows] == ["scaling_factor", "shift_factor"]
    assert len(many["scaling_factor"].details["std"]) == 17
    assert "17 are too many rows" in many.undefined["statistics of each channel"]


def test_constant_and_discrete_latents_have_no_moments():
    x = torch.cat([torch.ones(20, 1), torch.randn(20, 1)], 1)
    found = evaluate(coder(2), TensorSplit(Batch(x)), "latent-statistics")
    assert (found["latent_std[0]"].value, found["latent_mean[0]"].value) == (0, 1)
    assert "the same number" in found.undefined["latent_kurtosis[0]"]
    assert found["scaling_factor"].details["kurtosis"][0] is None
    same = evaluate(coder(2), TensorSplit(Batch(torch.ones(20, 2))), "latent-statistics")
    assert "no factor brings" in same.undefined["latent-statistics"]
    classes = model_of(DataInfo((1, 8, 8)), "categorical-vae", (2, 3))
    pictures = TensorSplit(Batch(torch.rand(8, 1, 8, 8)))
    assert "are classes" in evaluate(classes, pictures, "latent-statistics").undefined["latent-statistics"]


# Bits of codes


def coded_model(latent=(2, 3)):
    """Codes of two places, whose prior has other probabilities for each."""
    parts = {"posterior": {"name": "vq", "codes": 5}, "prior": "categorical"}
    model = model_of(DataInfo((1, 6, 6)), latent=latent, **parts)
    logits = 2 * normals(2, 5, seed=7)
    model.prior.of.zeros.copy_(logits)
    return model, logits.numpy()


def test_bits_of_codes_are_those_of_an_arithmetic_coder():
    """Against probabilities by hand, which over all codes add up to one."""
    (model, logits), split = coded_model(), TensorSplit(Batch(torch.rand(30, 1, 6, 6)))
    bits = -np.log2(np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)).reshape(2, 5)
    codes = model.encode(split.batch.x).codes.numpy()
    wanted = (bits[0][codes[:, 0]] + bits[1][codes[:, 1]]) / 36
    found = evaluate(model, split, "code-bits")
    np.testing.assert_allclose(found["code_bits[prior]"].examples, wanted, rtol=1e-5)
    assert np.sum(2.0 ** -(bits[0][:, None] + bits[1][None])) == pytest.approx(1)
    assert found["code_bits[uniform]"].value == pytest.approx(2 * math.log2(5) / 36)
    assert found["code_bits[prior]"].unit == "bits/pixel"
    assert "no sampler" in found.undefined["code_bits[sampler]"]


def test_bits_of_normals_are_their_divergence_in_bits():
    """``KL(N(m, s²) ‖ N(0, 1))`` by hand; under a sampler it is estimated, and lower by how much better that fits."""
    info = DataInfo((2,), **UNBOUNDED)
    model = model_of(info, encoder="identity", network="linear")
    x = normals(400, 2).float() + 3
    data = {name: x for name in ("train", "validation", "test")}
    q = model.encode(x)
    m, s = q.mean.detach().double().numpy(), q.stddev.detach().double().numpy()
    wanted = ((m**2 + s**2 - 1) / 2 - np.log(s)).sum(1) / math.log(2)
    fit_sampler(model, data, "gaussian")
    found = evaluate(model, TensorSplit(Batch(x)), "code-bits[200]")
    np.testing.assert_allclose(found["code_bits[prior]"].examples, wanted, rtol=1e-4)
    assert found["code_bits[prior]"].unit == "bits"
    total = np.cov(m.T) + np.diag((s**2).mean(0))
    far = m - m.mean(0)
    inverse = np.linalg.inv(total)
    kl = (
        0.5 * (np.einsum("ni,ij,nj->n", far, inverse, far) + (s**2 @ np.diag(inverse)) - 2)
        + 0.5 * np.linalg.slogdet(total)[1]
    )
    against = (kl - np.log(s).sum(1)).mean() / math.log(2)
    assert found["code_bits[sampler]"].value == pytest.approx(against, rel=0.05)
    assert found["code_bits[sampler]"].value < found["code_bits[prior]"].value
    assert "not codes" in found.undefined["code_bits[uniform]"]


def test_what_has_no_bits():
    x = TensorSplit(Batch(torch.rand(8, 1, 6, 6)))
    found = evaluate(model_of(DataInfo((1, 6, 6)), "autoencoder"), x, "code-bits")
    assert not found.rows
    assert "posterior has no density" in found.undefined["code_bits[prior]"]


# Use of codes


def test_use_of_codes_is_that_of_their_probabilities():
    """Classes by their number take little memory; one-hot probabilities are the same thing."""
    codes = torch.randint(6, (50,), generator=torch.Generator().manual_seed(1)) ** 2 // 6
    few, many = Use(codes.int(), 6), Use(torch.nn.functional.one_hot(codes, 6).double(), 6)
    weights = torch.rand(7, 50, dtype=torch.float64)
    torch.testing.assert_close(few.means(weights), many.means(weights))
    for name in ("mean", "surprise", "perplexity", "information"):
        torch.testing.assert_close(getattr(few, name), getattr(many, name))
    assert few.dead(0.5) == many.dead(0.5) != []
