"""The worst reconstructions, and the spectrum of what is lost: against metrics and known power."""

import math

import pytest
import torch

from genmod import Batch, DataInfo, TensorSplit, UndefinedError, UsageError, compose, evaluate
from genmod.figures.spectra import Spectra, draw_spectra, spectra
from genmod.figures.worst import difference, worst_grid
from genmod.model.assembly import assemble

CLASSES = ("a", "b", "c")


@pytest.fixture
def model():
    parts = {"encoder": {"name": "mlp", "hidden": [6]}, "decoder": "gaussian"}
    info = DataInfo((1, 6, 8), levels=256, classes=CLASSES)
    return assemble(compose("vae", components=parts, latent=2), info, seed=1)


def split(n=700):
    generator = torch.Generator().manual_seed(3)
    x = torch.randint(256, (n, 1, 6, 8), dtype=torch.uint8, generator=generator)
    # Some are darker, and so nearer to each other.
    return TensorSplit(
        Batch(x // (1 + torch.arange(n) % 7)[:, None, None, None].to(torch.uint8), torch.arange(n) % 3)
    )


def test_worst_are_those_with_the_largest_squared_errors(model):
    """Over several batches, sorted, with their captions."""
    examples = split()
    errors = evaluate(model, examples, "mse")["mse"].examples
    found = worst_grid(model, examples, 5, name="test")
    wanted = errors.argsort(descending=True)[:5]
    assert found.extra["indices"].tolist() == wanted.tolist()
    torch.testing.assert_close(found.extra["errors"], errors[wanted], rtol=1e-6, atol=0)
    x, made, between = found.images.unbind(1)
    torch.testing.assert_close(x, examples.batch.x[wanted] / 255)
    torch.testing.assert_close(between, (x - made).abs().clamp(max=1))
    index = int(wanted[0])
    assert found.row_labels[0] == f"test {index} ({CLASSES[index % 3]}), squared error {errors[index]:.3g}"
    assert found.column_labels == ("data", "decoded", "error")


def test_more_than_there_are_shows_all_and_none_is_refused(model):
    assert worst_grid(model, split(3), 5).images.shape == (3, 3, 1, 6, 8)
    with pytest.raises(UsageError, match="0 of 3 examples"):
        worst_grid(model, split(3), 0)
    with pytest.raises(UsageError, match="no examples to reconstruct"):
        worst_grid(model, split(0), 5)


def test_differences_lie_in_the_range_of_the_data():
    x, made = torch.tensor([-1.0, 0.5, 0.0]), torch.tensor([1.0, 0.25, 7.0])
    assert difference(x, made, DataInfo((3,), low=-1.0)).tolist() == [1.0, -0.75, 1.0]
    unbounded = DataInfo((3,), low=-math.inf, high=math.inf)
    assert difference(x, made, unbounded).tolist() == [-2.0, 0.25, -7.0]


def test_spectra_of_white_noise_are_flat_and_of_a_wave_a_line():
    """Noise of variance 1 on 12×16 pixels has ``1 / 192`` at each frequency; a wave of height 1, a power of 1/2."""
    noise = torch.randn(4000, 1, 12, 16, generator=torch.Generator().manual_seed(1))
    wave = torch.cos(math.pi * 4 * (torch.arange(12.0) + 0.5) / 12)[:, None].expand(12, 16)
    found = spectra(noise, noise - wave)
    # The shorter side has 12 pixels: rings are 1/24 apart, and the wave is of 4/24 cycles per pixel.
    rings = (24 * found.frequencies).round().long().tolist()
    assert rings == list(range(1, len(rings) + 1))
    torch.testing.assert_close(found.pictures, torch.full_like(found.pictures, 1 / 192), rtol=0.05, atol=0)
    lost = dict(zip(rings, found.errors.tolist(), strict=True))
    across = torch.hypot(torch.arange(12.0)[:, None] / 24, torch.arange(16.0)[None] / 32)
    at = int((((across * 24) >= 3.5) & ((across * 24) < 4.5)).sum())
    assert lost.pop(4) == pytest.approx(0.5 / at, rel=1e-5)
    assert max(lost.values()) < 1e-10


def test_what_has_no_spectrum():
    with pytest.raises(UndefinedError, match="of images"):
        spectra(torch.rand(4, 5), torch.rand(4, 5))
    with pytest.raises(UndefinedError, match="missing"):
        spectra(torch.full((4, 1, 5, 5), math.nan), torch.rand(4, 1, 5, 5))


def test_frequencies_that_no_picture_has_are_left_out():
    """Of them any error would be an infinite share."""
    stripes = torch.rand(5, 1, 6, 1, generator=torch.Generator().manual_seed(1)).expand(5, 1, 6, 8)
    found = spectra(stripes, torch.rand(5, 1, 6, 8))
    # Waves of 1 to 5 half periods down, and none across.
    torch.testing.assert_close(12 * found.frequencies, torch.arange(1.0, 6.0, dtype=torch.float64))
    assert bool((found.errors / found.pictures).max() < 1e6)
    with pytest.raises(UndefinedError, match="of one colour"):
        spectra(torch.full((4, 1, 5, 5), 0.3), torch.rand(4, 1, 5, 5))


@pytest.mark.parametrize(("lowest", "most"), [(0.6, 8), (0.02, 8), (1e-6, 8)])
def test_powers_have_numbers_that_people_can_read(lowest, most):
    """Whether they span less than a power of ten or many, and where no text is read as a formula."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    found = Spectra(*(torch.tensor(each) for each in ([0.1, 0.2, 0.4], [0.9, 0.8, 0.7], [0.5, 0.4, lowest])))
    with rc_context({"text.parse_math": False}):
        figure = Figure(figsize=(4.8, 3.0), layout="constrained")
        draw_spectra(axes := figure.subplots(), found)
        figure.draw_without_rendering()
        low, high = axes.get_ylim()
        shown = [
            label.get_text()
            for place, label in zip(axes.get_yticks(), axes.get_yticklabels(), strict=True)
            if low <= place <= high
        ]
    assert 2 <= len(shown) <= most
    assert all(low <= float(text.replace("\u2212", "-")) <= high for text in shown)
