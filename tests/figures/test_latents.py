"""The figure of the latents: every panel for every kind of latent, or a reason."""

import io
import math

import numpy as np
import pytest
import torch
from matplotlib.contour import QuadContourSet
from matplotlib.text import Text
from PIL import Image
from torch import nn

import genmod
from genmod import Batch, DataInfo, Factor, TensorSplit, UndefinedError, UsageError, compose
from genmod.figures import codes_panel, latents_figure, sample_grid, side_by_side, tempered
from genmod.figures.contours import contours, normal_on
from genmod.figures.draw import Groups, kept_apart
from genmod.figures.latents import PANELS
from genmod.figures.scene import Scene
from genmod.model import pieces
from genmod.model.assembly import assemble


def split_of(shape, n=60, factors=0):
    generator = torch.Generator().manual_seed(0)
    return TensorSplit(
        Batch(
            torch.rand(n, *shape, generator=generator),
            labels=torch.arange(n) % 3,
            factors=torch.arange(n)[:, None].expand(-1, factors) % 13 if factors else None,
        )
    )


def drawn(figure):
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=40)
    return np.asarray(Image.open(stream))


@pytest.mark.parametrize(
    ("recipe", "latent", "missing"),
    [
        ("vae", 2, set()),
        ("vae", 1, {"manifold", "kl"}),
        pytest.param("autoencoder", 5, {"manifold"}, marks=pytest.mark.slow),
        ("s-vae", 3, set()),
        pytest.param("s-vae", 2, set(), marks=pytest.mark.slow),
        pytest.param("pvae", 2, set(), marks=pytest.mark.slow),
        ("categorical-vae", [3, 4], {"manifold"}),
        pytest.param("joint-vae", None, {"manifold"}, marks=pytest.mark.slow),
    ],
)
def test_panels_of_every_kind_of_latent(recipe, latent, missing):
    model = genmod.build(recipe, encoder="mlp", latent=latent)
    state = torch.get_rng_state()
    found = latents_figure(model, split_of((1, 8, 8)), reference=split_of((1, 8, 8), 20))
    assert torch.equal(state, torch.get_rng_state())
    left = set(found.left_out)
    assert left >= missing - {"kl"}
    assert left <= missing
    assert all(len(reason) > 20 for reason in found.left_out.values())
    assert found.arrays["codes"].shape == (60, *model.latent_shape)
    assert found.gap is not None
    # Something is drawn, and not only on the edges.
    if "traversals_images" in found.arrays and recipe == "joint-vae":
        assert found.arrays["traversals_latents"].std(1).amax(-1).gt(0.1).all()
    ink = drawn(found.figure)[..., :3].mean(-1) < 200
    assert ink.any(0).mean() > 0.5
    assert ink.any(1).mean() > 0.3


@pytest.mark.parametrize(
    "shape",
    [
        (3, 6, 6),
        *(pytest.param(each, marks=pytest.mark.slow) for each in ((12,), (2, 6, 6), (4, 6, 6), (7, 5, 5))),
    ],
)
def test_data_of_every_shape(shape):
    spec = compose(components={"encoder": "mlp", "decoder": "gaussian"}, latent=2)
    model = assemble(spec, DataInfo(shape, factors=(Factor("size", 13),)))
    found = latents_figure(
        model, split_of(shape, factors=1), panels=["gaps", "scatter", "traversals"], colour_by="size"
    )
    assert not found.left_out
    assert torch.equal(found.arrays["labels"].unique(), torch.arange(13))
    assert drawn(found.figure).std() > 5


def test_what_cannot_be_drawn():
    model = genmod.build("categorical-vae", encoder="mlp")
    with pytest.raises(UsageError, match="no such panel: 'map'"):
        latents_figure(model, split_of((1, 8, 8)), panels=["map"])
    with pytest.raises(UndefinedError, match="none of these panels"):
        latents_figure(model, split_of((1, 8, 8)), panels=["manifold"])
    with pytest.raises(UsageError, match="'colour'"):
        latents_figure(model, split_of((1, 8, 8)), colour_by="colour")
    with pytest.raises(UsageError, match="16 or more"):
        latents_figure(model, split_of((1, 8, 8), 9))


def test_the_panels_are_in_the_readable_order():
    assert PANELS == (
        "scatter", "manifold", "kl", "traversals", "gaps", "marginals", "pairs", "correlations",
    )  # fmt: skip


def test_files(tmp_path):
    model = genmod.build(encoder="mlp", latent=2)
    found = latents_figure(model, split_of((1, 8, 8)), panels=["kl"])
    for suffix in ("png", "svg", "pdf", "npz"):
        found.save(tmp_path / f"a.{suffix}")
        found.save(tmp_path / f"b.{suffix}")
        assert (tmp_path / f"a.{suffix}").read_bytes() == (tmp_path / f"b.{suffix}").read_bytes()
    with np.load(tmp_path / "a.npz", allow_pickle=False) as file:
        assert set(file) == {"codes", "kl", "labels", "order"}
    with pytest.raises(UsageError, match="no known format"):
        found.save(tmp_path / "a.jpg")


def test_models_side_by_side():
    models = {
        "ae": genmod.build("autoencoder", encoder="mlp", latent=2),
        "classes": genmod.build("categorical-vae", encoder="mlp", latent=[3, 4]),
        "conditional": genmod.build("cvae", encoder="mlp", latent=3),
    }
    splits = {name: split_of((1, 8, 8)) for name in models}
    splits["ae"] = genmod.open_dataset(models["ae"].spec).split("test")
    figure = side_by_side(models, splits, seed=2)
    assert [part.get_suptitle() for part in figure.subfigs] == list(models)
    assert np.array_equal(drawn(figure), drawn(side_by_side(models, splits, seed=2)))
    figure.draw_without_rendering()
    for part in figure.subfigs:
        texts = [text for text in part.findobj(Text) if text.get_text()]
        assert len(texts) > 5
        assert [text.get_text() for text in texts if text.get_window_extent().x1 > part.bbox.x1] == []
    with pytest.raises(UsageError, match="a split of 16 or more"):
        side_by_side(models, {"ae": splits["ae"]})


def test_what_has_no_place_on_a_map_is_not_drawn_on_it():
    """Neither circles nor a line, where codes are drawn by t-SNE."""
    model = genmod.build(encoder="mlp", latent=16)
    with torch.no_grad():
        for weights in model.encoder.parameters():
            weights.normal_()
    [part] = side_by_side({"vae": model}, {"vae": split_of((1, 8, 8), 240)}).subfigs
    upper, _, lower = part.axes
    assert upper.get_title("left").startswith("t-SNE")
    assert "circles" not in upper.get_title("left")
    assert not upper.lines
    assert [len(dots.get_offsets()) for dots in upper.collections] == [120]
    assert "What draws from the prior, normal decode to" in [text.get_text() for text in lower.texts]


def test_what_a_conditional_model_decodes_is_said():
    model = genmod.build("cvae", encoder="mlp", latent=2)
    split = split_of((1, 8, 8))
    found = latents_figure(model, split, panels=["scatter", "manifold", "traversals", "gaps"], number=30)
    notes = " ".join(axes.get_title("left") for part in found.figure.subfigs for axes in part.axes)
    given = f", label={int(found.arrays['labels'][0])}"
    assert notes.count(given) == 4
    assert f"below: decoded{given}" in notes
    plain = latents_figure(genmod.build(encoder="mlp", latent=2), split, panels=["scatter"], number=30)
    assert "label=" not in plain.figure.subfigs[0].axes[0].get_title("left")


def test_of_large_pictures_fewer_are_decoded(monkeypatch):
    """Decodings of a whole plane are kept until they are drawn."""
    counts = []
    decode = codes_panel.decode_means
    monkeypatch.setattr(
        codes_panel, "decode_means", lambda m, z, **k: counts.append(len(z)) or decode(m, z, **k)
    )
    monkeypatch.setattr(pieces, "_HELD", 36 * 64)
    model = genmod.build(encoder="mlp", latent=2)
    found = latents_figure(model, split_of((1, 8, 8)), panels=["scatter", "manifold"])
    assert max(counts) <= 36
    assert found.arrays["manifold"].shape[:2] == (6, 6)


# Temperature


def test_temperature_scales_about_the_mean():
    model = genmod.build(encoder="mlp", latent=2)
    whole, half = sample_grid(model, 8, seed=1), sample_grid(model, 8, seed=1, temperature=0.5)
    torch.testing.assert_close(half.latents, whole.latents / 2)
    assert "temperature 0.5" in half.title
    assert "temperature" not in whole.title
    assert "latents from the prior, normal" in whole.title


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("inf"), float("nan")])
def test_temperatures_that_cannot_be(temperature):
    with pytest.raises(UsageError, match="above 0"):
        tempered(genmod.build(encoder="mlp"), torch.zeros(1, 16), temperature)


@pytest.mark.parametrize("recipe", ["s-vae", "vamp-vae", "categorical-vae", "gm-vae"])
def test_no_temperature_where_latents_are_not_normal(recipe):
    model = genmod.build(recipe, encoder="mlp")
    with pytest.raises(UndefinedError, match="have no temperature"):
        sample_grid(model, 2, temperature=0.5)


@pytest.mark.parametrize(("recipe", "count"), [("vae", 1), ("s-vae", 0), ("categorical-vae", 0)])
def test_contours_of_the_prior_are_drawn_where_it_has_a_density_in_the_plane(recipe, count):
    latent = [1, 2] if recipe == "categorical-vae" else 2
    model = genmod.build(recipe, encoder="mlp", latent=latent)
    figure = latents_figure(model, split_of((1, 8, 8)), panels=["scatter"]).figure
    sets = [each for each in figure.axes[0].collections if isinstance(each, QuadContourSet)]
    assert len(sets) == count


def scene_of(model, n=100, codes=None):
    found = Scene(
        model,
        torch.zeros(n, *model.data.shape),
        None,
        torch.zeros(n, *model.data.shape),
        Groups(None),
        "auto",
        0,
    )
    if codes is not None:
        found.__dict__["codes"] = codes
    return found


def test_lines_around_half_and_nine_tenths_of_a_normal_prior():
    scene = scene_of(genmod.build(encoder="mlp", latent=2), codes=torch.randn(100, 2))
    lines = contours(scene, scene.plane)
    assert lines.exact
    # Of a normal distribution in the plane, the density at the edge of the region with share s is (1 - s) / 2π.
    assert lines.levels == pytest.approx((0.1 / (2 * math.pi), 0.5 / (2 * math.pi)), rel=0.01)
    z = torch.randn(20000, 2)
    inside = torch.exp(-z.square().sum(1) / 2) / (2 * math.pi) > lines.levels[1]
    assert inside.double().mean() == pytest.approx(0.5, abs=0.02)


def test_a_projected_normal_prior_is_known_too():
    codes = torch.randn(400, 3) * torch.tensor([3.0, 2.0, 0.1]) + 1
    scene = scene_of(genmod.build(encoder="mlp", latent=3), codes=codes)
    assert "components" in scene.plane.method
    mean, covariance = normal_on(scene, scene.plane)
    draws = scene.plane.points[1].double()
    torch.testing.assert_close(draws.mean(0), mean, atol=0.1, rtol=0)
    torch.testing.assert_close(draws.T.cov(), covariance, atol=0.12, rtol=0)
    assert contours(scene, scene.plane).exact


class Shades(nn.Module):
    """Brightness by one number of the latent."""

    def __init__(self, place):
        super().__init__()
        self.place = place

    def forward(self, z):
        return (4 * z[:, self.place, None, None, None]).expand(-1, 1, 8, 8)


@pytest.mark.parametrize("place", [0, 1])
def test_what_is_decoded_lies_below_the_codes_that_decode_to_it(place):
    model = genmod.build(encoder="mlp", latent=2)
    model.network = Shades(place)
    figure = latents_figure(model, split_of((1, 8, 8)), panels=["scatter"]).figure
    axes = figure.axes[0]
    (image,) = axes.images
    assert image.get_extent() == [*axes.get_xlim(), *axes.get_ylim()]
    grey = np.asarray(image.get_array())[..., 0].astype(float)
    across, down = grey.mean(0), grey.mean(1)
    # The first row of the picture is the upper one.
    low, high = (across[:50], across[-50:]) if place == 0 else (down[-50:], down[:50])
    assert high.mean() - low.mean() > 150


def test_names_of_groups_in_one_place_are_moved_apart():
    at = kept_apart(torch.tensor([[0.0, 0.0], [0.0, 0.0], [1.0, 1.0]]))
    assert (at[0] - at[1]).norm() > 0.06
    assert (at[2] - 1).abs().max() < 0.001


def test_classes_have_a_legend_and_marks_and_many_values_a_scale():
    model = genmod.build(encoder="mlp", latent=2)
    axes = latents_figure(model, split_of((1, 8, 8)), panels=["scatter"]).figure.axes[0]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == list("0123456789")
    assert [text.get_text() for text in axes.texts if text.get_bbox_patch() is not None] == ["0", "1", "2"]
