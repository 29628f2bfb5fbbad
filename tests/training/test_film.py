"""The film of a run: which frames there are, and that the run is the same with it and without."""

import importlib

import pytest
import torch
from PIL import Image

import genmod
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
    return [path.name for path in sorted((place / "samples/film").glob("*"))]


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

    monkeypatch.setattr(importlib.import_module("genmod.figures.grid"), "grid", fail)
    texts = []
    _, result = run(
        tmp_path / "model", film_every=1, on_event=lambda e: texts.append(e.text) if e.text else None
    )
    assert result.status == "finished"
    assert texts == ["no more pictures of the progress: no ink"]


def test_by_default_there_are_about_a_dozen(tmp_path):
    for epochs in (3, 12, 150, 1000):
        film = Film(tmp_path, built(), None, epochs)
        drawn = {epoch for epoch in range(epochs + 1) if epoch % film.every == 0} | {epochs}
        assert min(epochs + 1, 10) <= len(drawn) <= 14


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
