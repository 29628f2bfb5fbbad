"""The film of a run: which frames there are, and that the run is the same with it and without."""

import importlib
from itertools import pairwise

import numpy as np
import pytest
import torch
from PIL import Image

import genmod
from genmod.figures import choose_examples, codes
from genmod.figures.palette import CLASSES
from genmod.figures.unfolding import code_map, on_last_axes
from genmod.training.film import Film


def built(seed=0):
    return genmod.build(encoder="mlp", latent=2, settings={"encoder.hidden": [8]}, seed=seed)


def weights(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def run(place, **overrides):
    model = built()
    result = genmod.train(
        model, directory=place, device="cpu", **{"epochs": 4, "batch_size": 256, **overrides}
    )
    return model, result


def frames(place):
    return [path.name for path in sorted((place / "samples/film").glob("*.png"))]


def test_the_run_is_the_same_with_a_film(tmp_path):
    runs = {every: run(tmp_path / str(every), film_every=every) for every in (0, 1, 3)}
    plain, result = runs[0]
    assert not (tmp_path / "0" / "samples").exists()
    for every in (1, 3):
        model, other = runs[every]
        assert all(torch.equal(tensor, weights(plain)[name]) for name, tensor in weights(model).items())
        assert other.rows == result.rows
    assert frames(tmp_path / "1") == [f"epoch-0000{n}.png" for n in range(5)]
    # Every third, and the last.
    assert frames(tmp_path / "3") == [f"epoch-0000{n}.png" for n in (0, 3, 4)]
    with Image.open(tmp_path / "1" / "samples/film.gif") as film:
        assert film.n_frames == 5
    # The first frame is that of other weights than the last.
    first, last = (
        (tmp_path / "1/samples/film" / name).read_bytes()
        for name in (frames(tmp_path / "1")[i] for i in (0, -1))
    )
    assert first != last


def test_a_resumed_run_has_each_frame_once(tmp_path):
    run(tmp_path / "whole", film_every=1)
    seen = []

    def stop(event):
        if event.kind == "validation":
            seen.append(event.step)
            if len(seen) == 2:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "parts", film_every=1, checkpoint_every=1, on_event=stop)
    assert len(frames(tmp_path / "parts")) < 5
    genmod.train(genmod.load(tmp_path / "parts", weights="last"), directory=tmp_path / "parts", resume=True)
    assert frames(tmp_path / "parts") == frames(tmp_path / "whole")
    for name in frames(tmp_path / "whole"):
        both = [(tmp_path / where / "samples/film" / name).read_bytes() for where in ("whole", "parts")]
        assert both[0] == both[1], name


def test_a_failure_to_draw_stops_nothing_and_is_told_once(tmp_path, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("no ink")

    monkeypatch.setattr(importlib.import_module("genmod.figures.grids"), "grid", fail)
    texts = []
    _, result = run(
        tmp_path / "model", film_every=1, on_event=lambda e: texts.append(e.text) if e.text else None
    )
    assert result.status == "finished"
    assert texts == ["no more pictures of the progress: no ink"]


def test_by_default_there_are_two_dozen_and_most_are_early(tmp_path):
    for epochs in (1, 3, 12, 23, 24, 150, 1000):
        due = sorted(Film(tmp_path, built(), None, epochs).due)
        assert {0, 1, epochs} <= set(due)
        assert len(due) == min(24, epochs + 1) or len(due) == 25
        steps = [b - a for a, b in pairwise(due)]
        assert sum(steps) == epochs
        assert epochs < 100 or (steps[0] == 1 and max(steps) == steps[-1] > epochs / 6)
        # A resumed run, or one of Python users, may end before.
        assert set(Film(tmp_path, built(), None, 4, every=3).due) == {0, 3}


def test_the_map_follows_the_codes_of_the_same_examples(tmp_path):
    model, _ = run(tmp_path / "model", film_every=2)
    kept = sorted((tmp_path / "model/samples/film").glob("*.npy"))
    assert [path.name for path in kept] == ["epoch-00000.npy", "epoch-00002.npy", "epoch-00004.npy"]
    # The last ones are those of the last weights.
    last = genmod.load(tmp_path / "model", weights="last")
    batch = choose_examples(genmod.open_dataset(model.spec).split("validation"), 500, seed=0)
    wanted = codes(last, batch.x, seed=0)
    torch.testing.assert_close(torch.from_numpy(np.load(kept[-1])), wanted)
    with Image.open(tmp_path / "model/samples/film.gif") as film:
        width = film.width
    with Image.open(kept[0].with_suffix(".png")) as frame:
        assert width == frame.width + frame.height


def test_codes_are_drawn_where_they_are_in_the_colours_of_their_classes():
    places = torch.tensor([[0.5, 0.5], [-0.5, -0.5], [7.0, 0.0]])
    image = code_map(places, torch.tensor([1, 2, 0]), ("a", "b", "c"), height=300, title="t")
    assert image.size == (300, 300)
    # The frame begins below the title and ends above the legend, of which the dots are the only other ones.
    picture = np.asarray(image)[45:260]
    at = {
        number: np.argwhere((picture == [int(CLASSES[number][i : i + 2], 16) for i in (1, 3, 5)]).all(-1))
        for number in (0, 1, 2)
    }
    assert len(at[0]) == 0
    assert len(at[1]) > 10 < len(at[2])
    assert at[1][:, 0].max() < at[2][:, 0].min()
    assert at[1][:, 1].min() > 150 > at[2][:, 1].max()


def test_many_numbers_are_projected_on_what_the_last_codes_vary_in():
    late = torch.randn(50, 5) * torch.tensor([1.0, 0.01, 3.0, 0.01, 0.01])
    (early, end), how = on_last_axes([late.mean(0).expand(50, 5), late])
    assert early.abs().max() < 1e-5
    assert end.abs().quantile(0.99) <= 1
    assert "principal components at the end, 100 %" in how
    assert abs(torch.corrcoef(torch.stack([end[:, 0], late[:, 2]]))[0, 1]) > 0.99


def test_the_film_is_in_the_order_of_epochs_and_no_larger_than_a_screen(tmp_path):
    film = Film(tmp_path, built(), None, 4)
    film.folder.mkdir(parents=True)
    for epoch, grey in ((99_999, 0), (100_000, 250)):
        Image.new("RGB", (3000, 1500), (grey, grey, grey)).save(film.folder / f"epoch-{epoch:05d}.png")
    film._on_the_map = lambda: None
    # What somebody else has put there is no frame, and is not removed.
    others = [film.folder / name for name in ("epoch-best.png", "epoch-00001b.npy")]
    for path in others:
        path.write_bytes(b"notes")
    film.end()
    with Image.open(film.folder.with_suffix(".gif")) as animation:
        assert (animation.size, animation.n_frames) == ((900, 450), 2)
        assert animation.convert("RGB").getpixel((9, 9)) == (0, 0, 0)
    film._draw = lambda *frame: None
    film.begin()
    assert set(film.folder.iterdir()) == set(others)


def test_no_film_without_a_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    film = Film(None, built(), None, 10)
    film.after(0)
    film.end()
    assert list(tmp_path.rglob("*")) == []


def test_models_without_a_prior_have_a_film_of_reconstructions(tmp_path):
    model = genmod.build("autoencoder", encoder="mlp", latent=2, settings={"encoder.hidden": [8]})
    genmod.train(model, directory=tmp_path / "ae", device="cpu", epochs=1, batch_size=512, film_every=1)
    assert frames(tmp_path / "ae") == ["epoch-00000.png", "epoch-00001.png"]


@pytest.mark.parametrize("what", ["another kind", "too large"])
def test_what_is_no_frame_is_not_opened_as_one(tmp_path, monkeypatch, what):
    """A directory from elsewhere that is resumed may have other pictures; for some kinds Pillow starts other programs."""
    said = []
    film = Film(
        tmp_path, genmod.build(encoder="mlp", latent=2), None, 3, every=1, resumed=True, warn=said.append
    )
    film.folder.mkdir(parents=True)
    for epoch in range(2):
        picture = Image.new("L", (9, 9))
        picture.save(film.folder / f"epoch-{epoch:05d}.png", "TIFF" if what == "another kind" else "PNG")
    monkeypatch.setattr(importlib.import_module("genmod.training.film"), "_MOST_PIXELS", 80)
    film.end()
    assert len(said) == 1
    assert "cannot identify" in said[0] or "larger than any frame" in said[0]
    assert not (tmp_path / "samples" / "film.gif").exists()
